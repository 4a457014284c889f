//! A runner's server on a thread of this process, spoken to as an engine would, and as one should
//! not. Its life as a process of its own is shown in `tests/engine/runner.rs`.

use std::fs;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::frame::{Frames, PROTOCOL, ToEngine, ToRunner, encode};
use super::{server, socket};
use crate::act::{self, Execution, Found, Launch, Life, Outcome, Program, Refusal, Subject, Word};
use crate::inherited::inherited;

/// Long enough that it is never reached on a slow machine, short enough to fail a test.
const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    storage: TempDir,
    server: Option<JoinHandle<std::io::Result<()>>>,
}

impl Bench {
    fn new() -> Self {
        let storage = tempfile::tempdir().unwrap();
        let listener = socket::listen(storage.path()).unwrap();
        let path = storage.path().to_owned();
        let server = Some(std::thread::spawn(move || server::run(&path, listener)));
        Self { storage, server }
    }

    fn records(&self, order: &str) -> PathBuf {
        self.storage.path().join(act::ORDERS).join(order)
    }

    fn work(&self) -> PathBuf {
        self.storage.path().join(act::WORK)
    }

    fn launch(&self, order: &str, script: &str) -> Launch {
        let execution = Execution {
            order: order.into(),
            name: order.into(),
            program: Program::Script(script.into()),
            timeout: PATIENCE * 2,
            grace: Duration::from_millis(100),
            subject: Subject::default(),
            setting: act::Setting::default(),
        };
        act::prepare(self.storage.path(), &execution).unwrap()
    }

    fn found(&self, order: &str) -> Found {
        act::inspect(self.storage.path(), order, &Life::begin().unwrap(), Word::NeverTook)
    }

    fn connect(&self) -> (Frames<OwnedReadHalf>, OwnedWriteHalf) {
        let stream: UnixStream = socket::connect(self.storage.path()).unwrap().unwrap();
        let (reader, writer) = stream.into_split();
        (Frames::new(reader), writer)
    }

    /// Connects and greets; returns what is answered.
    async fn greet(&self, protocol: u32, fence: u64) -> (Peer, ToEngine) {
        let (frames, writer) = self.connect();
        let mut peer = Peer { frames, writer };
        let environment = inherited().collect();
        peer.say(&ToRunner::Hello {
            protocol,
            fence,
            build: "test".into(),
            environment,
            life: None,
        })
        .await;
        let welcome = peer.hear().await.expect("an answer");
        (peer, welcome)
    }

    /// Sends the runner away and waits for its end.
    async fn end(mut self) {
        let (mut peer, _) = self.greet(PROTOCOL, u64::MAX).await;
        peer.say(&ToRunner::Leave).await;
        let server = self.server.take().unwrap();
        let ended = tokio::task::spawn_blocking(move || server.join().unwrap());
        tokio::time::timeout(PATIENCE, ended).await.expect("it ends").unwrap().unwrap();
    }
}

