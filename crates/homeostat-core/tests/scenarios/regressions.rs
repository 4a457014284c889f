//! Bugs that were found, each by its smallest scenario.

use std::sync::Arc;

use crate::stage::{
    A, A2, B, DONE, FAILED, alone, book, closings, everybody, fire, ladder, nobody, orders, policy,
    remedy, resolve, secs, start_time, witnessed,
};
use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::engine::{Engine, Turn};
use homeostat_core::event::{About, Effect, Event, Remark};
use homeostat_core::evidence::{Ask, Evidence, Finding, ListedAlert, Listing};
use homeostat_core::fact::Fact;
use homeostat_core::hold::Guard;
use homeostat_core::incident::{End, Stage};
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::limits;
use homeostat_core::name::{BootId, IncidentId, PolicyName, SourceName};
use homeostat_core::notice::Topic;
use homeostat_core::order::{Ended, Found};
use homeostat_core::policy::{
    BlastRadius, Book, BookLimits, Damping, Extent, Mode, Policy, Rate, Witnesses,
};
use homeostat_core::poll::{Occasion, Poll, Roll};
use homeostat_core::process::Process;
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::state::State;
use homeostat_core::template::Template;
use homeostat_core::time::Timestamp;

fn count(facts: &[Fact], kind: &str) -> usize {
    facts.iter().filter(|fact| fact.what.kind() == kind).count()
}

fn alert(door: Door, labels: &[(&str, &str)], starts_at: Timestamp) -> Alert {
    let labels = LabelSet::from_pairs(labels.iter().copied());
    Alert {
        source: SourceName::new(if door == Door::Api { "api" } else { "main" }),
        door,
        fingerprint: labels.fingerprint(),
        labels,
        annotations: LabelSet::default(),
        starts_at: Some(starts_at),
        generator_url: "".into(),
        receiver: "".into(),
        external_url: "".into(),
        group_labels: LabelSet::default(),
    }
}

fn firing(labels: &[(&str, &str)], starts_at: Timestamp) -> Observation {
    let alert = alert(Door::Webhook, labels, starts_at);
    Observation { alert, status: Status::Firing, ends_at: None, unproven: None, by: None }
}

fn resolved(labels: &[(&str, &str)], starts_at: Timestamp, ends_at: Timestamp) -> Observation {
    let alert = alert(Door::Webhook, labels, starts_at);
    Observation {
        alert,
        status: Status::Resolved,
        ends_at: Some(ends_at),
        unproven: None,
        by: None,
    }
}

fn seen(observation: Observation) -> Event {
    Event::observed(observation)
}

/// So many hosts are down, each with an alert of its own.
fn all_down(many: usize, since: Timestamp) -> Vec<Event> {
    let name = |n| format!("host-{n}");
    let down = |n| seen(firing(&[("alertname", "Down"), ("instance", &name(n))], since));
    (0..many).map(down).collect()
}

/// An engine whose turns and answers the test takes itself.
struct Rig {
    engine: Engine,
    now: Timestamp,
    facts: Vec<Fact>,
}

impl Rig {
    fn new(book: Book) -> Self {
        let now = start_time();
        let engine = Engine::restore(State::default(), Arc::new(book), now);
        let mut rig = Self { engine, now, facts: Vec::new() };
        rig.turn(vec![Event::Started { boot: BootId::new("boot") }]);
        rig
    }

    /// One turn and no more, as the driver takes it.
    fn turn(&mut self, events: Vec<Event>) -> Turn {
        let turn = self.engine.turn(events, self.now);
        self.facts.extend(turn.facts.iter().cloned());
        turn
    }

    /// Turns until nothing is due.
    fn settle(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        for _ in 0..100 {
            if self.engine.next_wake().is_none_or(|at| at > self.now) {
                return effects;
            }
            effects.extend(self.turn(Vec::new()).effects);
        }
        panic!("the engine never comes to rest");
    }

    /// Kills the engine and starts it on what is written.
    fn crash(&mut self) {
        let mut state = State::default();
        self.facts.iter().for_each(|fact| state.apply(fact));
        self.engine = Engine::restore(state, self.engine.book().clone(), self.now);
        self.turn(vec![Event::Started { boot: BootId::new("boot") }]);
    }
}

/// Answers a question about an incident: its Alertmanager lists the alert, or others only, and no rule
/// is known.
fn answer(effects: &[Effect], gathered_at: Timestamp, is_listed: bool) -> Option<Event> {
    let question = effects.iter().find_map(|effect| match effect {
        Effect::Ask(question) => Some(question),
        _ => None,
    })?;
    let About::Incident(incident, step) = question.about else { return None };
    let found = question.asks.iter().map(|ask| {
        let finding = match ask {
            Ask::Listed { .. } => Finding::Listed(Ok(Listing {
                uptime: secs(3600),
                total: 5,
                alert: is_listed.then_some(ListedAlert {
                    suppressed_by: None,
                    updated_at: gathered_at,
                    starts_at: gathered_at,
                }),
            })),
            Ask::Rule { .. } => Finding::Rule(Vec::new()),
            Ask::Instance { .. } => Finding::Instance(Ok(None)),
            Ask::Present { .. } | Ask::Rehearsal { .. } | Ask::Owner { .. } => {
                panic!("no policy of these asks this")
            }
            Ask::Query { .. } => Finding::Query(Ok(0)),
            Ask::Inventory { .. } => Finding::Inventory(Ok(0)),
        };
        (ask.clone(), finding)
    });
    let evidence = Evidence { found: found.collect(), gathered_at };
    Some(Event::Answered { incident, step, evidence, presence: Vec::new() })
}

