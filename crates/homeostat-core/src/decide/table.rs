//! What each event means in each stage of an incident: the one table, consulted by all that decide.
//!
//! An incident whose order made something else worse passes the same stages once more, for the undo:
//! then only what is pursued differs, and what ends its alerts moves it no more.
//!
//! Recover: all alerts ended by themselves. A verification that finds the alert still firing
//! climbs to the next remedy; one that knows nothing hands over to a person; one whose rules may only
//! remember goes on. A notification is judged whole: what its ends lead to is decided after all of it
//! (`engine`).

use crate::command::Command;
use crate::incident::StageKind;

/// What an event is to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// What it waits for in its stage is due.
    Alarm,
    /// What a person has approved came to nothing in its time.
    Unused,
    /// Its next step is due, because its alerts have ended or a gate has opened.
    Due,
    /// Its question is answered.
    Answer,
    /// Its run says how far it is.
    Progress,
    /// Its run is over, or lost.
    RunOver,
    /// Its order certainly did not start.
    NotStarted,
    /// The last of its alerts has resolved, and its policy wants runs to end then.
    Resolved,
    /// An operator commands something.
    Command(Command),
    /// The configuration changed.
    Reloaded,
    /// The wall clock jumped.
    Jumped,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Alarm,
        Self::Unused,
        Self::Due,
        Self::Answer,
        Self::Progress,
        Self::RunOver,
        Self::NotStarted,
        Self::Resolved,
        Self::Command(Command::Approve),
        Self::Command(Command::Reject),
        Self::Command(Command::Cancel),
        Self::Command(Command::Retry),
        Self::Reloaded,
        Self::Jumped,
    ];
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// The next order is pursued: closed, asked about, held, or issued.
    Pursue,
    /// It is held, because nobody answered.
    HoldUnanswered,
    /// It has recovered, or is proven, if all of its alerts have ended.
    Recover,
    /// A person has it: nobody answered whether its order may run.
    Expire,
    /// A person has it: nobody knows how long a question or an approval has waited.
    Void,
    /// A look is taken, missed or concluded from.
    Look,
    /// A look is read.
    Read,
    /// It closes as healed, if that is proven.
    Heal,
    /// A person has it: nobody knows whether it was undone.
    GiveUp,
    /// What a run says is noted.
    Note,
    /// It is verified, retried, climbed from, or closed.
    Follow,
    /// The order waits to be permitted anew.
    Return,
    /// The run is told to end.
    EndRun,
    /// All guards judge again what a person agreed to.
    Approve,
    /// It closes as rejected.
    Reject,
    /// It closes as cancelled, unless a run of it may go on.
    Cancel,
    /// It ends what people are told.
    Hush,
    /// Another one opens for what still fires.
    OpenAnother,
    /// The operator is told why not.
    Refuse,
    /// What was asked is void, where something else would be done now.
    Review,
    /// Shadows are judged, and what was left open is looked after.
    LookAfter,
    /// What was left open is read.
    ReadAfter,
    /// It is forgotten, or a person is told that sight of it is lost.
    Settle,
}

/// Tells what an event means in a stage.
#[expect(clippy::match_same_arms, reason = "a table is read row by row")]
pub const fn step(moment: Moment, stage: StageKind) -> Step {
    use Command::{Approve, Cancel, Reject, Retry};
    use Moment::{
        Alarm, Answer, Due, Jumped, NotStarted, Progress, Reloaded, Resolved, RunOver, Unused,
    };
    use StageKind::{
        Acting, Asking, AwaitingApproval, BackingOff, Closed, Held, Lost, Ready, Settling,
        Verifying,
    };
    match (moment, stage) {
        (Alarm, Settling | Held | BackingOff) => Step::Pursue,
        (Alarm, Asking) => Step::HoldUnanswered,
        (Alarm, AwaitingApproval) => Step::Expire,
        (Alarm, Verifying) => Step::Look,
        (Alarm, Lost) => Step::GiveUp,
        (Alarm, Closed) => Step::LookAfter,
        (Unused, Settling | Ready | Asking | Held | BackingOff) => Step::Pursue,
        (Due, Ready | Held | BackingOff) => Step::Pursue,
        (Due, Settling | Asking | AwaitingApproval) => Step::Recover,
        (Due, Verifying) => Step::Heal,
        (Due, Closed) => Step::Settle,
        (Answer, Asking) => Step::Pursue,
        (Answer, Verifying) => Step::Read,
        (Answer, Closed) => Step::ReadAfter,
        (Progress, Acting) => Step::Note,
        (RunOver, Acting) => Step::Follow,
        (NotStarted, Acting) => Step::Return,
        (Resolved | Moment::Command(Cancel), Acting) => Step::EndRun,
        (Moment::Command(Approve), AwaitingApproval) => Step::Approve,
        (Moment::Command(Reject), AwaitingApproval) => Step::Reject,
        (Moment::Command(Cancel), Closed) => Step::Hush,
        (Moment::Command(Cancel), _) => Step::Cancel,
        (Moment::Command(Retry), Closed) => Step::OpenAnother,
        (Moment::Command(Approve | Reject | Retry), _) => Step::Refuse,
        (Reloaded, AwaitingApproval) => Step::Review,
        (Jumped, Settling | Ready | Asking | Held | BackingOff | AwaitingApproval) => Step::Void,
        (Alarm | Unused | Due | Answer | Progress, _) => Step::Nothing,
        (RunOver | NotStarted | Resolved | Reloaded | Jumped, _) => Step::Nothing,
    }
}
