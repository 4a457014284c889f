//! Shows what happened: every fact that a person would want to know as a log line, and all of
//! them as metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use homeostat_core::alert::Ending;
use homeostat_core::approval::{Over, StandingApproval};
use homeostat_core::command::Command;
use homeostat_core::configuration::Configuration;
use homeostat_core::engine::Engine;
use homeostat_core::fact::{Fact, What};
use homeostat_core::incident::{Closing, End};
use homeostat_core::ledger::Pause;
use homeostat_core::name::{IncidentId, OrderId, Part, PolicyName, title};
use homeostat_core::order::Order;
use homeostat_core::policy::Book;
use homeostat_core::shadow::Scores;
use homeostat_core::state::State;
use homeostat_core::time::Timestamp;
use parking_lot::RwLock;
use tracing::{debug, error, info, warn};

use crate::telemetry::Metrics;

/// Gauges are counted anew at most this often: they look at every open incident.
const GAUGES_EVERY: Duration = Duration::from_millis(250);

/// Alerts that fire or have resolved, or incidents that open or close, in one group, of which each has a
/// line of its own.
const CROWD: usize = 10;

/// How things stand, for readers.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Who paused, and why.
    pub paused: Option<Pause>,
    /// Alerts that fire.
    pub alerts_active: usize,
    /// Incidents that are open, by state.
    pub incidents_open: BTreeMap<String, usize>,
    /// The policies in force.
    pub book: Arc<Book>,
    /// What remedies in shadow would have been worth.
    pub scores: Arc<Scores>,
    /// What people have approved ahead.
    pub approvals: Vec<Arc<StandingApproval>>,
}

/// Turns facts into log lines and metrics.
#[derive(Debug)]
pub(super) struct Observer {
    metrics: Arc<Metrics>,
    /// What is needed of incidents that are open.
    known: BTreeMap<IncidentId, Known>,
    gauged_at: Option<Instant>,
    standing: Arc<RwLock<Standing>>,
}

#[derive(Debug)]
struct Known {
    policy: PolicyName,
    opened_at: Timestamp,
}

/// How many orders run.
pub(super) fn running(state: &State) -> usize {
    state.incidents().filter(|incident| incident.is_acting()).count()
}

impl Observer {
    pub(super) fn new(metrics: Arc<Metrics>, engine: &Engine) -> Self {
        let open = engine.state().incidents().filter(|incident| !incident.is_closed());
        let known = open.map(|incident| {
            let policy = incident.policy.clone();
            (incident.id, Known { policy, opened_at: incident.opened_at })
        });
        let standing = Arc::new(RwLock::new(stand(engine)));
        Self { metrics, known: known.collect(), gauged_at: None, standing }
    }

    pub(super) fn standing(&self) -> Arc<RwLock<Standing>> {
        self.standing.clone()
    }

    /// Shows what was committed.
    pub(super) fn show(&mut self, facts: &[Fact], engine: &Engine, queued: usize) {
        for fact in facts {
            self.count(fact);
        }
        tell(facts);
        self.metrics.set_queue_length(queued);
        let commanded = facts.iter().any(|fact| is_shown_at_once(&fact.what));
        if commanded || self.gauged_at.is_none_or(|at| at.elapsed() >= GAUGES_EVERY) {
            self.gauged_at = Some(Instant::now());
            self.gauge(engine);
        }
    }

    fn count(&mut self, fact: &Fact) {
        match &fact.what {
            What::IncidentOpened { incident, policy, .. } => {
                let known = Known { policy: policy.clone(), opened_at: fact.at };
                self.known.insert(*incident, known);
            }
            What::EpisodeEnded { ending: Ending::Absent { .. }, .. } => {
                self.metrics.reconciled("ended", 1);
            }
            What::OrderHeld { incident, holds, .. } => {
                let policy = self.policy(*incident);
                for hold in holds {
                    self.metrics.held(policy, hold.guard().as_str());
                }
            }
            What::OrderEnded { order, ended } => {
                let seconds = ended.started_at.map(|at| fact.at.since(at).as_secs_f64());
                let result = ended.outcome.as_str();
                let policy = self.policy(order.incident);
                let remedy = match order.part {
                    Part::Heal => order.remedy.to_string(),
                    Part::Undo => title(&order.remedy, order.part),
                };
                self.metrics.order_ended(policy, &remedy, result, seconds);
            }
            What::IncidentCommanded { incident, command, missing, .. } => {
                let answer = match command {
                    Command::Approve if *missing > 0 => "counted",
                    Command::Approve => "approved",
                    Command::Reject => "rejected",
                    Command::Cancel | Command::Retry => return,
                };
                self.metrics.answered(self.policy(*incident), answer);
            }
            What::OrderIssued { order: Order { id, standing: Some(_), .. } } => {
                self.metrics.answered(self.policy(id.incident), "standing");
            }
            What::ShadowJudged { policy, remedy, worth, .. } => {
                self.metrics.shadow_judged(policy.as_str(), remedy.as_str(), worth.as_str());
            }
            What::IncidentClosed { incident, closing, .. } => {
                let Some(Known { policy, opened_at }) = self.known.remove(incident) else { return };
                self.metrics.incident_closed(policy.as_str(), closing.outcome.as_str());
                if closing.outcome == End::Healed {
                    let seconds = fact.at.since(opened_at).as_secs_f64();
                    self.metrics.healed(policy.as_str(), seconds);
                }
            }
            What::ClockJumped { .. } => self.metrics.clock_jumped(),
            _ => {}
        }
    }

