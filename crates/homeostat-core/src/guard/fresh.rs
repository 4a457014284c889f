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
use crate::evidence::{Ask, Evidence};
use crate::hold::Hold;
use crate::policy::Book;

pub(super) fn questions(deed: &Deed<'_>, book: &Book) -> Vec<Ask> {
    let mut asks = Vec::new();
    for (alert, _) in &deed.firing {
        if book.witnesses.alertmanagers.contains(&alert.source) {
            asks.push(Ask::listed(alert));
        } else if alert.door == Door::Api && book.witnesses.prometheus {
            asks.push(Ask::rule(alert, &deed.policy.target));
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
        return match evidence.rule(alert) {
            Some(Err(trouble)) => Err(format!("Prometheus could not be asked: {}", trouble.0)),
            Some(Ok(Some(report))) if report.firing > 0 => Ok("its rule fires now".into()),
            Some(Ok(Some(_))) => Err("its rule does not fire now".into()),
            Some(Ok(None)) | None => match presence.ends_at {
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
    if !presence.known {
        Err("it has not been mentioned since the engine started or its clock jumped".into())
    } else if age > max_age {
        Err(format!("it was last mentioned {age} ago, and may be at most {max_age} old"))
    } else {
        Ok(format!("it was mentioned {age} ago"))
    }
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
