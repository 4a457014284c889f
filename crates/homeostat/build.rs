//! Tells the program which revision it was built from.
//!
//! `HOMEOSTAT_REVISION` and `HOMEOSTAT_BRANCH` count where they are set, as a distribution sets
//! them; else git is asked, if this is a checkout. There is no date: the same source gives the
//! same binary.

use std::path::Path;
use std::process::Command;

fn main() {
    let git = Path::new(&package()).join("../../.git");
    let is_checkout = git.exists();
    if is_checkout {
        println!("cargo::rerun-if-changed={}", git.join("HEAD").display());
        if let Some(reference) = git_says(&["rev-parse", "--symbolic-full-name", "HEAD"]) {
            let file = git.join(reference);
            if file.exists() {
                println!("cargo::rerun-if-changed={}", file.display());
            }
        }
    } else {
        println!("cargo::rerun-if-changed=build.rs");
    }
    for (name, question) in [
        ("HOMEOSTAT_REVISION", ["rev-parse", "--short=12", "HEAD"]),
        ("HOMEOSTAT_BRANCH", ["rev-parse", "--abbrev-ref", "HEAD"]),
    ] {
        println!("cargo::rerun-if-env-changed={name}");
        let given = std::env::var(name).ok().filter(|value| !value.is_empty());
        let asked = || if is_checkout { git_says(&question) } else { None };
        let value = given.or_else(asked).unwrap_or_else(|| "unknown".to_owned());
        println!("cargo::rustc-env={name}={value}");
    }
}

fn git_says(question: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .current_dir(package())
        .args(question)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The directory of this package, asked of cargo when it runs this program: a compiled build
/// script may be shared by several checkouts.
fn package() -> String {
    std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".to_owned())
}
