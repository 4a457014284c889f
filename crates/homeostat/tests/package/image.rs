//! What the image is made of, and how it runs: its words, as the first process of namespaces whose root
//! is read-only, by its user. No engine of containers is needed for that.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use homeostat::demo::stack::Sandbox;

use super::machine::{root, said};

const PATIENCE: Duration = Duration::from_secs(40);

fn containerfile() -> String {
    std::fs::read_to_string(root().join("Containerfile")).unwrap()
}

/// The words of an instruction in JSON's form.
fn words(instruction: &str) -> Vec<String> {
    let text = containerfile();
    let mut lines = text.lines().filter_map(|line| line.split_once(instruction));
    let (_, rest) = lines.next().unwrap_or_else(|| panic!("there is no {instruction}"));
    serde_json::from_str(rest.trim()).unwrap()
}

#[test]
fn what_it_copies_is_there_and_what_it_builds_is_the_program() {
    let text = containerfile();
    let stage = text.split("\nFROM ").last().unwrap();
    for line in stage.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let from_build = line.starts_with("--from=build ");
        let source = line.trim_start_matches("--from=build ").split(' ').next().unwrap();
        let there = if from_build {
            ["/src/target/release/homeostat", "/src/target/third-party.txt"].contains(&source)
        } else {
            root().join(source).exists()
        };
        assert!(there, "{source} is not there to copy");
    }
    assert!(text.contains("cargo build --release --locked --package homeostat\n"));
    assert!(text.contains("\nRUN scripts/licences >target/third-party.txt\n"));
    assert!(stage.contains("\nUSER 65532:65532\n"));
}

#[test]
fn it_is_built_in_the_form_that_keeps_its_health_check() {
    assert!(containerfile().contains("\nHEALTHCHECK "));
    let sandbox = Sandbox::new().unwrap();
    for (engine, how) in [("docker", "docker build "), ("podman", "podman build --format docker ")]
    {
        // In place of all that the recipe calls: says how it was called.
        let programs = sandbox.path().join(engine);
        std::fs::create_dir(&programs).unwrap();
        for name in [engine, "git"] {
            let program = programs.join(name);
            std::fs::write(&program, "#!/bin/sh\necho \"${0##*/} $*\"\n").unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut make = Command::new("make");
        make.args(["--no-print-directory", "image", &format!("PATH={}", programs.display())]);
        let output = make.current_dir(root()).output().unwrap();
        let called = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(called.starts_with(how), "{}", said(&output));
        assert!(called.contains("--file Containerfile --tag homeostat "), "{called}");
        assert!(called.contains("HOMEOSTAT_REVISION=git rev-parse "), "{called}");
    }
}

/// Namespaces as a container's, for this script and what it becomes: `ROOT` is the container's root.
const CONTAINER: &str = r#"
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay "$1/root" -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work"
mkdir -p "$1/root/etc/homeostat" "$1/root/var/lib/homeostat" "$1/root/usr/bin"
cp "$2" "$1/root/usr/bin/homeostat"
cp contrib/deb/homeostat.yml "$1/root/etc/homeostat/homeostat.yml"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -o remount,ro "$1/root"
mount -t tmpfs -o uid=65532,gid=65532,mode=0700 tmpfs "$1/root/var/lib/homeostat"
ip link set lo up 2>/dev/null || true
shift 2
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot --userspec=65532:65532 "$ROOT" "$@"
"#;

/// A container that runs, until it is dropped.
struct Container {
    unshare: std::process::Child,
}

impl Container {
    fn run(sandbox: &Sandbox, words: &[String]) -> Option<Self> {
        let possible = ["--fork", "--pid", "--mount", "--net", "--mount-proc", "true"];
        match Command::new("unshare").args(possible).output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                eprintln!("skipped: namespaces are refused: {}", said(&output));
                return None;
            }
            Err(error) => {
                eprintln!("skipped: there is no unshare here: {error}");
                return None;
            }
        }
        let place = sandbox.path().join("container");
        std::fs::create_dir(&place).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--fork", "--kill-child", "--pid", "--mount", "--net", "--mount-proc"]);
        command.args(["sh", "-ec", CONTAINER, "sh"]).arg(&place);
        command.arg(env!("CARGO_BIN_EXE_homeostat")).args(words);
        command.env("ROOT", place.join("root")).current_dir(root());
        let log = std::fs::File::create(sandbox.path().join("log")).unwrap();
        command.stderr(log);
        Some(Self { unshare: command.spawn().unwrap() })
    }

    /// The first process in it.
    fn first(&self) -> String {
        let id = self.unshare.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        children.unwrap_or_default().trim().to_owned()
    }

    /// Runs something in it, as its user.
    fn exec(&self, words: &[String]) -> Output {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first(), "--mount", "--net", "--pid", "--root", "--wd"]);
        command.args(["--setuid", "65532", "--setgid", "65532", "env", "-i", "PATH=/usr/bin:/bin"]);
        command.args(words).output().unwrap()
    }

    /// Waits until something in it succeeds.
    fn until(&self, words: &[String], log: &Path) {
        wait(&format!("{words:?}"), log, || self.exec(words).status.success().then_some(()));
    }
}

/// Waits until there is something; the log tells why there never is.
fn wait<T>(what: &str, log: &Path, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        let log = || std::fs::read_to_string(log).unwrap();
        assert!(Instant::now() < deadline, "waited in vain for {what}: {}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

fn sh(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

#[test]
fn it_runs_on_a_read_only_root_by_its_user_reaps_orphans_and_stops() {
    let sandbox = Sandbox::new().unwrap();
    let Some(mut container) = Container::run(&sandbox, &words("ENTRYPOINT ")) else { return };
    let log = sandbox.path().join("log");
    container.until(&words("CMD "), &log);
    let output = container.exec(&sh("echo > /usr/bin/more"));
    assert!(!output.status.success(), "its root can be written");
    let owner = container.exec(&sh("stat --format=%u:%g /var/lib/homeostat/homeostat.db"));
    assert_eq!(String::from_utf8_lossy(&owner.stdout), "65532:65532\n");

    // Whose parent has gone comes to the first process; once dead, it must not stay.
    let orphan = container.exec(&sh("sleep 0.2 >/dev/null 2>&1 & echo $!"));
    let orphan = String::from_utf8(orphan.stdout).unwrap();
    let number: u32 = orphan.trim().parse().unwrap();
    container.until(&sh(&format!("! test -e /proc/{number}")), &log);

    let logged = || std::fs::read_to_string(&log).unwrap();
    wait("its runner", &log, || logged().contains("runner started").then_some(()));
    let first = container.first();
    let stopped = Command::new("kill").args(["-TERM", &first]).status().unwrap();
    assert!(stopped.success());
    let status = wait("its end", &log, || container.unshare.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{}", logged());
}
