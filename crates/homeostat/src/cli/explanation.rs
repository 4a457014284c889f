//! What would be done about an alert, as data.
//!
//! Duty: which policies take it, what they would do, and why others do not. Everything is computed
//! by the same code that the engine decides by. Not its duty: showing it, and the state of the
//! engine: whether a guard holds right now is known only there.

use std::sync::Arc;

use homeostat_core::alert::OWN_LABEL;
use homeostat_core::label::LabelSet;
use homeostat_core::plan::{self, Rendered};
use homeostat_core::policy::{
    Book, BookLimits, Escalate, Extent, GuardLimits, Mode, Policy, Rate, Remedy, Target, Worse,
};
use homeostat_core::template::{Place, Values};
use homeostat_core::time::Span;
use serde::Serialize;

/// How many policies that nearly take the alert are listed.
const NEAR_MISSES: usize = 10;

/// What would be done about an alert.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    pub(super) labels: LabelSet,
    /// Why no policy is asked at all.
    pub(super) ignored: Option<String>,
    /// The policies that take it, in order.
    pub(super) taken: Vec<Taken>,
    /// Policies that do not take it, the nearest ones first.
    pub(super) passed: Vec<Passed>,
    /// How many more do not take it.
    pub(super) others: usize,
}

/// A policy that takes the alert.
#[derive(Debug, Serialize)]
pub(super) struct Taken {
    pub(super) policy: String,
    pub(super) mode: Mode,
    pub(super) target: Target,
    /// Target labels that the alert does not have: nothing is done.
    pub(super) missing: Vec<String>,
    #[serde(rename = "for")]
    pub(super) settle: Span,
    pub(super) remedies: Vec<Rung>,
    pub(super) locks: Outcome<Vec<String>>,
    pub(super) guards: Guards,
    pub(super) verify: Proof,
    /// `None`: what else becomes worse is not looked at.
    pub(super) regression: Option<Harm>,
    /// `None`: nobody is told.
    pub(super) escalate: Option<Person>,
    pub(super) relapse: Span,
    #[serde(rename = "continue")]
    pub(super) continues: bool,
}

/// A value, or why there is none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome<T> {
    Is(T),
    Refused(String),
}

/// One remedy of the ladder.
#[derive(Debug, Serialize)]
pub(super) struct Rung {
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) action: Outcome<Rendered>,
    pub(super) timeout: Span,
    pub(super) retries: u32,
    pub(super) backoff: Span,
    pub(super) idempotent: bool,
    pub(super) undo: Option<Reversal>,
}

/// How a remedy is taken back.
#[derive(Debug, Serialize)]
pub(super) struct Reversal {
    pub(super) action: Outcome<Rendered>,
    pub(super) timeout: Span,
}

/// What must not become worse.
#[derive(Debug, Serialize)]
pub(super) struct Harm {
    pub(super) matchers: Vec<String>,
    pub(super) worse: Worse,
}

/// The limits of the guards.
#[derive(Debug, Serialize)]
pub(super) struct Guards {
    pub(super) cooldown: Span,
    pub(super) rate: Allowance,
    pub(super) concurrency: u32,
    pub(super) attempts: u32,
    pub(super) fresh_max_age: Span,
    /// The names of the time intervals in which nothing is done.
    pub(super) freeze: Vec<String>,
    pub(super) watchdog: Option<Watch>,
    pub(super) flap: Option<Damped>,
    pub(super) breaker: Option<Break>,
    /// Counts targets; `None`: any number may be acted on.
    pub(super) blast_radius: Option<BlastRadius>,
    /// `None`: nothing is a storm.
    pub(super) storm: Option<Storm>,
    pub(super) book_rate: Allowance,
    pub(super) book_concurrency: u32,
}

/// Without which alert nothing is done.
#[derive(Debug, Serialize)]
pub(super) struct Watch {
    pub(super) matchers: String,
    pub(super) max_age: Span,
}

/// How a target that flaps is damped.
#[derive(Debug, Serialize)]
pub(super) struct Damped {
    pub(super) half_life: Span,
    pub(super) suppress: u32,
    pub(super) reuse: u32,
}

/// When a remedy that fails is not run any more.
#[derive(Debug, Serialize)]
pub(super) struct Break {
    pub(super) failures: u32,
    pub(super) of: u32,
    pub(super) after: Span,
}

/// How many targets may be acted on in a time.
#[derive(Debug, Serialize)]
pub(super) struct BlastRadius {
    pub(super) window: Span,
    pub(super) extent: Extent,
}

/// What makes a storm.
#[derive(Debug, Serialize)]
pub(super) struct Storm {
    pub(super) percent: u32,
    pub(super) min: u32,
    pub(super) cool_down: Span,
    pub(super) inventory: Arc<str>,
}

/// So many in a time.
#[derive(Debug, Serialize)]
pub(super) struct Allowance {
    pub(super) max: u32,
    pub(super) per: Span,
}

/// How a healing is proven.
#[derive(Debug, Serialize)]
pub(super) struct Proof {
    pub(super) within: Span,
    pub(super) query: Option<Outcome<String>>,
    pub(super) every: Span,
    pub(super) times: u32,
}

/// When a person is told.
#[derive(Debug, Serialize)]
pub(super) struct Person {
    pub(super) after: Span,
    pub(super) severity: String,
}

/// A policy that does not take the alert.
#[derive(Debug, Serialize)]
pub(super) struct Passed {
    pub(super) policy: String,
    pub(super) because: String,
}

