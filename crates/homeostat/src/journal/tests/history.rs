//! Snapshots, and letting go of what is old.

use std::sync::Arc;

use homeostat_core::engine::Engine;
use homeostat_core::event::Event;
use homeostat_core::label::Matchers;
use homeostat_core::name::{PolicyName, RemedyName};
use homeostat_core::order::Outcome;
use homeostat_core::policy::{
    Action, Approval, BookLimits, Mode, Policy, Rate, Remedy, TargetLabels, Witnesses,
};
use homeostat_core::snapshot::VERSION;
use homeostat_core::state::State;
use homeostat_core::template::Template;
use tempfile::TempDir;

use super::super::schema;
use super::super::sqlite::number;
use super::*;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];
const B: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "b:80")];
const C: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "c:80")];
const DAY: Span = Span::from_secs(86_400);

pub(super) fn start() -> Timestamp {
    Timestamp::from_seconds(1_700_000_000)
}

/// Restarts what is down, and nothing limits it.
pub(super) fn book() -> Book {
    let observe = Policy::observe();
    let restart = Remedy {
        name: RemedyName::new("restart"),
        mode: Mode::Auto,
        approval: Approval { expires: Span::from_secs(1800), ..Approval::default() },
        definition: "".into(),
        action: Action::Exec(vec![Template::parse("/bin/true").unwrap()]),
        timeout: Span::from_secs(30),
        retries: 0,
        backoff: Span::from_secs(5),
        idempotent: false,
        undo: None,
        collect: Vec::new(),
    };
    let mut guard = observe.guard.clone();
    guard.rate = Rate { max: 1000, per: DAY };
    let policy = Policy {
        name: PolicyName::new("down"),
        matchers: Matchers::parse("alertname=\"Down\"").unwrap().matchers,
        target: TargetLabels::Named(vec!["instance".into()]),
        mode: Mode::Auto,
        remedies: vec![restart],
        guard,
        ..observe
    };
    Book::new(vec![policy], BookLimits::default(), Witnesses::default())
}

fn fire(play: &mut Scenario, alert: &[(&str, &str)]) {
    play.fire("main", Door::Webhook, alert);
}

fn resolve(play: &mut Scenario, alert: &[(&str, &str)]) {
    play.resolve("main", Door::Webhook, alert);
}

/// Fires, runs the remedy, and resolves.
fn heal(play: &mut Scenario, alert: &[(&str, &str)]) {
    fire(play, alert);
    play.advance(Span::from_secs(1));
    play.exit("restart", Outcome::Exited { code: 0 });
    play.advance(Span::from_secs(1));
    resolve(play, alert);
    play.advance(Span::from_secs(1));
}

/// Something that no policy takes: the last fact of a journal stays, and so does its story.
fn whatever(play: &mut Scenario) {
    fire(play, &[("alertname", "Whatever")]);
    play.advance(Span::from_secs(1));
    resolve(play, &[("alertname", "Whatever")]);
    play.advance(Span::from_secs(1));
}

/// A journal and what it should hold.
pub(super) struct Shelf {
    pub(super) directory: TempDir,
    pub(super) journal: Journal,
    state: State,
}

