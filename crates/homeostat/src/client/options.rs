//! How a server is talked to, as plain data.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::oauth2::Tokens;

/// A password or token, or the file that holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The secret itself.
    Text(String),
    /// A file whose content, without white space around it, is the secret. Read for each request.
    File(PathBuf),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(<secret>)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// User name and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicAuth {
    /// The user name.
    pub username: String,
    /// The password; none is sent as an empty one.
    pub password: Option<Secret>,
}

/// An `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Its first word, usually `Bearer`.
    pub scheme: String,
    /// The rest.
    pub credentials: Secret,
}

/// What is special about TLS with a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates (PEM) of those who may vouch for the server; else those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our certificate (PEM).
    pub cert_file: Option<PathBuf>,
    /// The key of our certificate (PEM).
    pub key_file: Option<PathBuf>,
    /// The host name that the server's certificate is for, where it differs from the URL's.
    pub server_name: Option<String>,
    /// Whether any certificate will do.
    pub insecure_skip_verify: bool,
}

/// A proxy through which a server is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyOptions {
    /// Where it is: `http://`, `https://` or `socks5://`, with its own credentials if it wants any.
    pub url: String,
    /// Hosts that are reached without it, with commas between them.
    pub except: Option<String>,
}

impl fmt::Debug for ProxyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyOptions").field("except", &self.except).finish_non_exhaustive()
    }
}

/// A header that goes with every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHeader {
    /// Its name.
    pub name: String,
    /// Values that anybody may see; the header is sent once for each.
    pub values: Vec<String>,
    /// Values that nobody may see.
    pub secrets: Vec<Secret>,
}

/// How to speak with a server: the part of Prometheus' `http_config` that we know.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// User name and password.
    pub basic_auth: Option<BasicAuth>,
    /// An `Authorization` header; wins over `basic_auth`.
    pub authorization: Option<Authorization>,
    /// Where tokens come from; wins over both.
    pub tokens: Option<Arc<Tokens>>,
    /// What is special about TLS.
    pub tls: TlsOptions,
    /// Through whom it is reached.
    pub proxy: Option<ProxyOptions>,
    /// Headers of every request.
    pub headers: Vec<ExtraHeader>,
    /// Query parameters of every question; a deed has its own URL.
    pub params: Vec<(String, String)>,
    /// Whether each request has a connection of its own.
    pub single_use: bool,
    /// The socket of this machine by which it is reached, whatever its URL says.
    pub socket: Option<PathBuf>,
    /// How long a question may take, its answer read, if not as long as usual.
    pub timeout: Option<Duration>,
}
