//! Texts that occur over and over, kept once.
//!
//! Names of policies and sources, and texts as the page of a rule's expression, are the same for
//! thousands of alerts. Each thread remembers the last few that it has read or was given, and gives
//! out the same text again. It is only a saving: whether two values share a text shows nowhere.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// How many texts a thread remembers: one for each remainder of their hashes.
const SLOTS: usize = 1024;

/// Longer texts are prose, and seldom the same; the page of a rule's expression is shorter.
const LONGEST: usize = 256;

thread_local! {
    static SEEN: RefCell<Vec<Option<Text>>> = RefCell::new(vec![None; SLOTS]);
}

/// A text that many share: one pointer, because there are many for each text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text(Arc<Box<str>>);

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        // Trees of targets compare the name of one policy with itself more often than not.
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Text {
    /// Takes a text, the same as before where it was seen lately.
    pub fn new(text: &str) -> Self {
        if text.len() > LONGEST {
            return Self(Arc::new(text.into()));
        }
        SEEN.with_borrow_mut(|seen| {
            let slot = &mut seen[slot(text)];
            match slot {
                Some(known) if **known == *text => known.clone(),
                _ => slot.insert(Self(Arc::new(text.into()))).clone(),
            }
        })
    }
}

/// FNV-1a. Whoever chooses texts that share a slot only makes them be kept more than once.
fn slot(text: &str) -> usize {
    let mut hash = 0x811c_9dc5_u32;
    for byte in text.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash as usize % SLOTS
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_was_seen_lately_is_the_same() {
        let first = Text::new("severity");
        let read: Text = serde_json::from_str(r#""severity""#).unwrap();
        assert!(Arc::ptr_eq(&first.0, &Text::new("severity").0));
        assert!(Arc::ptr_eq(&first.0, &read.0));
        for number in 0..10 * SLOTS {
            assert_eq!(*Text::new(&number.to_string()), *number.to_string());
        }
        assert_eq!(Text::new("severity"), first, "whatever was seen since");
        let prose = "x".repeat(LONGEST + 1);
        assert_eq!(*Text::new(&prose), *prose);
    }

    #[test]
    fn a_text_is_one_pointer() {
        assert_eq!(size_of::<Option<Text>>(), size_of::<usize>());
    }
}
