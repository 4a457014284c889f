//! What a state looks like: an icon, a word and a colour that mean one thing everywhere.

use homeostat_core::guard::account::Says;
use homeostat_core::incident::End;
use homeostat_core::policy::Mode;
use maud::{Markup, html};

use crate::web::api::view::{AlertStatus, IncidentView, StateView, Verdict};

/// What a colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    /// A person is wanted.
    Needs,
    /// Something is being done.
    Acts,
    /// Something stands in the way, or time must pass.
    Holds,
    /// It is well.
    Good,
    /// It failed.
    Bad,
    /// Nothing that anybody must care about.
    Calm,
}

impl Tone {
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Needs => "needs",
            Self::Acts => "acts",
            Self::Holds => "holds",
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Calm => "calm",
        }
    }
}

/// An icon, a word and a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) tone: Tone,
    pub(super) word: &'static str,
    icon: &'static str,
}

const NEEDS: &str = "M8 .8 15.2 8 8 15.2.8 8zM7.2 4.2v4.6h1.6V4.2zM7.2 10v1.7h1.6V10z";
const ACTS: &str = "M4 2.5v11l9-5.5z";
const LOOKS: &str = "M6.5 1a5.5 5.5 0 1 0 3.4 9.8l3.6 3.7 1.1-1.1-3.7-3.6A5.5 5.5 0 0 0 6.5 1z\
                     m0 1.6a3.9 3.9 0 1 1 0 7.8 3.9 3.9 0 0 1 0-7.8z";
const HOLDS: &str = "M4 2.5h3v11H4zM9 2.5h3v11H9z";
const WAITS: &str = "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm0 1.6a5.4 5.4 0 1 1 0 10.8A5.4 5.4 0 0 1 8 \
                     2.6zM7.2 4.5v4l3 1.8.8-1.3-2.2-1.3V4.5z";
const HEALED: &str = "M6.4 12.6 1.8 8l1.5-1.5 3.1 3.1 6.3-6.3 1.5 1.5z";
const RECOVERED: &str = "M8 2a6 6 0 1 0 6 6h-1.7A4.3 4.3 0 1 1 8 3.7V6l4-3.2L8 0z";
const ESCALATED: &str = "M8 1.5 14 8h-3.6v6.5H5.6V8H2z";
const SHADOWED: &str = "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm0 1.7a4.3 4.3 0 0 1 0 8.6z";
const ENDED: &str =
    "M3.2 2 8 6.8 12.8 2 14 3.2 9.2 8l4.8 4.8-1.2 1.2L8 9.2 3.2 14 2 12.8 6.8 8 2 3.2z";

impl Look {
    /// How an incident stands.
    pub(super) fn of(incident: &IncidentView) -> Self {
        let look = |tone, word, icon| Self { tone, word, icon };
        match (incident.state, incident.outcome) {
            (StateView::AwaitingApproval, _) => look(Tone::Needs, "needs approval", NEEDS),
            (StateView::Acting, _) => look(Tone::Acts, "acting", ACTS),
            (StateView::Verifying, _) => look(Tone::Acts, "verifying", LOOKS),
            (StateView::Waiting, _) if is_held(incident) => look(Tone::Holds, "held", HOLDS),
            (StateView::Waiting, _) => look(Tone::Holds, "waiting", WAITS),
            (StateView::Closed, Some(end)) => Self::ended(end),
            (StateView::Closed, None) => look(Tone::Calm, "closed", ENDED),
        }
    }

    /// How one ended.
    pub(super) const fn ended(end: End) -> Self {
        let (tone, word, icon) = match end {
            End::Healed => (Tone::Good, "healed", HEALED),
            End::Recovered => (Tone::Good, "recovered", RECOVERED),
            End::Escalated => (Tone::Bad, "escalated", ESCALATED),
            End::Shadowed => (Tone::Calm, "shadowed", SHADOWED),
            End::Rejected => (Tone::Calm, "rejected", ENDED),
            End::Cancelled => (Tone::Calm, "cancelled", ENDED),
        };
        Self { tone, word, icon }
    }

