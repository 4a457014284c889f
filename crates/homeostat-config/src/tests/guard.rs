//! The guards' limits, and the time intervals that one of them names.

use homeostat_core::policy::{Breaker, Damping, GuardLimits};
use homeostat_core::time::Timestamp;

use super::*;

fn guard(lines: &str) -> GuardLimits {
    let text = policy(lines);
    let config = parse("homeostat.yml", &text).unwrap_or_else(|report| panic!("{report}"));
    config.book.policies()[0].guard.clone()
}

const HOURS: &str = "\
time_intervals:
  - name: business-hours
    time_intervals:
      - times: [{ start_time: '09:00', end_time: '17:00' }]
        weekdays: ['monday:friday']
        location: Europe/Berlin
  - name: month-end
    time_intervals:
      - { days_of_month: ['-2:-1'], months: [january, 'November:december', '3'], years: [2026] }
      - { times: [{ start_time: 23:00, end_time: 24:00 }] }
";

#[test]
fn the_guards_that_look_back_have_these_defaults() {
    let limits = guard("guard: {}");
    assert_eq!(limits.breaker, Some(Breaker::default()));
    assert_eq!((limits.watchdog, limits.flap, limits.freeze), (None, None, Vec::new()));
    let limits = guard("guard: { flap: {}, breaker: none, watchdog: { matchers: [a=b] } }");
    assert_eq!((limits.flap, limits.breaker), (Some(Damping::default()), None));
    let watchdog = limits.watchdog.unwrap();
    assert_eq!(watchdog.key().as_ref(), "{a = \"b\"}");
    assert_eq!(watchdog.max_age, defaults::WATCHDOG_MAX_AGE);
    let limits = guard("guard: { breaker: { failures: 7 } }");
    assert_eq!(limits.breaker.map(|breaker| (breaker.failures, breaker.of)), Some((7, 7)));

    let shared = guard("guard: { breaker: { shared: fleet-reboot } }").breaker.unwrap();
    assert_eq!(shared.shared.map(|name| name.to_string()).as_deref(), Some("fleet-reboot"));
    assert_eq!((shared.failures, shared.of), (3, 5));
}

#[test]
fn a_policy_goes_before_the_defaults_and_may_switch_them_off() {
    let defaults = "defaults: { guard: { flap: {}, freeze: [month-end], breaker: none, \
         watchdog: { matchers: ['alertname=\"Watchdog\"'], max_age: 2m } } }\n";
    let policies = "policies:
  - { name: a, matchers: [a=b], mode: shadow, remedies: [] }
  - name: b
    matchers: [a=c]
    mode: shadow
    remedies: []
    guard: { flap: none, freeze: [business-hours], breaker: {}, watchdog: none }
";
    let config = parse("homeostat.yml", &format!("{HOURS}{defaults}{policies}"));
    let config = config.unwrap_or_else(|report| panic!("{report}"));
    let [a, b] = config.book.policies() else { panic!("two policies") };
    let names = |guard: &GuardLimits| {
        guard.freeze.iter().map(|interval| interval.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&a.guard), ["month-end"]);
    assert_eq!((a.guard.flap, a.guard.breaker.clone()), (Some(Damping::default()), None));
    assert!(a.guard.watchdog.is_some());
    assert_eq!(names(&b.guard), ["business-hours"]);
    assert_eq!((b.guard.flap, b.guard.breaker.clone()), (None, Some(Breaker::default())));
    assert!(b.guard.watchdog.is_none());
    assert_eq!(config.book.watchdogs().len(), 1);
}

#[test]
fn intervals_of_alertmanager_are_read_as_they_are_there() {
    let named = "policies: [{ name: a, matchers: [a=b], mode: shadow, remedies: [], \
         guard: { freeze: [business-hours, month-end] } }]\n";
    let config = parse("homeostat.yml", &format!("{HOURS}{named}"));
    let config = config.unwrap_or_else(|report| panic!("{report}"));
    let freeze = &config.book.policies()[0].guard.freeze;
    for (now, until) in [
        ("2026-07-06T08:00:00Z", Some("2026-07-06T17:00 Europe/Berlin")),
        ("2026-07-06T22:59:59Z", None),
        ("2026-07-06T23:00:00Z", Some("2026-07-07T00:00 UTC")),
        ("2026-11-28T20:00:00Z", None),
        ("2026-11-29T20:00:00Z", Some("2026-12-01T00:00 UTC")),
        ("2026-03-31T20:00:00Z", Some("2026-04-01T00:00 UTC")),
        ("2027-01-31T20:00:00Z", None),
    ] {
        let now: Timestamp = now.parse().unwrap();
        let cover = homeostat_core::interval::cover(freeze, now);
        assert_eq!(cover.map(|cover| cover.local).as_deref(), until, "{now}");
    }
}

