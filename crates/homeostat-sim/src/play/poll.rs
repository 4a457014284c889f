//! What notifications lose, polls find: an Alertmanager is asked each minute for all that it lists.

use homeostat_core::alert::Status;
use homeostat_core::event::Event;
use homeostat_core::evidence::Trouble;
use homeostat_core::limits::POLL_EVERY;
use homeostat_core::name::SourceName;
use homeostat_core::poll::{Occasion, Poll};
use homeostat_core::time::{Span, Timestamp};

use super::{Happening, Play};
use crate::cast::MAIN;
use crate::script::{Honesty, World};

/// When one that does not answer is given up.
const GIVEN_UP: Span = Span::from_secs(10);

impl Play<'_> {
    /// Asks, if it is configured, and plans the next turn; once all is well there is none.
    pub(super) fn poll(&mut self, life: u32) {
        let source = SourceName::new(MAIN);
        let asked = self.book.witnesses.alertmanagers.contains(&source);
        let over = self.well && self.folded.all_firing().next().is_none();
        // Where no notification is lost there is nothing to find.
        let needless = self.script.world == World::Kind;
        if life != self.life || !asked || over || needless {
            return;
        }
        self.post(self.now + POLL_EVERY, Happening::Polls { life });
        let honesty = self.world.alertmanager;
        let mut dice = self.fate.of("poll", &[self.now.micros().unsigned_abs()]);
        let wait = match honesty {
            Honesty::Slow => dice.seconds(2, 45),
            Honesty::Mute => GIVEN_UP,
            _ => Span::from_millis(dice.below(1_500)),
        };
        let said = match honesty {
            Honesty::Mute => Err(Trouble("no answer in time".into())),
            _ => self.world.poll(&source, self.now),
        };
        let (said, parts) = match said {
            Ok((roll, parts)) => (Ok(roll), parts),
            Err(trouble) => (Err(trouble), Vec::new()),
        };
        let prompted = dice.percent(5);
        let occasion = if prompted { Occasion::Prompted } else { Occasion::Due };
        let poll = Box::new(Poll { source, asked_at: self.shown(), occasion, said });
        let since = |(part, value): (usize, u64)| {
            let fingerprint = self.script.cast[part].alert(value).fingerprint;
            Some((part, value, poll.lists(fingerprint)?))
        };
        let parts = parts.into_iter().filter_map(since).collect();
        self.post(self.now + wait, Happening::Lists { life, poll, parts });
    }

    /// What is listed is observed like a notification; who is there, core compares with what it knows.
    pub(super) fn list(
        &mut self,
        mut poll: Box<Poll>,
        parts: Vec<(usize, u64, Timestamp)>,
        events: &mut Vec<Event>,
    ) {
        self.oracle.met.count("poll");
        if self.writable {
            for (part, value, since) in parts {
                let who = &self.script.cast[part];
                let observation = who.tells(Status::Firing, value, since, None);
                events.push(Event::observed(observation));
            }
        } else if !parts.is_empty() {
            // What was found and not taken was not mentioned: its absence later must not count.
            poll.said = Err(Trouble("the journal cannot be written".into()));
        }
        events.push(Event::Polled(poll));
    }
}
