//! `homeostat reload`: has an engine read its configuration again.

use std::io::Write;

use clap::Args as ClapArgs;

use super::Exit;
use super::client::{Client, Server, Trouble};
use super::plain::lines;

/// Have an engine read its configuration again
///
/// Where the configuration has errors, they are printed, the one before stays in force, and the exit
/// code is 1.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  homeostat reload")]
pub(super) struct Args {
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    match Client::new(&args.server)?.reload()? {
        Ok(()) => {
            writeln!(out, "the configuration was read, and is in force")?;
            Ok(Exit::Fine)
        }
        Err(problems) => {
            lines(&problems).try_for_each(|line| writeln!(out, "{line}"))?;
            Ok(Exit::No)
        }
    }
}
