//! The table, for the terminal and for `docs/internals/performance.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::bench::Bench;
use crate::machine;
use crate::row::Row;

/// Where the table stands.
pub(crate) const DOCUMENT: &str = "docs/internals/performance.md";

/// Between these lines the document is written anew; what stands outside them is a person's.
pub(crate) const BEGIN: &str = "<!-- table: written by make bench -->";
pub(crate) const END: &str = "<!-- end of table -->";

const HEAD: [&str; 7] = ["what", "ours", "peer or limit", "ratio", "bar", "met?", "before"];

/// What each row was at the last tagged measurement.
pub(crate) type Before = BTreeMap<String, String>;

fn cells(row: &Row, before: &Before) -> [String; 7] {
    let Row { what, ours, against, ratio, bar, verdict } = row;
    let before = before.get(what).map_or("–", String::as_str).to_owned();
    [what, ours, against, ratio, bar, &verdict.text(), &before].map(Clone::clone)
}

/// The table with its columns aligned.
pub(crate) fn plain(table: &[Row], before: &Before) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(table.iter().map(|row| cells(row, before)));
    let mut widths = [0; 7];
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
pub(crate) fn write(table: &[Row], before: &Before, bench: &Bench) -> Result<PathBuf> {
    let path = bench.root.join(DOCUMENT);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (above, rest) = text.split_once(BEGIN).context("the document has lost its markers")?;
    let (_, below) = rest.split_once(END).context("the document has lost its markers")?;
    let table = markdown(table, before, bench)?;
    std::fs::write(&path, format!("{above}{BEGIN}\n\n{table}\n{END}{below}"))?;
    Ok(path)
}

fn markdown(table: &[Row], before: &Before, bench: &Bench) -> Result<String> {
    let mut text = String::new();
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
    writeln!(text, "Measured on {now} by `make bench`: medians of {} rounds,", bench.rounds)?;
    writeln!(text, "in brackets the smallest and the largest. Ratios are of the same round.")?;
    writeln!(text, "Machine: {}; load at the end {}.\n", machine::description(), machine::load())?;
    writeln!(text, "| {} |", HEAD.join(" | "))?;
    writeln!(text, "|{}", "---|".repeat(HEAD.len()))?;
    for row in table {
        writeln!(text, "| {} |", cells(row, before).join(" | "))?;
    }
    Ok(text)
}