/// A closed incident waits for its alert to end. One notification says that it ended and that
/// another alert of the same target fires: the engine must come to rest, and go on with others.
#[test]
fn a_group_that_ends_one_alert_of_a_latched_target_and_begins_another_comes_to_rest() {
    let mut shadow = ladder();
    shadow.remedies.iter_mut().for_each(|remedy| remedy.mode = Mode::Shadow);
    let mut rig = Rig::new(book(shadow, nobody()));
    let began = rig.now;
    rig.turn(vec![seen(firing(A, began))]);
    rig.settle();
    rig.now = rig.now + secs(60);
    let ended = seen(resolved(A, began, rig.now));
    rig.turn(vec![ended, seen(firing(A2, rig.now))]);
    rig.settle();
    rig.turn(vec![seen(firing(B, rig.now))]);
    rig.settle();
    assert_eq!(closings(&rig.facts).len(), 3, "three troubles, one after the other");
}

#[test]
fn a_group_that_ends_an_alert_and_fires_it_again_is_a_new_trouble() {
    let mut rig = Rig::new(Book::observe());
    let began = rig.now;
    rig.turn(vec![seen(firing(A, began))]);
    rig.now = rig.now + secs(60);
    let again = rig.now;
    rig.turn(vec![seen(resolved(A, began, again)), seen(firing(A, again + secs(1)))]);
    rig.settle();
    assert_eq!(count(&rig.facts, "incident_opened"), 2);
}

#[test]
fn a_group_that_ends_one_alert_of_a_settling_target_and_begins_another_comes_to_rest() {
    let mut rig = Rig::new(book(Policy { settle: secs(300), ..ladder() }, nobody()));
    let began = rig.now;
    rig.turn(vec![seen(firing(A, began))]);
    rig.now = rig.now + secs(60);
    let ended = seen(resolved(A, began, rig.now));
    rig.turn(vec![ended, seen(firing(A2, rig.now))]);
    rig.settle();
}

#[test]
fn a_group_that_ends_one_alert_of_a_verified_target_and_begins_another_comes_to_rest() {
    let mut rig = Rig::new(book(ladder(), nobody()));
    let began = rig.now;
    let effects = rig.turn(vec![seen(firing(A, began))]).effects;
    let Some(Effect::Run(run)) = effects.first() else { panic!("an order runs") };
    let ended = Ended { outcome: DONE, started_at: None, output: String::new(), left: Vec::new() };
    rig.turn(vec![Event::OrderEnded { order: run.order.id.clone(), ended }]);
    rig.now = rig.now + secs(60);
    let ended = seen(resolved(A, began, rig.now));
    rig.turn(vec![ended, seen(firing(A2, rig.now))]);
    rig.settle();
}

#[test]
fn locks_of_earlier_orders_are_released_too_when_the_leading_alert_changed() {
    let mut locked = ladder();
    locked.guard.locks = vec![Template::parse("pod/{{ labels.pod }}").unwrap()];
    let mut play = alone(locked);
    let one = [("alertname", "Down"), ("instance", "a:80"), ("pod", "p1")];
    let two = [("alertname", "Down"), ("instance", "a:80"), ("pod", "p2")];
    fire(&mut play, &one);
    fire(&mut play, &two);
    play.advance(secs(1));
    resolve(&mut play, &one);
    play.exit("restart", FAILED);
    play.exit("reboot", DONE);
    resolve(&mut play, &two);
    assert_eq!(closings(play.journal())[0].outcome, End::Healed);
    assert!(play.incident().is_none(), "nothing is open");
    orders(&mut play);
    let other = [("alertname", "Down"), ("instance", "b:80"), ("pod", "p1")];
    for _ in 0..60 {
        fire(&mut play, &other);
        play.advance(secs(60));
    }
    assert_eq!(orders(&mut play), ["2.restart.1"], "{:?}", play.incident().map(|i| &i.stage));
}

#[test]
fn locks_of_earlier_orders_are_released_too_after_a_reload() {
    let mut locked = ladder();
    locked.guard.locks = vec![Template::parse("web").unwrap()];
    let mut play = alone(locked.clone());
    fire(&mut play, A);
    play.reload(book(ladder(), nobody()));
    play.exit("restart", FAILED);
    play.exit("reboot", DONE);
    resolve(&mut play, A);
    assert!(play.incident().is_none(), "nothing is open");
    play.reload(book(locked, nobody()));
    orders(&mut play);
    for _ in 0..60 {
        fire(&mut play, B);
        play.advance(secs(60));
    }
    assert_eq!(orders(&mut play), ["2.restart.1"], "{:?}", play.incident().map(|i| &i.stage));
}

