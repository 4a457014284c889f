//! Who waits for the answer to a part of a group, and how each is answered.

use std::ops::Range;

use homeostat_core::command::Reply;
use homeostat_core::event::Remark;
use homeostat_core::label::LabelSet;
use tokio::sync::oneshot;

use crate::queue::{Accounted, Busy, Firing, Request};

/// Who waits for the answer to a part of a group.
pub(super) enum Waiting {
    /// A sender of observations: which events of the group are theirs.
    Observations {
        events: Range<usize>,
        new_alerts: usize,
        answer: oneshot::Sender<Result<Vec<Remark>, Busy>>,
    },
    /// An operator: which event of the group is theirs.
    Command {
        event: usize,
        answer: oneshot::Sender<Result<Option<Reply>, Busy>>,
    },
    Reload {
        answer: oneshot::Sender<Result<(), Busy>>,
    },
    /// Somebody who asks what the guards have counted.
    Account {
        labels: LabelSet,
        annotations: LabelSet,
        answer: oneshot::Sender<Result<Accounted, Busy>>,
    },
    /// Somebody who asks what fires.
    Firing {
        answer: oneshot::Sender<Result<Firing, Busy>>,
    },
}

impl Waiting {
    /// Who waits for a request of which nothing is taken.
    pub(super) fn of(request: Request) -> Option<Self> {
        match request {
            Request::Observe { answer, .. } => {
                Some(Self::Observations { events: 0..0, new_alerts: 0, answer })
            }
            Request::Command { answer, .. } => Some(Self::Command { event: 0, answer }),
            Request::Reload { answer, .. } => Some(Self::Reload { answer }),
            Request::Account { labels, annotations, answer } => {
                Some(Self::Account { labels, annotations, answer })
            }
            Request::Firing { answer } => Some(Self::Firing { answer }),
            Request::Tell(_) | Request::Stop => None,
        }
    }

    /// How many alerts it would have begin to fire.
    pub(super) fn new_alerts(&self) -> usize {
        match self {
            Self::Observations { new_alerts, .. } => *new_alerts,
            Self::Command { .. }
            | Self::Reload { .. }
            | Self::Account { .. }
            | Self::Firing { .. } => 0,
        }
    }
}

/// Tells each what its part of the group came to, once that is committed.
pub(super) fn answer(
    waiting: Vec<Waiting>,
    remarks: &[Option<Remark>],
    mut replies: Vec<Option<Reply>>,
    account: impl Fn(&LabelSet, &LabelSet) -> Accounted,
    firing: impl Fn() -> Firing,
) {
    let mut readers = Vec::new();
    let mut lookers = Vec::new();
    for one in waiting {
        // A sender that has gone needs no answer: it will send again.
        match one {
            Waiting::Observations { events, answer, .. } => {
                drop(answer.send(Ok(remarks[events].iter().copied().flatten().collect())));
            }
            Waiting::Command { event, answer } => drop(answer.send(Ok(replies[event].take()))),
            Waiting::Reload { answer } => drop(answer.send(Ok(()))),
            Waiting::Account { labels, annotations, answer } => {
                readers.push((labels, annotations, answer));
            }
            Waiting::Firing { answer } => lookers.push(answer),
        }
    }
    // Nobody who told us something waits for those who only read.
    for (labels, annotations, answer) in readers {
        if !answer.is_closed() {
            drop(answer.send(Ok(account(&labels, &annotations))));
        }
    }
    for answer in lookers {
        if !answer.is_closed() {
            drop(answer.send(Ok(firing())));
        }
    }
}

/// Tells all that nothing was taken.
pub(super) fn refuse(waiting: impl IntoIterator<Item = Waiting>, busy: Busy) {
    for one in waiting {
        match one {
            Waiting::Observations { answer, .. } => drop(answer.send(Err(busy))),
            Waiting::Command { answer, .. } => drop(answer.send(Err(busy))),
            Waiting::Reload { answer } => drop(answer.send(Err(busy))),
            Waiting::Account { answer, .. } => drop(answer.send(Err(busy))),
            Waiting::Firing { answer } => drop(answer.send(Err(busy))),
        }
    }
}
