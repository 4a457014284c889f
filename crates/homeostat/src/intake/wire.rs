//! Tolerant reading of the JSON that alerts come in.
//!
//! Duty: read whatever is JSON in one pass, and never lose an alert because its neighbour, or an
//! unimportant field of its own, is not what was expected. A value of the wrong type is a value
//! here ([`Text::Wrong`]) and not an error; only what is no JSON at all is. Texts are borrowed
//! from the body until they become labels. What a single value is, is for `value` to say.
//!
//! Rejected: a strict type with a second, tolerant reading where it fails, which would give two
//! meanings to one body; and a tree of values, which takes sixteen times the memory of `[1,1,…]`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use homeostat_core::label::LabelSet;
use homeostat_core::limits;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::value::{Count, Text, start_of};

/// How many problems of one body are told in words; the others are counted.
pub(super) const PROBLEMS_TOLD: usize = 16;

/// Why one alert of a body was skipped, or some of what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which alert, counted from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// What could not be used of a body: the first in words, and how many in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// The first sixteen.
    pub told: Vec<Problem>,
    /// How many there are in all.
    pub count: u64,
}

impl Problems {
    /// Tells whether all of it was usable.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn add(&mut self, index: usize, reason: impl Into<String>) {
        self.count += 1;
        if self.told.len() < PROBLEMS_TOLD {
            self.told.push(Problem { index, reason: reason.into() });
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, Problem { index, reason }) in self.told.iter().enumerate() {
            let separator = if position > 0 { "; " } else { "" };
            write!(f, "{separator}alert {index}: {reason}")?;
        }
        match self.count - self.told.len() as u64 {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Where labels or annotations are expected.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// Those that can be read.
    pub(super) set: LabelSet,
    /// What stands in the place of them all, where it is no object.
    pub(super) wrong: Option<&'static str>,
    /// The first value that is left out because it is an object or an array.
    pub(super) left_out: Option<String>,
}

impl Labels {
    /// What could not be read, where something could not; `what` is the word for one of them.
    pub(super) fn problem(&self, what: &str) -> Option<String> {
        match (self.wrong, &self.left_out) {
            (Some(kind), _) => Some(format!("its {what}s are {kind}")),
            (None, Some(left_out)) => Some(format!("its {what} {left_out}")),
            (None, None) => None,
        }
    }

    /// Those that have a name.
    pub(super) fn named(&self) -> LabelSet {
        match self.set.get("") {
            None => self.set.clone(),
            Some(_) => self.set.iter().filter(|(name, _)| !name.is_empty()).collect(),
        }
    }

    /// That one has no name, where that is so.
    pub(super) fn nameless(&self) -> Option<String> {
        self.set.get("").map(|_| "an annotation has no name, and was left out".into())
    }
}

/// One alert as it was sent.
#[derive(Debug, Default)]
pub(super) struct Sent<'a> {
    pub(super) status: Text<'a>,
    pub(super) labels: Labels,
    pub(super) annotations: Labels,
    pub(super) starts_at: Text<'a>,
    pub(super) ends_at: Text<'a>,
    pub(super) generator_url: Text<'a>,
    pub(super) fingerprint: Text<'a>,
}

/// The elements of an array of alerts.
#[derive(Debug, Default)]
pub(super) struct Batch<'a> {
    /// Alerts, or what stands in their place.
    pub(super) sent: Vec<Result<Sent<'a>, &'static str>>,
    /// How many elements were left unread because there are too many.
    pub(super) beyond: u64,
}

/// Where an array of alerts is expected.
#[derive(Debug, Default)]
pub(super) enum Alerts<'a> {
    /// Not there.
    #[default]
    Absent,
    /// An array, or null.
    Batch(Batch<'a>),
    /// Something else, and what.
    Wrong(&'static str),
}

/// A notification as it was sent.
#[derive(Debug, Default)]
pub(super) struct Notification<'a> {
    pub(super) status: Text<'a>,
    pub(super) receiver: Text<'a>,
    pub(super) external_url: Text<'a>,
    pub(super) group_labels: Labels,
    pub(super) truncated: Count,
    pub(super) alerts: Alerts<'a>,
}

