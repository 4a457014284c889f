//! Questions and findings in words, for whoever asks later why something was done.
//!
//! An ask and its finding are read side by side: "Alertmanager main, alert 58baa3ad1d4c2660: lists
//! it active, updated 3s before". What follows from a finding is `verdict`'s and `guard`'s duty.

use std::fmt;

use super::{
    Ask, Finding, InstanceState, Knows, Listing, Present, Rehearsal, RuleSays, RuleWord, Sight,
    Trouble,
};
use crate::limits;
use crate::owner::Whose;
use crate::time::{Span, Timestamp};

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed { source, fingerprint } => {
                write!(f, "Alertmanager {source}, alert {fingerprint}")
            }
            Self::Rule { alertname, .. } => write!(f, "Prometheus, rule {alertname}"),
            Self::Present { by, matchers, target } => {
                write!(f, "{by}, alerts of {target} that match {matchers}")
            }
            Self::Instance { prometheus, rule, instance, .. } => {
                write!(f, "Prometheus {prometheus}, rule {}, instance {instance}", rule.name)
            }
            Self::Query { promql, .. } => write!(f, "query `{promql}`"),
            Self::Inventory { promql, .. } => write!(f, "inventory `{promql}`"),
            Self::Rehearsal { errand, .. } => write!(f, "dry run of {errand}"),
            Self::Owner { of } => of.fmt(f),
        }
    }
}

impl Finding {
    /// Tells the finding. Its moments are told as seen from `gathered_at`, when it was gathered.
    pub fn told(&self, gathered_at: Timestamp) -> impl fmt::Display + '_ {
        Told { finding: self, gathered_at }
    }
}

struct Told<'a> {
    finding: &'a Finding,
    gathered_at: Timestamp,
}

