//! What is in the package, without installing it.

use std::path::Path;
use std::process::Command;

use homeostat::demo::stack::Sandbox;

use super::machine::{package, said};

fn dpkg(package: &Path, arguments: &[&str]) -> String {
    let output = Command::new("dpkg-deb").args(arguments).arg(package).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_has_the_program_the_unit_the_manual_and_completions() {
    let sandbox = Sandbox::new().unwrap();
    let Some(package) = package(sandbox.path(), "1.2.3-rc.1") else { return };
    let listed = dpkg(&package, &["--contents"]);
    for path in [
        "usr/bin/homeostat",
        "usr/lib/systemd/system/homeostat.service",
        "etc/default/homeostat",
        "etc/homeostat/homeostat.yml",
        "usr/share/man/man1/homeostat.1.gz",
        "usr/share/man/man1/homeostat-serve.1.gz",
        "usr/share/man/man1/homeostat-incidents.1.gz",
        "usr/share/bash-completion/completions/homeostat",
        "usr/share/zsh/vendor-completions/_homeostat",
        "usr/share/fish/vendor_completions.d/homeostat.fish",
        "usr/share/doc/homeostat/copyright",
        "usr/share/doc/homeostat/third-party.gz",
        "usr/share/doc/homeostat/contrib/schema/homeostat.schema.json",
        "usr/share/doc/homeostat/examples/service-restart/homeostat.yml",
        "usr/share/doc/homeostat/examples/mixin/dashboards/healing.json",
    ] {
        assert!(listed.contains(&format!(" ./{path}\n")), "{path} is not in it:\n{listed}");
    }
    assert!(!listed.contains("demo-service"), "what is hidden has a page:\n{listed}");
    let foreign = listed.lines().filter(|line| !line.contains(" root/root "));
    assert_eq!(foreign.count(), 0, "not all is root's:\n{listed}");
    let control = dpkg(&package, &["--info"]);
    // A prerelease comes before its release.
    assert!(control.contains(" Version: 1.2.3~rc.1-1\n"), "{control}");
    assert!(control.contains("libc6 (>= 2."), "{control}");
    let unpacked = sandbox.path().join("unpacked");
    let output = Command::new("dpkg-deb").arg("--raw-extract").args([&package, &unpacked]).output();
    assert!(output.unwrap().status.success());
    let conffiles = std::fs::read_to_string(unpacked.join("DEBIAN/conffiles")).unwrap();
    assert_eq!(conffiles, "/etc/default/homeostat\n/etc/homeostat/homeostat.yml\n");
}

#[test]
fn its_configuration_is_valid_and_acts_on_nothing() {
    let file = super::machine::root().join("contrib/deb/homeostat.yml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    let output = command.args(["check", "--config.file"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(!said(&output).contains("warning"), "{}", said(&output));
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("mode: shadow") && !text.contains("auto"), "{text}");
}

#[test]
fn the_same_program_gives_the_same_package() {
    let sandbox = Sandbox::new().unwrap();
    let [one, other] = ["one", "other"].map(|name| sandbox.path().join(name));
    let (Some(one), Some(other)) = (package(&one, "1.0.0"), package(&other, "1.0.0")) else {
        return;
    };
    assert!(std::fs::read(one).unwrap() == std::fs::read(other).unwrap());
}
