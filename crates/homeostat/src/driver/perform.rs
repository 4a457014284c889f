//! Performs what the engine wants, and reports what it came to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use homeostat_core::alert::{Alert, Status};
use homeostat_core::event::{About, Effect, Event, Question, Run};
use homeostat_core::label::LabelSet;
use homeostat_core::name::{BootId, OrderId};
use homeostat_core::order::{Ended, Found, Outcome};
use homeostat_core::plan::Rendered;
use homeostat_core::time::Timestamp;
use parking_lot::RwLock;
use tokio::runtime::Handle;
use tracing::{error, info};

use super::Clock;
use crate::act;
use crate::notice::Teller;
use crate::probe::Prober;
use crate::queue::Queue;

/// Between the polite and the final signal to an action that ran too long.
const GRACE: Duration = Duration::from_secs(5);

/// The doors through which effects leave.
#[derive(Debug)]
pub struct Doors {
    /// Where tasks run.
    pub runtime: Handle,
    /// Where outcomes are reported.
    pub queue: Queue,
    /// The clock.
    pub clock: Arc<Clock>,
    /// The directory of the orders.
    pub orders: PathBuf,
    /// Whom to ask; replaced when the configuration changes.
    pub prober: RwLock<Arc<Prober>>,
    /// Who tells people.
    pub teller: Teller,
}

impl Doors {
    /// Performs one effect. Returns at once; what it came to arrives as an event.
    pub(super) fn perform(self: &Arc<Self>, effect: Effect) {
        match effect {
            Effect::Run(run) => {
                let doors = self.clone();
                self.runtime.spawn(async move { doors.run(*run).await });
            }
            Effect::Inquire { order, issued_in } => {
                let doors = self.clone();
                self.runtime.spawn(async move { doors.inquire(order, issued_in).await });
            }
            Effect::Ask(question) => {
                let doors = self.clone();
                self.runtime.spawn(async move { doors.ask(question).await });
            }
            Effect::Tell(notice) => self.teller.tell(*notice),
            Effect::Clear(notice) => self.teller.clear(*notice),
        }
    }

    async fn run(&self, run: Run) {
        let order = run.order.id.clone();
        let execution = execution(&run);
        info!(order = %order, policy = %run.policy, action = %run.order.action, "order started");
        let ended = act::perform(&self.orders, execution, std::future::pending()).await;
        let ended = ended_of(ended);
        info!(order = %order, policy = %run.policy, outcome = %ended.outcome, "order ended");
        self.queue.report(Event::OrderEnded { order, ended }).await;
    }

    async fn inquire(&self, order: OrderId, issued_in: BootId) {
        let (root, name) = (self.orders.clone(), order.to_string());
        let looked = tokio::task::spawn_blocking(move || act::inspect(&root, &name, &issued_in));
        let found = match looked.await {
            Ok(act::Found::NotStarted) => Found::NotStarted,
            Ok(act::Found::Ended(ended)) => Found::Ended(ended_of(ended)),
            Ok(act::Found::Unknown(doubt)) => Found::Unknown(doubt.to_string()),
            Err(error) => {
                error!(order = %order, error = %error, "order could not be inspected");
                Found::Unknown(error.to_string())
            }
        };
        info!(order = %order, found = ?found, "order found after a restart");
        self.queue.report(Event::OrderFound { order, found }).await;
    }

    async fn ask(&self, question: Question) {
        let prober = self.prober.read().clone();
        let clock = self.clock.clone();
        let evidence = prober.ask(question.asks, move || clock.now()).await;
        let event = match question.about {
            About::Incident(incident, step) => {
                Event::Answered { incident, step, evidence, presence: Vec::new() }
            }
            About::Observation(observation) => Event::Vouched { observation, evidence },
        };
        self.queue.report(event).await;
    }
}

fn execution(run: &Run) -> act::Execution {
    let order = &run.order;
    let leading = run.alerts.first().map(|(alert, _)| alert);
    act::Execution {
        order: order.id.to_string(),
        program: match &order.action {
            Rendered::Exec(argv) => act::Program::Argv(argv.clone()),
            Rendered::Script(text) => act::Program::Script(text.to_string()),
        },
        timeout: order.timeout.into(),
        grace: GRACE,
        subject: act::Subject {
            incident: order.id.incident.to_string(),
            attempt: order.id.attempt,
            policy: run.policy.to_string(),
            remedy: order.id.remedy.to_string(),
            receiver: leading.map(|alert| alert.receiver.clone()).unwrap_or_default(),
            external_url: leading.map(|alert| alert.external_url.clone()).unwrap_or_default(),
            group_labels: leading.map(|alert| map(&alert.group_labels)).unwrap_or_default(),
            alerts: run.alerts.iter().map(|(alert, ended_at)| subject(alert, *ended_at)).collect(),
        },
    }
}

fn subject(alert: &Alert, ended_at: Option<Timestamp>) -> act::SubjectAlert {
    let time = |at: Timestamp| jiff::Timestamp::from_microsecond(at.micros()).ok();
    act::SubjectAlert {
        status: if ended_at.is_some() { Status::Resolved } else { Status::Firing },
        fingerprint: alert.fingerprint.to_string(),
        labels: map(&alert.labels),
        annotations: map(&alert.annotations),
        starts_at: alert.starts_at.and_then(time),
        ends_at: ended_at.and_then(time),
        generator_url: alert.generator_url.clone(),
    }
}

fn map(labels: &LabelSet) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn ended_of(ended: act::Ended) -> Ended {
    let micros = |at: SystemTime| {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    };
    let outcome = match ended.outcome {
        act::Outcome::Exited { code } => Outcome::Exited { code },
        act::Outcome::Signalled { signal } => Outcome::Signalled { signal },
        act::Outcome::TimedOut => Outcome::TimedOut,
        act::Outcome::Cancelled => Outcome::Unknown { reason: "it was cancelled".into() },
        act::Outcome::Refused { reason } => match reason {
            act::Refusal::Nul { .. }
            | act::Refusal::TooLong { .. }
            | act::Refusal::TooMuch { .. }
            | act::Refusal::Collision { .. } => Outcome::Refused { reason: reason.to_string() },
            _ => Outcome::NotStarted { reason: reason.to_string() },
        },
        act::Outcome::Unknown { reason } => Outcome::Unknown { reason: reason.to_string() },
    };
    Ended { outcome, started_at: ended.started_at.map(micros), output: ended.tail }
}
