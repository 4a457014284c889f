//! That nothing may start, and that it may again: an operator's word about the whole engine.

use super::desk::Desk;
use crate::command::Reply;
use crate::fact::What;
use crate::ledger::Pause;
use crate::operator::Operator;

/// Lets nothing start. A pause of before is replaced, and its word is told to who replaces it.
pub(super) fn pause(desk: &mut Desk<'_>, by: Operator, reason: String) -> Reply {
    let before = match &desk.state.ledgers().paused {
        Some(Pause { by, reason, since }) => {
            format!("; it was paused before, by {by} since {since:.0}: {reason}")
        }
        None => String::new(),
    };
    desk.note(What::EnginePaused { pause: Pause { by, reason, since: desk.now } });
    Reply::Taken(format!("paused: no remedy starts until somebody resumes{before}"))
}

/// Lets remedies start again.
pub(super) fn resume(desk: &mut Desk<'_>, by: Operator, reason: String) -> Reply {
    if desk.state.ledgers().paused.is_none() {
        return Reply::Taken("nothing was paused".to_owned());
    }
    desk.note(What::EngineResumed { by, reason });
    Reply::Taken("resumed: what waits is judged anew".to_owned())
}
