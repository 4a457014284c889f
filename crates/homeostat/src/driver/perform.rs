//! Performs what the engine wants, and reports what it came to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use homeostat_core::alert::{Alert, Status};
use homeostat_core::event::{About, Effect, Event, Question, Run};
use homeostat_core::label::LabelSet;
use homeostat_core::limits::ORDER_PROGRESS;
use homeostat_core::name::{BootId, HandlerName, OrderId, Part, PolicyName, RemedyName};
use homeostat_core::order::{Ended, Found, Outcome};
use homeostat_core::plan::Rendered;
use homeostat_core::request::Request;
use homeostat_core::time::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use super::Clock;
use crate::act;
use crate::notice::Teller;
use crate::probe::Prober;
use crate::queue::Queue;

/// Between the polite and the final signal to an action that ran too long.
const GRACE: Duration = Duration::from_secs(5);

/// Where the requests of each remedy go, and those of its undo.
pub type Outlets = BTreeMap<(PolicyName, RemedyName, Part), Arc<act::Outlet>>;

/// The doors through which effects leave.
#[derive(Debug)]
pub struct Doors {
    /// Where tasks run.
    pub runtime: Handle,
    /// Where outcomes are reported.
    pub queue: Queue,
    /// The clock.
    pub clock: Arc<Clock>,
    /// The directory of the orders.
    pub orders: PathBuf,
    /// Whom to ask; replaced when the configuration changes.
    pub prober: RwLock<Arc<Prober>>,
    /// Who tells people.
    pub teller: Teller,
    /// Where requests go; replaced when the configuration changes.
    pub outlets: RwLock<Arc<Outlets>>,
    /// What the program was built with.
    pub handlers: Arc<act::Handlers>,
    /// Whether the engine stops, for handlers that could go on for long.
    pub stopping: watch::Sender<bool>,
    /// The runs that are ours, and how each is told to end before its time.
    pub runs: Mutex<BTreeMap<OrderId, watch::Sender<bool>>>,
}

