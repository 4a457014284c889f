//! Which remedies fit which alerts: policies, and the book that holds them all.
//!
//! A policy is meaning, not text: the configuration has checked it. The book tells which policies
//! take an alert without looking at each: policies that require one `alertname` are found by it.

mod about;
mod approval;
mod guard;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Door};
use crate::collect::Collector;
use crate::errand::ErrandTemplate;
use crate::label::{LabelSet, Matcher, Matchers};
use crate::limits::{self, defaults};
use crate::name::{HandlerName, PolicyName, RemedyName, SourceName, TeamName};
use crate::request::RequestTemplate;
use crate::template::Template;
use crate::time::Span;

pub use about::About;
pub use approval::{Approval, Approvers, Granted};
pub use guard::{BlastRadius, Breaker, Damping, Extent, GuardLimits, Managed, Rate, Watchdog};
pub use target::{Lacks, Picked, Target, TargetLabels};

/// How far a policy or a remedy is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Records what would have been done.
    Shadow,
    /// Asks a person before each run.
    Approve,
    /// Acts.
    Auto,
}

impl Mode {
    /// Returns the mode as it stands in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Approve => "approve",
            Self::Auto => "auto",
        }
    }

    /// Tells whether anything may be done in this mode, be it that a person agrees first.
    pub fn may_act(self) -> bool {
        match self {
            Self::Shadow => false,
            Self::Approve | Self::Auto => true,
        }
    }
}

/// What a running action gets when all alerts have resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnResolve {
    /// Nothing: it finishes.
    Finish,
    /// A signal to end.
    Signal,
}

impl OnResolve {
    /// Returns the word as it stands in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finish => "finish",
            Self::Signal => "signal",
        }
    }
}

/// What a remedy does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Runs a program with arguments; no shell.
    Exec(Vec<Template>),
    /// Runs a script by `/bin/sh`; the alert comes as environment.
    Script(Arc<str>),
    /// Sends a request to a web service.
    Http(Box<RequestTemplate>),
    /// Calls a handler that the program was built with.
    Call(HandlerName),
    /// Asks one of the hands.
    Errand(Box<ErrandTemplate>),
}

impl Action {
    /// Tells whether the alert is told to it otherwise than by what is rendered, and by nothing else: by
    /// its environment, or as a value.
    pub fn is_told_the_alert(&self) -> bool {
        match self {
            Self::Exec(argv) => argv.iter().all(|element| !element.source().contains('{')),
            Self::Script(_) | Self::Call(_) => true,
            Self::Http(_) | Self::Errand(_) => false,
        }
    }
}

/// The action that takes back what a remedy did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// What it does.
    pub action: Action,
    /// A run longer than this is ended.
    pub timeout: Span,
}

/// One rung of the ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// Its name, unique in the policy.
    pub name: RemedyName,
    /// The stricter of its own and the policy's mode.
    pub mode: Mode,
    /// Whose word a run needs, where the mode asks for it.
    pub approval: Approval,
    /// Tells all that the configuration says of it from any other: what has another one is another
    /// remedy, though it has the same name.
    pub definition: Arc<str>,
    /// What it does.
    pub action: Action,
    /// A run longer than this is ended.
    pub timeout: Span,
    /// How often a known failure is tried again.
    pub retries: u32,
    /// The pause before a first retry, doubled for each further one.
    pub backoff: Span,
    /// Whether running it twice does no harm, so that an unknown outcome may be run again.
    pub idempotent: bool,
    /// How it is taken back when it made things worse.
    pub undo: Option<Undo>,
    /// What is looked at before its first run, and when an incident that it ends with closes.
    pub collect: Vec<Collector>,
}

/// How a healing is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verify {
    /// How long to wait for the proof.
    pub within: Span,
    /// PromQL that holds when the trouble is gone.
    pub query: Option<Template>,
    /// Time between two looks.
    pub every: Span,
    /// How often in a row the query must hold.
    pub times: u32,
    /// What rules remember for longer than this is not waited for.
    pub patience: Span,
    /// Whether a target that is gone is healed.
    pub vanishes: bool,
}

