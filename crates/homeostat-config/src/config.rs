//! What a configuration means: policies, whom to ask, where requests go, how people are told.
//!
//! Not its duty: how it came to be (`check`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use homeostat_core::configuration::ReadFile;
use homeostat_core::label::LabelSet;
use homeostat_core::name::{Part, PolicyName, RemedyName, SourceName};
use homeostat_core::policy::Book;
use homeostat_core::time::Span;
use regex::Regex;
use url::Url;

use crate::access::Access;
use crate::http::{HttpConfig, SecretSource};
use crate::notify::Notify;
use crate::report::Report;

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
    /// Who may do what; without it, whoever may come in may do all.
    pub access: Option<Access>,
    /// What is a secret in what collectors find. The group `secret` is, where a pattern has one.
    pub redact: Vec<Regex>,
    /// The files that were read, each with its SHA-256.
    pub files: Vec<ReadFile>,
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
    /// Hooks by which others send who are no Alertmanager that can be asked, in file order.
    pub webhooks: Vec<WebhookSource>,
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

/// A hook by which somebody sends who cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSource {
    /// Its name, and that of its hook: `/hooks/NAME`.
    pub name: SourceName,
    /// How its notifications are signed; `None`: they need not be.
    pub hmac: Option<Hmac>,
}

/// How notifications are signed: by HMAC-SHA-256 over the body, as Grafana does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hmac {
    /// The files that hold the secrets, at least one. Each is as good as the others.
    pub secret_files: Vec<PathBuf>,
    /// The headers of which one holds the signature.
    pub headers: Vec<String>,
    /// When it was signed, where that is signed, too.
    pub timestamp: Option<SignedTime>,
}

/// A time that is signed together with the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTime {
    /// The header that holds it, in Unix seconds.
    pub header: String,
    /// By how much it may differ from our clock.
    pub tolerance: Span,
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
            access: None,
            redact: Vec::new(),
            files: Vec::new(),
            warnings: Report::new("", "", Vec::new()),
        }
    }
}
