//! Plays a written scenario on the engine: alerts, answers, exits, and time.
//!
//! It serves core's own tests, the policy tests of users, and whatever searches for scenarios that
//! break something. What the world does can be said by calls, or as values ([`Step`]).
//!
//! The world of a scenario tells the truth by default: an Alertmanager lists what was fired and
//! not resolved, and Prometheus' rules agree. [`Scenario::answer`] makes a witness say something
//! else until it is answered anew. An action without an exit runs into its time limit.
//!
//! After each turn the facts are folded into a second state, which must equal the engine's.

mod step;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::alert::{Alert, Door, Observation, Status};
use crate::approval::{Digest, Terms};
use crate::clock::{Jump, Leap};
use crate::collect::{self, Moment};
use crate::command::{Command, Reply};
use crate::decide::Account;
use crate::decide::table;
use crate::engine::{Engine, Turn};
use crate::event::{About, Effect, Event, Question, Remark, Run};
use crate::evidence::{Ask, Evidence, Finding};
use crate::fact::Fact;
use crate::incident::{Incident, StageKind};
use crate::label::LabelSet;
use crate::name::{ApprovalId, BootId, IncidentId, OrderId, RemedyName, SourceName};
use crate::notice::{Notice, Topic};
use crate::operator::Operator;
use crate::order::{Ended, Found, Outcome};
use crate::policy::{Book, Target};
use crate::state::State;
use crate::time::{Span, Timestamp};

pub use step::{Input, Signal, Step, WhichRun};
use world::World;
pub use world::{Answer, Asked};

/// A scenario as it is played.
#[derive(Debug)]
pub struct Scenario {
    engine: Engine,
    folded: State,
    journal: Vec<Fact>,
    began: Timestamp,
    now: Timestamp,
    boot: BootId,
    world: World,
    running: BTreeMap<OrderId, (Run, Timestamp)>,
    issued: Vec<Run>,
    told: BTreeMap<Topic, Notice>,
    ignores_cancels: bool,
    walked: BTreeSet<(table::Moment, StageKind)>,
}

impl Scenario {
    /// Begins a scenario: the engine starts on an empty journal.
    pub fn new(book: Book, now: Timestamp) -> Self {
        let mut scenario = Self {
            engine: Engine::restore(State::default(), Arc::new(book), now),
            folded: State::default(),
            journal: Vec::new(),
            began: now,
            now,
            boot: BootId::new("boot-1"),
            world: World::default(),
            running: BTreeMap::new(),
            issued: Vec::new(),
            told: BTreeMap::new(),
            ignores_cancels: false,
            walked: BTreeSet::new(),
        };
        scenario.turn(vec![Event::Started { boot: scenario.boot.clone() }]);
        scenario
    }

    /// Returns the time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns what the wall clock shows.
    pub fn wall(&self) -> Timestamp {
        self.state().clock().wall(self.now)
    }

    /// Returns all that happened.
    pub fn journal(&self) -> &[Fact] {
        &self.journal
    }

    /// Returns what is known.
    pub fn state(&self) -> &State {
        self.engine.state()
    }

    /// Returns the places of the table of events and stages that were come to.
    pub fn walked(&self) -> &BTreeSet<(table::Moment, StageKind)> {
        &self.walked
    }

    /// Returns the newest incident that is open or latched.
    pub fn incident(&self) -> Option<&Incident> {
        self.state().incidents().last()
    }

    /// Tells what the guards have counted for an alert with these labels.
    pub fn account(&self, labels: &[(&str, &str)]) -> Vec<Account> {
        let labels = LabelSet::from_pairs(labels.iter().copied());
        self.engine.account(&labels, &LabelSet::default(), self.now)
    }

    /// Takes the orders issued since this was last called.
    pub fn take_orders(&mut self) -> Vec<Run> {
        std::mem::take(&mut self.issued)
    }

    /// Returns what people are told at the moment.
    pub fn told(&self) -> impl Iterator<Item = &Notice> {
        self.told.values()
    }

    /// Lets Prometheus tell Alertmanagers again, so often, about all that fires.
    pub fn resend(&mut self, every: Span) {
        self.world.resend = Some(every);
    }

