//! Matchers: conditions on labels, all of which must hold.
//!
//! Duty: decide whether a set of labels is meant, and print the canonical form of a condition.
//! Not its duty: reading text (`parse`), and what a regex means (`re2`).
//!
//! Source: `pkg/labels/matcher.go` of Alertmanager.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::parse::{self, ParseError, Parsed};
use super::re2::{Pattern, RegexError};
use super::{LabelSet, is_classic_name, quote};

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// `=`: the value is this text.
    Equal,
    /// `!=`: the value is not this text.
    NotEqual,
    /// `=~`: the regex matches the whole value.
    Regex,
    /// `!~`: the regex does not match the whole value.
    NotRegex,
}

impl Op {
    /// The operator as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }

    /// Whether the value is a regex.
    pub const fn is_regex(self) -> bool {
        match self {
            Self::Equal | Self::NotEqual => false,
            Self::Regex | Self::NotRegex => true,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One condition on one label, cheap to clone.
///
/// A label that is missing compares as the empty text. Regexes are RE2 and match the whole value.
/// It prints canonically as `name op "value"`, the value as a JSON string, and the name too when
/// it is not a classic name. Two matchers are equal if they print the same.
///
/// ```
/// use homeostat_core::label::{LabelSet, Matcher, Op};
///
/// let matcher = Matcher::new("job", Op::Regex, "web|db").unwrap();
/// assert!(matcher.matches(&LabelSet::from_pairs([("job", "db")])));
/// assert!(!matcher.matches(&LabelSet::from_pairs([("job", "db2")])));
/// assert_eq!(matcher.to_string(), r#"job =~ "web|db""#);
/// ```
#[derive(Debug, Clone)]
pub struct Matcher {
    name: Arc<str>,
    op: Op,
    value: Arc<str>,
    /// `None` exactly if `op` compares texts.
    pattern: Option<Pattern>,
}

impl Matcher {
    /// A matcher of these parts.
    ///
    /// # Errors
    ///
    /// The operator asks for a regex and the value is none that RE2 accepts.
    pub fn new(
        name: impl Into<Arc<str>>,
        op: Op,
        value: impl Into<Arc<str>>,
    ) -> Result<Self, RegexError> {
        let value = value.into();
        let pattern = if op.is_regex() { Some(Pattern::compile(&value)?) } else { None };
        Ok(Self { name: name.into(), op, value, pattern })
    }

    /// The name of the label.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the label is compared.
    pub const fn op(&self) -> Op {
        self.op
    }

    /// The text or the regex that the label is compared with.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether these labels meet the condition.
    pub fn matches(&self, labels: &LabelSet) -> bool {
        self.matches_value(labels.get(&self.name).unwrap_or_default())
    }

    /// Whether this value of the label meets the condition; a missing label has the value `""`.
    pub fn matches_value(&self, value: &str) -> bool {
        let found = self.pattern.as_ref().map_or(*self.value == *value, |p| p.matches(value));
        match self.op {
            Op::Equal | Op::Regex => found,
            Op::NotEqual | Op::NotRegex => !found,
        }
    }

    /// The name and the value, if only labels with exactly this pair can match.
    ///
    /// An index can find such matchers by the pair. `name=""` is not among them: it also holds
    /// where the label is missing.
    pub fn equality(&self) -> Option<(&str, &str)> {
        (self.op == Op::Equal && !self.value.is_empty()).then_some((&self.name, &self.value))
    }

    fn key(&self) -> (&str, Op, &str) {
        (&self.name, self.op, &self.value)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Matcher {}

impl PartialOrd for Matcher {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Matcher {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for Matcher {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_classic_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            quote::json(f, &self.name)?;
        }
        write!(f, " {} ", self.op)?;
        quote::json(f, &self.value)
    }
}

/// A list of matchers, all of which must hold; the empty list holds for all labels.
///
/// It prints as `{name op "value", …}`.
///
/// It is written down in this form, and read back by the UTF-8 grammar, which reads all of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Matchers(Vec<Matcher>);

impl From<Matchers> for String {
    fn from(matchers: Matchers) -> Self {
        matchers.to_string()
    }
}

impl TryFrom<String> for Matchers {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse_utf8(&text).map_err(|error| error.message)
    }
}

impl Matchers {
    /// Reads matchers as Alertmanager does: by the UTF-8 grammar, and by the classic one where
    /// that fails or where both succeed and differ.
    ///
    /// # Errors
    ///
    /// Neither grammar accepts the input; the error points at the place.
    pub fn parse(input: &str) -> Result<Parsed, ParseError> {
        parse::with_fallback(input)
    }

    /// Reads matchers by the UTF-8 grammar alone, as Alertmanager does in its strict mode.
    ///
    /// # Errors
    ///
    /// The input is not of that grammar; the error points at the place.
    pub fn parse_utf8(input: &str) -> Result<Self, ParseError> {
        parse::utf8(input)
    }

    /// Reads matchers by the classic grammar alone, as Alertmanager did before 0.27.
    ///
    /// # Errors
    ///
    /// The input is not of that grammar; the error points at the place.
    pub fn parse_classic(input: &str) -> Result<Self, ParseError> {
        parse::classic(input)
    }

    /// Whether these labels meet all conditions.
    pub fn matches(&self, labels: &LabelSet) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels))
    }

    /// The matchers in the order in which they were written.
    pub fn iter(&self) -> std::slice::Iter<'_, Matcher> {
        self.0.iter()
    }

