//! Performs what the engine wants, and reports what it came to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use homeostat_core::collect::Moment;
use homeostat_core::event::{About, Effect, Event, Question, Run};
use homeostat_core::evidence::Ask;
use homeostat_core::limits::ORDER_PROGRESS;
use homeostat_core::name::{BootId, HandlerName, OrderId, Part, PolicyName, RemedyName};
use homeostat_core::order::{Ended, Found, Order, Outcome};
use homeostat_core::plan::Rendered;
use homeostat_core::process::{Process, still_run};
use homeostat_core::request::Request;
use homeostat_core::time::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tracing::{debug, error, info, warn};

use super::{Aside, Clock, subject};
use crate::notice::Teller;
use crate::outlet::Outlet;
use crate::probe::Prober;
use crate::queue::Queue;
use crate::runner;
use homeostat_hands::act::{self, Life, Word};
use homeostat_hands::failpoint;

/// Between the polite and the final signal to an action that ran too long.
const GRACE: Duration = Duration::from_secs(5);

/// The longest that an action takes to end when it is told to: the grace, twice the time that a kill
/// may take, and some more for the record.
pub(super) const END_WITHIN: Duration = Duration::from_secs(20);

/// The same for a hand, which first ends what it has begun elsewhere.
const HANDS_GRACE: Duration = Duration::from_secs(8);

/// Where the requests of each remedy go, and those of its undo.
pub type Outlets = BTreeMap<(PolicyName, RemedyName, Part), Arc<Outlet>>;

/// As whom, where and with what the program of each remedy runs, and that of its undo.
pub type Settings = BTreeMap<(PolicyName, RemedyName, Part), Setting>;

/// One of them: the user is looked up when it runs, as users come and go.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// `USER` or `USER:GROUP`.
    pub run_as: Option<String>,
    /// The rest.
    pub rest: act::Setting,
}

/// The doors through which effects leave.
#[derive(Debug)]
pub struct Doors {
    /// Where tasks run.
    pub runtime: Handle,
    /// Where outcomes are reported.
    pub queue: Queue,
    /// The clock.
    pub clock: Arc<Clock>,
    /// The storage directory, where the directories of orders are.
    pub storage: PathBuf,
    /// Whom to ask; replaced when the configuration changes.
    pub prober: RwLock<Arc<Prober>>,
    /// Who tells people.
    pub teller: Teller,
    /// Where requests go; replaced when the configuration changes.
    pub outlets: RwLock<Arc<Outlets>>,
    /// As whom, where and with what programs run; replaced when the configuration changes.
    pub settings: RwLock<Arc<Settings>>,
    /// What the program was built with.
    pub handlers: Arc<act::Handlers>,
    /// Whether the engine stops, for handlers that could go on for long.
    pub stopping: watch::Sender<bool>,
    /// The arguments with which this program becomes a hand; `None` where it may not be started again.
    pub hand: Option<Vec<String>>,
    /// Who owns processes, so that they outlive the engine; without a runner the engine does.
    pub runner: Option<runner::Client>,
    /// What is run beside orders.
    pub aside: Aside,
    /// The runs that end under our eyes, and how each is told to end before its time.
    pub runs: Mutex<BTreeMap<OrderId, Underway>>,
}

/// A run that goes on.
#[derive(Debug)]
pub struct Underway {
    end: watch::Sender<bool>,
    place: Place,
}

/// Where a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the engine: it ends with it.
    Engine,
    /// In a process that the runner owns.
    Runner,
}

