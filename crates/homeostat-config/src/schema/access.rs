//! `access`.

use super::Default::{Nothing, Required, Span, Text as Value, Told};
use super::Shape::{Duration, List, Map, Text, Word};
use super::{Group, TEXTS, Table, entry, server};
use crate::{keys, limits};

pub(super) static ACCESS: Table =
    Table { name: "access", keys: &keys::ACCESS, groups: &[&ACCESS_KEYS], one_of: &[] };

static ACCESS_KEYS: Group = Group {
    name: "access",
    entries: &[
        entry("tokens", List(&Map(&TOKEN)), Nothing, "what programs show"),
        entry("grants", List(&Map(&GRANT)), Nothing, "who may do what"),
        entry("proxy", Map(&PROXY), Nothing, "a proxy that says who comes"),
        entry("oidc", Map(&OIDC), Nothing, "a provider of [OpenID Connect](#openid-connect)"),
    ],
};

static TOKEN: Table = Table {
    name: "token",
    keys: &keys::ACCESS_TOKEN,
    groups: &[&TOKEN_KEYS],
    one_of: &["sha256", "file"],
};

static TOKEN_KEYS: Group = Group {
    name: "a token",
    entries: &[
        entry("name", Text, Required, "unique; its identity is `token:NAME`"),
        entry("sha256", Text, Nothing, "its SHA-256, as `printf %s TOKEN \\| sha256sum` prints it"),
        entry("file", Text, Nothing, "a file that holds the token, read again when it changes"),
        entry("expires", Text, Told("never"), "until when it counts, RFC 3339"),
    ],
};

static GRANT: Table =
    Table { name: "grant", keys: &keys::GRANT, groups: &[&GRANT_KEYS], one_of: &[] };

static GRANT_KEYS: Group = Group {
    name: "a grant",
    entries: &[
        entry("who", TEXTS, Required, "[names](#names), compared whole"),
        entry(
            "may",
            List(&Word(&["send", "view", "operate", "approve", "administer"])),
            Required,
            "[permissions](#permissions)",
        ),
        entry(
            "sources",
            TEXTS,
            Told("all"),
            "whose alerts `send` may post: names of sources, and `api`",
        ),
        entry("policies", TEXTS, Told("all"), "names of policies; `*` stands for any letters"),
        entry("teams", TEXTS, Told("all"), "teams, for the policies that say `team`"),
        entry("targets", TEXTS, Told("all"), "matchers on the labels of the target"),
    ],
};

static PROXY: Table =
    Table { name: "proxy", keys: &keys::ACCESS_PROXY, groups: &[&PROXY_KEYS], one_of: &[] };

static PROXY_KEYS: Group = Group {
    name: "a trusted proxy",
    entries: &[
        entry("trusted", TEXTS, Required, "addresses and networks from which it comes"),
        entry("user_header", Text, Required, "the header that names the user"),
        entry(
            "groups_header",
            Text,
            Nothing,
            "the header that names the groups, with commas between",
        ),
    ],
};

static OIDC: Table =
    Table { name: "oidc", keys: &keys::ACCESS_OIDC, groups: &[&OIDC_KEYS], one_of: &[] };

static OIDC_KEYS: Group = Group {
    name: "oidc",
    entries: &[
        entry(
            "issuer",
            Text,
            Required,
            "the provider, exactly as it calls itself; `https`, or `http` on this machine",
        ),
        entry("client_id", Text, Told("nobody signs in"), "as whom people sign in at the page"),
        entry("client_secret", Text, Nothing, "of that client; better in a file"),
        entry("client_secret_file", Text, Nothing, "the file that holds it, read each time"),
        entry("scopes", TEXTS, Told("`openid`, `profile`"), "what is asked for"),
        entry(
            "session",
            Duration,
            Span(limits::OIDC_SESSION),
            "how long a sign-in lasts at most; `5m` to `12h`",
        ),
        entry("audience", Text, Told("none counts"), "for whom tokens must be that programs show"),
        entry("username_claim", Text, Value("sub"), "the claim that names the user"),
        entry("groups_claim", Text, Value("groups"), "the claim that lists the groups"),
        entry("tls_config", Map(&server::TLS), Nothing, "certificates of the provider"),
        entry("proxy_url", Text, Nothing, "a proxy before it"),
        entry("no_proxy", Text, Nothing, "what is reached without it"),
    ],
};
