//! Who may do what, as it is meant.
//!
//! Duty: tokens, grants and whom we believe as plain data. Not its duty: reading the files that hold
//! tokens, finding out who somebody is, and judging what they may.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use homeostat_core::label::Matchers;
use homeostat_core::name::{PolicyName, SourceName};
use homeostat_core::policy::{Approvers, Granted};
use homeostat_core::time::{Span, Timestamp};

use crate::http::{ProxyConfig, SecretSource, TlsConfig};

/// What somebody may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Post alerts.
    Send,
    /// Read incidents, policies and metrics.
    View,
    /// Pause, resume, cancel and retry.
    Operate,
    /// Let a run start that waits for a person, or not.
    Approve,
    /// Have the configuration read again.
    Administer,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Send, Self::View, Self::Operate, Self::Approve, Self::Administer];

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::View => "view",
            Self::Operate => "operate",
            Self::Approve => "approve",
            Self::Administer => "administer",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who may do what. Whatever is not granted is refused.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Tokens, in file order.
    pub tokens: Vec<AccessToken>,
    /// Grants, in file order.
    pub grants: Vec<Grant>,
    /// The proxies that are believed when they say who somebody is.
    pub proxy: Option<TrustedProxy>,
    /// Who is believed by `OpenID` Connect.
    pub oidc: Option<OidcProvider>,
}

impl Access {
    /// Returns who may approve under a policy.
    pub fn approvers(&self, policy: &PolicyName) -> Approvers {
        let has_policy = |grant: &&Grant| {
            let policies = grant.policies.as_ref();
            policies.is_none_or(|all| all.iter().any(|one| one.matches(policy.as_str())))
        };
        let grants = self.grants.iter().filter(|grant| grant.may.contains(&Permission::Approve));
        let granted = grants.filter(has_policy).map(|grant| Granted {
            who: grant.who.iter().map(|who| who.as_str().into()).collect(),
            targets: grant.targets.clone(),
        });
        Approvers::Granted(granted.collect())
    }
}

/// A token by which a program says who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Its name: who shows it is `token:NAME`.
    pub name: String,
    /// By what it is known.
    pub secret: TokenSecret,
    /// From when on it is worth nothing.
    pub expires: Option<Timestamp>,
}

/// By what a token is known.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenSecret {
    /// Its SHA-256: the configuration does not hold the token.
    Sha256([u8; 32]),
    /// A file that holds it.
    File(PathBuf),
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(_) => f.write_str("Sha256(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// What some may do, and to what.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Identities and groups, with their kinds: `user:ann`, `group:dba`.
    pub who: Vec<String>,
    /// What they may do.
    pub may: BTreeSet<Permission>,
    /// To which sources they may send; `None`: to all.
    pub sources: Option<Vec<SourceName>>,
    /// With the incidents of which policies; `None`: of all. Of teams, the policies by name.
    pub policies: Option<Vec<Pattern>>,
    /// With the incidents of which targets; none: of all.
    pub targets: Matchers,
}

/// A name, in which `*` stands for any letters or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Takes a pattern as it is written.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns it as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether a name is one of these.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut left) = name.strip_prefix(first) else { return false };
        let mut parts = rest.split('*').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return left.ends_with(part);
            }
            let Some(at) = left.find(part) else { return false };
            left = &left[at + part.len()..];
        }
        true
    }
}

/// Proxies that are believed when they say who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxy {
    /// From where they come.
    pub trusted: Vec<Network>,
    /// The header that names the user.
    pub user_header: String,
    /// The header that names the groups, with commas between them.
    pub groups_header: Option<String>,
}

/// A provider that is believed when it says, by `OpenID` Connect, who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcProvider {
    /// Its name, to the letter, which is the URL where it says what it has.
    pub issuer: String,
    /// As whom we let people sign in there; `None`: nobody signs in by it.
    pub client: Option<OidcClient>,
    /// For whom the tokens must be by which programs come; `None`: none comes by them.
    pub audience: Option<String>,
    /// The claim that names the user.
    pub username_claim: String,
    /// The claim that lists the groups.
    pub groups_claim: String,
    /// How we trust it.
    pub tls: TlsConfig,
    /// Through whom it is reached.
    pub proxy: Option<ProxyConfig>,
}

/// Who we are to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcClient {
    /// Our name there.
    pub client_id: String,
    /// How it is known that we are; `None` for a client without a secret.
    pub client_secret: Option<SecretSource>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// How long a sign-in lasts, at most.
    pub session: Span,
}

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `10.0.0.5`, `10.0.0.0/8` or `fd00::/8`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let is_number = |bits: &&str| bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits = match bits {
            Some(bits) => {
                Some(bits).filter(is_number)?.parse().ok().filter(|bits| *bits <= most)?
            }
            None => most,
        };
        Some(Self { address, bits })
    }

    /// Tells whether an address is one of these.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differ = match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differing = ours.to_bits() ^ theirs.to_bits();
                differing.checked_shr(32 - u32::from(self.bits)).unwrap_or(0) != 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differing = ours.to_bits() ^ theirs.to_bits();
                differing.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) != 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => true,
        };
        !differ
    }

    /// Tells whether it is everybody.
    pub fn is_everybody(&self) -> bool {
        self.bits == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name, matches) in [
            ("db", "db", true),
            ("db", "db-1", false),
            ("db-*", "db-primary", true),
            ("db-*", "db-", true),
            ("db-*", "web-db-1", false),
            ("*", "", true),
            ("*", "web", true),
            ("*-db", "web-db", true),
            ("*-db", "web-db-1", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a**b", "axb", true),
            ("*b*", "abc", true),
            ("*b*", "ac", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn a_network_is_an_address_or_many() {
        for (network, address, is_in) in [
            ("10.0.0.5", "10.0.0.5", true),
            ("10.0.0.5", "10.0.0.6", false),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.5", "::ffff:10.0.0.5", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::1", "::1", true),
            ("::/0", "10.0.0.1", false),
        ] {
            let network = Network::parse(network).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), is_in, "{network:?} {address}");
        }
        for wrong in ["", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "proxy"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
