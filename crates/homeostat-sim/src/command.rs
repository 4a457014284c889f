//! The command line: one seed to look at, or many to be sure.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::oracle::{Met, Violation};
use crate::play::{Report, Watch, play};
use crate::print;
use crate::script::{Script, World};
use crate::shrink::shrink;

/// What it says when it is not understood.
const USAGE: &str = "\
usage: homeostat-sim [--seed N | --seeds N] [--start N] [--incidents N] [--jobs N] [--failures N]
                     [--core-alone] [--whole] [--facts N]

  --seed N       play one seed; a failure is shrunk and printed as a policy test
  --seeds N      play so many seeds (1000)
  --start N      the first of them (1)
  --incidents N  go on until so many incidents were simulated, too (0)
  --jobs N       threads (as many as there are cores)
  --failures N   stop after so many seeds that break a law (5)
  --whole        do not shrink the seed that fails
  --facts N      show so many of the last facts of the seed that fails (40)
  --core-alone   no faults and no oracles: to measure the core
";

/// How incidents are counted that had whole and honest witnesses from before their first order, and
/// those of them that ended unknown.
const WHOLE: &str = "acted, with whole and honest witnesses";
const UNKNOWN_WHOLE: &str = "unknown, with whole and honest witnesses";

/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(500);

/// Facts that are shown of a failure, unless more are asked for.
const LAST_FACTS: u64 = 40;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// One seed only.
    pub seed: Option<u64>,
    /// How many.
    pub seeds: u64,
    /// The first.
    pub start: u64,
    /// How many incidents at least.
    pub incidents: u64,
    /// Threads.
    pub jobs: u64,
    /// How many failures are enough.
    pub failures: u64,
    /// Neither faults nor oracles.
    pub core_alone: bool,
    /// Whether a seed that fails is shown whole.
    pub whole: bool,
    /// How many of its last facts are shown.
    pub facts: u64,
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            seed: None,
            seeds: 1_000,
            start: 1,
            incidents: 0,
            jobs: u64::try_from(cores).unwrap_or(1),
            failures: 5,
            core_alone: false,
            whole: false,
            facts: LAST_FACTS,
        }
    }
}

impl Options {
    /// Reads arguments.
    ///
    /// # Errors
    ///
    /// The argument that is not understood.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            if argument == "--core-alone" {
                options.core_alone = true;
                continue;
            }
            if argument == "--whole" {
                options.whole = true;
                continue;
            }
            let mut number = || -> Result<u64, String> {
                let text = arguments.next().ok_or(format!("{argument} needs a number"))?;
                text.parse().map_err(|_| format!("{argument}: {text:?} is not a number"))
            };
            match argument.as_str() {
                "--seed" => options.seed = Some(number()?),
                "--seeds" => options.seeds = number()?,
                "--start" => options.start = number()?,
                "--incidents" => options.incidents = number()?,
                "--failures" => options.failures = number()?.max(1),
                "--facts" => options.facts = number()?,
                "--jobs" => options.jobs = number()?.max(1),
                _ => return Err(format!("unknown argument {argument:?}")),
            }
        }
        Ok(options)
    }

    fn world(self) -> World {
        if self.core_alone { World::Kind } else { World::Hostile }
    }

    fn watch(self) -> Watch {
        if self.core_alone { Watch::Never } else { Watch::Closely }
    }
}

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Seeds played.
    pub seeds: u64,
    /// Incidents in them.
    pub incidents: u64,
    /// Orders in them.
    pub orders: u64,
    /// Facts in them.
    pub facts: u64,
    /// How often they came to what the laws are about.
    pub met: Met,
    /// Seeds that broke a law, and which.
    pub violations: BTreeMap<u64, Violation>,
}

/// Plays a script; a panic of the core is a violation, too.
pub fn play_safely(script: &Script, watch: Watch, record: bool) -> Report {
    let played = panic::catch_unwind(AssertUnwindSafe(|| play(script, watch, record)));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let text = text.unwrap_or_else(|| "the core panicked".into());
        let violation = Violation::new(homeostat_core::time::Timestamp::EPOCH, "panic", text);
        Report { violation: Some(violation), ..Report::default() }
    })
}

/// Plays many seeds on several threads, until there were enough or some broke a law.
pub fn play_many(options: Options, mut show: impl FnMut(&Tally, Duration)) -> (Tally, Duration) {
    let next = AtomicU64::new(options.start);
    let stop = AtomicBool::new(false);
    let tally = Mutex::new(Tally::default());
    let begun = Instant::now();
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let enough = tally.lock().is_ok_and(|tally| tally.incidents >= options.incidents);
            if seed >= options.start + options.seeds && enough {
                return;
            }
            let script = Script::draw(seed, options.world());
            let report = play_safely(&script, options.watch(), false);
            let Ok(mut tally) = tally.lock() else { return };
            tally.seeds += 1;
            tally.incidents += report.incidents;
            tally.orders += report.orders;
            tally.facts += report.facts;
            tally.met.add(&report.met);
            if let Some(violation) = report.violation {
                tally.violations.insert(seed, violation);
                let enough = tally.violations.len() as u64 >= options.failures;
                stop.store(enough, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.jobs).map(|_| scope.spawn(work)).collect();
        while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::park_timeout(SHOWN_EVERY.min(Duration::from_millis(20)));
            if let Ok(tally) = tally.lock() {
                show(&tally, begun.elapsed());
            }
        }
    });
    let tally = tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    (tally, begun.elapsed())
}

