//! Actions outlive the engine: real engines are killed, stopped and started again while real
//! processes run, and the runner between them is killed, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Engine, notification, order_directory, policy, ran, until};
use homeostat::demo::stack::{Sandbox, Signal};
use rustix::process::{Pid, kill_process};
use serde_json::Value;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];
const B: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "b:80")];

/// Verification that ends soon, so that the test does.
const SOON: &str = "    verify: { within: 2s, every: 1s, times: 1 }";

/// The runners of an engine's storage that live now, by their environment.
fn runners(engine: &Engine) -> BTreeSet<i32> {
    let mark = format!("HOMEOSTAT_RUNNER={}", engine.directory.join("data").display());
    let is_one = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    numbers().into_iter().filter(is_one).collect()
}

fn numbers() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// The only runner of an engine.
async fn runner(engine: &Engine) -> i32 {
    until("a runner", || async {
        let runners = runners(engine);
        assert!(runners.len() <= 1, "{runners:?}");
        runners.first().copied()
    })
    .await
}

async fn gone(what: &str, pid: i32) {
    until(what, || async { (!lives(pid)).then_some(()) }).await;
}

fn order_file(engine: &Engine, order: &str, name: &str) -> PathBuf {
    order_directory(&engine.directory.join("data"), order).join(name)
}

/// The record of an order's end.
async fn ended_record(engine: &Engine, order: &str) -> String {
    until(&format!("the end of {order}"), || async {
        fs::read_to_string(order_file(engine, order, "exit")).ok()
    })
    .await
}

async fn written(path: &Path) -> String {
    until(&format!("{}", path.display()), || async {
        fs::read_to_string(path).ok().filter(|text| text.ends_with('\n') || text.ends_with('}'))
    })
    .await
}

/// A script that says when it runs, and ends with this code when the file `go` is there.
fn gated(sandbox: &Sandbox, code: u8) -> String {
    let go = sandbox.path().join("go");
    format!("while ! [ -e {} ]; do sleep 0.05; done; echo finished; exit {code}", go.display())
}

async fn started(sandbox: &Sandbox) {
    until("the action", || async { (!ran(sandbox.path()).is_empty()).then_some(()) }).await;
}

fn go(sandbox: &Sandbox) {
    fs::write(sandbox.path().join("go"), "").unwrap();
}

async fn ended_order(engine: &Engine) -> Value {
    until("the end of the order", || async {
        let order = engine.incidents().await.first()?["orders"][0].clone();
        (order["state"] == "ended").then_some(order)
    })
    .await
}

/// An engine whose action runs, and the number of its runner.
async fn acting(sandbox: &Sandbox, script: &str, more: &[&str]) -> (Engine, i32) {
    let engine = Engine::start(sandbox, &policy(sandbox.path(), script, SOON), more).await;
    assert_eq!(engine.post("/hooks", notification(&[A])).await, 200);
    started(sandbox).await;
    let runner = runner(&engine).await;
    (engine, runner)
}

#[tokio::test]
async fn an_action_that_ends_while_no_engine_is_there_is_known_by_its_code_and_output() {
    let sandbox = Sandbox::new().unwrap();
    let (mut engine, runner) = acting(&sandbox, &gated(&sandbox, 0), &[]).await;
    engine.kill();
    go(&sandbox);
    ended_record(&engine, "1.first.1").await;
    engine.restart().await;
    let order = ended_order(&engine).await;
    assert_eq!((&order["exit_code"], &order["output"]), (&0.into(), &"finished\n".into()));
    let incident = engine.incident_in("closed").await;
    assert!(incident["reason"].as_str().unwrap().contains("unknown"), "verified: {incident:#}");
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
    assert!(lives(runner), "an engine came back in time");
    drop(engine);
    gone("no runner after a clean stop", runner).await;
}

#[tokio::test]
async fn an_action_that_ends_after_the_restart_is_adopted_and_its_failure_climbs() {
    let sandbox = Sandbox::new().unwrap();
    let (mut engine, runner) = acting(&sandbox, &gated(&sandbox, 3), &[]).await;
    for _ in 0..3 {
        engine.kill();
        engine.restart().await;
    }
    // What repeats of the alert would have done is done by now.
    assert_eq!(engine.post("/hooks", notification(&[A])).await, 200);
    let incident = engine.incident_in("acting").await;
    assert_eq!(incident["orders"][0]["state"], "running", "{incident:#}");
    go(&sandbox);
    let order = ended_order(&engine).await;
    assert_eq!((&order["exit_code"], &order["output"]), (&3.into(), &"finished\n".into()));
    until("the next remedy", || async { (ran(sandbox.path()).len() == 2).then_some(()) }).await;
    assert_eq!(ran(sandbox.path()), ["1.first.1", "1.second.1"]);
    assert_eq!(runners(&engine), BTreeSet::from([runner]), "the same runner all the time");
}

