//! Remedies on another machine: real engines, the system's `ssh`, and a real server on loopback. What
//! each outcome is must be certain, and nothing runs twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::support::hands::{
    MOST_FILES, ended_order, hand, kill, runner, until_all_have_ended, until_count, weight,
};
use crate::support::sshd::{Sshd, session_of};
use crate::support::{Engine, notification, policy_of, ran, until};
use homeostat::demo::stack::{self, Sandbox};

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];

/// Verification that ends soon, so that the test does.
const SOON: &str = "    verify: { within: 2s, every: 1s, times: 1 }";

/// A policy whose first remedy runs a script on the host of the alert's instance, with the order's
/// attempt as `$1`; it says first that it ran, and its number.
fn remedy(sandbox: &Sandbox, client: &Path, script: &str, limit: &str) -> String {
    let directory = sandbox.path();
    let first = format!(
        r#"        timeout: {limit}
        ssh:
          host: "{{{{ labels.instance | host }}}}"
          config_file: {}
          exec:
            - sh
            - -c
            - |
              echo "$1" >> {ran}
              echo $$ > {pid}.new; mv {pid}.new {pid}
              {script}
            - sh
            - "{{{{ incident }}}}.first.{{{{ attempt }}}}""#,
        client.display(),
        ran = directory.join("ran").display(),
        pid = directory.join("pid").display(),
    );
    policy_of(directory, &first, SOON)
}

/// A script that ends with this code when the file `go` is there.
fn gated(sandbox: &Sandbox, code: u8) -> String {
    let go = sandbox.path().join("go");
    format!("while ! [ -e {} ]; do sleep 0.05; done; echo finished; exit {code}", go.display())
}

fn go(sandbox: &Sandbox) {
    fs::write(sandbox.path().join("go"), "").unwrap();
}

fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// The number of the command's process on the host, once it runs.
async fn command(sandbox: &Sandbox) -> i32 {
    until("the command", || async {
        fs::read_to_string(sandbox.path().join("pid")).ok()?.trim().parse().ok()
    })
    .await
}

async fn gone(what: &str, pid: i32) {
    until(what, || async { (!lives(pid)).then_some(()) }).await;
}

async fn fired(sandbox: &Sandbox, config: &str) -> Engine {
    let engine = Engine::start(sandbox, config, &[]).await;
    assert_eq!(engine.post("/hooks", notification(&[A])).await, 200);
    engine
}

#[tokio::test]
async fn a_command_on_another_machine_heals_with_its_output() {
    let sandbox = Sandbox::new().unwrap();
    let Some(sshd) = Sshd::start(&sandbox) else { return };
    let script = r#"echo "out: $1"; echo err >&2; printf 'no end'"#;
    let engine = fired(&sandbox, &remedy(&sandbox, &sshd.client(), script, "20s")).await;
    let order = ended_order(&engine).await;
    assert_eq!((&order["result"], &order["exit_code"]), (&"succeeded".into(), &0.into()));
    assert_eq!(order["output"], "out: 1.first.1\nno end\nerr\n", "{order:#}");
    let action = order["action"].as_str().unwrap();
    assert!(action.starts_with("ssh exec host=a config_file="), "{action}");
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
}

#[tokio::test]
async fn its_exit_code_is_known_also_where_it_is_255_and_a_failure_climbs() {
    for code in [7, 255] {
        let sandbox = Sandbox::new().unwrap();
        let Some(sshd) = Sshd::start(&sandbox) else { return };
        let script = format!("exit {code}");
        let engine = fired(&sandbox, &remedy(&sandbox, &sshd.client(), &script, "20s")).await;
        let order = ended_order(&engine).await;
        assert_eq!((&order["result"], &order["exit_code"]), (&"failed".into(), &code.into()));
        until("the next remedy", || async { (ran(sandbox.path()).len() == 2).then_some(()) }).await;
        assert_eq!(ran(sandbox.path()), ["1.first.1", "1.second.1"]);
    }
}

