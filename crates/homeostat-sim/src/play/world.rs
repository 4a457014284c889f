//! What the world does by itself: faults, the rules that see them, and the sources that tell of them.

use homeostat_core::time::{Span, Timestamp};

use super::{Happening, Play};
use crate::cast::NAMES;
use crate::print::Line;
use crate::script::Honesty;
use crate::world::Turn;

/// When an Alertmanager takes what nobody tells it any more for resolved.
const BELIEVED_FOR: Span = Span::from_secs(240);

impl Play<'_> {
    pub(super) fn break_down(&mut self, part: usize, lasts: Option<Span>) {
        if self.well {
            return;
        }
        let Some(generation) = self.world.break_down(part, self.now) else { return };
        self.oracle.truth.break_down(part, self.now);
        let (at, script) = (self.since_begin(), self.script);
        self.write(|| Line::truth(at, &script.cast[part], true));
        if let Some(lasts) = lasts {
            self.post(self.now + lasts, Happening::Recovers { part, generation });
        }
        self.see(part);
    }

    pub(super) fn mend(&mut self, part: usize) {
        if !self.world.mend(part, self.now) {
            return;
        }
        self.oracle.truth.mend(part, self.now);
        let (at, script) = (self.since_begin(), self.script);
        self.write(|| Line::truth(at, &script.cast[part], false));
        self.see(part);
    }

    /// Heals all on an instance, perhaps by taking it away, perhaps for a while only.
    pub(super) fn cure(&mut self, instance: &str, removes: bool, heals_for: Option<Span>) {
        for part in self.world.on_instance(instance) {
            let was_ill = self.world.faulty_since(part).is_some();
            self.mend(part);
            if removes && !self.calm {
                self.oracle.met.count("cure that takes its target away");
                self.vanish(part, true);
            }
            if let Some(heals_for) = heals_for.filter(|_| was_ill) {
                self.oracle.met.count("cure for a while");
                self.post(self.now + heals_for, Happening::Turns { part, ill: true });
            }
        }
    }

    /// Lets a target vanish with its series, or come back.
    pub(super) fn vanish(&mut self, part: usize, gone: bool) {
        if gone && (self.calm || self.script.cast[part].homes.is_empty()) {
            return;
        }
        if self.world.vanish(part, gone, self.now) {
            self.oracle.truth.vanish(part, gone, self.now);
            if gone {
                self.oracle.met.count("target that vanished");
            }
            let at = self.since_begin();
            self.write(|| Line::remark(at, if gone { "a target vanishes" } else { "and is back" }));
            self.see(part);
        }
    }

    pub(super) fn change_value(&mut self, part: usize) {
        self.world.change_value(part);
        self.see(part);
    }

    /// Lets all rules of a part see what is so now, when they are evaluated next.
    fn see(&mut self, part: usize) {
        let homes = self.script.cast[part].homes.len();
        for place in 0..homes {
            let at = self.world.evaluates(part, place, self.now);
            self.post(at, Happening::Evaluates { part, place });
        }
        if homes == 0 {
            self.follow(part);
        }
    }

    pub(super) fn evaluate(&mut self, part: usize, place: usize) {
        if let Some(again) = self.world.evaluate(part, place, self.now) {
            let moment = Span::from_micros(1);
            let at = self.world.evaluates(part, place, again.max(self.now + moment));
            self.post(at, Happening::Evaluates { part, place });
        }
        self.follow(part);
    }

    /// Lets the source of a part tell what is new.
    fn follow(&mut self, part: usize) {
        let Some(turn) = self.world.follow(part, self.now) else { return };
        self.oracle.truth.tells(part, self.world.told(part).is_some(), self.now);
        let number = self.now.micros().unsigned_abs();
        match turn {
            Turn::Begins => self.tell(part, number, 0),
            Turn::Ends(spell) => {
                let since = self.world.clocks.wall(spell.from);
                let letters = self.mail.resolved((part, &spell), (since, number), self.times());
                self.send(letters);
            }
            Turn::Changes(spell) => {
                self.oracle.met.count("labels that changed");
                let since = self.world.clocks.wall(spell.from);
                let value = self.world.told(part).map_or(0, |spell| spell.value);
                let changed = (part, &spell, value);
                let letters = self.mail.changed(changed, (since, number), self.times());
                self.send(letters);
                self.plan_repeat(part, number, 0);
            }
        }
    }

    fn send(&mut self, letters: Vec<crate::mail::Letter>) {
        for (at, observations) in letters {
            self.post(at, Happening::Arrives(observations));
        }
    }

    /// Sends that a part fires, and plans the repeat. A firing is told apart by when it began.
    pub(super) fn tell(&mut self, part: usize, generation: u64, count: u64) {
        let Some(since) = self.world.fires_since(part) else { return };
        let Some(value) = self.world.told(part).map(|spell| spell.value) else { return };
        let told = (part, value);
        let letters = self.mail.firing(told, since, (generation, count), self.times());
        self.send(letters);
        self.plan_repeat(part, generation, count);
    }

    fn plan_repeat(&mut self, part: usize, generation: u64, count: u64) {
        let again = Happening::Repeats { part, generation, count: count + 1 };
        self.post(self.now + self.mail.repeat(), again);
    }

    /// A firing goes on that is told apart by this.
    pub(super) fn fires_on(&self, part: usize, generation: u64) -> bool {
        let told = self.world.told(part);
        told.is_some_and(|spell| spell.from.micros().unsigned_abs() == generation)
    }

    /// A Prometheus changes its ways.
    pub(super) fn behave(&mut self, prom: usize, honesty: Honesty) {
        let before = self.world.way(prom);
        if self.calm && honesty != Honesty::True {
            return;
        }
        self.world.behaves(prom, honesty, self.now);
        self.oracle.truth.behaves(prom, honesty);
        if !honesty.evaluates() {
            self.oracle.met.count("Prometheus that died, or skips evaluations");
            let since = self.now;
            self.post(self.now + BELIEVED_FOR, Happening::Buried { prom, since });
        }
        if !before.evaluates() && honesty.evaluates() {
            for part in self.world.fired_by(prom) {
                self.follow(part);
                self.see(part);
            }
        }
    }

    /// What a Prometheus that is gone has told, nobody tells any more.
    pub(super) fn bury(&mut self, prom: usize, since: Timestamp) {
        if self.world.bury(prom, since) {
            for part in self.world.fired_by(prom) {
                if self.world.told(part).is_some() {
                    self.oracle.met.count("alert of a Prometheus that is gone");
                }
                self.follow(part);
            }
        }
    }

    pub(super) fn replace_rule(&mut self, prom: usize, rule: usize) {
        if !self.calm {
            self.oracle.met.count("rule that was replaced");
            self.world.replace_rule(prom, NAMES[rule]);
            self.oracle.truth.replaces_rule(self.now);
        }
    }

    /// An Alertmanager was not told of a part for too long, though it fires on.
    pub(super) fn time_out(&mut self, part: usize, after: Span, later: bool) {
        let Some(spell) = self.world.told(part).copied().filter(|_| !self.calm) else { return };
        self.oracle.met.count("alert that timed out");
        self.world.mute(part, true);
        self.follow(part);
        self.world.began_at(part, (!later).then_some(spell.from));
        self.post(self.now + after, Happening::Speaks { part });
    }

    /// The source of a part does not know any more whether it fires, and says so.
    pub(super) fn give_up(&mut self, part: usize, after: Span) {
        let Some(spell) = self.world.told(part).copied().filter(|_| !self.calm) else { return };
        self.oracle.met.count("resolve that proves nothing");
        self.world.mute(part, true);
        // What is told is not that it is over.
        let number = self.now.micros().unsigned_abs();
        let since = self.world.clocks.wall(spell.from);
        let letters = self.mail.gave_up((part, &spell), (since, number), self.times());
        self.send(letters);
        self.world.follow(part, self.now);
        self.oracle.truth.tells(part, false, self.now);
        self.post(self.now + after, Happening::Speaks { part });
    }

    pub(super) fn speak(&mut self, part: usize) {
        self.world.mute(part, false);
        self.follow(part);
    }
}
