//! The keys of guards and of their limits.

use super::{Keys, MATCHERS_HELP, MUTE_HELP, habit};

/// A rate, of `limits` or of `guard`.
pub(crate) static RATE: Keys = Keys {
    of: "a rate",
    known: &["max", "per"],
    later: &[],
    habits: &[
        habit("window", "per", "write `per`"),
        habit("limit", "max", "write `max`"),
        habit("every", "per", "write `per`"),
    ],
};

/// `guard` of a policy.
pub(crate) static GUARD: Keys = Keys {
    of: "guard",
    known: &[
        "cooldown",
        "rate",
        "concurrency",
        "lock",
        "attempts",
        "fresh",
        "freeze",
        "watchdog",
        "flap",
        "breaker",
        "dry_run",
        "blast_radius",
        "storm",
    ],
    later: &[],
    habits: &[
        habit("mute_time_intervals", "freeze", "write freeze: [NAME]"),
        habit("time_intervals", "", MUTE_HELP),
        habit("deadman", "watchdog", "write watchdog: { matchers: […], max_age: 5m }"),
        habit("circuit_breaker", "breaker", "write breaker: { failures: 3, of: 5, after: 15m }"),
        habit("locks", "lock", "write `lock`, a list"),
        habit("max_attempts", "attempts", "write `attempts`"),
        habit("max_age", "fresh", "write fresh: { max_age: … }"),
        habit("gitops", "", "it stands in the policy, beside `guard`"),
    ],
};

/// `defaults.guard`.
pub(crate) static DEFAULT_GUARD: Keys = Keys {
    of: "defaults.guard",
    known: &[
        "cooldown",
        "rate",
        "concurrency",
        "attempts",
        "fresh",
        "freeze",
        "watchdog",
        "flap",
        "breaker",
        "dry_run",
    ],
    later: &[],
    habits: &[
        habit("lock", "", "a lock belongs to the `guard` of each policy that needs it"),
        habit("blast_radius", "", "a blast radius counts the targets of one policy: say it there"),
        habit("storm", "", "a storm is one of the targets of one policy: say it there"),
    ],
};

/// `guard.blast_radius`.
pub(crate) static BLAST_RADIUS: Keys = Keys {
    of: "guard.blast_radius",
    known: &["max", "percent", "min", "window", "inventory"],
    later: &[],
    habits: &[
        habit("per", "window", "write `window`"),
        habit("max_unhealthy", "max", "write `max`, or `percent` with an `inventory`"),
        habit("query", "inventory", "write `inventory`"),
        habit("total", "inventory", "write `inventory`: PromQL that counts all targets"),
    ],
};

/// `guard.storm`.
pub(crate) static STORM: Keys = Keys {
    of: "guard.storm",
    known: &["percent", "min", "cool_down", "inventory"],
    later: &[],
    habits: &[
        habit("cooldown", "cool_down", "write `cool_down`"),
        habit("threshold", "percent", "write `percent`"),
        habit("query", "inventory", "write `inventory`"),
    ],
};

/// `guard.fresh`.
pub(crate) static FRESH: Keys =
    Keys { of: "guard.fresh", known: &["max_age"], later: &[], habits: &[] };

/// `guard.watchdog`.
pub(crate) static WATCHDOG: Keys = Keys {
    of: "guard.watchdog",
    known: &["matchers", "max_age"],
    later: &["query"],
    habits: &[
        habit("match", "matchers", MATCHERS_HELP),
        habit("matcher", "matchers", MATCHERS_HELP),
        habit("alert", "matchers", "write matchers: ['alertname=\"Watchdog\"']"),
        habit("alertname", "matchers", "write matchers: ['alertname=\"Watchdog\"']"),
        habit("timeout", "max_age", "write `max_age`"),
        habit("within", "max_age", "write `max_age`"),
    ],
};

/// `guard.flap`.
pub(crate) static FLAP: Keys = Keys {
    of: "guard.flap",
    known: &["half_life", "suppress", "reuse"],
    later: &[],
    habits: &[habit("max_suppress_time", "", "it is four half-lives: write `half_life`")],
};

/// `guard.breaker`.
pub(crate) static BREAKER: Keys = Keys {
    of: "guard.breaker",
    known: &["failures", "of", "after", "shared"],
    later: &[],
    habits: &[
        habit("threshold", "failures", "write `failures`"),
        habit("window", "of", "write `of`, a number of results"),
        habit("timeout", "after", "write `after`"),
        habit("reset_timeout", "after", "write `after`"),
    ],
};
