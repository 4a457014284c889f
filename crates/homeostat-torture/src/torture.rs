//! The rounds, one after the other, and the rest after the last.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use homeostat::demo::stack::Sandbox;

use crate::engine::{Engine, Home, Started};
use crate::judge::{self, Account, Evidence, judge};
use crate::load;
use crate::plan::{Loss, Plan, Round, Strike, Victim};
use crate::world::{Notification, Rebel, World};

/// How long the world may take to come to rest after the last round: as long as an action and its
/// verification may last, on a machine with other work.
const REST: Duration = Duration::from_mins(2);

/// How often Alertmanager repeats itself while the world comes to rest.
const REPEAT_EVERY: Duration = Duration::from_millis(500);

/// How long an engine that is to strike itself may take until it does, once the load is over.
const SELF_STRIKE: Duration = Duration::from_millis(30);

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Torture {
    /// The program.
    pub program: PathBuf,
    /// What is sent, and when it is struck.
    pub seed: u64,
    /// How many rounds.
    pub rounds: u64,
    /// The failpoints of the program, none where it was built without.
    pub points: Vec<String>,
}

/// What all rounds came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Rounds.
    pub rounds: u64,
    /// Strikes from outside.
    pub struck: u64,
    /// Strikes at a failpoint.
    pub struck_at_points: u64,
    /// Strikes that took the runner, too.
    pub struck_all: u64,
    /// Records of orders that the disk lost.
    pub records_lost: u64,
    /// Notifications that were refused, or cut short, and sent again.
    pub sent_again: u64,
    /// How long each start took until the engine was ready, ascending.
    pub starts: Vec<Duration>,
    /// What became of all alerts.
    pub account: Account,
}

/// Plays all rounds, and judges.
///
/// # Errors
///
/// The engine cannot be started, or does not come to rest: what it did cannot be judged.
pub async fn torture(asked: &Torture, mut show: impl FnMut(&Outcome)) -> Result<Outcome> {
    let sandbox = Sandbox::new()?;
    let mut world = World::new(sandbox.path());
    let home = Home::new(&asked.program, sandbox.path(), &world.configuration())?;
    let plan = Plan::new(asked.seed, asked.points.clone());
    let mut outcome = Outcome::default();
    for number in 1..=asked.rounds {
        let round = plan.round(number);
        play(&round, &plan, &home, &sandbox, &mut world, &mut outcome).await?;
        show(&outcome);
    }
    let engine = start(&home, None, &mut outcome).await?;
    outcome.account = rest(&home, &mut world, engine).await?;
    outcome.starts.sort_unstable();
    Ok(outcome)
}

/// One round: a start, a load, a strike.
async fn play(
    round: &Round,
    plan: &Plan,
    home: &Home,
    sandbox: &Sandbox,
    world: &mut World,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut engine = start(home, Some(&round.strike), outcome).await?;
    let mut notifications: Vec<Notification> = world.repeat()?.into_iter().collect();
    notifications.extend((0..round.repeats).filter_map(|nth| world.stale(nth + round.number)));
    notifications.extend(round.notifications.iter().map(|troubles| world.begin(troubles)));
    let url = home.url("/hooks");
    let sending = tokio::spawn({
        let client = home.client.clone();
        async move { load::send(&client, &url, notifications).await }
    });
    match &round.strike {
        Strike::After(delay) => tokio::time::sleep(*delay).await,
        Strike::At { .. } => {
            load::until(REST, || engine.is_over() || sending.is_finished()).await;
            load::until(SELF_STRIKE, || engine.is_over()).await;
        }
    }
    outcome.rounds += 1;
    if engine.is_over() {
        outcome.struck_at_points += 1;
    } else {
        outcome.struck += 1;
    }
    outcome.struck_all += u64::from(round.victim == Victim::All);
    engine.strike(round.victim, sandbox)?;
    if let Some(loss) = round.loss {
        outcome.records_lost += lose(home, plan, round.number, loss)?;
    }
    let answers = sending.await?;
    outcome.sent_again += u64::try_from(answers.refused.len()).unwrap_or(u64::MAX);
    for notification in &answers.accepted {
        world.accept(notification);
    }
    Ok(())
}

