//! The runner's side: takes orders from the engine in command, owns their runs, and ends by itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, info, warn};

use super::frame::{FrameError, Frames, Hands, PROTOCOL, ToEngine, ToRunner, encode};
use super::limits::{
    FRAMES_WAITING, GREETING, LIVES_KEPT, LOOK_EVERY, ORPHANED, OVER_KEPT, RUNS_MAX, STRANGERS_MAX,
    THREADS,
};
use super::{build, socket, start};
use crate::act::{self, Cgroups, Launch, Nursery, Outcome, Owner, Refusal};

/// Stack of a thread. What runs there reads and writes files and spawns.
const STACK: usize = 256 << 10;

/// Runs a runner until it is not needed any more.
pub(super) fn run(storage: &Path, listener: OwnedFd) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .thread_stack_size(STACK)
        .build()?;
    let result = runtime.block_on(serve(storage, listener));
    // Nothing that matters is under way, and a stuck file system must not keep us.
    runtime.shutdown_background();
    result
}

async fn serve(storage: &Path, listener: OwnedFd) -> io::Result<()> {
    let listener = std::os::unix::net::UnixListener::from(listener);
    listener.set_nonblocking(true)?;
    let mut listener = Some(UnixListener::from_std(listener)?);
    let own = socket::identity(storage);
    let orders = storage.join(act::ORDERS);
    match DirBuilder::new().mode(0o700).create(&orders) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let nursery = Arc::new(Nursery::new(Cgroups::create(&orders)));
    let cgroups = nursery.has_cgroups();
    info!(storage = %storage.display(), build = build(), protocol = PROTOCOL, cgroups, "runner ready");
    let server = Arc::new(Server {
        storage: storage.to_owned(),
        own,
        build: build(),
        nursery: nursery.clone(),
        table: Mutex::new(Table::new(act::draw()?)),
        changed: Notify::new(),
    });
    let mut terminate = signal(SignalKind::terminate())?;
    // Whoever means the engine by these does not mean what it has started.
    let _deaf = [signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?];
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            connection = next(listener.as_ref()) => server.receive(connection),
            () = server.changed.notified() => {}
            () = told(&mut terminate) => server.table.lock().leaving = true,
            _ = look.tick() => {
                let nursery = nursery.clone();
                // A panic there is a bug that its own line in the log tells of.
                let _ = tokio::task::spawn_blocking(move || nursery.reap_orphans()).await;
                start::bound_log();
                if listener.is_some() && server.is_retired() {
                    info!("another socket took the place of this runner's: serving nobody else");
                    listener = None;
                }
            }
        }
        let found = if listener.is_some() { Found::ByNextEngine } else { Found::ByNobody };
        if let Some(why) = server.is_done(found) {
            info!(why, "runner ends");
            nursery.close();
            return Ok(());
        }
    }
}

/// Whether the next engine would find this runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    ByNextEngine,
    ByNobody,
}

async fn next(listener: Option<&UnixListener>) -> io::Result<UnixStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