impl Doors {
    /// Performs one effect. Returns at once; what it came to arrives as an event.
    pub(super) fn perform(self: &Arc<Self>, effect: Effect) {
        match effect {
            Effect::Run(run) => {
                // Known before it starts, so that no word to end comes too early to be heard. What is
                // looked at before it is the engine's to wait for.
                let looks = !run.order.looks(Moment::Before).is_empty();
                let place = if looks { Place::Engine } else { self.place(&run.order.action) };
                let cancelled = self.begin(&run.order.id, place);
                let doors = self.clone();
                self.runtime.spawn(async move { doors.run(*run, cancelled).await });
            }
            Effect::LookAfter(run) => {
                let doors = self.clone();
                self.runtime.spawn(async move { doors.collect(&run, Moment::After).await });
            }
            Effect::Cancel(order) => {
                if let Some(run) = self.runs.lock().get(&order) {
                    run.end.send_replace(true);
                } else {
                    info!(order = %order, "order cannot be cancelled: its run is not ours");
                }
            }
            Effect::Inquire { order, issued_in } => {
                // Known before it is asked for, as above.
                let cancelled = self.begin(&order, Place::Runner);
                let doors = self.clone();
                self.runtime.spawn(async move {
                    doors.inquire(order, issued_in, cancelled).await;
                });
            }
            Effect::Watch { order, issued_in, left } => {
                let doors = self.clone();
                self.runtime.spawn(async move { doors.watch(order, issued_in, left).await });
            }
            Effect::Ask(question) => {
                let doors = self.clone();
                self.runtime.spawn(async move { doors.ask(question).await });
            }
            Effect::Tell(notice) => self.teller.tell(*notice),
            Effect::Remind(notice) => self.teller.remind(*notice),
            Effect::Clear(notice) => self.teller.clear(*notice),
        }
    }

    /// Notes that a run goes on, and returns by what it is told to end before its time.
    fn begin(&self, order: &OrderId, place: Place) -> watch::Receiver<bool> {
        let (end, cancelled) = watch::channel(false);
        self.runs.lock().insert(order.clone(), Underway { end, place });
        cancelled
    }

    fn place(&self, action: &Rendered) -> Place {
        match (action, &self.runner) {
            (Rendered::Exec(_) | Rendered::Script(_) | Rendered::Errand(_), Some(_)) => {
                Place::Runner
            }
            (Rendered::Exec(_) | Rendered::Script(_) | Rendered::Errand(_), None)
            | (Rendered::Http(_) | Rendered::Call(_), _) => Place::Engine,
        }
    }

    /// Counts the runs that would end with the engine.
    pub(super) fn runs_in_engine(&self) -> usize {
        let runs = self.runs.lock();
        runs.values().filter(|run| run.place == Place::Engine).count()
    }

    /// Tells every run to end before its time.
    pub(super) fn end_all(&self) {
        for run in self.runs.lock().values() {
            run.end.send_replace(true);
        }
    }

    /// Takes the looks of a moment, and reports what they found.
    async fn collect(self: &Arc<Self>, run: &Run, moment: Moment) {
        let (order, found) = (run.order.id.clone(), self.look(run, moment).await);
        self.queue.report(Event::Collected { order, moment, found }).await;
    }

    async fn run(self: &Arc<Self>, run: Run, cancelled: watch::Receiver<bool>) {
        let order = run.order.id.clone();
        if !run.order.looks(Moment::Before).is_empty() {
            tokio::select! {
                () = self.collect(&run, Moment::Before) => {}
                () = told(cancelled.clone()) => {}
            }
            if let Some(underway) = self.runs.lock().get_mut(&order) {
                underway.place = self.place(&run.order.action);
            }
        }
        debug!(order = %order, "order started");
        let found = match &run.order.action {
            Rendered::Exec(argv) => {
                self.execute(&run, act::Program::Argv(argv.clone()), cancelled).await
            }
            Rendered::Script(text) => {
                self.execute(&run, act::Program::Script(text.to_string()), cancelled).await
            }
            Rendered::Errand(errand) => match self.hand.clone() {
                Some(arguments) => {
                    let errand = (**errand).clone();
                    let hand = act::Hand { arguments, errand, rehearse: false };
                    self.execute(&run, act::Program::Hand(hand), cancelled).await
                }
                None => act::Found::Ended(act::Ended::refused(act::Refusal::NoHands)),
            },
            Rendered::Http(request) => act::Found::Ended(self.send(&run, request, cancelled).await),
            Rendered::Call(handler) => act::Found::Ended(self.call(&run, handler, cancelled).await),
        };
        failpoint::reach("driver.ended");
        self.runs.lock().remove(&order);
        let event = match self.found(found) {
            Found::Ended(ended) => {
                info!(order = %order, policy = %run.policy, outcome = %ended.outcome, "order ended");
                Event::OrderEnded { order, ended }
            }
            found => {
                warn!(order = %order, found = ?found, "order lost with its runner");
                Event::OrderFound { order, found }
            }
        };
        self.queue.report(event).await;
    }

