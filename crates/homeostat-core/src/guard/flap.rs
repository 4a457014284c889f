//! Flap: a trouble that comes and goes is not healed again and again; a person should look at it.
//!
//! Rule: each flap adds [`limits::FLAP_PENALTY`] to the penalty of its target, which halves in each
//! half-life. When a flap raises it above `suppress` the target is suppressed, until the penalty has
//! fallen to `reuse`. The penalty never rises above `reuse·2⁴`, so that a target which stays quiet
//! is suppressed for at most four half-lives. What a flap is, [`crate::ledger::Flaps`] says.
//!
//! The penalty is computed from the moments of the flaps whenever it is asked for, in fixed point:
//! no float may round differently on another machine, because the end of the hold is written down.
//!
//! Source: RFC 2439, sections 4.2 and 4.8.

use serde::{Deserialize, Serialize};

use super::{Deed, Ruling};
use crate::hold::Hold;
use crate::ledger::Ledgers;
use crate::limits;
use crate::policy::Damping;
use crate::time::{Span, Timestamp};

pub(super) fn judge(deed: &Deed<'_>, ledgers: &Ledgers) -> Ruling {
    let Some(Penalized { flaps, penalty, suppress, reuse, until }) = penalized(deed, ledgers)
    else {
        return Ruling::Unset;
    };
    match until {
        Some(until) => Ruling::Hold(Hold::Flapping { flaps, penalty, suppress, reuse, until }),
        None => Ruling::Clear(format!("its penalty for flapping is {penalty}")),
    }
}

/// How a target flaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Penalized {
    /// How often its trouble began again, as far as that is remembered.
    pub flaps: u32,
    /// Its penalty now.
    pub penalty: u32,
    /// Above which penalty it is suppressed.
    pub suppress: u32,
    /// To what the penalty must fall.
    pub reuse: u32,
    /// Until when it is suppressed; `None` where it is not.
    #[serde(rename = "suppressed_until")]
    pub until: Option<Timestamp>,
}

/// Tells how a target flaps, where the policy damps that.
pub(super) fn penalized(deed: &Deed<'_>, ledgers: &Ledgers) -> Option<Penalized> {
    let damping = deed.policy.guard.flap?;
    let subject = (deed.policy.name.clone(), deed.target.clone());
    let flaps = ledgers.flaps.of(&subject);
    let level = Level::after(flaps, damping);
    Some(Penalized {
        flaps: u32::try_from(flaps.len()).unwrap_or(u32::MAX),
        penalty: whole(level.at(deed.now, damping)),
        suppress: damping.suppress,
        reuse: damping.reuse,
        until: level.suppressed_until(damping).filter(|until| *until > deed.now),
    })
}

/// A penalty in 65,536ths.
type Penalty = u64;

const PENALTY_BITS: u32 = 16;

fn fine(penalty: u32) -> Penalty {
    Penalty::from(penalty) << PENALTY_BITS
}

/// Rounds up, so that a penalty which still suppresses never prints as one that does not.
fn whole(penalty: Penalty) -> u32 {
    u32::try_from(penalty.div_ceil(1 << PENALTY_BITS)).unwrap_or(u32::MAX)
}

/// The penalty right after the last flap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level {
    at: Timestamp,
    penalty: Penalty,
    suppressed: bool,
}

impl Level {
    fn after(flaps: &[Timestamp], damping: Damping) -> Self {
        let reuse = fine(damping.reuse);
        let ceiling = reuse << limits::FLAP_HALF_LIVES;
        let start = Self { at: Timestamp::MIN, penalty: 0, suppressed: false };
        flaps.iter().fold(start, |level, &at| {
            let left = level.at(at, damping);
            let penalty = (left + fine(limits::FLAP_PENALTY)).min(ceiling);
            let still = level.suppressed && left > reuse;
            Self { at, penalty, suppressed: still || penalty > fine(damping.suppress) }
        })
    }

    fn at(self, now: Timestamp, damping: Damping) -> Penalty {
        decayed(self.penalty, now.since(self.at), damping.half_life)
    }

    /// The first full second after the last flap at which the penalty has fallen to `reuse`.
    fn suppressed_until(self, damping: Damping) -> Option<Timestamp> {
        let reuse = fine(damping.reuse);
        if !self.suppressed {
            return None;
        }
        let longest = damping.half_life.saturating_mul(u64::from(limits::FLAP_HALF_LIVES));
        let (mut early, mut late) = (0, longest.as_micros().div_ceil(1_000_000));
        while early < late {
            let middle = early.midpoint(late);
            if decayed(self.penalty, Span::from_secs(middle), damping.half_life) <= reuse {
                late = middle;
            } else {
                early = middle + 1;
            }
        }
        Some(self.at + Span::from_secs(late))
    }
}