impl Shelf {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(directory.path()).unwrap();
        Self { directory, journal, state: State::default() }
    }

    /// Commits those facts of a scenario that are not there yet.
    fn catch_up(&mut self, play: &Scenario) {
        self.catch_up_by(usize::MAX, play);
    }

    /// The same, in groups of so many.
    pub(super) fn catch_up_by(&mut self, group: usize, play: &Scenario) {
        let known = usize::try_from(self.journal.last()).unwrap();
        for group in play.journal()[known..].chunks(group) {
            self.journal.commit(group).unwrap();
        }
        self.state = play.state().clone();
    }

    /// Writes a snapshot and returns the number of its parts.
    pub(super) fn snapshot(&mut self) -> i64 {
        let mut draft = self.journal.draft(&self.state, start());
        while !self.journal.write_part(&mut draft).unwrap() {}
        while self.journal.clear_parts().unwrap() {}
        draft.parts()
    }

    /// Lets go of all that is older, and returns how many facts that were, and their orders.
    pub(super) fn sweep(&mut self, cutoff: Timestamp) -> (usize, Vec<String>) {
        let (mut gone, mut orders, mut after) = (0, Vec::new(), Some(0));
        while let Some(from) = after {
            let mut batch = self.journal.expired(from, cutoff, &self.state).unwrap();
            self.journal.let_go(&batch).unwrap();
            gone += batch.len();
            orders.extend(batch.orders.drain(..).map(|(id, _)| id));
            after = batch.next;
            self.assert_whole();
        }
        let mut after = Some(0);
        while let Some(from) = after {
            after = self.journal.fold(from).unwrap();
            self.assert_whole();
        }
        (gone, orders)
    }

    fn assert_whole(&self) {
        let verified = verify(self.directory.path(), None).unwrap();
        assert!(verified.is_whole(), "{verified:?}");
    }

    /// Opens the journal again and recovers; what is recovered is what was known.
    fn reopen(&mut self) -> Recovered {
        self.journal = Journal::open(self.directory.path()).unwrap();
        let recovered = self.journal.recover().unwrap();
        assert_eq!(recovered.state, self.state);
        recovered
    }

    /// Lets the index read all that there is.
    pub(super) fn index(&mut self) {
        while self.journal.index().unwrap() {}
    }

    pub(super) fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.directory.path().join("homeostat.db")).unwrap()
    }

    fn damage(&self, seq: i64) {
        let sql = "UPDATE snapshot_parts SET body = CAST(replace(body, 'a:80', 'b:80') AS BLOB)
                   WHERE seq = ?1";
        assert!(self.raw().execute(sql, [seq]).unwrap() > 0);
    }

    fn kept(&self) -> Vec<u64> {
        let reader = Reader::open(self.directory.path()).unwrap();
        let page = reader.list(&filter(100)).unwrap();
        page.incidents.iter().map(|(id, _)| id.0).rev().collect()
    }

    pub(super) fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        self.raw().query_row(&sql, [], |row| row.get(0)).unwrap()
    }
}

#[test]
fn a_start_reads_the_newest_snapshot_and_the_facts_after_it() {
    let (mut shelf, mut play) = (Shelf::new(), Scenario::new(book(), start()));
    assert_eq!(shelf.reopen().covered, 0);
    for round in 0..4 {
        heal(&mut play, A);
        fire(&mut play, B);
        shelf.catch_up(&play);
        let covered = shelf.journal.last();
        shelf.snapshot();
        fire(&mut play, C);
        shelf.catch_up(&play);
        let recovered = shelf.reopen();
        assert_eq!(recovered.covered, covered, "round {round}");
        assert_eq!(recovered.facts, (shelf.journal.last() - covered).unsigned_abs());
        resolve(&mut play, B);
        resolve(&mut play, C);
        play.advance(Span::from_secs(3600));
        shelf.catch_up(&play);
    }
    assert_eq!(shelf.count("snapshots"), 2, "the newest two are kept");
    assert_eq!(shelf.count("snapshot_parts"), 2);
}

#[test]
fn a_snapshot_counts_once_its_last_part_is_written() {
    let (mut shelf, mut play) = (Shelf::new(), Scenario::new(Book::observe(), start()));
    for host in 0..100 {
        let instance = format!("host-{host}.{}", "x".repeat(2000));
        fire(&mut play, &[("alertname", "Down"), ("instance", &instance)]);
    }
    shelf.catch_up(&play);
    let mut draft = shelf.journal.draft(&shelf.state, start());
    assert!(!shelf.journal.write_part(&mut draft).unwrap());
    fire(&mut play, A);
    shelf.catch_up(&play);
    let begun = draft.covers().0;
    drop(draft);
    assert_eq!(shelf.reopen().covered, 0, "as after a kill in the middle of a snapshot");

    fire(&mut play, B);
    shelf.catch_up(&play);
    let mut draft = shelf.journal.draft(&shelf.state, start());
    fire(&mut play, C);
    shelf.catch_up(&play);
    while !shelf.journal.write_part(&mut draft).unwrap() {}
    let recovered = shelf.reopen();
    assert_eq!((recovered.covered, draft.covers().0 > begun), (draft.covers().0, true));
    assert!(recovered.facts > 0);
    assert_eq!(shelf.count("snapshot_parts"), draft.parts() + 1);
    while shelf.journal.clear_parts().unwrap() {}
    assert_eq!(shelf.count("snapshot_parts"), draft.parts());
    shelf.reopen();
}