    /// A run that is over, by the engine's clock.
    fn ended(&self, ended: act::Ended) -> Ended {
        let started_at = ended.started_at.map(|at| {
            let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
            self.clock.of_wall(Timestamp::from_micros(micros))
        });
        let mut output = ended.tail;
        if !ended.stuck.is_empty() {
            if !output.is_empty() && !output.ends_with('\n') {
                output.push('\n');
            }
            output.push_str(&still_run(&ended.stuck));
        }
        Ended { outcome: outcome_of(ended.outcome), started_at, output, left: ended.stuck }
    }

    fn found(&self, found: act::Found) -> Found {
        match found {
            act::Found::NotStarted => Found::NotStarted,
            act::Found::Ended(ended) => Found::Ended(self.ended(ended)),
            act::Found::Unknown(doubt) => Found::Unknown(doubt.to_string()),
        }
    }

    /// Prepares a process, and has it run by whoever owns processes.
    async fn execute(
        &self,
        run: &Run,
        program: act::Program,
        cancelled: watch::Receiver<bool>,
    ) -> act::Found {
        let setting = match self.setting(run) {
            Ok(setting) => setting,
            Err(refusal) => return act::Found::Ended(act::Ended::refused(refusal)),
        };
        let grace = match &program {
            act::Program::Argv(_) | act::Program::Script(_) => GRACE,
            act::Program::Hand(_) => HANDS_GRACE,
        };
        let execution = act::Execution {
            order: run.order.id.to_string(),
            name: name(&run.order),
            program,
            timeout: run.order.timeout.into(),
            grace,
            subject: subject::of(run).await,
            setting,
        };
        let to_engine = || {
            warn!(order = %run.order.id, "no runner: this order ends with the engine");
            if let Some(underway) = self.runs.lock().get_mut(&run.order.id) {
                underway.place = Place::Engine;
            }
        };
        self.hand_over(execution, cancelled, to_engine).await
    }

    /// Has a process run by whoever owns processes; `to_engine` hears that it ends with the engine although
    /// there should be a runner.
    pub(super) async fn hand_over(
        &self,
        execution: act::Execution,
        cancelled: watch::Receiver<bool>,
        to_engine: impl FnOnce(),
    ) -> act::Found {
        let Some(runner) = &self.runner else {
            let name = execution.name.clone();
            let ended = act::perform(&self.storage, execution, told(cancelled)).await;
            return self.heard(name, ended).await;
        };
        let storage = self.storage.clone();
        let prepare = move || act::prepare(&storage, &execution);
        let prepared = tokio::task::spawn_blocking(prepare).await;
        let launch = match prepared {
            Ok(Ok(launch)) => launch,
            Ok(Err(ended)) => return act::Found::Ended(*ended),
            Err(error) => {
                let reason = act::Doubt::Record { error: error.to_string() };
                return act::Found::Unknown(reason);
            }
        };
        match runner.run(launch, told(cancelled.clone())).await {
            Ok(found) => found,
            Err(launch) => {
                to_engine();
                let (owner, name) = (act::Owner::Engine, launch.order.clone());
                let run = act::run(&self.storage, *launch, &owner, told(cancelled)).await;
                self.heard(name, run.ended).await
            }
        }
    }

    /// The end of a process that the engine ran itself; of a hand, what it said.
    pub(super) async fn heard(&self, name: String, ended: act::Ended) -> act::Found {
        let root = self.storage.clone();
        let heard = tokio::task::spawn_blocking(move || act::heard(&root, &name, ended)).await;
        heard.map_or_else(
            |error| act::Found::Unknown(act::Doubt::Record { error: error.to_string() }),
            act::Found::Ended,
        )
    }

    /// As whom, where and with what the program of an order runs. One that the configuration has no
    /// more is not run: as whom, nobody says.
    pub(super) fn setting(&self, run: &Run) -> Result<act::Setting, act::Refusal> {
        self.setting_of(&(run.policy.clone(), run.order.id.remedy.clone(), run.order.id.part))
    }

