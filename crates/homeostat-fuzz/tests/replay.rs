//! What the fuzzer starts from, fed to the same functions without a fuzzer: what was found once
//! stays found, and the seeds stay ones that the doors know.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree must fail")]

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
fn each_target_has_a_program_of_the_fuzzer() {
    let mut programs: Vec<String> = files(&root().join("fuzz/targets"))
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let mut names = TARGETS.map(|(name, ..)| name.to_owned());
    programs.sort();
    names.sort();
    assert_eq!(programs, names);
}
