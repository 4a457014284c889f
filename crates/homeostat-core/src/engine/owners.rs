//! Which alerts' owners are being asked for at the moment.
//!
//! What is to be asked is in the state; that a question is under way is not: whoever starts anew asks
//! again. So few are under way at once that each is answered in its time, however many wait.

use std::collections::BTreeMap;

use super::{Engine, Turn};
use crate::event::Event;
use crate::evidence::{Ask, Evidence, Finding, Trouble};
use crate::limits;
use crate::name::EpisodeId;
use crate::time::Timestamp;

/// Questions that are under way, and since when.
pub(super) type UnderWay = BTreeMap<EpisodeId, Timestamp>;

impl Engine {
    /// Returns when an owner is to be asked for, or it is too late for that.
    pub(super) fn next_owner(&self) -> Option<Timestamp> {
        let late = self.state.first_owner_late().map(|(at, _)| at);
        let unanswered = self.owners.values().min().map(|at| *at + limits::ANSWER_PATIENCE);
        let due = self.first_owner_due().map(|(at, _)| at);
        [late, unanswered, due].into_iter().flatten().min()
    }

    /// The first that is to be asked for, where there is room for one more question.
    fn first_owner_due(&self) -> Option<(Timestamp, EpisodeId)> {
        let has_room = self.owners.len() < limits::OWNERS_ASKED;
        let mut due = self.state.owners_due().filter(|(_, id)| !self.owners.contains_key(id));
        due.next().filter(|_| has_room)
    }

    /// Asks for the owners that are due, and gives up those for which it is too late.
    pub(super) fn ask_owners(&mut self, now: Timestamp, turn: &mut Turn) {
        self.miss_answers(now, turn);
        for _ in 0..limits::PURSUED_PER_TURN {
            let late = self.state.first_owner_late().filter(|(at, _)| *at <= now);
            let due = self.first_owner_due().filter(|(at, _)| *at <= now);
            let Some((_, id)) = late.or(due) else { return };
            let asked = turn.effects.len();
            self.step(Event::OwnerDue(id), now, turn);
            if turn.effects.len() > asked {
                self.owners.insert(id, now);
            }
        }
    }

    /// What nobody has answered in time makes room for others, and has its next turn later.
    fn miss_answers(&mut self, now: Timestamp, turn: &mut Turn) {
        let is_late = |at: &Timestamp| *at + limits::ANSWER_PATIENCE <= now;
        let late: Vec<EpisodeId> =
            self.owners.iter().filter(|(_, at)| is_late(at)).map(|(id, _)| *id).collect();
        for episode in late {
            let known = self.state.episode(episode).into_iter().flat_map(|known| &known.owners);
            let found = known.map(|known| {
                let trouble = Trouble("there was no answer".to_owned());
                (Ask::Owner { of: known.of.clone() }, Finding::Owner(Err(trouble)))
            });
            let evidence = Evidence { found: found.collect(), gathered_at: now };
            self.step(Event::OwnerTold { episode, evidence }, now, turn);
        }
    }
}
