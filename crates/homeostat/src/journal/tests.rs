mod chain;
mod cut;
mod history;
mod search;

use homeostat_core::alert::Door;
use homeostat_core::fact::{Fact, What};
use homeostat_core::name::{BootId, IncidentId};
use homeostat_core::policy::{Book, BookLimits, Policy, TargetLabels, Witnesses};
use homeostat_core::scenario::Scenario;
use homeostat_core::time::{Span, Timestamp};

use super::*;
use crate::incidents::{ALERTS, Filter};

/// What happens to two alerts, one of which resolves.
fn story() -> Vec<Fact> {
    let mut play = Scenario::new(Book::observe(), Timestamp::from_seconds(1_700_000_000));
    play.fire("main", Door::Webhook, &[("alertname", "Down"), ("instance", "a:80")]);
    play.fire("main", Door::Webhook, &[("alertname", "Down"), ("it's", "\"quoted\"")]);
    play.advance(Span::from_secs(5));
    play.resolve("main", Door::Webhook, &[("alertname", "Down"), ("instance", "a:80")]);
    play.journal().to_vec()
}

fn read_back(journal: &Journal) -> Vec<Fact> {
    let mut facts = Vec::new();
    journal.replay(|fact| facts.push(fact.clone())).unwrap();
    facts
}

fn filter(limit: usize) -> Filter {
    Filter { limit, ..Filter::default() }
}

#[test]
fn facts_read_back_in_order_after_the_journal_was_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let story = story();
    let (first, second) = story.split_at(3);
    let mut journal = Journal::open(directory.path()).unwrap();
    journal.commit(first).unwrap();
    journal.commit(second).unwrap();
    drop(journal);
    assert_eq!(read_back(&Journal::open(directory.path()).unwrap()), story);
}

/// Takes away what the index has added to the tables.
const NO_INDEX: &str = "DROP TABLE indexed; DROP TABLE unindexed; DROP TABLE volumes;";

/// The names by which incidents are found, as they are kept.
fn names(directory: &std::path::Path) -> Vec<(i64, String)> {
    let raw = rusqlite::Connection::open(directory.join("homeostat.db")).unwrap();
    let mut statement = raw.prepare("SELECT incident, name FROM alerts_of ORDER BY 1, 2").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn an_incident_has_its_alerts_name_whether_the_alert_began_in_the_same_group_or_before() {
    for group in [1, 2, usize::MAX] {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap();
        for facts in story().chunks(group) {
            journal.commit(facts).unwrap();
            assert!(journal.index().unwrap());
        }
        let expected = [(1, "Down".to_owned()), (2, "Down".to_owned())];
        assert_eq!(names(directory.path()), expected, "groups of {group}");
    }
}

/// All rows of a table, as text.
fn rows(directory: &std::path::Path, table: &str) -> Vec<String> {
    let raw = rusqlite::Connection::open(directory.join("homeostat.db")).unwrap();
    let mut statement = raw.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let columns = (0..columns).map(|column| format!("{:?}", row.get_ref(column).unwrap()));
        Ok(columns.collect::<Vec<_>>().join(" "))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn the_list_and_the_days_are_the_same_however_facts_are_grouped() {
    let told = |group: usize| {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap();
        for facts in story().chunks(group) {
            journal.commit(facts).unwrap();
        }
        ["facts", "incidents", "days"].map(|table| rows(directory.path(), table))
    };
    let one_by_one = told(1);
    assert_eq!(one_by_one.iter().map(Vec::len).collect::<Vec<_>>(), [story().len(), 2, 1]);
    for group in [2, 3, 4, usize::MAX] {
        assert_eq!(told(group), one_by_one, "groups of {group}");
    }
}

/// Of many facts those that are written are encoded by another thread.
#[test]
fn a_large_group_is_written_in_order_and_whole() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(directory.path()).unwrap();
    let facts: Vec<Fact> = (0..1_000)
        .map(|number| {
            let at = Timestamp::from_seconds(1_700_000_000 + number);
            Fact { at, what: What::EngineStarted { boot: BootId::new(number.to_string()) } }
        })
        .collect();
    journal.commit(&facts).unwrap();
    assert_eq!((journal.last(), read_back(&journal)), (1_000, facts));
    let verified = verify(directory.path(), None).unwrap();
    assert!(verified.is_whole() && verified.facts == 1_000, "{verified:?}");
}

#[test]
fn what_the_mover_was_told_of_is_in_the_database_itself() {
    let [directory, copy] = [(), ()].map(|()| tempfile::tempdir().unwrap());
    let mut journal = Journal::open(directory.path()).unwrap();
    journal.commit(&story()).unwrap();
    let name = "homeostat.db";
    let alone = || {
        std::fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
        Journal::open(copy.path()).map(|journal| journal.last())
    };
    assert_ne!(alone().ok(), Some(journal.last()), "the log has it");
    for file in ["homeostat.db-wal", "homeostat.db-shm"] {
        drop(std::fs::remove_file(copy.path().join(file)));
    }
    let mut mover = Mover::new(directory.path());
    mover.wake();
    drop(mover);
    assert_eq!(alone().unwrap(), journal.last());
}

#[test]
fn a_statement_is_prepared_once_whatever_is_bound() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(directory.path()).unwrap();
    journal.commit(&story()).unwrap();
    let mut statement = journal.connection().prepare(index::NAME).unwrap();
    for episode in 1..5 {
        statement.execute([7, episode]).unwrap();
    }
    assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
}

