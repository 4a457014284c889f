//! Whose it is what an alert is about: three pods of one Deployment are one trouble.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::stage::*;
use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::command::{Command, Reply};
use homeostat_core::engine::{Engine, Turn};
use homeostat_core::errand::{ErrandTemplate, FieldTemplate, Form};
use homeostat_core::event::{About, Effect, Event, Question};
use homeostat_core::evidence::{Ask, Evidence, Finding};
use homeostat_core::fact::What;
use homeostat_core::incident::{Cause, Incident, Standing};
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::limits::{ANSWER_PATIENCE, OWNER_PATIENCE, OWNERS_ASKED};
use homeostat_core::name::{EpisodeId, IncidentId, SourceName};
use homeostat_core::order::Found;
use homeostat_core::owner::{Owner, Whose};
use homeostat_core::policy::{Action, Mode, Policy, Regression, TargetLabels, Worse};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::state::State;
use homeostat_core::template::Template;
use homeostat_core::time::{Span, Timestamp};

fn pod(name: &str) -> [(&str, &str); 3] {
    [("alertname", "Down"), ("namespace", "shop"), ("pod", name)]
}

fn owner_of() -> ErrandTemplate {
    let text = |text: &str, form| FieldTemplate::Text(Template::parse(text).unwrap(), form);
    let fields = vec![
        ("namespace".into(), text("{{ labels.namespace }}", Form::NAMESPACE)),
        ("pod".into(), text("{{ labels.pod }}", Form::OBJECT)),
    ];
    ErrandTemplate { hand: "kubernetes".into(), verb: "owner".into(), fields, rehearsed: false }
}

/// A policy that restarts the owner of a pod.
fn owned() -> Policy {
    let mut restart = remedy("restart");
    let word = |text: &str| Template::parse(text).unwrap();
    restart.action = Action::Exec(vec![word("restart"), word("{{ labels.owner_name }}")]);
    Policy {
        owner_of: Some(Box::new(owner_of())),
        target: TargetLabels::Named(vec!["namespace".into(), "owner_name".into()]),
        ..policy(vec![restart])
    }
}

fn of(name: &str) -> Answer {
    let uid = format!("uid of {name}");
    let owner = Owner { kind: "Deployment".into(), name: name.into(), uid: uid.as_str().into() };
    Answer::Owner(Whose::Of(owner))
}

fn target(name: &str) -> LabelSet {
    LabelSet::from_pairs([("namespace", "shop"), ("owner_name", name)])
}

