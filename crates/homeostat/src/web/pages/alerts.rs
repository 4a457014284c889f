//! What fires, by policy: first what no policy takes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use maud::{Markup, html};

use super::shell::{self, Page, Place, Viewer};
use super::{Answer, explain, words};
use crate::web::api::Api;
use crate::web::api::alerts::{self, AlertGroup, FiringAlert};

/// Alerts that are shown, of all groups together: each shows as many as the others, and one at least.
const ROWS: usize = 100;

pub(super) async fn show(State(api): State<Arc<Api>>, viewer: Viewer) -> Answer {
    let status = shell::standing(&api, &viewer).await?;
    let list = alerts::told(&api, &viewer.caller).await?;
    let body = html! {
        div class="head" {
            h1 { "Alerts that fire" }
            a class="end" href="explain" { "Explain an alert" }
        }
        @if list.groups.is_empty() { p class="empty" { "Nothing fires." } }
        @let rows = (ROWS / list.groups.len().max(1)).max(1);
        @for group in &list.groups { (told(group, rows, &viewer)) }
        @if list.more > 0 { p class="soft" { "and " (list.more) " more" } }
    };
    Ok(shell::frame(&viewer, &status, StatusCode::OK, &Page::live(Place::Alerts, "Alerts", body)))
}

fn told(group: &AlertGroup, rows: usize, viewer: &Viewer) -> Markup {
    let count = group.alerts.len();
    let name = group.policy.as_deref().unwrap_or_default();
    html! {
        h2 {
            @match &group.policy {
                Some(policy) => a href={ "policies#" (policy) } { (policy) },
                None => "No policy takes these",
            }
            span class="soft" { " · " (count) }
        }
        @if group.policy.is_none() { p class="soft" { "They are recorded, and nothing is done about them." } }
        table class="cards-below" {
            thead { tr { th { "Alert" } th { "Labels" } th class="tight" { "Since" } th { "Incident" } th { "Source" } th { "Why" } } }
            tbody {
                @for alert in group.alerts.iter().take(rows) { (row(alert, name, viewer)) }
            }
        }
        @if count > rows { p class="soft" { "and " (count - rows) " more" } }
    }
}

fn row(alert: &FiringAlert, policy: &str, viewer: &Viewer) -> Markup {
    let rest = alert.labels.iter().filter(|(name, _)| *name != "alertname");
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={value}")).collect();
    html! {
        tr data-item id={ "a" (alert.fingerprint) "-" (policy) } {
            td {
                @let name = alert.labels.get("alertname").unwrap_or("alert");
                @match words::link(&alert.generator_url) {
                    Some(url) => a href=(url) rel="noreferrer noopener" target="_blank" { (name) " ↗" },
                    None => b { (name) },
                }
            }
            td class="mono small" { (rest.join(" "))
                @if let Some(owner) = &alert.owner { div class="soft" { "owner: " (owner) } } }
            td class="tight" data-of="since" { (words::ago(alert.since, viewer.now)) }
            td data-of="incident" {
                @for id in &alert.incidents { a href={ "incidents/" (id) } { (id) } " " }
            }
            td data-of="source" { (alert.source) }
            td { a href=(explain::place(&alert.labels)) { "Explain" } }
        }
    }
}
