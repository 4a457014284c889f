//! The keys of the file of `--web.config.file`.
//!
//! Source: `docs/web-configuration.md` of prometheus/exporter-toolkit.

use super::{Keys, habit};

/// The whole file.
pub(crate) static WEB_FILE: Keys = Keys {
    of: "a web configuration",
    known: &["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"],
    later: &[],
    habits: &[
        habit("tls_config", "tls_server_config", "write `tls_server_config`"),
        habit("users", "basic_auth_users", "write `basic_auth_users`"),
        habit("basic_auth", "basic_auth_users", "write basic_auth_users: { NAME: HASH }"),
        habit("http_config", "http_server_config", "write `http_server_config`"),
        habit("policies", "", "policies stand in the file of --config.file"),
        habit("access", "", "`access` stands in the file of --config.file"),
    ],
};

/// `tls_server_config`.
pub(crate) static WEB_TLS: Keys = Keys {
    of: "tls_server_config",
    known: &[
        "cert",
        "cert_file",
        "key",
        "key_file",
        "client_auth_type",
        "client_ca",
        "client_ca_file",
        "client_allowed_sans",
        "min_version",
        "max_version",
        "cipher_suites",
        "prefer_server_cipher_suites",
        "curve_preferences",
    ],
    later: &[],
    habits: &[
        habit("ca_file", "client_ca_file", "write `client_ca_file`"),
        habit("client_cas", "client_ca_file", "write `client_ca_file`"),
        habit("client_auth", "client_auth_type", "write `client_auth_type`"),
    ],
};

/// `http_server_config`.
pub(crate) static WEB_HTTP: Keys =
    Keys { of: "http_server_config", known: &["http2", "headers"], later: &[], habits: &[] };

/// `rate_limit`.
pub(crate) static WEB_RATE: Keys =
    Keys { of: "rate_limit", known: &["interval", "burst"], later: &[], habits: &[] };
