//! More than fits: floods, slow peers, large bodies and hung actions, over real sockets. Everybody
//! gets an answer, 200 or 503 and never 429, and what was answered 200 is known.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::proxy::Proxy;
use crate::support::{Engine, PATIENCE, notification, policy, ran, resolution, until};
use homeostat::demo::stack::{Alertmanager, Sandbox, Timings};
use rustix::process::{Resource, getrlimit, setrlimit};
use sha2::Digest as _;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];

/// Alerts of the flood; `make bench` measures the memory of 100,000.
const FLOOD: usize = 20_000;

/// Alerts of one notification.
const GROUP: usize = 100;

/// Resident memory that the flood may take at most, in KiB: five times the bar of `make bench` for
/// each alert, because this is not the build that is released, and what it takes idle.
const FLOOD_MEMORY: u64 = 200 << 10;

/// The largest resident memory that a process had, in KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_flood_of_distinct_alerts_is_accounted_for_in_bounded_memory() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "", &["--log.level=warn"]).await;
    let mut sends = tokio::task::JoinSet::new();
    for group in 0..FLOOD / GROUP {
        let instances: Vec<String> = (0..GROUP).map(|n| format!("host-{group}-{n}")).collect();
        let alerts: Vec<[(&str, &str); 2]> =
            instances.iter().map(|i| [("alertname", "Flood"), ("instance", i)]).collect();
        let alerts: Vec<&[(&str, &str)]> = alerts.iter().map(|alert| &alert[..]).collect();
        let request = engine.client().post(engine.url("/hooks")).body(notification(&alerts));
        sends.spawn(async move {
            request.timeout(crate::support::PATIENCE).send().await.unwrap().status()
        });
    }
    let answers = sends.join_all().await;
    let accepted = answers.iter().filter(|status| **status == 200).count();
    assert!(answers.iter().all(|status| [200, 503].contains(&status.as_u16())), "{answers:?}");
    assert!(accepted > 0);
    until("all that were answered 200", || async {
        let known = engine.json("/api/v1/status").await["alerts_active"].as_u64();
        (known == Some((accepted * GROUP) as u64)).then_some(())
    })
    .await;
    let memory = peak_memory(engine.pid());
    assert!(memory < FLOOD_MEMORY, "{memory} KiB");
}

