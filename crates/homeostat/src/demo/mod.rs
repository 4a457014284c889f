//! `homeostat demo`: the whole loop on this machine, in a bit more than a minute.
//!
//! ```text
//!  world    starts Prometheus, Alertmanager, engine and web service   (stack, fleet, engine)
//!    │
//!  act      an instance breaks, four times; how each must end         (service: what breaks)
//!    │
//!  watch    asks all of them what is new, until the act has ended
//!    │
//!  narrate  says it
//! ```
//!
//! Everything is real: the processes, the faults, the alerts, the remedies, which the engine runs
//! as it would run any other. It waits for events, never for time; each wait is bounded.
//!
//! Not its duty: to know how the engine decides. It uses the engine as anybody would, by its
//! command line and its HTTP API.

mod act;
mod engine;
mod fleet;
mod narrate;
pub mod service;
pub mod stack;
mod watch;
mod world;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};

use act::{ACTS, Act, Entry, Record, Stage};
use fleet::Health;
use narrate::Narrator;
use stack::StackError;
use watch::Watch;
use world::World;

/// How often everything is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long one wait may take. The longest rightful one, the act that escalates, takes about half.
const WAIT_LIMIT: Duration = Duration::from_mins(1);

/// How often in a row a look may fail until the demo gives up.
const FAILED_LOOKS: u32 = 5;

/// What the demo should do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `homeostat` program: run as the engine, as the service's instances and by the remedies.
    /// Usually [`std::env::current_exe`].
    pub program: PathBuf,
    /// Leave everything up until Ctrl-C, once the acts are over.
    pub keep: bool,
}

/// How the demo went.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// One for each act, in their order.
    pub acts: Vec<ActVerdict>,
    /// Processes that did not end with the demo and had to be killed.
    pub left_running: Vec<u32>,
}

impl Verdict {
    /// Whether every act ended as it should, and nothing was left running.
    pub fn passed(&self) -> bool {
        self.acts.iter().all(|act| act.ended.is_ok()) && self.left_running.is_empty()
    }
}

/// How an act went.
#[derive(Clone, Debug)]
pub struct ActVerdict {
    /// How it ended; or what is wrong.
    pub ended: Result<String, String>,
    /// Seconds from the notification's arrival to the start of the first remedy, or to the hold.
    pub own_share: Option<f64>,
}

/// Why the demo could not be played.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A part could not be started, or does not answer any more.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A signal could not be listened for.
    #[error("listening for signals")]
    Signals(#[source] io::Error),
    /// Somebody ended it before it was over. Everything that it started has ended.
    #[error("interrupted; everything that the demo started has ended")]
    Interrupted,
}

/// Plays the demo and says on standard output what happens.
///
/// Nothing that it started is left when this returns, nor when the returned future is dropped.
///
/// # Errors
///
/// When a part cannot be started or fails, and when a signal asks the demo to end. An act that does
/// not end as it should is not an error: see [`Verdict::passed`].
pub async fn run(options: Options) -> Result<Verdict, DemoError> {
    let mut interrupt = Interrupt::listen().map_err(DemoError::Signals)?;
    let narrator = Narrator::new();
    narrator.prologue();
    let (world, records) = tokio::select! {
        played = play(&options, &narrator) => played?,
        () = interrupt.arrives() => return Err(DemoError::Interrupted),
    };
    narrator.timelines(&records);
    let mut verdict = judge(&records);
    narrator.verdict(&verdict);
    let took = narrator.elapsed(Timestamp::now());
    if options.keep {
        narrator.kept(&world);
        interrupt.arrives().await;
    }
    verdict.left_running = world.end();
    narrator.ended(&verdict, took);
    Ok(verdict)
}

async fn play(options: &Options, narrator: &Narrator) -> Result<(World, Vec<Record>), DemoError> {
    let world = World::start(&options.program, narrator).await?;
    narrator.ready();
    let mut stage = Play { world, watch: Watch::default(), records: Vec::new(), narrator };
    stage.play().await?;
    Ok((stage.world, stage.records))
}

