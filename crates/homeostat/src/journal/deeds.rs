//! What people did, as the journal tells it.

use homeostat_core::deed::{Deed, deed};
use homeostat_core::label::LabelSet;
use homeostat_core::name::PolicyName;
use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use super::read::Reader;
use super::sqlite::{JournalError, number, read_fact};
use crate::deeds::{Deeds, Done, Search};

/// Deeds that are looked at for one page at most; what the search leaves over is the next page's.
const LOOKED_AT: usize = 10_000;

/// The index has nothing but deeds, which are few, and is used for every search.
///
/// The end of a standing approval does not say what that is about; the fact before it does, of which
/// there are few.
const SELECT: &str = "SELECT f.seq, f.at, f.version, f.body, i.policy, i.target
    FROM facts f INDEXED BY facts_deeds LEFT JOIN incidents i ON i.id = COALESCE(f.incident,
      (SELECT s.incident FROM facts s INDEXED BY facts_deeds
       WHERE (s.kind = 'incident_commanded' OR s.kind = 'approval_stands'
              OR s.kind = 'approval_ended' OR s.kind = 'engine_paused'
              OR s.kind = 'engine_resumed' OR s.kind = 'configuration_loaded')
         AND s.kind = 'approval_stands'
         AND json_extract(s.body, '$.approval.id') = json_extract(f.body, '$.approval')
       ORDER BY s.seq DESC LIMIT 1))
    WHERE (f.kind = 'incident_commanded' OR f.kind = 'approval_stands'
           OR f.kind = 'approval_ended' OR f.kind = 'engine_paused'
           OR f.kind = 'engine_resumed' OR f.kind = 'configuration_loaded')";

impl Reader {
    /// Lists what people did, the last deed first.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn deeds(&self, search: &Search) -> Result<Deeds, JournalError> {
        let connection = self.connection.lock();
        let failed = |source| self.error(source);
        let (sql, values) = asked(search);
        let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
        let mut page = Deeds::default();
        let mut looked_at = 0;
        while let Some(row) = rows.next().map_err(failed)? {
            let number = row.get(0).map_err(failed)?;
            if page.deeds.len() == search.limit || looked_at == LOOKED_AT {
                // The last one that was looked at.
                return Ok(page);
            }
            looked_at += 1;
            page.next = Some(number);
            page.deeds.extend(self.done(row, number)?.filter(|done| is_meant(done, search)));
        }
        page.next = None;
        Ok(page)
    }

    fn done(&self, row: &Row<'_>, number: i64) -> Result<Option<Done>, JournalError> {
        let failed = |source| self.error(source);
        let fact = read_fact(row.get(1), row.get(2), row.get_ref(3)).map_err(|reason| {
            JournalError::Unreadable { path: self.path.clone(), seq: number, reason }
        })?;
        let policy: Option<String> = row.get(4).map_err(failed)?;
        let target: Option<String> = row.get(5).map_err(failed)?;
        // What cannot be read is of no target that anybody is granted.
        let target: Option<LabelSet> = target.and_then(|text| serde_json::from_str(&text).ok());
        let subject = policy.map(PolicyName::new).zip(target);
        Ok(deed(&fact.what).is_some().then_some(Done { number, fact, subject }))
    }
}

/// What SQL can tell of a search.
fn asked(search: &Search) -> (String, Vec<Value>) {
    let Search { incident, policy, target, since, until, before, .. } = search;
    let mut sql = SELECT.to_owned();
    let mut values: Vec<Value> = Vec::new();
    let mut and = |condition: &str, value: Value| {
        sql.push_str(condition);
        values.push(value);
    };
    if let Some(incident) = incident {
        and(" AND f.incident = ?", number(incident.0).into());
    }
    if let Some(policy) = policy {
        and(" AND i.policy = ?", policy.clone().into());
    }
    if let Some(since) = since {
        and(" AND f.at >= ?", since.micros().into());
    }
    if let Some(until) = until {
        and(" AND f.at < ?", until.micros().into());
    }
    if let Some(before) = before {
        and(" AND f.seq < ?", (*before).into());
    }
    for (name, value) in target {
        and(" AND EXISTS (SELECT 1 FROM json_each(i.target) WHERE key = ?", name.clone().into());
        and(" AND atom = ?)", value.clone().into());
    }
    sql.push_str(" ORDER BY f.seq DESC");
    (sql, values)
}

fn is_meant(done: &Done, search: &Search) -> bool {
    let Some(Deed { what, by, .. }) = deed(&done.fact.what) else { return false };
    let who = by.and_then(|by| Some(&*by.known.as_ref()?.who));
    search.what.as_deref().is_none_or(|wanted| wanted == what)
        && search.who.as_deref().is_none_or(|wanted| who == Some(wanted))
}

#[cfg(test)]
mod tests {
    use homeostat_core::deed::KINDS;

    use super::*;
    use crate::journal::Journal;

    #[test]
    fn the_index_has_the_deeds_and_each_search_goes_by_it() {
        let directory = tempfile::tempdir().unwrap();
        drop(Journal::open(directory.path()).unwrap());
        let reader = Reader::open(directory.path()).unwrap();
        let connection = reader.connection.lock();
        let sql = "SELECT sql FROM sqlite_schema WHERE name = 'facts_deeds'";
        let index: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        let plain = |sql: &str| sql.split_whitespace().collect::<Vec<_>>().join(" ");
        for (sql, of) in [(&*index, ""), (SELECT, "f."), (SELECT, "s.")] {
            let kinds = KINDS.map(|kind| format!("{of}kind = '{kind}'")).join(" OR ");
            assert!(plain(sql).contains(&kinds), "{sql}");
        }
        let every = Search {
            incident: Some(homeostat_core::name::IncidentId(1)),
            policy: Some("p".into()),
            target: vec![("a".into(), "b".into())],
            since: Some("2026-01-05T09:00:00Z".parse().unwrap()),
            until: Some("2026-01-05T09:00:00Z".parse().unwrap()),
            before: Some(7),
            ..Search::default()
        };
        for search in [every, Search::default()] {
            let (sql, values) = asked(&search);
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let rows = plan.query_map(params_from_iter(values), |row| row.get::<_, String>(3));
            let plan: Vec<String> = rows.unwrap().map(Result::unwrap).collect();
            assert!(plan.iter().any(|s| s.contains("f USING INDEX facts_deeds")), "{plan:?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
        }
    }
}