/// Lets the disk lose records of orders. What is gone in the meantime was lost by others.
fn lose(home: &Home, plan: &Plan, round: u64, loss: Loss) -> Result<u64> {
    let Ok(orders) = std::fs::read_dir(home.directory.join("data/orders")) else { return Ok(0) };
    let mut paths: Vec<PathBuf> = orders.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    let records = paths.iter().flat_map(|path| [path.join("claim"), path.join("exit")]);
    let lost = (0..).zip(records).filter(|(number, record)| {
        plan.loses(round, loss, *number) && std::fs::remove_file(record).is_ok()
    });
    Ok(u64::try_from(lost.count()).unwrap_or(u64::MAX))
}

/// Starts an engine; one that strikes itself before it is ready is started again, and strikes no
/// more.
async fn start(home: &Home, strike: Option<&Strike>, outcome: &mut Outcome) -> Result<Engine> {
    let mut strike = strike;
    loop {
        let begun = Instant::now();
        match home.start(strike).await? {
            Started::Ready(engine) => {
                outcome.starts.push(begun.elapsed());
                return Ok(engine);
            }
            Started::Struck => {
                outcome.struck_at_points += 1;
                strike = None;
            }
        }
    }
}

/// Lets the world come to rest: Alertmanager goes on to repeat what fires, and nothing is struck.
async fn rest(home: &Home, world: &mut World, mut engine: Engine) -> Result<Account> {
    let deadline = Instant::now() + REST;
    loop {
        if let Some(notification) = world.repeat()? {
            let sent = load::send(&home.client, &home.url("/hooks"), vec![notification]).await;
            sent.accepted.iter().for_each(|notification| world.accept(notification));
        }
        let evidence = Evidence {
            incidents: home.incidents().await?,
            ran: world.ran()?,
            told: world.told()?,
            rebels: world.rebels()?,
            troubles: world.troubles().collect(),
        };
        let all_accepted = evidence.troubles.iter().all(|known| known.accepted);
        let over = all_accepted && evidence.incidents.iter().all(judge::is_over);
        let account = judge(&evidence);
        // A notice follows the end of its incident.
        if (over && account.untold.is_empty()) || Instant::now() > deadline {
            world.rebels()?.iter().for_each(Rebel::end);
            return Ok(account);
        }
        if engine.is_over() {
            bail!("the engine ended while nothing struck it:\n{}", engine.log());
        }
        tokio::time::sleep(REPEAT_EVERY).await;
    }
}

impl Outcome {
    /// The time within which so many percent of the starts were ready.
    pub fn start(&self, percent: usize) -> Duration {
        let at = (self.starts.len() * percent / 100).min(self.starts.len().saturating_sub(1));
        self.starts.get(at).copied().unwrap_or_default()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rounds                 {:>8}", self.rounds)?;
        writeln!(f, "  struck from outside  {:>8}", self.struck)?;
        writeln!(f, "  struck at a point    {:>8}", self.struck_at_points)?;
        writeln!(f, "  with its runner      {:>8}", self.struck_all)?;
        writeln!(f, "records lost           {:>8}", self.records_lost)?;
        writeln!(f, "sent again             {:>8}", self.sent_again)?;
        let milliseconds = |percent| self.start(percent).as_secs_f64() * 1000.0;
        let (half, most, all) = (milliseconds(50), milliseconds(99), milliseconds(100));
        writeln!(
            f,
            "ready after a start    {half:>8.1} ms p50, {most:.1} ms p99, {all:.1} ms max"
        )?;
        write!(f, "{}", self.account)
    }
}