/// What follows when a remedy made things worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worse {
    /// A person is told.
    Tell,
    /// A person is told, and the remedy is taken back.
    Undo,
}

/// What a remedy must not make worse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regression {
    /// Alerts of the same target that must not begin to fire.
    pub matchers: Matchers,
    /// What follows if one does.
    pub worse: Worse,
}

/// The limits of the whole book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookLimits {
    /// Orders that run at once.
    pub concurrency: u32,
    /// Orders in a time.
    pub rate: Rate,
}

impl Default for BookLimits {
    fn default() -> Self {
        Self {
            concurrency: defaults::BOOK_CONCURRENCY,
            rate: Rate { max: defaults::BOOK_RATE_MAX, per: defaults::BOOK_RATE_PER },
        }
    }
}

/// The limits of one team, beside those of the book and of its policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TeamLimits {
    /// Orders that run at once; `None`: no limit of its own.
    pub concurrency: Option<u32>,
    /// Orders in a time; `None`: no limit of its own.
    pub rate: Option<Rate>,
}

/// Whether and when a person is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Escalate {
    /// Nobody is told.
    Nobody,
    /// A person is told when healing stopped, or when an incident is open for `after`.
    After {
        /// Counted from the incident's opening.
        after: Span,
        /// The severity of the escalation's alert.
        severity: Arc<str>,
        /// What its notices carry for those who route them.
        carries: Carries,
    },
}

impl Escalate {
    /// Makes one whose notices carry nothing of the policy's own.
    pub fn after(after: Span, severity: &str) -> Self {
        Self::After { after, severity: severity.into(), carries: Carries::default() }
    }
}

/// What a policy puts on its notices, in file order. It counts more than what the alerts say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carries {
    /// Labels, by name. An empty value says that an alert's label of this name is not carried.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// Annotations, by name. An empty value says that an alert's is not carried.
    pub annotations: Vec<(Arc<str>, Arc<str>)>,
}

/// Which remedies fit which alerts, and under which limits they may run.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Its name, unique in the book.
    pub name: PolicyName,
    /// Whose it is, and what people should know of it.
    pub about: About,
    /// Which alerts it takes.
    pub matchers: Matchers,
    /// Which labels say what is to be healed.
    pub target: TargetLabels,
    /// How the owner of what an alert is about is asked for, where its labels are wanted.
    pub owner_of: Option<Box<ErrandTemplate>>,
    /// How far it is trusted.
    pub mode: Mode,
    /// How long an alert must fire before anything is done (`for`).
    pub settle: Span,
    /// The ladder, in order.
    pub remedies: Vec<Remedy>,
    /// The Prometheuses that may be its witnesses; `None` for all.
    pub sources: Option<Vec<SourceName>>,
    /// How a healing is proven.
    pub verify: Verify,
    /// What its remedies must not make worse.
    pub regression: Option<Regression>,
    /// What is looked at before the first act, and when an incident closes.
    pub collect: Vec<Collector>,
    /// The limits of its guards.
    pub guard: GuardLimits,
    /// Who may approve.
    pub approvers: Approvers,
    /// Whether and when a person is told.
    pub escalate: Escalate,
    /// What a running action gets when all alerts have resolved.
    pub on_resolve: OnResolve,
    /// Whether policies after this one may take the alert too.
    pub continues: bool,
    /// The same trouble again within this is a relapse.
    pub relapse: Span,
    /// A webhook alert unseen for this long has lapsed.
    pub lapse: Span,
}

