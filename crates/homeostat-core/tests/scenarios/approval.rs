//! Modes and an operator's commands, as scenarios: a person is asked, answers, or does not.

use crate::stage::*;
use homeostat_core::approval::{Asked, Digest};
use homeostat_core::command::{Command, Reply};
use homeostat_core::decide::{decide, recover};
use homeostat_core::event::{Effect, Event};
use homeostat_core::fact::What;
use homeostat_core::hold::Guard;
use homeostat_core::incident::{End, Stage};
use homeostat_core::name::{BootId, IncidentId};
use homeostat_core::notice::{Matter, Topic};
use homeostat_core::order::{Found, Outcome};
use homeostat_core::policy::{Escalate, Mode, OnResolve, Policy, Witnesses};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::state::State;
use homeostat_core::template::Template;

fn approving(name: &str) -> homeostat_core::policy::Remedy {
    homeostat_core::policy::Remedy { mode: Mode::Approve, ..remedy(name) }
}

fn reboot() -> Policy {
    policy(vec![approving("reboot")])
}

/// A reboot that waits for approval.
fn asked() -> Scenario {
    let mut play = alone(reboot());
    fire(&mut play, A);
    assert_eq!(state(&play), "awaiting_approval");
    assert_eq!(orders(&mut play), [""; 0]);
    play
}

fn state(play: &Scenario) -> &'static str {
    play.incident().unwrap().stage.as_str()
}

fn what_is_asked(play: &Scenario) -> Asked {
    match &play.incident().unwrap().stage {
        Stage::AwaitingApproval(asked) => (**asked).clone(),
        stage => panic!("nothing is asked: {stage:?}"),
    }
}

fn outcome(play: &Scenario) -> (End, String) {
    match &play.incident().unwrap().stage {
        Stage::Closed { closing, .. } => (closing.outcome, closing.reason.to_string()),
        stage => panic!("not closed: {stage:?}"),
    }
}

fn topics(play: &Scenario) -> Vec<Topic> {
    play.told().map(homeostat_core::notice::Notice::topic).collect()
}

fn refusal(reply: Reply) -> String {
    match reply {
        Reply::Refused(why) => why,
        other => panic!("not refused: {other:?}"),
    }
}

fn taken(reply: &Reply) {
    assert!(matches!(reply, Reply::Taken(_)), "{reply:?}");
}

fn pause(play: &mut Scenario) {
    play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
}

#[test]
fn a_person_is_asked_once_all_guards_agree_and_is_told_what_would_be_done() {
    let play = asked();
    let asked = what_is_asked(&play);
    assert_eq!(asked.action.to_string(), "reboot a:80");
    assert_eq!(asked.digest, Digest::of(&asked.order, &asked.action));
    assert_eq!(asked.expires_at, start_time() + secs(1800));
    let told: Vec<_> = play.told().collect();
    let [notice] = told.as_slice() else { panic!("one notice: {told:?}") };
    assert_eq!(
        notice.matter,
        Matter::Approval {
            incident: IncidentId(1),
            action: "reboot a:80".into(),
            expires_at: asked.expires_at
        }
    );
    assert!(notice.reason.contains("homeostat approve 1"), "{}", notice.reason);
    let grants = play.journal().iter().find_map(|fact| match &fact.what {
        What::ApprovalAsked { grants, .. } => Some(grants.clone()),
        _ => None,
    });
    let guards: Vec<Guard> = grants.unwrap().iter().map(|grant| grant.guard).collect();
    assert!(guards.contains(&Guard::Fresh) && guards.contains(&Guard::Pause), "{guards:?}");
}

#[test]
fn what_is_held_anyway_is_not_asked() {
    let mut play = alone(reboot());
    pause(&mut play);
    fire(&mut play, A);
    assert_eq!((state(&play), topics(&play)), ("waiting", vec![]));
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    assert_eq!(state(&play), "awaiting_approval");
}