/// The source says that the alert resolved (Prometheus could not reach Alertmanager for a while),
/// and the rule fires on.
#[test]
fn a_rule_that_fires_on_though_its_source_resolved_is_not_verified_for_ever() {
    let mut play = witnessed(ladder());
    let began = play.now();
    fire(&mut play, A);
    play.exit("restart", DONE);
    play.advance(secs(5));
    let now = play.now();
    play.observe(resolved(A, began, now));
    play.advance(secs(24 * 3600));
    let given_up = count(play.journal(), "remedy_given_up");
    let closed = closings(play.journal());
    assert!(given_up <= 2 && closed.len() == 1, "given up {given_up} times; {closed:?}");
}

#[test]
fn what_resolves_between_two_orders_did_not_recover_before_any_remedy_ran() {
    let mut rig = Rig::new(book(ladder(), everybody()));
    let began = rig.now;
    let asked = rig.turn(vec![seen(firing(A, began))]).effects;
    let issued = rig.turn(vec![answer(&asked, rig.now, true).unwrap()]).effects;
    let Some(Effect::Run(run)) = issued.first() else { panic!("an order runs") };
    rig.now = rig.now + secs(10);
    let ended =
        Ended { outcome: FAILED, started_at: None, output: String::new(), left: Vec::new() };
    rig.turn(vec![Event::OrderEnded { order: run.order.id.clone(), ended }]);
    // The next remedy waits for evidence: probes take their time.
    rig.now = rig.now + secs(1);
    let now = rig.now;
    rig.turn(vec![seen(resolved(A, began, now))]);
    let closed = closings(&rig.facts);
    assert!(closed.iter().all(|c| c.outcome != End::Recovered), "{closed:?}");
}

#[test]
fn what_resolves_before_a_returned_retry_did_not_recover_before_any_remedy_ran() {
    let mut restart = remedy("restart");
    restart.retries = 1;
    let mut play = alone(policy(vec![restart]));
    fire(&mut play, A);
    play.exit("restart", FAILED);
    play.advance(secs(5));
    assert_eq!(orders(&mut play), ["1.restart.1", "1.restart.2"]);
    play.crash(&Found::NotStarted);
    play.advance(secs(1));
    resolve(&mut play, A);
    let closed = closings(play.journal());
    assert!(closed.iter().all(|c| c.outcome != End::Recovered), "{closed:?}");
}

#[test]
fn an_order_that_never_started_does_not_cool_down_its_target() {
    let mut policy = ladder();
    policy.guard.fresh_max_age = secs(1);
    let mut play = alone(policy);
    fire(&mut play, A);
    orders(&mut play);
    play.advance(secs(2));
    play.crash(&Found::NotStarted);
    play.advance(secs(1));
    resolve(&mut play, A);
    assert_eq!(closings(play.journal())[0].outcome, End::Recovered);
    play.advance(secs(1));
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["2.restart.1"], "{:?}", play.incident().map(|i| &i.stage));
}

#[test]
fn one_alert_that_is_not_listed_does_not_heal_an_application_alert_that_fires() {
    let mut play = witnessed(policy(vec![remedy("restart")]));
    play.answer(Answer::NoRule);
    fire(&mut play, A);
    play.fire("api", Door::Api, A2);
    play.advance(secs(1));
    play.end_silently(A);
    play.exit("restart", DONE);
    for _ in 0..6 {
        play.fire("api", Door::Api, A2);
        play.advance(secs(9));
    }
    let closed = closings(play.journal());
    assert!(
        closed.iter().all(|c| c.outcome != End::Healed),
        "its sender says it fires: {closed:?}"
    );
}

#[test]
fn each_alert_may_be_reported_in_its_own_way() {
    let mut play = witnessed(policy(vec![remedy("restart")]));
    play.answer(Answer::NoRule);
    fire(&mut play, A);
    play.fire("grafana", Door::Webhook, A2);
    play.advance(secs(1));
    play.exit("restart", DONE);
    play.resolve("grafana", Door::Webhook, A2);
    play.end_silently(A);
    play.advance(secs(61));
    let closed = closings(play.journal());
    assert_eq!(closed[0].outcome, End::Healed, "one was resolved, the other is gone: {closed:?}");
}

/// A witness that needs longer than evidence may be old must lead to a hold, not to questions
/// without end.
#[test]
fn evidence_that_always_comes_too_late_holds() {
    let mut rig = Rig::new(book(ladder(), everybody()));
    let mut effects = rig.turn(vec![seen(firing(A, start_time()))]).effects;
    for _ in 0..20 {
        let asked_at = rig.now;
        rig.now = rig.now + limits::EVIDENCE_AGE + secs(1);
        let Some(answered) = answer(&effects, asked_at, true) else { break };
        effects = rig.turn(vec![answered]).effects;
    }
    let asked = count(&rig.facts, "evidence_asked");
    assert!(count(&rig.facts, "order_held") > 0, "asked {asked} times in a row and never held");
}

