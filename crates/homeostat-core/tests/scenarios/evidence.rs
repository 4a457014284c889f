//! Who may say that it is over: what is not found is no news, what is remembered is no news, and what
//! is owed to people lasts as long as its trouble.

use crate::stage::*;
use homeostat_core::alert::{Alert, Door, Ending, Observation, Status};
use homeostat_core::clock::Leap;
use homeostat_core::event::{Event, Remark};
use homeostat_core::evidence::Grade;
use homeostat_core::fact::What;
use homeostat_core::hold::Guard;
use homeostat_core::incident::{Cause, Closing, End, Stage};
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::name::{PolicyName, SourceName};
use homeostat_core::order::Found;
use homeostat_core::policy::{Book, BookLimits, Escalate, Policy, PrometheusWitness, Witnesses};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::template::Template;
use homeostat_core::time::{Span, Timestamp};

fn last(play: &Scenario) -> Closing {
    closings(play.journal()).pop().unwrap()
}

fn with_query(mut policy: Policy) -> Policy {
    policy.verify.query = Some(Template::parse("up == 1").unwrap());
    policy
}

fn alert(labels: &[(&str, &str)], starts_at: Timestamp) -> Alert {
    let labels = LabelSet::from_pairs(labels.iter().copied());
    Alert {
        source: SourceName::new("main"),
        door: Door::Webhook,
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
    let alert = alert(labels, starts_at);
    Observation { alert, status: Status::Firing, ends_at: None, unproven: None, by: None }
}

fn resolved(labels: &[(&str, &str)], ends_at: Timestamp) -> Observation {
    let alert = alert(labels, start_time());
    Observation {
        alert,
        status: Status::Resolved,
        ends_at: Some(ends_at),
        unproven: None,
        by: None,
    }
}

fn notify(play: &mut Scenario, observations: Vec<Observation>) {
    play.send_all(Event::notified(observations).collect());
}

// --- what a rule remembers ---

#[test]
fn a_rule_that_remembers_is_waited_for_and_never_climbed_upon() {
    let mut play = witnessed(ladder());
    play.answer(Answer::LooksBack(secs(600)));
    fire(&mut play, A);
    play.exit("restart", DONE);
    play.advance(secs(590));
    assert_eq!(orders(&mut play), ["1.restart.1"], "it may still look at what is over");
    assert!(matches!(play.incident().unwrap().stage, Stage::Verifying(_)));
    play.end_silently(A);
    play.advance(secs(30));
    let closing = last(&play);
    assert_eq!((closing.outcome, closing.grade), (End::Healed, Some(Grade::Confirmed)));
}

#[test]
fn what_fires_past_the_memory_of_its_rule_was_not_healed() {
    let mut play = witnessed(ladder());
    play.answer(Answer::LooksBack(secs(600)));
    fire(&mut play, A);
    play.exit("restart", DONE);
    play.advance(secs(600));
    assert_eq!(orders(&mut play).len(), 1);
    play.advance(secs(30));
    assert_eq!(orders(&mut play), ["1.reboot.1"]);
}

#[test]
fn a_memory_that_nobody_knows_or_that_is_too_long_goes_to_a_person() {
    for (answer, told) in [
        (Answer::LooksBackUnknown("it has an @".into()), "it has an @"),
        (Answer::LooksBack(secs(2 * 3600)), "only a query can tell"),
    ] {
        let mut play = witnessed(ladder());
        play.answer(answer);
        fire(&mut play, A);
        play.exit("restart", DONE);
        play.advance(secs(300));
        let closing = last(&play);
        assert_eq!(closing.cause(), Some(Cause::Unproven));
        assert!(closing.reason.contains(told), "{}", closing.reason);
        assert_eq!(orders(&mut play).len(), 1, "unknown never climbs the ladder");
    }
}

#[test]
fn a_query_decides_while_the_rule_only_remembers_and_firing_past_that_is_a_relapse() {
    for ends in [true, false] {
        let mut play = witnessed(with_query(ladder()));
        play.answer(Answer::LooksBack(secs(600)));
        play.answer(Answer::Query(1));
        fire(&mut play, A);
        play.exit("restart", DONE);
        play.advance(secs(40));
        let closing = last(&play);
        assert_eq!((closing.outcome, closing.grade), (End::Healed, Some(Grade::Proven)));
        assert!(closing.reason.contains("the alert may fire on until"), "{}", closing.reason);
        orders(&mut play);
        play.answer(Answer::Query(0));
        if ends {
            play.advance(secs(500));
            resolve(&mut play, A);
        }
        play.advance(secs(1200));
        let further: &[&str] = if ends { &[] } else { &["2.reboot.1"] };
        assert_eq!(orders(&mut play), further);
    }
}

// --- gone, or out of sight ---

#[test]
fn an_instance_that_went_with_its_series_is_out_of_sight() {
    let outcome = |policy: Policy, answers: &[Answer]| {
        let mut play = witnessed(policy);
        for answer in answers {
            play.answer(answer.clone());
        }
        fire(&mut play, A);
        play.end_silently(A);
        play.answer(Answer::Inputs { there: false });
        play.exit("restart", DONE);
        play.advance(secs(120));
        let closing = last(&play);
        (closing.outcome, closing.grade, closing.reason.to_string())
    };
    let (end, _, reason) = outcome(ladder(), &[]);
    assert_eq!(end, End::Escalated);
    assert!(reason.contains("the series that it reads are gone"), "{reason}");
    let (end, grade, _) = outcome(with_query(ladder()), &[Answer::Query(1)]);
    assert_eq!((end, grade), (End::Healed, Some(Grade::Proven)), "a query that holds decides");
    let mut vanishing = ladder();
    vanishing.verify.vanishes = true;
    let (end, grade, _) = outcome(vanishing, &[]);
    assert_eq!((end, grade), (End::Healed, Some(Grade::Confirmed)), "its policy says so");
    let (end, grade, _) = outcome(ladder(), &[Answer::Inputs { there: false }]);
    assert_eq!((end, grade), (End::Healed, Some(Grade::Confirmed)), "none had data before");
}

// --- who saw it ---

#[test]
fn whoever_saw_it_fire_must_say_that_it_is_over_whoever_else_finds_nothing() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    play.answer(Answer::PrometheusErrs("connection refused".into()));
    play.exit("restart", DONE);
    resolve(&mut play, A);
    play.advance(secs(300));
    let closing = last(&play);
    assert_eq!(closing.cause(), Some(Cause::Unproven), "its Alertmanager says that it resolved");
    assert!(closing.reason.contains("Prometheus main could not be asked"), "{}", closing.reason);
}

