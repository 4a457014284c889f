//! What is asked of a hand before it acts, who is asked where somebody else manages what it would change,
//! and what is looked at before and after.

use homeostat_core::alert::Door;
use homeostat_core::collect::{At, Collector, Looked, Moment};
use homeostat_core::errand::{ErrandTemplate, FieldTemplate, Form};
use homeostat_core::evidence::Rehearsal;
use homeostat_core::fact::What;
use homeostat_core::hold::Guard;
use homeostat_core::incident::{End, StageKind};
use homeostat_core::order::Found;
use homeostat_core::policy::{Action, Managed, Policy, Regression, Remedy, Undo, Worse};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::template::Template;

use crate::stage::{A, DONE, FAILED, alone, policy, remedy, secs, witnessed};

fn errand() -> Action {
    let host = Template::parse("{{ labels.instance | host }}").unwrap();
    Action::Errand(Box::new(ErrandTemplate {
        hand: "any".into(),
        verb: "mend".into(),
        fields: vec![("host".into(), FieldTemplate::Text(host, Form::HOST))],
        rehearsed: true,
    }))
}

fn rehearsing(retries: u32) -> Policy {
    policy(vec![Remedy { action: errand(), retries, ..remedy("mend") }, remedy("restart")])
}

fn says(rehearsal: Rehearsal) -> Answer {
    Answer::Rehearsal(rehearsal)
}

fn managed() -> Answer {
    says(Rehearsal::Accepted { managed_by: Some("Argo CD (application shop)".into()) })
}

/// Plays until something is to be decided, with a hand that answers so.
fn fired(policy: Policy, answer: Option<Answer>) -> Scenario {
    let mut play = witnessed(policy);
    if let Some(answer) = answer {
        play.answer(answer);
    }
    play.fire("main", Door::Webhook, A);
    play
}

fn stage(play: &Scenario) -> StageKind {
    play.incident().unwrap().stage.kind()
}

fn holding(play: &Scenario) -> Vec<String> {
    play.incident().unwrap().stage.holds().iter().map(ToString::to_string).collect()
}

#[test]
fn a_hand_that_would_do_it_does_it_and_the_order_says_so() {
    let mut play = fired(rehearsing(0), None);
    let run = play.take_orders().remove(0);
    let grant = run.order.grants.iter().find(|grant| grant.guard == Guard::DryRun).unwrap();
    assert_eq!(grant.reason, "it would be done");
    let why = run.order.why.unwrap();
    assert!(
        why.evidence
            .iter()
            .any(|told| told.asked == "dry run of any mend host=a"
                && told.answer == "it would be done"),
        "{why:?}"
    );
}

#[test]
fn what_would_be_refused_is_not_tried_and_a_person_hears_the_words() {
    let mut play = fired(rehearsing(0), Some(says(Rehearsal::Refused("forbidden: no".into()))));
    assert!(play.take_orders().is_empty());
    let closing = play.incident().unwrap().stage.closing().unwrap();
    assert_eq!(closing.outcome, End::Escalated);
    assert_eq!(&*closing.reason, "dry_run: it would be refused: forbidden: no");
    assert_eq!(play.told().count(), 1);
}

#[test]
fn what_could_not_be_done_now_waits_and_is_asked_for_again() {
    for (answer, why) in [
        (
            says(Rehearsal::NotNow("held_by_budget: web".into())),
            "dry_run: it could not be done now: held_by_budget: web",
        ),
        (Answer::RehearsalErrs("no route".into()), "dry_run: no answer: no route"),
    ] {
        let mut play = fired(rehearsing(0), Some(answer));
        assert!(play.take_orders().is_empty());
        assert_eq!(holding(&play), [why]);
        play.answer(says(Rehearsal::Accepted { managed_by: None }));
        play.advance(secs(20));
        assert_eq!(play.take_orders().len(), 1);
    }
}

#[test]
fn nobody_is_asked_where_the_policy_does_not_want_it_or_something_else_holds() {
    let refused = || says(Rehearsal::Refused("no".into()));
    let mut trusting = rehearsing(0);
    trusting.guard.dry_run = false;
    assert_eq!(fired(trusting, Some(refused())).take_orders().len(), 1);
    let mut paused = witnessed(rehearsing(0));
    paused.answer(refused());
    paused.send(homeostat_core::event::Event::Pause { by: "ann".into(), reason: "x".into() });
    paused.fire("main", Door::Webhook, A);
    assert_eq!(holding(&paused), ["pause: paused by ann: x"]);
}

#[test]
fn a_person_is_asked_before_what_somebody_else_manages_is_changed() {
    let mut play = fired(rehearsing(0), Some(managed()));
    assert!(play.take_orders().is_empty());
    assert_eq!(stage(&play), StageKind::AwaitingApproval);
    let asked = play.journal().iter().find_map(|fact| match &fact.what {
        What::ApprovalAsked { grants, .. } => Some(grants.clone()),
        _ => None,
    });
    let said = asked.unwrap().into_iter().find(|grant| grant.guard == Guard::DryRun).unwrap();
    assert_eq!(said.reason, "it would be done, and Argo CD (application shop) may take it back");
    play.approve("ann");
    let run = play.take_orders().remove(0);
    let guards: Vec<Guard> = run.order.grants.iter().map(|grant| grant.guard).collect();
    assert!(guards.contains(&Guard::Approval) && guards.contains(&Guard::DryRun), "{guards:?}");
}

