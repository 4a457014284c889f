//! The keys of `access`.

use super::{Keys, habit};

const SHA256_HELP: &str = "write sha256: …, which `printf %s TOKEN | sha256sum` prints, or file: …";

/// `access`.
pub(crate) static ACCESS: Keys = Keys {
    of: "access",
    known: &["tokens", "grants", "proxy"],
    later: &["oidc"],
    habits: &[
        habit("users", "", "people are named in the file of --web.config.file"),
        habit("basic_auth_users", "", "people are named in the file of --web.config.file"),
        habit("roles", "grants", "write grants: [{ who: [\"group:sre\"], may: [view] }]"),
        habit("grant", "grants", "write a list: grants: [{ who: […], may: […] }]"),
        habit("token", "tokens", "write a list: tokens: [{ name: …, sha256: … }]"),
    ],
};

/// One of `access.tokens`.
pub(crate) static ACCESS_TOKEN: Keys = Keys {
    of: "a token of `access`",
    known: &["name", "sha256", "file", "expires"],
    later: &[],
    habits: &[
        habit("token", "sha256", SHA256_HELP),
        habit("secret", "sha256", SHA256_HELP),
        habit("value", "sha256", SHA256_HELP),
        habit("hash", "sha256", SHA256_HELP),
        habit("token_file", "file", "write `file`"),
        habit("credentials_file", "file", "write `file`"),
        habit("expires_at", "expires", "write `expires`"),
        habit("expiry", "expires", "write `expires`"),
        habit("may", "", "what a token may do stands in `grants`: who: [\"token:NAME\"]"),
    ],
};

/// One of `access.grants`.
pub(crate) static GRANT: Keys = Keys {
    of: "a grant",
    known: &["who", "may", "sources", "policies", "targets"],
    later: &["teams"],
    habits: &[
        habit("to", "who", "write `who`"),
        habit("users", "who", "write who: [\"user:NAME\"]"),
        habit("groups", "who", "write who: [\"group:NAME\"]"),
        habit("permissions", "may", "write `may`"),
        habit("can", "may", "write `may`"),
        habit("source", "sources", "write a list: sources: [NAME]"),
        habit("policy", "policies", "write a list: policies: [NAME]"),
        habit("target", "targets", "write matchers: targets: ['env!=\"prod\"']"),
        habit("matchers", "targets", "write matchers: targets: ['env!=\"prod\"']"),
    ],
};

/// `access.proxy`.
pub(crate) static ACCESS_PROXY: Keys = Keys {
    of: "`proxy` of access",
    known: &["trusted", "user_header", "groups_header"],
    later: &[],
    habits: &[
        habit("trusted_proxies", "trusted", "write trusted: [\"10.0.0.5\"]"),
        habit("header", "user_header", "write `user_header`"),
        habit("whitelist", "trusted", "write trusted: [\"10.0.0.5\"]"),
    ],
};
