//! What each row was at the last tagged measurement: by the document of the last tag, or, where there is no
//! tag, by the document as it stands.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::report::{BEGIN, DOCUMENT, END};

/// What each row was: its ratio, or our own figure where it has none.
pub(crate) fn read(root: &Path) -> Result<BTreeMap<String, String>> {
    let tagged = git(root, &["describe", "--tags", "--abbrev=0"])
        .and_then(|tag| git(root, &["show", &format!("{}:{DOCUMENT}", tag.trim())]));
    let text = match tagged {
        Some(text) => text,
        None => std::fs::read_to_string(root.join(DOCUMENT)).context(DOCUMENT)?,
    };
    Ok(figures(&text))
}

fn git(root: &Path, words: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(words).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn figures(document: &str) -> BTreeMap<String, String> {
    let table = document.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let lines = table.map_or("", |(table, _)| table).lines();
    let rows = lines.filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        let [what, ours, _, ratio, ..] = cells[..] else { return None };
        let figure = if ratio == "–" { ours } else { ratio };
        Some((what.to_owned(), figure.to_owned()))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_known_by_its_ratio_or_by_our_own_figure() {
        let document = format!(
            "| not | in | the | table |\n{BEGIN}\n\n| what | ours | peer or limit | ratio | bar |\n\
             |---|---|---|---|---|\n| repeats | 9/s | Go: 10/s | 0.900 (0.8–1.0) | ≥ 1.3 |\n\
             | idle | 20.4 MB | – | – | ≤ 20 MB |\n{END}\n| nor | this | one | – |\n"
        );
        let figures = figures(&document);
        assert_eq!(figures["repeats"], "0.900 (0.8–1.0)");
        assert_eq!(figures["idle"], "20.4 MB");
        assert!(!figures.contains_key("not") && !figures.contains_key("nor"));
    }
}
