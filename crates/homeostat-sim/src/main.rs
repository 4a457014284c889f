//! The simulator's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    homeostat_sim::command::main()
}