    fn policy(&self, incident: IncidentId) -> &str {
        self.known.get(&incident).map_or("", |known| known.policy.as_str())
    }

    fn gauge(&self, engine: &Engine) {
        let state = engine.state();
        let mut open: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
        for incident in state.incidents().filter(|incident| !incident.is_closed()) {
            let key = (incident.policy.to_string(), incident.stage.as_str());
            *open.entry(key).or_default() += 1;
        }
        *self.standing.write() = stand(engine);
        self.metrics.set_incidents_open(open);
        self.metrics.set_alerts_active(state.count_firing());
        self.metrics.set_orders_running(running(state));
        self.metrics.set_paused(state.ledgers().paused.is_some());
        self.metrics.set_standing_approvals(state.approvals().iter().len());
    }
}

fn stand(engine: &Engine) -> Standing {
    let state = engine.state();
    let mut incidents_open: BTreeMap<String, usize> = BTreeMap::new();
    for incident in state.incidents().filter(|incident| !incident.is_closed()) {
        *incidents_open.entry(incident.stage.as_str().to_owned()).or_default() += 1;
    }
    Standing {
        paused: state.ledgers().paused.clone(),
        alerts_active: state.count_firing(),
        incidents_open,
        book: engine.book().clone(),
        scores: Arc::new(state.ledgers().scores.clone()),
        approvals: state.approvals().iter().cloned().collect(),
    }
}

/// Whether an operator waits to see this, or nothing may follow that would show it.
fn is_shown_at_once(what: &What) -> bool {
    matches!(
        what,
        What::EnginePaused { .. }
            | What::EngineResumed { .. }
            | What::IncidentCommanded { .. }
            | What::ApprovalStands { .. }
            | What::ApprovalEnded { .. }
            | What::OrderIssued { order: Order { standing: Some(_), .. } }
            | What::BookChanged
            | What::ShadowJudged { .. }
    )
}

/// Writes what a person would want to know of one group. Of a crowd, one line says how large it is, and
/// the lines of its alerts and incidents are for who looks closer.
fn tell(facts: &[Fact]) {
    let (mut fire, mut resolved, mut opened, mut closed) = (0, 0, 0, 0);
    for fact in facts {
        match &fact.what {
            What::EpisodeBegan { .. } => fire += 1,
            What::EpisodeEnded { ending: Ending::Resolved { .. }, .. } => resolved += 1,
            What::IncidentOpened { .. } => opened += 1,
            What::IncidentClosed { .. } => closed += 1,
            _ => {}
        }
    }
    let is_crowd = [fire, resolved, opened, closed].into_iter().any(|count| count > CROWD);
    if is_crowd {
        info!(
            fire,
            resolved, opened, closed, "alerts fire or resolved, incidents opened or closed"
        );
    }
    for fact in facts {
        log(fact, is_crowd);
    }
}

/// Writes a line at `info`; of a crowd, at `debug`.
macro_rules! one_of {
    ($is_crowd:expr, $($line:tt)*) => {
        if $is_crowd { debug!($($line)*) } else { info!($($line)*) }
    };
}