/// What was told of owners, one word a fact.
fn told(play: &Scenario) -> String {
    let words = play.journal().iter().filter_map(|fact| match &fact.what {
        What::OwnerSought { .. } => Some("sought"),
        What::OwnerFound { .. } => Some("found"),
        What::OwnerMissed { again: Some(_), .. } => Some("again"),
        What::OwnerMissed { again: None, .. } => Some("missing"),
        What::OwnerDropped { .. } => Some("dropped"),
        What::IncidentOpened { .. } => Some("opened"),
        What::EpisodeAttached { .. } => Some("attached"),
        What::IncidentClosed { .. } => Some("closed"),
        _ => None,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn three_pods_of_one_deployment_are_one_trouble() {
    let mut play = alone(owned());
    play.answer(of("web"));
    for name in ["web-1", "web-2", "web-3"] {
        fire(&mut play, &pod(name));
    }
    let [run] = <[_; 1]>::try_from(play.take_orders()).unwrap();
    assert_eq!(run.order.action.to_string(), "restart web");
    assert_eq!(run.alerts[0].alert.labels.get("owner_kind"), Some("Deployment"));
    let incident = play.incident().unwrap();
    assert_eq!((&incident.target, incident.episodes.len()), (&target("web"), 3));
    assert_eq!(play.state().incidents().count(), 1);
    let locks: Vec<String> = run.order.locks.iter().map(ToString::to_string).collect();
    assert_eq!(locks, [r#"target {namespace="shop", owner_name="web"}"#]);
    assert_eq!(told(&play), "sought found opened sought found attached sought found attached");
}

#[test]
fn pods_of_two_deployments_are_two_troubles() {
    let mut play = alone(owned());
    for (name, owner) in [("web-1", "web"), ("db-1", "db"), ("web-2", "web")] {
        play.say_about(&[("pod", name)], of(owner));
        fire(&mut play, &pod(name));
    }
    let targets: Vec<LabelSet> = play.state().incidents().map(|i| i.target.clone()).collect();
    assert_eq!(targets, [target("web"), target("db")]);
    assert_eq!(orders(&mut play), ["1.restart.1", "2.restart.1"]);
}

#[test]
fn nothing_is_opened_before_it_is_known_and_it_is_asked_until_it_is() {
    let mut play = alone(owned());
    play.answer(Answer::OwnerErrs("connection refused".into()));
    fire(&mut play, &pod("web-1"));
    play.advance(secs(20));
    assert_eq!(told(&play), "sought again again again");
    assert!(play.incident().is_none() && play.told().next().is_none());
    play.answer(of("web"));
    play.advance(secs(40));
    assert_eq!(told(&play), "sought again again again found opened");
    assert_eq!(orders(&mut play), ["1.restart.1"]);
}

#[test]
fn a_person_has_what_nobody_told_the_owner_of_in_time() {
    let mut play = alone(owned());
    play.answer(Answer::OwnerErrs("forbidden: pods is forbidden".into()));
    fire(&mut play, &pod("web-1"));
    fire(&mut play, &pod("web-2"));
    play.advance(OWNER_PATIENCE);
    let notices: Vec<_> = play.told().map(|notice| notice.reason.clone()).collect();
    assert_eq!(notices, ["forbidden: pods is forbidden"; 2], "each is told apart");
    let incident = play.incident().unwrap();
    let known = [("namespace", "shop"), ("pod", "web-2")];
    assert_eq!(incident.target, LabelSet::from_pairs(known));
    assert_eq!(incident.stage.closing().unwrap().cause(), Some(Cause::NoOwner));
    assert!(orders(&mut play).is_empty());
    // The alert ends, and so does what people are told.
    resolve(&mut play, &pod("web-1"));
    resolve(&mut play, &pod("web-2"));
    assert!(play.told().next().is_none() && play.incident().is_none());
}

#[test]
fn what_is_nobodys_is_a_persons_at_once() {
    let mut play = alone(owned());
    play.answer(Answer::Owner(Whose::Nobody { why: "pod shop/tool has no owner".into() }));
    fire(&mut play, &pod("tool"));
    assert_eq!(told(&play), "sought missing opened closed");
    assert_eq!(play.told().next().unwrap().reason, "pod shop/tool has no owner");
    let mut shadow = owned();
    shadow.mode = Mode::Shadow;
    let mut play = alone(shadow);
    play.answer(Answer::Owner(Whose::Nobody { why: "pod shop/tool has no owner".into() }));
    fire(&mut play, &pod("tool"));
    assert!(play.told().next().is_none(), "nobody is told in shadow");
}

#[test]
fn what_ended_while_it_was_asked_opens_nothing() {
    let mut play = alone(owned());
    play.answer(Answer::OwnerErrs("connection refused".into()));
    fire(&mut play, &pod("web-1"));
    resolve(&mut play, &pod("web-1"));
    play.answer(of("web"));
    play.advance(OWNER_PATIENCE);
    assert_eq!(told(&play), "sought again");
    assert_eq!(play.state().owners_due().count(), 0);
    // It fires anew, and is asked anew.
    fire(&mut play, &pod("web-1"));
    assert_eq!(told(&play), "sought again sought found opened");
}

#[test]
fn a_late_answer_says_nothing() {
    let mut play = alone(owned());
    play.answer(of("web"));
    fire(&mut play, &pod("web-1"));
    let before = play.journal().len();
    let ask = Ask::Owner { of: play.state().episode(EpisodeId(1)).unwrap().owners[0].of.clone() };
    let Answer::Owner(db) = of("db") else { unreachable!() };
    let evidence = Evidence { found: vec![(ask, Finding::Owner(Ok(db)))], gathered_at: play.now() };
    for episode in [1, 7].map(EpisodeId) {
        play.send(Event::OwnerTold { episode, evidence: evidence.clone() });
    }
    assert_eq!(play.journal().len(), before);
}

#[test]
fn a_restart_asks_again_and_the_time_runs_on() {
    let mut play = alone(owned());
    play.answer(Answer::OwnerErrs("connection refused".into()));
    fire(&mut play, &pod("web-1"));
    play.advance(secs(300));
    play.crash(&Found::NotStarted);
    play.advance(secs(240));
    assert!(play.incident().is_none());
    play.advance(secs(60));
    assert!(play.incident().is_some_and(Incident::is_closed));
    let mut play = alone(owned());
    play.answer(Answer::OwnerErrs("connection refused".into()));
    fire(&mut play, &pod("web-1"));
    play.crash(&Found::NotStarted);
    play.answer(of("web"));
    play.advance(secs(5));
    assert_eq!(orders(&mut play), ["1.restart.1"]);
}

#[test]
fn who_has_it_tried_again_has_it_asked_again() {
    let mut play = alone(owned());
    play.answer(Answer::OwnerErrs("forbidden".into()));
    fire(&mut play, &pod("web-1"));
    play.advance(OWNER_PATIENCE);
    let first = play.incident().unwrap().id;
    play.answer(of("web"));
    // It is mentioned, and so fresh enough to be acted on.
    fire(&mut play, &pod("web-1"));
    let reply = play.command_about(first, Command::Retry, None, "ann");
    assert!(matches!(reply, Reply::Taken(_)), "{reply:?}");
    assert!(play.told().next().is_none());
    assert_eq!(play.incident().unwrap().target, target("web"));
    assert_eq!(orders(&mut play), ["2.restart.1"]);
}

#[test]
fn labels_that_clash_are_a_persons_and_asking_again_does_not_help() {
    let mut play = alone(owned());
    play.answer(of("web"));
    let own = [&pod("web-1")[..], &[("owner_name", "web-5d4f")]].concat();
    fire(&mut play, &own);
    let notice = play.told().next().unwrap();
    assert!(notice.reason.contains(r#"owner_name="web-5d4f" of its own"#), "{}", notice.reason);
    let Reply::Refused(why) = play.retry("ann") else { panic!("it would be left alone") };
    assert!(why.contains("of its own"), "{why}");
    assert!(play.incident().is_some());
}

#[test]
fn a_reload_that_wants_owners_asks_for_them_and_one_that_does_not_any_more_drops_it() {
    let mut play = alone(ladder());
    let labels = [&pod("web-1")[..], &[("instance", "a:80")]].concat();
    fire(&mut play, &labels);
    play.reload(book(owned(), nobody()));
    assert_eq!(told(&play), "opened sought again", "the one that is open goes on");
    play.reload(book(ladder(), nobody()));
    play.advance(secs(10));
    assert_eq!(told(&play), "opened sought again dropped");
    play.answer(of("web"));
    play.reload(book(owned(), nobody()));
    assert_eq!(told(&play), "opened sought again dropped sought found opened");
    assert_eq!(play.incident().unwrap().target, target("web"));
}

#[test]
fn an_alert_that_was_lost_sight_of_and_goes_on_joins_its_incident() {
    let mut lapsing = owned();
    lapsing.lapse = secs(60);
    let mut play = alone(lapsing);
    play.answer(of("web"));
    fire(&mut play, &pod("web-1"));
    play.exit("restart", FAILED);
    play.advance(secs(120));
    assert_eq!(play.incident().unwrap().episodes.count(Standing::Lapsed), 1);
    fire(&mut play, &pod("web-1"));
    assert_eq!(play.state().incidents().count(), 1);
    assert_eq!(play.incident().unwrap().episodes.count(Standing::Firing), 1);
}

#[test]
fn people_keep_what_they_know_of_until_it_is_told_whose_it_is_anew() {
    let mut lapsing = owned();
    lapsing.lapse = secs(60);
    let mut play = alone(lapsing);
    play.answer(of("web"));
    fire(&mut play, &pod("web-1"));
    play.exit("restart", FAILED);
    play.advance(secs(120));
    play.answer(Answer::OwnerErrs("connection refused".into()));
    play.end_silently(&pod("web-1"));
    fire(&mut play, &pod("web-1"));
    assert_eq!(play.told().count(), 1, "it fires, since a later time");
    play.answer(of("web"));
    play.advance(secs(10));
    assert_eq!(play.incident().unwrap().id, IncidentId(2));
}

#[test]
fn witnesses_are_asked_by_the_labels_that_alerts_have() {
    let mut policy = owned();
    let matchers = Matchers::default();
    policy.regression = Some(Regression { matchers, worse: Worse::Tell });
    let target = policy.own_part(&target("web"));
    assert_eq!(target, LabelSet::from_pairs([("namespace", "shop")]));
    let mut play = witnessed(policy);
    play.answer(of("web"));
    fire(&mut play, &pod("web-1"));
    let run = play.take_orders().pop().unwrap();
    assert_eq!(run.order.proof.target, TargetLabels::Named(vec!["namespace".into()]));
    assert_eq!(run.order.proof.baseline.unwrap().target, target);
}

/// An engine whose questions nobody answers by itself.
struct Slow {
    engine: Engine,
    now: Timestamp,
    asked: Vec<Question>,
    facts: Vec<What>,
}

impl Slow {
    fn new() -> Self {
        let book = Arc::new(book(owned(), nobody()));
        let engine = Engine::restore(State::default(), book, start_time());
        Self { engine, now: start_time(), asked: Vec::new(), facts: Vec::new() }
    }

    fn turn(&mut self, events: Vec<Event>) {
        let Turn { facts, effects, .. } = self.engine.turn(events, self.now);
        self.facts.extend(facts.into_iter().map(|fact| fact.what));
        self.asked.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Ask(question) if matches!(question.about, About::Owner(_)) => Some(question),
            _ => None,
        }));
    }

    fn fire(&mut self, number: usize) {
        let name = format!("web-{number}");
        let labels = LabelSet::from_pairs(pod(&name));
        let alert = Alert {
            source: SourceName::new("main"),
            door: Door::Webhook,
            fingerprint: labels.fingerprint(),
            labels,
            annotations: LabelSet::default(),
            starts_at: Some(self.now),
            generator_url: "".into(),
            receiver: "".into(),
            external_url: "".into(),
            group_labels: LabelSet::default(),
        };
        let (status, ends_at, unproven, by) = (Status::Firing, None, None, None);
        let observation = Observation { alert, status, ends_at, unproven, by };
        self.turn(vec![Event::observed(observation)]);
    }

    /// Lets time pass, and turns as often as the engine wants to.
    fn pass(&mut self, span: Span) {
        let end = self.now + span;
        let mut turns = 0;
        while let Some(wake) = self.engine.next_wake().filter(|wake| *wake <= end) {
            self.now = wake.max(self.now);
            self.turn(Vec::new());
            turns += 1;
            assert!(turns < 10_000, "it turns and turns");
        }
        self.now = end;
    }
}

/// Why an incident closed.
fn reason(what: &What) -> Option<&str> {
    match what {
        What::IncidentClosed { closing, .. } => Some(&closing.reason),
        _ => None,
    }
}

#[test]
fn of_a_crowd_few_are_asked_for_at_once_and_an_answer_makes_room() {
    let mut slow = Slow::new();
    for number in 0..40 {
        slow.fire(number);
    }
    assert_eq!(slow.asked.len(), OWNERS_ASKED);
    let Question { about: About::Owner(episode), asks } = slow.asked[0].clone() else {
        unreachable!()
    };
    let Answer::Owner(web) = of("web") else { unreachable!() };
    let found = vec![(asks[0].clone(), Finding::Owner(Ok(web)))];
    let evidence = Evidence { found, gathered_at: slow.now };
    slow.turn(vec![Event::OwnerTold { episode, evidence }]);
    assert_eq!(slow.asked.len(), OWNERS_ASKED + 1);
}

#[test]
fn whoever_does_not_answer_is_asked_again_and_nobody_waits_for_longer_than_the_bound() {
    let mut slow = Slow::new();
    for number in 0..40 {
        slow.fire(number);
    }
    slow.pass(ANSWER_PATIENCE);
    assert_eq!(slow.asked.len(), 2 * OWNERS_ASKED);
    let asked = |question: &Question| match question.about {
        About::Owner(episode) => episode,
        _ => unreachable!(),
    };
    let all: BTreeSet<EpisodeId> = slow.asked.iter().map(asked).collect();
    assert_eq!(all.len(), 2 * OWNERS_ASKED, "others have their turn");
    slow.pass(OWNER_PATIENCE);
    let reasons: Vec<&str> = slow.facts.iter().filter_map(reason).collect();
    assert_eq!(reasons, ["there was no answer"; 40]);
}

#[test]
fn what_was_never_asked_for_in_time_is_a_persons_all_the_same() {
    let mut slow = Slow::new();
    for number in 0..1_000 {
        slow.fire(number);
    }
    slow.pass(OWNER_PATIENCE);
    slow.turn(Vec::new());
    let reasons: Vec<&str> = slow.facts.iter().filter_map(reason).collect();
    assert_eq!(reasons.len(), 1_000);
    assert!(reasons.contains(&"its owner was not told in time"));
}