#[test]
fn incidents_are_listed_newest_first_with_their_alerts() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(directory.path()).unwrap();
    journal.commit(&story()).unwrap();
    let reader = Reader::open(directory.path()).unwrap();
    let page = reader.list(&filter(1)).unwrap();
    assert_eq!(page.incidents[0].0, IncidentId(2));
    assert_eq!(page.next, Some(IncidentId(2)));
    let kinds: Vec<&str> = page.incidents[0].1.facts.iter().map(|fact| fact.what.kind()).collect();
    assert_eq!(kinds, ["episode_began", "incident_opened", "incident_closed"]);

    let rest = reader.list(&Filter { before: page.next, ..filter(10) }).unwrap();
    assert_eq!(rest.incidents.len(), 1);
    assert_eq!(rest.next, None);
    let kinds: Vec<&str> = rest.incidents[0].1.facts.iter().map(|fact| fact.what.kind()).collect();
    assert!(kinds.contains(&"episode_ended") && kinds.contains(&"latch_released"), "{kinds:?}");
    assert!(reader.incident(IncidentId(3)).unwrap().is_none());
}

/// A person reads a few of many, and what happened to their incident.
#[test]
fn of_an_incident_with_many_alerts_the_first_and_the_last_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(directory.path()).unwrap();
    let mut policy = Policy::observe();
    policy.target = TargetLabels::Named(vec!["instance".into()]);
    let book = Book::new(vec![policy], BookLimits::default(), Witnesses::default());
    let mut play = Scenario::new(book, Timestamp::from_seconds(1_700_000_000));
    let many = ALERTS as u64 + 50;
    for number in 1..=many {
        let check = number.to_string();
        let labels = [("alertname", "Down"), ("instance", "a:80"), ("check", check.as_str())];
        play.fire("main", Door::Webhook, &labels);
    }
    journal.commit(play.journal()).unwrap();
    let reader = Reader::open(directory.path()).unwrap();
    let story = reader.incident(IncidentId(1)).unwrap().unwrap();
    assert_eq!(story.left_out, 50);
    let begun: Vec<u64> = story.facts.iter().filter_map(began).collect();
    let expected: Vec<u64> = std::iter::once(1).chain(many - ALERTS as u64 + 2..=many).collect();
    assert_eq!(begun, expected);
    let count = |kind: &str| story.facts.iter().filter(|fact| fact.what.kind() == kind).count();
    let attached = count("episode_attached");
    assert_eq!((count("incident_closed"), attached), (1, begun.len() - 1), "all else is there");
    assert_eq!(reader.list(&filter(9)).unwrap().incidents, [(IncidentId(1), story)]);
}