#[tokio::test]
async fn what_was_never_there_to_be_run_goes_to_a_person_at_once() {
    type Client = fn(&Sshd) -> std::path::PathBuf;
    let table: [(Client, &str, &str); 4] = [
        (Sshd::client, "exec: [no-such-program]", "there is no program \"no-such-program\" on a"),
        (Sshd::client_with_another_key, "exec: [touch, RAN]", "Permission denied"),
        (Sshd::client_without_known_hosts, "exec: [touch, RAN]", "its host key is not known"),
        (|_| "/etc/hostname".into(), "exec: [touch, RAN]", "the configuration of ssh"),
    ];
    for (client, exec, reason) in table {
        let sandbox = Sandbox::new().unwrap();
        let Some(sshd) = Sshd::start(&sandbox) else { return };
        let ran_file = sandbox.path().join("ran");
        let first = format!(
            "        ssh: {{ host: a, config_file: {}, {} }}",
            client(&sshd).display(),
            exec.replace("RAN", &ran_file.display().to_string()),
        );
        let engine = fired(&sandbox, &policy_of(sandbox.path(), &first, SOON)).await;
        let order = ended_order(&engine).await;
        assert_eq!(order["result"], "refused", "{order:#}");
        assert!(order["outcome"].as_str().unwrap().contains(reason), "{reason}: {order:#}");
        let incident = engine.incident_in("closed").await;
        assert_eq!(incident["outcome"], "escalated", "{incident:#}");
        assert!(ran(sandbox.path()).is_empty(), "nothing ran, and no remedy after it");
    }
}

#[tokio::test]
async fn where_nobody_listens_it_certainly_did_not_start_and_the_next_remedy_is_tried() {
    let sandbox = Sandbox::new().unwrap();
    let Some(sshd) = Sshd::start(&sandbox) else { return };
    // One takes connections and says nothing; it is the kernel that does.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let nobody = stack::free_address().unwrap().port();
    for (port, limit, reason) in
        [(nobody, "20s", "Connection refused"), (silent_port, "2s", "no connection to a in time")]
    {
        let _ = fs::remove_dir_all(sandbox.path().join("engine"));
        let _ = fs::remove_file(sandbox.path().join("ran"));
        let config = remedy(&sandbox, &sshd.client_at(port), "", limit);
        let engine = fired(&sandbox, &config).await;
        let order = ended_order(&engine).await;
        assert_eq!(order["result"], "not_started", "{order:#}");
        assert!(order["outcome"].as_str().unwrap().contains(reason), "{order:#}");
        until("the next remedy", || async { (ran(sandbox.path()).len() == 1).then_some(()) }).await;
        assert_eq!(ran(sandbox.path()), ["1.second.1"]);
    }
}

#[tokio::test]
async fn a_hostile_label_is_refused_before_anything_starts() {
    for hostile in ["-oProxyCommand=touch RAN", "a;touch RAN", "$(touch RAN)", "a\ntouch RAN"] {
        let sandbox = Sandbox::new().unwrap();
        let Some(sshd) = Sshd::start(&sandbox) else { return };
        let ran_file = sandbox.path().join("ran").display().to_string();
        let hostile = hostile.replace("RAN", &ran_file);
        let config = remedy(&sandbox, &sshd.client(), "", "20s");
        let engine = Engine::start(&sandbox, &config, &[]).await;
        let labels: &[(&str, &str)] = &[("alertname", "Down"), ("instance", &hostile)];
        assert_eq!(engine.post("/hooks", notification(&[labels])).await, 200);
        let incident = engine.incident_in("closed").await;
        assert_eq!(incident["outcome"], "escalated", "{incident:#}");
        assert_eq!(incident["orders"].as_array().unwrap().len(), 0, "{incident:#}");
        assert!(ran(sandbox.path()).is_empty(), "{hostile:?}");
    }
}

