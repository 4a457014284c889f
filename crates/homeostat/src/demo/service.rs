//! The web service that breaks: one instance is one process of this program.
//!
//! ```text
//!  demo-service serve a …         an instance; reads its files at each request:
//!      SANDBOX/a/data             must be there, or it answers 500
//!      SANDBOX/a/cache            may be missing; if it is there and corrupt, it answers 500
//!  demo-service restart a …       remedy: asks the supervisor for a new process (a systemctl)
//!  demo-service clear-cache a …   remedy: deletes SANDBOX/a/cache
//! ```
//!
//! Its faults are real and so are its remedies: nothing here pretends. What a new process does not
//! mend (a corrupt cache) and what nothing mends (lost data) follows from the files.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::stack;

const DATA: &str = "data";
const CACHE: &str = "cache";
const SOUND_CACHE: &str = "the most wanted pages\n";

/// One of the three instances of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instance {
    /// Crashes, and is healed by the first remedy.
    A,
    /// Has a corrupt cache, and is healed by the second.
    B,
    /// Loses its data, and is healed by nothing.
    C,
}

impl Instance {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    /// The value of its `instance` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::C => "c",
        }
    }

    /// Reads a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|instance| instance.name() == name)
    }

    /// The directory of its files.
    fn home(self, sandbox: &Path) -> PathBuf {
        sandbox.join(self.name())
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What `homeostat demo-service …` was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceCommand {
    /// Be an instance, until standard input closes.
    Serve {
        /// Which one.
        instance: Instance,
        /// The directory that the homes of the instances lie in.
        sandbox: PathBuf,
        /// Where to listen.
        listen: SocketAddr,
    },
    /// Ask the supervisor to start an instance again.
    Restart {
        /// Which one.
        instance: Instance,
        /// Where the supervisor listens.
        supervisor: SocketAddr,
    },
    /// Delete the cache of an instance.
    ClearCache {
        /// Which one.
        instance: Instance,
        /// The directory that the homes of the instances lie in.
        sandbox: PathBuf,
    },
}

/// Why a command of the service failed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The arguments make no command.
    #[error(
        "usage: demo-service serve NAME SANDBOX ADDRESS | restart NAME ADDRESS \
         | clear-cache NAME SANDBOX"
    )]
    Usage,
    /// A file or a socket failed.
    #[error("instance {instance}")]
    Io {
        /// Which one.
        instance: Instance,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The supervisor could not be asked.
    #[error("asking the supervisor to restart {instance}")]
    Supervisor {
        /// Which one.
        instance: Instance,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
}

impl ServiceCommand {
    /// Reads what follows `demo-service` on the command line.
    pub fn parse(arguments: &[String]) -> Result<Self, ServiceError> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let [verb, name, ref rest @ ..] = arguments[..] else { return Err(ServiceError::Usage) };
        let instance = Instance::from_name(name).ok_or(ServiceError::Usage)?;
        let address = |text: &str| text.parse().map_err(|_| ServiceError::Usage);
        match (verb, rest) {
            ("serve", [sandbox, listen]) => {
                let listen = address(listen)?;
                Ok(Self::Serve { instance, sandbox: PathBuf::from(sandbox), listen })
            }
            ("restart", [supervisor]) => {
                Ok(Self::Restart { instance, supervisor: address(supervisor)? })
            }
            ("clear-cache", [sandbox]) => {
                Ok(Self::ClearCache { instance, sandbox: PathBuf::from(sandbox) })
            }
            _ => Err(ServiceError::Usage),
        }
    }

    /// The command line that [`parse`](Self::parse) reads, with `name` in the place of the
    /// instance: the place for a template.
    pub(super) fn arguments(&self, name: &str) -> Vec<String> {
        let (verb, rest) = match self {
            Self::Serve { sandbox, listen, .. } => {
                ("serve", vec![sandbox.display().to_string(), listen.to_string()])
            }
            Self::Restart { supervisor, .. } => ("restart", vec![supervisor.to_string()]),
            Self::ClearCache { sandbox, .. } => {
                ("clear-cache", vec![sandbox.display().to_string()])
            }
        };
        let head = ["demo-service", verb, name].map(str::to_owned);
        head.into_iter().chain(rest).collect()
    }
}

/// Does what `homeostat demo-service …` was asked to.
///
/// # Errors
///
/// The remedies fail with a reason, which the engine then records.
pub async fn run(command: ServiceCommand) -> Result<(), ServiceError> {
    match command {
        ServiceCommand::Serve { instance, sandbox, listen } => {
            let io = |source| ServiceError::Io { instance, source };
            serve(instance.home(&sandbox), listen).await.map_err(io)
        }
        ServiceCommand::Restart { instance, supervisor } => {
            let asking = |source| ServiceError::Supervisor { instance, source };
            let url = format!("http://{supervisor}/restart/{instance}");
            let answer = stack::client().post(url).send().await.map_err(asking)?;
            let said = answer.error_for_status().map_err(asking)?.text().await.map_err(asking)?;
            say(&said);
            Ok(())
        }
        ServiceCommand::ClearCache { instance, sandbox } => {
            let io = |source| ServiceError::Io { instance, source };
            let cleared = clear_cache(&instance.home(&sandbox)).map_err(io)?;
            say(if cleared { "the cache is cleared" } else { "there was no cache to clear" });
            Ok(())
        }
    }
}

