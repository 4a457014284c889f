//! Runs that are approved ahead: what they cover, what ends them, and that guards judge all the same.

use crate::stage::*;
use homeostat_core::alert::{Door, Presence};
use homeostat_core::approval::{Over, StandingApproval, Terms};
use homeostat_core::clock::Leap;
use homeostat_core::command::Reply;
use homeostat_core::decide::decide;
use homeostat_core::event::Event;
use homeostat_core::fact::{Fact, What};
use homeostat_core::hold::{Guard, Hold};
use homeostat_core::label::Matchers;
use homeostat_core::limits;
use homeostat_core::name::ApprovalId;
use homeostat_core::operator::Operator;
use homeostat_core::order::Found;
use homeostat_core::policy::{
    Action, Approval, Approvers, Granted, GuardLimits, Mode, Policy, Remedy,
};
use homeostat_core::scenario::Scenario;
use homeostat_core::state::State;
use homeostat_core::template::Template;
use homeostat_core::time::Span;

const DAY: Span = Span::from_secs(86_400);
const FIRST: ApprovalId = ApprovalId(1);

const fn ahead(uses: u32, lasts: Span) -> Terms {
    Terms { uses, lasts }
}

fn reboot() -> Policy {
    let remedies = vec![Remedy { mode: Mode::Approve, ..remedy("reboot") }];
    let guard = GuardLimits { cooldown: Span::ZERO, attempts: 9, ..Policy::observe().guard };
    Policy { guard, relapse: Span::ZERO, ..policy(remedies) }
}

fn by_two() -> Policy {
    let mut policy = reboot();
    policy.remedies[0].approval = Approval { count: Some(2), ..Approval::default() };
    policy
}

/// A reboot that is approved, and this ahead; its incident is healed.
fn approved_ahead(policy: Policy, terms: Terms) -> Scenario {
    approved_for(A, policy, terms)
}

fn approved_for(labels: &[(&str, &str)], policy: Policy, terms: Terms) -> Scenario {
    let mut play = alone(policy);
    fire(&mut play, labels);
    assert!(matches!(play.vote(known("user:ann", &[]), Some(terms)), Reply::Taken(_)));
    heal(&mut play, labels);
    play
}

/// Lets the run that goes on heal what it is about, and time pass until all rates are full again.
fn heal(play: &mut Scenario, labels: &[(&str, &str)]) {
    assert_eq!(orders(play).len(), 1);
    play.exit("reboot", DONE);
    resolve(play, labels);
    play.advance(secs(1200));
}

fn state(play: &Scenario) -> &'static str {
    play.incident().unwrap().stage.as_str()
}

fn left(play: &Scenario) -> Vec<u32> {
    play.state().approvals().iter().map(|approval| approval.left()).collect()
}

fn ends(play: &Scenario) -> Vec<Over> {
    let ends = play.journal().iter().filter_map(|fact| match &fact.what {
        What::ApprovalEnded { why, .. } => Some(why.clone()),
        _ => None,
    });
    ends.collect()
}

fn void(reason: &str) -> Over {
    Over::Void { reason: reason.into() }
}

/// Fires, and says whether it runs without a question.
fn runs(play: &mut Scenario, labels: &[(&str, &str)]) -> bool {
    fire(play, labels);
    match state(play) {
        "acting" => true,
        "awaiting_approval" => false,
        other => panic!("{other}"),
    }
}

#[test]
fn so_many_further_runs_start_without_a_question_and_say_by_what() {
    let mut play = approved_ahead(reboot(), ahead(2, DAY));
    for still in [1, 0] {
        fire(&mut play, A);
        let runs = play.take_orders();
        let [run] = runs.as_slice() else { panic!("{runs:?}") };
        let used = run.order.standing.clone().unwrap();
        assert_eq!(
            (used.approval, used.by, used.left),
            (FIRST, vec!["user:ann".to_owned()], still)
        );
        let grants = &run.order.grants;
        let grant = grants.iter().find(|grant| grant.guard == Guard::Approval).unwrap();
        assert_eq!(grant.reason, "standing approval 1 of user:ann");
        play.exit("reboot", DONE);
        resolve(&mut play, A);
        play.advance(secs(1200));
        assert_eq!(left(&play), [still]);
    }
    assert!(!runs(&mut play, A), "it is used up");
    let asked = play.journal().iter().filter(|fact| fact.what.kind() == "approval_asked").count();
    assert_eq!(asked, 2, "nobody was asked in between");
}

