//! Did a remedy make something else worse on its target?
//!
//! ```text
//!  before the act ──> listing ──> Baseline, stored in the order
//!                                    │
//!  each look after it ─> listing ──> compare ──> same, worse, or unknown
//! ```
//!
//! Duty: who lists the alerts of a target, what of it is remembered, and what a later listing
//! means. *Not* its duty: what follows ([`crate::verdict`], `decide`).
//!
//! An alert is of the target if it has all of the target's labels with their values, but for those of
//! an owner, which no alert has of its own. What was there before the act, pending included, was not caused by it. A listing that may not be complete
//! is no baseline, and never shows that nothing became worse:
//!
//! | listing | alerts that were not there | says |
//! |---|---|---|
//! | any | one fires | worse |
//! | any | one is pending | unknown: it is about to fire, or not |
//! | complete | none | same |
//! | may not be complete, or none | none | unknown |
//!
//! A Prometheus is asked where there is one: it knows what is pending, which rules are broken, and
//! when they were evaluated. Its listing is complete if each rule that could fire such an alert is
//! healthy and was evaluated since the action. Else every Alertmanager is asked; one that started
//! minutes ago may not have heard of every alert yet.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::clock::After;
use crate::evidence::{Ask, Evidence, Lister, Present, Sight, Trouble};
use crate::label::{Fingerprint, Matchers};
use crate::limits;
use crate::name::SourceName;
use crate::policy::{Policy, PrometheusWitness, Regression, Target, Witnesses};

/// What was there before an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// What alerts must match.
    pub matchers: Matchers,
    /// Which labels they must have.
    pub target: Target,
    /// What each lister listed.
    pub listed: Vec<Listed>,
}

/// What one lister listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Who.
    pub by: Lister,
    /// The alerts, by the fingerprint of their labels.
    pub alerts: BTreeSet<Fingerprint>,
}

/// What became of the target's other alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Change {
    /// Nothing fires that was not there before.
    Same,
    /// Something does.
    Worse {
        /// What, for a person.
        text: String,
    },
    /// Nobody can tell.
    Unknown {
        /// Why.
        text: String,
    },
}

/// Lists what is asked before an act.
pub fn questions(policy: &Policy, target: &Target, witnesses: &Witnesses) -> Vec<Ask> {
    let Some(regression) = &policy.regression else { return Vec::new() };
    let target = &policy.own_part(target);
    let ask = |by| ask(by, &regression.matchers, target);
    listers(policy, target, witnesses).into_iter().map(ask).collect()
}

fn listers(policy: &Policy, target: &Target, witnesses: &Witnesses) -> Vec<Lister> {
    // A Prometheus of another cluster lists what is there under the same names.
    let elsewhere = |known: &PrometheusWitness| {
        known.labels.iter().any(|(name, value)| target.get(name).is_some_and(|own| own != value))
    };
    let own = witnesses.of_policy(policy).filter(|known| !elsewhere(known));
    let prometheuses: Vec<SourceName> = own.map(|known| known.name.clone()).collect();
    if !prometheuses.is_empty() {
        return vec![Lister::Prometheuses(prometheuses)];
    }
    witnesses.alertmanagers.iter().cloned().map(Lister::Alertmanager).collect()
}

fn ask(by: Lister, matchers: &Matchers, target: &Target) -> Ask {
    Ask::Present { by, matchers: matchers.clone(), target: target.clone() }
}

/// Remembers what is there before an act.
///
/// # Errors
///
/// Why nothing could be compared with it afterwards.
pub fn baseline(
    policy: &Policy,
    regression: &Regression,
    target: &Target,
    witnesses: &Witnesses,
    evidence: &Evidence,
) -> Result<Baseline, String> {
    let (matchers, target) = (&regression.matchers, &policy.own_part(target));
    let mut listed = Vec::new();
    for by in listers(policy, target, witnesses) {
        let present = listing(&by, matchers, target, evidence)?;
        if let Some(gap) = gap(&by, present, None) {
            return Err(gap);
        }
        let alerts = present.alerts.iter().map(|alert| alert.labels.fingerprint()).collect();
        listed.push(Listed { by, alerts });
    }
    if listed.is_empty() {
        return Err("neither a Prometheus nor an Alertmanager is configured".to_owned());
    }
    Ok(Baseline { matchers: matchers.clone(), target: target.clone(), listed })
}

fn listing<'a>(
    by: &Lister,
    matchers: &Matchers,
    target: &Target,
    evidence: &'a Evidence,
) -> Result<&'a Present, String> {
    match evidence.present(&ask(by.clone(), matchers, target)) {
        Some(Ok(present)) => Ok(present),
        Some(Err(Trouble(text))) => Err(format!("{by} could not be asked: {text}")),
        None => Err(format!("{by} was not asked")),
    }
}

