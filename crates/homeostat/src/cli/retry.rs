//! `homeostat retry`: begins anew what was given up.

use std::io::Write;

use clap::Args as ClapArgs;

use super::Exit;
use super::client::{Client, Trouble};
use super::command::{About, give};

/// Try an incident again that was given up
///
/// It must be closed without a healing, and its alert must still fire. Another incident is opened,
/// which begins with the first remedy; all guards apply.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  homeostat retry 17 --reason 'the disk has room again'")]
pub(super) struct Args {
    #[command(flatten)]
    about: About,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let client = Client::new(&args.about.said.server)?;
    give(&client, "retry", &args.about, out)
}
