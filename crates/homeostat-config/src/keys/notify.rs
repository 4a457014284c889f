//! The keys of `notify`.

use super::{BEARER_HELP, Keys, habit};

const NO_TEMPLATES: &str = "what is sent is fixed: see `notify` in the manual for its fields";

/// One of `notify`.
pub(crate) static CHANNEL: Keys = Keys {
    of: "a channel of `notify`",
    known: &["name", "exec", "webhook", "timeout", "send_resolved"],
    later: &[],
    habits: &[
        habit("command", "exec", "write exec: [program, argument]"),
        habit("script", "exec", "write exec: [/bin/sh, /path/to/script]"),
        habit("shell", "exec", "write exec: [/bin/sh, /path/to/script]"),
        habit("url", "webhook", "write webhook: { url: \"https://…\" }"),
        habit("http", "webhook", "write webhook: { url: \"https://…\" }"),
        habit("webhook_configs", "webhook", "write webhook: { url: \"https://…\" }"),
        habit("webhook_config", "webhook", "write webhook: { url: \"https://…\" }"),
    ],
};

/// `webhook` of a channel.
pub(crate) static WEBHOOK: Keys = Keys {
    of: "webhook",
    known: &[
        "url",
        "url_file",
        "http_config",
        "basic_auth",
        "authorization",
        "oauth2",
        "tls_config",
        "proxy_url",
        "no_proxy",
        "http_headers",
    ],
    later: &["proxy_from_environment", "proxy_connect_header"],
    habits: &[
        habit("body", "", NO_TEMPLATES),
        habit("payload", "", NO_TEMPLATES),
        habit("method", "", "it is a POST"),
        habit("send_resolved", "", "`send_resolved` stands beside `webhook`"),
        habit("timeout", "", "`timeout` stands beside `webhook`"),
        habit("bearer_token", "", BEARER_HELP),
        habit("bearer_token_file", "", BEARER_HELP),
    ],
};
