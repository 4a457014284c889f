//! How any server is talked to, as in Prometheus.

use super::Default::{Flag, Nothing, Required, Text as Value, Told};
use super::Shape::{Map, Named, Text};
use super::{Group, LABELS, Shape, TEXTS, Table, entry};
use crate::keys;

/// Where these keys may stand instead.
pub(super) static NESTED: Group = Group {
    name: "http_config",
    entries: &[entry(
        "http_config",
        Map(&HTTP),
        Nothing,
        "the keys below, where they do not stand beside the URL",
    )],
};

static HTTP: Table =
    Table { name: "http_config", keys: &keys::HTTP, groups: &[&HTTP_KEYS], one_of: &[] };

pub(super) static HTTP_KEYS: Group = Group {
    name: "how a server is talked to",
    entries: &[
        entry("basic_auth", Map(&BASIC_AUTH), Nothing, "a name and a password"),
        entry("authorization", Map(&AUTHORIZATION), Nothing, "a token"),
        entry(
            "oauth2",
            Map(&OAUTH2),
            Nothing,
            "a token that a service gives, by client credentials",
        ),
        entry("tls_config", Map(&TLS), Nothing, "certificates"),
        entry(
            "proxy_url",
            Text,
            Nothing,
            "`http://`, `https://` or `socks5://`, with credentials if the proxy wants any",
        ),
        entry(
            "no_proxy",
            Text,
            Nothing,
            "what is reached without it: hosts, `.domains`, addresses and networks, with commas \
                 between",
        ),
        entry(
            "http_headers",
            Named(&Map(&HTTP_HEADER)),
            Nothing,
            "headers of every request, by their names",
        ),
    ],
};

static BASIC_AUTH: Table =
    Table { name: "basic_auth", keys: &keys::BASIC_AUTH, groups: &[&BASIC_KEYS], one_of: &[] };

static BASIC_KEYS: Group = Group {
    name: "basic_auth",
    entries: &[
        entry("username", Text, Required, "the name"),
        entry("password", Text, Told("empty"), "the password; better in a file"),
        entry("password_file", Text, Nothing, "the file that holds it"),
    ],
};

static AUTHORIZATION: Table = Table {
    name: "authorization",
    keys: &keys::AUTHORIZATION,
    groups: &[&AUTHORIZATION_KEYS],
    one_of: &["credentials", "credentials_file"],
};

static AUTHORIZATION_KEYS: Group = Group {
    name: "authorization",
    entries: &[
        entry("type", Text, Value("Bearer"), "the first word of the header; not `Basic`"),
        entry("credentials", Text, Nothing, "the token; better in a file"),
        entry("credentials_file", Text, Nothing, "the file that holds it"),
    ],
};

static OAUTH2: Table =
    Table { name: "oauth2", keys: &keys::OAUTH2, groups: &[&OAUTH2_KEYS], one_of: &[] };

static OAUTH2_KEYS: Group = Group {
    name: "oauth2",
    entries: &[
        entry("client_id", Text, Required, "who we are to the service that gives tokens"),
        entry("client_secret", Text, Told("empty"), "our secret; better in a file"),
        entry("client_secret_file", Text, Nothing, "the file that holds it"),
        entry("token_url", Text, Required, "where a token is asked for"),
        entry("scopes", TEXTS, Nothing, "what it should be good for"),
        entry("endpoint_params", LABELS, Nothing, "what else that service wants to be told"),
        entry(
            "tls_config",
            Map(&TLS),
            Nothing,
            "certificates of that service, where they are special",
        ),
        entry("proxy_url", Text, Nothing, "a proxy of its own"),
        entry("no_proxy", Text, Nothing, "what is reached without it"),
    ],
};

pub(super) static TLS: Table =
    Table { name: "tls_config", keys: &keys::TLS, groups: &[&TLS_KEYS], one_of: &[] };

static TLS_KEYS: Group = Group {
    name: "tls_config",
    entries: &[
        entry(
            "ca_file",
            Text,
            Told("the system's"),
            "authorities to trust, instead of the system's (PEM)",
        ),
        entry("cert_file", Text, Nothing, "our certificate (PEM); with `key_file`"),
        entry("key_file", Text, Nothing, "its key (PEM)"),
        entry(
            "server_name",
            Text,
            Told("that of the URL"),
            "the name in the server's certificate; not with a `proxy_url`",
        ),
        entry(
            "insecure_skip_verify",
            Shape::Flag,
            Flag(false),
            "believes any certificate (a warning)",
        ),
    ],
};

static HTTP_HEADER: Table =
    Table { name: "http_header", keys: &keys::HTTP_HEADER, groups: &[&HEADER_KEYS], one_of: &[] };

static HEADER_KEYS: Group = Group {
    name: "one of http_headers",
    entries: &[
        entry("values", TEXTS, Nothing, "its values"),
        entry("secrets", TEXTS, Nothing, "values that are shown nowhere"),
        entry("files", TEXTS, Nothing, "files that hold values"),
    ],
};
