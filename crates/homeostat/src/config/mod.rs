//! The configuration: from the file as it was typed to what is meant.
//!
//! ```text
//!  text ── yaml ──▶ tree ── raw ──▶ what was typed ── check ──▶ Config
//!             └──────────┴── problems, each with its place ──┘└─▶ Report
//! ```
//!
//! All errors of a file are found at once, and a file with one error is not used at all. What is
//! known but not built yet is an error too: an engine that ignored a guard would be less careful
//! than its configuration says.
//!
//! Not its duty: reading the secrets and certificates that a file names, and talking to anybody.

pub(crate) mod alertmanager;
mod check;
mod http;
mod keys;
pub mod limits;
pub mod migrate;
mod nearest;
mod notify;
pub mod policy_test;
mod raw;
mod read;
mod report;
mod yaml;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use homeostat_core::label::LabelSet;
use homeostat_core::name::{Part, PolicyName, RemedyName, SourceName};
use homeostat_core::policy::Book;
use reqwest::Url;

pub use http::{
    ClientCertificate, Credentials, HttpConfig, HttpHeader, OAuth2Config, ProxyConfig, Secret,
    SecretSource, TlsConfig,
};
pub use notify::{Channel, Notify, Way};
pub use report::{Problem, Report, Row, Severity};

use read::Reader;

/// A configuration that has been checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which remedies fit which alerts.
    pub book: Book,
    /// Whom to ask.
    pub sources: Sources,
    /// Where the requests of remedies go.
    pub requests: RequestTargets,
    /// As whom, where and with what the programs of remedies run.
    pub settings: ActionSettings,
    /// How people are told beside Alertmanager.
    pub notify: Notify,
    /// What is allowed and probably not meant.
    pub warnings: Report,
}

/// Which handlers a configuration may call.
#[derive(Debug, Clone, Copy)]
pub enum Callable<'a> {
    /// Nobody knows here: the configuration is for another program.
    Elsewhere,
    /// These.
    These(&'a [&'a str]),
}

/// Where the requests of remedies go.
pub type RequestTargets = BTreeMap<(PolicyName, RemedyName, Part), RequestTarget>;

/// Where the requests of one remedy go, and what the book must not hold.
#[derive(Debug, Clone)]
pub struct RequestTarget {
    /// The server: scheme, host and port.
    pub url: Url,
    /// How it is talked to.
    pub http: HttpConfig,
    /// Headers whose values are secret.
    pub secrets: Vec<(String, SecretSource)>,
}

/// As whom, where and with what the programs of remedies run: an entry for each of them.
pub type ActionSettings = BTreeMap<(PolicyName, RemedyName, Part), ActionSetting>;

/// As whom, where and with what one program runs. The book does not hold it: it is about the machine,
/// and about secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionSetting {
    /// `USER` or `USER:GROUP`, if it does not run as the engine.
    pub run_as: Option<String>,
    /// Where it runs, if not in a directory of its own.
    pub working_directory: Option<PathBuf>,
    /// Variables that are constants.
    pub variables: Vec<(String, String)>,
    /// Secrets, each in its file.
    pub secrets: Vec<HandedSecret>,
}

/// A secret that a program is handed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedSecret {
    /// The name of its file, and of its variable.
    pub name: String,
    /// Where it stands.
    pub file: PathBuf,
    /// Whether it is a variable, too.
    pub as_variable: bool,
}

/// Whom to ask, to confirm, to verify and to reconcile.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Alertmanagers, in file order: the first one also has the bare `/hooks`.
    pub alertmanagers: Vec<AlertmanagerSource>,
    /// Names of hooks by which others send who are no Alertmanager that can be asked, in file order.
    pub webhooks: Vec<SourceName>,
    /// Prometheuses, in file order.
    pub prometheuses: Vec<PrometheusSource>,
}

/// One cluster of Alertmanagers.
#[derive(Debug, Clone)]
pub struct AlertmanagerSource {
    /// Its name, and that of its hook: `/hooks/NAME`.
    pub name: SourceName,
    /// All peers, at least one.
    pub urls: Vec<Url>,
    /// The receivers by which it reaches us; where there are none, its notifications tell.
    pub receivers: Vec<String>,
    /// How the peers are talked to.
    pub http: HttpConfig,
}

/// One Prometheus.
#[derive(Debug, Clone)]
pub struct PrometheusSource {
    /// Its name.
    pub name: SourceName,
    /// Where it is.
    pub url: Url,
    /// What it adds to the labels of its alerts; `None`: it is asked.
    pub external_labels: Option<LabelSet>,
    /// What an alert must have for this Prometheus to be its witness.
    pub labels: LabelSet,
    /// How it is talked to.
    pub http: HttpConfig,
}