fn began(fact: &Fact) -> Option<u64> {
    match &fact.what {
        What::EpisodeBegan { episode, .. } => Some(episode.0),
        _ => None,
    }
}

#[test]
fn incidents_are_found_by_state_policy_and_target() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(directory.path()).unwrap();
    journal.commit(&story()).unwrap();
    let reader = Reader::open(directory.path()).unwrap();
    let count = |filter: &Filter| reader.list(filter).unwrap().incidents.len();
    let state = |state: &str| Filter { states: vec![state.into()], ..filter(10) };
    assert_eq!((count(&state("closed")), count(&state("waiting"))), (2, 0));
    let both = vec!["waiting".into(), "closed".into()];
    assert_eq!(count(&Filter { states: both, ..filter(10) }), 2);
    let outcome = |outcome: &str| Filter { outcomes: vec![outcome.into()], ..filter(10) };
    assert_eq!((count(&outcome("shadowed")), count(&outcome("healed"))), (2, 0));
    let policy = |policy: &str| Filter { named: Some(vec![policy.into()]), ..filter(10) };
    assert_eq!((count(&policy("observe")), count(&policy("other"))), (2, 0));
    assert_eq!(count(&Filter { named: Some(Vec::new()), ..filter(10) }), 0);
    let target = |name: &str, value: &str| Filter {
        target: vec![(name.into(), value.into())],
        ..filter(10)
    };
    assert_eq!(count(&target("instance", "a:80")), 1);
    assert_eq!(count(&target("it's", "\"quoted\"")), 1);
    assert_eq!(count(&target("instance", "a")), 0);
}

#[test]
fn incidents_are_found_by_text_and_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(directory.path()).unwrap();
    journal.commit(&story()).unwrap();
    let reader = Reader::open(directory.path()).unwrap();
    let ids = |filter: &Filter| -> Vec<u64> {
        reader.list(filter).unwrap().incidents.iter().map(|(id, _)| id.0).collect()
    };
    let text = |text: &str| ids(&Filter { text: Some(text.into()), ..filter(10) });
    for (word, found) in [
        ("OBSERV", &[2, 1][..]),
        ("down", &[2, 1]),
        ("a:8", &[1]),
        ("quoted", &[2]),
        ("2", &[2]),
        ("%", &[]),
        ("a_80", &[]),
        ("unknown", &[]),
    ] {
        assert_eq!(text(word), found, "{word}");
    }
    let opened = Timestamp::from_seconds(1_700_000_000);
    let second = Span::from_secs(1);
    let between = |since, until| ids(&Filter { since, until, ..filter(10) });
    assert_eq!(between(Some(opened), Some(opened + second)), [2, 1]);
    assert_eq!(between(Some(opened + second), None), [0; 0]);
    assert_eq!(between(None, Some(opened)), [0; 0]);
}

/// A journal of before has no index; one of long before has no names of alerts.
#[test]
fn incidents_of_an_older_journal_are_found_by_their_alerts() {
    let older =
        ["DROP TABLE alerts_of; DROP TABLE days; PRAGMA user_version=4", "PRAGMA user_version=5"];
    for older in older {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap();
        journal.commit(&story()).unwrap();
        while journal.index().unwrap() {}
        drop(journal);
        let raw = rusqlite::Connection::open(directory.path().join("homeostat.db")).unwrap();
        raw.execute_batch(&format!(
            "{NO_INDEX} DROP TABLE words_0; DROP INDEX incidents_open; {older}"
        ))
        .unwrap();
        drop(raw);
        let mut journal = Journal::open(directory.path()).unwrap();
        let reader = Reader::open(directory.path()).unwrap();
        let text = |text: &str| {
            let filter = Filter { text: Some(text.into()), ..filter(10) };
            reader.list(&filter).unwrap().incidents.len()
        };
        assert_eq!((text("down"), text("a:80")), (2, 1));
        assert_eq!(closings(&reader), [("shadowed".to_owned(), 2, 0)]);
        assert!(journal.index_stands().0 > 0, "nothing is read at a start");
        while journal.index().unwrap() {}
        assert_eq!(journal.index_stands(), (0, 1, 1), "one alert fires on");
        assert_eq!((text("down"), text("a:80")), (2, 1));
    }
}

