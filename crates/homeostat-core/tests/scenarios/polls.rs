//! What polls of all alerts of a source end, and what they leave alone.

use crate::stage::*;
use homeostat_core::alert::{Door, Ending, Observation, Status};
use homeostat_core::clock::Leap;
use homeostat_core::event::{Event, Remark};
use homeostat_core::evidence::{Grade, Trouble};
use homeostat_core::fact::What;
use homeostat_core::incident::{End, Stage};
use homeostat_core::label::LabelSet;
use homeostat_core::name::SourceName;
use homeostat_core::order::Found;
use homeostat_core::policy::{PrometheusWitness, Witnesses};
use homeostat_core::poll::{Occasion, Poll, Roll};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::time::Span;

const OTHER: &[(&str, &str)] = &[("alertname", "Other")];

/// A poll of an Alertmanager that runs for an hour.
fn listing(scenario: &Scenario, alerts: &[&[(&str, &str)]]) -> Poll {
    let now = scenario.now();
    let print =
        |labels: &&[(&str, &str)]| LabelSet::from_pairs(labels.iter().copied()).fingerprint();
    let alerts = alerts.iter().map(|labels| (print(labels), start_time())).collect();
    Poll {
        source: SourceName::new("main"),
        asked_at: now,
        occasion: Occasion::Due,
        said: Ok(Roll { uptime: secs(3600), alerts }),
    }
}

fn poll(scenario: &mut Scenario, change: impl FnOnce(&mut Poll), alerts: &[&[(&str, &str)]]) {
    scenario.advance(secs(60));
    let mut poll = listing(scenario, alerts);
    change(&mut poll);
    scenario.send(Event::Polled(Box::new(poll)));
}

fn as_is(_: &mut Poll) {}

fn young(poll: &mut Poll) {
    poll.said.as_mut().unwrap().uptime = secs(299);
}

fn failed(poll: &mut Poll) {
    poll.said = Err(Trouble("nobody is there".into()));
}

fn prompted(poll: &mut Poll) {
    poll.occasion = Occasion::Prompted;
}

fn endings(scenario: &Scenario) -> Vec<Ending> {
    let ended = scenario.journal().iter().filter_map(|fact| match &fact.what {
        What::EpisodeEnded { ending, .. } => Some(ending.clone()),
        _ => None,
    });
    ended.collect()
}

/// `A` fires and waits for long enough to see what becomes of it.
fn waiting() -> Scenario {
    let mut policy = ladder();
    policy.settle = secs(24 * 3600);
    let mut scenario = witnessed(policy);
    assert_eq!(fire(&mut scenario, A), Some(Remark::Began));
    scenario
}

/// And its Alertmanager was seen to list it.
fn well_listed() -> Scenario {
    let mut scenario = waiting();
    poll(&mut scenario, prompted, &[OTHER, A]);
    scenario
}

#[test]
fn what_was_never_listed_is_not_missed() {
    let mut scenario = waiting();
    for _ in 0..5 {
        poll(&mut scenario, as_is, &[OTHER]);
    }
    assert_eq!(endings(&scenario), [], "somebody else may have sent it");
    poll(&mut scenario, as_is, &[OTHER, A]);
    scenario.crash(&Found::NotStarted);
    for _ in 0..2 {
        poll(&mut scenario, as_is, &[OTHER]);
    }
    assert_eq!(endings(&scenario).len(), 1, "that it was listed outlives a restart");
}

#[test]
fn absent_twice_in_a_row_is_over_and_its_incident_recovered() {
    let mut scenario = well_listed();
    poll(&mut scenario, as_is, &[OTHER]);
    let since = scenario.now();
    assert_eq!(endings(&scenario), []);
    poll(&mut scenario, as_is, &[OTHER]);
    assert_eq!(endings(&scenario), [Ending::Absent { since }]);
    let closings = closings(scenario.journal());
    assert_eq!(closings.iter().map(|c| c.outcome).collect::<Vec<_>>(), [End::Recovered]);
}

#[test]
fn what_knows_nothing_never_ends_an_alert_and_breaks_the_row() {
    type Change = fn(&mut Poll);
    for (name, change, listed) in [
        ("young", young as Change, &[OTHER][..]),
        ("failed", failed, &[OTHER]),
        ("empty", as_is, &[]),
    ] {
        let mut scenario = well_listed();
        for _ in 0..10 {
            poll(&mut scenario, change, listed);
        }
        for _ in 0..3 {
            poll(&mut scenario, as_is, &[OTHER]);
            poll(&mut scenario, change, listed);
        }
        assert_eq!(endings(&scenario), [], "{name}");
    }
}

