//! A thousand targets fire at once: what the engine does, asks and tells, turn by turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::stage::{DONE, ladder, secs, start_time};
use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::engine::Engine;
use homeostat_core::event::{About, Effect, Event, Question};
use homeostat_core::evidence::{Ask, Evidence, Finding, ListedAlert, Listing};
use homeostat_core::fact::{Fact, What};
use homeostat_core::hold::Guard;
use homeostat_core::label::{Fingerprint, LabelSet};
use homeostat_core::name::{BootId, IncidentId, OrderId, PolicyName, SourceName};
use homeostat_core::notice::{Matter, Notice, Topic};
use homeostat_core::order::Ended;
use homeostat_core::policy::{
    BlastRadius, Book, BookLimits, Escalate, Extent, Policy, PrometheusWitness, Rate, Target,
    Witnesses,
};
use homeostat_core::state::State;
use homeostat_core::storm::StormLimits;
use homeostat_core::time::{Span, Timestamp};

const ALL: usize = 1_000;
const WINDOW: Span = Span::from_secs(60);
/// 2 % of all.
const RADIUS: usize = 20;

/// An engine and its world: whatever runs takes a second and heals, and whatever is asked is
/// answered at once and truly.
struct Rig {
    engine: Engine,
    now: Timestamp,
    facts: Vec<Fact>,
    firing: BTreeSet<Fingerprint>,
    running: BTreeMap<OrderId, (Timestamp, Alert)>,
    told: Vec<Notice>,
    cleared: Vec<Topic>,
}

impl Rig {
    fn new(policy: Policy) -> Self {
        let limits =
            BookLimits { concurrency: 10_000, rate: Rate { max: 100_000, per: secs(3600) } };
        let witnesses = Witnesses {
            alertmanagers: [SourceName::new("main")].into(),
            webhooks: [].into(),
            prometheuses: vec![PrometheusWitness::new("main")],
        };
        let book = Book::new(vec![policy], limits, witnesses);
        let now = start_time();
        let mut rig = Self {
            engine: Engine::restore(State::default(), Arc::new(book), now),
            now,
            facts: Vec::new(),
            firing: BTreeSet::new(),
            running: BTreeMap::new(),
            told: Vec::new(),
            cleared: Vec::new(),
        };
        rig.turn(vec![Event::Started { boot: BootId::new("boot") }]);
        rig
    }

    /// Turns with these events and all that follows from them at this moment.
    fn turn(&mut self, mut events: Vec<Event>) {
        loop {
            let turn = self.engine.turn(std::mem::take(&mut events), self.now);
            self.facts.extend(turn.facts);
            for effect in turn.effects {
                match effect {
                    Effect::Run(run) => {
                        let over = self.now + secs(1);
                        self.running.insert(run.order.id, (over, run.alerts[0].alert.clone()));
                    }
                    Effect::Ask(question) => events.extend(self.answer(question)),
                    Effect::Tell(notice) => self.told.push(*notice),
                    Effect::Clear(notice) => self.cleared.push(notice.topic()),
                    Effect::LookAfter(_)
                    | Effect::Inquire { .. }
                    | Effect::Watch { .. }
                    | Effect::Cancel(_)
                    | Effect::Remind(_) => {}
                }
            }
            let due = self.engine.next_wake().is_some_and(|at| at <= self.now);
            if events.is_empty() && !due {
                return;
            }
        }
    }

    fn answer(&self, question: Question) -> Option<Event> {
        let About::Incident(incident, step) = question.about else { return None };
        let found = question.asks.into_iter().map(|ask| {
            let finding = match &ask {
                Ask::Listed { fingerprint, .. } => {
                    let listed = ListedAlert {
                        suppressed_by: None,
                        updated_at: self.now,
                        starts_at: start_time(),
                    };
                    let alert = self.firing.contains(fingerprint).then_some(listed);
                    Finding::Listed(Ok(Listing { uptime: secs(3600), total: ALL, alert }))
                }
                Ask::Rule { .. } => Finding::Rule(Vec::new()),
                Ask::Instance { .. } => Finding::Instance(Ok(None)),
                Ask::Query { .. } => Finding::Query(Ok(0)),
                Ask::Inventory { .. } => Finding::Inventory(Ok(ALL as u64)),
                Ask::Present { .. } | Ask::Rehearsal { .. } | Ask::Owner { .. } => {
                    unreachable!("the policy asks no such thing")
                }
            };
            (ask, finding)
        });
        let evidence = Evidence { found: found.collect(), gathered_at: self.now };
        Some(Event::Answered { incident, step, evidence, presence: Vec::new() })
    }

    fn advance(&mut self, span: Span) {
        let end = self.now + span;
        loop {
            let wake = self.engine.next_wake();
            let over = self.running.values().map(|(over, _)| *over).min();
            let next = wake.into_iter().chain(over).min().filter(|at| *at <= end);
            self.now = next.unwrap_or(end).max(self.now);
            let over = self.running.extract_if(.., |_, (over, _)| *over <= self.now);
            let over: Vec<(OrderId, Alert)> = over.map(|(id, (_, alert))| (id, alert)).collect();
            let mut events = Vec::new();
            for (order, alert) in over {
                let ended = Ended {
                    outcome: DONE,
                    started_at: None,
                    output: String::new(),
                    left: Vec::new(),
                };
                events.push(Event::OrderEnded { order, ended });
                events.push(self.resolve(alert));
            }
            self.turn(events);
            if next.is_none() {
                return;
            }
        }
    }

