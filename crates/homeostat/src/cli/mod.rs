//! The command line: one file a subcommand.
//!
//! ```text
//!  arguments ─> clap ─┬─> serve ──> the app
//!                     ├─> check, explain, match, migrate, rbac ──> the configuration and core, no engine
//!                     ├─> explain --url ──> Client
//!                     ├─> explain, check --ask-sources ──> those who are configured, by the prober
//!                     ├─> check --kubernetes ──> the clusters of remedies, by their hand
//!                     ├─> test ──> policy tests, on core's engine in virtual time
//!                     ├─> fire, status, incidents, approve, approvals, reject, cancel, retry, revoke,
//!                     │     pause, resume, alerts, policies, reload, audit, whoami, healthy
//!                     │     └──> Client ──> HTTP
//!                     ├─> schema ──> the keys that there are
//!                     ├─> completions, man ──> the command line itself
//!                     └─> demo
//! ```
//!
//! Duty: read what was typed, print what a person or a script reads, and say by the exit code
//! what it came to. Everything is written to the streams that are handed in, so that tests see it.

mod serve;
mod alerts;
mod approve;
mod approvals;
mod audit;
mod cancel;
mod check;
mod client;
mod command;
mod completions;
mod demo;
mod entitled;
mod explain;
mod account;
mod fire;
mod healthy;
mod incidents;
mod labels;
mod man;
mod matching;
mod migrate;
mod pause;
#[cfg(feature = "kubernetes")]
mod permitted;
mod plain;
mod policies;
mod prospect;
#[cfg(feature = "kubernetes")]
mod rbac;
mod reject;
mod reload;
mod retry;
mod revoke;
mod schema;
mod status;
mod table;
mod test;
mod whoami;
mod witnesses;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

pub use client::Trouble;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The revision that it was built from, or `unknown`.
pub const REVISION: &str = env!("HOMEOSTAT_REVISION");

/// The branch that it was built from, or `unknown`.
pub const BRANCH: &str = env!("HOMEOSTAT_BRANCH");

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// It is fine.
    Fine = 0,
    /// The answer is no.
    No = 1,
    /// It was used wrongly, or cannot be done.
    Cannot = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Where a command writes.
pub struct Streams<'a> {
    /// What was asked for.
    pub out: &'a mut dyn Write,
    /// What went wrong.
    pub err: &'a mut dyn Write,
}

impl std::fmt::Debug for Streams<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Streams")
    }
}

/// A self-healing engine for the Prometheus stack.
///
/// Alerts come in, systems get healed, and a person is called only when healing did not work.
#[derive(Debug, Parser)]
#[command(
    name = "homeostat",
    version = VERSION,
    subcommand_required = true,
    arg_required_else_help = true,
    term_width = 80,
    after_help = "Start with `homeostat serve`: without a configuration it takes every alert in \
                  and only says what it saw."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Options),
    Check(check::Args),
    Explain(explain::Args),
    Match(matching::Args),
    Migrate(migrate::Args),
    Test(test::Args),
    Fire(fire::Args),
    Status(status::Args),
    Incidents(incidents::Args),
    Approve(approve::Args),
    Approvals(approvals::Args),
    Reject(reject::Args),
    Cancel(cancel::Args),
    Retry(retry::Args),
    Revoke(revoke::Args),
    Pause(pause::PauseArgs),
    Resume(pause::ResumeArgs),
    Alerts(alerts::Args),
    Policies(policies::Args),
    Reload(reload::Args),
    Audit(audit::Args),
    Whoami(whoami::Args),
    Healthy(healthy::Args),
    #[cfg(feature = "kubernetes")]
    Rbac(rbac::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Man(man::Args),
    Demo(demo::DemoArgs),
    #[command(hide = true)]
    DemoService(demo::ServiceArgs),
}

/// How a table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Output {
    /// For a person.
    #[default]
    Text,
    /// For a program.
    Json,
}

/// Nothing can be answered where nothing can be written.
fn answered(written: &io::Result<()>, exit: Exit) -> Exit {
    if written.is_ok() { exit } else { Exit::Cannot }
}

fn write_json(out: &mut dyn Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// A number with its noun.
fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The command line as it is read: what there is to type, and what each of it is for.
pub fn command() -> clap::Command {
    CommandLine::command()
}

/// Runs the command that `args` name, the program's own name first.
pub fn run(args: impl IntoIterator<Item = OsString>, mut streams: Streams<'_>) -> Exit {
    let command = match CommandLine::try_parse_from(args) {
        Ok(line) => line.command,
        Err(error) => return explain(&error, &mut streams),
    };
    let result = match command {
        Command::Serve(options) => return serve::run(options, streams.err),
        Command::Check(args) => return check::run(&args, streams.out, streams.err),
        Command::Explain(args) => return explain::run(&args, streams.out, streams.err),
        Command::Match(args) => return matching::run(&args, streams.out, streams.err),
        Command::Migrate(args) => return migrate::run(&args, streams.out, streams.err),
        Command::Test(args) => return test::run(&args, &mut streams),
        Command::Fire(args) => fire::run(&args, streams.out),
        Command::Status(args) => status::run(&args, streams.out),
        Command::Incidents(args) => incidents::run(&args, streams.out),
        Command::Approve(args) => approve::run(&args, streams.out),
        Command::Approvals(args) => approvals::run(&args, streams.out),
        Command::Reject(args) => reject::run(&args, streams.out),
        Command::Cancel(args) => cancel::run(&args, streams.out),
        Command::Retry(args) => retry::run(&args, streams.out),
        Command::Revoke(args) => revoke::run(&args, streams.out),
        Command::Pause(args) => pause::pause(&args, streams.out),
        Command::Resume(args) => pause::resume(&args, streams.out),
        Command::Alerts(args) => alerts::run(&args, streams.out),
        Command::Policies(args) => policies::run(&args, streams.out),
        Command::Reload(args) => reload::run(&args, streams.out),
        Command::Audit(args) => audit::run(&args, streams.out),
        Command::Whoami(args) => whoami::run(&args, streams.out),
        Command::Healthy(args) => healthy::run(&args, streams.out),
        #[cfg(feature = "kubernetes")]
        Command::Rbac(args) => return rbac::run(&args, streams.out, streams.err),
        Command::Schema(args) => schema::run(&args, streams.out),
        Command::Completions(args) => {
            completions::run(&args, &mut CommandLine::command(), streams.out)
        }
        Command::Man(args) => man::run(&args, CommandLine::command()),
        Command::Demo(args) => demo::run(&args),
        Command::DemoService(args) => demo::run_service(&args, streams.err),
    };
    result.unwrap_or_else(|trouble| {
        // Nobody is left to tell when standard error is gone.
        let _ = write!(streams.err, "{trouble}");
        Exit::Cannot
    })
}

/// Prints help, the version, or what is wrong with the arguments.
fn explain(error: &clap::Error, streams: &mut Streams<'_>) -> Exit {
    let text = match error.kind() {
        ErrorKind::DisplayVersion => format!("{}\n", version()),
        _ => error.render().to_string(),
    };
    if error.use_stderr() {
        let _ = streams.err.write_all(text.as_bytes());
        Exit::Cannot
    } else {
        let _ = streams.out.write_all(text.as_bytes());
        Exit::Fine
    }
}

/// What `--version` prints.
pub fn version() -> String {
    format!("homeostat, version {VERSION} (branch: {BRANCH}, revision: {REVISION})")
}

#[cfg(test)]
mod tests;
