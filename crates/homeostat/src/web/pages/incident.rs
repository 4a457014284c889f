//! One incident: what happens next, the ladder as a picture, the story with its reasons.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use homeostat_core::label::LabelSet;
use homeostat_core::name::PolicyName;
use homeostat_core::time::Timestamp;
use maud::{Markup, html};

use super::deed::Said;
use super::look::{self, Look};
use super::now::{may, runbook};
use super::shell::{self, Page, Place, Viewer};
use super::{Answer, explain, ladder, words};
use crate::access::Permission;
use crate::web::api::view::{
    CollectedView, Entry, IncidentView, LookView, OrderState, OrderView, StateView, Verdict,
    WhyView,
};
use crate::web::api::{Api, incidents};

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Answer {
    page(&api, &viewer, &id, None).await
}

/// The page, with what came of a deed.
pub(super) async fn after(api: &Arc<Api>, viewer: &Viewer, id: &str, said: Said) -> Answer {
    page(api, viewer, id, Some(said)).await
}

/// The incident, if it is there and the viewer may see it, or a page that says that it is not.
pub(super) async fn find(
    api: &Arc<Api>,
    viewer: &Viewer,
    id: &str,
) -> Result<IncidentView, Response> {
    if let Some(incident) = incidents::find(api, &viewer.caller, id).await? {
        return Ok(incident);
    }
    let status = shell::standing(api, viewer).await?;
    let body = html! {
        h1 { "There is no incident " (id) }
        p { "It may have gone with its time, or be of those that you may not see. "
            a href="incidents" { "All incidents" } }
    };
    let page = Page::still(Place::Incidents, "No incident", body);
    Err(shell::frame(viewer, &status, StatusCode::NOT_FOUND, &page))
}

async fn page(api: &Arc<Api>, viewer: &Viewer, id: &str, said: Option<Said>) -> Answer {
    let incident = find(api, viewer, id).await?;
    let status = shell::standing(api, viewer).await?;
    let code = said.as_ref().map_or(StatusCode::OK, |said| said.code);
    let look = Look::of(&incident);
    let name = look::name(&incident);
    let target = words::values(&incident.target);
    let body = html! {
        @if let Some(said) = &said { (said.markup()) }
        div class="head" {
            h1 { (name) " · " (target) }
            (look.markup())
            (look::severity_chip(&incident))
        }
        (facts(&incident, viewer.now))
        (links(api, &incident))
        (next(&incident, viewer.now))
        (approval(&incident, viewer.now))
        (deeds(viewer, &incident))
        (ladder::picture(&incident, &remedies(api, &incident), viewer.now))
        (output(&incident))
        (collected(&incident))
        h2 id="story" { "What happened" }
        ol class="story" {
            @for (number, entry) in incident.timeline.iter().enumerate() {
                (told(entry, number, incident.opened_at))
            }
        }
        (alerts(&incident, viewer.now))
        (orders(&incident))
    };
    let title = format!("{name} · {target} · {}", look.word);
    let mut page = Page::live(Place::Incidents, title, body);
    page.place = said.is_some().then(|| format!("incidents/{}", incident.id));
    Ok(shell::frame(viewer, &status, code, &page))
}

/// The ladder as the configuration in force has it.
fn remedies(api: &Api, incident: &IncidentView) -> Vec<String> {
    let book = (api.web.book)();
    let policy = book.policy(&PolicyName::new(&incident.policy));
    let remedies = policy.map(|policy| policy.remedies.as_slice()).unwrap_or_default();
    remedies.iter().map(|remedy| remedy.name.to_string()).collect()
}

fn facts(incident: &IncidentView, now: Timestamp) -> Markup {
    html! {
        p class="facts" {
            span { "incident " b { (incident.id) } }
            span { "policy " a href={ "policies#" (incident.policy) } { (incident.policy) } }
            @if let Some(team) = &incident.team { span { "team " (team) } }
            span class="mono" { (words::pairs(&incident.target)) }
            span { "opened " (words::ago(incident.opened_at, now)) }
            @if let Some(closed_at) = incident.closed_at {
                span { "closed after " (words::span(closed_at.since(incident.opened_at))) }
            }
            @if let Some(earlier) = &incident.relapse_of {
                span { "relapse of " a href={ "incidents/" (earlier) } { "incident " (earlier) } }
            }
        }
        @if let Some(summary) = look::summary(incident) { p { (summary) } }
    }
}

