//! What a list of incidents is asked for, as its query says it.

use std::collections::BTreeMap;

use homeostat_core::time::Timestamp;

use super::Filter;
use super::incidents::{label, limit, pairs, read_id};
use super::slim::Fields;
use super::view::StateView;

/// Incidents in a page, where the request does not say.
const LIMIT: usize = 100;

/// Incidents in a page at most.
const MOST: usize = 1000;

/// Values of one parameter at most, so that no question to the journal grows without end.
const VALUES: usize = 64;

/// Characters of a text that is looked for.
const TEXT: usize = 200;

/// By which outcomes incidents can be asked for.
pub(in crate::web) const OUTCOMES: [&str; 6] =
    ["healed", "recovered", "escalated", "shadowed", "rejected", "cancelled"];

/// What a list is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::web) struct Asked {
    /// Which incidents.
    pub(in crate::web) filter: Filter,
    /// Of a policy of one of these teams, by the configuration in force; of any where none is named.
    pub(in crate::web) teams: Vec<String>,
    /// What of each.
    pub(in crate::web) fields: Fields,
}

/// Reads the query of a list.
pub(in crate::web) fn read(query: &str) -> Result<Asked, String> {
    let mut asked =
        Asked { filter: Filter { limit: LIMIT, ..Filter::default() }, ..Asked::default() };
    for (name, value) in few(query)? {
        let filter = &mut asked.filter;
        match name.as_str() {
            "state" => filter.states.extend(states(&value)?),
            "outcome" if OUTCOMES.contains(&&*value) => filter.outcomes.push(value),
            "outcome" => {
                let all = OUTCOMES.join(", ");
                return Err(format!("unknown outcome {value:?}: expected one of {all}"));
            }
            "policy" => filter.named.get_or_insert_default().push(value),
            "team" => asked.teams.push(value),
            "target" => filter.target.push(label(&value)?),
            "q" if value.chars().count() > TEXT => {
                return Err(format!("q: expected at most {TEXT} characters"));
            }
            "q" => filter.text = Some(value.trim().to_owned()).filter(|text| !text.is_empty()),
            "since" => filter.since = Some(moment(&name, &value)?),
            "until" => filter.until = Some(moment(&name, &value)?),
            "fields" => asked.fields = Fields::read(&value)?,
            "limit" => filter.limit = limit(&value, MOST)?,
            "cursor" => {
                let cursor = read_id(&value);
                filter.before = Some(cursor.ok_or_else(|| {
                    format!("cursor {value:?}: expected the next_cursor of an earlier page")
                })?);
            }
            _ => {
                return Err(format!(
                    "unknown parameter {name:?}: expected state, outcome, policy, team, target, q, \
                     since, until, fields, limit or cursor"
                ));
            }
        }
    }
    Ok(asked)
}

/// The parameters of a query, in order; a name may come more than once, and not too often.
pub(super) fn few(query: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = pairs(query)?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, _) in &pairs {
        let count = counts.entry(name).or_default();
        *count += 1;
        if *count > VALUES {
            return Err(format!("{name} is there more than {VALUES} times"));
        }
    }
    Ok(pairs)
}

/// The states that a word names: one, or all in which an incident is open.
fn states(value: &str) -> Result<Vec<String>, String> {
    let all = StateView::ALL.map(StateView::as_str);
    let closed = StateView::Closed.as_str();
    match value {
        "open" => Ok(all.into_iter().filter(|state| *state != closed).map(str::to_owned).collect()),
        value if all.contains(&value) => Ok(vec![value.to_owned()]),
        value => {
            let all = all.join(", ");
            Err(format!("unknown state {value:?}: expected open, or one of {all}"))
        }
    }
}

/// Reads a moment.
pub(super) fn moment(name: &str, value: &str) -> Result<Timestamp, String> {
    value.parse().map_err(|error| format!("{name} {value:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use homeostat_core::incident::End;
    use homeostat_core::name::IncidentId;

    use super::*;

    #[test]
    fn a_query_is_read_strictly() {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let asked = read(
            "state=waiting&state=acting&outcome=healed&policy=web%20down&policy=b&team=dba\
             &target=instance=a:80&target=job=w%3Db&q=%20disk&since=2026-01-05T09:00:00Z\
             &until=2026-01-06T09:00:00Z&fields=state,reason&limit=5&cursor=17",
        );
        assert_eq!(
            asked,
            Ok(Asked {
                filter: Filter {
                    states: texts(&["waiting", "acting"]),
                    outcomes: texts(&["healed"]),
                    named: Some(texts(&["web down", "b"])),
                    policies: None,
                    target: vec![("instance".into(), "a:80".into()), ("job".into(), "w=b".into())],
                    text: Some("disk".into()),
                    since: Some("2026-01-05T09:00:00Z".parse().unwrap()),
                    until: Some("2026-01-06T09:00:00Z".parse().unwrap()),
                    limit: 5,
                    before: Some(IncidentId(17)),
                },
                teams: texts(&["dba"]),
                fields: Fields::read("state,reason").unwrap(),
            })
        );
        let open = read("state=open").unwrap().filter.states;
        assert_eq!(open, ["waiting", "awaiting_approval", "acting", "verifying"]);
        assert_eq!(read("").map(|asked| asked.filter.limit), Ok(LIMIT));
        assert_eq!(read("q=%20").map(|asked| asked.filter.text), Ok(None));
        let many = ["policy=a"; VALUES + 1].join("&");
        let long = format!("q={}", "x".repeat(TEXT + 1));
        for (query, complaint) in [
            ("state=odd", "unknown state \"odd\": expected open, or one of waiting, awaiting_app"),
            ("outcome=odd", "unknown outcome \"odd\": expected one of healed, recovered"),
            ("limit=0", "from 1 to 1000"),
            ("limit=1001", "from 1 to 1000"),
            ("limit=many", "from 1 to 1000"),
            ("cursor=x", "next_cursor"),
            ("cursor=-1", "next_cursor"),
            ("target=a", "expected name=value"),
            ("since=yesterday", "since \"yesterday\": "),
            ("fields=polcy", "unknown field \"polcy\": expected all, or some of id, policy"),
            (&many, "policy is there more than 64 times"),
            (&long, "at most 200 characters"),
            ("polcy=x", "unknown parameter \"polcy\""),
        ] {
            let error = read(query).unwrap_err();
            assert!(error.contains(complaint), "{query}: {error}");
        }
    }

    #[test]
    fn every_outcome_can_be_asked_for() {
        let all = [
            End::Healed,
            End::Recovered,
            End::Escalated,
            End::Shadowed,
            End::Rejected,
            End::Cancelled,
        ];
        assert_eq!(all.map(End::as_str), OUTCOMES);
    }
}
