//! Requests and handlers in the walk of an alert: what their outcomes lead to, which key a request
//! carries, and what a run may say of itself.

use crate::stage::{A, B, alone, policy, remedy};
use homeostat_core::alert::Door;
use homeostat_core::errand::{ErrandTemplate, FieldTemplate, Form};
use homeostat_core::event::Event;
use homeostat_core::fact::What;
use homeostat_core::incident::Stage;
use homeostat_core::limits;
use homeostat_core::name::{HandlerName, OrderId, RemedyName};
use homeostat_core::order::Outcome;
use homeostat_core::plan::Rendered;
use homeostat_core::policy::{Action, Remedy};
use homeostat_core::request::{BodyTemplate, Method, RequestTemplate, Statuses};
use homeostat_core::scenario::Scenario;
use homeostat_core::template::Template;
use homeostat_core::time::Span;

fn play(action: Action, retries: u32) -> Scenario {
    alone(policy(vec![Remedy { action, retries, ..remedy("replace") }]))
}

fn post() -> Action {
    Action::Http(Box::new(RequestTemplate {
        method: Method::Post,
        url: Template::parse("https://cloud.example/{{ labels.instance | host }}").unwrap(),
        headers: Vec::new(),
        body: BodyTemplate::Nothing,
        expected: vec![Statuses::SUCCESS],
        key_header: Some("Idempotency-Key".into()),
    }))
}

fn call() -> Action {
    Action::Call(HandlerName::new("move-primary"))
}

fn errand() -> Action {
    let host = Template::parse("{{ labels.instance | host }}").unwrap();
    Action::Errand(Box::new(ErrandTemplate {
        hand: "any".into(),
        verb: "mend".into(),
        fields: vec![("host".into(), FieldTemplate::Text(host, Form::HOST))],
        rehearsed: false,
    }))
}

/// The keys of the orders since the last call, and their ids.
fn keys(play: &mut Scenario) -> Vec<(String, String)> {
    let orders = play.take_orders().into_iter().map(|run| {
        let Rendered::Http(request) = run.order.action else { panic!() };
        (run.order.id.to_string(), request.headers[0].value.clone().unwrap())
    });
    orders.collect()
}

#[test]
fn retries_carry_one_key_and_another_incident_another() {
    let mut play = play(post(), 1);
    play.fire("main", Door::Webhook, A);
    play.exit("replace", Outcome::Answered { status: 503, expected: false });
    play.advance(Span::from_secs(5));
    play.fire("main", Door::Webhook, B);
    let keys = keys(&mut play);
    let ids: Vec<&str> = keys.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["1.replace.1", "1.replace.2", "2.replace.1"]);
    assert_eq!(keys[0].1, keys[1].1, "the same deed, asked for twice");
    assert_ne!(keys[0].1, keys[2].1);
    assert_eq!(keys[0].1, "1.replace.1767603600000000", "an earlier journal has another time");
}

#[test]
fn an_answer_is_a_success_or_a_known_failure() {
    let mut play = play(post(), 0);
    play.fire("main", Door::Webhook, A);
    play.exit("replace", Outcome::Answered { status: 202, expected: true });
    assert!(matches!(play.incident().unwrap().stage, Stage::Verifying(_)));
    play.fire("main", Door::Webhook, B);
    play.exit("replace", Outcome::Answered { status: 404, expected: false });
    let given_up = play.journal().iter().find_map(|fact| match &fact.what {
        What::RemedyGivenUp { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    assert_eq!(given_up, Some("was answered 404, which is no success"));
}

#[test]
fn a_handler_is_done_or_has_failed() {
    let mut play = play(call(), 1);
    play.fire("main", Door::Webhook, A);
    play.exit("replace", Outcome::Failed { reason: "no replica is in sync".into() });
    play.advance(Span::from_secs(5));
    play.exit("replace", Outcome::Done);
    assert!(matches!(play.incident().unwrap().stage, Stage::Verifying(_)));
    assert_eq!(play.take_orders().len(), 2);
}

/// What the timeline has of the runs.
fn said(play: &Scenario) -> Vec<String> {
    let said = play.journal().iter().filter_map(|fact| match &fact.what {
        What::OrderProgressed { text, .. } => Some(text.clone()),
        _ => None,
    });
    said.collect()
}

#[test]
fn progress_is_written_down_within_bounds_and_only_while_it_runs() {
    let mut play = play(call(), 1);
    let say = |play: &mut Scenario, attempt: u32, text: &str| {
        let order = OrderId {
            incident: homeostat_core::name::IncidentId(1),
            remedy: RemedyName::new("replace"),
            attempt,
            part: homeostat_core::name::Part::Heal,
        };
        play.send(Event::OrderProgressed { order, text: text.to_owned() });
    };
    play.fire("main", Door::Webhook, A);
    say(&mut play, 2, "not this run");
    say(&mut play, 1, " replica\n\u{1b}[31m promoted\t");
    say(&mut play, 1, "\n\0");
    say(&mut play, 1, &"é".repeat(1_000));
    assert_eq!(said(&play)[0], "replica [31m promoted");
    assert_eq!(said(&play)[1].len(), limits::PROGRESS_BYTES + '…'.len_utf8());
    assert_eq!(said(&play).len(), 2);
    for _ in 0..100 {
        say(&mut play, 1, "more");
    }
    assert_eq!(said(&play).len(), limits::ORDER_PROGRESS as usize);
    play.exit("replace", Outcome::Failed { reason: "x".into() });
    say(&mut play, 1, "too late");
    play.advance(Span::from_secs(5));
    say(&mut play, 2, "the next run counts anew");
    assert_eq!(said(&play).len(), limits::ORDER_PROGRESS as usize + 1);
}

#[test]
fn an_errand_is_ordered_with_its_fields_filled_in() {
    let mut play = play(errand(), 0);
    play.fire("main", Door::Webhook, A);
    let run = play.take_orders().remove(0);
    assert_eq!(run.order.action.to_string(), "any mend host=a");
    assert!(run.order.action.outlives_the_engine(), "a hand is a process");
    play.exit("replace", Outcome::Done);
    assert!(matches!(play.incident().unwrap().stage, Stage::Verifying(_)));
}

#[test]
fn an_errand_whose_field_is_not_of_its_form_goes_to_a_person_and_is_never_ordered() {
    let mut play = play(errand(), 0);
    play.fire("main", Door::Webhook, &[("alertname", "Down"), ("instance", "a;reboot")]);
    assert!(play.take_orders().is_empty());
    let closed = play.journal().iter().find_map(|fact| match &fact.what {
        What::IncidentClosed { closing, .. } => Some(closing.reason.to_string()),
        _ => None,
    });
    assert!(closed.unwrap().contains("is not a host name or an address"));
}
