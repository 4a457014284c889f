//! The engine is killed at each step between a socket and an effect, restarted, and everything that
//! it answered 200 is accounted for: it ran once, or a person was told that nobody knows.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Engine, Start, notification, policy, ran, resolution, until};
use homeostat::demo::stack::{Alertmanager, Sandbox, Signal, Timings};
use homeostat::failpoint;
use homeostat::journal::Journal;
use homeostat_core::fact::Fact;
use serde_json::Value;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];

/// Whether the sender had its 200 when the engine died.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answered {
    Yes,
    No,
    /// Answer and death race.
    Either,
}

/// What the journal must say that became of the order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ran {
    /// It ran, and its end is known.
    Known,
    /// It was claimed, and nobody knows: it is never run again. It may have run so many times.
    Unknown(&'static [usize]),
    /// The kill races with the run: either of the two.
    Either,
}

/// A configuration whose every incident ends by itself: unknown, and a person is told.
fn config(directory: &Path) -> String {
    config_in(directory, directory)
}

/// `home` is the same directory as actions see it.
fn config_in(directory: &Path, home: &Path) -> String {
    let verify = "    verify: { within: 1s, every: 1s, times: 1 }";
    let policy = policy(home, "", verify);
    let policy = policy.replace("    escalate: none\n", "").replace("timeout: 20s", "timeout: 3s");
    let told = directory.join("told");
    let mut text = String::new();
    let command = format!("printf \"%s\\n\" \"$(cat)\" >> {}", told.display());
    writeln!(text, "notify: [{{ name: oncall, exec: [/bin/sh, -c, '{command}'] }}]").unwrap();
    text + &policy
}