/// Why a listing may not be complete. After an act its rules must have been evaluated since.
fn gap(by: &Lister, present: &Present, after: Option<After>) -> Option<String> {
    if present.more > 0 {
        let all = present.alerts.len() + present.more;
        return Some(format!("{by} lists {all} alerts, too many to be compared"));
    }
    match &present.sight {
        Sight::Alertmanager { uptime } if *uptime < limits::YOUNG_ALERTMANAGER => {
            Some(format!("{by} runs for {uptime} only and may not know every alert yet"))
        }
        Sight::Alertmanager { .. } => None,
        Sight::Rules { unhealthy: Some(error), .. } => Some(format!("{by} cannot tell: {error}")),
        Sight::Rules { evaluated_at: None, .. } => {
            Some(format!("{by} has no rule that could fire such an alert"))
        }
        Sight::Rules { evaluated_at: Some(at), .. } => {
            let is_old = after.is_some_and(|after| !after.holds(*at));
            is_old.then(|| format!("{by} has not evaluated all of these rules since the action"))
        }
    }
}

impl Baseline {
    /// Lists what is asked to compare with it.
    pub fn questions(&self) -> impl Iterator<Item = Ask> + '_ {
        self.listed.iter().map(|listed| ask(listed.by.clone(), &self.matchers, &self.target))
    }

    /// Compares with a listing by what was stamped after the end of the act.
    pub fn compare(&self, after: After, evidence: &Evidence) -> Change {
        let (mut firing, mut pending) = (BTreeSet::new(), BTreeSet::new());
        let mut doubt = None;
        for before in &self.listed {
            let present = match listing(&before.by, &self.matchers, &self.target, evidence) {
                Ok(present) => present,
                Err(why) => {
                    doubt = Some(why);
                    continue;
                }
            };
            for alert in &present.alerts {
                if !before.alerts.contains(&alert.labels.fingerprint()) {
                    let name = alert.labels.get("alertname").unwrap_or_default().to_owned();
                    if alert.fires {
                        firing.insert(name)
                    } else {
                        pending.insert(name)
                    };
                }
            }
            doubt = doubt.or_else(|| gap(&before.by, present, Some(after)));
        }
        let not_before = "which did not before the action";
        if !firing.is_empty() {
            return Change::Worse { text: sentence(&firing, "fires", "fire", not_before) };
        }
        if !pending.is_empty() {
            let text = sentence(&pending, "is pending", "are pending", "new since the action");
            return Change::Unknown { text };
        }
        doubt.map_or(Change::Same, |text| Change::Unknown { text })
    }
}

