//! What fired, what was done, who woke: 90 days, day by day.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use homeostat_core::time::{Span, Timestamp};
use maud::{Markup, html};

use super::look::{Look, Tone};
use super::shell::{self, Page, Place, Viewer};
use super::{Answer, words};
use crate::web::api::Api;
use crate::web::api::history::{self, DAYS, DayView, HistoryList, PolicyHistory};

/// Policies that have a row of their own: those of which most closed.
const ROWS: usize = 8;

/// Pixels that a row is high.
const HEIGHT: u32 = 26;

pub(super) async fn show(State(api): State<Arc<Api>>, viewer: Viewer) -> Answer {
    let status = shell::standing(&api, &viewer).await?;
    let today = viewer.now.day();
    let list = last_days(&api, &viewer).await?;
    let body = html! {
        h1 { "The last " (DAYS) " days" }
        @if list.policies.is_empty() {
            p class="empty" { "No incident has closed." }
        } @else {
            (tiles(&list))
            h2 { "Day by day" }
            (heat(&list, today))
            h2 { "By policy" }
            (table(&list))
        }
        p { a class="deed" href="api/v1/history?format=csv" download="homeostat.csv" { "As CSV" } }
    };
    Ok(shell::frame(&viewer, &status, StatusCode::OK, &Page::live(Place::History, "History", body)))
}

/// What became of incidents in these days.
pub(super) async fn last_days(
    api: &Api,
    viewer: &Viewer,
) -> Result<HistoryList, axum::response::Response> {
    let today = viewer.now.day();
    history::told(api, &viewer.caller, (today + 1 - DAYS, today + 1), None).await
}

fn of(policy: &PolicyHistory, outcome: &str) -> u64 {
    policy.outcomes.get(outcome).copied().unwrap_or_default()
}

fn tiles(list: &HistoryList) -> Markup {
    let sum = |count: &dyn Fn(&PolicyHistory) -> u64| list.policies.iter().map(count).sum::<u64>();
    let tiles = [
        (Tone::Good, "healed", sum(&|policy| of(policy, "healed"))),
        (Tone::Good, "pages saved", sum(&|policy| policy.pages_saved)),
        (Tone::Bad, "escalated", sum(&|policy| of(policy, "escalated"))),
        (Tone::Calm, "incidents", sum(&|policy| policy.incidents)),
    ];
    html! {
        div class="tiles" {
            @for (tone, word, number) in tiles {
                div class={ "tile " @if number > 0 { "some " } (tone.class()) } {
                    b { (number) }
                    span { (Look::tile(tone, word).icon()) " " (word) }
                }
            }
        }
    }
}

/// Blocks: a row a policy, a column a day, coloured by how it went.
fn heat(list: &HistoryList, today: i64) -> Markup {
    let mut busiest: Vec<&PolicyHistory> = list.policies.iter().collect();
    busiest.sort_by_key(|policy| std::cmp::Reverse(policy.incidents));
    busiest.truncate(ROWS);
    let rows = u32::try_from(busiest.len()).unwrap_or_default();
    let mut by_policy: BTreeMap<&str, Vec<&DayView>> = BTreeMap::new();
    for day in &list.days {
        by_policy.entry(&day.of.policy).or_default().push(day);
    }
    html! {
        svg class="chart" height=(HEIGHT * rows * 2 + 20) role="img" aria-labelledby="heat-title" {
            title id="heat-title" { "Incidents that closed, by policy and day: " (in_words(&busiest)) }
            @for (policy, row) in busiest.iter().zip(0..) {
                @let top = row * HEIGHT * 2;
                text x="0" y=(top + 14) { (policy.policy) }
                rect class="heat0" x="0" y=(top + 20) width="100%" height="22" rx="3" {}
                @for day in by_policy.get(policy.policy.as_str()).into_iter().flatten() {
                    @if let Some(ago) = ago(&day.day, today) { (block(day, ago, top + 20)) }
                }
            }
            @let bottom = HEIGHT * rows * 2 + 14;
            text x="0" y=(bottom) { (DAYS) " days ago" }
            text x="100%" y=(bottom) text-anchor="end" { "today" }
        }
        p class="key" {
            span { (sample("heat1")) " healed, few" } span { (sample("heat3")) " healed, many" }
            span { (sample("heat4")) " some escalated" } span { (sample("heat5")) " most escalated" }
        }
    }
}

fn sample(class: &str) -> Markup {
    html! { svg class="chart" aria-hidden="true" viewBox="0 0 26 12" { rect class=(class) width="26" height="12" rx="2" {} } }
}

/// How many days ago that was.
fn ago(day: &str, today: i64) -> Option<i64> {
    let at: Timestamp = format!("{day}T00:00:00Z").parse().ok()?;
    Some(today - at.day()).filter(|ago| (0..DAYS).contains(ago))
}