#[tokio::test]
async fn a_label_is_one_argument_on_the_host_whatever_it_is() {
    let sandbox = Sandbox::new().unwrap();
    let Some(sshd) = Sshd::start(&sandbox) else { return };
    let hostile = "a'; touch RAN; echo \"$(reboot)\" `id` \\ \n *? é";
    let first = format!(
        r#"        ssh:
          host: a
          config_file: {}
          exec: [printf, '<%s>', "x{{{{ labels.instance }}}}"]"#,
        sshd.client().display()
    );
    let engine = Engine::start(&sandbox, &policy_of(sandbox.path(), &first, SOON), &[]).await;
    let labels: &[(&str, &str)] = &[("alertname", "Down"), ("instance", hostile)];
    assert_eq!(engine.post("/hooks", notification(&[labels])).await, 200);
    let order = ended_order(&engine).await;
    assert_eq!(order["output"], format!("<x{hostile}>"), "{order:#}");
}

#[tokio::test]
async fn a_time_limit_and_a_cancel_end_all_of_it_on_the_host() {
    // What does not heed a polite word, and what it started, are ended too.
    let deaf = "trap '' TERM; sleep 600 & while :; do sleep 0.1; done";
    for (script, limit) in [("exec sleep 600", "2s"), (deaf, "2s"), ("exec sleep 600", "30s")] {
        let sandbox = Sandbox::new().unwrap();
        let Some(sshd) = Sshd::start(&sandbox) else { return };
        let config = remedy(&sandbox, &sshd.client(), script, limit);
        let engine = fired(&sandbox, &config).await;
        let command = command(&sandbox).await;
        let group = session_leader(command);
        if limit == "30s" {
            let request = engine.client().post(engine.url("/api/v1/incidents/1/cancel"));
            let request = request.header("content-type", "application/json");
            let answer = request.body(r#"{"by": "sre"}"#).send().await.unwrap();
            assert_eq!(answer.status(), 200);
        }
        let order = ended_order(&engine).await;
        let expected = if limit == "30s" { "cancelled" } else { "timed_out" };
        assert_eq!(order["result"], expected, "{order:#}");
        assert!(in_group(group).is_empty(), "all of it has ended by then");
        assert_eq!(ran(sandbox.path()), ["1.first.1"]);
    }
}

/// The process group of a process on the host, which the wrapper leads.
fn session_leader(pid: i32) -> i32 {
    crate::support::sshd::field(pid, 5)
}

/// Processes of a group that live.
fn in_group(group: i32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_in = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let mut fields = rest.split(' ');
        fields.next() != Some("Z") && fields.nth(1) == Some(group.to_string().as_str())
    };
    numbers.filter(is_in).collect()
}

#[tokio::test]
async fn it_goes_on_while_the_engine_is_killed_and_its_end_is_known() {
    let sandbox = Sandbox::new().unwrap();
    let Some(sshd) = Sshd::start(&sandbox) else { return };
    let config = remedy(&sandbox, &sshd.client(), &gated(&sandbox, 3), "30s");
    let mut engine = fired(&sandbox, &config).await;
    command(&sandbox).await;
    for _ in 0..2 {
        engine.kill();
        engine.restart().await;
    }
    go(&sandbox);
    let order = ended_order(&engine).await;
    assert_eq!((&order["result"], &order["exit_code"]), (&"failed".into(), &3.into()));
    assert_eq!(order["output"], "finished\n");
    until("the next remedy", || async { (ran(sandbox.path()).len() == 2).then_some(()) }).await;
    assert_eq!(ran(sandbox.path()), ["1.first.1", "1.second.1"]);
}