#[test]
fn what_was_due_when_the_engine_stopped_is_due_when_it_starts_again() {
    let many = limits::PURSUED_PER_TURN + 40;
    let settling = Policy { settle: secs(60), ..policy(Vec::new()) };
    let mut rig = Rig::new(book(settling, nobody()));
    let began = rig.now;
    rig.turn(all_down(many, began));
    rig.now = rig.now + secs(60);
    rig.turn(Vec::new());
    assert!(count(&rig.facts, "incident_closed") < many, "all were pursued in one turn");
    rig.crash();
    rig.settle();
    assert_eq!(count(&rig.facts, "incident_closed"), many, "forgotten, though they were due");
}

/// Else what waits would grow for as long as many alerts come.
#[test]
fn a_turn_pursues_as_many_as_came() {
    let many = 3 * limits::PURSUED_PER_TURN;
    let mut rig = Rig::new(Book::observe());
    rig.turn(all_down(many, rig.now));
    assert_eq!(count(&rig.facts, "incident_closed"), many);
}

#[test]
fn what_a_resume_woke_is_still_awake_after_a_restart() {
    let many = limits::PURSUED_PER_TURN + 40;
    let mut shadow_free = ladder();
    shadow_free.guard.rate = Rate { max: 100_000, per: secs(3600) };
    shadow_free.guard.concurrency = 100_000;
    let limits = BookLimits { concurrency: 100_000, rate: Rate { max: 100_000, per: secs(3600) } };
    let mut rig = Rig::new(Book::new(vec![shadow_free], limits, nobody()));
    rig.turn(vec![Event::Pause { by: "sre".into(), reason: "deploy".into() }]);
    let began = rig.now;
    rig.turn(all_down(many, began));
    rig.settle();
    rig.turn(vec![Event::Resume { by: "sre".into(), reason: String::new() }]);
    rig.crash();
    rig.settle();
    rig.now = rig.now + secs(3000);
    rig.turn(all_down(many, began));
    rig.settle();
    let paused = rig.engine.state().incidents().filter(|incident| match &incident.stage {
        Stage::Held { holds, until, .. } => until.is_none() && !holds.is_empty(),
        _ => false,
    });
    assert_eq!(paused.count(), 0, "held by a pause that is over, and nothing will wake them");
}

#[test]
fn a_resolve_older_than_the_newest_firing_is_stale() {
    let mut play = alone(Policy { settle: secs(3600), ..ladder() });
    let first = play.now();
    play.observe(firing(A, first));
    play.advance(secs(100));
    // It ended at 100 s and fired again at 200 s; the notification of the end was late.
    play.advance(secs(100));
    let second = play.now();
    assert_eq!(play.observe(firing(A, second)), Some(Remark::Repeated));
    play.advance(secs(10));
    assert_eq!(play.observe(resolved(A, first, first + secs(100))), Some(Remark::Stale));
    assert_eq!(play.state().all_firing().count(), 1, "it fires since 200 s");
}

#[test]
fn an_api_alert_ends_when_its_sender_last_said() {
    let mut play = alone(ladder());
    let now = play.now();
    let alert = alert(Door::Api, A, now);
    let until = |ends_at| Observation {
        alert: alert.clone(),
        status: Status::Firing,
        ends_at: Some(ends_at),
        unproven: None,
        by: None,
    };
    play.observe(until(now + secs(24 * 3600)));
    play.observe(until(now + secs(300)));
    play.advance(secs(600));
    assert_eq!(play.state().all_firing().count(), 0, "its end was brought forward to five minutes");
}

#[test]
fn a_rate_that_a_reload_loosened_counts_at_once() {
    let mut slow = ladder();
    slow.guard.rate = Rate { max: 1, per: secs(24 * 3600) };
    let mut play = alone(slow.clone());
    fire(&mut play, A);
    fire(&mut play, B);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    slow.guard.rate = Rate { max: 60, per: secs(3600) };
    play.reload(book(slow, nobody()));
    for _ in 0..5 {
        play.advance(secs(60));
        fire(&mut play, B);
    }
    play.advance(secs(60));
    assert_eq!(orders(&mut play), ["2.restart.1"], "{:?}", play.incident().map(|i| &i.stage));
}

#[test]
fn an_incident_does_not_remember_every_alert_that_ever_came_and_went() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    play.exit("restart", DONE);
    play.advance(secs(3600));
    assert_eq!(play.incident().unwrap().stage.as_str(), "closed");
    for _ in 0..1000 {
        play.advance(secs(5));
        fire(&mut play, A2);
        play.advance(secs(5));
        resolve(&mut play, A2);
    }
    let remembered = play.incident().unwrap().episodes.len();
    assert!(remembered <= 256, "{remembered} episodes of two alerts");
}

#[test]
fn a_hold_that_does_not_change_is_not_written_down_each_minute() {
    let mut play = witnessed(ladder());
    play.answer(Answer::Silenced("silence 1".into()));
    fire(&mut play, A);
    let before = play.journal().len();
    for _ in 0..24 {
        play.advance(secs(3600));
        fire(&mut play, A);
    }
    let written = play.journal().len() - before;
    assert!(written < 300, "{written} facts in a day of silence, for one incident");
}