#[test]
fn the_run_that_waited_is_approved_and_does_not_count() {
    let mut play = alone(reboot());
    fire(&mut play, A);
    play.vote(known("user:ann", &[]), Some(ahead(1, DAY)));
    let runs = play.take_orders();
    assert_eq!((runs.len(), &runs[0].order.standing, left(&play)), (1, &None, vec![1]));
}

#[test]
fn it_is_good_for_no_other_target_and_no_other_action() {
    let mut policy = reboot();
    if let Action::Exec(argv) = &mut policy.remedies[0].action {
        argv.push(Template::parse("{{ labels.severity }}").unwrap());
    }
    let other = |name, value| {
        [A2[0], A2[1], A2[2]].map(|pair| if pair.0 == name { (name, value) } else { pair })
    };
    let mut play = approved_for(A2, policy, ahead(5, DAY));
    for labels in [other("instance", "b:80"), other("severity", "warning")] {
        assert!(!runs(&mut play, &labels), "{labels:?}");
        resolve(&mut play, &labels);
    }
    assert!(runs(&mut play, A2));
    assert_eq!(left(&play), [4]);
}

#[test]
fn labels_that_change_nothing_of_what_is_done_make_no_difference() {
    let mut play = approved_ahead(reboot(), ahead(5, DAY));
    assert!(runs(&mut play, A2));
}

#[test]
fn what_is_told_the_alert_itself_is_the_same_for_the_same_labels() {
    let script = || Action::Script("reboot \"$HOMEOSTAT_LABEL_severity\"".into());
    let call = || Action::Call(homeostat_core::name::HandlerName::new("reboot"));
    let bare = || Action::Exec(vec![Template::parse("reboot-all").unwrap()]);
    for action in [script(), call(), bare()] {
        let mut policy = reboot();
        policy.remedies[0].action = action;
        let mut play = approved_ahead(policy, ahead(5, DAY));
        assert!(!runs(&mut play, A2), "its environment differs");
        resolve(&mut play, A2);
        assert!(runs(&mut play, A));
    }
}

#[test]
fn what_names_its_incident_cannot_be_approved_ahead_and_what_names_its_attempt_is_another() {
    let naming = |name: &str| {
        let mut policy = reboot();
        policy.remedies[0].retries = 1;
        policy.remedies[0].action =
            Action::Exec(vec![Template::parse(&format!("reboot-{{{{ {name} }}}}")).unwrap()]);
        policy
    };
    let mut play = alone(naming("incident"));
    fire(&mut play, A);
    let Reply::Refused(why) = play.vote(known("user:ann", &[]), Some(ahead(5, DAY))) else {
        panic!()
    };
    assert_eq!(
        why,
        "no run of remedy reboot can be approved ahead: what it does names its incident, so that no \
         two are alike"
    );
    assert!(matches!(play.vote(known("user:ann", &[]), None), Reply::Taken(_)));

    let mut play = approved_ahead(naming("attempt"), ahead(5, DAY));
    assert!(runs(&mut play, A));
    play.exit("reboot", FAILED);
    play.advance(secs(60));
    assert_eq!(state(&play), "awaiting_approval", "the second attempt does something else");
}

#[test]
fn a_retry_takes_another_run() {
    let mut policy = reboot();
    policy.remedies[0].retries = 1;
    let mut play = approved_ahead(policy, ahead(2, DAY));
    assert!(runs(&mut play, A));
    play.exit("reboot", FAILED);
    play.advance(secs(5));
    assert_eq!((state(&play), left(&play)), ("acting", vec![0]));
}

