//! A person's word that one run of one remedy may start.
//!
//! What is approved is one deed: one order (so one remedy, and one attempt of it) with its action
//! as it was rendered. Both are bound together by a [`Digest`], so that nobody approves what they
//! have not seen. A retry is another deed and is asked for anew: the person agreed to one run, and
//! knows more after it failed.
//!
//! Where one word is not enough, so many different people must agree ([`Quorum`]). A word may be given
//! ahead for the next runs as well ([`StandingApproval`]).
//!
//! *Not* the duty of this room: when an approval is asked for (`guard`), and what follows from its
//! expiry (`decide`).

mod quorum;
mod standing;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::label::LabelSet;
use crate::name::{OrderId, PolicyName};
use crate::operator::Operator;
use crate::plan::Rendered;
use crate::policy::{Remedy, Target};
use crate::time::Timestamp;

pub use quorum::{Movers, Objection, Quorum};
pub use standing::{Over, StandingApproval, StandingApprovals, StandingUse, Terms};

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

    /// Computes the digest of all deeds of a kind: a remedy as it is defined, a target, an action as it
    /// was rendered without the key that each deed has of its own, and what else of the alert is told to
    /// it.
    pub fn of_kind(
        policy: &PolicyName,
        remedy: &Remedy,
        target: &Target,
        action: &Rendered,
        told: Option<&LabelSet>,
    ) -> Self {
        let Remedy { name, definition, .. } = remedy;
        let kind = serde_json::to_vec(&(policy, name, definition, target, action, told));
        let kind = kind.expect("names, labels and an action are texts, numbers and lists");
        Self(Sha256::digest(&kind).into())
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
    /// Who may answer, of those to whom it is granted; `None`: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<[Arc<str>]>>,
    /// How many different people must agree; `None`: one, whoever that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Tells deeds of this kind from any other; `None` where no two are of one kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Digest>,
}

/// That a person agrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who.
    pub by: Operator,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// What they approve ahead, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Terms>,
}

impl AsRef<Operator> for Vote {
    fn as_ref(&self) -> &Operator {
        &self.by
    }
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
    /// Who agreed before, where one word was not enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Vote>,
}

impl Approved {
    /// Returns who has agreed.
    pub fn people(&self) -> impl Iterator<Item = &Operator> {
        self.before.iter().map(|vote| &vote.by).chain([&self.by])
    }

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
        let people: Vec<String> = self.people().map(ToString::to_string).collect();
        write!(f, "{} approved it at {:.0}", people.join(", "), self.at)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

/// Whether a person must agree to a deed, and whether one has.
#[derive(Debug, Clone, Copy)]
pub enum Consent<'a> {
    /// Nobody is asked.
    NotNeeded,
    /// A person is still to be asked.
    Sought,
    /// Enough people have agreed to this very deed.
    Given(&'a Approved),
    /// Enough people have agreed ahead to deeds of this kind.
    Standing(&'a StandingApproval),
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