#[test]
fn an_action_that_may_still_run_is_not_joined_by_the_next_remedy() {
    let mut long = remedy("restart");
    long.timeout = secs(600);
    let mut play = witnessed(policy(vec![long, remedy("reboot")]));
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.advance(secs(5));
    play.crash(&Found::Unknown("the order is claimed and no end is recorded".into()));
    play.advance(secs(300));
    assert!(orders(&mut play).is_empty(), "restart may run for five more minutes");
}

#[test]
fn an_idempotent_action_runs_again_with_the_attempts_that_a_configuration_gives_it() {
    let mut restart = remedy("restart");
    restart.idempotent = true;
    let mut only = policy(vec![restart]);
    // What the configuration gives a ladder of one idempotent rung without retries.
    only.guard.attempts = 2;
    let mut play = witnessed(only);
    fire(&mut play, A);
    orders(&mut play);
    play.crash(&Found::Unknown("no exit is recorded".into()));
    assert_eq!(orders(&mut play), ["1.restart.2"], "{:?}", closings(play.journal()));
}

#[test]
fn a_ladder_that_a_reload_turned_round_issues_no_order_twice() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    play.exit("restart", FAILED);
    let round = policy(vec![remedy("reboot"), remedy("restart")]);
    play.reload(book(round, nobody()));
    play.exit("reboot", FAILED);
    let mut issued = orders(&mut play);
    let all = issued.len();
    issued.sort();
    issued.dedup();
    assert_eq!(issued.len(), all, "an id was used twice: its claim exists, it would never run");
}

#[test]
fn a_cooldown_longer_than_the_memory_of_healings_still_holds() {
    let mut slow = ladder();
    slow.guard.cooldown = secs(30 * 86_400);
    let mut play = alone(slow);
    for labels in [A, B] {
        fire(&mut play, labels);
        play.exit("restart", DONE);
        resolve(&mut play, labels);
        play.advance(secs(8 * 86_400));
    }
    orders(&mut play);
    fire(&mut play, A);
    assert!(orders(&mut play).is_empty(), "16 of 30 days have passed");
}

/// A resolve and a new firing within one `group_interval` send nothing: the next that is heard of
/// the alert is that it fires, since a later time. This needs a decision: by the letter the latch
/// keeps it for a day, with nobody told.
#[test]
fn a_healed_alert_that_fires_since_later_is_not_silent_for_a_day() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    play.end_silently(A);
    play.exit("restart", DONE);
    play.advance(secs(5));
    assert_eq!(closings(play.journal())[0].outcome, End::Healed);
    play.advance(secs(120));
    let again = firing(A, play.now());
    play.remember(&again);
    play.observe(again.clone());
    for _ in 0..12 {
        play.advance(secs(3600));
        play.refresh();
        play.observe(again.clone());
    }
    let opened = count(play.journal(), "incident_opened");
    assert!(opened == 2 || play.told().count() > 0, "it fires for 12 hours and nothing happens");
}

#[test]
fn an_ended_episode_leaves_no_timer() {
    let mut rig = Rig::new(Book::observe());
    let began = rig.now;
    rig.turn(vec![seen(firing(A, began))]);
    rig.now = rig.now + secs(60);
    let now = rig.now;
    rig.turn(vec![seen(resolved(A, began, now))]);
    rig.settle();
    assert_eq!(rig.engine.next_wake(), None, "one timer for each episode of the last 12 hours");
}

/// A run that certainly did not start was charged when it was first permitted. With a rate of one
/// an hour it was held for an hour by its own charge.
#[test]
fn a_run_that_did_not_start_is_not_held_by_its_own_charge() {
    let mut seldom = ladder();
    seldom.guard.rate = Rate { max: 1, per: secs(3600) };
    let mut play = witnessed(seldom);
    fire(&mut play, A);
    play.crash(&Found::NotStarted);
    assert_eq!(orders(&mut play), ["1.restart.1", "1.restart.1"], "the same run, at once");
    fire(&mut play, B);
    assert!(orders(&mut play).is_empty(), "the rate is spent for any other");
}

/// An alert is gone once it was absent in two looks in a row. One that fires anew between two looks
/// was absent in the second only.
#[test]
fn an_alert_that_fires_again_between_two_looks_is_not_gone_after_the_second() {
    let mut both = policy(vec![remedy("restart")]);
    both.settle = secs(1);
    let mut play = witnessed(both);
    play.answer(Answer::NoRule);
    fire(&mut play, A);
    fire(&mut play, A2);
    play.advance(secs(1));
    play.exit("restart", DONE);
    resolve(&mut play, A);
    play.end_silently(A2);
    play.advance(secs(5));
    fire(&mut play, A);
    play.end_silently(A);
    play.advance(secs(10));
    let early = closings(play.journal());
    assert!(early.is_empty(), "it was looked for once only: {early:?}");
    play.advance(secs(10));
    let closed = closings(play.journal());
    assert_eq!(closed[0].outcome, End::Healed, "it is gone: {closed:?}");
}

