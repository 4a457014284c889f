//! Labels: what identifies an alert, and the matchers that pick some of them.
//!
//! Duty: hold a set of labels as an immutable value ([`LabelSet`]), give it the identity that
//! Alertmanager gives it ([`Fingerprint`]), and decide whether it is meant by a list of matchers
//! ([`Matchers`]) exactly as Alertmanager would.
//!
//! ```text
//!   {alertname="ServiceDown", job="web"} ── fingerprint() ──▶ 64 bits of FNV-1a
//!                  │
//!                  ▼
//!   job =~ "web|db" ── matches() ──▶ yes or no
//!         ▲
//!         └── parse: UTF-8 grammar, else classic grammar; regexes are RE2
//! ```
//!
//! Not its duty: annotations as prose, templates, and which policy owns which matchers.
//!
//! Source: `model/labelset.go` and `model/fingerprinting.go` of `prometheus/common`;
//! `pkg/labels`, `matcher/parse` and `matcher/compat` of Alertmanager.

mod fingerprint;
mod matcher;
mod packed;
mod parse;
mod quote;
mod re2;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

pub use fingerprint::{Fingerprint, ParseFingerprintError};
pub use matcher::{Matcher, Matchers, Op};
use packed::Unpack;
pub use parse::{Disagreement, ParseError, Parsed};
pub use re2::RegexError;
pub(crate) use re2::{Found, Groups};

/// A set of labels: names with values, immutable and cheap to clone.
///
/// Names are unique and sorted bytewise, which is how they are listed; a label with an empty value
/// is the same as no label and is dropped. Both rules are Prometheus's, and the fingerprint relies
/// on them. The order of two sets says nothing but that they differ.
///
/// As JSON it is an object of strings. Reading accepts `null` for a value, or for the whole
/// set, as absent.
///
/// Source: `model/labelset.go` of `prometheus/common`.
///
/// ```
/// use homeostat_core::label::LabelSet;
///
/// let labels = LabelSet::from_pairs([("job", "web"), ("alertname", "ServiceDown"), ("env", "")]);
/// assert_eq!(labels.get("job"), Some("web"));
/// assert_eq!(labels.to_string(), r#"{alertname="ServiceDown", job="web"}"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LabelSet(Arc<str>);

impl LabelSet {
    /// A set of these labels. Of labels with the same name the last counts; labels with an empty
    /// value are dropped.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let pairs: Vec<(N, V)> = pairs.into_iter().collect();
        let texts = pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        // The sort is stable: reversed first, the last of each name leads its run and survives.
        let mut labels: Vec<(&str, &str)> = texts.rev().collect();
        labels.sort_by_key(|(name, _)| *name);
        labels.dedup_by_key(|(name, _)| *name);
        labels.retain(|(_, value)| !value.is_empty());
        Self(packed::pack(labels.into_iter()))
    }

    /// The value of a label, `None` if the set does not have it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(candidate, _)| *candidate == name).map(|(_, value)| value)
    }

    /// All labels, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        Unpack(&self.0)
    }

    /// Whether another set has all of these labels, with the same values.
    pub fn is_within(&self, other: &Self) -> bool {
        self.iter().all(|(name, value)| other.get(name) == Some(value))
    }

    /// The number of labels.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether the set has no labels.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The identity of the set, the same that Alertmanager computes.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.iter())
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for LabelSet {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self::from_pairs(pairs)
    }
}

impl fmt::Display for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (position, (name, value)) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            if is_classic_name(name) {
                f.write_str(name)?;
            } else {
                quote::go(f, name)?;
            }
            f.write_str("=")?;
            quote::go(f, value)?;
        }
        f.write_str("}")
    }
}

impl Serialize for LabelSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for LabelSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(LabelSetVisitor)
    }
}

struct LabelSetVisitor;