impl Told<'_> {
    /// How long before the finding something was. Nobody reads more than seconds.
    fn before(&self, at: Timestamp) -> Span {
        Span::from_secs(self.gathered_at.since(at).as_millis() / 1000)
    }

    fn listing(&self, f: &mut fmt::Formatter<'_>, listing: &Listing) -> fmt::Result {
        let Some(alert) = &listing.alert else {
            let Listing { uptime, total, .. } = listing;
            let uptime = Span::from_secs(uptime.as_millis() / 1000);
            return write!(f, "does not list it, of {total} in all; it runs for {uptime}");
        };
        match &alert.suppressed_by {
            Some(by) => write!(f, "lists it suppressed by {by}")?,
            None => f.write_str("lists it active")?,
        }
        write!(f, ", updated {} before", self.before(alert.updated_at))
    }

    fn says(&self, f: &mut fmt::Formatter<'_>, says: &RuleSays) -> fmt::Result {
        match (&says.unhealthy, says.state) {
            (Some(error), _) => write!(f, "not healthy ({error})")?,
            (None, InstanceState::Firing) => f.write_str("fires")?,
            (None, InstanceState::Kept) => {
                f.write_str("fires only because of keep_firing_for")?;
            }
            (None, InstanceState::Pending) => f.write_str("pending")?,
            (None, InstanceState::Absent) => f.write_str("inactive")?,
        }
        write!(f, ", evaluated {} before", self.before(says.evaluated_at))
    }

    fn words(&self, f: &mut fmt::Formatter<'_>, words: &[RuleWord]) -> fmt::Result {
        if words.is_empty() {
            return f.write_str("no Prometheus was asked");
        }
        for (position, word) in words.iter().enumerate() {
            let comma = if position == 0 { "" } else { "; " };
            write!(f, "{comma}{} ", word.prometheus)?;
            match &word.knows {
                Err(Trouble(trouble)) => write!(f, "gave no answer: {trouble}")?,
                Ok(Knows::NoRule) => f.write_str("has no such rule")?,
                Ok(Knows::NotShown { why }) => write!(f, "has the rule, but {why}")?,
                Ok(shows @ (Knows::Shows(_) | Knows::Resembles(_))) => {
                    let may = matches!(shows, Knows::Resembles(_));
                    f.write_str(if may { "shows what may be it: " } else { "shows it: " })?;
                    for (position, says) in word.shown().iter().enumerate() {
                        if position > 0 {
                            f.write_str(", ")?;
                        }
                        self.says(f, says)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn present(&self, f: &mut fmt::Formatter<'_>, present: &Present) -> fmt::Result {
        if present.alerts.is_empty() {
            f.write_str("none")?;
        }
        for (position, alert) in present.alerts.iter().take(limits::NAMED_ALERTS).enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            let name = alert.labels.get("alertname").unwrap_or("without a name");
            let verb = if alert.fires { "fires" } else { "is pending" };
            write!(f, "{comma}{name} {verb}")?;
        }
        let unnamed = present.alerts.len().saturating_sub(limits::NAMED_ALERTS) + present.more;
        if unnamed > 0 {
            write!(f, ", and {unnamed} more")?;
        }
        match &present.sight {
            Sight::Rules { unhealthy: Some(error), .. } => write!(f, "; not healthy ({error})"),
            Sight::Rules { evaluated_at: Some(at), unhealthy: None } => {
                write!(f, "; evaluated {} before", self.before(*at))
            }
            Sight::Rules { evaluated_at: None, unhealthy: None } => {
                f.write_str("; no rule could fire such an alert")
            }
            Sight::Alertmanager { uptime } => {
                write!(f, "; it runs for {}", Span::from_secs(uptime.as_millis() / 1000))
            }
        }
    }
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trouble(trouble) = match self.finding {
            Finding::Listed(Ok(listing)) => return self.listing(f, listing),
            Finding::Rule(words) => return self.words(f, words),
            Finding::Instance(Ok(Some(says))) => return self.says(f, says),
            Finding::Instance(Ok(None)) => return f.write_str("has no such rule any more"),
            Finding::Present(Ok(present)) => return self.present(f, present),
            Finding::Query(Ok(0)) => return f.write_str("returned nothing"),
            Finding::Query(Ok(1)) => return f.write_str("returned 1 sample"),
            Finding::Query(Ok(samples)) => return write!(f, "returned {samples} samples"),
            Finding::Inventory(Ok(count)) => return write!(f, "counts {count}"),
            Finding::Rehearsal(Ok(rehearsal)) => return rehearsal.fmt(f),
            Finding::Owner(Ok(Whose::Of(owner))) => return write!(f, "it is of {owner}"),
            Finding::Owner(Ok(Whose::Nobody { why })) => return f.write_str(why),
            Finding::Listed(Err(trouble))
            | Finding::Instance(Err(trouble))
            | Finding::Present(Err(trouble))
            | Finding::Query(Err(trouble))
            | Finding::Inventory(Err(trouble))
            | Finding::Rehearsal(Err(trouble))
            | Finding::Owner(Err(trouble)) => trouble,
        };
        write!(f, "no answer: {trouble}")
    }
}

impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { managed_by: None } => f.write_str("it would be done"),
            Self::Accepted { managed_by: Some(by) } => {
                write!(f, "it would be done, and {by} may take it back")
            }
            Self::NotNow(why) => write!(f, "it could not be done now: {why}"),
            Self::Refused(why) => write!(f, "it would be refused: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::evidence::{Beside, Inputs, ListedAlert, Lister, NotShown, PresentAlert, RuleId};
    use crate::label::{Fingerprint, LabelSet, Matchers};
    use crate::name::SourceName;
    use crate::policy::TargetLabels;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_000_000) + Span::from_secs(seconds)
    }

    fn listing(alert: Option<ListedAlert>) -> Finding {
        Finding::Listed(Ok(Listing { uptime: Span::from_secs(3600), total: 12, alert }))
    }

    fn listed(suppressed_by: Option<&str>) -> Finding {
        let suppressed_by = suppressed_by.map(str::to_owned);
        listing(Some(ListedAlert { suppressed_by, updated_at: at(57), starts_at: at(0) }))
    }

    fn says(state: InstanceState, error: Option<&str>) -> RuleSays {
        RuleSays {
            rule: RuleId::new("", "", "Down", "up == 0", &LabelSet::default()),
            instance: LabelSet::default(),
            state,
            unhealthy: error.map(str::to_owned),
            evaluated_at: at(50),
            interval: Span::from_secs(15),
            memory: None,
            inputs: Inputs::Known(Vec::new()),
            beside: Beside::default(),
        }
    }

    fn rule(state: InstanceState, error: Option<&str>) -> Finding {
        Finding::Instance(Ok(Some(Box::new(says(state, error)))))
    }

    fn words(all: Vec<Result<Knows, Trouble>>) -> Finding {
        let word = |knows| RuleWord { prometheus: SourceName::new("main"), knows };
        Finding::Rule(all.into_iter().map(word).collect())
    }

    fn present(alerts: usize, more: usize, sight: Sight) -> Finding {
        let alert = |number: usize| PresentAlert {
            labels: LabelSet::from_pairs([("alertname", &*format!("A{number}"))]),
            fires: number != 2,
        };
        Finding::Present(Ok(Present { alerts: (1..=alerts).map(alert).collect(), more, sight }))
    }

    #[test]
    fn a_finding_is_told_in_words() {
        let rules = |evaluated_at, unhealthy: Option<&str>| Sight::Rules {
            evaluated_at,
            unhealthy: unhealthy.map(str::to_owned),
        };
        let hour = Sight::Alertmanager { uptime: Span::from_secs(3600) };
        let trouble = || Trouble("connection refused".into());
        for (finding, told) in [
            (listed(None), "lists it active, updated 3s before"),
            (listed(Some("silence 7")), "lists it suppressed by silence 7, updated 3s before"),
            (listing(None), "does not list it, of 12 in all; it runs for 1h"),
            (rule(InstanceState::Firing, None), "fires, evaluated 10s before"),
            (rule(InstanceState::Pending, None), "pending, evaluated 10s before"),
            (
                rule(InstanceState::Kept, None),
                "fires only because of keep_firing_for, evaluated 10s before",
            ),
            (rule(InstanceState::Absent, None), "inactive, evaluated 10s before"),
            (
                rule(InstanceState::Firing, Some("parse error")),
                "not healthy (parse error), evaluated 10s before",
            ),
            (Finding::Instance(Ok(None)), "has no such rule any more"),
            (words(vec![Ok(Knows::NoRule)]), "main has no such rule"),
            (
                words(vec![Ok(Knows::NotShown { why: NotShown::Ambiguous { instances: 2 } })]),
                "main has the rule, but shows 2 instances that could be this alert",
            ),
            (
                words(vec![
                    Ok(Knows::Shows(vec![says(InstanceState::Firing, None)])),
                    Err(trouble()),
                ]),
                "main shows it: fires, evaluated 10s before; \
                 main gave no answer: connection refused",
            ),
            (Finding::Query(Ok(0)), "returned nothing"),
            (Finding::Query(Ok(1)), "returned 1 sample"),
            (Finding::Query(Ok(2)), "returned 2 samples"),
            (Finding::Inventory(Ok(42)), "counts 42"),
            (present(0, 0, hour.clone()), "none; it runs for 1h"),
            (
                present(2, 0, rules(Some(at(59)), None)),
                "A1 fires, A2 is pending; evaluated 1s before",
            ),
            (present(1, 0, rules(None, Some("down"))), "A1 fires; not healthy (down)"),
            (present(0, 0, rules(None, None)), "none; no rule could fire such an alert"),
            (
                present(6, 3, hour),
                "A1 fires, A2 is pending, A3 fires, A4 fires, A5 fires, and 4 more; it runs for 1h",
            ),
            (Finding::Listed(Err(trouble())), "no answer: connection refused"),
            (Finding::Inventory(Err(trouble())), "no answer: connection refused"),
        ] {
            assert_eq!(finding.told(at(60)).to_string(), told);
        }
    }

    #[test]
    fn an_ask_says_who_is_asked_and_what() {
        let target = LabelSet::from_pairs([("instance", "a:80")]);
        let matchers = Matchers::parse_utf8("severity=\"critical\"").expect("the matchers parse");
        let rule = Ask::Rule {
            alertname: "Down".into(),
            labels: target.clone(),
            target: TargetLabels::All,
            by: Vec::new(),
        };
        let main = SourceName::new("main");
        let by = Lister::Alertmanager(main.clone());
        let query = Arc::<str>::from("count(up)");
        for (ask, told) in [
            (
                Ask::Listed { source: main, fingerprint: Fingerprint(0xab) },
                "Alertmanager main, alert 00000000000000ab",
            ),
            (rule, "Prometheus, rule Down"),
            (
                Ask::Present { by, matchers, target },
                "Alertmanager main, alerts of {instance=\"a:80\"} that match {severity = \"critical\"}",
            ),
            (Ask::Query { promql: "up == 0".into(), by: None }, "query `up == 0`"),
            (Ask::Inventory { promql: query, by: None }, "inventory `count(up)`"),
        ] {
            assert_eq!(ask.to_string(), told);
        }
    }
}