/// An alert that two looks did not find is gone. But it was mentioned between them, by the very
/// notification that ended the other one: `[resolved 90, firing 91]`, late.
#[test]
fn an_alert_that_is_mentioned_between_two_looks_is_not_gone_after_the_second() {
    for looks_before in [1, 2] {
        let mut both = policy(vec![remedy("restart")]);
        both.settle = secs(1);
        let mut play = witnessed(both);
        play.answer(Answer::NoRule);
        fire(&mut play, A);
        fire(&mut play, A2);
        play.advance(secs(1));
        play.exit("restart", DONE);
        play.end_silently(A2);
        play.advance(secs(5 + 10 * (looks_before - 1)));
        play.end_silently(A);
        let both = vec![resolved(A, start_time(), play.now()), firing(A2, start_time())];
        play.send_all(Event::notified(both).collect());
        assert_eq!(closings(play.journal()), [], "a notification says that it fires");
        play.advance(secs(10));
        assert_eq!(closings(play.journal()), [], "it was looked for once only since then");
        play.advance(secs(10));
        assert_eq!(closings(play.journal())[0].outcome, End::Healed, "it is gone");
    }
}

/// An Alertmanager was asked, an alert was mentioned, and then the answer came that it is not listed.
#[test]
fn a_look_that_is_older_than_a_mention_knows_less() {
    let witnesses = Witnesses { prometheuses: Vec::new(), ..everybody() };
    let mut rig = Rig::new(book(policy(vec![remedy("restart")]), witnesses));
    let mut effects = rig.turn(vec![seen(firing(A, start_time()))]).effects;
    for step in 0..5 {
        let listed = step == 0;
        let asked_at = rig.now;
        if step == 2 {
            rig.now = rig.now + secs(1);
            rig.turn(vec![seen(firing(A, start_time()))]);
        }
        let answer = answer(&effects, asked_at, listed).expect("a look");
        rig.turn(vec![answer]);
        if listed {
            let order = rig.engine.state().incident(IncidentId(1)).unwrap().order.clone();
            let order = order.unwrap().id;
            let ended =
                Ended { outcome: DONE, started_at: None, output: String::new(), left: Vec::new() };
            rig.turn(vec![Event::OrderEnded { order, ended }]);
        }
        let closed = closings(&rig.facts).len();
        assert_eq!(closed, usize::from(step == 4), "missed before the mention, and twice since");
        rig.now = rig.now + secs(15);
        effects = rig.settle();
    }
}

/// Its end could not be written down. So it fires on, and its Alertmanager has listed it before; that
/// was forgotten with its end, and it could not be missed there any more.
#[test]
fn what_ended_in_a_commit_that_failed_was_listed_and_mentioned_all_the_same() {
    const OTHER: &[(&str, &str)] = &[("alertname", "Other")];
    let polled = |rig: &mut Rig, alerts: &[&[(&str, &str)]]| {
        rig.now = rig.now + secs(60);
        let print =
            |labels: &&[(&str, &str)]| LabelSet::from_pairs(labels.iter().copied()).fingerprint();
        let alerts = alerts.iter().map(|labels| (print(labels), start_time())).collect();
        let (source, asked_at) = (SourceName::new("main"), rig.now);
        let said = Ok(Roll { uptime: secs(3600), alerts });
        let poll = Poll { source, asked_at, occasion: Occasion::Due, said };
        rig.turn(vec![Event::Polled(Box::new(poll))]);
    };
    let mut rig = Rig::new(book(ladder(), everybody()));
    rig.turn(vec![seen(firing(OTHER, start_time()))]);
    polled(&mut rig, &[OTHER, B]);
    // It fires since later, which nobody waits for, so that it is not written down.
    rig.turn(vec![seen(firing(OTHER, start_time() + secs(30)))]);
    let end = || seen(resolved(OTHER, start_time() + secs(30), start_time() + secs(50)));
    let earlier = || seen(resolved(OTHER, start_time(), start_time() + secs(20)));
    let committed = rig.engine.state().clone();
    let failed = rig.engine.turn(vec![end()], rig.now);
    assert_eq!(count(&failed.facts, "episode_ended"), 1);
    rig.engine.rebuild(committed, rig.now);
    assert_eq!(rig.turn(vec![earlier()]).remarks, [Some(Remark::Stale)]);
    for _ in 0..2 {
        assert_eq!(count(&rig.facts, "episode_ended"), 0);
        polled(&mut rig, &[B]);
    }
    assert_eq!(count(&rig.facts, "episode_ended"), 1, "it is missing");
}

/// An idempotent action may run again after a crash, if it has an attempt left. Without one it may
/// still run: its lock is kept until it certainly does not, and its healing is looked at.
#[test]
fn an_idempotent_action_without_an_attempt_left_is_verified_after_a_crash() {
    let mut restart = remedy("restart");
    restart.idempotent = true;
    restart.timeout = secs(600);
    let mut only = policy(vec![restart]);
    only.guard.attempts = 1;
    let mut play = witnessed(only);
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.crash(&Found::Unknown("no exit is recorded".into()));
    play.advance(secs(300));
    let early = closings(play.journal());
    assert!(early.is_empty(), "it may run for five more minutes: {early:?}");
}

