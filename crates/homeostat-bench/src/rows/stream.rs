//! A thousand who listen to the stream: what they cost those who send alerts, and how far behind the last
//! of them is.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::alerts;
use crate::bench::Bench;
use crate::engine::Engine;
use crate::figure::{Figures, number, rate};
use crate::load;
use crate::row::{Row, Verdict};

/// Who listens.
const READERS: usize = 1000;

/// Threads that read for them.
const THREADS: usize = 2;

/// Alerts that are taken in meanwhile, each an incident.
const ALERTS: usize = 5000;

/// Alerts of a batch, as Prometheus sends them.
const BATCH: usize = 64;

/// Batches under way at once.
const CONNECTIONS: usize = 4;

/// How long all of it may take to be heard.
const PATIENCE: Duration = Duration::from_mins(1);

/// The instance by which all know that they have heard it all.
const LAST: &str = "the-last";

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let [mut heard, mut alone, mut behind] = <[Figures; 3]>::default();
    for _ in 0..bench.rounds {
        let engine = Engine::start(bench, None)?;
        alone.add(rate(ALERTS, pour(&engine, "alone")?));
        drop(engine);
        let engine = Engine::start(bench, None)?;
        let (seconds, late) = pour_to(&engine)?;
        heard.add(rate(ALERTS, seconds));
        behind.add(late);
    }
    let share = heard.over(&alone);
    Ok(vec![
        Row {
            what: "alerts beside 1000 who listen".into(),
            ours: format!("{} alerts/s", number(heard.median())),
            against: format!("nobody listens: {} alerts/s", number(alone.median())),
            ratio: share.spread(),
            bar: "≥ 0.5".into(),
            verdict: Verdict::of(share.median() >= 0.5),
        },
        Row {
            what: "the last of 1000 has heard it all, after the last alert".into(),
            ours: format!("{} s", behind.spread()),
            against: "–".into(),
            ratio: "–".into(),
            bar: "≤ 5 s".into(),
            verdict: Verdict::of(behind.median() <= 5.0),
        },
    ])
}

/// Has all alerts taken in; returns the seconds that it took.
fn pour(engine: &Engine, of: &str) -> Result<f64> {
    let numbers: Vec<usize> = (0..ALERTS).collect();
    let bodies: Vec<Vec<u8>> = numbers
        .chunks(BATCH)
        .map(|batch| {
            alerts::batch(alerts::NAME, batch.iter().map(|n| (*n, alerts::instance(of, *n))))
        })
        .collect();
    load::pour(engine.address, "/api/v2/alerts", CONNECTIONS, &bodies)
}

/// The same while all listen; also how many seconds after the last alert the last of them has heard of
/// it.
fn pour_to(engine: &Engine) -> Result<(f64, f64)> {
    let readers = (0..READERS).map(|_| listen(engine.address)).collect::<Result<Vec<_>>>()?;
    let (told, done) = mpsc::channel();
    thread::scope(|scope| {
        let mut readers = readers;
        while !readers.is_empty() {
            let some = readers.split_off(readers.len().saturating_sub(READERS / THREADS));
            let told = told.clone();
            scope.spawn(move || drop(told.send(hear_all(some))));
        }
        let seconds = pour(engine, "heard")?;
        let last = alerts::batch(alerts::NAME, [(ALERTS, LAST.to_owned())]);
        load::pour(engine.address, "/api/v2/alerts", 1, &[last])?;
        let began = Instant::now();
        for _ in 0..THREADS {
            done.recv_timeout(PATIENCE).context("not all was heard")??;
        }
        Ok((seconds, began.elapsed().as_secs_f64()))
    })
}

fn listen(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    ensure!(&head == b"HTTP/1.1 200", "the stream is not served: {}", head.escape_ascii());
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Reads for some readers until each has heard of the last alert.
fn hear_all(readers: Vec<TcpStream>) -> Result<()> {
    let mut readers: Vec<(TcpStream, Vec<u8>)> =
        readers.into_iter().map(|stream| (stream, Vec::new())).collect();
    let mut piece = vec![0; 64 << 10];
    while !readers.is_empty() {
        let mut read = 0;
        let mut failed = None;
        readers.retain_mut(|(stream, tail)| match stream.read(&mut piece) {
            Ok(0) => {
                failed = Some("a reader was let go");
                false
            }
            Ok(length) => {
                read += length;
                tail.extend_from_slice(&piece[..length]);
                let has = tail.windows(LAST.len()).any(|window| window == LAST.as_bytes());
                tail.drain(..tail.len().saturating_sub(LAST.len()));
                !has
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => true,
            Err(_) => {
                failed = Some("a reader was cut off");
                false
            }
        });
        ensure!(failed.is_none(), "{}", failed.unwrap_or_default());
        if read == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}
