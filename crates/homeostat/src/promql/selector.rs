//! A selector of series, and how it is narrowed to those behind one instance of a rule.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use homeostat_core::label::LabelSet;
use promql_parser::label::{METRIC_NAME, MatchOp, Matcher};
use promql_parser::parser::VectorSelector;

use super::kept::Kept;

/// What the end of a selector's data means for the alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Without its data the alert may go, whether or not its cause is gone.
    Feeds,
    /// Its data let the alert go: it stands in `absent(…)`, or at the right of `unless`. That there is no
    /// data hides nothing.
    Hides,
}

/// The series that an expression reads at one place, without their range and offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    matchers: BTreeSet<Condition>,
    role: Role,
    kept: Kept,
}

/// One matcher; the metric's name is one, too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Condition {
    name: String,
    op: &'static str,
    value: String,
}

impl Selector {
    pub(super) fn new(selector: &VectorSelector, role: Role, kept: Kept) -> Self {
        let condition = |matcher: &Matcher| Condition {
            name: matcher.name.clone(),
            op: match matcher.op {
                MatchOp::Equal => "=",
                MatchOp::NotEqual => "!=",
                MatchOp::Re(_) => "=~",
                MatchOp::NotRe(_) => "!~",
            },
            value: matcher.value.clone(),
        };
        let mut matchers: BTreeSet<_> = selector.matchers.matchers.iter().map(condition).collect();
        matchers.extend(selector.name.clone().map(|value| equal(METRIC_NAME, value)));
        Self { matchers, role, kept }
    }

    /// What the end of its data means.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The one name that its series have, if it says one.
    pub(super) fn metric(&self) -> Option<&str> {
        let mut names = self.matchers.iter().filter(|c| c.name == METRIC_NAME && c.op == "=");
        names.next().map(|condition| &*condition.value)
    }
}

fn equal(name: &str, value: impl Into<String>) -> Condition {
    Condition { name: name.to_owned(), op: "=", value: value.into() }
}

/// Writes PromQL for those series of a selector that one instance of a rule can come from.
///
/// It adds the labels of the instance which certainly come unchanged from this selector, and neither
/// from the rule's own labels nor from Prometheus.
pub fn narrow(selector: &Selector, instance: &LabelSet, rule_labels: &LabelSet) -> String {
    let own = |name: &str| name == "alertname" || name == METRIC_NAME;
    let certain = instance.iter().filter(|(name, _)| {
        !own(name) && rule_labels.get(name).is_none() && selector.kept.has(name)
    });
    let mut narrowed = selector.clone();
    narrowed.matchers.extend(certain.map(|(name, value)| equal(name, value)));
    narrowed.to_string()
}

impl fmt::Display for Selector {
    /// Writes it as PromQL: an instant selector whose matchers are sorted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leads = |name: &str| !name.is_empty() && is_word(name, true);
        let leading = self.metric().filter(|name| leads(name));
        if let Some(name) = leading {
            f.write_str(name)?;
        }
        let is_leading =
            |c: &Condition| c.name == METRIC_NAME && c.op == "=" && Some(&*c.value) == leading;
        let rest: Vec<_> = self.matchers.iter().filter(|c| !is_leading(c)).collect();
        if rest.is_empty() && leading.is_some() {
            return Ok(());
        }
        f.write_str("{")?;
        for (position, Condition { name, op, value }) in rest.into_iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            if is_word(name, false) {
                f.write_str(name)?;
            } else {
                write!(f, "{}", Quoted(name))?;
            }
            write!(f, "{op}{}", Quoted(value))?;
        }
        f.write_str("}")
    }
}

/// Whether a name needs no quotes. Of the words that PromQL has meanings for none needs them before
/// a brace, but a metric of such a name may stand alone: these are written as matchers.
fn is_word(name: &str, of_metric: bool) -> bool {
    let continues = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (of_metric && b == b':');
    let starts_well = !name.starts_with(|first: char| first.is_ascii_digit());
    let is_keyword = of_metric && KEYWORDS.contains(&name.to_ascii_lowercase().as_str());
    !name.is_empty() && starts_well && !is_keyword && name.bytes().all(continues)
}

/// Words that mean something where a metric may stand.
const KEYWORDS: [&str; 40] = [
    "and",
    "or",
    "unless",
    "atan2",
    "sum",
    "avg",
    "count",
    "min",
    "max",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "count_values",
    "quantile",
    "limitk",
    "limit_ratio",
    "offset",
    "smoothed",
    "anchored",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "fill",
    "fill_left",
    "fill_right",
    "start",
    "end",
    "step",
    "range",
    "inf",
    "nan",
    "min_of",
    "max_of",
    "at",
];

/// Writes a text as a string of Go, by escapes that every version of PromQL reads.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}
