//! Plays a script: drives the engine as the daemon's driver does, in virtual time.
//!
//! Duty: the order of turn, commit and effects, with deaths and failed commits between them; what
//! the senders do with a 503. What is right is the oracle's duty.
//!
//! ```text
//!  queue ─> group ─> engine.turn ─> [dies] ─> commit ─> [dies] ─> effects ─> queue
//!    └─ repeats? ─> answered     └─ [disk full] ─> group thrown away, senders send again
//! ```

mod poll;
mod react;
mod turn;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::alert::Observation;
use homeostat_core::approval::{Digest, Terms};
use homeostat_core::clock::Leap;
use homeostat_core::command::Command as WordOf;
use homeostat_core::engine::Engine;
use homeostat_core::event::Event;
use homeostat_core::fact::Fact;
use homeostat_core::name::{ApprovalId, IncidentId, OrderId};
use homeostat_core::order::Ended;
use homeostat_core::policy::Book;
use homeostat_core::poll::Poll;
use homeostat_core::repeats::Repeats;
use homeostat_core::state::State;
use homeostat_core::time::{Span, Timestamp};

use crate::act::Acts;
use crate::clock::Clocks;
use crate::mail::Mail;
use crate::oracle::{Met, Oracle, Violation};
use crate::people;
use crate::print::Line;
use crate::random::Fate;
use crate::script::{Death, Deed, Honesty, Script, Stock};
use crate::world::World;

/// When every world begins.
pub const BEGIN: Timestamp = Timestamp::from_seconds(1_767_603_600);

/// A calm world in which what is ill stays ill: long enough for every `escalate.after`.
const CALM: Span = Span::from_secs(3 * 3_600);

/// A calm world in which all is well: longer than a lapse and than what a latch waits for.
const WELL: Span = Span::from_secs(7 * 86_400);

/// How long it is waited once an operator has ended what nobody else ends.
const DAY: Span = Span::from_secs(86_400);

/// Turns without any time passing, after which the engine is said not to come to rest.
const TURNS_AT_ONCE: u32 = 500;

/// When a sender sends again what was answered 503.
const SENDS_AGAIN: Span = Span::from_secs(30);

/// How long a disk stays full.
const DISK_FULL: Span = Span::from_secs(7);

/// How closely a run is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// By all oracles.
    Closely,
    /// Not at all: to measure the core alone.
    Never,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Incidents that opened.
    pub incidents: u64,
    /// Orders that were issued.
    pub orders: u64,
    /// Facts that were committed.
    pub facts: u64,
    /// Notifications that were answered without the engine.
    pub answered: u64,
    /// The first law that was broken.
    pub violation: Option<Violation>,
    /// What the engine was told, for printing.
    pub lines: Vec<Line>,
    /// All facts, for printing.
    pub journal: Vec<Fact>,
    /// How often the world came to what the laws are about.
    pub met: Met,
}

/// Something on its way.
#[derive(Debug)]
enum Happening {
    Step(usize),
    Recovers {
        part: usize,
        generation: u64,
    },
    Repeats {
        part: usize,
        generation: u64,
        count: u64,
    },
    /// One notification.
    Arrives(Vec<Observation>),
    /// A rule of a part is evaluated.
    Evaluates {
        part: usize,
        place: usize,
    },
    /// An Alertmanager takes the alerts of a Prometheus that is gone for resolved.
    Buried {
        prom: usize,
        since: Timestamp,
    },
    /// The value changes that the labels of a part carry.
    Revalued {
        part: usize,
    },
    /// The source of a part speaks of it again.
    Speaks {
        part: usize,
    },
    /// An action heals what it was done to, after its end.
    Cures {
        instance: String,
        removes: bool,
        heals_for: Option<Span>,
    },
    Ends(OrderId),
    /// This life of the engine is over, because an action runs.
    Dies {
        life: u32,
    },
    /// A part falls ill, or recovers alone.
    Turns {
        part: usize,
        ill: bool,
    },
    /// What this life of the engine is told by its own doors.
    Reports {
        life: u32,
        event: Event,
    },
    Commands(Command),
    /// It is an Alertmanager's turn to be asked for all that it lists, in this life of the engine.
    Polls {
        life: u32,
    },
    /// What it listed arrives.
    Lists {
        life: u32,
        poll: Box<Poll>,
        parts: Vec<(usize, u64, Timestamp)>,
    },
    Restarts,
    DiskFree,
    Calms,
    Heals,
}