    /// How an alert stands.
    pub(super) const fn alert(status: AlertStatus) -> Self {
        let (tone, icon) = match status {
            AlertStatus::Firing => (Tone::Bad, NEEDS),
            AlertStatus::Resolved => (Tone::Good, HEALED),
            AlertStatus::Lapsed => (Tone::Calm, WAITS),
        };
        let word = match status {
            AlertStatus::Firing => "firing",
            AlertStatus::Resolved => "resolved",
            AlertStatus::Lapsed => "lapsed",
        };
        Self { tone, word, icon }
    }

    /// What a guard said.
    pub(super) const fn verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Clear => Self { tone: Tone::Good, word: "clear", icon: HEALED },
            Verdict::Hold => Self { tone: Tone::Holds, word: "hold", icon: HOLDS },
        }
    }

    /// What a guard says at this moment, and why.
    pub(super) fn says(says: &Says) -> (Self, &str) {
        match says {
            Says::Clear { reason } => (Self::verdict(Verdict::Clear), reason),
            Says::Hold { reason, .. } => (Self::verdict(Verdict::Hold), reason),
            Says::Stop { reason } => (Self { tone: Tone::Bad, word: "stop", icon: ENDED }, reason),
        }
    }

    /// What a tile counts.
    pub(super) const fn tile(tone: Tone, word: &'static str) -> Self {
        let icon = match tone {
            Tone::Needs | Tone::Bad => NEEDS,
            Tone::Acts => ACTS,
            Tone::Holds => HOLDS,
            Tone::Good => HEALED,
            Tone::Calm => WAITS,
        };
        Self { tone, word, icon }
    }

    /// Icon and word, in its colour.
    pub(super) fn markup(self) -> Markup {
        html! { span class={ "state " (self.tone.class()) } { (self.icon()) (self.word) } }
    }

    /// The icon alone, for where the word stands beside it.
    pub(super) fn icon(self) -> Markup {
        html! {
            svg class="icon" viewBox="0 0 16 16" aria-hidden="true" fill="currentColor" {
                path fill-rule="evenodd" d=(self.icon) {}
            }
        }
    }
}

/// How far a policy or a remedy is trusted.
pub(super) fn mode(mode: Mode) -> Markup {
    let (tone, word) = match mode {
        Mode::Shadow => (Tone::Calm, "shadow"),
        Mode::Approve => (Tone::Needs, "approve"),
        Mode::Auto => (Tone::Good, "auto"),
    };
    html! { span class={ "state " (tone.class()) } { (Look::tile(tone, word).icon()) (word) } }
}

/// Whether guards stand in the way of what waits.
pub(super) fn is_held(incident: &IncidentView) -> bool {
    incident.state == StateView::Waiting && !incident.holds.is_empty()
}

/// How bad it is, by what its alerts say.
pub(super) fn severity(incident: &IncidentView) -> Option<&str> {
    incident.alerts.iter().find_map(|alert| alert.labels.get("severity"))
}

/// Severity as a chip.
pub(super) fn severity_chip(incident: &IncidentView) -> Markup {
    let severity = severity(incident);
    let class = match severity {
        Some("critical" | "page" | "error") => "chip critical",
        Some("warning") => "chip warning",
        _ => "chip",
    };
    html! { @if let Some(severity) = severity { span class=(class) { (severity) } } }
}

/// The name by which people know it: that of its first alert, or else of its policy.
pub(super) fn name(incident: &IncidentView) -> &str {
    let named = incident.alerts.iter().find_map(|alert| alert.labels.get("alertname"));
    named.unwrap_or(&incident.policy)
}

/// What its alerts say of it, for a person.
pub(super) fn summary(incident: &IncidentView) -> Option<&str> {
    let said = |name| incident.alerts.iter().find_map(|alert| alert.annotations.get(name));
    said("summary").or_else(|| said("description")).or_else(|| said("message"))
}
