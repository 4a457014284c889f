//! Talks to a running Homeostat, or to an Alertmanager, over HTTP.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder, Identity, Method, StatusCode, Url};
use rustix::fs::{Access, access};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::plain::plain;
use crate::app::client_options;
use crate::client::{self, ClientError};
use homeostat_config::{self as config, Report};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The socket that is used where it is there, and nothing else is said.
const SOCKET: &str = "/run/homeostat/homeostat.sock";

/// Where a server is found that listens nowhere else.
const USUAL: &str = "http://127.0.0.1:9999";

/// The variable that names the server.
const URL: &str = "HOMEOSTAT_URL";

/// The variable that names the file with our token.
const TOKEN_FILE: &str = "HOMEOSTAT_TOKEN_FILE";

/// Where the server is, and how it lets us in. The files are named as in Prometheus' `http_config`.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Server {
    /// The server: a URL, or `unix:` and the path of a socket
    ///
    /// Without it, that of `HOMEOSTAT_URL`; else `/run/homeostat/homeostat.sock` where that may be used,
    /// else port 9999 of 127.0.0.1. A URL without a scheme is one of `http`.
    #[arg(long, value_name = "URL", value_parser = place)]
    pub(super) url: Option<Place>,

    /// Show the token in this file; without it, in that of `HOMEOSTAT_TOKEN_FILE`
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,

    /// Sign in as this user, with the password in --password-file
    #[arg(long, value_name = "NAME", requires = "password_file", conflicts_with = "token_file")]
    pub(super) username: Option<String>,

    /// The file that holds the password
    #[arg(long, value_name = "FILE", requires = "username")]
    pub(super) password_file: Option<PathBuf>,

    /// The certificates (PEM) of those who may vouch for the server; else those of the system
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,

    /// Show this certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub(super) cert_file: Option<PathBuf>,

    /// The key (PEM) of --cert-file
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub(super) key_file: Option<PathBuf>,

    /// How to talk to the server: a file as that of promtool and amtool, instead of the flags above
    ///
    /// It has what `http_config` has in Prometheus: `basic_auth`, `authorization`, `oauth2`,
    /// `tls_config`, `proxy_url`, `http_headers`.
    #[arg(
        long = "http.config.file",
        value_name = "FILE",
        conflicts_with_all = ["token_file", "username", "ca_file", "cert_file"]
    )]
    pub(super) http_config_file: Option<PathBuf>,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// At a URL.
    Url(Url),
    /// At a socket of this machine.
    Socket(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Reads where a server is.
pub(super) fn place(text: &str) -> Result<Place, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path);
        let expected = format!("expected the path of a socket as in unix:{SOCKET}");
        return if path.is_absolute() { Ok(Place::Socket(path)) } else { Err(expected) };
    }
    // `localhost:9999` would be a URL of the scheme `localhost`.
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url: Url = url.parse().map_err(|error| format!("{error}"))?;
    Ok(Place::Url(url))
}

/// What a variable of the environment says, where it says anything.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.trim().is_empty())
}

impl Server {
    /// Where it is: as it was said, or where it usually is. The socket, if we may come in there.
    pub(super) fn place(&self) -> Result<Place, Trouble> {
        if let Some(place) = &self.url {
            return Ok(place.clone());
        }
        if let Some(text) = variable(URL) {
            return place(&text)
                .map_err(|error| Trouble::new(format!("{URL} is {text:?}: {error}")));
        }
        Ok(if access(SOCKET, Access::WRITE_OK).is_ok() {
            Place::Socket(SOCKET.into())
        } else {
            Place::Url(USUAL.parse().expect("it is a URL"))
        })
    }

    /// How we are let in.
    fn credentials(&self) -> Result<Credentials, Trouble> {
        let by_environment = || variable(TOKEN_FILE).map(PathBuf::from);
        let token = self
            .token_file
            .clone()
            .or_else(|| self.username.is_none().then(by_environment).flatten());
        Ok(match (&token, &self.username, &self.password_file) {
            (Some(token), ..) => Credentials::Token(read_token(token)?),
            (None, Some(user), Some(file)) => {
                let password = read_file(file)?;
                let password = String::from_utf8_lossy(&password);
                Credentials::Password(user.clone(), password.trim_end_matches(['\r', '\n']).into())
            }
            (None, ..) => Credentials::None,
        })
    }

    /// Tells whom we trust, and who we are.
    fn secure(&self, mut http: ClientBuilder) -> Result<ClientBuilder, Trouble> {
        let wrong = |path: &Path, error: &reqwest::Error| {
            Trouble::new(format!("{} cannot be used: {}", path.display(), chain(error)))
        };
        if let Some(path) = &self.ca_file {
            let certificates = Certificate::from_pem_bundle(&read_file(path)?);
            http = http.tls_certs_only(certificates.map_err(|error| wrong(path, &error))?);
        }
        if let (Some(certificate), Some(key)) = (&self.cert_file, &self.key_file) {
            let mut pem = read_file(certificate)?;
            pem.push(b'\n');
            pem.extend(read_file(key)?);
            let identity = Identity::from_pem(&pem);
            http = http.identity(identity.map_err(|error| wrong(certificate, &error))?);
        }
        Ok(http)
    }
}

