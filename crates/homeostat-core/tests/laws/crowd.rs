//! Many alerts on one target: what happens to one of them takes as long however many there are.
//!
//! Only how the time grows is judged, and by a wide margin: eight times as many alerts may take three
//! times eight times as long, where a walk through all of them at each would take sixty-four times. What
//! counts is how long the processor was at it: who else is busy does not.

use std::sync::Arc;
use std::time::Duration;

use crate::stage::{DONE, book, nobody, policy, remedy, secs, start_time};
use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::engine::Engine;
use homeostat_core::event::{Effect, Event};
use homeostat_core::fact::{Fact, What};
use homeostat_core::incident::{Incident, Stage, Standing};
use homeostat_core::label::LabelSet;
use homeostat_core::name::{BootId, OrderId, SourceName};
use homeostat_core::order::Ended;
use homeostat_core::snapshot::Record;
use homeostat_core::state::State;
use homeostat_core::time::{Span, Timestamp};

const FEW: usize = 500;
const MANY: usize = 8 * FEW;

/// Alerts of one notification.
const TOGETHER: usize = 64;

/// Of so many lives the shortest counts.
const LIVES: usize = 3;

/// How long this thread has been at work.
fn at_work() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).try_into().unwrap()
}

/// An engine, and all alerts of one target.
struct Crowd {
    engine: Engine,
    now: Timestamp,
    alerts: Vec<Alert>,
    facts: Vec<Fact>,
    took: Vec<(&'static str, Duration)>,
}

impl Crowd {
    fn new(alerts: usize) -> Self {
        let now = start_time();
        let alert = |number: usize| {
            let check = number.to_string();
            let labels = [("alertname", "Down"), ("instance", "a:80"), ("check", &check)];
            let labels = LabelSet::from_pairs(labels);
            Alert {
                source: SourceName::new("main"),
                door: Door::Webhook,
                fingerprint: labels.fingerprint(),
                labels,
                annotations: LabelSet::default(),
                starts_at: None,
                generator_url: "".into(),
                receiver: "".into(),
                external_url: "".into(),
                group_labels: LabelSet::default(),
            }
        };
        let book = Arc::new(book(policy(vec![remedy("restart")]), nobody()));
        let mut crowd = Self {
            engine: Engine::restore(State::default(), book, now),
            now,
            alerts: (0..alerts).map(alert).collect(),
            facts: Vec::new(),
            took: Vec::new(),
        };
        crowd.turn(vec![Event::Started { boot: BootId::new("boot") }]);
        crowd
    }

    /// Notes how long something takes.
    fn time(&mut self, what: &'static str, act: impl FnOnce(&mut Self)) {
        self.now = self.now + secs(1);
        let began = at_work();
        act(self);
        self.took.push((what, at_work().saturating_sub(began)));
    }

    /// Takes a turn, and those that are due then. Returns the order that is issued.
    fn turn(&mut self, events: Vec<Event>) -> Option<OrderId> {
        let mut next = Some(events);
        let mut order = None;
        while let Some(events) = next.take() {
            let turn = self.engine.turn(events, self.now);
            self.facts.extend(turn.facts);
            order = turn.effects.into_iter().fold(order, |order, effect| match effect {
                Effect::Run(run) => Some(run.order.id.clone()),
                _ => order,
            });
            let due = self.engine.next_wake().is_some_and(|at| at <= self.now);
            next = due.then(Vec::new);
        }
        order
    }

    /// Tells of all alerts but the first ones.
    fn tell(&mut self, but: usize, status: Status) {
        for number in (but..self.alerts.len()).step_by(TOGETHER) {
            let some = &self.alerts[number..self.alerts.len().min(number + TOGETHER)];
            let observe = |alert: &Alert| Observation {
                alert: Alert { starts_at: Some(self.now), ..alert.clone() },
                status,
                ends_at: Some(self.now).filter(|_| status == Status::Resolved),
                unproven: None,
                by: None,
            };
            let events = Event::notified(some.iter().map(observe).collect()).collect();
            self.turn(events);
        }
    }

