//! Who may do what, as it is meant.

use std::fmt;

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
