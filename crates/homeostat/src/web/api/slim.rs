//! What a list tells of each incident: no timelines and no output of runs, unless it is asked for more,
//! or for less.

use serde::Serialize;
use serde_json::Value;

use super::view::IncidentView;

/// The fields of an incident, in their order.
pub(super) const FIELDS: [&str; 23] = [
    "id",
    "policy",
    "team",
    "target",
    "state",
    "outcome",
    "reason",
    "reason_at",
    "holds",
    "holds_until",
    "next_at",
    "grade",
    "remedy",
    "resolved_during_action",
    "approval",
    "relapse_of",
    "opened_at",
    "closed_at",
    "alerts",
    "alerts_total",
    "orders",
    "collected",
    "timeline",
];

/// What of each incident a list tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::web) enum Fields {
    /// What a list usually tells.
    #[default]
    Slim,
    /// All there is, timelines and output, too.
    All,
    /// These, and the number.
    Some(Vec<&'static str>),
}

impl Fields {
    /// Reads names with commas between.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let known = |name: &str| {
            let known = FIELDS.into_iter().find(|field| *field == name.trim());
            known.ok_or_else(|| {
                let all = FIELDS.join(", ");
                format!("unknown field {name:?}: expected all, or some of {all}")
            })
        };
        text.split(',').map(known).collect::<Result<_, _>>().map(Self::Some)
    }

    /// Tells whether all that there is, is asked for of what is long.
    pub(super) fn is_long(&self) -> bool {
        match self {
            Self::Slim => false,
            Self::All => true,
            Self::Some(fields) => {
                ["timeline", "orders", "collected"].iter().any(|long| fields.contains(long))
            }
        }
    }

    /// What is told of an incident.
    pub(super) fn of(&self, mut incident: IncidentView) -> serde_json::Result<Told> {
        match self {
            Self::Slim => slim(&mut incident),
            Self::All => {}
            Self::Some(fields) => {
                let mut value = serde_json::to_value(incident)?;
                if let Some(object) = value.as_object_mut() {
                    object.retain(|name, _| name == "id" || fields.contains(&name.as_str()));
                }
                return Ok(Told::Some(value));
            }
        }
        Ok(Told::Whole(Box::new(incident)))
    }
}

/// An incident in a list.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Told {
    Whole(Box<IncidentView>),
    Some(Value),
}

/// Takes from an incident what is long, and read one by one.
pub(super) fn slim(incident: &mut IncidentView) {
    incident.timeline = Vec::new();
    incident.collected = Vec::new();
    for order in &mut incident.orders {
        order.output = String::new();
    }
}

#[cfg(test)]
mod tests {
    use homeostat_core::name::IncidentId;

    use super::super::{fixture, fold};
    use super::*;

    fn names(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn a_list_tells_what_it_is_asked_for() {
        let view = fold(IncidentId(1), &fixture::held().facts).unwrap();
        let told =
            |fields: &Fields| serde_json::to_value(fields.of(view.clone()).unwrap()).unwrap();
        let some = told(&Fields::read("state, holds").unwrap());
        assert_eq!(names(&some), ["holds", "id", "state"]);
        assert_eq!(some["holds"][0]["guard"], "pause");
        let all = told(&Fields::All);
        assert_eq!(all, serde_json::to_value(&view).unwrap());
        let slim = told(&Fields::Slim);
        assert_eq!(names(&slim).len() + 1, names(&all).len());
        assert!(slim["timeline"].is_null());
        let unknown: Vec<&str> =
            names(&all).into_iter().filter(|name| !FIELDS.contains(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn what_is_long_is_read_one_by_one() {
        let mut view = fold(IncidentId(1), &fixture::healed_by_the_second().facts).unwrap();
        assert!(!view.orders[0].output.is_empty());
        slim(&mut view);
        assert!(view.timeline.is_empty() && view.orders.iter().all(|o| o.output.is_empty()));
        assert_eq!(view.orders.len(), 3);
    }
}