    fn incident(&self) -> &Incident {
        self.engine.state().incidents().last().unwrap()
    }

    fn standing(&self) -> [usize; 3] {
        let episodes = &self.incident().episodes;
        [Standing::Firing, Standing::Resolved, Standing::Lapsed].map(|s| episodes.count(s))
    }
}

/// Lets a crowd live through all that may happen to it; returns how long each took.
fn live(all: usize) -> Vec<(&'static str, Duration)> {
    let mut crowd = Crowd::new(all);
    let by = || "an operator".to_owned();
    crowd.turn(vec![Event::Pause { by: by().into(), reason: String::new() }]);
    crowd.time("attached to one that waits", |crowd| crowd.tell(0, Status::Firing));
    assert_eq!(crowd.standing(), [all, 0, 0]);
    crowd.time("acted on", |crowd| {
        let order =
            crowd.turn(vec![Event::Resume { by: by().into(), reason: String::new() }]).unwrap();
        let ended =
            Ended { outcome: DONE, started_at: None, output: String::new(), left: Vec::new() };
        crowd.turn(vec![Event::OrderEnded { order, ended }]);
    });
    assert!(matches!(crowd.incident().stage, Stage::Verifying(_)));
    crowd.time("ended while it is proven", |crowd| crowd.tell(1, Status::Resolved));
    assert_eq!(crowd.standing(), [1, all - 1, 0]);
    crowd.time("fired again", |crowd| crowd.tell(1, Status::Firing));
    assert_eq!(crowd.standing(), [all, 0, 0]);
    crowd.time("healed", |crowd| crowd.tell(0, Status::Resolved));
    assert_eq!(crowd.engine.state().incidents().count(), 0);
    crowd.time("attached to one that is closed", |crowd| crowd.tell(0, Status::Firing));
    assert!(crowd.incident().is_closed() && crowd.standing() == [all, 0, 0]);
    crowd.time("ended under one that is closed", |crowd| crowd.tell(1, Status::Resolved));
    crowd.time("fired again under it", |crowd| crowd.tell(1, Status::Firing));
    crowd.now = crowd.now + Span::from_secs(86_400);
    crowd.time("lost sight of", |crowd| drop(crowd.turn(Vec::new())));
    assert_eq!(crowd.standing(), [0, 0, all]);
    crowd.time("begun anew", |crowd| crowd.tell(0, Status::Firing));
    assert_eq!(crowd.standing(), [all, 0, 0]);
    let facts = std::mem::take(&mut crowd.facts);
    let mut state = State::default();
    crowd.time("folded", |_| facts.iter().for_each(|fact| state.apply(fact)));
    assert_eq!(state, *crowd.engine.state());
    let mut recalled = State::default();
    crowd.time("written and read back", |_| {
        let write = |record: &Record| serde_json::to_string(record).unwrap();
        let lines: Vec<String> = state.records().map(|record| write(&record)).collect();
        for line in &lines {
            recalled.recall(serde_json::from_str(line).unwrap());
        }
    });
    assert_eq!(recalled, state);
    let opened = facts.iter().filter(|fact| matches!(fact.what, What::IncidentOpened { .. }));
    assert!(opened.count() < 5, "all of them are one trouble");
    crowd.took
}

#[test]
fn what_happens_to_one_of_many_takes_as_long_as_to_one_of_few() {
    let shortest = |all: usize| {
        let lives = (0..LIVES).map(|_| live(all));
        let least = |one: Vec<(&'static str, Duration)>, other: Vec<(&'static str, Duration)>| {
            one.into_iter().zip(other).map(|((what, a), (_, b))| (what, a.min(b))).collect()
        };
        lives.reduce(least).unwrap()
    };
    let (few, many) = (shortest(FEW), shortest(MANY));
    let times = MANY / FEW * 3;
    for ((what, few), (_, many)) in few.into_iter().zip(many) {
        let most = few.max(Duration::from_millis(2)) * u32::try_from(times).unwrap();
        assert!(many < most, "{what}: {FEW} took {few:?}, and {MANY} {many:?}");
    }
}
