//! What is to become of an incident: what the leaves return, and nothing else is written about it.

use crate::approval::Asked;
use crate::evidence::Ask;
use crate::guard::{Grant, Weather};
use crate::healing::{Healing, Reading, Verification};
use crate::hold::Hold;
use crate::incident::Cause;
use crate::name::{OrderId, Part, RemedyName};
use crate::order::Order;
use crate::plan::Rendered;
use crate::shadow::{Shadow, Worth};
use crate::time::{Span, Timestamp};
use crate::why::Why;

/// One step of what is to become of it.
#[derive(Debug)]
pub(super) enum Next {
    /// Witnesses are asked.
    Ask(Vec<Ask>),
    /// What evidence says of its policy as a whole is told.
    Survey { weather: Weather, holds: Vec<Hold> },
    /// Guards hold the next order.
    Hold(Held),
    /// A person is asked whether the next order may run.
    AskAPerson { asked: Asked, grants: Vec<Grant>, why: Why },
    /// Nobody need answer that any more.
    Withdraw,
    /// What was asked or approved is void.
    Void(String),
    /// The next order runs.
    Issue(Box<Order>),
    /// The next remedy is recorded instead of run.
    Record(Box<Recorded>),
    /// It is known what a record was worth.
    Judge(Shadow, Worth),
    /// A known failure is tried again then.
    BackOff(Timestamp),
    /// A remedy is done with.
    Climb { remedy: RemedyName, reason: String },
    /// The healing is proven, or the end of an undo is awaited.
    Verify { until: Timestamp, look: Option<Timestamp>, resolved: bool },
    /// A look found this.
    See { reading: Reading, next: Timestamp },
    /// The proof is awaited for longer.
    Prolong(Timestamp),
    /// The last order made something else worse.
    Worsen { order: OrderId, text: String },
    /// A person is told, by the way of its policy, though it goes on.
    Tell(String),
    /// It ends.
    Close(Ending),
    /// What it left open when it closed is looked after again, if at all.
    LookAfter { text: String, next: Option<Timestamp> },
    /// It did not hold: its relapse opens.
    Relapse,
    /// It is forgotten.
    Release,
    /// A person was told of it, and nothing is heard of its alerts any more.
    LoseSight,
}

/// What is held, and by whom.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) remedy: RemedyName,
    pub(super) part: Part,
    pub(super) holds: Vec<Hold>,
    /// What the other guards say, where that was not told before.
    pub(super) grants: Vec<Grant>,
    /// When it is judged again.
    pub(super) until: Option<Timestamp>,
    pub(super) why: Why,
}

/// What a remedy in shadow would do.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) remedy: RemedyName,
    pub(super) action: Rendered,
    pub(super) holds: Vec<Hold>,
    pub(super) grants: Vec<Grant>,
    pub(super) why: Why,
    /// The time that its healing would have.
    pub(super) window: Span,
}

/// How it ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// As proven.
    Healed(Box<Verification>, Healing),
    /// By itself, before any order ran.
    Recovered,
    /// What would have been done is recorded.
    Recorded(String),
    /// A person has it.
    HandedOver(Cause, String),
    /// A person said so: nobody is told, because somebody knows.
    Dismissed(Cause, String),
    /// Its policy is gone.
    Orphaned,
}
