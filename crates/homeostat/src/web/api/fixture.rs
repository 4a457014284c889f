//! Facts as the real engine writes them, for tests: a small world that can be told what happens.

use std::collections::BTreeSet;
use std::sync::Arc;

use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::approval::Terms;
use homeostat_core::command::Command;
use homeostat_core::engine::Engine;
use homeostat_core::event::{About, Effect, Event, Question};
use homeostat_core::evidence::{
    Ask, Beside, Evidence, Finding, Inputs, InstanceState, Knows, ListedAlert, Listing, Memory,
    NotShown, RuleId, RuleSays, RuleWord,
};
use homeostat_core::fact::{Fact, What};
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::name::{
    BootId, EpisodeId, IncidentId, OrderId, PolicyName, RemedyName, SourceName,
};
use homeostat_core::operator::{Known, Operator, Way};
use homeostat_core::order::{Ended, Order, Outcome};
use homeostat_core::policy::{
    Action, Approval, Book, BookLimits, Escalate, GuardLimits, Mode, Policy, PrometheusWitness,
    Remedy, TargetLabels, Witnesses,
};
use homeostat_core::state::State;
use homeostat_core::template::Template;
use homeostat_core::time::{Span, Timestamp};
use parking_lot::Mutex;

use super::{AllOpen, Closings, Filter, History, Numbered, Open, Page, ReadError, Story};
use crate::deeds::{Deeds, Search};

/// The policy that the world runs under.
pub(crate) fn policy() -> Policy {
    let exec = |argv: &[&str]| {
        let parse = |text: &&str| Template::parse(text).expect("the template parses");
        Action::Exec(argv.iter().map(parse).collect())
    };
    let remedy = |name: &str, action, retries| Remedy {
        name: RemedyName::new(name),
        mode: Mode::Auto,
        approval: Approval { expires: Span::from_secs(1800), ..Approval::default() },
        definition: "".into(),
        action,
        timeout: Span::from_secs(30),
        retries,
        backoff: Span::from_secs(5),
        idempotent: false,
        undo: None,
        collect: Vec::new(),
    };
    let restart = exec(&["systemctl", "restart", "web@{{ labels.instance | host }}"]);
    let base = Policy::observe();
    Policy {
        name: PolicyName::new("web-down"),
        matchers: Matchers::parse_utf8("job=\"web\"").expect("the matchers parse"),
        target: TargetLabels::Named(vec!["instance".into()]),
        mode: Mode::Auto,
        remedies: vec![
            remedy("restart", restart, 1),
            remedy("reboot", Action::Script("exec reboot".into()), 0),
        ],
        escalate: Escalate::after(Span::from_secs(900), "critical"),
        guard: GuardLimits { attempts: 3, ..base.guard.clone() },
        ..base
    }
}

/// The engine, the time, and what is true outside.
pub(crate) struct World {
    engine: Engine,
    pub(crate) now: Timestamp,
    pub(crate) facts: Vec<Fact>,
    pub(crate) running: Vec<Order>,
    pub(crate) firing: bool,
    /// Which silence suppresses what fires, since the start.
    pub(crate) silenced_by: Option<&'static str>,
    started_at: Timestamp,
}

impl World {
    pub(crate) fn new(policy: Policy) -> Self {
        let main = SourceName::new("main");
        let witnesses = Witnesses {
            alertmanagers: BTreeSet::from([main]),
            webhooks: [].into(),
            prometheuses: vec![PrometheusWitness::new("main")],
        };
        let book = Arc::new(Book::new(vec![policy], BookLimits::default(), witnesses));
        let now = "2026-01-05T09:00:00Z".parse().expect("it is a time");
        let engine = Engine::restore(State::default(), book, now);
        let (facts, running) = (Vec::new(), Vec::new());
        let (firing, silenced_by) = (false, None);
        let mut world = Self { engine, now, facts, running, firing, silenced_by, started_at: now };
        world.turn(Event::Started { boot: BootId::new("boot") });
        world
    }

    /// Takes an event, answers what is asked, and goes on until nothing moves.
    pub(crate) fn turn(&mut self, event: Event) {
        let mut events = vec![event];
        while !events.is_empty() {
            let turn = self.engine.turn(std::mem::take(&mut events), self.now);
            self.facts.extend(turn.facts);
            for effect in turn.effects {
                match effect {
                    Effect::Run(run) => self.running.push(run.order),
                    Effect::Ask(question) => events.extend(self.answer(question)),
                    Effect::Cancel(_)
                    | Effect::LookAfter(_)
                    | Effect::Inquire { .. }
                    | Effect::Watch { .. }
                    | Effect::Remind(_) => {}
                    Effect::Tell(notice) => events.push(Event::NoticeTold(notice)),
                    Effect::Clear(notice) => events.push(Event::NoticeEnded(notice.topic())),
                }
            }
        }
    }