/// Does what the arguments say.
pub fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprint!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // A panic is a violation here and is told as one.
    panic::set_hook(Box::new(|_| {}));
    match options.seed {
        Some(seed) => one(seed, options),
        None => many(options),
    }
}

fn many(options: Options) -> ExitCode {
    let terminal = std::io::stderr().is_terminal();
    let mut shown = Duration::ZERO;
    let (tally, took) = play_many(options, |tally, so_far| {
        if terminal && so_far >= shown + SHOWN_EVERY {
            shown = so_far;
            eprint!("\r{}", sentence(tally, so_far));
            // A progress line that cannot be shown is not missed.
            let _ = std::io::stderr().flush();
        }
    });
    if terminal {
        eprintln!();
    }
    say(&sentence(&tally, took));
    say(&format!("met: {}", tally.met));
    say(&unknowns(&tally.met));
    let unknown_is_rare = is_unknown_rare(&tally.met);
    if !unknown_is_rare {
        say("more than one of a thousand that had whole and honest witnesses ended unknown");
    }
    for (seed, violation) in &tally.violations {
        say(&format!(
            "seed {seed} breaks {violation}\n  cargo run -p homeostat-sim -- --seed {seed}"
        ));
    }
    ExitCode::from(u8::from(!tally.violations.is_empty() || !unknown_is_rare))
}

/// Tells whether unknown is no way out: of those incidents that acted and had a complete, honest
/// witness from before, fewer than one of a thousand ends unknown.
pub fn is_unknown_rare(met: &Met) -> bool {
    let (acted, unknown) = (met.of(WHOLE), met.of(UNKNOWN_WHOLE));
    unknown * 1_000 < acted.max(1_000)
}

/// How many ended unknown, and what the last looks lacked: of one, several may be told.
fn unknowns(met: &Met) -> String {
    let mut text = format!(
        "of {} incidents that acted and whose outcome was to be proven, {} ended unknown; with \
         whole and honest witnesses {} of {}",
        met.of("acted"),
        met.of("unknown"),
        met.of(UNKNOWN_WHOLE),
        met.of(WHOLE)
    );
    let mut why: Vec<(u64, &str)> = met
        .all()
        .filter_map(|(what, count)| Some((count, what.strip_prefix("unknown: ")?)))
        .collect();
    why.sort_unstable_by_key(|(count, _)| std::cmp::Reverse(*count));
    for (count, what) in why {
        // Writing to a string cannot fail.
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("\n  {count:>8}  {what}"));
    }
    text
}

fn sentence(tally: &Tally, took: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a rate for a person")]
    let rate = tally.incidents as f64 / took.as_secs_f64().max(1e-3);
    format!(
        "{} seeds, {} incidents, {} orders, {} facts in {:.1} s: {rate:.0} incidents/s, {} violations",
        tally.seeds,
        tally.incidents,
        tally.orders,
        tally.facts,
        took.as_secs_f64(),
        tally.violations.len(),
    )
}

fn one(seed: u64, options: Options) -> ExitCode {
    let script = Script::draw(seed, options.world());
    let report = play_safely(&script, options.watch(), false);
    let Some(violation) = report.violation else {
        let (incidents, orders) = (report.incidents, report.orders);
        say(&format!("seed {seed} breaks no law: {incidents} incidents, {orders} orders"));
        return ExitCode::SUCCESS;
    };
    say(&format!("# seed {seed} breaks {violation}"));
    let law = violation.law;
    let fails = |script: &Script| {
        play_safely(script, Watch::Closely, false).violation.is_some_and(|v| v.law == law)
    };
    let small = if options.whole { script.clone() } else { shrink(&script, fails) };
    let report = play_safely(&small, Watch::Closely, true);
    let steps = (small.steps.len(), script.steps.len());
    say(&format!("# shrunk from {} to {} steps; the book:", steps.1, steps.0));
    say(print::book(&small.books[0]).trim_end());
    let name = format!("seed {seed}");
    say(print::test(&name, &crate::play::BEGIN.to_string(), &report.lines).trim_end());
    if let Some(violation) = report.violation {
        say(&format!("# then: {violation}\n# what was committed last:"));
    }
    let shown = usize::try_from(options.facts).unwrap_or(usize::MAX);
    let last = report.journal.len().saturating_sub(shown);
    for fact in &report.journal[last..] {
        let what = serde_json::to_string(&fact.what).unwrap_or_default();
        let short: String = what.chars().take(300).collect();
        say(&format!("#   {} {short}", fact.at));
    }
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "what a person asked for")]
fn say(text: &str) {
    println!("{text}");
}
