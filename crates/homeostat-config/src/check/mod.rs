//! What the file means, and whether it can be meant.
//!
//! Duty: one pass over the whole file that fills in defaults and reports all that is wrong. What
//! is wrong is still given some meaning, so that one mistake does not hide the next; a file with
//! errors is never used. Not its duty: types and unknown keys (`read`).

mod about;
mod access;
mod action;
mod approval;
mod carries;
mod collect;
mod errand;
mod guard;
mod hmac;
pub(crate) mod http;
pub(crate) mod interval;
mod inventory;
mod kubernetes;
mod labels;
mod notify;
mod oidc;
mod owner;
mod policy;
mod query;
mod ration;
mod redact;
mod reach;
mod regression;
mod request;
mod secrets;
mod setting;
mod shell;
mod sources;
mod verify;
pub(crate) mod web;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::ops::Range;

use homeostat_core::name::{Part, PolicyName, RemedyName};
use homeostat_core::policy::{Book, BookLimits, Policy, PrometheusWitness, Witnesses};
use homeostat_core::time::Span;
use regex::Regex;

pub(crate) use access::KINDS;

use crate::access::Access;
use crate::config::{ActionSettings, Callable, PrometheusSource, RequestTargets, Sources};
use crate::files::Files;
use crate::notify::Notify;
use crate::read::{Field, Problems, Spanned, Text};
use crate::report::Problem;
use crate::{limits, raw};

/// What the checks of single policies need to know of the file around them.
struct Surroundings<'a> {
    /// Whether alerts can be looked up, and people be told of them.
    alertmanager: bool,
    /// Whether there are commands or webhooks to tell people by.
    channels: bool,
    /// Whether queries can be asked.
    prometheus: bool,
    /// The names of all Prometheuses; `None` where not all are known, because some are wrong.
    prometheuses: Option<Vec<&'a str>>,
    /// The guards' limits where a policy says nothing.
    defaults: &'a raw::Guard,
    /// The times that a policy may name.
    intervals: interval::Intervals,
    /// Which handlers may be called.
    callable: Callable<'a>,
}

/// What a file means.
pub(crate) struct Checked {
    pub(crate) book: Book,
    pub(crate) sources: Sources,
    pub(crate) requests: RequestTargets,
    pub(crate) settings: ActionSettings,
    pub(crate) notify: Notify,
    pub(crate) access: Option<Access>,
    pub(crate) redact: Vec<Regex>,
}

/// Checks a file. The meaning counts only if no error was reported.
pub(crate) fn check(
    file: &raw::File,
    files: &Files,
    callable: Callable<'_>,
    problems: &mut Problems,
) -> Checked {
    let sources = match &file.sources {
        Field::Given(sources) => sources::check(sources, files, problems),
        Field::Absent | Field::Wrong => Sources::default(),
    };
    let book_limits = match &file.limits {
        Field::Given(limits) => ration::of_book(limits, problems),
        Field::Absent | Field::Wrong => BookLimits::default(),
    };
    let no_defaults = raw::Guard::default();
    let defaults = file.defaults.given().unwrap_or(&no_defaults);
    let intervals = interval::check(&file.time_intervals, problems);
    guard::check_defaults(defaults, &intervals, problems);
    let surroundings = Surroundings {
        channels: match &file.notify {
            Field::Absent => false,
            Field::Wrong => true,
            Field::Given(list) => !list.value.is_empty(),
        },
        alertmanager: meant(&file.sources, |sources| &sources.alertmanagers),
        prometheus: meant(&file.sources, |sources| &sources.prometheuses),
        prometheuses: prometheuses(&file.sources),
        defaults,
        intervals,
        callable,
    };
    let mut policies = policies(&file.policies, &surroundings, problems);
    let witnesses = Witnesses {
        alertmanagers: sources.alertmanagers.iter().map(|source| source.name.clone()).collect(),
        webhooks: sources.webhooks.iter().map(|source| source.name.clone()).collect(),
        prometheuses: sources.prometheuses.iter().map(witness).collect(),
    };
    let requests = targets(file, &policies, files, problems);
    let settings = settings(file, &policies, files, problems);
    let notify = notify::check(file, &policies, files, problems);
    let access = match &file.access {
        Field::Given(raw) => Some(access::check(raw, &sources, &policies, files, problems)),
        // Where it is wrong, the file is not used.
        Field::Absent | Field::Wrong => None,
    };
    if let Some(access) = &access {
        for policy in &mut policies {
            policy.approvers = access.approvers(&policy.name);
        }
    }
    // Where `access` is wrong, nothing is known of who may.
    if !matches!(file.access, Field::Wrong) {
        let raw = file.policies.given().map_or(&[][..], |list| &list.value);
        approval::check_names(raw, &policies, access.as_ref(), problems);
    }
    let teams = match &file.limits {
        Field::Given(limits) => ration::limits(limits, &policies, problems),
        Field::Absent | Field::Wrong => BTreeMap::new(),
    };
    let mut book = Book::new(policies, book_limits, witnesses);
    book.teams = teams;
    let redact = redact::check(&file.redact, problems);
    Checked { book, sources, requests, settings, notify, access, redact }
}