#[tokio::test]
async fn a_cancel_reaches_an_adopted_action_and_its_whole_tree() {
    let sandbox = Sandbox::new().unwrap();
    let pids = sandbox.path().join("pids");
    let script = format!(
        "setsid sleep 600 & echo $! >> {pids}; sleep 600 & echo $! >> {pids}; wait",
        pids = pids.display()
    );
    let (mut engine, _) = acting(&sandbox, &script, &[]).await;
    let both = until("both processes", || async {
        let text = fs::read_to_string(&pids).unwrap_or_default();
        let pids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (pids.len() == 2).then_some(pids)
    })
    .await;
    engine.kill();
    engine.restart().await;
    assert!(both.iter().all(|pid| lives(*pid)));
    engine.incident_in("acting").await;
    let request = engine.client().post(engine.url("/api/v1/incidents/1/cancel"));
    let request = request.header("content-type", "application/json");
    let answer = request.body(r#"{"by": "sre", "reason": "wrong"}"#).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["outcome"], "cancelled", "{incident:#}");
    assert_eq!(incident["orders"][0]["result"], "cancelled", "{incident:#}");
    assert!(both.iter().all(|pid| !lives(*pid)));
}

#[tokio::test]
async fn a_cancel_right_before_a_crash_is_obeyed() {
    let sandbox = Sandbox::new().unwrap();
    let (mut engine, runner) = acting(&sandbox, "exec sleep 600", &[]).await;
    // A runner that does not listen, so that the word is not heard before the kill.
    kill_process(Pid::from_raw(runner).unwrap(), Signal::STOP).unwrap();
    let request = engine.client().post(engine.url("/api/v1/incidents/1/cancel"));
    let request = request.header("content-type", "application/json");
    let answer = request.body(r#"{"by": "sre"}"#).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    engine.kill();
    kill_process(Pid::from_raw(runner).unwrap(), Signal::CONT).unwrap();
    engine.restart().await;
    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["orders"][0]["result"], "cancelled", "{incident:#}");
}

#[tokio::test]
async fn a_time_limit_is_kept_without_an_engine() {
    let sandbox = Sandbox::new().unwrap();
    let config =
        policy(sandbox.path(), "exec sleep 600", SOON).replace("timeout: 20s", "timeout: 2s");
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    started(&sandbox).await;
    engine.kill();
    let record = ended_record(&engine, "1.first.1").await;
    assert!(record.contains("timed_out"), "{record}");
    engine.restart().await;
    assert_eq!(ended_order(&engine).await["result"], "timed_out");
}

#[tokio::test]
async fn the_death_of_a_runner_leaves_its_orders_unknown_and_the_next_order_gets_a_new_one() {
    let sandbox = Sandbox::new().unwrap();
    let script =
        format!("[ \"$HOMEOSTAT_LABEL_instance\" = b:80 ] || {{ {}; }}", gated(&sandbox, 0));
    let (engine, first) = acting(&sandbox, &script, &[]).await;
    assert_eq!(engine.metric("homeostat_runner_up").await, Some(1.0));
    kill(first);
    let order = ended_order(&engine).await;
    assert_eq!(order["result"], "unknown", "{order:#}");
    assert!(order["outcome"].as_str().unwrap().contains("the runner that ran the order is gone"));
    assert_eq!(engine.metric("homeostat_runner_lost_total").await, Some(1.0));
    assert_eq!(engine.metric("homeostat_runner_up").await, Some(0.0));
    engine.post("/hooks", notification(&[B])).await;
    until("an order of the other incident", || async {
        (ran(sandbox.path()).len() == 2).then_some(())
    })
    .await;
    let second = runner(&engine).await;
    assert_ne!(second, first);
    let started = "homeostat_runner_starts_total{result=\"started\"}";
    assert_eq!(engine.metric(started).await, Some(2.0));
    go(&sandbox);
    assert_eq!(ran(sandbox.path()), ["1.first.1", "2.first.1"], "what is unknown is not run again");
    let incidents = engine.incidents().await;
    assert!(["verifying", "closed"].contains(&incidents[0]["state"].as_str().unwrap()));
}

#[tokio::test]
async fn a_runner_that_hangs_is_given_up_and_what_it_may_have_begun_is_unknown() {
    let sandbox = Sandbox::new().unwrap();
    let script =
        format!("[ \"$HOMEOSTAT_LABEL_instance\" = b:80 ] || {{ {}; }}", gated(&sandbox, 0));
    let (engine, first) = acting(&sandbox, &script, &[]).await;
    let hung = Pid::from_raw(first).unwrap();
    kill_process(hung, Signal::STOP).unwrap();
    engine.post("/hooks", notification(&[B])).await;
    let orders = until("the ends of both orders", || async {
        let incidents = engine.incidents().await;
        let orders = incidents.iter().map(|incident| incident["orders"][0].clone());
        let ended: Vec<_> = orders.filter(|order| order["state"] == "ended").collect();
        (ended.len() == 2).then_some(ended)
    })
    .await;
    for order in &orders {
        assert_eq!(order["result"], "unknown", "nobody keeps its time limit: {order:#}");
    }
    kill_process(hung, Signal::CONT).unwrap();
    go(&sandbox);
    gone("the first runner, whose action ended", first).await;
    assert_eq!(ran(sandbox.path()), ["1.first.1"], "what it had heard it did not do");
}

/// Whether runs have cgroups on this machine: the runner says so.
fn has_cgroups(engine: &Engine) -> bool {
    let log = fs::read_to_string(engine.directory.join("data/runner.log")).unwrap();
    let ready = log.lines().find(|line| line.contains("runner ready")).unwrap();
    ready.contains("cgroups=true")
}

/// The directory of the cgroup that a runner made for a process.
fn cgroup_of(pid: i32) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    let mount = line.split(' ').nth(4)?;
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let own = cgroups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    own.contains("homeostat-").then(|| Path::new(mount).join(own))
}

