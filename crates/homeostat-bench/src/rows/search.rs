//! Searches among a million incidents and among a tenth of them; what the index costs by which they are
//! found.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use homeostat::incidents::Filter;
use homeostat::journal::{Journal, Mover, Reader};
use homeostat_core::fact::{Fact, VERSION};
use homeostat_core::time::Timestamp;
use rusqlite::{Connection, params};

use crate::bench::Bench;
use crate::figure::{Figures, number, percentile, rate};
use crate::row::{Row, Verdict};
use crate::walk::Walk;

const INCIDENTS: u32 = 1_000_000;

/// Incidents of one transaction.
const GROUP: u32 = 50_000;

/// Steps after which the housekeeper moves the log into the database.
const MOVE_AFTER: usize = 4;

/// Of so many incidents one is of a policy that has none any more, with an outcome that is rare.
const OLD: u32 = 100;

/// What of an incident's story says by what it is found, and that it is over.
const KINDS: [&str; 4] = ["episode_began", "incident_opened", "incident_closed", "latch_released"];

/// A search, and whether it finds anything.
type Search = (&'static str, fn(u32) -> Filter, bool);

const SEARCHES: [Search; 7] = [
    ("the last 50", |_| filter(), true),
    ("by a text that one has", |of| text(&host(of / 2)), true),
    ("by a text that nearly all have", |_| text("EXAMPLE"), true),
    ("by a text that none has", |_| text("web-1000000"), false),
    ("by a policy that has none any more", |_| named("retired"), true),
    (
        "by a policy and the name of another's alert",
        |_| Filter { text: Some("Alert77".into()), ..named("policy-78") },
        false,
    ),
    (
        "by a target and a rare outcome",
        |of| Filter {
            outcomes: vec!["escalated".into()],
            target: vec![("instance".into(), host(of / OLD / 2))],
            ..filter()
        },
        true,
    ),
];

/// A journal, and what its index took.
struct Shelf {
    reader: Reader,
    incidents: u32,
    seconds: f64,
    steps: Vec<f64>,
    bytes: i64,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let [tenth, whole] = [bench.directory()?, bench.directory()?];
    let tenth = Shelf::make(&tenth, INCIDENTS / 10)?;
    let mut whole = Shelf::make(&whole, INCIDENTS)?;
    let mut rows = Vec::new();
    for search in SEARCHES {
        let [mut small, mut large]: [Figures; 2] = Default::default();
        for _ in 0..bench.rounds {
            small.add(tenth.search(search)?);
            large.add(whole.search(search)?);
        }
        rows.push(Row {
            what: format!("{} of {} incidents", search.0, number(INCIDENTS.into())),
            ours: format!("{} ms", large.spread()),
            against: format!("of a tenth: {} ms", number(small.median())),
            ratio: format!("exponent {}", large.exponent(&small).spread()),
            bar: "≤ 50 ms".into(),
            verdict: Verdict::of(large.median() <= 50.0),
        });
    }
    let of_one = |figure: f64, shelf: &Shelf| figure / f64::from(shelf.incidents);
    let [half, most, all] =
        [50.0, 99.0, 100.0].map(|percent| percentile(&mut whole.steps, percent));
    rows.push(Row {
        what: "the index, for 1,000 incidents".into(),
        ours: format!("{} ms", number(of_one(whole.seconds * 1e6, &whole))),
        against: format!(
            "steps of {} ms, 99 % below {} ms, the longest {} ms",
            number(half),
            number(most),
            number(all)
        ),
        ratio: format!("{} bytes an incident", number(of_one(as_f64(whole.bytes), &whole))),
        bar: "99 % ≤ 10 ms".into(),
        verdict: Verdict::of(most <= 10.0),
    });
    Ok(rows)
}

fn filter() -> Filter {
    Filter { limit: 50, ..Filter::default() }
}

fn text(text: &str) -> Filter {
    Filter { text: Some(text.into()), ..filter() }
}

fn named(policy: &str) -> Filter {
    Filter { named: Some(vec![policy.into()]), ..filter() }
}

fn as_f64(count: i64) -> f64 {
    rate(usize::try_from(count).unwrap_or(0), 1.0)
}

/// Neighbours in time are none by name.
fn host(incident: u32) -> String {
    format!("web-{:06}.example.org:9100", u64::from(incident) * 7919 % 1_000_000)
}

impl Shelf {
    fn make(directory: &Path, incidents: u32) -> Result<Self> {
        let mut journal = Journal::open(directory)?;
        let mut raw = Connection::open(directory.join("homeostat.db"))?;
        raw.execute_batch("PRAGMA synchronous=OFF")?;
        fill(&mut raw, incidents)?;
        raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let before = pages(&raw)?;
        let mut mover = Mover::new(directory);
        let mut steps = Vec::new();
        let began = Instant::now();
        loop {
            let step = Instant::now();
            if !journal.index()? {
                break;
            }
            steps.push(step.elapsed().as_secs_f64() * 1e3);
            if steps.len() % MOVE_AFTER == 0 {
                mover.wake();
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let bytes = pages(&raw)? - before;
        Ok(Self { reader: Reader::open(directory)?, incidents, seconds, steps, bytes })
    }

    /// The milliseconds that a search takes.
    fn search(&self, (what, of, finds): Search) -> Result<f64> {
        let filter = of(self.incidents);
        let began = Instant::now();
        let page = self.reader.list(&filter)?;
        let milliseconds = began.elapsed().as_secs_f64() * 1e3;
        ensure!(page.incidents.is_empty() != finds, "{what}: {} found", page.incidents.len());
        Ok(milliseconds)
    }
}

/// The bytes of all pages that are in use.
fn pages(raw: &Connection) -> Result<i64> {
    let of =
        |pragma: &str| raw.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    Ok((of("page_count")? - of("freelist_count")?) * of("page_size")?)
}

/// Writes incidents that are over, as short as they can be told.
fn fill(raw: &mut Connection, incidents: u32) -> Result<()> {
    let mut walk = Walk::new(1, Timestamp::from_seconds(1_767_603_600))?;
    walk.facts = Some(Vec::new());
    walk.live()?;
    let facts = walk.facts.unwrap_or_default();
    let mut bodies = Vec::new();
    for kind in KINDS {
        let of = |fact: &&Fact| fact.what.kind() == kind;
        let fact = facts.iter().find(of).with_context(|| format!("there is no {kind}"))?;
        bodies.push(serde_json::to_string(&fact.what)?);
    }
    let mut seq = 0_i64;
    for from in (1..=incidents).step_by(GROUP as usize) {
        let transaction = raw.transaction()?;
        {
            let mut fact = transaction.prepare(
                "INSERT INTO facts (seq, at, version, kind, incident, episode, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            let mut row = transaction.prepare(
                "INSERT INTO incidents (id, policy, target, state, outcome, opened_at, closed_at)
                 VALUES (?1, ?2, ?3, 'closed', ?4, ?5, ?5)",
            )?;
            for id in from..(from + GROUP).min(incidents + 1) {
                let (policy, outcome) = if id <= incidents / OLD {
                    ("retired".to_owned(), "escalated")
                } else {
                    (format!("policy-{}", id % 100), "healed")
                };
                let (host, at) = (host(id), i64::from(id) * 1_000_000);
                let alert = format!("\"Alert{}\"", id % 100);
                for (kind, body) in KINDS.iter().zip(&bodies) {
                    let body = body
                        .replace("web-000001.example.org:9100", &host)
                        .replace("\"Alert0\"", &alert)
                        .replace("\"episode\":1", &format!("\"episode\":{id}"))
                        .replace("\"incident\":1", &format!("\"incident\":{id}"))
                        .replace("policy-0", &policy);
                    seq += 1;
                    let incident = (*kind != KINDS[0]).then_some(id);
                    let episode = KINDS[..2].contains(kind).then_some(id);
                    fact.execute(params![seq, at, VERSION, kind, incident, episode, body])?;
                }
                let target = format!("{{\"instance\":\"{host}\"}}");
                row.execute(params![id, policy, target, outcome, at])?;
            }
        }
        transaction.commit()?;
    }
    Ok(())
}
