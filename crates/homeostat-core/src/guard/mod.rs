//! May this remedy run on this target now?
//!
//! Every guard looks at one concrete deed and rules: clear, hold, or stop. A hold carries its
//! reason; a guard that would need evidence that nobody has gathered asks for it. All guards must
//! clear in the turn that issues the order, and only then is there a [`Permit`]: nothing else can
//! make one, and no order can be built without one.
//!
//! ```text
//!  deed ─> pause ─ freeze ─ watchdog ─ stranger ─ lock ─ cooldown ─ flap ─ rate ─ concurrency ─┐
//!   ┌───────────────────────────────────────────────────────────────────────────────────────────┘
//!   └─> breaker ─ attempts ─ blast radius ─> ask ─> fresh ─ silence ─ blast radius ─ storm ─ regression ─┐
//!   ┌────────────────────────────────────────────────────────────────────────────────────────────┘
//!   └─> dry run ─ approval ─> Permit;  or Hold { reason }, or Stop, by any of them
//! ```
//!
//! The guard `approval` is the last: a person is asked only for what all others would permit. Rate and
//! concurrency judge once one has agreed, because a question is no order.

pub mod account;
mod approval;
mod attempts;
mod blast_radius;
mod breaker;
mod concurrency;
mod cooldown;
mod dry_run;
mod flap;
mod freeze;
mod fresh;
mod inventory;
mod lock;
mod pause;
mod rate;
mod regression;
mod silence;
mod storm;
mod stranger;
mod undo;
mod watchdog;

pub use storm::Weather;
pub use undo::{Reversal, judge_undo};

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Presence};
use crate::approval::Consent;
use crate::evidence::{Ask, Evidence};
use crate::hold::{Guard, Hold, Stop};
use crate::ledger::{Charge, Ledgers};
use crate::name::IncidentId;
use crate::plan::{Ladder, LockKey, Rendered};
use crate::policy::{Book, Policy, Remedy, Target};
use crate::time::Timestamp;

/// What is about to be done, to whom, for which alerts.
#[derive(Debug, Clone)]
pub struct Deed<'a> {
    /// For which incident.
    pub incident: IncidentId,
    /// Under which policy.
    pub policy: &'a Policy,
    /// Which remedy.
    pub remedy: &'a Remedy,
    /// What it does, where that is rendered: an account is given without.
    pub action: Option<&'a Rendered>,
    /// To what.
    pub target: &'a Target,
    /// How far up the ladder the incident is.
    pub ladder: &'a Ladder,
    /// Whether the incident has issued an order before: its own retries and next remedies need
    /// not cool down.
    pub continues: bool,
    /// Whether this very run was permitted before, has taken its share of the rates, and certainly
    /// did not start.
    pub returned: bool,
    /// Healings in a row before this one that did not hold.
    pub unheld: u32,
    /// What it locks.
    pub locks: &'a [LockKey],
    /// Whether a person must agree, and whether one has.
    pub consent: Consent<'a>,
    /// Another incident of the policy whose approved run goes first.
    pub behind: Option<IncidentId>,
    /// The incident's alerts that fire, as far as we were told, bounded in number.
    pub firing: Vec<(&'a Alert, Presence)>,
    /// When the policy's watchdog was last mentioned, if it has one and it fires.
    pub watchdog: Option<Presence>,
    /// When.
    pub now: Timestamp,
    /// What the wall clock shows then: what is by the calendar, or stamped by others.
    pub wall: Timestamp,
}

/// What the guards judge by.
#[derive(Debug, Clone, Copy)]
pub struct Bench<'a> {
    /// What was done before.
    pub ledgers: &'a Ledgers,
    /// The limits of the whole book, and whom to ask.
    pub book: &'a Book,
}

/// What one guard says.
#[derive(Debug, Clone, PartialEq)]
enum Ruling {
    /// The policy does not ask this guard.
    Unset,
    /// Nothing speaks against it, because of this.
    Clear(String),
    /// Not now.
    Hold(Hold),
    /// Never for this incident.
    Stop(Stop),
    /// Not before a person has agreed.
    Unapproved,
}

/// Why a guard let an order pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Which guard.
    pub guard: Guard,
    /// Its reason.
    pub reason: String,
}

/// That all guards let this one deed pass, now. Only [`judge`] makes one.
#[derive(Debug)]
pub struct Permit {
    grants: Vec<Grant>,
    charges: Vec<Charge>,
}

impl Permit {
    /// Gives up the permit for its reasons and what is to be charged.
    pub fn spend(self) -> (Vec<Grant>, Vec<Charge>) {
        (self.grants, self.charges)
    }
}

