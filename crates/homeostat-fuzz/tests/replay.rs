//! What the fuzzer starts from, fed to the same functions without a fuzzer: what was found once
//! stays found, and the seeds stay ones that the doors know.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use homeostat_fuzz::TARGETS;

/// Places at which a seed is cut off: the ends of what was read so far.
const CUTS: usize = 24;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn replay(name: &str) {
    let (_, feed, besides) = TARGETS.into_iter().find(|(known, ..)| *known == name).unwrap();
    let root = root();
    let mut seeds = files(&root.join("fuzz/corpus").join(name));
    seeds.extend(besides.iter().flat_map(|beside| files(&root.join(beside))));
    assert!(!seeds.is_empty(), "target {name} has no seeds");
    for seed in seeds {
        let bytes = std::fs::read(&seed).unwrap();
        // What is fed last stands in the output of a test that fails.
        eprintln!("{}", seed.display());
        feed(&bytes);
        for cut in 0..CUTS {
            feed(&bytes[..bytes.len() * cut / CUTS]);
        }
    }
}

#[test]
fn matchers_hold_their_laws() {
    replay("matchers");
}

#[test]
fn regexes_hold_their_laws() {
    replay("regex");
}

#[test]
fn webhooks_hold_their_laws() {
    replay("webhook");
}

#[test]
fn bodies_of_the_alerts_api_hold_their_laws() {
    replay("alerts_api");
}

#[test]
fn configurations_hold_their_laws() {
    replay("config");
}

#[test]
fn policy_tests_hold_their_laws() {
    replay("policy_test");
}

#[test]
fn frames_hold_their_laws() {
    replay("frames");
}

/// The names in a directory, without what follows a dot.
fn names_in(directory: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(directory)).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    entries.map(|entry| stem(entry.unwrap().path())).collect()
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn each_target_has_a_program_that_is_built_and_seeds_of_its_own() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(names_in("fuzz/targets"), targets);
    assert_eq!(names_in("fuzz/corpus"), targets);
    let manifest = text("fuzz/Cargo.toml");
    assert_eq!(manifest.matches("[[bin]]").count(), targets.len());
    for name in &targets {
        let bin = format!("name = \"{name}\"\npath = \"targets/{name}.rs\"\n");
        assert!(manifest.contains(&bin), "fuzz/Cargo.toml does not build {name}");
        let program = text(&format!("fuzz/targets/{name}.rs"));
        assert!(program.contains(&format!("::{name}(bytes)")), "{name} feeds another target");
    }
}

#[test]
fn the_script_starts_from_the_same_seeds() {
    let script = text("scripts/fuzz");
    let lines = script.lines().filter_map(|line| line.trim().split_once(") echo "));
    let besides: BTreeMap<&str, Vec<&str>> = lines
        .map(|(name, places)| (name, places.trim_end_matches(" ;;").split(' ').collect()))
        .collect();
    let known = TARGETS.into_iter().filter(|(_, _, besides)| !besides.is_empty());
    assert_eq!(besides, known.map(|(name, _, besides)| (name, besides.to_vec())).collect());
}
