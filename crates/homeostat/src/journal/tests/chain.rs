//! The chain: what is changed, removed, added or moved is found.

use std::fs;
use std::path::{Path, PathBuf};

use homeostat_core::state::State;
use rusqlite::types::Value;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::super::{Head, KeptHead, Verified, chain, verify};
use super::*;
use crate::deeds::Search;

/// A journal of groups, with a snapshot between them, closed and without a log.
fn shelf() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(directory.path()).unwrap();
    let story = story();
    let mut state = State::default();
    for (number, group) in story.chunks(2).enumerate() {
        journal.commit(group).unwrap();
        for fact in group {
            state.apply(fact);
        }
        if number == 1 || number == 3 {
            let mut draft = journal.draft(&state, Timestamp::from_seconds(1_700_000_000));
            while !journal.write_part(&mut draft).unwrap() {}
        }
    }
    drop(journal);
    raw(directory.path()).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    directory
}

/// A journal of which the retention has let go a group, and a fact of another one.
fn swept() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(directory.path()).unwrap();
    let boot = What::EngineStarted { boot: BootId::new("boot") };
    let old = Fact { at: Timestamp::EPOCH, what: boot };
    let story = story();
    let young = story[0].clone();
    for group in [vec![old.clone(); 2], vec![old, young], story[1..].to_vec()] {
        journal.commit(&group).unwrap();
    }
    for _ in 0..2 {
        let mut draft = journal.draft(&State::default(), Timestamp::EPOCH);
        while !journal.write_part(&mut draft).unwrap() {}
        journal.commit(&story[..1]).unwrap();
    }
    let cutoff = Timestamp::from_seconds(1);
    let batch = journal.expired(0, cutoff, &State::default()).unwrap();
    assert_eq!(batch.len(), 3);
    journal.let_go(&batch).unwrap();
    assert_eq!(journal.fold(0).unwrap(), None);
    let counts = ["gone", "folds"].map(|table| count(&raw(directory.path()), table));
    assert_eq!(counts, [1, 1]);
    drop(journal);
    raw(directory.path()).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    directory
}

fn raw(directory: &Path) -> Connection {
    Connection::open(directory.join("homeostat.db")).unwrap()
}

/// A copy in which this is done.
fn changed(directory: &TempDir, sql: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let name = "homeostat.db";
    fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
    raw(copy.path()).execute_batch(sql).unwrap();
    copy
}

fn look(directory: &Path) -> Verified {
    verify(directory, None).unwrap()
}

fn head(directory: &Path) -> Head {
    look(directory).head
}

