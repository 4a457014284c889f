//! A search finds the same, whatever the index has read: all, a half, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use homeostat_core::label::Matchers;
use homeostat_core::name::PolicyName;
use homeostat_core::order::Outcome;
use homeostat_core::policy::{Policy, TargetLabels};
use rusqlite::Connection;

use super::history::{Shelf, book, start};
use super::*;

/// Numbers that look random, and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one_of<T: Copy>(&mut self, some: &[T]) -> T {
        some[self.below(some.len())]
    }
}

const POLICIES: [&str; 4] = ["down", "db", "db-eu", "Web-check"];
/// U+212A is the sign for Kelvin, which folds to a k, but not for LIKE.
const NAMES: [&str; 6] = ["DiskFull", "diskfull2", "\u{212A}elvin", "Straße", "a_b%c\\d", "x\"y'z"];
const INSTANCES: [&str; 9] = [
    "web-01.example.org:9100",
    "WEB-01",
    "db:1",
    "ä€😀zÄ",
    "ab\u{1}cd",
    "a*b?[c]",
    "x\ny\tz",
    "12",
    "kelvin",
];
const TEXTS: [&str; 24] = [
    "web-01",
    "WEB-0",
    "example",
    "diskf",
    "Kel",
    "\u{212A}el",
    "straß",
    "STRASSE",
    "_b%",
    "c\\d",
    "\"y'",
    "€😀z",
    "zä",
    "b?[",
    "*b?",
    "y\tz",
    "b\u{1}c",
    "12",
    "1",
    "db-",
    "ing",
    "no such text",
    "012",
    "0007",
];

/// The book of `history`, once for each policy: some act, and some only observe.
fn policies() -> Book {
    let acts = book().policies()[0].clone();
    let policies = POLICIES.iter().enumerate().map(|(number, name)| {
        let observes = number % 2 == 0;
        let policy = if observes { Policy::observe() } else { acts.clone() };
        let matchers = format!("policy=\"{name}\"");
        Policy {
            name: PolicyName::new(*name),
            matchers: Matchers::parse(&matchers).unwrap().matchers,
            target: TargetLabels::Named(vec!["instance".into(), "zone".into()]),
            ..policy
        }
    });
    Book::new(policies.collect(), BookLimits::default(), Witnesses::default())
}

/// Something happens.
fn happen(dice: &mut Dice, play: &mut Scenario) {
    let labels = [
        ("alertname", dice.one_of(&NAMES)),
        ("instance", dice.one_of(&INSTANCES)),
        ("policy", dice.one_of(&POLICIES)),
        ("zone", dice.one_of(&["e", "EU-1"])),
    ];
    match dice.below(8) {
        0..3 => drop(play.fire("main", Door::Webhook, &labels)),
        3..6 => {
            let firing: Vec<Vec<(String, String)>> = play
                .state()
                .all_firing()
                .filter_map(|id| play.state().episode(id))
                .map(|e| e.alert.labels.iter().map(|(k, v)| (k.into(), v.into())).collect())
                .collect();
            if let Some(labels) = firing.get(dice.below(firing.len().max(1))) {
                let labels: Vec<(&str, &str)> =
                    labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                play.resolve("main", Door::Webhook, &labels);
            }
        }
        6 if play.runs().next().is_some() => play.exit("restart", Outcome::Exited { code: 0 }),
        _ => play.advance(Span::from_secs(60)),
    }
}

/// An incident, as whoever reads all facts sees it.
struct Row {
    id: u64,
    policy: String,
    target: BTreeMap<String, String>,
    state: String,
    outcome: Option<String>,
    opened_at: i64,
    names: BTreeSet<String>,
}

fn rows(raw: &Connection, facts: &[Fact]) -> Vec<Row> {
    let mut names = BTreeMap::new();
    let mut of: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for fact in facts {
        match &fact.what {
            What::EpisodeBegan { episode, alert, .. } => {
                names.insert(*episode, alert.labels.get("alertname").unwrap().to_owned());
            }
            What::IncidentOpened { incident, episode, .. }
            | What::EpisodeAttached { incident, episode } => {
                of.entry(incident.0).or_default().insert(names[episode].clone());
            }
            _ => {}
        }
    }
    let sql =
        "SELECT id, policy, target, state, outcome, opened_at FROM incidents ORDER BY id DESC";
    let mut statement = raw.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let id = row.get::<_, i64>(0)?.unsigned_abs();
        Ok(Row {
            id,
            policy: row.get(1)?,
            target: serde_json::from_str(&row.get::<_, String>(2)?).unwrap(),
            state: row.get(3)?,
            outcome: row.get(4)?,
            opened_at: row.get(5)?,
            names: of[&id].clone(),
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
            text.char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .any(|at| is_like(rest, &text[at..]))
        }),
    }
}

impl Row {
    fn is_found(&self, filter: &Filter) -> bool {
        let Filter {
            states, outcomes, named, policies, target, text, since, until, before, ..
        } = filter;
        let has = |within: &str, text: &str| {
            within.to_ascii_lowercase().contains(&text.to_ascii_lowercase())
        };
        let said = || {
            let target = self.target.iter().flat_map(|(key, value)| [key, value]);
            target.chain(&self.names).chain([&self.policy])
        };
        (states.is_empty() || states.contains(&self.state))
            && (outcomes.is_empty() || self.outcome.as_ref().is_some_and(|o| outcomes.contains(o)))
            && named.as_ref().is_none_or(|named| named.contains(&self.policy))
            && policies.as_ref().is_none_or(|some| some.iter().any(|p| is_like(p, &self.policy)))
            && target.iter().all(|(key, value)| self.target.get(key) == Some(value))
            && since.is_none_or(|since| self.opened_at >= since.micros())
            && until.is_none_or(|until| self.opened_at < until.micros())
            && before.is_none_or(|before| self.id < before.0)
            && text.as_ref().is_none_or(|text| {
                text.parse() == Ok(self.id) || said().any(|within| has(within, text))
            })
    }
}

