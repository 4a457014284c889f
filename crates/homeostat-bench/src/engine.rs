//! An engine in a process of its own, built as it is released.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use homeostat::demo::stack::{self, Process};
use rusqlite::{Connection, OpenFlags};

use crate::bench::Bench;
use crate::ending::Watched;
use crate::load::Line;
use crate::machine;

/// How long an engine may take until it is ready: replaying a long journal takes seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often a starting engine is asked: often enough to tell milliseconds.
const LOOK_EVERY: Duration = Duration::from_micros(250);

/// How often a metric is looked at that is waited for: an answer takes the engine time, too.
const SCRAPE_EVERY: Duration = Duration::from_millis(25);

/// A configuration under which every alert runs a program at once, and no guard holds it.
pub(crate) fn acting_on_all(program: &Path) -> String {
    format!(
        r#"
limits: {{ concurrency: 64, rate: {{ max: 1000000, per: 1s }} }}
policies:
  - name: bench
    matchers: ['alertname="ServiceDown"']
    target: [instance]
    mode: auto
    escalate: none
    guard: {{ cooldown: 0s, rate: {{ max: 1000000, per: 1s }}, concurrency: 64 }}
    remedies:
      - name: act
        exec: ["{}"]
"#,
        program.display()
    )
}

/// An engine that runs.
#[derive(Debug)]
pub(crate) struct Engine {
    // Before the process, so that only one that is not yet reaped is ended by its number.
    _watched: Watched,
    process: Process,
    pub(crate) address: SocketAddr,
    data: PathBuf,
}

impl Engine {
    /// Starts one on an empty directory; it observes everything where no configuration is given.
    pub(crate) fn start(bench: &Bench, config: Option<&str>) -> Result<Self> {
        let directory = bench.directory()?;
        let (engine, _) = Self::start_in(bench, &directory, config)?;
        Ok(engine)
    }

    /// Starts one in this directory, and returns the seconds from its spawn until it was ready.
    pub(crate) fn start_in(
        bench: &Bench,
        directory: &Path,
        config: Option<&str>,
    ) -> Result<(Self, f64)> {
        let began = Instant::now();
        let mut engine = Self::spawn(bench, directory, config, None)?;
        engine.ready()?;
        Ok((engine, began.elapsed().as_secs_f64()))
    }

    /// Starts one on a directory, that is served as a web configuration in it says. Who talks to it
    /// waits until it is ready.
    pub(crate) fn start_served(
        bench: &Bench,
        directory: &Path,
        config: &str,
        web: &str,
    ) -> Result<Self> {
        let mut engine = Self::spawn(bench, directory, Some(config), Some(web))?;
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(engine.address).is_err() {
            engine.must_start(deadline)?;
        }
        Ok(engine)
    }

    fn spawn(
        bench: &Bench,
        directory: &Path,
        config: Option<&str>,
        web: Option<&str>,
    ) -> Result<Self> {
        let address = stack::free_address()?;
        let data = directory.join("data");
        let mut command = Command::new(&bench.engine);
        command
            .arg("serve")
            .arg(format!("--web.listen-address={address}"))
            .arg(format!("--storage.path={}", data.display()));
        let files = [("config", "homeostat.yml", config), ("web.config", "web.yml", web)];
        for (flag, name, text) in files {
            let Some(text) = text else { continue };
            let file = directory.join(name);
            std::fs::write(&file, text)?;
            command.arg(format!("--{flag}.file={}", file.display()));
        }
        let (watched, process) =
            Watched::spawn(|| Ok(Process::spawn("homeostat", &mut command, directory)?))?;
        Ok(Self { _watched: watched, process, address, data })
    }

    fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if Line::open(self.address).and_then(|mut line| line.get("/-/ready")).is_ok() {
                return Ok(());
            }
            self.must_start(deadline)?;
        }
    }

    fn must_start(&mut self, deadline: Instant) -> Result<()> {
        self.process.must_run()?;
        if Instant::now() > deadline {
            bail!("the engine is not ready; the end of its log:\n{}", self.process.log_tail());
        }
        std::thread::sleep(LOOK_EVERY);
        Ok(())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn line(&self) -> Result<Line> {
        Line::open(self.address)
    }

    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        machine::cpu_seconds(self.process.pid())
    }

    pub(crate) fn resident_megabytes(&self) -> Result<f64> {
        machine::resident_megabytes(self.process.pid())
    }

    /// Its journal, for reading.
    pub(crate) fn journal(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(Connection::open_with_flags(self.data.join("homeostat.db"), flags)?)
    }

    /// The sum of all lines of a metric.
    pub(crate) fn metric(line: &mut Line, name: &str) -> Result<f64> {
        let text = line.get("/metrics")?;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            if !rest.starts_with(['{', ' ']) {
                return None;
            }
            rest.rsplit_once(' ')?.1.parse::<f64>().ok()
        });
        Ok(values.sum())
    }

    /// Waits until a metric has reached a value.
    pub(crate) fn wait_for(&self, metric: &str, value: f64) -> Result<()> {
        let mut line = self.line()?;
        let deadline = Instant::now() + PATIENCE;
        while Self::metric(&mut line, metric)? < value {
            if Instant::now() > deadline {
                let log = self.process.log_tail();
                bail!("{metric} does not reach {value}; the end of the log:\n{log}");
            }
            std::thread::sleep(SCRAPE_EVERY);
        }
        Ok(())
    }

    /// Stops it in order, so that it leaves behind what a stopped engine leaves.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.process.end();
        self.process.exit_status().context("the engine does not end")?;
        Ok(())
    }
}