fn count(connection: &Connection, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    connection.query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_journal_that_nobody_touched_is_whole_and_its_head_is_kept_in_it() {
    let directory = shelf();
    let verified = look(directory.path());
    assert!(verified.is_whole(), "{verified:?}");
    let facts = story().len();
    assert_eq!(verified.facts, facts as u64);
    assert_eq!(verified.links, facts.div_ceil(2) as u64 + 2);
    assert_eq!(verified.between, Some((1, i64::try_from(facts).unwrap())));
    assert_eq!((verified.adopted, verified.folded, verified.until), (None, None, None));
    let kept = verified.head;
    assert_eq!(verify(directory.path(), Some(kept)).unwrap().kept, Some(KeptHead::Found));
    let mut journal = Journal::open(directory.path()).unwrap();
    journal.commit(&story()[..1]).unwrap();
    let later = verify(directory.path(), Some(kept)).unwrap();
    assert_eq!((later.kept, later.is_whole()), (Some(KeptHead::Found), true));
    assert_ne!(later.head, kept);
    assert_eq!(verify(directory.path(), Some(Head::NONE)).unwrap().kept, Some(KeptHead::Found));
    let empty = tempfile::tempdir().unwrap();
    drop(Journal::open(empty.path()).unwrap());
    assert_eq!((look(empty.path()).head, look(empty.path()).is_whole()), (Head::NONE, true));
}

/// Each bit of each number, and a bit of each byte of each text.
#[test]
fn every_flipped_bit_of_a_group_is_found() {
    let all = ["facts", "chain", "snapshots", "snapshot_parts", "incidents"];
    let flips = flip_all(&shelf(), &all) + flip_all(&swept(), &["facts", "chain", "gone", "folds"]);
    assert!(flips > 1500, "{flips}");
}

/// Flips bits of these tables, each by itself, and sees that it is found; returns how many.
fn flip_all(directory: &TempDir, tables: &[&str]) -> u32 {
    assert!(look(directory.path()).is_whole(), "{:?}", look(directory.path()));
    let connection = raw(directory.path());
    let mut flips = 0;
    for table in tables {
        let columns: Vec<String> = {
            let names = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            names.column_names().map(str::to_owned).collect()
        };
        for column in &columns {
            let sql = format!("SELECT rowid, {column} FROM {table} ORDER BY rowid");
            let mut rows = connection.prepare(&sql).unwrap();
            let cells = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            let cells: Vec<(i64, Value)> = cells.map(Result::unwrap).collect();
            drop(rows);
            let write = format!("UPDATE {table} SET {column} = ?2 WHERE rowid = ?1");
            for (rowid, value) in &cells {
                // A row whose number is moved is found where it is now.
                let is_number = match *table {
                    "snapshot_parts" => false,
                    "folds" => column == "first",
                    _ => ["seq", "link", "id"].contains(&column.as_str()),
                };
                for flipped in flipped(value, *rowid) {
                    let moved = match (&flipped, is_number) {
                        (Value::Integer(moved), true) => *moved,
                        _ => *rowid,
                    };
                    if connection.execute(&write, params![rowid, flipped]).is_err() {
                        // There is such a number already.
                        continue;
                    }
                    flips += 1;
                    let verified = look(directory.path());
                    let what = format!("{table}.{column} of {rowid}: {value:?}, {flipped:?}");
                    assert!(!verified.is_whole(), "{what}");
                    assert!(!verified.faults.is_empty(), "{what}");
                    connection.execute(&write, params![moved, value]).unwrap();
                }
            }
        }
    }
    assert!(look(directory.path()).is_whole(), "all is as it was");
    flips
}

/// The same value with a bit flipped: each of a number, and of a text one for some bytes, others for
/// each row.
fn flipped(value: &Value, row: i64) -> Vec<Value> {
    let bytes = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let start = usize::try_from(row % 7).unwrap();
        (start..bytes.len())
            .step_by(7)
            .map(|at| {
                let mut flipped = bytes.to_vec();
                flipped[at] ^= 1 << (at % 8);
                flipped
            })
            .collect()
    };
    match value {
        Value::Null => vec![Value::Integer(0), Value::Text(String::new())],
        Value::Integer(number) => {
            (0..63).step_by(5).map(|bit| (number ^ (1 << bit)).into()).collect()
        }
        Value::Real(_) => panic!("there are no such numbers"),
        // What is no UTF-8 any more is found because it cannot be read.
        Value::Text(text) => bytes(text.as_bytes())
            .into_iter()
            .map(|flipped| match String::from_utf8(flipped) {
                Ok(text) => text.into(),
                Err(error) => Value::Blob(error.into_bytes()),
            })
            .collect(),
        Value::Blob(blob) => bytes(blob).into_iter().map(Value::Blob).collect(),
    }
}

/// All that is read of a journal, as texts: by tables, and by indices, as readers do.
fn dump(directory: &Path) -> rusqlite::Result<Vec<String>> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(directory.join("homeostat.db"), flags)?;
    let reader = Reader::open(directory).unwrap();
    let mut all = vec![
        format!("{:?}", reader.list(&filter(100))),
        format!("{:?}", reader.list(&Filter { states: vec!["closed".into()], ..filter(100) })),
        format!("{:?}", reader.deeds(&Search { limit: 100, ..Search::default() })),
    ];
    for (table, columns) in [
        ("facts", "seq, at, version, kind, incident, episode, body"),
        ("incidents", "id, policy, target, state, outcome, opened_at, closed_at"),
        ("snapshots", "seq, at, version, parts, checksum"),
        ("snapshot_parts", "seq, part, body"),
    ] {
        let mut rows =
            connection.prepare(&format!("SELECT {columns} FROM {table} ORDER BY 1, 2"))?;
        let width = rows.column_count();
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let cells = (0..width).map(|n| Ok(format!("{:?}", row.get_ref(n)?)));
            all.push(format!("{table} {}", cells.collect::<rusqlite::Result<Vec<_>>>()?.join(" ")));
        }
    }
    Ok(all)
}