/// Waits until the engine has committed its start, so that the alert is not of the same commit, and has
/// a runner, which can say later what it never took; or has ended.
async fn start(engine: &mut Engine) {
    while !engine.has_ended() {
        let facts = engine.metric("homeostat_journal_facts_total").await;
        let runner = engine.metric("homeostat_runner_up").await;
        if facts.is_some_and(|facts| facts >= 1.0) && runner == Some(1.0) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Sends until there is an answer or nobody to answer, as Alertmanager would.
async fn send(engine: &mut Engine) -> bool {
    loop {
        if engine.try_post("/hooks", &notification(&[A])).await.is_some_and(|s| s == 200) {
            return true;
        }
        if engine.has_ended() {
            return false;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Kills an engine at each of these in turn, and accounts for its one alert.
async fn kill_at(points: &[&str], answered: Answered, expected: Ran) {
    let sandbox = Sandbox::new().unwrap();
    let config = config(sandbox.path());
    let start = Start { config: &config, failpoints: points[0], ..Start::default() };
    let mut engine = Engine::broken(&sandbox, &start);
    self::start(&mut engine).await;
    let accepted = send(&mut engine).await;
    assert_eq!(engine.wait(), None, "{}: it did not die of a signal: {}", points[0], engine.log());
    for point in &points[1..] {
        engine.restart_to(point);
        assert_eq!(engine.wait(), None, "{point}: it did not die of a signal: {}", engine.log());
    }
    match answered {
        Answered::Yes => assert!(accepted, "the sender had its answer before"),
        Answered::No => assert!(!accepted, "the sender had an answer that it must not have"),
        Answered::Either => {}
    }
    engine.restart().await;
    account_for_it(&sandbox, &mut engine, accepted, expected).await;
}

/// Kills the runner at this point, while the engine goes on, and accounts for the one alert.
async fn kill_runner_at(points: &[&str], expected: Ran) {
    let sandbox = Sandbox::new().unwrap();
    let config = config(sandbox.path());
    let start = Start { config: &config, failpoints: points[0], ..Start::default() };
    let mut engine = Engine::broken(&sandbox, &start);
    assert!(send(&mut engine).await, "{}: the engine lives, and answers", points[0]);
    until("the runner's end", || async {
        engine.metric("homeostat_runner_lost_total").await.filter(|lost| *lost >= 1.0)
    })
    .await;
    account_for_it(&sandbox, &mut engine, true, expected).await;
}

async fn account_for_it(sandbox: &Sandbox, engine: &mut Engine, mut accepted: bool, expected: Ran) {
    if accepted {
        assert_eq!(engine.incidents().await.len(), 1, "answered 200, and lost");
    }
    while !accepted {
        accepted = send(engine).await;
    }
    let incident = until("an end", || async {
        // The guard `fresh` wants to hear of it again, as it does from a real Alertmanager.
        engine.post("/hooks", notification(&[A])).await;
        let incidents = engine.incidents().await;
        assert_eq!(incidents.len(), 1, "one alert is one incident");
        incidents.into_iter().find(|incident| incident["state"] == "closed")
    })
    .await;
    account(&incident, &ran(sandbox.path()), expected);
    let verified = homeostat::journal::verify(&engine.directory.join("data"), None).unwrap();
    assert!(verified.is_whole(), "{verified:?}");
    let told = sandbox.path().join("told");
    until("a person is told", || async { told.exists().then_some(()) }).await;
}

fn account(incident: &Value, ran: &[String], expected: Ran) {
    let orders = incident["orders"].as_array().unwrap();
    assert_eq!(orders.len(), 1, "unknown never climbs the ladder: {incident:#}");
    assert_eq!(orders[0]["id"], "1.first.1");
    assert_eq!(incident["outcome"], "escalated", "{incident:#}");
    assert!(incident["reason"].as_str().unwrap().contains("unknown"), "{incident:#}");
    let is_known = orders[0]["result"] == "succeeded";
    assert!(is_known || orders[0]["result"] == "unknown", "{incident:#}");
    match expected {
        Ran::Known => assert!(is_known, "{incident:#}"),
        Ran::Unknown(times) => {
            assert!(!is_known && times.contains(&ran.len()), "{ran:?}: {incident:#}");
        }
        Ran::Either => {}
    }
    if is_known {
        assert_eq!(ran, ["1.first.1"]);
    }
    assert!(ran.len() <= 1, "run twice: {ran:?}");
}

macro_rules! killed_at {
    ($($name:ident: $points:expr, $answered:expr, $ran:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            kill_at(&$points, $answered, $ran).await;
        })*

        /// The points of the table above, in its order.
        const TABLE: &[&[&str]] = &[$(&$points),*];
    };
}

macro_rules! runner_killed_at {
    ($($name:ident: $points:expr, $ran:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            kill_runner_at(&$points, $ran).await;
        })*

        /// The points of the table above, in its order.
        const RUNNERS_TABLE: &[&[&str]] = &[$(&$points),*];
    };
}

runner_killed_at! {
    the_runner_killed_after_the_claim: ["act.claimed=kill"], Ran::Unknown(&[0]);
    the_runner_killed_after_the_spawn: ["act.spawned=kill"], Ran::Unknown(&[1]);
    the_runner_killed_before_the_record_of_the_end: ["act.ended=kill"], Ran::Unknown(&[1]);
    the_runner_killed_after_the_record_of_the_end: ["act.recorded=kill"], Ran::Known;
}

// The first commit is the start's, the second the alert's with its order, the third the order's end,
// the fourth the end of its verification.
killed_at! {
    killed_when_the_directory_is_locked: ["start.locked=kill"], Answered::No, Ran::Known;
    killed_when_the_journal_is_recovered: ["start.recovered=kill"], Answered::No, Ran::Known;
    killed_when_the_body_is_read: ["intake.read=kill"], Answered::No, Ran::Known;
    killed_when_the_body_is_parsed: ["intake.parsed=kill"], Answered::No, Ran::Known;
    killed_when_the_request_waits: ["queue.put=kill"], Answered::No, Ran::Known;
    killed_when_the_request_is_taken: ["driver.taken=kill"], Answered::No, Ran::Known;
    killed_when_the_turn_is_decided: ["driver.decided=1*off->kill"], Answered::No, Ran::Known;
    killed_inside_the_commit: ["journal.written=1*off->kill"], Answered::No, Ran::Known;
    killed_after_the_commit: ["journal.synced=1*off->kill"], Answered::No, Ran::Known;
    killed_before_the_effects: ["driver.committed=1*off->kill"], Answered::No, Ran::Known;
    killed_after_the_effects: ["driver.performed=1*off->kill"], Answered::No, Ran::Either;
    killed_before_the_answer: ["intake.committed=kill"], Answered::No, Ran::Either;
    killed_before_the_claim: ["act.prepared=kill"], Answered::Either, Ran::Known;
    killed_before_the_end_is_reported: ["driver.ended=kill"], Answered::Either, Ran::Known;
    killed_inside_the_commit_of_the_end: ["journal.written=2*off->kill"], Answered::Yes, Ran::Known;
    killed_after_the_commit_of_the_end: ["driver.committed=2*off->kill"], Answered::Yes, Ran::Known;
    killed_inside_the_commit_of_the_verdict:
        ["journal.written=3*off->kill"], Answered::Yes, Ran::Known;
    killed_before_a_person_is_told: ["driver.committed=3*off->kill"], Answered::Yes, Ran::Known;
    killed_when_a_person_is_told_and_it_is_not_written_down:
        ["notice.sent=kill"], Answered::Yes, Ran::Known;
    killed_again_when_the_order_is_inquired:
        ["driver.performed=1*off->kill", "driver.inquired=kill"], Answered::No, Ran::Either;
    killed_again_at_the_start_before_an_order_that_was_not_started:
        ["act.prepared=kill", "start.recovered=kill"], Answered::Either, Ran::Known;
    killed_again_inside_the_commit_of_the_start:
        ["driver.ended=kill", "journal.written=kill"], Answered::Either, Ran::Known;
}

/// Alertmanager has no 200, and sends again by itself.
async fn killed_under_alertmanager(point: &str) {
    let sandbox = Sandbox::new().unwrap();
    let config = config(sandbox.path());
    let start = Start { config: &config, failpoints: point, ..Start::default() };
    let mut engine = Engine::broken(&sandbox, &start);
    self::start(&mut engine).await;
    let alertmanager = Alertmanager::builder()
        .webhook(&engine.url("/hooks"))
        .timings(Timings::QUICK)
        .start(sandbox.path())
        .await
        .unwrap();
    alertmanager.fire(A).await.unwrap();
    assert_eq!(engine.wait(), None, "{point}: it did not die of a signal: {}", engine.log());
    engine.restart().await;
    let incident = engine.incident_in("closed").await;
    account(&incident, &ran(sandbox.path()), Ran::Known);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_commit_alertmanager_sends_again_and_it_runs_once() {
    killed_under_alertmanager("driver.decided=1*off->kill").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_commit_and_answer_alertmanager_sends_again_and_it_runs_once() {
    killed_under_alertmanager("driver.committed=1*off->kill").await;
}

/// So many that snapshot and index are written in several steps.
fn instances() -> Vec<String> {
    (0..600).map(|number| format!("host-{number}")).collect()
}

/// An alert of each.
fn down(instances: &[String]) -> Vec<[(&str, &str); 2]> {
    instances.iter().map(|instance| [("alertname", "Down"), ("instance", instance)]).collect()
}

/// Killed in the middle of a snapshot; it is written at a stop if there is much to save.
async fn kill_in_a_snapshot(point: &str) {
    let sandbox = Sandbox::new().unwrap();
    let start = Start { failpoints: point, ..Start::default() };
    let mut engine = Engine::broken(&sandbox, &start);
    engine.ready().await;
    let instances = instances();
    let alerts = down(&instances);
    let alerts: Vec<&[(&str, &str)]> = alerts.iter().map(|alert| &alert[..]).collect();
    assert_eq!(engine.post("/hooks", notification(&alerts)).await, 200);
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait(), None, "{point}: it did not die of a signal: {}", engine.log());
    engine.restart().await;
    assert_eq!(engine.json("/api/v1/status").await["alerts_active"], 600);
    // The half of it is cleared, and the next one is whole.
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait(), Some(0), "{}", engine.log());
    assert!(engine.log().contains("snapshot written"), "{}", engine.log());
    engine.restart().await;
    assert_eq!(engine.json("/api/v1/status").await["alerts_active"], 600);
}

#[tokio::test]
async fn killed_in_the_first_part_of_a_snapshot() {
    kill_in_a_snapshot("snapshot.part=kill").await;
}

#[tokio::test]
async fn killed_between_the_parts_of_a_snapshot() {
    kill_in_a_snapshot("snapshot.part=1*off->kill").await;
}

#[tokio::test]
async fn killed_before_a_snapshot_counts() {
    kill_in_a_snapshot("snapshot.whole=kill").await;
}

/// Killed while the index is written, of which the first steps are done.
async fn kill_while_it_indexes(point: &str) {
    let sandbox = Sandbox::new().unwrap();
    let mut engine = Engine::broken(&sandbox, &Start::default());
    engine.ready().await;
    let instances = instances();
    let alerts = down(&instances);
    let alerts: Vec<&[(&str, &str)]> = alerts.iter().map(|alert| &alert[..]).collect();
    assert_eq!(engine.post("/hooks", notification(&alerts)).await, 200);
    engine.kill();
    let journal = engine.directory.join("data/homeostat.db");
    let raw = rusqlite::Connection::open(&journal).unwrap();
    // How much was read before the kill is a matter of luck.
    let nothing =
        "UPDATE indexed SET seq = 0, incident = 0; DELETE FROM unindexed; DELETE FROM alerts_of";
    raw.execute_batch(nothing).unwrap();
    drop(raw);
    engine.restart_to(point);
    assert_eq!(engine.wait(), None, "{point}: it did not die of a signal: {}", engine.log());
    engine.restart().await;
    let open = &engine.json("/api/v1/incidents?q=host-577").await["incidents"];
    assert_eq!(open.as_array().unwrap().len(), 1, "{open:#}");
    assert_eq!(engine.post("/hooks", resolution(&alerts)).await, 200);
    until("the index has read all", || async {
        let raw = rusqlite::Connection::open(&journal).unwrap();
        let sql = "SELECT COUNT(*) FROM facts WHERE seq > (SELECT seq FROM indexed)";
        let left: u32 = raw.query_row(sql, [], |row| row.get(0)).unwrap();
        (left == 0).then_some(())
    })
    .await;
    for (text, found) in [("host-577", 1), ("HOST-57", 11), ("host-600", 0)] {
        let page = engine.json(&format!("/api/v1/incidents?q={text}&limit=50")).await;
        assert_eq!(page["incidents"].as_array().unwrap().len(), found, "{text}");
    }
}

#[tokio::test]
async fn killed_in_the_first_step_of_the_index() {
    kill_while_it_indexes("index.step=kill").await;
}

#[tokio::test]
async fn killed_between_the_steps_of_the_index() {
    kill_while_it_indexes("index.step=2*off->kill").await;
}

/// Told to stop before it is ready, it stops as at any time, and does not die of the signal.
#[tokio::test]
async fn who_is_told_to_stop_while_it_starts_stops_in_order() {
    let sandbox = Sandbox::new().unwrap();
    let start = Start { failpoints: "start.recovered=sleep(1000)", ..Start::default() };
    let mut engine = Engine::broken(&sandbox, &start);
    until("the journal is read", || async {
        engine.log().contains("journal replayed").then_some(())
    })
    .await;
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait(), Some(0), "{}", engine.log());
    assert!(engine.log().contains("engine stopped"), "{}", engine.log());
}

#[tokio::test]
async fn a_group_that_was_not_written_is_no_link_of_the_chain() {
    let sandbox = Sandbox::new().unwrap();
    let config = config(sandbox.path());
    let failpoints = "journal.written=1*off->1*return->off";
    let mut engine =
        Engine::broken(&sandbox, &Start { config: &config, failpoints, ..Start::default() });
    start(&mut engine).await;
    let first = engine.try_post("/hooks", &notification(&[A])).await;
    assert_eq!(first.map(|status| status.as_u16()), Some(503), "{}", engine.log());
    assert!(send(&mut engine).await, "{}", engine.log());
    engine.kill();
    let verified = homeostat::journal::verify(&engine.directory.join("data"), None).unwrap();
    assert!(verified.is_whole(), "{verified:?}");
}

#[tokio::test]
async fn a_sync_that_failed_ends_the_engine_and_its_next_start_goes_on_from_the_disk() {
    let sandbox = Sandbox::new().unwrap();
    let config = config(sandbox.path());
    let failpoints = "journal.synced=1*off->return";
    let mut engine =
        Engine::broken(&sandbox, &Start { config: &config, failpoints, ..Start::default() });
    engine.ready().await;
    let answer = engine.try_post("/hooks", &notification(&[A])).await;
    assert!(answer.is_none_or(|status| status == 503), "{answer:?}");
    assert_eq!(engine.wait(), Some(2), "{}", engine.log());
    assert!(engine.log().contains("start again to recover from the disk"), "{}", engine.log());
    assert!(ran(sandbox.path()).is_empty(), "no effect before its facts are certain");
    engine.restart().await;
    let ran_once = || async {
        engine.post("/hooks", notification(&[A])).await;
        (ran(sandbox.path()) == ["1.first.1"]).then_some(())
    };
    until("the remedy", ran_once).await;
    assert_eq!(engine.incidents().await.len(), 1);
}

/// Goes on from a part of a journal, with what orders left on the disk, and accounts for it.
async fn go_on_from(facts: Vec<Fact>, orders: PathBuf, lines: Vec<String>) {
    let sandbox = Sandbox::new().unwrap();
    let data = sandbox.path().join("engine/data");
    std::fs::create_dir_all(&data).unwrap();
    for fact in &facts {
        Journal::open(&data).unwrap().commit(std::slice::from_ref(fact)).unwrap();
    }
    assert!(Command::new("cp").arg("-r").arg(orders).arg(&data).status().unwrap().success());
    // What was issued after the cut is of another story: its records are not met any more.
    let is_issued = facts.iter().any(|fact| fact.what.kind() == "order_issued");
    let lines = if is_issued { lines.join("\n") + "\n" } else { String::new() };
    std::fs::write(sandbox.path().join("ran"), lines).unwrap();
    let config = config_in(sandbox.path(), Path::new("../../../.."));
    let engine = Engine::start(&sandbox, &config, &[]).await;
    let incident = until("an end", || async {
        engine.post("/hooks", notification(&[A])).await;
        let incidents = engine.incidents().await;
        assert_eq!(incidents.len(), 1, "after {} facts: {incidents:#?}", facts.len());
        incidents.into_iter().find(|incident| incident["state"] == "closed")
    })
    .await;
    account(&incident, &ran(sandbox.path()), Ran::Either);
    let told = sandbox.path().join("told");
    until("a person is told", || async { told.exists().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_cut_off_after_any_commit_goes_on_and_runs_nothing_twice() {
    let sandbox = Sandbox::new().unwrap();
    // Relative to the directory of its order, so that a copy of all of it writes into the copy.
    let config = config_in(sandbox.path(), Path::new("../../../.."));
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    engine.incident_in("closed").await;
    let told = sandbox.path().join("told");
    until("a person is told", || async { told.exists().then_some(()) }).await;
    engine.kill();
    let data = engine.directory.join("data");
    let mut facts = Vec::new();
    Journal::open(&data).unwrap().replay(|fact| facts.push(fact.clone())).unwrap();
    assert!(facts.len() >= 8, "{facts:#?}");
    let lines = ran(sandbox.path());
    assert_eq!(lines, ["1.first.1"]);
    // SQLite keeps a group whole or not at all, and the facts of a group are of one moment. Core's own
    // tests cut inside of groups, too.
    let is_end = |&length: &usize| facts.get(length).is_none_or(|f| f.at != facts[length - 1].at);
    let ends: Vec<usize> = (1..=facts.len()).filter(is_end).collect();
    assert!(ends.len() >= 4, "{facts:#?}");
    for some in ends.chunks(4) {
        let mut cuts = tokio::task::JoinSet::new();
        for &length in some {
            let facts = facts[..length].to_vec();
            // Then there is nothing left to go on with.
            let is_told = facts.iter().any(|fact| fact.what.kind() == "notice_told");
            if !is_told {
                cuts.spawn(go_on_from(facts, data.join("orders"), lines.clone()));
            }
        }
        cuts.join_all().await;
    }
}

#[test]
fn there_is_a_test_for_each_failpoint() {
    let named = |name: &str| {
        let begins = |point: &&str| point.split('=').next() == Some(name);
        TABLE.iter().chain(RUNNERS_TABLE).any(|points| points.iter().any(&begins))
    };
    let missing: Vec<_> = failpoint::ALL
        .iter()
        .filter(|name| {
            !named(name) && !name.starts_with("snapshot.") && !name.starts_with("index.")
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