impl<'de> Visitor<'de> for LabelSetVisitor {
    type Value = LabelSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of labels, names to strings")
    }

    fn visit_unit<E>(self) -> Result<LabelSet, E> {
        Ok(LabelSet::default())
    }

    fn visit_none<E>(self) -> Result<LabelSet, E> {
        Ok(LabelSet::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<LabelSet, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LabelSet, A::Error> {
        let mut pairs: Vec<(Borrowed<'de>, Borrowed<'de>)> = Vec::with_capacity(8);
        while let Some((name, value)) = map.next_entry::<_, Option<_>>()? {
            // One without a value is as one with an empty value: there is no such label.
            pairs.extend(value.map(|value| (name, value)));
        }
        Ok(LabelSet::from_pairs(pairs))
    }
}

/// A text that is copied only where it must be.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

impl AsRef<str> for Borrowed<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Whether a label name needs no quotes: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
///
/// Source: `LabelName.IsValidLegacy` in `model/labels.go` of `prometheus/common`, with the colon
/// that Alertmanager's matchers allow.
pub fn is_classic_name(name: &str) -> bool {
    let continues = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(continues)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn set(pairs: &[(&str, &str)]) -> LabelSet {
        LabelSet::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn labels_are_sorted_unique_and_never_empty() {
        let labels = set(&[("b", "1"), ("a", "old"), ("empty", ""), ("a", "new"), ("B", "2")]);
        let listed: Vec<_> = labels.iter().collect();
        assert_eq!(listed, [("B", "2"), ("a", "new"), ("b", "1")]);
        assert_eq!((labels.len(), labels.is_empty()), (3, false));
    }

    #[test]
    fn an_empty_value_given_last_removes_the_label() {
        assert!(set(&[("a", "x"), ("a", "")]).is_empty());
    }

    #[test]
    fn a_label_is_found_by_its_exact_name() {
        let labels = set(&[("job", "web"), ("instance", "a:80")]);
        assert_eq!(labels.get("job"), Some("web"));
        assert_eq!(labels.get("jo"), None);
        assert_eq!(labels.get(""), None);
        assert_eq!(LabelSet::default().get("job"), None);
    }

    #[test]
    fn sets_print_as_in_prometheus() {
        let labels = set(&[("a", "say \"hi\"\n\\ \u{7f} é \u{202e}"), ("dot.ted", "x")]);
        assert_eq!(labels.to_string(), r#"{a="say \"hi\"\n\\ \x7f é \u202e", "dot.ted"="x"}"#);
        assert_eq!(LabelSet::default().to_string(), "{}");
    }

    #[test]
    fn json_is_an_object_and_null_is_absent() {
        let read = |json: &str| serde_json::from_str::<LabelSet>(json);
        assert_eq!(
            read(r#"{"b":"1","a":"2","n":null,"e":""}"#).unwrap(),
            set(&[("a", "2"), ("b", "1")])
        );
        assert_eq!(read("null").unwrap(), LabelSet::default());
        assert_eq!(read("{}").unwrap(), LabelSet::default());
        assert!(read(r#"{"a":1}"#).is_err());
        assert!(read("[]").is_err());
        let labels = set(&[("b", "1"), ("a", "\"")]);
        let json = serde_json::to_string(&labels).unwrap();
        assert_eq!(json, r#"{"a":"\"","b":"1"}"#);
        assert_eq!(read(&json).unwrap(), labels);
    }

    proptest! {
        #[test]
        fn a_set_is_the_last_values_of_its_names_without_the_empty_ones(
            pairs in prop::collection::vec(("[ab]{0,2}", "[xy]{0,1}"), 0..8),
        ) {
            let mut last: BTreeMap<String, String> = pairs.iter().cloned().collect();
            last.retain(|_, value| !value.is_empty());
            let labels = LabelSet::from_pairs(pairs);
            prop_assert!(labels.iter().eq(last.iter().map(|(n, v)| (n.as_str(), v.as_str()))));
            for name in ["", "a", "b", "ab", "c"] {
                prop_assert_eq!(labels.get(name), last.get(name).map(String::as_str));
            }
            let json = serde_json::to_string(&labels).unwrap();
            prop_assert_eq!(serde_json::from_str::<LabelSet>(&json).unwrap(), labels);
        }

        /// What a person copies from a log line or a page is read as matchers for these labels.
        #[test]
        fn a_printed_set_reads_back_as_its_equalities(
            pairs in prop::collection::vec(("(?s).{1,6}", "(?s).{1,6}"), 0..4),
        ) {
            let labels = LabelSet::from_pairs(pairs);
            let read = Matchers::parse_utf8(&labels.to_string()).unwrap();
            let found = read.iter().map(|matcher| matcher.equality().unwrap());
            prop_assert!(found.eq(labels.iter()), "{labels} reads as {read}");
        }
    }

    #[test]
    fn classic_names_need_no_quotes() {
        for name in ["a", "_", ":", "job:rate_5m", "A9"] {
            assert!(is_classic_name(name), "{name}");
        }
        for name in ["", "9a", "a.b", "a-b", "é", "a b"] {
            assert!(!is_classic_name(name), "{name}");
        }
    }
}
