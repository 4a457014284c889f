//! Prints what happened in the grammar of policy tests, and the book as a configuration would say
//! it. Where the grammar has no word, it is a remark.

use std::fmt::Write as _;

use homeostat_core::alert::Observation;
use homeostat_core::clock::Leap;
use homeostat_core::event::Event;
use homeostat_core::label::LabelSet;
use homeostat_core::name::SourceName;
use homeostat_core::order::{Found, Order, Outcome};
use homeostat_core::policy::{Book, Escalate, Policy, TargetLabels};
use homeostat_core::scenario::{Answer, Asked, Input, Signal, Step, WhichRun};
use homeostat_core::time::Span;

use crate::cast::Part;
use crate::script::{Honesty, Stock};

/// One step of a policy test, or a remark.
#[derive(Debug, Clone)]
pub struct Line(String);

impl Line {
    fn step(at: Span, input: Input) -> Self {
        Self(format!("- {}", Step { at, input }))
    }

    /// What the grammar has no word for.
    pub fn remark(at: Span, what: &str) -> Self {
        Self(format!("# at {at}: {what}"))
    }

    /// A part fell ill or recovered, and nobody told that yet.
    pub fn truth(at: Span, part: &Part, ill: bool) -> Self {
        let alert = &part.alert;
        let (source, labels) = (alert.source.clone(), alert.labels.clone());
        let signal = Signal { source, labels, annotations: LabelSet::default(), lost: true };
        Self::step(at, if ill { Input::Fire(signal) } else { Input::Resolve(signal) })
    }

    /// An observation arrived.
    pub fn observed(at: Span, observation: &Observation) -> Self {
        let alert = &observation.alert;
        let (source, labels) = (alert.source.clone(), alert.labels.clone());
        let annotations = LabelSet::default();
        let signal = Signal { source, labels, annotations, lost: false };
        let (starts_at, ends_at) = (alert.starts_at, observation.ends_at);
        Self::step(at, Input::Send { signal, status: observation.status, starts_at, ends_at })
    }

    /// The Alertmanager changed its ways.
    pub fn alertmanager(at: Span, honesty: Honesty) -> Self {
        let answer = match honesty {
            Honesty::True | Honesty::Skips => Answer::AlertmanagerTruth,
            Honesty::Differs => return Self::remark(at, "one of two peers lists half"),
            Honesty::Errs | Honesty::Dead => Answer::AlertmanagerErrs("connection refused".into()),
            Honesty::Empty => Answer::AlertmanagerEmpty,
            Honesty::Odd => Answer::Silenced("silence 1".into()),
            Honesty::Truncated => Answer::AlertmanagerErrs("its answer was cut off".into()),
            Honesty::Young => return Self::remark(at, "Alertmanager restarts, and lists half"),
            Honesty::Partial => return Self::remark(at, "Alertmanager lists half"),
            Honesty::Stale => return Self::remark(at, "Alertmanager is two minutes behind"),
            Honesty::Slow => return Self::remark(at, "Alertmanager answers late"),
            Honesty::Mute => return Self::remark(at, "Alertmanager does not answer"),
        };
        Self::step(at, Input::Answer(Asked::default(), answer))
    }

    /// The Prometheus changed its ways.
    pub fn prometheus(at: Span, name: &SourceName, honesty: Honesty) -> Self {
        let answer = match honesty {
            Honesty::True | Honesty::Young | Honesty::Partial | Honesty::Differs => {
                Answer::PrometheusTruth
            }
            Honesty::Errs | Honesty::Truncated | Honesty::Dead => {
                Answer::PrometheusErrs("connection refused".into())
            }
            Honesty::Empty => Answer::NoRule,
            Honesty::Odd => Answer::RuleUnhealthy("many-to-many matching".into()),
            Honesty::Skips => return Self::remark(at, "Prometheus skips evaluations"),
            Honesty::Stale => return Self::remark(at, "Prometheus is two minutes behind"),
            Honesty::Slow => return Self::remark(at, "Prometheus answers late"),
            Honesty::Mute => return Self::remark(at, "Prometheus does not answer"),
        };
        Self(format!("{} # {name}", Self::step(at, Input::Answer(Asked::default(), answer)).0))
    }

