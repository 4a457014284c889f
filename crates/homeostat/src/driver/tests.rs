use std::time::Duration;

use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::label::LabelSet;
use homeostat_core::name::SourceName;

use super::*;
use crate::notice::{Settings, Teller, Telling};
use crate::probe::{Prober, Witnesses};
use crate::queue::{Queue, queue};

struct Rig {
    queue: Queue,
    standing: Arc<RwLock<Standing>>,
    thread: std::thread::JoinHandle<Result<(), Fatal>>,
    telling: Telling,
    directory: tempfile::TempDir,
}

/// Starts a driver on a journal that may have so many pages.
fn rig(pages: Option<u32>) -> Rig {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::open(directory.path()).unwrap();
    if let Some(pages) = pages {
        journal.bound_pages(pages).unwrap();
    }
    let (queue, inbox) = queue();
    let clock = Arc::new(Clock::default());
    let now = clock.clone();
    let settings = Settings {
        external_url: None,
        clock: Box::new(move || now.now()),
        refresh: crate::notice::REFRESH,
    };
    let (teller, telling) = Teller::start(Vec::new(), settings, queue.clone());
    let doors = Arc::new(Doors {
        runtime: tokio::runtime::Handle::current(),
        queue: queue.clone(),
        clock,
        orders: directory.path().join("orders"),
        prober: RwLock::new(Arc::new(Prober::new(Witnesses::default()))),
        teller,
    });
    let metrics = Arc::new(Metrics::new("0", "r", "b"));
    let book = Arc::new(Book::observe());
    let driver =
        Driver::recover(journal, book, inbox, doors, metrics, BootId::new("boot")).unwrap();
    let standing = driver.standing();
    let thread = std::thread::spawn(move || driver.run());
    Rig { queue, standing, thread, telling, directory }
}

impl Rig {
    async fn stop(self) -> Vec<homeostat_core::fact::Fact> {
        self.queue.stop();
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await.unwrap();
        joined.unwrap().unwrap();
        self.telling.stop().await;
        let mut facts = Vec::new();
        let journal = Journal::open(self.directory.path()).unwrap();
        journal.replay(|fact| facts.push(fact.clone())).unwrap();
        facts
    }
}

fn observation(number: usize, filler: usize) -> Observation {
    let (name, filler) = (format!("host-{number}"), "x".repeat(filler));
    let labels = LabelSet::from_pairs([("instance", name.as_str()), ("filler", &filler)]);
    let alert = Alert {
        source: SourceName::new("main"),
        door: Door::Webhook,
        fingerprint: labels.fingerprint(),
        labels,
        annotations: LabelSet::default(),
        starts_at: None,
        generator_url: String::new(),
        receiver: String::new(),
        external_url: String::new(),
        group_labels: LabelSet::default(),
    };
    Observation { alert, status: Status::Firing, ends_at: None }
}

#[tokio::test]
async fn fifty_senders_of_one_alert_open_one_incident() {
    let rig = rig(None);
    let sends = (0..50).map(|_| {
        let queue = rig.queue.clone();
        tokio::spawn(async move { queue.observe(vec![observation(1, 0)]).await })
    });
    let mut began = 0;
    for send in sends.collect::<Vec<_>>() {
        let remarks = send.await.unwrap().unwrap();
        began += usize::from(remarks == [Remark::Began]);
    }
    assert_eq!(began, 1);
    let facts = rig.stop().await;
    let opened = facts.iter().filter(|fact| fact.what.kind() == "incident_opened");
    assert_eq!(opened.count(), 1);
}

#[tokio::test]
async fn what_is_answered_is_written_down() {
    let rig = rig(None);
    let remarks = rig.queue.observe((0..3).map(|n| observation(n, 0)).collect()).await.unwrap();
    assert_eq!(remarks, [Remark::Began; 3]);
    assert_eq!(rig.queue.observe(vec![observation(1, 0)]).await.unwrap(), [Remark::Repeated]);
    let facts = rig.stop().await;
    let began = facts.iter().filter(|fact| fact.what.kind() == "episode_began");
    assert_eq!(began.count(), 3);
}

#[tokio::test]
async fn a_full_disk_refuses_and_what_was_accepted_stays() {
    let rig = rig(Some(60));
    rig.queue.observe(vec![observation(0, 0)]).await.unwrap();
    let large = rig.queue.observe(vec![observation(1, 1_000_000)]).await;
    assert_eq!(large, Err(Busy::NotWritable));
    // The small one is taken again once the probe has succeeded, which it does: only the large
    // one did not fit.
    let deadline = Instant::now() + Duration::from_secs(20);
    let taken = loop {
        match rig.queue.observe(vec![observation(2, 0)]).await {
            Ok(remarks) => break remarks,
            Err(busy) => assert_eq!(busy, Busy::NotWritable),
        }
        assert!(Instant::now() < deadline, "the engine never recovered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(taken, [Remark::Began]);
    assert_eq!(rig.queue.observe(vec![observation(0, 0)]).await.unwrap(), [Remark::Repeated]);
    let facts = rig.stop().await;
    let began = facts.iter().filter(|fact| fact.what.kind() == "episode_began");
    assert_eq!(began.count(), 2, "the alert that was refused is not half there");
}

#[tokio::test]
async fn a_pause_shows_as_soon_as_it_is_answered() {
    let rig = rig(None);
    let pause = Event::Pause { by: "sre".into(), reason: "deploy".into() };
    rig.queue.command(pause).await.unwrap();
    let paused = rig.standing.read().paused.clone();
    assert_eq!(paused.map(|pause| pause.reason), Some("deploy".to_owned()));
    rig.stop().await;
}
