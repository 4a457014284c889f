//! All incidents: by text, state, outcome, policy, target and time; page by page.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use homeostat_core::time::{Span, Timestamp};
use maud::{Markup, html};

use super::look::{self, Look};
use super::shell::{self, Page, Place, Viewer};
use super::{Answer, words};
use crate::access::{Permission, Subject};
use crate::web::api::Api;
use crate::web::api::incidents::{self, Listed};
use crate::web::api::search::{self, OUTCOMES};
use crate::web::api::view::{IncidentView, StateView};

/// Incidents in a page.
const LIMIT: usize = 50;

/// The fields of the form, as the API names them.
const FIELDS: [&str; 6] = ["q", "state", "outcome", "policy", "target", "since"];

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
) -> Answer {
    let asked = query.unwrap_or_default();
    // What a form sends empty was not asked.
    let pairs = incidents::pairs(&asked).unwrap_or_default();
    let pairs: Vec<(String, String)> =
        pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let status = shell::standing(&api, &viewer).await?;
    let ((incidents, next), complaint) = match search::read(&query_of(&pairs, viewer.now)) {
        Ok(asked) => (incidents::listed(&api, &viewer.caller, asked).await?, None),
        Err(complaint) => (Listed::default(), Some(complaint)),
    };
    let is_asked = pairs.iter().any(|(name, _)| name != "cursor");
    let body = html! {
        h1 { "Incidents" }
        (form(&api, &viewer, &pairs))
        @if let Some(complaint) = &complaint { p class="said bad" role="alert" { (complaint) } }
        @if incidents.is_empty() && complaint.is_none() {
            p class="empty" {
                @if is_asked { "None fits. " a href="incidents" { "All incidents" } }
                @else { "No incident so far." }
            }
        } @else if complaint.is_none() { (table(&incidents, &viewer)) }
        (pager(&pairs, next.as_deref()))
    };
    let code = if complaint.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    Ok(shell::frame(&viewer, &status, code, &Page::live(Place::Incidents, "Incidents", body)))
}

/// What the API would be asked; how long ago something began is the page's way to say when.
fn query_of(pairs: &[(String, String)], now: Timestamp) -> String {
    let parts = pairs.iter().map(|(name, value)| {
        let ago = value.parse::<Span>().ok().filter(|_| name == "since");
        let value = ago.map_or_else(|| value.clone(), |ago| (now - ago).to_string());
        format!("{name}={}", words::escaped(&value))
    });
    parts.chain([format!("limit={LIMIT}")]).collect::<Vec<_>>().join("&")
}

fn form(api: &Api, viewer: &Viewer, pairs: &[(String, String)]) -> Markup {
    let value = |name: &str| pairs.iter().find(|pair| pair.0 == name).map_or("", |pair| &pair.1);
    let book = (api.web.book)();
    let seen = book.policies().iter().filter(|policy| {
        viewer.caller.may(Permission::View, &Subject::Policy(&policy.name)).is_ok()
    });
    let policies: Vec<String> = seen.map(|policy| policy.name.to_string()).collect();
    let select = |name: &str, any: &str, options: &[(&str, &str)]| {
        html! {
            select name=(name) {
                option value="" { (any) }
                @for (option, text) in options {
                    option value=(option) selected[*option == value(name)] { (text) }
                }
            }
        }
    };
    let states: Vec<(&str, &str)> = std::iter::once(("open", "open"))
        .chain(StateView::ALL.map(|state| (state.as_str(), state.as_str())))
        .collect();
    let outcomes = OUTCOMES.map(|outcome| (outcome, outcome));
    let named: Vec<(&str, &str)> = policies.iter().map(|name| (&**name, &**name)).collect();
    let spans = [
        ("1h", "the last hour"),
        ("24h", "the last day"),
        ("7d", "the last week"),
        ("30d", "the last 30 days"),
    ];
    html! {
        form class="filter" method="get" action="incidents" role="search" {
            label { "Text" input name="q" type="search" value=(value("q")) placeholder="alert, target, policy"; }
            label { "State" (select("state", "any", &states)) }
            label { "Outcome" (select("outcome", "any", &outcomes)) }
            label { "Policy" (select("policy", "any", &named)) }
            label { "Target" input name="target" value=(value("target")) placeholder="instance=web01"; }
            label { "Opened in" (select("since", "all time", &spans)) }
            button { "Show" }
        }
    }
}

fn table(incidents: &[IncidentView], viewer: &Viewer) -> Markup {
    let now = viewer.now;
    html! {
        table class="cards-below" {
            thead { tr {
                th class="tight" { "State" } th { "Alert" } th { "Target" } th { "Policy" }
                th class="tight" { "Opened" } th class="tight" { "Open for" } th { "Why" }
            } }
            tbody {
                @for incident in incidents {
                    tr data-item id={ "i" (incident.id) } {
                        td class="tight" { (Look::of(incident).markup()) }
                        td { a href={ "incidents/" (incident.id) } { (look::name(incident)) }
                            " " (look::severity_chip(incident))
                            @if let Some(status) = incident.alert_status() {
                                " " (Look::alert(status).markup())
                            } }
                        td class="mono" data-of="target" { (words::pairs(&incident.target)) }
                        td data-of="policy" { (incident.policy) }
                        td class="tight" data-of="opened" { (words::ago(incident.opened_at, now)) }
                        td class="tight" data-of="open for" {
                            @match incident.closed_at {
                                Some(closed) => (words::span(closed.since(incident.opened_at))),
                                None => (words::since(incident.opened_at, now)),
                            }
                        }
                        td class="small" { (incident.reason) }
                    }
                }
            }
        }
    }
}

fn pager(pairs: &[(String, String)], next: Option<&str>) -> Markup {
    let kept: Vec<String> = pairs
        .iter()
        .filter(|(name, _)| FIELDS.contains(&&**name))
        .map(|(name, value)| format!("{name}={}", words::escaped(value)))
        .collect();
    let at = |more: Option<String>| {
        let all: Vec<String> = kept.iter().cloned().chain(more).collect();
        if all.is_empty() { "incidents".to_owned() } else { format!("incidents?{}", all.join("&")) }
    };
    let is_later = pairs.iter().any(|(name, _)| name == "cursor");
    html! {
        nav class="pager" aria-label="Further incidents" {
            @if is_later { a class="deed" href=(at(None)) { "Newest" } }
            @if let Some(next) = next {
                a class="deed" rel="next" href=(at(Some(format!("cursor={next}")))) { "Older" }
            }
        }
    }
}