#[test]
fn what_is_approved_runs_once_and_says_who_approved_it() {
    let mut play = asked();
    taken(&play.approve("alice"));
    let runs = play.take_orders();
    let [run] = runs.as_slice() else { panic!("one order: {runs:?}") };
    assert_eq!(run.order.id.to_string(), "1.reboot.1");
    let grant = run.order.grants.iter().find(|grant| grant.guard == Guard::Approval).unwrap();
    assert_eq!(grant.reason, "alice approved it at 2026-01-05T09:00:00Z: in a scenario");
    assert_eq!(topics(&play), [], "nothing waits for a person any more");
    play.exit("reboot", DONE);
    resolve(&mut play, A);
    assert_eq!(closings(play.journal()).last().unwrap().outcome, End::Healed);
    assert_eq!(play.take_orders().len(), 0);
}

#[test]
fn an_automatic_remedy_comes_first_and_a_stricter_one_asks() {
    let mut play = alone(policy(vec![remedy("restart"), approving("reboot")]));
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.exit("restart", FAILED);
    assert_eq!(state(&play), "awaiting_approval");
    taken(&play.approve("alice"));
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}

#[test]
fn nobody_answers_in_time_and_a_person_takes_over_without_a_next_rung() {
    let mut play = alone(policy(vec![approving("reboot"), remedy("replace")]));
    fire(&mut play, A);
    play.advance(secs(1799));
    assert_eq!(state(&play), "awaiting_approval");
    play.advance(secs(1));
    let (end, reason) = outcome(&play);
    assert_eq!(end, End::Escalated);
    assert_eq!(reason, "nobody approved remedy reboot by 2026-01-05T09:30:00Z: it was not run");
    assert_eq!(topics(&play), [Topic::Escalation { incident: IncidentId(1) }]);
    assert_eq!(orders(&mut play), [""; 0]);
    let refused = refusal(play.approve("alice"));
    assert_eq!(refused, "incident 1 is closed as escalated");
}

#[test]
fn a_word_at_the_very_end_of_its_time_comes_too_late() {
    let play = asked();
    let (incident, command) = (IncidentId(1), Command::Approve);
    let (by, reason) = ("alice".to_owned(), String::new());
    let event =
        Event::Command { incident, command, seen: None, ahead: None, by: by.into(), reason };
    let at = what_is_asked(&play).expires_at;
    let decision = decide(play.state(), &book(reboot(), nobody()), event, at);
    let why = refusal(decision.reply.unwrap());
    assert_eq!(why, "the approval of remedy reboot expired at 2026-01-05T09:30:00Z");
    assert_eq!(decision.facts, []);
}

#[test]
fn guards_judge_again_after_the_approval_and_it_stays_valid_while_they_hold() {
    let mut play = asked();
    pause(&mut play);
    taken(&play.approve("alice"));
    assert_eq!((state(&play), orders(&mut play)), ("waiting", vec![]));
    let again = refusal(play.approve("bob"));
    assert!(again.contains("approved already: alice approved it"), "{again}");
    play.advance(secs(600));
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.reboot.1"], "nobody is asked a second time");
}

#[test]
fn an_approval_that_no_guard_let_pass_in_its_time_is_void_and_a_person_takes_over() {
    let mut play = asked();
    pause(&mut play);
    taken(&play.approve("alice"));
    play.advance(secs(1800));
    let (end, reason) = outcome(&play);
    assert_eq!(end, End::Escalated);
    assert_eq!(
        reason,
        "the approval of remedy reboot expired at 2026-01-05T09:30:00Z unused; it was held: \
         pause: paused by sre: deploy"
    );
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    play.advance(secs(3600));
    assert_eq!(orders(&mut play), [""; 0]);
}

#[test]
fn evidence_is_gathered_anew_after_the_approval() {
    let mut play = witnessed(reboot());
    fire(&mut play, A);
    assert_eq!(state(&play), "awaiting_approval");
    play.advance(secs(300));
    play.answer(Answer::Silenced("silence 7".into()));
    taken(&play.approve("alice"));
    assert_eq!((state(&play), orders(&mut play)), ("waiting", vec![]), "it was silenced meanwhile");
    play.answer(Answer::AlertmanagerTruth);
    play.advance(secs(60));
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}