    fn fire(&mut self, alert: Alert) -> Event {
        self.firing.insert(alert.fingerprint);
        Event::observed(Observation {
            alert,
            status: Status::Firing,
            ends_at: None,
            unproven: None,
            by: None,
        })
    }

    fn resolve(&mut self, alert: Alert) -> Event {
        self.firing.remove(&alert.fingerprint);
        let ends_at = Some(self.now);
        Event::observed(Observation {
            alert,
            status: Status::Resolved,
            ends_at,
            unproven: None,
            by: None,
        })
    }

    fn count(&self, kind: &str) -> usize {
        self.facts.iter().filter(|fact| fact.what.kind() == kind).count()
    }
}

fn alert(target: usize) -> Alert {
    let instance = format!("host-{target}:80");
    let labels = LabelSet::from_pairs([("alertname", "Down"), ("instance", instance.as_str())]);
    Alert {
        source: SourceName::new("main"),
        door: Door::Webhook,
        fingerprint: labels.fingerprint(),
        labels,
        annotations: LabelSet::default(),
        starts_at: Some(start_time()),
        generator_url: "".into(),
        receiver: "".into(),
        external_url: "".into(),
        group_labels: LabelSet::default(),
    }
}

/// The targets that count after each fact, by the journal alone.
#[derive(Default)]
struct Reached {
    targets: BTreeMap<IncidentId, Target>,
    acted: BTreeMap<Target, Timestamp>,
    in_flight: BTreeSet<Target>,
}

impl Reached {
    fn after(&mut self, fact: &Fact) -> usize {
        match &fact.what {
            What::IncidentOpened { incident, target, .. } => {
                self.targets.insert(*incident, target.clone());
            }
            What::OrderIssued { order } => {
                let target = self.targets[&order.id.incident].clone();
                self.acted.insert(target.clone(), fact.at);
                self.in_flight.insert(target);
            }
            What::RemedyGivenUp { incident, .. } | What::IncidentClosed { incident, .. } => {
                self.in_flight.remove(&self.targets[incident]);
            }
            _ => {}
        }
        self.acted.retain(|_, at| *at + WINDOW > fact.at);
        self.acted.keys().chain(&self.in_flight).collect::<BTreeSet<_>>().len()
    }
}

fn cautious() -> Policy {
    let inventory: Arc<str> = "count(up)".into();
    let extent = Extent::Share { percent: 2, inventory: inventory.clone(), max: None, min: 0 };
    let mut policy = ladder();
    policy.verify.within = secs(60);
    policy.escalate = Escalate::after(secs(900), "critical");
    policy.guard.rate = Rate { max: 3_600, per: secs(3600) };
    policy.guard.concurrency = 10_000;
    policy.guard.blast_radius = Some(BlastRadius { window: WINDOW, extent });
    policy.guard.storm = Some(StormLimits { percent: 55, min: 3, cool_down: secs(300), inventory });
    policy
}

#[test]
fn a_storm_stays_within_the_radius_and_all_is_healed_by_itself_afterwards() {
    let mut rig = Rig::new(cautious());
    let events = (0..ALL).map(|target| rig.fire(alert(target))).collect();
    rig.turn(events);
    assert_eq!(rig.count("storm_began"), 1);
    rig.advance(secs(600));
    assert_eq!(rig.count("storm_ended"), 0);
    let healing = rig.count("order_issued");
    assert!((50..=62).contains(&healing), "a tenth of one a second, not {healing} in ten minutes");
    let recovering = (600..ALL).map(|target| rig.resolve(alert(target))).collect();
    rig.turn(recovering);
    rig.advance(secs(3600));
    assert_eq!(rig.count("storm_ended"), 1);
    assert_eq!(rig.engine.state().incidents().count(), 0, "every incident has ended");
    let mut reached = Reached::default();
    let most = rig.facts.iter().map(|fact| reached.after(fact)).max();
    assert_eq!(most, Some(RADIUS), "2 % of 1,000 at every moment, and not less when it is calm");
    let mut folded = State::default();
    rig.facts.iter().for_each(|fact| folded.apply(fact));
    assert!(folded == *rig.engine.state(), "the fold of the journal is the state");
    let topics: Vec<Topic> = rig.told.iter().map(Notice::topic).collect();
    let of = |guard| Topic::Guard { policy: PolicyName::new("web"), guard };
    assert_eq!(
        topics,
        [of(Guard::Storm), of(Guard::BlastRadius)],
        "once each, not a thousand times"
    );
    assert_eq!(rig.cleared, topics, "and once that it is over");
    let Matter::Guard { targets, more, .. } = &rig.told[0].matter else { panic!("a guard") };
    assert_eq!((targets.len(), *more), (20, 980));
    let questions = rig.count("evidence_asked");
    assert!(questions < 20 * ALL, "few look for each that is healed, and not all: {questions}");
}