#[test]
fn a_damaged_snapshot_is_passed_over_for_the_older_one_and_then_for_all_facts() {
    let (mut shelf, mut play) = (Shelf::new(), Scenario::new(book(), start()));
    heal(&mut play, A);
    shelf.catch_up(&play);
    let older = shelf.journal.last();
    shelf.snapshot();
    fire(&mut play, A);
    shelf.catch_up(&play);
    let newer = shelf.journal.last();
    shelf.snapshot();
    fire(&mut play, B);
    shelf.catch_up(&play);
    assert_eq!(shelf.reopen().covered, newer);
    shelf.damage(newer);
    assert_eq!(shelf.reopen().covered, older);
    shelf.damage(older);
    assert_eq!(shelf.reopen().covered, 0);
}

#[test]
fn a_snapshot_of_another_version_and_one_of_other_facts_are_passed_over() {
    let (mut shelf, mut play) = (Shelf::new(), Scenario::new(book(), start()));
    heal(&mut play, A);
    shelf.catch_up(&play);
    shelf.snapshot();
    shelf.raw().execute("UPDATE snapshots SET version = version + 1", []).unwrap();
    assert_eq!(shelf.reopen().covered, 0);
    shelf.raw().execute("UPDATE snapshots SET version = ?1", [VERSION]).unwrap();
    assert_ne!(shelf.reopen().covered, 0);
    shelf.raw().execute_batch("UPDATE snapshots SET seq = 99").unwrap();
    assert_eq!(shelf.reopen().covered, 0);
}

#[test]
fn without_the_snapshot_that_covered_them_facts_that_were_let_go_are_missed_aloud() {
    let (mut shelf, mut play) = (Shelf::new(), Scenario::new(book(), start()));
    heal(&mut play, A);
    play.advance(DAY);
    shelf.catch_up(&play);
    shelf.snapshot();
    fire(&mut play, B);
    shelf.catch_up(&play);
    assert!(shelf.sweep(play.now()).0 > 0);
    shelf.reopen();
    shelf.damage(shelf.journal.recover().unwrap().covered);
    let error = shelf.journal.recover().unwrap_err();
    assert!(matches!(error, JournalError::Gone { seq: 1, .. }), "{error}");
    assert!(error.to_string().contains("from a backup"), "{error}");
}

#[test]
fn what_is_over_goes_whole_and_what_is_open_or_latched_stays_whole() {
    let (mut shelf, mut play) = (Shelf::new(), Scenario::new(book(), start()));
    heal(&mut play, A); // 1: healed and released.
    fire(&mut play, B); // 2: acting, then latched for as long as it fires.
    whatever(&mut play);
    for _ in 0..4 {
        play.advance(Span::from_secs(6 * 3600));
        fire(&mut play, B);
    }
    let cutoff = play.now();
    heal(&mut play, A); // 3: young.
    whatever(&mut play);
    shelf.catch_up(&play);
    shelf.index();
    let before = Reader::open(shelf.directory.path()).unwrap();
    let latched = before.incident(IncidentId(2)).unwrap().unwrap();
    let young = before.incident(IncidentId(3)).unwrap().unwrap();
    assert_eq!(shelf.sweep(cutoff), (0, Vec::new()), "no snapshot, no way back");

    shelf.snapshot();
    let (gone, orders) = shelf.sweep(cutoff);
    assert_eq!(orders, ["1.restart.1"]);
    assert_eq!(shelf.kept(), [2, 3]);
    let left = latched.facts.len() + young.facts.len() + 2; // And what happened last.
    assert_eq!(shelf.count("facts"), i64::try_from(left).unwrap());
    assert_eq!(shelf.journal.last(), i64::try_from(gone + left).unwrap());
    let reader = Reader::open(shelf.directory.path()).unwrap();
    assert_eq!(reader.incident(IncidentId(1)).unwrap(), None);
    assert_eq!(reader.incident(IncidentId(2)).unwrap().unwrap(), latched);
    assert_eq!(reader.incident(IncidentId(3)).unwrap().unwrap(), young);
    assert_eq!(shelf.sweep(cutoff).0, 0, "what is left stays");
    shelf.reopen();

    resolve(&mut play, B);
    for _ in 0..2 {
        whatever(&mut play);
        shelf.catch_up(&play);
        shelf.snapshot();
    }
    let (_, orders) = shelf.sweep(play.now() + DAY);
    assert_eq!(orders, ["2.restart.1", "3.restart.1"]);
    assert_eq!((shelf.kept().len(), shelf.count("incidents")), (0, 0));
    shelf.index();
    for table in ["alerts_of", "unindexed", "volumes"] {
        assert_eq!(shelf.count(table), 0, "what is found by {table} goes with its incidents");
    }
    assert!(shelf.count("days") > 0, "what became of a day stays");
    assert_eq!(shelf.count("facts"), 4, "what the older snapshot ends with, and what came after");
    shelf.reopen();
}

