//! The command line.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::torture::{Outcome, Torture, torture};

const USAGE: &str = "\
usage: homeostat-torture [--engine PROGRAM] [--rounds N] [--seed N] [--points A,B,…]

  --engine PROGRAM  the homeostat to torture; the one beside this program
  --rounds N        so many rounds (1000)
  --seed N          what is sent and when it is struck; drawn and printed where it is left out
  --points A,B,…    the failpoints at which it strikes itself in half of the rounds; all, where both
                    are built with them, and none otherwise
";

/// How often progress is shown, in rounds.
const SHOWN_EVERY: u64 = 100;

impl Torture {
    /// Reads arguments.
    ///
    /// # Errors
    ///
    /// The argument that is not understood, or missing.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut asked =
            Self { program: beside_us()?, seed: drawn(), rounds: 1000, points: all_points() };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let value = arguments.next().ok_or(format!("{argument} needs a value"))?;
            let number = || value.parse().map_err(|_| format!("{value:?} is not a number"));
            match argument.as_str() {
                "--engine" => asked.program = value.into(),
                "--rounds" => asked.rounds = number()?,
                "--seed" => asked.seed = number()?,
                "--points" => asked.points = value.split(',').map(str::to_owned).collect(),
                _ => return Err(format!("unknown argument {argument:?}")),
            }
        }
        if !asked.program.is_file() {
            return Err(format!("{} is no program: --engine says which", asked.program.display()));
        }
        Ok(asked)
    }
}

fn beside_us() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(own.with_file_name("homeostat"))
}

#[cfg(feature = "failpoints")]
fn all_points() -> Vec<String> {
    homeostat::failpoint::ALL.iter().map(|&point| point.to_owned()).collect()
}

#[cfg(not(feature = "failpoints"))]
const fn all_points() -> Vec<String> {
    Vec::new()
}

/// Another seed each time; it is printed, so that it can be given again.
fn drawn() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_nanos()) ^ since.as_secs()
}

/// Does what the arguments say: 0 where nothing was lost, doubled or untold, 1 where something was,
/// 2 where it cannot be done.
pub fn main() -> ExitCode {
    let asked = match Torture::parse(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(error) => {
            eprint!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    eprintln!("torture: {} rounds of seed {}", asked.rounds, asked.seed);
    match run(&asked) {
        Ok(outcome) => {
            let mut out = std::io::stdout().lock();
            let told = write!(out, "seed {:>26}\n{outcome}", asked.seed);
            match (told, outcome.account.is_clean()) {
                (Ok(()), true) => ExitCode::SUCCESS,
                (Ok(()), false) => ExitCode::FAILURE,
                (Err(_), _) => ExitCode::from(2),
            }
        }
        Err(error) => {
            eprintln!("torture: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(asked: &Torture) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Runtime::new()?;
    let terminal = std::io::stderr().is_terminal();
    let show = |outcome: &Outcome| {
        if terminal || outcome.rounds.is_multiple_of(SHOWN_EVERY) {
            let end = if terminal { '\r' } else { '\n' };
            eprint!("torture: {} of {} rounds{end}", outcome.rounds, asked.rounds);
        }
    };
    runtime.block_on(async {
        tokio::select! {
            outcome = torture(asked, show) => outcome,
            // What was started is ended where this returns.
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Torture, String> {
        Torture::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_not_understood_is_said() {
        assert!(parse("--engine /nowhere").is_err_and(|error| error.contains("--engine")));
        assert!(parse("--rounds few").is_err_and(|error| error.contains("\"few\"")));
        assert!(parse("--speed 3").is_err_and(|error| error.contains("--speed")));
        assert!(parse("--seed").is_err_and(|error| error.contains("needs a value")));
        let asked = parse("--engine /bin/true --seed 3 --rounds 7 --points a,b").unwrap();
        assert_eq!((asked.seed, asked.rounds), (3, 7));
        assert_eq!(asked.points, ["a", "b"]);
    }
}
