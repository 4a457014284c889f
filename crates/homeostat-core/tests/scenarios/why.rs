//! What is written down beside each choice: candidates, guards, evidence with its age.

use crate::stage::{
    A, B, DONE, FAILED, fire, ladder, orders, policy, remedy, resolve, secs, witnessed,
};
use homeostat_core::event::Event;
use homeostat_core::fact::What;
use homeostat_core::guard::Grant;
use homeostat_core::hold::Guard;
use homeostat_core::incident::Stage;
use homeostat_core::name::IncidentId;
use homeostat_core::policy::{Mode, Policy};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::why::{Answer as Found, Rank, Why};

/// What one choice has written down: the guards that cleared, and why.
type Told = (Vec<Guard>, Option<Why>);

fn told(play: &Scenario) -> Vec<Told> {
    let of = |what: &What| match what {
        What::OrderHeld { grants, why, .. }
        | What::RemedyShadowed { grants, why, .. }
        | What::ApprovalAsked { grants, why, .. } => Some((grants.clone(), why.clone())),
        What::OrderIssued { order } => Some((order.grants.clone(), order.why.clone())),
        _ => None,
    };
    let told = play.journal().iter().filter_map(|fact| of(&fact.what));
    let guards = |(grants, why): (Vec<Grant>, Option<Box<Why>>)| {
        (grants.into_iter().map(|grant| grant.guard).collect(), why.map(|why| *why))
    };
    told.map(guards).collect()
}

fn last(play: &Scenario) -> Told {
    told(play).pop().expect("a choice was made")
}

fn ranks(why: &Why) -> Vec<(&str, &Rank)> {
    why.candidates.iter().map(|c| (c.remedy.as_str(), &c.rank)).collect()
}

fn answers(why: &Why) -> Vec<String> {
    let tell = |a: &Found| format!("{}: {}, {}", a.asked, a.answer, a.age);
    why.evidence.iter().map(tell).collect()
}

fn pause(play: &mut Scenario) {
    play.send(Event::Pause { by: "ann".into(), reason: "migration".into() });
}

#[test]
fn an_order_says_what_there_was_to_choose_from_and_what_was_known() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    let (guards, why) = last(&play);
    let why = why.unwrap();
    assert!(guards.contains(&Guard::Fresh), "{guards:?}");
    assert_eq!(ranks(&why), [("restart", &Rank::Chosen), ("reboot", &Rank::Ahead)]);
    assert_eq!(
        answers(&why),
        [
            "Alertmanager main, alert 3c008cf376942edc: lists it active, updated 0s before, 0s",
            "Prometheus, rule Down: main shows it: fires, evaluated 0s before, 0s",
        ]
    );
    play.exit("restart", FAILED);
    assert_eq!(orders(&mut play), ["1.restart.1", "1.reboot.1"]);
    let tried = Rank::Tried { how: "exited with code 1".into() };
    assert_eq!(ranks(&last(&play).1.unwrap()), [("restart", &tried), ("reboot", &Rank::Chosen)]);
}

#[test]
fn a_relapse_says_which_incident_had_done_with_the_rung_below() {
    let mut again = Policy { relapse: secs(600), ..ladder() };
    again.guard.cooldown = secs(1);
    let mut play = witnessed(again);
    fire(&mut play, A);
    play.end_silently(A);
    play.exit("restart", DONE);
    play.advance(secs(5));
    resolve(&mut play, A);
    play.advance(secs(60));
    fire(&mut play, A);
    let why = last(&play).1.unwrap();
    let relapsed = Rank::Relapsed { of: IncidentId(1) };
    assert_eq!(ranks(&why), [("restart", &relapsed), ("reboot", &Rank::Chosen)]);
}

#[test]
fn a_hold_says_what_cleared_and_one_like_it_only_what_is_new() {
    let mut play = witnessed(ladder());
    pause(&mut play);
    fire(&mut play, A);
    let (guards, why) = last(&play);
    assert!(guards.contains(&Guard::Lock) && !guards.contains(&Guard::Pause), "{guards:?}");
    assert_eq!(ranks(&why.unwrap()), [("restart", &Rank::Chosen), ("reboot", &Rank::Ahead)]);
    let before = told(&play).len();
    play.send(Event::Reloaded);
    assert_eq!(told(&play).len(), before + 1, "it is judged again");
    assert_eq!(last(&play), (Vec::new(), None), "and nothing is told twice");
}

