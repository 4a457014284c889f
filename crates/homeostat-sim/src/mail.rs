//! How the truth becomes notifications: late, doubled, reordered, lost, and repeated.

use std::sync::Arc;

use homeostat_core::alert::{Door, Observation, Status};
use homeostat_core::time::{Span, Timestamp};

use crate::cast::Part;
use crate::health::Spell;
use crate::random::{Dice, Fate};
use crate::script::Manners;

/// How long the word of the alerts API is to be believed: four intervals, as Prometheus says.
const BELIEVED: u64 = 4;

/// A notification under way.
pub type Letter = (Timestamp, Vec<Observation>);

/// Sends what the sources of a cast send.
#[derive(Debug)]
pub struct Mail {
    cast: Arc<[Part]>,
    manners: Manners,
    fate: Fate,
}

impl Mail {
    /// Opens the office.
    pub fn new(cast: Arc<[Part]>, manners: Manners, seed: u64) -> Self {
        Self { cast, manners, fate: Fate::new(seed) }
    }

    /// Loses and delays nothing from now on.
    pub fn calm(&mut self) {
        self.manners.lost = 0;
        self.manners.late = 0;
    }

    /// Time between repeats.
    pub fn repeat(&self) -> Span {
        self.manners.repeat
    }

    /// What is sent of a firing part, for the first time (`count` 0) or again. Stamps are by the wall
    /// clock, and so is `since`.
    pub fn firing(
        &self,
        (part, value): (usize, u64),
        since: Timestamp,
        (generation, count): (u64, u64),
        (now, wall): (Timestamp, Timestamp),
    ) -> Vec<Letter> {
        let mut dice = self.fate.of("firing", &[part as u64, generation, count]);
        let who = &self.cast[part];
        match who.alert.door {
            Door::Api => {
                let tells = who.tells(Status::Firing, value, since, Some(wall + self.believed()));
                self.post(&mut dice, now, &[tells])
            }
            Door::Webhook => {
                let wait = if count == 0 { self.manners.group_wait } else { Span::ZERO };
                // A Prometheus that restarts forgets since when an alert fires.
                let forgot = count > 0 && dice.percent(3);
                let since = if forgot { wall - Span::from_secs(5) } else { since };
                let tells = who.tells(Status::Firing, value, since, None);
                self.post(&mut dice, now + wait, &[tells])
            }
        }
    }

    /// What is sent of a part that fires no more, if that is told.
    pub fn resolved(
        &self,
        (part, spell): (usize, &Spell),
        (since, number): (Timestamp, u64),
        (now, wall): (Timestamp, Timestamp),
    ) -> Vec<Letter> {
        let mut dice = self.fate.of("resolved", &[part as u64, number]);
        let who = &self.cast[part];
        let tells = who.tells(Status::Resolved, spell.value, since, Some(wall));
        let wait = dice.seconds(0, 30);
        if who.alert.door == Door::Webhook && !self.manners.tells_resolved {
            return Vec::new();
        }
        let mut letters = self.post(&mut dice, now + wait, std::slice::from_ref(&tells));
        if who.alert.door == Door::Api {
            letters.extend(self.post(&mut dice, now + Span::from_secs(60), &[tells]));
        }
        letters
    }

    /// What is sent of a part that fires on with other labels: both in one notification, in one order
    /// or the other.
    pub fn changed(
        &self,
        (part, before, value): (usize, &Spell, u64),
        (since, number): (Timestamp, u64),
        (now, wall): (Timestamp, Timestamp),
    ) -> Vec<Letter> {
        let mut dice = self.fate.of("changed", &[part as u64, number]);
        let who = &self.cast[part];
        let ends = (who.alert.door == Door::Api).then(|| wall + self.believed());
        let fires = who.tells(Status::Firing, value, wall, ends);
        let mut tells = vec![fires];
        if who.alert.door == Door::Api || self.manners.tells_resolved {
            let over = who.tells(Status::Resolved, before.value, since, Some(wall));
            tells.insert(usize::from(dice.percent(50)), over);
        }
        let wait = dice.seconds(0, 30);
        self.post(&mut dice, now + wait, &tells)
    }

    /// What is sent by a source that does not know any more whether a part fires.
    pub fn gave_up(
        &self,
        (part, spell): (usize, &Spell),
        (since, number): (Timestamp, u64),
        (now, wall): (Timestamp, Timestamp),
    ) -> Vec<Letter> {
        let mut dice = self.fate.of("gave up", &[part as u64, number]);
        let why = *dice.pick(&["NoData", "MissingSeries", "Paused", "RuleDeleted", "Error"]);
        let tells = self.cast[part].gives_up(spell.value, since, wall, why);
        let wait = dice.seconds(0, 30);
        self.post(&mut dice, now + wait, &[tells])
    }

    /// An old notification that comes once more.
    pub fn stray(&self, part: usize, (since, value): (Timestamp, u64)) -> Observation {
        let who = &self.cast[part];
        let ends_at = match who.alert.door {
            Door::Api => Some(since + self.believed()),
            Door::Webhook => None,
        };
        who.tells(Status::Firing, value, since, ends_at)
    }

    fn believed(&self) -> Span {
        self.manners.repeat.saturating_mul(BELIEVED)
    }

    fn post(&self, dice: &mut Dice, at: Timestamp, tells: &[Observation]) -> Vec<Letter> {
        let peers = if dice.percent(self.manners.doubled) { 2 } else { 1 };
        let mut letters = Vec::new();
        for peer in 0..peers {
            let apart = if peer == 0 { Span::ZERO } else { dice.seconds(0, 15) };
            let late =
                if dice.percent(self.manners.late) { dice.seconds(30, 600) } else { Span::ZERO };
            if !dice.percent(self.manners.lost) {
                letters.push((at + apart + late, tells.to_vec()));
            }
        }
        letters
    }
}
