//! What the guards have counted, as a person may ask: it agrees with what the engine does.

use crate::stage::{
    A, B, DONE, FAILED, book, everybody, fire, ladder, resolve, secs, start_time, witnessed,
};
use homeostat_core::decide::{Account, Contents};
use homeostat_core::event::Event;
use homeostat_core::guard::account::{
    Attempts, Counts, IncidentNumber, Opinion, Position, RemedyAccount, Says,
};
use homeostat_core::hold::{Guard, Hold};
use homeostat_core::incident::Stage;
use homeostat_core::label::Matchers;
use homeostat_core::name::{IncidentId, RemedyName};
use homeostat_core::policy::{
    BlastRadius, BookLimits, Damping, Escalate, Extent, GuardLimits, Policy, Rate, TargetLabels,
    Watchdog,
};
use homeostat_core::scenario::Scenario;
use homeostat_core::storm::StormLimits;
use homeostat_core::time::Span;

const C: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "c:80")];
const OTHER: &[(&str, &str)] = &[("alertname", "Other"), ("instance", "a:80")];

/// A policy that nothing holds but what is asked for.
fn with(guard: impl FnOnce(&mut GuardLimits)) -> Policy {
    let mut policy = ladder();
    policy.escalate = Escalate::Nobody;
    policy.guard.cooldown = Span::ZERO;
    policy.guard.rate = Rate { max: 1000, per: secs(3600) };
    policy.guard.concurrency = 100;
    guard(&mut policy.guard);
    policy
}

fn only(play: &Scenario, labels: &[(&str, &str)]) -> Account {
    let mut accounts = play.account(labels);
    assert_eq!(accounts.len(), 1, "{accounts:#?}");
    accounts.remove(0)
}

struct Ledgers {
    next: Option<RemedyName>,
    counts: Counts,
    opinions: Vec<Opinion>,
    remedies: Vec<RemedyAccount>,
}

fn ledgers(play: &Scenario, labels: &[(&str, &str)]) -> Ledgers {
    match only(play, labels).contents {
        Contents::Ledgers { next, counts, opinions, remedies } => {
            Ledgers { next, counts: *counts, opinions, remedies }
        }
        Contents::Nothing(why) => panic!("{why}"),
    }
}

/// The guards that hold, with their words, until when.
fn holding(ledgers: &Ledgers) -> Vec<String> {
    let next = ledgers.remedies.iter().find(|r| Some(&r.remedy) == ledgers.next.as_ref()).unwrap();
    let all = ledgers.opinions.iter().chain(&next.opinions);
    let holding = all.filter_map(|opinion| match &opinion.says {
        Says::Hold { reason, until } => Some(format!("{}: {reason} {until:?}", opinion.guard)),
        Says::Clear { .. } | Says::Stop { .. } => None,
    });
    holding.collect()
}

/// Asserts that the newest incident is held, by this guard, and that the account says the same.
fn agrees(play: &Scenario, labels: &[(&str, &str)], guard: Guard) {
    let incident = play.incident().unwrap();
    let Stage::Held { holds, .. } = &incident.stage else { panic!("{:?}", incident.stage) };
    assert_eq!(holds.iter().map(Hold::guard).collect::<Vec<_>>(), [guard]);
    let wanted: Vec<_> = holds.iter().map(|hold| format!("{hold} {:?}", hold.until())).collect();
    assert_eq!(holding(&ledgers(play, labels)), wanted);
    let told = only(play, labels).incident.unwrap();
    assert_eq!((told.id, told.state.as_str()), (IncidentNumber(incident.id), "waiting"));
}

#[test]
fn what_holds_an_order_is_told_in_the_words_of_its_guard() {
    let mut play = witnessed(with(|_| {}));
    play.send(Event::Pause { by: "ann".into(), reason: "migration".into() });
    fire(&mut play, A);
    agrees(&play, A, Guard::Pause);
    assert_eq!(ledgers(&play, A).counts.pause.unwrap().by, "ann".into());

    let matchers = Matchers::parse("alertname=\"Watchdog\"").unwrap().matchers;
    let watchdog = Watchdog { matchers, max_age: secs(300) };
    let mut play = witnessed(with(|guard| guard.watchdog = Some(watchdog)));
    fire(&mut play, A);
    agrees(&play, A, Guard::Watchdog);

    let mut play = witnessed(with(|guard| guard.rate = Rate { max: 1, per: secs(3600) }));
    fire(&mut play, A);
    fire(&mut play, B);
    agrees(&play, B, Guard::Rate);

    let mut play = witnessed(with(|guard| guard.concurrency = 1));
    fire(&mut play, A);
    fire(&mut play, B);
    agrees(&play, B, Guard::Concurrency);

    let extent = Extent::Targets(1);
    let radius = BlastRadius { window: secs(900), extent };
    let mut play = witnessed(with(|guard| guard.blast_radius = Some(radius)));
    fire(&mut play, A);
    fire(&mut play, B);
    agrees(&play, B, Guard::BlastRadius);
    assert_eq!(ledgers(&play, B).counts.blast_radius.unwrap().others.in_flight, 1);
}