#[test]
fn a_changed_action_is_asked_anew() {
    let mut changing = reboot();
    let warning: &[(&str, &str)] =
        &[("alertname", "Down"), ("instance", "a:80"), ("severity", "warning")];
    let by_severity = Template::parse("{{ labels.severity }}").unwrap();
    if let homeostat_core::policy::Action::Exec(argv) = &mut changing.remedies[0].action {
        argv.push(by_severity);
    }
    let mut play = alone(changing);
    fire(&mut play, A2);
    fire(&mut play, warning);
    let before = what_is_asked(&play);
    assert_eq!(before.action.to_string(), "reboot a:80 page");
    resolve(&mut play, A2);
    play.advance(secs(60));
    taken(&play.approve("alice"));
    let after = what_is_asked(&play);
    assert_eq!(after.action.to_string(), "reboot a:80 warning", "the other alert leads now");
    assert_ne!(before.digest, after.digest);
    assert_eq!(orders(&mut play), [""; 0]);
    let stale = play.command_about(IncidentId(1), Command::Approve, Some(before.digest), "alice");
    assert!(
        refusal(stale).contains("not what you saw: remedy reboot is now `reboot a:80 warning`")
    );
    let seen = Some(after.digest);
    taken(&play.command_about(IncidentId(1), Command::Approve, seen, "alice"));
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}

#[test]
fn an_approval_covers_one_run_and_its_retry_is_asked_for() {
    let mut retried = reboot();
    retried.remedies[0].retries = 1;
    let mut play = alone(retried);
    fire(&mut play, A);
    taken(&play.approve("alice"));
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
    play.exit("reboot", FAILED);
    play.advance(secs(5));
    assert_eq!(state(&play), "awaiting_approval");
    assert_eq!(what_is_asked(&play).order.to_string(), "1.reboot.2");
    taken(&play.approve("alice"));
    assert_eq!(orders(&mut play), ["1.reboot.2"]);
}

#[test]
fn alerts_that_end_meanwhile_make_the_question_void() {
    let mut play = asked();
    resolve(&mut play, A);
    assert_eq!(closings(play.journal())[0].outcome, End::Recovered);
    assert_eq!(topics(&play), []);
    let over = refusal(play.command_about(IncidentId(1), Command::Approve, None, "alice"));
    assert_eq!(over, "incident 1 is over, and all of its alerts have ended");
}

#[test]
fn alerts_that_end_after_the_approval_make_it_void() {
    let mut play = asked();
    pause(&mut play);
    taken(&play.approve("alice"));
    resolve(&mut play, A);
    assert_eq!(closings(play.journal())[0].outcome, End::Recovered);
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    fire(&mut play, A);
    assert_eq!(orders(&mut play), [""; 0], "the new incident asks for itself");
}

#[test]
fn what_is_rejected_is_latched_and_says_who_and_why() {
    let mut play = asked();
    taken(&play.reject("alice"));
    assert_eq!(outcome(&play), (End::Rejected, "rejected by alice: in a scenario".into()));
    assert_eq!(topics(&play), [], "somebody knows");
    fire(&mut play, A);
    play.advance(secs(7200));
    assert_eq!(orders(&mut play), [""; 0]);
    let word = play.journal().iter().find_map(|fact| match &fact.what {
        What::IncidentCommanded { command, by, reason, .. } => {
            Some((*command, by.person(), &**reason))
        }
        _ => None,
    });
    assert_eq!(word, Some((Command::Reject, "alice", "in a scenario")));
    for _ in 0..4 {
        play.advance(secs(6 * 3600));
        fire(&mut play, A);
    }
    assert_eq!(topics(&play).len(), 1, "after a day a person hears that it still fires");
}

