//! Who has come, and what they may do.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use homeostat_config::{Grant, Pattern, Permission};
use homeostat_core::name::PolicyName;
use homeostat_core::operator::{ANONYMOUS, EVERYONE, Known, Operator, Way};
use homeostat_core::policy::Book;

use super::gate::{Arrival, Refusal, Stranger};
use super::grants::{self, Lacking, Subject};

/// Bytes of the name of a user or group that somebody else tells us.
pub const NAME_BYTES: usize = 256;

/// Groups that somebody else tells us of one user.
pub const GROUPS: usize = 256;

/// Who somebody is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// A person.
    User(String),
    /// A program that shows a token.
    Token(String),
    /// A program that shows a certificate; by its first subject alternative name.
    Cert(String),
    /// A user of this machine.
    Local(String),
    /// Nobody asked.
    Anonymous,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Token(name) => write!(f, "token:{name}"),
            Self::Cert(name) => write!(f, "cert:{name}"),
            Self::Local(name) => write!(f, "local:{name}"),
            Self::Anonymous => f.write_str(ANONYMOUS),
        }
    }
}

/// What callers may do.
#[derive(Debug, Clone)]
pub enum Rights {
    /// Everything, whoever they are.
    Everything,
    /// What is granted.
    Granted(Arc<[Grant]>),
}

/// Who has come: the identity, the groups, how both are known, from where, and what they may do as
/// of now. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Identity,
    /// The identity, as grants name it.
    who: String,
    /// The groups, as grants name them.
    groups: BTreeSet<String>,
    way: Way,
    address: Arc<str>,
    rights: Rights,
}

impl Caller {
    /// Introduces somebody; groups go without their kind.
    pub fn new(
        identity: Identity,
        groups: impl IntoIterator<Item = String>,
        way: Way,
        address: Arc<str>,
        rights: Rights,
    ) -> Self {
        let who = identity.to_string();
        let groups = groups.into_iter().map(|group| format!("group:{group}")).collect();
        Self(Arc::new(Inner { identity, who, groups, way, address, rights }))
    }

    /// Somebody who was not asked, and may do everything.
    pub fn anyone(address: Arc<str>) -> Self {
        Self::new(Identity::Anonymous, [], Way::Unasked, address, Rights::Everything)
    }

    /// Returns the identity.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Returns the groups, as grants name them.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.0.groups.iter().map(String::as_str)
    }

    /// Returns how the identity is known.
    pub fn way(&self) -> Way {
        self.0.way
    }

    /// Returns from where they came.
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// Returns what is granted to them; `None`: everything is.
    pub fn grants(&self) -> Option<impl Iterator<Item = &Grant>> {
        match &self.0.rights {
            Rights::Everything => None,
            Rights::Granted(grants) => Some(grants.iter().filter(|grant| self.is_meant(grant))),
        }
    }

    /// Tells whether they may do this.
    ///
    /// # Errors
    ///
    /// They may not, and to whom it is granted; or nobody knows who they are, and somebody else
    /// might.
    pub fn may(&self, permission: Permission, subject: &Subject<'_>) -> Result<(), Refusal> {
        let Rights::Granted(all) = &self.0.rights else { return Ok(()) };
        let mut own = all.iter().filter(|grant| self.is_meant(grant));
        if own.any(|grant| grants::covers(grant, permission, subject)) {
            return Ok(());
        }
        Err(match self.0.identity {
            Identity::Anonymous => Refusal::Unknown(Stranger::Nothing),
            Identity::User(_) | Identity::Token(_) | Identity::Cert(_) | Identity::Local(_) => {
                Refusal::Lacking(Lacking::of(all, permission, subject))
            }
        })
    }

    /// Tells whether they may do this with everything that there is.
    pub fn may_all(&self, permission: Permission) -> bool {
        self.may(permission, &Subject::Everything).is_ok()
    }

    /// Returns patterns of the policies whose incidents they may see, some of them at least; `None`:
    /// of all.
    pub fn sees_policies(&self) -> Option<Vec<String>> {
        let mut patterns = Vec::new();
        for grant in self.grants()?.filter(|grant| grant.may.contains(&Permission::View)) {
            let policies = grant.policies.as_ref()?;
            patterns.extend(policies.iter().map(|pattern| pattern.as_str().to_owned()));
        }
        Some(patterns)
    }

    /// Tells whether they may see all incidents of a policy.
    pub fn sees_all_of(&self, policy: &PolicyName) -> bool {
        let Some(mut grants) = self.grants() else { return true };
        let names = |policies: &[Pattern]| policies.iter().any(|one| one.matches(policy.as_str()));
        grants.any(|grant| {
            grant.may.contains(&Permission::View)
                && grant.targets.is_empty()
                && grant.policies.as_ref().is_none_or(|policies| names(policies))
        })
    }

    /// Returns who gives a command, by what they say of themselves and by what is known.
    pub fn operator(&self, claimed: String) -> Operator {
        let Inner { who, way, address, .. } = &*self.0;
        let (who, groups, address) = (who.clone(), Vec::new(), address.as_ref().to_owned());
        let known = Known { who, way: *way, groups, address };
        Operator { claimed, known: Some(known) }
    }

    /// Returns the same, with those of their groups by which somebody may approve.
    pub fn approver(&self, claimed: String, book: &Book) -> Operator {
        let names = book.approvers();
        let groups = self.groups().filter(|group| names.contains(group)).map(str::to_owned);
        let mut operator = self.operator(claimed);
        if let Some(known) = &mut operator.known {
            known.groups = groups.collect();
        }
        operator
    }

    fn is_meant(&self, grant: &Grant) -> bool {
        let is_named = self.0.identity != Identity::Anonymous;
        grant.who.iter().any(|who| {
            *who == self.0.who || self.0.groups.contains(who) || (is_named && who == EVERYONE)
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts
            .extensions
            .get::<Arrival>()
            .map_or_else(|| Err(Refusal::Unknown(Stranger::Nothing)), |arrival| arrival.0.clone())
    }
}
