//! When a hook is triggered: their rules as ways, each of which is conditions that must hold together.

use std::ops::Range;

use homeostat_core::label::Matchers;

use super::What;
use super::read::parameter;
use crate::keys::Keys;
use crate::read::{Field, Reader, Text};
use crate::report::Problem;
use crate::yaml::Node;

static RULE: Keys =
    Keys { of: "a trigger rule", known: &["and", "or", "not", "match"], later: &[], habits: &[] };

static MATCH: Keys = Keys {
    of: "`match` of a trigger rule",
    known: &["type", "value", "regex", "secret", "ip-range", "parameter"],
    later: &[],
    habits: &[],
};

/// The most policies that one hook becomes: beyond, a person knows better how to say it.
const WAYS_MAX: usize = 8;

/// When a hook is triggered.
#[derive(Debug, Clone)]
pub(in super::super) enum Rule {
    All(Vec<Rule>),
    Any(Vec<Rule>),
    Not(Box<Rule>),
    Match(Condition),
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Condition {
    /// A label has this value, or one that the expression is found in; or has not.
    Label { name: String, is_regex: bool, value: String, holds: bool },
    /// It holds for whatever fires, or for nothing that does.
    Firing(bool),
    /// It is about who sends.
    Sender(Range<usize>),
    /// It is about something that there is not.
    Nothing(Range<usize>, String),
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Rule> {
    let fields = reader.fields(node, &RULE)?;
    let several = |reader: &mut Reader<'_>, node: &Node| {
        let help = |_: &Node| Some("write a list of rules".to_owned());
        reader.list(node, "a list of rules", help, read).map(|list| list.value)
    };
    let all = fields.read(reader, "and", several).given_owned().map(Rule::All);
    let any = fields.read(reader, "or", several).given_owned().map(Rule::Any);
    let not = fields.read(reader, "not", read).given_owned().map(|rule| Rule::Not(Box::new(rule)));
    let matches = fields.read(reader, "match", matching).given_owned().map(Rule::Match);
    let rule = all.or(any).or(not).or(matches);
    if rule.is_none() {
        let problem = Problem::error(fields.span, "this rule says nothing");
        reader.problems.report(problem.help("write `match`, `and`, `or` or `not`"));
    }
    rule
}

fn matching(reader: &mut Reader<'_>, node: &Node) -> Option<Condition> {
    let fields = reader.fields(node, &MATCH)?;
    let text =
        |field: Field<Text>| field.given().map(|text| text.value.clone()).unwrap_or_default();
    let kind = text(fields.read(reader, "type", Reader::text));
    let value = text(fields.read(reader, "value", Reader::text));
    let regex = text(fields.read(reader, "regex", Reader::text));
    // A secret of their file is not shown.
    let _ = fields.read(reader, "secret", Reader::secret);
    let parameter = fields.read(reader, "parameter", parameter).given_owned();
    let is_regex = match kind.as_str() {
        "value" => false,
        "regex" => true,
        _ => return Some(Condition::Sender(fields.span)),
    };
    let value = if is_regex { regex } else { value };
    Some(match parameter {
        Some(What::Label(name)) => Condition::Label { name, is_regex, value, holds: true },
        Some(What::Constant(status)) if is_regex => Condition::Firing(is_found(&value, &status)),
        Some(What::Constant(status)) => Condition::Firing(status == value),
        // A header, the URL: as a rule, by what a sender is known.
        Some(What::Elsewhere(_)) => Condition::Sender(fields.span),
        Some(what @ What::NoPart(_)) => {
            Condition::Nothing(fields.span, what.why_not().unwrap_or_default())
        }
        Some(What::Annotation(_) | What::Variable(_) | What::Payload) | None => {
            let why = "policies find alerts by their labels alone".to_owned();
            Condition::Nothing(fields.span, why)
        }
    })
}

/// Whether an expression is found in a text.
fn is_found(regex: &str, text: &str) -> bool {
    let matcher = format!("x=~{:?}", whole(regex));
    let parsed = Matchers::parse(&matcher);
    parsed.is_ok_and(|parsed| parsed.matchers.iter().all(|matcher| matcher.matches_value(text)))
}

/// An expression that takes the whole of a value in which another one is found.
pub(super) fn whole(regex: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-:/ ".contains(c);
    let (from, rest) = regex.strip_prefix('^').map_or((".*", regex), |rest| ("", rest));
    let (to, rest) = rest.strip_suffix('$').map_or((".*", rest), |rest| ("", rest));
    if rest.chars().all(is_plain) {
        return format!("{from}{rest}{to}");
    }
    format!("(?s:.*)(?:{regex})(?s:.*)")
}

impl Condition {
    fn negated(&self) -> Self {
        match self.clone() {
            Self::Label { name, is_regex, value, holds } => {
                Self::Label { name, is_regex, value, holds: !holds }
            }
            Self::Firing(holds) => Self::Firing(!holds),
            other @ (Self::Sender(_) | Self::Nothing(..)) => other,
        }
    }
}

impl Rule {
    /// All ways in which it can hold; `None` where there are too many. No condition holds always.
    pub(super) fn ways(&self) -> Option<Vec<Vec<Condition>>> {
        self.ways_to(true)
    }

    fn ways_to(&self, holds: bool) -> Option<Vec<Vec<Condition>>> {
        match self {
            Self::Not(rule) => rule.ways_to(!holds),
            Self::Match(condition) => {
                let condition = if holds { condition.clone() } else { condition.negated() };
                Some(match condition {
                    Condition::Firing(true) => vec![Vec::new()],
                    Condition::Firing(false) => Vec::new(),
                    condition => vec![vec![condition]],
                })
            }
            Self::All(rules) if holds => together(rules, holds),
            Self::Any(rules) if !holds => together(rules, holds),
            Self::All(rules) | Self::Any(rules) => {
                let mut ways = Vec::new();
                for rule in rules {
                    ways.extend(rule.ways_to(holds)?);
                    if ways.len() > WAYS_MAX {
                        return None;
                    }
                }
                Some(ways)
            }
        }
    }
}

/// Each way of the one with each way of the other.
fn together(rules: &[Rule], holds: bool) -> Option<Vec<Vec<Condition>>> {
    let mut ways = vec![Vec::new()];
    for rule in rules {
        let more = rule.ways_to(holds)?;
        let mut both = Vec::new();
        for way in &ways {
            for another in &more {
                let mut conditions: Vec<Condition> = way.clone();
                conditions.extend(another.iter().cloned());
                both.push(conditions);
            }
        }
        if both.len() > WAYS_MAX {
            return None;
        }
        ways = both;
    }
    Some(ways)
}
