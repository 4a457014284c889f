//! What became of incidents, day by day: how many, how they ended, how long healing took, and how many
//! people were let sleep.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use homeostat_core::incident::End;
use homeostat_core::name::PolicyName;
use homeostat_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::incidents::ask;
use super::search::{OUTCOMES, few, moment};
use crate::access::Caller;
use crate::incidents::{Closings, Step};
use crate::web::answer;

const ROOT: &str = "/api/v1/history";

/// Days, where the request does not say.
pub(in crate::web) const DAYS: i64 = 90;

/// Days that one answer tells of at most.
const MOST: i64 = 400;

/// What became of incidents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryList {
    /// By day, the first one first, and by policy. A day on which nothing closed is left out.
    pub days: Vec<DayView>,
    /// All of these days together, by policy.
    pub policies: Vec<PolicyHistory>,
}

/// One policy on one day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DayView {
    /// The day in UTC, as in `2026-11-22`.
    pub day: String,
    /// What closed then.
    #[serde(flatten)]
    pub of: PolicyHistory,
}

/// What became of incidents of one policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyHistory {
    /// The policy.
    pub policy: String,
    /// How many closed.
    pub incidents: u64,
    /// How many with each outcome; those that there were none of are left out.
    pub outcomes: BTreeMap<String, u64>,
    /// Seconds from the opening to the proof of the healing, of those that were healed: half of them
    /// took no longer. To within a twentieth.
    pub heal_median_seconds: Option<f64>,
    /// Nine of ten took no longer.
    pub heal_p90_seconds: Option<f64>,
    /// How many were healed without that a person was told or asked.
    pub pages_saved: u64,
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    let asked = match read(query.as_deref().unwrap_or_default(), now.day()) {
        Ok(asked) => asked,
        Err(message) => return answer::problem(ROOT, StatusCode::BAD_REQUEST, &message),
    };
    let Asked { from, until, policies, is_csv } = asked;
    match told(&api, &caller, (from, until), policies.as_deref()).await {
        Ok(list) if is_csv => {
            answer::with_type(StatusCode::OK, "text/csv; charset=utf-8", csv(&list))
        }
        Ok(list) => answer::tagged_json(&headers, &list),
        Err(response) => response,
    }
}

/// What became of incidents of some policies from one day on and before another, as far as somebody may
/// see it.
pub(in crate::web) async fn told(
    api: &Api,
    caller: &Caller,
    (from, until): (i64, i64),
    policies: Option<&[String]>,
) -> Result<HistoryList, Response> {
    let mut closings = ask(api, move |history| history.days(from, until)).await?;
    closings.retain(|closing| {
        policies.is_none_or(|few| few.contains(&closing.policy.to_string()))
            && caller.sees_all_of(&closing.policy)
    });
    Ok(tell(&closings))
}

/// Counts what closed.
pub fn tell(closings: &[Closings]) -> HistoryList {
    let mut days: BTreeMap<(i64, &PolicyName), Count> = BTreeMap::new();
    let mut policies: BTreeMap<&PolicyName, Count> = BTreeMap::new();
    for closing in closings {
        days.entry((closing.day, &closing.policy)).or_default().add(closing);
        policies.entry(&closing.policy).or_default().add(closing);
    }
    let days = days.into_iter().map(|((day, policy), count)| DayView {
        day: Timestamp::from_seconds(day * 86_400).to_string()[..10].to_owned(),
        of: count.tell(policy),
    });
    let policies = policies.into_iter().map(|(policy, count)| count.tell(policy));
    HistoryList { days: days.collect(), policies: policies.collect() }
}

#[derive(Default)]
struct Count {
    outcomes: BTreeMap<String, u64>,
    healed: BTreeMap<Step, u64>,
    alone: u64,
}

impl Count {
    fn add(&mut self, closing: &Closings) {
        *self.outcomes.entry(closing.outcome.clone()).or_default() += closing.incidents;
        self.alone += closing.alone;
        if closing.outcome == End::Healed.as_str() {
            *self.healed.entry(closing.step).or_default() += closing.incidents;
        }
    }

    fn tell(self, policy: &PolicyName) -> PolicyHistory {
        let (median, p90) = (self.within(50), self.within(90));
        PolicyHistory {
            policy: policy.to_string(),
            incidents: self.outcomes.values().sum(),
            outcomes: self.outcomes,
            heal_median_seconds: median,
            heal_p90_seconds: p90,
            pages_saved: self.alone,
        }
    }

    /// How long so many of a hundred took at most.
    fn within(&self, percent: u64) -> Option<f64> {
        let all: u64 = self.healed.values().sum();
        let mut left = (all * percent).div_ceil(100);
        let step = self.healed.iter().find_map(|(step, healed)| {
            left = left.saturating_sub(*healed);
            (left == 0).then_some(step)
        });
        step.map(|step| (step.seconds() * 10.0).round() / 10.0)
    }
}

/// A line for each day and policy.
fn csv(list: &HistoryList) -> String {
    let mut text = format!(
        "day,policy,incidents,{},heal_median_seconds,heal_p90_seconds,pages_saved\r\n",
        OUTCOMES.join(",")
    );
    for DayView { day, of } in &list.days {
        let outcomes =
            OUTCOMES.map(|outcome| of.outcomes.get(outcome).copied().unwrap_or_default());
        let outcomes = outcomes.map(|count| count.to_string()).join(",");
        let seconds = |seconds: Option<f64>| seconds.map_or_else(String::new, |s| s.to_string());
        let _ = write!(
            text,
            "{day},{},{},{outcomes},{},{},{}\r\n",
            quoted(&of.policy),
            of.incidents,
            seconds(of.heal_median_seconds),
            seconds(of.heal_p90_seconds),
            of.pages_saved
        );
    }
    text
}

