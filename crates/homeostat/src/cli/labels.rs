//! Labels as they are typed: `name=value`.

use std::str::FromStr;

use homeostat_core::label::LabelSet;

/// One label, or one annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// Never empty.
    pub(super) name: String,
    /// All after the first `=`.
    pub(super) value: String,
}

impl Pair {
    /// The same as a JSON object; of equal names the last counts.
    pub(super) fn object(pairs: &[Self]) -> serde_json::Value {
        pairs.iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect()
    }
}

impl FromStr for Pair {
    type Err = String;

    /// Reads `name=value`. The value is all that follows the first `=`, as it stands: the shell
    /// has taken its quotes away.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some(("", _)) => Err("a label has a name: write name=value".into()),
            Some((name, _)) if name.ends_with('!') || text[name.len()..].starts_with("=~") => {
                Err(format!(
                    "labels have values, not conditions: write {}=value",
                    name.trim_end_matches('!')
                ))
            }
            Some((name, value)) => Ok(Self { name: name.into(), value: value.into() }),
            None => Err("expected name=value".into()),
        }
    }
}

/// Makes a set of what was typed; of labels with the same name the last counts.
pub(super) fn set(pairs: &[Pair]) -> LabelSet {
    LabelSet::from_pairs(pairs.iter().map(|pair| (pair.name.as_str(), pair.value.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_split_at_its_first_equals_sign() {
        for (text, wanted) in [
            ("job=web", Some(("job", "web"))),
            ("job=", Some(("job", ""))),
            ("q=a=b", Some(("q", "a=b"))),
            ("dot.ted=\"x\"", Some(("dot.ted", "\"x\""))),
            ("=web", None),
            ("job", None),
            ("", None),
            ("job!=web", None),
            ("job=~web", None),
        ] {
            let wanted =
                wanted.map(|(name, value)| Pair { name: name.into(), value: value.into() });
            assert_eq!(text.parse().ok(), wanted, "{text}");
        }
    }
}
