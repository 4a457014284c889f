//! Several people must agree: who counts, who does not, and what is shown of it.

use crate::stage::*;
use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::approval::Objection;
use homeostat_core::command::{Command, Reply};
use homeostat_core::event::Event;
use homeostat_core::fact::What;
use homeostat_core::incident::{End, Stage};
use homeostat_core::label::LabelSet;
use homeostat_core::name::{IncidentId, SourceName};
use homeostat_core::operator::{ANONYMOUS, Operator};
use homeostat_core::order::Found;
use homeostat_core::policy::{Approval, Approvers, Escalate, Granted, Mode, Policy, Remedy};
use homeostat_core::scenario::Scenario;

fn reboot(approval: Approval) -> Policy {
    policy(vec![Remedy { mode: Mode::Approve, approval, ..remedy("reboot") }])
}

fn people(count: u32) -> Approval {
    Approval { count: Some(count), ..Approval::default() }
}

fn by(names: &[&str]) -> Approval {
    let names = names.iter().map(|name| (*name).into()).collect();
    Approval { by: Some(names), ..Approval::default() }
}

fn granted(policy: Policy, names: &[&str]) -> Policy {
    let who = names.iter().map(|name| (*name).into()).collect();
    let all = vec![Granted { who, targets: homeostat_core::label::Matchers::default() }];
    Policy { approvers: Approvers::Granted(all), ..policy }
}

/// A reboot that waits for approval.
fn asked(policy: Policy) -> Scenario {
    let mut play = alone(policy);
    fire(&mut play, A);
    assert_eq!(state(&play), "awaiting_approval");
    play
}

fn state(play: &Scenario) -> &'static str {
    play.incident().unwrap().stage.as_str()
}

fn vote(play: &mut Scenario, who: &str) -> Reply {
    play.vote(known(who, &[]), None)
}

fn counted(reply: Reply) -> (usize, usize, String) {
    match reply {
        Reply::Counted { message, have, need } => (have, need, message),
        other => panic!("not counted: {other:?}"),
    }
}

fn objection(reply: Reply) -> Objection {
    match reply {
        Reply::NotTheirs(objection) => objection,
        other => panic!("no objection: {other:?}"),
    }
}