/// Leaves the group, its parents and its variables, and tells its number.
fn escape(pid_file: &Path) -> String {
    format!(
        "setsid env -i /bin/sh -c '/bin/sh -c \"echo \\$\\$ > {file}.new; mv {file}.new {file}; \
         exec /bin/sleep 600\" &'; while ! [ -e {file} ]; do sleep 0.02; done",
        file = pid_file.display()
    )
}

#[tokio::test]
async fn a_tree_that_flees_from_all_else_does_not_flee_from_its_cgroup() {
    let sandbox = Sandbox::new().unwrap();
    let file = sandbox.path().join("escaped");
    let script = format!("{}; exec sleep 600", escape(&file));
    let config = policy(sandbox.path(), &script, SOON).replace("timeout: 20s", "timeout: 3s");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    let escaped: i32 = written(&file).await.trim().parse().unwrap();
    assert_eq!(ended_order(&engine).await["result"], "timed_out");
    if has_cgroups(&engine) {
        assert!(!lives(escaped), "it is in the cgroup of its run");
        let cgroups = fs::read_to_string(format!("/proc/{}/cgroup", runner(&engine).await));
        assert!(!cgroups.unwrap().contains("first"), "the runner is in none of them");
    } else {
        eprintln!("no cgroups here: it may live on");
        if lives(escaped) {
            kill(escaped);
        }
    }
}

#[tokio::test]
async fn what_stays_in_the_background_after_a_normal_end_lives_on() {
    let sandbox = Sandbox::new().unwrap();
    let file = sandbox.path().join("service");
    let (engine, _) = acting(&sandbox, &escape(&file), &[]).await;
    let service: i32 = written(&file).await.trim().parse().unwrap();
    assert_eq!(ended_order(&engine).await["exit_code"], 0);
    let record = ended_record(&engine, "1.first.1").await;
    let record: Value = serde_json::from_str(&record).unwrap();
    if has_cgroups(&engine) {
        assert_eq!(record["left"], 1, "it is known: {record:#}");
    }
    assert!(lives(service));
    let runner = runner(&engine).await;
    drop(engine);
    gone("the runner, which has nothing to do", runner).await;
    assert!(lives(service), "it outlives the engine and the runner");
    let cgroup = cgroup_of(service);
    kill(service);
    gone("the service", service).await;
    if let Some(cgroup) = cgroup {
        // The next runner of this storage would do so; there is none.
        until("an empty cgroup", || async { fs::remove_dir(&cgroup).ok() }).await;
        fs::remove_dir(cgroup.parent().unwrap()).unwrap();
    }
}