#[test]
fn an_interval_that_is_not_there_is_an_error_with_the_one_that_was_meant() {
    let named = "guard: { freeze: [busines-hours, x, month-end, month-end] }";
    insta::assert_snapshot!(problems(&format!("{HOURS}{}", policy(named))), @r#"
        13:23 there is no time interval "busines-hours"
          => did you mean "business-hours"?
        13:38 there is no time interval "x"
          => there are: business-hours, month-end
        13:52 "month-end" is named twice
        "#);
    insta::assert_snapshot!(of_policy("guard: { freeze: [nights] }"), @r#"
        1:23 there is no time interval "nights"
          => define it under `time_intervals`, at the top level of the file
        "#);
    insta::assert_snapshot!(of_policy("guard: { freeze: nights }"), @r#"
        1:22 expected a list of texts, found a text
          => write a list: freeze: ["nights"]
        "#);
}

#[test]
fn what_alertmanager_refuses_in_an_interval_is_refused() {
    let text = "\
time_intervals:
  - name: a
    time_intervals:
      - times:
          - { start_time: '9:00', end_time: '17:00' }
          - { start_time: '22:00', end_time: '06:00' }
          - { start_time: '24:01' }
        weekdays: ['friday:monday', mondy, '1']
        days_of_month: ['0', '32', '-1:1', '5:-28', 'first']
        months: ['13', 'december:january', 'octobre']
        years: ['2027:2026', '-1', 'x']
        location: Europe/Berlim
      - { times: [], location: Local, time_zone: UTC }
  - name: a
  - { name: b, times: [] }
policies: []
";
    insta::assert_snapshot!(problems(text), @r#"
        5:27 "9:00" is not a time of the day
          => write hours and minutes, from "00:00" to "24:00"
        6:13 this time range ends before it begins
          => a range lies within one day: write two, one to "24:00" and one from "00:00"
        7:13 this time range has no `end_time`
          => write both, as in { start_time: "09:00", end_time: "17:00" }
        7:27 "24:01" is not a time of the day
          => write hours and minutes, from "00:00" to "24:00"
        8:20 "friday:monday" ends before it begins
          => write two ranges
        8:37 "mondy" is not a weekday
          => did you mean "monday"?
        8:44 "1" is not a weekday
          => write a weekday, or a range as "first:last"
        9:25 days of the month are 1 to 31, or -1 to -31 from its end
        9:30 days of the month are 1 to 31, or -1 to -31 from its end
        9:36 a range that begins from the month's end must end from it, too
        9:44 this range ends before it begins
        9:53 "first" is not a day of the month
          => write a day of the month, or a range as "first:last"
        10:18 "13" is not a month
        10:24 "december:january" ends before it begins
          => write two ranges
        10:44 "octobre" is not a month
          => did you mean "october"?
        11:17 "2027:2026" ends before it begins
          => write two ranges
        11:30 "-1" is not a year
        11:36 "x" is not a year
          => write a year, or a range as "first:last"
        12:19 there is no time zone "Europe/Berlim"
          => did you mean "Europe/Berlin"?
        13:18 an empty list contains no time
          => to mean any, leave the key out
        13:32 there is no time zone "Local"
          => name the zone, so that it is the same wherever the engine runs
        13:39 unknown key "time_zone" in a part of a time interval
          => write `location`
        14:5 this time interval has no `time_intervals`
          => write when it is, as in time_intervals: [{ weekdays: ["monday:friday"] }]
        14:11 a second time interval is named "a"
          => names are unique
        15:16 unknown key "times" in a time interval
          => as in Alertmanager, it stands in a list of its own: time_intervals: [{ weekdays:
            ["monday:friday"] }]
        16:11 warning: there are no policies
          => until there are, every alert is recorded in shadow
        "#);
}

#[test]
fn limits_that_make_no_sense_are_errors() {
    let text = of_policy(
        "guard:
  watchdog: { max_age: 0s }
  flap: { half_life: 3h, suppress: 500 }
  breaker: { failures: 6, of: 5 }",
    );
    insta::assert_snapshot!(text, @r#"
        2:17 this watchdog does not say which alert it is
          => write matchers: ['alertname="Watchdog"']
        2:28 must be at least 1s
        3:13 `reuse` (750) must be less than `suppress` (500)
          => each flap adds 1000
        3:26 a half-life is at most 2h
        4:16 there are never 6 failures of the last 5 results
        "#);
    let text = of_policy(
        "guard:
  watchdog: { matchers: ['a=~\"(\"'], query: up }
  flap: { suppress: 12000 }
  breaker: { of: 11, threshold: 3 }",
    );
    insta::assert_snapshot!(text, @r#"
        2:35 group is not closed
          => to mean the parenthesis itself, write \(
        2:41 `query` is not built yet
          => remove it: an engine that ignored it would be less careful than it says
        3:13 no penalty rises above `suppress` (12000): the highest is 12000, 16 times `reuse`
          => each flap adds 1000
        4:16 a breaker counts at most the last 10 results
        4:26 unknown key "threshold" in guard.breaker
          => write `failures`
        "#);
    let text = of_policy("guard: { breaker: { shared: all of them } }");
    insta::assert_snapshot!(text, @r#"
    1:33 this cannot be the name of a breaker
      => a name has at most 63 letters, digits, `_`, `.` and `-`, and begins with a letter or
        a digit
    "#);
    let text = of_policy("guard: { watchdog: off, flap: true, breaker: 3 }");
    insta::assert_snapshot!(text, @r#"
        1:24 expected `none` or a map, found a text
          => write watchdog: { matchers: ['alertname="Watchdog"'], max_age: 5m }, or watchdog:
            none
        1:35 expected `none` or a map, found a text
          => write flap: {} for the usual limits, or flap: none
        1:50 expected `none` or a map, found a number
          => write breaker: { failures: 3, of: 5, after: 15m }, or breaker: none
        "#);
}

#[test]
fn watchdogs_are_bounded_in_number() {
    let policies: Vec<String> = (0..17)
        .map(|number| {
            format!(
                "{{ name: p{number}, matchers: [a=b{number}], mode: shadow, remedies: [], guard: \
                 {{ watchdog: {{ matchers: [a={number}] }} }} }}"
            )
        })
        .collect();
    insta::assert_snapshot!(problems(&format!("policies: [{}]\n", policies.join(",\n"))), @r#"
        17:1 more than 16 watchdogs that have different matchers
          => one watchdog can serve many policies
        "#);
}
