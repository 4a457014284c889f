//! The identity of a set of labels.
//!
//! Duty: compute, print and read the 64 bits by which Alertmanager names an alert.
//! Not its duty: judging a fingerprint that arrives. Grafana strips labels after it has hashed
//! them, so what arrives is taken as it is and never computed again.
//!
//! Source: `model/fingerprinting.go`, `model/signature.go` and `model/fnv.go` of
//! `prometheus/common`.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;
/// No UTF-8 text holds this byte, so no two different sets hash the same bytes.
const SEPARATOR: u8 = 0xff;

/// The identity of a set of labels: FNV-1a over its names and values, as Alertmanager has it.
///
/// It prints as sixteen hexadecimal digits, and reads any hexadecimal number of at most sixteen.
///
/// ```
/// use homeostat_core::label::LabelSet;
///
/// assert_eq!(LabelSet::default().fingerprint().to_string(), "cbf29ce484222325");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// The fingerprint of labels that are unique and sorted bytewise by name.
    pub(super) fn of<'a>(sorted: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hash = FNV_OFFSET;
        let mut feed = |text: &str| {
            for byte in text.bytes().chain([SEPARATOR]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
            }
        };
        for (name, value) in sorted {
            feed(name);
            feed(value);
        }
        Self(hash)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        let digits =
            (1..=16).contains(&input.len()) && input.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = if digits { u64::from_str_radix(input, 16).ok() } else { None };
        number.map(Self).ok_or_else(|| ParseFingerprintError { input: input.to_owned() })
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Why a text is not a fingerprint: one to sixteen hexadecimal digits are expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseFingerprintError {
    input: String,
}

impl fmt::Display for ParseFingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a fingerprint: expected sixteen hexadecimal digits", self.input)
    }
}

impl std::error::Error for ParseFingerprintError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::LabelSet;

    #[test]
    fn fingerprints_are_those_of_prometheus() {
        let vectors: [(&[(&str, &str)], &str); 3] = [
            (&[], "cbf29ce484222325"),
            (&[("name", "garland, briggs"), ("fear", "love is not enough")], "507a62d79ee76c9a"),
            (
                &[
                    ("alertname", "ServiceDown"),
                    ("instance", "web01:9100"),
                    ("job", "web"),
                    ("severity", "critical"),
                ],
                "8137f6ecae93e722",
            ),
        ];
        for (labels, expected) in vectors {
            let labels = LabelSet::from_pairs(labels.iter().copied());
            assert_eq!(labels.fingerprint().to_string(), expected, "{labels}");
        }
    }

    #[test]
    fn fingerprints_print_all_digits_and_read_back() {
        let small = Fingerprint(0xab);
        assert_eq!(small.to_string(), "00000000000000ab");
        assert_eq!("00000000000000ab".parse(), Ok(small));
        assert_eq!("AB".parse(), Ok(small));
        assert_eq!(serde_json::to_string(&small).unwrap(), r#""00000000000000ab""#);
        assert_eq!(serde_json::from_str::<Fingerprint>(r#""ab""#).unwrap(), small);
        for wrong in ["", "+1", "xyz", "0x1", "00000000000000000"] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}
