//! Guards, and their limits.

use homeostat_core::limits::defaults;

use super::Default::{Count, Flag, Nothing, Rate, Required, Span, Text as Value, Told};
use super::Shape::{Duration, Either, Map, Text, Word};
use super::{Group, Shape, TEXTS, Table, entry};
use crate::keys;

pub(super) static RATE: Table =
    Table { name: "rate", keys: &keys::RATE, groups: &[&RATE_KEYS], one_of: &[] };

static RATE_KEYS: Group = Group {
    name: "a rate",
    entries: &[
        entry("max", Shape::Count, Required, "so many orders; not zero"),
        entry("per", Duration, Required, "in this time; not zero"),
    ],
};

pub(super) static GUARD: Table =
    Table { name: "guard", keys: &keys::GUARD, groups: &[&COMMON, &OF_A_POLICY], one_of: &[] };

pub(super) static DEFAULT_GUARD: Table =
    Table { name: "default_guard", keys: &keys::DEFAULT_GUARD, groups: &[&COMMON], one_of: &[] };

static COMMON: Group = Group {
    name: "guard",
    entries: &[
        entry(
            "cooldown",
            Duration,
            Span(defaults::COOLDOWN),
            "time between two healings of one target; doubled, up to a day, for each one in a \
                 row that did not hold",
        ),
        entry(
            "rate",
            Map(&RATE),
            Rate(defaults::POLICY_RATE_MAX, defaults::POLICY_RATE_PER),
            "orders of the policy in a time",
        ),
        entry(
            "concurrency",
            Shape::Count,
            Count(defaults::POLICY_CONCURRENCY),
            "orders of the policy that run at once; at least 1",
        ),
        entry(
            "attempts",
            Shape::Count,
            Told("all remedies with their retries"),
            "orders that one incident may have; at least 1",
        ),
        entry(
            "fresh",
            Map(&FRESH),
            Told("below"),
            "how young a notification must be where nobody can be asked",
        ),
        entry(
            "freeze",
            TEXTS,
            Nothing,
            "names of `time_intervals` in which nothing is done; at most 16",
        ),
        entry(
            "watchdog",
            Either(&[NONE, Map(&WATCHDOG)]),
            Value("none"),
            "an alert without which nothing is done",
        ),
        entry("flap", Either(&[NONE, Map(&FLAP)]), Value("none"), "damps targets that come and go"),
        entry(
            "breaker",
            Either(&[NONE, Map(&BREAKER)]),
            Told("below"),
            "stops a remedy that fails; or `none`",
        ),
        entry(
            "dry_run",
            Shape::Flag,
            Flag(true),
            "whether a hand that can do so is asked first what would come of it",
        ),
    ],
};

const NONE: Shape = Word(&["none"]);

static OF_A_POLICY: Group = Group {
    name: "guard of a policy",
    entries: &[
        entry(
            "lock",
            TEXTS,
            Told("the target alone"),
            "further keys to lock, shared by all policies that name them; may have placeholders",
        ),
        entry(
            "blast_radius",
            Map(&BLAST_RADIUS),
            Told("any number"),
            "how many targets may be acted on in a time",
        ),
        entry(
            "storm",
            Map(&STORM),
            Nothing,
            "what stops or slows the policy while very many targets fire",
        ),
    ],
};

static FRESH: Table =
    Table { name: "fresh", keys: &keys::FRESH, groups: &[&FRESH_KEYS], one_of: &[] };

static FRESH_KEYS: Group = Group {
    name: "guard.fresh",
    entries: &[entry(
        "max_age",
        Duration,
        Span(defaults::FRESH_MAX_AGE),
        "how young a notification must be where nobody can be asked",
    )],
};

static WATCHDOG: Table =
    Table { name: "watchdog", keys: &keys::WATCHDOG, groups: &[&WATCHDOG_KEYS], one_of: &[] };

static WATCHDOG_KEYS: Group = Group {
    name: "guard.watchdog",
    entries: &[
        entry(
            "matchers",
            TEXTS,
            Required,
            "which alerts are the watchdog; one that is heard of is enough",
        ),
        entry(
            "max_age",
            Duration,
            Span(defaults::WATCHDOG_MAX_AGE),
            "how long it may go unmentioned; at least `1s`",
        ),
    ],
};

static FLAP: Table = Table { name: "flap", keys: &keys::FLAP, groups: &[&FLAP_KEYS], one_of: &[] };

static FLAP_KEYS: Group = Group {
    name: "guard.flap",
    entries: &[
        entry(
            "half_life",
            Duration,
            Span(defaults::FLAP_HALF_LIFE),
            "the time in which the penalty halves; `1s` to `2h`",
        ),
        entry(
            "suppress",
            Shape::Count,
            Count(defaults::FLAP_SUPPRESS),
            "a target whose penalty rises above this is left alone",
        ),
        entry(
            "reuse",
            Shape::Count,
            Count(defaults::FLAP_REUSE),
            "until its penalty has fallen to this",
        ),
    ],
};

static BREAKER: Table =
    Table { name: "breaker", keys: &keys::BREAKER, groups: &[&BREAKER_KEYS], one_of: &[] };

static BREAKER_KEYS: Group = Group {
    name: "guard.breaker",
    entries: &[
        entry(
            "failures",
            Shape::Count,
            Count(defaults::BREAKER_FAILURES),
            "it opens at so many failures; at least 1",
        ),
        entry(
            "of",
            Shape::Count,
            Count(defaults::BREAKER_OF),
            "of so many last results; at most 10",
        ),
        entry(
            "after",
            Duration,
            Span(defaults::BREAKER_AFTER),
            "how long after the last failure one trial may pass; at least `1s`",
        ),
        entry(
            "shared",
            Text,
            Nothing,
            "the name of a breaker that all policies share which name it",
        ),
    ],
};

static BLAST_RADIUS: Table =
    Table { name: "blast_radius", keys: &keys::BLAST_RADIUS, groups: &[&RADIUS_KEYS], one_of: &[] };

static RADIUS_KEYS: Group = Group {
    name: "guard.blast_radius",
    entries: &[
        entry("window", Duration, Required, "in which time targets are counted; `1s` to `7d`"),
        entry(
            "max",
            Shape::Count,
            Nothing,
            "how many targets; at least 1; required without `percent`",
        ),
        entry(
            "percent",
            Shape::Count,
            Nothing,
            "a share of all targets, rounded down; 1 to 100; needs `inventory`",
        ),
        entry(
            "min",
            Shape::Count,
            Count(0),
            "what may be touched however few there are; only with `percent`",
        ),
        entry("inventory", Text, Nothing, "PromQL that counts all targets; only with `percent`"),
    ],
};

static STORM: Table =
    Table { name: "storm", keys: &keys::STORM, groups: &[&STORM_KEYS], one_of: &[] };

static STORM_KEYS: Group = Group {
    name: "guard.storm",
    entries: &[
        entry(
            "percent",
            Shape::Count,
            Count(defaults::STORM_PERCENT),
            "it begins when this share of the inventory fires, rounded up; 1 to 100",
        ),
        entry(
            "min",
            Shape::Count,
            Count(defaults::STORM_MIN),
            "and at least so many targets; at least 1",
        ),
        entry(
            "cool_down",
            Duration,
            Span(defaults::STORM_COOL_DOWN),
            "how long fewer must fire before it is over; at least `1s`",
        ),
        entry("inventory", Text, Told("that of `blast_radius`"), "PromQL that counts all targets"),
    ],
};