/// Where an object is expected.
#[derive(Debug)]
pub(super) enum Object<T> {
    /// An object.
    Read(T),
    /// Something else, and what.
    Wrong(&'static str),
}

/// A type that can be made of any JSON value: the arms that a type does not name are the wrong
/// ones for it.
trait Tolerant<'de>: Sized {
    /// Makes one of a value of the wrong type.
    fn wrong(kind: &'static str) -> Self;

    /// Makes one of null.
    fn null() -> Self;

    fn array<A: SeqAccess<'de>>(mut array: A) -> Result<Self, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::wrong("an array"))
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::wrong("an object"))
    }
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Tolerant<'de>> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::null())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<T, E> {
        Ok(T::wrong("a boolean"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<T, E> {
        Ok(T::wrong("a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<T, E> {
        Ok(T::wrong("a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
        Ok(T::wrong("a number"))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<T, E> {
        Ok(T::wrong("a string"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<T, A::Error> {
        T::array(array)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
        T::object(object)
    }
}

macro_rules! read_any {
    ($($type:ty),*) => {
        $(impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Any(PhantomData))
            }
        })*
    };
}

read_any!(Labels, Alerts<'de>, Object<Sent<'de>>, Object<Notification<'de>>);

impl<'de> Tolerant<'de> for Labels {
    fn wrong(kind: &'static str) -> Self {
        Self { wrong: Some(kind), ..Self::default() }
    }

    fn null() -> Self {
        Self::default()
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut pairs: Vec<(Cow<'de, str>, Text<'de>)> = Vec::with_capacity(8);
        let mut left_out = None;
        while let Some((Name(name), value)) = object.next_entry::<Name<'_>, Text<'_>>()? {
            match value {
                Text::Wrong(kind) => {
                    left_out = left_out.or_else(|| {
                        Some(format!("{:?} is {kind}, and was left out", start_of(&name)))
                    });
                }
                Text::Sent(_) | Text::Bare(..) | Text::Absent => pairs.push((name, value)),
            }
        }
        let pairs = pairs.iter().map(|(name, value)| (&**name, value.or_empty()));
        Ok(Self { set: LabelSet::from_pairs(pairs), wrong: None, left_out })
    }
}

/// The name of a label.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;
        impl<'de> Visitor<'de> for Named {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Named)
    }
}

impl<'de> Tolerant<'de> for Alerts<'de> {
    fn wrong(kind: &'static str) -> Self {
        Self::Wrong(kind)
    }

    fn null() -> Self {
        Self::Batch(Batch::default())
    }

    fn array<A: SeqAccess<'de>>(mut array: A) -> Result<Self, A::Error> {
        let mut batch = Batch::default();
        while batch.sent.len() < limits::OPEN_EPISODES {
            match array.next_element::<Object<Sent<'_>>>()? {
                Some(Object::Read(sent)) => batch.sent.push(Ok(sent)),
                Some(Object::Wrong(kind)) => batch.sent.push(Err(kind)),
                None => return Ok(Self::Batch(batch)),
            }
        }
        while array.next_element::<IgnoredAny>()?.is_some() {
            batch.beyond += 1;
        }
        Ok(Self::Batch(batch))
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum AlertField {
    Status,
    Labels,
    Annotations,
    StartsAt,
    EndsAt,
    #[serde(rename = "generatorURL")]
    GeneratorUrl,
    Fingerprint,
    #[serde(other)]
    Unknown,
}

impl<'de> Tolerant<'de> for Object<Sent<'de>> {
    fn wrong(kind: &'static str) -> Self {
        Self::Wrong(kind)
    }

    fn null() -> Self {
        Self::Wrong("null")
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut sent = Sent::default();
        while let Some(field) = object.next_key()? {
            match field {
                AlertField::Status => sent.status = object.next_value()?,
                AlertField::Labels => sent.labels = object.next_value()?,
                AlertField::Annotations => sent.annotations = object.next_value()?,
                AlertField::StartsAt => sent.starts_at = object.next_value()?,
                AlertField::EndsAt => sent.ends_at = object.next_value()?,
                AlertField::GeneratorUrl => sent.generator_url = object.next_value()?,
                AlertField::Fingerprint => sent.fingerprint = object.next_value()?,
                AlertField::Unknown => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Self::Read(sent))
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum NotificationField {
    Status,
    Receiver,
    #[serde(rename = "externalURL")]
    ExternalUrl,
    GroupLabels,
    TruncatedAlerts,
    Alerts,
    #[serde(other)]
    Unknown,
}

impl<'de> Tolerant<'de> for Object<Notification<'de>> {
    fn wrong(kind: &'static str) -> Self {
        Self::Wrong(kind)
    }

    fn null() -> Self {
        Self::Wrong("null")
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut read = Notification::default();
        while let Some(field) = object.next_key()? {
            match field {
                NotificationField::Status => read.status = object.next_value()?,
                NotificationField::Receiver => read.receiver = object.next_value()?,
                NotificationField::ExternalUrl => read.external_url = object.next_value()?,
                NotificationField::GroupLabels => read.group_labels = object.next_value()?,
                NotificationField::TruncatedAlerts => read.truncated = object.next_value()?,
                NotificationField::Alerts => read.alerts = object.next_value()?,
                NotificationField::Unknown => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Self::Read(read))
    }
}
