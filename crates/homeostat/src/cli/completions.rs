//! `homeostat completions`: what a shell needs to complete this command line.

use std::io::Write;

use clap::Command;
use clap_complete::{Shell, generate};

use super::Exit;
use super::client::Trouble;

/// Print what a shell needs to complete this command line
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  homeostat completions bash \
                        > /usr/share/bash-completion/completions/homeostat")]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints it.
pub(super) fn run(
    args: &Args,
    command: &mut Command,
    out: &mut dyn Write,
) -> Result<Exit, Trouble> {
    // Into memory first: the generator panics where it cannot write.
    let mut text = Vec::new();
    generate(args.shell, command, "homeostat", &mut text);
    out.write_all(&text)?;
    Ok(Exit::Fine)
}
