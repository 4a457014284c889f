//! Disks that are full, read-only or damaged: told plainly, nothing accepted is lost, and it goes on
//! by itself where it can.

use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Engine, Start, notification, policy, ran, until};
use homeostat::demo::stack::{Alertmanager, Sandbox, Signal, Timings};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];
const B: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "b:80")];

const BUSY: &str =
    "homeostat_notifications_received_total{source=\"alertmanager\",result=\"busy\"}";

/// Lets no file of the engine grow beyond so many bytes, as a quota would.
fn bound_files(engine: &Engine, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(engine.pid()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

async fn ready(engine: &Engine) -> (u16, String) {
    let answer = engine.client().get(engine.url("/-/ready")).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The engine says in every way that its journal cannot be written.
async fn is_told(engine: &Engine, reason: &str) {
    let (status, text) = until("that it is not ready", || async {
        Some(ready(engine).await).filter(|(status, _)| *status == 503)
    })
    .await;
    assert_eq!(status, 503);
    assert!(text.contains("cannot be written") && text.contains(reason), "{text}");
    assert_eq!(engine.metric("homeostat_journal_writable").await, Some(0.0));
}

#[tokio::test]
async fn a_quota_answers_503_and_alertmanager_delivers_once_there_is_room() {
    let sandbox = Sandbox::new().unwrap();
    let config = policy(sandbox.path(), "", "");
    // A process that grows a file beyond its limit is ended, unless it wants to hear of it.
    let start = Start { config: &config, before: "trap '' XFSZ;", ..Start::default() };
    let engine = Engine::broken(&sandbox, &start);
    engine.ready().await;
    let alertmanager = Alertmanager::builder()
        .webhook(&engine.url("/hooks"))
        .timings(Timings::QUICK)
        .start(sandbox.path())
        .await
        .unwrap();
    let log = engine.directory.join("data/homeostat.db-wal");
    bound_files(&engine, Some(std::fs::metadata(log).unwrap().len()));
    alertmanager.fire(A).await.unwrap();
    until("two refused tries", || async { engine.metric(BUSY).await.filter(|n| *n >= 2.0) }).await;
    is_told(&engine, "disk I/O error").await;
    assert!(engine.log().contains("journal cannot be written; senders get 503"));
    assert!(ran(sandbox.path()).is_empty());
    bound_files(&engine, None);
    let incident = engine.incident_in("verifying").await;
    assert_eq!(incident["id"], "1");
    assert_eq!(ran(sandbox.path()), ["1.first.1"]);
    assert_eq!(ready(&engine).await.0, 200);
    assert_eq!(engine.metric("homeostat_journal_writable").await, Some(1.0));
}

/// A small file system in memory, where one can be had.
struct Small(PathBuf);

impl Small {
    /// Mounts one there, or says why the test is not run.
    fn mount(at: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(at)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            let _ = writeln!(
                std::io::stderr(),
                "NOT RUN: no file system can be mounted here; as root it can"
            );
        }
        mounted.then(|| Self(at.to_owned()))
    }

    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        while file.write_all(&[1; 512]).is_ok() {}
        filler
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_loses_nothing_and_goes_on_when_there_is_room() {
    let sandbox = Sandbox::new().unwrap();
    let data = sandbox.path().join("engine/data");
    let Some(disk) = Small::mount(&data, "size=4m") else { return };
    let config = policy(sandbox.path(), "", "");
    let mut engine = Engine::start(&sandbox, &config, &[]).await;
    assert_eq!(engine.post("/hooks", notification(&[A])).await, 200);
    engine.incident_in("verifying").await;
    let filler = disk.fill();
    // There may be room for a little in what is allocated already.
    let mut number = 0;
    let refused = loop {
        number += 1;
        let instance = format!("full-{number}");
        let alert: &[(&str, &str)] = &[("alertname", "Other"), ("instance", &instance)];
        let answer = engine.post("/hooks", notification(&[alert])).await;
        if answer != 200 {
            break answer;
        }
        assert!(number < 2000, "the disk is not full");
    };
    assert_eq!(refused, 503);
    is_told(&engine, "full").await;
    assert_eq!(engine.post("/hooks", notification(&[B])).await, 503, "it is refused at once");
    std::fs::remove_file(filler).unwrap();
    until("a retry that is taken", || async {
        (engine.post("/hooks", notification(&[B])).await == 200).then_some(())
    })
    .await;
    until("its remedy", || async { (ran(sandbox.path()).len() == 2).then_some(()) }).await;
    engine.kill();
    engine.restart().await;
    assert_eq!(engine.json("/api/v1/status").await["alerts_active"], number - 1 + 2);
    let ran = ran(sandbox.path());
    assert_eq!(ran.iter().filter(|order| order.ends_with(".first.1")).count(), ran.len());
    assert_eq!(ran.len(), 2, "{ran:?}");
    drop(engine);
    drop(disk);
}

/// Starts an engine that must not start, and returns what it says.
async fn refusal(engine: &mut Engine) -> String {
    until("the end of an engine that cannot start", || {
        let ended = engine.has_ended();
        async move { ended.then_some(()) }
    })
    .await;
    assert_eq!(engine.wait(), Some(2), "2 is: cannot. {}", engine.log());
    engine.log()
}

#[tokio::test]
async fn a_disk_that_is_read_only_is_refused_with_the_reason() {
    let sandbox = Sandbox::new().unwrap();
    let data = sandbox.path().join("engine/data");
    let Some(disk) = Small::mount(&data, "size=4m,ro") else { return };
    let mut engine = Engine::broken(&sandbox, &Start::default());
    let said = refusal(&mut engine).await;
    assert!(said.contains("as storage") && said.contains("Read-only"), "{said}");
    drop(disk);
}

#[tokio::test]
async fn what_is_no_directory_is_refused_with_the_reason() {
    let sandbox = Sandbox::new().unwrap();
    std::fs::create_dir_all(sandbox.path().join("engine")).unwrap();
    std::fs::write(sandbox.path().join("engine/data"), "").unwrap();
    let mut engine = Engine::broken(&sandbox, &Start::default());
    let said = refusal(&mut engine).await;
    assert!(said.contains("as storage") && said.contains("engine/data"), "{said}");
}

/// A directory of an engine that knows one alert and has stopped.
async fn stopped(sandbox: &Sandbox) -> (Engine, PathBuf) {
    let mut engine = Engine::start(sandbox, "", &[]).await;
    let instances: Vec<String> = (0..50).map(|n| format!("host-{n}")).collect();
    for instance in &instances {
        let alert: &[(&str, &str)] = &[("alertname", "Down"), ("instance", instance)];
        assert_eq!(engine.post("/hooks", notification(&[alert])).await, 200);
    }
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait(), Some(0));
    let database = engine.directory.join("data/homeostat.db");
    (engine, database)
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

#[tokio::test]
async fn a_header_that_is_damaged_is_refused_with_what_to_do() {
    let sandbox = Sandbox::new().unwrap();
    let (mut engine, database) = stopped(&sandbox).await;
    overwrite(&database, 0, &[b'x'; 100]);
    engine.restart_to("");
    let said = refusal(&mut engine).await;
    assert!(said.contains("is damaged") && said.contains("restore a backup"), "{said}");
}

#[tokio::test]
async fn a_database_that_was_cut_off_is_refused_with_what_to_do() {
    let sandbox = Sandbox::new().unwrap();
    let (mut engine, database) = stopped(&sandbox).await;
    let length = std::fs::metadata(&database).unwrap().len();
    let file = OpenOptions::new().write(true).open(&database).unwrap();
    file.set_len(length / 2 / 4096 * 4096).unwrap();
    engine.restart_to("");
    let said = refusal(&mut engine).await;
    assert!(said.contains("is damaged") && said.contains("restore a backup"), "{said}");
}

/// Whichever page is damaged: it is refused, or all is known, and nothing is made up.
#[tokio::test]
async fn no_damaged_page_loses_anything_silently() {
    const PAGE: usize = 4096;
    let sandbox = Sandbox::new().unwrap();
    let (mut engine, database) = stopped(&sandbox).await;
    let whole = std::fs::read(&database).unwrap();
    let pages = whole.len() / PAGE;
    assert!(pages > 8, "there is something to damage");
    let mut refused = 0;
    for page in 1..pages {
        overwrite(&database, (page * PAGE) as u64, &[0xa5; PAGE]);
        engine.restart_to("");
        until("a start or a refusal", || {
            let ended = engine.has_ended();
            let request = engine.client().get(engine.url("/-/healthy")).send();
            async move { (ended || request.await.is_ok()).then_some(()) }
        })
        .await;
        if engine.has_ended() {
            refused += 1;
            let said = refusal(&mut engine).await;
            let is_plain =
                ["is damaged", "cannot be read", "is gone"].iter().any(|w| said.contains(w));
            assert!(is_plain, "page {page}: {said}");
        } else {
            let known = engine.json("/api/v1/status").await["alerts_active"].clone();
            assert_eq!(known, 50, "page {page}");
            engine.kill();
        }
        for beside in ["homeostat.db-wal", "homeostat.db-shm"] {
            let _ = std::fs::remove_file(database.with_file_name(beside));
        }
        std::fs::write(&database, &whole).unwrap();
    }
    assert!(refused > 0, "some pages hold facts");
}

#[tokio::test]
async fn a_torn_end_of_the_log_is_passed_over_and_what_was_accepted_stays() {
    let sandbox = Sandbox::new().unwrap();
    let mut engine = Engine::start(&sandbox, "", &[]).await;
    assert_eq!(engine.post("/hooks", notification(&[A])).await, 200);
    engine.kill();
    let log = engine.directory.join("data/homeostat.db-wal");
    let mut file = OpenOptions::new().append(true).open(log).unwrap();
    file.write_all(&[0xa5; 10_000]).unwrap();
    engine.restart().await;
    assert_eq!(engine.incidents().await.len(), 1);
    assert_eq!(engine.post("/hooks", notification(&[B])).await, 200);
    engine.kill();
    engine.restart().await;
    assert_eq!(engine.incidents().await.len(), 2);
}
