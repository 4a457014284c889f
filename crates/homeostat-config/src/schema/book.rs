//! The top level of a file, and what is about all of it.

use homeostat_core::limits::defaults;

use super::Default::{Count, Flag, Nothing, Rate, Required, Span, Text as Value, Told};
use super::Shape::{Duration, List, Map, Named, Text};
use super::{Group, Shape, TEXTS, Table, access, entry, guard, policy, server, source};
use crate::{keys, limits};

pub(super) static FILE: Table =
    Table { name: "file", keys: &keys::FILE, groups: &[&FILE_KEYS], one_of: &[] };

static FILE_KEYS: Group = Group {
    name: "the file",
    entries: &[
        entry("include", TEXTS, Nothing, "[further files](#several-files), by path or pattern"),
        entry(
            "sources",
            Map(&source::SOURCES),
            Told("nobody"),
            "whom to ask, and by whom to tell people",
        ),
        entry(
            "time_intervals",
            List(&Map(&TIME_INTERVAL)),
            Nothing,
            "times that `guard.freeze` may name, in Alertmanager's format",
        ),
        entry("limits", Map(&LIMITS), Told("below"), "limits of all policies together"),
        entry(
            "defaults",
            Map(&DEFAULTS),
            Told("below"),
            "limits of the guards, where a policy says nothing",
        ),
        entry(
            "notify",
            List(&Map(&CHANNEL)),
            Nothing,
            "commands and webhooks by which people are told, beside Alertmanager",
        ),
        entry(
            "access",
            Map(&access::ACCESS),
            Told("[one token](access.md), or nobody is asked"),
            "who may do what",
        ),
        entry(
            "redact",
            TEXTS,
            Nothing,
            "[regular expressions](hands.md#before-and-after) of secrets in what collectors find",
        ),
        entry(
            "policies",
            List(&Map(&policy::POLICY)),
            Told("every alert is recorded, in shadow"),
            "which remedies fit which alerts; tried in this order",
        ),
    ],
};

static LIMITS: Table =
    Table { name: "limits", keys: &keys::LIMITS, groups: &[&LIMITS_KEYS], one_of: &[] };

static LIMITS_KEYS: Group = Group {
    name: "limits",
    entries: &[
        entry(
            "concurrency",
            Shape::Count,
            Count(defaults::BOOK_CONCURRENCY),
            "orders of all policies that run at once; at least 1",
        ),
        entry(
            "rate",
            Map(&guard::RATE),
            Rate(defaults::BOOK_RATE_MAX, defaults::BOOK_RATE_PER),
            "orders of all policies in a time",
        ),
        entry(
            "teams",
            Named(&Map(&TEAM_LIMITS)),
            Nothing,
            "limits of the policies of one team, by the team's name",
        ),
    ],
};

static TEAM_LIMITS: Table =
    Table { name: "team_limits", keys: &keys::TEAM_LIMITS, groups: &[&TEAM_KEYS], one_of: &[] };

static TEAM_KEYS: Group = Group {
    name: "limits of a team",
    entries: &[
        entry(
            "concurrency",
            Shape::Count,
            Nothing,
            "orders of the team that run at once; at least 1",
        ),
        entry("rate", Map(&guard::RATE), Nothing, "orders of the team in a time"),
    ],
};

static DEFAULTS: Table =
    Table { name: "defaults", keys: &keys::DEFAULTS, groups: &[&DEFAULTS_KEYS], one_of: &[] };

static DEFAULTS_KEYS: Group = Group {
    name: "defaults",
    entries: &[entry(
        "guard",
        Map(&guard::DEFAULT_GUARD),
        Nothing,
        "the guards of every policy that does not say otherwise",
    )],
};

static TIME_INTERVAL: Table = Table {
    name: "time_interval",
    keys: &keys::TIME_INTERVAL,
    groups: &[&INTERVAL_KEYS],
    one_of: &[],
};

static INTERVAL_KEYS: Group = Group {
    name: "a time interval",
    entries: &[
        entry("name", Text, Required, "unique"),
        entry(
            "time_intervals",
            List(&Map(&INTERVAL_PART)),
            Required,
            "its parts, at most 32: a moment lies in it if it lies in one of them",
        ),
    ],
};

static INTERVAL_PART: Table = Table {
    name: "time_interval_part",
    keys: &keys::INTERVAL_PART,
    groups: &[&PART_KEYS],
    one_of: &[],
};

static PART_KEYS: Group = Group {
    name: "a part of a time interval",
    entries: &[
        entry(
            "times",
            List(&Map(&TIME_RANGE)),
            Told("any time"),
            "`{ start_time, end_time }`, `HH:MM` each; the end is not included, and may be `24:00`",
        ),
        entry(
            "weekdays",
            TEXTS,
            Told("any day"),
            "`sunday` to `saturday`, or a range as `monday:friday`",
        ),
        entry(
            "days_of_month",
            TEXTS,
            Told("any day"),
            "`1` to `31`, or `-1` to `-31` from the month's end, or a range as `-3:-1`",
        ),
        entry(
            "months",
            TEXTS,
            Told("any month"),
            "`january` to `december` or `1` to `12`, or a range",
        ),
        entry("years", TEXTS, Told("any year"), "a year, or a range as `2026:2028`"),
        entry("location", Text, Value("UTC"), "the time zone, by its IANA name"),
    ],
};

static TIME_RANGE: Table =
    Table { name: "time_range", keys: &keys::TIME_RANGE, groups: &[&RANGE_KEYS], one_of: &[] };

static RANGE_KEYS: Group = Group {
    name: "a time range",
    entries: &[
        entry("start_time", Shape::Text, Required, "`HH:MM`, included"),
        entry("end_time", Shape::Text, Required, "`HH:MM` up to `24:00`, not included"),
    ],
};

static CHANNEL: Table = Table {
    name: "channel",
    keys: &keys::CHANNEL,
    groups: &[&CHANNEL_KEYS],
    one_of: &["exec", "webhook"],
};

static CHANNEL_KEYS: Group = Group {
    name: "a channel",
    entries: &[
        entry("name", Text, Required, "unique"),
        entry("exec", TEXTS, Nothing, "a program and its arguments; no shell, no placeholders"),
        entry("webhook", Map(&WEBHOOK), Nothing, "a URL that gets a POST"),
        entry(
            "timeout",
            Duration,
            Span(limits::CHANNEL_TIMEOUT),
            "how long one try may take; `1s` to `5m`",
        ),
        entry(
            "send_resolved",
            Shape::Flag,
            Flag(true),
            "whether it is told, too, that the trouble is over",
        ),
    ],
};

static WEBHOOK: Table = Table {
    name: "channel_webhook",
    keys: &keys::WEBHOOK,
    groups: &[&WEBHOOK_KEYS, &server::NESTED, &server::HTTP_KEYS],
    one_of: &["url", "url_file"],
};

static WEBHOOK_KEYS: Group = Group {
    name: "a webhook that tells",
    entries: &[
        entry("url", Text, Nothing, "where to POST; shown nowhere, as it often holds a secret"),
        entry(
            "url_file",
            Text,
            Nothing,
            "a file that holds the URL, in place of `url`; read again when it changes",
        ),
    ],
};
