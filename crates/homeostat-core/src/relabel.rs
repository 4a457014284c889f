//! What Prometheus makes of an alert's labels before it sends them.
//!
//! ```text
//!   instance of a rule ─▶ external labels ─▶ alert_relabel_configs ─▶ those of each Alertmanager
//!        {job="web"}        where the name is free      rules, in order          ─▶ on the wire
//! ```
//!
//! Duty: apply relabelling rules to a label set exactly as Prometheus does ([`Rules`]), and the whole
//! way to the wire ([`Wire`]). *Not* its duty: asking a Prometheus for its rules, reading them from
//! text, and what follows from the labels.
//!
//! What a rule means depends on the version that applies it ([`Dialect`]): since 3.0 a `.` of a regex
//! is a line feed, too, and names may be any text; up to 2.49 a replacement that comes to nothing
//! deletes the label that is named like the template itself.
//!
//! Source: `model/relabel/relabel.go`, `model/labels` and `notifier` of Prometheus 2.42, 2.43, 2.50
//! and 3.14.

mod builder;
mod case;
mod expand;
mod wire;

use std::fmt;
use std::str::FromStr;

use md5::{Digest as _, Md5};

use crate::label::{Groups, LabelSet};
use crate::limits;
use builder::Builder;
use expand::expand;

pub use wire::Wire;

/// The regex of a rule that says none.
pub const DEFAULT_REGEX: &str = "(.*)";

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Action {
    /// Sets a label where the regex matches.
    #[default]
    Replace,
    /// Drops what the regex does not match.
    Keep,
    /// Drops what the regex matches.
    Drop,
    /// Drops where the target label is not equal.
    KeepEqual,
    /// Drops where the target label is equal.
    DropEqual,
    /// Sets a label to a remainder of a hash.
    HashMod,
    /// Copies labels to other names.
    LabelMap,
    /// Deletes labels by their names.
    LabelDrop,
    /// Deletes all labels but some.
    LabelKeep,
    /// Sets a label to lower case.
    Lowercase,
    /// Sets a label to upper case.
    Uppercase,
}

impl Action {
    /// Returns the action as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }

    const ALL: [Self; 11] = [
        Self::Replace,
        Self::Keep,
        Self::Drop,
        Self::KeepEqual,
        Self::DropEqual,
        Self::HashMod,
        Self::LabelMap,
        Self::LabelDrop,
        Self::LabelKeep,
        Self::Lowercase,
        Self::Uppercase,
    ];

    /// Whether it writes to, or compares with, its target label.
    const fn has_target(self) -> bool {
        match self {
            Self::Replace
            | Self::KeepEqual
            | Self::DropEqual
            | Self::HashMod
            | Self::Lowercase
            | Self::Uppercase => true,
            Self::Keep | Self::Drop | Self::LabelMap | Self::LabelDrop | Self::LabelKeep => false,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = RelabelError;

    /// Reads an action in any case, as Prometheus does.
    fn from_str(text: &str) -> Result<Self, RelabelError> {
        let written = text.to_lowercase();
        let found = Self::ALL.into_iter().find(|action| action.as_str() == written);
        found.ok_or_else(|| RelabelError(format!("its action {text:?} is not known")))
    }
}

/// Why a rule cannot be applied, in words: what is said of the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelabelError(String);

impl RelabelError {
    /// Says of which rule of a list it is, counted from one.
    #[must_use]
    pub fn of_rule(self, number: usize) -> Self {
        Self(format!("relabelling rule {number}: {self}"))
    }

    fn at(position: usize, rule: &Relabel, why: impl fmt::Display) -> Self {
        Self(format!(
            "relabelling rule {} ({}) cannot be applied: {why}",
            position + 1,
            rule.action
        ))
    }
}

impl fmt::Display for RelabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RelabelError {}

/// One rule, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relabel {
    /// The labels whose values are joined.
    pub source_labels: Vec<String>,
    /// What stands between them.
    pub separator: String,
    /// What the joined values, or the names of labels, are matched with.
    pub regex: String,
    /// The divisor of a hash.
    pub modulus: u64,
    /// The label that is set or compared, of `replace` a template.
    pub target_label: String,
    /// What it is set to, or what a label is called: a template.
    pub replacement: String,
    /// What is done.
    pub action: Action,
}

impl Default for Relabel {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: DEFAULT_REGEX.to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: Action::default(),
        }
    }
}

/// How a version of Prometheus reads rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    era: Era,
    /// Whether a label may have any name.
    utf8_names: bool,
}

/// What changed, and with which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Era {
    /// Up to 2.42: each rule begins with sorted labels.
    Sorted,
    /// Since 2.43: labels that a rule has set come after the others.
    Chained,
    /// Since 2.50: what comes to nothing deletes the label that its template names.
    Expanded,
    /// Since 3.0: a `.` is a line feed, too, and names are any text.
    Current,
}

impl Default for Dialect {
    /// The newest that is known.
    fn default() -> Self {
        Self { era: Era::Current, utf8_names: true }
    }
}

impl Dialect {
    /// Returns how this version reads rules, such as `2.42.0+ds`; `None` where that is no version.
    pub fn of_version(version: &str) -> Option<Self> {
        let mut numbers = version.trim_start_matches('v').split(['.', '-', '+']);
        let major: u32 = numbers.next()?.parse().ok()?;
        let minor: u32 = numbers.next()?.parse().ok()?;
        let era = match (major, minor) {
            (3.., _) => Era::Current,
            (2, 50..) => Era::Expanded,
            (2, 43..) => Era::Chained,
            _ => Era::Sorted,
        };
        Some(Self { era, utf8_names: era == Era::Current })
    }

