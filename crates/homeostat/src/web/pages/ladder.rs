//! The ladder as a picture: a lane for each remedy over time, with what ran, what waited, what held,
//! and how it was proven.
//!
//! Widths are shares of the picture and words keep their size, so it is as readable on a phone.

use homeostat_core::incident::End;
use homeostat_core::time::Timestamp;
use maud::{Markup, html};

use super::words;
use crate::web::api::view::{Entry, IncidentView, OrderState, StateView};

/// Pixels that a lane is high.
const LANE: u32 = 44;

/// Pixels above the first lane.
const ABOVE: u32 = 4;

/// What is drawn of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A run; how it is coloured.
    Run(&'static str),
    /// A wait for time to pass.
    Wait,
    /// A guard that held.
    Hold,
    /// A proof that is awaited.
    Prove,
    /// One look.
    Look,
}

/// A mark from a time to another, with what it tells.
#[derive(Debug, Clone, PartialEq)]
struct Span {
    mark: Mark,
    from: Timestamp,
    to: Timestamp,
    text: String,
}

/// A remedy and what happened to it.
#[derive(Debug, Clone, PartialEq)]
struct Lane {
    remedy: String,
    spans: Vec<Span>,
    /// How it stands in the end.
    verdict: String,
}

/// Draws it; nothing where no remedy is known.
pub(super) fn picture(incident: &IncidentView, remedies: &[String], now: Timestamp) -> Markup {
    let end = incident.closed_at.unwrap_or(now).max(incident.opened_at);
    let lanes = lanes(incident, remedies, end);
    let length = end.since(incident.opened_at).as_millis().max(1);
    let share = |at: Timestamp| {
        #[expect(clippy::cast_precision_loss, reason = "it is drawn")]
        let share = at.since(incident.opened_at).as_millis().min(length) as f64 / length as f64;
        share * 100.0
    };
    let height = ABOVE + LANE * u32::try_from(lanes.len()).unwrap_or(1) + 20;
    html! {
        @if !lanes.is_empty() {
            h2 { "The ladder" }
            svg class="ladder" height=(height) role="img" aria-labelledby="ladder-title" {
                title id="ladder-title" { (in_words(&lanes)) }
                @for (lane, number) in lanes.iter().zip(0..) {
                    @let top = ABOVE + LANE * number;
                    text x="0" y=(top + 12) font-weight="600" { (lane.remedy) }
                    text class="faint" x="100%" y=(top + 12) text-anchor="end" { (lane.verdict) }
                    line class="rail" x1="0" x2="100%" y1=(top + 28) y2=(top + 28) {}
                    @for span in &lane.spans { (drawn(span, top, &share)) }
                }
                @let bottom = height - 4;
                text class="faint" x="0" y=(bottom) { "opened" }
                text class="faint" x="100%" y=(bottom) text-anchor="end" {
                    @if incident.state == StateView::Closed { "closed after " } @else { "now, after " }
                    (words::span(end.since(incident.opened_at)))
                }
            }
            (key())
        }
    }
}

fn drawn(span: &Span, top: u32, share: &impl Fn(Timestamp) -> f64) -> Markup {
    let (from, to) = (share(span.from), share(span.to));
    let x = format!("{from:.2}%");
    // What was short is seen, too.
    let width = format!("{:.2}%", (to - from).max(0.6).min(100.0 - from.min(99.4)));
    let title = html! { title { (span.text) } };
    html! {
        @match span.mark {
            Mark::Run(class) => rect class={ "run " (class) } x=(x) width=(width) y=(top + 20) height="16" rx="3" { (title) },
            Mark::Hold => rect class="hold" x=(x) width=(width) y=(top + 22) height="12" rx="2" { (title) },
            Mark::Prove => rect class="prove" x=(x) width=(width) y=(top + 22) height="12" rx="2" { (title) },
            Mark::Wait => line class="wait" x1=(x) x2={ (format!("{to:.2}%")) } y1=(top + 28) y2=(top + 28) { (title) },
            Mark::Look => circle class="look" cx=(x) cy=(top + 28) r="3" { (title) },
        }
    }
}