#[test]
fn it_ends_with_its_time_and_is_forgotten_then() {
    let mut play = approved_ahead(reboot(), ahead(5, secs(1800)));
    play.advance(secs(599));
    assert_eq!(left(&play), [5]);
    play.advance(secs(1));
    assert_eq!((left(&play), ends(&play)), (vec![], vec![Over::Expired]));
    assert!(!runs(&mut play, A));
}

/// By the clock alone: an engine that was held up may not have noted yet that its time is over.
#[test]
fn at_the_end_of_its_time_it_lets_nothing_start() {
    let mut play = approved_ahead(reboot(), ahead(5, secs(1800)));
    let until = stands(&play)[0].until;
    play.advance_to(until - secs(1));
    assert!(runs(&mut play, A));
    let opened = |fact: &&Fact| fact.what.kind() == "incident_opened";
    let opened = play.journal().iter().rposition(|fact| opened(&fact)).unwrap();
    let mut state = State::default();
    play.journal()[..=opened].iter().for_each(|fact| state.apply(fact));
    let incident = state.first_ready().unwrap();
    let book = book(reboot(), nobody());
    for (at, kind) in [(until - secs(1), "order_issued"), (until, "approval_asked")] {
        let episodes = state.incident(incident).unwrap().episodes.firing();
        let seen = Presence { known: true, ..Presence::unknown(at) };
        let presence = episodes.map(|episode| (episode, seen)).collect();
        let ready = Event::Ready { incident, presence };
        let facts = decide(&state, &book, ready, at).facts;
        assert!(facts.iter().any(|fact| fact.what.kind() == kind), "{facts:?}");
    }
}

#[test]
fn guards_judge_a_run_that_was_approved_ahead_like_any_other() {
    let mut policy = reboot();
    policy.guard.rate = homeostat_core::policy::Rate { max: 1, per: secs(7200) };
    let mut play = approved_ahead(policy, ahead(5, DAY));
    fire(&mut play, A);
    let holds: Vec<Guard> =
        play.incident().unwrap().stage.holds().iter().map(Hold::guard).collect();
    assert_eq!(holds, [Guard::Rate]);
    play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
    play.advance(secs(7200));
    assert_eq!(state(&play), "waiting");
    assert_eq!(left(&play), [5], "what is held uses nothing");
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    fire(&mut play, A);
    assert_eq!((state(&play), left(&play)), ("acting", vec![4]));
}

#[test]
fn revoked_it_counts_no_more_and_a_person_is_asked() {
    let mut play = approved_ahead(reboot(), ahead(5, DAY));
    let eve = known("user:eve", &[]);
    assert_eq!(play.revoke(ApprovalId(7), eve.clone()), Reply::NoApproval(ApprovalId(7)));
    assert!(matches!(play.revoke(FIRST, eve.clone()), Reply::Taken(_)));
    assert_eq!(play.revoke(FIRST, eve.clone()), Reply::NoApproval(FIRST));
    assert_eq!(ends(&play), [Over::Revoked { by: eve, reason: "in a scenario".into() }]);
    assert!(!runs(&mut play, A));
    play.vote(known("user:ann", &[]), Some(ahead(5, DAY)));
    let second: Vec<ApprovalId> = play.state().approvals().iter().map(|a| a.id).collect();
    assert_eq!(second, [ApprovalId(2)], "numbers are not used again");
}

#[test]
fn a_run_that_did_not_start_starts_again_by_the_same_word_unless_that_was_revoked() {
    let mut play = approved_ahead(reboot(), ahead(1, DAY));
    assert!(runs(&mut play, A));
    play.take_orders();
    play.crash(&Found::NotStarted);
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["2.reboot.1"], "it is one run");
    assert_eq!(left(&play), [0]);
    play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
    play.crash(&Found::NotStarted);
    play.revoke(FIRST, known("user:eve", &[]));
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    fire(&mut play, A);
    assert_eq!((state(&play), orders(&mut play)), ("awaiting_approval", vec![]));
}