async fn told(terminate: &mut Signal) {
    if terminate.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// What all connections and all runs share.
struct Server {
    storage: PathBuf,
    /// Which file its socket is.
    own: Option<(u64, u64)>,
    build: String,
    nursery: Arc<Nursery>,
    table: Mutex<Table>,
    /// Something ended, so that this runner may be done.
    changed: Notify,
}

struct Table {
    /// Which runner this is.
    id: String,
    /// The greatest that it was greeted with.
    fence: u64,
    engine: Option<Engine>,
    /// How each run that was taken is told to end.
    running: BTreeMap<String, watch::Sender<bool>>,
    /// What it has taken and is over, and what engines did themselves, the last ones.
    over: Remembered,
    /// The starts of engines of which it alone took orders.
    lives: Remembered,
    /// What is over and of which something could not be ended.
    lingering: BTreeSet<String>,
    strangers: usize,
    /// No engine will follow soon.
    leaving: bool,
    alone_since: Instant,
    connections: u64,
}

/// The last so many of some names.
struct Remembered {
    names: BTreeSet<String>,
    order: VecDeque<String>,
    most: usize,
}

impl Remembered {
    fn new(most: usize) -> Self {
        Self { names: BTreeSet::new(), order: VecDeque::new(), most }
    }

    fn add(&mut self, name: String) {
        if self.names.insert(name.clone()) {
            self.order.push_back(name);
        }
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
    }

    fn remove(&mut self, name: &str) {
        if self.names.remove(name) {
            self.order.retain(|known| known != name);
        }
    }

    fn list(&self) -> Vec<String> {
        self.order.iter().cloned().collect()
    }
}

/// The engine in command.
struct Engine {
    /// Which connection is its.
    connection: u64,
    sender: mpsc::Sender<ToEngine>,
    /// Whether it wants to hear what is gone at last.
    hears_of_gone: bool,
    /// Dropped with it, so that its connection ends.
    _in_command: oneshot::Sender<()>,
}

/// A connection that was let in.
struct Admitted {
    connection: u64,
    said: mpsc::Receiver<ToEngine>,
    deposed: oneshot::Receiver<()>,
}

impl Table {
    fn new(id: String) -> Self {
        Self {
            id,
            over: Remembered::new(OVER_KEPT),
            lives: Remembered::new(LIVES_KEPT),
            lingering: BTreeSet::new(),
            fence: 0,
            engine: None,
            running: BTreeMap::new(),
            strangers: 0,
            leaving: false,
            alone_since: Instant::now(),
            connections: 0,
        }
    }

    fn welcome(&self, build: &str) -> ToEngine {
        ToEngine::Welcome {
            protocol: PROTOCOL,
            build: build.to_owned(),
            fence: self.fence,
            running: self.running.keys().cloned().collect(),
            id: self.id.clone(),
            over: self.over.list(),
            lives: self.lives.list(),
            lingering: self.lingering.iter().cloned().collect(),
        }
    }

    /// Puts an engine in command, unless a later one was. The earlier one can start nothing more.
    fn admit(&mut self, fence: u64, life: Option<Hands>, build: &str) -> Option<Admitted> {
        if fence < self.fence {
            return None;
        }
        let hears_of_gone = life.is_some();
        if let Some(Hands { life, handed }) = life {
            // What others took of it this one cannot speak for.
            if handed.iter().all(|hand| *hand == self.id) {
                self.lives.add(life);
            } else {
                self.lives.remove(&life);
            }
        }
        self.fence = fence;
        self.leaving = false;
        self.connections += 1;
        let connection = self.connections;
        let (sender, said) = mpsc::channel(FRAMES_WAITING);
        let (in_command, deposed) = oneshot::channel();
        // It has room for the first frame.
        let _ = sender.try_send(self.welcome(build));
        self.engine = Some(Engine { connection, sender, hears_of_gone, _in_command: in_command });
        Some(Admitted { connection, said, deposed })
    }

    fn is_in_command(&self, connection: u64) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.connection == connection)
    }

    /// Tells the engine, if there is one. One that does not read is dropped: it learns from the disk
    /// what it missed.
    fn tell(&mut self, frame: ToEngine) {
        if let Some(engine) = &self.engine
            && engine.sender.try_send(frame).is_err()
        {
            self.lose_engine();
        }
    }

    fn lose_engine(&mut self) {
        self.engine = None;
        self.alone_since = Instant::now();
    }

    fn is_done(&self, found: Found) -> Option<&'static str> {
        if self.engine.is_some() || !self.running.is_empty() || !self.lingering.is_empty() {
            return None;
        }
        match found {
            Found::ByNobody => Some("another runner has taken its place"),
            Found::ByNextEngine if self.leaving => Some("the engine has gone"),
            Found::ByNextEngine => {
                let alone = self.alone_since.elapsed() >= ORPHANED;
                alone.then_some("no engine has come")
            }
        }
    }
}

