//! Who posts: wrk for one body over and over, a client of our own for bodies that differ.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bench::Bench;

/// How long an answer may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What wrk saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) requests: usize,
    pub(crate) seconds: f64,
}

/// Posts one body over and over with wrk: one thread, sixteen connections.
pub(crate) fn wrk(bench: &Bench, url: &str, body: &Path, seconds: u32) -> Result<Seen> {
    wrk_as(bench, url, body, seconds, None)
}

/// The same, by somebody who says who they are.
pub(crate) fn wrk_as(
    bench: &Bench,
    url: &str,
    body: &Path,
    seconds: u32,
    authorization: Option<&str>,
) -> Result<Seen> {
    let output = Command::new("wrk")
        .args(["-t1", "-c16", &format!("-d{seconds}s"), "-s"])
        .arg(bench.source("post.lua"))
        .arg(url)
        .env("BENCH_BODY", body)
        .envs(authorization.map(|shown| ("BENCH_AUTHORIZATION", shown)))
        .output()
        .context("wrk could not be run; it is Debian's package wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("bench "));
    let line = line.with_context(|| format!("wrk said nothing: {text}"))?;
    let numbers: Vec<usize> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [requests, microseconds, errors] = numbers[..] else { bail!("wrk said {line:?}") };
    ensure!(errors == 0, "{errors} of {requests} requests to {url} failed");
    let seconds = Duration::from_micros(microseconds as u64).as_secs_f64();
    Ok(Seen { requests, seconds })
}

/// A POST, ready to be written.
pub(crate) fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// Posts each of these once, over so many connections at once; returns the seconds that it took.
pub(crate) fn pour(
    address: SocketAddr,
    path: &str,
    connections: usize,
    bodies: &[Vec<u8>],
) -> Result<f64> {
    let requests: Rc<[Vec<u8>]> = bodies.iter().map(|body| post(path, body)).collect();
    let next = Rc::new(Cell::new(0));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let began = Instant::now();
        let mut lanes = tokio::task::JoinSet::new();
        for _ in 0..connections {
            lanes.spawn_local(lane(address, requests.clone(), next.clone()));
        }
        while let Some(ended) = lanes.join_next().await {
            ended??;
        }
        Ok(began.elapsed().as_secs_f64())
    })
}

/// One connection, which takes the next request as long as there is one.
async fn lane(address: SocketAddr, requests: Rc<[Vec<u8>]>, next: Rc<Cell<usize>>) -> Result<()> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut answer = Vec::with_capacity(1024);
    while let Some(request) = requests.get(next.replace(next.get() + 1)) {
        stream.write_all(request).await?;
        answer.clear();
        while !is_complete(&answer)? {
            let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut answer)).await??;
            ensure!(read > 0, "the engine closed the connection");
        }
    }
    Ok(())
}

/// A connection for one request after the other.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
}

impl Line {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(request)?)
    }

    /// Reads an answer, which must be a success, and returns its body.
    pub(crate) fn receive(&mut self) -> Result<String> {
        let mut answer = Vec::new();
        let mut piece = [0; 16 << 10];
        while !is_complete(&answer)? {
            let read = self.stream.read(&mut piece)?;
            ensure!(read > 0, "the connection was closed");
            answer.extend_from_slice(&piece[..read]);
        }
        let text = String::from_utf8(answer)?;
        Ok(text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    /// Gets a page.
    pub(crate) fn get(&mut self, path: &str) -> Result<String> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
        self.receive()
    }
}

/// Whether an answer has arrived in full; an error if it is no success.
fn is_complete(answer: &[u8]) -> Result<bool> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    ensure!(head.starts_with("HTTP/1.1 200"), "the answer was {head}");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(answer.len() >= end + 4 + length.unwrap_or(0))
}
