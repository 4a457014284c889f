mod repeats;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::configuration::{Configuration, Scope};
use homeostat_core::event::Remark;
use homeostat_core::fact::{Fact, What};
use homeostat_core::label::LabelSet;
use homeostat_core::name::SourceName;
use homeostat_core::state::State;
use homeostat_core::time::Timestamp;

use super::*;
use crate::notice::{Recipients, Settings, Tally, Teller, Telling};
use crate::probe::{Prober, Witnesses};
use crate::queue::{Queue, queue};

struct Uncounted;

impl Tally for Uncounted {
    fn notices(&self, _: &str, _: &str, _: u64) {}
}

const RETENTION: Span = Span::from_secs(90 * 86_400);

struct Rig {
    queue: Queue,
    standing: Arc<RwLock<Standing>>,
    thread: std::thread::JoinHandle<Result<(), Fatal>>,
    telling: Telling,
    directory: tempfile::TempDir,
}

/// A driver that the test runs itself, on a journal that may have so many pages.
fn driver_of(book: Book, pages: Option<u32>) -> (Driver, Queue, Telling, tempfile::TempDir) {
    driver_by(Clock::default(), book, pages)
}

/// The same, by this clock.
fn driver_by(
    clock: Clock,
    book: Book,
    pages: Option<u32>,
) -> (Driver, Queue, Telling, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::open(directory.path()).unwrap();
    if let Some(pages) = pages {
        journal.bound_pages(pages).unwrap();
    }
    let (queue, inbox) = queue();
    let clock = Arc::new(clock);
    let now = clock.clone();
    let settings = Settings {
        external_url: None,
        clock: Box::new(move || now.now()),
        pace: crate::notice::Pace::USUAL,
        tally: Arc::new(Uncounted),
    };
    let (teller, telling) = Teller::start(Recipients::default(), settings, queue.clone());
    let doors = Arc::new(Doors {
        runtime: tokio::runtime::Handle::current(),
        queue: queue.clone(),
        clock,
        storage: directory.path().to_owned(),
        prober: RwLock::new(Arc::new(Prober::new(Witnesses::default()))),
        teller,
        outlets: RwLock::default(),
        settings: RwLock::default(),
        handlers: Arc::default(),
        stopping: tokio::sync::watch::Sender::new(false),
        hand: None,
        runner: None,
        aside: Aside::new(Vec::new()),
        runs: parking_lot::Mutex::default(),
    });
    let metrics = Arc::new(Metrics::new("0", "r", "b"));
    let driver = Driver::recover(
        journal,
        Arc::new(book),
        inbox,
        doors,
        metrics,
        BootId::new("boot"),
        RETENTION,
    )
    .unwrap();
    (driver, queue, telling, directory)
}