/// An order that certainly did not start waited for a pause to end when its remedy came into
/// shadow. It was recorded anew in each turn, for ever, and the disk ran full.
#[test]
fn a_returned_order_whose_remedy_comes_into_shadow_is_recorded_once() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
    play.crash(&Found::NotStarted);
    let mut shadow = ladder();
    shadow.mode = Mode::Shadow;
    shadow.remedies.iter_mut().for_each(|remedy| remedy.mode = Mode::Shadow);
    play.reload(book(shadow, nobody()));
    play.advance(secs(1));
    assert_eq!(count(play.journal(), "remedy_shadowed"), 2, "each remedy once");
    let closed = closings(play.journal());
    assert_eq!(closed[0].outcome, End::Shadowed, "nothing was done: {closed:?}");
}

/// A flapping target was told to people. When a reload lifted the guard, its incident went on to ask
/// for approval, and the notice of the guard was never over.
#[test]
fn what_was_told_of_a_guard_is_over_once_its_incident_asks_for_approval() {
    let mut damped = ladder();
    damped.mode = Mode::Approve;
    damped.remedies.iter_mut().for_each(|remedy| remedy.mode = Mode::Approve);
    let mut free = damped.clone();
    damped.guard.flap = Some(Damping::default());
    free.guard.flap = None;
    let mut play = crate::stage::alone(damped);
    for _ in 0..3 {
        fire(&mut play, A);
        play.advance(secs(10));
        resolve(&mut play, A);
        play.advance(secs(10));
    }
    fire(&mut play, A);
    let of_guard = |play: &Scenario| {
        let owed = play.state().notices().filter(|owed| !owed.cleared);
        owed.filter(|owed| matches!(owed.notice.topic(), Topic::Guard { .. })).count()
    };
    assert_eq!(of_guard(&play), 1, "it flaps, and a person is told");
    play.reload(book(free, nobody()));
    assert_eq!(count(play.journal(), "approval_asked"), 4);
    assert_eq!(of_guard(&play), 0, "nothing holds it any more");
}

/// An alert came and went in one moment. That it had ended was not noted, and when it came again it
/// did not count as a flap.
#[test]
fn what_ends_as_soon_as_it_begins_flaps_when_it_begins_again() {
    let mut damped = ladder();
    damped.guard.flap = Some(Damping::default());
    damped.settle = secs(5);
    let mut play = crate::stage::alone(damped);
    for _ in 0..3 {
        fire(&mut play, A);
        resolve(&mut play, A);
        play.advance(secs(10));
    }
    fire(&mut play, A);
    play.advance(secs(10));
    let happened = [count(play.journal(), "order_held"), count(play.journal(), "order_issued")];
    assert_eq!(happened, [1, 0], "three flaps within half a minute are too many");
}

/// After a crash an idempotent action was to run again at once, as it may. Its policy was in shadow by
/// then, so it was not run, and was handed over with its lock free while it may still have run.
#[test]
fn an_idempotent_action_that_a_shadow_does_not_run_again_is_waited_for() {
    let mut ladder = ladder();
    ladder.remedies.iter_mut().for_each(|remedy| remedy.idempotent = true);
    let mut shadow = ladder.clone();
    shadow.mode = Mode::Shadow;
    shadow.remedies.iter_mut().for_each(|remedy| remedy.mode = Mode::Shadow);
    let mut play = crate::stage::alone(ladder);
    fire(&mut play, A);
    play.advance(secs(10));
    play.reload(book(shadow, nobody()));
    play.crash(&Found::Unknown("no end is recorded".into()));
    play.advance(secs(19));
    assert_eq!(count(play.journal(), "incident_closed"), 0, "it may run for 30 s");
    play.advance(secs(3600));
    assert_eq!(count(play.journal(), "incident_closed"), 1);
}

/// A policy that comes back takes the alert only if no other takes it first. Until it does, nobody
/// stands for the trouble of which people were told.
#[test]
fn a_notice_outlives_the_return_of_a_policy_that_another_one_stands_before() {
    let empty = || Book::new(Vec::new(), BookLimits::default(), nobody());
    let mut other = policy(Vec::new());
    other.name = PolicyName::new("other");
    let behind = Book::new(vec![other, ladder()], BookLimits::default(), nobody());
    let mut play = alone(ladder());
    fire(&mut play, A);
    play.exit("restart", FAILED);
    play.exit("reboot", DONE);
    play.reload(empty());
    play.advance(secs(3600));
    let told = |play: &Scenario, incident| {
        let topic = Topic::Escalation { incident: IncidentId(incident) };
        play.told().any(|notice| notice.topic() == topic)
    };
    assert!(told(&play, 1), "a remedy had run, and it fires on");
    play.reload(behind);
    assert!(told(&play, 1), "the other policy does nothing about it");
    play.reload(book(ladder(), nobody()));
    assert!(!told(&play, 1));
    assert_eq!(play.incident().map(|incident| incident.id), Some(IncidentId(3)), "it is taken up");
}

