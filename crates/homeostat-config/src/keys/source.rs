//! The keys of `sources`, and of how any server is talked to.

use super::{Keys, habit};

pub(super) const BEARER_HELP: &str =
    "write authorization: { credentials_file: … }; its type is Bearer unless it says otherwise";

const SECRET_HELP: &str = "write hmac: { secret_file: … }";

const TENANT_HELP: &str = "write http_headers: { X-Scope-OrgID: { values: […] } }";
const HEADERS_HELP: &str = "write http_headers: { X-Name: { values: […] } }";
const PARAMS_HELP: &str = "write params: { name: [value] }";
const SOURCE_LABELS_HELP: &str = "write labels: { cluster: eu }: what an alert must have for this \
     Prometheus to be its witness";

/// `sources`.
pub(crate) static SOURCES: Keys = Keys {
    of: "sources",
    known: &["alertmanagers", "webhooks", "prometheuses"],
    later: &[],
    habits: &[
        habit("webhook", "webhooks", "write a list: webhooks: [{ name: grafana }]"),
        habit("hooks", "webhooks", "write a list: webhooks: [{ name: grafana }]"),
        habit("grafana", "webhooks", "write webhooks: [{ name: grafana }]"),
        habit("alertmanager", "alertmanagers", "write a list: alertmanagers: [{ name: main, … }]"),
        habit("prometheus", "prometheuses", "write a list: prometheuses: [{ name: main, … }]"),
    ],
};

/// One of `sources.webhooks`.
pub(crate) static HOOK: Keys = Keys {
    of: "a webhook of `sources`",
    known: &["name", "hmac"],
    later: &[],
    habits: &[
        habit("url", "", "it is the sender that posts here: to /hooks/NAME"),
        habit("urls", "", "an Alertmanager stands under `sources.alertmanagers`"),
        habit("secret", "hmac", SECRET_HELP),
        habit("secret_file", "hmac", SECRET_HELP),
        habit("hmac_config", "hmac", SECRET_HELP),
        habit("signature", "hmac", SECRET_HELP),
    ],
};

/// `hmac` of a webhook.
pub(crate) static HMAC: Keys = Keys {
    of: "hmac",
    known: &["secret_file", "secret_files", "header", "timestamp_header", "tolerance"],
    later: &[],
    habits: &[
        habit("secret", "secret_file", "write secret_file: …, a file that holds it"),
        habit("key", "secret_file", "write secret_file: …, a file that holds it"),
        habit("secrets", "secret_files", "write a list: secret_files: [new, old]"),
        habit("timestampHeader", "timestamp_header", "write `timestamp_header`"),
        habit("headers", "header", "write `header`: one holds the signature"),
        habit("max_age", "tolerance", "write `tolerance`"),
        habit("algorithm", "", "it is HMAC-SHA-256, as Grafana has it"),
        habit("encoding", "", "it is hexadecimal, as Grafana has it"),
    ],
};

/// One of `sources.alertmanagers`.
pub(crate) static ALERTMANAGER: Keys = Keys {
    of: "an Alertmanager",
    known: &[
        "name",
        "urls",
        "receivers",
        "params",
        "http_config",
        "basic_auth",
        "authorization",
        "oauth2",
        "tls_config",
        "proxy_url",
        "no_proxy",
        "http_headers",
    ],
    later: &["proxy_from_environment", "proxy_connect_header", "sigv4"],
    habits: &[
        habit("receiver", "receivers", "write a list: receivers: [homeostat]"),
        habit("url", "urls", "an Alertmanager has `urls`, all peers of one cluster: urls: [\"…\"]"),
        habit("static_configs", "urls", "write urls: [\"http://host:9093\"]"),
        habit("targets", "urls", "write urls: [\"http://host:9093\"]"),
        habit("labels", "", "its alerts are told apart by their hook: /hooks/NAME"),
        habit(
            "hmac",
            "",
            "an Alertmanager signs nothing: let it show a token of `access.tokens`, or a certificate",
        ),
        habit("headers", "http_headers", HEADERS_HELP),
        habit("tenant", "", TENANT_HELP),
        habit("query", "params", PARAMS_HELP),
        habit("bearer_token", "", BEARER_HELP),
        habit("bearer_token_file", "", BEARER_HELP),
    ],
};

