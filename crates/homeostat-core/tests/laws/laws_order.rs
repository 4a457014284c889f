//! The law of order: events of one group that share nothing may come in any order.
//!
//! The same events come to two engines in groups; within a group, those of different policies and
//! targets come in another order. What each target comes to is the same in both: its orders, its
//! holds, its ends, and their reasons. Events of one target keep their order.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::stage::{nobody, policy, remedy, secs, start_time};
use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::command::Command;
use homeostat_core::engine::Engine;
use homeostat_core::event::{Effect, Event};
use homeostat_core::fact::What;
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::name::{BootId, IncidentId, OrderId, PolicyName, SourceName};
use homeostat_core::order::{Ended, Outcome};
use homeostat_core::policy::{Book, BookLimits, Damping, GuardLimits, Mode, Policy, Rate, Verify};
use homeostat_core::state::State;
use homeostat_core::time::{Span, Timestamp};
use proptest::prelude::*;

const TARGETS: usize = 4;

/// What happens to one target.
#[derive(Debug, Clone, Copy)]
enum Input {
    Fire,
    Resolve,
    Exit(i32),
    Command(Command),
}

/// One group of events, in two orders, and the time after it.
#[derive(Debug, Clone)]
struct Group {
    inputs: Vec<(usize, Input)>,
    ranks: [u8; TARGETS],
    then: u64,
}

fn groups() -> impl Strategy<Value = Vec<Group>> {
    let input = prop_oneof![
        4 => Just(Input::Fire),
        2 => Just(Input::Resolve),
        4 => (0..2_i32).prop_map(Input::Exit),
        3 => Just(Input::Command(Command::Approve)),
        1 => Just(Input::Command(Command::Reject)),
        1 => Just(Input::Command(Command::Cancel)),
        1 => Just(Input::Command(Command::Retry)),
    ];
    let inputs = prop::collection::vec((0..TARGETS, input), 1..8);
    let group = (inputs, any::<[u8; TARGETS]>(), 0..600_u64)
        .prop_map(|(inputs, ranks, then)| Group { inputs, ranks, then });
    prop::collection::vec(group, 1..20)
}

fn name(target: usize) -> String {
    format!("policy-{target}")
}

fn labels(target: usize) -> LabelSet {
    LabelSet::from_pairs([("alertname", name(target)), ("instance", format!("{target}:80"))])
}

/// A policy for each target. Remedies of one name share a breaker, so that theirs differ.
fn book() -> Book {
    let policies = (0..TARGETS).map(|target| {
        let mut second = remedy(&format!("second-{target}"));
        second.mode = Mode::Approve;
        let mut first = remedy(&format!("first-{target}"));
        first.retries = 1;
        let own = policy(vec![first, second]);
        Policy {
            name: PolicyName::new(name(target)),
            matchers: Matchers::parse(&format!("alertname={:?}", name(target))).unwrap().matchers,
            guard: GuardLimits { flap: Some(Damping::default()), ..own.guard.clone() },
            verify: Verify { within: secs(120), ..own.verify.clone() },
            ..own
        }
    });
    let rate = Rate { max: 10_000, per: secs(3600) };
    Book::new(policies.collect(), BookLimits { concurrency: 1000, rate }, nobody())
}

/// An engine that is told groups of events.
struct Play {
    engine: Engine,
    now: Timestamp,
    running: BTreeMap<IncidentId, OrderId>,
    target_of: BTreeMap<IncidentId, LabelSet>,
    stories: BTreeMap<LabelSet, Vec<String>>,
}

impl Play {
    fn new() -> Self {
        let now = start_time();
        let mut play = Self {
            engine: Engine::restore(State::default(), Arc::new(book()), now),
            now,
            running: BTreeMap::new(),
            target_of: BTreeMap::new(),
            stories: BTreeMap::new(),
        };
        play.turn(vec![Event::Started { boot: BootId::new("boot-1") }]);
        play
    }

    fn take(&mut self, inputs: &[(usize, Input)], then: Span) {
        let events = inputs.iter().filter_map(|&(target, input)| self.event(target, input));
        let events = events.collect();
        self.turn(events);
        let end = self.now + then;
        while let Some(wake) = self.engine.next_wake().filter(|at| *at <= end) {
            self.now = self.now.max(wake);
            self.turn(Vec::new());
        }
        self.now = end;
    }

