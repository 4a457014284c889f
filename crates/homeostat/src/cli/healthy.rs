//! `homeostat healthy`: does a server serve, and is it ready? For health checks that have no other
//! client at hand.

use std::io::Write;

use super::Exit;
use super::client::{Client, Server, Trouble};
use super::plain::plain;

/// Ask a server whether it is healthy
///
/// Exit code 0: it is. 1: it says that it is not. 2: it cannot be asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  homeostat healthy --ready || echo 'it takes nothing now'")]
pub(super) struct Args {
    /// Ask whether it also takes alerts now, as /-/ready does
    #[arg(long)]
    ready: bool,

    #[command(flatten)]
    server: Server,
}

/// Asks.
pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let page = if args.ready { "ready" } else { "healthy" };
    let (is_so, text) = Client::new(&args.server)?.state(&["-", page])?;
    writeln!(out, "{}", plain(text.trim()))?;
    Ok(if is_so { Exit::Fine } else { Exit::No })
}
