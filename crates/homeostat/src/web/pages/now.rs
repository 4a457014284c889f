//! The first page: who is needed, what is done, what stands in the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use homeostat_core::time::Timestamp;
use maud::{Markup, html};

use super::deed::Said;
use super::look::{self, Look, Tone};
use super::shell::{self, Page, Place, Viewer};
use super::{Answer, words};
use crate::access::{Permission, Subject};
use crate::web::api::search::Asked;
use crate::web::api::view::{AlertStatus, IncidentView, StateView};
use crate::web::api::{Api, Filter};
use crate::web::api::{history, incidents};

/// Cards before the rest is a link.
const CARDS: usize = 12;

/// Incidents that a group unfolds to.
const ROWS: usize = 50;

/// Incidents that are over of which the last ones are shown.
const LATELY: usize = 8;

/// How far back a failed healing whose alert still fires is looked for.
const CLOSED: usize = 100;

/// What a tile shows alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    Needs,
    Acting,
    Held,
    Healed,
}

impl Only {
    const ALL: [(Self, &'static str, Tone, &'static str); 4] = [
        (Self::Needs, "needs", Tone::Needs, "needs you"),
        (Self::Acting, "acting", Tone::Acts, "acting"),
        (Self::Held, "held", Tone::Holds, "held"),
        (Self::Healed, "healed", Tone::Good, "healed today"),
    ];

    fn read(query: Option<&str>) -> Option<Self> {
        let asked = query?.split('&').find_map(|pair| pair.strip_prefix("show="))?;
        Self::ALL.iter().find(|(_, name, ..)| *name == asked).map(|(only, ..)| *only)
    }
}

/// What the page shows.
struct Board {
    /// What a person must answer, and what was handed to one and still fires: the worst first.
    needs: Vec<Arc<IncidentView>>,
    acting: Vec<Arc<IncidentView>>,
    waiting: Vec<Arc<IncidentView>>,
    /// How many were healed today.
    healed: u64,
    /// The last ones of those, where they are asked for.
    healed_today: Vec<Arc<IncidentView>>,
    lately: Vec<Arc<IncidentView>>,
    /// Whether there is more that is open than is shown.
    is_cut: bool,
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
) -> Answer {
    page(&api, &viewer, Only::read(query.as_deref()), None).await
}

/// The page, with what came of a deed.
pub(super) async fn after(api: &Arc<Api>, viewer: &Viewer, said: Said) -> Answer {
    page(api, viewer, None, Some(said)).await
}

async fn page(api: &Arc<Api>, viewer: &Viewer, only: Option<Only>, said: Option<Said>) -> Answer {
    let status = shell::standing(api, viewer).await?;
    let board = board(api, viewer, only).await?;
    let code = said.as_ref().map_or(StatusCode::OK, |said| said.code);
    let is_shown = |wanted| only.is_none_or(|only| only == wanted);
    let body = html! {
        h1 class="hidden" { "Now" }
        @if let Some(said) = &said { (said.markup()) }
        (guards_of_ours(&board))
        (tiles(&board, only))
        @if is_shown(Only::Needs) { (needs(api, viewer, &board.needs, only.is_some())) }
        @if is_shown(Only::Acting) && !board.acting.is_empty() {
            h2 { "Acting" }
            (groups(&board.acting, viewer.now))
        }
        @if is_shown(Only::Held) && !board.waiting.is_empty() {
            h2 { "Held and waiting" }
            (groups(&board.waiting, viewer.now))
        }
        @if board.is_cut {
            p class="soft" { "There is more that is open: " a href="incidents?state=open" { "all of it" } "." }
        }
        @if only == Some(Only::Healed) {
            h2 { "Healed today" }
            (rows(&board.healed_today, viewer.now))
        } @else if only.is_none() && !board.lately.is_empty() {
            h2 { "Lately" }
            (rows(&board.lately, viewer.now))
        }
        @if only.is_none() && board.is_empty() { (nothing(status.alerts_active)) }
        @if only.is_none() && status.paused.is_none() && viewer.caller.may_all(Permission::Operate) {
            p class="deeds" { a class="deed" data-deed="pause" href="pause" { "Pause everything…" } }
        }
    };
    let mut page = Page::live(Place::Now, "Now", body);
    page.place = said.is_some().then(|| "./".to_owned());
    Ok(shell::frame(viewer, &status, code, &page))
}

