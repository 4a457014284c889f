//! What becomes of actions: each claims its order once, and then heals, fails, hangs, does nothing
//! or makes things worse.
//!
//! Actions are the world's: they go on when the engine dies, and end with their machine.

use std::collections::BTreeMap;

use homeostat_core::event::Run;
use homeostat_core::name::{BootId, OrderId, Part};
use homeostat_core::order::{Ended, Found, Outcome};
use homeostat_core::time::Span;

use crate::random::Fate;
use crate::script::Manners;

/// What a run will come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How long it takes.
    pub takes: Span,
    /// Whether it heals its target at its end.
    pub heals: bool,
    /// How long after its end it heals, where it does so late: its time limit was too short.
    pub heals_after: Option<Span>,
    /// For how long it heals, where that does not last.
    pub heals_for: Option<Span>,
    /// Whether it takes its target away as it heals.
    pub removes: bool,
    /// Whether it breaks something else on its target.
    pub worsens: bool,
    /// What is known of it in the end.
    pub outcome: Outcome,
}

/// A run, claimed.
#[derive(Debug, Clone)]
pub struct Claim {
    /// What runs, for whom.
    pub run: Run,
    /// What it will come to.
    pub plan: Plan,
    /// Whether a process runs.
    pub lives: bool,
    /// How it ended, once that is recorded.
    pub exit: Option<Outcome>,
    /// The life of the engine in which it was started.
    pub life: u32,
}

/// All runs that ever were.
#[derive(Debug)]
pub struct Acts {
    claims: BTreeMap<OrderId, Claim>,
    manners: Manners,
    fate: Fate,
}

impl Acts {
    /// Begins with none.
    pub fn new(manners: Manners, seed: u64) -> Self {
        Self { claims: BTreeMap::new(), manners, fate: Fate::new(seed) }
    }

    /// Claims an order and starts it. `None` if it was claimed before.
    pub fn start(&mut self, run: &Run, life: u32) -> Option<Plan> {
        if self.claims.contains_key(&run.order.id) {
            return None;
        }
        let plan = self.plan(run);
        let claim = Claim { run: run.clone(), plan: plan.clone(), lives: true, exit: None, life };
        self.claims.insert(run.order.id.clone(), claim);
        Some(plan)
    }

    fn plan(&self, run: &Run) -> Plan {
        // By what is healed and since when it is ill: the same whatever else happens elsewhere.
        let id = &run.order.id;
        let (mut name, mut since) = (id.remedy.to_string(), 0);
        if let Some(leading) = run.alerts.first() {
            name.push_str(&leading.alert.labels.to_string());
            since = leading.alert.starts_at.map_or(0, |at| at.micros().unsigned_abs());
        }
        let mut dice = self.fate.of(&name, &[since, u64::from(id.attempt)]);
        if id.part == Part::Undo {
            name.push_str(" undone");
        }
        let limit = run.order.timeout;
        let quick = Span::from_micros(limit.as_micros() / 2).min(dice.seconds(0, 40));
        let heals = dice.percent(self.manners.heals);
        let worsens = dice.percent(self.manners.worsens);
        let heals_for = dice.percent(self.manners.briefly).then(|| dice.seconds(20, 900));
        let removes = dice.percent(self.manners.removes);
        let plan = Plan {
            takes: quick,
            heals,
            heals_after: None,
            heals_for,
            removes,
            worsens,
            outcome: Outcome::Exited { code: 0 },
        };
        if dice.percent(self.manners.hangs) {
            let heals = heals && dice.percent(50);
            let late = dice.percent(self.manners.late_cures);
            let heals_after = late.then(|| dice.seconds(5, 240));
            return Plan { takes: limit, heals, heals_after, outcome: Outcome::TimedOut, ..plan };
        }
        if !dice.percent(self.manners.fails) {
            return plan;
        }
        let outcome = match dice.below(20) {
            0 => Outcome::Refused { reason: "a label cannot be carried".into() },
            1 => Outcome::NotStarted { reason: "no such program".into() },
            2 => Outcome::Unknown { reason: "its process cannot be observed".into() },
            3..6 => Outcome::Signalled { signal: 9 },
            _ => Outcome::Exited { code: 1 },
        };
        let nothing = matches!(outcome, Outcome::Refused { .. } | Outcome::NotStarted { .. });
        let heals = heals && !nothing && dice.percent(20);
        Plan { heals, worsens: worsens && !nothing, outcome, ..plan }
    }

    /// Ends a run and records its exit, if its process still lives.
    pub fn end(&mut self, order: &OrderId) -> Option<Claim> {
        let claim = self.claims.get_mut(order).filter(|claim| claim.lives)?;
        claim.lives = false;
        claim.exit = Some(claim.plan.outcome.clone());
        Some(claim.clone())
    }

    /// Tells a run to end: how long that takes. `None` if it is over, or out of reach since its
    /// engine went down.
    pub fn cancel(&mut self, order: &OrderId, life: u32) -> Option<Span> {
        let fate = self.fate;
        let claim = self.claims.get_mut(order);
        let claim = claim.filter(|claim| claim.lives && claim.life == life)?;
        let mut dice = fate.of("cancel", &[u64::from(order.attempt), order.incident.0]);
        if dice.percent(80) {
            claim.plan.outcome = Outcome::Cancelled;
            claim.plan.heals &= dice.percent(30);
        }
        Some(dice.seconds(0, 10))
    }

    /// Ends all processes with their machine.
    pub fn lose_power(&mut self) {
        self.claims.values_mut().for_each(|claim| claim.lives = false);
    }

    /// Ends what the engine did itself, with it.
    pub fn lose_engine(&mut self) {
        let own = |claim: &&mut Claim| !claim.run.order.action.outlives_the_engine();
        self.claims.values_mut().filter(own).for_each(|claim| claim.lives = false);
    }

    /// What is found of an order after a restart.
    pub fn inspect(&self, order: &OrderId, issued_in: &BootId, boot: &BootId) -> Found {
        match self.claims.get(order) {
            Some(Claim { exit: Some(outcome), .. }) => {
                let output = String::new();
                Found::Ended(Ended {
                    outcome: outcome.clone(),
                    started_at: None,
                    output,
                    left: Vec::new(),
                })
            }
            _ if issued_in != boot => Found::Unknown("the machine started anew since".into()),
            Some(_) => Found::Unknown("no exit is recorded".into()),
            None => Found::NotStarted,
        }
    }

    /// Tells whether an order was ever claimed.
    pub fn was_claimed(&self, order: &OrderId) -> bool {
        self.claims.contains_key(order)
    }

    /// All processes that live.
    pub fn living(&self) -> impl Iterator<Item = &Claim> {
        self.claims.values().filter(|claim| claim.lives)
    }
}