#[derive(Debug, Clone)]
enum Command {
    Pause,
    Resume,
    Reload(usize),
    Word(IncidentId, WordOf, Option<Digest>),
    /// Somebody who has a name approves, and perhaps ahead.
    Agree(IncidentId, usize, Option<Terms>),
    Revoke(ApprovalId),
}

/// A script as it is played.
struct Play<'a> {
    script: &'a Script,
    watch: Watch,
    now: Timestamp,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    posted: u64,
    world: World,
    mail: Mail,
    acts: Acts,
    fate: Fate,
    engine: Option<Engine>,
    /// What is answered without the engine; `None` where it hears all.
    repeats: Option<Repeats>,
    book: Arc<Book>,
    books: Vec<Arc<Book>>,
    journal: Vec<Fact>,
    folded: State,
    written: usize,
    /// A snapshot, as it was read back, and how many facts it holds.
    snapshot: (State, usize),
    life: u32,
    boots: u32,
    /// How the engine is to die, and whether its machine restarts then.
    death: Option<(Death, bool)>,
    /// How many commits are to fail.
    disk_full: u32,
    writable: bool,
    /// Whether people and the world are kind.
    calm: bool,
    /// Whether nothing falls ill any more.
    well: bool,
    owed: Vec<Event>,
    oracle: Oracle,
    turns_at_once: (Timestamp, u32),
    turns: u64,
    report: Report,
    lines: Option<Vec<Line>>,
}

/// Plays a script to its end or to its first violation.
pub fn play(script: &Script, watch: Watch, record: bool) -> Report {
    play_with(script, watch, record, Some(Repeats::default()))
}

/// Plays a script with an engine that hears each repeat.
pub fn play_aloud(script: &Script, watch: Watch, record: bool) -> Report {
    play_with(script, watch, record, None)
}

fn play_with(script: &Script, watch: Watch, record: bool, repeats: Option<Repeats>) -> Report {
    let cast: Arc<[_]> = script.cast.clone().into();
    let books: Vec<Arc<Book>> = script.books.iter().cloned().map(Arc::new).collect();
    let mut play = Play {
        script,
        watch,
        now: BEGIN,
        queue: BTreeMap::new(),
        posted: 0,
        world: World::new(script, Clocks::new(BEGIN), BEGIN),
        mail: Mail::new(cast, script.manners.clone(), script.seed),
        acts: Acts::new(script.manners.clone(), script.seed),
        fate: Fate::new(script.seed),
        engine: None,
        repeats,
        book: books[0].clone(),
        books,
        journal: Vec::new(),
        folded: State::default(),
        written: 0,
        snapshot: (State::default(), 0),
        life: 0,
        boots: 1,
        death: None,
        disk_full: 0,
        writable: true,
        calm: script.world == crate::script::World::Kind,
        well: false,
        owed: Vec::new(),
        oracle: Oracle::new(script),
        turns_at_once: (BEGIN, 0),
        turns: 0,
        report: Report::default(),
        lines: record.then(Vec::new),
    };
    for (number, step) in script.steps.iter().enumerate() {
        play.post(BEGIN + step.at, Happening::Step(number));
    }
    play.post(BEGIN, Happening::Restarts);
    play.post(BEGIN + script.calm_at, Happening::Calms);
    let violation = play.run().err();
    let journal = if record { play.journal } else { Vec::new() };
    let lines = play.lines.unwrap_or_default();
    let met = play.oracle.met;
    Report { violation, lines, journal, met, ..play.report }
}

