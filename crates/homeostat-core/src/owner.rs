//! Whose a thing is that an alert is about: asked of a hand once, before anything is decided.
//!
//! ```text
//!  alert ─> a policy with `owner_of` takes it ─> lookup ─> asked ─┬─ an owner ──────> its labels
//!                                                  ▲              ├─ it has none ───> a person
//!                                                  └─ later again ┴─ no answer, until it is too late
//! ```
//!
//! An owner is three labels beside the alert's own: three pods of one Deployment are one trouble by
//! them. They are seen by a policy's target, locks and templates, and by nobody who compares alerts:
//! witnesses have never heard of them.
//!
//! *Not* the duty of this room: to ask (the doors), when to ask again (`decide`), and what an owner is
//! in some API (the hands).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Jump;
use crate::errand::{Errand, ErrandTemplate, Field, FieldTemplate};
use crate::label::LabelSet;
use crate::limits;
use crate::template::{TemplateError, Values};
use crate::text::Text;
use crate::time::Timestamp;

/// The labels that an owner gives: what kind of thing it is, its name, and which one of that name.
pub const LABELS: [&str; 3] = ["owner_kind", "owner_name", "owner_uid"];

/// Whoever sees to it that there is a thing: the topmost of those who do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// What it is, as `Deployment`.
    pub kind: Text,
    /// Its name.
    pub name: Text,
    /// Tells it from whatever else had its name, or will have it.
    pub uid: Text,
}

impl Owner {
    /// Returns the labels that it gives.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let names: [&str; 3] = LABELS;
        names.into_iter().zip([&*self.kind, &*self.name, &*self.uid])
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// What a hand says of whose a thing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// This one's.
    Of(Owner),
    /// Nobody's, for certain.
    Nobody {
        /// What has no owner, for a person.
        why: String,
    },
}

/// A question whose something is, and how far its answer got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// What is asked of which hand.
    pub of: Errand,
    /// How far it got.
    pub stands: Sought,
}

/// How far the answer to a lookup got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sought {
    /// It is being asked.
    Open {
        /// Since when.
        since: Timestamp,
        /// When it is asked, or asked again.
        due: Timestamp,
        /// How often there was no answer.
        missed: u32,
        /// Why there was none the last time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Text>,
    },
    /// There is one.
    Found(Owner),
    /// There is none, or none was to be had for too long.
    Missing {
        /// Why, for a person.
        why: Text,
    },
}

impl Sought {
    /// Begins to ask, at once.
    pub fn from(now: Timestamp) -> Self {
        Self::Open { since: now, due: now, missed: 0, why: None }
    }

    /// Tells whether it is being asked.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Returns when it is asked, or asked again.
    pub fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Open { due, .. } => Some(*due),
            Self::Found(_) | Self::Missing { .. } => None,
        }
    }

    /// Returns when it is too late for an answer: then a person has the alert.
    pub fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Open { since, .. } => Some(*since + limits::OWNER_PATIENCE),
            Self::Found(_) | Self::Missing { .. } => None,
        }
    }

    /// Returns when it is asked again that was not answered now: after a pause that grows. `None` where
    /// that would be too late.
    pub fn again(&self, now: Timestamp) -> Option<Timestamp> {
        let Self::Open { missed, .. } = self else { return None };
        let pause = limits::OWNER_AGAIN.saturating_mul(1 << (*missed).min(10));
        let again = now + pause.min(limits::OWNER_AGAIN_CAP);
        self.deadline().filter(|deadline| again < *deadline).map(|_| again)
    }

    /// Takes note that there was no answer.
    pub(crate) fn miss(&mut self, why: &Text, again: Option<Timestamp>) {
        let Self::Open { due, missed, why: last, .. } = self else { return };
        match again {
            Some(again) => (*due, *missed, *last) = (again, *missed + 1, Some(why.clone())),
            None => *self = Self::Missing { why: why.clone() },
        }
    }

    /// Lives through a jump of the wall clock: what it waits for keeps its remaining time.
    pub(crate) fn live_through(&mut self, jump: &Jump) {
        if let Self::Open { since, due, .. } = self {
            (*since, *due) = (*since + jump.followed(), *due + jump.followed());
        }
    }
}

impl fmt::Display for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { due, why: Some(why), .. } => write!(f, "asked again at {due:.0}: {why}"),
            Self::Open { why: None, .. } => f.write_str("being asked"),
            Self::Found(owner) => owner.fmt(f),
            Self::Missing { why } => write!(f, "not known: {why}"),
        }
    }
}

/// What a policy sees of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// These labels: the alert's own, and those of its owner where the policy wants them.
    Labels(LabelSet),
    /// Whose it is must be asked first.
    Asks(Box<Errand>),
    /// Whose it is cannot be told.
    Unowned {
        /// Why, for a person.
        why: String,
        /// By what it was looked for: it tells this thing from the others of its owner.
        by: LabelSet,
    },
}

/// Puts together what is seen of an alert with these labels by whoever asks for its owner so.
pub(crate) fn see(
    asks: &ErrandTemplate,
    labels: &LabelSet,
    values: &Values,
    known: &[Lookup],
) -> Seen {
    let errand = match asks.render(values) {
        Ok(errand) => errand,
        Err(error) => return cannot_ask(&error),
    };
    let by = || by(asks, &errand);
    match known.iter().find(|lookup| lookup.of == errand).map(|lookup| &lookup.stands) {
        None | Some(Sought::Open { .. }) => Seen::Asks(Box::new(errand)),
        Some(Sought::Missing { why }) => Seen::Unowned { why: why.to_string(), by: by() },
        Some(Sought::Found(owner)) => match clash(labels, owner) {
            Some(why) => Seen::Unowned { why, by: by() },
            None => Seen::Labels(LabelSet::from_pairs(labels.iter().chain(owner.labels()))),
        },
    }
}

