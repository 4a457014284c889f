//! Every metric, by the names that are promised.
//!
//! Names of policies, remedies and sources become label values; each kind has a bound, beyond
//! which a name counts as `other`, so that a flood of names cannot become a flood of series. What is
//! counted by policy has the label `team`, too, where the policy says whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::classic;

/// Label values of one kind that are told apart; more than any book of policies has.
const NAMES: usize = 512;

/// What a name beyond [`NAMES`] counts as.
const OTHER: &str = "other";

/// Bounds of a commit's duration in seconds: from an idle disk to one that hangs.
const COMMIT_BUCKETS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Bounds of an order's duration in seconds: from a quick restart to a long rebuild.
const ORDER_BUCKETS: [f64; 12] =
    [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

/// Bounds of the time to heal in seconds.
const HEAL_BUCKETS: [f64; 12] =
    [1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 14_400.0];

type SecondsGauge = Gauge<f64, AtomicU64>;
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

macro_rules! labels {
    ($name:ident { $($field:ident),+ }) => {
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name { $($field: String),+ }
    };
}

labels!(Build { version, revision, branch });
labels!(BySourceAndResult { source, result });
labels!(ByChannelAndResult { channel, result });
labels!(BySourceAndStatus { source, status });
labels!(ByChange { change });
labels!(ByPolicyAndState { policy, state });
labels!(ByPolicyAndOutcome { policy, outcome });
labels!(ByPolicyRemedyAndResult { policy, remedy, result });
labels!(ByPolicyAndRemedy { policy, remedy });
labels!(ByPolicyAndGuard { policy, guard });
labels!(ByPolicyAndAnswer { policy, answer });
labels!(ByPolicy { policy });
labels!(ByResult { result });
labels!(ByReason { reason });

/// Whose a policy is: no label at all where it is nobody's in particular.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Team(Option<String>);

impl EncodeLabelSet for Team {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let labels: Vec<(&str, &str)> = self.0.iter().map(|team| ("team", &**team)).collect();
        labels.encode(encoder)
    }
}

/// All metrics, and the registry that prints them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    names: Mutex<BTreeMap<&'static str, BTreeSet<String>>>,
    /// Whose policies are, as far as they are somebody's.
    teams: Mutex<BTreeMap<String, String>>,
    /// Held while open incidents are replaced and while all is printed: no scrape sees a half.
    printing: Mutex<()>,
    reload_successful: Gauge,
    reload_at: SecondsGauge,
    notifications: Family<BySourceAndResult, Counter>,
    refusals: Family<ByReason, Counter>,
    claims: Counter,
    web_config: Gauge,
    alerts: Family<BySourceAndStatus, Counter>,
    polls: Family<BySourceAndResult, Counter>,
    reconciled: Family<ByChange, Counter>,
    alerts_active: Gauge,
    incidents_open: Family<(ByPolicyAndState, Team), Gauge>,
    shown_open: Mutex<BTreeSet<(String, Team, String)>>,
    incidents_closed: Family<(ByPolicyAndOutcome, Team), Counter>,
    orders: Family<(ByPolicyRemedyAndResult, Team), Counter>,
    order_duration: Histograms<(ByPolicyAndRemedy, Team)>,
    orders_running: Gauge,
    holds: Family<(ByPolicyAndGuard, Team), Counter>,
    approvals: Family<(ByPolicyAndAnswer, Team), Counter>,
    standing_approvals: Gauge,
    shadow: Family<(ByPolicyRemedyAndResult, Team), Counter>,
    time_to_heal: Histograms<(ByPolicy, Team)>,
    commit_duration: Histogram,
    facts: Counter,
    notices: Family<ByChannelAndResult, Counter>,
    queue_length: Gauge,
    journal_writable: Gauge,
    paused: Gauge,
    clock_jumps: Counter,
    leader: Gauge,
    runner_up: Gauge,
    runner_starts: Family<ByResult, Counter>,
    runner_lost: Counter,
}

/// Registers metrics under the prefix.
struct Shelf(Registry);