#[test]
fn a_poll_out_of_turn_neither_counts_nor_breaks_the_row() {
    let mut scenario = well_listed();
    for _ in 0..5 {
        poll(&mut scenario, prompted, &[OTHER]);
    }
    assert_eq!(endings(&scenario), []);
    poll(&mut scenario, as_is, &[OTHER]);
    poll(&mut scenario, prompted, &[OTHER]);
    assert_eq!(endings(&scenario), []);
    poll(&mut scenario, as_is, &[OTHER]);
    assert_eq!(endings(&scenario).len(), 1);
}

#[test]
fn whoever_is_listed_or_mentioned_between_is_not_missing() {
    let mut scenario = well_listed();
    for _ in 0..3 {
        poll(&mut scenario, as_is, &[OTHER]);
        poll(&mut scenario, as_is, &[OTHER, A]);
    }
    for _ in 0..3 {
        poll(&mut scenario, as_is, &[OTHER]);
        assert_eq!(fire(&mut scenario, A), Some(Remark::Repeated));
    }
    for _ in 0..3 {
        poll(&mut scenario, as_is, &[OTHER]);
        poll(&mut scenario, prompted, &[OTHER, A]);
    }
    assert_eq!(endings(&scenario), []);
}

#[test]
fn a_poll_that_is_older_than_a_mention_knows_less() {
    let mut scenario = well_listed();
    for _ in 0..5 {
        scenario.advance(secs(60));
        let before = listing(&scenario, &[OTHER]);
        scenario.advance(secs(1));
        fire(&mut scenario, A);
        scenario.send(Event::Polled(Box::new(before)));
    }
    assert_eq!(endings(&scenario), []);
}

#[test]
fn a_restart_begins_the_row_anew() {
    let mut scenario = well_listed();
    for _ in 0..5 {
        poll(&mut scenario, as_is, &[OTHER]);
        scenario.crash(&Found::NotStarted);
    }
    assert_eq!(endings(&scenario), []);
}

#[test]
fn only_alerts_of_the_source_that_came_by_its_hook_are_missing() {
    let mut scenario = well_listed();
    scenario.fire("second", Door::Webhook, A);
    scenario.fire("api", Door::Api, B);
    for _ in 0..2 {
        poll(&mut scenario, as_is, &[OTHER]);
    }
    assert_eq!(endings(&scenario).len(), 1);
    assert_eq!(scenario.state().count_firing(), 2);
}

#[test]
fn a_listed_alert_never_lapses() {
    let mut scenario = waiting();
    for _ in 0..(13 * 60) {
        poll(&mut scenario, as_is, &[A]);
    }
    assert_eq!(endings(&scenario), []);
    scenario.advance(secs(12 * 3600));
    assert_eq!(endings(&scenario), [Ending::Lapsed]);
}

#[test]
fn missing_while_its_healing_is_verified_is_reported() {
    let mut policy = ladder();
    policy.verify.within = secs(600);
    let witnesses = Witnesses { prometheuses: Vec::new(), ..everybody() };
    let mut scenario = Scenario::new(book(policy, witnesses), start_time());
    fire(&mut scenario, A);
    scenario.send(Event::Polled(Box::new(listing(&scenario, &[OTHER, A]))));
    scenario.exit("restart", DONE);
    scenario.answer(Answer::AlertmanagerErrs("nobody is there".into()));
    poll(&mut scenario, as_is, &[OTHER]);
    assert!(matches!(scenario.incident().unwrap().stage, Stage::Verifying(_)));
    poll(&mut scenario, as_is, &[OTHER]);
    let closing = closings(scenario.journal()).pop().unwrap();
    assert_eq!((closing.outcome, closing.grade), (End::Healed, Some(Grade::Reported)));
}