    /// Lets time pass, waking the engine whenever it wants to be woken.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let end = self.now + Span::from_secs(seconds);
        while let Some(wake) = self.engine.next_wake().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.turn(Event::Resume { by: "nobody".into(), reason: String::new() });
        }
        self.now = end;
    }

    /// The alert fires or resolves, and its Alertmanager says so.
    pub(crate) fn notify(&mut self, firing: bool, instance: &str) {
        self.firing = firing;
        let labels = LabelSet::from_pairs([
            ("alertname", "ServiceDown"),
            ("instance", instance),
            ("job", "web"),
        ]);
        let alert = Alert {
            source: SourceName::new("main"),
            door: Door::Webhook,
            fingerprint: labels.fingerprint(),
            labels,
            annotations: LabelSet::from_pairs([("summary", "it does not answer")]),
            starts_at: Some(self.now - Span::from_secs(30)),
            generator_url: "http://prometheus.example/graph".into(),
            receiver: "homeostat".into(),
            external_url: "".into(),
            group_labels: LabelSet::default(),
        };
        let status = if firing { Status::Firing } else { Status::Resolved };
        let ends_at = (!firing).then_some(self.now);
        self.turn(Event::observed(Observation {
            alert,
            status,
            ends_at,
            unproven: None,
            by: None,
        }));
    }

    /// An operator commands something about the first incident.
    pub(crate) fn command(&mut self, command: Command, reason: &str) {
        let (incident, seen, ahead) = (IncidentId(1), None, None);
        let (by, reason) = ("ann".to_owned(), reason.to_owned());
        self.turn(Event::Command { incident, command, seen, ahead, by: by.into(), reason });
    }

    /// Somebody approves what waits in the newest incident, and perhaps ahead.
    pub(crate) fn approve(&mut self, who: &str, ahead: Option<Terms>) {
        let incident = IncidentId(self.engine.state().next_incident().0 - 1);
        let (way, address) = (Way::Password, "10.0.0.7:51".to_owned());
        let known = Known { who: who.into(), way, groups: Vec::new(), address };
        let by = Operator { claimed: String::new(), known: Some(known) };
        let (command, seen, reason) = (Command::Approve, None, String::new());
        self.turn(Event::Command { incident, command, seen, ahead, by, reason });
    }

    /// The first order that runs ends with an exit code.
    pub(crate) fn exit(&mut self, code: i32, output: &str) {
        let id: OrderId = self.running.remove(0).id;
        let started_at = Some(self.now - Span::from_secs(2));
        let outcome = Outcome::Exited { code };
        let ended = Ended { outcome, started_at, output: output.into(), left: Vec::new() };
        self.turn(Event::OrderEnded { order: id, ended });
    }

    fn answer(&self, question: Question) -> Option<Event> {
        let About::Incident(incident, step) = question.about else { return None };
        let found = question.asks.into_iter().map(|ask| {
            let finding = self.find(&ask);
            (ask, finding)
        });
        let evidence = Evidence { found: found.collect(), gathered_at: self.now };
        Some(Event::Answered { incident, step, evidence, presence: Vec::new() })
    }

    fn says(&self, instance: &LabelSet) -> RuleSays {
        RuleSays {
            rule: RuleId::new("f", "g", "ServiceDown", "up == 0", &LabelSet::default()),
            instance: instance.clone(),
            state: if self.firing { InstanceState::Firing } else { InstanceState::Absent },
            unhealthy: None,
            evaluated_at: self.now,
            interval: Span::ZERO,
            memory: Some(Memory::NONE),
            inputs: Inputs::Known(Vec::new()),
            beside: Beside::default(),
        }
    }

    fn find(&self, ask: &Ask) -> Finding {
        let alert = self.firing.then_some(ListedAlert {
            suppressed_by: self.silenced_by.map(str::to_owned),
            updated_at: if self.silenced_by.is_some() { self.started_at } else { self.now },
            starts_at: self.now,
        });
        match ask {
            Ask::Listed { .. } => {
                Finding::Listed(Ok(Listing { uptime: Span::from_secs(3600), total: 1, alert }))
            }
            Ask::Rule { labels, by, .. } => {
                let knows = |prometheus: &SourceName| {
                    let says = vec![self.says(labels)];
                    let nothing = Knows::NotShown { why: NotShown::Nothing };
                    let knows = Ok(if self.firing { Knows::Shows(says) } else { nothing });
                    RuleWord { prometheus: prometheus.clone(), knows }
                };
                Finding::Rule(by.iter().map(knows).collect())
            }
            Ask::Instance { instance, .. } => {
                Finding::Instance(Ok(Some(Box::new(self.says(instance)))))
            }
            Ask::Present { .. } | Ask::Rehearsal { .. } | Ask::Owner { .. } => {
                panic!("no policy of these asks this")
            }
            Ask::Query { .. } => Finding::Query(Ok(usize::from(!self.firing))),
            Ask::Inventory { .. } => Finding::Inventory(Ok(1)),
        }
    }
}

