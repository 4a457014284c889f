//! Whose a policy is, and what people should know of it. Nothing is decided by these words.

use std::sync::Arc;

use crate::name::TeamName;

/// What a policy says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Whose it is; `None` for nobody's in particular.
    pub team: Option<TeamName>,
    /// Labels of its notices, by name, in file order.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// What it is for.
    pub description: Option<Arc<str>>,
    /// Where a person reads what to do.
    pub runbook_url: Option<Arc<str>>,
}
