//! What a seed fixes: which alerts each round fires, and how the engine is struck.

use std::time::Duration;

use homeostat_sim::random::Fate;

/// Notifications of new alerts in a round at most.
const NOTIFICATIONS: u64 = 8;

/// Alerts of one notification at most.
const ALERTS: u64 = 4;

/// The latest moment of a strike, after the first notification was sent. A round's load takes about
/// as long on a quiet machine, so that strikes come before, within and after it.
const STRIKE_WITHIN: Duration = Duration::from_millis(60);

/// The longest that an action takes: long enough to be running when the engine is struck.
const NAP_MILLISECONDS: u64 = 150;

/// A point is passed so often at most before it strikes.
const PASSES: u64 = 12;

/// A trouble: an alert of its own on a target of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The target, which no other trouble has.
    pub target: String,
    /// How long its action takes.
    pub nap: Duration,
    /// What else its action does.
    pub temper: Temper,
}

/// How an action behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    /// As it should.
    Calm,
    /// It removes its working directory, and all that is beside it.
    Removes,
    /// It puts a pipe and a link in the places of its records.
    Replaces,
    /// It leaves its group and its parents behind, ignores what it is told, and outlives its limit.
    Forks,
    /// It ignores what it is told, and outlives its limit.
    Stubborn,
}

impl Temper {
    /// The word by which the action knows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Removes => "removes",
            Self::Replaces => "replaces",
            Self::Forks => "forks",
            Self::Stubborn => "stubborn",
        }
    }

    /// Most are calm, and few take as long as their limit.
    fn of(percent: u64) -> Self {
        match percent {
            0..=1 => Self::Stubborn,
            2..=3 => Self::Forks,
            4..=13 => Self::Replaces,
            14..=23 => Self::Removes,
            _ => Self::Calm,
        }
    }
}

/// What a disk loses between two lives of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Of a hundred records so many.
    pub percent: u64,
}

/// How the engine is struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strike {
    /// `SIGKILL`, so long after the load began.
    After(Duration),
    /// `SIGKILL` by its own hand, when it passes this point for the nth time; if it never does, when
    /// the load is over.
    At {
        /// The name of the failpoint.
        point: String,
        /// How often it is passed before.
        passes: u64,
    },
}

/// Who is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The engine alone.
    Engine,
    /// The engine, and all that it has started and that names its directory: its runner.
    All,
}

/// One round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Its number, from 1.
    pub number: u64,
    /// The new troubles, by notification.
    pub notifications: Vec<Vec<Trouble>>,
    /// How many of those that are known already are sent once more.
    pub repeats: u64,
    /// How it ends.
    pub strike: Strike,
    /// Who is struck.
    pub victim: Victim,
    /// What the disk loses then.
    pub loss: Option<Loss>,
}

/// Draws rounds.
#[derive(Debug, Clone)]
pub struct Plan {
    fate: Fate,
    points: Vec<String>,
}

impl Plan {
    /// The plan of a seed, for an engine that has these failpoints.
    pub fn new(seed: u64, points: Vec<String>) -> Self {
        Self { fate: Fate::new(seed), points }
    }

    /// Draws a round. It does not depend on the rounds before it.
    pub fn round(&self, number: u64) -> Round {
        let mut dice = self.fate.of("round", &[number]);
        let mut notifications = Vec::new();
        for notification in 0..dice.range(1, NOTIFICATIONS) {
            let troubles = (0..dice.range(1, ALERTS)).map(|alert| Trouble {
                target: format!("r{number}-{notification}-{alert}"),
                // Half of the actions are over at once.
                nap: Duration::from_millis(dice.below(2) * dice.below(NAP_MILLISECONDS)),
                temper: Temper::of(dice.below(100)),
            });
            notifications.push(troubles.collect());
        }
        let repeats = dice.below(4);
        let strike = if self.points.is_empty() || dice.percent(50) {
            let within = u64::try_from(STRIKE_WITHIN.as_micros()).unwrap_or(u64::MAX);
            Strike::After(Duration::from_micros(dice.below(within)))
        } else {
            let point = dice.pick(&self.points).clone();
            Strike::At { point, passes: dice.below(PASSES) }
        };
        let victim = if dice.percent(10) { Victim::All } else { Victim::Engine };
        let loss = dice.percent(20).then(|| Loss { percent: dice.range(1, 50) });
        Round { number, notifications, repeats, strike, victim, loss }
    }

    /// Whether a record is among what a disk loses.
    pub fn loses(&self, round: u64, loss: Loss, record: u64) -> bool {
        self.fate.of("disk", &[round, record]).percent(loss.percent)
    }
}

impl Strike {
    /// What the environment of the engine must say for this strike.
    pub fn failpoints(&self) -> Option<String> {
        match self {
            Self::After(_) => None,
            Self::At { point, passes: 0 } => Some(format!("{point}=kill")),
            Self::At { point, passes } => Some(format!("{point}={passes}*off->kill")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_round_whatever_came_before() {
        let plan = Plan::new(7, vec!["a".into(), "b".into()]);
        let third = plan.round(3);
        assert_eq!(Plan::new(7, vec!["a".into(), "b".into()]).round(3), third);
        assert_ne!(Plan::new(8, vec!["a".into(), "b".into()]).round(3), third);
    }

    #[test]
    fn rounds_strike_in_every_way_and_share_no_target() {
        let plan = Plan::new(1, vec!["a".into()]);
        let rounds: Vec<Round> = (1..200).map(|number| plan.round(number)).collect();
        assert!(rounds.iter().any(|round| matches!(round.strike, Strike::After(_))));
        assert!(rounds.iter().any(|round| matches!(round.strike, Strike::At { .. })));
        assert!(rounds.iter().any(|round| round.victim == Victim::All));
        assert!(rounds.iter().any(|round| round.loss.is_some()));
        let troubles = || rounds.iter().flat_map(|round| round.notifications.iter().flatten());
        for temper in [Temper::Removes, Temper::Replaces, Temper::Forks, Temper::Stubborn] {
            assert!(troubles().any(|trouble| trouble.temper == temper), "{temper:?}");
        }
        let targets = rounds.iter().flat_map(|round| round.notifications.iter().flatten());
        let mut targets: Vec<&str> = targets.map(|trouble| trouble.target.as_str()).collect();
        let all = targets.len();
        targets.sort_unstable();
        targets.dedup();
        assert_eq!(targets.len(), all);
    }
}