    /// Plays one step, once its time has come.
    ///
    /// Returns whether it met anything: a run that it is about may not be there.
    pub fn play(&mut self, step: &Step) -> bool {
        self.advance_until(step.at);
        match &step.input {
            Input::Fire(signal) => {
                let alert = self.world.fire(signal.alert(self.wall()), self.wall());
                self.mention(signal, alert, Status::Firing, None);
            }
            Input::Resolve(signal) => {
                let alert = self.world.resolve(signal.alert(self.wall()));
                self.mention(signal, alert, Status::Resolved, Some(self.wall()));
            }
            Input::Send { signal, status, starts_at, ends_at } => {
                let alert = Alert { starts_at: *starts_at, ..signal.alert(self.wall()) };
                self.mention(signal, alert, *status, *ends_at);
            }
            Input::Answer(asked, answer) => {
                self.world.say(asked.clone(), answer.clone(), self.wall());
            }
            Input::Exit { run, outcome, output } => {
                return self.end_run(run, outcome.clone(), output.clone());
            }
            Input::Progress { run, text } => {
                let Some(order) = self.running(run) else { return false };
                self.send(Event::OrderProgressed { order, text: text.clone() });
            }
            Input::Pause { by, reason } => {
                self.send(Event::Pause { by: by.as_str().into(), reason: reason.clone() });
            }
            Input::Resume { by } => {
                self.send(Event::Resume { by: by.as_str().into(), reason: String::new() });
            }
            Input::Command { command, target, by, reason, ahead } => {
                let fits = |incident: &&Incident| {
                    target.as_ref().is_none_or(|wanted| is_part(wanted, &incident.target))
                };
                let incidents: Vec<_> = self.state().incidents().filter(fits).collect();
                let Some(incident) = incidents.last().map(|incident| incident.id) else {
                    return false;
                };
                let (by, reason, ahead) = (by.clone(), reason.clone(), *ahead);
                let (command, seen) = (*command, None);
                let event = Event::Command { incident, command, seen, ahead, by, reason };
                return matches!(self.give(event), Reply::Taken(_) | Reply::Counted { .. });
            }
            Input::Reload { book, .. } => self.reload_book(book.clone()),
            Input::Crash(found) => self.crash(found),
            Input::Jump(leap) => self.jump(*leap),
        }
        true
    }

    fn mention(
        &mut self,
        signal: &Signal,
        alert: Alert,
        status: Status,
        ends_at: Option<Timestamp>,
    ) {
        if !signal.lost {
            self.observe(Observation { alert, status, ends_at, unproven: None, by: None });
        }
    }

    /// Makes an alert fire, and its source send that.
    pub fn fire(&mut self, source: &str, door: Door, labels: &[(&str, &str)]) -> Option<Remark> {
        let alert = self.world.fire(alert(source, door, labels, self.wall()), self.wall());
        self.observe(Observation {
            alert,
            status: Status::Firing,
            ends_at: None,
            unproven: None,
            by: None,
        })
    }

    /// Makes an alert end, and its source send that.
    pub fn resolve(&mut self, source: &str, door: Door, labels: &[(&str, &str)]) -> Option<Remark> {
        let alert = self.world.resolve(alert(source, door, labels, self.wall()));
        let ends_at = Some(self.wall());
        self.observe(Observation {
            alert,
            status: Status::Resolved,
            ends_at,
            unproven: None,
            by: None,
        })
    }

    /// Makes an alert fire as it is, and nobody send that.
    pub fn remember(&mut self, observation: &Observation) {
        self.world.remember(observation.alert.clone(), self.wall());
    }

    /// Makes an alert end, and nobody send that.
    pub fn end_silently(&mut self, labels: &[(&str, &str)]) {
        self.world.end(&LabelSet::from_pairs(labels.iter().copied()));
    }

    /// Lets Prometheus tell Alertmanagers once more about all that fires.
    pub fn refresh(&mut self) {
        self.world.refresh(self.wall());
    }

    /// Sends an observation as it is.
    pub fn observe(&mut self, observation: Observation) -> Option<Remark> {
        self.turn(vec![Event::observed(observation)]).remarks.first().copied().flatten()
    }

    /// Sends an event as it is.
    pub fn send(&mut self, event: Event) {
        self.turn(vec![event]);
    }

    /// Sends events as they are, in one group.
    pub fn send_all(&mut self, events: Vec<Event>) {
        self.turn(events);
    }

    /// Approves what waits for it in the newest incident.
    pub fn approve(&mut self, by: &str) -> Reply {
        self.command(Command::Approve, by)
    }

    /// Rejects what waits for approval in the newest incident.
    pub fn reject(&mut self, by: &str) -> Reply {
        self.command(Command::Reject, by)
    }

    /// Cancels the newest incident.
    pub fn cancel(&mut self, by: &str) -> Reply {
        self.command(Command::Cancel, by)
    }

    /// Has the newest incident tried again.
    pub fn retry(&mut self, by: &str) -> Reply {
        self.command(Command::Retry, by)
    }

    fn command(&mut self, command: Command, by: &str) -> Reply {
        let incident = self.incident().map(|incident| incident.id).unwrap_or_default();
        self.command_about(incident, command, None, by)
    }

    /// Commands something about an incident, of which the operator has seen this deed.
    pub fn command_about(
        &mut self,
        incident: IncidentId,
        command: Command,
        seen: Option<Digest>,
        by: &str,
    ) -> Reply {
        let (by, reason, ahead) = (by.into(), "in a scenario".to_owned(), None);
        self.give(Event::Command { incident, command, seen, ahead, by, reason })
    }