impl Board {
    fn is_empty(&self) -> bool {
        [&self.needs, &self.acting, &self.waiting, &self.lately].iter().all(|part| part.is_empty())
    }
}

async fn board(api: &Arc<Api>, viewer: &Viewer, only: Option<Only>) -> Result<Board, Response> {
    let (open, is_cut) = incidents::open(api, &viewer.caller).await?;
    let closed = async |outcome: Option<&str>, limit| -> Result<Vec<_>, Response> {
        let states = vec!["closed".to_owned()];
        let outcomes = outcome.map(str::to_owned).into_iter().collect();
        let filter = Filter { states, outcomes, limit, ..Filter::default() };
        let asked = Asked { filter, ..Asked::default() };
        let (incidents, _) = incidents::listed(api, &viewer.caller, asked).await?;
        Ok(incidents.into_iter().map(Arc::new).collect())
    };
    let lately = closed(None, LATELY).await?;
    let mut needs: Vec<Arc<IncidentView>> = closed(Some("escalated"), CLOSED).await?;
    needs
        .retain(|incident| incident.alerts.iter().any(|alert| alert.status == AlertStatus::Firing));
    let today = viewer.now.day();
    let day = history::told(api, &viewer.caller, (today, today + 1), None).await?;
    let healed = day.policies.iter().filter_map(|policy| policy.outcomes.get("healed")).sum();
    let healed_today = if only == Some(Only::Healed) {
        let mut some: Vec<Arc<IncidentView>> = closed(Some("healed"), CLOSED).await?;
        some.retain(|incident| incident.closed_at.is_some_and(|at| at.day() == today));
        some
    } else {
        Vec::new()
    };
    let (mut acting, mut waiting) = (Vec::new(), Vec::new());
    for incident in open {
        match incident.state {
            StateView::AwaitingApproval => needs.push(incident),
            StateView::Acting | StateView::Verifying => acting.push(incident),
            StateView::Waiting | StateView::Closed => waiting.push(incident),
        }
    }
    needs.sort_by_key(urgency);
    Ok(Board { needs, acting, waiting, healed, healed_today, lately, is_cut })
}

/// What must be looked at first: what is worst, then what waits for an answer, by when that is void.
fn urgency(incident: &Arc<IncidentView>) -> (u8, bool, Timestamp) {
    let severity = match look::severity(incident) {
        Some("critical" | "page" | "error") => 0,
        Some("warning") => 1,
        _ => 2,
    };
    let by = incident.approval.as_ref().map(|approval| approval.expires_at);
    (severity, by.is_none(), by.unwrap_or(incident.opened_at))
}

/// Guards that say that we ourselves see badly, or that everything breaks at once.
fn guards_of_ours(board: &Board) -> Markup {
    let held_by = |guard: &str| {
        let by = |incident: &&Arc<IncidentView>| incident.holds.iter().any(|h| h.guard == guard);
        board.waiting.iter().filter(by).count()
    };
    html! {
        @for (guard, text) in [
            ("storm", "A storm: too much breaks at once for remedies to start"),
            ("watchdog", "A watchdog is silent: who should tell us what fires may not reach us"),
        ] {
            @let held = held_by(guard);
            @if held > 0 {
                div class="strip" role="alert" {
                    p { b { (text) } "; it holds " (words::count(held, "incident")) "." }
                    a class="deed" href="./?show=held" { "Look" }
                }
            }
        }
    }
}

