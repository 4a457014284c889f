//! The journal stays small, and what must be there is there, on a real engine process.

use std::time::Duration;

use crate::support::{Engine, notification, order_directory, policy, ran, resolution, until};
use homeostat::demo::stack::{Sandbox, Signal};

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];
const B: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "b:80")];

/// Incidents that come and go, besides those of [`policy`].
const NOISE: &str = "
  - name: noise
    matchers: ['alertname=\"Noise\"']
    target: [instance]
    mode: shadow
    remedies: [{ name: none, exec: [/bin/true] }]
";

/// A notification of alerts that have just begun: what began before its last end is stale.
fn firing_now(alerts: &[&[(&str, &str)]]) -> String {
    let now = jiff::Timestamp::now().to_string();
    notification(alerts).replace("2026-01-05T09:00:00Z", &now)
}

/// Opens and ends so many incidents, six facts each; the last one has this number.
async fn make_noise(engine: &Engine, count: u64, last: u64) {
    let instances: Vec<String> = (0..count).map(|n| format!("host-{n}")).collect();
    let alerts: Vec<[(&str, &str); 2]> =
        instances.iter().map(|instance| [("alertname", "Noise"), ("instance", instance)]).collect();
    let alerts: Vec<&[(&str, &str)]> = alerts.iter().map(|alert| &alert[..]).collect();
    assert_eq!(engine.post("/hooks", firing_now(&alerts)).await, 200);
    assert_eq!(engine.post("/hooks", resolution(&alerts)).await, 200);
    until("the end of the last one", || async {
        let incident = engine.json(&format!("/api/v1/incidents/{last}")).await;
        (incident["timeline"].as_array()?.last()?["kind"] == "latch_released").then_some(())
    })
    .await;
}

async fn is_there(engine: &Engine, incident: u64) -> bool {
    let path = engine.url(&format!("/api/v1/incidents/{incident}"));
    engine.client().get(path).send().await.unwrap().status().is_success()
}

fn pages(engine: &Engine) -> u64 {
    std::fs::metadata(engine.directory.join("data/homeostat.db")).unwrap().len() / 4096
}

fn rows(engine: &Engine, table: &str) -> i64 {
    let database = engine.directory.join("data/homeostat.db");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(database, flags).unwrap();
    let count = format!("SELECT COUNT(*) FROM {table}");
    database.query_row(&count, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_is_over_goes_and_what_matters_stays_through_restarts_and_kills() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", "") + NOISE;
    let mut engine = Engine::start(&sandbox, &config, &["--storage.retention=1s"]).await;
    let data = engine.directory.join("data");
    engine.post("/hooks", notification(&[A])).await;
    engine.incident_in("verifying").await;
    engine.post("/hooks", resolution(&[A])).await;
    engine.incident_in("closed").await;
    engine.post("/hooks", notification(&[B])).await;
    until("the second remedy", || async { (ran(sandbox.path()).len() == 2).then_some(()) }).await;
    assert!(order_directory(&data, "1.first.1").is_dir());

    let mut sizes = Vec::new();
    for round in 0..6_u64 {
        make_noise(&engine, 400, 402 + 400 * round).await;
        engine.signal(Signal::TERM);
        assert_eq!(engine.wait(), Some(0), "round {round}");
        // Not to wait for something, but to be older than the retention at the next start.
        tokio::time::sleep(Duration::from_secs(1)).await;
        engine.restart().await;
        if round == 3 {
            engine.kill();
            engine.restart().await;
        }
        // What the older of two snapshots does not cover, or ends with, is kept however old it is.
        let over = if round == 0 { continue } else { 3 + 400 * (round - 1) };
        until("the noise of the round before to go", || async {
            (!is_there(&engine, over).await && !is_there(&engine, over + 398).await).then_some(())
        })
        .await;
        assert!(is_there(&engine, 3 + 400 * round).await);
        // All of it, and what its links leave once they are folded: this round's is 2,400 facts.
        let rests = || async {
            (rows(&engine, "facts") < 3000 && rows(&engine, "gone") < 2500).then_some(())
        };
        until("the sweep to rest", rests).await;
        sizes.push(pages(&engine));
    }
    assert!(!order_directory(&data, "1.first.1").exists(), "its directory went with it");
    assert!(order_directory(&data, "2.first.1").is_dir());
    assert!(!is_there(&engine, 1).await);
    let open = engine.json("/api/v1/incidents/2").await;
    assert_eq!(
        (&open["state"], &open["alerts"][0]["status"]),
        (&"verifying".into(), &"firing".into())
    );
    assert_eq!(open["timeline"][0]["kind"], "episode_began", "{open:#}");
    assert!(sizes[4] < sizes[1] * 5 / 4, "the database grows: {sizes:?} pages");

    assert_eq!(engine.post("/hooks", firing_now(&[A])).await, 200);
    let again = until("a relapse", || async {
        let incidents = engine.incidents().await;
        incidents.into_iter().find(|i| i["target"]["instance"] == "a:80" && i["policy"] == "web")
    })
    .await;
    assert_eq!(again["relapse_of"], "1", "{again:#}");
}
