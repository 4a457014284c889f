//! One line of the table.

/// What was measured, against what, and whether that is enough.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: String,
    pub(crate) against: String,
    pub(crate) ratio: String,
    pub(crate) bar: String,
    pub(crate) verdict: Verdict,
}

/// Whether the bar is met.
#[derive(Debug)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// Not measured, and why.
    Skipped(String),
}

impl Row {
    /// What could not be measured, and why.
    pub(crate) fn skipped(what: &str, why: impl Into<String>) -> Self {
        let nothing = || "–".to_owned();
        Self {
            what: what.to_owned(),
            ours: nothing(),
            against: nothing(),
            ratio: nothing(),
            bar: nothing(),
            verdict: Verdict::Skipped(why.into()),
        }
    }
}

impl Verdict {
    pub(crate) fn of(met: bool) -> Self {
        if met { Self::Met } else { Self::Missed }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Met => "met".into(),
            Self::Missed => "**missed**".into(),
            Self::Skipped(why) => format!("not measured: {why}"),
        }
    }
}
