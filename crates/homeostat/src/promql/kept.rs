//! Which labels of a result certainly come unchanged from below.

use std::collections::BTreeSet;

/// A set of labels' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// All but these.
    Except(BTreeSet<String>),
    /// Only these.
    Only(BTreeSet<String>),
}

impl Kept {
    pub(super) fn all() -> Self {
        Self::Except(BTreeSet::new())
    }

    pub(super) fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Except(names) => !names.contains(name),
            Self::Only(names) => names.contains(name),
        }
    }

    /// Those of them that are among these, too.
    pub(super) fn among(&self, names: &[String]) -> Self {
        Self::Only(names.iter().filter(|name| self.has(name)).cloned().collect())
    }

    pub(super) fn without<'a>(&self, gone: impl IntoIterator<Item = &'a str>) -> Self {
        let mut kept = self.clone();
        for name in gone {
            match &mut kept {
                Self::Except(names) => _ = names.insert(name.to_owned()),
                Self::Only(names) => _ = names.remove(name),
            }
        }
        kept
    }
}
