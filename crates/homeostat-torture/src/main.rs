//! `make torture`.

use std::process::ExitCode;

fn main() -> ExitCode {
    homeostat_torture::command::main()
}
