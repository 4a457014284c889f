//! Steps as values: what they make the world do and say.

use crate::stage::{
    A, B, DONE, closings, everybody, ladder, orders, policy, remedy, secs, start_time, witnessed,
};
use homeostat_core::alert::Status;
use homeostat_core::command::Command;
use homeostat_core::hold::{Guard, Hold};
use homeostat_core::incident::{End, Stage};
use homeostat_core::label::LabelSet;
use homeostat_core::name::{PolicyName, RemedyName, SourceName};
use homeostat_core::order::{Found, Outcome};
use homeostat_core::policy::{Book, BookLimits, Mode, Policy, Witnesses};
use homeostat_core::scenario::{Answer, Asked, Input, Scenario, Signal, Step, WhichRun};
use homeostat_core::template::Template;
use homeostat_core::time::Span;

fn signal(labels: &[(&str, &str)]) -> Signal {
    Signal {
        source: SourceName::new("main"),
        labels: LabelSet::from_pairs(labels.iter().copied()),
        annotations: LabelSet::default(),
        lost: false,
    }
}

fn lost(labels: &[(&str, &str)]) -> Signal {
    Signal { lost: true, ..signal(labels) }
}

fn which(remedy: &str) -> WhichRun {
    WhichRun { remedy: RemedyName::new(remedy), policy: None, target: None }
}

fn exit(remedy: &str) -> Input {
    Input::Exit { run: which(remedy), outcome: DONE, output: String::new() }
}

fn say(answer: Answer) -> Input {
    Input::Answer(Asked::default(), answer)
}

/// Plays steps; returns which of them met anything.
fn play(play: &mut Scenario, steps: &[(u64, Input)]) -> Vec<bool> {
    let step = |(at, input): &(u64, Input)| Step { at: secs(*at), input: input.clone() };
    steps.iter().map(|given| play.play(&step(given))).collect()
}