/// One alert fires all the time, so that the oldest facts never go.
#[test]
fn of_the_links_of_what_went_little_is_left_and_the_chain_is_whole() {
    let (mut shelf, mut play) = (Shelf::new(), Scenario::new(book(), start()));
    fire(&mut play, B);
    let mut heads = Vec::new();
    for _ in 0..6 {
        for number in 0..8 {
            if number == 4 {
                heads.push((verify(shelf.directory.path(), None).unwrap().head, start()));
            }
            heal(&mut play, A);
            play.advance(Span::from_secs(3 * 3600));
            fire(&mut play, B);
            shelf.catch_up_by(2, &play);
        }
        heads.last_mut().unwrap().1 = play.now();
        shelf.snapshot();
        let Some((_, cutoff)) = heads.len().checked_sub(3).map(|at| heads[at]) else { continue };
        let links = shelf.count("chain");
        assert!(shelf.sweep(cutoff).0 > 0);
        assert!(shelf.count("chain") < links - 10, "{links}");
        shelf.reopen();
        let kept = heads
            .iter()
            .map(|(head, _)| verify(shelf.directory.path(), Some(*head)).unwrap().kept.unwrap());
        let kept: Vec<KeptHead> = kept.collect();
        let (gone, found) = kept.split_at(heads.len() - 2);
        assert!(found.iter().all(|kept| *kept == KeptHead::Found), "{kept:?}");
        assert!(gone.iter().all(|kept| *kept == KeptHead::Gone), "{kept:?}");
    }
    let links = shelf.count("chain");
    let young = "SELECT COUNT(*) FROM chain WHERE last >
                 (SELECT MIN(seq) FROM facts WHERE at >= ?1) AND kind = 'facts'";
    let (_, cutoff) = heads[heads.len() - 3];
    let young: i64 = shelf.raw().query_row(young, [cutoff.micros()], |row| row.get(0)).unwrap();
    assert!(links - young < 40, "{links} links, of which {young} have young facts");
    assert!(shelf.count("gone") < 10, "{}", shelf.count("gone"));
    assert!(shelf.count("folds") < 8, "{}", shelf.count("folds"));
    let verified = verify(shelf.directory.path(), None).unwrap();
    assert_eq!(verified.until, Some(cutoff));
    assert!(verified.folded.is_some());
}

#[test]
fn facts_that_the_older_snapshot_does_not_cover_stay() {
    let (mut shelf, mut play) = (Shelf::new(), Scenario::new(book(), start()));
    fire(&mut play, A);
    shelf.catch_up(&play);
    shelf.snapshot();
    resolve(&mut play, A);
    play.exit("restart", Outcome::Exited { code: 0 });
    play.advance(DAY);
    shelf.catch_up(&play);
    shelf.snapshot();
    assert!(shelf.state.incidents().next().is_none(), "it is over");
    shelf.sweep(play.now() + DAY);
    assert_eq!(shelf.kept(), [1]);
    shelf.damage(shelf.journal.last());
    shelf.reopen();
}

#[test]
fn a_kill_between_looking_and_letting_go_changes_nothing() {
    let (mut shelf, mut play) = (Shelf::new(), Scenario::new(book(), start()));
    heal(&mut play, A);
    whatever(&mut play);
    play.advance(DAY);
    shelf.catch_up(&play);
    shelf.snapshot();
    let looked = shelf.journal.expired(0, play.now(), &shelf.state).unwrap();
    shelf.reopen();
    assert_eq!(shelf.kept(), [1]);
    let ids = looked.orders.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(shelf.sweep(play.now()), (looked.len(), ids));
    assert!(shelf.kept().is_empty());
    shelf.reopen();
}