fn judge(records: &[Record]) -> Verdict {
    let judged = |number: usize| match records.get(number) {
        Some(record) => ActVerdict { ended: record.verdict(), own_share: record.own_share() },
        None => ActVerdict { ended: Err("not played".to_owned()), own_share: None },
    };
    Verdict { acts: (0..ACTS.len()).map(judged).collect(), left_running: Vec::new() }
}

/// The acts on their way.
struct Play<'a> {
    world: World,
    watch: Watch,
    records: Vec<Record>,
    narrator: &'a Narrator,
}

impl Play<'_> {
    async fn play(&mut self) -> Result<(), DemoError> {
        for (number, act) in ACTS.iter().enumerate() {
            // While Alertmanager still owes the notification that an alert is over, a second fault
            // of the same instance would look like the first.
            let calm = |play: &Self| match play.latest(act) {
                Some(earlier) => earlier.has(Stage::Resolved),
                None => true,
            };
            if !self.wait(calm, "the notification that the earlier alert is over").await? {
                return Ok(());
            }
            self.narrator.act(number + 1, act);
            self.begin(act).await?;
            let on = |play: &Self| play.records.last().is_some_and(Record::lets_go_on);
            if !self.wait(on, "the end of this act").await? {
                return Ok(());
            }
        }
        let over = |play: &Self| play.records.iter().all(Record::has_ended);
        self.wait(over, "the end of the last acts").await?;
        Ok(())
    }

    /// Breaks an instance and sees that it is broken.
    async fn begin(&mut self, act: &'static Act) -> Result<(), DemoError> {
        let mut record = Record::new(act, Timestamp::now());
        self.world.fleet.inflict(act.instance, act.fault)?;
        let began = Instant::now();
        let words = loop {
            match self.world.fleet.health(act.instance).await {
                Health::Ill(words) => break words,
                Health::Sound if began.elapsed() > WAIT_LIMIT => break "still answers".to_owned(),
                Health::Sound => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        let text = format!("{}: {words}", act.deed);
        let entry = Entry { stage: Stage::Fault, at: record.began, text };
        self.narrator.entry(&record, &entry);
        record.take(entry);
        self.records.push(record);
        Ok(())
    }

    /// Looks until something holds, and says what is new; `false` if it takes too long.
    async fn wait(
        &mut self,
        holds: impl Fn(&Self) -> bool,
        waited_for: &str,
    ) -> Result<bool, DemoError> {
        let began = Instant::now();
        let mut failed = 0;
        while !holds(self) {
            if began.elapsed() > WAIT_LIMIT {
                let log = self.world.engine.process().log_tail();
                self.narrator.stuck(waited_for, WAIT_LIMIT.as_secs(), &log);
                return Ok(false);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            self.world.must_run()?;
            failed = match self.look().await {
                Ok(()) => 0,
                Err(error) if failed == FAILED_LOOKS => return Err(error.into()),
                Err(_) => failed + 1,
            };
        }
        Ok(true)
    }

    async fn look(&mut self) -> Result<(), StackError> {
        let news = self.watch.look(&self.world).await?;
        for (instance, incident) in news.incidents {
            let known = |record: &&mut Record| {
                record.incident.as_ref().is_some_and(|known| known.id == incident.id)
            };
            if let Some(record) = self.records.iter_mut().find(known) {
                record.incident = Some(incident);
            } else if let Some(record) =
                self.records.iter_mut().rev().find(|record| record.act.instance == instance)
                && record.incident.is_none()
            {
                record.incident = Some(incident);
            }
        }
        for sighting in news.sightings {
            let of_it = |record: &&mut Record| record.act.instance == sighting.instance;
            let Some(record) = self.records.iter_mut().rev().find(of_it) else { continue };
            if record.take(sighting.entry.clone()) {
                self.narrator.entry(record, &sighting.entry);
            }
        }
        Ok(())
    }

    /// The latest act of the same instance.
    fn latest(&self, act: &Act) -> Option<&Record> {
        self.records.iter().rev().find(|record| record.act.instance == act.instance)
    }
}

/// The signals that ask a program to end.
struct Interrupt([Signal; 3]);

impl Interrupt {
    fn listen() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn arrives(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
