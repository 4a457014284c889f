//! The processes of an engine's hands, and what their orders came to.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use homeostat::demo::stack::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::{Value, json};

use super::{Engine, PATIENCE, until};

/// Ends a process at once.
pub(crate) fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// Waits for the end of the first order, and returns it.
pub(crate) async fn ended_order(engine: &Engine) -> Value {
    until("the end of the order", || async {
        let order = engine.incidents().await.first()?["orders"][0].clone();
        (order["state"] == "ended").then_some(order)
    })
    .await
}

/// Processes with this in their environment.
fn with_environment(entry: &str) -> BTreeSet<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let has_it = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut entries = environment.split(|byte| *byte == 0);
        entries.any(|known| known.starts_with(entry.as_bytes()))
    };
    numbers.filter(has_it).collect()
}

fn data(engine: &Engine) -> String {
    engine.directory.join("data").display().to_string()
}

/// A process with this in its environment, as soon as there is one.
fn one_with_environment(entry: &str) -> i32 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(pid) = with_environment(entry).into_iter().next() {
            return pid;
        }
        assert!(Instant::now() < deadline, "no process has {entry}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The runner of an engine. An engine is ready before its runner is.
pub(crate) fn runner(engine: &Engine) -> i32 {
    one_with_environment(&format!("HOMEOSTAT_RUNNER={}", data(engine)))
}

/// A hand of an engine.
pub(crate) fn hand(engine: &Engine) -> i32 {
    one_with_environment(&format!("HOMEOSTAT_HAND={}", data(engine)))
}

/// More files than a process of ours has open that has let go of what is over.
pub(crate) const MOST_FILES: usize = 40;

/// How many files a process has open, and how many KiB of it are resident.
pub(crate) fn weight(pid: u32) -> (usize, u64) {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    (open, resident.trim().trim_end_matches(" kB").parse().unwrap())
}

/// Has a hand do an errand of Kubernetes, or rehearse it, with no engine; returns what it says of it, and
/// its output.
pub(crate) async fn errand(
    kubeconfig: &Path,
    (verb, fields): (&str, &[(&str, &str)]),
    rehearse: bool,
) -> (Value, String) {
    let directory = tempfile::tempdir().unwrap();
    let work = directory.path().join("1.first.1-test");
    fs::create_dir(&work).unwrap();
    let kubeconfig = kubeconfig.display().to_string();
    let fields = [&[("kubeconfig", kubeconfig.as_str())], fields].concat();
    let asked = json!({
        "errand": { "hand": "kubernetes", "verb": verb, "fields": fields },
        "rehearse": rehearse,
        "timeout": Duration::from_secs(8), "grace": Duration::from_secs(2),
    });
    let document = directory.path().join("document");
    fs::write(&document, json!({ "homeostat": { "hand": asked } }).to_string()).unwrap();
    let said = work.join("said");
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.env("HOMEOSTAT_HAND", &said).stdin(fs::File::open(document).unwrap());
    let output = command.kill_on_drop(true).output().await.unwrap();
    let said = serde_json::from_slice(&fs::read(said).unwrap()).unwrap();
    (said, String::from_utf8(output.stdout).unwrap())
}

/// All orders of an engine's first remedy, as the journal has them.
pub(crate) async fn orders_of_the_first(engine: &Engine) -> Vec<Value> {
    let (mut orders, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = engine.json(&format!("/api/v1/incidents?limit=100&fields=all{cursor}")).await;
        for incident in page["incidents"].as_array().unwrap() {
            let all = incident["orders"].as_array().unwrap().iter();
            orders.extend(all.filter(|order| order["remedy"] == "first").cloned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return orders,
        }
    }
}

/// Waits until something has happened so often; the next few times never take long.
pub(crate) async fn until_count(what: &str, count: usize, so_far: impl Fn() -> usize) {
    for some in (0..count).step_by(20).chain([count]) {
        until(what, || async { (so_far() >= some).then_some(()) }).await;
    }
}

/// Waits until so many incidents each have one order of the first remedy that has ended, and none has two.
pub(crate) async fn until_all_have_ended(engine: &Engine, count: usize) -> Vec<Value> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let orders = orders_of_the_first(engine).await;
        let ended = orders.iter().filter(|order| order["state"] == "ended").count();
        if ended == count {
            let incidents: BTreeSet<String> =
                orders.iter().map(|order| incident_of(order).to_owned()).collect();
            assert_eq!((orders.len(), incidents.len()), (count, count), "one order each");
            return orders;
        }
        if ended > last {
            (last, since) = (ended, Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "{ended} orders of {count} have ended, and no more do");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The number of an order's incident.
fn incident_of(order: &Value) -> &str {
    order["id"].as_str().unwrap().split('.').next().unwrap()
}