/// One of `sources.prometheuses`.
pub(crate) static PROMETHEUS: Keys = Keys {
    of: "a Prometheus",
    known: &[
        "name",
        "url",
        "external_labels",
        "labels",
        "params",
        "http_config",
        "basic_auth",
        "authorization",
        "oauth2",
        "tls_config",
        "proxy_url",
        "no_proxy",
        "http_headers",
    ],
    later: &["proxy_from_environment", "proxy_connect_header", "sigv4"],
    habits: &[
        habit("urls", "url", "a Prometheus has one `url`; list replicas as sources of their own"),
        habit("matchers", "labels", SOURCE_LABELS_HELP),
        habit("match_labels", "labels", SOURCE_LABELS_HELP),
        habit("headers", "http_headers", HEADERS_HELP),
        habit("tenant", "", TENANT_HELP),
        habit("query", "params", PARAMS_HELP),
        habit("bearer_token", "", BEARER_HELP),
        habit("bearer_token_file", "", BEARER_HELP),
    ],
};

const OF_HTTP: Keys = Keys {
    of: "http_config",
    known: &[
        "basic_auth",
        "authorization",
        "oauth2",
        "tls_config",
        "proxy_url",
        "no_proxy",
        "http_headers",
    ],
    later: &[
        "proxy_from_environment",
        "proxy_connect_header",
        "sigv4",
        "follow_redirects",
        "enable_http2",
    ],
    habits: &[
        habit("headers", "http_headers", HEADERS_HELP),
        habit("bearer_token", "", BEARER_HELP),
        habit("bearer_token_file", "", BEARER_HELP),
    ],
};

/// `http_config` of a source.
pub(crate) static HTTP: Keys = OF_HTTP;

/// A file of `--http.config.file`.
pub(crate) static HTTP_FILE: Keys = Keys { of: "a file of --http.config.file", ..OF_HTTP };

/// `basic_auth` of a source.
pub(crate) static BASIC_AUTH: Keys = Keys {
    of: "basic_auth",
    known: &["username", "password", "password_file"],
    later: &["username_file"],
    habits: &[habit("user", "username", "write `username`")],
};

/// `authorization` of a source.
pub(crate) static AUTHORIZATION: Keys = Keys {
    of: "authorization",
    known: &["type", "credentials", "credentials_file"],
    later: &[],
    habits: &[
        habit("token", "credentials", "write `credentials`"),
        habit("token_file", "credentials_file", "write `credentials_file`"),
    ],
};

/// `oauth2` of a source.
pub(crate) static OAUTH2: Keys = Keys {
    of: "oauth2",
    known: &[
        "client_id",
        "client_secret",
        "client_secret_file",
        "token_url",
        "scopes",
        "endpoint_params",
        "tls_config",
        "proxy_url",
        "no_proxy",
    ],
    later: &[
        "client_certificate_key",
        "client_certificate_key_file",
        "grant_type",
        "http_headers",
        "proxy_from_environment",
        "proxy_connect_header",
    ],
    habits: &[
        habit("id", "client_id", "write `client_id`"),
        habit("secret", "client_secret", "write `client_secret`, or `client_secret_file`"),
        habit("url", "token_url", "write `token_url`"),
        habit("scope", "scopes", "write a list: scopes: [read]"),
        habit("audience", "endpoint_params", "write endpoint_params: { audience: … }"),
        habit("params", "endpoint_params", "write `endpoint_params`"),
    ],
};

/// `tls_config` of a source.
pub(crate) static TLS: Keys = Keys {
    of: "tls_config",
    known: &["ca_file", "cert_file", "key_file", "server_name", "insecure_skip_verify"],
    later: &["ca", "cert", "key", "min_version", "max_version"],
    habits: &[],
};

/// One of `http_headers`.
pub(crate) static HTTP_HEADER: Keys = Keys {
    of: "a header",
    known: &["values", "secrets", "files"],
    later: &[],
    habits: &[
        habit("value", "values", "write a list: values: […]"),
        habit("secret", "secrets", "write a list: secrets: […]"),
        habit("file", "files", "write a list: files: […]"),
    ],
};
