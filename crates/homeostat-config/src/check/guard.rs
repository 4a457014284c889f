//! The limits of the guards: a policy's own, else the file's defaults, else ours.

use std::collections::BTreeSet;
use std::ops::Range;

use homeostat_core::limits::{
    CIRCUIT_MARKS, FLAP_HALF_LIFE_MAX, FLAP_HALF_LIVES, FLAP_PENALTY, WATCHDOGS, defaults,
};
use homeostat_core::name::CircuitName;
use homeostat_core::policy::{Breaker, Damping, GuardLimits, Managed, Policy, Rate, Watchdog};

use super::interval::Intervals;
use super::{Surroundings, action, at_least_one, inventory, is_name, policy, some_time};
use crate::raw::guard::{Choice, Switch};
use crate::read::{Field, Problems, Spanned, Text};
use crate::report::Problem;
use crate::{limits, raw};

/// How many orders a ladder can come to.
pub(super) struct Height {
    /// All runs of all rungs, retries included.
    pub(super) orders: u32,
    /// Further runs that a crash may make necessary: one for each idempotent rung.
    pub(super) spare: u32,
    /// Where the ladder stands.
    pub(super) span: Range<usize>,
}

/// Checks defaults on their own, so that what is wrong with them is said once and at their place.
pub(super) fn check_defaults(guard: &raw::Guard, intervals: &Intervals, problems: &mut Problems) {
    rate(&guard.rate, OURS, problems);
    at_least_one(&guard.concurrency, 1, problems);
    at_least_one(&guard.attempts, 1, problems);
    intervals.named(names(&guard.freeze), problems);
    on(&guard.watchdog).map(|raw| watchdog(raw, problems));
    on(&guard.flap).map(|raw| flap(raw, problems));
    on(&guard.breaker).map(|raw| breaker(raw, problems));
}

const OURS: Rate = Rate { max: defaults::POLICY_RATE_MAX, per: defaults::POLICY_RATE_PER };

/// Checks a rate; what it leaves out is the default's.
pub(super) fn rate(field: &Field<raw::Rate>, default: Rate, problems: &mut Problems) -> Rate {
    let Some(given) = field.given() else { return default };
    for (half, missing) in [("max", given.max.is_absent()), ("per", given.per.is_absent())] {
        if missing {
            let message = format!("this rate has no `{half}`");
            let problem = Problem::error(given.span.clone(), message);
            problems.report(problem.help("write both, as in rate: { max: 6, per: 1h }"));
        }
    }
    Rate {
        max: at_least_one(&given.max, default.max, problems),
        per: some_time(&given.per, default.per, problems),
    }
}

/// Fills in the limits of one policy.
pub(super) fn check(
    own: Option<&raw::Guard>,
    surroundings: &Surroundings<'_>,
    height: &Height,
    problems: &mut Problems,
) -> GuardLimits {
    let Surroundings { defaults, intervals, .. } = surroundings;
    let none = raw::Guard::default();
    let own = own.unwrap_or(&none);
    // Problems of the defaults have been reported at their own place.
    let mut known = Problems::default();
    let default_rate = rate(&defaults.rate, OURS, &mut known);
    let default_concurrency =
        at_least_one(&defaults.concurrency, defaults::POLICY_CONCURRENCY, &mut known);
    let guard = GuardLimits {
        cooldown: own.cooldown.value_or(defaults.cooldown.value_or(defaults::COOLDOWN)),
        rate: rate(&own.rate, default_rate, problems),
        concurrency: at_least_one(&own.concurrency, default_concurrency, problems),
        locks: action::locks(&own.locks, problems),
        attempts: attempts(own, defaults, height, problems),
        fresh_max_age: own
            .fresh_max_age
            .value_or(defaults.fresh_max_age.value_or(defaults::FRESH_MAX_AGE)),
        freeze: match &own.freeze {
            Field::Absent => intervals.named(names(&defaults.freeze), &mut known),
            Field::Given(_) | Field::Wrong => intervals.named(names(&own.freeze), problems),
        },
        watchdog: match &own.watchdog {
            Field::Absent => on(&defaults.watchdog).map(|raw| watchdog(raw, &mut known)),
            Field::Given(_) | Field::Wrong => on(&own.watchdog).map(|raw| watchdog(raw, problems)),
        },
        flap: match &own.flap {
            Field::Absent => on(&defaults.flap).map(|raw| flap(raw, &mut known)),
            Field::Given(_) | Field::Wrong => on(&own.flap).map(|raw| flap(raw, problems)),
        },
        breaker: match (&own.breaker, &defaults.breaker) {
            (Field::Absent, Field::Absent) => Some(Breaker::default()),
            (Field::Absent, _) => on(&defaults.breaker).map(|raw| breaker(raw, &mut known)),
            (_, _) => on(&own.breaker).map(|raw| breaker(raw, problems)),
        },
        blast_radius: inventory::blast_radius(own, surroundings, problems),
        storm: inventory::storm(own, surroundings, problems),
        dry_run: own.dry_run.value_or(defaults.dry_run.value_or(true)),
        managed: Managed::Ask,
    };
    warn_of_a_slow_ladder(own, &guard, height, problems);
    guard
}

fn names(field: &Field<Spanned<Vec<Text>>>) -> &[Text] {
    field.given().map_or(&[], |list| &list.value)
}

/// What is given and not switched off.
fn on<T>(switch: &Switch<T>) -> Option<&T> {
    match switch.given()? {
        Choice::Map(map) => Some(map),
        Choice::Nothing => None,
    }
}