impl Server {
    /// Whether its socket was removed or replaced: then it takes nothing more.
    fn is_retired(&self) -> bool {
        socket::identity(&self.storage) != self.own
    }

    fn is_done(&self, found: Found) -> Option<&'static str> {
        let table = self.table.lock();
        if table.running.is_empty() {
            self.nursery.tidy();
        }
        table.is_done(found)
    }

    fn receive(self: &Arc<Self>, connection: io::Result<UnixStream>) {
        let stream = match connection {
            Ok(stream) => stream,
            Err(error) => return error!(%error, "connection cannot be accepted"),
        };
        match socket::is_trusted(&stream) {
            Ok(true) => {}
            Ok(false) => return warn!("connection of another user dropped"),
            Err(error) => return warn!(%error, "connection of an unknown user dropped"),
        }
        let mut table = self.table.lock();
        if table.strangers >= STRANGERS_MAX {
            return warn!("connection dropped: too many have not said who they are");
        }
        table.strangers += 1;
        let server = self.clone();
        tokio::spawn(async move { server.greet(stream).await });
    }

    /// Learns who connects, and serves whoever is in command from then on.
    async fn greet(self: Arc<Self>, stream: UnixStream) {
        let (reader, mut writer) = stream.into_split();
        let mut frames = Frames::new(reader);
        let heard = timeout(GREETING, frames.next::<ToRunner>()).await;
        self.table.lock().strangers -= 1;
        let (protocol, fence, environment, life) = match heard {
            Ok(Ok(Some(ToRunner::Hello { protocol, fence, environment, build, life }))) => {
                info!(fence, protocol, build, "engine greets");
                (protocol, fence, environment, life)
            }
            Ok(Ok(Some(_))) => return warn!("connection dropped: it did not say who it is"),
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return warn!(%error, "connection dropped"),
            Err(_) => return warn!("connection dropped: it said nothing"),
        };
        let admitted = match protocol {
            PROTOCOL => self.table.lock().admit(fence, life, &self.build),
            _ => None,
        };
        let Some(admitted) = admitted else {
            // It sees by this why it is not let in.
            warn!(fence, protocol, "engine not let in: of an earlier start, or another protocol");
            let welcome = self.table.lock().welcome(&self.build);
            let _ = timeout(GREETING, write(&mut writer, &welcome)).await;
            return;
        };
        self.nursery.inherit(environment);
        self.nursery.attend(true);
        let connection = admitted.connection;
        tokio::spawn(write_all(writer, admitted.said));
        let ended = tokio::select! {
            ended = self.obey(&mut frames, connection) => ended,
            _ = admitted.deposed => Ok("a later one greeted, or it did not read"),
        };
        match ended {
            Ok(why) => info!(fence, why, "engine gone"),
            Err(error) => warn!(fence, %error, "engine gone"),
        }
        let mut table = self.table.lock();
        if table.is_in_command(connection) {
            table.lose_engine();
        }
        self.nursery.attend(table.engine.is_some());
        drop(table);
        self.changed.notify_one();
    }

    async fn obey(
        self: &Arc<Self>,
        frames: &mut Frames<tokio::net::unix::OwnedReadHalf>,
        connection: u64,
    ) -> Result<&'static str, FrameError> {
        while let Some(frame) = frames.next::<ToRunner>().await? {
            let mut table = self.table.lock();
            if !table.is_in_command(connection) {
                return Ok("a later one greeted");
            }
            match frame {
                ToRunner::Hello { .. } => return Ok("it greeted twice"),
                ToRunner::Start(_) | ToRunner::Note { .. } if self.is_retired() => {
                    // Perhaps said long ago, while this process was stopped: it is not listed, so
                    // that the engine takes it as not started, and may have given it to another.
                    return Ok("another runner has taken this one's place");
                }
                ToRunner::Start(launch) => self.take(&mut table, launch),
                ToRunner::Note { order } => {
                    table.over.add(order.clone());
                    table.tell(ToEngine::Noted { order });
                }
                ToRunner::Ping => table.tell(ToEngine::Pong),
                ToRunner::Cancel { order } => {
                    // One that is not here has ended, and its end is under way.
                    if let Some(run) = table.running.get(&order) {
                        run.send_replace(true);
                    }
                }
                ToRunner::Leave => {
                    table.leaving = true;
                    return Ok("it goes, and nobody follows soon");
                }
            }
        }
        Ok("its connection ended")
    }

    /// Takes a run: from here on it is listed as running until its end is recorded.
    fn take(self: &Arc<Self>, table: &mut Table, launch: Launch) {
        let order = launch.order.clone();
        let runs = table.running.len();
        if runs >= RUNS_MAX {
            return table.tell(ToEngine::Refused { order, reason: Refusal::Crowded { runs } });
        }
        if table.running.contains_key(&order) {
            return warn!(order, "order is running already");
        }
        if table.over.names.contains(&order) {
            // Whatever became of its records: it was taken once, and is not begun again.
            warn!(order, "order was taken before");
            let lingers = table.lingering.contains(&order);
            return table.tell(ToEngine::Ended { order, lingers });
        }
        let (end, cancelled) = watch::channel(false);
        table.running.insert(order, end);
        let server = self.clone();
        tokio::spawn(async move { server.own(launch, cancelled).await });
    }

    async fn own(self: Arc<Self>, launch: Launch, mut cancelled: watch::Receiver<bool>) {
        let order = launch.order.clone();
        let (storage, owner) = (self.storage.clone(), Owner::Runner(self.nursery.clone()));
        // In a task of its own: a bug there must not leave the order listed for ever.
        let run = tokio::spawn(async move {
            let cancel = pin!(async move {
                if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
                    std::future::pending::<()>().await;
                }
            });
            act::run(&storage, launch, &owner, cancel).await
        });
        let (outcome, remains) = match run.await {
            Ok(run) => (Some(run.ended.outcome), run.remains),
            Err(error) => {
                error!(order, %error, "run failed");
                (None, None)
            }
        };
        let mut table = self.table.lock();
        table.running.remove(&order);
        if let Some(Outcome::Refused { reason }) = outcome {
            table.tell(ToEngine::Refused { order: order.clone(), reason });
        } else {
            let lingers = remains.is_some();
            table.over.add(order.clone());
            if let Some(remains) = remains {
                warn!(order, "something of this order cannot be ended");
                table.lingering.insert(order.clone());
                let (server, order) = (self.clone(), order.clone());
                tokio::spawn(async move { server.see_off(order, remains).await });
            }
            table.tell(ToEngine::Ended { order: order.clone(), lingers });
        }
        if table.engine.is_none() {
            info!(order, "order ended while no engine is here");
            self.changed.notify_one();
        }
    }
}