impl Doors {
    /// Performs one effect. Returns at once; what it came to arrives as an event.
    pub(super) fn perform(self: &Arc<Self>, effect: Effect) {
        match effect {
            Effect::Run(run) => {
                // Known before it starts, so that no word to end comes too early to be heard.
                let (end, cancelled) = watch::channel(false);
                self.runs.lock().insert(run.order.id.clone(), end);
                let doors = self.clone();
                self.runtime.spawn(async move { doors.run(*run, cancelled).await });
            }
            Effect::Cancel(order) => {
                if let Some(run) = self.runs.lock().get(&order) {
                    run.send_replace(true);
                } else {
                    info!(order = %order, "order cannot be cancelled: its run is not ours");
                }
            }
            Effect::Inquire { order, issued_in } => {
                let doors = self.clone();
                self.runtime.spawn(async move { doors.inquire(order, issued_in).await });
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

    async fn run(&self, run: Run, cancelled: watch::Receiver<bool>) {
        let order = run.order.id.clone();
        info!(order = %order, policy = %run.policy, action = %run.order.action, "order started");
        let ended = self.ended(match &run.order.action {
            Rendered::Exec(argv) => {
                self.execute(&run, act::Program::Argv(argv.clone()), cancelled).await
            }
            Rendered::Script(text) => {
                self.execute(&run, act::Program::Script(text.to_string()), cancelled).await
            }
            Rendered::Http(request) => self.send(&run, request, cancelled).await,
            Rendered::Call(handler) => self.call(&run, handler, cancelled).await,
        });
        self.runs.lock().remove(&order);
        info!(order = %order, policy = %run.policy, outcome = %ended.outcome, "order ended");
        self.queue.report(Event::OrderEnded { order, ended }).await;
    }

    /// A run that is over, by the engine's clock.
    fn ended(&self, ended: act::Ended) -> Ended {
        let started_at = ended.started_at.map(|at| {
            let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
            self.clock.of_wall(Timestamp::from_micros(micros))
        });
        Ended { outcome: outcome_of(ended.outcome), started_at, output: ended.tail }
    }

    async fn execute(
        &self,
        run: &Run,
        program: act::Program,
        cancelled: watch::Receiver<bool>,
    ) -> act::Ended {
        let execution = act::Execution {
            order: run.order.id.to_string(),
            program,
            timeout: run.order.timeout.into(),
            grace: GRACE,
            subject: subject(run),
        };
        act::perform(&self.orders, execution, told(cancelled)).await
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
            request: request.clone(),
            timeout: run.order.timeout.into(),
            subject: subject(run),
        };
        act::send(&self.orders, &outlet, sending, told(cancelled)).await
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
            handler: handler.to_string(),
            timeout: run.order.timeout.into(),
            grace: GRACE,
            subject: subject(run),
        };
        let (progress, mut said) = mpsc::channel(ORDER_PROGRESS as usize);
        let words = act::Words { stopping: self.stopping.subscribe(), cancelled };
        let mut ended = pin!(act::call(&self.orders, &self.handlers, call, progress, words));
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

    async fn pass_on(&self, run: &Run, text: String) {
        let order = run.order.id.clone();
        self.queue.report(Event::OrderProgressed { order, text }).await;
    }

    async fn inquire(&self, order: OrderId, issued_in: BootId) {
        let (root, name) = (self.orders.clone(), order.to_string());
        let looked = tokio::task::spawn_blocking(move || act::inspect(&root, &name, &issued_in));
        let found = match looked.await {
            Ok(act::Found::NotStarted) => Found::NotStarted,
            Ok(act::Found::Ended(ended)) => Found::Ended(self.ended(ended)),
            Ok(act::Found::Unknown(doubt)) => Found::Unknown(doubt.to_string()),
            Err(error) => {
                error!(order = %order, error = %error, "order could not be inspected");
                Found::Unknown(error.to_string())
            }
        };
        info!(order = %order, found = ?found, "order found after a restart");
        self.queue.report(Event::OrderFound { order, found }).await;
    }

    async fn ask(&self, question: Question) {
        let prober = self.prober.read().clone();
        // Witnesses are asked by the wall clock, by which they stamp their answers.
        let mut evidence = prober.ask(question.asks, || self.clock.wall()).await;
        evidence.gathered_at = self.clock.of_wall(evidence.gathered_at);
        let event = match question.about {
            About::Incident(incident, step) => {
                Event::Answered { incident, step, evidence, presence: Vec::new() }
            }
            About::Observation(observation) => Event::Vouched { observation, evidence },
            About::Unmentioned(episodes) => Event::RulesPolled { episodes, evidence },
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

fn subject(run: &Run) -> act::Subject {
    let order = &run.order.id;
    let leading = run.alerts.first().map(|(alert, _)| alert);
    act::Subject {
        incident: order.incident.to_string(),
        attempt: order.attempt,
        policy: run.policy.to_string(),
        remedy: order.remedy.to_string(),
        receiver: leading.map(|alert| alert.receiver.to_string()).unwrap_or_default(),
        external_url: leading.map(|alert| alert.external_url.to_string()).unwrap_or_default(),
        group_labels: leading.map(|alert| map(&alert.group_labels)).unwrap_or_default(),
        alerts: run
            .alerts
            .iter()
            .map(|(alert, ended_at)| subject_alert(alert, *ended_at))
            .collect(),
    }
}

fn subject_alert(alert: &Alert, ended_at: Option<Timestamp>) -> act::SubjectAlert {
    let time = |at: Timestamp| jiff::Timestamp::from_microsecond(at.micros()).ok();
    act::SubjectAlert {
        status: if ended_at.is_some() { Status::Resolved } else { Status::Firing },
        fingerprint: alert.fingerprint.to_string(),
        labels: map(&alert.labels),
        annotations: map(&alert.annotations),
        starts_at: alert.starts_at.and_then(time),
        ends_at: ended_at.and_then(time),
        generator_url: alert.generator_url.to_string(),
    }
}

fn map(labels: &LabelSet) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn outcome_of(outcome: act::Outcome) -> Outcome {
    match outcome {
        act::Outcome::Exited { code } => Outcome::Exited { code },
        act::Outcome::Signalled { signal } => Outcome::Signalled { signal },
        act::Outcome::TimedOut => Outcome::TimedOut,
        act::Outcome::Cancelled => Outcome::Cancelled,
        act::Outcome::Done => Outcome::Done,
        act::Outcome::Failed { reason } => Outcome::Failed { reason },
        act::Outcome::Answered { status, expected } => Outcome::Answered { status, expected },
        act::Outcome::Refused { reason } => match reason {
            act::Refusal::Nul { .. }
            | act::Refusal::TooLong { .. }
            | act::Refusal::TooMuch { .. }
            | act::Refusal::Collision { .. }
            | act::Refusal::NoRequest { .. } => Outcome::Refused { reason: reason.to_string() },
            act::Refusal::OrderName { .. }
            | act::Refusal::NoProgram
            | act::Refusal::Storage { .. }
            | act::Refusal::Spawn { .. }
            | act::Refusal::NoHandler { .. }
            | act::Refusal::Reconfigured
            | act::Refusal::NotSent { .. }
            | act::Refusal::Cancelled => Outcome::NotStarted { reason: reason.to_string() },
        },
        act::Outcome::Unknown { reason } => Outcome::Unknown { reason: reason.to_string() },
    }
}
