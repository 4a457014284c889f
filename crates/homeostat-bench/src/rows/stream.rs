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
use crate::figure::Figures;
use crate::load;
use crate::row::{Row, Verdict};

/// Who listens.
const READERS: usize = 1000;

/// Threads that read for them.
const THREADS: usize = 2;

/// Batches of alerts that are taken in meanwhile: a storm of five seconds.
const BATCHES: usize = 100;

/// Alerts of a batch, each an incident.
const BATCH: usize = 25;

/// When the next one follows.
const EVERY: Duration = Duration::from_millis(50);

/// How long all of it may take to be heard.
const PATIENCE: Duration = Duration::from_mins(1);

/// The instance by which all know that they have heard it all.
const LAST: &str = "the-last";

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let [mut heard, mut alone, mut behind] = <[Figures; 3]>::default();
    for _ in 0..bench.rounds {
        let engine = Engine::start(bench, None)?;
        alone.add(storm(&engine)?);
        drop(engine);
        let engine = Engine::start(bench, None)?;
        let (took, late) = storm_before_all(&engine)?;
        heard.add(took);
        behind.add(late);
    }
    let share = heard.over(&alone);
    let alerts = BATCH as u128 * Duration::from_secs(1).as_millis() / EVERY.as_millis();
    Ok(vec![
        Row {
            what: format!("answer to {BATCH} alerts, {alerts} a second, beside 1000 who listen"),
            ours: format!("{} ms", heard.spread()),
            against: format!("nobody listens: {} ms", alone.spread()),
            ratio: share.spread(),
            bar: "≤ 100 ms".into(),
            verdict: Verdict::of(heard.median() <= 100.0),
        },
        Row {
            what: "the last of 1000 has heard it all, after the last alert".into(),
            ours: format!("{} s", behind.spread()),
            against: "–".into(),
            ratio: "–".into(),
            bar: "≤ 1 s".into(),
            verdict: Verdict::of(behind.median() <= 1.0),
        },
    ])
}

/// Has all batches taken in, in their time; returns the median of their answers' times in milliseconds.
fn storm(engine: &Engine) -> Result<f64> {
    let mut line = engine.line()?;
    let mut took = Figures::default();
    let began = Instant::now();
    for number in 0..BATCHES {
        let first = number * BATCH;
        let instances = (first..first + BATCH).map(|n| (n, alerts::instance("storm", n)));
        let request = load::post("/api/v2/alerts", &alerts::batch(alerts::NAME, instances));
        let due = EVERY * u32::try_from(number)?;
        thread::sleep(due.saturating_sub(began.elapsed()));
        let sent = Instant::now();
        line.send(&request)?;
        line.receive()?;
        took.add(sent.elapsed().as_secs_f64() * 1e3);
    }
    Ok(took.median())
}

/// The same while all listen; also how many seconds after the last alert the last of them has heard of
/// it.
fn storm_before_all(engine: &Engine) -> Result<(f64, f64)> {
    let readers = (0..READERS).map(|_| listen(engine.address)).collect::<Result<Vec<_>>>()?;
    let (told, done) = mpsc::channel();
    thread::scope(|scope| {
        let mut readers = readers;
        while !readers.is_empty() {
            let some = readers.split_off(readers.len().saturating_sub(READERS / THREADS));
            let told = told.clone();
            scope.spawn(move || drop(told.send(hear_all(some))));
        }
        let took = storm(engine)?;
        let last = alerts::batch(alerts::NAME, [(BATCH * BATCHES, LAST.to_owned())]);
        load::pour(engine.address, "/api/v2/alerts", 1, &[last])?;
        let began = Instant::now();
        for _ in 0..THREADS {
            done.recv_timeout(PATIENCE).context("not all was heard")??;
        }
        Ok((took, began.elapsed().as_secs_f64()))
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