/// A world in which the first remedy fails twice and the second heals.
pub(crate) fn healed_by_the_second() -> World {
    let mut world = World::new(policy());
    world.notify(true, "a:80");
    world.pass(3);
    world.exit(1, "Job for web@a.service failed.\n");
    world.pass(7);
    world.exit(1, "Job for web@a.service failed.\n");
    world.pass(4);
    world.firing = false;
    world.exit(0, "");
    world.pass(2);
    world.notify(false, "a:80");
    world.pass(5);
    world
}

/// A world in which an operator has paused, so that the order is held again and again.
pub(crate) fn held() -> World {
    let mut world = World::new(policy());
    world.turn(Event::Pause { by: "ann".into(), reason: "migration".into() });
    world.notify(true, "a:80");
    for _ in 0..3 {
        world.pass(10);
        world.turn(Event::Reloaded);
    }
    world
}

/// Facts in a row, as a journal gives them, the first of which has the number 1.
#[derive(Default)]
pub(crate) struct Facts(pub(crate) Mutex<Vec<Fact>>);

impl Facts {
    /// The incidents that an alert was part of before a fact.
    fn of(facts: &[Fact], episode: EpisodeId) -> BTreeSet<IncidentId> {
        let about = facts.iter().filter(|fact| fact.what.episode() == Some(episode));
        about.filter_map(|fact| fact.what.incident()).collect()
    }

    fn story(facts: &[Fact], id: IncidentId) -> Story {
        let mine = |fact: &&Fact| match (fact.what.incident(), fact.what.episode()) {
            (Some(incident), _) => incident == id,
            (None, Some(episode)) => Self::of(facts, episode).contains(&id),
            (None, None) => false,
        };
        Story { facts: facts.iter().filter(mine).cloned().collect(), left_out: 0 }
    }

    fn open(facts: &[Fact]) -> Vec<IncidentId> {
        let mut open = BTreeSet::new();
        for fact in facts {
            match &fact.what {
                What::IncidentOpened { incident, .. } => _ = open.insert(*incident),
                What::IncidentClosed { incident, .. } => _ = open.remove(incident),
                _ => {}
            }
        }
        open.into_iter().rev().collect()
    }
}

impl History for Facts {
    fn list(&self, _: &Filter) -> Result<Page, ReadError> {
        Err(ReadError("nobody lists these".into()))
    }

    fn incident(&self, id: IncidentId) -> Result<Option<Story>, ReadError> {
        Ok(Some(Self::story(&self.0.lock(), id)))
    }

    fn open(&self) -> Result<Vec<Open>, ReadError> {
        Err(ReadError("nobody lists these".into()))
    }

    fn last(&self) -> Result<i64, ReadError> {
        Ok(i64::try_from(self.0.lock().len()).unwrap())
    }

    fn follow(&self, after: i64, most: usize) -> Result<Vec<Numbered>, ReadError> {
        let facts = self.0.lock();
        let after = usize::try_from(after).unwrap();
        let numbered = facts.iter().enumerate().skip(after).take(most).map(|(index, fact)| {
            let known = &facts[..index];
            let (mut of, mut before) = (Vec::new(), Vec::new());
            match (fact.what.incident(), fact.what.episode()) {
                (Some(incident), episode) => {
                    of.push(incident);
                    let is_of_alert = |fact: &&Fact| {
                        episode.is_some()
                            && fact.what.incident().is_none()
                            && fact.what.episode() == episode
                    };
                    before.extend(known.iter().filter(is_of_alert).cloned());
                }
                (None, Some(episode)) => of.extend(Self::of(known, episode)),
                (None, None) => {}
            }
            let number = i64::try_from(index + 1).unwrap();
            Numbered { number, fact: fact.clone(), of, before }
        });
        Ok(numbered.collect())
    }

    fn all_open(&self, most: usize) -> Result<AllOpen, ReadError> {
        let facts = self.0.lock();
        let open = Self::open(&facts);
        let stories = open.iter().take(most).map(|id| (*id, Self::story(&facts, *id))).collect();
        Ok(AllOpen { last: i64::try_from(facts.len()).unwrap(), open, stories })
    }

    fn story_before(&self, id: IncidentId, before: i64) -> Result<Story, ReadError> {
        let facts = self.0.lock();
        let before = usize::try_from(before - 1).unwrap().min(facts.len());
        Ok(Self::story(&facts[..before], id))
    }

    fn days(&self, _: i64, _: i64) -> Result<Vec<Closings>, ReadError> {
        Err(ReadError("nobody counts these".into()))
    }

    fn deeds(&self, _: &Search) -> Result<Deeds, ReadError> {
        Err(ReadError("nobody lists these".into()))
    }
}
