//! What would be done about an alert, as data.
//!
//! Duty: which policies take it, what they would do, and why others do not. Everything is computed
//! by the same code that the engine decides by. What the guards have counted is known to a running
//! engine only, which gives its account of them; who could prove a healing, those who are asked.
//! Not its duty: asking and showing.

pub(crate) mod prospect;

use std::sync::Arc;

use homeostat_config::nearest;
use homeostat_core::alert::OWN_LABEL;
use homeostat_core::decide::Account;
use homeostat_core::label::LabelSet;
use homeostat_core::name::{CircuitName, PolicyName};
use homeostat_core::owner::{self, Lookup, Owner, Seen, Sought};
use homeostat_core::plan::{self, Rendered};
use homeostat_core::policy::{
    Approval, Book, Escalate, Extent, Mode, Policy, PrometheusWitness, Rate, Remedy, Target, Worse,
};
use homeostat_core::template::{Place, Values};
use homeostat_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use prospect::Prospect;

/// How many policies that nearly take the alert are listed.
const NEAR_MISSES: usize = 10;

/// What would be done about an alert.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Explanation {
    pub(crate) labels: LabelSet,
    /// Why no policy is asked at all.
    pub(crate) ignored: Option<String>,
    /// The policies that take it, in order.
    pub(crate) taken: Vec<Taken>,
    /// Policies that do not take it, the nearest ones first.
    pub(crate) passed: Vec<Passed>,
    /// How many more do not take it.
    pub(crate) others: usize,
    /// The alert that was probably meant, where no policy is about one of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) meant: Option<Meant>,
    /// When a running engine answered; `None`: this is read from a file alone.
    pub(crate) at: Option<Timestamp>,
}

impl Explanation {
    /// Adds what the guards of a running engine have counted.
    pub(crate) fn with_accounts(mut self, at: Timestamp, accounts: Vec<Account>) -> Self {
        for account in accounts {
            let taken = self.taken.iter_mut().find(|t| *t.policy == *account.policy.as_str());
            if let Some(taken) = taken {
                taken.account = Some(account);
            }
        }
        Self { at: Some(at), ..self }
    }

    /// Leaves out the policies that somebody may not see: those that take the alert by its target,
    /// the others by their name. How many others there are, is left out as well.
    pub(crate) fn seen_by(mut self, sees: impl Fn(&PolicyName, Option<&Target>) -> bool) -> Self {
        self.taken.retain(|taken| sees(&PolicyName::new(&taken.policy), Some(&taken.target)));
        self.passed.retain(|passed| sees(&PolicyName::new(&passed.policy), None));
        let is_seen = |meant: &Meant| sees(&PolicyName::new(&meant.policy), None);
        Self { others: 0, meant: self.meant.filter(is_seen), ..self }
    }
}

/// A policy that takes the alert.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) policy: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) team: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) runbook_url: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) target: Target,
    /// Target labels that the alert does not have: nothing is done.
    pub(crate) missing: Vec<String>,
    /// Whose it is what the alert is about, where the policy wants to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Ownership>,
    #[serde(rename = "for")]
    pub(crate) settle: Span,
    pub(crate) remedies: Vec<Rung>,
    pub(crate) locks: Outcome<Vec<String>>,
    pub(crate) guards: Guards,
    /// The Prometheuses that may be its witnesses; `None`: all.
    pub(crate) sources: Option<Vec<String>>,
    /// The Prometheuses among them that this alert is not asked of, and why.
    pub(crate) not_asked: Vec<Bystander>,
    pub(crate) verify: Proof,
    /// `None`: what else becomes worse is not looked at.
    pub(crate) regression: Option<Harm>,
    /// `None`: nobody is told.
    pub(crate) escalate: Option<Person>,
    pub(crate) relapse: Span,
    #[serde(rename = "continue")]
    pub(crate) continues: bool,
    /// Who could say that the alert is over, where they were asked.
    #[serde(default)]
    pub(crate) prospect: Option<Outcome<Prospect>>,
    /// What the guards have counted, where a running engine was asked.
    pub(crate) account: Option<Account>,
    /// Who may do what with its incidents, where the configuration says so and was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access: Option<Entitled>,
}

/// Who may do what: identities and groups, as grants name them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entitled {
    pub(crate) view: Vec<String>,
    pub(crate) operate: Vec<String>,
    pub(crate) approve: Vec<String>,
}

/// A value, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome<T> {
    Is(T),
    Refused(String),
}

/// Whose it is what an alert is about.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ownership {
    /// This is asked when the alert fires, and what is done depends on it.
    Asked(String),
    /// It is this one's.
    Of(String),
    /// It cannot be told, and why: nothing is done.
    Unknown(String),
}

/// One remedy of the ladder.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Rung {
    pub(crate) name: String,
    pub(crate) mode: Mode,
    pub(crate) action: Outcome<Rendered>,
    pub(crate) timeout: Span,
    pub(crate) retries: u32,
    pub(crate) backoff: Span,
    pub(crate) idempotent: bool,
    /// Whose word a run needs, where the mode asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) approval: Option<Agreement>,
    pub(crate) undo: Option<Reversal>,
}

