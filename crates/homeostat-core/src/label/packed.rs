//! A list of labels as one text, because there are several for each of a hundred thousand alerts.
//!
//! ```text
//!  {alertname="Down", rack="b"}  ─▶  known name 0, 4, Down, length 4, rack, 1, b
//! ```
//!
//! Each label is its name and its value, each led by its length. A number is written in base 64 with
//! characters below 128, so that the whole is a text and is taken apart without copies. The names that
//! almost every alert has are numbers and no texts. The form lives in memory only: nothing stores it.

use std::sync::Arc;

/// Names that most alerts have, in no order that matters.
const KNOWN: [&str; 24] = [
    "alertname",
    "cluster",
    "container",
    "dashboard_url",
    "description",
    "device",
    "endpoint",
    "env",
    "instance",
    "job",
    "message",
    "mountpoint",
    "name",
    "namespace",
    "node",
    "pod",
    "prometheus",
    "region",
    "runbook_url",
    "service",
    "severity",
    "summary",
    "team",
    "title",
];

/// Says that more digits follow.
const MORE: u8 = 0x40;

/// Packs labels that are sorted.
pub(super) fn pack<'a>(labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Arc<str> {
    // A length takes a character, or two where it is 64 or more.
    let most = labels.clone().map(|(name, value)| name.len() + value.len() + 6).sum();
    let mut packed = String::with_capacity(most);
    for (name, value) in labels {
        if let Some(position) = KNOWN.iter().position(|known| *known == name) {
            number(&mut packed, position);
        } else {
            number(&mut packed, KNOWN.len() + name.len());
            packed.push_str(name);
        }
        number(&mut packed, value.len());
        packed.push_str(value);
    }
    packed.into()
}

/// Writes a number, its lowest digit first.
fn number(packed: &mut String, mut number: usize) {
    while number >= usize::from(MORE) {
        packed.push(char::from(MORE | lowest_digit(number)));
        number /= usize::from(MORE);
    }
    packed.push(char::from(lowest_digit(number)));
}

fn lowest_digit(number: usize) -> u8 {
    number.to_le_bytes()[0] & (MORE - 1)
}

/// Takes labels out of their packed form, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Unpack<'a>(pub(super) &'a str);

impl<'a> Unpack<'a> {
    fn number(&mut self) -> usize {
        let (mut number, mut shift) = (0, 0);
        for (position, byte) in self.0.bytes().enumerate() {
            number |= usize::from(byte & (MORE - 1)) << shift;
            shift += MORE.trailing_zeros();
            if byte < MORE {
                self.0 = &self.0[position + 1..];
                break;
            }
        }
        number
    }

    fn text(&mut self, length: usize) -> &'a str {
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        text
    }
}

impl<'a> Iterator for Unpack<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let code = self.number();
        let name = match KNOWN.get(code) {
            Some(known) => known,
            None => self.text(code - KNOWN.len()),
        };
        let length = self.number();
        Some((name, self.text(length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unpacked(labels: &[(String, String)]) -> Vec<(String, String)> {
        let packed = pack(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Unpack(&packed).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    proptest! {
        #[test]
        fn labels_come_out_as_they_went_in(
            labels in prop::collection::vec(("(?s).{0,80}|job|pod", "(?s).{0,80}"), 0..8),
        ) {
            prop_assert_eq!(unpacked(&labels), labels);
        }
    }

    #[test]
    fn lengths_around_each_digit_are_kept() {
        for length in [0, 1, 38, 39, 40, 41, 63, 64, 65, 4_095, 4_096, 4_097, 300_000] {
            let labels = [("é".repeat(length), "x".repeat(length)), ("job".into(), "y".into())];
            assert_eq!(unpacked(&labels), labels);
        }
    }
}
