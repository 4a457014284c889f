//! Nothing is done about what ended, what nobody vouches for, or what a person has silenced; and
//! what evidence says is read once more.

use homeostat_core::alert::Door;
use homeostat_core::evidence::{Evidence, Knows, RuleWord};
use homeostat_core::order::Order;
use homeostat_core::policy::{Book, Policy};
use homeostat_core::time::{Span, Timestamp};

use super::{Case, Known, Oracle, Verdict, Violation, key};

/// How old evidence may be.
const EVIDENCE_AGE: Span = Span::from_secs(10);

impl Oracle {
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
        let unnamed = |known: &&Known| {
            let source = &known.alert.source;
            let names = !witnesses.alertmanagers.is_empty()
                || !witnesses.webhooks.is_empty()
                || !witnesses.prometheuses.is_empty();
            let named =
                witnesses.alertmanagers.contains(source) || witnesses.webhooks.contains(source);
            known.alert.door == Door::Webhook && names && !named
        };
        if firing.iter().all(unnamed) {
            return broken("stranger", format!("order {id}: nobody knows who sent its alerts"));
        }
        let listed_by = |known: &&Known| witnesses.alertmanagers.contains(&known.alert.source);
        let rules = |known: &&Known| !witnesses.of_alert(policy, &known.alert.labels).is_empty();
        let needed = firing.iter().any(rules) || firing.iter().any(listed_by);
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
                let words = evidence.words(alert);
                let knows = words.iter().any(|word| match &word.knows {
                    Ok(Knows::Shows(_) | Knows::Resembles(_) | Knows::NotShown { .. }) | Err(_) => {
                        true
                    }
                    Ok(Knows::NoRule) => false,
                });
                if knows { words.iter().any(RuleWord::fires) } else { ahead }
            }
            // After a restart, the beginning that is written down is the last mention.
            Door::Webhook => {
                let at =
                    mention.map(|mention| mention.at).max(self.hours.unless_jumped(known.began_at));
                at.is_some_and(|at| now.since(at) <= policy.guard.fresh_max_age)
            }
        }
    }
}

/// Whether the alert's Alertmanager lists it, and whether somebody suppresses it.
fn listed(known: &Known, evidence: &Evidence) -> Option<bool> {
    match evidence.listing(&known.alert) {
        Some(Ok(listing)) => listing.alert.as_ref().map(|listed| listed.suppressed_by.is_some()),
        Some(Err(_)) | None => None,
    }
}