/// Whose word a run needs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Agreement {
    /// Of those who may approve, only these; `None`: all of them.
    pub(crate) by: Option<Vec<String>>,
    /// So many different people, none of whom set the incident going; `None`: one, whoever that is.
    pub(crate) count: Option<u32>,
    pub(crate) expires: Span,
}

/// How a remedy is taken back.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reversal {
    pub(crate) action: Outcome<Rendered>,
    pub(crate) timeout: Span,
}

/// What must not become worse.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Harm {
    pub(crate) matchers: Vec<String>,
    pub(crate) worse: Worse,
}

/// The limits of the guards.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Guards {
    pub(crate) cooldown: Span,
    pub(crate) rate: Allowance,
    pub(crate) concurrency: u32,
    pub(crate) attempts: u32,
    pub(crate) fresh_max_age: Span,
    /// The names of the time intervals in which nothing is done.
    pub(crate) freeze: Vec<String>,
    pub(crate) watchdog: Option<Watch>,
    pub(crate) flap: Option<Damped>,
    pub(crate) breaker: Option<Break>,
    /// Counts targets; `None`: any number may be acted on.
    pub(crate) blast_radius: Option<BlastRadius>,
    /// `None`: nothing is a storm.
    pub(crate) storm: Option<Storm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) team_rate: Option<Allowance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) team_concurrency: Option<u32>,
    pub(crate) book_rate: Allowance,
    pub(crate) book_concurrency: u32,
}

/// Without which alert nothing is done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) matchers: String,
    pub(crate) max_age: Span,
}

/// How a target that flaps is damped.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Damped {
    pub(crate) half_life: Span,
    pub(crate) suppress: u32,
    pub(crate) reuse: u32,
}

/// When a remedy that fails is not run any more.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Break {
    pub(crate) failures: u32,
    pub(crate) of: u32,
    pub(crate) after: Span,
    /// The breaker that counts the results of all policies that name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shared: Option<CircuitName>,
}

/// How many targets may be acted on in a time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BlastRadius {
    pub(crate) window: Span,
    pub(crate) extent: Extent,
}

/// What makes a storm.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Storm {
    pub(crate) percent: u32,
    pub(crate) min: u32,
    pub(crate) cool_down: Span,
    pub(crate) inventory: Arc<str>,
}

/// So many in a time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Allowance {
    pub(crate) max: u32,
    pub(crate) per: Span,
}

/// How a healing is proven.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Proof {
    pub(crate) within: Span,
    pub(crate) query: Option<Outcome<String>>,
    pub(crate) every: Span,
    pub(crate) times: u32,
    /// What rules remember for longer than this is not waited for.
    pub(crate) patience: Span,
    /// Whether a target that is gone is healed.
    pub(crate) vanishes: bool,
}

/// A Prometheus that is no witness of an alert.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Bystander {
    pub(crate) prometheus: String,
    pub(crate) because: String,
}

/// When a person is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) after: Span,
    pub(crate) severity: String,
}

/// A policy that does not take the alert.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Passed {
    pub(crate) policy: String,
    pub(crate) because: String,
}

/// An alert that was probably meant.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Meant {
    pub(crate) alertname: String,
    /// The first policy that is about it.
    pub(crate) policy: String,
}

/// What would be known of whose it is what an alert is about, if it were this one's.
pub(crate) fn owned(
    book: &Book,
    labels: &LabelSet,
    annotations: &LabelSet,
    owner: &Owner,
) -> Vec<Lookup> {
    let lookup = |policy: &Policy| match policy.sees(labels, annotations, &[]) {
        Seen::Asks(of) => Some(Lookup { of: *of, stands: Sought::Found(owner.clone()) }),
        Seen::Labels(_) | Seen::Unowned { .. } => None,
    };
    book.taking(labels).into_iter().filter_map(lookup).collect()
}

/// Explains what a book says about an alert with these labels, of which so much is known of whose it is.
pub(crate) fn explain(
    book: &Book,
    labels: LabelSet,
    annotations: &LabelSet,
    known: &[Lookup],
) -> Explanation {
    if labels.get(OWN_LABEL).is_some() {
        let ignored = format!("an alert with the label {OWN_LABEL:?} is our own: it heals nothing");
        let (taken, passed) = (Vec::new(), Vec::new());
        let ignored = Some(ignored);
        return Explanation { labels, ignored, taken, passed, others: 0, meant: None, at: None };
    }
    let takers = book.taking(&labels);
    let alert = (&labels, annotations, known);
    let taken = takers.iter().map(|policy| take(policy, book, alert)).collect();
    let (passed, others) = passed(book, &takers, &labels);
    let meant = meant(book, &labels);
    Explanation { labels, ignored: None, taken, passed, others, meant, at: None }
}

