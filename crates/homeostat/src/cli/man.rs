//! `homeostat man`: one page for each command, for those who make packages.

use std::path::PathBuf;

use clap::Command;

use super::Exit;
use super::client::Trouble;

/// Write the manual pages of all commands into a directory
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to write them
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes them.
pub(super) fn run(args: &Args, command: Command) -> Result<Exit, Trouble> {
    clap_mangen::generate_to(command, &args.directory).map_err(|error| {
        Trouble::new(format!("cannot write into {}: {error}", args.directory.display()))
            .with_help("the directory must be there")
    })?;
    Ok(Exit::Fine)
}