#[test]
fn what_follows_from_earlier_healings_is_told_in_the_words_of_its_guard() {
    let mut play = witnessed(with(|guard| guard.cooldown = secs(300)));
    fire(&mut play, A);
    play.end_silently(A);
    play.exit("restart", DONE);
    play.advance(secs(5));
    resolve(&mut play, A);
    play.advance(secs(5));
    let before = ledgers(&play, A);
    fire(&mut play, A);
    agrees(&play, A, Guard::Cooldown);
    let held = ledgers(&play, A);
    assert_eq!(holding(&before), holding(&held), "it is told before an incident is open, too");
    assert_eq!(held.next, Some(RemedyName::new("reboot")), "it is a relapse");
    assert_eq!(held.counts.attempts, Attempts { used: 1, max: 9 });

    let mut damped = with(|guard| guard.flap = Some(Damping::default()));
    damped.settle = secs(10);
    let mut play = witnessed(damped);
    for _ in 0..3 {
        fire(&mut play, A);
        play.advance(secs(1));
        resolve(&mut play, A);
        play.advance(secs(1));
    }
    fire(&mut play, A);
    play.advance(secs(10));
    agrees(&play, A, Guard::Flap);
    let flap = ledgers(&play, A).counts.flap.unwrap();
    assert_eq!((flap.flaps, flap.suppress), (3, 2000));
}

#[test]
fn a_breaker_is_told_closed_open_half_open_and_tried() {
    let mut policy = with(|_| {});
    policy.remedies.truncate(1);
    let mut play = witnessed(policy);
    let position = |play: &Scenario, labels: &[(&str, &str)]| {
        ledgers(play, labels).remedies[0].breakers[0].position
    };
    for (name, position_before) in [("1", Position::Closed), ("2", Position::Closed)] {
        let labels = [("alertname", "Down"), ("instance", name)];
        fire(&mut play, &labels);
        assert_eq!(position(&play, &labels), position_before);
        play.exit("restart", FAILED);
    }
    fire(&mut play, A);
    play.exit("restart", FAILED);
    let until = play.now() + secs(900);
    fire(&mut play, B);
    agrees(&play, B, Guard::Breaker);
    assert_eq!(position(&play, B), Position::Open { failures: 3, until });
    let results = &ledgers(&play, B).remedies[0].breakers[0].results;
    let incidents: Vec<u64> = results.iter().map(|mark| mark.incident.0).collect();
    assert_eq!(incidents, [3, 2, 1]);
    play.advance(secs(900));
    let tried_by = Some(IncidentNumber(IncidentId(4)));
    assert_eq!(position(&play, C), Position::HalfOpen { failures: 3, tried_by });
    assert_eq!(position(&play, B), Position::HalfOpen { failures: 3, tried_by: None });
}

#[test]
fn locks_and_tokens_and_running_orders_are_counted() {
    let mut other = with(|_| {});
    other.name = homeostat_core::name::PolicyName::new("other");
    other.matchers = Matchers::parse("alertname=\"Other\"").unwrap().matchers;
    let storm =
        StormLimits { percent: 50, min: 3, cool_down: secs(60), inventory: "count(up)".into() };
    let first = with(|guard| guard.rate = Rate { max: 3, per: secs(3600) });
    let policies = vec![
        first,
        Policy { guard: GuardLimits { storm: Some(storm), ..other.guard.clone() }, ..other },
    ];
    let limits = BookLimits { concurrency: 5, rate: Rate { max: 60, per: secs(3600) } };
    let book = homeostat_core::policy::Book::new(policies, limits, everybody());
    let mut play = Scenario::new(book, start_time());
    fire(&mut play, A);
    let counts = ledgers(&play, OTHER).counts;
    let locks: Vec<_> = counts.locks.iter().map(|lock| (&*lock.key.0, lock.held_by)).collect();
    assert_eq!(locks, [("target {instance=\"a:80\"}", Some(IncidentNumber(IncidentId(1))))]);
    assert_eq!(holding(&ledgers(&play, OTHER)).len(), 1);
    assert_eq!(counts.storm.unwrap().targets, 0);
    let running: Vec<_> = counts.running.iter().map(|r| (r.running, r.max)).collect();
    assert_eq!(running, [(0, 100), (1, 5)]);
    let own = ledgers(&play, A).counts;
    let tokens: Vec<_> = own.rates.iter().map(|bucket| (bucket.tokens, bucket.next_at)).collect();
    assert_eq!(tokens, [(59, None), (2, None)]);
    assert!(holding(&ledgers(&play, A)).is_empty(), "its own lock does not hold it");
}

#[test]
fn where_nothing_would_be_done_no_guard_is_asked() {
    let play = witnessed(with(|_| {}));
    let nothing = |play: &Scenario, labels| match only(play, labels).contents {
        Contents::Nothing(why) => why,
        Contents::Ledgers { .. } => panic!("guards were asked"),
    };
    let without = &[("alertname", "Down")];
    assert_eq!(nothing(&play, without), "the alert lacks a label of the target");
    assert!(play.account(OTHER).is_empty(), "no policy takes it");
    let mut empty = with(|_| {});
    empty.remedies.clear();
    empty.target = TargetLabels::All;
    let play = Scenario::new(book(empty, everybody()), start_time());
    assert_eq!(nothing(&play, A), "the policy has no remedy");
}
