//! By which commands and webhooks people are told, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use homeostat_core::name::PolicyName;
use homeostat_core::time::Span;
use url::Url;

use crate::http::HttpConfig;

/// How people are told beside Alertmanager.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    /// The channels, in file order.
    pub channels: Vec<Channel>,
    /// The channels that a policy names; one that names none tells through all.
    pub routes: BTreeMap<PolicyName, BTreeSet<String>>,
}

/// One way to tell people.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Which way.
    pub way: Way,
    /// How long one try may take.
    pub timeout: Span,
    /// Whether it is told that a trouble is over.
    pub send_resolved: bool,
}

/// A command or a webhook.
#[derive(Debug, Clone)]
pub enum Way {
    /// A program and its arguments.
    Exec(Vec<String>),
    /// A server that takes a POST.
    Webhook {
        /// Where.
        url: WebhookUrl,
        /// How it is talked to.
        http: Box<HttpConfig>,
    },
}

/// Where a webhook is.
#[derive(Debug, Clone)]
pub enum WebhookUrl {
    /// It stands in the configuration.
    Inline(Url),
    /// It is the content of this file, without space around it, read again when it changes.
    File(PathBuf),
}