/// A file has bytes that mean nothing. Those that mean something are found.
#[test]
fn a_flipped_bit_anywhere_in_the_file_is_found_or_changes_nothing() {
    let directory = shelf();
    let name = "homeostat.db";
    let bytes = fs::read(directory.path().join(name)).unwrap();
    let told = dump(directory.path()).unwrap();
    let (mut found, mut harmless) = (0, 0);
    let copy = tempfile::tempdir().unwrap();
    for at in (0..bytes.len()).step_by(131) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        for file in ["homeostat.db-wal", "homeostat.db-shm"] {
            drop(fs::remove_file(copy.path().join(file)));
        }
        fs::write(copy.path().join(name), flipped).unwrap();
        match verify(copy.path(), None) {
            Ok(verified) if verified.is_whole() => {
                harmless += 1;
                assert_eq!(dump(copy.path()).unwrap(), told, "byte {at} of {}", bytes.len());
            }
            Ok(_) | Err(_) => found += 1,
        }
    }
    assert!(found > 30 && harmless > 30, "{found} {harmless}");
}

#[test]
fn what_is_removed_swapped_added_or_moved_is_found_and_told() {
    let directory = shelf();
    let swap = |column: &str, table: &str, key: &str, a: i64, b: i64| {
        format!(
            "CREATE TEMP TABLE t AS SELECT {key} AS k, {column} AS v FROM {table}
               WHERE {key} IN ({a}, {b});
             UPDATE {table} SET {column} = (SELECT v FROM t WHERE k = {a} + {b} - {table}.{key})
               WHERE {key} IN ({a}, {b});"
        )
    };
    let renumbered = "UPDATE facts SET seq = seq - 2 WHERE seq > 4;
         UPDATE chain SET first = first - 2, last = last - 2 WHERE first > 4";
    for (sql, told) in [
        ("DELETE FROM facts WHERE seq = 3".to_owned(), "fact 3 is missing"),
        ("DELETE FROM facts WHERE seq IN (3, 4)".into(), "facts 3–4 are missing"),
        ("DELETE FROM facts WHERE seq = (SELECT MAX(seq) FROM facts)".into(), "is missing"),
        ("DELETE FROM chain WHERE link = 2".into(), "link 2 is missing"),
        (
            format!(
                "DELETE FROM facts WHERE seq IN (3, 4); DELETE FROM chain WHERE link = 2; {renumbered}"
            ),
            "link 2 is missing",
        ),
        (
            format!(
                "DELETE FROM facts WHERE seq IN (3, 4); DELETE FROM chain WHERE link = 2; {renumbered};
                 UPDATE chain SET link = link - 1 WHERE link > 2"
            ),
            "does not follow link 1",
        ),
        (swap("body", "facts", "seq", 3, 4), "link 2 (facts 3–4) is not what was written"),
        (swap("body", "facts", "seq", 1, 5), "link 1 (facts 1–2) is not what was written"),
        (swap("hash", "chain", "link", 1, 2), "link 1 (facts 1–2) is not what was written"),
        (
            "INSERT INTO facts SELECT seq + 100, at, version, kind, NULL, NULL, body FROM facts
             WHERE seq IN (3, 4)"
                .into(),
            "fact 103 is in no link",
        ),
        (
            "INSERT INTO facts SELECT MAX(seq) + 1, at, version, kind, NULL, NULL, body FROM facts;
             INSERT INTO chain SELECT MAX(link) + 1, kind, MAX(last) + 1, MAX(last) + 1, body, hash
               FROM chain"
                .into(),
            "is not what was written",
        ),
        ("INSERT INTO chain SELECT 99, kind, first, last, body, hash FROM chain WHERE link = 2".into(),
         "missing"),
        ("UPDATE chain SET kind = 'facts' WHERE kind = 'snapshot'".into(), "is not what was written"),
        ("DELETE FROM snapshots WHERE seq = 8".into(), "the snapshot of fact 8 is missing"),
        (
            "INSERT INTO snapshots SELECT 9, at, version, parts, checksum FROM snapshots WHERE seq = 8;
             INSERT INTO snapshot_parts SELECT 9, part, body FROM snapshot_parts WHERE seq = 8"
                .into(),
            "the snapshot of fact 9 is in no link",
        ),
        ("UPDATE incidents SET state = 'waiting' WHERE id = 1".into(), "incident 1 is not listed as"),
        ("DELETE FROM incidents WHERE id = 2".into(), "incident 2 is not listed as"),
        // Readers find the facts of an incident by an index, which here has none of the first one.
        (
            "DROP INDEX facts_incident;
             CREATE INDEX facts_incident ON facts (incident, seq) WHERE incident > 1;
             PRAGMA writable_schema=1;
             UPDATE sqlite_schema SET sql =
               'CREATE INDEX facts_incident ON facts (incident, seq) WHERE incident IS NOT NULL'
               WHERE name = 'facts_incident'"
                .into(),
            "the database is damaged: row 3 missing from index facts_incident",
        ),
        (
            "PRAGMA writable_schema=1;
             UPDATE sqlite_schema SET sql = replace(sql, 'engine_paused', 'engine_pauses')
               WHERE name = 'facts_deeds'"
                .into(),
            "facts_deeds is not made as this program makes it",
        ),
        (
            "INSERT INTO incidents SELECT 7, policy, target, state, outcome, opened_at, closed_at
             FROM incidents WHERE id = 1"
                .into(),
            "incident 7 is not listed as",
        ),
    ] {
        let copy = changed(&directory, &sql);
        let verified = look(copy.path());
        assert!(!verified.is_whole(), "{sql}");
        let faults = verified.faults.join("\n");
        assert!(faults.contains(told), "{sql}\n{told}\n{faults}");
    }
}

