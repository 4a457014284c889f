//! The table, for the terminal and for `docs/internals/performance.md`.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::bench::Bench;
use crate::machine;
use crate::row::Row;

/// Between these lines the document is written anew; what stands outside them is a person's.
const BEGIN: &str = "<!-- table: written by make bench -->";
const END: &str = "<!-- end of table -->";

const HEAD: [&str; 6] = ["what", "ours", "peer or limit", "ratio", "bar", "met?"];

fn cells(row: &Row) -> [String; 6] {
    let Row { what, ours, against, ratio, bar, verdict } = row;
    [what, ours, against, ratio, bar, &verdict.text()].map(Clone::clone)
}

/// The table with its columns aligned.
pub(crate) fn plain(table: &[Row]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(table.iter().map(cells));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line: Vec<String> = padded.collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text.replace("**", "")
}

/// Writes the table into the document, and leaves the words around it alone.
pub(crate) fn write(table: &[Row], bench: &Bench) -> Result<PathBuf> {
    let path = bench.root.join("docs/internals/performance.md");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (before, rest) = text.split_once(BEGIN).context("the document has lost its markers")?;
    let (_, after) = rest.split_once(END).context("the document has lost its markers")?;
    let table = markdown(table, bench)?;
    std::fs::write(&path, format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))?;
    Ok(path)
}

fn markdown(table: &[Row], bench: &Bench) -> Result<String> {
    let mut text = String::new();
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
    writeln!(text, "Measured on {now} by `make bench`: medians of {} rounds,", bench.rounds)?;
    writeln!(text, "in brackets the smallest and the largest. Ratios are of the same round.")?;
    writeln!(text, "Machine: {}; load at the end {}.\n", machine::description(), machine::load())?;
    writeln!(text, "| {} |", HEAD.join(" | "))?;
    writeln!(text, "|{}", "---|".repeat(HEAD.len()))?;
    for row in table {
        writeln!(text, "| {} |", cells(row).join(" | "))?;
    }
    Ok(text)
}
