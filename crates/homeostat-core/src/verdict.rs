//! From evidence to an answer: healed, still firing, worse, or unknown.
//!
//! ```text
//!  order ends ──> look ──> Reading ──> healed as soon as the required grade holds
//!                   ▲         │
//!                   └─ every ─┘        window over: last reading fires ─> still firing
//!                                                   anything else      ─> unknown
//! ```
//!
//! Positive evidence that the alert fires outweighs a query that holds. What fires is a rule
//! evaluation after the action ended, or an Alertmanager that was told so after it; a repeated
//! notification is neither. Unknown never counts as healed and never climbs the ladder.
//!
//! Where the policy has a `regression`, each look also compares the target's other alerts with what
//! was there before the act ([`crate::regression`]). Worse comes first: it is what the remedy did,
//! and an alert that it healed on the way does not make up for it.
//!
//! | others | required grade | the alert | verdict |
//! |---|---|---|---|
//! | worse | any | any | worse, at once |
//! | same | holds | does not fire | healed, at once |
//! | same | does not hold | fires, at the window's end | still firing |
//! | same | does not hold | not known, at the window's end | unknown |
//! | unknown | any | any | look again; unknown at the window's end |

use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::clock::{After, Jump};
use crate::evidence::{Ask, Evidence, Grade, Listing, RuleReport, Trouble};
use crate::limits;
use crate::name::OrderId;
use crate::order::Proof;
use crate::policy::{Policy, Witnesses};
use crate::regression::{Baseline, Change};
use crate::time::{Span, Timestamp};

/// Whether the trouble goes on, as one look found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Firing {
    /// Positive evidence that it fires, younger than the action's end.
    Yes,
    /// Every rule was evaluated after the action's end and finds nothing.
    No,
    /// Neither.
    Unknown,
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Whether the trouble goes on.
    pub firing: Firing,
    /// Whether the query held, where there is one.
    pub query_holds: Option<bool>,
    /// Whether each alert that no rule explains was resolved by its source, or is not listed by its
    /// healthy Alertmanager.
    pub absent: bool,
    /// Whether something else became worse, where the policy wants to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// The same for a person.
    pub text: String,
}

/// When to look next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// At this time.
    Due(Timestamp),
    /// Asked at this time, and not answered yet.
    Asked(Timestamp),
    /// There is nobody to ask: what the alert's source says is awaited.
    Nobody,
}

/// An action that is over, and whose healing is being proven.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The order.
    pub order: OrderId,
    /// When its action was over.
    pub ended_at: Timestamp,
    /// When the window is over.
    pub until: Timestamp,
    /// When to look next.
    pub look: Look,
    /// How often in a row the query held.
    pub held: u32,
    /// How often in a row no Alertmanager listed the alerts.
    pub absent: u32,
    /// What the last look found.
    pub last: Option<Reading>,
    /// Whether all alerts resolved while the action still ran.
    pub resolved_during_action: bool,
}

impl Verification {
    /// Takes in what a look found, and plans the next one.
    pub(crate) fn note(&mut self, reading: &Reading, next: Timestamp) {
        let extend = |count: u32, goes_on: bool| if goes_on { count + 1 } else { 0 };
        self.held = extend(self.held, reading.query_holds == Some(true));
        self.absent = extend(self.absent, reading.absent);
        self.last = Some(reading.clone());
        self.look = Look::Due(next);
    }

    /// Lives through a jump of the wall clock: the window keeps its remaining time, and the proof
    /// begins anew.
    pub(crate) fn live_through(&mut self, jump: &Jump) {
        self.until = self.until + jump.followed();
        self.look = match self.look {
            Look::Due(at) => Look::Due(at + jump.followed()),
            Look::Asked(_) => Look::Due(jump.to),
            Look::Nobody => Look::Nobody,
        };
        (self.held, self.absent, self.last) = (0, 0, None);
    }

