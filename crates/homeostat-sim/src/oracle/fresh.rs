//! Nothing is done about what ended, what nobody vouches for, or what a person has silenced; and
//! what evidence says is read once more.

use homeostat_core::alert::Door;
use homeostat_core::evidence::{Ask, Evidence, Finding, Grade};
use homeostat_core::order::Order;
use homeostat_core::policy::{Book, Policy};
use homeostat_core::time::{Span, Timestamp};

use super::hours::Hours;
use super::{Case, Known, Oracle, Verdict, Violation, key};

/// How old evidence may be.
const EVIDENCE_AGE: Span = Span::from_secs(10);

/// How long an Alertmanager must run before its silence says anything.
const YOUNG: Span = Span::from_secs(300);

impl Oracle {
    fn alerts<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = &'a Known> {
        case.episodes.iter().filter_map(|id| self.episodes.get(id))
    }

    /// At least one alert fires by the best word that there is, and nobody silenced all of them.
    pub(super) fn is_fresh(
        &self,
        case: &Case,
        policy: &Policy,
        order: &Order,
        book: &Book,
        now: Timestamp,
    ) -> Verdict {
        let broken = |law, text: String| Err(Violation::new(now, law, text));
        let id = &order.id;
        let nothing = Evidence::none(now);
        let evidence = case.answer.as_ref().filter(|(at, _)| *at == now).map(|(_, e)| e);
        let firing: Vec<&Known> = self.alerts(case).filter(|known| known.fires).collect();
        let witnesses = &book.witnesses;
        let listed_by = |known: &&Known| witnesses.alertmanagers.contains(&known.alert.source);
        let needed = witnesses.prometheus || firing.iter().any(listed_by);
        let age = evidence.map_or(Span::ZERO, |evidence| self.hours.age(evidence, now));
        if needed && age > EVIDENCE_AGE {
            return broken("evidence age", format!("order {id} on evidence {age} old"));
        }
        let evidence = evidence.unwrap_or(&nothing);
        if !firing.iter().any(|known| self.vouched_for(known, policy, book, evidence, now)) {
            return broken("fresh", format!("order {id}: nobody vouches that it fires now"));
        }
        let mut listed = firing.iter().filter_map(|known| listed(known, evidence)).peekable();
        if listed.peek().is_some() && listed.all(|suppressed| suppressed) {
            return broken("silence", format!("order {id}: all of its alerts are silenced"));
        }
        Ok(())
    }

    fn vouched_for(
        &self,
        known: &Known,
        policy: &Policy,
        book: &Book,
        evidence: &Evidence,
        now: Timestamp,
    ) -> bool {
        let alert = &known.alert;
        if book.witnesses.alertmanagers.contains(&alert.source) {
            return listed(known, evidence).is_some();
        }
        let mention = self.mentions.get(&key(alert));
        match alert.door {
            Door::Api => {
                let ahead = mention
                    .and_then(|m| m.ends_at)
                    .is_some_and(|ends_at| ends_at > self.hours.wall(now));
                match evidence.rule(alert) {
                    Some(Ok(Some(report))) => report.firing > 0,
                    Some(Err(_)) => false,
                    Some(Ok(None)) | None => ahead,
                }
            }
            Door::Webhook => mention.is_some_and(|m| now.since(m.at) <= policy.guard.fresh_max_age),
        }
    }

    /// Whether the grade that the order requires was reached, by what was told and answered.
    pub(super) fn is_proven(
        &self,
        case: &Case,
        order: &Order,
        now: Timestamp,
    ) -> Result<(), String> {
        if still_fires(case, &self.hours, now) {
            return Err("the last look found that it fires".into());
        }
        let since = case.proving_since.ok_or("its healing was never looked at")?;
        let explained =
            |known: &Known| order.proof.rules.iter().any(|r| **r == *known.alert.name());
        if !order.proof.rules.is_empty() {
            let last = case.looks.last().ok_or("nobody answered about its rule")?;
            rules_are_quiet(last, &self.hours, since, now)?;
        }
        match order.proof.required {
            Grade::Proven => {
                let times = order.proof.times as usize;
                let held = case.looks.iter().rev().take_while(|look| query_holds(look)).count();
                if held < times {
                    return Err(format!("the query held {held} times in a row, not {times}"));
                }
            }
            Grade::Reported | Grade::Confirmed => {
                for known in self.alerts(case).filter(|known| !explained(known)) {
                    let looks = case.looks.iter().rev().take(2);
                    let absent = looks.filter(|look| is_absent(known, look)).count() == 2;
                    if !known.resolved && !absent {
                        return Err(format!("alert {} did not end", known.alert.labels));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether what was answered last is positive evidence that the trouble goes on. What was seen before
/// the clock jumped is none, nor, of an action before that, what may have been stamped before it.
pub(super) fn still_fires(case: &Case, hours: &Hours, now: Timestamp) -> bool {
    let (Some(since), Some(last)) = (case.proving_since, case.looks.last()) else {
        return false;
    };
    let set_at = hours.set_at().filter(|set_at| since <= *set_at);
    let after = |stamp: Timestamp| match set_at {
        Some(set_at) => hours.earliest(stamp) > set_at,
        None => hours.latest(stamp, now) > since,
    };
    last.found.iter().any(|(_, finding)| match finding {
        Finding::Rule(Ok(Some(report))) => {
            report.unhealthy.is_none() && after(report.last_evaluation) && report.firing > 0
        }
        Finding::Listed(Ok(listing)) => {
            listing.alert.as_ref().is_some_and(|listed| after(listed.updated_at))
        }
        _ => false,
    })
}

/// Whether the alert's Alertmanager lists it, and whether somebody suppresses it.
fn listed(known: &Known, evidence: &Evidence) -> Option<bool> {
    match evidence.listing(&known.alert) {
        Some(Ok(listing)) => listing.alert.as_ref().map(|listed| listed.suppressed_by.is_some()),
        Some(Err(_)) | None => None,
    }
}

fn rules_are_quiet(
    look: &Evidence,
    hours: &Hours,
    since: Timestamp,
    now: Timestamp,
) -> Result<(), String> {
    for (ask, finding) in &look.found {
        let (Ask::Rule { alertname, .. }, Finding::Rule(answer)) = (ask, finding) else { continue };
        let quiet = match answer {
            Ok(Some(report)) => {
                report.unhealthy.is_none()
                    && hours.latest(report.last_evaluation, now) > since
                    && report.firing + report.pending + report.kept_firing == 0
            }
            Ok(None) | Err(_) => false,
        };
        if !quiet {
            return Err(format!("rule {alertname} is not known to be quiet since the action"));
        }
    }
    Ok(())
}

fn query_holds(look: &Evidence) -> bool {
    matches!(look.query(), Some(Ok(samples)) if *samples > 0)
}

fn is_absent(known: &Known, look: &Evidence) -> bool {
    known.resolved
        || matches!(look.listing(&known.alert), Some(Ok(listing))
            if listing.alert.is_none() && listing.total > 0 && listing.uptime >= YOUNG)
}
