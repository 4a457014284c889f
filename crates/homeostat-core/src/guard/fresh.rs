//! Fresh: the alert fires now. A notification may be minutes old when its turn comes; whoever can
//! vouch is asked.
//!
//! | the alert came | who vouches |
//! |---|---|
//! | from a configured Alertmanager | that Alertmanager, by fingerprint |
//! | by the alerts API, and a rule explains it | Prometheus' rules API |
//! | by the alerts API otherwise | its own `endsAt`, which must lie ahead |
//! | in any other way | a firing observation younger than `max_age` |
//!
//! One alert of the incident that fires is enough. An error or no answer holds.

use super::{Deed, Ruling};
use crate::alert::{Alert, Door, Presence};
use crate::evidence::{Ask, Evidence, Knows, NotShown, RuleWord, Trouble};
use crate::hold::Hold;
use crate::policy::Book;

pub(super) fn questions(deed: &Deed<'_>, book: &Book) -> Vec<Ask> {
    let mut asks = Vec::new();
    for (alert, _) in &deed.firing {
        if book.witnesses.alertmanagers.contains(&alert.source) {
            asks.push(Ask::listed(alert));
        } else if alert.door == Door::Api {
            let by = book.witnesses.of_alert(deed.policy, &alert.labels);
            if !by.is_empty() {
                asks.push(Ask::rule(alert, &deed.policy.own_target(), by));
            }
        }
    }
    asks
}

pub(super) fn judge(deed: &Deed<'_>, book: &Book, evidence: &Evidence) -> Ruling {
    let mut doubt = "no alert of this incident fires".to_owned();
    for (alert, presence) in &deed.firing {
        match vouch(deed, book, alert, *presence, evidence) {
            Ok(voucher) => return Ruling::Clear(voucher),
            Err(why) => doubt = why,
        }
    }
    Ruling::Hold(Hold::NotFresh { why: doubt })
}

fn vouch(
    deed: &Deed<'_>,
    book: &Book,
    alert: &Alert,
    presence: Presence,
    evidence: &Evidence,
) -> Result<String, String> {
    if book.witnesses.alertmanagers.contains(&alert.source) {
        return vouch_by_listing(alert, evidence);
    }
    if alert.door == Door::Api {
        return match vouch_by_rules(evidence.words(alert)) {
            Some(vouched) => vouched,
            None => match presence.ends_at {
                Some(ends_at) if ends_at > deed.wall => {
                    Ok(format!("its sender says that it fires until {ends_at:.0}"))
                }
                Some(ends_at) => Err(format!("its sender said that it fires until {ends_at:.0}")),
                None => Err(
                    "its sender has not repeated it since the engine started or its clock jumped"
                        .into(),
                ),
            },
        };
    }
    let age = deed.now.since(presence.seen_at);
    let max_age = deed.policy.guard.fresh_max_age;
    if presence.written && age <= max_age {
        Ok(format!("it began {age} ago"))
    } else if !presence.known {
        Err("it has not been mentioned since the engine started or its clock jumped".into())
    } else if age > max_age {
        Err(format!("it was last mentioned {age} ago, and may be at most {max_age} old"))
    } else {
        Ok(format!("it was mentioned {age} ago"))
    }
}

/// What rules say; `None` where no Prometheus has a rule that could have sent the alert.
fn vouch_by_rules(words: &[RuleWord]) -> Option<Result<String, String>> {
    if words.iter().any(RuleWord::fires) {
        return Some(Ok("its rule fires now".into()));
    }
    let doubt = |word: &RuleWord| match &word.knows {
        Err(Trouble(why)) => {
            Some(format!("Prometheus {} could not be asked: {why}", word.prometheus))
        }
        Ok(Knows::Shows(_) | Knows::Resembles(_)) => Some("its rule does not fire now".to_owned()),
        Ok(Knows::NotShown { why: NotShown::Nothing }) => {
            Some("its rule does not fire now".to_owned())
        }
        Ok(Knows::NotShown { why }) => {
            Some(format!("Prometheus {} has its rule, but {why}", word.prometheus))
        }
        Ok(Knows::NoRule) => None,
    };
    words.iter().find_map(doubt).map(Err)
}

fn vouch_by_listing(alert: &Alert, evidence: &Evidence) -> Result<String, String> {
    match evidence.listing(alert) {
        None => Err(format!("Alertmanager {} was not asked", alert.source)),
        Some(Err(trouble)) => {
            Err(format!("Alertmanager {} could not be asked: {}", alert.source, trouble.0))
        }
        Some(Ok(listing)) if listing.alert.is_some() => {
            Ok(format!("Alertmanager {} lists it now", alert.source))
        }
        Some(Ok(_)) => Err(format!("Alertmanager {} does not list it now", alert.source)),
    }
}