fn some_filter(dice: &mut Dice, play: &Scenario) -> Filter {
    let mut filter = Filter { limit: dice.one_of(&[1, 3, 100]), ..Filter::default() };
    let texts = |some: &[&str]| some.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let outcomes = ["healed", "shadowed", "recovered", "escalated"];
    if dice.below(2) == 0 {
        filter.text = Some(dice.one_of(&TEXTS).to_owned());
    }
    match dice.below(9) {
        0 => filter.outcomes = texts(&[dice.one_of(&outcomes), dice.one_of(&outcomes)]),
        1 => filter.named = Some(texts(&[dice.one_of(&POLICIES), dice.one_of(&POLICIES)])),
        2 => {
            filter.policies =
                Some(texts(&[dice.one_of(&["db*", "*-*", "*", "down", "We*ck", "d*b*u"])]));
        }
        3 => filter.target = vec![("instance".into(), dice.one_of(&INSTANCES).into())],
        4 => filter.states = texts(&[dice.one_of(&["closed", "waiting", "acting"]), "verifying"]),
        5 => filter.since = Some(play.now() - Span::from_secs(900)),
        6 => filter.until = Some(play.now() - Span::from_secs(900)),
        7 => filter.named = Some(texts(&[dice.one_of(&POLICIES)])),
        _ => {}
    }
    filter
}

/// Pages through all that is found.
fn found(reader: &Reader, filter: &Filter) -> Vec<u64> {
    let mut filter = filter.clone();
    let mut found = Vec::new();
    loop {
        let page = reader.list(&filter).unwrap();
        assert!(page.incidents.len() <= filter.limit, "{filter:?}");
        found.extend(page.incidents.iter().map(|(id, _)| id.0));
        filter.before = page.next;
        if page.next.is_none() {
            return found;
        }
    }
}

fn check(dice: &mut Dice, shelf: &Shelf, play: &Scenario, when: &str) {
    let reader = Reader::open(shelf.directory.path()).unwrap();
    let facts = &play.journal()[..usize::try_from(shelf.journal.last()).unwrap()];
    let rows = rows(&shelf.raw(), facts);
    for _ in 0..40 {
        let filter = some_filter(dice, play);
        let expected = rows.iter().filter(|row| row.is_found(&filter)).map(|row| row.id);
        assert_eq!(found(&reader, &filter), expected.collect::<Vec<_>>(), "{when}: {filter:?}");
    }
}

#[test]
fn a_search_finds_the_same_with_all_of_the_index_a_half_and_nothing() {
    let (mut volumes, mut gone) = (0, 0);
    for seed in 0..6 {
        let mut dice = Dice(seed);
        let (mut shelf, mut play) = (Shelf::new(), Scenario::new(policies(), start()));
        for round in 0..6 {
            for _ in 0..40 {
                happen(&mut dice, &mut play);
            }
            shelf.catch_up_by(1 + dice.below(20), &play);
            check(&mut dice, &shelf, &play, &format!("seed {seed}, round {round}, behind"));
            for _ in 0..dice.below(8) {
                shelf.journal.index().unwrap();
            }
            check(&mut dice, &shelf, &play, &format!("seed {seed}, round {round}, a half"));
            if round > 2 {
                shelf.snapshot();
                gone += shelf.sweep(play.now() - Span::from_secs(1800)).0;
                check(&mut dice, &shelf, &play, &format!("seed {seed}, round {round}, gone"));
            }
        }
        shelf.index();
        volumes += shelf.count("volumes");
        assert!(!shelf.journal.index().unwrap(), "there is nothing more to read");
        check(&mut dice, &shelf, &play, &format!("seed {seed}, all"));
    }
    assert!(volumes > 12 && gone > 100, "{volumes} volumes, {gone} facts gone: this shows little");
}

/// SQLite ends a text at a zero where it compares by LIKE, and nowhere else.
#[test]
fn a_zero_in_a_text_is_looked_for_as_without_the_index() {
    let (mut shelf, mut play) = (Shelf::new(), Scenario::new(Book::observe(), start()));
    for instance in ["abc\0def", "abcdef", "xabc"] {
        let labels = [("alertname", "Down"), ("instance", instance)];
        play.fire("main", Door::Webhook, &labels);
        play.resolve("main", Door::Webhook, &labels);
    }
    play.advance(Span::from_secs(60));
    shelf.catch_up_by(9, &play);
    let reader = Reader::open(shelf.directory.path()).unwrap();
    let search = || {
        let texts = ["abc", "abcd", "bc\0", "bc\0xyz", "\0de", "cde", "def", "bcdefg"];
        texts.map(|text| found(&reader, &Filter { text: Some(text.into()), ..filter(2) }))
    };
    let target = |value: &str| {
        found(&reader, &Filter { target: vec![("instance".into(), value.into())], ..filter(2) })
    };
    let before = (search(), target("abc\0def"));
    shelf.index();
    assert_eq!(shelf.journal.index_stands(), (0, 0, 1), "all is over");
    assert_eq!((search(), target("abc\0def")), before);
    assert_eq!(before.1, [1]);
}
