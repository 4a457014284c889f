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
//! The order of the rooms below is the order in which to read them, and a room uses only rooms above
//! it. Policy tests and the files of others that we read are here, too: they are of the same tree.
//!
//! Not its duty: reading the secrets and certificates that a file names, and talking to anybody.

pub mod limits;
mod nearest;
mod files;
mod report;
mod yaml;
mod keys;
mod read;
mod raw;
mod http;
mod notify;
mod access;
mod web;
mod config;
mod check;
pub mod alertmanager;
mod gather;
mod load;
pub mod policy_test;
pub mod schema;
pub mod migrate;

#[cfg(test)]
mod tests;

pub use access::{
    Access, AccessToken, Grant, Network, OidcClient, OidcProvider, Pattern, Permission,
    TokenSecret, TrustedProxy,
};
pub use config::{
    ActionSetting, ActionSettings, AlertmanagerSource, Callable, Config, HandedSecret, Hmac,
    PrometheusSource, RequestTarget, RequestTargets, SignedTime, Sources, WebhookSource,
};
pub use gather::{look, read_text};
pub use http::{
    ClientCertificate, Credentials, HttpConfig, HttpHeader, OAuth2Config, ProxyConfig, Secret,
    SecretSource, TlsConfig,
};
pub use load::{
    complain_of, load, load_for, load_http, load_web, load_with_care, parse, parse_web,
};
pub use nearest::nearest;
pub use notify::{Channel, Notify, Way, WebhookUrl};
pub use report::{Problem, Report, Row, Severity};
pub use web::{CipherSuite, ClientAuth, Curve, Pem, RequestRate, ServerTls, TlsVersion, WebConfig};