#[test]
fn commands_that_fit_nothing_are_refused_and_change_nothing() {
    let mut play = alone(ladder());
    let unknown = play.command_about(IncidentId(1), Command::Approve, None, "alice");
    assert_eq!(unknown, Reply::NoIncident(IncidentId(1)));
    fire(&mut play, A);
    let before = play.journal().len();
    for (command, why) in [
        (Command::Approve, "incident 1 is acting: nothing of it waits for approval"),
        (Command::Reject, "incident 1 is acting: nothing of it waits for approval"),
        (Command::Retry, "incident 1 is not tried again: it is still open, and acting"),
    ] {
        let reply = play.command_about(IncidentId(1), command, None, "alice");
        assert_eq!(reply, Reply::Refused(why.into()));
    }
    assert_eq!(play.journal().len(), before);
}

#[test]
fn a_new_book_counts_at_once_while_a_person_is_asked() {
    let in_mode = |mode| {
        let mut policy = reboot();
        policy.remedies[0].mode = mode;
        book(policy, nobody())
    };
    let mut play = asked();
    let before = what_is_asked(&play);
    play.advance(secs(60));
    play.reload(in_mode(Mode::Approve));
    assert_eq!(what_is_asked(&play), before, "the same question goes on");
    play.reload(in_mode(Mode::Auto));
    assert_eq!((orders(&mut play), topics(&play)), (vec!["1.reboot.1".to_owned()], vec![]));

    let mut play = asked();
    play.reload(in_mode(Mode::Shadow));
    assert_eq!((outcome(&play).0, topics(&play)), (End::Shadowed, vec![]));

    let mut play = asked();
    play.reload(book(policy(vec![approving("replace")]), nobody()));
    assert_eq!(what_is_asked(&play).action.to_string(), "replace a:80");
    play.reload(homeostat_core::policy::Book::new(
        Vec::new(),
        homeostat_core::policy::BookLimits::default(),
        Witnesses::default(),
    ));
    assert_eq!(outcome(&play), (End::Cancelled, "policy removed".into()));
    assert_eq!(topics(&play), []);
}

#[test]
fn a_question_and_an_approval_survive_a_restart() {
    let mut play = asked();
    let before = what_is_asked(&play);
    play.crash(&Found::NotStarted);
    assert_eq!(what_is_asked(&play), before);
    pause(&mut play);
    taken(&play.approve("alice"));
    play.crash(&Found::NotStarted);
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
    play.crash(&Found::NotStarted);
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.reboot.1"], "it had not started: the approval holds");
    play.crash(&Found::Unknown("no exit is recorded".into()));
    play.advance(secs(120));
    assert_eq!(orders(&mut play), [""; 0], "nothing runs twice on one approval");
}

#[test]
fn an_order_that_did_not_start_before_its_approval_expired_is_not_run() {
    let mut play = asked();
    taken(&play.approve("alice"));
    pause(&mut play);
    play.crash(&Found::NotStarted);
    play.advance(secs(1800));
    assert_eq!(outcome(&play).0, End::Escalated);
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    assert_eq!(orders(&mut play), ["1.reboot.1"], "only the first, which did not start");
}

#[test]
fn a_shadow_policy_asks_nobody() {
    let mut shadow = reboot();
    shadow.mode = Mode::Shadow;
    shadow.remedies[0].mode = Mode::Shadow;
    let mut play = alone(shadow);
    fire(&mut play, A);
    assert_eq!((outcome(&play).0, topics(&play)), (End::Shadowed, vec![]));
}

#[test]
fn nobody_is_told_where_the_policy_says_so_and_the_question_stands_all_the_same() {
    let mut quiet = reboot();
    quiet.escalate = Escalate::Nobody;
    let mut play = alone(quiet);
    fire(&mut play, A);
    assert_eq!((state(&play), topics(&play)), ("awaiting_approval", vec![]));
    taken(&play.approve("alice"));
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}

