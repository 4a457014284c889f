//! A real Prometheus and a real Alertmanager on this machine, for the demo and acceptance tests.
//!
//! ```text
//!  Sandbox ── one directory: configuration, data and logs of everything that is started in it
//!    ├── Process        one child, ended by its pid when it is dropped
//!    ├── Alertmanager   configured by a builder, ready when `start` returns
//!    └── Prometheus     likewise
//! ```
//!
//! Everything listens on a free port of the loopback address and keeps its files in the sandbox.
//! The sandbox must be dropped after the processes: declare it as the first local variable, or as
//! the last field.
//!
//! Not its duty: to know anything of Homeostat. What the stack should watch and whom it should tell
//! is said by the caller.

mod alertmanager;
mod binaries;
mod process;
mod prometheus;
mod sandbox;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;

pub use alertmanager::{Alertmanager, AlertmanagerBuilder, Cluster, ListedAlert, Timings};
pub use binaries::{Binary, find};
pub use process::{Process, Signal};
pub use prometheus::{Prometheus, PrometheusBuilder, Rule, RuleAlert, Sample};
pub use sandbox::Sandbox;

/// How long a child may take until it answers. A loaded machine with a cold disk needs seconds.
pub const START_LIMIT: Duration = Duration::from_secs(30);

/// How long one answer of a child may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Why the stack could not be started, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A program that is needed is not on this machine.
    #[error(
        "{name} is not installed: no {tried} on the PATH\n\
         help: `make deps` installs it from the distribution's packages; \
         or name the program with {variable}=/path/to/it"
    )]
    Missing {
        /// What the program is called in prose.
        name: &'static str,
        /// The file names that were looked for.
        tried: String,
        /// The environment variable that names the program.
        variable: &'static str,
    },
    /// What was named is not a program.
    #[error("{variable}={} is not a program that can be run", named.display())]
    NotAProgram {
        /// The environment variable that names it.
        variable: &'static str,
        /// What it names.
        named: PathBuf,
    },
    /// A program is there and could not be started.
    #[error("starting {name}")]
    Spawn {
        /// Which child.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A child ended although it should run.
    #[error("{name} ended by itself ({status}); the end of its log:\n{log}")]
    Ended {
        /// Which child.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        log: String,
    },
    /// A child runs and does not answer.
    #[error("{name} was not ready after {} seconds; the end of its log:\n{log}", waited.as_secs())]
    NotReady {
        /// Which child.
        name: String,
        /// How long it was given.
        waited: Duration,
        /// The last lines that it wrote.
        log: String,
    },
    /// A request failed, or its answer could not be read.
    #[error("asking {url}")]
    Asking {
        /// What was asked.
        url: String,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// A file of the sandbox could not be read or written.
    #[error("using {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No port of the loopback address could be had.
    #[error("finding a free port on 127.0.0.1")]
    NoPort(#[source] io::Error),
}

/// The ports that are tried: below those that the kernel gives to outgoing connections, one of
/// which could otherwise take the port of a service that is down for a moment.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// How many ports are tried before giving up.
const PORT_TRIES: u32 = 100;

/// Finds a port of the loopback address that nobody listens on, and that nobody else is given
/// while this process lives.
///
/// Whoever is given it starts to listen later, perhaps after a restart; until then only the claim
/// keeps others away, in this process and beside it.
pub fn free_address() -> Result<SocketAddr, StackError> {
    let mut refused = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..PORT_TRIES {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, random_port()));
        match claim(address.port()).and_then(|()| TcpListener::bind(address)) {
            Ok(_) => return Ok(address),
            Err(error) => refused = error,
        }
    }
    Err(StackError::NoPort(refused))
}

/// Claims a port by a name that the kernel gives to one process at a time, and frees with it.
fn claim(port: u16) -> io::Result<()> {
    static CLAIMS: Mutex<Vec<UnixDatagram>> = Mutex::new(Vec::new());
    let name = UnixAddress::from_abstract_name(format!("homeostat-stack-{port}"))?;
    let claim = UnixDatagram::bind_addr(&name)?;
    CLAIMS.lock().unwrap_or_else(PoisonError::into_inner).push(claim);
    Ok(())
}

/// Any of [`PORTS`].
fn random_port() -> u16 {
    let span = u64::from(PORTS.end - PORTS.start);
    let offset = RandomState::new().hash_one(std::process::id()) % span;
    PORTS.start + u16::try_from(offset).expect("the span of the ports fits into a port")
}

/// A client for the loopback address: no proxy, no redirect, bounded in time.
pub fn client() -> Client {
    // The client is built without a TLS provider of its own; an error says that one is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ANSWER_LIMIT)
        .build()
        .expect("a client without proxy and TLS settings can always be built")
}

/// Sends a GET and reads its JSON; an answer that is not a success is an error.
pub(crate) async fn get_json<T: serde::de::DeserializeOwned>(
    client: &Client,
    url: &str,
) -> Result<T, StackError> {
    let asking = |source| StackError::Asking { url: url.to_owned(), source };
    let answer = client.get(url).send().await.map_err(asking)?;
    answer.error_for_status().map_err(asking)?.json().await.map_err(asking)
}

/// Reads an RFC 3339 time.
pub(crate) fn timestamp<'de, D>(deserializer: D) -> Result<jiff::Timestamp, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let text: String = serde::Deserialize::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// Quotes a text as a YAML flow scalar: JSON strings are YAML.
fn yaml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Writes a span as a Prometheus duration.
fn duration(span: Duration) -> String {
    format!("{}ms", span.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_was_given_is_nobody_elses_though_nobody_listens() {
        let given = free_address().unwrap();
        drop(TcpListener::bind(given).unwrap());
        assert_eq!(claim(given.port()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
