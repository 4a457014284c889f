//! The `homeostat` binary: parse, run, exit code; or a runner, where an engine started it to be one.

use std::io;
use std::process::ExitCode;

use homeostat::cli::{self, Streams};
use mimalloc::MiMalloc;

/// Reading notifications is mostly allocating and freeing small texts, on several threads. Without
/// huge pages, which make an idle engine half as large again (`no_thp`).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Before anything that takes memory: a runner must stay small.
    if let Some(ended) = homeostat::runner::become_one_if_asked() {
        return ended.into();
    }
    // Only an earlier call in this process could make it fail, and there is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (mut out, mut err) = (io::stdout(), io::stderr());
    cli::run(std::env::args_os(), Streams { out: &mut out, err: &mut err }).into()
}