impl Config {
    /// Makes the configuration that stands in where none is given: every alert is taken in,
    /// recorded and shadowed, and nobody is asked.
    pub fn observe() -> Self {
        Self {
            book: Book::observe(),
            sources: Sources::default(),
            requests: RequestTargets::new(),
            settings: ActionSettings::new(),
            notify: Notify::default(),
            warnings: Report::new("", "", Vec::new()),
        }
    }
}

/// Reads and checks a configuration file.
///
/// # Errors
///
/// The file cannot be read, or it has errors: all that could be found, and its warnings.
pub fn load(path: &Path) -> Result<Config, Report> {
    load_for(path, Callable::Elsewhere)
}

/// Reads and checks a configuration file for a program that has these handlers.
///
/// # Errors
///
/// As [`load`], and it calls a handler that there is not.
pub fn load_for(path: &Path, callable: Callable<'_>) -> Result<Config, Report> {
    parse_for(&path.display().to_string(), &read_text(path)?, callable, Care::Usual)
}

/// Reads and checks a configuration file for somebody who writes it: warns also of programs and files
/// that are not on this machine, and of what is valid and seldom meant.
///
/// # Errors
///
/// As [`load`].
pub fn load_with_care(path: &Path) -> Result<Config, Report> {
    let (name, text) = (path.display().to_string(), read_text(path)?);
    parse_for(&name, &text, Callable::Elsewhere, Care::Great)
}

/// How much is warned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    /// What is wrong wherever the file is read.
    Usual,
    /// What only this machine shows, too, and what is seldom meant.
    Great,
}

/// Reads a text file, bounded.
///
/// # Errors
///
/// The file cannot be read, or its bytes are not UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String, Report> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let bound = limits::FILE_BYTES as u64 + 1;
    std::fs::File::open(path)
        .and_then(|file| file.take(bound).read_to_end(&mut bytes))
        .map_err(|error| Report::unread(&name, &error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let readable = error.utf8_error().valid_up_to();
        let bytes = error.into_bytes();
        let text = String::from_utf8_lossy(&bytes);
        let problem = Problem::error(readable..readable + 1, "these bytes are not UTF-8");
        Report::new(&name, &text, vec![problem])
    })
}

/// Checks the text of a configuration. Relative paths in it are meant from the directory of the
/// file that `name` says.
///
/// # Errors
///
/// The text has errors: all that could be found, and its warnings.
///
/// ```
/// let text = "policies: [{ name: watch, matchers: ['job=\"web\"'], mode: shadow, remedies: [] }]";
/// let config = homeostat::config::parse("homeostat.yml", text).unwrap();
/// assert_eq!(config.book.policies().len(), 1);
/// ```
pub fn parse(name: &str, text: &str) -> Result<Config, Report> {
    parse_for(name, text, Callable::Elsewhere, Care::Usual)
}

fn parse_for(name: &str, text: &str, callable: Callable<'_>, care: Care) -> Result<Config, Report> {
    if text.len() > limits::FILE_BYTES {
        let message = format!("larger than {} MiB", limits::FILE_BYTES / (1024 * 1024));
        return Err(Report::new(name, "", vec![Problem::of_file(message)]));
    }
    let mut reader = Reader::new(text);
    let file = match yaml::parse(text) {
        Ok(Some(document)) => raw::file(&mut reader, &document),
        Ok(None) => Some(raw::File::default()),
        Err(problem) => return Err(Report::new(name, text, vec![problem])),
    };
    let directory = Path::new(name).parent().unwrap_or(Path::new(""));
    let shown = mask(text, &mut reader.secrets);
    let mut problems = reader.problems;
    if care == Care::Great {
        problems.look_around();
    }
    let checked = file.map(|file| check::check(&file, directory, callable, &mut problems));
    let report = Report::new(name, &shown, problems.into_vec());
    match checked {
        Some(checked) if report.errors() == 0 => {
            let check::Checked { book, sources, requests, settings, notify } = checked;
            Ok(Config { book, sources, requests, settings, notify, warnings: report })
        }
        Some(_) | None => Err(report),
    }
}

/// Writes asterisks over secrets. Their bytes are counted, so that all places stay the same.
fn mask<'a>(text: &'a str, secrets: &mut Vec<Range<usize>>) -> Cow<'a, str> {
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    // An alias repeats a secret where it stands.
    secrets.sort_by_key(|secret| secret.start);
    secrets.dedup();
    let mut masked = String::with_capacity(text.len());
    for secret in secrets {
        let before = text.get(masked.len()..secret.start);
        let inner = text.get(secret.clone());
        let (Some(before), Some(inner)) = (before, inner) else { continue };
        masked.push_str(before);
        masked.extend(inner.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }));
    }
    masked.push_str(text.get(masked.len()..).unwrap_or_default());
    Cow::Owned(masked)
}