/// Starts a driver on a thread of its own.
fn rig(pages: Option<u32>) -> Rig {
    let (driver, queue, telling, directory) = driver_of(Book::observe(), pages);
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
        generator_url: "".into(),
        receiver: "".into(),
        external_url: "".into(),
        group_labels: LabelSet::default(),
    };
    Observation { alert, status: Status::Firing, ends_at: None, unproven: None, by: None }
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
async fn an_account_tells_nothing_that_is_not_committed() {
    let rig = rig(Some(60));
    let seen = observation(0, 0);
    rig.queue.observe(vec![seen.clone()]).await.unwrap();
    let account = |alert: &Alert| rig.queue.account(alert.labels.clone(), LabelSet::default());
    let accounted = account(&seen.alert).await.unwrap();
    assert_eq!(accounted.accounts.len(), 1);
    assert!(accounted.accounts[0].incident.is_some());
    let large = observation(1, 1_000_000);
    assert_eq!(rig.queue.observe(vec![large.clone()]).await, Err(Busy::NotWritable));
    assert_eq!(account(&large.alert).await.err(), Some(Busy::NotWritable));
    let deadline = Instant::now() + Duration::from_secs(20);
    let accounted = loop {
        match account(&large.alert).await {
            Ok(accounted) => break accounted,
            Err(busy) => assert_eq!(busy, Busy::NotWritable),
        }
        assert!(Instant::now() < deadline, "the engine never recovered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(accounted.accounts[0].incident, None);
    rig.stop().await;
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

/// Puts observations in the queue without waiting for the answer.
fn send(
    queue: &Queue,
    observations: Vec<Observation>,
) -> tokio::task::JoinHandle<Result<Vec<Remark>, Busy>> {
    let queue = queue.clone();
    tokio::spawn(async move { queue.observe(observations).await })
}

fn acting_book() -> Book {
    use homeostat_core::name::{PolicyName, RemedyName};
    use homeostat_core::policy::{Action, Approval, BookLimits, Mode, Policy, Remedy, Witnesses};
    use homeostat_core::time::Span;
    let policy = Policy {
        name: PolicyName::new("act"),
        mode: Mode::Auto,
        remedies: vec![Remedy {
            name: RemedyName::new("true"),
            mode: Mode::Auto,
            approval: Approval { expires: Span::from_secs(1800), ..Approval::default() },
            definition: "".into(),
            action: Action::Script("true".into()),
            timeout: Span::from_secs(5),
            retries: 0,
            backoff: Span::from_secs(5),
            idempotent: false,
            undo: None,
            collect: Vec::new(),
        }],
        ..Policy::observe()
    };
    Book::new(vec![policy], BookLimits::default(), Witnesses::default())
}

fn folded(driver: &Driver) -> State {
    driver.journal.recover().unwrap().state
}

#[tokio::test]
async fn one_notification_may_end_an_alert_and_fire_it_again() {
    use homeostat_core::time::{Span, Timestamp};
    let rig = rig(None);
    let began = Timestamp::from_seconds(1_700_000_000);
    let mut firing = observation(1, 0);
    firing.alert.starts_at = Some(began);
    rig.queue.observe(vec![firing.clone()]).await.unwrap();
    let (mut ended, mut again) = (firing.clone(), firing);
    ended.status = Status::Resolved;
    ended.ends_at = Some(began + Span::from_secs(60));
    again.alert.starts_at = Some(began + Span::from_secs(120));
    let remarks = rig.queue.observe(vec![ended, again]).await;
    assert_eq!(remarks, Ok(vec![Remark::Ended, Remark::Began]), "a debug build dies of it");
    // The engine takes other alerts too: in a release build it spins on the first and never does.
    rig.queue.observe(vec![observation(2, 0)]).await.unwrap();
    let facts = rig.stop().await;
    let closed = facts.iter().filter(|fact| fact.what.kind() == "incident_closed");
    assert_eq!(closed.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_not_started_because_of_a_stop_is_not_waited_for() {
    let (driver, queue, telling, _directory) = driver_of(acting_book(), None);
    let sent = send(&queue, vec![observation(1, 0)]);
    while queue.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    queue.stop();
    let begun = Instant::now();
    tokio::task::spawn_blocking(move || driver.run()).await.unwrap().unwrap();
    let took = begun.elapsed();
    sent.await.unwrap().unwrap();
    telling.stop().await;
    assert!(took < Duration::from_secs(10), "it waited {took:?} for an action that nobody started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_journal_fails_leaves_an_engine_that_agrees_with_the_journal() {
    let (mut driver, queue, telling, _directory) = driver_of(acting_book(), Some(60));
    driver.take_turn(None).unwrap();
    let sent = send(&queue, vec![observation(1, 1_000_000)]);
    while queue.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    queue.stop();
    let driver = tokio::task::spawn_blocking(move || {
        driver.take_turn(None).unwrap();
        driver
    });
    let driver = driver.await.unwrap();
    assert_eq!(sent.await.unwrap(), Err(Busy::NotWritable));
    // `run` goes on with turns on this engine, and commits what comes of them.
    assert!(*driver.engine.state() == folded(&driver), "the engine has run ahead of the journal");
    assert_eq!(observe::running(driver.engine.state()), 0, "and waits for an order that never was");
    telling.stop().await;
}

fn in_force(occasion: Occasion) -> Configuration {
    Configuration { of: Scope::Engine, files: Vec::new(), occasion, by: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_whose_group_was_not_committed_leaves_the_old_book_in_force() {
    // Whoever follows the files tries again, too.
    for occasion in [Occasion::Request, Occasion::Change] {
        reload_without_a_commit(occasion).await;
    }
}

async fn reload_without_a_commit(occasion: Occasion) {
    let (mut driver, queue, telling, _directory) = driver_of(Book::observe(), Some(60));
    driver.take_turn(None).unwrap();
    let before = driver.engine.book().clone();
    let sent = send(&queue, vec![observation(1, 1_000_000)]);
    while queue.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let other = queue.clone();
    let reload =
        tokio::spawn(
            async move { other.reload(Arc::new(acting_book()), in_force(occasion)).await },
        );
    queue.report(Event::Configured(Box::new(in_force(Occasion::Start)))).await;
    while queue.len() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let driver = tokio::task::spawn_blocking(move || {
        driver.take_turn(None).unwrap();
        driver
    });
    let driver = driver.await.unwrap();
    assert_eq!(sent.await.unwrap(), Err(Busy::NotWritable));
    assert_eq!(reload.await.unwrap(), Err(Busy::NotWritable), "the operator reads that it failed");
    let names = |book: &Book| -> Vec<String> {
        book.policies().iter().map(|policy| policy.name.to_string()).collect()
    };
    assert_eq!(names(driver.engine.book()), names(&before));
    let kept = driver.owed.iter().filter_map(|event| match event {
        Event::Configured(configuration) => Some(configuration.occasion),
        _ => None,
    });
    assert_eq!(
        kept.collect::<Vec<_>>(),
        [Occasion::Start],
        "what was not put in force is not told"
    );
    telling.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_was_changed_while_the_engine_was_down_counts_from_its_start() {
    let nothing = Book::new(Vec::new(), acting_book().limits, Book::observe().witnesses.clone());
    let (mut driver, queue, telling, _directory) = driver_of(nothing, None);
    driver.take_turn(None).unwrap();
    let sent = send(&queue, vec![observation(1, 0)]);
    while queue.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let driver = tokio::task::spawn_blocking(move || {
        driver.take_turn(None).unwrap();
        driver
    });
    let Driver { journal, inbox, doors, metrics, .. } = driver.await.unwrap();
    assert_eq!(sent.await.unwrap(), Ok(vec![Remark::Began]));
    let (book, boot) = (Arc::new(Book::observe()), BootId::new("boot"));
    let mut driver =
        Driver::recover(journal, book, inbox, doors, metrics, boot, RETENTION).unwrap();
    assert_eq!(driver.engine.state().incidents().count(), 0);
    driver.take_turn(None).unwrap();
    assert_eq!(driver.engine.state().incidents().count(), 1, "else until the alert fires again");
    telling.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_engine_still_takes_the_end_of_an_alert() {
    use homeostat_core::fact::Fact;
    use homeostat_core::name::EpisodeId;
    use homeostat_core::time::Span;
    let (mut driver, queue, telling, _directory) = driver_of(Book::observe(), None);
    driver.take_turn(None).unwrap();
    let now = driver.doors.clock.now();
    let mut state = State::default();
    for number in 1..=OPEN_EPISODES {
        let episode = EpisodeId(number as u64);
        let alert = observation(number, 0).alert;
        let lapse = Span::from_secs(12 * 3600);
        state
            .apply(&Fact { at: now, what: What::EpisodeBegan { episode, alert, lapse, by: None } });
    }
    driver.engine = Engine::restore(state, driver.engine.book().clone(), now);
    let mut ended = observation(7, 0);
    ended.status = Status::Resolved;
    let (ended, repeat) = (send(&queue, vec![ended]), send(&queue, vec![observation(8, 0)]));
    while queue.len() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let driver = tokio::task::spawn_blocking(move || {
        driver.take_turn(None).unwrap();
        driver
    });
    drop(driver.await.unwrap());
    assert_eq!(ended.await.unwrap(), Ok(vec![Remark::Ended]), "else it stays full for 12 hours");
    assert_eq!(repeat.await.unwrap(), Ok(vec![Remark::Repeated]), "and then all of it lapses");
    telling.stop().await;
}

#[tokio::test]
async fn snapshots_are_written_where_nothing_waits() {
    let rig = rig(None);
    let covered = || Journal::open(rig.directory.path()).unwrap().recover().unwrap().covered;
    for group in 0..4 {
        let observations = (0..1000).map(|n| observation(group * 1000 + n, 0)).collect();
        rig.queue.observe(observations).await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_mins(1);
    while covered() == 0 {
        assert!(Instant::now() < deadline, "there is no snapshot");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let all_are_known = rig.queue.observe((0..4000).map(|n| observation(n, 0)).collect()).await;
    assert_eq!(all_are_known.unwrap(), vec![Remark::Repeated; 4000]);
    rig.stop().await;
}

/// Takes steps of the housekeeper until it rests, and returns how many.
fn keep_house(driver: &mut Driver) -> usize {
    let mut steps = 0;
    while driver.upkeep.is_busy() {
        let state = driver.engine.state();
        driver.upkeep.step(&mut driver.journal, state, &driver.doors, true).unwrap();
        steps += 1;
        assert!(steps < 10_000, "it never rests");
    }
    steps
}

#[tokio::test(flavor = "multi_thread")]
async fn after_so_many_facts_the_log_is_moved_into_the_database() {
    let (driver, _queue, telling, directory) = driver_of(Book::observe(), None);
    let mut driver = turn(driver).await;
    keep_house(&mut driver);
    let what = What::EngineStarted { boot: BootId::new("boot") };
    let fact = Fact { at: driver.doors.clock.now(), what };
    driver.journal.commit(&vec![fact; 1_000]).unwrap();
    let last = driver.journal.last();
    driver.upkeep.step(&mut driver.journal, driver.engine.state(), &driver.doors, false).unwrap();
    let Driver { upkeep, journal, .. } = driver;
    // It waits until what was begun is done.
    drop(upkeep);
    let copy = tempfile::tempdir().unwrap();
    let name = "homeostat.db";
    std::fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
    assert_eq!(Journal::open(copy.path()).unwrap().last(), last);
    drop(journal);
    telling.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_found_by_the_index_once_nothing_waits() {
    let (driver, queue, telling, directory) = driver_of(Book::observe(), None);
    let mut driver = turn(driver).await;
    keep_house(&mut driver);
    let named = |status, number: usize| {
        let mut observation = observation(number, 0);
        let name = format!("Down{number}");
        observation.alert.labels = LabelSet::from_pairs([("alertname", name.as_str())]);
        observation.alert.fingerprint = observation.alert.labels.fingerprint();
        Observation { status, ..observation }
    };
    for status in [Status::Firing, Status::Resolved] {
        let sent = send(&queue, (0..300).map(|number| named(status, number)).collect());
        while queue.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        driver = turn(driver).await;
        sent.await.unwrap().unwrap();
    }
    let (unread, _, volumes) = driver.journal.index_stands();
    assert!(unread > 1_000, "so many make it read on");
    assert_eq!(volumes, 0, "no commit writes it");
    assert!(!driver.upkeep.is_busy());
    driver.upkeep.step(&mut driver.journal, driver.engine.state(), &driver.doors, true).unwrap();
    assert!(driver.upkeep.is_busy(), "it is woken by facts, and not by time");
    keep_house(&mut driver);
    let (unread, unindexed, volumes) = driver.journal.index_stands();
    assert_eq!((unread, unindexed), (0, 0), "it has read all");
    assert!(volumes > 0);
    let reader = crate::journal::Reader::open(directory.path()).unwrap();
    let text = Some("down123".to_owned());
    let filter = crate::incidents::Filter { text, limit: 9, ..Default::default() };
    assert_eq!(reader.list(&filter).unwrap().incidents.len(), 1);
    driver.upkeep.step(&mut driver.journal, driver.engine.state(), &driver.doors, true).unwrap();
    assert!(!driver.upkeep.is_busy(), "where there is nothing to do it rests");
    telling.stop().await;
}

#[tokio::test]
async fn a_stop_leaves_a_snapshot_where_there_is_something_to_save() {
    for (alerts, is_worth_it) in [(10, false), (500, true)] {
        let rig = rig(None);
        rig.queue.observe((0..alerts).map(|n| observation(n, 0)).collect()).await.unwrap();
        rig.queue.stop();
        let thread = rig.thread;
        tokio::task::spawn_blocking(move || thread.join()).await.unwrap().unwrap().unwrap();
        let recovered = Journal::open(rig.directory.path()).unwrap().recover().unwrap();
        assert_eq!(recovered.covered > 0, is_worth_it, "{alerts} alerts");
        rig.telling.stop().await;
    }
}

/// A clock whose two hands the test moves, in seconds.
fn set_by_hand() -> (Clock, Arc<[AtomicI64; 2]>) {
    let hands = Arc::new([AtomicI64::new(0), AtomicI64::new(1_000_000)]);
    let read = hands.clone();
    let second = |hand: &AtomicI64| hand.load(Ordering::Relaxed) * 1_000_000;
    let clock =
        Clock::of(move || clock::Reading { elapsed: second(&read[0]), wall: second(&read[1]) });
    (clock, hands)
}

/// Takes a turn for all that was sent.
async fn turn(mut driver: Driver) -> Driver {
    let turned = tokio::task::spawn_blocking(move || {
        driver.take_turn(None).unwrap();
        driver
    });
    turned.await.unwrap()
}

fn jumps(driver: &Driver) -> Vec<(Timestamp, Timestamp)> {
    let mut jumps = Vec::new();
    driver
        .journal
        .replay(|fact| {
            if let What::ClockJumped { jump } = &fact.what {
                jumps.push((jump.from, jump.to));
            }
        })
        .unwrap();
    jumps
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_is_written_down_before_what_follows_it_and_survives_a_restart() {
    let at = Timestamp::from_seconds;
    let (clock, hands) = set_by_hand();
    let (driver, queue, telling, _directory) = driver_by(clock, Book::observe(), None);
    let mut driver = turn(driver).await;
    assert_eq!(jumps(&driver), []);
    // An hour forwards, a minute later.
    hands[0].store(60, Ordering::Relaxed);
    hands[1].store(1_003_660, Ordering::Relaxed);
    assert_eq!(driver.doors.clock.now(), at(1_000_060), "nobody is told before the driver knows");
    let sent = send(&queue, vec![observation(1, 0)]);
    while queue.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    driver = turn(driver).await;
    assert_eq!(sent.await.unwrap(), Ok(vec![Remark::Began]));
    assert_eq!(jumps(&driver), [(at(1_000_060), at(1_003_660))]);
    let mut kinds = Vec::new();
    driver.journal.replay(|fact| kinds.push((fact.what.kind(), fact.at))).unwrap();
    let jump = kinds.iter().position(|(kind, _)| *kind == "clock_jumped").unwrap();
    assert_eq!(kinds[jump + 1], ("episode_began", at(1_003_660)));
    // Two hours back.
    hands[1].store(996_460, Ordering::Relaxed);
    driver = turn(driver).await;
    assert_eq!(jumps(&driver)[1], (at(1_003_660), at(1_003_660)), "time does not go back");
    assert_eq!(driver.engine.state().clock().ahead(), Span::from_secs(7200));
    // The next engine reads the same wall clock.
    let Driver { journal, inbox, doors, metrics, .. } = driver;
    let (next, _) = set_by_hand();
    let doors = Arc::new(Doors { clock: Arc::new(next), ..Arc::into_inner(doors).unwrap() });
    let (book, boot) = (Arc::new(Book::observe()), BootId::new("boot"));
    let driver = Driver::recover(journal, book, inbox, doors, metrics, boot, RETENTION).unwrap();
    assert_eq!(driver.doors.clock.now(), at(1_007_200), "and keeps its lead");
    let driver = turn(driver).await;
    assert_eq!(jumps(&driver).len(), 2);
    telling.stop().await;
}
