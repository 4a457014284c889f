//! How incidents are searched for, as SQL says it.
//!
//! What is asked for is decided here, on the row of each incident and the names of its alerts. Where the
//! index tells in which incidents it may be, only those are looked at, and those that it does not have:
//! the ones that opened after the fact up to which it has read, and the ones that were not over there.

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::index::{self, Indexed, Needle};
use super::sqlite::number;
use crate::incidents::Filter;

/// Which incidents are looked at.
enum Among {
    All,
    /// After this one.
    After(i64),
    /// Those that the index has read of and not taken in.
    Unindexed,
    /// This one.
    One(i64),
    /// What a volume finds by these words.
    Volume(i64, String),
}

/// Finds the numbers of incidents, newest first, one more than is asked for where there are more. All must
/// be read at one moment.
pub(super) fn find(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<i64>> {
    let at = Indexed::read(connection)?;
    let look = |among: Among| -> rusqlite::Result<Vec<i64>> {
        let (sql, values) = asked(filter, &among, at.named());
        let mut statement = connection.prepare_cached(&sql)?;
        statement.query_map(params_from_iter(values), |row| row.get(0))?.collect()
    };
    let Some(needle) = Needle::of(filter) else { return look(Among::All) };
    let wanted = filter.limit.saturating_add(1);
    let mut found = look(Among::After(at.incident))?;
    if found.len() >= wanted {
        return Ok(found);
    }
    let mut older = BTreeSet::from_iter(look(Among::Unindexed)?);
    if let Some(id) = filter.text.as_deref().and_then(as_number) {
        older.extend(look(Among::One(id))?);
    }
    let before = filter.before.map_or(i64::MAX, |before| number(before.0));
    let (mut words, mut of_volumes) = (None, found.len());
    let volumes = index::volumes(connection, before)?;
    for (place, &volume) in volumes.iter().enumerate() {
        if of_volumes >= wanted {
            break;
        }
        let words = match &mut words {
            Some(words) => words,
            // The newest volume may have only begun.
            None => {
                words.insert(needle.ask(connection, *volumes.get(place + 1).unwrap_or(&volume))?)
            }
        };
        let here = look(Among::Volume(volume, words.clone()))?;
        of_volumes += here.len();
        older.extend(here);
    }
    found.extend(older.into_iter().rev().filter(|&id| id <= at.incident));
    found.truncate(wanted);
    Ok(found)
}

/// What asks for the numbers of such incidents among some, newest first, one more than is asked for. Names
/// of alerts are kept up to a fact.
fn asked(filter: &Filter, among: &Among, named: i64) -> (String, Vec<Value>) {
    let Filter {
        states,
        outcomes,
        named: names,
        policies,
        target,
        text,
        since,
        until,
        limit,
        before,
    } = filter;
    let mut search = Search::default();
    let (from, key) = match among {
        Among::All | Among::After(_) | Among::One(_) => ("incidents".to_owned(), "id"),
        Among::Unindexed => (
            "unindexed CROSS JOIN incidents ON id = unindexed.incident".into(),
            "unindexed.incident",
        ),
        Among::Volume(volume, _) => (
            format!("words_{volume} AS words CROSS JOIN incidents ON id = words.rowid"),
            "words.rowid",
        ),
    };
    match among {
        Among::All | Among::Unindexed => {}
        Among::After(id) => search.and("id > ?", [(*id).into()]),
        Among::One(id) => search.and("id = ?", [(*id).into()]),
        Among::Volume(volume, words) => {
            search.and(&format!("words.words_{volume} MATCH ?"), [words.clone().into()]);
        }
    }
    if let Some(before) = before {
        search.and(&format!("{key} < ?"), [number(before.0).into()]);
    }
    if let Some(text) = text {
        search.text(text, named);
    }
    match states.as_slice() {
        [] => {}
        // What is closed is nearly all there is: then the incidents are walked, newest first.
        some if some.iter().any(|state| state == "closed") => search.among("state", some),
        some => {
            search.among("state", some);
            search.and("closed_at IS NULL", []);
        }
    }
    if !outcomes.is_empty() {
        search.among("outcome", outcomes);
    }
    if let Some(names) = names {
        search.among("policy", names);
    }
    if let Some(policies) = policies {
        // Names have no letter that GLOB reads otherwise than as itself.
        let any = vec!["policy GLOB ?"; policies.len()].join(" OR ");
        let any = if any.is_empty() { "0" } else { &any };
        let values = policies.iter().map(|policy| Value::from(policy.clone()));
        search.and(&format!("({any})"), values);
    }
    for (name, value) in target {
        let has = "EXISTS (SELECT 1 FROM json_each(target) WHERE key = ? AND atom = ?)";
        search.and(has, [name.clone().into(), value.clone().into()]);
    }
    if let Some(since) = since {
        search.and("opened_at >= ?", [since.micros().into()]);
    }
    if let Some(until) = until {
        search.and("opened_at < ?", [until.micros().into()]);
    }
    let Search { conditions, mut values } = search;
    values.push(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX).into());
    let sql = format!("SELECT id FROM {from} WHERE 1=1{conditions} ORDER BY {key} DESC LIMIT ?");
    (sql, values)
}

