//! A person's word that one run of one remedy may start.
//!
//! What is approved is one deed: one order (so one remedy, and one attempt of it) with its action
//! as it was rendered. Both are bound together by a [`Digest`], so that nobody approves what they
//! have not seen. A retry is another deed and is asked for anew: the person agreed to one run, and
//! knows more after it failed.
//!
//! *Not* the duty of this room: when an approval is asked for (`guard`), and what follows from its
//! expiry (`decide`).

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::name::OrderId;
use crate::operator::Operator;
use crate::plan::Rendered;
use crate::time::Timestamp;

/// Tells one deed from any other: SHA-256 (FIPS 180-4) of the order's id and its rendered action,
/// in the form in which the journal keeps them. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Computes the digest of a deed.
    pub fn of(order: &OrderId, action: &Rendered) -> Self {
        let deed = serde_json::to_vec(&(order, action));
        let deed = deed.expect("an order's id and its action are texts, numbers and lists");
        Self(Sha256::digest(&deed).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut digest = [0; 32];
        let digits = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !digits {
            return Err(format!("expected 64 hexadecimal digits, found {text:?}"));
        }
        for (byte, place) in digest.iter_mut().zip((0..64).step_by(2)) {
            let parsed = u8::from_str_radix(&text[place..place + 2], 16);
            *byte = parsed.map_err(|error| error.to_string())?;
        }
        Ok(Self(digest))
    }
}

/// What a person is asked to approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Which run.
    pub order: OrderId,
    /// What it does, with every placeholder filled in.
    pub action: Rendered,
    /// Tells this deed from any other.
    pub digest: Digest,
    /// When the question is void, and an approval with it.
    pub expires_at: Timestamp,
}

/// What a person has approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// What.
    pub asked: Asked,
    /// Who.
    pub by: Operator,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl Approved {
    /// Tells whether it lets this deed start now.
    pub fn covers(&self, digest: &Digest, now: Timestamp) -> bool {
        self.asked.digest == *digest && !self.has_expired(now)
    }

    /// Tells whether it came to nothing in its time.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.asked.expires_at <= now
    }
}

impl fmt::Display for Approved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} approved it at {:.0}", self.by, self.at)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

/// Whether a person must agree to a deed, and whether one has.
#[derive(Debug, Clone, Copy)]
pub enum Consent<'a> {
    /// Nobody is asked.
    NotNeeded,
    /// A person must have approved.
    Needed {
        /// The deed.
        digest: Digest,
        /// What was approved last, if anything.
        approved: Option<&'a Approved>,
    },
}

impl<'a> Consent<'a> {
    /// Returns what lets this very deed start now.
    pub fn given(&self, now: Timestamp) -> Option<&'a Approved> {
        match self {
            Self::NotNeeded => None,
            Self::Needed { digest, approved } => approved.filter(|a| a.covers(digest, now)),
        }
    }

    /// Tells whether a person is still to be asked.
    pub fn is_sought(&self, now: Timestamp) -> bool {
        matches!(self, Self::Needed { .. }) && self.given(now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{IncidentId, Part, RemedyName};

    fn order(attempt: u32) -> OrderId {
        OrderId {
            incident: IncidentId(17),
            remedy: RemedyName::new("reboot"),
            attempt,
            part: Part::Heal,
        }
    }

    fn exec(argv: &[&str]) -> Rendered {
        Rendered::Exec(argv.iter().map(|&element| element.to_owned()).collect())
    }

    #[test]
    fn another_run_and_another_action_have_another_digest() {
        let digest = Digest::of(&order(1), &exec(&["reboot", "a b"]));
        assert_eq!(digest, Digest::of(&order(1), &exec(&["reboot", "a b"])));
        for other in [
            Digest::of(&order(2), &exec(&["reboot", "a b"])),
            Digest::of(&order(1), &exec(&["reboot", "a", "b"])),
            Digest::of(&order(1), &exec(&["reboot a b"])),
            Digest::of(&order(1), &Rendered::Script("reboot a b".into())),
        ] {
            assert_ne!(digest, other);
        }
    }

    #[test]
    fn a_digest_reads_back() {
        let digest = Digest::of(&order(1), &exec(&["true"]));
        assert_eq!(Digest::try_from(digest.to_string()), Ok(digest));
        for wrong in ["", "abc", &"g".repeat(64), &"é".repeat(32)] {
            assert!(Digest::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
