//! How incidents are searched for, as SQL says it.

use rusqlite::types::Value;

use super::sqlite::number;
use crate::incidents::Filter;

/// The numbers of incidents, newest first, one more than is asked for.
pub(super) fn asked(filter: &Filter) -> (String, Vec<Value>) {
    let Filter { states, outcomes, named, policies, target, text, since, until, limit, before } =
        filter;
    let mut search = Search::default();
    if let Some(text) = text {
        search.text(text);
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
    if let Some(named) = named {
        search.among("policy", named);
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
    if let Some(before) = before {
        search.and("id < ?", [number(before.0).into()]);
    }
    let Search { conditions, mut values } = search;
    values.push(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX).into());
    (format!("SELECT id FROM incidents WHERE 1=1{conditions} ORDER BY id DESC LIMIT ?"), values)
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
    fn text(&mut self, text: &str) {
        let contains = r"LIKE ? ESCAPE '\'";
        let condition = format!(
            "(id = ? OR policy {contains}
              OR EXISTS (SELECT 1 FROM json_each(target) WHERE key {contains} OR atom {contains})
              OR EXISTS (SELECT 1 FROM alerts_of WHERE incident = id AND name {contains}))"
        );
        // What is no number is the number of none.
        let id = text.parse::<u32>().map_or(Value::Null, |id| i64::from(id).into());
        let pattern = Value::from(pattern(text));
        self.and(&condition, std::iter::once(id).chain(std::iter::repeat_n(pattern, 4)));
    }
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
    use rusqlite::params_from_iter;

    use super::*;
    use crate::journal::{Journal, Reader};

    fn plan(filter: &Filter) -> String {
        let directory = tempfile::tempdir().unwrap();
        drop(Journal::open(directory.path()).unwrap());
        let reader = Reader::open(directory.path()).unwrap();
        let connection = reader.connection.lock();
        let (sql, values) = asked(filter);
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let rows = plan.query_map(params_from_iter(values), |row| row.get::<_, String>(3));
        rows.unwrap().map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn what_is_open_is_found_by_an_index_and_the_rest_by_walking_back() {
        let states = |states: &[&str]| Filter {
            states: states.iter().map(|&state| state.to_owned()).collect(),
            limit: 10,
            ..Filter::default()
        };
        let open = plan(&states(&["waiting", "awaiting_approval", "acting", "verifying"]));
        assert!(open.contains("INDEX incidents_open"), "{open}");
        for walked in [states(&[]), states(&["closed"]), states(&["waiting", "closed"])] {
            let plan = plan(&walked);
            assert!(!plan.contains("TEMP B-TREE") && !plan.contains("incidents_open"), "{plan}");
        }
        let text = plan(&Filter { text: Some("x".into()), ..states(&[]) });
        assert!(text.contains("alerts_of USING PRIMARY KEY"), "{text}");
    }

    #[test]
    fn a_text_means_itself() {
        assert_eq!(pattern(r"50%_a\b"), r"%50\%\_a\\b%");
    }
}