/// What a crash has lost sight of may run until its time limit, whatever becomes of its incident: an
/// operator cancels it, or its alert ends.
#[test]
fn what_may_still_run_keeps_its_locks_though_its_incident_is_closed() {
    let mut idempotent = remedy("restart");
    idempotent.idempotent = true;
    idempotent.timeout = secs(600);
    let mut first = policy(vec![idempotent]);
    first.guard.attempts = 9;
    let mut second = ladder();
    second.name = PolicyName::new("second");
    second.matchers = Matchers::parse("alertname=\"Slow\"").unwrap().matchers;
    let both = || Book::new(vec![first.clone(), second.clone()], BookLimits::default(), nobody());
    let slow: &[(&str, &str)] = &[("alertname", "Slow"), ("instance", "a:80")];
    let mut play = Scenario::new(both(), start_time());
    fire(&mut play, A);
    play.advance(secs(60));
    play.send(Event::Pause { by: "alice".into(), reason: "to look".into() });
    play.crash(&Found::Unknown("no exit is recorded".into()));
    play.cancel("alice");
    assert_eq!(closings(play.journal()).len(), 1, "it waited to run again");
    play.send(Event::Resume { by: "alice".into(), reason: String::new() });
    orders(&mut play);
    fire(&mut play, slow);
    let held = format!("{:?}", play.incident().unwrap().stage);
    assert!(held.contains("MayGoOn"), "{held}");
    for _ in 0..8 {
        play.advance(secs(60));
        fire(&mut play, slow);
    }
    assert_eq!(orders(&mut play), [""; 0], "nine minutes of ten");
    play.advance(secs(60));
    fire(&mut play, slow);
    assert_eq!(orders(&mut play), ["2.restart.1"]);
}

/// What could not be ended goes on beside whatever comes next, so that nothing does.
#[test]
fn what_could_not_be_ended_locks_its_target_until_it_is_gone_or_a_person_says_so() {
    for by_a_person in [false, true] {
        let mut play = alone(ladder());
        fire(&mut play, A);
        let run = play.take_orders().pop().unwrap();
        let process =
            Process { pid: 7, started: 1, command: "sleep 45".into(), user: "root".into() };
        let ended =
            Ended { outcome: FAILED, started_at: None, output: String::new(), left: vec![process] };
        play.send(Event::OrderEnded { order: run.order.id.clone(), ended });
        let topic = Topic::Escalation { incident: IncidentId(1) };
        let told = play.told().find(|notice| notice.topic() == topic).unwrap();
        assert!(told.reason.contains("1 process still runs: sleep 45 (root)"), "{}", told.reason);
        for _ in 0..30 {
            play.advance(secs(60));
            fire(&mut play, A);
        }
        assert_eq!(orders(&mut play), [""; 0], "no next rung beside it");
        let held = format!("{:?}", play.incident().unwrap().stage);
        assert!(held.contains("MayGoOn"), "{held}");
        if by_a_person {
            play.cancel("alice");
            assert_eq!(closings(play.journal()).len(), 1);
            assert!(play.state().ledgers().stragglers.left_of(IncidentId(1)).next().is_some());
            play.cancel("alice");
            assert!(play.state().ledgers().stragglers.left_of(IncidentId(1)).next().is_none());
        } else {
            play.send(Event::OrderGone(run.order.id));
            assert_eq!(orders(&mut play), ["1.reboot.1"], "at once");
        }
    }
}

/// An alert fires since a later time, under a policy that does not get it any more, because another one
/// stands before it now.
#[test]
fn what_was_told_of_a_guard_is_over_once_another_policy_takes_its_last_alert() {
    let inventory = "count(up)".into();
    let extent = Extent::Share { percent: 50, inventory, max: None, min: 0 };
    let mut behind = ladder();
    behind.guard.blast_radius = Some(BlastRadius { window: secs(3600), extent });
    let mut before = ladder();
    before.name = PolicyName::new("before");
    before.remedies.iter_mut().for_each(|remedy| remedy.mode = Mode::Shadow);
    let topic = Topic::Guard { policy: behind.name.clone(), guard: Guard::BlastRadius };
    let book = |policies| Book::new(policies, BookLimits::default(), everybody());
    let mut play = Scenario::new(book(vec![behind.clone()]), start_time());
    play.answer(Answer::InventoryErrs("nobody knows".into()));
    fire(&mut play, A);
    play.advance(secs(10));
    assert!(play.state().notice(&topic).is_some_and(|owed| !owed.cleared));
    play.cancel("alice");
    play.reload(book(vec![before, behind]));
    play.advance(secs(600));
    play.observe(firing(A, play.wall()));
    let policies: Vec<_> = play.state().incidents().map(|i| i.policy.as_str()).collect();
    assert_eq!(policies, ["before"]);
    assert!(play.state().notice(&topic).is_none_or(|owed| owed.cleared), "nothing of it fires");
}