fn block(day: &DayView, ago: i64, top: u32) -> Markup {
    #[expect(clippy::cast_precision_loss, reason = "there are few days")]
    let (column, width) = ((DAYS - 1 - ago) as f64, 100.0 / DAYS as f64);
    let x = format!("{:.2}%", column * width);
    html! {
        rect class=(heat_of(&day.of)) x=(x) y=(top) width=(format!("{:.2}%", width * 0.86)) height="22" rx="2" {
            title { (day.day) ": " (in_numbers(&day.of)) }
        }
    }
}

/// How warm a day was.
fn heat_of(day: &PolicyHistory) -> &'static str {
    let escalated = of(day, "escalated");
    match day.incidents {
        all if escalated * 2 > all => "heat5",
        _ if escalated > 0 => "heat4",
        0..4 => "heat1",
        4..20 => "heat2",
        _ => "heat3",
    }
}

fn in_numbers(day: &PolicyHistory) -> String {
    let outcomes: Vec<String> =
        day.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    outcomes.join(", ")
}

/// The same for whoever does not see it.
fn in_words(policies: &[&PolicyHistory]) -> String {
    let lines: Vec<String> = policies
        .iter()
        .map(|policy| format!("{}: {}", policy.policy, in_numbers(policy)))
        .collect();
    lines.join("; ")
}

fn table(list: &HistoryList) -> Markup {
    html! {
        table class="cards-below" {
            thead { tr {
                th { "Policy" } th class="number" { "Incidents" } th class="number" { "Healed" }
                th class="number" { "Escalated" } th { "Healing works" } th { "Time to heal" }
                th class="number" { "Pages saved" }
            } }
            tbody { @for policy in &list.policies {
                tr data-item id={ "p-" (policy.policy) } {
                    td { a href={ "policies#" (policy.policy) } { (policy.policy) } }
                    td class="number" data-of="incidents" { (policy.incidents) }
                    td class="number" data-of="healed" { (of(policy, "healed")) }
                    td class="number" data-of="escalated" { (of(policy, "escalated")) }
                    td data-of="healing works" { (works(policy).unwrap_or_default()) }
                    td data-of="time to heal" { (time_to_heal(policy).unwrap_or_default()) }
                    td class="number" data-of="pages saved" { (policy.pages_saved) }
                }
            } }
        }
    }
}

/// In how many of a hundred cases healing works, with what may as well be true; of those that were
/// healed or given up.
pub(super) fn works(policy: &PolicyHistory) -> Option<String> {
    let healed = of(policy, "healed");
    let tried = healed + of(policy, "escalated");
    let (low, high) = interval(healed, tried)?;
    #[expect(clippy::cast_precision_loss, reason = "it is shown by whole percents")]
    let share = healed as f64 / tried as f64 * 100.0;
    Some(format!("{share:.0} % ({low:.0}–{high:.0})"))
}

/// The interval in which the true share lies in 95 of 100 cases, in percent.
///
/// Source: E. B. Wilson, 1927.
fn interval(good: u64, all: u64) -> Option<(f64, f64)> {
    const Z: f64 = 1.96;
    if all == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "it is shown by whole percents")]
    let (share, n) = (good as f64 / all as f64, all as f64);
    let middle = share + Z * Z / (2.0 * n);
    let width = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    let percent = |bound: f64| (bound / whole * 100.0).clamp(0.0, 100.0);
    Some((percent(middle - width), percent(middle + width)))
}

/// Half and nine of ten.
pub(super) fn time_to_heal(policy: &PolicyHistory) -> Option<String> {
    let (median, p90) = (policy.heal_median_seconds?, policy.heal_p90_seconds?);
    let text = |seconds: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "of an incident"
        )]
        let millis = (seconds.max(0.0) * 1e3) as u64;
        words::span(Span::from_millis(millis))
    };
    Some(format!("{}, nine of ten within {}", text(median), text(p90)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_an_interval_that_narrows() {
        assert_eq!(interval(0, 0), None);
        let whole = |(low, high): (f64, f64)| (low.round(), high.round());
        assert_eq!(interval(1, 1).map(whole), Some((21.0, 100.0)));
        assert_eq!(interval(8, 10).map(whole), Some((49.0, 94.0)));
        assert_eq!(interval(800, 1000).map(whole), Some((77.0, 82.0)));
    }

    #[test]
    fn a_day_is_as_warm_as_it_went() {
        let day = |healed, escalated| PolicyHistory {
            policy: "p".into(),
            incidents: healed + escalated,
            outcomes: [("healed".to_owned(), healed), ("escalated".to_owned(), escalated)].into(),
            heal_median_seconds: None,
            heal_p90_seconds: None,
            pages_saved: 0,
        };
        for (healed, escalated, heat) in
            [(1, 0, "heat1"), (5, 0, "heat2"), (50, 0, "heat3"), (9, 1, "heat4"), (1, 2, "heat5")]
        {
            assert_eq!(heat_of(&day(healed, escalated)), heat, "{healed} {escalated}");
        }
        assert_eq!(works(&day(8, 2)).as_deref(), Some("80 % (49–94)"));
    }
}
