//! Tolerant reading of the JSON that alerts come in.
//!
//! Duty: read whatever is JSON in one pass, and never lose an alert because its neighbour, or an
//! unimportant field of its own, is not what was expected. A value of the wrong type is a value
//! here ([`Text::Wrong`]) and not an error; only what is no JSON at all is. Texts are borrowed
//! from the body until they become labels.
//!
//! Rejected: a strict type with a second, tolerant reading where it fails, which would give two
//! meanings to one body; and a tree of values, which takes sixteen times the memory of `[1,1,…]`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use homeostat_core::label::LabelSet;
use homeostat_core::limits;
use homeostat_core::time::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// How many problems of one body are told in words; the others are counted.
pub(super) const PROBLEMS_TOLD: usize = 16;

/// Why one alert of a body was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which alert, counted from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// The alerts of a body that were skipped: the first in words, and how many in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// The first sixteen.
    pub told: Vec<Problem>,
    /// How many there are in all.
    pub count: u64,
}

impl Problems {
    /// Tells whether every alert was usable.
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

/// Where a text is expected.
#[derive(Debug, Default)]
pub(super) enum Text<'a> {
    /// Not there, or null.
    #[default]
    Absent,
    /// A text.
    Sent(Cow<'a, str>),
    /// Something else, and what.
    Wrong(&'static str),
}

impl Text<'_> {
    /// The text, empty where there is none.
    pub(super) fn or_empty(&self) -> &str {
        match self {
            Self::Sent(text) => text,
            Self::Absent | Self::Wrong(_) => "",
        }
    }

    /// The moment that it names. Go writes "no time" as a time of its own.
    pub(super) fn time(&self) -> Time {
        match self {
            Self::Absent => Time::Absent,
            Self::Sent(text) => match text.parse::<Timestamp>() {
                Ok(moment) if moment.is_go_zero() => Time::Absent,
                Ok(moment) => Time::At(moment),
                Err(_) => Time::Wrong,
            },
            Self::Wrong(_) => Time::Wrong,
        }
    }
}

/// Where a moment is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// Not there, or no time.
    Absent,
    /// A moment.
    At(Timestamp),
    /// Something else.
    Wrong,
}

impl Time {
    pub(super) fn known(self) -> Option<Timestamp> {
        match self {
            Self::At(moment) => Some(moment),
            Self::Absent | Self::Wrong => None,
        }
    }
}

/// Where labels or annotations are expected.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// Those that are texts.
    pub(super) set: LabelSet,
    /// The first thing that is wrong with the others.
    pub(super) wrong: Option<String>,
}

/// Where a number of things is expected: anything else counts as none.
#[derive(Debug, Default)]
pub(super) struct Count(pub(super) u64);

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

    fn text(_: Cow<'de, str>) -> Self {
        Self::wrong("a string")
    }

    fn number(_: u64) -> Self {
        Self::wrong("a number")
    }

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

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        Ok(T::number(number))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
        Ok(T::wrong("a number"))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<T, E> {
        Ok(T::text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(T::text(Cow::Owned(text.to_owned())))
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

read_any!(Text<'de>, Labels, Count, Alerts<'de>, Object<Sent<'de>>, Object<Notification<'de>>);

impl<'de> Tolerant<'de> for Text<'de> {
    fn wrong(kind: &'static str) -> Self {
        Self::Wrong(kind)
    }

    fn null() -> Self {
        Self::Absent
    }

    fn text(text: Cow<'de, str>) -> Self {
        Self::Sent(text)
    }
}

impl Tolerant<'_> for Count {
    fn wrong(_: &'static str) -> Self {
        Self(0)
    }

    fn null() -> Self {
        Self(0)
    }

    fn number(number: u64) -> Self {
        Self(number)
    }
}

impl<'de> Tolerant<'de> for Labels {
    fn wrong(kind: &'static str) -> Self {
        Self { set: LabelSet::default(), wrong: Some(format!("are {kind}")) }
    }

    fn null() -> Self {
        Self::default()
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut pairs: Vec<(Cow<'de, str>, Cow<'de, str>)> = Vec::with_capacity(8);
        let mut wrong = None;
        while let Some((name, value)) = object.next_entry::<Text<'_>, Text<'_>>()? {
            let name = match name {
                Text::Sent(name) => name,
                Text::Absent | Text::Wrong(_) => Cow::Borrowed(""),
            };
            match value {
                Text::Sent(value) => pairs.push((name, value)),
                Text::Absent => {}
                Text::Wrong(kind) => wrong = wrong.or_else(|| Some(format!("{name:?} is {kind}"))),
            }
        }
        Ok(Self { set: LabelSet::from_pairs(pairs), wrong })
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
