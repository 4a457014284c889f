//! What is run beside orders: looks of collectors, rehearsals, and questions whose something is.
//!
//! ```text
//!  looks ─> each at once, in its own process, or asked of a Prometheus ─┬─ in time ─> found
//!                                                                       └─ late ────> said so, and ended
//!  rehearsal ─> a hand that does nothing ─> what would come of it
//!  owner ────> a hand that only looks ───> whose it is
//! ```
//!
//! None is an order: nothing of it must be known after a crash, so its directories go as soon as it
//! has ended. A look is owned by the runner, as an order is, so that it ends where no engine is left to
//! end it. What is asked of a hand is never left to a runner: that may be of an older version, whose hands
//! do not know that they are to do nothing, or what they are asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use homeostat_core::collect::{At, Found, Look, Moment};
use homeostat_core::errand::Errand;
use homeostat_core::event::Run;
use homeostat_core::evidence::{Ask, Finding, Rehearsal, Trouble};
use homeostat_core::limits::OWNERS_ASKED;
use homeostat_core::name::{Part, PolicyName, RemedyName};
use homeostat_core::order::Outcome;
use homeostat_core::owner::Whose;
use homeostat_core::plan::Rendered;
use homeostat_hands::act;
use parking_lot::RwLock;
use regex::Regex;
use tokio::sync::{Semaphore, watch};
use tracing::warn;

use super::perform::{Doors, outcome_of};
use super::subject;
use crate::client;

/// How long all looks of a moment may take together: so long an order waits for them at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks under way at once. Where a storm closes a thousand incidents, what cannot be looked at in time
/// is left out.
const LOOKS: usize = 16;

/// Rehearsals under way at once.
const REHEARSALS: usize = 16;

/// How long a hand may take to say something. What comes later is older than an order's evidence may be.
const ANSWER: Duration = Duration::from_secs(8);

/// Between the polite and the final signal.
const GRACE: Duration = Duration::from_secs(1);

/// Bytes of a look that are kept.
const SHOWN: usize = 16 << 10;

/// Bytes that are read before those: a secret that begins in them is known by its beginning.
const BEFORE: usize = 4 << 10;

/// With what the directories of all of these begin, as no order's do.
const PREFIX: &str = "aside.";

/// How long nobody has touched what is left of a look whose engine died: a runner ends it before.
const LEFT: Duration = Duration::from_mins(1);

/// What stands for a secret.
const REDACTED: &str = "[redacted]";

/// What is run beside orders, and what is a secret there.
#[derive(Debug)]
pub struct Aside {
    /// Tells those of this start of the engine from any other's.
    life: u128,
    begun: AtomicU64,
    looks: Semaphore,
    rehearsals: Semaphore,
    owners: Semaphore,
    secrets: RwLock<Arc<Vec<Regex>>>,
}

impl Aside {
    /// Makes it, with the patterns of what is a secret.
    pub fn new(secrets: Vec<Regex>) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            life: since.unwrap_or_default().as_nanos(),
            begun: AtomicU64::new(0),
            looks: Semaphore::new(LOOKS),
            rehearsals: Semaphore::new(REHEARSALS),
            owners: Semaphore::new(OWNERS_ASKED),
            secrets: RwLock::new(Arc::new(secrets)),
        }
    }

    /// Says anew what is a secret.
    pub fn conceal(&self, secrets: Vec<Regex>) {
        *self.secrets.write() = Arc::new(secrets);
    }

    /// A name that no order has, and nothing else that is run beside them.
    fn name(&self) -> String {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        format!("{PREFIX}{:x}.{number}", self.life)
    }
}

impl Doors {
    /// Removes what an engine left behind that died beside a look.
    pub(super) fn tidy_aside(self: &Arc<Self>) {
        let root = self.storage.clone();
        self.runtime.spawn_blocking(move || {
            if let Err(error) = act::forget_all(&root, PREFIX, LEFT) {
                warn!(%error, "directories of looks could not be removed");
            }
        });
    }

    /// Takes the looks of a moment, and tells what each found, in time.
    pub(super) async fn look(self: &Arc<Self>, run: &Run, moment: Moment) -> Vec<Found> {
        let until = Instant::now() + PATIENCE;
        let looks = run.order.looks(moment);
        let run = Arc::new(run.clone());
        client::all(looks.iter().map(|look| self.look_at(run.clone(), look, until))).await
    }