#[test]
fn it_survives_restarts_and_goes_on_counting() {
    let mut play = approved_ahead(reboot(), ahead(2, DAY));
    for _ in 0..2 {
        play.crash(&Found::NotStarted);
        assert!(runs(&mut play, A));
        heal(&mut play, A);
    }
    play.crash(&Found::NotStarted);
    assert!(!runs(&mut play, A));
}

#[test]
fn a_changed_remedy_makes_it_void_for_good() {
    let changed = |definition: &str| {
        let mut policy = reboot();
        policy.remedies[0].definition = definition.into();
        book(policy, nobody())
    };
    let mut play = approved_ahead(reboot(), ahead(5, DAY));
    play.reload(changed(""));
    assert_eq!(left(&play), [5], "nothing changed");
    play.reload(changed("run_as: root"));
    play.reload(changed(""));
    assert_eq!(ends(&play), [void("the configuration changed remedy reboot")]);
    assert!(!runs(&mut play, A));

    let mut play = approved_ahead(reboot(), ahead(5, DAY));
    play.reload(book(policy(vec![remedy("restart")]), nobody()));
    assert_eq!(ends(&play), [void("the configuration has no remedy reboot any more")]);

    let mut play = approved_ahead(reboot(), ahead(5, DAY));
    let other = Policy { name: homeostat_core::name::PolicyName::new("db"), ..reboot() };
    play.reload(book(other, nobody()));
    assert_eq!(ends(&play), [void("the configuration has no policy web any more")]);
}

fn granted(policy: Policy, names: &[&str]) -> Policy {
    let who = names.iter().map(|name| (*name).into()).collect();
    let all = vec![Granted { who, targets: Matchers::default() }];
    Policy { approvers: Approvers::Granted(all), ..policy }
}

#[test]
fn it_is_void_once_whoever_gave_it_may_not_approve_any_more() {
    let mut play = approved_ahead(granted(reboot(), &["user:ann"]), ahead(5, DAY));
    assert!(runs(&mut play, A));
    heal(&mut play, A);
    play.reload(book(granted(reboot(), &["user:bob"]), nobody()));
    assert_eq!(ends(&play), [void("whoever gave it may not approve any more")]);
    play.reload(book(granted(reboot(), &["user:ann"]), nobody()));
    assert!(!runs(&mut play, A));
}

#[test]
fn a_book_that_wants_more_people_makes_it_void() {
    let mut play = approved_ahead(reboot(), ahead(5, DAY));
    play.reload(book(by_two(), nobody()));
    assert_eq!(ends(&play), [void("1 of those who gave it may approve now, and 2 must")]);
}

fn stands(play: &Scenario) -> Vec<StandingApproval> {
    play.state().approvals().iter().map(|approval| (**approval).clone()).collect()
}

#[test]
fn several_people_approve_ahead_no_more_than_each_of_them() {
    let mut play = alone(by_two());
    fire(&mut play, A);
    play.vote(known("user:ann", &[]), Some(ahead(5, secs(3600))));
    assert_eq!(stands(&play), []);
    play.advance(secs(600));
    fire(&mut play, A);
    play.vote(known("user:bob", &[]), Some(ahead(9, secs(3500))));
    let [stands] = &stands(&play)[..] else { panic!() };
    assert_eq!((stands.uses, stands.until), (5, start_time() + secs(3600)));
    let people: Vec<&str> = stands.people().map(Operator::person).collect();
    assert_eq!(people, ["user:ann", "user:bob"]);
    heal(&mut play, A);
    fire(&mut play, A);
    let used = play.take_orders()[0].order.standing.clone().unwrap();
    assert_eq!(
        used.to_string(),
        "standing approval 1 of user:ann, user:bob: 4 more until 2026-01-05T10:00:00Z"
    );
}

