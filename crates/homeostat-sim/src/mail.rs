//! How the truth becomes notifications: late, doubled, reordered, lost, and repeated.

use std::sync::Arc;

use homeostat_core::alert::{Door, Observation, Status};
use homeostat_core::time::{Span, Timestamp};

use crate::cast::Part;
use crate::random::{Dice, Fate};
use crate::script::Manners;

/// How long the word of the alerts API is to be believed: four intervals, as Prometheus says.
const BELIEVED: u64 = 4;

/// A notification under way.
pub type Letter = (Timestamp, Observation);

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
        part: usize,
        since: Timestamp,
        (generation, count): (u64, u64),
        (now, wall): (Timestamp, Timestamp),
    ) -> Vec<Letter> {
        let mut dice = self.fate.of("firing", &[part as u64, generation, count]);
        let who = &self.cast[part];
        match who.alert.door {
            Door::Api => {
                let believed = self.manners.repeat.saturating_mul(BELIEVED);
                let tells = who.tells(Status::Firing, since, Some(wall + believed));
                self.post(&mut dice, now, &tells)
            }
            Door::Webhook => {
                let wait = if count == 0 { self.manners.group_wait } else { Span::ZERO };
                // A Prometheus that restarts forgets since when an alert fires.
                let forgot = count > 0 && dice.percent(3);
                let since = if forgot { wall - Span::from_secs(5) } else { since };
                self.post(&mut dice, now + wait, &who.tells(Status::Firing, since, None))
            }
        }
    }

    /// What is sent of a part that recovered.
    pub fn resolved(
        &self,
        part: usize,
        (since, generation): (Timestamp, u64),
        (now, wall): (Timestamp, Timestamp),
    ) -> Vec<Letter> {
        let mut dice = self.fate.of("resolved", &[part as u64, generation]);
        let tells = self.cast[part].tells(Status::Resolved, since, Some(wall));
        let wait = dice.seconds(0, 30);
        let mut letters = self.post(&mut dice, now + wait, &tells);
        if self.cast[part].alert.door == Door::Api {
            letters.extend(self.post(&mut dice, now + Span::from_secs(60), &tells));
        }
        letters
    }

    /// An old notification that comes once more.
    pub fn stray(&self, part: usize, since: Timestamp) -> Observation {
        let who = &self.cast[part];
        let ends_at = match who.alert.door {
            Door::Api => Some(since + self.manners.repeat.saturating_mul(BELIEVED)),
            Door::Webhook => None,
        };
        who.tells(Status::Firing, since, ends_at)
    }

    fn post(&self, dice: &mut Dice, at: Timestamp, tells: &Observation) -> Vec<Letter> {
        let peers = if dice.percent(self.manners.doubled) { 2 } else { 1 };
        let mut letters = Vec::new();
        for peer in 0..peers {
            let apart = if peer == 0 { Span::ZERO } else { dice.seconds(0, 15) };
            let late =
                if dice.percent(self.manners.late) { dice.seconds(30, 600) } else { Span::ZERO };
            if !dice.percent(self.manners.lost) {
                letters.push((at + apart + late, tells.clone()));
            }
        }
        letters
    }
}
