//! `homeostat cancel`: stops healing, and ends what runs.

use std::io::Write;

use clap::Args as ClapArgs;

use super::Exit;
use super::client::{Client, Trouble};
use super::command::{About, give};

/// Stop healing an incident
///
/// An action that runs is told to end. Nothing else is tried while its alerts fire. Of a closed
/// incident, only its notice to people is ended.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  homeostat cancel 17 --reason 'I take it from here'")]
pub(super) struct Args {
    #[command(flatten)]
    about: About,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let client = Client::new(&args.about.said.server)?;
    give(&client, "cancel", &args.about, out)
}