#[test]
fn nothing_stands_unless_all_of_them_approve_ahead() {
    for (first, second) in [(Some(ahead(5, DAY)), None), (None, Some(ahead(5, DAY)))] {
        let mut play = alone(by_two());
        fire(&mut play, A);
        play.vote(known("user:ann", &[]), first);
        let Reply::Counted { message, .. } = play.vote(known("user:bob", &[]), second) else {
            panic!()
        };
        assert!(
            message.ends_with("no run is approved ahead, because not all wanted that"),
            "{message}"
        );
        assert_eq!((stands(&play), orders(&mut play).len()), (vec![], 1));
    }
}

#[test]
fn whoever_stands_for_it_and_sets_the_next_one_going_does_not_count_there() {
    let mut play = alone(by_two());
    fire(&mut play, A);
    for who in ["user:ann", "user:bob"] {
        play.vote(known(who, &[]), Some(ahead(5, DAY)));
    }
    heal(&mut play, A);
    let labels = homeostat_core::label::LabelSet::from_pairs(A.iter().copied());
    let first = play.journal().iter().find_map(|fact| match &fact.what {
        What::EpisodeBegan { alert, .. } => Some(alert.clone()),
        _ => None,
    });
    let mut alert = first.unwrap();
    (alert.labels, alert.starts_at) = (labels, Some(play.now()));
    let by = Some("user:ann".into());
    let observation = homeostat_core::alert::Observation {
        alert,
        status: homeostat_core::alert::Status::Firing,
        ends_at: None,
        unproven: None,
        by,
    };
    play.observe(observation);
    assert_eq!(state(&play), "awaiting_approval", "one is left of two");
    resolve(&mut play, A);
    play.advance(secs(60));
    assert!(runs(&mut play, A), "nobody of them posted this one");
}

#[test]
fn bounds_are_told() {
    let mut play = alone(reboot());
    fire(&mut play, A);
    let too_long = limits::STANDING_LASTS.saturating_add(secs(1));
    for (terms, part) in [
        (ahead(0, DAY), "from 1 to 100 runs"),
        (ahead(101, DAY), "from 1 to 100 runs"),
        (ahead(1, Span::ZERO), "up to 1w"),
        (ahead(1, too_long), "up to 1w"),
    ] {
        let Reply::Refused(why) = play.vote(known("user:ann", &[]), Some(terms)) else { panic!() };
        assert!(why.contains(part), "{why}");
    }
    assert_eq!((state(&play), stands(&play)), ("awaiting_approval", vec![]));
    assert!(matches!(
        play.vote(known("user:ann", &[]), Some(ahead(100, limits::STANDING_LASTS))),
        Reply::Taken(_)
    ));
}

#[test]
fn a_jump_of_the_wall_clock_makes_it_void() {
    let mut play = approved_ahead(reboot(), ahead(5, DAY));
    play.jump(Leap::Forwards(secs(3600)));
    assert!(matches!(&ends(&play)[..], [Over::Void { reason }] if reason.contains("clock")));
    assert!(!runs(&mut play, A));
}

#[test]
fn it_asks_nobody_who_is_not_asked_and_lets_no_shadow_act() {
    let in_mode = |mode| {
        let mut policy = reboot();
        policy.remedies[0].mode = mode;
        book(policy, nobody())
    };
    let mut play = approved_ahead(reboot(), ahead(5, DAY));
    play.reload(in_mode(Mode::Auto));
    assert!(runs(&mut play, A));
    assert_eq!((play.take_orders()[0].order.standing.clone(), left(&play)), (None, vec![5]));
    play.exit("reboot", DONE);
    resolve(&mut play, A);
    play.advance(secs(1200));
    play.reload(in_mode(Mode::Shadow));
    play.fire("main", Door::Webhook, A);
    assert_eq!((orders(&mut play).len(), left(&play)), (0, vec![5]));
}