    fn event(&self, target: usize, input: Input) -> Option<Event> {
        let subject = (
            PolicyName::new(name(target)),
            LabelSet::from_pairs([("instance", format!("{target}:80"))]),
        );
        let incident = self.engine.state().incident_of(&subject).map(|incident| incident.id);
        let observed = |status, ends_at| {
            let alert = Alert {
                source: SourceName::new("main"),
                door: Door::Webhook,
                fingerprint: labels(target).fingerprint(),
                labels: labels(target),
                annotations: LabelSet::default(),
                starts_at: Some(self.now),
                generator_url: "".into(),
                receiver: "".into(),
                external_url: "".into(),
                group_labels: LabelSet::default(),
            };
            Event::observed(Observation { alert, status, ends_at, unproven: None, by: None })
        };
        match input {
            Input::Fire => Some(observed(Status::Firing, None)),
            Input::Resolve => Some(observed(Status::Resolved, Some(self.now))),
            Input::Exit(code) => {
                let outcome = Outcome::Exited { code };
                let ended =
                    Ended { outcome, started_at: None, output: String::new(), left: Vec::new() };
                let order = self.running.get(&incident?)?.clone();
                Some(Event::OrderEnded { order, ended })
            }
            Input::Command(command) => Some(Event::Command {
                incident: incident?,
                command,
                seen: None,
                ahead: None,
                by: "sre".into(),
                reason: "in a test".into(),
            }),
        }
    }

    fn turn(&mut self, events: Vec<Event>) {
        let turn = self.engine.turn(events, self.now);
        for fact in &turn.facts {
            self.tell(&fact.what);
        }
        for effect in turn.effects {
            match effect {
                Effect::Run(run) => {
                    self.running.insert(run.order.id.incident, run.order.id);
                }
                Effect::Cancel(order) => {
                    let outcome = Outcome::Cancelled;
                    let ended = Ended {
                        outcome,
                        started_at: None,
                        output: String::new(),
                        left: Vec::new(),
                    };
                    self.turn(vec![Event::OrderEnded { order, ended }]);
                }
                Effect::Tell(_) | Effect::Clear(_) | Effect::Remind(_) => {}
                Effect::LookAfter(_)
                | Effect::Inquire { .. }
                | Effect::Watch { .. }
                | Effect::Ask(_) => {
                    panic!("there is nobody to ask")
                }
            }
        }
    }

    /// Notes what the law is about, without the numbers of incidents: those depend on the order.
    fn tell(&mut self, what: &What) {
        let (incident, line) = match what {
            What::IncidentOpened { incident, target, relapse_of, ladder, .. } => {
                self.target_of.insert(*incident, target.clone());
                let relapses = relapse_of.is_some();
                (*incident, format!("opened, relapses: {relapses}, {ladder:?}"))
            }
            What::OrderIssued { order } => {
                let OrderId { incident, remedy, attempt, .. } = &order.id;
                (*incident, format!("order {remedy}.{attempt}: {:?}", order.grants))
            }
            What::OrderHeld { incident, holds, .. } => (*incident, format!("held: {holds:?}")),
            What::RemedyGivenUp { incident, remedy, reason } => {
                (*incident, format!("{remedy} given up: {reason}"))
            }
            What::IncidentClosed { incident, closing, .. } => (*incident, format!("{closing:?}")),
            What::LatchReleased { incident } => (*incident, "released".into()),
            _ => return,
        };
        let target = self.target_of[&incident].clone();
        let own = self.target_of.iter().filter(|(_, of)| **of == target).map(|(id, _)| *id);
        let own: Vec<IncidentId> = own.collect();
        // The last first, so that no number is taken for the beginning of another.
        let line = own.iter().enumerate().rev().fold(line, |line, (position, id)| {
            let its_place = format!("no. {position} of the target");
            line.replace(&format!("{id:?}"), &its_place)
                .replace(&format!("incident {id}"), &its_place)
        });
        self.stories.entry(target).or_default().push(format!("{}: {line}", self.now));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_independent_events_does_not_change_outcomes(groups in groups()) {
        let (mut one, mut other) = (Play::new(), Play::new());
        for Group { inputs, ranks, then } in &groups {
            one.take(inputs, secs(*then));
            let mut reordered = inputs.clone();
            reordered.sort_by_key(|(target, _)| ranks[*target]);
            other.take(&reordered, secs(*then));
        }
        prop_assert_eq!(one.stories, other.stories);
    }
}

/// The law says nothing of walks in which nothing happens.
#[test]
fn a_walk_in_groups_acts_and_ends() {
    let mut play = Play::new();
    let all = |input| (0..TARGETS).map(|target| (target, input)).collect::<Vec<_>>();
    play.take(&all(Input::Fire), secs(1));
    play.take(&all(Input::Exit(1)), secs(6));
    play.take(&all(Input::Exit(1)), secs(1));
    play.take(&all(Input::Command(Command::Approve)), secs(1));
    play.take(&all(Input::Exit(0)), secs(1));
    play.take(&all(Input::Resolve), secs(60));
    assert_eq!(play.stories.len(), TARGETS);
    for (target, story) in &play.stories {
        let orders = story.iter().filter(|line| line.contains(": order ")).count();
        assert_eq!(orders, 3, "{target}: {story:#?}");
        assert!(story.iter().any(|line| line.contains("Healed")), "{target}: {story:#?}");
    }
}