#[test]
fn a_prometheus_that_gave_no_answer_before_the_act_is_awaited() {
    for comes_back_in_time in [true, false] {
        let mut play = witnessed(ladder());
        play.answer(Answer::PrometheusErrs("connection refused".into()));
        fire(&mut play, A);
        play.exit("restart", DONE);
        if comes_back_in_time {
            play.answer(Answer::PrometheusTruth);
            play.advance(secs(10));
            assert!(closings(play.journal()).is_empty(), "it fires there");
        }
        resolve(&mut play, A);
        play.answer(Answer::PrometheusTruth);
        play.advance(secs(120));
        let expected = if comes_back_in_time { End::Healed } else { End::Escalated };
        let closing = last(&play);
        assert_eq!(closing.outcome, expected, "what was never seen cannot be missed");
        let told = closing.reason.contains("main gave no answer before the act");
        assert_eq!(told, !comes_back_in_time, "{}", closing.reason);
    }
}

#[test]
fn an_alert_with_a_rule_and_one_without_are_each_judged_by_their_own() {
    const APP: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80"), ("by", "app")];
    let mut policy = ladder();
    policy.settle = secs(1);
    let mut play = witnessed(policy);
    play.say_about(APP, Answer::NoRule);
    fire(&mut play, A);
    fire(&mut play, APP);
    play.advance(secs(1));
    play.exit("restart", DONE);
    resolve(&mut play, A);
    resolve(&mut play, APP);
    play.advance(secs(60));
    let closing = last(&play);
    assert_eq!((closing.outcome, closing.grade), (End::Healed, Some(Grade::Reported)), "the least");
}

