//! What people did, or had done: the facts that an audit lists, each by what was done, by whom and why.
//!
//! *Not* the duty of this room: who may read it (a door).

use crate::approval::{Over, Terms};
use crate::configuration::{Configuration, Occasion};
use crate::fact::What;
use crate::name::ApprovalId;
use crate::operator::Operator;

/// The kinds of the facts of which [`deed`] knows something, as they are written; and that which says
/// what a standing approval is about, which is more than its end says.
pub const KINDS: [&str; 6] = [
    "incident_commanded",
    "approval_stands",
    "approval_ended",
    "engine_paused",
    "engine_resumed",
    "configuration_loaded",
];

/// What can be done, by the words of [`Deed::what`].
pub const ALL: [&str; 9] =
    ["approve", "reject", "cancel", "retry", "revoke", "pause", "resume", "start", "reload"];

/// What somebody did, or had done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deed<'a> {
    /// What: one of [`ALL`].
    pub what: &'static str,
    /// Who, as far as somebody did it.
    pub by: Option<&'a Operator>,
    /// Why, in their words; empty where they gave none.
    pub reason: &'a str,
    /// What they approved ahead.
    pub ahead: Option<&'a Terms>,
    /// The standing approval that they revoked.
    pub approval: Option<ApprovalId>,
    /// The configuration that was put in force.
    pub configuration: Option<&'a Configuration>,
}

/// Returns what was done, if somebody did something.
pub fn deed(what: &What) -> Option<Deed<'_>> {
    let of = |what, by, reason| Deed {
        what,
        by: Some(by),
        reason,
        ahead: None,
        approval: None,
        configuration: None,
    };
    Some(match what {
        What::IncidentCommanded { command, by, reason, ahead, .. } => {
            Deed { ahead: ahead.as_ref(), ..of(command.as_str(), by, reason) }
        }
        What::ApprovalEnded { approval, why: Over::Revoked { by, reason } } => {
            Deed { approval: Some(*approval), ..of("revoke", by, reason) }
        }
        What::EnginePaused { pause } => of("pause", &pause.by, &pause.reason),
        What::EngineResumed { by, reason } => of("resume", by, reason),
        What::ConfigurationLoaded { configuration } => Deed {
            what: match configuration.occasion {
                Occasion::Start => "start",
                Occasion::Request | Occasion::Signal | Occasion::Change => "reload",
            },
            by: configuration.by.as_ref(),
            reason: "",
            ahead: None,
            approval: None,
            configuration: Some(configuration),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::command::Command;

    fn fact(mut fields: Value, kind: &str) -> What {
        fields["kind"] = kind.into();
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn what_people_do_is_told_and_nothing_else() {
        let mut told = Vec::new();
        for command in Command::ALL {
            let fields = json!({ "incident": 1, "command": command, "by": "ann", "reason": "r" });
            let what = fact(fields, "incident_commanded");
            told.push(deed(&what).unwrap().what.to_owned());
            assert_eq!(deed(&what).unwrap().by, Some(&"ann".into()));
        }
        let revoked = json!({ "how": "revoked", "by": "ann", "reason": "r" });
        let ended = fact(json!({ "approval": 7, "why": revoked }), "approval_ended");
        told.push(deed(&ended).unwrap().what.to_owned());
        let expired = json!({ "approval": 7, "why": { "how": "expired" } });
        assert_eq!(deed(&fact(expired, "approval_ended")), None, "nobody did it");
        let pause =
            json!({ "pause": { "by": "ann", "reason": "r", "since": "2026-01-05T09:00:00Z" }});
        let resume = json!({ "by": "ann" });
        for (kind, fields) in [("engine_paused", pause), ("engine_resumed", resume)] {
            told.push(deed(&fact(fields, kind)).unwrap().what.to_owned());
        }
        for occasion in ["start", "request", "signal", "change"] {
            let fields = json!({ "of": "engine", "files": [], "occasion": occasion });
            told.push(deed(&fact(fields, "configuration_loaded")).unwrap().what.to_owned());
        }
        told.dedup();
        assert_eq!(told, ALL);
        assert_eq!(deed(&What::BookChanged), None);
    }

    #[test]
    fn a_resume_of_before_there_were_reasons_is_read() {
        let old: What = serde_json::from_str(r#"{"kind":"engine_resumed","by":"ann"}"#).unwrap();
        assert_eq!(old, What::EngineResumed { by: "ann".into(), reason: String::new() });
        assert_eq!(serde_json::to_string(&old).unwrap(), r#"{"kind":"engine_resumed","by":"ann"}"#);
    }
}
