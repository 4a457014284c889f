//! The one place where facts, effects and notices are written, as a decision grows.

use std::ops::Deref;

use super::table::{self, Moment, Step};
use super::view::View;
use crate::command::Reply;
use crate::event::{Effect, Remark};
use crate::fact::{Fact, What};
use crate::incident::{Incident, Running, Stage, StageKind, Told};
use crate::limits;
use crate::name::IncidentId;
use crate::notice::{Notice, Topic};

/// What one event leads to.
#[derive(Debug, Default)]
pub struct Decision {
    /// What happened, in order.
    pub facts: Vec<Fact>,
    /// What is wanted of the world.
    pub effects: Vec<Effect>,
    /// What an observation came to.
    pub remark: Option<Remark>,
    /// What a command about an incident came to.
    pub reply: Option<Reply>,
    /// Incidents whose next step is due once all this is applied, one after the other: each must
    /// see what the one before it took.
    pub woken: Vec<IncidentId>,
    /// Which places of the table it was made from.
    pub walked: Vec<(Moment, StageKind)>,
}

/// Everything a decision is made from, and the decision as it grows.
pub(super) struct Desk<'a> {
    view: View<'a>,
    pub(super) decision: Decision,
    /// Notices that this decision has raised on topics that were not open.
    raised: usize,
}

impl<'a> Deref for Desk<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl<'a> Desk<'a> {
    pub(super) fn new(view: View<'a>) -> Self {
        Self { view, decision: Decision::default(), raised: 0 }
    }

    pub(super) fn view(&self) -> View<'a> {
        self.view
    }

    pub(super) fn note(&mut self, what: What) {
        self.decision.facts.push(Fact { at: self.now, what });
    }

    pub(super) fn want(&mut self, effect: Effect) {
        self.decision.effects.push(effect);
    }

    /// Looks up what an event means to an incident where it stands.
    pub(super) fn step(&mut self, moment: Moment, incident: &Incident) -> Step {
        let stage = incident.stage.kind();
        self.decision.walked.push((moment, stage));
        table::step(moment, stage)
    }

    /// Tells a run to end before its time, once.
    pub(super) fn end_run(&mut self, incident: &Incident, reason: String) {
        if let (Stage::Acting(Running { told: Told::Nothing, .. }), Some(order)) =
            (&incident.stage, &incident.order)
        {
            self.note(What::OrderCancelled { order: order.id.clone(), reason });
            self.want(Effect::Cancel(order.id.clone()));
        }
    }

    /// Owes a notice to people. One about a topic that is open already takes its place, and goes on
    /// under the labels by which people know it.
    pub(super) fn raise(&mut self, notice: Notice) {
        let topic = notice.topic();
        let open = self.state.notices().len() + self.raised;
        let known = self.state.notice(&topic).map(|owed| &owed.notice);
        let notice = match self.just_raised(&topic).or(known) {
            Some(before) => notice.in_place_of(before),
            None => notice,
        };
        if known.is_none() {
            if open >= limits::OPEN_NOTICES {
                return self.note(What::NoticeWithheld { topic, open: open as u64 });
            }
            self.raised += 1;
        }
        self.note(What::NoticeRaised { notice: notice.clone() });
        self.want(Effect::Tell(Box::new(notice)));
    }

    /// Owes people the word that it is over, where they were owed a notice.
    pub(super) fn clear(&mut self, topic: Topic) {
        let owed = self.state.notice(&topic).filter(|owed| !owed.cleared).map(|owed| &owed.notice);
        if let Some(notice) = self.just_raised(&topic).or(owed).cloned() {
            self.note(What::NoticeCleared { topic });
            self.want(Effect::Clear(Box::new(notice)));
        }
    }

    /// Returns the notice on a topic that this very decision has raised.
    pub(super) fn just_raised(&self, topic: &Topic) -> Option<&Notice> {
        self.decision.facts.iter().rev().find_map(|fact| match &fact.what {
            What::NoticeRaised { notice } if notice.topic() == *topic => Some(notice),
            _ => None,
        })
    }
}
