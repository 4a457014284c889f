//! The tables, and how those of an older program become ours.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{chain, days};

/// What each version of the tables added, the first one first. A step that was released is never
/// changed: a further one is added.
const STEPS: [&str; 6] = [
    "
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    incident INTEGER,
    episode INTEGER,
    body TEXT NOT NULL
);
CREATE INDEX facts_incident ON facts (incident, seq) WHERE incident IS NOT NULL;
CREATE INDEX facts_episode ON facts (episode, seq) WHERE episode IS NOT NULL;
CREATE TABLE incidents (
    id INTEGER PRIMARY KEY,
    policy TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER
);
CREATE INDEX incidents_state ON incidents (state, id);
",
    "
CREATE TABLE snapshots (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    parts INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE snapshot_parts (
    seq INTEGER NOT NULL,
    part INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (seq, part)
);
",
    // The kinds of `homeostat_core::deed`.
    "
CREATE INDEX facts_deeds ON facts (seq) WHERE kind IN
  ('incident_commanded', 'approval_stands', 'approval_ended', 'engine_paused', 'engine_resumed',
   'configuration_loaded');
",
    "
CREATE TABLE chain (
    link INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    body BLOB,
    hash BLOB NOT NULL
);
CREATE TABLE gone (
    seq INTEGER PRIMARY KEY,
    hash BLOB NOT NULL
);
CREATE TABLE folds (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    hash BLOB NOT NULL
);
",
    // By what people look for an incident, besides what its own row has; and what became of those of
    // each day.
    "
CREATE TABLE alerts_of (
    incident INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (incident, name)
) WITHOUT ROWID;
INSERT OR IGNORE INTO alerts_of
  SELECT a.incident, json_extract(b.body, '$.alert.labels.alertname')
  FROM facts a JOIN facts b ON b.episode = a.episode AND b.kind = 'episode_began'
  WHERE a.kind IN ('incident_opened', 'episode_attached')
    AND json_extract(b.body, '$.alert.labels.alertname') IS NOT NULL;
CREATE TABLE days (
    day INTEGER NOT NULL,
    policy TEXT NOT NULL,
    outcome TEXT NOT NULL,
    step INTEGER NOT NULL,
    incidents INTEGER NOT NULL,
    alone INTEGER NOT NULL,
    PRIMARY KEY (day, policy, outcome, step)
) WITHOUT ROWID;
",
    // Of what is open alone: nearly all is closed, and is walked. Of a list of kinds, SQLite would make a
    // table anew for each fact that is written. And the index of `index`, which the housekeeper makes:
    // until here each commit wrote the names.
    "
DROP INDEX IF EXISTS incidents_state;
CREATE INDEX incidents_open ON incidents (state, id) WHERE closed_at IS NULL;
DROP INDEX IF EXISTS facts_deeds;
CREATE INDEX facts_deeds ON facts (seq) WHERE
  kind = 'incident_commanded' OR kind = 'approval_stands'
  OR kind = 'approval_ended' OR kind = 'engine_paused'
  OR kind = 'engine_resumed' OR kind = 'configuration_loaded';
CREATE TABLE indexed (
    seq INTEGER NOT NULL,
    incident INTEGER NOT NULL,
    named INTEGER NOT NULL
);
INSERT INTO indexed SELECT 0, 0, COALESCE(MAX(seq), 0) FROM facts;
CREATE TABLE unindexed (incident INTEGER PRIMARY KEY);
CREATE TABLE volumes (volume INTEGER PRIMARY KEY);
",
];

/// The version of the tables that this program uses.
pub(super) const VERSION: usize = STEPS.len();

/// The first version that has the chain.
pub(super) const CHAINED: usize = 4;

/// The first version that counts the days.
const COUNTED: usize = 5;

/// Makes the tables, or those that an older program did not have, in one transaction: a start that
/// is cut short leaves the database as it was. Returns the version it found if it is a newer one.
pub(super) fn settle(connection: &mut Connection) -> rusqlite::Result<Result<(), i64>> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = usize::try_from(found).ok();
    let Some((known, missing)) = known.and_then(|known| Some((known, STEPS.get(known..)?))) else {
        return Ok(Err(found));
    };
    if missing.is_empty() {
        return Ok(Ok(()));
    }
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let steps = missing.concat();
    transaction.execute_batch(&format!("{steps} PRAGMA user_version={VERSION};"))?;
    if known < COUNTED {
        days::adopt(&transaction)?;
    }
    if known < CHAINED {
        chain::adopt(&transaction)?;
    }
    transaction.commit()?;
    Ok(Ok(()))
}