    /// The number of matchers.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no matchers, so that all labels match.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Matcher> for Matchers {
    fn from_iter<I: IntoIterator<Item = Matcher>>(matchers: I) -> Self {
        Self(matchers.into_iter().collect())
    }
}

impl Extend<Matcher> for Matchers {
    fn extend<I: IntoIterator<Item = Matcher>>(&mut self, matchers: I) {
        self.0.extend(matchers);
    }
}

impl IntoIterator for Matchers {
    type Item = Matcher;
    type IntoIter = std::vec::IntoIter<Matcher>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Matchers {
    type Item = &'a Matcher;
    type IntoIter = std::slice::Iter<'a, Matcher>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (position, matcher) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{matcher}")?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matcher(name: &str, op: Op, value: &str) -> Matcher {
        Matcher::new(name, op, value).unwrap()
    }

    #[test]
    fn operators_compare_texts_or_match_whole_values() {
        let labels = LabelSet::from_pairs([("job", "web"), ("instance", "a:80")]);
        for (name, op, value, expected) in [
            ("job", Op::Equal, "web", true),
            ("job", Op::Equal, "we", false),
            ("job", Op::NotEqual, "web", false),
            ("job", Op::NotEqual, "db", true),
            ("job", Op::Regex, "w.b", true),
            ("job", Op::Regex, "web|db", true),
            ("job", Op::Regex, "w", false),
            ("job", Op::Regex, "eb", false),
            ("job", Op::NotRegex, "w.*", false),
            ("job", Op::NotRegex, "d.*", true),
        ] {
            let matcher = matcher(name, op, value);
            assert_eq!(matcher.matches(&labels), expected, "{matcher}");
        }
    }

    #[test]
    fn a_missing_label_has_the_empty_value() {
        let labels = LabelSet::from_pairs([("job", "web")]);
        for (op, value, expected) in [
            (Op::Equal, "", true),
            (Op::Equal, "x", false),
            (Op::NotEqual, "", false),
            (Op::NotEqual, "x", true),
            (Op::Regex, "", true),
            (Op::Regex, ".*", true),
            (Op::Regex, ".+", false),
            (Op::NotRegex, ".+", true),
            (Op::NotRegex, "a?", false),
        ] {
            let matcher = matcher("env", op, value);
            assert_eq!(matcher.matches(&labels), expected, "{matcher}");
        }
    }

