//! Actions that fight back: they remove what they should leave, leave their group, their parents and
//! their user, and ignore what they are told. Their limits hold, and what is told of them is true.

use std::fs;
use std::path::Path;

use crate::support::{Engine, Start, notification, policy, ran, until};
use homeostat::demo::stack::{Sandbox, Signal};
use rustix::process::{Pid, kill_process};
use serde_json::Value;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];

/// An incident that ends by itself, soon.
const SOON: &str = "    verify: { within: 1s, every: 1s, times: 1 }";

fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
}

fn number(file: &Path) -> i32 {
    fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

async fn ended_order(engine: &Engine) -> Value {
    until("the end of the order", || async {
        let order = engine.incidents().await.first()?["orders"][0].clone();
        (order["state"] == "ended").then_some(order)
    })
    .await
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: only root can make an engine of another user");
    }
    is_root
}

/// Starts an engine as a user who may make no cgroups and end no process of another, with a program
/// beside it, `become`, by which its actions become root.
async fn unprivileged(sandbox: &Sandbox, script: &str) -> Engine {
    let home = sandbox.path().display();
    let before = format!(
        "cp \"$(command -v setpriv)\" {home}/become; chown -R 65534:65534 {home}; \
         chown 0:0 {home}/become; chmod 4755 {home}/become; \
         exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$0\" \"$@\";"
    );
    let lines: Vec<&str> = script.lines().map(str::trim).collect();
    let script = lines.join("\n          ");
    let config = policy(sandbox.path(), &script, SOON).replace("timeout: 20s", "timeout: 2s");
    let start = Start { config: &config, before: &before, ..Start::default() };
    let engine = Engine::broken(sandbox, &start);
    engine.ready().await;
    engine
}

#[tokio::test]
async fn an_action_that_removes_its_directory_runs_once() {
    let sandbox = Sandbox::new().unwrap();
    let script = "rm -rf \"$PWD\"; echo gone";
    let config = policy(sandbox.path(), script, SOON);
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/hooks", notification(&[A])).await;
    let order = ended_order(&engine).await;
    assert_eq!((&order["exit_code"], &order["output"]), (&0.into(), &"gone\n".into()));
    engine.kill();
    engine.restart().await;
    ended_order(&engine).await;
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
}

