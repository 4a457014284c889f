//! What a notice says to a person, whichever way it takes.

use std::collections::BTreeMap;

use homeostat_core::notice::{Matter, Notice};

/// Says in one line who or what needs a person.
pub(super) fn summary(notice: &Notice) -> String {
    let needed = match &notice.matter {
        Matter::Escalation { .. } => "A person is needed",
        Matter::Approval { .. } => "A person's word is needed",
        Matter::Guard { guard, .. } => {
            return format!(
                "A person is needed: guard {guard} holds policy {policy}",
                policy = notice.policy
            );
        }
    };
    let Notice { policy, target, alertname, .. } = notice;
    match (alertname.as_str(), target.is_empty()) {
        ("", true) => format!("{needed}: policy {policy}"),
        ("", false) => format!("{needed}: policy {policy} on {target}"),
        (alert, true) => format!("{needed}: {alert}"),
        (alert, false) => format!("{needed}: {alert} on {target}"),
    }
}

/// Says what else a person wants to know, by name.
pub(super) fn details(notice: &Notice) -> BTreeMap<&'static str, String> {
    match &notice.matter {
        Matter::Escalation { tried, .. } => BTreeMap::from([("tried", or_nothing(tried, "; "))]),
        Matter::Approval { incident, action, expires_at } => BTreeMap::from([
            ("action", action.clone()),
            ("expires", format!("{expires_at:.0}")),
            ("approve", format!("homeostat approve {incident}")),
            ("reject", format!("homeostat reject {incident}")),
        ]),
        Matter::Guard { targets, more, .. } => {
            let mut held: Vec<String> = targets.iter().map(ToString::to_string).collect();
            if *more > 0 {
                held.push(format!("and {more} more"));
            }
            BTreeMap::from([("held", or_nothing(&held, ", "))])
        }
    }
}

/// Where people find more, below the URL by which they reach Homeostat.
pub(super) fn link(notice: &Notice, external_url: Option<&str>) -> Option<String> {
    let root = external_url?.trim_end_matches('/');
    Some(match notice.topic().incident() {
        Some(incident) => format!("{root}/incidents/{incident}"),
        None => format!("{root}/"),
    })
}

fn or_nothing(parts: &[String], between: &str) -> String {
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(between) }
}