fn sentence(names: &BTreeSet<String>, one: &str, many: &str, since: &str) -> String {
    let named: Vec<&str> = names.iter().take(limits::NAMED_ALERTS).map(String::as_str).collect();
    let more = names.len() - named.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (noun, verb) = if names.len() == 1 { ("alert", one) } else { ("alerts", many) };
    format!("{noun} {}{rest} {verb}, {since}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Finding, PresentAlert};
    use crate::label::LabelSet;
    use crate::name::SourceName;
    use crate::policy::Worse;
    use crate::time::{Span, Timestamp};

    const ENDED: Timestamp = Timestamp::from_seconds(1_000);

    fn regression() -> Regression {
        let matchers = Matchers::parse("severity=\"critical\"").unwrap().matchers;
        Regression { matchers, worse: Worse::Tell }
    }

    fn policy() -> Policy {
        Policy { regression: Some(regression()), ..Policy::observe() }
    }

    fn target() -> Target {
        Target::from_pairs([("instance", "a:80")])
    }

    fn witnesses(prometheus: bool) -> Witnesses {
        let alertmanagers = [SourceName::new("main"), SourceName::new("other")].into();
        let prometheuses = prometheus.then(|| PrometheusWitness::new("main")).into_iter().collect();
        Witnesses { alertmanagers, webhooks: [].into(), prometheuses }
    }

    fn alert(name: &str, fires: bool) -> PresentAlert {
        let labels = LabelSet::from_pairs([("alertname", name), ("instance", "a:80")]);
        PresentAlert { labels, fires }
    }

    fn rules(alerts: Vec<PresentAlert>) -> Present {
        let evaluated_at = Some(ENDED + Span::from_secs(1));
        Present { alerts, more: 0, sight: Sight::Rules { evaluated_at, unhealthy: None } }
    }

    fn seen(sight: Sight) -> Present {
        Present { alerts: vec![alert("Down", true)], more: 0, sight }
    }

    fn evidence(witnesses: &Witnesses, answers: Vec<Result<Present, Trouble>>) -> Evidence {
        let asks = questions(&policy(), &target(), witnesses);
        assert_eq!(asks.len(), answers.len());
        let found = asks.into_iter().zip(answers.into_iter().map(Finding::Present)).collect();
        Evidence { found, gathered_at: ENDED }
    }

    fn before() -> Baseline {
        let there = rules(vec![alert("Down", true), alert("Slow", false)]);
        let asked = witnesses(true);
        baseline(&policy(), &regression(), &target(), &asked, &evidence(&asked, vec![Ok(there)]))
            .unwrap()
    }

    fn change(answer: Result<Present, Trouble>) -> Change {
        before().compare(After::stamp(ENDED), &evidence(&witnesses(true), vec![answer]))
    }

    #[test]
    fn only_an_alert_that_was_not_there_before_makes_it_worse() {
        assert_eq!(change(Ok(rules(vec![alert("Down", true)]))), Change::Same);
        assert_eq!(change(Ok(rules(Vec::new()))), Change::Same);
        let slow = "pending before, so the action did not cause it";
        assert_eq!(change(Ok(rules(vec![alert("Slow", true)]))), Change::Same, "{slow}");
        let Change::Worse { text } = change(Ok(rules(vec![alert("Errors", true)]))) else {
            panic!("expected it to be worse");
        };
        assert_eq!(text, "alert Errors fires, which did not before the action");
        let Change::Unknown { text } = change(Ok(rules(vec![alert("Errors", false)]))) else {
            panic!("expected it to be unknown");
        };
        assert_eq!(text, "alert Errors is pending, new since the action");
    }

    #[test]
    fn a_listing_that_may_not_be_complete_never_shows_that_nothing_became_worse() {
        let rules = |evaluated_at, unhealthy: Option<&str>| {
            seen(Sight::Rules { evaluated_at, unhealthy: unhealthy.map(str::to_owned) })
        };
        let later = Some(ENDED + Span::from_secs(1));
        let too_many = Present { more: 7, ..rules(later, None) };
        for (answer, why) in [
            (Err(Trouble("refused".into())), "refused"),
            (Ok(rules(later, Some("rule X is not healthy"))), "rule X"),
            (Ok(rules(None, None)), "no rule"),
            (Ok(rules(Some(ENDED), None)), "since the action"),
            (Ok(too_many), "8 alerts"),
        ] {
            match change(answer) {
                Change::Unknown { text } => assert!(text.contains(why), "{text}"),
                other => panic!("expected unknown because of {why}, found {other:?}"),
            }
        }
        let nobody = Evidence::none(ENDED);
        assert!(matches!(before().compare(After::stamp(ENDED), &nobody), Change::Unknown { .. }));
    }

    #[test]
    fn what_fires_is_worse_however_little_else_is_known() {
        let sight = Sight::Rules { evaluated_at: None, unhealthy: Some("many-to-many".into()) };
        let alerts = vec![alert("Errors", true), alert("Full", true)];
        let Change::Worse { text } = change(Ok(Present { alerts, more: 9, sight })) else {
            panic!("expected it to be worse");
        };
        assert_eq!(text, "alerts Errors, Full fire, which did not before the action");
    }

    #[test]
    fn without_a_prometheus_every_alertmanager_must_answer() {
        let asked = witnesses(false);
        let uptime = limits::YOUNG_ALERTMANAGER;
        let old = || Ok(seen(Sight::Alertmanager { uptime }));
        let young = || Ok(seen(Sight::Alertmanager { uptime: Span::from_secs(299) }));
        let take = |answers| {
            baseline(&policy(), &regression(), &target(), &asked, &evidence(&asked, answers))
        };
        let whole = take(vec![old(), old()]).unwrap();
        assert_eq!(whole.listed.len(), 2);
        assert_eq!(
            take(vec![old(), young()]).unwrap_err(),
            "Alertmanager other runs for 4m59s only and may not know every alert yet"
        );
        assert_eq!(
            take(vec![Err(Trouble("refused".into())), old()]).unwrap_err(),
            "Alertmanager main could not be asked: refused"
        );
        let later = evidence(&asked, vec![young(), old()]);
        assert!(matches!(whole.compare(After::stamp(ENDED), &later), Change::Unknown { .. }));
        let nobody = Witnesses::default();
        assert!(
            baseline(&policy(), &regression(), &target(), &nobody, &Evidence::none(ENDED)).is_err()
        );
    }

    #[test]
    fn our_own_alerts_and_those_of_other_targets_are_not_asked_for() {
        let matchers = regression().matchers;
        for (pairs, asked) in [
            (vec![("severity", "critical"), ("instance", "a:80")], true),
            (vec![("severity", "critical"), ("instance", "b:80")], false),
            (vec![("severity", "critical")], false),
            (vec![("severity", "page"), ("instance", "a:80")], false),
            (vec![("severity", "critical"), ("instance", "a:80"), ("homeostat", "x")], false),
        ] {
            let labels = LabelSet::from_pairs(pairs);
            assert_eq!(crate::evidence::is_asked_for(&labels, &matchers, &target()), asked);
        }
    }

    #[test]
    fn a_baseline_reads_back_as_it_was_written() {
        let written = serde_json::to_string(&before()).unwrap();
        assert_eq!(serde_json::from_str::<Baseline>(&written).unwrap(), before());
    }
}