fn watchdog(raw: &raw::guard::Watchdog, problems: &mut Problems) -> Watchdog {
    let matchers = policy::parsed(names(&raw.matchers), problems);
    let meant = !matches!(raw.matchers, Field::Wrong) && names(&raw.matchers).is_empty();
    if meant {
        let span = raw.matchers.given().map_or_else(|| raw.span.clone(), |list| list.span.clone());
        let problem = Problem::error(span, "this watchdog does not say which alert it is");
        problems.report(problem.help("write matchers: ['alertname=\"Watchdog\"']"));
    }
    Watchdog { matchers, max_age: some_time(&raw.max_age, defaults::WATCHDOG_MAX_AGE, problems) }
}

fn flap(raw: &raw::guard::Flap, problems: &mut Problems) -> Damping {
    let usual = Damping::default();
    let half_life = some_time(&raw.half_life, usual.half_life, problems);
    if let Some(given) = raw.half_life.given().filter(|_| half_life > FLAP_HALF_LIFE_MAX) {
        let message = format!("a half-life is at most {FLAP_HALF_LIFE_MAX}");
        problems.report(Problem::error(given.span.clone(), message));
    }
    let suppress = at_least_one(&raw.suppress, usual.suppress, problems);
    let reuse = at_least_one(&raw.reuse, usual.reuse, problems);
    let ceiling = reuse.saturating_mul(1 << FLAP_HALF_LIVES);
    let wrong = if suppress > limits::FLAP_THRESHOLD || reuse > limits::FLAP_THRESHOLD {
        Some(format!("`suppress` and `reuse` are at most {}", limits::FLAP_THRESHOLD))
    } else if reuse >= suppress {
        Some(format!("`reuse` ({reuse}) must be less than `suppress` ({suppress})"))
    } else if suppress >= ceiling {
        Some(format!(
            "no penalty rises above `suppress` ({suppress}): the highest is {ceiling}, 16 times \
             `reuse`"
        ))
    } else {
        None
    };
    if let Some(message) = wrong {
        let problem = Problem::error(raw.span.clone(), message);
        problems.report(problem.help(format!("each flap adds {FLAP_PENALTY}")));
    }
    Damping { half_life, suppress, reuse }
}

fn breaker(raw: &raw::guard::Breaker, problems: &mut Problems) -> Breaker {
    let usual = Breaker::default();
    let failures = at_least_one(&raw.failures, usual.failures, problems);
    let of = at_least_one(&raw.of, usual.of.max(failures), problems);
    let most = u32::try_from(CIRCUIT_MARKS).unwrap_or(u32::MAX);
    let wrong = if of > most {
        Some(format!("a breaker counts at most the last {most} results"))
    } else if failures > of {
        Some(format!("there are never {failures} failures of the last {of} results"))
    } else {
        None
    };
    if let Some(message) = wrong {
        problems.report(Problem::error(raw.span.clone(), message));
    }
    let shared = raw.shared.given().filter(|name| named(name, problems));
    let shared = shared.map(|name| CircuitName::new(&name.value));
    Breaker { failures, of, after: some_time(&raw.after, usual.after, problems), shared }
}

/// Tells whether policies can share a breaker by this name.
fn named(name: &Text, problems: &mut Problems) -> bool {
    if is_name(&name.value) {
        return true;
    }
    let problem = Problem::error(name.span.clone(), "this cannot be the name of a breaker");
    problems.report(problem.help(super::name_help()));
    false
}

/// Each new alert is compared with all watchdogs.
pub(super) fn check_watchdogs(raw: &[raw::Policy], policies: &[Policy], problems: &mut Problems) {
    let mut known = BTreeSet::new();
    for (raw, policy) in raw.iter().zip(policies) {
        let Some(watchdog) = &policy.guard.watchdog else { continue };
        if known.insert(watchdog.key()) && known.len() > WATCHDOGS {
            let message = format!("more than {WATCHDOGS} watchdogs that have different matchers");
            let problem = Problem::error(raw.span.clone(), message);
            return problems.report(problem.help("one watchdog can serve many policies"));
        }
    }
}

/// A ladder that its own attempts make unreachable is refused: its last rung would be dead text.
fn attempts(
    own: &raw::Guard,
    defaults: &raw::Guard,
    height: &Height,
    problems: &mut Problems,
) -> u32 {
    let needed = height.orders.saturating_add(height.spare).max(1);
    let given = own.attempts.given().or(defaults.attempts.given());
    let Some(attempts) = given else { return needed };
    if own.attempts.given().is_some() {
        at_least_one(&own.attempts, needed, problems);
    }
    if attempts.value > 0 && attempts.value < height.orders {
        let (allowed, orders) = (attempts.value, height.orders);
        let place = match own.attempts.given() {
            Some(attempts) => attempts.span.clone(),
            None => height.span.clone(),
        };
        let message = format!(
            "{allowed} attempts cannot climb this ladder: with its retries it has {orders} orders"
        );
        problems.report(Problem::error(place, message).help(format!(
            "write `attempts: {orders}` or more, or leave it out: it counts the ladder by itself"
        )));
    }
    attempts.value.max(1)
}

fn warn_of_a_slow_ladder(
    own: &raw::Guard,
    limits: &GuardLimits,
    height: &Height,
    problems: &mut Problems,
) {
    let max = limits.rate.max;
    let wrong = own.rate.given().is_some_and(|rate| rate.max.value_or(max) != max);
    if height.orders <= max || wrong {
        return;
    }
    let place = own.rate.given().map_or_else(|| height.span.clone(), |rate| rate.span.clone());
    let message = format!(
        "this ladder has {} orders, more than the rate lets pass at once ({max}): each further one \
         waits {}",
        height.orders,
        limits.rate.cost()
    );
    problems.report(Problem::warning(place, message).help("allow at least one ladder in `rate`"));
}
