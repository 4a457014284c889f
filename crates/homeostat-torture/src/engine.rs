//! The engine: the real program, in a process of its own, on one directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use homeostat::demo::stack::{self, Process, Sandbox, Signal};
use homeostat::web::api::view::{IncidentList, IncidentView};
use reqwest::Client;

use crate::plan::{Strike, Victim};

/// How long a start, or an end, may take on a machine with other work.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often a starting engine is asked.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Where it lives, and how it is started.
#[derive(Debug, Clone)]
pub struct Home {
    /// The program.
    pub program: PathBuf,
    /// Its directory.
    pub directory: PathBuf,
    /// Its address, the same after each start.
    pub address: SocketAddr,
    /// Who asks it.
    pub client: Client,
}

/// An engine that was started.
#[derive(Debug)]
pub struct Engine {
    process: Process,
}

/// What became of a start.
#[derive(Debug)]
pub enum Started {
    /// It is ready.
    Ready(Engine),
    /// It struck itself before it was ready.
    Struck,
}

impl Home {
    /// Makes a home in a directory, for engines with this configuration.
    ///
    /// # Errors
    ///
    /// There is no free port, or the configuration cannot be written.
    pub fn new(program: &Path, directory: &Path, configuration: &str) -> Result<Self> {
        std::fs::write(directory.join("homeostat.yml"), configuration)?;
        let address = stack::free_address()?;
        let client = stack::client();
        Ok(Self { program: program.to_owned(), directory: directory.to_owned(), address, client })
    }

    /// Starts an engine that strikes itself as the strike says.
    ///
    /// # Errors
    ///
    /// It ended in another way, or is not ready in time.
    pub async fn start(&self, strike: Option<&Strike>) -> Result<Started> {
        let mut command = Command::new(&self.program);
        command
            .arg("serve")
            .arg(format!("--config.file={}", self.directory.join("homeostat.yml").display()))
            .arg(format!("--storage.path={}", self.directory.join("data").display()))
            .arg(format!("--web.listen-address={}", self.address))
            .arg("--log.level=warn");
        if let Some(points) = strike.and_then(Strike::failpoints) {
            command.env("FAILPOINTS", points);
        }
        let process = Process::spawn("engine", &mut command, &self.directory)?;
        let mut engine = Engine { process };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.client.get(self.url("/-/ready")).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(Started::Ready(engine));
            }
            if let Some(status) = engine.process.exit_status() {
                let struck = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
                if struck && strike.is_some() {
                    return Ok(Started::Struck);
                }
                bail!("the engine ended ({status}):\n{}", engine.process.log_tail());
            }
            if Instant::now() > deadline {
                bail!("the engine is not ready:\n{}", engine.process.log_tail());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All incidents, by all pages.
    ///
    /// # Errors
    ///
    /// The engine does not answer.
    pub async fn incidents(&self) -> Result<Vec<IncidentView>> {
        let mut incidents = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let url = self.url(&format!("/api/v1/incidents?limit=500&fields=all{page}"));
            let answer = self.client.get(url).send().await?.error_for_status()?;
            let list: IncidentList = answer.json().await.context("a page of incidents")?;
            incidents.extend(list.incidents);
            cursor = list.next_cursor;
            if cursor.is_none() {
                return Ok(incidents);
            }
        }
    }
}

impl Engine {
    /// Tells whether it has ended by itself.
    pub fn is_over(&mut self) -> bool {
        self.process.exit_status().is_some()
    }

    /// Ends it as the kernel would, with what else is to be struck, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// It does not end.
    pub fn strike(&mut self, victim: Victim, sandbox: &Sandbox) -> Result<()> {
        let others = match victim {
            Victim::Engine => Vec::new(),
            Victim::All => sandbox.leftovers(),
        };
        self.process.signal(Signal::KILL)?;
        let own = self.process.pid();
        for pid in others.into_iter().filter(|pid| *pid != own) {
            kill(pid);
        }
        let deadline = Instant::now() + PATIENCE;
        while self.process.exit_status().is_none() {
            if Instant::now() > deadline {
                bail!("the engine does not end");
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        self.process.log_tail()
    }
}

/// Kills a process that names our directory. It may be gone already.
fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}
