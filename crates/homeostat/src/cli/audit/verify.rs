//! `homeostat audit verify`: whether a journal is what was written.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::json;

use crate::app::describe;
use crate::cli::client::Trouble;
use crate::cli::plain::plain;
use crate::cli::{Exit, Output, counted, write_json};
use crate::journal::{Head, KeptHead, Verified, verify};

/// Verify that nothing of the journal was changed, removed, added or moved
///
/// Reads the storage directory itself, beside an engine that runs or without one, and writes nothing.
/// Prints the head of the chain: keep it elsewhere, and give it the next time (--head). Whoever can
/// write to the disk can make a chain anew, and cut off its end, but not so that the kept head is in
/// it. The exit code is 1 where something is wrong.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  \
                  homeostat audit verify --storage.path /var/lib/homeostat\n  \
                  homeostat audit verify --storage.path /var/lib/homeostat --head 1043:9f86…")]
pub(super) struct Args {
    /// The directory that the engine has as its --storage.path
    #[arg(long = "storage.path", value_name = "DIR", default_value = "./data")]
    storage_path: PathBuf,

    /// A head that was kept: it must be in the chain still
    #[arg(long, value_name = "LINK:HASH")]
    head: Option<Head>,

    /// Print text for a person, or JSON
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let verified = verify(&args.storage_path, args.head).map_err(|error| {
        Trouble::new(describe(&error)).with_help(
            "--storage.path is the directory that has homeostat.db, and must be one that you may \
             read; a copy of it in a directory that you may write to can be verified, too",
        )
    })?;
    match args.output {
        Output::Text => text(&verified, args.head, out)?,
        Output::Json => json(&verified, out)?,
    }
    Ok(match verified.kept {
        _ if !verified.is_whole() => Exit::No,
        Some(KeptHead::Gone) => Exit::Cannot,
        Some(KeptHead::Found | KeptHead::Another | KeptHead::Missing) | None => Exit::Fine,
    })
}

fn text(verified: &Verified, kept: Option<Head>, out: &mut dyn Write) -> io::Result<()> {
    let Verified { links, facts, between, adopted, folded, until, faults, more, .. } = verified;
    for fault in faults {
        writeln!(out, "wrong: {}", plain(fault))?;
    }
    if *more > 0 {
        writeln!(out, "wrong: and {more} more")?;
    }
    let size = |number: &u64| usize::try_from(*number).unwrap_or(usize::MAX);
    let links = counted(size(links), "link", "links");
    let facts = counted(size(facts), "fact", "facts");
    let between = between.map_or_else(String::new, |(a, b)| format!(", number {a} to {b}"));
    let whole = if verified.is_whole() { "is whole" } else { "is not what was written" };
    writeln!(out, "the journal {whole}: {links}, {facts}{between}")?;
    if let Some(last) = adopted {
        writeln!(
            out,
            "facts up to {last} were there before the chain: they are proved as they were found when \
             it began"
        )?;
    }
    if let Some(until) = until {
        writeln!(out, "what was over before {until} may have been let go, and left its hash")?;
    }
    if let Some(folded) = folded {
        writeln!(out, "of links up to {folded}, those that went left one hash together")?;
    }
    match (verified.kept, kept) {
        (Some(KeptHead::Found), Some(kept)) => {
            writeln!(out, "the head that was kept is in it: link {}", kept.link)?;
        }
        (Some(KeptHead::Gone), Some(kept)) => writeln!(
            out,
            "link {} was let go: whether it was the one that was kept cannot be told; keep a newer one",
            kept.link
        )?,
        _ => {}
    }
    writeln!(out, "head {}", verified.head)
}

fn json(verified: &Verified, out: &mut dyn Write) -> io::Result<()> {
    let Verified { head, links, facts, between, adopted, folded, until, faults, more, kept } =
        verified;
    let kept = kept.map(|kept| match kept {
        KeptHead::Found => "found",
        KeptHead::Another => "another",
        KeptHead::Missing => "missing",
        KeptHead::Gone => "gone",
    });
    let (first, last) = between.unzip();
    write_json(
        out,
        &json!({
            "whole": verified.is_whole(), "head": head.to_string(), "links": links, "facts": facts,
            "first_fact": first, "last_fact": last, "adopted": adopted, "folded": folded,
            "until": until, "faults": faults, "more_faults": more, "kept_head": kept,
        }),
    )
}