/// Where else to look.
fn links(api: &Api, incident: &IncidentView) -> Markup {
    let graph = incident.alerts.iter().find_map(|alert| words::link(&alert.generator_url));
    let annotated = |name: &'static str| {
        incident.alerts.iter().find_map(|alert| alert.annotations.get(name)).and_then(words::link)
    };
    let sent = incident
        .alerts
        .iter()
        .find_map(|alert| words::link(&alert.external_url).map(|url| (url, &alert.labels)));
    let at_its_sender =
        |path| sent.map(|(url, labels)| filtered(url, path, labels, &incident.target));
    let links = [
        ("Runbook", runbook(api, incident)),
        ("Graph", graph.map(str::to_owned)),
        ("Alertmanager", at_its_sender("alerts")),
        ("Silence", at_its_sender("silences/new")),
        ("Dashboard", annotated("dashboard_url").map(str::to_owned)),
    ];
    let first = incident.alerts.first();
    html! {
        @if first.is_some() || links.iter().any(|(_, url)| url.is_some()) {
            p class="facts" {
                @if let Some(alert) = first { a href=(explain::place(&alert.labels)) { "Explain" } }
                @for (name, url) in links {
                    @if let Some(url) = url {
                        a href=(url) rel="noreferrer noopener" target="_blank" { (name) " ↗" }
                    }
                }
            }
        }
    }
}

/// A page of an Alertmanager about an alert on this target and no others.
fn filtered(url: &str, path: &str, labels: &LabelSet, target: &LabelSet) -> String {
    let is_of_it = |name: &str| name == "alertname" || target.get(name).is_some();
    let matchers: Vec<String> = labels
        .iter()
        .filter(|(name, _)| is_of_it(name))
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let filter = words::escaped(&format!("{{{}}}", matchers.join(",")));
    format!("{}/#/{path}?filter={filter}", url.trim_end_matches('/'))
}

/// What happens next, or how it ended.
fn next(incident: &IncidentView, now: Timestamp) -> Markup {
    let look = Look::of(incident);
    let running = incident.orders.iter().rev().find(|order| order.state == OrderState::Running);
    html! {
        div class={ "next " (look.tone.class()) } {
            p {
                @match incident.state {
                    StateView::AwaitingApproval => {
                        b { "A person must decide. " }
                        @if let Some(approval) = &incident.approval {
                            "Without an answer the question is void "
                            (words::until(approval.expires_at, now)) "."
                        }
                    }
                    StateView::Acting => {
                        @if let Some(order) = running {
                            b { "Remedy " (order.remedy) " runs" }
                            @if let Some(since) = order.started_at.or(Some(order.issued_at)) {
                                " for " (words::since(since, now))
                            }
                            "; then it is proven whether that healed."
                        } @else { b { "A remedy starts." } }
                    }
                    StateView::Verifying => {
                        b { "Verifying. " } (sentence(&incident.reason))
                        @if let Some(until) = incident.next_at {
                            " The answer is due " (words::until(until, now)) "."
                        }
                    }
                    StateView::Waiting => {
                        (sentence(&incident.reason))
                        @if let Some(until) = incident.next_at {
                            " It goes on " (words::until(until, now)) "."
                        }
                    }
                    StateView::Closed => {
                        b { (sentence(look.word)) }
                        @if let Some(remedy) = &incident.remedy { " Healed by remedy " b { (remedy) } }
                        @if let Some(grade) = &incident.grade { ", " (grade) "." }
                        " " (sentence(&incident.reason))
                    }
                }
            }
            @if !incident.holds.is_empty() && incident.state == StateView::Waiting {
                ul class="small" {
                    @for hold in &incident.holds { li { b { (hold.guard) } ": " (hold.reason) } }
                }
            }
            @if let Some(at) = incident.reason_at.filter(|_| incident.state != StateView::Closed) {
                p class="small soft" { "as of " (words::ago(at, now)) }
            }
        }
    }
}

/// Begins with a capital and ends with a stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let begun: String =
        chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect());
    if begun.ends_with(['.', '!', '?']) || begun.is_empty() { begun } else { begun + "." }
}