#[tokio::test]
async fn a_process_that_became_root_is_named_as_still_running_and_its_end_is_noticed() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new().unwrap();
    let home = sandbox.path().display().to_string();
    let root = format!("{home}/become --reuid=0 --regid=0 --clear-groups");
    let script = format!(
        "{root} sleep 600 & echo $! > {home}/child
         {root} sh -c 'setsid sh -c \"echo \\$\\$ > {home}/daemon.new; exec sleep 601\" &'
         while ! [ -s {home}/daemon.new ]; do sleep 0.02; done; exec sleep 602"
    );
    let engine = unprivileged(&sandbox, &script).await;
    engine.post("/hooks", notification(&[A])).await;
    let order = ended_order(&engine).await;
    assert_eq!(order["result"], "timed_out", "{order:#}");
    let output = order["output"].as_str().unwrap();
    assert!(output.contains("2 processes still run: sleep 60"), "{output}");
    assert!(output.contains("sleep 600 (root)") && output.contains("sleep 601 (root)"), "{output}");
    assert!(!output.contains("sleep 602"), "its own are ended: {output}");
    let (child, daemon) =
        (number(&sandbox.path().join("child")), number(&sandbox.path().join("daemon.new")));
    let log = engine.directory.join("data/runner.log");
    let is_gone =
        || fs::read_to_string(&log).unwrap().contains("could not be ended of this order is gone");
    kill(child);
    until("the end of the first", || async { (!lives(child)).then_some(()) }).await;
    assert!(lives(daemon) && !is_gone(), "one of them runs still");
    // It goes on beside whatever comes next, so that nothing does, and a person knows.
    let incident = engine.incidents().await.remove(0);
    let texts = |incident: &Value| {
        let timeline = incident["timeline"].as_array().unwrap().iter();
        timeline.map(|entry| entry["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let told = texts(&incident).join("\n");
    assert!(told.contains("2 processes still run"), "{told}");
    kill(daemon);
    until("the runner to notice", || async { is_gone().then_some(()) }).await;
    until("the lock to be free", || async {
        let incident = engine.incidents().await.remove(0);
        texts(&incident).iter().any(|text| text.starts_with("Nothing of")).then_some(())
    })
    .await;
}

/// Without a cgroup: the reaper and the run's token are all there is.
#[tokio::test]
async fn a_limit_holds_for_who_leaves_the_group_and_the_parents_and_ignores_the_signal() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new().unwrap();
    let home = sandbox.path().display().to_string();
    let stubborn = |name: &str| {
        format!("trap \"\" TERM HUP INT; echo \\$\\$ > {home}/{name}; while :; do sleep 0.1; done")
    };
    let script = format!(
        "trap '' TERM
         setsid sh -c \"{}\" &
         sh -c 'setsid sh -c \"{}\" &' &
         while ! [ -s {home}/session ] || ! [ -s {home}/daemon ]; do sleep 0.02; done
         while :; do sleep 0.1; done",
        stubborn("session"),
        stubborn("daemon").replace("\"\"", "\\\"\\\"")
    );
    let engine = unprivileged(&sandbox, &script).await;
    engine.post("/hooks", notification(&[A])).await;
    let order = ended_order(&engine).await;
    assert_eq!(order["result"], "timed_out", "{order:#}");
    assert!(!order["output"].as_str().unwrap().contains("still run"), "{order:#}");
    for name in ["session", "daemon"] {
        assert!(!lives(number(&sandbox.path().join(name))), "{name}");
    }
}

/// As the first process of a container, which is the parent of all who have none.
#[tokio::test]
async fn what_an_action_leaves_that_somebody_kills_is_ended_and_what_it_leaves_by_itself_is_not() {
    for (last, result, is_left) in
        [("kill -9 $$", "signalled", false), ("exit 0", "succeeded", true)]
    {
        let sandbox = Sandbox::new().unwrap();
        let home = sandbox.path().display();
        let script = format!(
            "setsid sh -c 'trap \"\" TERM; echo $$ > {home}/left.new; exec sleep 600' &
          while ! [ -s {home}/left.new ]; do sleep 0.02; done; {last}"
        );
        let engine = Engine::start(&sandbox, &policy(sandbox.path(), &script, SOON), &[]).await;
        engine.post("/hooks", notification(&[A])).await;
        let order = ended_order(&engine).await;
        assert_eq!(order["result"], result, "{order:#}");
        let left = number(&sandbox.path().join("left.new"));
        assert_eq!(lives(left), is_left, "after {last}: {order:#}");
        if is_left {
            kill(left);
        }
    }
}

#[tokio::test]
async fn an_engine_that_is_the_first_process_reaps_what_a_dead_runner_left() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new().unwrap();
    let file = sandbox.path().join("child");
    // Its parent is gone at once, so that it comes to the runner, and after that to the engine.
    let script = format!("sh -c 'sleep 600 & echo $! > {}'; exec sleep 601", file.display());
    let config = policy(sandbox.path(), &script, SOON);
    let before = "exec unshare --pid --fork --mount-proc --kill-child \"$0\" \"$@\";";
    let start = Start { config: &config, before, ..Start::default() };
    let engine = Engine::broken(&sandbox, &start);
    engine.ready().await;
    engine.post("/hooks", notification(&[A])).await;
    until("the action", || async { fs::read_to_string(&file).ok().filter(|t| !t.is_empty()) })
        .await;
    // As its numbers are in the container: by what it was started as.
    let named = |words: &[&str]| {
        let wanted = words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat());
        let wanted: Vec<u8> = wanted.collect();
        let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_it = |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c == wanted);
        pids.filter(is_it).collect::<Vec<_>>()
    };
    let status = |pid: i32| fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let inner: i32 = number(&file);
    let is_inner = |pid: &i32| {
        let text = status(*pid);
        let numbers = text.lines().find_map(|line| line.strip_prefix("NSpid:"));
        numbers.is_some_and(|numbers| numbers.split_whitespace().nth(1) == Some(&inner.to_string()))
    };
    let child = named(&["sleep", "600"]).into_iter().find(is_inner).expect("the child");
    let environment = format!("HOMEOSTAT_RUNNER={}", engine.directory.join("data").display());
    let is_runner = |pid: &i32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|entry| entry == environment.as_bytes())
    };
    let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    kill(all.find(is_runner).expect("the runner"));
    kill(child);
    until("its number to be free", || async { status(child).is_empty().then_some(()) }).await;
}

