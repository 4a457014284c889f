//! The peers: programs that do what we do, or less of it, and small programs of our own.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use homeostat::demo::stack::{self, Process};

use crate::bench::Bench;
use crate::ending::Watched;
use crate::machine;

/// How long a peer may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// A peer that runs.
#[derive(Debug)]
pub(crate) struct Peer {
    _watched: Watched,
    process: Process,
    address: SocketAddr,
}

impl Peer {
    /// Go's `net/http`, answering and logging, and nothing else.
    pub(crate) fn handler(bench: &Bench) -> Result<Self> {
        let program = bench.peers.join("handler");
        compile(Command::new("go").args(["build", "-o"]).arg(&program), bench, "handler.go")
            .context("Go is Debian's package golang-go")?;
        Self::start(bench, "handler", |address| {
            let mut command = Command::new(&program);
            command.arg(address.to_string());
            command
        })
    }

    /// Debian's `webhook`, which runs `/bin/true` for each alert and remembers nothing.
    pub(crate) fn webhook(bench: &Bench) -> Result<Self> {
        Self::start(bench, "webhook", |address| {
            let mut command = Command::new("webhook");
            command.arg("-hooks").arg(bench.source("hooks.json"));
            command.args(["-ip", &address.ip().to_string(), "-port", &address.port().to_string()]);
            command
        })
        .context("webhook is Debian's package webhook")
    }

    fn start(bench: &Bench, name: &str, run: impl Fn(SocketAddr) -> Command) -> Result<Self> {
        let directory = bench.directory()?;
        let address = stack::free_address()?;
        let (watched, mut process) =
            Watched::spawn(|| Ok(Process::spawn(name, &mut run(address), &directory)?))?;
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            process.must_run()?;
            ensure!(Instant::now() < deadline, "{name} does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { _watched: watched, process, address })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        machine::cpu_seconds(self.process.pid())
    }
}

/// The program that says when its first instruction ran.
pub(crate) fn instant(bench: &Bench) -> Result<PathBuf> {
    let program = bench.peers.join("instant");
    let mut command = Command::new("cc");
    compile(command.args(["-O2", "-static", "-o"]).arg(&program), bench, "instant.c")?;
    Ok(program)
}

fn compile(command: &mut Command, bench: &Bench, source: &str) -> Result<()> {
    let compiler = command.get_program().to_string_lossy().into_owned();
    let output = command.arg(bench.source(source)).output();
    let output = output.with_context(|| format!("{compiler} could not be run"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{compiler} could not compile {source}: {errors}");
    Ok(())
}