// --- what a notification means ---

#[test]
fn a_change_of_labels_under_one_target_is_no_healing_in_either_order() {
    const OLD: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80"), ("value", "91")];
    const NEW: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80"), ("value", "93")];
    for old_first in [true, false] {
        let mut policy = ladder();
        policy.settle = secs(60);
        let mut play = alone(policy);
        notify(&mut play, vec![firing(OLD, start_time())]);
        play.advance(secs(10));
        let mut both = vec![resolved(OLD, play.now()), firing(NEW, play.now())];
        if !old_first {
            both.reverse();
        }
        notify(&mut play, both);
        assert!(closings(play.journal()).is_empty(), "{old_first}");
        assert_eq!(play.state().incidents().count(), 1);
    }
}

#[test]
fn an_instance_whose_labels_changed_is_not_gone() {
    const OLD: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80"), ("value", "91")];
    const NEW: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80"), ("value", "93")];
    let mut play = witnessed(policy(vec![remedy("restart")]));
    fire(&mut play, OLD);
    play.end_silently(OLD);
    play.remember(&firing(NEW, play.now()));
    play.exit("restart", DONE);
    play.advance(secs(59));
    assert!(closings(play.journal()).is_empty(), "it fires under another label");
    play.advance(secs(10));
    assert_eq!(last(&play).outcome, End::Escalated);
}

#[test]
fn an_end_without_proof_heals_nothing() {
    for acted in [true, false] {
        let mut policy = policy(vec![remedy("restart")]);
        policy.settle = if acted { Span::ZERO } else { secs(3600) };
        let mut play = alone(policy);
        fire(&mut play, A);
        if acted {
            play.exit("restart", DONE);
        }
        let mut end = resolved(A, play.now() + secs(1));
        end.unproven = Some("Grafana says MissingSeries".into());
        play.advance(secs(2));
        assert_eq!(play.observe(end), Some(Remark::Ended));
        play.advance(secs(3600));
        let expected = if acted { End::Escalated } else { End::Cancelled };
        assert_eq!(last(&play).outcome, expected);
        let unproven = |fact: &&homeostat_core::fact::Fact| {
            matches!(&fact.what, What::EpisodeEnded { ending: Ending::Unproven { .. }, .. })
        };
        assert_eq!(play.journal().iter().filter(unproven).count(), 1);
    }
}

#[test]
fn what_had_ended_before_the_act_was_not_healed_by_it() {
    for (before, expected) in [(secs(20), End::Recovered), (Span::ZERO, End::Healed)] {
        let mut policy = policy(vec![remedy("restart")]);
        policy.settle = secs(60);
        let mut play = alone(policy);
        fire(&mut play, A);
        play.advance(secs(60));
        assert_eq!(orders(&mut play).len(), 1);
        let ended_at = play.now() - before;
        play.advance(secs(1));
        play.exit("restart", DONE);
        play.observe(resolved(A, ended_at));
        assert_eq!(last(&play).outcome, expected);
    }
}

#[test]
fn what_had_ended_before_the_clock_was_set_back_was_not_healed_by_an_order_right_after_that() {
    let mut play = alone(policy(vec![remedy("restart")]));
    play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
    fire(&mut play, A);
    play.advance(secs(10));
    let ended_at = play.now();
    play.jump(Leap::Back(secs(180)));
    play.advance(Span::from_millis(500));
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    fire(&mut play, A);
    assert_eq!(orders(&mut play).len(), 1);
    play.exit("restart", DONE);
    play.observe(resolved(A, ended_at));
    assert_eq!(last(&play).outcome, End::Recovered);
}

#[test]
fn an_act_that_certainly_did_not_start_has_not_begun() {
    let mut play = alone(policy(vec![remedy("restart")]));
    fire(&mut play, A);
    play.advance(secs(10));
    let ended_at = play.now();
    play.advance(secs(10));
    play.crash(&Found::NotStarted);
    assert_eq!(orders(&mut play).len(), 2, "it is issued again");
    play.exit("restart", DONE);
    play.observe(resolved(A, ended_at));
    assert_eq!(last(&play).outcome, End::Recovered);
}