#[test]
fn an_end_that_was_cut_off_is_found_by_a_head_that_was_kept() {
    let directory = shelf();
    let kept = head(directory.path());
    let copy = changed(
        &directory,
        "DELETE FROM facts WHERE seq > (SELECT MAX(last) FROM chain WHERE link < (SELECT MAX(link) FROM chain));
         DELETE FROM chain WHERE link = (SELECT MAX(link) FROM chain)",
    );
    let raw = raw(copy.path());
    raw.execute_batch("DELETE FROM incidents WHERE id NOT IN (SELECT incident FROM facts)")
        .unwrap();
    let verified = look(copy.path());
    assert!(verified.faults.iter().all(|fault| fault.contains("incident")), "{verified:?}");
    let verified = verify(copy.path(), Some(kept)).unwrap();
    assert_eq!((verified.kept, verified.is_whole()), (Some(KeptHead::Missing), false));
    assert!(verified.faults.iter().any(|fault| fault.starts_with("the end is missing")));
}

/// Whoever can write to the disk can make all hashes anew.
#[test]
fn a_chain_that_was_made_anew_is_whole_but_for_a_head_that_was_kept() {
    let directory = shelf();
    let (early, kept) = (Head { link: 1, ..head(directory.path()) }, head(directory.path()));
    let copy = changed(
        &directory,
        "UPDATE facts SET at = at + 1 WHERE kind = 'episode_began'; DELETE FROM chain",
    );
    let mut connection = raw(copy.path());
    let transaction = connection.transaction().unwrap();
    chain::adopt(&transaction).unwrap();
    transaction.commit().unwrap();
    assert!(look(copy.path()).faults.is_empty());
    for kept in [early, kept] {
        let verified = verify(copy.path(), Some(kept)).unwrap();
        assert!(!verified.is_whole(), "{verified:?}");
    }
}