    /// Returns the same with `metric_name_validation_scheme: legacy`.
    #[must_use]
    pub fn with_classic_names(self) -> Self {
        Self { utf8_names: false, ..self }
    }

    fn is_name(self, name: &str) -> bool {
        let continues = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let starts_well = !name.starts_with(|first: char| first.is_ascii_digit());
        !name.is_empty() && (self.utf8_names || (starts_well && name.bytes().all(continues)))
    }
}

/// Rules that are applied one after the other, their regexes compiled.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<(Relabel, Groups)>,
    dialect: Dialect,
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        let written = |rules: &Self| rules.iter().cloned().collect::<Vec<_>>();
        self.dialect == other.dialect && written(self) == written(other)
    }
}

impl Eq for Rules {}

impl Rules {
    /// Compiles rules.
    ///
    /// # Errors
    ///
    /// The first rule that cannot be applied, and why.
    pub fn new(written: Vec<Relabel>, dialect: Dialect) -> Result<Self, RelabelError> {
        if written.len() > limits::RELABEL_RULES {
            let most = limits::RELABEL_RULES;
            return Err(RelabelError(format!("there are more than {most} relabelling rules")));
        }
        let compile = |(position, rule): (usize, Relabel)| {
            usable(&rule).map_err(|why| RelabelError::at(position, &rule, why))?;
            let regex = Groups::compile(&rule.regex, dialect.era >= Era::Current);
            let regex = regex.map_err(|error| {
                let why = format!("its regex {:?} is none of RE2: {error}", rule.regex);
                RelabelError::at(position, &rule, why)
            })?;
            Ok((rule, regex))
        };
        let rules = written.into_iter().enumerate().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { rules, dialect })
    }

    /// Returns the rules as they are written.
    pub fn iter(&self) -> impl Iterator<Item = &Relabel> {
        self.rules.iter().map(|(rule, _)| rule)
    }

    /// Tells whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Applies the rules. Returns `None` where one of them drops these labels, or where they grow beyond
    /// [`limits::RELABELLED_BYTES`], as no labels that anybody sends do.
    pub fn apply(&self, labels: &LabelSet) -> Option<LabelSet> {
        let mut builder = Builder::new(labels);
        self.run(&mut builder).then(|| builder.labels())
    }

    /// Whether the labels are kept.
    fn run(&self, labels: &mut Builder) -> bool {
        self.rules.iter().all(|(rule, regex)| {
            if self.dialect.era == Era::Sorted {
                labels.settle();
            }
            step(rule, regex, self.dialect, labels) && labels.bytes() <= limits::RELABELLED_BYTES
        })
    }
}

/// What makes a rule unusable, besides its regex.
fn usable(rule: &Relabel) -> Result<(), String> {
    if rule.source_labels.len() > limits::RELABEL_SOURCES {
        return Err(format!("it has more than {} source labels", limits::RELABEL_SOURCES));
    }
    if rule.action.has_target() && rule.target_label.is_empty() {
        return Err("it has no target_label".to_owned());
    }
    if rule.action == Action::HashMod && rule.modulus == 0 {
        return Err("its modulus is zero".to_owned());
    }
    Ok(())
}

/// Applies one rule. Returns whether the labels are kept.
fn step(rule: &Relabel, regex: &Groups, dialect: Dialect, labels: &mut Builder) -> bool {
    let sources = rule.source_labels.iter().map(|name| labels.get(name));
    let value = sources.collect::<Vec<_>>().join(&rule.separator);
    let target = &rule.target_label;
    match rule.action {
        Action::Keep => return regex.matches(&value),
        Action::Drop => return !regex.matches(&value),
        Action::KeepEqual => return labels.get(target) == value,
        Action::DropEqual => return labels.get(target) != value,
        Action::Replace => replace(rule, regex, dialect, &value, labels),
        Action::HashMod => labels.set(target, &(hash(&value) % rule.modulus).to_string()),
        Action::Lowercase => labels.set(target, &case::lower(&value)),
        Action::Uppercase => labels.set(target, &case::upper(&value)),
        Action::LabelMap => {
            for (name, value) in labels.list() {
                if regex.matches(&name) {
                    labels.set(&rename(&name, regex, &rule.replacement), &value);
                }
            }
        }
        Action::LabelDrop | Action::LabelKeep => {
            let drops = rule.action == Action::LabelDrop;
            for (name, _) in labels.list() {
                if regex.matches(&name) == drops {
                    labels.delete(&name);
                }
            }
        }
    }
    true
}

fn replace(rule: &Relabel, regex: &Groups, dialect: Dialect, value: &str, labels: &mut Builder) {
    let Some(found) = regex.find(value) else { return };
    let target = expand(&rule.target_label, &found);
    let written = &rule.target_label;
    if !dialect.is_name(&target) {
        if dialect.era < Era::Expanded {
            labels.delete(written);
        }
        return;
    }
    let replacement = expand(&rule.replacement, &found);
    if replacement.is_empty() {
        labels.delete(if dialect.era < Era::Expanded { written } else { &target });
    } else {
        labels.set(&target, &replacement);
    }
}

/// Replaces each match in a label's name.
fn rename(name: &str, regex: &Groups, replacement: &str) -> String {
    let mut renamed = String::new();
    let mut rest = 0;
    for found in regex.find_all(name) {
        let range = found.range();
        renamed.push_str(&name[rest..range.start]);
        renamed.push_str(&expand(replacement, &found));
        rest = range.end;
    }
    renamed.push_str(&name[rest..]);
    renamed
}

/// The last eight bytes of the MD5 of a text, as a number.
fn hash(value: &str) -> u64 {
    let digest = Md5::digest(value.as_bytes());
    digest.iter().skip(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests;