fn tiles(board: &Board, only: Option<Only>) -> Markup {
    let count = |which| match which {
        Only::Needs => board.needs.len(),
        Only::Acting => board.acting.len(),
        Only::Held => board.waiting.len(),
        Only::Healed => usize::try_from(board.healed).unwrap_or(usize::MAX),
    };
    html! {
        nav class="tiles" aria-label="What to show" {
            @for (which, name, tone, word) in Only::ALL {
                @let (number, is_chosen) = (count(which), only == Some(which));
                @let some = if number > 0 { "some " } else { "" };
                a class={ "tile " (some) (tone.class()) } aria-current=[is_chosen.then_some("true")]
                    href=(if is_chosen { "./".to_owned() } else { format!("./?show={name}") }) {
                    b { (number) }
                    span {
                        (Look::tile(tone, word).icon()) " "
                        @if which == Only::Needs && number != 1 { "need you" } @else { (word) }
                    }
                }
            }
        }
    }
}

fn needs(api: &Api, viewer: &Viewer, needs: &[Arc<IncidentView>], all: bool) -> Markup {
    let shown = if all { needs.len() } else { CARDS };
    html! {
        h2 id="needs" { "Needs you" }
        @if needs.is_empty() {
            p class="empty" { "Nobody is needed now." }
        } @else {
            div class="cards" {
                @for incident in needs.iter().take(shown) { (card(api, viewer, incident)) }
            }
            @if needs.len() > shown {
                p { a href="./?show=needs" { "and " (needs.len() - shown) " more" } }
            }
        }
    }
}

/// One that wants a person, with what they may do.
fn card(api: &Api, viewer: &Viewer, incident: &IncidentView) -> Markup {
    let IncidentView { id, policy, target, .. } = incident;
    let look = Look::of(incident);
    let may = may(viewer, incident);
    let at = |deed: &str| format!("incidents/{id}/{deed}");
    html! {
        article class={ "card " (look.tone.class()) } data-item id={ "i" (id) } {
            div class="head" {
                h3 { a href={ "incidents/" (id) } { (look::name(incident)) " · " (words::values(target)) } }
                (look::severity_chip(incident))
                span class="end" { (look.markup()) }
            }
            @if let Some(summary) = look::summary(incident) { p { (summary) } }
            @if let Some(approval) = &incident.approval {
                pre { (approval.action) }
                p class="facts" {
                    span { "remedy " b { (approval.remedy) } }
                    span { "void " (words::until(approval.expires_at, viewer.now)) }
                    @if approval.count > 1 {
                        span { (approval.votes.len()) " of " (approval.count) " agree" }
                    }
                    @if let Some(by) = &approval.by { span { "by " (by.join(", ")) } }
                }
            } @else {
                p { (incident.reason) }
            }
            p class="facts" {
                span { "policy " a href={ "policies#" (policy) } { (policy) } }
                @if let Some(team) = &incident.team { span { "team " (team) } }
                span { "open for " (words::since(incident.opened_at, viewer.now)) }
            }
            div class="deeds" {
                @if incident.approval.is_some() {
                    @if may(Permission::Approve) {
                        a class="deed first" data-deed="approve" href=(at("approve")) { "Approve…" }
                        a class="deed" data-deed="reject" href=(at("reject")) { "Reject…" }
                    } @else {
                        span class="soft" { "You may not approve this." }
                    }
                } @else if may(Permission::Operate) {
                    a class="deed" href=(at("retry")) { "Try again…" }
                }
                @if let Some(url) = runbook(api, incident) {
                    a class="deed" href=(url) rel="noreferrer noopener" target="_blank" { "Runbook" }
                }
            }
        }
    }
}

/// What a viewer may do with an incident.
pub(super) fn may<'a>(
    viewer: &'a Viewer,
    incident: &'a IncidentView,
) -> impl Fn(Permission) -> bool + 'a {
    move |permission| {
        let policy = homeostat_core::name::PolicyName::new(&incident.policy);
        let subject = Subject::Incident { policy: &policy, target: &incident.target };
        viewer.caller.may(permission, &subject).is_ok()
    }
}