fn cannot_ask(error: &TemplateError) -> Seen {
    let why = format!("its owner cannot be asked for: {error}");
    Seen::Unowned { why, by: LabelSet::default() }
}

/// What of a lookup comes from its alert.
fn by(asks: &ErrandTemplate, errand: &Errand) -> LabelSet {
    let is_constant =
        |field: &FieldTemplate| field.texts().iter().all(|text| !text.source().contains('{'));
    let fields = asks.fields.iter().zip(&errand.fields);
    LabelSet::from_pairs(fields.filter_map(|((name, template), (_, field))| match field {
        Field::Text(text) if !is_constant(template) => Some((&**name, text.as_str())),
        Field::Text(_) | Field::List(_) => None,
    }))
}

/// Why the labels of an owner cannot stand beside those of its alert: neither goes before the other.
fn clash(labels: &LabelSet, owner: &Owner) -> Option<String> {
    let mut both =
        owner.labels().filter_map(|(name, of_owner)| Some((name, of_owner, labels.get(name)?)));
    let (name, of_owner, own) = both.find(|(_, of_owner, own)| of_owner != own)?;
    Some(format!("the alert has a label {name}={own:?} of its own, and its owner has {of_owner:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errand::Form;
    use crate::template::Template;
    use crate::time::Span;

    fn asks() -> ErrandTemplate {
        let text = |text: &str, form| FieldTemplate::Text(Template::parse(text).unwrap(), form);
        let fields = vec![
            ("namespace".into(), text("{{ labels.namespace }}", Form::NAMESPACE)),
            ("pod".into(), text("{{ labels.pod }}", Form::OBJECT)),
            ("context".into(), text("far", Form::CONTEXT)),
        ];
        ErrandTemplate { hand: "kubernetes".into(), verb: "owner".into(), fields, rehearsed: false }
    }

    fn labels(pairs: &[(&str, &str)]) -> LabelSet {
        let all = [&[("namespace", "shop"), ("pod", "web-1")], pairs].concat();
        LabelSet::from_pairs(all)
    }

    fn seen(labels: &LabelSet, known: &[Lookup]) -> Seen {
        let values = Values::of_alert(labels.clone(), LabelSet::default(), "p".into());
        see(&asks(), labels, &values, known)
    }

    fn lookup(stands: Sought) -> Vec<Lookup> {
        let Seen::Asks(of) = seen(&labels(&[]), &[]) else { panic!("it is not known yet") };
        vec![Lookup { of: *of, stands }]
    }

    fn web() -> Owner {
        Owner { kind: "Deployment".into(), name: "web".into(), uid: "u1".into() }
    }

    #[test]
    fn an_owner_is_three_labels_beside_the_alerts_own() {
        let own = labels(&[]);
        assert!(matches!(seen(&own, &lookup(Sought::from(Timestamp::MIN))), Seen::Asks(_)));
        let found = lookup(Sought::Found(web()));
        let all = [("owner_kind", "Deployment"), ("owner_name", "web"), ("owner_uid", "u1")];
        assert_eq!(seen(&own, &found), Seen::Labels(labels(&all)));
        assert!(matches!(seen(&labels(&[("pod", "web-2")]), &found), Seen::Asks(_)), "another pod");
        let same = labels(&[("owner_kind", "Deployment")]);
        assert_eq!(seen(&same, &found), Seen::Labels(labels(&all)), "both say the same");
    }

    #[test]
    fn what_has_no_owner_is_known_by_what_was_looked_for() {
        let by = LabelSet::from_pairs([("namespace", "shop"), ("pod", "web-1")]);
        let missing = lookup(Sought::Missing { why: "forbidden".into() });
        let unowned = Seen::Unowned { why: "forbidden".into(), by: by.clone() };
        assert_eq!(seen(&labels(&[]), &missing), unowned);
        let of_its_own = labels(&[("owner_name", "web-5d4f")]);
        let why =
            r#"the alert has a label owner_name="web-5d4f" of its own, and its owner has "web""#;
        let clash = Seen::Unowned { why: why.into(), by };
        assert_eq!(seen(&of_its_own, &lookup(Sought::Found(web()))), clash);
        let Seen::Unowned { why, by } = seen(&LabelSet::from_pairs([("pod", "web-1")]), &[]) else {
            panic!("nothing can be asked")
        };
        assert!(why.contains("namespace") && by.is_empty(), "{why}");
    }

    #[test]
    fn an_answer_is_waited_for_with_growing_pauses_until_it_is_too_late() {
        let began = Timestamp::from_seconds(1_000);
        let (mut now, mut sought, mut pauses) = (began, Sought::from(began), Vec::new());
        while let Some(again) = sought.again(now) {
            pauses.push(again.since(now));
            sought.miss(&"no answer".into(), Some(again));
            now = again;
        }
        assert_eq!(pauses[..5], [5, 10, 20, 40, 60].map(Span::from_secs));
        assert!(pauses.iter().all(|pause| *pause <= limits::OWNER_AGAIN_CAP));
        let waited = now.since(began);
        assert!(waited < limits::OWNER_PATIENCE);
        let next = waited.saturating_add(limits::OWNER_AGAIN_CAP);
        assert!(next >= limits::OWNER_PATIENCE, "{waited}");
    }
}