#[test]
fn what_is_ignored_as_late_is_not_ignored_for_ever() {
    let begin = |play: &mut Scenario| {
        play.observe(firing(A, start_time()));
        play.advance(secs(60));
        play.observe(resolved(A, play.now()));
    };
    let mut play = alone(ladder());
    begin(&mut play);
    let late: Vec<_> = (0..4).map(|_| play.observe(firing(A, start_time())).unwrap()).collect();
    assert_eq!(late, [Remark::Stale, Remark::Stale, Remark::Stale, Remark::Began]);
    let mut play = alone(ladder());
    begin(&mut play);
    play.advance(secs(299));
    assert_eq!(play.observe(firing(A, start_time())), Some(Remark::Stale));
    play.advance(secs(1));
    assert_eq!(play.observe(firing(A, start_time())), Some(Remark::Began));
}

#[test]
fn a_later_start_under_a_closed_incident_is_a_new_trouble() {
    let mut play = alone(policy(vec![remedy("restart")]));
    play.observe(firing(A, start_time()));
    play.exit("restart", FAILED);
    assert_eq!(last(&play).outcome, End::Escalated);
    play.advance(secs(60));
    assert_eq!(play.observe(firing(A, start_time())), Some(Remark::Repeated));
    assert_eq!(play.observe(firing(A, start_time() + secs(30))), Some(Remark::Began));
    assert_eq!(play.incident().unwrap().id.0, 2);
    // Under one that is open it stays what it is, also after a restart.
    assert_eq!(play.observe(firing(A, start_time() + secs(50))), Some(Remark::Repeated));
    play.crash(&Found::NotStarted);
    assert_eq!(play.observe(firing(A, start_time() + secs(50))), Some(Remark::Repeated));
    assert_eq!(play.incident().unwrap().id.0, 2);
}

#[test]
fn a_sender_that_nobody_has_named_is_taken_in_told_and_not_acted_on() {
    let asked = |webhooks: &[&str]| Witnesses {
        webhooks: webhooks.iter().map(|name| SourceName::new(*name)).collect(),
        prometheuses: vec![PrometheusWitness::new("main")],
        ..nobody()
    };
    let mut play = Scenario::new(book(ladder(), asked(&[])), start_time());
    play.fire("grafana", Door::Webhook, A);
    assert!(orders(&mut play).is_empty());
    match &play.incident().unwrap().stage {
        Stage::Held { holds, .. } => assert_eq!(holds[0].guard(), Guard::Stranger),
        other => panic!("it should be held: {other:?}"),
    }
    assert_eq!(play.told().count(), 1, "a person is told at once");
    play.reload(book(ladder(), asked(&["grafana"])));
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    assert_eq!(play.told().count(), 0);
}

// --- what is owed to people ---

fn escalated(policy: Policy) -> Scenario {
    let mut play = alone(policy);
    fire(&mut play, A);
    play.exit("restart", FAILED);
    assert_eq!(last(&play).outcome, End::Escalated);
    play
}

fn lapsing() -> Policy {
    let mut policy = policy(vec![remedy("restart")]);
    policy.lapse = secs(600);
    policy
}

#[test]
fn a_lapse_ends_no_notice_and_says_so_in_it() {
    let mut play = escalated(lapsing());
    play.advance(secs(3600));
    let told: Vec<String> = play.told().map(|notice| notice.reason.clone()).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("its source says nothing of the alert any more"), "{told:?}");
    play.crash(&Found::NotStarted);
    assert_eq!(play.told().count(), 1);
    resolve(&mut play, A);
    assert_eq!((play.told().count(), play.state().incidents().count()), (0, 0));
}

#[test]
fn an_operator_ends_the_notice_of_what_is_not_heard_of_any_more() {
    let mut play = escalated(lapsing());
    play.advance(secs(3600));
    play.cancel("alice");
    assert_eq!((play.told().count(), play.state().incidents().count()), (0, 0));
}