/// What `docs/how-to/upgrade-and-backup.md` says of backups, as it is written there.
#[tokio::test]
async fn a_restored_journal_does_not_meet_the_orders_that_were_issued_after_the_backup() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", SOON);
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    let data = engine.directory.join("data");
    let copy = sandbox.path().join("backup.db");
    let journal = rusqlite::Connection::open(data.join("homeostat.db")).unwrap();
    journal.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    drop(journal);
    engine.post("/hooks", notification(&[A])).await;
    ended_order(&engine).await;
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait(), Some(0));

    for log in ["homeostat.db-wal", "homeostat.db-shm"] {
        let _ = fs::remove_file(data.join(log));
    }
    fs::copy(&copy, data.join("homeostat.db")).unwrap();
    engine.restart().await;
    assert!(engine.incidents().await.is_empty(), "it is as of before");
    engine.post("/hooks", notification(&[A])).await;
    let order = ended_order(&engine).await;
    assert_eq!(order["exit_code"], 0, "{order:#}");
    assert_eq!(ran(sandbox.path()), ["1.first.1", "1.first.1"]);
}

#[tokio::test]
async fn a_remedy_runs_as_whom_where_and_with_what_its_configuration_says() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new().unwrap();
    let home = sandbox.path().display().to_string();
    fs::set_permissions(sandbox.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))
        .unwrap();
    let secret = sandbox.write("key", "s3cret-word\n").unwrap();
    let more = format!(
        "run_as: nobody\n        working_directory: /tmp\n        env: {{ GREETING: hello }}\n        \
         secrets: {{ KEY: {} }}\n        timeout: 20s",
        secret.display()
    );
    let script = "echo $(id -un) $(pwd) $GREETING; wc -c < \"$HOMEOSTAT_SECRETS/KEY\"";
    let config = policy(sandbox.path(), script, SOON)
        .replace("timeout: 20s", &more)
        // It may not write there.
        .replace(&format!("echo \"$HOMEOSTAT_ORDER\" >> {home}/ran\n"), "true\n");
    let before = format!("mkdir -m 711 {home}/engine/data;");
    let start = Start { config: &config, before: &before, ..Start::default() };
    let engine = Engine::broken(&sandbox, &start);
    engine.ready().await;
    engine.post("/hooks", notification(&[A])).await;
    let order = ended_order(&engine).await;
    assert_eq!(order["output"], "nobody /tmp hello\n12\n", "{order:#} {config}");
    let data = engine.directory.join("data");
    until("the secret to be gone", || async {
        let secrets = fs::read_dir(data.join("secrets")).ok()?;
        (secrets.count() == 0).then_some(())
    })
    .await;
    let incident = engine.incidents().await[0].to_string();
    assert!(!incident.contains("s3cret-word") && !engine.log().contains("s3cret-word"));
    for file in ["homeostat.db", "homeostat.db-wal", "runner.log"] {
        let text = fs::read(data.join(file)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&text).contains("s3cret-word"), "{file}");
    }
}
