//! `sources`.

use super::Default::{Nothing, Required, Span, Told};
use super::Shape::{Duration, List, Map, Named, Quoted, Text};
use super::{Group, TEXTS, Table, entry, server};
use crate::{keys, limits};

pub(super) static SOURCES: Table =
    Table { name: "sources", keys: &keys::SOURCES, groups: &[&SOURCES_KEYS], one_of: &[] };

static SOURCES_KEYS: Group = Group {
    name: "sources",
    entries: &[
        entry(
            "alertmanagers",
            List(&Map(&ALERTMANAGER)),
            Nothing,
            "who sends notifications, is asked whether an alert fires, and is told when a person \
                 is needed",
        ),
        entry(
            "webhooks",
            List(&Map(&HOOK)),
            Nothing,
            "who sends notifications and cannot be asked, as Grafana",
        ),
        entry(
            "prometheuses",
            List(&Map(&PROMETHEUS)),
            Nothing,
            "who is asked for rules and queries; `verify.query` goes to the first",
        ),
    ],
};

static ALERTMANAGER: Table = Table {
    name: "alertmanager",
    keys: &keys::ALERTMANAGER,
    groups: &[&ALERTMANAGER_KEYS, &PARAMS, &server::NESTED, &server::HTTP_KEYS],
    one_of: &[],
};

static ALERTMANAGER_KEYS: Group = Group {
    name: "an Alertmanager",
    entries: &[
        entry(
            "name",
            Text,
            Required,
            "unique among these and the webhooks; its notifications come to `/hooks/NAME`, those \
                 of the first also to `/hooks`. Not `api`, not `other`",
        ),
        entry("urls", TEXTS, Required, "all peers of one cluster; without credentials"),
        entry(
            "receivers",
            TEXTS,
            Told("those that its notifications have named"),
            "its receivers that lead here: only alerts that are routed to one of them may begin \
                 by [reconciling](../explanation/sources.md)",
        ),
    ],
};

static PARAMS: Group = Group {
    name: "an Alertmanager or a Prometheus",
    entries: &[entry(
        "params",
        Named(&TEXTS),
        Nothing,
        "query parameters that go with every request, names and lists of values",
    )],
};

static HOOK: Table =
    Table { name: "webhook_source", keys: &keys::HOOK, groups: &[&HOOK_KEYS], one_of: &[] };

static HOOK_KEYS: Group = Group {
    name: "a webhook source",
    entries: &[
        entry(
            "name",
            Text,
            Required,
            "unique among these and the Alertmanagers; not `api`, not `other`",
        ),
        entry(
            "hmac",
            Map(&HMAC),
            Told("they need not be"),
            "how its notifications are signed; what is not signed so is refused",
        ),
    ],
};

static HMAC: Table = Table {
    name: "hmac",
    keys: &keys::HMAC,
    groups: &[&HMAC_KEYS],
    one_of: &["secret_file", "secret_files"],
};

static HMAC_KEYS: Group = Group {
    name: "hmac",
    entries: &[
        entry("secret_file", Text, Nothing, "the file that holds the secret"),
        entry("secret_files", TEXTS, Nothing, "up to 8 of them, of which each is as good"),
        entry(
            "header",
            Text,
            Told("`X-Grafana-Alerting-Signature`, `X-Grafana-Alert-Signature`"),
            "the header of the signature",
        ),
        entry("timestamp_header", Text, Nothing, "the header of the time that is signed, too"),
        entry(
            "tolerance",
            Duration,
            Span(limits::HMAC_TOLERANCE),
            "by how much that may differ from our clock; up to `1h`",
        ),
    ],
};

static PROMETHEUS: Table = Table {
    name: "prometheus",
    keys: &keys::PROMETHEUS,
    groups: &[&PROMETHEUS_KEYS, &PARAMS, &server::NESTED, &server::HTTP_KEYS],
    one_of: &[],
};

static PROMETHEUS_KEYS: Group = Group {
    name: "a Prometheus",
    entries: &[
        entry("name", Text, Required, "unique among these; not `api`, not `other`"),
        entry("url", Text, Required, "one; list replicas as sources of their own"),
        entry(
            "external_labels",
            Named(&Quoted),
            Told("it is asked for its configuration"),
            "what it adds to the labels of its alerts",
        ),
        entry(
            "labels",
            Named(&Quoted),
            Told("any alert"),
            "what an alert must have for this Prometheus to be its witness",
        ),
    ],
};
