//! What the machine gives, without us: the disk, processes, and SQLite on its own.

use std::fs::File;
use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rusqlite::{Connection, params};

use crate::bench::Bench;
use crate::figure;

/// How long the disk is looked at in one round.
const DISK_TIME: Duration = Duration::from_millis(800);

/// What one `fdatasync` takes: the least that any durable answer costs.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    seconds: Vec<f64>,
}

impl Disk {
    /// Appends a page and syncs it, over and over.
    pub(crate) fn measure(bench: &Bench) -> Result<Self> {
        let directory = bench.directory()?;
        let mut file = File::create(directory.join("log"))?;
        let page = [0x5a; 4096];
        let mut seconds = Vec::new();
        let began = Instant::now();
        while began.elapsed() < DISK_TIME {
            let one = Instant::now();
            file.write_all(&page)?;
            file.sync_data()?;
            seconds.push(one.elapsed().as_secs_f64());
        }
        Ok(Self { seconds })
    }

    /// Syncs a second, one after the other.
    pub(crate) fn rate(&self) -> f64 {
        figure::rate(self.seconds.len(), self.seconds.iter().sum())
    }

    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        figure::percentile(&mut self.seconds.clone(), percent)
    }
}

/// Processes a second that run `/bin/true` to its end, so many at once.
pub(crate) fn spawns(count: usize, at_once: usize) -> Result<f64> {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..at_once)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    while next.fetch_add(1, Ordering::Relaxed) < count {
                        ensure!(Command::new("/bin/true").status()?.success(), "true is false");
                    }
                    Ok(())
                })
            })
            .collect();
        lanes.into_iter().try_for_each(|lane| lane.join().expect("a lane does not panic"))
    })?;
    Ok(figure::rate(count, began.elapsed().as_secs_f64()))
}

/// Rows a second that bare SQLite makes durable: one table, no index, so many rows a commit.
pub(crate) fn sqlite_rows(
    bench: &Bench,
    rows: usize,
    rows_a_commit: usize,
    bytes: usize,
) -> Result<f64> {
    let directory = bench.directory()?;
    let mut connection = Connection::open(directory.join("bare.db"))?;
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=4000;
         CREATE TABLE rows (seq INTEGER PRIMARY KEY, body TEXT NOT NULL);",
    )?;
    let body = "x".repeat(bytes);
    let began = Instant::now();
    let mut left = rows;
    while left > 0 {
        let transaction = connection.transaction()?;
        let now = left.min(rows_a_commit);
        for _ in 0..now {
            transaction
                .prepare_cached("INSERT INTO rows (body) VALUES (?1)")?
                .execute(params![body])?;
        }
        transaction.commit()?;
        left -= now;
    }
    Ok(figure::rate(rows, began.elapsed().as_secs_f64()))
}