/// Writes a line for whoever reads the order's output; a reader that is gone does not matter.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

async fn serve(home: PathBuf, listen: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let router = Router::new()
        .route("/", get(answer))
        .route("/healthz", get(answer))
        .route("/metrics", get(answer))
        .with_state(home);
    tokio::select! {
        ended = async { axum::serve(listener, router).await } => ended,
        never = parent_gone() => match never {},
    }
}

/// Ends the process when its standard input closes: nobody is there to end it otherwise.
async fn parent_gone() -> Infallible {
    let (gone, wait) = oneshot::channel::<()>();
    // A thread of its own, not one of the runtime's: a blocking read would keep the runtime from
    // shutting down.
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(gone);
    });
    let _ = wait.await;
    std::process::exit(0)
}

/// One answer for everything: a page, a health check and a scrape all need the same files.
async fn answer(State(home): State<PathBuf>) -> (StatusCode, String) {
    match diagnose(&home) {
        None => (StatusCode::OK, "demo_service_info 1\n".to_owned()),
        Some(illness) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{illness}\n")),
    }
}

/// Why an instance cannot answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Illness {
    CacheCorrupt,
    DataLost,
}

impl fmt::Display for Illness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CacheCorrupt => "the cache is corrupt",
            Self::DataLost => "the data is lost",
        })
    }
}

fn diagnose(home: &Path) -> Option<Illness> {
    if !home.join(DATA).is_file() {
        return Some(Illness::DataLost);
    }
    let corrupt = fs::read_to_string(home.join(CACHE)).is_ok_and(|cache| cache != SOUND_CACHE);
    corrupt.then_some(Illness::CacheCorrupt)
}

/// Makes the files of a sound instance.
pub(super) fn furnish(instance: Instance, sandbox: &Path) -> io::Result<()> {
    let home = instance.home(sandbox);
    fs::create_dir_all(&home)?;
    fs::write(home.join(DATA), "all pages\n")?;
    fs::write(home.join(CACHE), SOUND_CACHE)
}

/// Makes the cache of an instance unreadable to it.
pub(super) fn corrupt_cache(instance: Instance, sandbox: &Path) -> io::Result<()> {
    fs::write(instance.home(sandbox).join(CACHE), "\u{fffd}\u{fffd}\u{fffd}\n")
}

/// Deletes what an instance cannot do without.
pub(super) fn lose_data(instance: Instance, sandbox: &Path) -> io::Result<()> {
    fs::remove_file(instance.home(sandbox).join(DATA))
}

fn clear_cache(home: &Path) -> io::Result<bool> {
    match fs::remove_file(home.join(CACHE)) {
        Ok(()) => Ok(true),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corrupt_cache_is_healed_by_clearing_it_and_lost_data_by_nothing() {
        let sandbox = tempfile::tempdir().unwrap();
        let home = Instance::B.home(sandbox.path());
        furnish(Instance::B, sandbox.path()).unwrap();
        assert_eq!(diagnose(&home), None);
        corrupt_cache(Instance::B, sandbox.path()).unwrap();
        assert_eq!(diagnose(&home), Some(Illness::CacheCorrupt));
        assert!(clear_cache(&home).unwrap());
        assert_eq!(diagnose(&home), None);
        lose_data(Instance::B, sandbox.path()).unwrap();
        assert!(!clear_cache(&home).unwrap());
        assert_eq!(diagnose(&home), Some(Illness::DataLost));
    }

    #[test]
    fn a_command_line_is_read_as_it_is_written() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let (instance, sandbox) = (Instance::C, PathBuf::from("/tmp/x"));
        for command in [
            ServiceCommand::Serve { instance, sandbox: sandbox.clone(), listen: address },
            ServiceCommand::Restart { instance, supervisor: address },
            ServiceCommand::ClearCache { instance, sandbox },
        ] {
            let line = command.arguments("c");
            assert_eq!(line[0], "demo-service");
            assert_eq!(ServiceCommand::parse(&line[1..]).unwrap(), command);
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for line in [
            "",
            "restart",
            "restart d 127.0.0.1:1",
            "restart ../a 127.0.0.1:1",
            "restart a nowhere",
            "serve a",
        ] {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert!(ServiceCommand::parse(&words).is_err(), "{line}");
        }
    }
}