#[test]
fn what_fires_again_after_a_lapse_goes_on_unless_it_began_anew() {
    let mut play = escalated(lapsing());
    play.advance(secs(3600));
    play.observe(firing(A, start_time()));
    assert_eq!((play.incident().unwrap().id.0, play.told().count()), (1, 1), "the same trouble");
    play.advance(secs(3600));
    play.observe(firing(A, play.now()));
    assert_eq!(play.incident().unwrap().id.0, 2);
    assert_eq!(orders(&mut play), ["1.restart.1", "2.restart.1"]);
}

#[test]
fn another_alert_of_the_same_target_is_a_new_trouble_after_a_lapse() {
    let mut play = escalated(lapsing());
    play.advance(secs(3600));
    fire(&mut play, A2);
    assert_eq!(play.incident().unwrap().id.0, 2);
    play.exit("restart", DONE);
    resolve(&mut play, A2);
    assert_eq!(last(&play).outcome, End::Healed);
    assert_eq!(play.told().count(), 0, "a proof ends what nobody was heard of");
}

#[test]
fn an_alert_of_another_name_says_nothing_of_the_one_that_was_lost_sight_of() {
    const SLOW: &[(&str, &str)] = &[("alertname", "Slow"), ("instance", "a:80")];
    let mut policy = lapsing();
    policy.matchers = Matchers::parse("alertname=~\"Down|Slow\"").unwrap().matchers;
    let mut play = escalated(policy);
    play.advance(secs(3600));
    fire(&mut play, SLOW);
    assert_eq!(play.incident().unwrap().id.0, 2);
    play.exit("restart", DONE);
    resolve(&mut play, SLOW);
    assert_eq!((last(&play).outcome, play.told().count()), (End::Healed, 1));
    fire(&mut play, A);
    resolve(&mut play, A);
    assert_eq!((play.told().count(), play.state().incidents().count()), (0, 0));
}

#[test]
fn what_begins_anew_ends_no_notice_where_no_other_incident_stands_for_it() {
    for stays in [true, false] {
        let mut play = escalated(lapsing());
        play.advance(secs(3600));
        let policies = if stays { vec![lapsing()] } else { Vec::new() };
        let book = Book::new(policies, BookLimits::default(), nobody());
        play.reload(book);
        play.observe(firing(A, play.now()));
        assert_eq!(play.told().count(), usize::from(!stays));
        resolve(&mut play, A);
        assert_eq!(play.told().count(), 0);
    }
}

#[test]
fn a_target_fires_once_though_two_of_its_incidents_do() {
    let mut play = witnessed(ladder());
    let count = |play: &Scenario| play.state().ledgers().count_firing(&PolicyName::new("web"));
    fire(&mut play, A);
    play.end_silently(A);
    play.exit("restart", DONE);
    play.advance(secs(120));
    assert_eq!(last(&play).outcome, End::Healed);
    fire(&mut play, A2);
    assert_eq!((play.state().incidents().count(), count(&play)), (2, 1));
    resolve(&mut play, A);
    assert_eq!((play.state().incidents().count(), count(&play)), (1, 1));
    resolve(&mut play, A2);
    assert_eq!(count(&play), 0);
}

#[test]
fn what_is_handed_over_unheard_is_nobodys_where_nobody_is_told() {
    let mut policy = lapsing();
    policy.escalate = Escalate::Nobody;
    let mut play = alone(policy);
    fire(&mut play, A);
    play.exit("restart", DONE);
    play.advance(secs(7200));
    assert_eq!((last(&play).outcome, play.told().count()), (End::Escalated, 0));
    assert_eq!(play.state().incidents().count(), 0);
}

