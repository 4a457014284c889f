//! Who did what: every command, and every configuration that came into force.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use homeostat_core::deed;
use maud::{Markup, html};

use super::shell::{self, Page, Place, Viewer};
use super::{Answer, words};
use crate::web::api::Api;
use crate::web::api::audit::{self, AuditEntry, AuditList};
use crate::web::api::incidents::pairs;

/// Deeds in a page.
const LIMIT: usize = 50;

/// The fields of the form, as the API names them.
const FIELDS: [&str; 4] = ["who", "what", "incident", "policy"];

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
) -> Answer {
    let asked = pairs(&query.unwrap_or_default()).unwrap_or_default();
    // What a form sends empty was not asked.
    let asked: Vec<(String, String)> =
        asked.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let status = shell::standing(&api, &viewer).await?;
    let list = match audit::asked(&asked, LIMIT) {
        Ok(search) => Ok(audit::listed(&api, &viewer.caller, search).await?),
        Err(complaint) => Err(complaint),
    };
    let code = if list.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let body = html! {
        h1 { "Audit" }
        (form(&asked))
        @match &list {
            Err(complaint) => p class="said bad" role="alert" { (complaint) },
            Ok(list) if list.entries.is_empty() => p class="empty" { "Nothing was done that fits." },
            Ok(list) => {
                (table(list))
                (pager(&asked, list))
            }
        }
        p class="soft small" {
            "Whether anything of it was changed since, " code { "homeostat audit verify" } " tells."
        }
    };
    Ok(shell::frame(&viewer, &status, code, &Page::live(Place::Audit, "Audit", body)))
}

fn form(asked: &[(String, String)]) -> Markup {
    let value = |name: &str| asked.iter().find(|pair| pair.0 == name).map_or("", |pair| &pair.1);
    html! {
        form class="filter" method="get" action="audit" role="search" {
            label { "Who" input name="who" value=(value("who")) placeholder="user:ann"; }
            label { "What"
                select name="what" {
                    option value="" { "anything" }
                    @for what in deed::ALL { option value=(what) selected[what == value("what")] { (what) } }
                }
            }
            label { "Incident" input name="incident" value=(value("incident")) inputmode="numeric"; }
            label { "Policy" input name="policy" value=(value("policy")); }
            button { "Show" }
        }
    }
}

fn table(list: &AuditList) -> Markup {
    html! {
        table class="cards-below" {
            thead { tr {
                th class="tight" { "When" } th { "Who" } th { "What" } th { "On" } th { "Why" } th { "From" }
            } }
            tbody { @for entry in &list.entries { (row(entry)) } }
        }
    }
}

fn row(entry: &AuditEntry) -> Markup {
    html! {
        tr data-item id={ "d" (entry.id) } {
            td class="tight" { (words::moment(entry.at)) }
            td {
                @match (&entry.who, &entry.way) {
                    (Some(who), Some(way)) => { b { (who) } " " span class="soft small" { "by " (way) } }
                    (None, Some(way)) => span class="soft" { (way) },
                    (_, None) => span class="soft" { "nobody asked" },
                }
                @if let Some(claimed) = entry.claimed.as_ref().filter(|claimed| entry.who.as_deref().is_none_or(|who| !who.ends_with(claimed.as_str()))) {
                    span class="soft" { " as " q { (claimed) } }
                }
            }
            td { b { (entry.what) }
                @if let Some(ahead) = &entry.ahead {
                    " and " (ahead.uses) " more within " (ahead.lasts)
                }
            }
            td data-of="on" {
                @if let Some(id) = &entry.incident {
                    a href={ "incidents/" (id) } { "incident " (id) } " "
                }
                @if let Some(policy) = &entry.policy { (policy) " " }
                @if let Some(target) = &entry.target { span class="mono" { (words::pairs(target)) } }
                @if let Some(configuration) = &entry.configuration {
                    ul { @for file in &configuration.files {
                        li { (file.name) " " span class="mono soft" title=(file.sha256) { (file.sha256.get(..12).unwrap_or_default()) "…" } }
                    } }
                }
            }
            td data-of="why" { (entry.reason) }
            td class="small soft" data-of="from" { (entry.address.as_deref().unwrap_or_default()) }
        }
    }
}

fn pager(asked: &[(String, String)], list: &AuditList) -> Markup {
    let kept: Vec<String> = asked
        .iter()
        .filter(|(name, _)| FIELDS.contains(&&**name))
        .map(|(name, value)| format!("{name}={}", words::escaped(value)))
        .collect();
    let at = |more: Option<String>| {
        format!("audit?{}", kept.iter().cloned().chain(more).collect::<Vec<_>>().join("&"))
    };
    let is_later = asked.iter().any(|(name, _)| name == "cursor");
    html! {
        nav class="pager" aria-label="Further deeds" {
            @if is_later { a class="deed" href=(at(None)) { "Newest" } }
            @if let Some(next) = &list.next_cursor {
                a class="deed" rel="next" href=(at(Some(format!("cursor={next}")))) { "Older" }
            }
        }
    }
}
