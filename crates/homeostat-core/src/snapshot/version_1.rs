//! What version 1 wrote of an incident, in the terms of today: what its orders were for, what a run was
//! told and what had been done lay in fields beside its stage.

use serde_json::{Map, Value, json};

use super::Record;
use crate::name::OrderId;

/// Reads a record.
pub(super) fn read(mut record: Value) -> serde_json::Result<Record> {
    let incident = record.pointer_mut("/incident/incident").and_then(Value::as_object_mut);
    if let Some(incident) = incident {
        translate(incident);
    }
    serde_json::from_value(record)
}

fn translate(incident: &mut Map<String, Value>) {
    let mut take = |name: &str| incident.remove(name).unwrap_or(Value::Null);
    let (worse, cancelled, ran) = (take("worse"), take("cancelled"), take("ran"));
    let (since, progressed, acted_at) = (take("ordered_at"), take("progressed"), take("acted_at"));
    let is_set = |flag: &Value| flag == &Value::Bool(true);
    let (returned, told) = (is_set(&take("returned")), is_set(&take("order_cancelled")));
    let unstarted =
        take("unstarted").as_u64().unwrap_or(0) + u64::from(returned && worse.is_null());
    if returned && worse.is_null() {
        let orders = incident.get_mut("ladder").and_then(|ladder| ladder.get_mut("orders"));
        if let Some(orders) = orders {
            *orders = json!(orders.as_u64().unwrap_or(0).saturating_sub(1));
        }
    }
    let failures = incident.get("ladder").and_then(|ladder| ladder["failures"].as_u64());
    let stage = match &incident["stage"] {
        Value::String(stage) if stage == "acting" => {
            let told = if told { "to_end" } else { "nothing" };
            json!({ "acting": { "since": since, "progressed": progressed, "told": told } })
        }
        stage if !worse.is_null() && stage.get("verifying").is_some() => {
            json!({ "lost": { "until": stage["verifying"]["until"] } })
        }
        stage => stage.clone(),
    };
    let seeks = match (cancelled, worse, failures.unwrap_or(0)) {
        (Value::String(by), worse, _) => json!({ "nothing": { "by": by, "worse": worse } }),
        (_, worse, _) if !worse.is_null() => json!({ "undo": worse }),
        (_, _, failures) if returned => json!({ "same": { "failures": failures } }),
        (_, _, 0) => json!("rung"),
        (_, _, failures) => json!({ "retry": { "failures": failures } }),
    };
    // Which remedy acted when, but for the first and the last, nobody asks any more.
    let issued = incident.get("runs").and_then(Value::as_object).into_iter().flatten();
    let issued: u64 = issued.filter_map(|(_, last)| last.as_u64()).sum();
    let first = if acted_at.is_null() { incident["opened_at"].clone() } else { acted_at };
    let last = incident["order"]["id"].as_str().map(|id| OrderId::try_from(id.to_owned()));
    let last = last.and_then(Result::ok).map(|id| id.remedy.to_string());
    let remedy = ran.as_str().map(str::to_owned).or(last);
    let act = json!({ "remedy": remedy, "since": first });
    let acts = vec![act; usize::try_from(issued.saturating_sub(unstarted)).unwrap_or(0)];
    incident.extend([
        ("stage".to_owned(), stage),
        ("seeks".to_owned(), seeks),
        ("acts".to_owned(), Value::Array(acts)),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_beside_a_stage_become_what_they_meant() {
        let worse = json!({ "order": "that order" });
        let verifying = json!({ "verifying": { "until": "later" } });
        for (flags, stage, seeks, acts, orders) in [
            (json!({}), json!("ready"), json!("rung"), 2, 3),
            (
                json!({ "returned": true }),
                json!("ready"),
                json!({ "same": { "failures": 1 } }),
                1,
                2,
            ),
            (
                json!({ "unstarted": 2 }),
                json!("ready"),
                json!({ "retry": { "failures": 1 } }),
                0,
                3,
            ),
            (
                json!({ "worse": worse }),
                json!({ "lost": { "until": "later" } }),
                json!({ "undo": worse }),
                2,
                3,
            ),
            (
                json!({ "cancelled": "ann", "order_cancelled": true }),
                json!({ "acting": { "since": "then", "progressed": 4, "told": "to_end" } }),
                json!({ "nothing": { "by": "ann", "worse": null } }),
                2,
                3,
            ),
        ] {
            let is_retried = seeks.get("retry").is_some() || seeks.get("same").is_some();
            let before = match &stage {
                stage if stage.get("acting").is_some() => json!("acting"),
                stage if stage.get("lost").is_some() => verifying.clone(),
                stage => stage.clone(),
            };
            let mut incident = json!({
                "stage": before, "order": { "id": "7.a.b.2" }, "runs": { "a.b": 2 },
                "ladder": { "failures": u8::from(is_retried), "orders": 3 },
                "opened_at": "first", "ordered_at": "then", "progressed": 4,
            });
            let incident = incident.as_object_mut().unwrap();
            incident.extend(flags.as_object().unwrap().clone());
            translate(incident);
            assert_eq!((&incident["stage"], &incident["seeks"]), (&stage, &seeks));
            assert_eq!(incident["ladder"]["orders"], orders, "{seeks}");
            let act = json!({ "remedy": "a.b", "since": "first" });
            assert_eq!(incident["acts"], Value::Array(vec![act; acts]), "{seeks}");
            assert!(
                ["worse", "returned", "unstarted"].iter().all(|flag| incident.get(*flag).is_none())
            );
        }
    }
}
