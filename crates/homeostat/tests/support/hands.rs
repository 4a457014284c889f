//! The processes of an engine's hands, and what their orders came to.

use std::collections::BTreeSet;
use std::fs;

use homeostat::demo::stack::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;

use super::{Engine, until};

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

/// The runner of an engine.
pub(crate) fn runner(engine: &Engine) -> i32 {
    let runners = with_environment(&format!("HOMEOSTAT_RUNNER={}", data(engine)));
    runners.into_iter().next().expect("it runs")
}

/// A hand of an engine.
pub(crate) fn hand(engine: &Engine) -> i32 {
    let hands = with_environment(&format!("HOMEOSTAT_HAND={}", data(engine)));
    hands.into_iter().next().expect("it runs")
}
