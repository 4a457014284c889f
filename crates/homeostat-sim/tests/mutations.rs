//! Shows that the oracles bite: defects are put into the real source of the core, one at a time,
//! and the simulator must find each.
//!
//! The sources are copied to a tree of their own below the repository's `target`. There each
//! mutant stands beside the original, behind a number that is read from the environment, so that
//! one build serves all of them. A mutation whose text is not found exactly once fails the test:
//! when the core changes, its mutation is to be written anew.
//!
//! Source: the mutant schemata of Untch, Offutt and Harrold, "Mutation analysis using mutant
//! schemata" (ISSTA 1993).

#![expect(clippy::print_stdout, reason = "a test says what was found, and where")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree must fail")]

#[path = "mutations/table.rs"]
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use table::{MUTATIONS, Mutation};

/// Seeds in which a mutant must be found. Most are found within the first ten; a rare one begins with
/// the world in which it was seen.
const SEEDS: u64 = 600;

/// Names a part of the name of the defects that are looked for, while one is written.
const CHOICE: &str = "MUTATION";

/// Seeds in which the core as it is must break nothing.
const BASELINE: u64 = 150;

/// How a copy of the core learns which mutant it is.
const SWITCH: &str = "
/// Tells whether this defect is switched on.
pub fn mutant(number: usize) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<usize>> = std::sync::OnceLock::new();
    let read = || std::env::var(\"HOMEOSTAT_MUTANT\").ok()?.parse().ok();
    *CHOSEN.get_or_init(read) == Some(number)
}
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Writes a file unless it is there already, so that nothing is built twice.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|known| known == text) {
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Lists the files below a directory, relative to it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|inner| name.join(inner)));
        } else {
            found.push(name);
        }
    }
    found
}

/// Makes one directory the image of another, with a change to each file's text.
fn copy(from: &Path, to: &Path, change: impl Fn(&Path, String) -> String) {
    let wanted = files(from);
    for file in &wanted {
        let text = fs::read_to_string(from.join(file)).unwrap();
        write(&to.join(file), &change(file, text));
    }
    for file in files(to).into_iter().filter(|file| !wanted.contains(file)) {
        fs::remove_file(to.join(file)).unwrap();
    }
}

/// Puts all mutants into the text of one file of the core.
fn mutate(file: &Path, mut text: String) -> String {
    for (number, mutation) in MUTATIONS.iter().enumerate() {
        if Path::new(mutation.file) != file {
            continue;
        }
        let found = text.matches(mutation.find).count();
        let Mutation { name, find, .. } = mutation;
        assert_eq!(found, 1, "{name}: {} has {found} times {find:?}", mutation.file);
        let switch = format!("crate::mutant({number})");
        text = text.replace(find, &mutation.replace.replace("{M}", &switch));
    }
    if file == Path::new("lib.rs") {
        text.push_str(SWITCH);
    }
    text
}

/// Copies core and simulator into a tree; all else of the workspace is only linked to, so that the
/// manifest and the lock file stay as they are.
fn plant(tree: &Path) {
    let root = root();
    for file in ["Cargo.toml", "Cargo.lock"] {
        write(&tree.join(file), &fs::read_to_string(root.join(file)).unwrap());
    }
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let to = tree.join("crates").join(&name);
        match name.as_str() {
            "homeostat-core" | "homeostat-sim" => {
                let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap();
                write(&to.join("Cargo.toml"), &manifest);
                fs::create_dir_all(to.join("src")).unwrap();
                copy(&path.join("src"), &to.join("src"), |file, text| {
                    if name == "homeostat-core" { mutate(file, text) } else { text }
                });
            }
            _ if to.exists() => {}
            _ => std::os::unix::fs::symlink(&path, &to).unwrap(),
        }
    }
}

/// Builds the tree and returns its simulator.
fn build(tree: &Path) -> PathBuf {
    let target = tree.join("target");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--locked", "--quiet", "--package", "homeostat-sim"])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        // Optimised code that is built in parts was seen not to link.
        .env("CARGO_INCREMENTAL", "0")
        .env("RUSTFLAGS", "--cap-lints allow")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("debug/homeostat-sim")
}

fn run(simulator: &Path, mutant: Option<usize>) -> Output {
    let mut command = Command::new(simulator);
    let seeds = mutant.map_or(BASELINE, |_| SEEDS).to_string();
    let start = mutant.map_or(1, |number| MUTATIONS[number].start).to_string();
    command.args(["--jobs", "1", "--failures", "1", "--start", &start, "--seeds", &seeds]);
    command.env_remove("HOMEOSTAT_MUTANT");
    if let Some(number) = mutant {
        command.env("HOMEOSTAT_MUTANT", number.to_string());
    }
    command.output().unwrap()
}

/// Runs all mutants, two at a time, and returns what was said about those that were not found.
fn hunt(simulator: &Path) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let choice = std::env::var(CHOICE).unwrap_or_default();
    let work = || {
        let mut missed = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(mutation) = MUTATIONS.get(number) else { return missed };
            if !mutation.name.contains(&choice) {
                continue;
            }
            let output = run(simulator, Some(number));
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            println!("{}\n  {}", mutation.name, said.trim_end().replace('\n', "\n  "));
            if output.status.code() != Some(1) {
                missed.push(format!("{}: {said}", mutation.name));
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn the_simulator_finds_every_defect_that_is_put_into_the_core() {
    let tree = root().join("target/mutations");
    fs::create_dir_all(&tree).unwrap();
    // Another run of this test may be at work in the same tree.
    let lock = fs::File::create(tree.join(".lock")).unwrap();
    lock.lock().unwrap();
    plant(&tree);
    let simulator = build(&tree);
    let baseline = run(&simulator, None);
    let said = String::from_utf8_lossy(&baseline.stdout);
    assert!(baseline.status.success(), "without any defect: {said}");
    let missed = hunt(&simulator);
    assert!(missed.is_empty(), "not found: {missed:#?}");
}