fn approval(incident: &IncidentView, now: Timestamp) -> Markup {
    html! {
        @if let Some(approval) = &incident.approval {
            p { "Remedy " b { (approval.remedy) } " would run:" }
            pre { (approval.action) }
            @if approval.count > 1 || approval.by.is_some() {
                p class="soft" {
                    (approval.votes.len()) " of " (approval.count) " agree"
                    @if let Some(by) = &approval.by { ", by " (by.join(", ")) }
                }
                ul {
                    @for vote in &approval.votes {
                        li { (vote.by) ", " (words::ago(vote.at, now))
                            @if !vote.reason.is_empty() { ": " (vote.reason) } }
                    }
                }
            }
        }
    }
}

/// What may be done now, by this viewer.
fn deeds(viewer: &Viewer, incident: &IncidentView) -> Markup {
    let may = may(viewer, incident);
    let at = |deed: &str| format!("incidents/{}/{deed}", incident.id);
    let is_open = incident.state != StateView::Closed;
    html! {
        div class="deeds" data-item {
            @if incident.approval.is_some() && may(Permission::Approve) {
                a class="deed first" data-deed="approve" href=(at("approve")) { "Approve…" }
                a class="deed" data-deed="reject" href=(at("reject")) { "Reject…" }
            }
            @if may(Permission::Operate) {
                @if is_open {
                    a class="deed harm" href=(at("cancel")) { "Cancel…" }
                } @else if super::deed::can_be_tried_again(incident) {
                    a class="deed" href=(at("retry")) { "Try again…" }
                }
            }
        }
    }
}

/// What the last run has printed: the first thing that anybody wants to read.
fn output(incident: &IncidentView) -> Markup {
    let is_told =
        |order: &&OrderView| order.state == OrderState::Running || !order.output.is_empty();
    html! {
        @if let Some(order) = incident.orders.iter().rev().find(is_told) {
            h2 id="printed" { "Output of " (order.remedy) ", run " (order.attempt)
                @if order.state == OrderState::Running { ", so far" } }
            @if order.output.is_empty() { p class="soft" { "It has printed nothing yet." } }
            @else { pre id="output" { (order.output) } }
        }
    }
}

/// What it looked like before it was touched, and afterwards: the newest of each collector, side by side.
fn collected(incident: &IncidentView) -> Markup {
    let newest = |moment: &str| -> Vec<(&CollectedView, &LookView)> {
        let of = incident.collected.iter().filter(|one| one.moment == moment);
        let mut looks: Vec<(&CollectedView, &LookView)> = Vec::new();
        for (at, look) in of.flat_map(|one| one.found.iter().map(move |look| (one, look))) {
            match looks.iter_mut().find(|(_, known)| known.name == look.name) {
                Some(known) => *known = (at, look),
                None => looks.push((at, look)),
            }
        }
        looks
    };
    let (before, after) = (newest("before"), newest("after"));
    html! {
        @if !incident.collected.is_empty() {
            h2 id="collected" { "Before and after" }
            div class="collected" {
                @for (title, looks) in [("before", &before), ("after", &after)] {
                    @for (at, look) in looks {
                        details id={ "look-" (title) "-" (look.name) } {
                            summary { b { (look.name) } " " (title) ", " (words::clock(at.at))
                                @if let Some(trouble) = &look.trouble { ": " (trouble) } }
                            p class="small soft mono" { (look.at) }
                            @if look.cut { p class="small soft" { "There was more: this is its end." } }
                            @if look.text.is_empty() { p class="soft" { "Nothing was to be seen." } }
                            @else { pre { (look.text) } }
                        }
                    }
                }
            }
        }
    }
}

fn told(entry: &Entry, number: usize, opened_at: Timestamp) -> Markup {
    let is_same_day = entry.at.since(opened_at).as_millis() < 20 * 3_600_000;
    html! {
        li id={ "e" (number) } {
            @if is_same_day { (words::clock(entry.at)) } @else { (words::moment(entry.at)) }
            div {
                (entry.text)
                @if entry.count > 1 {
                    span class="soft" { " (" (entry.count) " times"
                        @if let Some(last) = entry.last_at { ", last at " (words::clock(last)) } ")" }
                }
                @if let Some(why) = &entry.why { (reasons(why, number)) }
            }
        }
    }
}