/// The alert that was probably meant, where nobody is about one of this name.
fn meant(book: &Book, labels: &LabelSet) -> Option<Meant> {
    let name = labels.get("alertname")?;
    let names_it = |policy: &Policy| {
        let mut about = policy.matchers.iter().filter(|m| m.name() == "alertname").peekable();
        about.peek().is_some() && about.all(|matcher| matcher.matches_value(name))
    };
    if book.policies().iter().any(names_it) {
        return None;
    }
    let alertname = nearest(name, book.policies().iter().filter_map(Policy::alertname))?;
    let policy = book.policies().iter().find(|policy| policy.alertname() == Some(alertname))?;
    Some(Meant { alertname: alertname.to_owned(), policy: policy.name.to_string() })
}

fn take(
    policy: &Policy,
    book: &Book,
    (own, annotations, known): (&LabelSet, &LabelSet, &[Lookup]),
) -> Taken {
    let seen = policy.sees(own, annotations, known);
    let labels = match &seen {
        Seen::Labels(labels) => labels,
        Seen::Asks(_) | Seen::Unowned { .. } => own,
    };
    let mut missing = policy.target.pick(labels).err().unwrap_or_default();
    // The owner has them, whoever it is.
    missing.retain(|name| !matches!(seen, Seen::Asks(_)) || !owner::LABELS.contains(&&**name));
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
        team: policy.about.team.as_ref().map(ToString::to_string),
        description: policy.about.description.as_ref().map(ToString::to_string),
        runbook_url: policy.about.runbook_url.as_ref().map(ToString::to_string),
        mode: policy.mode,
        missing: missing.iter().map(ToString::to_string).collect(),
        owner: policy.owner_of.as_ref().map(|_| ownership(&seen)),
        settle: policy.settle,
        remedies: rungs.map(|remedy| rung(remedy, &values(remedy.name.as_str()))).collect(),
        locks: outcome(locks),
        guards: guards(policy, book),
        sources: policy
            .sources
            .as_ref()
            .map(|names| names.iter().map(ToString::to_string).collect()),
        not_asked: not_asked(policy, book, own),
        verify: Proof {
            within: policy.verify.within,
            query: policy
                .verify
                .query
                .as_ref()
                .map(|query| outcome(query.render(Place::Promql, &values(first)))),
            every: policy.verify.every,
            times: policy.verify.times,
            patience: policy.verify.patience,
            vanishes: policy.verify.vanishes,
        },
        regression: policy.regression.as_ref().map(|regression| Harm {
            matchers: regression.matchers.iter().map(ToString::to_string).collect(),
            worse: regression.worse,
        }),
        escalate: match &policy.escalate {
            Escalate::Nobody => None,
            Escalate::After { after, severity, .. } => {
                Some(Person { after: *after, severity: severity.to_string() })
            }
        },
        relapse: policy.relapse,
        continues: policy.continues,
        prospect: None,
        account: None,
        access: None,
        target,
    }
}

fn ownership(seen: &Seen) -> Ownership {
    match seen {
        Seen::Labels(labels) => {
            let [kind, name, _] = owner::LABELS.map(|name| labels.get(name).unwrap_or_default());
            Ownership::Of(format!("{kind} {name}"))
        }
        Seen::Asks(of) => Ownership::Asked(of.to_string()),
        Seen::Unowned { why, .. } => Ownership::Unknown(why.clone()),
    }
}

/// Of the Prometheuses that a policy may ask, those whose `labels` this alert does not have.
fn not_asked(policy: &Policy, book: &Book, labels: &LabelSet) -> Vec<Bystander> {
    let may_be_asked = |witness: &&PrometheusWitness| {
        policy.sources.as_ref().is_none_or(|names| names.contains(&witness.name))
    };
    let bystander = |witness: &PrometheusWitness| {
        let (name, value) =
            witness.labels.iter().find(|(name, value)| labels.get(name) != Some(value))?;
        let because = match labels.get(name) {
            Some(other) => format!("it is for {name}={value:?}, and this is {other:?}"),
            None => format!("it is for {name}={value:?}, and there is no such label"),
        };
        Some(Bystander { prometheus: witness.name.to_string(), because })
    };
    book.witnesses.prometheuses.iter().filter(may_be_asked).filter_map(bystander).collect()
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
        approval: (remedy.mode == Mode::Approve).then(|| agreement(&remedy.approval)),
        undo: remedy.undo.as_ref().map(|undo| Reversal {
            action: outcome(plan::render_undo(undo, values)),
            timeout: undo.timeout,
        }),
    }
}

fn agreement(approval: &Approval) -> Agreement {
    let Approval { by, count, expires } = approval;
    let by = by.as_ref().map(|by| by.iter().map(ToString::to_string).collect());
    Agreement { by, count: *count, expires: *expires }
}

fn guards(policy: &Policy, book: &Book) -> Guards {
    let (own, team, book) = (&policy.guard, book.team_of(policy), &book.limits);
    let team = team.map(|(_, limits)| limits).unwrap_or_default();
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
        breaker: own.breaker.as_ref().map(|breaker| Break {
            failures: breaker.failures,
            of: breaker.of,
            after: breaker.after,
            shared: breaker.shared.clone(),
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
        team_rate: team.rate.map(allowance),
        team_concurrency: team.concurrency,
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
