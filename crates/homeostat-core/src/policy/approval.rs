//! Whose word lets a remedy start, as it is set.

use std::sync::Arc;

use crate::label::Matchers;
use crate::limits::defaults;
use crate::time::Span;

/// Whose word a run needs, where its mode asks for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Who may give it, by identities and groups, of those to whom it is granted; `None`: all of them.
    pub by: Option<Arc<[Arc<str>]>>,
    /// How many different people must agree, none of whom set the incident going; `None`: one, whoever
    /// that is.
    pub count: Option<u32>,
    /// How long they have for it.
    pub expires: Span,
}

impl Default for Approval {
    fn default() -> Self {
        Self { by: None, count: None, expires: defaults::APPROVAL_EXPIRES }
    }
}

/// Who may approve under a policy, as it is granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Approvers {
    /// Whoever comes in.
    #[default]
    Anybody,
    /// These.
    Granted(Vec<Granted>),
}

/// Some who may approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Identities and groups.
    pub who: Arc<[Arc<str>]>,
    /// For which targets.
    pub targets: Matchers,
}