#[test]
fn a_late_firing_from_before_the_end_asks_the_alertmanager() {
    let mut scenario = well_listed();
    let observation = |scenario: &Scenario| {
        let episode = scenario.state().all_firing().next().unwrap();
        let alert = scenario.state().episode(episode).unwrap().alert.clone();
        Observation { alert, status: Status::Firing, ends_at: None, unproven: None, by: None }
    };
    let late = observation(&scenario);
    scenario.end_silently(A);
    for _ in 0..2 {
        poll(&mut scenario, as_is, &[OTHER]);
    }
    assert_eq!(endings(&scenario).len(), 1);
    assert_eq!(scenario.observe(late), Some(Remark::Doubted));
    assert_eq!(scenario.state().count_firing(), 0);
}

/// Prometheus sends by the alerts API; a restart has forgotten until when its alert fires.
fn forgotten() -> Scenario {
    let mut policy = ladder();
    policy.settle = secs(24 * 3600);
    let witnesses = Witnesses {
        alertmanagers: [].into(),
        webhooks: [].into(),
        prometheuses: vec![PrometheusWitness::new("main")],
    };
    let mut scenario = Scenario::new(book(policy, witnesses), start_time());
    scenario.fire("api", Door::Api, A);
    scenario.crash(&Found::NotStarted);
    scenario
}

#[test]
fn a_lost_resolve_of_a_prometheus_is_found_by_its_rules() {
    let mut scenario = forgotten();
    scenario.end_silently(A);
    scenario.advance(secs(119));
    assert_eq!(endings(&scenario), []);
    scenario.advance(secs(2));
    assert!(matches!(endings(&scenario)[..], [Ending::Absent { .. }]), "{:?}", endings(&scenario));
    assert_eq!(closings(scenario.journal()).pop().unwrap().outcome, End::Recovered);
}

#[test]
fn after_the_wall_clock_was_set_back_a_lost_resolve_is_found_as_soon() {
    let mut scenario = forgotten();
    scenario.jump(Leap::Back(secs(3600)));
    scenario.fire("api", Door::Api, A);
    scenario.crash(&Found::NotStarted);
    scenario.end_silently(A);
    scenario.advance(secs(121));
    let endings = endings(&scenario);
    assert!(matches!(endings[..], [Ending::Absent { .. }]), "{endings:?}");
    assert_eq!(scenario.fire("api", Door::Api, A), Some(Remark::Began), "it fires since later");
}

#[test]
fn what_was_evaluated_before_the_wall_clock_was_set_back_does_not_count() {
    let mut scenario = forgotten();
    scenario.end_silently(A);
    scenario.advance(secs(30));
    scenario.answer(Answer::RuleStuck);
    scenario.jump(Leap::Back(secs(3600)));
    scenario.advance(secs(70));
    assert_eq!(endings(&scenario), []);
    // By its stamp the evaluation of before is later than these, which would count for nothing then.
    scenario.answer(Answer::RulesTruth);
    scenario.advance(secs(130));
    let endings = endings(&scenario);
    assert!(matches!(endings[..], [Ending::Absent { .. }]), "{endings:?}");
}

#[test]
fn a_rule_that_knows_nothing_ends_nothing() {
    for answer in [
        Answer::RulesErr("nobody is there".into()),
        Answer::NoRule,
        Answer::RuleUnhealthy("no".into()),
        Answer::RuleStuck,
        Answer::RuleFires,
        Answer::RulePending,
        Answer::RuleKeptFiring(secs(600)),
    ] {
        let mut scenario = forgotten();
        scenario.end_silently(A);
        scenario.answer(answer.clone());
        scenario.advance(secs(299));
        assert_eq!(endings(&scenario), [], "{answer:?}");
        scenario.advance(secs(2));
        assert_eq!(endings(&scenario), [Ending::Lapsed], "{answer:?}");
    }
}

#[test]
fn a_prometheus_that_repeats_its_alerts_is_not_asked_about_them() {
    let mut policy = ladder();
    policy.settle = secs(24 * 3600);
    let witnesses = Witnesses {
        alertmanagers: [].into(),
        webhooks: [].into(),
        prometheuses: vec![PrometheusWitness::new("main")],
    };
    let mut scenario = Scenario::new(book(policy, witnesses), start_time());
    scenario.fire("api", Door::Api, A);
    // Were it asked, it would say that nothing fires.
    scenario.answer(Answer::RuleInactive);
    for _ in 0..20 {
        scenario.advance(Span::from_secs(75));
        assert_eq!(scenario.fire("api", Door::Api, A), Some(Remark::Repeated));
    }
    assert_eq!(endings(&scenario), []);
}