#[tokio::test]
async fn the_death_of_the_runner_or_of_the_hand_leaves_it_unknown_and_it_runs_once_to_its_end() {
    type Who = fn(&Engine) -> i32;
    for who in [runner as Who, hand as Who] {
        let sandbox = Sandbox::new().unwrap();
        let Some(sshd) = Sshd::start(&sandbox) else { return };
        let config = remedy(&sandbox, &sshd.client(), &gated(&sandbox, 0), "30s");
        let engine = fired(&sandbox, &config).await;
        let command = command(&sandbox).await;
        kill(who(&engine));
        let order = ended_order(&engine).await;
        assert_eq!(order["result"], "unknown", "{order:#}");
        assert!(lives(command), "it goes on");
        go(&sandbox);
        gone("the command, at its own end", command).await;
        assert_eq!(ran(sandbox.path()), ["1.first.1"], "what is unknown is not run again");
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_before_the_word_to_begin_has_started_nothing() {
    let sandbox = Sandbox::new().unwrap();
    // The host's shell is held up, as by a slow disk.
    let (held, go) = (sandbox.path().join("held"), sandbox.path().join("go"));
    let forced = format!(
        "ForceCommand echo $$ > {held}.new; mv {held}.new {held}; while ! [ -e {go} ]; do sleep 0.05; \
         done; eval \"$SSH_ORIGINAL_COMMAND\"",
        held = held.display(),
        go = go.display(),
    );
    let Some(sshd) = Sshd::start_with(&sandbox, &forced) else { return };
    let engine = fired(&sandbox, &remedy(&sandbox, &sshd.client(), "", "20s")).await;
    let shell =
        until("the shell", || async { fs::read_to_string(&held).ok()?.trim().parse::<i32>().ok() })
            .await;
    kill(session_of(shell));
    let order = ended_order(&engine).await;
    assert_eq!(order["result"], "not_started", "{order:#}");
    fs::write(&go, "").unwrap();
    gone("the shell, which nobody tells to begin", shell).await;
    until("the next remedy", || async { (!ran(sandbox.path()).is_empty()).then_some(()) }).await;
    assert_eq!(ran(sandbox.path()), ["1.second.1"], "it never began");
}

#[tokio::test]
async fn a_connection_that_is_lost_after_the_command_began_is_unknown_and_breaks_nothing() {
    let sandbox = Sandbox::new().unwrap();
    let Some(sshd) = Sshd::start(&sandbox) else { return };
    let done = sandbox.path().join("done");
    // It writes much after nobody reads any more, and comes to its end all the same.
    let script = format!(
        "while ! [ -e {} ]; do sleep 0.05; done; head -c 1000000 /dev/zero && touch {}",
        sandbox.path().join("go").display(),
        done.display()
    );
    let engine = fired(&sandbox, &remedy(&sandbox, &sshd.client(), &script, "30s")).await;
    let command = command(&sandbox).await;
    kill(session_of(command));
    let order = ended_order(&engine).await;
    assert_eq!(order["result"], "unknown", "{order:#}");
    let outcome = order["outcome"].as_str().unwrap();
    assert!(outcome.contains("lost after the command began"), "{outcome}");
    go(&sandbox);
    until("the end of the command", || async { done.exists().then_some(()) }).await;
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
}

#[tokio::test]
async fn a_command_of_which_the_connection_is_lost_ends_at_its_limit_all_the_same() {
    let sandbox = Sandbox::new().unwrap();
    let Some(sshd) = Sshd::start(&sandbox) else { return };
    let engine = fired(&sandbox, &remedy(&sandbox, &sshd.client(), "exec sleep 600", "3s")).await;
    let command = command(&sandbox).await;
    kill(session_of(command));
    assert_eq!(ended_order(&engine).await["result"], "unknown");
    gone("the command, at its limit", command).await;
}

#[tokio::test]
async fn where_another_command_is_forced_nobody_knows_what_was_done() {
    let sandbox = Sandbox::new().unwrap();
    let Some(sshd) = Sshd::start_with(&sandbox, "ForceCommand true") else { return };
    let engine = fired(&sandbox, &remedy(&sandbox, &sshd.client(), "", "20s")).await;
    let order = ended_order(&engine).await;
    assert_eq!(order["result"], "unknown", "{order:#}");
    assert!(order["outcome"].as_str().unwrap().contains("perhaps a command is forced"));
}

/// How many orders run at once and after each other.
fn orders() -> usize {
    std::env::var("HOMEOSTAT_TEST_ORDERS").map_or(40, |count| count.parse().unwrap())
}

/// A policy that runs a script on the host for each of many instances, with the order's name as `$1`.
fn for_many(sandbox: &Sandbox, client: &Path, script: &str) -> String {
    let first = format!(
        r#"        timeout: 2m
        ssh:
          host: a
          config_file: {}
          exec: [sh, -c, 'echo "$1" >> {}; {script}', sh, "{{{{ incident }}}}.first.{{{{ attempt }}}}"]"#,
        client.display(),
        sandbox.path().join("host").display(),
    );
    // What it shares with nobody is not to hold it up.
    let most = orders() * 10;
    let guard = format!(
        "    verify: {{ within: 2s, every: 1s, times: 1 }}\n    guard: {{ concurrency: 20, breaker: \
         none, rate: {{ max: {most}, per: 1h }} }}"
    );
    let limits = format!("limits: {{ concurrency: 27, rate: {{ max: {most}, per: 1h }} }}\n");
    limits + &policy_of(sandbox.path(), &first, &guard)
}

/// Says of each of many instances that it is down.
async fn fire_many(engine: &Engine) {
    let names: Vec<String> = (0..orders()).map(|number| format!("h{number}:80")).collect();
    let alerts: Vec<[(&str, &str); 2]> =
        names.iter().map(|name| [("alertname", "Down"), ("instance", name.as_str())]).collect();
    for some in alerts.chunks(50) {
        let some: Vec<&[(&str, &str)]> = some.iter().map(<[_; 2]>::as_slice).collect();
        assert_eq!(engine.post("/hooks", notification(&some)).await, 200);
    }
}

/// The orders whose command began on the host, each as often as it did.
fn on_host(sandbox: &Sandbox) -> Vec<String> {
    let text = fs::read_to_string(sandbox.path().join("host")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn many_orders_at_once_run_once_each() {
    let sandbox = Sandbox::new().unwrap();
    let Some(sshd) = Sshd::start(&sandbox) else { return };
    let config = for_many(&sandbox, &sshd.client(), "true");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    fire_many(&engine).await;
    let all = until_all_have_ended(&engine, orders()).await;
    assert!(all.iter().all(|order| order["result"] == "succeeded"), "{all:#?}");
    let ran = on_host(&sandbox);
    let different: BTreeSet<&String> = ran.iter().collect();
    assert_eq!((ran.len(), different.len()), (orders(), orders()));
}

#[tokio::test]
async fn no_command_runs_twice_and_no_order_is_lost_when_engine_and_runner_are_killed() {
    let sandbox = Sandbox::new().unwrap();
    let Some(sshd) = Sshd::start(&sandbox) else { return };
    let config = for_many(&sandbox, &sshd.client(), "sleep 0.1");
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    let before = (weight(engine.pid()), weight(u32::try_from(runner(&engine)).unwrap()));
    fire_many(&engine).await;
    for (share, victim) in [(4, "engine"), (2, "runner"), (1, "engine")] {
        let some = orders() / share - orders() / 8;
        until_count("further orders", some, || on_host(&sandbox).len()).await;
        if victim == "runner" {
            kill(runner(&engine));
        } else {
            engine.kill();
            engine.restart().await;
        }
    }
    let all = until_all_have_ended(&engine, orders()).await;
    let mut results = BTreeMap::<&str, usize>::new();
    for order in &all {
        *results.entry(order["result"].as_str().unwrap()).or_default() += 1;
    }
    let is = (weight(engine.pid()), weight(u32::try_from(runner(&engine)).unwrap()));
    let ran = on_host(&sandbox);
    eprintln!(
        "{} orders: {results:?}; {} commands; files and KiB of engine and runner: {before:?} before, \
         {is:?} after",
        all.len(),
        ran.len()
    );
    let different: BTreeSet<&str> = ran.iter().map(String::as_str).collect();
    assert_eq!(different.len(), ran.len(), "each ran once at most");
    for order in &all {
        let has_run = different.contains(order["id"].as_str().unwrap());
        match order["result"].as_str().unwrap() {
            "succeeded" => assert!(has_run, "{order:#}"),
            "not_started" => assert!(!has_run, "{order:#}"),
            // Nobody is left who could say it.
            "unknown" => {}
            _ => panic!("{order:#}"),
        }
    }
    let known: BTreeSet<&str> = all.iter().map(|order| order["id"].as_str().unwrap()).collect();
    assert!(different.is_subset(&known), "{ran:?}");
    assert!(is.0.0 < MOST_FILES && is.1.0 < MOST_FILES, "{is:?}");
}
