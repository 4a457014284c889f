//! The readers' end of the journal: committed facts only, beside the writer and never in its way.

use std::path::{Path, PathBuf};

use homeostat_core::fact::Fact;
use homeostat_core::label::LabelSet;
use homeostat_core::name::{IncidentId, PolicyName};
use parking_lot::Mutex;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params, params_from_iter};

use super::sqlite::{JournalError, number, read_fact};

/// Which incidents to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<String>,
    /// Only those of this policy.
    pub policy: Option<String>,
    /// Only those of policies with one of these names, in which `*` stands for any letters.
    pub policies: Option<Vec<String>>,
    /// Only those whose target has these labels.
    pub target: Vec<(String, String)>,
    /// At most so many.
    pub limit: usize,
    /// Only those with a smaller number.
    pub before: Option<IncidentId>,
}

/// Alerts of one incident whose facts are read: with the first one the last of them. A person reads a
/// few, and an incident may have tens of thousands.
pub const ALERTS: u32 = 128;

/// What there is to read of an incident.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Story {
    /// Its facts and those of its alerts, in order.
    pub facts: Vec<Fact>,
    /// Alerts whose facts are left out, beyond [`ALERTS`].
    pub left_out: u64,
}

/// Incidents, the newest first.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Each with its story.
    pub incidents: Vec<(IncidentId, Story)>,
    /// Where to go on, if there are more.
    pub next: Option<IncidentId>,
}

/// Reads what is committed.
#[derive(Debug)]
pub struct Reader {
    pub(super) path: PathBuf,
    pub(super) connection: Mutex<Connection>,
}

impl Reader {
    /// Opens the journal of a directory for reading. A writer must have made it.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let path = directory.join("homeostat.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)
            .map_err(|source| JournalError::of(&path, "opened", source))?;
        Ok(Self { path, connection: Mutex::new(connection) })
    }

    /// Lists incidents.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<Page, JournalError> {
        let guard = self.connection.lock();
        let connection = self.at_one_moment(&guard)?;
        let mut ids = self.ids(&connection, filter)?;
        let next = (ids.len() > filter.limit).then(|| {
            ids.truncate(filter.limit);
            ids.last().copied().unwrap_or_default()
        });
        let incidents = ids
            .iter()
            .map(|&id| Ok((id, self.story(&connection, id)?)))
            .collect::<Result<_, JournalError>>()?;
        Ok(Page { incidents, next })
    }

    /// Returns the story of one incident; `None` where there is none.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn incident(&self, id: IncidentId) -> Result<Option<Story>, JournalError> {
        let guard = self.connection.lock();
        let connection = self.at_one_moment(&guard)?;
        // What has no row is gone, or going batch by batch.
        let sql = "SELECT 1 FROM incidents WHERE id = ?1";
        let known = connection.query_row(sql, [number(id.0)], |_| Ok(())).optional();
        match known.map_err(|source| self.error(source))? {
            Some(()) => self.story(&connection, id).map(Some),
            None => Ok(None),
        }
    }

    /// Gives the policy, the target and the state of each incident that is open.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn open_incidents(&self) -> Result<Vec<(PolicyName, LabelSet, String)>, JournalError> {
        let connection = self.connection.lock();
        let failed = |source| self.error(source);
        let sql = "SELECT policy, target, state FROM incidents WHERE state <> 'closed'";
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut open = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let policy: String = row.get(0).map_err(failed)?;
            let target: String = row.get(1).map_err(failed)?;
            // What cannot be read is of no target that anybody is granted.
            let Ok(target) = serde_json::from_str(&target) else { continue };
            open.push((PolicyName::new(policy), target, row.get(2).map_err(failed)?));
        }
        Ok(open)
    }

    /// Lets all that follows see one moment, whatever is written or let go meanwhile.
    pub(super) fn at_one_moment<'a>(
        &self,
        connection: &'a Connection,
    ) -> Result<Transaction<'a>, JournalError> {
        connection.unchecked_transaction().map_err(|source| self.error(source))
    }

    fn ids(
        &self,
        connection: &Connection,
        filter: &Filter,
    ) -> Result<Vec<IncidentId>, JournalError> {
        let mut sql = "SELECT id FROM incidents WHERE 1=1".to_owned();
        let mut values: Vec<Value> = Vec::new();
        if let Some(state) = &filter.state {
            sql.push_str(" AND state = ?");
            values.push(state.clone().into());
        }
        if let Some(policy) = &filter.policy {
            sql.push_str(" AND policy = ?");
            values.push(policy.clone().into());
        }
        if let Some(policies) = &filter.policies {
            // Names have no letter that GLOB reads otherwise than as itself.
            let any = vec!["policy GLOB ?"; policies.len()].join(" OR ");
            let any = if any.is_empty() { "0" } else { &any };
            sql.extend([" AND (", any, ")"]);
            values.extend(policies.iter().map(|policy| Value::from(policy.clone())));
        }
        for (name, value) in &filter.target {
            sql.push_str(
                " AND EXISTS (SELECT 1 FROM json_each(target) WHERE key = ? AND atom = ?)",
            );
            values.push(name.clone().into());
            values.push(value.clone().into());
        }
        if let Some(before) = filter.before {
            sql.push_str(" AND id < ?");
            values.push(number(before.0).into());
        }
        sql.push_str(" ORDER BY id DESC LIMIT ?");
        values.push(i64::try_from(filter.limit + 1).unwrap_or(i64::MAX).into());
        let failed = |source| self.error(source);
        let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
        let rows = statement
            .query_map(params_from_iter(values), |row| row.get::<_, i64>(0))
            .map_err(failed)?;
        rows.map(|id| id.map(|id| IncidentId(id.unsigned_abs())).map_err(failed)).collect()
    }

    fn story(&self, connection: &Connection, id: IncidentId) -> Result<Story, JournalError> {
        let failed = |source| self.error(source);
        let count = "SELECT count(DISTINCT episode) FROM facts WHERE incident = ?1";
        let count = connection
            .prepare_cached(count)
            .map_err(failed)?
            .query_row([number(id.0)], |row| row.get::<_, i64>(0));
        let alerts = count.map_err(failed)?.unsigned_abs();
        let mut statement = connection
            .prepare_cached(
                "WITH shown (episode) AS
                   (SELECT * FROM (SELECT episode FROM facts
                      WHERE incident = ?1 AND episode IS NOT NULL ORDER BY seq LIMIT 1)
                    UNION
                    SELECT * FROM (SELECT episode FROM facts
                      WHERE incident = ?1 AND episode IS NOT NULL ORDER BY seq DESC LIMIT ?2 - 1))
                 SELECT seq, at, version, body FROM facts
                   WHERE incident = ?1 AND (episode IS NULL OR episode IN shown)
                 UNION
                 SELECT seq, at, version, body FROM facts
                   WHERE incident IS NULL AND episode IN shown
                 ORDER BY seq",
            )
            .map_err(failed)?;
        let mut rows = statement.query(params![number(id.0), ALERTS]).map_err(failed)?;
        let mut facts = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let seq = row.get(0).map_err(failed)?;
            let fact = read_fact(row.get(1), row.get(2), row.get_ref(3)).map_err(|reason| {
                JournalError::Unreadable { path: self.path.clone(), seq, reason }
            })?;
            facts.push(fact);
        }
        Ok(Story { facts, left_out: alerts.saturating_sub(ALERTS.into()) })
    }

    pub(super) fn error(&self, source: rusqlite::Error) -> JournalError {
        JournalError::of(&self.path, "read", source)
    }
}