    /// Tells whether the required grade holds.
    ///
    /// `reported` is whether each alert of the incident that no rule explains was resolved by its
    /// source. Nothing is healed while it is not known that nothing else became worse.
    pub fn is_healed(&self, proof: &Proof, reported: bool) -> bool {
        let firing = self.last.as_ref().map_or(Firing::Unknown, |reading| reading.firing);
        let rules_agree = proof.rules.is_empty() || firing == Firing::No;
        let reported = reported || self.absent >= limits::ABSENT_TIMES;
        firing != Firing::Yes
            && rules_agree
            && self.nothing_is_worse(proof)
            && match proof.required {
                Grade::Reported | Grade::Confirmed => reported,
                Grade::Proven => self.held >= proof.times,
            }
    }

    /// Tells whether the last look showed that nothing else became worse, where that is asked.
    pub fn nothing_is_worse(&self, proof: &Proof) -> bool {
        let change = self.last.as_ref().and_then(|reading| reading.change.as_ref());
        proof.baseline.is_none() || change == Some(&Change::Same)
    }

    /// Tells whether there is positive evidence that the trouble goes on.
    pub fn still_fires(&self) -> bool {
        self.last.as_ref().is_some_and(|reading| reading.firing == Firing::Yes)
    }
}

/// Lists what is asked before acting, to know how well a healing can be proven.
pub fn questions_before<'a>(
    policy: &Policy,
    alerts: impl Iterator<Item = &'a Alert>,
    witnesses: &Witnesses,
) -> Vec<Ask> {
    if !witnesses.prometheus {
        return Vec::new();
    }
    alerts.map(|alert| Ask::rule(alert, &policy.target)).collect()
}

/// Sets what will prove the healing: the best grade that these alerts can be given.
///
/// A Prometheus that gives no answer now is held to know the rule: the proof is then awaited from
/// it, and its silence is unknown.
pub fn proof<'a>(
    policy: &Policy,
    query: Option<String>,
    baseline: Option<Baseline>,
    alerts: impl Iterator<Item = &'a Alert>,
    evidence: &Evidence,
) -> Proof {
    let mut rules = Vec::new();
    let mut kept = Span::ZERO;
    for alert in alerts {
        match evidence.rule(alert) {
            Some(Ok(Some(report))) => {
                kept = kept.max(report.keep_firing_for);
                rules.push(alert.name().into());
            }
            Some(Err(_)) => rules.push(alert.name().into()),
            Some(Ok(None)) | None => {}
        }
    }
    rules.sort();
    rules.dedup();
    let required = match (&query, rules.is_empty()) {
        (Some(_), _) => Grade::Proven,
        (None, false) => Grade::Confirmed,
        (None, true) => Grade::Reported,
    };
    let verify = &policy.verify;
    Proof {
        required,
        target: policy.target.clone(),
        rules,
        query,
        within: verify.within.saturating_add(kept),
        every: verify.every,
        times: verify.times,
        baseline,
    }
}

/// Lists what one look asks.
pub fn questions<'a>(
    proof: &Proof,
    alerts: impl Iterator<Item = &'a Alert>,
    witnesses: &Witnesses,
) -> Vec<Ask> {
    let mut asks = Vec::new();
    for alert in alerts {
        if explains(proof, alert) {
            asks.push(Ask::rule(alert, &proof.target));
        } else if witnesses.alertmanagers.contains(&alert.source) {
            asks.push(Ask::listed(alert));
        }
    }
    if let Some(promql) = &proof.query {
        asks.push(Ask::Query { promql: promql.clone() });
    }
    asks.extend(proof.baseline.iter().flat_map(Baseline::questions));
    asks
}

/// Tells whether a rule was known to explain an alert when the order was issued.
pub fn explains(proof: &Proof, alert: &Alert) -> bool {
    proof.rules.iter().any(|name| **name == *alert.name())
}

/// Reads the evidence of one look. With each alert comes whether its source said that it resolved.
pub fn read<'a>(
    proof: &Proof,
    after: After,
    alerts: impl Iterator<Item = (&'a Alert, bool)>,
    evidence: &Evidence,
) -> Reading {
    let mut votes = Vec::new();
    let mut absent = true;
    for (alert, resolved) in alerts {
        if explains(proof, alert) {
            votes.push(read_rule(alert, evidence.rule(alert), after));
        } else if let Some(listing) = evidence.listing(alert) {
            let (vote, is_absent) = read_listing(alert, listing, after);
            absent &= is_absent || resolved;
            votes.push(vote);
        } else {
            absent &= resolved;
        }
    }
    let (query_holds, query_text) = read_query(proof, evidence);
    let mut texts: Vec<String> = votes.iter().map(|(_, text)| text.clone()).collect();
    texts.extend(query_text);
    let change = proof.baseline.as_ref().map(|before| before.compare(after, evidence));
    texts.extend(change.as_ref().map(change_text));
    texts.dedup();
    Reading {
        firing: count(votes.iter().map(|(firing, _)| *firing)),
        query_holds,
        absent,
        change,
        text: if texts.is_empty() { "nobody could be asked".into() } else { texts.join("; ") },
    }
}