    pub(super) fn setting_of(
        &self,
        remedy: &(PolicyName, RemedyName, Part),
    ) -> Result<act::Setting, act::Refusal> {
        let setting = self.settings.read().get(remedy).cloned();
        let Setting { run_as, rest } = setting.ok_or(act::Refusal::Reconfigured)?;
        let identity = run_as.as_deref().map(act::identity).transpose()?;
        Ok(act::Setting { identity, ..rest })
    }

    async fn send(
        &self,
        run: &Run,
        request: &Request,
        cancelled: watch::Receiver<bool>,
    ) -> act::Ended {
        let remedy = (run.policy.clone(), run.order.id.remedy.clone(), run.order.id.part);
        let outlet = self.outlets.read().get(&remedy).cloned();
        let Some(outlet) = outlet else {
            return act::Ended::refused(act::Refusal::Reconfigured);
        };
        let sending = act::Sending {
            order: run.order.id.to_string(),
            name: name(&run.order),
            request: request.clone(),
            timeout: run.order.timeout.into(),
            subject: subject::of(run).await,
        };
        self.note(&sending.name).await;
        act::send(&self.storage, &*outlet, sending, told(cancelled)).await
    }

    /// Calls a handler, and passes on what it says until it has ended.
    async fn call(
        &self,
        run: &Run,
        handler: &HandlerName,
        cancelled: watch::Receiver<bool>,
    ) -> act::Ended {
        let call = act::Call {
            order: run.order.id.to_string(),
            name: name(&run.order),
            handler: handler.to_string(),
            timeout: run.order.timeout.into(),
            grace: GRACE,
            subject: subject::of(run).await,
        };
        let (progress, mut said) = mpsc::channel(ORDER_PROGRESS as usize);
        let words = act::Words { stopping: self.stopping.subscribe(), cancelled };
        self.note(&call.name).await;
        let mut ended = pin!(act::call(&self.storage, &self.handlers, call, progress, words));
        let ended = loop {
            tokio::select! {
                biased;
                Some(text) = said.recv() => self.pass_on(run, text).await,
                ended = &mut ended => break ended,
            }
        };
        // What the handler left behind may go on talking; nobody listens after its end.
        while let Ok(text) = said.try_recv() {
            self.pass_on(run, text).await;
        }
        ended
    }

    /// Lets the runner know what the engine does itself, so that it can say later whether it did.
    async fn note(&self, name: &str) {
        if let Some(runner) = &self.runner {
            runner.note(name).await;
        }
    }

    /// Says for the next engine that this one does not start an order.
    pub(super) fn withhold(&self, order: &Order) {
        let name = name(order);
        if let Err(error) = act::withhold(&self.storage, &name) {
            warn!(order = name, %error, "that an order was not started cannot be recorded");
        }
    }

    async fn pass_on(&self, run: &Run, text: String) {
        let order = run.order.id.clone();
        self.queue.report(Event::OrderProgressed { order, text }).await;
    }

    /// Finds out what became of an order that an earlier engine issued. What the runner owns goes
    /// on, and is waited for as if this engine had started it.
    async fn inquire(&self, order: OrderId, issued_in: BootId, cancelled: watch::Receiver<bool>) {
        let life = Life::of(&issued_in);
        let name = life.name(&order.to_string());
        let adopted = match &self.runner {
            Some(runner) => runner.adopt(&name, told(cancelled)).await,
            None => None,
        };
        let found = if let Some(found) = adopted {
            self.found(found)
        } else {
            let word = |runner: &runner::Client| runner.word(&name, &life);
            let word = self.runner.as_ref().map_or(Word::Nobody, word);
            self.inspect(name, life, word).await
        };
        self.runs.lock().remove(&order);
        failpoint::reach("driver.inquired");
        info!(order = %order, found = ?found, "order found after a restart");
        self.queue.report(Event::OrderFound { order, found }).await;
    }

