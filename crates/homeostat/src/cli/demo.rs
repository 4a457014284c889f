//! `homeostat demo`: the whole loop on this machine.

use std::ffi::OsString;
use std::io::Write;

use clap::Args;

use super::{Exit, Trouble};
use crate::demo::service::{self, ServiceCommand};
use crate::demo::{self, Options};

/// Watch the whole loop on this machine, in about a minute
///
/// Starts a real Prometheus and Alertmanager on free loopback ports, a small web service, and the
/// engine; breaks the service four times; shows what happens as it happens. Leaves nothing
/// running. Needs `prometheus` and `prometheus-alertmanager` on the PATH, or named by the
/// environment variables PROMETHEUS and ALERTMANAGER.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  homeostat demo\n  homeostat demo --keep")]
pub(crate) struct DemoArgs {
    /// Leave everything up at the end, with its addresses, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// Runs a part of the demo's web service
#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(args: &DemoArgs) -> Result<Exit, Trouble> {
    let program = std::env::current_exe().map_err(|error| Trouble::new(error.to_string()))?;
    let options = Options { program, keep: args.keep };
    let verdict =
        runtime()?.block_on(demo::run(options)).map_err(|e| Trouble::new(e.to_string()))?;
    Ok(if verdict.passed() { Exit::Fine } else { Exit::No })
}

pub(crate) fn run_service(args: &ServiceArgs, err: &mut dyn Write) -> Result<Exit, Trouble> {
    let arguments: Vec<String> =
        args.arguments.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let command =
        ServiceCommand::parse(&arguments).map_err(|error| Trouble::new(error.to_string()))?;
    match runtime()?.block_on(service::run(command)) {
        Ok(()) => Ok(Exit::Fine),
        Err(error) => {
            // Nobody is left to tell when standard error is gone.
            let _ = writeln!(err, "{error}");
            Ok(Exit::No)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Trouble> {
    tokio::runtime::Runtime::new().map_err(|error| Trouble::new(error.to_string()))
}
