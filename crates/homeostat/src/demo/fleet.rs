//! The three instances of the service and their supervisor.
//!
//! The supervisor is what systemd would be elsewhere: it owns the processes, starts one again when
//! a remedy asks for it, and never on its own.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::post;
use parking_lot::Mutex;
use reqwest::Client;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::service::{self, Instance, ServiceCommand};
use super::stack::{self, Process, Signal, StackError};

/// How long an instance may take until it listens.
const LISTEN_LIMIT: Duration = Duration::from_secs(10);

/// What can be done to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Crash,
    CorruptCache,
    LoseData,
}

/// What an instance answers to a health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Sound,
    /// With its own words, or with why it has none.
    Ill(String),
}

/// The instances. Dropping it ends them.
pub(super) struct Fleet {
    yard: Arc<Yard>,
    supervisor: SocketAddr,
    task: JoinHandle<()>,
}

/// What the supervisor's handler needs.
struct Yard {
    program: PathBuf,
    sandbox: PathBuf,
    addresses: BTreeMap<Instance, SocketAddr>,
    processes: Mutex<BTreeMap<Instance, Process>>,
    client: Client,
}

impl Fleet {
    /// Starts the instances, all sound, and the supervisor.
    pub(super) async fn start(program: &Path, sandbox: &Path) -> Result<Self, StackError> {
        let mut addresses = BTreeMap::new();
        for instance in Instance::ALL {
            let furnished = service::furnish(instance, sandbox);
            furnished.map_err(|source| file(sandbox, source))?;
            addresses.insert(instance, stack::free_address()?);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(StackError::NoPort)?;
        let supervisor = listener.local_addr().map_err(StackError::NoPort)?;
        let yard = Arc::new(Yard {
            program: program.to_owned(),
            sandbox: sandbox.to_owned(),
            addresses,
            processes: Mutex::default(),
            client: stack::client(),
        });
        let router =
            Router::new().route("/restart/{name}", post(restart)).with_state(Arc::clone(&yard));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        let fleet = Self { yard, supervisor, task };
        for instance in Instance::ALL {
            fleet.yard.start(instance).await?;
        }
        Ok(fleet)
    }

    /// Where each instance listens.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (Instance, SocketAddr)> {
        self.yard.addresses.iter().map(|(instance, address)| (*instance, *address))
    }

    /// Where remedies ask for a restart.
    pub(super) const fn supervisor(&self) -> SocketAddr {
        self.supervisor
    }

    /// Breaks an instance.
    pub(super) fn inflict(&self, instance: Instance, fault: Fault) -> Result<(), StackError> {
        let sandbox = &self.yard.sandbox;
        let done = match fault {
            Fault::Crash => self.yard.crash(instance),
            Fault::CorruptCache => service::corrupt_cache(instance, sandbox),
            Fault::LoseData => service::lose_data(instance, sandbox),
        };
        done.map_err(|source| file(sandbox, source))
    }

    /// Asks an instance how it is.
    pub(super) async fn health(&self, instance: Instance) -> Health {
        let url = format!("http://{}/healthz", self.yard.addresses[&instance]);
        match self.yard.client.get(url).send().await {
            Ok(answer) if answer.status().is_success() => Health::Sound,
            Ok(answer) => {
                let status = answer.status().as_u16();
                let said = answer.text().await.unwrap_or_default();
                Health::Ill(format!("it answers {status}: {}", said.trim()))
            }
            Err(error) if error.is_timeout() => Health::Ill("it does not answer".to_owned()),
            Err(_) => Health::Ill("its port is closed".to_owned()),
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.task.abort();
        self.yard.processes.lock().clear();
    }
}

impl Yard {
    async fn start(&self, instance: Instance) -> Result<u32, StackError> {
        let listen = self.addresses[&instance];
        let serve = ServiceCommand::Serve { instance, sandbox: self.sandbox.clone(), listen };
        let mut command = Command::new(&self.program);
        command.args(serve.arguments(instance.name()));
        let process = Process::spawn(&format!("web-{instance}"), &mut command, &self.sandbox)?;
        let pid = process.pid();
        self.processes.lock().insert(instance, process);
        let began = Instant::now();
        while TcpStream::connect(listen).await.is_err() {
            self.must_begin(instance, began)?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(pid)
    }

    /// Says an error once an instance that began then has ended, or had its time.
    fn must_begin(&self, instance: Instance, began: Instant) -> Result<(), StackError> {
        let mut processes = self.processes.lock();
        let Some(process) = processes.get_mut(&instance) else { return Ok(()) };
        process.must_run()?;
        if began.elapsed() <= LISTEN_LIMIT {
            return Ok(());
        }
        let (name, log) = (process.name().to_owned(), process.log_tail());
        Err(StackError::NotReady { name, waited: LISTEN_LIMIT, log })
    }

    fn crash(&self, instance: Instance) -> io::Result<()> {
        match self.processes.lock().get_mut(&instance) {
            Some(process) => process.signal(Signal::KILL),
            None => Ok(()),
        }
    }

    fn stop(&self, instance: Instance) {
        drop(self.processes.lock().remove(&instance));
    }
}

async fn restart(
    State(yard): State<Arc<Yard>>,
    UrlPath(name): UrlPath<String>,
) -> (StatusCode, String) {
    let Some(instance) = Instance::from_name(&name) else {
        return (StatusCode::NOT_FOUND, "no such instance\n".to_owned());
    };
    yard.stop(instance);
    match yard.start(instance).await {
        Ok(pid) => (StatusCode::OK, format!("{instance} runs again as process {pid}")),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn file(path: &Path, source: io::Error) -> StackError {
    StackError::File { path: path.to_owned(), source }
}
