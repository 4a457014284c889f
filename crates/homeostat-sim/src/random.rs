//! Numbers that look random and that a seed fixes, on every platform and in every release.
//!
//! Two ways to draw: in order ([`Dice`]), where a whole script is made; and by name ([`Fate`]),
//! where the world reacts. What a name draws does not depend on what was drawn before, so that a
//! step can be taken out of a script and the rest of the world still behaves as it did.
//!
//! Source: `SplitMix64`, the output function of Steele, Lea and Flood, "Fast splittable pseudorandom
//! number generators" (OOPSLA 2014).

use homeostat_core::time::Span;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of `SplitMix64`.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Draws one number after the other.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Begins the sequence of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(GOLDEN)))
    }

    /// Draws the next number.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Draws a number below `end`, which is not zero.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// Draws a number from `from` to `to`, both included.
    pub const fn range(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// Draws whether something of so many chances in a hundred happens.
    pub const fn percent(&mut self, chances: u64) -> bool {
        self.below(100) < chances
    }

    /// Draws so many seconds, both ends included.
    pub const fn seconds(&mut self, from: u64, to: u64) -> Span {
        Span::from_secs(self.range(from, to))
    }

    /// Draws one of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let length = u64::try_from(from.len()).unwrap_or(1).max(1);
        &from[usize::try_from(self.below(length)).unwrap_or(0)]
    }
}

/// Draws by name.
#[derive(Debug, Clone, Copy)]
pub struct Fate(u64);

impl Fate {
    /// The fates of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(mix(seed ^ GOLDEN))
    }

    /// What lies in store for this name.
    pub fn of(self, name: &str, numbers: &[u64]) -> Dice {
        let mut state = self.0;
        for byte in name.bytes() {
            state = mix(state.wrapping_add(u64::from(byte)).wrapping_add(GOLDEN));
        }
        for number in numbers {
            state = mix(state.wrapping_add(*number).wrapping_add(GOLDEN));
        }
        Dice(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_in_every_release() {
        let mut dice = Dice::new(1);
        assert_eq!(dice.draw(), 0x5e41_ab08_7439_611e);
        assert_eq!(dice.draw(), 0xf18d_6ce9_3d6c_f1ee);
        let fate = |numbers: &[u64]| Fate::new(1).of("order", numbers).draw();
        assert_eq!(fate(&[1, 2]), 0xd93f_2aa9_3d1e_b962);
        assert_ne!(fate(&[2, 1]), fate(&[1, 2]));
    }
}
