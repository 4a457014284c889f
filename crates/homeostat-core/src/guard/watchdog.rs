//! Watchdog: an alert that always fires tells that monitoring sees. Where it is not heard of, the
//! alerts of others cannot be believed to be all, and the healing of none could be proven.
//!
//! Rule: one alert that the watchdog's matchers match fires and was mentioned at most `max_age`
//! ago. When it was last mentioned is presence and not state: after a restart it is unknown, and
//! holds until the watchdog is heard of again. Any mention of it judges those anew that wait.
//!
//! Source: the alert `Watchdog` of kube-prometheus and the dead man's switch that people build
//! with it.

use serde::{Deserialize, Serialize};

use super::{Deed, Ruling};
use crate::alert::Presence;
use crate::hold::Hold;
use crate::policy::Watchdog;
use crate::time::Timestamp;

pub(super) fn judge(deed: &Deed<'_>) -> Ruling {
    let Some(watchdog) = &deed.policy.guard.watchdog else {
        return Ruling::Unset;
    };
    match look(watchdog, deed.watchdog, deed.now) {
        Ok(seen) => Ruling::Clear(seen),
        Err(why) => Ruling::Hold(Hold::Blind { watchdog: watchdog.key(), why }),
    }
}

/// When a watchdog was last heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// It does not fire.
    Silent,
    /// It fired before a restart or a jump of the clock, and was not mentioned since.
    Unknown,
    /// Then.
    At(Timestamp),
}

impl Heard {
    pub(super) fn of(presence: Option<Presence>) -> Self {
        match presence {
            None => Self::Silent,
            Some(presence) if presence.known => Self::At(presence.seen_at),
            Some(_) => Self::Unknown,
        }
    }
}

fn look(watchdog: &Watchdog, presence: Option<Presence>, now: Timestamp) -> Result<String, String> {
    let seen_at = match Heard::of(presence) {
        Heard::Silent => return Err("does not fire; it always should".into()),
        Heard::Unknown => {
            return Err(
                "has not been mentioned since the engine started or its clock jumped".into()
            );
        }
        Heard::At(seen_at) => seen_at,
    };
    let (age, max_age) = (now.since(seen_at), watchdog.max_age);
    if age > max_age {
        Err(format!("was last mentioned {age} ago, and must be every {max_age}"))
    } else {
        Ok(format!("the watchdog was mentioned {age} ago"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::Matchers;
    use crate::time::Span;

    #[test]
    fn only_a_watchdog_that_was_heard_of_lately_lets_pass() {
        let matchers = Matchers::parse("alertname=\"Watchdog\"").unwrap().matchers;
        let watchdog = Watchdog { matchers, max_age: Span::from_secs(300) };
        let now = Timestamp::from_seconds(10_000);
        let seen = |ago: u64, known: bool| Presence {
            written: false,
            seen_at: now - Span::from_secs(ago),
            ends_at: None,
            starts_at: None,
            known,
        };
        for (presence, wanted) in [
            (Some(seen(0, true)), Ok("the watchdog was mentioned 0s ago")),
            (Some(seen(300, true)), Ok("the watchdog was mentioned 5m ago")),
            (Some(seen(301, true)), Err("was last mentioned 5m1s ago, and must be every 5m")),
            (
                Some(seen(0, false)),
                Err("has not been mentioned since the engine started or its clock jumped"),
            ),
            (None, Err("does not fire; it always should")),
        ] {
            let found = look(&watchdog, presence, now);
            assert_eq!(found.as_deref().map_err(String::as_str), wanted);
        }
    }
}