    /// Waits until what could not be ended is gone.
    async fn watch(&self, order: OrderId, issued_in: BootId, left: Vec<Process>) {
        warn!(order = %order, "{}", still_run(&left));
        let name = Life::of(&issued_in).name(&order.to_string());
        match &self.runner {
            Some(runner) => runner.until_gone(&name, &left).await,
            None => act::until_gone(&left).await,
        }
        info!(order = %order, "nothing of the order runs any more");
        self.queue.report(Event::OrderGone(order)).await;
    }

    async fn inspect(&self, name: String, issued: Life, word: Word) -> Found {
        let root = self.storage.clone();
        let looked = tokio::task::spawn_blocking(move || act::inspect(&root, &name, &issued, word));
        looked.await.map_or_else(
            |error| {
                error!(%error, "order could not be inspected");
                Found::Unknown(error.to_string())
            },
            |found| self.found(found),
        )
    }

    async fn ask(&self, question: Question) {
        let prober = self.prober.read().clone();
        // Witnesses are asked by the wall clock, by which they stamp their answers.
        let is_of_a_hand = |ask: &Ask| matches!(ask, Ask::Rehearsal { .. } | Ask::Owner { .. });
        let (of_hands, asks) = question.asks.into_iter().partition(is_of_a_hand);
        let asked = prober.ask(asks, || self.clock.wall());
        let (mut evidence, told) = tokio::join!(asked, self.ask_hands(of_hands));
        evidence.found.extend(told);
        evidence.gathered_at = self.clock.of_wall(evidence.gathered_at);
        let event = match question.about {
            About::Incident(incident, step) => {
                Event::Answered { incident, step, evidence, presence: Vec::new() }
            }
            About::Observation(observation) => Event::Vouched { observation, evidence },
            About::Unmentioned(episodes) => Event::RulesPolled { episodes, evidence },
            About::Owner(episode) => Event::OwnerTold { episode, evidence },
        };
        self.queue.report(event).await;
    }
}

/// Completes when a run is told to end.
async fn told(mut cancelled: watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        // Nobody is left who could tell.
        std::future::pending::<()>().await;
    }
}

/// The name of an order's directories and of its run.
fn name(order: &Order) -> String {
    Life::of(&order.boot).name(&order.id.to_string())
}

pub(super) fn outcome_of(outcome: act::Outcome) -> Outcome {
    match outcome {
        act::Outcome::Exited { code } => Outcome::Exited { code },
        act::Outcome::Signalled { signal } => Outcome::Signalled { signal },
        act::Outcome::TimedOut => Outcome::TimedOut,
        act::Outcome::Cancelled => Outcome::Cancelled,
        act::Outcome::Done => Outcome::Done,
        act::Outcome::Rehearsed { .. } => {
            Outcome::NotStarted { reason: "the hand only said that it would do it".into() }
        }
        act::Outcome::Owned { .. } => {
            Outcome::NotStarted { reason: "the hand only said whose it is".into() }
        }
        act::Outcome::Failed { reason } => Outcome::Failed { reason },
        act::Outcome::Answered { status, expected } => Outcome::Answered { status, expected },
        act::Outcome::Refused { reason } => match reason {
            act::Refusal::Nul { .. }
            | act::Refusal::TooLong { .. }
            | act::Refusal::TooMuch { .. }
            | act::Refusal::Collision { .. }
            | act::Refusal::NoRequest { .. }
            // What never could run says nothing about what comes after it.
            | act::Refusal::NoProgram
            | act::Refusal::Spawn { lasting: true, .. }
            | act::Refusal::Hand { lasting: true, .. }
            | act::Refusal::NoHands
            | act::Refusal::NoHandler { .. }
            | act::Refusal::NoIdentity { .. } => Outcome::Refused { reason: reason.to_string() },
            act::Refusal::OrderName { .. }
            | act::Refusal::Storage { .. }
            | act::Refusal::Spawn { lasting: false, .. }
            | act::Refusal::Hand { lasting: false, .. }
            | act::Refusal::Reconfigured
            | act::Refusal::NotSent { .. }
            | act::Refusal::Cancelled
            | act::Refusal::Outdated
            | act::Refusal::Crowded { .. } => Outcome::NotStarted { reason: reason.to_string() },
        },
        act::Outcome::Unknown { reason } => Outcome::Unknown { reason: reason.to_string() },
    }
}