/// A text as a field of CSV (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    from: i64,
    until: i64,
    policies: Option<Vec<String>>,
    is_csv: bool,
}

fn read(query: &str, today: i64) -> Result<Asked, String> {
    let (mut from, mut until) = (None, today + 1);
    let (mut policies, mut is_csv) = (None, false);
    for (name, value) in few(query)? {
        match name.as_str() {
            "since" => from = Some(day(&name, &value)?),
            // What is of the last day before then counts, whatever the hour.
            "until" => until = day(&name, &value)? + i64::from(is_within(&value)),
            "policy" => policies.get_or_insert_with(Vec::new).push(value),
            "format" if value == "json" => is_csv = false,
            "format" if value == "csv" => is_csv = true,
            "format" => return Err(format!("unknown format {value:?}: expected json or csv")),
            _ => {
                return Err(format!(
                    "unknown parameter {name:?}: expected since, until, policy or format"
                ));
            }
        }
    }
    let from = from.unwrap_or(until - DAYS);
    if until - from > MOST {
        return Err(format!("{} days are too many: expected at most {MOST}", until - from));
    }
    Ok(Asked { from, until, policies, is_csv })
}

/// The day of a date or of a moment.
fn day(name: &str, value: &str) -> Result<i64, String> {
    let moment_of = if value.len() == 10 { format!("{value}T00:00:00Z") } else { value.to_owned() };
    moment(name, &moment_of).map(Timestamp::day)
}

/// Whether a moment is after the beginning of its day.
fn is_within(value: &str) -> bool {
    let moment: Option<Timestamp> = value.parse().ok();
    moment.is_some_and(|moment| moment > Timestamp::from_seconds(moment.day() * 86_400))
}

#[cfg(test)]
mod tests {
    use homeostat_core::time::Span;

    use super::*;

    fn closing(day: i64, policy: &str, outcome: &str, seconds: u64, incidents: u64) -> Closings {
        let step = Step::of(Span::from_secs(seconds));
        let alone = if outcome == "healed" { incidents } else { 0 };
        let (policy, outcome) = (PolicyName::new(policy), outcome.to_owned());
        Closings { day, policy, outcome, step, incidents, alone }
    }

    #[test]
    fn a_median_is_known_to_a_twentieth() {
        for seconds in [1, 2, 7, 60, 3600, 90 * 86_400] {
            let told = Step::of(Span::from_secs(seconds)).seconds();
            #[expect(clippy::cast_precision_loss, reason = "it is small")]
            let seconds = seconds as f64;
            assert!((told / seconds - 1.0).abs() < 0.051, "{seconds}: {told}");
        }
        assert_eq!(Step::of(Span::ZERO), Step(0));
    }

    #[test]
    fn what_closed_is_told_by_day_and_policy() {
        let list = tell(&[
            closing(20_000, "a", "healed", 10, 5),
            closing(20_000, "a", "healed", 100, 4),
            closing(20_000, "a", "healed", 1000, 1),
            closing(20_000, "a", "escalated", 9999, 2),
            closing(20_001, "b, c", "shadowed", 0, 3),
        ]);
        let first = &list.days[0].of;
        assert_eq!(
            (list.days[0].day.as_str(), first.incidents, first.pages_saved),
            ("2024-10-04", 12, 10)
        );
        let about =
            |seconds: Option<f64>, expected: f64| (seconds.unwrap() / expected - 1.0).abs() < 0.06;
        assert!(about(first.heal_median_seconds, 10.0) && about(first.heal_p90_seconds, 100.0));
        assert_eq!((first.outcomes["escalated"], list.policies.len()), (2, 2));
        assert_eq!(list.days[1].of.heal_median_seconds, None);
        let lines: Vec<String> = csv(&list).lines().map(str::to_owned).collect();
        assert!(lines[0].starts_with("day,policy,incidents,healed,recovered"), "{lines:?}");
        assert!(lines[1].starts_with("2024-10-04,a,12,10,0,2,0,0,0,"), "{lines:?}");
        assert_eq!(lines[2], "2024-10-05,\"b, c\",3,0,0,0,3,0,0,,,0");
    }

    #[test]
    fn a_query_is_read_strictly() {
        let asked = |query| read(query, 20_000);
        let usual = asked("").unwrap();
        assert_eq!((usual.from, usual.until, usual.is_csv), (19_911, 20_001, false));
        let some =
            asked("since=2024-10-01&until=2024-10-03T12:00:00Z&policy=a&format=csv").unwrap();
        assert_eq!((some.from, some.until, some.is_csv), (19_997, 20_000, true));
        assert_eq!(some.policies, Some(vec!["a".to_owned()]));
        for (query, complaint) in [
            ("since=yesterday", "since \"yesterday\": "),
            ("since=2020-01-01", "days are too many: expected at most 400"),
            ("format=xml", "unknown format \"xml\": expected json or csv"),
            ("days=3", "unknown parameter \"days\""),
        ] {
            let error = asked(query).unwrap_err();
            assert!(error.contains(complaint), "{query}: {error}");
        }
    }
}