/// Where the requests of all remedies go. The book does not know it: it holds no secrets.
fn targets(
    file: &raw::File,
    policies: &[Policy],
    files: &Files,
    problems: &mut Problems,
) -> RequestTargets {
    let target = |(name, action): (_, &raw::Action)| {
        let target = request::target(action.http.given()?, files, problems)?;
        Some((name, target))
    };
    actions(file, policies).filter_map(target).collect()
}

/// As whom, where and with what all programs run. The book does not know it: it is about the machine.
fn settings(
    file: &raw::File,
    policies: &[Policy],
    files: &Files,
    problems: &mut Problems,
) -> ActionSettings {
    let setting =
        |(name, action): (_, &raw::Action)| Some((name, setting::check(action, files, problems)?));
    actions(file, policies).filter_map(setting).collect()
}

/// What all remedies do, and what their undos do.
fn actions<'a>(
    file: &'a raw::File,
    policies: &'a [Policy],
) -> impl Iterator<Item = ((PolicyName, RemedyName, Part), &'a raw::Action)> {
    let raw = file.policies.given().map_or(&[][..], |list| &list.value);
    raw.iter().zip(policies).flat_map(|(raw, policy)| {
        let remedies = raw.remedies.given().map_or(&[][..], |list| &list.value);
        remedies.iter().zip(&policy.remedies).flat_map(|(raw, remedy)| {
            let undo = raw.undo.given().map(|undo| (Part::Undo, &undo.action));
            let parts = [(Part::Heal, &raw.action)].into_iter().chain(undo);
            parts.map(|(part, action)| ((policy.name.clone(), remedy.name.clone(), part), action))
        })
    })
}

fn witness(source: &PrometheusSource) -> PrometheusWitness {
    PrometheusWitness { name: source.name.clone(), labels: source.labels.clone() }
}

/// The names of the Prometheuses, as far as all have one.
fn prometheuses(sources: &Field<raw::Sources>) -> Option<Vec<&str>> {
    let list = match sources {
        Field::Absent => return Some(Vec::new()),
        Field::Wrong => return None,
        Field::Given(sources) => match &sources.prometheuses {
            Field::Absent => return Some(Vec::new()),
            Field::Wrong => return None,
            Field::Given(list) => &list.value,
        },
    };
    list.iter().map(|source| source.name.given().map(|name| &*name.value)).collect()
}

/// Whether a list of sources was meant to be there: no error says that it is absent if it has
/// been reported as wrong.
fn meant(
    sources: &Field<raw::Sources>,
    list: fn(&raw::Sources) -> &Field<Spanned<Vec<raw::Source>>>,
) -> bool {
    match sources {
        Field::Absent => false,
        Field::Wrong => true,
        Field::Given(sources) => match list(sources) {
            Field::Absent => false,
            Field::Wrong => true,
            Field::Given(list) => !list.value.is_empty(),
        },
    }
}