impl Server {
    /// Waits until nothing lives of a run that is over, and says so.
    async fn see_off(self: Arc<Self>, order: String, remains: act::Remains) {
        remains.gone().await;
        info!(order, "what could not be ended of this order is gone");
        let mut table = self.table.lock();
        table.lingering.remove(&order);
        if table.engine.as_ref().is_some_and(|engine| engine.hears_of_gone) {
            table.tell(ToEngine::Gone { order });
        }
        drop(table);
        self.changed.notify_one();
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), frame: &ToEngine) -> Result<(), FrameError> {
    Ok(writer.write_all(&encode(frame)?).await?)
}

/// Writes what is to be said, until nobody says anything any more or hears it.
async fn write_all(
    mut writer: impl AsyncWrite + Unpin,
    mut said: mpsc::Receiver<ToEngine>,
) -> Result<(), FrameError> {
    while let Some(frame) = said.recv().await {
        // Who reads nothing any more is noticed by the reading side.
        write(&mut writer, &frame).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_of_an_earlier_start_is_not_let_in_and_the_same_may_come_again() {
        let mut table = Table::new("r".into());
        let first = table.admit(5, None, "b").unwrap();
        assert!(table.admit(4, None, "b").is_none());
        assert!(table.is_in_command(first.connection), "who is refused deposes nobody");
        let again = table.admit(5, None, "b").unwrap();
        assert!(!table.is_in_command(first.connection) && table.is_in_command(again.connection));
        assert!(first.deposed.blocking_recv().is_err(), "the earlier connection ends");
        table.lose_engine();
        assert!(table.admit(4, None, "b").is_none(), "it is remembered");
    }

    fn lives(table: &Table) -> Vec<String> {
        match table.welcome("b") {
            ToEngine::Welcome { lives, .. } => lives,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_speaks_for_a_start_of_an_engine_as_long_as_nobody_else_had_a_hand_in_it() {
        let mut table = Table::new("r".into());
        let hands = |life: &str, handed: &[&str]| {
            let handed = handed.iter().map(|&hand| hand.to_owned()).collect();
            Some(Hands { life: life.into(), handed })
        };
        table.admit(1, hands("first", &[]), "b").unwrap();
        table.admit(1, hands("first", &["r"]), "b").unwrap();
        assert_eq!(lives(&table), ["first"], "it was there from the beginning");
        table.admit(2, hands("second", &["other"]), "b").unwrap();
        table.admit(3, hands("third", &["r", super::super::frame::ENGINE]), "b").unwrap();
        assert_eq!(lives(&table), ["first"]);
        table.admit(3, hands("first", &["r", "other"]), "b").unwrap();
        assert!(lives(&table).is_empty());
    }

    #[test]
    fn of_what_is_over_the_last_is_remembered() {
        let mut over = Remembered::new(2);
        for name in ["a", "b", "b", "c"] {
            over.add(name.to_owned());
        }
        assert_eq!(over.list(), ["b", "c"]);
        over.remove("b");
        over.remove("x");
        assert_eq!((over.list(), over.names.len()), (vec!["c".to_owned()], 1));
    }

    #[test]
    fn it_is_done_when_nothing_runs_and_nobody_will_come() {
        let mut table = Table::new("r".into());
        let long_ago = Instant::now().checked_sub(2 * ORPHANED).unwrap();
        assert_eq!(table.is_done(Found::ByNextEngine), None, "an engine may come");
        table.alone_since = long_ago;
        assert!(table.is_done(Found::ByNextEngine).is_some());
        table.running.insert("o".into(), watch::Sender::new(false));
        assert_eq!(table.is_done(Found::ByNextEngine), None);
        assert_eq!(table.is_done(Found::ByNobody), None);
        table.running.clear();
        let admitted = table.admit(1, None, "b").unwrap();
        assert_eq!(table.is_done(Found::ByNobody), None, "the engine that it has is served");
        drop(admitted);
        table.lose_engine();
        assert_eq!(table.is_done(Found::ByNextEngine), None);
        assert!(table.is_done(Found::ByNobody).is_some());
        table.leaving = true;
        assert!(table.is_done(Found::ByNextEngine).is_some());
    }

    #[tokio::test]
    async fn an_engine_that_does_not_read_is_dropped() {
        let mut table = Table::new("r".into());
        let admitted = table.admit(1, None, "b").unwrap();
        for _ in 1..FRAMES_WAITING {
            table.tell(ToEngine::Ended { order: "o".into(), lingers: false });
        }
        assert!(table.is_in_command(admitted.connection));
        table.tell(ToEngine::Ended { order: "o".into(), lingers: false });
        assert!(!table.is_in_command(admitted.connection));
        assert!(admitted.deposed.await.is_err());
    }
}
