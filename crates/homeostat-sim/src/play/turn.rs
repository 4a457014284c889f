//! Turn, commit and effects; deaths and full disks between them; restarts from the journal.

use std::sync::Arc;

use homeostat_core::alert::Observation;
use homeostat_core::collect::Moment;
use homeostat_core::engine::{Engine, Turn};
use homeostat_core::event::{About, Effect, Event, Question, Run};
use homeostat_core::evidence::{Ask, Evidence, Lister};
use homeostat_core::fact::What;
use homeostat_core::name::{BootId, SourceName};
use homeostat_core::policy::Book;
use homeostat_core::repeats::{Repeats, Woken};
use homeostat_core::snapshot::Record;
use homeostat_core::state::State;
use homeostat_core::time::Span;

use super::{DISK_FULL, Happening, Play, SENDS_AGAIN, TURNS_AT_ONCE, Watch};
use crate::hands;
use crate::oracle::{Heard, Violation};
use crate::owners;
use crate::print::Line;
use crate::script::{Death, Honesty};

impl Play<'_> {
    /// Takes a turn and all that follow from it. Returns whether it was committed.
    pub(super) fn take_turn(
        &mut self,
        events: Vec<Event>,
        book: Option<Arc<Book>>,
    ) -> Result<bool, Violation> {
        if !self.writable {
            self.owed.extend(events);
            return Ok(false);
        }
        let committed = self.one_turn(events, book)?;
        while committed && self.writable && self.is_due() {
            self.one_turn(Vec::new(), None)?;
        }
        Ok(committed)
    }

    /// Whether the engine must turn though nothing happens.
    pub(super) fn is_due(&self) -> bool {
        let wake = self.engine.as_ref().and_then(Engine::next_wake);
        wake.is_some_and(|at| at <= self.shown())
    }

    /// Whether a notification is nothing but repeats, which the engine will hear of in its next turn.
    pub(super) fn repeats(&mut self, observations: &[Observation]) -> bool {
        let shown = self.shown();
        self.repeats.as_mut().is_some_and(|repeats| {
            let read = repeats.read(observations, shown);
            read.is_some_and(|read| repeats.take(&read, shown))
        })
    }

    /// The oracle hears what the engine need not.
    pub(super) fn answer_for_the_engine(&mut self, notified: &[Event]) -> Result<(), Violation> {
        self.report.answered += 1;
        if self.watch == Watch::Never {
            return Ok(());
        }
        let heard = self.oracle.hear(notified);
        self.oracle.truth.at(self.now);
        self.oracle.overhear(&heard, self.shown())
    }

    fn hear_repeats(&mut self) {
        if let (Some(engine), Some(repeats)) = (&mut self.engine, &mut self.repeats) {
            engine.hear_repeats(repeats.begin_turn());
        }
    }

    fn one_turn(&mut self, events: Vec<Event>, book: Option<Arc<Book>>) -> Result<bool, Violation> {
        self.count_turn()?;
        let shown = self.shown();
        self.hear_repeats();
        let Some(engine) = &mut self.engine else { return Ok(false) };
        if let Some(book) = &book {
            engine.replace_book(book.clone());
        }
        let may_fail = self.disk_full > 0 || self.death.is_some();
        let kept = if may_fail { events.clone() } else { Vec::new() };
        let told = if may_fail { &kept } else { &events };
        let heard = match self.watch {
            Watch::Closely => self.oracle.hear(told),
            Watch::Never => Heard::default(),
        };
        let turn = engine.turn(events, shown);
        if let Some(repeats) = &mut self.repeats {
            repeats.decided(engine.woken(&turn), engine.state().clock().ahead());
        }
        if !turn.facts.is_empty() && self.disk_full > 0 {
            // Who mentioned what is known all the same: it is not written down.
            self.oracle.truth.at(self.now);
            self.oracle.note_mentions(&heard, shown);
            self.fail(kept);
            return Ok(false);
        }
        if let Some((death @ (Death::BeforeCommit | Death::Uncertain { .. }), reboot)) = self.death
            && !turn.facts.is_empty()
        {
            // Whoever does not know whether it was written, exits and reads what is there.
            match death {
                Death::Uncertain { written: true } => {
                    self.oracle.met.count("commit that was written, and not known");
                    self.book = book.unwrap_or_else(|| self.book.clone());
                    self.commit(&turn, &heard)?;
                }
                Death::Uncertain { written: false } => {
                    self.oracle.met.count("commit that was not written, and not known");
                }
                _ => self.oracle.met.count("death before a commit"),
            }
            self.send_again(kept);
            self.die(reboot);
            return Ok(false);
        }
        if let Some(book) = book {
            self.book = book;
        }
        self.commit(&turn, &heard)?;
        if let Some((Death::BeforeEffects(performed), reboot)) = self.death
            && !turn.effects.is_empty()
        {
            self.oracle.met.count("death before effects");
            for effect in turn.effects.into_iter().take(performed) {
                self.perform(effect)?;
            }
            self.send_again(kept);
            self.die(reboot);
            return Ok(true);
        }
        for effect in turn.effects {
            self.perform(effect)?;
        }
        Ok(true)
    }

    fn count_turn(&mut self) -> Result<(), Violation> {
        self.turns += 1;
        let (at, count) = self.turns_at_once;
        self.turns_at_once = if at == self.now { (at, count + 1) } else { (self.now, 0) };
        if count > TURNS_AT_ONCE {
            return Err(Violation::new(self.now, "rest", "the engine does not come to rest"));
        }
        Ok(())
    }

    fn commit(&mut self, turn: &Turn, heard: &Heard) -> Result<(), Violation> {
        if let (Some(engine), Some(repeats)) = (&self.engine, &mut self.repeats) {
            repeats.rest(engine.at_rest(turn));
        }
        for fact in &turn.facts {
            self.report.facts += 1;
            match &fact.what {
                What::IncidentOpened { .. } => self.report.incidents += 1,
                What::OrderIssued { .. } => self.report.orders += 1,
                _ => {}
            }
            self.folded.apply(fact);
            self.react(fact);
        }
        if self.watch == Watch::Never {
            return Ok(());
        }
        self.journal.extend(turn.facts.iter().cloned());
        let Some(engine) = &self.engine else { return Ok(()) };
        // Comparing costs as much as there is to compare: large worlds are compared now and then.
        let large = self.script.cast.len() > 12;
        let wrote = !turn.facts.is_empty();
        if wrote && (!large || self.turns.is_multiple_of(16)) && self.folded != *engine.state() {
            let text = "the fold of the journal is not the state";
            return Err(Violation::new(self.now, "fold", text));
        }
        self.oracle.truth.at(self.now);
        self.oracle.watch(heard, turn, &self.folded, &self.book, self.shown())
    }

    /// The disk is full: nothing was written, and everybody hears 503 until it can be again.
    fn fail(&mut self, kept: Vec<Event>) {
        self.oracle.met.count("commit that failed");
        self.disk_full -= 1;
        self.writable = false;
        self.send_again(kept);
        let shown = self.shown();
        self.hear_repeats();
        if let Some(engine) = &mut self.engine {
            engine.replace_book(self.book.clone());
            engine.rebuild(self.folded.clone(), shown);
            if let Some(repeats) = &mut self.repeats {
                repeats.decided(Woken::All, engine.state().clock().ahead());
            }
        }
        self.post(self.now + DISK_FULL, Happening::DiskFree);
    }

    /// Senders send their observations again; what comes from the engine's own doors is kept.
    pub(super) fn send_again(&mut self, events: Vec<Event>) {
        let mut letter = Vec::new();
        for event in events {
            match event {
                Event::Observed { observation, more, .. } => {
                    letter.push(*observation);
                    if !more {
                        let letter = std::mem::take(&mut letter);
                        self.post(self.now + SENDS_AGAIN, Happening::Arrives(letter));
                    }
                }
                Event::Pause { .. }
                | Event::Resume { .. }
                | Event::Command { .. }
                | Event::Revoke { .. }
                | Event::Reloaded => {}
                event => self.owed.push(event),
            }
        }
    }

    pub(super) fn die(&mut self, reboots: bool) {
        self.death = None;
        if self.engine.take().is_none() {
            return;
        }
        self.repeats = self.repeats.take().map(|_| Repeats::default());
        let at = self.since_begin();
        self.write(|| {
            let what =
                if reboots { "the machine restarts" } else { "the engine dies and restarts" };
            Line::remark(at, what)
        });
        self.life += 1;
        self.owed.clear();
        self.writable = true;
        self.acts.lose_engine();
        if reboots {
            self.boots += 1;
            self.acts.lose_power();
        }
        let mut dice = self.fate.of("down", &[u64::from(self.life)]);
        let down = if dice.percent(70) { dice.seconds(0, 5) } else { dice.seconds(5, 180) };
        self.post(self.now + down, Happening::Restarts);
    }

    fn boot(&self) -> BootId {
        BootId::new(format!("boot-{}", self.boots))
    }

    pub(super) fn restart(&mut self, events: &mut Vec<Event>) -> Result<(), Violation> {
        if self.watch == Watch::Closely {
            self.check_fold()?;
        }
        self.oracle.restart();
        if self.watch == Watch::Closely {
            self.folded = self.recalled()?;
            self.check_snapshot()?;
        }
        let jump = self.world.clocks.resume(self.folded.clock(), self.now);
        self.engine = Some(Engine::restore(self.folded.clone(), self.book.clone(), self.shown()));
        // The daemon starts before it opens its doors, and then finds that its clock is ahead.
        if jump.is_some() {
            self.oracle.met.count("jump that was lost");
        }
        let found = jump.map(Event::ClockJumped);
        events.splice(0..0, [Event::Started { boot: self.boot() }].into_iter().chain(found));
        self.look_on();
        self.post(self.now + Span::from_secs(1), Happening::Polls { life: self.life });
        Ok(())
    }

    /// Reads what was written since the last time as the journal would, and folds all of it.
    pub(super) fn check_fold(&mut self) -> Result<(), Violation> {
        for fact in &self.journal[self.written..] {
            let text = serde_json::to_string(&fact.what).unwrap_or_default();
            if serde_json::from_str::<What>(&text).ok().as_ref() != Some(&fact.what) {
                let text = format!("a fact does not read back: {text}");
                return Err(Violation::new(self.now, "fold", text));
            }
        }
        self.written = self.journal.len();
        let mut state = State::default();
        self.journal.iter().for_each(|fact| state.apply(fact));
        if state != self.folded {
            return Err(Violation::new(self.now, "fold", "the journal does not fold again"));
        }
        Ok(())
    }

    /// The newest snapshot may be torn: the one before it, with the facts since, is the same state.
    fn check_snapshot(&mut self) -> Result<(), Violation> {
        let (mut state, known) = std::mem::take(&mut self.snapshot);
        self.journal[known..].iter().for_each(|fact| state.apply(fact));
        if state != self.folded {
            let text = "an older snapshot and the facts since are another state";
            return Err(Violation::new(self.now, "snapshot", text));
        }
        self.snapshot = (self.folded.clone(), self.journal.len());
        Ok(())
    }

    /// Writes a snapshot as a file would hold it, and reads it back.
    fn recalled(&self) -> Result<State, Violation> {
        let mut state = State::default();
        for record in self.folded.records() {
            let text = serde_json::to_string(&record).unwrap_or_default();
            match serde_json::from_str::<Record>(&text) {
                Ok(read) => state.recall(read),
                Err(error) => {
                    let text = format!("a record does not read back: {error}: {text}");
                    return Err(Violation::new(self.now, "snapshot", text));
                }
            }
        }
        if state == self.folded {
            return Ok(state);
        }
        Err(Violation::new(self.now, "snapshot", "what is recalled is another state"))
    }

    fn perform(&mut self, effect: Effect) -> Result<(), Violation> {
        if self.watch == Watch::Closely {
            self.oracle.performs(&effect, &self.acts, self.shown())?;
        }
        let life = self.life;
        let soon = |play: &Self, event: Event| {
            let wait = play.fate.of("soon", &[play.now.micros().unsigned_abs()]).below(800);
            (play.now + Span::from_millis(wait), Happening::Reports { life, event })
        };
        match effect {
            Effect::Run(run) => {
                self.look(&run, Moment::Before);
                if let Some((Death::WhileRunning(after), _)) = self.death {
                    self.post(self.now + after, Happening::Dies { life });
                }
                if let Some(plan) = self.acts.start(&run, life) {
                    self.post(self.now + plan.takes, Happening::Ends(run.order.id));
                }
            }
            Effect::LookAfter(run) => self.look(&run, Moment::After),
            Effect::Cancel(order) => {
                if let Some(takes) = self.acts.cancel(&order, life) {
                    self.post(self.now + takes, Happening::Ends(order));
                }
            }
            Effect::Inquire { order, issued_in } => {
                let found = self.acts.inspect(&order, &issued_in, &self.boot());
                let since = self.since_begin();
                self.write(|| Line::found(since, &found));
                let (at, report) = soon(self, Event::OrderFound { order, found });
                self.post(at, report);
            }
            Effect::Ask(question) => self.answer(question),
            Effect::Tell(notice) => {
                let (at, report) = soon(self, Event::NoticeTold(notice));
                self.post(at, report);
            }
            // Who keeps a notice up has nothing to report.
            // All that is ended here ends.
            Effect::Watch { .. } | Effect::Remind(_) => {}
            Effect::Clear(notice) => {
                let (at, report) = soon(self, Event::NoticeEnded(notice.topic()));
                self.post(at, report);
            }
        }
        Ok(())
    }

    /// Reports what is seen beside a run, after some time: the engine may have died by then.
    fn look(&mut self, run: &Run, moment: Moment) {
        let found = hands::found(run, moment);
        if !found.is_empty() {
            let order = run.order.id.clone();
            let mut dice = self.fate.of("looks", &[order.incident.0, u64::from(order.attempt)]);
            let event = Event::Collected { order, moment, found };
            let at = self.now + Span::from_millis(dice.below(5_000));
            self.post(at, Happening::Reports { life: self.life, event });
        }
    }

    /// How those are who are asked.
    fn ways_of(&self, ask: &Ask) -> Vec<Honesty> {
        let all = || (0..self.script.proms.len()).map(|prom| self.world.way(prom)).collect();
        let named = |names: &[SourceName]| {
            let asked = names.iter().filter_map(|name| self.world.prom_of(name));
            asked.map(|prom| self.world.way(prom)).collect()
        };
        match ask {
            Ask::Listed { .. } | Ask::Present { by: Lister::Alertmanager(_), .. } => {
                vec![self.world.alertmanager]
            }
            Ask::Rule { by, .. } | Ask::Present { by: Lister::Prometheuses(by), .. } => named(by),
            Ask::Instance { prometheus, .. } => named(std::slice::from_ref(prometheus)),
            Ask::Present { by: Lister::Prometheus, .. } => all(),
            Ask::Query { by, .. } => named(by.as_slice()),
            Ask::Inventory { .. } | Ask::Rehearsal { .. } | Ask::Owner { .. } => Vec::new(),
        }
    }

    fn answer(&mut self, question: Question) {
        let asked = question.asks.iter().flat_map(|ask| self.ways_of(ask));
        let ways: Vec<Honesty> = asked.collect();
        if ways.contains(&Honesty::Mute) {
            return;
        }
        let mut dice = self.fate.of("answer", &[self.now.micros().unsigned_abs()]);
        // A hand that asks a cluster may take long, or never come back.
        let is_of_owners = matches!(question.about, About::Owner(_));
        if is_of_owners && (dice.percent(4) || owners::hang(self.fate, self.now)) {
            return;
        }
        let wait = if ways.contains(&Honesty::Slow) || (is_of_owners && dice.percent(15)) {
            dice.seconds(2, 45)
        } else {
            Span::from_millis(dice.below(1_500))
        };
        if let About::Incident(incident, step) = question.about {
            let knows = self.world.known_at(&question.asks, self.now);
            self.oracle.truth.answers(incident, step, knows);
        }
        let asks = question.asks.into_iter();
        let found = asks.map(|ask| (self.world.find(&ask, self.now), ask)).map(|(f, a)| (a, f));
        let evidence = Evidence { found: found.collect(), gathered_at: self.shown() };
        let event = match question.about {
            About::Incident(incident, step) => {
                Event::Answered { incident, step, evidence, presence: Vec::new() }
            }
            About::Observation(observation) => Event::Vouched { observation, evidence },
            About::Unmentioned(episodes) => Event::RulesPolled { episodes, evidence },
            About::Owner(episode) => Event::OwnerTold { episode, evidence },
        };
        self.post(self.now + wait, Happening::Reports { life: self.life, event });
    }
}
