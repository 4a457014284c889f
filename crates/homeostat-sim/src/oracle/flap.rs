//! Flap: what comes and goes is left alone, by a penalty of our own.

use std::collections::BTreeMap;

use homeostat_core::ledger::Subject;
use homeostat_core::name::OrderId;
use homeostat_core::policy::Damping;
use homeostat_core::time::{Span, Timestamp};

use super::{Verdict, Violation};

/// What one flap adds, as the configuration's reference says; and so that a penalty never rises above so
/// many times `reuse`, of how many flaps it is counted, and how long they are remembered.
const PENALTY: f64 = 1_000.0;
const CEILING: f64 = 16.0;
const COUNTED: usize = 16;
const MEMORY: Span = Span::from_secs(86_400);

/// How far two ways of counting may lie apart: what is closer to a limit is not judged.
const LEEWAY: f64 = 1.0;

/// The troubles of one target that began again.
#[derive(Debug, Clone)]
struct Flapping {
    touched_at: Timestamp,
    /// Whether a trouble ended, and none began since.
    over: bool,
    flaps: Vec<Timestamp>,
}

/// The troubles of all targets that ended at least once.
#[derive(Debug, Default)]
pub(super) struct Flaps(BTreeMap<Subject, Flapping>);

impl Flaps {
    /// An incident was let go, because all of its alerts had ended.
    pub(super) fn ends(&mut self, subject: &Subject, now: Timestamp) {
        self.touch(subject, now).over = true;
        self.forget(now);
    }

    /// An incident opens.
    pub(super) fn begins(&mut self, subject: &Subject, now: Timestamp) {
        if self.0.get(subject).is_some_and(|flapping| flapping.over) {
            self.again(subject, now);
        }
    }

    /// A trouble that had ended begins again.
    pub(super) fn again(&mut self, subject: &Subject, now: Timestamp) {
        let flapping = self.touch(subject, now);
        flapping.over = false;
        flapping.flaps.push(now);
        let surplus = flapping.flaps.len().saturating_sub(COUNTED);
        flapping.flaps.drain(..surplus);
        self.forget(now);
    }

    /// No order for a target that is certainly suppressed.
    pub(super) fn is_quiet(
        &self,
        subject: &Subject,
        damping: Option<Damping>,
        id: &OrderId,
        now: Timestamp,
    ) -> Verdict {
        let Some(damping) = damping else { return Ok(()) };
        let level = self.level(subject, damping, LEEWAY);
        let penalty = level.at(now, damping);
        if level.suppressed && penalty > f64::from(damping.reuse) + LEEWAY {
            let text = format!("order {id} for a target with a penalty of {penalty:.0}");
            return Err(Violation::new(now, "flap", text));
        }
        Ok(())
    }

    /// A hold is for a target that may be suppressed, until its penalty has fallen.
    pub(super) fn is_held_rightly(
        &self,
        subject: &Subject,
        damping: Option<Damping>,
        until: Timestamp,
        now: Timestamp,
    ) -> Verdict {
        let broken = |text: String| Err(Violation::new(now, "flap", text));
        let Some(damping) = damping else { return broken("flaps are not damped".to_owned()) };
        let level = self.level(subject, damping, -LEEWAY);
        let reuse = f64::from(damping.reuse);
        let before = level.at(until - Span::from_secs(2), damping);
        if !level.suppressed || before <= reuse - LEEWAY {
            let penalty = level.at(now, damping);
            return broken(format!("held until {until} with a penalty of {penalty:.0}"));
        }
        let then = level.at(until, damping);
        if until <= now || then > reuse + LEEWAY {
            return broken(format!("let go at {until} with a penalty of {then:.0}"));
        }
        Ok(())
    }

    fn level(&self, subject: &Subject, damping: Damping, leeway: f64) -> Level {
        let flaps = self.0.get(subject).map_or(&[][..], |flapping| &flapping.flaps);
        let (suppress, reuse) = (f64::from(damping.suppress), f64::from(damping.reuse));
        let mut level = Level { since: Timestamp::EPOCH, penalty: 0.0, suppressed: false };
        for flap in flaps {
            let left = level.at(*flap, damping);
            let penalty = (left + PENALTY).min(reuse * CEILING);
            let stays = level.suppressed && left > reuse + leeway;
            let suppressed = stays || penalty > suppress + leeway;
            level = Level { since: *flap, penalty, suppressed };
        }
        level
    }

    fn touch(&mut self, subject: &Subject, now: Timestamp) -> &mut Flapping {
        let new = || Flapping { touched_at: now, over: false, flaps: Vec::new() };
        let flapping = self.0.entry(subject.clone()).or_insert_with(new);
        flapping.touched_at = now;
        flapping.flaps.retain(|flap| now.since(*flap) <= MEMORY);
        flapping
    }

    fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, flapping| now.since(flapping.touched_at) <= MEMORY);
    }
}

/// A penalty right after the last flap.
#[derive(Debug, Clone, Copy)]
struct Level {
    since: Timestamp,
    penalty: f64,
    suppressed: bool,
}

impl Level {
    fn at(self, now: Timestamp, damping: Damping) -> f64 {
        let lives = now.since(self.since).as_secs_f64() / damping.half_life.as_secs_f64();
        self.penalty * (-lives).exp2()
    }
}