/// What all guards together say.
#[derive(Debug)]
pub enum Judgement {
    /// The order may be issued, in this turn.
    Permitted(Permit),
    /// Not now.
    Held {
        /// For all these reasons.
        holds: Vec<Hold>,
        /// What each guard says that does not hold it.
        cleared: Vec<Grant>,
    },
    /// Never for this incident.
    Stopped(Stop),
    /// Nothing speaks against it, for these reasons, and a person must agree first.
    Unapproved(Vec<Grant>),
}

impl Judgement {
    /// Returns why not now, if that is what it says.
    pub fn holds(&self) -> &[Hold] {
        match self {
            Self::Held { holds, .. } => holds,
            Self::Permitted(_) | Self::Stopped(_) | Self::Unapproved(_) => &[],
        }
    }
}

/// Lists what must be asked before [`judge`] can clear this deed.
pub fn questions(deed: &Deed<'_>, book: &Book) -> Vec<Ask> {
    let mut asks = fresh::questions(deed, book);
    asks.extend(inventory::questions(deed, book));
    asks.extend(regression::questions(deed, book));
    asks.extend(dry_run::question(deed));
    asks
}

/// Reads from evidence whether there is a storm.
pub fn weather(deed: &Deed<'_>, bench: Bench<'_>, evidence: &Evidence) -> Weather {
    storm::weather(deed, bench, evidence)
}

/// Judges by the ledgers alone, so that nobody is asked about what is held anyway.
pub fn judge_ledgers(deed: &Deed<'_>, bench: Bench<'_>) -> Judgement {
    let mut rulings = ledger_rulings(deed, bench);
    rulings.push((Guard::BlastRadius, blast_radius::judge(deed, bench.ledgers, None)));
    settle(rulings, Vec::new)
}

/// Judges by the ledgers and by evidence gathered for this deed.
pub fn judge(deed: &Deed<'_>, bench: Bench<'_>, evidence: &Evidence) -> Judgement {
    let mut rulings = ledger_rulings(deed, bench);
    rulings.push((Guard::Fresh, fresh::judge(deed, bench.book, evidence)));
    rulings.push((Guard::Silence, silence::judge(deed, evidence)));
    rulings.push((Guard::BlastRadius, blast_radius::judge(deed, bench.ledgers, Some(evidence))));
    let weather = storm::weather(deed, bench, evidence);
    rulings.push((Guard::Storm, storm::judge(deed, bench, &weather)));
    rulings.extend(regression::judge(deed, bench.book, evidence).map(|r| (Guard::Regression, r)));
    rulings.extend(dry_run::judge(deed, evidence).map(|ruling| (Guard::DryRun, ruling)));
    rulings.extend(approval::judge(deed).map(|ruling| (Guard::Approval, ruling)));
    settle(rulings, || rate::charges(deed.policy, bench, &weather, deed.now))
}

fn ledger_rulings(deed: &Deed<'_>, bench: Bench<'_>) -> Vec<(Guard, Ruling)> {
    vec![
        (Guard::Pause, pause::judge(bench.ledgers)),
        (Guard::Freeze, freeze::judge(deed)),
        (Guard::Watchdog, watchdog::judge(deed)),
        (Guard::Stranger, stranger::judge(deed, bench.book)),
        (Guard::Lock, lock_of(deed, bench)),
        (Guard::Cooldown, cooldown::judge(deed, bench.ledgers)),
        (Guard::Flap, flap::judge(deed, bench.ledgers)),
        (Guard::Rate, rate::judge(deed, bench)),
        (Guard::Concurrency, concurrency_of(deed, bench)),
        (Guard::Breaker, breaker::judge(deed, bench.ledgers)),
        (Guard::Attempts, attempts::judge(deed)),
    ]
}

fn lock_of(deed: &Deed<'_>, bench: Bench<'_>) -> Ruling {
    let whose = (deed.incident, Some(deed.remedy));
    lock::judge(whose, deed.locks, bench.ledgers, deed.now)
}

fn concurrency_of(deed: &Deed<'_>, bench: Bench<'_>) -> Ruling {
    if matches!(deed.consent, Consent::Sought) {
        return Ruling::Clear("a person is asked before it takes a place".into());
    }
    concurrency::judge(deed.policy, bench)
}

fn settle(rulings: Vec<(Guard, Ruling)>, charges: impl FnOnce() -> Vec<Charge>) -> Judgement {
    let mut grants = Vec::new();
    let mut holds = Vec::new();
    let mut is_approved = true;
    for (guard, ruling) in rulings {
        match ruling {
            Ruling::Unset => {}
            Ruling::Clear(reason) => grants.push(Grant { guard, reason }),
            Ruling::Hold(hold) => holds.push(hold),
            Ruling::Stop(stop) => return Judgement::Stopped(stop),
            Ruling::Unapproved => is_approved = false,
        }
    }
    if !holds.is_empty() {
        Judgement::Held { holds, cleared: grants }
    } else if is_approved {
        Judgement::Permitted(Permit { grants, charges: charges() })
    } else {
        Judgement::Unapproved(grants)
    }
}
