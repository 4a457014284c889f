//! `homeostat revoke`: what was approved ahead does not count any more.

use std::io::Write;

use clap::Args as ClapArgs;

use super::Exit;
use super::client::{Client, Trouble};
use super::command::{Said, post};

/// Revoke a standing approval: a person is asked again
///
/// What it has let start goes on. `homeostat approvals` lists what there is.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  homeostat revoke 3 --reason 'the disk was replaced'")]
pub(super) struct Args {
    /// The standing approval's number
    id: String,

    #[command(flatten)]
    said: Said,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let client = Client::new(&args.said.server)?;
    post(&client, &["api", "v1", "approvals", &args.id, "revoke"], &args.said.body(), out)
}