    async fn look_at(self: &Arc<Self>, run: Arc<Run>, look: &Look, until: Instant) -> Found {
        let (doors, at) = (self.clone(), look.at.clone());
        // In a task of its own, so that one that is late is still ended, and forgotten.
        let seen = tokio::spawn(async move { doors.see(&run, at, until).await });
        let (tail, trouble) = match tokio::time::timeout_at(until.into(), seen).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(error)) => (act::Tail::default(), Some(error.to_string())),
            Err(_) => (act::Tail::default(), Some(late())),
        };
        let secrets = self.aside.secrets.read().clone();
        let (text, cut) = shown(tail.text, &secrets);
        let (name, cut) = (look.name.clone(), cut || tail.truncated);
        let at = redacted(look.at.to_string(), &secrets);
        let trouble = trouble.map(|trouble| redacted(trouble, &secrets));
        Found { name, at, text, cut, trouble }
    }

    async fn see(&self, run: &Run, at: At, until: Instant) -> (act::Tail, Option<String>) {
        let nothing = |why: String| (act::Tail::default(), Some(why));
        let _place = self.aside.looks.acquire().await;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return nothing(late());
        }
        let program = match at {
            At::Nothing { why } => return nothing(why),
            At::Query { promql, by } => {
                let prober = self.prober.read().clone();
                return match prober.show(&promql, by.as_ref()).await {
                    Ok(text) => (act::Tail { text, truncated: false }, None),
                    Err(Trouble(trouble)) => nothing(trouble),
                };
            }
            At::Exec(argv) => act::Program::Argv(argv),
            At::Errand(errand) => match self.hand.clone() {
                Some(arguments) => {
                    let hand = act::Hand { arguments, errand: *errand, rehearse: false };
                    act::Program::Hand(hand)
                }
                None => return nothing(act::Refusal::NoHands.to_string()),
            },
        };
        let setting = match self.setting_of_look(run) {
            Ok(setting) => setting,
            Err(refusal) => return nothing(refusal.to_string()),
        };
        let execution = act::Execution {
            order: run.order.id.to_string(),
            name: self.aside.name(),
            program,
            timeout: left,
            grace: GRACE,
            subject: subject::of(run).await,
            setting,
        };
        let name = execution.name.clone();
        // Its own time ends it.
        let (_end, never) = watch::channel(false);
        let ended = self.hand_over(execution, never, || ()).await;
        let tail = self.forget(name).await;
        (tail, trouble_of(ended))
    }

    /// It runs as the remedy does. One that runs no program has nothing to say about that.
    fn setting_of_look(&self, run: &Run) -> Result<act::Setting, act::Refusal> {
        match run.order.action {
            Rendered::Exec(_) | Rendered::Script(_) | Rendered::Errand(_) => self.setting(run),
            Rendered::Http(_) | Rendered::Call(_) => Ok(act::Setting::default()),
        }
    }

    /// Removes the directories of what has ended, and returns what it printed.
    async fn forget(&self, name: String) -> act::Tail {
        let root = self.storage.clone();
        let forgotten = tokio::task::spawn_blocking(move || {
            let tail = act::printed_within(&root, &name, BEFORE + SHOWN);
            if let Err(error) = act::forget(&root, &name) {
                warn!(name, %error, "directory of a look could not be removed");
            }
            tail
        });
        forgotten.await.unwrap_or_default()
    }

    /// Answers what is asked of hands that do nothing.
    pub(super) async fn ask_hands(&self, asks: Vec<Ask>) -> Vec<(Ask, Finding)> {
        let found = client::all(asks.iter().map(|ask| async move {
            match ask {
                Ask::Rehearsal { errand, policy, remedy } => {
                    Finding::Rehearsal(self.rehearse(errand, policy, remedy).await)
                }
                Ask::Owner { of } => Finding::Owner(self.owner(of).await),
                other => {
                    Finding::Rehearsal(Err(Trouble(format!("{other}: no hand is asked that"))))
                }
            }
        }));
        let found = found.await;
        asks.into_iter().zip(found).collect()
    }

    async fn rehearse(
        &self,
        errand: &Errand,
        policy: &PolicyName,
        remedy: &RemedyName,
    ) -> Result<Rehearsal, Trouble> {
        let _place = self.aside.rehearsals.acquire().await;
        let part = (policy.clone(), remedy.clone(), Part::Heal);
        let setting = self.setting_of(&part).map_err(|refusal| Trouble(refusal.to_string()))?;
        let subject = subject::none(policy.as_str(), remedy.as_str());
        rehearsed(
            self.ask_hand((errand, true), format!("{policy}.{remedy}"), subject, setting).await?,
        )
    }

    /// It is no remedy's: who asks is the engine itself.
    async fn owner(&self, of: &Errand) -> Result<Whose, Trouble> {
        let _place = self.aside.owners.acquire().await;
        let (subject, setting) = (subject::none("", ""), act::Setting::default());
        owned(self.ask_hand((of, false), "owner".to_owned(), subject, setting).await?)
    }

    /// Has a hand say something, without a runner.
    async fn ask_hand(
        &self,
        (errand, rehearse): (&Errand, bool),
        order: String,
        subject: act::Subject,
        setting: act::Setting,
    ) -> Result<act::Found, Trouble> {
        let none = || Trouble(act::Refusal::NoHands.to_string());
        let arguments = self.hand.clone().ok_or_else(none)?;
        let hand = act::Hand { arguments, errand: errand.clone(), rehearse };
        let execution = act::Execution {
            order,
            name: self.aside.name(),
            program: act::Program::Hand(hand),
            timeout: ANSWER,
            grace: GRACE,
            subject,
            setting,
        };
        let name = execution.name.clone();
        let ended = act::perform(&self.storage, execution, std::future::pending()).await;
        let ended = self.heard(name.clone(), ended).await;
        self.forget(name).await;
        Ok(ended)
    }
}

