//! What a Prometheus says of how it labels what it sends.
//!
//! Duty: read its configuration, as `/api/v1/status/config` prints it, into core's
//! [`Wire`](homeostat_core::relabel::Wire). *Not* its duty: asking for it (`probe`), and applying it
//! (core's `relabel`).
//!
//! What is printed is not what somebody wrote: Prometheus has put its defaults in, and leaves out what
//! is empty. So in a rule a `separator` or a `replacement` that is not there is the empty text, and no
//! default. A `regex` that is not there is the default in those that print none (since 2.55), and an
//! empty one is printed as `null`. An `action` is always there: a rule without one was printed by
//! somebody else, whose defaults we do not know, and is an error as any rule that we cannot apply.
//!
//! Source: `config/config.go` and `model/relabel/relabel.go` of Prometheus 2.42, 2.55 and 3.14.

use std::collections::BTreeMap;
use std::fmt;

use homeostat_core::label::LabelSet;
use homeostat_core::relabel::{DEFAULT_REGEX, Relabel, RelabelError, Rules, Wire};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

pub use homeostat_core::relabel::Dialect;

use crate::client::one_line;

/// Why a configuration does not say what is put on the wire.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RelabellingError {
    /// It is none.
    #[error("its configuration is not understood: {0}")]
    Unreadable(String),
    /// A rule cannot be applied.
    #[error("{place}: {source}")]
    Rule {
        /// Where it stands.
        place: Place,
        /// Why.
        #[source]
        source: RelabelError,
    },
    /// A rule does not say what it does.
    #[error("{place}: relabelling rule {number} has no action")]
    NoAction {
        /// Where it stands.
        place: Place,
        /// Which rule.
        number: usize,
    },
    /// A rule has a key that we do not know: what it changes is not known either.
    #[error("{place}: relabelling rule {number} has a key that is not known: {key}")]
    UnknownKey {
        /// Where it stands.
        place: Place,
        /// Which rule.
        number: usize,
        /// The key.
        key: String,
    },
}

/// Where a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In those for all Alertmanagers.
    All,
    /// In those for one entry of the Alertmanagers, counted from one.
    Alertmanager(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("alerting.alert_relabel_configs"),
            Self::Alertmanager(number) => {
                write!(f, "alert_relabel_configs of entry {number} of alerting.alertmanagers")
            }
        }
    }
}

/// Reads the YAML that a Prometheus of this dialect prints.
///
/// # Errors
///
/// It is not the configuration of a Prometheus, or has a rule that we cannot apply.
pub fn read(yaml: &str, dialect: Dialect) -> Result<Wire, RelabellingError> {
    let unreadable = |error: serde_saphyr::Error| {
        // Its lines may quote what stands in the configuration; the first says what is wrong.
        let text = error.to_string();
        RelabellingError::Unreadable(one_line(text.lines().next().unwrap_or_default()))
    };
    let Printed { global, alerting } = serde_saphyr::from_str(yaml).map_err(unreadable)?;
    let is_classic = global.metric_name_validation_scheme.as_deref() == Some("legacy");
    let dialect = if is_classic { dialect.with_classic_names() } else { dialect };
    let external = LabelSet::from_pairs(global.external_labels.unwrap_or_default());
    let all = rules(alerting.alert_relabel_configs, dialect, Place::All)?;
    let mut wire = Wire::new(external, all);
    for (position, entry) in alerting.alertmanagers.unwrap_or_default().into_iter().enumerate() {
        let place = Place::Alertmanager(position + 1);
        wire = wire.with_alertmanager(rules(entry.alert_relabel_configs, dialect, place)?);
    }
    Ok(wire)
}

fn rules(
    printed: Option<Vec<Rule>>,
    dialect: Dialect,
    place: Place,
) -> Result<Rules, RelabellingError> {
    let printed = printed.unwrap_or_default().into_iter().enumerate();
    let written = printed.map(|(position, rule)| rule.meaning(place, position + 1));
    let written: Vec<Relabel> = written.collect::<Result<_, _>>()?;
    Rules::new(written, dialect).map_err(|source| RelabellingError::Rule { place, source })
}

/// The part of the configuration that is read; the rest is skipped.
#[derive(Deserialize)]
struct Printed {
    global: Global,
    #[serde(default)]
    alerting: Alerting,
}

#[derive(Deserialize)]
struct Global {
    external_labels: Option<BTreeMap<String, String>>,
    metric_name_validation_scheme: Option<String>,
}

#[derive(Default, Deserialize)]
struct Alerting {
    alert_relabel_configs: Option<Vec<Rule>>,
    alertmanagers: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    alert_relabel_configs: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
struct Rule {
    action: Option<String>,
    source_labels: Option<Vec<String>>,
    separator: Option<String>,
    #[serde(default)]
    regex: Regex,
    modulus: Option<u64>,
    target_label: Option<String>,
    replacement: Option<String>,
    #[serde(flatten)]
    unknown: BTreeMap<String, serde_json::Value>,
}

/// A regex that is not there is the default, one without a value is empty.
#[derive(Default)]
enum Regex {
    #[default]
    LeftOut,
    Printed(String),
}

impl<'de> Deserialize<'de> for Regex {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        let printed = Option::deserialize(value)?;
        Ok(Self::Printed(printed.unwrap_or_default()))
    }
}