/// What closed on the day of the stories: outcomes, how many, and how many without a person.
fn closings(reader: &Reader) -> Vec<(String, u64, u64)> {
    let day = Timestamp::from_seconds(1_700_000_000).day();
    assert!(reader.days(day - 9, day).unwrap().is_empty(), "nothing closed before");
    let days = reader.days(day, day + 1).unwrap();
    days.into_iter().map(|day| (day.outcome, day.incidents, day.alone)).collect()
}

#[test]
fn what_closes_is_counted_by_day() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(directory.path()).unwrap();
    journal.commit(&story()).unwrap();
    let reader = Reader::open(directory.path()).unwrap();
    assert_eq!(closings(&reader), [("shadowed".to_owned(), 2, 0)]);
}

#[test]
fn a_directory_serves_one_engine() {
    let directory = tempfile::tempdir().unwrap();
    let first = DirectoryLock::take(directory.path()).unwrap();
    let second = DirectoryLock::take(directory.path()).unwrap_err();
    let pid = std::process::id().to_string();
    assert!(matches!(&second, LockError::InUse { pid: other, .. } if *other == pid), "{second}");
    drop(first);
    DirectoryLock::take(directory.path()).unwrap();
}

#[test]
fn a_journal_of_a_newer_program_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(Journal::open(directory.path()).unwrap());
    let raw = rusqlite::Connection::open(directory.path().join("homeostat.db")).unwrap();
    raw.execute_batch("PRAGMA user_version=99").unwrap();
    drop(raw);
    assert!(matches!(Journal::open(directory.path()), Err(JournalError::Newer { found: 99, .. })));
}

#[test]
fn a_fact_that_is_not_understood_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(directory.path()).unwrap();
    journal.commit(&story()).unwrap();
    let raw = rusqlite::Connection::open(directory.path().join("homeostat.db")).unwrap();
    raw.execute("UPDATE facts SET body = '{\"kind\":\"sneezed\"}' WHERE seq = 3", []).unwrap();
    let error = journal.replay(|_| {}).unwrap_err();
    assert!(matches!(error, JournalError::Unreadable { seq: 3, .. }), "{error}");
}

#[test]
fn a_full_disk_writes_nothing_and_is_survived() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(directory.path()).unwrap();
    let story = story();
    journal.commit(&story).unwrap();
    journal.bound_pages(20).unwrap();
    let boot = BootId::new("x".repeat(500_000));
    let large = Fact { at: Timestamp::EPOCH, what: What::EngineStarted { boot } };
    let error = journal.commit(&[large]).unwrap_err();
    assert!(matches!(error, CommitError::NotWritten(_)), "{error:?}");
    assert!(journal.probe().is_err(), "the probe sees it too");
    assert_eq!(read_back(&journal), story);
    journal.bound_pages(1_000_000).unwrap();
    journal.probe().unwrap();
    journal.commit(&story[..1]).unwrap();
    assert_eq!(read_back(&journal).len(), story.len() + 1);
    let verified = verify(directory.path(), None).unwrap();
    assert!(verified.is_whole(), "what was not written is no link: {verified:?}");
}

#[test]
fn nobody_else_reads_the_storage() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("data");
    let _lock = DirectoryLock::take(&directory).unwrap();
    let mut journal = Journal::open(&directory).unwrap();
    journal.commit(&story()).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    let mut open: Vec<String> = Vec::new();
    if mode(&directory) & 0o077 != 0 {
        open.push(format!("{:o} {}", mode(&directory), directory.display()));
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if mode(&path) & 0o077 != 0 {
                open.push(format!("{:o} {}", mode(&path), path.display()));
            }
        }
    }
    assert!(open.is_empty(), "labels and outputs may hold secrets: {open:?}");
}