impl Policy {
    /// Makes the policy that stands in where no configuration is given: it shadows every alert.
    pub fn observe() -> Self {
        Self {
            name: PolicyName::new("observe"),
            about: About::default(),
            matchers: Matchers::default(),
            target: TargetLabels::All,
            owner_of: None,
            mode: Mode::Shadow,
            settle: Span::ZERO,
            remedies: Vec::new(),
            sources: None,
            verify: Verify {
                within: defaults::VERIFY_WITHIN_WEBHOOK,
                query: None,
                every: defaults::VERIFY_EVERY,
                times: defaults::VERIFY_TIMES,
                patience: defaults::VERIFY_PATIENCE,
                vanishes: false,
            },
            regression: None,
            collect: Vec::new(),
            guard: GuardLimits {
                cooldown: defaults::COOLDOWN,
                rate: Rate { max: defaults::POLICY_RATE_MAX, per: defaults::POLICY_RATE_PER },
                concurrency: defaults::POLICY_CONCURRENCY,
                locks: Vec::new(),
                attempts: 1,
                fresh_max_age: defaults::FRESH_MAX_AGE,
                freeze: Vec::new(),
                watchdog: None,
                flap: None,
                breaker: Some(Breaker::default()),
                blast_radius: None,
                storm: None,
                dry_run: true,
                managed: Managed::Ask,
            },
            approvers: Approvers::Anybody,
            escalate: Escalate::Nobody,
            on_resolve: OnResolve::Finish,
            continues: false,
            relapse: defaults::RELAPSE,
            lapse: defaults::LAPSE,
        }
    }

    /// Returns the one name that its alerts have, if its matchers require one.
    pub fn alertname(&self) -> Option<&str> {
        let required = self.matchers.iter().filter_map(Matcher::equality);
        required.into_iter().find(|(name, _)| *name == "alertname").map(|(_, value)| value)
    }

    /// Returns the rung of this name.
    pub fn remedy(&self, name: &RemedyName) -> Option<&Remedy> {
        self.remedies.iter().find(|remedy| remedy.name == *name)
    }
}

/// A Prometheus that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrometheusWitness {
    /// Its name.
    pub name: SourceName,
    /// Labels that an alert must have for it to be the alert's witness.
    pub labels: LabelSet,
}

impl PrometheusWitness {
    /// Makes one that may be the witness of any alert.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self { name: SourceName::new(name), labels: LabelSet::default() }
    }

    fn may_see(&self, labels: &LabelSet) -> bool {
        self.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    }
}

/// Whom the engine may ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// Sources whose alerts can be looked up in their own Alertmanager.
    pub alertmanagers: BTreeSet<SourceName>,
    /// Sources of notifications that are named without being an Alertmanager that can be asked.
    pub webhooks: BTreeSet<SourceName>,
    /// The Prometheuses that can be asked for rules and queries, in file order.
    pub prometheuses: Vec<PrometheusWitness>,
}

impl Witnesses {
    /// Returns the Prometheuses that may be witnesses of an alert with these labels, under a policy.
    pub fn of_alert(&self, policy: &Policy, labels: &LabelSet) -> Vec<SourceName> {
        let able = self.of_policy(policy).filter(|known| known.may_see(labels));
        able.map(|known| known.name.clone()).collect()
    }

    /// Returns the Prometheuses that may be witnesses of an alert with these labels.
    pub fn of_labels(&self, labels: &LabelSet) -> Vec<SourceName> {
        let able = self.prometheuses.iter().filter(|known| known.may_see(labels));
        able.map(|known| known.name.clone()).collect()
    }

    /// Returns whom a policy's queries are asked of, for an alert with these labels: the first that may
    /// be its witness; `None` where no Prometheus is configured at all.
    pub fn asked(&self, policy: &Policy, labels: Option<&LabelSet>) -> Option<SourceName> {
        let nothing = LabelSet::default();
        let able = self.of_alert(policy, labels.unwrap_or(&nothing)).into_iter().next();
        // Of another cluster, a query would be answered about what has the same names there.
        (!self.prometheuses.is_empty()).then(|| able.unwrap_or_else(|| SourceName::new("")))
    }

    /// Returns the Prometheuses that may be asked under a policy.
    pub fn of_policy(&self, policy: &Policy) -> impl Iterator<Item = &PrometheusWitness> {
        let named = policy.sources.clone();
        self.prometheuses
            .iter()
            .filter(move |known| named.as_ref().is_none_or(|named| named.contains(&known.name)))
    }
}

impl Witnesses {
    /// Tells whether an alert came by a hook that nobody has named although somebody is named: its
    /// sender is taken in, and nobody can vouch for it.
    pub fn is_stranger(&self, alert: &Alert) -> bool {
        alert.door == Door::Webhook && self.is_unnamed(&alert.source)
    }

