//! The tables, and how those of an older program become ours.

use rusqlite::Connection;

/// What each version of the tables added, the first one first. A step that was released is never
/// changed: a further one is added.
const STEPS: [&str; 2] = [
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
];

/// The version of the tables that this program uses.
pub(super) const VERSION: usize = STEPS.len();

/// Makes the tables, or those that an older program did not have, in one transaction: a start that
/// is cut short leaves the database as it was. Returns the version it found if it is a newer one.
pub(super) fn settle(connection: &Connection) -> rusqlite::Result<Result<(), i64>> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let Some(missing) = usize::try_from(found).ok().and_then(|found| STEPS.get(found..)) else {
        return Ok(Err(found));
    };
    if !missing.is_empty() {
        let steps = missing.concat();
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {steps} PRAGMA user_version={VERSION}; COMMIT;"
        ))?;
    }
    Ok(Ok(()))
}
