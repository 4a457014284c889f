//! Plays a written scenario on the engine: alerts, answers, exits, and time.
//!
//! The world of a scenario tells the truth by default: an Alertmanager lists what was fired and
//! not resolved, and Prometheus' rules agree. [`Scenario::answer`] makes a witness say something
//! else until it is answered anew. An action without an exit runs into its time limit.
//!
//! After each turn the facts are folded into a second state, which must equal the engine's.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alert::{Alert, AlertKey, Door, Observation, Status};
use crate::engine::{Engine, Turn};
use crate::event::{About, Effect, Event, Question, Remark, Run};
use crate::evidence::{
    Ask, Evidence, Finding, ListedAlert, Listing, RuleReport, Trouble, is_same_alert,
};
use crate::fact::Fact;
use crate::incident::Incident;
use crate::label::LabelSet;
use crate::limits;
use crate::name::{BootId, IncidentId, OrderId, SourceName};
use crate::notice::Notice;
use crate::order::{Ended, Found, Outcome};
use crate::policy::Book;
use crate::state::State;
use crate::time::{Span, Timestamp};

/// What a witness is made to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Alertmanagers cannot be asked.
    AlertmanagerErrs(String),
    /// Alertmanagers list nothing at all, as after a restart.
    AlertmanagerEmpty,
    /// Alertmanagers say that these silences suppress what they list.
    Silenced(String),
    /// Alertmanagers tell the truth again.
    AlertmanagerTruth,
    /// Prometheus cannot be asked.
    PrometheusErrs(String),
    /// Prometheus knows no rule.
    NoRule,
    /// The rules' last evaluation failed.
    RuleUnhealthy(String),
    /// Prometheus tells the truth again.
    PrometheusTruth,
    /// The query has so many samples.
    Query(usize),
}

#[derive(Debug, Clone)]
struct Truth {
    alert: Alert,
    updated_at: Timestamp,
}

/// The world, as the engine can know it.
#[derive(Debug, Clone, Default)]
struct World {
    firing: BTreeMap<AlertKey, Truth>,
    alertmanager: Option<Answer>,
    prometheus: Option<Answer>,
    query: Option<usize>,
}

/// A scenario as it is played.
#[derive(Debug)]
pub struct Scenario {
    engine: Engine,
    folded: State,
    journal: Vec<Fact>,
    now: Timestamp,
    boot: BootId,
    world: World,
    running: BTreeMap<OrderId, (Run, Timestamp)>,
    issued: Vec<Run>,
    told: BTreeMap<IncidentId, Notice>,
}

impl Scenario {
    /// Begins a scenario: the engine starts on an empty journal.
    pub fn new(book: Book, now: Timestamp) -> Self {
        let mut scenario = Self {
            engine: Engine::restore(State::default(), Arc::new(book), now),
            folded: State::default(),
            journal: Vec::new(),
            now,
            boot: BootId::new("boot-1"),
            world: World::default(),
            running: BTreeMap::new(),
            issued: Vec::new(),
            told: BTreeMap::new(),
        };
        scenario.turn(vec![Event::Started { boot: scenario.boot.clone() }]);
        scenario
    }

    /// Returns the time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns all that happened.
    pub fn journal(&self) -> &[Fact] {
        &self.journal
    }

    /// Returns what is known.
    pub fn state(&self) -> &State {
        self.engine.state()
    }

    /// Returns the newest incident that is open or latched.
    pub fn incident(&self) -> Option<&Incident> {
        self.state().incidents().last()
    }

    /// Takes the orders issued since this was last called.
    pub fn take_orders(&mut self) -> Vec<Run> {
        std::mem::take(&mut self.issued)
    }

    /// Returns what people are told at the moment.
    pub fn told(&self) -> impl Iterator<Item = &Notice> {
        self.told.values()
    }

    /// Makes an alert fire, and its source send that.
    pub fn fire(&mut self, source: &str, door: Door, labels: &[(&str, &str)]) -> Option<Remark> {
        let alert = alert(source, door, labels, self.now);
        let key = alert.key();
        let known = self.world.firing.get(&key).map(|truth| truth.alert.clone());
        let alert = known.unwrap_or(alert);
        let truth = Truth { alert: alert.clone(), updated_at: self.now };
        self.world.firing.insert(key, truth);
        self.observe(Observation { alert, status: Status::Firing, ends_at: None })
    }