/// The same for whoever does not see it.
fn in_words(lanes: &[Lane]) -> String {
    let lanes: Vec<String> = lanes
        .iter()
        .map(|lane| {
            let spans: Vec<&str> = lane.spans.iter().map(|span| span.text.as_str()).collect();
            format!("{}: {}. {}", lane.remedy, lane.verdict, spans.join("; "))
        })
        .collect();
    lanes.join(" — ")
}

fn key() -> Markup {
    let boxes = |class: &str| {
        html! { svg class="ladder" aria-hidden="true" viewBox="0 0 26 12" {
            rect class=(class) x="1" y="1" width="24" height="10" rx="2" {}
        } }
    };
    html! {
        p class="key" {
            span { (boxes("run good")) " run that ended well" }
            span { (boxes("run bad")) " run that failed" }
            span { (boxes("run acts")) " runs now" }
            span { (boxes("hold")) " held by a guard" }
            span { (boxes("prove")) " being verified" }
            span { "● a look" }
        }
    }
}

/// What the facts say of each remedy, in the order of the ladder.
fn lanes(incident: &IncidentView, remedies: &[String], end: Timestamp) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = remedies.iter().map(|name| lane(name)).collect();
    let mut at = |remedy: &str| -> usize {
        lanes.iter().position(|lane| lane.remedy == remedy).unwrap_or_else(|| {
            lanes.push(lane(remedy));
            lanes.len() - 1
        })
    };
    let mut drawn: Vec<(usize, Span)> = Vec::new();
    let mut current: Option<usize> = None;
    for (number, entry) in incident.timeline.iter().enumerate() {
        let following =
            incident.timeline[number + 1..].iter().find(|later| later.kind != "evidence_asked");
        let until = following.map_or(end, |later| later.at).max(entry.at);
        if let Some(remedy) = &entry.remedy {
            current = Some(at(remedy));
        }
        let Some(lane) = current else { continue };
        let mark = match entry.kind.as_str() {
            "order_held" => Mark::Hold,
            "approval_asked" | "retry_scheduled" => Mark::Wait,
            "verification_began" | "verification_prolonged" => Mark::Prove,
            "evidence_seen" | "aftermath_seen" => Mark::Look,
            _ => continue,
        };
        let to = if mark == Mark::Look { entry.at } else { last(entry).max(until) };
        drawn.push((lane, Span { mark, from: entry.at, to, text: entry.text.clone() }));
    }
    for order in &incident.orders {
        let from = order.started_at.unwrap_or(order.issued_at);
        let (to, class) = match (order.state, order.result.as_deref()) {
            (OrderState::Running, _) => (end, "acts"),
            (OrderState::Waiting, _) => (from, ""),
            (OrderState::Ended, Some("succeeded")) => (order.ended_at.unwrap_or(from), "good"),
            (OrderState::Ended, _) => (order.ended_at.unwrap_or(from), "bad"),
        };
        let outcome = order.outcome.as_deref().unwrap_or(order.state.as_str());
        let text = format!("run {} {outcome}", order.attempt);
        drawn.push((at(&order.remedy), Span { mark: Mark::Run(class), from, to, text }));
    }
    drawn.sort_by_key(|(_, span)| (span.from, span.mark == Mark::Look));
    for (number, span) in drawn {
        lanes[number].spans.push(span);
    }
    for lane in &mut lanes {
        lane.verdict = verdict(incident, lane);
    }
    lanes
}

fn lane(remedy: &str) -> Lane {
    Lane { remedy: remedy.to_owned(), spans: Vec::new(), verdict: String::new() }
}

/// When what was repeated happened last.
fn last(entry: &Entry) -> Timestamp {
    entry.last_at.unwrap_or(entry.at)
}