impl Shelf {
    fn put<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn add<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        self.put(name, help, M::default())
    }

    fn add_histograms<L>(&mut self, name: &str, help: &str, new: fn() -> Histogram) -> Histograms<L>
    where
        L: Clone + Hash + Eq,
        Histograms<L>: Metric,
    {
        self.put(name, help, Family::new_with_constructor(new))
    }
}

impl Metrics {
    /// Makes all metrics, at zero.
    ///
    /// `version`, `revision` and `branch` say which build runs.
    pub fn new(version: &str, revision: &str, branch: &str) -> Self {
        let mut shelf = Shelf(Registry::with_prefix("homeostat"));
        let build: Family<Build, Gauge> = shelf.add("build_info", "Which build runs; always 1");
        let [version, revision, branch] = [version, revision, branch].map(str::to_owned);
        build.get_or_create(&Build { version, revision, branch }).set(1);
        let reload_at = "config_last_reload_success_timestamp_seconds";
        Self {
            reload_successful: shelf.add(
                "config_last_reload_successful",
                "Whether the configuration was last read without an error",
            ),
            reload_at: shelf.add(reload_at, "When the configuration in force was read"),
            notifications: shelf.add("notifications_received", "Posts, by what became of them"),
            refusals: shelf.add("http_refusals", "Requests that were refused, by why"),
            web_config: shelf.add(
                "web_config_last_reload_successful",
                "Whether the web configuration could be put in force when it was last read",
            ),
            claims: shelf.add(
                "claims_differing",
                "Commands that came in another name than that of their sender",
            ),
            alerts: shelf.add("alerts_received", "Alerts in the posts that were taken"),
            polls: shelf
                .add("reconcile_polls", "Readings of all alerts of a source, by what it said"),
            reconciled: shelf
                .add("reconcile_alerts", "Alerts that began or ended without a notification"),
            alerts_active: shelf.add("alerts_active", "Alerts that fire now"),
            incidents_open: shelf.add("incidents_open", "Incidents that are open now"),
            incidents_closed: shelf.add("incidents_closed", "Incidents that closed"),
            orders: shelf.add("orders", "Runs of remedies that ended"),
            order_duration: shelf.add_histograms(
                "order_duration_seconds",
                "How long runs of remedies took",
                || Histogram::new(ORDER_BUCKETS),
            ),
            orders_running: shelf.add("orders_running", "Runs of remedies that go on now"),
            holds: shelf.add("holds", "Times that a guard held an order"),
            approvals: shelf
                .add("approvals", "Words about runs that wait for one, and runs approved ahead"),
            standing_approvals: shelf.add("standing_approvals", "What people have approved ahead"),
            shadow: shelf.add("shadow", "What remedies in shadow would have been worth"),
            time_to_heal: shelf.add_histograms(
                "time_to_heal_seconds",
                "From the opening of an incident until it was healed",
                || Histogram::new(HEAL_BUCKETS),
            ),
            commit_duration: shelf.put(
                "journal_commit_duration_seconds",
                "How long commits of the journal took",
                Histogram::new(COMMIT_BUCKETS),
            ),
            facts: shelf.add("journal_facts", "Facts committed"),
            notices: shelf.add("notices", "Tries to tell people, by what became of them"),
            queue_length: shelf.add("intake_queue_length", "Requests that wait for the engine"),
            journal_writable: shelf.add(
                "journal_writable",
                "Whether the journal can be written; if not, senders get 503",
            ),
            paused: shelf.add("paused", "Whether an operator paused"),
            clock_jumps: shelf.add("clock_jumps", "Jumps of the wall clock"),
            leader: shelf.add("leader", "Whether this replica decides"),
            runner_up: shelf.add("runner_up", "Whether the engine has a runner"),
            runner_starts: shelf.add("runner_starts", "Tries to start a runner"),
            runner_lost: shelf.add("runner_lost", "Runners that went away unasked"),
            registry: shelf.0,
            names: Mutex::default(),
            teams: Mutex::default(),
            printing: Mutex::default(),
            shown_open: Mutex::default(),
        }
    }

    /// Counts a notification of a source; `result` is one of few fixed words.
    pub fn notification(&self, source: &str, result: &str) {
        let labels =
            BySourceAndResult { source: self.name("source", source), result: result.into() };
        self.notifications.get_or_create(&labels).inc();
    }