/// What a hand's end says that was to do nothing.
fn rehearsed(ended: act::Found) -> Result<Rehearsal, Trouble> {
    let outcome = match ended {
        act::Found::Ended(act::Ended {
            outcome: act::Outcome::Rehearsed { managed_by }, ..
        }) => return Ok(Rehearsal::Accepted { managed_by }),
        act::Found::Ended(ended) => outcome_of(ended.outcome),
        act::Found::NotStarted => return Err(Trouble("the hand was not started".into())),
        act::Found::Unknown(doubt) => return Err(Trouble(doubt.to_string())),
    };
    match outcome {
        Outcome::Refused { reason } => Ok(Rehearsal::Refused(reason)),
        Outcome::NotStarted { reason } | Outcome::Failed { reason } => {
            Ok(Rehearsal::NotNow(reason))
        }
        outcome @ (Outcome::Exited { .. }
        | Outcome::Signalled { .. }
        | Outcome::Answered { .. }
        | Outcome::Done
        | Outcome::TimedOut
        | Outcome::Cancelled
        | Outcome::Unknown { .. }) => Err(Trouble(format!("the hand {outcome}"))),
    }
}

/// What a hand's end says that was asked whose something is.
fn owned(ended: act::Found) -> Result<Whose, Trouble> {
    let outcome = match ended {
        act::Found::Ended(act::Ended { outcome: act::Outcome::Owned { whose }, .. }) => {
            return Ok(whose);
        }
        act::Found::Ended(ended) => outcome_of(ended.outcome),
        act::Found::NotStarted => return Err(Trouble("the hand was not started".into())),
        act::Found::Unknown(doubt) => return Err(Trouble(doubt.to_string())),
    };
    Err(Trouble(match outcome {
        Outcome::Refused { reason } | Outcome::NotStarted { reason } => reason,
        outcome => format!("the hand {outcome}"),
    }))
}

/// Why what a program or a hand printed is not all that there was to see.
fn trouble_of(ended: act::Found) -> Option<String> {
    match ended {
        act::Found::NotStarted => Some("it was not started".into()),
        act::Found::Unknown(doubt) => Some(doubt.to_string()),
        act::Found::Ended(ended) => match outcome_of(ended.outcome) {
            Outcome::Exited { code: 0 } | Outcome::Done => None,
            Outcome::TimedOut => Some(late()),
            outcome => Some(format!("it {outcome}")),
        },
    }
}

fn late() -> String {
    format!("it took longer than {} s, and was left out", PATIENCE.as_secs())
}

/// What is kept of a text: its end, without secrets. Those are looked for in more than is kept.
fn shown(text: String, secrets: &[Regex]) -> (String, bool) {
    let mut text = redacted(text, secrets);
    let excess = text.len().saturating_sub(SHOWN);
    text.drain(..text.ceil_char_boundary(excess));
    (text, excess > 0)
}