    /// Makes an alert end, and its source send that.
    pub fn resolve(&mut self, source: &str, door: Door, labels: &[(&str, &str)]) -> Option<Remark> {
        let alert = alert(source, door, labels, self.now);
        let truth = self.world.firing.remove(&alert.key());
        let alert = truth.map_or(alert, |truth| truth.alert);
        let ends_at = Some(self.now);
        self.observe(Observation { alert, status: Status::Resolved, ends_at })
    }

    /// Makes an alert fire as it is, and nobody send that.
    pub fn remember(&mut self, observation: &Observation) {
        let alert = observation.alert.clone();
        let key = alert.key();
        self.world.firing.insert(key, Truth { alert, updated_at: self.now });
    }

    /// Makes an alert end, and nobody send that.
    pub fn end_silently(&mut self, labels: &[(&str, &str)]) {
        let labels = LabelSet::from_pairs(labels.iter().copied());
        self.world.firing.retain(|_, truth| truth.alert.labels != labels);
    }

    /// Lets Prometheus tell Alertmanagers once more about all that fires.
    pub fn refresh(&mut self) {
        for truth in self.world.firing.values_mut() {
            truth.updated_at = self.now;
        }
    }

    /// Sends an observation as it is.
    pub fn observe(&mut self, observation: Observation) -> Option<Remark> {
        self.turn(vec![Event::observed(observation)]).remarks.first().copied().flatten()
    }

    /// Sends an event as it is.
    pub fn send(&mut self, event: Event) {
        self.turn(vec![event]);
    }

    /// Makes a witness say something else.
    pub fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::AlertmanagerTruth => self.world.alertmanager = None,
            Answer::PrometheusTruth => self.world.prometheus = None,
            Answer::Query(samples) => self.world.query = Some(samples),
            answer @ (Answer::AlertmanagerErrs(_)
            | Answer::AlertmanagerEmpty
            | Answer::Silenced(_)) => self.world.alertmanager = Some(answer),
            answer @ (Answer::PrometheusErrs(_) | Answer::NoRule | Answer::RuleUnhealthy(_)) => {
                self.world.prometheus = Some(answer);
            }
        }
    }

    /// Ends the running order of a remedy.
    pub fn exit(&mut self, remedy: &str, outcome: Outcome) {
        let running = self.running.keys().find(|id| id.remedy.as_str() == remedy).cloned();
        if let Some(order) = running {
            self.running.remove(&order);
            let started_at = Some(self.now);
            let ended = Ended { outcome, started_at, output: String::new() };
            self.turn(vec![Event::OrderEnded { order, ended }]);
        }
    }

    /// Lets time pass, stopping wherever the engine or an action wants to be woken.
    pub fn advance(&mut self, span: Span) {
        let end = self.now + span;
        loop {
            let wake = self.engine.next_wake().map(|at| at.max(self.now));
            let limit = self.running.values().map(|(_, limit)| *limit).min();
            let next = wake.into_iter().chain(limit).min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = next;
            self.time_out();
            self.turn(Vec::new());
        }
        self.now = end;
        self.turn(Vec::new());
    }

    /// Puts a new book in force.
    pub fn reload(&mut self, book: Book) {
        self.engine.replace_book(Arc::new(book));
        self.turn(vec![Event::Reloaded]);
    }

    /// Kills the engine and starts it again on what is written. `found` says what is found of
    /// running orders.
    pub fn crash(&mut self, found: &Found) {
        let mut state = State::default();
        self.journal.iter().for_each(|fact| state.apply(fact));
        let book = self.engine.book().clone();
        self.engine = Engine::restore(state, book, self.now);
        self.running.clear();
        let started = self.engine.turn(vec![Event::Started { boot: self.boot.clone() }], self.now);
        let inquiries: Vec<OrderId> = started
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Inquire { order, .. } => Some(order.clone()),
                Effect::Run(_) | Effect::Ask(_) | Effect::Tell(_) | Effect::Clear(_) => None,
            })
            .collect();
        self.take_in(started);
        for order in inquiries {
            self.turn(vec![Event::OrderFound { order, found: found.clone() }]);
        }
    }

    fn time_out(&mut self) {
        let over = self.running.iter().filter(|(_, (_, limit))| *limit <= self.now);
        let over: Vec<OrderId> = over.map(|(id, _)| id.clone()).collect();
        for order in over {
            self.running.remove(&order);
            let outcome = Outcome::TimedOut;
            let ended = Ended { outcome, started_at: None, output: String::new() };
            self.turn(vec![Event::OrderEnded { order, ended }]);
        }
    }

    fn turn(&mut self, events: Vec<Event>) -> Turn {
        let turn = self.engine.turn(events, self.now);
        let remarks = turn.remarks.clone();
        self.take_in(turn);
        while self.engine.next_wake().is_some_and(|at| at <= self.now) {
            let more = self.engine.turn(Vec::new(), self.now);
            self.take_in(more);
        }
        Turn { remarks, ..Turn::default() }
    }

    fn take_in(&mut self, turn: Turn) {
        for fact in turn.facts {
            self.folded.apply(&fact);
            self.journal.push(fact);
        }
        assert!(self.folded == *self.engine.state(), "the fold of the journal is the state");
        for effect in turn.effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Run(run) => {
                let limit = self.now + run.order.timeout;
                self.running.insert(run.order.id.clone(), ((*run).clone(), limit));
                self.issued.push(*run);
            }
            Effect::Inquire { .. } => {}
            Effect::Ask(question) => self.reply(question),
            Effect::Tell(notice) => {
                let incident = notice.incident;
                self.told.insert(incident, *notice);
                self.turn(vec![Event::NoticeTold(incident)]);
            }
            Effect::Clear(notice) => {
                self.told.remove(&notice.incident);
                self.turn(vec![Event::NoticeEnded(notice.incident)]);
            }
        }
    }

    fn reply(&mut self, question: Question) {
        let found: Vec<(Ask, Finding)> = question
            .asks
            .into_iter()
            .map(|ask| {
                let finding = self.world.find(&ask, self.now);
                (ask, finding)
            })
            .collect();
        let evidence = Evidence { found, gathered_at: self.now };
        let event = match question.about {
            About::Incident(incident, step) => {
                Event::Answered { incident, step, evidence, presence: Vec::new() }
            }
            About::Observation(observation) => Event::Vouched { observation, evidence },
        };
        self.turn(vec![event]);
    }
}