/// Writes one line for what a person would want to know.
fn log(fact: &Fact, is_crowd: bool) {
    match &fact.what {
        What::EpisodeBegan { episode, alert, .. } => one_of!(
            is_crowd, %episode, source = %alert.source, alertname = alert.name(), labels = %alert.labels,
            fingerprint = %alert.fingerprint, "alert fires"
        ),
        What::EpisodeEnded { episode, ending: Ending::Resolved { .. } } => {
            one_of!(is_crowd, %episode, "alert resolved");
        }
        What::EpisodeEnded { episode, ending: Ending::Superseded } => {
            info!(%episode, "alert fires again since a later time");
        }
        What::EpisodeEnded { episode, ending: Ending::Absent { since } } => {
            info!(%episode, %since, "alert is over: whoever should know it does not name it");
        }
        What::EpisodeEnded { episode, ending: Ending::Lapsed } => {
            warn!(%episode, "alert lapsed: its source stopped mentioning it");
        }
        What::IncidentOpened { incident, policy, target, relapse_of, .. } => {
            let relapse_of = relapse_of.map(|id| id.0);
            one_of!(is_crowd, %incident, %policy, %target, relapse_of, "incident opened");
        }
        What::OrderHeld { incident, remedy, part, holds, .. } => {
            let holds: Vec<String> = holds.iter().map(ToString::to_string).collect();
            let order = title(remedy, *part);
            info!(%incident, %remedy, order, reason = holds.join("; "), "order held");
        }
        What::RemedyShadowed { incident, remedy, action, .. } => {
            info!(%incident, %remedy, %action, "remedy shadowed");
        }
        What::ShadowJudged { incident, policy, remedy, worth, after } => {
            info!(%incident, %policy, %remedy, %worth, %after, "remedy in shadow judged");
        }
        What::OrderIssued { order } => issued(&order.id, &order.action.to_string(), "order issued"),
        What::OrderReissued { order } => {
            issued(&order.id, &order.action.to_string(), "order issued again");
        }
        What::ApprovalAsked { incident, asked, .. } => warn!(
            %incident, remedy = %asked.order.remedy, action = %asked.action,
            expires_at = %asked.expires_at, "approval asked"
        ),
        What::ApprovalVoided { incident, reason } => info!(%incident, reason, "approval void"),
        What::IncidentCommanded { incident, command, by, reason, missing, .. } => {
            info!(%incident, %command, %by, reason, missing, "an operator commands");
        }
        What::ApprovalStands { approval } => info!(
            approval = %approval.id, incident = %approval.incident, policy = %approval.policy,
            remedy = %approval.remedy, target = %approval.target, uses = approval.uses,
            until = %approval.until, "approved ahead"
        ),
        What::ApprovalEnded { approval, why: why @ Over::Expired } => {
            info!(%approval, %why, "standing approval is over");
        }
        What::ApprovalEnded { approval, why } => {
            warn!(%approval, %why, "standing approval is void");
        }
        What::OrderCancelled { order, reason } => info!(%order, reason, "order cancelled"),
        What::OrderProgressed { order, text } => info!(%order, text, "order progressed"),
        What::Collected { order, moment, found } => {
            let troubles = found.iter().filter(|found| found.trouble.is_some()).count();
            info!(%order, moment = moment.as_str(), looks = found.len(), troubles, "looks taken");
        }
        What::RemedyGivenUp { incident, remedy, reason } => {
            info!(%incident, %remedy, reason, "remedy given up");
        }
        What::TurnedWorse { order, text, .. } => {
            warn!(%order, reason = text, "order made something else worse");
        }
        What::IncidentClosed { incident, closing, .. } => log_closing(*incident, closing, is_crowd),
        What::NoticeRaised { notice } => {
            let (policy, reason) = (&notice.policy, &notice.reason);
            warn!(topic = %notice.topic(), %policy, reason, "a person is needed");
        }
        What::NoticeWithheld { topic, open } => {
            error!(%topic, open, "a person is needed but too many notices are open");
        }
        What::NoticeTold { topic } => info!(%topic, "notice accepted"),
        What::StormBegan { policy, gauge, firing } => {
            warn!(%policy, firing, inventory = gauge.inventory, "a storm began");
        }
        What::StormEnded { policy } => info!(%policy, "the storm is over"),
        What::ClockJumped { jump } => warn!(
            from = %jump.expected, to = %jump.wall, engine = %jump.to, "{jump}"
        ),
        What::EnginePaused { pause } => warn!(by = %pause.by, reason = pause.reason, "paused"),
        What::EngineResumed { by, reason } => info!(%by, reason, "resumed"),
        What::ConfigurationLoaded { configuration } => {
            let Configuration { files, occasion, by, .. } = configuration;
            let (occasion, by) = (occasion.as_str(), by.as_ref().map(ToString::to_string));
            let files: Vec<String> =
                files.iter().map(|file| format!("{} {}", file.sha256, file.name)).collect();
            info!(files = files.join(", "), occasion, by, "configuration in force");
        }
        What::WatchdogSeen { watchdog } => info!(%watchdog, "watchdog is heard of again"),
        what => log_owner(what, is_crowd),
    }
}

/// Writes how an incident closed.
fn log_closing(incident: IncidentId, closing: &Closing, is_crowd: bool) {
    let Closing { outcome, reason, .. } = closing;
    match outcome {
        End::Escalated => warn!(%incident, reason = &**reason, "incident escalated"),
        End::Healed | End::Recovered | End::Shadowed | End::Rejected | End::Cancelled => {
            one_of!(is_crowd, %incident, %outcome, reason = &**reason, "incident closed");
        }
    }
}

/// Writes what was told of whose it is what an alert is about.
fn log_owner(what: &What, is_crowd: bool) {
    match what {
        What::OwnerFound { episode, of, owner } => {
            one_of!(is_crowd, %episode, asked = %of, %owner, "owner told");
        }
        What::OwnerMissed { episode, of, why, again } => {
            let again = again.map(|at| at.to_string());
            warn!(%episode, asked = %of, reason = &**why, again, "owner not told");
        }
        _ => {}
    }
}

fn issued(order: &OrderId, action: &str, message: &str) {
    info!(%order, incident = %order.incident, action, "{message}");
}