#[test]
fn a_pause_holds_what_is_approved_and_resume_decides_anew_under_concurrency() {
    let mut narrow = reboot();
    narrow.guard.concurrency = 1;
    let mut play = alone(narrow);
    fire(&mut play, A);
    fire(&mut play, B);
    pause(&mut play);
    for incident in [1, 2] {
        taken(&play.command_about(IncidentId(incident), Command::Approve, None, "alice"));
    }
    assert_eq!(orders(&mut play), [""; 0]);
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    assert_eq!(orders(&mut play), ["1.reboot.1"], "one at a time");
    play.exit("reboot", DONE);
    assert_eq!(orders(&mut play), ["2.reboot.1"]);
}

#[test]
fn a_cancel_ends_what_waits_and_latches() {
    for paused in [true, false] {
        let mut play = alone(if paused { ladder() } else { reboot() });
        if paused {
            pause(&mut play);
        }
        fire(&mut play, A);
        taken(&play.cancel("alice"));
        assert_eq!(outcome(&play), (End::Cancelled, "cancelled by alice: in a scenario".into()));
        play.send(Event::Resume { by: "sre".into(), reason: String::new() });
        fire(&mut play, A);
        play.advance(secs(3600));
        assert_eq!((orders(&mut play), topics(&play)), (vec![], vec![]));
    }
}

#[test]
fn a_cancel_ends_a_running_action_and_keeps_its_locks_until_it_is_over() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    let locks = play.incident().unwrap().locks.clone();
    let key = locks.first().unwrap();
    taken(&play.cancel("alice"));
    let (end, reason) = outcome(&play);
    assert_eq!(end, End::Cancelled);
    assert_eq!(
        reason,
        "cancelled by alice: in a scenario; remedy restart was told to end, and ended"
    );
    assert_eq!(play.state().ledgers().holder(key), None);
    let kinds: Vec<&str> = play.journal().iter().map(|fact| fact.what.kind()).collect();
    let position = |kind| kinds.iter().position(|known| *known == kind).unwrap();
    assert!(position("order_cancelled") < position("order_ended"));
    assert!(position("order_ended") < position("incident_closed"), "{kinds:?}");
    play.advance(secs(3600));
    assert_eq!(orders(&mut play), [""; 0], "neither a retry nor the next remedy");
}

#[test]
fn a_cancel_before_a_restart_holds_whatever_became_of_the_action() {
    let play_on = |found: &Found| {
        let mut play = alone(ladder());
        fire(&mut play, A);
        play.ignore_cancels();
        taken(&play.cancel("alice"));
        assert_eq!(state(&play), "acting");
        let again = refusal(play.cancel("bob"));
        assert_eq!(again, "incident 1 is being cancelled by alice: in a scenario");
        play.crash(found);
        play
    };
    let play = play_on(&Found::NotStarted);
    assert_eq!(outcome(&play).0, End::Cancelled);

    let mut play = play_on(&Found::Unknown("no exit is recorded".into()));
    assert_eq!(state(&play), "verifying", "it may still run, and its locks are kept");
    let early = refusal(play.cancel("alice"));
    assert!(early.contains("may still run"), "{early}");
    play.advance(secs(3600));
    assert_eq!(outcome(&play).0, End::Cancelled);
}

#[test]
fn an_action_that_was_told_to_end_is_told_again_after_a_restart() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    let recovered = |play: &Scenario| {
        let mut state = State::default();
        play.journal().iter().for_each(|fact| state.apply(fact));
        let effects = recover(&state).into_iter();
        effects.filter(|effect| matches!(effect, Effect::Cancel(_))).count()
    };
    assert_eq!(recovered(&play), 0, "nobody told it to");
    play.ignore_cancels();
    taken(&play.cancel("alice"));
    assert_eq!(recovered(&play), 1, "it may go on, and may not have heard");
}

#[test]
fn a_cancel_abandons_a_verification() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    play.exit("restart", DONE);
    assert_eq!(state(&play), "verifying");
    taken(&play.cancel("alice"));
    assert_eq!(outcome(&play).0, End::Cancelled);
    play.advance(secs(3600));
    assert_eq!(orders(&mut play), ["1.restart.1"], "only the first");
}