fn verdict(incident: &IncidentView, lane: &Lane) -> String {
    let runs = incident.orders.iter().filter(|order| order.remedy == lane.remedy && !order.undo);
    let count = runs.clone().count();
    let is_running = runs.clone().any(|order| order.state == OrderState::Running);
    let is_open = incident.state != StateView::Closed;
    let again = if count > 1 { format!(", {count} runs") } else { String::new() };
    if incident.remedy.as_deref() == Some(&lane.remedy) && !is_open {
        return format!("healed it{again}");
    }
    match (count, lane.spans.last().map(|span| span.mark)) {
        (_, _) if is_running => "runs now".to_owned(),
        (0, None) if was_tried_before(incident, lane) => "was tried before".to_owned(),
        (0, None) if is_open => "not yet".to_owned(),
        (0, None) => match incident.outcome {
            Some(End::Healed | End::Recovered) => "was not needed".to_owned(),
            _ => "did not run".to_owned(),
        },
        (_, Some(Mark::Hold)) if is_open => "held".to_owned(),
        (_, Some(Mark::Wait)) if is_open => "waits".to_owned(),
        (_, Some(Mark::Prove | Mark::Look)) if is_open && count > 0 => "being verified".to_owned(),
        (0, Some(_)) => "did not run".to_owned(),
        (_, _) => format!("did not heal it{again}"),
    }
}

/// Whether the incident of which this one is a relapse had tried it: what was chosen from says so, and
/// where nothing was left to choose, all of it had.
fn was_tried_before(incident: &IncidentView, lane: &Lane) -> bool {
    let told = incident.timeline.iter().filter_map(|entry| entry.why.as_ref());
    let mut candidates = told.flat_map(|why| &why.candidates);
    let none_was_left = incident.orders.is_empty() && incident.outcome == Some(End::Escalated);
    let is_said = candidates.any(|one| one.remedy == lane.remedy && one.rank == "relapsed");
    incident.relapse_of.is_some() && (is_said || none_was_left)
}

#[cfg(test)]
mod tests {
    use homeostat_core::name::IncidentId;

    use super::*;
    use crate::web::api::{fixture, fold};

    #[test]
    fn what_an_earlier_incident_had_tried_is_not_called_needless() {
        let mut incident = fold(IncidentId(1), &fixture::healed_by_the_second().facts).unwrap();
        let verdicts = |incident: &IncidentView| {
            let lane = |name: &str| verdict(incident, &lane(name));
            [lane("restart"), lane("never tried")]
        };
        assert_eq!(verdicts(&incident)[1], "was not needed");
        incident.orders.clear();
        incident.timeline.clear();
        incident.outcome = Some(End::Escalated);
        incident.remedy = None;
        assert_eq!(verdicts(&incident), ["did not run", "did not run"]);
        incident.relapse_of = Some("7".into());
        assert_eq!(verdicts(&incident), ["was tried before", "was tried before"]);
    }

    /// Each lane in a line: the remedy, how it stands, and what is drawn.
    fn drawn(facts: &[homeostat_core::fact::Fact]) -> (Vec<String>, String) {
        let incident = fold(IncidentId(1), facts).unwrap();
        let remedies = fixture::policy().remedies;
        let remedies: Vec<String> = remedies.iter().map(|r| r.name.to_string()).collect();
        let end = incident.closed_at.unwrap_or(facts.last().unwrap().at);
        let lanes = lanes(&incident, &remedies, end);
        let line = |lane: &Lane| {
            let marks: Vec<String> =
                lane.spans.iter().map(|span| format!("{:?}", span.mark)).collect();
            format!("{} ({}): {}", lane.remedy, lane.verdict, marks.join(", "))
        };
        let picture = picture(&incident, &remedies, end).into_string();
        (lanes.iter().map(line).collect(), picture)
    }

    #[test]
    fn each_remedy_has_a_lane_with_what_ran_and_what_came_of_it() {
        let (lanes, picture) = drawn(&fixture::healed_by_the_second().facts);
        assert_eq!(
            lanes,
            [
                "restart (did not heal it, 2 runs): Run(\"bad\"), Wait, Run(\"bad\")",
                "reboot (healed it): Run(\"good\"), Prove, Look",
            ]
        );
        assert!(picture.contains("closed after "), "{picture}");
        assert!(!picture.contains("style="), "browsers would not draw it");
    }

    #[test]
    fn what_is_held_is_drawn_and_what_was_not_reached_is_there() {
        let (lanes, picture) = drawn(&fixture::held().facts);
        assert_eq!(lanes, ["restart (held): Hold", "reboot (not yet): "]);
        assert!(picture.contains("now, after "), "{picture}");
    }
}
