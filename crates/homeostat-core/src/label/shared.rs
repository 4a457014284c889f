//! Texts that occur over and over, kept once.
//!
//! The names of labels, and values as `job` and `severity` have them, are the same for thousands
//! of alerts. Each thread remembers the last few it has seen, and gives out the same text again.
//! It is only a saving: whether two sets share a text shows nowhere.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// How many texts a thread remembers: one for each remainder of their hashes.
const SLOTS: usize = 1024;

/// Longer texts are prose, and seldom the same; the page of a rule's expression is shorter.
const LONGEST: usize = 256;

thread_local! {
    static SEEN: RefCell<Vec<Option<Arc<str>>>> = RefCell::new(vec![None; SLOTS]);
}

/// Returns this text, the same as before where it was seen lately.
pub fn shared(text: &str) -> Arc<str> {
    if text.len() > LONGEST {
        return text.into();
    }
    SEEN.with_borrow_mut(|seen| {
        let slot = &mut seen[slot(text)];
        match slot {
            Some(known) if **known == *text => known.clone(),
            _ => slot.insert(text.into()).clone(),
        }
    })
}

/// FNV-1a. Whoever chooses texts that share a slot only makes them be kept more than once.
fn slot(text: &str) -> usize {
    let mut hash = 0x811c_9dc5_u32;
    for byte in text.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash as usize % SLOTS
}

/// A text to be read, shared where it was seen lately.
pub(super) struct Shared(pub(super) Arc<str>);

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SharedVisitor)
    }
}

/// Reads a text, shared where it was seen lately.
pub(crate) fn shared_text<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
    Shared::deserialize(from).map(|text| text.0)
}

struct SharedVisitor;

impl Visitor<'_> for SharedVisitor {
    type Value = Shared;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Shared, E> {
        Ok(Shared(shared(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_was_seen_lately_is_the_same() {
        let first = shared("severity");
        assert!(Arc::ptr_eq(&first, &shared("severity")));
        for number in 0..10 * SLOTS {
            assert_eq!(*shared(&number.to_string()), *number.to_string());
        }
        assert_eq!(shared("severity"), first, "whatever was seen since");
        let prose = "x".repeat(LONGEST + 1);
        assert_eq!(*shared(&prose), *prose);
    }
}
