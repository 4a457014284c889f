//! `homeostat reject`: a person does not want it done.

use std::io::Write;

use clap::Args as ClapArgs;

use super::Exit;
use super::client::{Client, Trouble};
use super::command::{About, give};

/// Do not let the remedy start that waits for approval
///
/// Nothing else is tried for this incident while its alerts fire.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  homeostat reject 17 --reason 'the disk is being replaced'")]
pub(super) struct Args {
    #[command(flatten)]
    about: About,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let client = Client::new(&args.about.said.server)?;
    give(&client, "reject", &args.about, out)
}