#[derive(Default)]
struct Search {
    conditions: String,
    values: Vec<Value>,
}

impl Search {
    fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.conditions.extend([" AND ", condition]);
        self.values.extend(values);
    }

    fn among(&mut self, column: &str, some: &[String]) {
        let places = vec!["?"; some.len()].join(", ");
        let values = some.iter().map(|value| Value::from(value.clone()));
        self.and(&format!("{column} IN ({places})"), values);
    }

    /// Asks for a text wherever a person would look for it.
    fn text(&mut self, text: &str, named: i64) {
        let contains = r"LIKE ? ESCAPE '\'";
        let condition = format!(
            "(id = ? OR policy {contains}
              OR EXISTS (SELECT 1 FROM json_each(target) WHERE key {contains} OR atom {contains})
              OR EXISTS (SELECT 1 FROM alerts_of WHERE incident = id AND name {contains})
              OR EXISTS (SELECT 1 FROM facts AS part
                CROSS JOIN facts AS began ON began.episode = part.episode
                WHERE part.incident = id AND part.seq > ?
                  AND part.kind IN ('incident_opened', 'episode_attached')
                  AND began.kind = 'episode_began'
                  AND json_extract(began.body, '$.alert.labels.alertname') {contains}))"
        );
        let id = as_number(text).map_or(Value::Null, Value::from);
        let pattern = Value::from(pattern(text));
        let mut values = vec![pattern; 7];
        (values[0], values[5]) = (id, named.into());
        self.and(&condition, values);
    }
}

/// The number of an incident, where a text may be one.
fn as_number(text: &str) -> Option<i64> {
    text.parse::<u32>().ok().map(i64::from)
}

/// A pattern of LIKE for what contains a text.
fn pattern(text: &str) -> String {
    let mut pattern = "%".to_owned();
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}

#[cfg(test)]
mod tests {
    use homeostat_core::name::IncidentId;

    use super::*;
    use crate::journal::{Journal, Reader};

    /// How SQLite goes about it, with one volume of the index.
    fn plan(filter: &Filter, among: &Among) -> String {
        let directory = tempfile::tempdir().unwrap();
        drop(Journal::open(directory.path()).unwrap());
        let raw = Connection::open(directory.path().join("homeostat.db")).unwrap();
        raw.execute_batch("CREATE VIRTUAL TABLE words_0 USING fts5 (text, tokenize='trigram')")
            .unwrap();
        let reader = Reader::open(directory.path()).unwrap();
        let connection = reader.connection.lock();
        let (sql, values) = asked(filter, among, 0);
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let rows = plan.query_map(params_from_iter(values), |row| row.get::<_, String>(3));
        rows.unwrap().map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    fn states(states: &[&str]) -> Filter {
        let states = states.iter().map(|&state| state.to_owned()).collect();
        Filter { states, limit: 10, ..Filter::default() }
    }

    #[test]
    fn what_is_open_is_found_by_an_index_and_the_rest_by_walking_back() {
        let open = states(&["waiting", "awaiting_approval", "acting", "verifying"]);
        let open = plan(&open, &Among::All);
        assert!(open.contains("INDEX incidents_open"), "{open}");
        for walked in [states(&[]), states(&["closed"]), states(&["waiting", "closed"])] {
            let plan = plan(&walked, &Among::All);
            assert!(!plan.contains("TEMP B-TREE") && !plan.contains("incidents_open"), "{plan}");
        }
    }

    #[test]
    fn where_the_index_tells_where_to_look_nothing_else_is_looked_at_and_nothing_is_sorted() {
        let text = Filter { text: Some("x".into()), before: Some(IncidentId(9)), ..states(&[]) };
        for (among, first) in [
            (Among::After(3), "SEARCH incidents USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
            (Among::One(3), "SEARCH incidents USING INTEGER PRIMARY KEY (rowid=?)"),
            (Among::Unindexed, "SEARCH unindexed USING INTEGER PRIMARY KEY (rowid<?)"),
            (Among::Volume(0, "xyz".into()), "SCAN words VIRTUAL TABLE INDEX 192:M"),
        ] {
            let plan = plan(&text, &among);
            assert!(plan.starts_with(first) && !plan.contains("TEMP B-TREE"), "{plan}");
            assert!(plan.contains("alerts_of USING PRIMARY KEY"), "{plan}");
            assert!(
                plan.contains("SEARCH part USING INDEX facts_incident (incident=? AND seq>?)"),
                "{plan}"
            );
            assert!(plan.contains("SEARCH began USING INDEX facts_episode (episode=?)"), "{plan}");
        }
    }

    #[test]
    fn a_text_means_itself() {
        assert_eq!(pattern(r"50%_a\b"), r"%50\%\_a\\b%");
    }
}
