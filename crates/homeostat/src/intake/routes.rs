//! Whether an Alertmanager would tell us of an alert now, by its own routes.
//!
//! An alert goes down the tree of routes as in Alertmanager: to the deepest that take it, and past
//! one that says `continue` to those after it. A route tells of it once its group has waited, and
//! while it is not mute. Silences and inhibition are not here: the listing says these.
//!
//! Source: `Route.Match` in `dispatch/route.go`; `TimeMuteStage` and `TimeActiveStage` in
//! `notify/notify.go` of Alertmanager.

use homeostat_core::interval;
use homeostat_core::label::LabelSet;
use homeostat_core::time::{Span, Timestamp};

use homeostat_config::alertmanager::Route;

/// Finds the receivers that are told of an alert at a moment, which began so long before.
pub(super) fn told<'a>(
    root: &'a Route,
    labels: &LabelSet,
    age: Span,
    now: Timestamp,
) -> Vec<&'a str> {
    let mut taking = Vec::new();
    take(root, labels, &mut taking);
    taking
        .into_iter()
        .filter(|route| age >= route.group_wait && !is_mute(route, now))
        .map(|route| route.receiver.as_str())
        .collect()
}

/// Finds the routes at which an alert ends; tells whether there is one.
fn take<'a>(route: &'a Route, labels: &LabelSet, taking: &mut Vec<&'a Route>) -> bool {
    if !route.matchers.matches(labels) {
        return false;
    }
    let mut is_taken = false;
    for below in &route.routes {
        let takes = take(below, labels, taking);
        is_taken |= takes;
        if takes && !below.continues {
            break;
        }
    }
    if !is_taken {
        taking.push(route);
    }
    true
}

fn is_mute(route: &Route, now: Timestamp) -> bool {
    let covers = |intervals| interval::cover(intervals, now).is_some();
    covers(&route.mute) || (!route.active.is_empty() && !covers(&route.active))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Sunday.
    const NOON: &str = "2026-11-22T12:00:00Z";

    fn told_of(text: &str, labels: &[(&str, &str)], seconds: u64) -> Vec<String> {
        let root = Route::read(text).unwrap();
        let labels = LabelSet::from_pairs(labels.iter().copied());
        let told = told(&root, &labels, Span::from_secs(seconds), NOON.parse().unwrap());
        told.into_iter().map(str::to_owned).collect()
    }

    const TREE: &str = "
route:
  receiver: all
  group_wait: 10s
  routes:
  - { receiver: first, matchers: [job=web], continue: true, group_wait: 5m }
  - receiver: second
    matchers: [job=~\"web|db\"]
    routes:
    - { receiver: deep, matchers: [severity=page] }
  - { receiver: third, match: { job: web } }
";

    #[test]
    fn an_alert_goes_to_the_deepest_routes_that_take_it() {
        for (labels, receivers) in [
            (&[("job", "web")][..], &["first", "second"][..]),
            (&[("job", "web"), ("severity", "page")], &["first", "deep"]),
            (&[("job", "db")], &["second"]),
            (&[("job", "other")], &["all"]),
        ] {
            assert_eq!(told_of(TREE, labels, 300), receivers, "{labels:?}");
        }
    }

    #[test]
    fn each_route_waits_for_its_own_group() {
        assert_eq!(told_of(TREE, &[("job", "web")], 299), ["second"]);
        assert!(told_of(TREE, &[("job", "web")], 9).is_empty());
        assert!(told_of("route: { receiver: x }", &[], 29).is_empty());
        assert_eq!(told_of("route: { receiver: x }", &[], 30), ["x"]);
    }

    #[test]
    fn a_route_is_mute_in_its_mute_times_and_out_of_its_active_ones() {
        for (times, is_told) in [
            ("mute_time_intervals: [sunday]", false),
            ("mute_time_intervals: [monday]", true),
            ("mute_time_intervals: [monday, sunday]", false),
            ("active_time_intervals: [sunday]", true),
            ("active_time_intervals: [monday]", false),
            ("active_time_intervals: [monday, sunday]", true),
            ("active_time_intervals: [sunday], mute_time_intervals: [sunday]", false),
            ("active_time_intervals: [], mute_time_intervals: []", true),
        ] {
            let text = format!(
                "route: {{ receiver: x, group_wait: 0s, {times} }}
time_intervals:
- {{ name: sunday, time_intervals: [{{ weekdays: [sunday] }}] }}
- {{ name: monday, time_intervals: [{{ weekdays: [monday] }}] }}
"
            );
            assert_eq!(told_of(&text, &[], 0).len(), usize::from(is_told), "{times}");
        }
    }
}