fn reasons(why: &WhyView, number: usize) -> Markup {
    let holding = why.guards.iter().filter(|said| said.verdict == Verdict::Hold).count();
    let parts = [
        (why.candidates.len(), "remedy", "remedies"),
        (why.guards.len(), "guard", "guards"),
        (why.evidence.len() + why.more_evidence.unwrap_or_default(), "answer", "answers"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
        .collect();
    html! {
        @if !parts.is_empty() {
            details id={ "w" (number) } {
                summary { "Why: " (parts.join(", ")) @if holding > 0 { ", " (holding) " in the way" } }
                ul class="why" {
                    @for candidate in &why.candidates {
                        li { "remedy " b { (candidate.remedy) } ": " (candidate.text) }
                    }
                    @for said in &why.guards {
                        li { (Look::verdict(said.verdict).markup()) " " b { (said.guard) } ": " (said.reason) }
                    }
                    @for answer in &why.evidence {
                        li { (answer.asked) ": " b { (answer.answer) } " (" (answer.age) " old)" }
                    }
                    @if let Some(more) = why.more_evidence { li { "and " (more) " more answers" } }
                }
            }
        }
    }
}

fn alerts(incident: &IncidentView, now: Timestamp) -> Markup {
    let more = incident.alerts_total.saturating_sub(incident.alerts.len() as u64);
    html! {
        h2 { "Alerts" }
        table class="cards-below" {
            thead { tr { th { "State" } th { "Since" } th { "Labels" } th { "Source" } } }
            tbody {
                @for alert in &incident.alerts {
                    tr id={ "a" (alert.fingerprint) } {
                        td class="tight" { (Look::alert(alert.status).markup()) }
                        td class="tight" data-of="since" {
                            @if let Some(at) = alert.starts_at { (words::ago(at, now)) }
                        }
                        td {
                            details id={ "l" (alert.fingerprint) } {
                                summary { (alert.labels.get("alertname").unwrap_or("alert")) " "
                                    span class="soft mono" { (words::pairs(&incident.target)) } }
                                dl class="pairs" {
                                    @if let Some(owner) = &alert.owner {
                                        dt { "owner" } dd { (owner.kind) " " (owner.name) }
                                    }
                                    @for (name, value) in alert.labels.iter().chain(alert.annotations.iter()) {
                                        dt { (name) }
                                        dd { @if let Some(url) = words::link(value) {
                                            a href=(url) rel="noreferrer noopener" target="_blank" { (value) }
                                        } @else { (value) } }
                                    }
                                }
                            }
                        }
                        td data-of="source" {
                            @if let Some(url) = words::link(&alert.generator_url) {
                                a href=(url) rel="noreferrer noopener" target="_blank" { (alert.source) " ↗" }
                            } @else { (alert.source) }
                        }
                    }
                }
            }
        }
        @if more > 0 { p class="soft" { "and " (more) " more" } }
    }
}

fn orders(incident: &IncidentView) -> Markup {
    html! {
        @if !incident.orders.is_empty() {
            h2 { "Runs" }
            @for order in &incident.orders { (run(order)) }
        }
    }
}

fn run(order: &OrderView) -> Markup {
    html! {
        details id={ "o" (order.id) } {
            summary {
                b { @if order.undo { "undo of " } (order.remedy) } ", run " (order.attempt) ": "
                (order.outcome.as_deref().unwrap_or(order.state.as_str()))
            }
            pre { (order.action) }
            p class="facts" {
                span { "order " code { (order.id) } }
                span { "decided " (words::moment(order.issued_at)) }
                @if let Some(at) = order.started_at { span { "started " (words::moment(at)) } }
                @if let Some(at) = order.ended_at { span { "ended " (words::moment(at)) } }
                @if let Some(code) = order.exit_code { span { "exit code " (code) } }
                @if let Some(signal) = order.signal { span { "signal " (signal) } }
                @if let Some(status) = order.http_status { span { "status " (status) } }
            }
            @if let Some(used) = &order.standing_approval {
                p { "Approved ahead by " (used.by.join(", ")) " (standing approval " (used.id) ", "
                    (used.left) " left, until " (words::moment(used.until)) ")." }
            }
            @if !order.output.is_empty() { pre { (order.output) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_about_this_alert_on_this_target() {
        let labels = LabelSet::from_pairs([
            ("alertname", "Down"),
            ("instance", "a \"b\""),
            ("severity", "critical"),
        ]);
        let target = LabelSet::from_pairs([("instance", "a \"b\"")]);
        assert_eq!(
            filtered("http://am:9093/x/", "silences/new", &labels, &target),
            "http://am:9093/x/#/silences/new?filter=\
             %7Balertname%3D%22Down%22%2Cinstance%3D%22a%20%5C%22b%5C%22%22%7D"
        );
    }
}