    /// The inventory changed its ways.
    pub fn inventory(at: Span, stock: Stock) -> Self {
        let answer = match stock {
            Stock::True => return Self::remark(at, "the inventory counts all hosts"),
            Stock::Says(count) => Answer::Inventory(count),
            Stock::Errs => Answer::InventoryErrs("connection refused".into()),
            Stock::Empty => Answer::InventoryErrs("the result is empty".into()),
            Stock::NotANumber => Answer::InventoryErrs("the result is NaN".into()),
        };
        Self::step(at, Input::Answer(Asked::default(), answer))
    }

    /// The wall clock was set.
    pub fn jump(at: Span, leap: Leap) -> Self {
        Self::step(at, Input::Jump(leap))
    }

    /// An action ended.
    pub fn exit(at: Span, order: &Order, outcome: &Outcome) -> Self {
        let run = WhichRun { remedy: order.id.remedy.clone(), policy: None, target: None };
        Self::step(at, Input::Exit { run, outcome: outcome.clone(), output: String::new() })
    }

    /// An operator's command.
    pub fn command(at: Span, event: &Event) -> Self {
        match event {
            Event::Pause { by, reason } => {
                Self::step(at, Input::Pause { by: by.to_string(), reason: reason.clone() })
            }
            Event::Resume { by, .. } => Self::step(at, Input::Resume { by: by.to_string() }),
            _ => Self::remark(at, "another configuration comes into force"),
        }
    }

    /// An order was found after a restart.
    pub fn found(at: Span, found: &Found) -> Self {
        Self::step(at, Input::Crash(found.clone()))
    }
}

/// Prints a test whose steps lead to a violation.
pub fn test(name: &str, start: &str, lines: &[Line]) -> String {
    let mut text = format!("tests:\n  - name: {name:?}\n    start: {start}\n    steps:\n");
    for line in lines {
        text.push_str("      ");
        text.push_str(&line.0);
        text.push('\n');
    }
    text
}

/// Prints a book as remarks: what a person needs to write its configuration.
pub fn book(book: &Book) -> String {
    let asked: Vec<&str> = book.witnesses.alertmanagers.iter().map(SourceName::as_str).collect();
    let proms = &book.witnesses.prometheuses;
    let proms: Vec<String> =
        proms.iter().map(|known| format!("{} {}", known.name, known.labels)).collect();
    let mut text = format!(
        "# asked: alertmanagers {asked:?}, prometheuses {proms:?}; limits: concurrency {}, rate {} per {}\n",
        book.limits.concurrency, book.limits.rate.max, book.limits.rate.per,
    );
    for policy in book.policies() {
        policy_lines(&mut text, policy);
    }
    text
}

fn policy_lines(text: &mut String, policy: &Policy) {
    let guard = &policy.guard;
    let target = match &policy.target {
        TargetLabels::All => "all labels".to_owned(),
        TargetLabels::Named(names) => names.join(", "),
    };
    let escalate = match &policy.escalate {
        Escalate::Nobody => "none".to_owned(),
        Escalate::After { after, .. } => format!("after {after}"),
    };
    let verify = &policy.verify;
    let query = if verify.query.is_some() { " by query" } else { "" };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "# policy {}: {} target [{target}] {:?} for {} continue {} relapse {} escalate {escalate}\n\
         #   cooldown {}, rate {} per {}, concurrency {}, attempts {}, max_age {}, {} more locks\n\
         #   verify{query} within {} every {} times {}",
        policy.name,
        policy.matchers,
        policy.mode,
        policy.settle,
        policy.continues,
        policy.relapse,
        guard.cooldown,
        guard.rate.max,
        guard.rate.per,
        guard.concurrency,
        guard.attempts,
        guard.fresh_max_age,
        guard.locks.len(),
        verify.within,
        verify.every,
        verify.times,
    );
    let _ = writeln!(
        text,
        "#   flap {:?} breaker {:?}\n#   radius {:?} storm {:?}\n#   freeze {:?}",
        guard.flap, guard.breaker, guard.blast_radius, guard.storm, guard.freeze,
    );
    for remedy in &policy.remedies {
        let _ = writeln!(
            text,
            "#   remedy {} {:?} timeout {} retries {} backoff {} idempotent {}",
            remedy.name,
            remedy.mode,
            remedy.timeout,
            remedy.retries,
            remedy.backoff,
            remedy.idempotent,
        );
    }
}