fn guards(scenario: &Scenario) -> Vec<Guard> {
    match scenario.incident().map(|incident| &incident.stage) {
        Some(Stage::Held { holds, .. }) => holds.iter().map(Hold::guard).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn steps_play_a_healing_and_say_what_they_did_not_meet() {
    let mut scenario = witnessed(ladder());
    let met = play(
        &mut scenario,
        &[
            (0, exit("restart")),
            (0, Input::Fire(signal(A))),
            (1, Input::Progress { run: which("restart"), text: "half".into() }),
            (2, exit("reboot")),
            (2, exit("restart")),
            (2, Input::Resolve(lost(A))),
        ],
    );
    assert_eq!(met, [false, true, true, false, true, true]);
    scenario.advance_to(start_time() + secs(20));
    assert_eq!(closings(scenario.journal())[0].outcome, End::Healed);
    assert!(scenario.incident().is_some(), "the lost notification leaves it latched");
}

#[test]
fn a_lost_firing_is_true_and_nobody_hears_of_it() {
    let mut scenario = witnessed(ladder());
    play(&mut scenario, &[(0, Input::Fire(lost(A)))]);
    assert!(scenario.incident().is_none());
    let send = |status, ends_at| Input::Send {
        signal: signal(A),
        status,
        starts_at: Some(start_time()),
        ends_at,
    };
    play(&mut scenario, &[(5, send(Status::Firing, None))]);
    assert_eq!(orders(&mut scenario), ["1.restart.1"], "its Alertmanager lists it");
    let mut scenario = witnessed(ladder());
    play(&mut scenario, &[(5, send(Status::Firing, None))]);
    assert_eq!(guards(&scenario), [Guard::Fresh], "a notification alone makes nothing true");
}

#[test]
fn an_answer_may_be_for_one_policy_one_alert_or_one_query() {
    let named = |name: &str, instance: &str| {
        let mut policy = policy(vec![remedy("restart")]);
        policy.name = PolicyName::new(name);
        let matchers = format!("alertname=\"Down\", instance=\"{instance}\"");
        policy.matchers = homeostat_core::label::Matchers::parse(&matchers).unwrap().matchers;
        policy.verify.query =
            Some(Template::parse("up{instance=\"{{ labels.instance }}\"}").unwrap());
        policy
    };
    let policies: Vec<Policy> = vec![named("a", "a:80"), named("b", "b:80")];
    let held = |asked: Asked, answer: Answer| {
        let book = Book::new(policies.clone(), BookLimits::default(), everybody());
        let mut scenario = Scenario::new(book, start_time());
        let steps = [
            (0, Input::Answer(asked, answer)),
            (0, Input::Fire(signal(A))),
            (0, Input::Fire(signal(B))),
        ];
        play(&mut scenario, &steps);
        orders(&mut scenario)
    };
    let silenced = || Answer::Silenced("silence 1".into());
    let of_b = Asked { policy: Some(PolicyName::new("b")), ..Asked::default() };
    assert_eq!(held(of_b, silenced()), ["1.restart.1"]);
    let about_a =
        Asked { labels: LabelSet::from_pairs([("instance", "a:80")]), ..Asked::default() };
    assert_eq!(held(about_a, silenced()), ["2.restart.1"]);
    assert!(held(Asked::default(), silenced()).is_empty());
}

#[test]
fn the_last_answer_that_fits_counts_and_the_truth_takes_all_back() {
    let mut with_query = ladder();
    with_query.verify.query =
        Some(Template::parse("up{instance=\"{{ labels.instance }}\"}").unwrap());
    let healed = |answers: Vec<(Asked, Answer)>| {
        let mut scenario = witnessed(with_query.clone());
        play(&mut scenario, &[(0, Input::Fire(signal(A))), (1, Input::Resolve(lost(A)))]);
        for (asked, answer) in answers {
            play(&mut scenario, &[(1, Input::Answer(asked, answer))]);
        }
        play(&mut scenario, &[(1, exit("restart"))]);
        scenario.advance(secs(59));
        closings(scenario.journal()).first().map(|closing| closing.outcome)
    };
    let any = Asked::default;
    let of = |text: &str| Asked { query: Some(text.into()), ..any() };
    assert_eq!(healed(vec![(any(), Answer::Query(1))]), Some(End::Healed));
    assert_eq!(healed(vec![(of("a:80"), Answer::Query(1))]), Some(End::Healed));
    assert_eq!(healed(vec![(of("b:80"), Answer::Query(1))]), None);
    assert_eq!(healed(vec![(any(), Answer::Query(1)), (of("a:80"), Answer::Query(0))]), None);
    let down = || Answer::PrometheusErrs("refused".into());
    assert_eq!(healed(vec![(any(), Answer::Query(1)), (any(), down())]), None);
    let back = vec![
        (any(), Answer::Query(1)),
        (any(), down()),
        (any(), Answer::NoRule),
        (any(), Answer::PrometheusTruth),
    ];
    assert_eq!(healed(back), Some(End::Healed));
}

#[test]
fn rules_can_be_made_to_say_anything() {
    let closing = |answer: Answer| {
        let mut scenario = witnessed(policy(vec![remedy("restart")]));
        play(
            &mut scenario,
            &[
                (0, Input::Fire(signal(A))),
                (1, say(answer)),
                (2, Input::Resolve(signal(A))),
                (2, exit("restart")),
                (80, say(Answer::RulesTruth)),
            ],
        );
        closings(scenario.journal())[0].reason.to_string()
    };
    for (answer, reason) in [
        (Answer::RuleFires, "rule Down fires"),
        (Answer::RuleInactive, "rule Down is inactive"),
        (Answer::RulePending, "rule Down is pending"),
        (Answer::RuleKeptFiring(secs(60)), "rule Down is kept firing"),
        (Answer::RuleStuck, "was not evaluated since"),
        (Answer::RulesErr("refused".into()), "could not be asked: refused"),
    ] {
        let found = closing(answer.clone());
        assert!(found.contains(reason), "{answer:?}: {found}");
    }
}

#[test]
fn where_prometheus_sends_again_an_alertmanager_knows_that_it_still_fires() {
    let outcome = |resend: Option<Span>| {
        let book = Book::new(
            vec![policy(vec![remedy("restart")])],
            BookLimits::default(),
            Witnesses { prometheuses: Vec::new(), ..everybody() },
        );
        let mut scenario = Scenario::new(book, start_time());
        if let Some(every) = resend {
            scenario.resend(every);
        }
        play(&mut scenario, &[(0, Input::Fire(signal(A))), (5, exit("restart"))]);
        scenario.advance(Span::from_secs(3600));
        closings(scenario.journal())[0].reason.to_string()
    };
    assert!(outcome(None).contains("unknown"), "{}", outcome(None));
    let known = outcome(Some(secs(60)));
    assert!(known.contains("no remedy healed it"), "{known}");
}

#[test]
fn a_crash_is_a_step_and_says_what_is_found() {
    let mut scenario = witnessed(ladder());
    play(&mut scenario, &[(0, Input::Fire(signal(A))), (1, Input::Crash(Found::NotStarted))]);
    assert_eq!(orders(&mut scenario), ["1.restart.1", "1.restart.1"], "the same, permitted anew");
    let over = Outcome::Exited { code: 0 };
    let run = WhichRun { target: Some(LabelSet::from_pairs([A[1]])), ..which("restart") };
    let wrong = WhichRun { target: Some(LabelSet::from_pairs([B[1]])), ..which("restart") };
    let exit = |run| Input::Exit { run, outcome: over.clone(), output: String::new() };
    assert_eq!(play(&mut scenario, &[(2, exit(wrong)), (2, exit(run))]), [false, true]);
}

#[test]
fn a_command_is_a_step_about_the_newest_incident_or_that_of_a_target() {
    let mut asking = ladder();
    asking.remedies[0].mode = Mode::Approve;
    let mut scenario = witnessed(asking);
    let command = |command, labels: &[(&str, &str)]| Input::Command {
        command,
        target: Some(LabelSet::from_pairs(labels.iter().copied())),
        by: "alice".into(),
        reason: String::new(),
        ahead: None,
    };
    let met = play(
        &mut scenario,
        &[
            (0, command(Command::Approve, &[("instance", "a:80")])),
            (0, Input::Fire(signal(A))),
            (0, Input::Fire(signal(B))),
            (1, command(Command::Approve, &[("instance", "a:80")])),
            (1, command(Command::Approve, &[("instance", "a:80")])),
            (1, command(Command::Reject, &[("instance", "b:80")])),
        ],
    );
    assert_eq!(met, [false, true, true, true, false, true]);
    assert_eq!(orders(&mut scenario), ["1.restart.1"]);
}
