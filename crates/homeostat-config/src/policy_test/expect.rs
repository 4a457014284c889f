//! What a policy test expects, and when.

use std::collections::BTreeSet;
use std::ops::Range;

use homeostat_core::evidence::Grade;
use homeostat_core::hold::Guard;
use homeostat_core::incident::End;
use homeostat_core::label::LabelSet;
use homeostat_core::name::PolicyName;
use homeostat_core::time::Span;

use super::word::{no_such, word};
use super::{Setting, keys, known, labels, maps, taken};
use crate::read::{Field, Fields, Reader, Spanned};
use crate::report::Problem;
use crate::yaml::Node;

/// The states of an incident, as the API shows them.
pub const STATES: [&str; 5] = ["waiting", "awaiting_approval", "acting", "verifying", "closed"];

/// What people are told about.
pub const TOPICS: [&str; 3] = ["escalation", "approval", "guard"];

/// What is expected at one moment.
#[derive(Debug)]
pub struct Expectation {
    /// When, counted from the test's beginning.
    pub at: Span,
    /// Of which incidents.
    pub of: Selection,
    /// What, each with its place.
    pub checks: Vec<(Check, Range<usize>)>,
    /// Where it stands.
    pub span: Range<usize>,
}

/// Which incidents, orders and notices are meant; what is left out means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of this policy.
    pub policy: Option<PolicyName>,
    /// On a target with these labels.
    pub target: LabelSet,
}

impl Selection {
    /// Tells whether something of this policy on this target is meant.
    pub fn means(&self, policy: &str, target: &LabelSet) -> bool {
        let has = |(name, value): (&str, &str)| target.get(name) == Some(value);
        self.policy.as_ref().is_none_or(|wanted| wanted.as_str() == policy)
            && self.target.iter().all(has)
    }
}

/// One thing that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The incident's state.
    State(String),
    /// How it closed.
    Outcome(End),
    /// How well its healing is known.
    Grade(Grade),
    /// Its reason has this in it.
    Reason(String),
    /// Exactly these guards hold its next order.
    Holds(BTreeSet<Guard>),
    /// Exactly these orders were issued since the expectation before.
    Orders(Vec<WantedOrder>),
    /// Exactly these things are told to people.
    Notices(Vec<WantedNotice>),
    /// So many incidents have opened since the beginning.
    Incidents(usize),
}

/// An order that is expected; what is left out may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedOrder {
    /// Its remedy.
    pub remedy: Option<String>,
    /// Under which policy, and on what.
    pub of: Selection,
    /// Which run of its remedy.
    pub attempt: Option<u32>,
    /// What it does, rendered.
    pub action: Option<String>,
}

/// A notice that is expected; what is left out may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedNotice {
    /// What it is about: one of [`TOPICS`].
    pub topic: Option<&'static str>,
    /// Under which policy, and about what.
    pub of: Selection,
    /// Its reason has this in it.
    pub reason: Option<String>,
    /// Its severity.
    pub severity: Option<String>,
}

/// Reads one expectation.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node, setting: &Setting) -> Option<Expectation> {
    let fields = reader.fields(node, &keys::EXPECTATION)?;
    let at = fields.read(reader, "eval_time", Reader::duration);
    if at.is_absent() {
        let problem = Problem::error(fields.span.clone(), "this expectation has no `eval_time`");
        reader.problems.report(problem.help("say when it is looked at: eval_time: 1m"));
    }
    let of = selection(reader, &fields, setting);
    let checks = checks(reader, &fields, setting);
    if checks.is_empty() && !reader.problems.has_error_in(&fields.span) {
        let problem = Problem::error(fields.span.clone(), "this expectation expects nothing");
        reader.problems.report(problem.help("add `exp_state`, `exp_orders`, `exp_outcome` …"));
    }
    Some(Expectation { at: at.given()?.value, of, checks, span: fields.span })
}