/// How we are let in.
enum Credentials {
    None,
    Token(String),
    Password(String, String),
}

/// Why a command cannot be done, and what to do about it.
#[derive(Debug)]
pub struct Trouble {
    error: String,
    help: Option<String>,
    /// What is wrong with a file, with places, instead of both.
    report: Option<Box<Report>>,
}

impl Trouble {
    /// Says what went wrong.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), help: None, report: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(report) = &self.report {
            return writeln!(f, "{report}");
        }
        writeln!(f, "error: {}", plain(&self.error))?;
        match &self.help {
            Some(help) => writeln!(f, "help: {help}"),
            None => Ok(()),
        }
    }
}

impl From<Report> for Trouble {
    fn from(report: Report) -> Self {
        Self { report: Some(Box::new(report)), ..Self::new("") }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::new(format!("cannot write: {error}"))
    }
}

/// A connection to one server.
pub(super) struct Client {
    way: Way,
    runtime: tokio::runtime::Runtime,
    base: Url,
    place: Place,
}

/// How it is talked to.
enum Way {
    /// By flags.
    Flags { http: reqwest::Client, credentials: Credentials },
    /// By a file, as an engine talks to its sources.
    File(Box<client::Client>),
}

impl Way {
    fn by_flags(server: &Server, place: &Place) -> Result<Self, Trouble> {
        let mut http = reqwest::Client::builder().timeout(PATIENCE).redirect(Policy::none());
        http = match place {
            // A proxy of the environment cannot mean this machine.
            Place::Url(url) if is_local(url) => http.no_proxy(),
            Place::Url(_) => http,
            Place::Socket(path) => http.no_proxy().unix_socket(path.as_path()),
        };
        let http = server.secure(http)?;
        let http = http
            .build()
            .map_err(|error| Trouble::new(format!("cannot start: {}", chain(&error))))?;
        Ok(Self::Flags { http, credentials: server.credentials()? })
    }

    fn by_file(file: &Path, base: &Url, place: &Place) -> Result<Self, Trouble> {
        let http = config::load_http(file)?;
        let of_file = |error: ClientError| Trouble::new(error.line());
        let mut options = client_options(&http).map_err(of_file)?;
        options.timeout = Some(PATIENCE);
        options.socket = match place {
            Place::Url(_) => None,
            Place::Socket(path) => Some(path.clone()),
        };
        let client = client::Client::new(base.as_str(), options).map_err(of_file)?;
        Ok(Self::File(Box::new(client)))
    }
}

impl Client {
    /// Makes ready to talk to a server. Nothing is sent yet.
    pub(super) fn new(server: &Server) -> Result<Self, Trouble> {
        // A second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Trouble::new(format!("cannot start: {error}")))?;
        let place = server.place()?;
        let base = match &place {
            Place::Url(url) => url.clone(),
            Place::Socket(_) => "http://localhost/".parse().expect("it is a URL"),
        };
        let way = match &server.http_config_file {
            Some(file) => Way::by_file(file, &base, &place)?,
            None => Way::by_flags(server, &place)?,
        };
        Ok(Self { way, runtime, base, place })
    }