/// A connection to the engine on which this was sent, and nothing follows.
fn hang(engine: &Engine, sent: &str) -> TcpStream {
    let mut stream = TcpStream::connect(engine.address).unwrap();
    stream.write_all(sent.as_bytes()).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_hang_do_not_keep_others_out() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", "");
    let engine = Engine::start(&sandbox, &config, &[]).await;
    let half_a_head = "POST /hooks HTTP/1.1\r\nHost: localhost\r\n";
    let half_a_body = "POST /hooks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{";
    let deaf = "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // More than there are connections, so that each kind must be given up.
    let hung: Vec<TcpStream> = (0..350)
        .flat_map(|_| [half_a_head, half_a_body, deaf, ""].map(|sent| hang(&engine, sent)))
        .collect();
    let begun = Instant::now();
    until("an answer to one that does not hang", || async {
        let answer = engine.try_post("/hooks", &notification(&[A])).await?;
        assert_eq!(answer, 200);
        Some(())
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(35), "{:?}", begun.elapsed());
    until("its remedy", || async { (ran(sandbox.path()) == ["1.first.1"]).then_some(()) }).await;
    drop(hung);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_bodies_together_are_bounded_and_a_small_one_is_still_taken() {
    const LARGE: usize = 30 << 20;
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "", &[]).await;
    let head =
        format!("POST /hooks HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LARGE}\r\n\r\n");
    // All of each but its last byte.
    let filler = vec![b' '; LARGE - 1];
    let mut large: Vec<TcpStream> = Vec::new();
    let mut refused = String::new();
    for _ in 0..5 {
        let mut stream = hang(&engine, &head);
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        if stream.write_all(&filler).is_err() || large.len() == 4 {
            // It may be cut off while it still writes; then there is no answer to read.
            let mut answer = [0; 64];
            let length = stream.read(&mut answer).unwrap_or(0);
            refused = String::from_utf8_lossy(&answer[..length]).into_owned();
            break;
        }
        large.push(stream);
    }
    assert_eq!(large.len(), 4, "four of them fit");
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 503"), "{refused}");
    let busy = "homeostat_notifications_received_total{source=\"alertmanager\",result=\"busy\"}";
    until("the refusal is counted", || async { engine.metric(busy).await }).await;
    assert_eq!(engine.post("/hooks", notification(&[A])).await, 200);
    let memory = peak_memory(engine.pid());
    assert!(memory < 400 << 10, "{memory} KiB");
}

/// How often the time of an answer is taken.
const SAMPLES: usize = 300;

/// How long an answer to a new alert takes in 99 of 100 cases.
async fn intake_p99(engine: &Engine, name: &str) -> Duration {
    let mut took = Vec::new();
    for n in 0..SAMPLES {
        let instance = format!("{name}-{n}");
        let body = notification(&[&[("alertname", "Down"), ("instance", &instance)]]);
        let begun = Instant::now();
        assert_eq!(engine.post("/hooks", body).await, 200);
        took.push(begun.elapsed());
    }
    took.sort();
    took[SAMPLES * 99 / 100]
}

#[tokio::test(flavor = "multi_thread")]
async fn hung_actions_hold_up_no_intake_and_no_notification_overlaps_another() {
    let sandbox = Sandbox::new().unwrap();
    // Whoever opens it for reading waits, at no cost, until somebody opens it for writing.
    let hang = sandbox.path().join("hang");
    assert!(Command::new("mkfifo").arg(&hang).status().unwrap().success());
    let script = format!("read line < {}", hang.display());
    let guard = "    guard: { rate: { max: 1000, per: 1s }, concurrency: 64, breaker: none }";
    let config = policy(sandbox.path(), &script, guard)
        + "limits: { concurrency: 64, rate: { max: 1000, per: 1s } }\n";
    let engine = Engine::start(&sandbox, &config, &[]).await;
    engine.post("/api/v1/pause", r#"{"by": "test", "reason": "nothing may hang yet"}"#).await;
    let idle = intake_p99(&engine, "paused").await;
    for n in 0..SAMPLES {
        let instance = format!("paused-{n}");
        let alert: &[(&str, &str)] = &[("alertname", "Down"), ("instance", &instance)];
        engine.post("/hooks", resolution(&[alert])).await;
    }
    engine.post("/api/v1/resume", r#"{"by": "test"}"#).await;
    let proxy = Proxy::start(engine.url("/hooks"), |body| body).await;
    let alertmanager = Alertmanager::builder()
        .webhook(&proxy.url)
        .timings(Timings::QUICK)
        .start(sandbox.path())
        .await
        .unwrap();
    for n in 0..64 {
        let instance = format!("hung-{n}");
        alertmanager.fire(&[("alertname", "Down"), ("instance", &instance)]).await.unwrap();
    }
    until("64 actions that hang", || async { (ran(sandbox.path()).len() == 64).then_some(()) })
        .await;
    let p99 = intake_p99(&engine, "waits").await;
    until("notifications while all hangs", || async {
        (proxy.seen().answers.len() >= 6).then_some(())
    })
    .await;
    // A machine that is busy with other things is slow by itself, and no proof of anything.
    let bound = Duration::from_millis(100).max(3 * idle);
    assert!(p99 < bound, "{p99:?} while all hangs, {idle:?} while nothing did");
    let seen = proxy.seen();
    assert_eq!(seen.most_under_way, 1, "{seen:?}");
    assert!(seen.answers.iter().all(|status| *status == 200), "{seen:?}");
    assert_eq!(ran(sandbox.path()).len(), 64, "the others wait for room");
    // All of them go on at once, and end.
    std::fs::OpenOptions::new().write(true).open(hang).unwrap();
}

/// How long passwords are tried, and how many in that time.
const TRIED_FOR: Duration = Duration::from_secs(3);
const TRIES: u32 = 3000;

/// How long half of the answers to new alerts may take meanwhile, at most.
const UNHARMED: Duration = Duration::from_secs(1);

/// One comparison at this cost takes in this build what one at cost 10 takes in a release: half of a
/// machine with two cores for about 60 ms.
const COST: u32 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_wrong_passwords_a_second_leave_intake_unharmed() {
    let sandbox = Sandbox::new().unwrap();
    let hash = bcrypt::hash("secret", COST).unwrap();
    let web =
        sandbox.write("web.yml", &format!("basic_auth_users: {{ ann: '{hash}' }}\n")).unwrap();
    let digest = sha2::Sha256::digest("sender's");
    let digest: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = digest.concat();
    let config = format!(
        "access:
  tokens: [{{ name: sender, sha256: \"{digest}\" }}]
  grants:
    - {{ who: [\"token:sender\"], may: [send] }}
    - {{ who: [\"user:ann\"], may: [view] }}
"
    );
    let flags = [format!("--web.config.file={}", web.display()), "--log.level=error".into()];
    let engine = Engine::start(&sandbox, &config, &flags.each_ref().map(|flag| &**flag)).await;
    let patient = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let sign_in = |password: String| {
        let request = patient.get(engine.url("/api/v1/status"));
        let sent = request.basic_auth("ann", Some(password)).send();
        async move { sent.await.unwrap().status().as_u16() }
    };
    assert_eq!(sign_in("secret".into()).await, 200);

    let mut tries = tokio::task::JoinSet::new();
    let begun = tokio::time::Instant::now();
    for number in 0..TRIES {
        let sent = sign_in(format!("guess {number}"));
        tries.spawn(async move {
            tokio::time::sleep_until(begun + TRIED_FOR * number / TRIES).await;
            sent.await
        });
    }
    let mut took = Vec::new();
    while begun.elapsed() < TRIED_FOR {
        let instance = took.len().to_string();
        let body = notification(&[&[("alertname", "Flood"), ("instance", &instance)]]);
        let request = patient.post(engine.url("/hooks")).body(body);
        let asked = Instant::now();
        let answer = request.bearer_auth("sender's").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        took.push(asked.elapsed());
        assert_eq!(
            sign_in("secret".into()).await,
            200,
            "who was let in before is not kept waiting"
        );
    }
    took.sort();
    assert!(took[took.len() / 2] < UNHARMED, "{took:?}");
    let answers = tries.join_all().await;
    let count = |status: u16| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!(count(401) + count(503), TRIES as usize, "{answers:?}");
    assert!(count(401) > 0 && count(503) > count(401), "few are compared: {}", count(401));
}