    #[test]
    fn all_matchers_must_match_and_none_match_everything() {
        let labels = LabelSet::from_pairs([("job", "web"), ("env", "prod")]);
        let matches = |input| Matchers::parse(input).unwrap().matchers.matches(&labels);
        assert!(matches(r#"job="web", env=~"prod|stage""#));
        assert!(!matches(r#"job="web", env="stage""#));
        assert!(matches("") && matches("{}") && Matchers::default().matches(&LabelSet::default()));
    }

    #[test]
    fn the_canonical_form_has_spaces_and_json_strings() {
        for (name, op, value, printed) in [
            ("job", Op::Equal, "web", r#"job = "web""#),
            ("job", Op::NotRegex, r"a\.b", r#"job !~ "a\\.b""#),
            ("a:b_9", Op::NotEqual, "", r#"a:b_9 != """#),
            ("a.b", Op::Regex, "x\n\"", r#""a.b" =~ "x\n\"""#),
            ("9a", Op::Equal, "é\u{1}", r#""9a" = "é\u0001""#),
            ("", Op::Equal, "x", r#""" = "x""#),
        ] {
            assert_eq!(matcher(name, op, value).to_string(), printed);
        }
        let matchers: Matchers =
            [matcher("b", Op::Equal, "1"), matcher("a", Op::Regex, "2")].into_iter().collect();
        assert_eq!(matchers.to_string(), r#"{b = "1", a =~ "2"}"#);
        assert_eq!((matchers.len(), matchers.is_empty()), (2, false));
        assert_eq!(Matchers::default().to_string(), "{}");
    }

    #[test]
    fn only_an_equality_with_a_value_can_be_indexed() {
        assert_eq!(matcher("job", Op::Equal, "web").equality(), Some(("job", "web")));
        assert_eq!(matcher("job", Op::Equal, "").equality(), None);
        for op in [Op::NotEqual, Op::Regex, Op::NotRegex] {
            assert_eq!(matcher("job", op, "web").equality(), None);
        }
    }

    #[test]
    fn matchers_are_equal_by_what_they_say() {
        assert_eq!(matcher("a", Op::Regex, "b.*"), matcher("a", Op::Regex, "b.*"));
        assert_ne!(matcher("a", Op::Regex, "b"), matcher("a", Op::Equal, "b"));
        assert_ne!(matcher("a", Op::Regex, "b|c"), matcher("a", Op::Regex, "c|b"));
    }

    fn any_op() -> impl Strategy<Value = Op> {
        prop_oneof![Just(Op::Equal), Just(Op::NotEqual), Just(Op::Regex), Just(Op::NotRegex),]
    }

    /// Matchers of every kind; with a regex operator, values that are no regex are left out.
    fn any_matcher(name: &'static str, value: &'static str) -> impl Strategy<Value = Matcher> {
        (name, any_op(), value)
            .prop_filter_map("not a regex", |(name, op, value)| Matcher::new(name, op, value).ok())
    }

    const CLASSIC_NAME: &str = "[a-zA-Z_:][a-zA-Z0-9_:]{0,5}";
    const ANY_TEXT: &str = "(?s).{0,8}";
    /// The classic grammar has no escape for other control characters than the line feed: it
    /// reads the tab of a JSON string as a backslash and a `t`, and its reading counts.
    const WITHOUT_CONTROLS: &str = "[^\\x00-\\x09\\x0b-\\x1f]{0,8}";

    proptest! {
        #[test]
        fn the_canonical_form_reads_back(matcher in any_matcher(CLASSIC_NAME, WITHOUT_CONTROLS)) {
            let parsed = Matchers::parse(&matcher.to_string()).unwrap();
            prop_assert_eq!(parsed.disagreement, None);
            prop_assert_eq!(parsed.matchers, Matchers(vec![matcher]));
        }

        #[test]
        fn the_utf8_grammar_reads_back_everything(
            matchers in prop::collection::vec(any_matcher(ANY_TEXT, ANY_TEXT), 0..4),
        ) {
            let matchers = Matchers(matchers);
            prop_assert_eq!(Matchers::parse_utf8(&matchers.to_string()), Ok(matchers));
        }

        #[test]
        fn values_print_as_serde_json_prints_them(value in ANY_TEXT) {
            let json = serde_json::to_string(&value).unwrap();
            let printed = Matcher::new("a", Op::Equal, value).unwrap().to_string();
            prop_assert_eq!(printed, format!("a = {json}"));
        }

        #[test]
        fn a_regex_without_special_characters_is_a_list_of_texts(
            texts in prop::collection::vec("[a-z :/é]{0,3}", 1..4),
            value in "[a-z :/é|]{0,3}",
        ) {
            let matcher = Matcher::new("a", Op::Regex, texts.join("|")).unwrap();
            prop_assert_eq!(matcher.matches_value(&value), texts.contains(&value));
            // The same list in a group takes the way through the engine.
            let grouped = Matcher::new("a", Op::Regex, format!("({})", texts.join("|"))).unwrap();
            prop_assert_eq!(grouped.matches_value(&value), texts.contains(&value));
        }
    }
}
