//! What grants cover, and to whom something is granted.

use std::fmt;

use homeostat_config::{Grant, Permission};
use homeostat_core::label::LabelSet;
use homeostat_core::name::{PolicyName, SourceName};

/// Names that a refusal lists.
const SHOWN: usize = 8;

/// To what something is done.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// To whatever it may be: the question is only whether there is anything.
    Anything,
    /// To all that there is.
    Everything,
    /// To what one source tells.
    Source(&'a SourceName),
    /// To some incidents of a policy at least.
    Policy(&'a PolicyName),
    /// To an incident.
    Incident {
        /// Its policy.
        policy: &'a PolicyName,
        /// Its target.
        target: &'a LabelSet,
    },
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => Ok(()),
            Self::Everything => f.write_str(" everything"),
            Self::Source(name) => write!(f, " to source {name}"),
            Self::Policy(policy) => write!(f, " on policy {policy}"),
            Self::Incident { policy, target } => {
                write!(f, " on policy {policy}, target {target}")
            }
        }
    }
}

/// What somebody may not do, and who may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    permission: Permission,
    /// In words, with a space before it.
    subject: String,
    granted: Vec<String>,
}

impl Lacking {
    pub(super) fn of(grants: &[Grant], permission: Permission, subject: &Subject<'_>) -> Self {
        let granted = granted(grants, permission, subject);
        // A target is named where it makes a difference.
        let subject = match *subject {
            Subject::Incident { policy, .. }
                if granted == self::granted(grants, permission, &Subject::Policy(policy)) =>
            {
                Subject::Policy(policy).to_string()
            }
            Subject::Anything
            | Subject::Everything
            | Subject::Source(_)
            | Subject::Policy(_)
            | Subject::Incident { .. } => subject.to_string(),
        };
        Self { permission, subject, granted }
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { permission, subject, granted } = self;
        write!(f, "{permission}{subject} is granted to {}", listed(granted))
    }
}

/// Names, as a person reads them.
pub fn listed(names: &[String]) -> String {
    match names.len().checked_sub(SHOWN) {
        _ if names.is_empty() => "nobody".to_owned(),
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}

/// Who must agree to a run, as a person reads it: so many, of those who may approve or of these.
pub fn agreeing<T: AsRef<str>>(count: Option<u32>, by: Option<&[T]>) -> String {
    let people = match count {
        None | Some(1) => "one".to_owned(),
        Some(count) => format!("{count} different people"),
    };
    let by: Option<Vec<String>> = by.map(|by| by.iter().map(|who| who.as_ref().into()).collect());
    let of = by.map_or_else(String::new, |by| format!(" of {}", listed(&by)));
    format!("{people}{of}")
}

/// To whom something is granted, in the order in which it is written.
pub fn granted(grants: &[Grant], permission: Permission, subject: &Subject<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for grant in grants.iter().filter(|grant| covers(grant, permission, subject)) {
        for who in &grant.who {
            if !names.contains(who) {
                names.push(who.clone());
            }
        }
    }
    names
}

/// Tells whether a grant is about this.
pub(super) fn covers(grant: &Grant, permission: Permission, subject: &Subject<'_>) -> bool {
    let Grant { sources, policies, targets, .. } = grant;
    let has_policy = |policy: &PolicyName| {
        policies.as_ref().is_none_or(|all| all.iter().any(|one| one.matches(policy.as_str())))
    };
    grant.may.contains(&permission)
        && match subject {
            Subject::Anything => true,
            Subject::Everything => sources.is_none() && policies.is_none() && targets.is_empty(),
            Subject::Source(name) => sources.as_ref().is_none_or(|all| all.contains(name)),
            Subject::Policy(policy) => has_policy(policy),
            Subject::Incident { policy, target } => has_policy(policy) && targets.matches(target),
        }
}
