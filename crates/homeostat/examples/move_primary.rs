//! A handler that is worth copying: it moves the primary of a database cluster.
//!
//! What makes it fit to run at night while nobody looks on:
//!
//! - it looks before it acts, and leaves alone what is well already, so that a second run of the
//!   same order does no harm;
//! - it refuses to act when that would lose data, and says which numbers it saw;
//! - it stays within its deadline, and stops where stopping is safe when it is told to;
//! - it looks again afterwards, and hands over its evidence; whether the *alert* is healed is not
//!   for it to say: the engine proves that.
//!
//! The cluster is driven by a program of yours, by default `cluster-ctl`, with the words `primary`
//! (prints a name), `replicas` (prints `NAME LAG_SECONDS` a line) and `promote NAME`.
//!
//! ```yaml
//! policies:
//!   - name: primary-down
//!     matchers: ['alertname="PrimaryDown"']
//!     target: [cluster]
//!     mode: auto
//!     remedies: [{ name: move, call: move-primary, timeout: 2m }]
//! ```

use std::time::Duration;

use anyhow::{Context, bail};
use homeostat::{Action, App, Outcome};
use tokio::process::Command;

/// A replica further behind than this would lose what people have been told is safe.
const LAG_MAX: f64 = 10.0;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    App::from_args()?
        .action("move-primary", |order| async move { Ok(move_primary(&order).await?) })
        .run()
        .await
}

async fn move_primary(order: &Action) -> anyhow::Result<Outcome> {
    let cluster = order.label("cluster")?;
    let broken = order.label("instance")?;

    // Before: is there still something to do, and may it be done?
    let primary = control(cluster, &["primary"]).await?;
    if primary != broken {
        return Ok(Outcome::done().note(format!("{primary} leads already: nothing to do")));
    }
    let listed = control(cluster, &["replicas"]).await?;
    let Some((replica, lag)) = best(&listed)? else {
        return Ok(Outcome::failed(format!("no replica is within {LAG_MAX} s: {listed:?}")));
    };

    // The deed. Until here stopping is safe; half of a promotion is not.
    if order.is_cancelled() {
        return Ok(Outcome::failed("asked to stop before anything was done"));
    }
    order.progress(format!("promoting {replica}, {lag} s behind"));
    control(cluster, &["promote", replica]).await?;

    // After: does it lead?
    order.progress(format!("waiting until {replica} leads"));
    tokio::select! {
        led = leads(cluster, replica) => led?,
        why = order.cancelled() => {
            let reason = format!("{replica} was promoted and does not lead: {why:?}");
            return Ok(Outcome::failed(reason));
        }
    }
    Ok(Outcome::done().evidence("primary was", broken).evidence("primary is", replica))
}

/// Picks the replica that is least behind, if one may be promoted.
fn best(listed: &str) -> anyhow::Result<Option<(&str, f64)>> {
    let mut best: Option<(&str, f64)> = None;
    for line in listed.lines() {
        let (name, lag) = line.split_once(' ').context("expected a name and its lag")?;
        let lag: f64 = lag.trim().parse().with_context(|| format!("the lag of {name}"))?;
        if lag <= LAG_MAX && best.is_none_or(|(_, least)| lag < least) {
            best = Some((name, lag));
        }
    }
    Ok(best)
}

/// Waits until a replica leads. The order's own deadline ends it, if need be.
async fn leads(cluster: &str, replica: &str) -> anyhow::Result<()> {
    while control(cluster, &["primary"]).await? != replica {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Asks the cluster. Labels go as arguments, never through a shell; a name cannot be an option.
async fn control(cluster: &str, words: &[&str]) -> anyhow::Result<String> {
    let program = std::env::var("CLUSTER_CTL").unwrap_or_else(|_| "cluster-ctl".to_owned());
    let mut command = Command::new(&program);
    // Whoever aborts us ends it, too.
    command.arg("--cluster").arg(cluster).arg("--").args(words).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("running {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{program} {}: {}: {said}", words.join(" "), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