fn policies(
    field: &Field<Spanned<Vec<raw::Policy>>>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Vec<Policy> {
    let list = match field {
        Field::Given(list) if !list.value.is_empty() => list,
        Field::Wrong => return Vec::new(),
        Field::Given(_) | Field::Absent => {
            let span = field.given().map_or(0..0, |list| list.span.clone());
            problems.report(
                Problem::warning(span, "there are no policies")
                    .help("until there are, every alert is recorded in shadow"),
            );
            return vec![Policy::observe()];
        }
    };
    if list.value.len() > limits::POLICIES {
        let message = format!("more than {} policies", limits::POLICIES);
        problems.report(Problem::error(list.span.clone(), message));
        return Vec::new();
    }
    let mut names = Names::of("policy");
    let policies: Vec<Policy> = list
        .value
        .iter()
        .map_while(|raw| {
            let more = !problems.are_too_many();
            more.then(|| policy::check(raw, surroundings, &mut names, problems))
        })
        .collect();
    reach::check(&list.value, &policies, problems);
    guard::check_watchdogs(&list.value, &policies, problems);
    policies
}

/// A number that must not be zero.
fn at_least_one(field: &Field<Spanned<u32>>, default: u32, problems: &mut Problems) -> u32 {
    match field.given() {
        Some(Spanned { value: 0, span }) => {
            problems.report(Problem::error(span.clone(), "must be at least 1"));
            1
        }
        Some(spanned) => spanned.value,
        None => default,
    }
}

/// A time that must not be zero.
fn some_time(field: &Field<Spanned<Span>>, default: Span, problems: &mut Problems) -> Span {
    match field.given() {
        Some(spanned) if spanned.value < Span::from_secs(1) => {
            problems.report(Problem::error(spanned.span.clone(), "must be at least 1s"));
            Span::from_secs(1)
        }
        Some(spanned) => spanned.value,
        None => default,
    }
}

/// Names of one kind, which must be well formed and different.
struct Names {
    kind: &'static str,
    /// Each with its place.
    seen: BTreeMap<String, Range<usize>>,
}

impl Names {
    fn of(kind: &'static str) -> Self {
        Self { kind, seen: BTreeMap::new() }
    }

    /// Checks a name; `owner` is where the thing stands that should have it.
    fn check(
        &mut self,
        field: &Field<Text>,
        owner: &Range<usize>,
        problems: &mut Problems,
    ) -> String {
        let kind = self.kind;
        let text = match field {
            Field::Given(text) => text,
            Field::Absent => {
                let message = format!("this {kind} has no `name`");
                problems.report(Problem::error(owner.clone(), message).help("add `name: …`"));
                return String::new();
            }
            Field::Wrong => return String::new(),
        };
        if !is_name(&text.value) {
            let message = format!("{:?} cannot be the name of a {kind}", cut(&text.value));
            problems.report(Problem::error(text.span.clone(), message).help(name_help()));
        } else if let Some(first) = self.seen.get(&text.value) {
            let message = format!("a second {kind} is named {:?}", text.value);
            let problem = Problem::error(text.span.clone(), message).help("names are unique");
            problems.report(problem.first_at(first.clone()));
        } else {
            self.seen.insert(text.value.clone(), text.span.clone());
        }
        text.value.clone()
    }
}

fn name_help() -> String {
    format!(
        "a name has at most {} letters, digits, `_`, `.` and `-`, and begins with a letter or a \
         digit",
        limits::NAME_CHARS
    )
}

fn is_name(text: &str) -> bool {
    text.len() <= limits::NAME_CHARS
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn cut(text: &str) -> String {
    text.chars().take(limits::NAME_CHARS + 1).collect()
}