    /// Counts a command that came in another name than that of its sender.
    pub fn claimed_another(&self) {
        self.claims.inc();
    }

    /// Says whether the web configuration could be put in force when it was last read.
    pub fn set_web_config_good(&self, good: bool) {
        self.web_config.set(i64::from(good));
    }

    /// Counts a request that was refused; `reason` is one of few fixed words.
    pub fn refused(&self, reason: &str) {
        self.refusals.get_or_create(&ByReason { reason: reason.into() }).inc();
    }

    /// Counts a jump of the wall clock.
    pub fn clock_jumped(&self) {
        self.clock_jumps.inc();
    }

    /// Counts notices of a channel; `result` is one of few fixed words.
    pub fn notices(&self, channel: &str, result: &str, count: u64) {
        let channel = self.name("channel", channel);
        let labels = ByChannelAndResult { channel, result: result.into() };
        self.notices.get_or_create(&labels).inc_by(count);
    }

    /// Counts alerts that were taken; `status` is one of few fixed words.
    pub fn alerts(&self, source: &str, status: &str, count: u64) {
        let labels =
            BySourceAndStatus { source: self.name("source", source), status: status.into() };
        self.alerts.get_or_create(&labels).inc_by(count);
    }

    /// Counts a reading of all alerts of a source; `result` is one of few fixed words.
    pub fn polled(&self, source: &str, result: &str) {
        let labels =
            BySourceAndResult { source: self.name("source", source), result: result.into() };
        self.polls.get_or_create(&labels).inc();
    }

    /// Counts alerts that no notification told; `change` is `began` or `ended`.
    pub fn reconciled(&self, change: &str, count: u64) {
        self.reconciled.get_or_create(&ByChange { change: change.into() }).inc_by(count);
    }

    /// Sets how many alerts fire.
    pub fn set_alerts_active(&self, alerts: usize) {
        self.alerts_active.set(whole(alerts));
    }

    /// Replaces the counts of open incidents by policy and state. Those that are not among them
    /// any more go to zero.
    pub fn set_incidents_open<P, S>(&self, counts: impl IntoIterator<Item = ((P, S), usize)>)
    where
        P: AsRef<str>,
        S: AsRef<str>,
    {
        let _whole = self.printing.lock();
        let mut open: BTreeMap<(String, Team, String), usize> = BTreeMap::new();
        for ((policy, state), count) in counts {
            let (policy, team) = self.policy(policy.as_ref());
            *open.entry((policy, team, state.as_ref().to_owned())).or_default() += count;
        }
        let mut shown = self.shown_open.lock();
        shown.extend(open.keys().cloned());
        for key in &*shown {
            let count = open.get(key).copied().unwrap_or(0);
            let (policy, team, state) = key.clone();
            let labels = (ByPolicyAndState { policy, state }, team);
            self.incidents_open.get_or_create(&labels).set(whole(count));
        }
    }

    /// Counts an incident that closed.
    pub fn incident_closed(&self, policy: &str, outcome: &str) {
        let (policy, team) = self.policy(policy);
        let labels = (ByPolicyAndOutcome { policy, outcome: outcome.into() }, team);
        self.incidents_closed.get_or_create(&labels).inc();
    }

    /// Counts a run that ended, with its duration where that is known.
    pub fn order_ended(&self, policy: &str, remedy: &str, result: &str, seconds: Option<f64>) {
        let (policy, team) = self.policy(policy);
        let remedy = self.name("remedy", remedy);
        if let Some(seconds) = seconds {
            let labels = ByPolicyAndRemedy { policy: policy.clone(), remedy: remedy.clone() };
            self.order_duration.get_or_create(&(labels, team.clone())).observe(seconds);
        }
        let labels = ByPolicyRemedyAndResult { policy, remedy, result: result.into() };
        self.orders.get_or_create(&(labels, team)).inc();
    }

    /// Sets how many runs go on.
    pub fn set_orders_running(&self, orders: usize) {
        self.orders_running.set(whole(orders));
    }

    /// Counts a hold.
    pub fn held(&self, policy: &str, guard: &str) {
        let (policy, team) = self.policy(policy);
        let labels = ByPolicyAndGuard { policy, guard: guard.into() };
        self.holds.get_or_create(&(labels, team)).inc();
    }