    /// Approves what waits for it in the newest incident, and perhaps what is like it and comes next.
    pub fn vote(&mut self, by: Operator, ahead: Option<Terms>) -> Reply {
        let incident = self.incident().map(|incident| incident.id).unwrap_or_default();
        let (command, seen, reason) = (Command::Approve, None, String::new());
        self.give(Event::Command { incident, command, seen, ahead, by, reason })
    }

    /// Revokes what was approved ahead.
    pub fn revoke(&mut self, approval: ApprovalId, by: Operator) -> Reply {
        self.give(Event::Revoke { approval, by, reason: "in a scenario".to_owned() })
    }

    /// Gives a command, and returns what it came to.
    pub fn give(&mut self, event: Event) -> Reply {
        let reply = self.turn(vec![event]).replies.pop().flatten();
        reply.expect("a command is replied to")
    }

    /// From now on, running actions do not end when they are told to.
    pub fn ignore_cancels(&mut self) {
        self.ignores_cancels = true;
    }

    /// Makes a witness say something else.
    pub fn answer(&mut self, answer: Answer) {
        self.world.say(Asked::default(), answer, self.wall());
    }

    /// Makes a witness say something else about an alert with these labels.
    pub fn say_about(&mut self, labels: &[(&str, &str)], answer: Answer) {
        let labels = LabelSet::from_pairs(labels.iter().copied());
        self.world.say(Asked { labels, ..Asked::default() }, answer, self.wall());
    }

    /// Ends the running order of a remedy.
    pub fn exit(&mut self, remedy: &str, outcome: Outcome) {
        let remedy = RemedyName::new(remedy);
        self.end_run(&WhichRun { remedy, policy: None, target: None }, outcome, String::new());
    }

    fn end_run(&mut self, which: &WhichRun, outcome: Outcome, output: String) -> bool {
        let Some(order) = self.running(which) else { return false };
        let started_at = self.running.remove(&order).map(|(run, _)| run.decided_at);
        let ended = Ended { outcome, started_at, output, left: Vec::new() };
        self.send(Event::OrderEnded { order, ended });
        true
    }

    fn running(&self, which: &WhichRun) -> Option<OrderId> {
        let target = |id: &OrderId| self.state().incident(id.incident).map(|i| &i.target);
        let fits = |(id, (run, _)): &(&OrderId, &(Run, Timestamp))| {
            id.remedy == which.remedy
                && which.policy.as_ref().is_none_or(|policy| *policy == run.policy)
                && which
                    .target
                    .as_ref()
                    .is_none_or(|wanted| target(id).is_some_and(|whole| is_part(wanted, whole)))
        };
        self.running.iter().find(fits).map(|(id, _)| id.clone())
    }