fn change_text(change: &Change) -> String {
    match change {
        Change::Same => "nothing else became worse".to_owned(),
        Change::Worse { text } => format!("something else became worse: {text}"),
        Change::Unknown { text } => {
            format!("whether something else became worse is not known: {text}")
        }
    }
}

fn count(votes: impl Iterator<Item = Firing>) -> Firing {
    let mut all = None;
    for vote in votes {
        all = Some(match (all, vote) {
            (_, Firing::Yes) | (Some(Firing::Yes), _) => Firing::Yes,
            (_, Firing::Unknown) | (Some(Firing::Unknown), _) => Firing::Unknown,
            (None | Some(Firing::No), Firing::No) => Firing::No,
        });
    }
    all.unwrap_or(Firing::Unknown)
}

fn read_rule(
    alert: &Alert,
    answer: Option<&Result<Option<RuleReport>, Trouble>>,
    after: After,
) -> (Firing, String) {
    let name = alert.name();
    let report = match answer {
        Some(Ok(Some(report))) => report,
        Some(Ok(None)) => return (Firing::Unknown, format!("no Prometheus knows rule {name}")),
        Some(Err(trouble)) => {
            return (Firing::Unknown, format!("Prometheus could not be asked: {}", trouble.0));
        }
        None => return (Firing::Unknown, format!("rule {name} was not asked about")),
    };
    if !after.holds(report.last_evaluation) {
        return (Firing::Unknown, format!("rule {name} was not evaluated since the action"));
    }
    if let Some(error) = &report.unhealthy {
        return (Firing::Unknown, format!("rule {name} is not healthy: {error}"));
    }
    if report.firing > 0 {
        (Firing::Yes, format!("rule {name} fires"))
    } else if report.kept_firing > 0 {
        (Firing::Unknown, format!("rule {name} is kept firing"))
    } else if report.pending > 0 {
        (Firing::Unknown, format!("rule {name} is pending"))
    } else {
        (Firing::No, format!("rule {name} is inactive"))
    }
}

fn read_listing(
    alert: &Alert,
    answer: &Result<Listing, Trouble>,
    after: After,
) -> ((Firing, String), bool) {
    let source = &alert.source;
    let unknown = |text: String| ((Firing::Unknown, text), false);
    let listing = match answer {
        Ok(listing) => listing,
        Err(trouble) => {
            return unknown(format!("Alertmanager {source} could not be asked: {}", trouble.0));
        }
    };
    match &listing.alert {
        Some(listed) if after.holds(listed.updated_at) => {
            let text = format!("Alertmanager {source} was told after the action that it fires");
            ((Firing::Yes, text), false)
        }
        Some(_) => unknown(format!("Alertmanager {source} lists it, from before the action's end")),
        None if listing.total == 0 => {
            unknown(format!("Alertmanager {source} lists nothing at all"))
        }
        None if listing.uptime < limits::YOUNG_ALERTMANAGER => unknown(format!(
            "Alertmanager {source} does not list it, but runs for {} only",
            listing.uptime
        )),
        None => {
            ((Firing::Unknown, format!("Alertmanager {source} does not list it any more")), true)
        }
    }
}

fn read_query(proof: &Proof, evidence: &Evidence) -> (Option<bool>, Option<String>) {
    if proof.query.is_none() {
        return (None, None);
    }
    match evidence.query() {
        Some(Ok(0)) => (Some(false), Some("the query does not hold".into())),
        Some(Ok(_)) => (Some(true), Some("the query holds".into())),
        Some(Err(trouble)) => {
            (Some(false), Some(format!("the query could not be asked: {}", trouble.0)))
        }
        None => (Some(false), Some("the query was not asked".into())),
    }
}