impl Rule {
    fn meaning(self, place: Place, number: usize) -> Result<Relabel, RelabellingError> {
        if let Some(key) = self.unknown.into_keys().next() {
            return Err(RelabellingError::UnknownKey { place, number, key: one_line(&key) });
        }
        let action = self.action.ok_or(RelabellingError::NoAction { place, number })?;
        let action = action.parse().map_err(|source: RelabelError| RelabellingError::Rule {
            place,
            source: source.of_rule(number),
        })?;
        Ok(Relabel {
            source_labels: self.source_labels.unwrap_or_default(),
            separator: self.separator.unwrap_or_default(),
            regex: match self.regex {
                Regex::LeftOut => DEFAULT_REGEX.to_owned(),
                Regex::Printed(text) => text,
            },
            modulus: self.modulus.unwrap_or_default(),
            target_label: self.target_label.unwrap_or_default(),
            replacement: self.replacement.unwrap_or_default(),
            action,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(yaml: &str, labels: &[(&str, &str)]) -> Vec<String> {
        let wire = read(yaml, Dialect::default()).unwrap();
        let sent = wire.send_all(&LabelSet::from_pairs(labels.iter().copied()));
        sent.iter().map(ToString::to_string).collect()
    }

    fn refused(alerting: &str) -> String {
        let yaml = format!("global: {{}}\nalerting:\n{alerting}");
        read(&yaml, Dialect::default()).unwrap_err().to_string()
    }

    #[test]
    fn a_configuration_without_labels_sends_alerts_as_they_are() {
        let yaml = "global:\n  scrape_interval: 1m\nscrape_configs:\n- job_name: a\n";
        assert!(read(yaml, Dialect::default()).unwrap().is_plain());
        assert!(read("global: {}\nalerting: {}\n", Dialect::default()).unwrap().is_plain());
    }

    /// As 3.x prints it, with secrets and with rules of one Alertmanager.
    #[test]
    fn rules_of_one_alertmanager_come_after_those_for_all() {
        let yaml = r#"
global:
  scrape_interval: 15s
  external_labels:
    cluster: eu
    replica: "0"
  runtime: { gogc: 75 }
alerting:
  alert_relabel_configs:
  - regex: replica
    action: labeldrop
    separator: ;
    replacement: $1
  alertmanagers:
  - follow_redirects: true
    scheme: http
    timeout: 10s
    api_version: v2
    basic_auth: { username: a, password: <secret> }
    alert_relabel_configs:
    - { source_labels: [cluster], separator: ;, target_label: region, replacement: $1, action: replace }
    static_configs:
    - targets: [a:9093]
  - scheme: http
    relabel_configs: [{ action: drop, nonsense: 1 }]
    static_configs:
    - targets: [b:9093]
"#;
        let both = [r#"{a="1", cluster="eu", region="eu"}"#, r#"{a="1", cluster="eu"}"#];
        assert_eq!(sent(yaml, &[("a", "1")]), both);
    }

    #[test]
    fn what_is_left_out_is_empty_and_no_default() {
        let yaml = |rule: &str| {
            format!("global: {{}}\nalerting: {{ alert_relabel_configs: [{{ {rule} }}] }}")
        };
        let joined =
            yaml("source_labels: [a, b], target_label: c, replacement: $1, action: replace");
        assert_eq!(sent(&joined, &[("a", "1"), ("b", "2")]), [r#"{a="1", b="2", c="12"}"#]);
        let deleted = yaml("source_labels: [a], target_label: a, separator: ;, action: replace");
        assert_eq!(sent(&deleted, &[("a", "1"), ("b", "2")]), [r#"{b="2"}"#]);
        let empty = yaml("source_labels: [a], regex: null, action: drop");
        assert_eq!(sent(&empty, &[("b", "2")]), [] as [String; 0]);
        assert_eq!(sent(&empty, &[("a", "1")]), [r#"{a="1"}"#]);
    }

    #[test]
    fn classic_names_hold_where_the_configuration_says_so() {
        let yaml = |scheme: &str| {
            format!(
                "global: {{ metric_name_validation_scheme: {scheme} }}\nalerting: {{ \
                 alert_relabel_configs: [{{ source_labels: [a], target_label: x.$1, \
                 replacement: y, action: replace }}] }}"
            )
        };
        assert_eq!(sent(&yaml("utf8"), &[("a", "1")]), [r#"{a="1", "x.1"="y"}"#]);
        assert_eq!(sent(&yaml("legacy"), &[("a", "1")]), [r#"{a="1"}"#]);
    }

    #[test]
    fn what_cannot_be_applied_is_an_error_that_says_what() {
        let all = |rule: &str| refused(&format!("  alert_relabel_configs: [{{ {rule} }}]"));
        assert_eq!(
            all("action: explode"),
            "alerting.alert_relabel_configs: relabelling rule 1: its action \"explode\" is not known"
        );
        assert_eq!(
            all("regex: a"),
            "alerting.alert_relabel_configs: relabelling rule 1 has no action"
        );
        assert_eq!(
            all("action: drop, if: x"),
            "alerting.alert_relabel_configs: relabelling rule 1 has a key that is not known: if"
        );
        let one =
            refused("  alertmanagers: [{}, { alert_relabel_configs: [{ action: hashmod }] }]");
        assert_eq!(
            one,
            "alert_relabel_configs of entry 2 of alerting.alertmanagers: relabelling rule 1 \
             (hashmod) cannot be applied: it has no target_label"
        );
    }

    #[test]
    fn what_is_no_configuration_is_an_error() {
        for text in ["", "[]", "a: 1", "global: [", "global: { external_labels: [a] }"] {
            let error = read(text, Dialect::default()).unwrap_err().to_string();
            assert!(error.starts_with("its configuration is not understood: "), "{text}: {error}");
        }
    }
}
