//! One request to a web service, from the claim to its recorded end.
//!
//! What counts is whether it was sent. A connection that is refused leaves the world as it was: a
//! known failure. After that a broken connection or a time-out says nothing about the deed, so its
//! outcome is unknown, and is verified. A redirect is never followed.

use std::fmt::Write as _;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use homeostat_core::request::Request;

use super::claim::{Directory, draw_run};
use super::limits::ANSWER_SHOWN;
use super::outlet::{Answer, NoAnswer, Outlet};
use super::output;
use super::start::{self, NotRunning, is_complete, off_thread};
use super::{Doubt, Ended, Outcome, Refusal, Subject};

const RESPONSE: &str = "response";

/// What one request needs.
#[derive(Debug, Clone)]
pub struct Sending {
    /// The order's id.
    pub order: String,
    /// Its name, that of its directories: `[a-zA-Z0-9._-]+`.
    pub name: String,
    /// The request.
    pub request: Request,
    /// How long it may take, its answer read.
    pub timeout: Duration,
    /// What it is about.
    pub subject: Subject,
}

/// Sends the request of one order and tells how it ended.
///
/// When `cancel` completes, the answer is not waited for: what was sent is sent.
///
/// As with a process, an order runs at most once, and the future must be polled to its end.
///
/// # Panics
///
/// Outside of a Tokio runtime with time and IO enabled.
pub async fn send(
    root: &Path,
    outlet: &impl Outlet,
    sending: Sending,
    cancel: impl Future<Output = ()> + Send,
) -> Ended {
    let mut cancel = pin!(cancel);
    if is_complete(cancel.as_mut()).await {
        return Ended::refused(Refusal::Cancelled);
    }
    let letter = match outlet.prepare(&sending.request, sending.timeout).await {
        Ok(letter) => letter,
        Err(reason) => return Ended::refused(reason),
    };
    let Sending { order, name, request, subject, .. } = sending;
    let root = root.to_owned();
    let taken = off_thread(move || take(&root, &name, (&subject, &order))).await;
    let directory = match taken {
        Ok(directory) => directory,
        Err(not_running) => return not_running.into(),
    };
    let (started_at, since) = (SystemTime::now(), Instant::now());
    let result = tokio::select! {
        // An answer that is there counts, whatever else is there with it.
        biased;
        result = outlet.send(letter) => Some(result),
        () = cancel => None,
    };
    let duration = since.elapsed();
    off_thread(move || record(&directory, &request, result.as_ref(), started_at, duration)).await
}

fn take(root: &Path, name: &str, told: (&Subject, &str)) -> Result<Directory, NotRunning> {
    start::take(root, name, &draw_run()?, told)
}

/// Keeps the answer, and records the end.
fn record(
    directory: &Directory,
    request: &Request,
    result: Option<&Result<Answer, NoAnswer>>,
    started_at: SystemTime,
    duration: Duration,
) -> Ended {
    let outcome = result.map_or(Outcome::Cancelled, |result| outcome(request, result));
    if let Outcome::Refused { .. } = outcome {
        let ended = Ended::without_run(outcome);
        directory.record(&ended);
        return ended;
    }
    let mut is_cut = false;
    if let Some(Ok(answer)) = result {
        directory.keep(RESPONSE, &answer.body);
        directory.keep(output::STDOUT, shown(answer).as_bytes());
        is_cut = answer.truncated || answer.body.len() > ANSWER_SHOWN;
    }
    let tail = output::tail(directory.path());
    let ended = Ended {
        outcome,
        started_at: Some(started_at),
        duration,
        tail: tail.text,
        truncated: tail.truncated || is_cut,
        left: 0,
        stuck: Vec::new(),
    };
    directory.record(&ended);
    ended
}

fn outcome(request: &Request, result: &Result<Answer, NoAnswer>) -> Outcome {
    match result {
        Ok(Answer { status, .. }) => {
            let status = *status;
            let expected = request.expected.iter().any(|statuses| statuses.contains(status));
            // Bad gateway, gateway timeout: the service behind may have done it all the same.
            if !expected && !request.repeatable && matches!(status, 502 | 504) {
                return Outcome::Unknown { reason: Doubt::Gateway { status } };
            }
            Outcome::Answered { status, expected }
        }
        Err(NoAnswer::NotSent(error)) => {
            Outcome::Refused { reason: Refusal::NotSent { error: error.clone() } }
        }
        Err(NoAnswer::Broken(error)) => {
            Outcome::Unknown { reason: Doubt::NoAnswer { error: error.clone() } }
        }
        Err(NoAnswer::TooSlow) => Outcome::TimedOut,
    }
}

/// The answer for a person: its status, and how it begins.
fn shown(answer: &Answer) -> String {
    let mut text = format!("HTTP {}\n", answer.status);
    if let Some(location) = &answer.location {
        // Writing into a text never fails.
        let _ = writeln!(
            text,
            "redirects to {}: not followed; configure that URL if it is right",
            output::one_line(location)
        );
    }
    let most = answer.body.len().min(ANSWER_SHOWN);
    text.push_str(&String::from_utf8_lossy(&answer.body[..most]));
    if most < answer.body.len() {
        text.push_str("\n[the rest is in the file response]\n");
    }
    text
}
