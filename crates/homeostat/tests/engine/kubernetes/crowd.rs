//! Many evictions at once, also through the deaths of the engine and of the runner.

use std::collections::{BTreeMap, BTreeSet};

use homeostat::demo::stack::Sandbox;
use serde_json::Value;

use super::{name, pod_deed};
use crate::support::cluster::Cluster;
use crate::support::hands::{MOST_FILES, kill, runner, until_all_have_ended, until_count, weight};
use crate::support::wire::{Fate, Wire};
use crate::support::{Engine, notification, policy_of, until};

/// How many pods are evicted.
fn orders() -> u32 {
    std::env::var("HOMEOSTAT_TEST_ORDERS").map_or(40, |count| count.parse().unwrap())
}

/// A policy that evicts the pod of each alert's instance, many at once.
fn config(sandbox: &Sandbox, cluster: &Cluster, kubeconfig: &std::path::Path) -> String {
    let deed = pod_deed(cluster, "evict", "\"{{ labels.instance }}\"");
    let first = format!(
        "        timeout: 2m\n        kubernetes: {{ kubeconfig: {}, {deed} }}",
        kubeconfig.display()
    );
    // What it shares with nobody is not to hold it up.
    let most = orders() * 10;
    let guard = format!(
        "    verify: {{ within: 2s, every: 1s, times: 1 }}\n    guard: {{ dry_run: false, concurrency: 20, breaker: \
         none, rate: {{ max: {most}, per: 1h }} }}"
    );
    let limits = format!("limits: {{ concurrency: 27, rate: {{ max: {most}, per: 1h }} }}\n");
    limits + &policy_of(sandbox.path(), &first, &guard)
}

/// Says of each of these that it is down.
async fn fire(engine: &Engine, names: &BTreeSet<String>) {
    let alerts: Vec<[(&str, &str); 2]> =
        names.iter().map(|name| [("alertname", "Down"), ("instance", name.as_str())]).collect();
    for some in alerts.chunks(50) {
        let some: Vec<&[(&str, &str)]> = some.iter().map(<[_; 2]>::as_slice).collect();
        assert_eq!(engine.post("/hooks", notification(&some)).await, 200);
    }
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn many_pods_are_evicted_once_each() {
    let orders = orders();
    let cluster = Cluster::new("many").await;
    cluster.workload("deployments", "web", orders).await;
    let pods = names(&cluster).await;
    let sandbox = Sandbox::new().unwrap();
    let config = config(&sandbox, &cluster, &cluster.kubeconfig("admin"));
    let engine = Engine::start(&sandbox, &config, &[]).await;
    let owner = u32::try_from(runner(&engine)).unwrap();
    let before = (weight(engine.pid()), weight(owner));
    fire(&engine, &pods).await;
    let ended = "homeostat_orders_total{policy=\"web\",remedy=\"first\",result=\"succeeded\"}";
    for some in (0..=orders).step_by(20).chain([orders]) {
        until("further orders", || async {
            let count = engine.metric(ended).await.unwrap_or(0.0);
            (count >= f64::from(some)).then_some(())
        })
        .await;
    }
    cluster.ready("deployments", "web").await;
    let after = names(&cluster).await;
    let orders = usize::try_from(orders).unwrap();
    assert!(after.iter().all(|pod| !pods.contains(pod)));
    assert_eq!((after.len(), cluster.pods_ever()), (orders, 2 * orders), "each was evicted once");
    let is = (weight(engine.pid()), weight(owner));
    eprintln!(
        "files and KiB of engine and runner: {before:?} before, {is:?} after {orders} orders"
    );
    assert!(is.0.0 < MOST_FILES && is.1.0 < MOST_FILES, "{is:?}");
}

/// The names of all pods that are not ending.
async fn names(cluster: &Cluster) -> BTreeSet<String> {
    cluster.pods("web").await.iter().map(|pod| name(pod).to_owned()).collect()
}

#[tokio::test]
#[ignore = "needs an API server: make test-kubernetes"]
async fn no_pod_is_evicted_twice_and_no_order_lost_when_engine_and_runner_are_killed() {
    let orders = usize::try_from(orders()).unwrap();
    let cluster = Cluster::new("crash").await;
    cluster.workload("deployments", "web", u32::try_from(orders).unwrap()).await;
    let pods = names(&cluster).await;
    let wire = Wire::new(&cluster, |_| Fate::Pass).await;
    let sandbox = Sandbox::new().unwrap();
    let config = config(&sandbox, &cluster, &wire.kubeconfig(sandbox.path()));
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    let before = (weight(engine.pid()), weight(u32::try_from(runner(&engine)).unwrap()));
    fire(&engine, &pods).await;
    for (share, victim) in [(4, "engine"), (2, "runner"), (1, "engine")] {
        let some = orders / share - orders / 8;
        until_count("further evictions", some, || evicted(&wire).len()).await;
        if victim == "runner" {
            kill(runner(&engine));
        } else {
            engine.kill();
            engine.restart().await;
        }
    }
    let all = until_all_have_ended(&engine, orders).await;
    let mut results = BTreeMap::<&str, usize>::new();
    for order in &all {
        *results.entry(order["result"].as_str().unwrap()).or_default() += 1;
    }
    let evicted = evicted(&wire);
    let is = (weight(engine.pid()), weight(u32::try_from(runner(&engine)).unwrap()));
    eprintln!(
        "{orders} orders: {results:?}; {} evictions; files and KiB of engine and runner: {before:?} \
         before, {is:?} after",
        evicted.len()
    );
    let different: BTreeSet<String> = evicted.iter().cloned().collect();
    assert_eq!(different.len(), evicted.len(), "each was evicted once at most");
    let left = names(&cluster).await;
    for order in &all {
        let pod = pod_of(order);
        assert!(pods.contains(pod), "{order:#}");
        match order["result"].as_str().unwrap() {
            "succeeded" => assert!(different.contains(pod) && !left.contains(pod), "{order:#}"),
            "not_started" => assert!(!different.contains(pod), "{order:#}"),
            // Nobody is left who could say it.
            "unknown" => {}
            _ => panic!("{order:#}"),
        }
    }
    assert!(pods.iter().all(|pod| left.contains(pod) != different.contains(pod)));
    assert!(is.0.0 < MOST_FILES && is.1.0 < MOST_FILES, "{is:?}");
}

/// The pods to whose eviction the server has said yes, each as often as it has.
fn evicted(wire: &Wire) -> Vec<String> {
    let answers = wire.answered().into_iter().filter(|(_, status)| *status == 201);
    let paths = answers.filter_map(|(asked, _)| Some(asked.split_once("/eviction")?.0.to_owned()));
    paths.map(|path| path.rsplit_once('/').unwrap().1.to_owned()).collect()
}

/// The pod of an order.
fn pod_of(order: &Value) -> &str {
    let action = order["action"].as_str().unwrap();
    action.split_once(" pod=").unwrap().1.split(' ').next().unwrap()
}
