//! What would be done about an alert: who takes it, what would run, and what stands in the way now.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use homeostat_core::decide::{Account, Contents};
use homeostat_core::guard::account::{IncidentNumber, Opinion};
use homeostat_core::label::LabelSet;
use maud::{Markup, html};

use super::look::{self, Look};
use super::shell::{self, Page, Place, Viewer};
use super::{Answer, words};
use crate::explanation::{Explanation, Meant, Outcome, Ownership, Passed, Rung, Taken};
use crate::web::answer;
use crate::web::api::Api;
use crate::web::api::explain::{self, Alert};
use crate::web::api::incidents::pairs;

const PATH: &str = "/explain";

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = query.unwrap_or_default();
    let asked = pairs(&query).map(expanded).and_then(|pairs| match pairs.as_slice() {
        [] => Ok(None),
        _ => Alert::read(pairs).map(Some),
    });
    let status = shell::standing(&api, &viewer).await?;
    let (code, typed, found) = match asked {
        Ok(None) => (StatusCode::OK, String::new(), html! {}),
        Ok(Some(alert)) => {
            let typed = lines(&alert.labels);
            let explained = explain::told(&api, &viewer.caller, alert).await.map_err(|busy| {
                answer::problem(PATH, StatusCode::SERVICE_UNAVAILABLE, &busy.to_string())
            })?;
            (StatusCode::OK, typed, told(&explained, &viewer))
        }
        Err(why) => {
            (StatusCode::BAD_REQUEST, String::new(), html! { p class="said bad" { (why) } })
        }
    };
    let body = html! {
        h1 { "What would be done about an alert?" }
        (found)
        form action="explain" class="confirm" {
            label class="field" { "Labels of an alert, one a line, as in instance=web01"
                textarea name="labels" required rows="4" spellcheck="false" { (typed) } }
            div class="deeds" { button class="first" { "Explain" } }
        }
    };
    Ok(shell::frame(&viewer, &status, code, &Page::still(Place::Alerts, "Explain", body)))
}

/// Where an alert with these labels is explained.
pub(super) fn place(labels: &LabelSet) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("label={}", words::escaped(&format!("{name}={value}"))))
        .collect();
    format!("explain?{}", pairs.join("&"))
}

/// What was typed into the form is what a link says: each line is a label.
fn expanded(query: Vec<(String, String)>) -> Vec<(String, String)> {
    let expand = |(name, value): (String, String)| match name.as_str() {
        "labels" => value
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| ("label".to_owned(), line.to_owned()))
            .collect(),
        _ => vec![(name, value)],
    };
    query.into_iter().flat_map(expand).collect()
}

fn lines(labels: &LabelSet) -> String {
    let lines: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    lines.join("\n")
}

fn told(explained: &Explanation, viewer: &Viewer) -> Markup {
    html! {
        p class="mono" { (words::pairs(&explained.labels)) }
        @if let Some(why) = &explained.ignored {
            p class="next" { "Nothing: " (why) "." }
        } @else if explained.taken.is_empty() {
            p class="next bad" { b { "No policy takes it: " } "it is recorded, and nothing is done." }
        }
        @if let Some(Meant { alertname, policy }) = &explained.meant {
            p { "Did you mean " b { (alertname) } ", as policy "
                a href={ "policies#" (policy) } { (policy) } " does?" }
        }
        @for taken in &explained.taken { (policy(taken, viewer)) }
        @if !explained.passed.is_empty() {
            h2 { "Not taken by" }
            dl class="pairs" {
                @for Passed { policy, because } in &explained.passed {
                    dt { a href={ "policies#" (policy) } { (policy) } } dd { (because) }
                }
            }
        }
        @if explained.others > 0 {
            p class="soft" { "and " (explained.others) " more, about other alerts" }
        }
    }
}