/// Explains what a book says about an alert with these labels.
pub(super) fn explain(book: &Book, labels: LabelSet, annotations: &LabelSet) -> Explanation {
    if labels.get(OWN_LABEL).is_some() {
        let ignored = format!("an alert with the label {OWN_LABEL:?} is our own: it heals nothing");
        let (taken, passed) = (Vec::new(), Vec::new());
        return Explanation { labels, ignored: Some(ignored), taken, passed, others: 0 };
    }
    let takers = book.taking(&labels);
    let taken = takers.iter().map(|policy| take(policy, book, &labels, annotations)).collect();
    let (passed, others) = passed(book, &takers, &labels);
    Explanation { labels, ignored: None, taken, passed, others }
}

fn take(policy: &Policy, book: &Book, labels: &LabelSet, annotations: &LabelSet) -> Taken {
    let missing = policy.target.pick(labels).err().unwrap_or_default();
    let target = policy.target.present(labels);
    let values = |remedy: &str| Values {
        labels: labels.clone(),
        annotations: annotations.clone(),
        incident: 1,
        policy: policy.name.to_string(),
        remedy: remedy.to_owned(),
        attempt: 1,
        key: format!("1.{remedy}.0"),
    };
    let first = policy.remedies.first().map_or("", |remedy| remedy.name.as_str());
    let locks = plan::locks(policy, &target, &values(first))
        .map(|keys| keys.iter().map(ToString::to_string).collect());
    let rungs = policy.remedies.iter();
    Taken {
        policy: policy.name.to_string(),
        mode: policy.mode,
        missing: missing.iter().map(ToString::to_string).collect(),
        settle: policy.settle,
        remedies: rungs.map(|remedy| rung(remedy, &values(remedy.name.as_str()))).collect(),
        locks: outcome(locks),
        guards: guards(&policy.guard, &book.limits),
        verify: Proof {
            within: policy.verify.within,
            query: policy
                .verify
                .query
                .as_ref()
                .map(|query| outcome(query.render(Place::Promql, &values(first)))),
            every: policy.verify.every,
            times: policy.verify.times,
        },
        regression: policy.regression.as_ref().map(|regression| Harm {
            matchers: regression.matchers.iter().map(ToString::to_string).collect(),
            worse: regression.worse,
        }),
        escalate: match &policy.escalate {
            Escalate::Nobody => None,
            Escalate::After { after, severity } => {
                Some(Person { after: *after, severity: severity.to_string() })
            }
        },
        relapse: policy.relapse,
        continues: policy.continues,
        target,
    }
}

fn outcome<T, E: ToString>(result: Result<T, E>) -> Outcome<T> {
    match result {
        Ok(value) => Outcome::Is(value),
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

fn rung(remedy: &Remedy, values: &Values) -> Rung {
    Rung {
        name: remedy.name.to_string(),
        mode: remedy.mode,
        action: outcome(plan::render(remedy, values)),
        timeout: remedy.timeout,
        retries: remedy.retries,
        backoff: remedy.backoff,
        idempotent: remedy.idempotent,
        undo: remedy.undo.as_ref().map(|undo| Reversal {
            action: outcome(plan::render_undo(undo, values)),
            timeout: undo.timeout,
        }),
    }
}

fn guards(own: &GuardLimits, book: &BookLimits) -> Guards {
    let allowance = |rate: Rate| Allowance { max: rate.max, per: rate.per };
    Guards {
        cooldown: own.cooldown,
        rate: allowance(own.rate),
        concurrency: own.concurrency,
        attempts: own.attempts,
        fresh_max_age: own.fresh_max_age,
        freeze: own.freeze.iter().map(|interval| interval.name.to_string()).collect(),
        watchdog: own.watchdog.as_ref().map(|watchdog| Watch {
            matchers: watchdog.matchers.to_string(),
            max_age: watchdog.max_age,
        }),
        flap: own.flap.map(|flap| Damped {
            half_life: flap.half_life,
            suppress: flap.suppress,
            reuse: flap.reuse,
        }),
        breaker: own.breaker.map(|breaker| Break {
            failures: breaker.failures,
            of: breaker.of,
            after: breaker.after,
        }),
        blast_radius: own
            .blast_radius
            .as_ref()
            .map(|radius| BlastRadius { window: radius.window, extent: radius.extent.clone() }),
        storm: own.storm.as_ref().map(|storm| Storm {
            percent: storm.percent,
            min: storm.min,
            cool_down: storm.cool_down,
            inventory: storm.inventory.clone(),
        }),
        book_rate: allowance(book.rate),
        book_concurrency: book.concurrency,
    }
}

/// Lists the policies that do not take the alert: those that match and come too late, then those
/// that fail by the fewest matchers. One of which no matcher holds is not near.
fn passed(book: &Book, takers: &[&Policy], labels: &LabelSet) -> (Vec<Passed>, usize) {
    let last = takers.last().map(|policy| policy.name.as_str());
    let mut misses: Vec<(usize, Passed)> = Vec::new();
    let mut others = 0;
    for policy in book.policies() {
        if takers.iter().any(|taker| taker.name == policy.name) {
            continue;
        }
        let failing: Vec<_> = policy.matchers.iter().filter(|m| !m.matches(labels)).collect();
        let because = match (failing.first(), last) {
            (None, Some(last)) => format!("it matches, but {last} takes the alert first"),
            (Some(matcher), _) if failing.len() < policy.matchers.len() => {
                match labels.get(matcher.name()) {
                    Some(value) => format!("{matcher} does not hold: it is {value:?}"),
                    None => format!("{matcher} does not hold: there is no such label"),
                }
            }
            (None | Some(_), _) => {
                others += 1;
                continue;
            }
        };
        misses.push((failing.len(), Passed { policy: policy.name.to_string(), because }));
    }
    misses.sort_by_key(|(failing, _)| *failing);
    others += misses.len().saturating_sub(NEAR_MISSES);
    let near = misses.into_iter().take(NEAR_MISSES).map(|(_, passed)| passed).collect();
    (near, others)
}
