//! The hosts that `make demo-hosts` heals over SSH: real ones, in namespaces.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

use homeostat::demo::stack::Sandbox;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::until;

/// The script says so where it cannot be played.
const CANNOT: i32 = 2;

/// Starts it, with the sandbox as the mark of all that it starts.
fn play(sandbox: &Sandbox) -> Child {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/demo-hosts");
    let mut command = Command::new(script);
    command.arg(env!("CARGO_BIN_EXE_homeostat")).env("TMPDIR", sandbox.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// What of it runs, or lies about.
fn left_of(sandbox: &Sandbox) -> Vec<String> {
    let mark = format!("TMPDIR={}", sandbox.path().display()).into_bytes();
    let is_marked = |environment: Vec<u8>| environment.windows(mark.len()).any(|w| w == mark);
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let processes = processes.filter(|p| fs::read(p.path().join("environ")).is_ok_and(is_marked));
    let files = fs::read_dir(sandbox.path()).unwrap().flatten();
    processes.chain(files).map(|entry| entry.path().display().to_string()).collect()
}

#[test]
fn hosts_are_healed_over_ssh_and_one_that_is_cut_off_is_left_to_a_person() {
    let sandbox = Sandbox::new().unwrap();
    let output = play(&sandbox).wait_with_output().unwrap();
    let (told, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(CANNOT) {
        eprintln!("skipped: {complaint}");
        return;
    }
    assert!(output.status.success(), "{told}{complaint}");
    let checked: Vec<&str> =
        told.lines().filter_map(|line| Some(line.split_once("  ok: ")?.1)).collect();
    assert_eq!(
        checked,
        [
            "healed by restart, confirmed",
            "it ran on web1, once",
            "web1 is up",
            "escalated",
            "both remedies certainly did not start",
            "Alertmanager told three times more, and nothing more was tried",
            "nothing was ever done on web2",
            "and nothing was tried afterwards",
            "healed by clear-cache, confirmed",
            "both ran on web3, once each",
            "web3 is up",
        ],
        "{told}"
    );
    assert_eq!(left_of(&sandbox), [""; 0]);
}

#[tokio::test]
async fn nothing_is_left_of_hosts_whose_demo_is_ended() {
    for signal in [Signal::TERM, Signal::KILL] {
        let sandbox = Sandbox::new().unwrap();
        let mut demo = play(&sandbox);
        let mut told = BufReader::new(demo.stdout.take().unwrap()).lines().map_while(Result::ok);
        if !told.any(|line| line.starts_with("Act 1")) {
            let mut complaint = String::new();
            demo.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
            assert_eq!(demo.wait().unwrap().code(), Some(CANNOT), "{complaint}");
            eprintln!("skipped: {complaint}");
            return;
        }
        assert!(left_of(&sandbox).len() > 6, "the hosts are not recognised");
        kill_process(Pid::from_child(&demo), signal).unwrap();
        let status = demo.wait().unwrap();
        assert!(status.code() == Some(130) || status.signal() == Some(9), "{status}");
        let left = async || left_of(&sandbox).is_empty().then_some(());
        until("the end of all that it started", left).await;
    }
}