/// Where it is written what a person can do.
pub(super) fn runbook(api: &Api, incident: &IncidentView) -> Option<String> {
    let annotated = incident
        .alerts
        .iter()
        .find_map(|alert| alert.annotations.get("runbook_url"))
        .map(str::to_owned);
    let book = (api.web.book)();
    let policy = book.policy(&homeostat_core::name::PolicyName::new(&incident.policy));
    let of_policy = || policy?.about.runbook_url.as_ref().map(ToString::to_string);
    annotated.or_else(of_policy).filter(|url| words::link(url).is_some())
}

/// Policy, state and guards.
type Alike<'a> = (&'a str, &'a str, Vec<&'a str>);

/// What stands alike, under one line: the same policy, the same state, the same guards.
fn groups(incidents: &[Arc<IncidentView>], now: Timestamp) -> Markup {
    let mut groups: BTreeMap<Alike<'_>, Vec<&Arc<IncidentView>>> = BTreeMap::new();
    for incident in incidents {
        let guards = incident.holds.iter().map(|hold| hold.guard.as_str()).collect();
        let key = (incident.policy.as_str(), Look::of(incident).word, guards);
        groups.entry(key).or_default().push(incident);
    }
    html! {
        @for ((policy, word, guards), members) in groups {
            @let look = Look::of(members[0]);
            @let next = members.iter().filter_map(|incident| incident.holds_until).min();
            @if let [only] = members[..] {
                div class="group" data-item id={ "i" (only.id) } { (line(only, now)) }
            } @else {
                details class="group" data-item id={ "g-" (policy) "-" (word) "-" (guards.join("-")) } {
                    summary {
                        (look.markup())
                        b { (policy) }
                        span {
                            (members.len())
                            @if !guards.is_empty() { " held by " (guards.join(", ")) }
                        }
                        @if let Some(next) = next {
                            span class="soft" { "judged again " (words::until(next, now)) }
                        }
                    }
                    ul class="rows" {
                        @for incident in members.iter().take(ROWS) { li { (line(incident, now)) } }
                        @if members.len() > ROWS {
                            li {
                                a href={ "incidents?state=" (incident_state(members[0]))
                                    "&policy=" (words::escaped(policy)) } {
                                    "all " (members.len())
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn incident_state(incident: &IncidentView) -> &'static str {
    incident.state.as_str()
}

/// One incident in one line.
fn line(incident: &IncidentView, now: Timestamp) -> Markup {
    html! {
        div class="head" {
            (Look::of(incident).markup())
            a href={ "incidents/" (incident.id) } {
                (look::name(incident)) " · " (words::values(&incident.target))
            }
            span class="soft" { "for " (words::since(incident.opened_at, now)) }
        }
        p class="small soft" { (incident.reason) }
    }
}

/// What is over, the last one first.
fn rows(incidents: &[Arc<IncidentView>], now: Timestamp) -> Markup {
    html! {
        @if incidents.is_empty() { p class="empty" { "None." } }
        ul {
            @for incident in incidents {
                li class="group" data-item id={ "l" (incident.id) } {
                    div class="head" {
                        (Look::of(incident).markup())
                        a href={ "incidents/" (incident.id) } {
                            (look::name(incident)) " · " (words::values(&incident.target))
                        }
                        @if let Some(remedy) = &incident.remedy { span class="soft" { "by " (remedy) } }
                        @if let Some(closed_at) = incident.closed_at {
                            span class="soft" {
                                "after " (words::span(closed_at.since(incident.opened_at))) ", "
                                (words::ago(closed_at, now))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// For whoever has just begun.
fn nothing(alerts: Option<usize>) -> Markup {
    html! {
        div class="empty" {
            p { "No incident so far" @if let Some(some @ 1..) = alerts { "; " (words::count(some, "alert")) " fire" } "." }
            p { "To see one, send an alert: " code { "homeostat fire alertname=Test instance=web01" } }
        }
    }
}
