//! The limits of the guards: a policy's own, else the file's defaults, else ours.

use std::ops::Range;

use homeostat_core::limits::defaults;
use homeostat_core::policy::{GuardLimits, Rate};

use super::super::raw;
use super::super::read::{Field, Problems};
use super::super::report::Problem;
use super::{action, at_least_one, some_time};

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
pub(super) fn check_defaults(guard: &raw::Guard, problems: &mut Problems) {
    rate(&guard.rate, OURS, problems);
    at_least_one(&guard.concurrency, 1, problems);
    at_least_one(&guard.attempts, 1, problems);
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
    defaults: &raw::Guard,
    height: &Height,
    problems: &mut Problems,
) -> GuardLimits {
    let none = raw::Guard::default();
    let own = own.unwrap_or(&none);
    // Problems of the defaults have been reported at their own place.
    let mut known = Problems::default();
    let default_rate = rate(&defaults.rate, OURS, &mut known);
    let default_concurrency =
        at_least_one(&defaults.concurrency, defaults::POLICY_CONCURRENCY, &mut known);
    let limits = GuardLimits {
        cooldown: own.cooldown.value_or(defaults.cooldown.value_or(defaults::COOLDOWN)),
        rate: rate(&own.rate, default_rate, problems),
        concurrency: at_least_one(&own.concurrency, default_concurrency, problems),
        locks: action::locks(&own.locks, problems),
        attempts: attempts(own, defaults, height, problems),
        fresh_max_age: own
            .fresh_max_age
            .value_or(defaults.fresh_max_age.value_or(defaults::FRESH_MAX_AGE)),
    };
    warn_of_a_slow_ladder(own, &limits, height, problems);
    limits
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