#[test]
fn a_policy_that_is_removed_while_it_acts_hands_over_if_the_alert_fires_on() {
    for fires_on in [true, false] {
        let mut play = witnessed(ladder());
        fire(&mut play, A);
        play.reload(Book::new(Vec::new(), BookLimits::default(), everybody()));
        play.exit("restart", DONE);
        if !fires_on {
            resolve(&mut play, A);
        }
        play.advance(secs(300));
        let expected = if fires_on { End::Cancelled } else { End::Healed };
        assert_eq!((last(&play).outcome, play.told().count()), (expected, usize::from(fires_on)));
    }
}

/// The Prometheus that was awaited is gone with the policy, so that the next look asked nobody: the incident
/// was closed at once, beside a remedy that may still have run.
#[test]
fn a_proof_lasts_for_its_window_though_nobody_can_be_asked_any_more() {
    for lost in [false, true] {
        let mut ladder = ladder();
        ladder.verify.within = secs(60);
        let webhooks = [SourceName::new("main")].into();
        let witnesses = Witnesses { alertmanagers: [].into(), webhooks, ..everybody() };
        let mut play = Scenario::new(book(ladder, witnesses), start_time());
        play.answer(Answer::PrometheusErrs("connection refused".into()));
        fire(&mut play, A);
        if lost {
            play.crash(&Found::Unknown("no exit is recorded".into()));
        } else {
            play.exit("restart", DONE);
        }
        play.reload(Book::new(Vec::new(), BookLimits::default(), nobody()));
        let window = if lost { 60 + 30 } else { 60 };
        play.advance(secs(window - 1));
        assert!(matches!(play.incident().unwrap().stage, Stage::Verifying(_)), "lost: {lost}");
        play.advance(secs(15));
        assert_eq!(last(&play).outcome, End::Cancelled, "lost: {lost}");
    }
}

// --- after a restart ---

#[test]
fn what_the_journal_knows_of_a_last_mention_outlives_a_restart() {
    let mut play = alone(ladder());
    fire(&mut play, A);
    play.advance(secs(20));
    play.crash(&Found::NotStarted);
    assert_eq!(orders(&mut play), ["1.restart.1", "1.restart.1"], "within `fresh.max_age`");
}

/// What is said by the alerts API: since when it fires, and until when that is to be believed.
fn said(starts_at: Timestamp, ends_at: Timestamp) -> Observation {
    Observation {
        alert: Alert { door: Door::Api, ..alert(A, starts_at) },
        status: Status::Firing,
        ends_at: Some(ends_at),
        unproven: None,
        by: None,
    }
}

/// Late ends of an earlier firing came while it fired, and were taken for firings that were ignored:
/// so after its own end the second late repeat began an episode.
#[test]
fn a_late_end_is_no_firing_that_was_ignored() {
    let mut play = alone(ladder());
    let began = play.now();
    let firing = || said(began, began + secs(600));
    assert_eq!(play.observe(firing()), Some(Remark::Began));
    for _ in 0..2 {
        let late = said(began - secs(300), began - secs(200));
        assert_eq!(play.observe(late), Some(Remark::Stale));
    }
    let episode = play.state().all_firing().next().unwrap();
    play.advance(secs(60));
    play.send(Event::Missing { episode, since: play.now() });
    let late: Vec<_> = (0..4).map(|_| play.observe(firing()).unwrap()).collect();
    assert_eq!(late, [Remark::Stale, Remark::Stale, Remark::Stale, Remark::Began]);
}

/// An application says again what it said of an earlier firing, and its end has passed meanwhile.
#[test]
fn a_late_message_about_an_earlier_firing_ends_nothing() {
    let mut play = alone(policy(vec![remedy("restart")]));
    let begin = play.now();
    let again = begin + secs(60);
    play.observe(said(begin, begin + secs(300)));
    play.exit("restart", DONE);
    play.observe(said(again, again + secs(900)));
    play.advance(secs(400));
    play.observe(said(again, again + secs(1_300)));
    let late = said(begin, begin + secs(300));
    assert_eq!(play.observe(late), Some(Remark::Stale));
    assert!(
        matches!(play.incident().unwrap().stage, Stage::Verifying(_)),
        "nobody said it is over"
    );
    let now = play.now();
    assert_eq!(play.observe(said(again, now)), Some(Remark::Ended));
}