    /// Tells whether a hook has a name that the configuration does not have, although it names
    /// somebody. The bare hook always has one: that of the first Alertmanager, else its own.
    pub fn is_unnamed(&self, hook: &SourceName) -> bool {
        let nobody = self.alertmanagers.is_empty()
            && self.webhooks.is_empty()
            && self.prometheuses.is_empty();
        let is_bare = self.alertmanagers.is_empty() && hook.as_str() == SourceName::BARE;
        let is_named = self.alertmanagers.contains(hook) || self.webhooks.contains(hook);
        !(nobody || is_bare || is_named)
    }
}

/// When sources are asked for all of their alerts, and when their silence counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polling {
    /// How often.
    pub every: Span,
    /// An Alertmanager that runs for less than this may not have heard of every alert.
    pub young: Span,
}

impl Default for Polling {
    fn default() -> Self {
        Self { every: limits::POLL_EVERY, young: limits::YOUNG_ALERTMANAGER }
    }
}

/// All policies, in file order, and how to find those that take an alert.
#[derive(Debug, Clone)]
pub struct Book {
    policies: Vec<Policy>,
    /// The limits of all policies together.
    pub limits: BookLimits,
    /// The limits of teams that have some.
    pub teams: BTreeMap<TeamName, TeamLimits>,
    /// Whom the engine may ask.
    pub witnesses: Witnesses,
    /// When sources are asked for all of their alerts.
    pub polling: Polling,
    watchdogs: BTreeMap<Arc<str>, Matchers>,
    by_name: BTreeMap<PolicyName, usize>,
    by_alertname: BTreeMap<String, Vec<usize>>,
    for_any_alertname: Vec<usize>,
    /// How many there are to share what is for all: teams, and policies that are nobody's.
    sharing: u32,
}

impl Book {
    /// Binds policies into a book. Their names are unique, as the configuration has checked.
    pub fn new(policies: Vec<Policy>, limits: BookLimits, witnesses: Witnesses) -> Self {
        let mut by_alertname: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut for_any_alertname = Vec::new();
        for (position, policy) in policies.iter().enumerate() {
            match policy.alertname() {
                Some(alertname) => {
                    by_alertname.entry(alertname.into()).or_default().push(position);
                }
                None => for_any_alertname.push(position),
            }
        }
        let by_name = policies.iter().enumerate().map(|(i, p)| (p.name.clone(), i)).collect();
        let watchdogs = watchdogs(&policies);
        let polling = Polling::default();
        let acting = policies.iter().filter(|policy| policy.mode.may_act());
        let sharing = acting.map(|policy| match &policy.about.team {
            Some(team) => (Some(team), None),
            None => (None, Some(&policy.name)),
        });
        let sharing = sharing.collect::<BTreeSet<_>>().len();
        Self {
            policies,
            limits,
            teams: BTreeMap::new(),
            witnesses,
            polling,
            watchdogs,
            by_name,
            by_alertname,
            for_any_alertname,
            sharing: u32::try_from(sharing).unwrap_or(u32::MAX),
        }
    }

    /// Returns how much of what all policies share is kept for those that took little of it, and how
    /// much of that is the part of one, be it a team or a policy that is nobody's; `None` where there is nobody to share with, or too little.
    pub fn kept_of(&self, max: u32) -> Option<(u32, u32)> {
        let others = self.sharing.checked_sub(1).filter(|others| *others > 0)?;
        let kept = Some(max / limits::KEPT_PART).filter(|kept| *kept > 0)?;
        Some((kept, (kept / others).max(1)))
    }