#[test]
fn a_hold_by_other_guards_says_again_what_cleared() {
    let mut narrow = ladder();
    narrow.guard.concurrency = 1;
    let mut play = witnessed(narrow);
    fire(&mut play, B);
    pause(&mut play);
    fire(&mut play, A);
    let (guards, _) = last(&play);
    assert!(!guards.contains(&Guard::Pause) && !guards.contains(&Guard::Concurrency));
    play.send(Event::Resume { by: "ann".into(), reason: String::new() });
    let (guards, why) = last(&play);
    assert!(guards.contains(&Guard::Pause) && !guards.contains(&Guard::Concurrency), "{guards:?}");
    assert_eq!(why, None, "the ladder has not moved");
}

#[test]
fn a_hold_on_evidence_says_at_each_look_what_was_known() {
    let mut play = witnessed(ladder());
    play.answer(Answer::Silenced("silence 7".into()));
    fire(&mut play, A);
    let (guards, why) = last(&play);
    assert!(guards.contains(&Guard::Fresh) && !guards.contains(&Guard::Silence), "{guards:?}");
    assert_eq!(why.unwrap().candidates.len(), 2);
    play.advance(secs(6));
    let (guards, why) = last(&play);
    let why = why.unwrap();
    assert_eq!((guards.len(), why.candidates.len()), (0, 0), "these are told already");
    assert!(
        answers(&why)[0].ends_with("lists it suppressed by silence 7, updated 5s before, 0s"),
        "{:?}",
        answers(&why)
    );
}

#[test]
fn a_shadow_says_what_cleared_and_asks_nobody() {
    let mut shadow = ladder();
    shadow.remedies[0].mode = Mode::Shadow;
    let mut play = witnessed(shadow);
    fire(&mut play, A);
    let [shadowed, issued] = &told(&play)[..] else { panic!("{:?}", told(&play)) };
    assert!(shadowed.0.contains(&Guard::Pause) && !shadowed.0.contains(&Guard::Fresh));
    let why = shadowed.1.clone().unwrap();
    assert_eq!(ranks(&why), [("restart", &Rank::Chosen), ("reboot", &Rank::Ahead)]);
    assert_eq!(answers(&why), [""; 0]);
    let why = issued.1.clone().unwrap();
    assert_eq!(ranks(&why), [("restart", &Rank::Shadowed), ("reboot", &Rank::Chosen)]);
}

#[test]
fn a_question_for_approval_says_why_it_is_asked() {
    let mut asking = policy(vec![remedy("reboot")]);
    asking.remedies[0].mode = Mode::Approve;
    let mut play = witnessed(asking);
    fire(&mut play, A);
    assert!(matches!(play.incident().unwrap().stage, Stage::AwaitingApproval(_)));
    let why = last(&play).1.unwrap();
    assert_eq!(ranks(&why), [("reboot", &Rank::Chosen)]);
    assert_eq!(why.evidence.len(), 2);
}

#[test]
fn the_state_keeps_no_reasons() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    let order = play.incident().unwrap().order.clone().unwrap();
    assert_eq!((order.grants.len(), order.why), (0, None));
    assert!(last(&play).1.is_some(), "the journal has them");
}

#[test]
fn facts_of_a_journal_without_reasons_are_read() {
    let mut play = witnessed(ladder());
    pause(&mut play);
    fire(&mut play, A);
    let held = play.journal().iter().find(|fact| fact.what.kind() == "order_held").unwrap();
    let mut json = serde_json::to_value(&held.what).unwrap();
    assert_eq!(serde_json::from_value::<What>(json.clone()).unwrap(), held.what);
    json.as_object_mut().unwrap().retain(|name, _| name != "grants" && name != "why");
    match serde_json::from_value(json).unwrap() {
        What::OrderHeld { grants, why, holds, .. } => {
            assert_eq!((grants.len(), why, holds.len()), (0, None, 1));
        }
        other => panic!("{other:?}"),
    }
}