struct Peer {
    frames: Frames<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Peer {
    async fn say(&mut self, frame: &ToRunner) {
        self.writer.write_all(&encode(frame).unwrap()).await.unwrap();
    }

    /// The next frame; none when the connection ended, however.
    async fn hear(&mut self) -> Option<ToEngine> {
        let heard = tokio::time::timeout(PATIENCE, self.frames.next()).await;
        heard.expect("something is heard, or the connection ends").ok().flatten()
    }
}

fn running(welcome: &ToEngine) -> &[String] {
    match welcome {
        ToEngine::Welcome { running, .. } => running,
        ToEngine::Ended { .. }
        | ToEngine::Refused { .. }
        | ToEngine::Noted { .. }
        | ToEngine::Gone { .. }
        | ToEngine::Pong => {
            panic!("{welcome:?}")
        }
    }
}

async fn eventually(mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "the awaited event does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn ended(order: &str) -> ToEngine {
    ToEngine::Ended { order: order.into(), lingers: false }
}

#[tokio::test]
async fn a_run_is_owned_and_its_end_lies_on_the_disk_when_it_is_told() {
    let bench = Bench::new();
    let (mut engine, welcome) = bench.greet(PROTOCOL, 1).await;
    assert!(running(&welcome).is_empty());
    engine.say(&ToRunner::Start(bench.launch("o1", "echo out; exit 3"))).await;
    assert_eq!(engine.hear().await, Some(ended("o1")));
    let Found::Ended(found) = bench.found("o1") else { panic!("{:?}", bench.found("o1")) };
    assert_eq!((found.outcome, found.tail.as_str()), (Outcome::Exited { code: 3 }, "out\n"));
    drop(engine);
    bench.end().await;
}

#[tokio::test]
async fn what_certainly_did_not_start_is_refused_with_the_reason() {
    let bench = Bench::new();
    let (mut engine, _) = bench.greet(PROTOCOL, 1).await;
    let mut launch = bench.launch("o1", "");
    launch.command = act::Command::Argv(vec!["/nonexistent/program".into()]);
    engine.say(&ToRunner::Start(launch)).await;
    let heard = engine.hear().await;
    let Some(ToEngine::Refused { reason: Refusal::Spawn { program, .. }, .. }) = heard else {
        panic!("{heard:?}")
    };
    assert_eq!(program, "/nonexistent/program");
    // Names that lead elsewhere are no names, whoever sends them.
    let launch = bench.launch("o2", "touch ran");
    for (order, run) in [("../o2", launch.run.as_str()), ("o2", "../../escaped"), ("o2", "")] {
        let hostile = Launch { order: order.into(), run: run.into(), ..launch.clone() };
        engine.say(&ToRunner::Start(hostile)).await;
        let heard = engine.hear().await;
        let refused = Refusal::OrderName { order: if order == "o2" { run } else { order }.into() };
        assert_eq!(heard, Some(ToEngine::Refused { order: order.into(), reason: refused }));
    }
    assert_eq!(bench.found("o2"), Found::NotStarted);
    drop(engine);
    bench.end().await;
}

#[tokio::test]
async fn a_later_engine_is_told_what_runs_and_can_end_it_and_the_earlier_one_cannot_start_any_more()
{
    let bench = Bench::new();
    let (mut earlier, _) = bench.greet(PROTOCOL, 5).await;
    earlier.say(&ToRunner::Start(bench.launch("o1", "touch ready; exec sleep 600"))).await;
    eventually(|| bench.work().join("o1/ready").exists()).await;
    let (mut later, welcome) = bench.greet(PROTOCOL, 6).await;
    assert_eq!(running(&welcome), ["o1"]);
    // The connection is over; whether the word still gets out depends on who is faster.
    let start = encode(&ToRunner::Start(bench.launch("o2", "touch ran"))).unwrap();
    let _ = earlier.writer.write_all(&start).await;
    assert_eq!(earlier.hear().await, None, "it is not served any more");
    let (mut outdated, welcome) = bench.greet(PROTOCOL, 5).await;
    assert!(matches!(welcome, ToEngine::Welcome { fence: 6, .. }), "{welcome:?}");
    let _ = outdated.writer.write_all(&start).await;
    assert_eq!(outdated.hear().await, None, "it is not let in");
    later.say(&ToRunner::Cancel { order: "o1".into() }).await;
    assert_eq!(later.hear().await, Some(ended("o1")));
    let Found::Ended(found) = bench.found("o1") else { panic!("{:?}", bench.found("o1")) };
    assert_eq!(found.outcome, Outcome::Cancelled);
    assert_eq!(bench.found("o2"), Found::NotStarted, "nothing of the earlier one started");
    drop(later);
    bench.end().await;
}

#[tokio::test]
async fn what_was_taken_and_not_yet_begun_is_listed() {
    let bench = Bench::new();
    let (mut engine, _) = bench.greet(PROTOCOL, 1).await;
    // More than may begin at once.
    let orders: Vec<String> = (0..40).map(|number| format!("o{number:02}")).collect();
    for order in &orders {
        let script = "while ! [ -e ../go ]; do sleep 0.02; done";
        engine.say(&ToRunner::Start(bench.launch(order, script))).await;
    }
    // Frames are heard in order: what was said before this is taken when this is answered.
    engine.say(&ToRunner::Cancel { order: "none".into() }).await;
    eventually(|| bench.records("o39").join("claim").exists()).await;
    drop(engine);
    let (mut later, welcome) = bench.greet(PROTOCOL, 1).await;
    assert_eq!(running(&welcome), orders);
    fs::write(bench.work().join("go"), "").unwrap();
    for _ in &orders {
        assert!(matches!(later.hear().await, Some(ToEngine::Ended { .. })));
    }
    drop(later);
    bench.end().await;
}

#[tokio::test]
async fn what_was_said_to_a_runner_before_its_place_was_taken_is_not_begun_after() {
    let bench = Bench::new();
    let (mut engine, _) = bench.greet(PROTOCOL, 1).await;
    engine.say(&ToRunner::Ping).await;
    assert_eq!(engine.hear().await, Some(ToEngine::Pong));
    socket::retire(bench.storage.path()).unwrap();
    engine.say(&ToRunner::Start(bench.launch("o1", "touch ran"))).await;
    assert_eq!(engine.hear().await, None);
    assert_eq!(bench.found("o1"), Found::NotStarted);
    let mut bench = bench;
    let server = bench.server.take().unwrap();
    let ended = tokio::task::spawn_blocking(move || server.join().unwrap());
    tokio::time::timeout(PATIENCE, ended).await.expect("it ends").unwrap().unwrap();
}

/// Run by the test below, as another user.
#[tokio::test]
#[ignore = "needs a runner of another user"]
async fn as_a_stranger() {
    let storage = PathBuf::from(std::env::var_os("STORAGE").unwrap());
    let stream = socket::connect(&storage).unwrap().expect("somebody listens");
    let (reader, writer) = stream.into_split();
    let mut peer = Peer { frames: Frames::new(reader), writer };
    let hello = ToRunner::Hello {
        protocol: PROTOCOL,
        fence: 9,
        build: String::new(),
        environment: Vec::new(),
        life: None,
    };
    // It may be gone already.
    let _ = peer.writer.write_all(&encode(&hello).unwrap()).await;
    assert_eq!(peer.hear().await, None);
}

#[tokio::test]
async fn another_user_is_dropped_whatever_the_rights_of_the_files() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be another user");
        return;
    }
    let bench = Bench::new();
    for (path, mode) in [("", 0o777), (socket::NAME, 0o666)] {
        let rights = fs::Permissions::from_mode(mode);
        fs::set_permissions(bench.storage.path().join(path), rights).unwrap();
    }
    // Where another user can read it.
    let program = bench.storage.path().join("stranger");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut stranger = std::process::Command::new(program);
    stranger.args(["--exact", "runner::tests::as_a_stranger", "--ignored", "--nocapture"]);
    stranger.env("STORAGE", bench.storage.path()).current_dir("/").uid(65_534).gid(65_534);
    let said = tokio::task::spawn_blocking(move || stranger.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success() && text.contains("1 passed"), "{text}");
    let (engine, welcome) = bench.greet(PROTOCOL, 1).await;
    assert!(matches!(welcome, ToEngine::Welcome { fence: 1, .. }), "nobody greeted: {welcome:?}");
    drop(engine);
    bench.end().await;
}