#[test]
fn what_was_there_before_the_chain_is_adopted_and_proved_from_then_on() {
    let directory = shelf();
    let facts = i64::try_from(story().len()).unwrap();
    // As a version without a chain has left it, with facts that it had let go.
    raw(directory.path())
        .execute_batch(
            "DELETE FROM facts WHERE seq = 2; DROP TABLE chain; DROP TABLE gone; DROP TABLE folds; DROP TABLE alerts_of; DROP TABLE days;
             DROP TABLE indexed; DROP TABLE unindexed; DROP TABLE volumes; DROP INDEX incidents_open; PRAGMA user_version=3",
        )
        .unwrap();
    let error = verify(directory.path(), None).unwrap_err();
    assert!(matches!(error, JournalError::Unchained { .. }), "{error}");
    let mut journal = Journal::open(directory.path()).unwrap();
    journal.commit(&story()[..1]).unwrap();
    let verified = look(directory.path());
    assert!(verified.is_whole(), "{verified:?}");
    assert_eq!(verified.adopted, Some(facts));
    for (sql, told) in [
        ("DELETE FROM facts WHERE seq = 4", "is not what was written"),
        ("UPDATE facts SET at = 0 WHERE seq = 4", "is not what was written"),
        ("UPDATE snapshots SET at = 0 WHERE seq = 8", "the snapshot of fact 8 is not what"),
    ] {
        drop(raw(directory.path()).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
        let verified = look(changed(&directory, sql).path());
        assert!(verified.faults.iter().any(|fault| fault.contains(told)), "{sql}: {verified:?}");
    }
}

#[test]
fn many_facts_of_before_are_adopted_in_links_of_a_few() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(directory.path()).unwrap();
    let boot = What::EngineStarted { boot: BootId::new("boot") };
    let facts = vec![Fact { at: Timestamp::EPOCH, what: boot }; 600];
    journal.commit(&facts).unwrap();
    drop(journal);
    raw(directory.path())
        .execute_batch("DROP TABLE chain; DROP TABLE gone; DROP TABLE folds; DROP TABLE alerts_of; DROP TABLE days;
             DROP TABLE indexed; DROP TABLE unindexed; DROP TABLE volumes; DROP INDEX incidents_open; PRAGMA user_version=3")
        .unwrap();
    drop(Journal::open(directory.path()).unwrap());
    let connection = raw(directory.path());
    assert_eq!(count(&connection, "chain"), 3);
    assert!(look(directory.path()).is_whole());
}

/// As somebody would who lets go what tells of them.
#[test]
fn what_went_by_no_step_of_the_retention_is_found() {
    let directory = shelf();
    let hash = |seq: i64| -> Vec<u8> {
        let connection = raw(directory.path());
        let sql = format!("SELECT {} FROM facts WHERE seq = {seq}", chain::StoredFact::COLUMNS);
        let read = |row: &rusqlite::Row<'_>| Ok(chain::StoredFact::read(row)?.hash().to_vec());
        connection.query_row(&sql, [], read).unwrap()
    };
    let hex =
        |hash: Vec<u8>| hash.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let copy = changed(
        &directory,
        &format!(
            "INSERT INTO gone VALUES (3, x'{}'); DELETE FROM facts WHERE seq = 3",
            hex(hash(3))
        ),
    );
    let faults = look(copy.path()).faults;
    assert!(faults.contains(&"fact 3 went by no step of the retention".to_owned()), "{faults:?}");
    let copy = changed(
        &directory,
        "INSERT INTO folds SELECT 1, 2, hash FROM chain WHERE link = 2;
         DELETE FROM chain WHERE link <= 2; DELETE FROM facts WHERE seq <= 4",
    );
    let faults = look(copy.path()).faults;
    assert!(faults.contains(&"links went by no step of the retention".to_owned()), "{faults:?}");
    let copy = changed(&directory, &format!("INSERT INTO gone VALUES (3, x'{}')", hex(hash(3))));
    let faults = look(copy.path()).faults;
    assert!(faults.contains(&"fact 3 is there, although it was let go".to_owned()), "{faults:?}");
}

#[test]
fn an_engine_that_writes_is_not_disturbed_and_what_is_read_is_one_moment() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(directory.path()).unwrap();
    let path: PathBuf = directory.path().to_owned();
    let reader = std::thread::spawn(move || {
        let mut last = Head::NONE;
        for _ in 0..30 {
            let verified = verify(&path, Some(last)).unwrap();
            assert!(verified.is_whole(), "{verified:?}");
            last = verified.head;
        }
        last.link
    });
    while !reader.is_finished() {
        journal.commit(&story()[..1]).unwrap();
    }
    assert!(reader.join().unwrap() > 0);
}