fn policy(taken: &Taken, viewer: &Viewer) -> Markup {
    html! {
        article class="card" {
            div class="head" {
                h2 class="flat" { a href={ "policies#" (taken.policy) } { (taken.policy) } }
                (look::mode(taken.mode))
                @if let Some(team) = &taken.team { span class="soft" { "team " (team) } }
            }
            @if taken.missing.is_empty() {
                p { "It would take care of " span class="mono" { (words::pairs(&taken.target)) }
                    @if !taken.settle.is_zero() { " after it has fired for " (taken.settle) }
                    "." }
            } @else {
                p class="bad" { b { "Nothing is done: " } "its target cannot be told, as there is no label "
                    (taken.missing.join(", ")) "." }
            }
            @match &taken.owner {
                Some(Ownership::Of(owner)) => p { "It belongs to " b { (owner) } "." },
                Some(Ownership::Asked(of)) => {
                    p { "Whose it is, is asked when it fires: " code { (of) } "." }
                }
                Some(Ownership::Unknown(why)) => {
                    p class="bad" { b { "Nothing is done: " } "whose it is cannot be told: " (why) "." }
                }
                None => {}
            }
            ol class="rungs" {
                @for (remedy, number) in taken.remedies.iter().zip(1..) { (rung(remedy, number)) }
                @if taken.remedies.is_empty() { li class="soft" { "no remedies" } }
            }
            p class="facts" {
                span { "verified within " (taken.verify.within)
                    @match &taken.verify.query {
                        None => " by the alert's rule",
                        Some(Outcome::Is(query)) => { " by " code { (query) } }
                        Some(Outcome::Refused(why)) => { " by a query that cannot be asked: " (why) }
                    }
                }
                span {
                    @match &taken.escalate {
                        Some(person) => { "a person is told after " (person.after) }
                        None => "nobody is told",
                    }
                }
            }
            @if let Some(account) = &taken.account { (now(account, viewer)) }
        }
    }
}

fn rung(rung: &Rung, number: usize) -> Markup {
    html! {
        li {
            span class="soft" { (number) ". " } b { (rung.name) } " " (look::mode(rung.mode)) " "
            @match &rung.action {
                Outcome::Is(action) => code { (action) },
                Outcome::Refused(why) => span class="bad" { "refused: " (why) },
            }
            span class="small soft" { " within " (rung.timeout) }
        }
    }
}

/// What the guards say at this moment.
fn now(account: &Account, viewer: &Viewer) -> Markup {
    html! {
        h3 { "Now" }
        @if let Some(told) = &account.incident {
            @let IncidentNumber(id) = told.id;
            p { a href={ "incidents/" (id) } { "Incident " (id) } " is " (told.state)
                ", opened " (words::ago(told.opened_at, viewer.now))
                @if told.state == "closed" { "; nothing starts before its alerts end" } "." }
        }
        @match &account.contents {
            Contents::Nothing(why) => p { "No guard is asked: " (why) "." },
            Contents::Ledgers { next, opinions, remedies, .. } => {
                @let of_next = remedies.iter().filter(|of| next.as_ref() == Some(&of.remedy));
                ul class="why" {
                    @for opinion in opinions.iter().chain(of_next.flat_map(|of| &of.opinions)) {
                        (said(opinion))
                    }
                }
                p class="small soft" {
                    @if let Some(next) = next { "Remedy " b { (next) } " is next. " }
                    "What needs evidence is asked when an order is due, and not now."
                }
            },
        }
    }
}

fn said(opinion: &Opinion) -> Markup {
    let (look, reason) = Look::says(&opinion.says);
    html! { li { (look.markup()) " " b { (opinion.guard.as_str()) } ": " (reason) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_and_what_is_typed_ask_the_same() {
        let labels = LabelSet::from_pairs([("alertname", "Down & out"), ("instance", "a:80")]);
        let linked = place(&labels);
        let typed =
            format!("labels={}", words::escaped("\n alertname=Down & out\r\n\ninstance=a:80\n"));
        for query in [linked.strip_prefix("explain?").unwrap(), typed.as_str()] {
            let alert = pairs(query).map(expanded).and_then(Alert::read).unwrap();
            assert_eq!(alert.labels, labels, "{query}");
        }
        assert_eq!(lines(&labels), "alertname=Down & out\ninstance=a:80");
    }
}