/// Blots out secrets: all that a pattern matches, or its group `secret`.
fn redacted(mut text: String, secrets: &[Regex]) -> String {
    for secret in secrets {
        let mut blotted = String::new();
        let mut from = 0;
        for found in secret.captures_iter(&text) {
            let place = found.name("secret").or_else(|| found.get(0));
            let Some(place) = place.filter(|place| place.start() >= from) else { continue };
            blotted.push_str(&text[from..place.start()]);
            blotted.push_str(REDACTED);
            from = place.end();
        }
        if from > 0 {
            blotted.push_str(&text[from..]);
            text = blotted;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The patterns that every configuration has, and one of its own.
    fn secrets() -> Vec<Regex> {
        let text = "redact: ['key-(?<secret>[0-9]+)']\npolicies: []";
        homeostat_config::parse("test", text).unwrap().redact
    }

    #[test]
    fn secrets_are_blotted_out_and_what_names_them_stays() {
        let secrets = secrets();
        for (text, shown) in [
            ("password=abc next", "password=[redacted] next"),
            ("DB_PASSWORD: 'a b' x", "DB_PASSWORD: [redacted] x"),
            (r#"{"api_key":"abc","n":1}"#, r#"{"api_key":[redacted],"n":1}"#),
            ("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]"),
            (
                "curl -H 'authorization: Basic dXNlcjpwdw=='",
                "curl -H 'authorization: Basic [redacted]'",
            ),
            ("sent Bearer abcdefgh12", "sent Bearer [redacted]"),
            ("?token=abc&x=1", "?token=[redacted]&x=1"),
            ("key-123 and key-4", "key-[redacted] and key-[redacted]"),
            (
                "a\n-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nb",
                "a\n[redacted]\nb",
            ),
            ("-----BEGIN PRIVATE KEY-----\ncut", "[redacted]"),
            (
                "the tokens ran out at 12:30; 3 passwords",
                "the tokens ran out at 12:30; 3 passwords",
            ),
        ] {
            assert_eq!(redacted(text.into(), &secrets), shown);
        }
    }

    #[test]
    fn a_secret_that_begins_before_what_is_kept_is_none_that_is_shown() {
        let tail = format!("password={}{}", "s".repeat(BEFORE), "x".repeat(SHOWN));
        let (text, _) = shown(tail, &secrets());
        assert_eq!(text, "password=[redacted]");
        let (text, cut) = shown("é".repeat(SHOWN), &secrets());
        assert!(cut && text.len() <= SHOWN && text.chars().all(|c| c == 'é'));
    }

    #[test]
    fn what_a_hand_says_of_what_it_has_not_done_is_never_good_news_by_mistake() {
        let said = |outcome| {
            let none = act::Ended::refused(act::Refusal::Cancelled);
            rehearsed(act::Found::Ended(act::Ended { outcome, ..none }))
        };
        let hand = |lasting| act::Outcome::Refused {
            reason: act::Refusal::Hand { reason: "no".into(), lasting },
        };
        let accepted = said(act::Outcome::Rehearsed { managed_by: None });
        assert_eq!(accepted, Ok(Rehearsal::Accepted { managed_by: None }));
        assert_eq!(said(hand(true)), Ok(Rehearsal::Refused("no".into())));
        assert_eq!(said(hand(false)), Ok(Rehearsal::NotNow("no".into())));
        for outcome in [
            act::Outcome::Done,
            act::Outcome::Exited { code: 0 },
            act::Outcome::TimedOut,
            act::Outcome::Unknown { reason: act::Doubt::NotSaid },
        ] {
            assert!(said(outcome.clone()).is_err(), "{outcome:?}");
        }
        assert!(rehearsed(act::Found::NotStarted).is_err());
    }

    #[test]
    fn whose_something_is_is_known_only_where_a_hand_said_so() {
        let said = |outcome| {
            let none = act::Ended::refused(act::Refusal::Cancelled);
            owned(act::Found::Ended(act::Ended { outcome, ..none }))
        };
        let nobody = Whose::Nobody { why: "pod shop/a has no owner".into() };
        assert_eq!(said(act::Outcome::Owned { whose: nobody.clone() }), Ok(nobody));
        let refusal = act::Refusal::Hand { reason: "forbidden: no".into(), lasting: true };
        let no = said(act::Outcome::Refused { reason: refusal });
        assert_eq!(no, Err(Trouble("forbidden: no".into())));
        for outcome in [
            act::Outcome::Done,
            act::Outcome::Rehearsed { managed_by: None },
            act::Outcome::TimedOut,
            act::Outcome::Unknown { reason: act::Doubt::NotSaid },
        ] {
            assert!(said(outcome.clone()).is_err(), "{outcome:?}");
        }
        assert!(owned(act::Found::NotStarted).is_err());
    }
}