#[test]
fn a_cancel_of_what_is_closed_ends_its_notice() {
    let mut play = alone(policy(vec![remedy("restart")]));
    fire(&mut play, A);
    play.exit("restart", FAILED);
    assert_eq!(topics(&play).len(), 1);
    taken(&play.cancel("alice"));
    assert_eq!(topics(&play), []);
    let again = refusal(play.cancel("alice"));
    assert_eq!(again, "incident 1 is closed as escalated, and nobody is told");
}

#[test]
fn a_retry_lifts_the_latch_and_begins_at_the_first_remedy() {
    let mut play = alone(policy(vec![remedy("restart"), remedy("reboot")]));
    fire(&mut play, A);
    fire(&mut play, A2);
    play.exit("restart", FAILED);
    play.exit("reboot", FAILED);
    assert_eq!(outcome(&play).0, End::Escalated);
    orders(&mut play);
    let Reply::Taken(text) = play.retry("alice") else { panic!("it is taken") };
    assert!(text.contains("incident 2 is opened"), "{text}");
    let incident = play.incident().unwrap();
    assert_eq!((incident.id, incident.episodes.len()), (IncidentId(2), 2));
    assert_eq!(incident.relapse_of, None);
    assert!(matches!(incident.stage, Stage::Held { .. }), "the cooldown applies");
    assert_eq!(topics(&play), [], "it is being healed again");
    play.advance(secs(1200));
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["2.restart.1"]);
}

#[test]
fn a_retry_is_for_what_was_given_up_and_still_fires() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    fire(&mut play, A2);
    play.exit("restart", DONE);
    resolve(&mut play, A);
    resolve(&mut play, A2);
    assert!(play.incident().is_none());
    let over = play.command_about(IncidentId(1), Command::Retry, None, "alice");
    assert!(refusal(over).contains("all of its alerts have ended"));

    let mut play = witnessed(reboot());
    fire(&mut play, A);
    taken(&play.reject("alice"));
    taken(&play.retry("bob"));
    assert_eq!((state(&play), play.incident().unwrap().id), ("awaiting_approval", IncidentId(2)));
    taken(&play.cancel("alice"));
    play.reload(book(policy(vec![]), everybody()));
    let mut other = reboot();
    other.name = homeostat_core::name::PolicyName::new("other");
    play.reload(book(other, everybody()));
    let gone = refusal(play.command_about(IncidentId(2), Command::Retry, None, "alice"));
    assert!(gone.contains("policy web does not take its alert any more"), "{gone}");
}

#[test]
fn an_action_is_told_to_end_once_all_alerts_have_resolved_where_the_policy_says_so() {
    let mut signalling = ladder();
    signalling.on_resolve = OnResolve::Signal;
    let mut play = alone(signalling);
    fire(&mut play, A);
    fire(&mut play, A2);
    resolve(&mut play, A);
    assert_eq!(state(&play), "acting", "another alert still fires");
    resolve(&mut play, A2);
    let ended = play.journal().iter().find_map(|fact| match &fact.what {
        What::OrderEnded { ended, .. } => Some(ended.outcome.clone()),
        _ => None,
    });
    assert_eq!(ended, Some(Outcome::Cancelled));
    let closing = closings(play.journal()).pop().unwrap();
    assert_eq!((closing.outcome, closing.resolved_during_action), (End::Healed, true));

    let mut play = alone(ladder());
    fire(&mut play, A);
    resolve(&mut play, A);
    assert_eq!(state(&play), "acting", "by default it finishes");
}

#[test]
fn a_lapse_is_no_resolve_and_signals_nothing() {
    let mut signalling = ladder();
    signalling.on_resolve = OnResolve::Signal;
    signalling.lapse = secs(20);
    let mut play = alone(signalling);
    fire(&mut play, A);
    play.advance(secs(25));
    assert_eq!(state(&play), "acting");
    play.send(Event::Started { boot: BootId::new("boot-1") });
    assert!(play.journal().iter().all(|fact| fact.what.kind() != "order_cancelled"));
}
