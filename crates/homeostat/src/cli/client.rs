//! Talks to a running Homeostat, or to an Alertmanager, over HTTP.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::plain::plain;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the server is, and how it lets us in.
#[derive(Debug, Clone, Args)]
pub(super) struct Server {
    /// The server to talk to
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9999")]
    pub(super) url: Url,

    /// Show the token in this file
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

/// Why a command cannot be done, and what to do about it.
#[derive(Debug)]
pub struct Trouble {
    error: String,
    help: Option<String>,
}

impl Trouble {
    /// Says what went wrong.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), help: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", plain(&self.error))?;
        match &self.help {
            Some(help) => writeln!(f, "help: {help}"),
            None => Ok(()),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::new(format!("cannot write: {error}"))
    }
}

/// A connection to one server.
pub(super) struct Client {
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    base: Url,
    token: Option<String>,
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
        let mut http = reqwest::Client::builder().timeout(PATIENCE).redirect(Policy::none());
        if is_local(&server.url) {
            // A proxy of the environment cannot mean this machine.
            http = http.no_proxy();
        }
        let http = http
            .build()
            .map_err(|error| Trouble::new(format!("cannot start: {}", chain(&error))))?;
        let token = server.token_file.as_ref().map(read_token).transpose()?;
        Ok(Self { http, runtime, base: server.url.clone(), token })
    }

    /// Gets JSON.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Trouble> {
        let text = self.ask(Method::GET, segments, query, None)?;
        serde_json::from_str(&text).map_err(|error| {
            Trouble::new(format!("{} gave an answer that cannot be read: {error}", self.base))
                .with_help("is --url that of a Homeostat of this version?")
        })
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
        let mut request = self.http.request(method, self.address(segments, query)?);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
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
        let trouble = Trouble::new(format!("{} answered {status}: {message}", self.base));
        match status {
            StatusCode::UNAUTHORIZED if self.token.is_some() => {
                trouble.with_help("the token in --token-file is not the server's")
            }
            StatusCode::UNAUTHORIZED => {
                trouble.with_help("show the server's token with --token-file")
            }
            StatusCode::NOT_FOUND if message.starts_with("there is nothing here") => {
                trouble.with_help("is --url that of a Homeostat of this version?")
            }
            StatusCode::SERVICE_UNAVAILABLE => trouble.with_help("it may be tried again"),
            _ => trouble,
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Trouble {
        let trouble = Trouble::new(format!("cannot reach {}: {}", self.base, chain(error)));
        if error.is_timeout() {
            trouble.with_help("the server took too long to answer")
        } else {
            trouble.with_help("is `homeostat serve` running there? --url names another address")
        }
    }
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn read_token(path: &PathBuf) -> Result<String, Trouble> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Trouble::new(format!("cannot read {}: {error}", path.display())))?;
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