#[tokio::test]
async fn a_runner_that_nobody_comes_back_to_ends_by_itself() {
    let sandbox = Sandbox::new().unwrap();
    let (mut engine, runner) = acting(&sandbox, &gated(&sandbox, 0), &[]).await;
    engine.kill();
    go(&sandbox);
    ended_record(&engine, "1.first.1").await;
    gone("the runner, which waited for an engine", runner).await;
    let mut after = fs::read_to_string(engine.directory.join("data/runner.log")).unwrap();
    after.retain(|c| c != '\0');
    assert!(after.contains("runner ends"), "{after}");
}

#[tokio::test]
async fn a_runner_whose_socket_is_gone_finishes_what_it_has_and_ends() {
    let sandbox = Sandbox::new().unwrap();
    let (mut engine, first) = acting(&sandbox, &gated(&sandbox, 0), &[]).await;
    engine.kill();
    fs::remove_file(engine.directory.join("data/runner.sock")).unwrap();
    engine.restart().await;
    let both = until("a second runner", || async {
        let runners = runners(&engine);
        (runners.len() == 2).then_some(runners)
    })
    .await;
    assert!(both.contains(&first), "what it has goes on");
    go(&sandbox);
    gone("the first runner", first).await;
    let record = ended_record(&engine, "1.first.1").await;
    assert!(record.contains("exited"), "{record}");
    assert_eq!(ran(sandbox.path()), ["1.first.1"], "the second one did not run it");
}

#[tokio::test]
async fn a_stop_that_leaves_is_over_at_once_and_the_next_engine_takes_over() {
    let sandbox = Sandbox::new().unwrap();
    let leave = &["--shutdown.actions=leave"];
    let (mut engine, runner) = acting(&sandbox, &gated(&sandbox, 0), leave).await;
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait(), Some(0));
    assert!(lives(runner) && !order_file(&engine, "1.first.1", "exit").exists());
    engine.restart().await;
    assert_eq!(engine.incident_in("acting").await["orders"][0]["state"], "running");
    go(&sandbox);
    assert_eq!(ended_order(&engine).await["exit_code"], 0);
}

#[tokio::test]
async fn a_stop_that_waits_leaves_what_takes_longer() {
    let sandbox = Sandbox::new().unwrap();
    let wait = &["--shutdown.actions=wait", "--shutdown.timeout=1s"];
    let (mut engine, runner) = acting(&sandbox, &gated(&sandbox, 0), wait).await;
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait(), Some(0));
    assert!(engine.log().contains("they go on"), "{}", engine.log());
    assert!(lives(runner));
    go(&sandbox);
    gone("the runner, whose last action ended", runner).await;
    engine.restart().await;
    assert_eq!(ended_order(&engine).await["exit_code"], 0);
}

#[tokio::test]
async fn a_stop_that_kills_writes_the_ends_down() {
    let sandbox = Sandbox::new().unwrap();
    let file = sandbox.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 600", file.display());
    let (mut engine, runner) = acting(&sandbox, &script, &["--shutdown.actions=kill"]).await;
    let action: i32 = written(&file).await.trim().parse().unwrap();
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait(), Some(0));
    assert!(!lives(action));
    gone("the runner", runner).await;
    fs::remove_file(order_file(&engine, "1.first.1", "exit")).unwrap();
    engine.restart().await;
    let order = ended_order(&engine).await;
    assert_eq!(order["result"], "cancelled", "it is in the journal: {order:#}");
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
}

#[tokio::test]
async fn a_second_engine_that_is_refused_leaves_the_runner_of_the_first_alone() {
    let sandbox = Sandbox::new().unwrap();
    let (engine, runner) = acting(&sandbox, &gated(&sandbox, 0), &[]).await;
    let second = Command::new(env!("CARGO_BIN_EXE_homeostat"))
        .args(["serve", "--web.listen-address=127.0.0.1:0", "--storage.path"])
        .arg(engine.directory.join("data"))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    go(&sandbox);
    assert_eq!(ended_order(&engine).await["exit_code"], 0);
    assert_eq!(runners(&engine), BTreeSet::from([runner]));
}
