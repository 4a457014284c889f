//! Who gave a command: the name that they said, and who they were.
//!
//! A name that somebody says of themselves proves nothing. So it is kept as what it is, beside the
//! identity that a door made sure of, the way in which it did, and the address from which they came.
//!
//! *Not* the duty of this room: making sure (a door), and what a command does (`decide`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The identity of whoever was not asked who they are.
pub const ANONYMOUS: &str = "anonymous";

/// The group of all who have a name.
pub const EVERYONE: &str = "group:everyone";

/// Who gave a command.
///
/// Written as a text where nothing but the claim is known, as all were before identities were, and
/// else as a map of `claimed`, `who`, `way`, `groups`, if any, and `address`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Operator {
    /// The name that they said; empty where they said none.
    pub claimed: String,
    /// Who they were, where a door knew.
    pub known: Option<Known>,
}

/// An identity that a door made sure of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The identity, with its kind: `user:ann`, `token:ci`, or [`ANONYMOUS`].
    pub who: String,
    /// How it is known.
    pub way: Way,
    /// Groups that they were of, with their kind, as far as that mattered: `group:dba`.
    pub groups: Vec<String>,
    /// From where they came: an address with its port, or `unix`.
    pub address: String,
}

impl Known {
    /// Tells whether one of these identities and groups means them.
    pub fn is_meant<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        let is_named = self.who != ANONYMOUS;
        names.into_iter().any(|name| {
            name == self.who
                || self.groups.iter().any(|group| group == name)
                || (is_named && name == EVERYONE)
        })
    }
}

/// How an identity is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Nobody asked.
    Unasked,
    /// By a password.
    Password,
    /// By a token.
    Token,
    /// By a certificate.
    Certificate,
    /// By the kernel, on a socket of this machine.
    Socket,
    /// By a sign-in of before.
    Session,
    /// By `OpenID` Connect.
    Oidc,
    /// By a proxy that is trusted.
    Proxy,
}

impl Way {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unasked => "unasked",
            Self::Password => "password",
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::Socket => "socket",
            Self::Session => "session",
            Self::Oidc => "oidc",
            Self::Proxy => "proxy",
        }
    }
}

impl Operator {
    /// Returns who it was, as far as anybody knows: the identity, or the claim where there is none.
    /// Two commands by one person have one of these.
    pub fn person(&self) -> &str {
        match self.identity() {
            Some(who) => who,
            None if self.claimed.is_empty() => ANONYMOUS,
            None => &self.claimed,
        }
    }

    /// Returns the identity, where it is known and is anybody's in particular.
    pub fn identity(&self) -> Option<&str> {
        let who = self.known.as_ref().map(|known| known.who.as_str());
        who.filter(|who| *who != ANONYMOUS)
    }

    /// Tells whether they said another name than theirs.
    pub fn claims_another(&self) -> bool {
        let Some(known) = &self.known else { return false };
        let name = known.who.split_once(':').map_or(&*known.who, |(_, name)| name);
        let claimed = self.claimed.as_str();
        known.who != ANONYMOUS && !claimed.is_empty() && claimed != known.who && claimed != name
    }
}

impl AsRef<Self> for Operator {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.person())?;
        if self.claims_another() { write!(f, " (as {:?})", self.claimed) } else { Ok(()) }
    }
}

impl From<&str> for Operator {
    fn from(claimed: &str) -> Self {
        claimed.to_owned().into()
    }
}

impl From<String> for Operator {
    fn from(claimed: String) -> Self {
        Self { claimed, known: None }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Claimed(String),
    Known {
        claimed: String,
        who: String,
        way: Way,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
        address: String,
    },
}

impl From<Written> for Operator {
    fn from(written: Written) -> Self {
        match written {
            Written::Claimed(claimed) => claimed.into(),
            Written::Known { claimed, who, way, groups, address } => {
                Self { claimed, known: Some(Known { who, way, groups, address }) }
            }
        }
    }
}

impl From<Operator> for Written {
    fn from(Operator { claimed, known }: Operator) -> Self {
        match known {
            None => Self::Claimed(claimed),
            Some(Known { who, way, groups, address }) => {
                Self::Known { claimed, who, way, groups, address }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operator(claimed: &str, who: &str) -> Operator {
        let address = "10.0.0.7:51".into();
        let known = Known { who: who.into(), way: Way::Password, groups: Vec::new(), address };
        Operator { claimed: claimed.into(), known: Some(known) }
    }

    #[test]
    fn a_claim_is_shown_where_it_is_another_name() {
        for (claimed, who, shown) in [
            ("the pope", "user:ann", "user:ann (as \"the pope\")"),
            ("user:bob", "user:ann", "user:ann (as \"user:bob\")"),
            ("ann", "user:ann", "user:ann"),
            ("user:ann", "user:ann", "user:ann"),
            ("", "cert:am.example", "cert:am.example"),
            ("ann", ANONYMOUS, "ann"),
            ("", ANONYMOUS, ANONYMOUS),
        ] {
            let operator = operator(claimed, who);
            assert_eq!(operator.to_string(), shown);
            assert_eq!(operator.claims_another(), shown.contains("(as"), "{shown}");
        }
        assert_eq!(Operator::from("ann").to_string(), "ann");
    }

    #[test]
    fn what_was_written_before_there_were_identities_is_read() {
        let old: Operator = serde_json::from_value(json!("ann")).unwrap();
        assert_eq!(old, Operator::from("ann"));
        assert_eq!(serde_json::to_value(&old).unwrap(), json!("ann"));
        let new = operator("the pope", "user:ann");
        let written = serde_json::to_value(&new).unwrap();
        let expected = json!({
            "claimed": "the pope", "who": "user:ann", "way": "password", "address": "10.0.0.7:51",
        });
        assert_eq!(written, expected);
        assert_eq!(serde_json::from_value::<Operator>(written).unwrap(), new);
    }

    #[test]
    fn a_name_means_an_identity_a_group_or_everybody_who_has_one() {
        let mut known = operator("", "user:ann").known.unwrap();
        known.groups = vec!["group:dba".into()];
        for (names, meant) in [
            (&["user:ann"][..], true),
            (&["user:bob", "group:dba"], true),
            (&[EVERYONE], true),
            (&["group:sre", "ann", "user:ann "], false),
            (&[], false),
        ] {
            assert_eq!(known.is_meant(names.iter().copied()), meant, "{names:?}");
        }
        let anonymous = operator("user:ann", ANONYMOUS);
        let unnamed = anonymous.known.as_ref().unwrap();
        assert!(unnamed.is_meant([ANONYMOUS]) && !unnamed.is_meant([EVERYONE, "user:ann"]));
        assert_eq!(
            (anonymous.identity(), operator("x", "user:ann").identity()),
            (None, Some("user:ann"))
        );
        let written = serde_json::to_value(Operator { claimed: String::new(), known: Some(known) });
        assert_eq!(written.unwrap()["groups"], json!(["group:dba"]));
    }
}