#[tokio::test]
async fn another_protocol_is_told_which_one_is_spoken_here() {
    let bench = Bench::new();
    let (mut peer, welcome) = bench.greet(PROTOCOL + 1, 1).await;
    assert!(matches!(welcome, ToEngine::Welcome { protocol: PROTOCOL, .. }), "{welcome:?}");
    assert_eq!(peer.hear().await, None);
    drop(peer);
    bench.end().await;
}

#[tokio::test]
async fn garbage_is_harmless() {
    let bench = Bench::new();
    let (mut engine, _) = bench.greet(PROTOCOL, 1).await;
    let start = encode(&ToRunner::Start(bench.launch("o1", "touch ran"))).unwrap();
    let garbage: [&[u8]; 7] = [
        b"",
        b"\0",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x02{}",
        b"\0\0\0\x04\xff\xff\xff\xff",
        &start,
    ];
    for bytes in garbage {
        let (frames, mut writer) = bench.connect();
        // The other end may have seen enough already.
        let _ = writer.write_all(bytes).await;
        let _ = writer.shutdown().await;
        let mut peer = Peer { frames, writer };
        assert_eq!(peer.hear().await, None);
    }
    assert_eq!(bench.found("o1"), Found::NotStarted, "who has not greeted starts nothing");
    engine.say(&ToRunner::Start(bench.launch("o2", "true"))).await;
    assert_eq!(engine.hear().await, Some(ended("o2")), "the engine is served as before");
    // In the middle of its own connection it costs the engine that connection, and no more.
    engine.writer.write_all(b"\0\0\0\x01x").await.unwrap();
    assert_eq!(engine.hear().await, None);
    let (engine, _) = bench.greet(PROTOCOL, 1).await;
    drop(engine);
    bench.end().await;
}

