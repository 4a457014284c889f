//! The keys of `access`.

use super::{Keys, habit};

const SHA256_HELP: &str = "write sha256: …, which `printf %s TOKEN | sha256sum` prints, or file: …";

/// `access`.
pub(crate) static ACCESS: Keys = Keys {
    of: "access",
    known: &["tokens", "grants", "proxy", "oidc"],
    later: &[],
    habits: &[
        habit("users", "", "people are named in the file of --web.config.file"),
        habit("basic_auth_users", "", "people are named in the file of --web.config.file"),
        habit("roles", "grants", "write grants: [{ who: [\"group:sre\"], may: [view] }]"),
        habit("grant", "grants", "write a list: grants: [{ who: […], may: […] }]"),
        habit("token", "tokens", "write a list: tokens: [{ name: …, sha256: … }]"),
        habit("sso", "oidc", "write oidc: { issuer: …, client_id: … }"),
        habit("openid", "oidc", "write oidc: { issuer: …, client_id: … }"),
        habit("oauth2", "oidc", "write oidc: { issuer: …, client_id: … }"),
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
    known: &["who", "may", "sources", "policies", "teams", "targets"],
    later: &[],
    habits: &[
        habit("to", "who", "write `who`"),
        habit("users", "who", "write who: [\"user:NAME\"]"),
        habit("groups", "who", "write who: [\"group:NAME\"]"),
        habit("permissions", "may", "write `may`"),
        habit("can", "may", "write `may`"),
        habit("source", "sources", "write a list: sources: [NAME]"),
        habit("policy", "policies", "write a list: policies: [NAME]"),
        habit("team", "teams", "write a list: teams: [NAME]"),
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

/// `access.oidc`.
pub(crate) static ACCESS_OIDC: Keys = Keys {
    of: "`oidc` of access",
    known: &[
        "issuer",
        "client_id",
        "client_secret",
        "client_secret_file",
        "scopes",
        "session",
        "audience",
        "username_claim",
        "groups_claim",
        "tls_config",
        "proxy_url",
        "no_proxy",
    ],
    later: &[],
    habits: &[
        habit("issuer_url", "issuer", "write `issuer`"),
        habit("url", "issuer", "write `issuer`"),
        habit("provider", "issuer", "write `issuer`"),
        habit("clientID", "client_id", "write `client_id`"),
        habit("clientSecret", "client_secret", "write `client_secret_file`"),
        habit("scope", "scopes", "write a list: scopes: [openid, profile]"),
        habit("audiences", "audience", "write `audience`: one"),
        habit("username", "username_claim", "write `username_claim`"),
        habit("user_claim", "username_claim", "write `username_claim`"),
        habit("groups", "groups_claim", "write `groups_claim`"),
        habit("allowed_groups", "", "who may do what stands in `grants`: who: [\"group:NAME\"]"),
        habit("redirect_url", "", "people come back to --web.external-url"),
        habit("redirect_uri", "", "people come back to --web.external-url"),
        habit("ca_file", "tls_config", "write tls_config: { ca_file: … }"),
        habit("insecure_skip_verify", "tls_config", "write tls_config: { ca_file: … }"),
    ],
};
