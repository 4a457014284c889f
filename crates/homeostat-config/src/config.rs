//! What a configuration means: policies, whom to ask, where requests go, how people are told.
//!
//! Not its duty: how it came to be (`check`).

use std::collections::BTreeMap;

use homeostat_core::label::LabelSet;
use homeostat_core::name::{Part, PolicyName, RemedyName, SourceName};
use homeostat_core::policy::Book;
use url::Url;

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
            notify: Notify::default(),
            warnings: Report::new("", "", Vec::new()),
        }
    }
}
