//! `make bench`: every bar of performance, measured against its peer or its limit in the same call.
//!
//! ```text
//!  rows/…    one file a bar: ours, then the peer or the limit, in turn, round after round
//!    ├── engine   an engine in a process of its own, on a directory of its own
//!    ├── peer     Go's handler, Debian's webhook, the small programs that are compiled for this
//!    ├── load     who posts: wrk, or a client of our own where bodies differ
//!    └── limit    what the machine gives: fdatasync, processes, bare SQLite
//!  figure    medians and ratios        row, report   the table, and where it is kept
//!  before    what each row was at the last tagged measurement
//! ```
//!
//! It is a benchmark and not a test: a bar that is missed is said, and fails nothing.
//!
//! | variable | what |
//! |---|---|
//! | `BENCH_ROUNDS` | rounds of each measurement; 5 |
//! | `BENCH_ONLY` | the names of the measurements to take, with commas; then nothing is written |
//! | `BENCH_DIR` | where engines keep their data: the disk that is measured |

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints a table, for a person")]

mod alerts;
mod before;
mod bench;
mod ending;
mod engine;
mod figure;
mod limit;
mod load;
mod machine;
mod peer;
mod report;
mod row;
mod rows;
mod walk;

use std::process::ExitCode;

use bench::Bench;
use mimalloc::MiMalloc;
use row::Row;

/// As in the engine, whose core is measured in this process.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let bench = Bench::prepare()?;
    let only = bench::only()?;
    let mut table = Vec::new();
    for (name, measure) in rows::ALL {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
            continue;
        }
        eprintln!("bench: {name}");
        // What cannot be measured here must not cost us what can.
        let rows = measure(&bench);
        let rows = rows.unwrap_or_else(|error| vec![Row::skipped(name, format!("{error:#}"))]);
        table.extend(rows);
    }
    let before = before::read(&bench.root)?;
    println!("{}", report::plain(&table, &before));
    if only.is_empty() {
        let path = report::write(&table, &before, &bench)?;
        eprintln!("bench: written to {}", path.display());
    }
    Ok(())
}
