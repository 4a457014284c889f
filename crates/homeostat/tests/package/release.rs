//! What a tagged version is made of: a tag that is not the version is refused before anything is built, and
//! what is gathered is whole.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use homeostat::demo::stack::Sandbox;

use super::machine::{root, said};

/// A tree with as much in it as the script reads.
fn tree(sandbox: &Sandbox, version: &str, day: &str) -> PathBuf {
    let tree = sandbox.path().join(version);
    let here = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let script = put(&tree, "scripts/release", &here("scripts/release"));
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    put(&tree, "Cargo.toml", &format!("[workspace.package]\nversion = \"{version}\"\n"));
    let chart = format!("name: homeostat\nversion: {version}\nappVersion: {version}\n");
    put(&tree, "contrib/chart/Chart.yaml", &chart);
    put(&tree, "contrib/chart/values.yaml", "");
    put(&tree, "contrib/chart/ci/all-values.yaml", "");
    put(
        &tree,
        "CHANGELOG.md",
        &format!(
            "# Changelog\n\n## [{version}.1] - 2026-03-01\n\nLater.\n\n## [{version}] - {day}\n\n\
             It heals.\n\n### Added\n\n- More.\n\n## [0.0.9] - 2026-01-01\n\nEarlier.\n"
        ),
    );
    tree
}

fn put(tree: &Path, file: &str, text: &str) -> PathBuf {
    let path = tree.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

fn run(tree: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(tree.join("scripts/release"));
    let path = format!("{}:{}", tree.display(), std::env::var("PATH").unwrap());
    command.args(words).env("PATH", path).output().unwrap()
}

#[test]
fn a_tag_is_released_only_if_it_is_the_version_of_everything() {
    let sandbox = Sandbox::new().unwrap();
    let tree = tree(&sandbox, "1.2.3", "2026-02-01");
    let refused = |tag: &str, wanted: &str| {
        let output = run(&tree, &["check", tag]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(wanted), "{}", said(&output));
    };
    let output = run(&tree, &["check", "v1.2.3"]);
    assert!(output.status.success(), "{}", said(&output));
    refused("", "the tag is missing, and Cargo.toml says v1.2.3");
    refused("v1.2.4", "the tag is v1.2.4, and Cargo.toml says v1.2.3");
    refused("1.2.3", "the tag is 1.2.3, and");

    let edit = |file: &str, from: &str, to: &str| {
        let text = fs::read_to_string(tree.join(file)).unwrap();
        assert!(text.contains(from), "{file}: {text}");
        fs::write(tree.join(file), text.replace(from, to)).unwrap();
    };
    edit("contrib/chart/Chart.yaml", "appVersion: 1.2.3", "appVersion: 1.2.2");
    refused("v1.2.3", "appVersion of contrib/chart/Chart.yaml is 1.2.2, not 1.2.3");
    edit("contrib/chart/Chart.yaml", "appVersion: 1.2.2", "appVersion: 1.2.3");
    edit("CHANGELOG.md", "- 2026-02-01", "- Unreleased");
    refused("v1.2.3", "CHANGELOG.md has no section \"## [1.2.3] - \" with the day");
    edit("CHANGELOG.md", "- Unreleased", "- 2026-02-01");
    edit("CHANGELOG.md", "It heals.\n\n### Added\n\n- More.\n", "");
    refused("v1.2.3", "CHANGELOG.md says nothing about 1.2.3");
}

#[test]
fn what_is_released_is_gathered_with_checksums_and_notes() {
    let sandbox = Sandbox::new().unwrap();
    let tree = tree(&sandbox, "1.2.3-rc.1", "2026-02-01");
    for file in ["homeostat_1.2.3~rc.1-1_amd64.deb", "homeostat_1.2.2-1_amd64.deb"] {
        put(&tree, &format!("target/debian/{file}"), file);
    }
    for file in ["target/homeostat.cdx.json", "target/third-party.txt"] {
        put(&tree, file, file);
    }
    // In place of an engine of containers: the script looks for it on its PATH, here first.
    let engine = "#!/bin/sh\ntest \"$*\" = 'save homeostat' && echo an image\n";
    let engine = put(&tree, "podman", engine);
    fs::set_permissions(&engine, fs::Permissions::from_mode(0o755)).unwrap();

    let output = run(&tree, &["gather"]);
    assert!(output.status.success(), "{}", said(&output));
    let files = tree.join("target/release-files");
    let machine = Command::new("uname").arg("-m").output().unwrap();
    let machine = String::from_utf8(machine.stdout).unwrap();
    let image = format!("homeostat-image-1.2.3-rc.1-{}.tar.gz", machine.trim());
    let mut names: Vec<String> = fs::read_dir(&files)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut wanted = [
        "SHA256SUMS",
        "homeostat-1.2.3-rc.1-third-party.txt",
        "homeostat-1.2.3-rc.1.cdx.json",
        "homeostat-chart-1.2.3-rc.1.tgz",
        &image,
        "homeostat_1.2.3~rc.1-1_amd64.deb",
    ];
    wanted.sort_unstable();
    assert_eq!(names, wanted);

    let run_there = |program: &str, words: &[&str]| {
        let output = Command::new(program).args(words).current_dir(&files).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let sums = run_there("sha256sum", &["--check", "--strict", "SHA256SUMS"]);
    assert_eq!(sums.lines().filter(|line| line.ends_with(": OK")).count(), names.len() - 1);
    assert_eq!(run_there("gzip", &["--decompress", "--stdout", &image]), "an image\n");
    let chart = run_there("tar", &["--list", "--file", "homeostat-chart-1.2.3-rc.1.tgz"]);
    assert_eq!(chart, "homeostat/\nhomeostat/Chart.yaml\nhomeostat/values.yaml\n");
    let notes = fs::read_to_string(tree.join("target/release-notes.md")).unwrap();
    assert_eq!(notes, "It heals.\n\n### Added\n\n- More.\n");
}

/// The targets of `make` that a text calls.
fn called(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.split_once(" make ").map(|(_, rest)| rest));
    let words = lines.flat_map(|rest| rest.split(' '));
    words.filter(|word| !word.contains(['=', '"', '$'])).map(str::to_owned).collect()
}

#[test]
fn what_the_forge_calls_is_there() {
    let make = fs::read_to_string(root().join("Makefile")).unwrap();
    let has = |target: &str| make.lines().any(|line| line.starts_with(&format!("{target}:")));
    let mut all = Vec::new();
    for entry in fs::read_dir(root().join(".github/workflows")).unwrap() {
        let path = entry.unwrap().path();
        for target in called(&fs::read_to_string(&path).unwrap()) {
            assert!(has(&target), "{}: there is no target {target}", path.display());
            all.push(target);
        }
    }
    for target in ["check", "test", "deb", "image", "chart", "sbom", "book", "release"] {
        assert!(all.iter().any(|called| called == target), "nobody calls make {target}");
    }
    let workflow = fs::read_to_string(root().join(".github/workflows/release.yml")).unwrap();
    for made in ["make release TAG=", "target/release-notes.md", "target/release-files/*"] {
        assert!(workflow.contains(made), "{made} is not in it:\n{workflow}");
    }
}