#[tokio::test]
async fn variables_are_those_of_the_engine_that_is_there_now() {
    let bench = Bench::new();
    let (frames, writer) = bench.connect();
    let mut engine = Peer { frames, writer };
    let environment = vec![("PATH".into(), "/usr/bin:/bin".into()), ("NEW".into(), "x".into())];
    let build = String::new();
    let hello = ToRunner::Hello { protocol: PROTOCOL, fence: 1, build, environment, life: None };
    engine.say(&hello).await;
    engine.hear().await.unwrap();
    engine.say(&ToRunner::Start(bench.launch("o1", "env | sort"))).await;
    assert_eq!(engine.hear().await, Some(ended("o1")));
    let output = fs::read_to_string(bench.records("o1").join("stdout")).unwrap();
    assert!(output.contains("\nNEW=x\nPATH=/usr/bin:/bin\n"), "{output}");
    assert!(output.contains("HOMEOSTAT_ORDER=o1\n"), "{output}");
    assert!(!output.contains("CARGO_"), "{output}");
    drop(engine);
    bench.end().await;
}

#[tokio::test]
async fn an_order_that_was_taken_is_not_begun_again_whatever_became_of_its_records() {
    let bench = Bench::new();
    let (mut engine, _) = bench.greet(PROTOCOL, 1).await;
    let (records, ran) = (bench.records("o1"), bench.storage.path().join("ran"));
    let script = format!("echo ran >> {}; rm -rf {}", ran.display(), records.display());
    engine.say(&ToRunner::Start(bench.launch("o1", &script))).await;
    assert_eq!(engine.hear().await, Some(ended("o1")));
    assert_eq!(bench.found("o1"), Found::NotStarted, "so it looks, and so it is not taken");
    let took = act::inspect(bench.storage.path(), "o1", &Life::begin().unwrap(), Word::Took);
    assert_eq!(took, Found::Unknown(act::Doubt::RecordsGone));

    engine.say(&ToRunner::Start(bench.launch("o1", &script))).await;
    assert_eq!(engine.hear().await, Some(ended("o1")));
    assert_eq!(fs::read_to_string(ran).unwrap(), "ran\n");
    drop(engine);
    let (later, welcome) = bench.greet(PROTOCOL, 2).await;
    let ToEngine::Welcome { over, lives, .. } = welcome else { panic!("{welcome:?}") };
    assert_eq!(over, ["o1"]);
    assert!(lives.is_empty(), "nobody said whose it was");
    drop(later);
    bench.end().await;
}

#[tokio::test]
async fn what_the_engine_does_itself_is_noted_and_what_is_refused_is_not() {
    let bench = Bench::new();
    let (mut engine, _) = bench.greet(PROTOCOL, 1).await;
    engine.say(&ToRunner::Note { order: "o1".into() }).await;
    assert_eq!(engine.hear().await, Some(ToEngine::Noted { order: "o1".into() }));
    let mut launch = bench.launch("o2", "");
    launch.command = act::Command::Argv(vec!["/nonexistent/program".into()]);
    engine.say(&ToRunner::Start(launch)).await;
    assert!(matches!(engine.hear().await, Some(ToEngine::Refused { .. })));
    drop(engine);
    let (later, welcome) = bench.greet(PROTOCOL, 2).await;
    let ToEngine::Welcome { over, .. } = welcome else { panic!("{welcome:?}") };
    assert_eq!(over, ["o1"]);
    drop(later);
    bench.end().await;
}