impl Play<'_> {
    fn run(&mut self) -> Result<(), Violation> {
        let calm = BEGIN + self.script.calm_at;
        self.run_until(calm + CALM)?;
        if self.watch == Watch::Closely {
            self.oracle.judge_calm(&self.folded, &self.book, self.shown())?;
        }
        self.post(self.now, Happening::Heals);
        self.run_until(calm + CALM + WELL)?;
        // What is kept alive for days is lost sight of later.
        for day in 1..=2 {
            self.end_what_is_unheard();
            self.run_until(calm + CALM + WELL + DAY.saturating_mul(day))?;
        }
        if self.watch == Watch::Closely {
            self.check_fold()?;
            self.oracle.judge_end(&self.folded, self.shown())?;
        }
        Ok(())
    }

    /// Where nobody says that an alert is over, an operator does.
    fn end_what_is_unheard(&mut self) {
        let unheard = self.folded.incidents().filter(|incident| incident.unheard);
        let unheard: Vec<IncidentId> = unheard.map(|incident| incident.id).collect();
        for incident in unheard {
            self.oracle.met.count("escalation that an operator ended");
            let cancel = Command::Word(incident, WordOf::Cancel, None);
            self.post(self.now, Happening::Commands(cancel));
        }
    }

    fn post(&mut self, at: Timestamp, happening: Happening) {
        self.posted += 1;
        self.queue.insert((at, self.posted), happening);
    }

    fn write(&mut self, line: impl FnOnce() -> Line) {
        if let Some(lines) = &mut self.lines {
            lines.push(line());
        }
    }

    /// What the engine's clock shows.
    fn shown(&self) -> Timestamp {
        self.world.clocks.engine(self.now)
    }

    fn since_begin(&self) -> Span {
        self.now.since(BEGIN)
    }

    fn run_until(&mut self, end: Timestamp) -> Result<(), Violation> {
        loop {
            let wake = self.engine.as_ref().filter(|_| self.writable).and_then(Engine::next_wake);
            let wake = wake.map(|at| self.world.clocks.of_engine(at).max(self.now));
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = wake.into_iter().chain(next).min().filter(|at| *at <= end) else {
                self.now = end;
                return Ok(());
            };
            self.now = next.max(self.now);
            self.take_group()?;
        }
    }

    /// Lets all happen that is due, as one group; commands are groups of their own.
    fn take_group(&mut self) -> Result<(), Violation> {
        let mut events = Vec::new();
        let mut commands = Vec::new();
        let answered = self.report.answered;
        while let Some(entry) = self.queue.first_entry().filter(|e| e.key().0 <= self.now) {
            let happening = entry.remove();
            self.happen(happening, &mut events, &mut commands)?;
        }
        if self.engine.is_none() {
            self.send_again(events);
            self.owed.clear();
        } else if !events.is_empty() || self.report.answered == answered || self.is_due() {
            self.take_turn(events, None)?;
        }
        for command in commands {
            self.obey(command)?;
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) -> Result<(), Violation> {
        if self.engine.is_none() || !self.writable {
            self.post(self.now + SENDS_AGAIN, Happening::Commands(command));
            return Ok(());
        }
        let by = "sre".into();
        let (event, book) = match &command {
            Command::Pause => (Event::Pause { by, reason: "deploy".into() }, None),
            Command::Resume => (Event::Resume { by, reason: String::new() }, None),
            Command::Word(incident, command, seen) => {
                let (incident, command, seen) = (*incident, *command, *seen);
                let by = self.who_says(incident, command);
                let (ahead, reason) = (None, "as I see it".to_owned());
                (Event::Command { incident, command, seen, ahead, by, reason }, None)
            }
            Command::Agree(incident, who, ahead) => {
                let (incident, ahead, by) = (*incident, *ahead, people::operator(*who));
                let (command, seen, reason) = (WordOf::Approve, None, String::new());
                (Event::Command { incident, command, seen, ahead, by, reason }, None)
            }
            Command::Revoke(approval) => {
                let (approval, by, reason) = (*approval, people::operator(2), String::new());
                (Event::Revoke { approval, by, reason }, None)
            }
            Command::Reload(book) => (Event::Reloaded, Some(self.books[*book].clone())),
        };
        let at = self.since_begin();
        self.write(|| Line::command(at, &event));
        if !self.take_turn(vec![event], book)? {
            self.post(self.now + SENDS_AGAIN, Happening::Commands(command));
        }
        Ok(())
    }

    fn happen(
        &mut self,
        happening: Happening,
        events: &mut Vec<Event>,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        match happening {
            Happening::Step(number) => self.step(number, events, commands)?,
            Happening::Recovers { part, generation } => {
                if self.world.lasts(part, generation) {
                    self.mend(part);
                }
            }
            Happening::Repeats { part, generation, count } => {
                if self.fires_on(part, generation) {
                    self.tell(part, generation, count);
                }
            }
            Happening::Arrives(observations) => {
                if self.engine.is_some() && self.writable {
                    let at = self.since_begin();
                    for observation in &observations {
                        self.write(|| Line::observed(at, observation));
                    }
                    let notified: Vec<Event> = Event::notified(observations.clone()).collect();
                    // A jump is taken before all that comes after it.
                    let jumps = |event: &Event| matches!(event, Event::ClockJumped(_));
                    if !events.iter().any(jumps) && self.repeats(&observations) {
                        self.answer_for_the_engine(&notified)?;
                    } else {
                        events.extend(notified);
                    }
                } else {
                    self.post(self.now + SENDS_AGAIN, Happening::Arrives(observations));
                }
            }
            Happening::Evaluates { part, place } => self.evaluate(part, place),
            Happening::Buried { prom, since } => self.bury(prom, since),
            Happening::Revalued { part } => self.change_value(part),
            Happening::Speaks { part } => self.speak(part),
            Happening::Cures { instance, removes, heals_for } => {
                self.cure(&instance, removes, heals_for);
            }
            Happening::Ends(order) => self.end(&order),
            Happening::Dies { life } => {
                if let Some((Death::WhileRunning(_), reboot)) = self.death
                    && life == self.life
                {
                    self.oracle.met.count("death while an action runs");
                    self.die(reboot);
                }
            }
            Happening::Turns { part, ill: false } => self.mend(part),
            Happening::Turns { part, ill: true } => {
                if !self.calm {
                    self.break_down(part, None);
                }
            }
            Happening::Reports { life, event } => {
                if life == self.life {
                    events.push(event);
                }
            }
            Happening::Polls { life } => self.poll(life),
            Happening::Lists { life, poll, parts } => {
                if life == self.life {
                    self.list(poll, parts, events);
                }
            }
            Happening::Commands(command) => commands.push(command),
            Happening::Restarts => self.restart(events)?,
            Happening::DiskFree => {
                self.writable = true;
                events.splice(0..0, self.owed.drain(..));
            }
            Happening::Calms => self.calm(commands),
            Happening::Heals => {
                self.well = true;
                let ill: Vec<usize> = self.world.ill().collect();
                for part in ill {
                    self.mend(part);
                }
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        number: usize,
        events: &mut Vec<Event>,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let at = self.since_begin();
        match self.script.steps[number].deed.clone() {
            Deed::Break { part, lasts } => self.break_down(part, lasts),
            Deed::Mend(part) => self.mend(part),
            Deed::Stray(part) => {
                if let Some(since) = self.world.earlier(part) {
                    let stray = vec![self.mail.stray(part, since)];
                    let mut commands = Vec::new();
                    self.happen(Happening::Arrives(stray), events, &mut commands)?;
                }
            }
            Deed::Vanish { part, gone } => self.vanish(part, gone),
            Deed::Value(part) => self.change_value(part),
            Deed::Replace(prom, rule) => self.replace_rule(prom, rule),
            Deed::TimeOut { part, after, later } => self.time_out(part, after, later),
            Deed::Unproven { part, after } => self.give_up(part, after),
            Deed::Alertmanager(honesty) => {
                self.world.alertmanager = honesty;
                self.oracle.truth.lists(honesty);
                self.write(|| Line::alertmanager(at, honesty));
            }
            Deed::Prometheus(prom, honesty) => {
                self.behave(prom, honesty);
                let name = &self.script.proms[prom].name;
                self.write(|| Line::prometheus(at, name, honesty));
            }
            Deed::Inventory(stock) => {
                self.world.stock = stock;
                self.write(|| Line::inventory(at, stock));
            }
            Deed::Crash { death, reboot } => {
                if death == Death::Idle {
                    self.die(reboot);
                } else {
                    self.death = Some((death, reboot));
                }
            }
            Deed::Jump(leap) => self.jump(number, leap, events),
            Deed::FullDisk(commits) => self.disk_full = commits,
            Deed::Reload(book) => commands.push(Command::Reload(book)),
            Deed::Word(word, back) => {
                let incident = self.addressed(word, back);
                commands.push(Command::Word(incident, word, None));
            }
            Deed::Pause => commands.push(Command::Pause),
            Deed::Resume => commands.push(Command::Resume),
        }
        Ok(())
    }

    /// Sets the wall clock. A group begins with that; where it cannot, it happens a little later.
    fn jump(&mut self, number: usize, leap: Leap, events: &mut Vec<Event>) {
        if self.calm {
            return;
        }
        let begun = |event: &Event| matches!(event, Event::Started { .. } | Event::ClockJumped(_));
        let engine = self.engine.as_ref().filter(|_| self.writable && !events.iter().any(begun));
        let Some(engine) = engine else {
            return self.post(self.now + SENDS_AGAIN, Happening::Step(number));
        };
        let known = engine.state().clock().clone();
        if let Some(jump) = self.world.clocks.jump(&known, leap, self.now) {
            self.oracle.met.count(match leap {
                Leap::Forwards(_) => "jump forwards",
                Leap::Back(_) => "jump back",
            });
            let at = self.since_begin();
            self.write(|| Line::jump(at, jump.leap()));
            events.insert(0, Event::ClockJumped(jump));
        }
    }

    /// The time that has passed, and what the wall clock shows.
    fn times(&self) -> (Timestamp, Timestamp) {
        (self.now, self.world.clocks.wall(self.now))
    }

    fn calm(&mut self, commands: &mut Vec<Command>) {
        self.calm = true;
        self.world.alertmanager = Honesty::True;
        self.oracle.truth.lists(Honesty::True);
        for prom in 0..self.script.proms.len() {
            self.behave(prom, Honesty::True);
        }
        for part in 0..self.script.cast.len() {
            self.speak(part);
            self.vanish(part, false);
        }
        self.world.stock = Stock::True;
        self.mail.calm();
        self.death = None;
        self.disk_full = 0;
        commands.push(Command::Resume);
    }

    /// An action is over: what it did, and who hears of it.
    fn end(&mut self, order: &OrderId) {
        let Some(claim) = self.acts.end(order) else { return };
        self.oracle.truth.ends(order, self.now);
        let labels = claim.run.alerts.first().map(|leading| leading.alert.labels.clone());
        let instance = labels.as_ref().and_then(|labels| labels.get("instance"));
        let on = self.world.on_instance(instance.unwrap_or_default());
        if claim.plan.heals {
            let instance = instance.unwrap_or_default().to_owned();
            let (removes, heals_for) = (claim.plan.removes, claim.plan.heals_for);
            match claim.plan.heals_after {
                None => self.cure(&instance, removes, heals_for),
                Some(after) => {
                    self.oracle.met.count("cure after its time limit");
                    let cures = Happening::Cures { instance, removes, heals_for };
                    self.post(self.now + after, cures);
                }
            }
        }
        if claim.plan.worsens
            && let Some(part) = on.last()
        {
            self.break_down(*part, None);
        }
        let outcome = claim.plan.outcome;
        let at = self.since_begin();
        self.write(|| Line::exit(at, &claim.run.order, &outcome));
        let ended = Ended { outcome, started_at: None, output: String::new(), left: Vec::new() };
        let event = Event::OrderEnded { order: order.clone(), ended };
        self.post(self.now, Happening::Reports { life: self.life, event });
    }
}
