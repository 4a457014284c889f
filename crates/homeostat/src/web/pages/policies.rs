//! The policies in force: how far each is trusted, its ladder, its guards, and what it has come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use homeostat_core::policy::{Action, Policy, TargetLabels};
use homeostat_core::shadow::Scores;
use homeostat_core::template::Template;
use maud::{Markup, html};

use super::deed::Said;
use super::look;
use super::shell::{self, Page, Place, Viewer};
use super::words;
use super::{Answer, ahead, history};
use crate::access::{Permission, Subject};
use crate::web::api::Api;
use crate::web::api::history::PolicyHistory;
use crate::web::api::incidents;
use crate::web::api::view::IncidentView;

pub(super) async fn show(State(api): State<Arc<Api>>, viewer: Viewer) -> Answer {
    page(&api, &viewer, None).await
}

/// The page, with what came of a deed.
pub(super) async fn after(api: &Arc<Api>, viewer: &Viewer, said: &Said) -> Answer {
    page(api, viewer, Some(said)).await
}

async fn page(api: &Arc<Api>, viewer: &Viewer, said: Option<&Said>) -> Answer {
    let status = shell::standing(api, viewer).await?;
    let (book, scores) = ((api.web.book)(), (api.web.scores)());
    let (open, _) = incidents::open(api, &viewer.caller).await?;
    let history = history::last_days(api, viewer).await?;
    let mut by_policy: BTreeMap<&str, Vec<&Arc<IncidentView>>> = BTreeMap::new();
    for incident in &open {
        by_policy.entry(&incident.policy).or_default().push(incident);
    }
    let seen: Vec<&Policy> = book
        .policies()
        .iter()
        .filter(|policy| {
            viewer.caller.may(Permission::View, &Subject::Policy(&policy.name)).is_ok()
        })
        .collect();
    let body = html! {
        @if let Some(said) = said { (said.markup()) }
        h1 { "Policies" }
        (ahead::section(api, viewer))
        @if seen.is_empty() { p class="empty" { "No policy is in force that you may see." } }
        div class="cards wide" {
            @for policy in seen {
                @let open = by_policy.get(policy.name.as_str()).map(Vec::as_slice).unwrap_or_default();
                @let past = history.policies.iter().find(|past| past.policy == policy.name.as_str());
                (card(policy, open, past, &scores))
            }
        }
    };
    let mut page = Page::live(Place::Policies, "Policies", body);
    page.place = said.map(|_| "policies".to_owned());
    let code = said.map_or(StatusCode::OK, |said| said.code);
    Ok(shell::frame(viewer, &status, code, &page))
}

fn card(
    policy: &Policy,
    open: &[&Arc<IncidentView>],
    past: Option<&PolicyHistory>,
    scores: &Scores,
) -> Markup {
    let name = policy.name.as_str();
    let about = &policy.about;
    html! {
        article class="card" id=(name) data-item {
            div class="head" {
                h2 class="flat" { a href={ "incidents?policy=" (words::escaped(name)) } { (name) } }
                (look::mode(policy.mode))
                @if let Some(team) = &about.team { span class="soft" { "team " (team) } }
                @if !open.is_empty() { span class="end" { b { (open.len()) } " open" } }
            }
            @if let Some(text) = &about.description { p { (text) } }
            p class="facts" {
                @for matcher in &policy.matchers { code { (matcher) } }
            }
            p class="facts" {
                span { "target " @match &policy.target {
                    TargetLabels::All => "all labels",
                    TargetLabels::Named(names) => (names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
                } }
                @if !policy.settle.is_zero() { span { "for " (policy.settle) } }
                span { "verified within " (policy.verify.within)
                    @if policy.verify.query.is_some() { " by a query" } @else { " by the alert's rule" } }
                @if let Some(url) = about.runbook_url.as_deref().and_then(words::link) {
                    a href=(url) rel="noreferrer noopener" target="_blank" { "Runbook ↗" }
                }
            }
            ol class="rungs" {
                @for (remedy, number) in policy.remedies.iter().zip(1..) {
                    li {
                        span class="soft" { (number) ". " } b { (remedy.name) } " " (look::mode(remedy.mode))
                        " " code { (action(&remedy.action)) }
                        span class="small soft" { " within " (remedy.timeout)
                            @if remedy.retries > 0 { ", tried again " (remedy.retries) " times" } }
                        @if let Some(score) = scores.of(&policy.name, &remedy.name) {
                            p class="small" {
                                "in shadow: " (score.needed) " of " (score.judged()) " were needed, "
                                (score.needless) " ended without it"
                            }
                        }
                    }
                }
                @if policy.remedies.is_empty() { li class="soft" { "no remedies" } }
            }
            @if let Some(past) = past {
                p class="facts" {
                    span { "in 90 days " b { (past.incidents) } " incidents" }
                    @if let Some(works) = history::works(past) { span { "healing works " b { (works) } } }
                    @if let Some(time) = history::time_to_heal(past) { span { "time to heal " (time) } }
                }
            }
            (guards(policy))
        }
    }
}

/// What it does, in a line.
fn action(action: &Action) -> String {
    match action {
        Action::Exec(argv) => {
            argv.iter().map(|part| part.source().to_owned()).collect::<Vec<_>>().join(" ")
        }
        Action::Script(text) => {
            format!(
                "script: {}",
                text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim()
            )
        }
        Action::Http(request) => format!("{} {}", request.method.as_str(), request.url.source()),
        Action::Call(handler) => format!("call {handler}"),
        Action::Errand(errand) => {
            let texts = errand.texts().map(Template::source).collect::<Vec<_>>().join(" ");
            format!("{} {} {texts}", errand.hand, errand.verb)
        }
    }
}

fn guards(policy: &Policy) -> Markup {
    let guard = &policy.guard;
    html! {
        details id={ "g-" (policy.name) } {
            summary { "Guards" }
            dl class="pairs" {
                dt { "cooldown" } dd { (guard.cooldown) }
                dt { "rate" } dd { (guard.rate.max) " in " (guard.rate.per) }
                dt { "concurrency" } dd { (guard.concurrency) }
                dt { "attempts" } dd { (guard.attempts) }
                @if !guard.locks.is_empty() {
                    dt { "lock" } dd { (guard.locks.iter().map(|lock| lock.source().to_owned()).collect::<Vec<_>>().join(", ")) }
                }
                @if !guard.freeze.is_empty() {
                    dt { "freeze" } dd { (guard.freeze.iter().map(|interval| interval.name.to_string()).collect::<Vec<_>>().join(", ")) }
                }
                @if let Some(radius) = &guard.blast_radius { dt { "blast radius" } dd { "within " (radius.window) } }
                @if let Some(storm) = &guard.storm { dt { "storm" } dd { (storm.percent) " percent" } }
                @if let Some(breaker) = &guard.breaker { dt { "breaker" } dd { (breaker.failures) " failures of " (breaker.of) } }
            }
        }
    }
}
