//! `homeostat pause` and `homeostat resume`: nothing starts until an operator says so.

use std::io::Write;

use clap::Args as ClapArgs;
use serde_json::json;

use super::Exit;
use super::client::{Client, Server, Trouble};
use super::command::{post, who};

/// Let no remedy start until `resume`
///
/// What runs finishes, and its healing is verified. The pause outlives a restart.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  homeostat pause --reason 'database migration until noon'")]
pub(super) struct PauseArgs {
    /// Why, for whoever finds it paused
    #[arg(long)]
    reason: String,

    /// Who pauses; the login name where it is left out
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    #[command(flatten)]
    server: Server,
}

/// Let remedies start again
///
/// Whatever waits is judged anew by all guards.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  homeostat resume")]
pub(super) struct ResumeArgs {
    /// Why
    #[arg(long, default_value = "")]
    reason: String,

    /// Who resumes; the login name where it is left out
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    #[command(flatten)]
    server: Server,
}

pub(super) fn pause(args: &PauseArgs, out: &mut dyn Write) -> Result<Exit, Trouble> {
    command("pause", &args.server, args.by.as_ref(), &args.reason, out)
}

pub(super) fn resume(args: &ResumeArgs, out: &mut dyn Write) -> Result<Exit, Trouble> {
    command("resume", &args.server, args.by.as_ref(), &args.reason, out)
}

fn command(
    name: &str,
    server: &Server,
    by: Option<&String>,
    reason: &str,
    out: &mut dyn Write,
) -> Result<Exit, Trouble> {
    let body = json!({ "by": who(by), "reason": reason });
    post(&Client::new(server)?, &["api", "v1", name], &body, out)
}
