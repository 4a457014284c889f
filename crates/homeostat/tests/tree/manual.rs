//! The manual as a whole: every link leads somewhere, every page is in the book, and the first hour of
//! reading is short.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::documents::root;
use super::tidy::files;

/// All documents of the tree.
pub(super) fn documents() -> Vec<PathBuf> {
    files(&root(), ".md")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A document without its blocks of code.
pub(super) fn prose(text: &str) -> String {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        is_code ^= fence;
        !fence && !is_code
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What its links name, images too.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// The names by which the headings of a page can be linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let mut anchors: BTreeMap<String, usize> = BTreeMap::new();
    let mut named = BTreeSet::new();
    for heading in headings {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let anchor: String = words
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let before = anchors.entry(anchor.clone()).or_default();
        named.insert(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
        *before += 1;
    }
    named
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    let mut seen = 0;
    let mut dead = Vec::new();
    for document in documents() {
        let text = read(&document);
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            let is_there = match (target.exists(), anchor) {
                (false, _) => false,
                (true, "") => true,
                (true, anchor) => anchors(&read(&target)).contains(anchor),
            };
            if !is_there {
                dead.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
    assert!(seen > 100, "the links were not found");
}

#[test]
fn every_page_of_the_manual_is_in_the_book_once() {
    let docs = root().join("docs");
    let listed = links(&read(&docs.join("SUMMARY.md")));
    let once: BTreeSet<PathBuf> = listed.iter().map(|link| docs.join(link)).collect();
    assert_eq!(once.len(), listed.len(), "a page is listed twice: {listed:?}");
    let pages: BTreeSet<PathBuf> = documents()
        .into_iter()
        .filter(|path| path.starts_with(&docs) && !path.starts_with(docs.join("internals")))
        .filter(|path| !path.ends_with("SUMMARY.md"))
        .collect();
    assert_eq!(once, pages);
}

/// Words as a reader counts them: the bars of tables are none.
fn words(path: &Path) -> usize {
    let text = read(path);
    text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count()
}

#[test]
fn the_first_hour_of_reading_is_short() {
    let docs = root().join("docs");
    let path = ["../README.md", "tutorial/demo.md", "tutorial/first-policy.md"];
    let tasks = ["install", "connect", "on-call", "test-policies", "approvals", "roll-out"];
    let tasks = tasks.map(|task| format!("how-to/{task}.md"));
    let read = path.into_iter().map(str::to_owned).chain(tasks);
    let words: usize = read.map(|page| words(&docs.join(page))).sum();
    assert!(words < 6_000, "{words} words to read before one can begin");
}