    /// Returns the runs that are under way.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.running.values().map(|(run, _)| run)
    }

    /// Sets the wall clock, of the engine and of its world. Actions run on.
    pub fn jump(&mut self, leap: Leap) {
        let jump = Jump::new(self.state().clock(), leap, self.now);
        self.began = self.began + jump.followed();
        for (_, limit) in self.running.values_mut() {
            *limit = *limit + jump.followed();
        }
        self.now = jump.to;
        self.turn(vec![Event::ClockJumped(jump)]);
    }

    /// Lets time pass until so much of it has passed since the scenario began. What a jump of the
    /// wall clock skipped has not passed.
    pub fn advance_until(&mut self, at: Span) {
        self.advance_to(self.began + at);
    }

    /// Lets time pass, stopping wherever the engine or an action wants to be woken.
    pub fn advance(&mut self, span: Span) {
        self.advance_to(self.now + span);
    }

    /// Lets time pass until a moment; one that is past is now.
    pub fn advance_to(&mut self, end: Timestamp) {
        let end = end.max(self.now);
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
        self.reload_book(Arc::new(book));
    }

    fn reload_book(&mut self, book: Arc<Book>) {
        self.engine.replace_book(book);
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
                _ => None,
            })
            .collect();
        self.take_in(started);
        for order in inquiries {
            self.turn(vec![Event::OrderFound { order, found: found.clone() }]);
        }
    }

    /// Loses all facts but the first of the journal, and starts again on these: what a disk leaves
    /// that was cut off. `found` says what is found of running orders.
    pub fn cut(&mut self, facts: usize, found: &Found) {
        self.journal.truncate(facts);
        self.folded = State::default();
        self.journal.iter().for_each(|fact| self.folded.apply(fact));
        self.crash(found);
    }

    fn time_out(&mut self) {
        let over = self.running.iter().filter(|(_, (_, limit))| *limit <= self.now);
        let over: Vec<OrderId> = over.map(|(id, _)| id.clone()).collect();
        for order in over {
            self.running.remove(&order);
            let outcome = Outcome::TimedOut;
            let ended =
                Ended { outcome, started_at: None, output: String::new(), left: Vec::new() };
            self.turn(vec![Event::OrderEnded { order, ended }]);
        }
    }

    fn turn(&mut self, events: Vec<Event>) -> Turn {
        let turn = self.engine.turn(events, self.now);
        let (remarks, replies) = (turn.remarks.clone(), turn.replies.clone());
        self.take_in(turn);
        while self.engine.next_wake().is_some_and(|at| at <= self.now) {
            let more = self.engine.turn(Vec::new(), self.now);
            self.take_in(more);
        }
        Turn { remarks, replies, ..Turn::default() }
    }

    fn take_in(&mut self, turn: Turn) {
        self.walked.extend(turn.walked);
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
                self.look(&run, Moment::Before);
                self.issued.push(*run);
            }
            Effect::LookAfter(run) => self.look(&run, Moment::After),
            Effect::Inquire { .. } | Effect::Watch { .. } => {}
            Effect::Cancel(order) => {
                if self.ignores_cancels {
                    return;
                }
                if self.running.remove(&order).is_some() {
                    let outcome = Outcome::Cancelled;
                    let ended = Ended {
                        outcome,
                        started_at: None,
                        output: String::new(),
                        left: Vec::new(),
                    };
                    self.turn(vec![Event::OrderEnded { order, ended }]);
                }
            }
            Effect::Ask(question) => self.reply(question),
            Effect::Tell(notice) => {
                self.told.insert(notice.topic(), (*notice).clone());
                self.turn(vec![Event::NoticeTold(notice)]);
            }
            Effect::Remind(notice) => {
                self.told.insert(notice.topic(), *notice);
            }
            Effect::Clear(notice) => {
                self.told.remove(&notice.topic());
                self.turn(vec![Event::NoticeEnded(notice.topic())]);
            }
        }
    }

    /// Whoever looks finds nothing that is worth a word, and finds it at once.
    fn look(&mut self, run: &Run, moment: Moment) {
        let found = run.order.looks(moment).iter().map(|look| collect::Found {
            name: look.name.clone(),
            at: look.at.to_string(),
            text: String::new(),
            cut: false,
            trouble: None,
        });
        let found: Vec<collect::Found> = found.collect();
        if !found.is_empty() {
            let order = run.order.id.clone();
            self.turn(vec![Event::Collected { order, moment, found }]);
        }
    }

    fn reply(&mut self, question: Question) {
        let policy = match &question.about {
            About::Incident(id, _) => self.state().incident(*id).map(|i| i.policy.clone()),
            About::Observation(_) | About::Unmentioned(_) | About::Owner(_) => None,
        };
        let about = match &question.about {
            About::Owner(episode) => self.state().episode(*episode),
            About::Incident(..) | About::Observation(_) | About::Unmentioned(_) => None,
        };
        let about = about.map(|episode| episode.alert.labels.clone());
        let found: Vec<(Ask, Finding)> = question
            .asks
            .into_iter()
            .map(|ask| {
                let of = (policy.as_ref(), about.as_ref());
                let finding = self.world.find(of, &ask, self.wall());
                (ask, finding)
            })
            .collect();
        let evidence = Evidence { found, gathered_at: self.now };
        let event = match question.about {
            About::Incident(incident, step) => {
                Event::Answered { incident, step, evidence, presence: Vec::new() }
            }
            About::Observation(observation) => Event::Vouched { observation, evidence },
            About::Unmentioned(episodes) => Event::RulesPolled { episodes, evidence },
            About::Owner(episode) => Event::OwnerTold { episode, evidence },
        };
        self.turn(vec![event]);
    }
}

/// Whether a target has all these labels.
fn is_part(part: &LabelSet, whole: &Target) -> bool {
    part.iter().all(|(name, value)| whole.get(name) == Some(value))
}

fn alert(source: &str, door: Door, labels: &[(&str, &str)], starts_at: Timestamp) -> Alert {
    let labels = LabelSet::from_pairs(labels.iter().copied());
    let source = SourceName::new(source);
    let signal = Signal { source, labels, annotations: LabelSet::default(), lost: false };
    Alert { door, ..signal.alert(starts_at) }
}

impl Signal {
    /// The alert as its source sends it, firing since a moment.
    fn alert(&self, starts_at: Timestamp) -> Alert {
        let is_api = self.source.as_str() == SourceName::API;
        Alert {
            source: self.source.clone(),
            door: if is_api { Door::Api } else { Door::Webhook },
            fingerprint: self.labels.fingerprint(),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            starts_at: Some(starts_at),
            generator_url: "".into(),
            receiver: "".into(),
            external_url: "".into(),
            group_labels: LabelSet::default(),
        }
    }
}
