//! A systemd of its own, over a copy of this machine that is thrown away, and packages of the program
//! under test to put into it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use homeostat::demo::stack::Sandbox;
use serde_json::Value;

/// The longest that anything may take: far more than it does on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// `scripts/systemd` says so where this machine cannot boot one.
const CANNOT: i32 = 3;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Makes a package of this version; `None`, and why, where this is not Debian or one of its kin.
pub(crate) fn package(into: &Path, version: &str) -> Option<PathBuf> {
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        eprintln!("skipped: there is no dpkg-deb here");
        return None;
    }
    let mut command = Command::new(root().join("scripts/deb"));
    command.args([Path::new(env!("CARGO_BIN_EXE_homeostat")), into, Path::new(version)]);
    // What is thrown away need not be small.
    let output = command.env("DPKG_DEB_COMPRESSOR_TYPE", "none").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let path = String::from_utf8(output.stdout).unwrap();
    Some(PathBuf::from(path.trim()))
}

/// A systemd that runs, until it is dropped.
pub(crate) struct Machine {
    sandbox: Sandbox,
}

impl Machine {
    /// Boots one; `None`, and why, where that is refused.
    pub(crate) fn boot() -> Option<Self> {
        let sandbox = Sandbox::new().unwrap();
        let machine = Self { sandbox };
        let output = machine.script("boot").output().unwrap();
        if output.status.code() == Some(CANNOT) {
            eprintln!("skipped: {}", said(&output));
            return None;
        }
        assert!(output.status.success(), "{}", said(&output));
        Some(machine)
    }

    /// Boots one in which the package is installed.
    pub(crate) fn with_the_package() -> Option<Self> {
        let machine = Self::boot()?;
        let package = machine.package("1.0.0")?;
        machine.sh(&format!("dpkg --install {package}"));
        Some(machine)
    }

    fn script(&self, verb: &str) -> Command {
        let mut command = Command::new(root().join("scripts/systemd"));
        command.arg(verb).arg(self.sandbox.path());
        command
    }

    /// Makes a package of this version and returns its path inside.
    pub(crate) fn package(&self, version: &str) -> Option<String> {
        let made = package(&self.sandbox.path().join("share"), version)?;
        Some(format!("/srv/share/{}", made.file_name().unwrap().to_str().unwrap()))
    }

    /// Runs a script inside, whatever it comes to.
    pub(crate) fn try_sh(&self, script: &str) -> Output {
        self.script("in").args(["sh", "-ec", script]).output().unwrap()
    }

    /// Runs a script inside, which must succeed, and returns what it prints.
    pub(crate) fn sh(&self, script: &str) -> String {
        let output = self.try_sh(script);
        if !output.status.success() {
            let log = self.try_sh("journalctl --no-pager --unit=homeostat | tail -n 40");
            panic!("{script}:\n{}\nThe log:\n{}", said(&output), said(&log));
        }
        String::from_utf8(output.stdout).unwrap()
    }

    /// Writes a file inside.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let file = self.sandbox.path().join("share/file");
        std::fs::write(file, text).unwrap();
        self.sh(&format!("mkdir -p \"$(dirname {path})\" && cat /srv/share/file > {path}"));
    }

    /// Waits until a script inside succeeds.
    pub(crate) fn until(&self, script: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.try_sh(script).status.success() {
            if Instant::now() > deadline {
                let log = self.try_sh("journalctl --no-pager | tail -n 60");
                panic!("waited in vain for {script}:\n{}", said(&log));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// An incident, as the command line tells it to root.
    pub(crate) fn incident(&self, id: u32) -> Value {
        let text = self.sh(&format!("homeostat incidents {id} --output json"));
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until an incident is closed.
    pub(crate) fn closed(&self, id: u32) -> Value {
        self.until(&format!(
            "homeostat incidents {id} --output json | grep -q '\"state\": \"closed\"'"
        ));
        self.incident(id)
    }

    /// What systemd knows of the unit by this name.
    pub(crate) fn show(&self, property: &str) -> String {
        let text = self.sh(&format!("systemctl show --value --property={property} homeostat"));
        text.trim().to_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Err(error) = self.script("end").status() {
            eprintln!("{} cannot be ended: {error}", self.sandbox.path().display());
        }
    }
}