fn refusal(reply: Reply) -> String {
    match reply {
        Reply::Refused(why) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn it_starts_once_so_many_different_people_agree() {
    let mut play = asked(reboot(people(2)));
    let told = play.told().next().unwrap().reason.clone();
    assert_eq!(told, "to let remedy reboot start: homeostat approve 1, by 2 people");
    let (have, need, message) = counted(vote(&mut play, "user:ann"));
    assert_eq!((have, need), (1, 2));
    assert_eq!(
        message,
        "1 of 2 approvals: user:ann; 1 more must approve remedy reboot by 2026-01-05T09:30:00Z"
    );
    assert_eq!((state(&play), orders(&mut play)), ("awaiting_approval", vec![]));
    let told = play.told().next().unwrap().reason.clone();
    assert!(told.ends_with("; 1 of 2 approvals: user:ann"), "{told}");
    let again = refusal(vote(&mut play, "user:ann"));
    assert_eq!(
        again,
        "user:ann has approved it already: 1 of 2 approvals: user:ann; somebody else must"
    );
    assert_eq!(orders(&mut play), [""; 0], "a second word of one person is no second person");
    assert_eq!(counted(vote(&mut play, "user:bob")).0, 2);
    let runs = play.take_orders();
    assert_eq!(runs.len(), 1);
    let grants = &runs[0].order.grants;
    let reason = &grants.last().unwrap().reason;
    assert_eq!(reason, "user:ann, user:bob approved it at 2026-01-05T09:00:00Z");
    assert_eq!(play.told().count(), 0, "nothing waits for a person any more");
}

#[test]
fn each_word_is_a_fact_with_who_it_was_and_from_where() {
    let mut play = asked(reboot(people(2)));
    for who in ["user:ann", "user:ann", "user:bob"] {
        vote(&mut play, who);
    }
    let words = play.journal().iter().filter_map(|fact| match &fact.what {
        What::IncidentCommanded { command: Command::Approve, by, missing, .. } => {
            let known = by.known.clone().unwrap();
            Some((known.who, known.address, *missing))
        }
        _ => None,
    });
    let address = || "10.0.0.7:51234".to_owned();
    let expected = [("user:ann".to_owned(), address(), 1), ("user:bob".to_owned(), address(), 0)];
    assert_eq!(words.collect::<Vec<_>>(), expected);
}

#[test]
fn whoever_has_no_name_counts_as_nobody_where_people_are_counted() {
    let anonymous = || Operator { claimed: "the pope".into(), ..known(ANONYMOUS, &[]) };
    for count in [1, 2] {
        let mut play = asked(reboot(people(count)));
        assert_eq!(objection(play.vote(anonymous(), None)), Objection::Nameless);
        assert_eq!(objection(play.vote("ann".into(), None)), Objection::Nameless);
        assert_eq!(play.incident().unwrap().votes.len(), 0);
    }
    let mut play = asked(reboot(Approval::default()));
    assert!(
        matches!(play.vote(anonymous(), None), Reply::Taken(_)),
        "one is enough, whoever it is"
    );
}

#[test]
fn whoever_had_it_tried_again_is_not_one_of_them() {
    let mut play = asked(reboot(people(1)));
    assert!(matches!(play.reject("ann"), Reply::Taken(_)));
    let retry = |by| Event::Command {
        incident: IncidentId(1),
        command: Command::Retry,
        seen: None,
        ahead: None,
        by,
        reason: String::new(),
    };
    play.send(retry(known("user:ann", &[])));
    assert_eq!((play.incident().unwrap().id, state(&play)), (IncidentId(2), "awaiting_approval"));
    assert_eq!(objection(vote(&mut play, "user:ann")), Objection::Retried);
    play.crash(&Found::NotStarted);
    assert_eq!(objection(vote(&mut play, "user:ann")), Objection::Retried);
    counted(vote(&mut play, "user:bob"));
    assert_eq!(orders(&mut play), ["2.reboot.1"]);
}

/// An alert of the target that somebody posts by their own identity.
fn post(play: &mut Scenario, who: &str, labels: &[(&str, &str)]) {
    let labels = LabelSet::from_pairs(labels.iter().copied());
    let alert = Alert {
        source: SourceName::new("main"),
        door: Door::Webhook,
        fingerprint: labels.fingerprint(),
        labels,
        annotations: LabelSet::default(),
        starts_at: Some(play.now()),
        generator_url: "".into(),
        receiver: "".into(),
        external_url: "".into(),
        group_labels: LabelSet::default(),
    };
    let by = Some(who.into());
    let observation =
        Observation { alert, status: Status::Firing, ends_at: None, unproven: None, by };
    play.remember(&observation);
    play.observe(observation);
}

#[test]
fn whoever_posted_one_of_its_alerts_is_not_one_of_them() {
    let mut play = alone(reboot(people(2)));
    post(&mut play, "user:ann", A);
    post(&mut play, "token:ci", A2);
    for who in ["user:ann", "token:ci"] {
        assert_eq!(objection(vote(&mut play, who)), Objection::Posted, "{who}");
    }
    play.crash(&Found::NotStarted);
    assert_eq!(objection(vote(&mut play, "user:ann")), Objection::Posted);
    counted(vote(&mut play, "user:bob"));
    counted(vote(&mut play, "user:cat"));
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
    let mut free = alone(reboot(Approval::default()));
    post(&mut free, "user:ann", A);
    assert!(matches!(vote(&mut free, "user:ann"), Reply::Taken(_)), "nobody asked for another");
}

#[test]
fn by_narrows_what_is_granted_and_grants_nothing() {
    let narrowed = granted(reboot(by(&["group:dba"])), &["group:dba", "group:sre", "user:eve"]);
    let mut play = asked(narrowed);
    let not_among = Objection::NotAmong(vec!["group:dba".into()]);
    for (who, groups) in [("user:ann", &["group:sre"][..]), ("user:eve", &[])] {
        assert_eq!(objection(play.vote(known(who, groups), None)), not_among, "{who}");
    }
    let mut other = asked(granted(reboot(by(&["group:dba"])), &["group:sre"]));
    let not_granted = Objection::NotGranted(vec!["group:sre".into()]);
    assert_eq!(objection(other.vote(known("user:dan", &["group:dba"]), None)), not_granted);
    assert_eq!(objection(play.vote("dan".into(), None)), not_among, "a claim is no identity");
    assert!(matches!(play.vote(known("user:dan", &["group:dba"]), None), Reply::Taken(_)));
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}

#[test]
fn anyone_who_may_can_reject_and_that_ends_it() {
    let mut policy = reboot(people(2));
    policy.remedies[0].approval.by = by(&["group:dba"]).by;
    let mut play = asked(policy);
    counted(play.vote(known("user:ann", &["group:dba"]), None));
    assert!(matches!(play.reject("eve"), Reply::Taken(_)));
    let closing = play.incident().unwrap().stage.closing().unwrap().clone();
    assert_eq!(
        (closing.outcome, &*closing.reason),
        (End::Rejected, "rejected by eve: in a scenario")
    );
    assert!(matches!(play.vote(known("user:bob", &["group:dba"]), None), Reply::Refused(_)));
    assert_eq!(orders(&mut play), [""; 0]);
}

#[test]
fn words_expire_together_with_the_question() {
    let mut play = asked(reboot(people(2)));
    play.advance(secs(1700));
    counted(vote(&mut play, "user:ann"));
    play.advance(secs(100));
    let closing = play.incident().unwrap().stage.closing().unwrap().clone();
    assert_eq!(closing.outcome, End::Escalated);
    assert_eq!(orders(&mut play), [""; 0]);
}

#[test]
fn words_survive_a_restart_and_are_void_with_what_they_were_about() {
    let mut play = asked(reboot(people(2)));
    counted(vote(&mut play, "user:ann"));
    play.crash(&Found::NotStarted);
    let again = refusal(vote(&mut play, "user:ann"));
    assert!(again.contains("1 of 2 approvals"), "{again}");
    let mut other = reboot(people(2));
    other.remedies[0].action = homeostat_core::policy::Action::Script("reboot -f".into());
    play.reload(book(other, nobody()));
    assert_eq!(play.incident().unwrap().votes.len(), 0, "they did not see this");
    assert_eq!(counted(vote(&mut play, "user:bob")).0, 1);
    assert_eq!(counted(vote(&mut play, "user:ann")).0, 2);
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}

#[test]
fn a_book_that_asks_for_other_people_asks_anew() {
    let mut play = asked(reboot(Approval::default()));
    play.reload(book(reboot(people(2)), nobody()));
    let Stage::AwaitingApproval(asked) = &play.incident().unwrap().stage else { panic!() };
    assert_eq!(asked.count, Some(2));
    counted(vote(&mut play, "user:ann"));
    play.reload(book(reboot(people(3)), nobody()));
    assert_eq!(play.incident().unwrap().votes.len(), 0);
    for who in ["user:ann", "user:bob"] {
        counted(vote(&mut play, who));
    }
    assert_eq!(orders(&mut play), [""; 0]);
    counted(vote(&mut play, "user:cat"));
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}

#[test]
fn who_may_not_approve_any_more_does_not_count_any_more() {
    let all = ["user:ann", "user:bob", "user:cat"];
    let mut play = asked(granted(reboot(people(2)), &all));
    counted(vote(&mut play, "user:ann"));
    play.reload(book(granted(reboot(people(2)), &all[1..]), nobody()));
    assert_eq!(counted(vote(&mut play, "user:bob")).0, 1, "the first word is nobody's now");
    assert_eq!(counted(vote(&mut play, "user:cat")).0, 2);
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}

#[test]
fn what_was_approved_by_somebody_who_may_not_any_more_is_asked_anew() {
    let mut play = asked(granted(reboot(people(2)), &["user:ann", "user:bob"]));
    play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
    for who in ["user:ann", "user:bob"] {
        counted(vote(&mut play, who));
    }
    assert_eq!(state(&play), "waiting");
    play.reload(book(granted(reboot(people(2)), &["user:bob", "user:cat"]), nobody()));
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    assert_eq!((state(&play), orders(&mut play)), ("awaiting_approval", vec![]));
    for who in ["user:bob", "user:cat"] {
        counted(vote(&mut play, who));
    }
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}

#[test]
fn words_are_counted_though_nobody_is_told() {
    let mut quiet = reboot(people(2));
    quiet.escalate = Escalate::Nobody;
    let mut play = asked(quiet);
    counted(vote(&mut play, "user:ann"));
    assert_eq!(play.told().count(), 0);
    counted(vote(&mut play, "user:bob"));
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}