#[test]
fn many_facts_go_in_bounded_batches() {
    let (mut shelf, mut play) = (Shelf::new(), Scenario::new(Book::observe(), start()));
    fire(&mut play, A);
    for host in 0..500 {
        let instance = format!("host-{host}");
        let alert = [("alertname", "Down"), ("instance", instance.as_str())];
        fire(&mut play, &alert);
        resolve(&mut play, &alert);
    }
    play.advance(DAY);
    shelf.catch_up(&play);
    shelf.snapshot();
    let batch = shelf.journal.expired(0, play.now(), &shelf.state).unwrap();
    assert!(batch.len() <= 256 && batch.next == Some(256), "{batch:?}");
    let (gone, _) = shelf.sweep(play.now());
    assert!(gone > 2000, "{gone}");
    assert_eq!(shelf.kept(), [1], "its alert fires");
    shelf.reopen();
}

#[test]
fn a_relapse_is_recognised_after_its_history_was_let_go() {
    let (mut shelf, mut play) = (Shelf::new(), Scenario::new(book(), start()));
    heal(&mut play, A);
    whatever(&mut play);
    play.advance(Span::from_secs(600));
    shelf.catch_up(&play);
    shelf.snapshot();
    shelf.sweep(play.now() - Span::from_secs(1));
    assert!(shelf.kept().is_empty());
    let recovered = shelf.reopen();
    let mut engine = Engine::restore(recovered.state, Arc::new(book()), play.now());
    let alert = alert_of(A, play.now());
    let turn = engine.turn([Event::observed(alert)], play.now());
    let relapse = turn.facts.iter().find_map(|fact| match &fact.what {
        What::IncidentOpened { relapse_of, ladder, .. } => Some((*relapse_of, ladder.orders)),
        _ => None,
    });
    assert_eq!(relapse, Some((Some(IncidentId(1)), 1)));
}

fn alert_of(labels: &[(&str, &str)], at: Timestamp) -> homeostat_core::alert::Observation {
    let mut play = Scenario::new(Book::observe(), at);
    play.fire("main", Door::Webhook, labels);
    let alert = play.journal().iter().find_map(|fact| match &fact.what {
        What::EpisodeBegan { alert, .. } => Some(alert.clone()),
        _ => None,
    });
    let status = homeostat_core::alert::Status::Firing;
    homeostat_core::alert::Observation {
        alert: alert.unwrap(),
        status,
        ends_at: None,
        unproven: None,
        by: None,
    }
}

/// The tables as version 1 had them.
const VERSION_1: &str = "
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, version INTEGER NOT NULL, kind TEXT NOT NULL,
    incident INTEGER, episode INTEGER, body TEXT NOT NULL
);
CREATE INDEX facts_incident ON facts (incident, seq) WHERE incident IS NOT NULL;
CREATE INDEX facts_episode ON facts (episode, seq) WHERE episode IS NOT NULL;
CREATE TABLE incidents (
    id INTEGER PRIMARY KEY, policy TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL,
    outcome TEXT, opened_at INTEGER NOT NULL, closed_at INTEGER
);
CREATE INDEX incidents_state ON incidents (state, id);
PRAGMA user_version = 1;
";

#[test]
fn a_journal_of_version_1_is_brought_up_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let raw = rusqlite::Connection::open(directory.path().join("homeostat.db")).unwrap();
    raw.execute_batch(VERSION_1).unwrap();
    let story = story();
    for fact in &story {
        let what = &fact.what;
        let body = serde_json::to_string(what).unwrap();
        let (incident, episode) =
            (what.incident().map(|i| number(i.0)), what.episode().map(|e| number(e.0)));
        let sql = "INSERT INTO facts (at, version, kind, incident, episode, body)
                   VALUES (?1, 1, ?2, ?3, ?4, ?5)";
        let values = rusqlite::params![fact.at.micros(), what.kind(), incident, episode, body];
        raw.execute(sql, values).unwrap();
    }
    drop(raw);
    let mut journal = Journal::open(directory.path()).unwrap();
    assert_eq!(read_back(&journal), story);
    let state = journal.recover().unwrap().state;
    let mut draft = journal.draft(&state, start());
    while !journal.write_part(&mut draft).unwrap() {}
    let reopened = Journal::open(directory.path()).unwrap();
    let recovered = reopened.recover().unwrap();
    assert_eq!((recovered.state, recovered.facts), (state, 0));
    let sql = "PRAGMA user_version";
    let version: u32 = reopened.connection().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(version), Ok(schema::VERSION));
}