#[test]
fn an_approval_is_for_one_run_also_where_the_mode_is_auto() {
    let mut play = fired(rehearsing(1), Some(managed()));
    play.approve("ann");
    assert_eq!(play.take_orders().len(), 1);
    play.exit("mend", FAILED);
    play.advance(secs(30));
    assert!(play.take_orders().is_empty());
    assert_eq!(stage(&play), StageKind::AwaitingApproval);
    play.reject("ann");
    assert!(play.take_orders().is_empty());
}

#[test]
fn a_policy_may_act_on_what_git_says() {
    let mut acting = rehearsing(0);
    acting.guard.managed = Managed::Act;
    assert_eq!(fired(acting, Some(managed())).take_orders().len(), 1);
}

fn collector(name: &str, when: Option<Moment>) -> Collector {
    let at = Looked::Exec(vec![Template::parse(name).unwrap()]);
    Collector { name: name.into(), when, at }
}

/// What was looked at, of which order and when, in order.
fn looked(play: &Scenario) -> Vec<String> {
    let facts = play.journal().iter().filter_map(|fact| match &fact.what {
        What::Collected { order, moment, found } => {
            let names: Vec<&str> = found.iter().map(|found| &*found.name).collect();
            Some(format!("{} {order}: {}", moment.as_str(), names.join(" ")))
        }
        _ => None,
    });
    facts.collect()
}

#[test]
fn it_is_looked_before_the_first_act_before_each_remedys_first_and_after_the_last() {
    let watching = Remedy { retries: 1, collect: vec![collector("files", None)], ..remedy("one") };
    let mut policy = policy(vec![watching, remedy("two")]);
    policy.collect =
        vec![collector("top", Some(Moment::Before)), collector("load", Some(Moment::After))];
    let mut play = alone(policy);
    play.fire("main", Door::Webhook, A);
    assert_eq!(looked(&play), ["before 1.one.1: top files"]);
    play.exit("one", FAILED);
    play.advance(secs(30));
    assert_eq!(looked(&play).len(), 1, "a retry sees what was seen");
    play.exit("one", FAILED);
    play.exit("two", DONE);
    assert_eq!(looked(&play).len(), 1, "this remedy looks at nothing");
    play.resolve("main", Door::Webhook, A);
    play.advance(secs(600));
    assert_eq!(looked(&play), ["before 1.one.1: top files", "after 1.two.1: load"]);
}

#[test]
fn a_run_that_certainly_did_not_start_is_looked_at_before_it_does() {
    let mut policy = policy(vec![remedy("one")]);
    policy.collect = vec![collector("top", Some(Moment::Before))];
    let mut play = alone(policy);
    play.fire("main", Door::Webhook, A);
    play.crash(&Found::NotStarted);
    play.fire("main", Door::Webhook, A);
    assert_eq!(looked(&play), ["before 1.one.1: top"; 2]);
}

#[test]
fn nothing_is_looked_at_where_nothing_was_done() {
    let mut policy = policy(vec![remedy("one")]);
    policy.collect = vec![collector("top", None)];
    policy.settle = secs(60);
    let mut play = alone(policy);
    play.fire("main", Door::Webhook, A);
    play.resolve("main", Door::Webhook, A);
    play.advance(secs(600));
    assert!(play.incident().is_none_or(|incident| incident.order.is_none()));
    assert_eq!(looked(&play), Vec::<String>::new());
}

#[test]
fn a_look_that_lacks_a_value_holds_nothing_up() {
    let at = Looked::Query(Template::parse(r#"up{zone="{{ labels.zone }}"}"#).unwrap());
    let mut policy = policy(vec![remedy("one")]);
    policy.collect = vec![Collector { name: "zone".into(), when: None, at }];
    let mut play = alone(policy);
    play.fire("main", Door::Webhook, A);
    let run = play.take_orders().remove(0);
    assert!(matches!(run.order.looks(Moment::Before)[0].at, At::Nothing { .. }));
}

#[test]
fn what_follows_the_last_act_follows_its_undo_too() {
    let undo = Undo { action: Action::Script("undo".into()), timeout: secs(20) };
    let matchers = homeostat_core::label::Matchers::parse("alertname=\"Slow\"").unwrap().matchers;
    let mut policy = policy(vec![Remedy { undo: Some(undo), ..remedy("one") }]);
    policy.regression = Some(Regression { matchers, worse: Worse::Undo });
    policy.collect = vec![collector("load", Some(Moment::After))];
    let mut play = witnessed(policy);
    play.fire("main", Door::Webhook, A);
    play.exit("one", DONE);
    let slow = [("alertname", "Slow"), ("instance", "a:80")];
    play.fire("main", Door::Webhook, &slow);
    play.advance(secs(60));
    play.exit("one", DONE);
    play.advance(secs(3600));
    assert_eq!(looked(&play), ["after 1.one.1.undo: load"]);
}