/// How much of one is left after 1/2, 1/4, 1/8, … of a half-life, in 2⁻³²: each the square root of
/// the one before.
const ROOTS: [u64; 16] = {
    let mut roots = [0; 16];
    let mut root: u64 = 1 << 31;
    let mut place = 0;
    while place < roots.len() {
        root = (root << 32).isqrt();
        roots[place] = root;
        place += 1;
    }
    roots
};

/// Computes `penalty · 2^(-elapsed/half_life)`: a shift for the whole half-lives, and a root for
/// each binary digit of the rest.
fn decayed(penalty: Penalty, elapsed: Span, half_life: Span) -> Penalty {
    let half_life = half_life.as_micros().max(1);
    let (halves, rest) = (elapsed.as_micros() / half_life, elapsed.as_micros() % half_life);
    let Some(halves) = u32::try_from(halves).ok().filter(|halves| *halves < Penalty::BITS) else {
        return 0;
    };
    let digits = (u128::from(rest) << ROOTS.len()) / u128::from(half_life);
    let mut left = u128::from(penalty);
    for (place, root) in ROOTS.iter().enumerate() {
        if digits >> (ROOTS.len() - 1 - place) & 1 == 1 {
            left = (left * u128::from(*root)) >> 32;
        }
    }
    // What is left is no more than there was.
    u64::try_from(left).unwrap_or(penalty) >> halves
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: u64 = 60;

    fn flaps(minutes: &[u64]) -> Vec<Timestamp> {
        minutes.iter().map(|m| Timestamp::EPOCH + Span::from_secs(m * MINUTE)).collect()
    }

    #[test]
    fn a_penalty_halves_in_each_half_life() {
        let half_life = Span::from_secs(15 * MINUTE);
        for (minutes, wanted) in
            [(0, 3000), (15, 1500), (30, 750), (60, 188), (5, 2382), (22, 1086), (150, 3), (900, 0)]
        {
            let left = decayed(fine(3000), Span::from_secs(minutes * MINUTE), half_life);
            assert_eq!(whole(left), wanted, "after {minutes} minutes");
        }
        assert_eq!(decayed(fine(3000), Span::MAX, half_life), 0);
        assert_eq!(decayed(fine(3000), Span::from_secs(1), Span::ZERO), 0);
    }

    #[test]
    fn the_third_quick_flap_suppresses_and_quiet_lets_go() {
        let minutes = |until: Timestamp| until.since(Timestamp::EPOCH).as_micros() / 60_000_000;
        for (when, until) in [
            (&[][..], None),
            (&[0][..], None),
            (&[0, 0], None),
            (&[0, 0, 0], Some(30)),
            (&[0, 1, 2], Some(31)),
            (&[0, 15, 30, 45, 60], None),
            (&[0, 10, 20, 30], Some(54)),
            (&[0; 12], Some(60)),
            (&[0; 16], Some(60)),
            // Suppressed, and not let go before the next flap: it need not rise above 2000 again.
            (&[0, 0, 0, 29], Some(47)),
            (&[0, 0, 0, 31], None),
        ] {
            let level = Level::after(&flaps(when), Damping::default());
            let found = level.suppressed_until(Damping::default()).map(minutes);
            assert_eq!(found, until, "{when:?}");
        }
    }

    #[test]
    fn the_end_is_the_first_second_at_which_the_penalty_has_fallen() {
        let damping = Damping::default();
        let level = Level::after(&flaps(&[0, 1, 3]), damping);
        let until = level.suppressed_until(damping).unwrap();
        assert!(level.at(until, damping) <= fine(damping.reuse));
        assert!(level.at(until - Span::from_secs(1), damping) > fine(damping.reuse));
    }

    proptest! {
        #[test]
        fn more_flaps_and_less_allowance_never_end_a_hold_sooner(
            mut seconds in prop::collection::vec(0..7200_u64, 1..16),
            reuse in 100..1000_u32,
            more in 0..1000_u32,
        ) {
            seconds.sort_unstable();
            let all: Vec<Timestamp> =
                seconds.iter().map(|s| Timestamp::EPOCH + Span::from_secs(*s)).collect();
            let strict = Damping { suppress: 1000 + reuse, reuse, ..Damping::default() };
            let wide = Damping { suppress: strict.suppress + more, ..strict };
            let until = |flaps, damping| Level::after(flaps, damping).suppressed_until(damping);
            prop_assert!(until(&all, wide) <= until(&all, strict));
            prop_assert!(until(&all[1..], strict) <= until(&all, strict));
            let longest = strict.half_life.saturating_mul(4);
            prop_assert!(until(&all, strict).is_none_or(|end| end.since(*all.last().unwrap()) <= longest));
        }
    }
}