impl World {
    fn find(&self, ask: &Ask, now: Timestamp) -> Finding {
        match ask {
            Ask::Listed { source, fingerprint } => Finding::Listed(match &self.alertmanager {
                Some(Answer::AlertmanagerErrs(error)) => Err(Trouble(error.clone())),
                Some(Answer::AlertmanagerEmpty) => {
                    Ok(Listing { uptime: Span::from_secs(10), total: 0, alert: None })
                }
                answer => Ok(self.listing(&(*fingerprint, source.clone()), answer.as_ref())),
            }),
            Ask::Rule { labels, target, .. } => Finding::Rule(match &self.prometheus {
                Some(Answer::PrometheusErrs(error)) => Err(Trouble(error.clone())),
                Some(Answer::NoRule) => Ok(None),
                answer => {
                    let unhealthy = match answer {
                        Some(Answer::RuleUnhealthy(error)) => Some(error.clone()),
                        _ => None,
                    };
                    let instances = self.firing.values().map(|truth| &truth.alert.labels);
                    let same = |instance: &&LabelSet| is_same_alert(instance, labels, target);
                    Ok(Some(RuleReport {
                        unhealthy,
                        last_evaluation: now,
                        firing: instances.filter(same).count(),
                        pending: 0,
                        kept_firing: 0,
                        keep_firing_for: Span::ZERO,
                    }))
                }
            }),
            Ask::Query { .. } => Finding::Query(match (&self.prometheus, self.query) {
                (Some(Answer::PrometheusErrs(error)), _) => Err(Trouble(error.clone())),
                (_, Some(samples)) => Ok(samples),
                (_, None) => Err(Trouble("the scenario gives no answer".into())),
            }),
        }
    }

    fn listing(&self, key: &AlertKey, answer: Option<&Answer>) -> Listing {
        let suppressed_by = match answer {
            Some(Answer::Silenced(by)) => Some(by.clone()),
            _ => None,
        };
        let truth = self.firing.get(key);
        Listing {
            uptime: limits::YOUNG_ALERTMANAGER,
            total: self.firing.len() + 1,
            alert: truth.map(|truth| ListedAlert {
                suppressed_by,
                updated_at: truth.updated_at,
                starts_at: truth.alert.starts_at.unwrap_or(truth.updated_at),
            }),
        }
    }
}

fn alert(source: &str, door: Door, labels: &[(&str, &str)], starts_at: Timestamp) -> Alert {
    let labels = LabelSet::from_pairs(labels.iter().copied());
    Alert {
        source: SourceName::new(source),
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