    /// Returns the limits of the team whose policy this is.
    pub fn team_of<'a>(&self, policy: &'a Policy) -> Option<(&'a TeamName, TeamLimits)> {
        let team = policy.about.team.as_ref()?;
        Some((team, self.teams.get(team).copied().unwrap_or_default()))
    }

    /// Returns the watchdogs of all policies that have different matchers, by key, bounded in
    /// number: a policy whose watchdog is left out waits for ever.
    pub fn watchdogs(&self) -> &BTreeMap<Arc<str>, Matchers> {
        &self.watchdogs
    }

    /// Makes the book that stands in where no configuration is given.
    pub fn observe() -> Self {
        Self::new(vec![Policy::observe()], BookLimits::default(), Witnesses::default())
    }

    /// Returns the identities and groups by which anybody may approve anything.
    pub fn approvers(&self) -> BTreeSet<&str> {
        let granted = self.policies.iter().flat_map(|policy| match &policy.approvers {
            Approvers::Anybody => &[][..],
            Approvers::Granted(granted) => granted,
        });
        let remedies = self.policies.iter().flat_map(|policy| &policy.remedies);
        let narrowed = remedies.filter_map(|remedy| remedy.approval.by.as_deref());
        let all = granted.map(|granted| &*granted.who).chain(narrowed);
        all.flatten().map(|who| &**who).collect()
    }

    /// Returns all policies in file order.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// Lists the policies that are somebody's, and whose.
    pub fn teams<'a>(&'a self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let named =
            |policy: &'a Policy| Some((policy.name.as_str(), policy.about.team.as_ref()?.as_str()));
        self.policies.iter().filter_map(named)
    }

    /// Returns the policy of this name.
    pub fn policy(&self, name: &PolicyName) -> Option<&Policy> {
        self.by_name.get(name).map(|&position| &self.policies[position])
    }

    /// Returns the policies that take an alert: the first that matches, and those after it as
    /// long as each says `continue`.
    pub fn taking(&self, labels: &LabelSet) -> Vec<&Policy> {
        let named = labels.get("alertname").and_then(|name| self.by_alertname.get(name));
        let mut named = named.map_or(&[][..], Vec::as_slice).iter().peekable();
        let mut any = self.for_any_alertname.iter().peekable();
        let mut taking = Vec::new();
        loop {
            let from_named = match (named.peek(), any.peek()) {
                (None, None) => return taking,
                (Some(a), Some(b)) => a < b,
                (Some(_), None) => true,
                (None, Some(_)) => false,
            };
            let Some(&position) = (if from_named { named.next() } else { any.next() }) else {
                return taking;
            };
            let policy = &self.policies[position];
            if policy.matchers.matches(labels) {
                taking.push(policy);
                if !policy.continues {
                    return taking;
                }
            }
        }
    }
}

fn watchdogs(policies: &[Policy]) -> BTreeMap<Arc<str>, Matchers> {
    let mut watchdogs = BTreeMap::new();
    for watchdog in policies.iter().filter_map(|policy| policy.guard.watchdog.as_ref()) {
        let key = watchdog.key();
        if watchdogs.len() < limits::WATCHDOGS || watchdogs.contains_key(&key) {
            watchdogs.insert(key, watchdog.matchers.clone());
        }
    }
    watchdogs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::Fingerprint;

    fn alert(source: &str, door: Door) -> Alert {
        Alert {
            source: SourceName::new(source),
            door,
            fingerprint: Fingerprint(1),
            labels: LabelSet::default(),
            annotations: LabelSet::default(),
            starts_at: None,
            generator_url: "".into(),
            receiver: "".into(),
            external_url: "".into(),
            group_labels: LabelSet::default(),
        }
    }

    #[test]
    fn a_stranger_is_who_is_not_named_where_somebody_is() {
        let names = |names: &[&str]| names.iter().map(|name| SourceName::new(*name)).collect();
        let all = ["main", "grafana", "alertmanager", "other", "new"];
        for (alertmanagers, webhooks, prometheus, strangers) in [
            (&[][..], &[][..], false, &[][..]),
            (&["main"], &["grafana"], true, &["alertmanager", "other", "new"]),
            (&[], &["grafana"], false, &["main", "other", "new"]),
            (&[], &[], true, &["main", "grafana", "other", "new"]),
        ] {
            let witnesses = Witnesses {
                alertmanagers: names(alertmanagers),
                webhooks: names(webhooks),
                prometheuses: prometheus.then(|| PrometheusWitness::new("p")).into_iter().collect(),
            };
            let is_stranger = |name: &&str| witnesses.is_stranger(&alert(name, Door::Webhook));
            assert_eq!(all.into_iter().filter(is_stranger).collect::<Vec<_>>(), strangers);
            assert!(!witnesses.is_stranger(&alert("api", Door::Api)));
        }
    }
}
