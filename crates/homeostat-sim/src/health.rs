//! What happened to one part of the cast: when its fault was there, when each of its rules fired, and
//! when its source was told so.

use homeostat_core::time::Timestamp;

/// How many spells are remembered: more than there are in the time that a stale witness is behind.
const SPELLS: usize = 12;

/// A time for which something was so, and what was told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    /// Since when.
    pub from: Timestamp,
    /// Until when; `None` while it lasts.
    pub until: Option<Timestamp>,
    /// The value that its labels carried.
    pub value: u64,
    /// Since when a rule fires on only for its `keep_firing_for`.
    pub kept_since: Option<Timestamp>,
}

/// The last spells of one thing, in order.
#[derive(Debug, Clone, Default)]
pub struct History(Vec<Spell>);

impl History {
    /// Begins a spell.
    pub fn begin(&mut self, from: Timestamp, value: u64) {
        self.end(from);
        if self.0.len() >= SPELLS {
            self.0.remove(0);
        }
        self.0.push(Spell { from, until: None, value, kept_since: None });
    }

    /// Ends the spell that lasts, if one does.
    pub fn end(&mut self, at: Timestamp) -> Option<Spell> {
        let spell = self.0.last_mut().filter(|spell| spell.until.is_none())?;
        spell.until = Some(at);
        Some(*spell)
    }

    /// The spell that lasts.
    pub fn now(&self) -> Option<&Spell> {
        self.0.last().filter(|spell| spell.until.is_none())
    }

    /// The same, to be changed.
    pub fn now_mut(&mut self) -> Option<&mut Spell> {
        self.0.last_mut().filter(|spell| spell.until.is_none())
    }

    /// The spell of a moment.
    pub fn at(&self, at: Timestamp) -> Option<&Spell> {
        let lasted =
            |spell: &&Spell| spell.from <= at && spell.until.is_none_or(|until| at < until);
        self.0.iter().rev().find(lasted)
    }

    /// The spells that are over, the last one first.
    pub fn past(&self) -> impl Iterator<Item = &Spell> {
        self.0.iter().rev().filter(|spell| spell.until.is_some())
    }

    /// Tells whether it was so at any moment after one and up to another.
    pub fn within(&self, after: Timestamp, to: Timestamp) -> bool {
        self.0.iter().any(|spell| spell.from <= to && spell.until.is_none_or(|until| until > after))
    }
}