fn checks(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    setting: &Setting,
) -> Vec<(Check, Range<usize>)> {
    let mut checks = Vec::new();
    let mut add = |check: Field<Spanned<Check>>| {
        checks.extend(taken(check).map(|check| (check.value, check.span)));
    };
    add(fields.read(reader, "exp_state", state));
    add(fields.read(reader, "exp_outcome", |reader, node| {
        word(reader, node, "outcome").map(|end| end.map(Check::Outcome))
    }));
    add(fields.read(reader, "exp_grade", |reader, node| {
        word(reader, node, "grade").map(|grade| grade.map(Check::Grade))
    }));
    add(fields.read(reader, "exp_reason", |reader, node| {
        let text = reader.text(node)?;
        Some(Spanned { value: Check::Reason(text.value), span: text.span })
    }));
    add(fields.read(reader, "exp_holds", |reader, node| {
        let help = |_: &Node| Some("write exp_holds: [cooldown], or [] where none holds".into());
        let read = |reader: &mut Reader<'_>, node: &Node| word::<Guard>(reader, node, "guard");
        let guards = reader.list(node, "a list of guards", help, read)?;
        Some(guards.map(|guards| Check::Holds(guards.into_iter().map(|g| g.value).collect())))
    }));
    add(fields.read(reader, "exp_orders", |reader, node| {
        let read = |reader: &mut Reader<'_>, node: &Node| order(reader, node, setting);
        Some(maps(reader, node, "a list of orders", read)?.map(Check::Orders))
    }));
    add(fields.read(reader, "exp_notices", |reader, node| {
        let read = |reader: &mut Reader<'_>, node: &Node| notice(reader, node, setting);
        Some(maps(reader, node, "a list of notices", read)?.map(Check::Notices))
    }));
    add(fields.read(reader, "exp_incidents", |reader, node| {
        Some(reader.count(node)?.map(|count| Check::Incidents(count as usize)))
    }));
    checks
}

fn state(reader: &mut Reader<'_>, node: &Node) -> Option<Spanned<Check>> {
    let text = reader.text(node)?;
    if STATES.contains(&text.value.as_str()) {
        return Some(Spanned { value: Check::State(text.value), span: text.span });
    }
    let problem = no_such(&text.value, text.span.clone(), "state", &STATES);
    let is_outcome = matches!(
        text.value.as_str(),
        "healed" | "recovered" | "escalated" | "shadowed" | "rejected" | "cancelled"
    );
    reader.problems.report(if is_outcome {
        problem.help(format!("that is an outcome: write exp_outcome: {}", text.value))
    } else {
        problem
    });
    None
}

fn order(reader: &mut Reader<'_>, node: &Node, setting: &Setting) -> Option<WantedOrder> {
    let fields = reader.fields(node, &keys::ORDER)?;
    let remedy = fields
        .read(reader, "remedy", |reader, node| known(reader, node, "remedy", &setting.remedies));
    let of = selection(reader, &fields, setting);
    let attempt = fields.read(reader, "attempt", Reader::count);
    let action = fields.read(reader, "action", Reader::text);
    Some(WantedOrder {
        remedy: taken(remedy).map(|text| text.value),
        of,
        attempt: attempt.given().map(|attempt| attempt.value),
        action: taken(action).map(|text| text.value),
    })
}

fn notice(reader: &mut Reader<'_>, node: &Node, setting: &Setting) -> Option<WantedNotice> {
    let fields = reader.fields(node, &keys::NOTICE)?;
    let topic = fields.read(reader, "topic", topic);
    Some(WantedNotice {
        topic: taken(topic),
        of: selection(reader, &fields, setting),
        reason: taken(fields.read(reader, "reason", Reader::text)).map(|text| text.value),
        severity: taken(fields.read(reader, "severity", Reader::text)).map(|text| text.value),
    })
}

fn topic(reader: &mut Reader<'_>, node: &Node) -> Option<&'static str> {
    let text = reader.text(node)?;
    let found = TOPICS.into_iter().find(|topic| *topic == text.value);
    if found.is_none() {
        reader.problems.report(no_such(&text.value, text.span, "topic", &TOPICS));
    }
    found
}

fn selection(reader: &mut Reader<'_>, fields: &Fields<'_>, setting: &Setting) -> Selection {
    let policy = fields.read(reader, "policy", |reader, node| setting.policy(reader, node));
    let target = fields.read(reader, "target", labels);
    Selection { policy: taken(policy), target: taken(target).unwrap_or_default() }
}