    /// Counts what a remedy in shadow would have been worth.
    pub fn shadow_judged(&self, policy: &str, remedy: &str, result: &str) {
        let ((policy, team), remedy) = (self.policy(policy), self.name("remedy", remedy));
        let labels = ByPolicyRemedyAndResult { policy, remedy, result: result.into() };
        self.shadow.get_or_create(&(labels, team)).inc();
    }

    /// Counts an answer to a question, or a run without one; `answer` is one of few fixed words.
    pub fn answered(&self, policy: &str, answer: &str) {
        let (policy, team) = self.policy(policy);
        let labels = ByPolicyAndAnswer { policy, answer: answer.into() };
        self.approvals.get_or_create(&(labels, team)).inc();
    }

    /// Says how much is approved ahead.
    pub fn set_standing_approvals(&self, approvals: usize) {
        self.standing_approvals.set(i64::try_from(approvals).unwrap_or(i64::MAX));
    }

    /// Counts a healing, and how long it took from the incident's opening.
    pub fn healed(&self, policy: &str, seconds: f64) {
        let (policy, team) = self.policy(policy);
        self.time_to_heal.get_or_create(&(ByPolicy { policy }, team)).observe(seconds);
    }

    /// Counts a commit, how long it took, and the facts in it.
    pub fn committed(&self, seconds: f64, facts: usize) {
        self.commit_duration.observe(seconds);
        self.facts.inc_by(facts as u64);
    }

    /// Sets how many requests wait for the engine.
    pub fn set_queue_length(&self, requests: usize) {
        self.queue_length.set(whole(requests));
    }

    /// Says whether the journal can be written.
    pub fn set_journal_writable(&self, writable: bool) {
        self.journal_writable.set(i64::from(writable));
    }

    /// Says whether an operator paused.
    pub fn set_paused(&self, paused: bool) {
        self.paused.set(i64::from(paused));
    }

    /// Says whether this replica decides.
    pub fn set_leader(&self, leader: bool) {
        self.leader.set(i64::from(leader));
    }

    /// Says whether the engine has a runner.
    pub fn set_runner_up(&self, up: bool) {
        self.runner_up.set(i64::from(up));
    }

    /// Counts a try to start a runner; `result` is one of few fixed words.
    pub fn runner_start(&self, result: &str) {
        self.runner_starts.get_or_create(&ByResult { result: result.into() }).inc();
    }

    /// Counts a runner that went away unasked.
    pub fn runner_lost(&self) {
        self.runner_lost.inc();
    }

    /// Notes a reading of the configuration, and when it was.
    pub fn reloaded(&self, successful: bool, unix_seconds: f64) {
        self.reload_successful.set(i64::from(successful));
        if successful {
            self.reload_at.set(unix_seconds);
        }
    }

    /// The content type of [`Metrics::print`].
    pub const CONTENT_TYPE: &str = classic::CONTENT_TYPE;

    /// Prints all metrics in the classic text format.
    pub fn print(&self) -> String {
        let _whole = self.printing.lock();
        let mut open_metrics = String::new();
        text::encode(&mut open_metrics, &self.registry)
            .expect("a String takes whatever is written");
        classic::from_open_metrics(&open_metrics)
    }

    /// Says whose policies are from now on: names of policies, and of their teams.
    pub fn set_teams<'a>(&self, teams: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let teams = teams.into_iter().map(|(policy, team)| (policy.to_owned(), team.to_owned()));
        *self.teams.lock() = teams.collect();
    }

    /// The label values for a policy: of its name, and of its team.
    fn policy(&self, policy: &str) -> (String, Team) {
        let name = self.name("policy", policy);
        let team = self.teams.lock().get(&name).cloned();
        (name, Team(team))
    }

    /// The label value for a name: itself, or `other` where too many are known already.
    fn name(&self, kind: &'static str, name: &str) -> String {
        let mut names = self.names.lock();
        let known = names.entry(kind).or_default();
        if known.contains(name) {
            return name.to_owned();
        }
        if known.len() >= NAMES {
            return OTHER.to_owned();
        }
        known.insert(name.to_owned());
        name.to_owned()
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