    /// Gets JSON.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Trouble> {
        let text = self.ask(Method::GET, segments, query, None)?;
        serde_json::from_str(&text).map_err(|error| {
            Trouble::new(format!("{} gave an answer that cannot be read: {error}", self.place))
                .with_help("is --url that of a Homeostat of this version?")
        })
    }

    /// Gets what a page about the server itself says, and whether that is yes. Whoever says no is
    /// unavailable; any other answer is not one.
    pub(super) fn state(&self, segments: &[&str]) -> Result<(bool, String), Trouble> {
        match self.answer(Method::GET, segments, &[], None)? {
            (status, text) if status.is_success() => Ok((true, text)),
            (StatusCode::SERVICE_UNAVAILABLE, text) => Ok((false, text)),
            (status, text) => Err(self.refused(status, &text)),
        }
    }

    /// Posts JSON; the answer's body is not looked at.
    pub(super) fn post(&self, segments: &[&str], body: &Value) -> Result<(), Trouble> {
        self.ask(Method::POST, segments, &[], Some(body)).map(drop)
    }

    /// Posts a command and gives the answer's message, or why the server says no.
    pub(super) fn command(
        &self,
        segments: &[&str],
        body: &Value,
    ) -> Result<Result<String, String>, Trouble> {
        let text = |json: &str, field: &str| {
            let json: Option<Value> = serde_json::from_str(json).ok();
            json.and_then(|json| Some(json.get(field)?.as_str()?.to_owned())).unwrap_or_default()
        };
        match self.answer(Method::POST, segments, &[], Some(body))? {
            (status, body) if status.is_success() => Ok(Ok(text(&body, "message"))),
            (StatusCode::CONFLICT, body) => Ok(Err(text(&body, "error"))),
            (status, body) => Err(self.refused(status, &body)),
        }
    }

    /// Has the server read its configuration again; or says what is wrong with it.
    pub(super) fn reload(&self) -> Result<Result<(), String>, Trouble> {
        match self.answer(Method::POST, &["-", "reload"], &[], None)? {
            (status, _) if status.is_success() => Ok(Ok(())),
            (StatusCode::INTERNAL_SERVER_ERROR, problems) => Ok(Err(problems)),
            (status, text) => Err(self.refused(status, &text)),
        }
    }

    fn ask(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<String, Trouble> {
        match self.answer(method, segments, query, body)? {
            (status, text) if status.is_success() => Ok(text),
            (status, text) => Err(self.refused(status, &text)),
        }
    }

    fn answer(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<(StatusCode, String), Trouble> {
        let url = self.address(segments, query)?;
        let (http, credentials) = match &self.way {
            Way::Flags { http, credentials } => (http, credentials),
            Way::File(client) => {
                let body = body.map(|body| body.to_string().into_bytes());
                let reply = self.runtime.block_on(client.request(method, url, body));
                let reply = reply.map_err(|error| unanswered(&error))?;
                return Ok((reply.status, String::from_utf8_lossy(&reply.body).into_owned()));
            }
        };
        let mut request = http.request(method, url);
        request = match credentials {
            Credentials::None => request,
            Credentials::Token(token) => request.bearer_auth(token),
            Credentials::Password(user, password) => request.basic_auth(user, Some(password)),
        };
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = self.runtime.block_on(async {
            let response = request.send().await?;
            Ok((response.status(), response.text().await?))
        });
        answer.map_err(|error| self.unreachable(&error))
    }

    /// The address of a path below the server's URL, whatever path that has itself.
    fn address(&self, segments: &[&str], query: &[(&str, String)]) -> Result<Url, Trouble> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Trouble::new(format!("{} is not a URL of a server", self.base)))?
            .pop_if_empty()
            .extend(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    fn refused(&self, status: StatusCode, text: &str) -> Trouble {
        let json: Option<Value> = serde_json::from_str(text).ok();
        let message = json.as_ref().and_then(|json| json.get("error")?.as_str());
        let message = message.unwrap_or_else(|| text.lines().next().unwrap_or_default());
        let trouble = Trouble::new(format!("{} answered {status}: {message}", self.place));
        match status {
            StatusCode::UNAUTHORIZED => trouble.with_help(match &self.way {
                Way::File(_) => "the credentials of --http.config.file are not the server's",
                Way::Flags { credentials: Credentials::Token(_), .. } => {
                    "the token in --token-file is not the server's"
                }
                Way::Flags { credentials: Credentials::Password(..), .. } => {
                    "the server knows no such user, or another password"
                }
                Way::Flags { credentials: Credentials::None, .. } => {
                    "show the server's token with --token-file, or sign in with --username"
                }
            }),
            StatusCode::FORBIDDEN => trouble.with_help("`homeostat whoami` tells what you may do"),
            StatusCode::NOT_FOUND if message.starts_with("there is nothing here") => {
                trouble.with_help("is --url that of a Homeostat of this version?")
            }
            StatusCode::SERVICE_UNAVAILABLE => trouble.with_help("it may be tried again"),
            _ => trouble,
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Trouble {
        let trouble = Trouble::new(format!("cannot reach {}: {}", self.place, chain(error)));
        if error.is_timeout() {
            trouble.with_help("the server took too long to answer")
        } else {
            trouble.with_help("is `homeostat serve` running there? --url names another address")
        }
    }
}

/// Why an engine gave no answer that is talked to by a file.
fn unanswered(error: &ClientError) -> Trouble {
    let trouble = Trouble::new(error.line());
    match error {
        ClientError::Unreachable { .. } => {
            trouble.with_help("is `homeostat serve` running there? --url names another address")
        }
        ClientError::Url { .. }
        | ClientError::File { .. }
        | ClientError::Settings { .. }
        | ClientError::Broken { .. }
        | ClientError::NoToken { .. }
        | ClientError::TooSlow { .. }
        | ClientError::TooLong { .. }
        | ClientError::Redirected { .. } => trouble,
    }
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn read_file(path: &Path) -> Result<Vec<u8>, Trouble> {
    std::fs::read(path)
        .map_err(|error| Trouble::new(format!("cannot read {}: {error}", path.display())))
}

fn read_token(path: &Path) -> Result<String, Trouble> {
    let text = read_file(path)?;
    let text = String::from_utf8_lossy(&text);
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Trouble::new(format!("{} holds no token", path.display())));
    }
    Ok(token.to_owned())
}

/// The last cause says it best; those above it repeat the address.
fn chain(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
