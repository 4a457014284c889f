//! The engine's side: finds or starts a runner, hands runs over, adopts those that it finds, and
//! reads from the disk how they ended.

mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;
use tracing::{error, info, warn};

use search::{Failed, Greeted, Welcome, Wish};

use super::frame::{ENGINE, FrameError, ToEngine, ToRunner, encode};
use super::limits::{SILENCE, STUCK_LOOK};
use super::socket;
use super::start::Program;
use crate::act::{self, Doubt, Found, Launch, Life, Refusal, Word};

/// Frames that wait for the runner to read them; orders wait for room.
const FRAMES: usize = 64;

/// How long a word of farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a client must know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The storage directory, where the socket is, and the records of orders. Absolute.
    pub storage: PathBuf,
    /// This start of the engine, which its orders carry.
    pub life: Life,
    /// The number of this start of the engine.
    pub fence: u64,
    /// What becomes a runner.
    pub program: Program,
}

/// Counts what becomes of runners.
pub trait Tally: Send + Sync {
    /// Whether there is one now.
    fn up(&self, up: bool);
    /// One was started.
    fn started(&self);
    /// One could not be started, or did not answer.
    fn failed(&self);
    /// One died, or dropped us.
    fn lost(&self);
}

/// The engine's hold on the runner. Clones are the same hold.
#[derive(Debug, Clone)]
pub struct Client(Arc<Link>);

struct Link {
    settings: Settings,
    state: Mutex<State>,
    /// Marked whenever the standing changed.
    changed: watch::Sender<()>,
    /// Somebody wants a runner, and there is none.
    wanted: Notify,
    tally: Arc<dyn Tally>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("settings", &self.settings).finish_non_exhaustive()
    }
}

struct State {
    standing: Standing,
    /// Who waits for the end of a run.
    waiting: BTreeMap<String, oneshot::Sender<Settled>>,
    /// What the runner owns and nobody waits for yet: left by an earlier engine.
    left: BTreeSet<String>,
    /// By whose hands something of this start was started, or may have been.
    handed: BTreeSet<String>,
    /// Whether the runner that is there has an id: earlier ones understand less.
    has_id: bool,
    /// What the runner that is there took, and is over.
    over: BTreeSet<String>,
    /// The starts of engines for which it speaks.
    lives: BTreeSet<String>,
    /// What it watches because it could not be ended.
    lingering: BTreeSet<String>,
}

#[derive(Debug, Clone)]
enum Standing {
    /// One is looked for, or started.
    Searching,
    /// There is one, and this is said to it.
    Up(mpsc::Sender<ToRunner>),
    /// There is none.
    Down(Why),
    /// The engine said farewell.
    Gone,
}

/// Why there is no runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It ended, or none could be started.
    None,
    /// It obeys a later engine: then this one may not act at all.
    Outdated,
}

/// To whom something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// To any runner.
    Any,
    /// To one that understands what earlier ones did not.
    WithId,
}

/// What is known of the end of a run. How it was stands on the disk.
#[derive(Debug)]
enum Settled {
    Over,
    Refused(Refusal),
    /// The runner that it was handed to did not take it, and nobody else can have.
    NotTaken,
    /// Its runner is gone.
    Lost,
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Lost,
    /// It has nothing to do, and is to be replaced.
    Idle,
}

impl Client {
    /// Begins to look for the runner of a storage directory, and starts one if there is none.
    /// Returns at once.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with time and IO enabled.
    pub fn start(settings: Settings, tally: Arc<dyn Tally>) -> Self {
        let state = State {
            standing: Standing::Searching,
            waiting: BTreeMap::new(),
            left: BTreeSet::new(),
            handed: BTreeSet::new(),
            has_id: false,
            over: BTreeSet::new(),
            lives: BTreeSet::new(),
            lingering: BTreeSet::new(),
        };
        let link = Arc::new(Link {
            settings,
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
            wanted: Notify::new(),
            tally,
        });
        tokio::spawn(link.clone().keep());
        Self(link)
    }

    /// Hands a run over and waits for its end. When `cancel` completes it is told to end; one that
    /// was not handed over by then is refused.
    ///
    /// # Errors
    ///
    /// There is no runner and none could be started: the run is given back as it is.
    pub async fn run(
        &self,
        launch: Launch,
        cancel: impl Future<Output = ()> + Send,
    ) -> Result<Found, Box<Launch>> {
        let mut cancel = pin!(cancel);
        let order = launch.order.clone();
        // Until it is handed over nothing has happened, so that it may be dropped.
        let handed = tokio::select! {
            biased;
            () = cancel.as_mut() => {
                return Ok(Found::Ended(act::Ended::refused(Refusal::Cancelled)));
            }
            handed = self.0.hand_over(launch) => match handed {
                Ok(handed) => handed,
                Err((launch, Why::None)) => {
                    self.0.act_alone();
                    return Err(launch);
                }
                Err((_, Why::Outdated)) => {
                    return Ok(Found::Ended(act::Ended::refused(Refusal::Outdated)));
                }
            },
        };
        let settled = self.0.wait(&order, handed, cancel).await;
        Ok(self.0.look(order, settled).await)
    }

    /// Lets the runner know that the engine is about to do an order itself. Returns once it knows, or
    /// where there is none that could.
    pub async fn note(&self, order: &str) {
        loop {
            let said = ToRunner::Note { order: order.to_owned() };
            match self.0.say(order, said, Wanted::WithId).await {
                Ok(settled) => match settled.await {
                    Ok(Settled::Over) => return,
                    Ok(Settled::Refused(_) | Settled::NotTaken | Settled::Lost) | Err(_) => {}
                },
                Err((_, Why::None)) => return self.0.act_alone(),
                Err((_, Why::Outdated)) => return,
            }
        }
    }

    /// What the runner that is there says of an order that was issued in a life of an engine.
    pub fn word(&self, order: &str, issued: &Life) -> Word {
        let state = self.0.state.lock();
        if !matches!(state.standing, Standing::Up(_)) {
            Word::Nobody
        } else if state.over.contains(order) || state.waiting.contains_key(order) {
            Word::Took
        } else if state.lives.contains(&issued.to_string()) {
            Word::NeverTook
        } else {
            Word::Nobody
        }
    }

    /// Waits until processes of an order that could not be ended are gone: by the word of the runner
    /// that watches them, and without one by looking.
    pub async fn until_gone(&self, order: &str, left: &[act::Process]) {
        let mut changed = self.0.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let is_watched = self.0.state.lock().lingering.contains(order);
            if !is_watched && act::living(left).is_empty() {
                return;
            }
            // Whichever comes first.
            let _ = timeout(STUCK_LOOK, changed.changed()).await;
        }
    }

    /// Waits for the end of a run that an earlier engine handed over; none if the runner does not
    /// own it.
    pub async fn adopt(
        &self,
        order: &str,
        cancel: impl Future<Output = ()> + Send,
    ) -> Option<Found> {
        let settled = self.0.take_left(order).await?;
        info!(order, "order adopted: it goes on");
        let settled = self.0.wait(order, settled, cancel).await;
        Some(self.0.look(order.to_owned(), settled).await)
    }

    /// Says that the engine goes and nobody follows soon, so that the runner need not wait when it
    /// has nothing to do.
    pub async fn leave(&self) {
        let mut changed = self.0.changed.subscribe();
        let before = std::mem::replace(&mut self.0.state.lock().standing, Standing::Gone);
        self.0.wanted.notify_one();
        if let Standing::Up(sender) = before {
            // One that is gone by itself needs no word.
            let _ = timeout(FAREWELL, sender.send(ToRunner::Leave)).await;
            drop(sender);
            let _ = timeout(FAREWELL, changed.changed()).await;
        }
    }
}

impl Link {
    /// Keeps a connection as long as the engine wants one. The only one who changes the standing,
    /// besides a farewell.
    async fn keep(self: Arc<Self>) {
        let mut wish = Wish::FindOrStart;
        while self.stand(Standing::Searching) {
            match self.find(wish).await {
                Ok(Some(greeted)) => {
                    self.tally.up(true);
                    let over = self.serve(greeted).await;
                    self.tally.up(false);
                    wish = match over {
                        Over::Idle => Wish::FindOrStart,
                        Over::Lost => Wish::Find,
                    };
                    continue;
                }
                Ok(None) => self.give_up(Why::None),
                Err(error @ Failed::Outdated { .. }) => {
                    self.tally.failed();
                    error!(%error, "runner obeys another engine; nothing is started");
                    self.give_up(Why::Outdated);
                }
                Err(error) => {
                    self.tally.failed();
                    error!(%error, "runner cannot be started or reached; the engine acts by itself");
                    self.give_up(Why::None);
                }
            }
            self.wanted.notified().await;
            wish = Wish::FindOrStart;
        }
        // Whoever says farewell waits for this.
        self.changed.send_replace(());
    }

    /// Changes the standing, unless the engine goes.
    fn stand(&self, standing: Standing) -> bool {
        let mut state = self.state.lock();
        if matches!(state.standing, Standing::Gone) {
            return false;
        }
        state.standing = standing;
        drop(state);
        self.changed.send_replace(());
        true
    }

    /// There is no runner: nobody owns what was handed over.
    fn give_up(&self, why: Why) {
        let mut state = self.state.lock();
        state.left.clear();
        for (order, waiting) in std::mem::take(&mut state.waiting) {
            warn!(order, "the runner of this order is gone");
            // Who does not wait any more need not know.
            let _ = waiting.send(Settled::Lost);
        }
        drop(state);
        self.stand(Standing::Down(why));
    }

    /// Speaks with a runner until it is gone, or to be replaced.
    async fn serve(&self, greeted: Greeted) -> Over {
        let Greeted { mut frames, writer, welcome, is_other } = greeted;
        let (sender, said) = mpsc::channel(FRAMES);
        let writing = tokio::spawn(write_all(writer, said));
        if !self.connect(sender.clone(), welcome) {
            // Farewell was said meanwhile.
            let _ = sender.send(ToRunner::Leave).await;
            drop(sender);
            let _ = writing.await;
            return Over::Lost;
        }
        let mut asked = false;
        loop {
            match timeout(SILENCE, frames.next::<ToEngine>()).await {
                Ok(Ok(Some(frame))) => {
                    asked = false;
                    self.hear(frame);
                }
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    warn!(%error, "connection to the runner broke");
                    break;
                }
                Err(_) if asked => {
                    warn!("runner does not answer");
                    break;
                }
                Err(_) => {
                    asked = true;
                    // Where there is no room for it, it has not read what was said before.
                    let _ = sender.try_send(ToRunner::Ping);
                }
            }
            if is_other && self.part_if_idle() {
                info!("runner of another build has nothing to do, and is replaced");
                let _ = sender.send(ToRunner::Leave).await;
                return Over::Idle;
            }
        }
        if !matches!(self.state.lock().standing, Standing::Gone) {
            warn!("runner is gone");
            self.tally.lost();
        }
        Over::Lost
    }

    /// A runner is there: what it does not own is over, or was never heard of.
    fn connect(&self, sender: mpsc::Sender<ToRunner>, welcome: Welcome) -> bool {
        let Welcome { mut running, id, over, lives, lingering } = welcome;
        let mut state = self.state.lock();
        let speaks_for_us = lives.contains(&self.settings.life.to_string());
        let waiting = std::mem::take(&mut state.waiting);
        for (order, waits) in waiting {
            if running.remove(&order) {
                state.waiting.insert(order, waits);
                continue;
            }
            let settled = if over.contains(&order) {
                Settled::Over
            } else if speaks_for_us {
                Settled::NotTaken
            } else {
                Settled::Lost
            };
            // Who does not wait any more need not know.
            let _ = waits.send(settled);
        }
        state.left = running;
        state.has_id = !id.is_empty();
        state.handed.insert(id);
        (state.over, state.lives, state.lingering) = (over, lives, lingering);
        drop(state);
        self.stand(Standing::Up(sender))
    }

    fn hear(&self, frame: ToEngine) {
        let (order, settled) = match frame {
            ToEngine::Ended { order, lingers } => {
                if lingers {
                    self.state.lock().lingering.insert(order.clone());
                }
                (order, Settled::Over)
            }
            ToEngine::Noted { order } => (order, Settled::Over),
            ToEngine::Refused { order, reason } => (order, Settled::Refused(reason)),
            ToEngine::Gone { order } => {
                self.state.lock().lingering.remove(&order);
                self.changed.send_replace(());
                return;
            }
            ToEngine::Pong => return,
            ToEngine::Welcome { .. } => return warn!("runner greets twice"),
        };
        let mut state = self.state.lock();
        if state.left.remove(&order) && !matches!(settled, Settled::Refused(_)) {
            state.over.insert(order.clone());
        }
        if let Some(waits) = state.waiting.remove(&order) {
            // Who does not wait any more need not know.
            let _ = waits.send(settled);
        }
    }

    /// Takes no more orders for this runner if it owns none.
    fn part_if_idle(&self) -> bool {
        let mut state = self.state.lock();
        let idle = state.waiting.is_empty() && state.left.is_empty();
        if idle && matches!(state.standing, Standing::Up(_)) {
            state.standing = Standing::Searching;
        }
        idle
    }

    /// Hands a run over as soon as there is a runner.
    async fn hand_over(
        &self,
        launch: Launch,
    ) -> Result<oneshot::Receiver<Settled>, (Box<Launch>, Why)> {
        let order = launch.order.clone();
        self.say(&order, ToRunner::Start(launch), Wanted::Any).await.map_err(|(said, why)| {
            match said {
                ToRunner::Start(launch) => (Box::new(launch), why),
                other => unreachable!("what is given back is what was to be said: {other:?}"),
            }
        })
    }

    /// Says something about an order as soon as there is a runner, and returns by what its answer is
    /// heard. Where there is none, what was to be said is given back.
    async fn say(
        &self,
        order: &str,
        said: ToRunner,
        wanted: Wanted,
    ) -> Result<oneshot::Receiver<Settled>, (ToRunner, Why)> {
        let mut changed = self.changed.subscribe();
        let mut asked = false;
        loop {
            changed.mark_unchanged();
            let standing = self.state.lock().standing.clone();
            match standing {
                Standing::Up(sender) => {
                    if let Ok(room) = sender.clone().reserve_owned().await {
                        let mut state = self.state.lock();
                        // Between here and there another runner may have taken its place.
                        if let Standing::Up(now) = &state.standing
                            && now.same_channel(&sender)
                        {
                            if wanted == Wanted::WithId && !state.has_id {
                                return Err((said, Why::None));
                            }
                            let (waits, settled) = oneshot::channel();
                            state.waiting.insert(order.to_owned(), waits);
                            room.send(said);
                            return Ok(settled);
                        }
                    }
                }
                Standing::Searching => {}
                Standing::Down(why) if asked => return Err((said, why)),
                Standing::Down(_) => {
                    asked = true;
                    self.wanted.notify_one();
                }
                // The engine ends, and this with it.
                Standing::Gone => std::future::pending().await,
            }
            // The sender of changes is our own.
            let _ = changed.changed().await;
        }
    }

    /// Something of this start is about to be started that no runner knows of: none that was there
    /// before may say later that it was not. It loses its socket, unless it was there all the time.
    fn act_alone(&self) {
        let mut state = self.state.lock();
        if !state.handed.insert(ENGINE.to_owned()) {
            return;
        }
        state.lives.remove(&self.settings.life.to_string());
        if matches!(state.standing, Standing::Up(_)) {
            // One of an earlier program, which speaks for nobody.
            return;
        }
        drop(state);
        if let Err(error) = socket::retire(&self.settings.storage) {
            warn!(%error, "socket of the runner cannot be removed");
        }
    }

    /// Takes over a run that the runner owns and that nobody waits for.
    async fn take_left(&self, order: &str) -> Option<oneshot::Receiver<Settled>> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            {
                let mut state = self.state.lock();
                match state.standing {
                    Standing::Searching => {}
                    Standing::Up(_) | Standing::Down(_) | Standing::Gone => {
                        let owned = state.left.remove(order);
                        return owned.then(|| {
                            let (waits, settled) = oneshot::channel();
                            state.waiting.insert(order.to_owned(), waits);
                            settled
                        });
                    }
                }
            }
            let _ = changed.changed().await;
        }
    }

    /// Waits for the end of a run, and passes on that it is to end: to the next runner's connection
    /// again, as the word may have been lost with the one before.
    async fn wait(
        &self,
        order: &str,
        settled: oneshot::Receiver<Settled>,
        cancel: impl Future<Output = ()> + Send,
    ) -> Settled {
        let (mut settled, mut cancel) = (pin!(settled), pin!(cancel));
        let mut changed = self.changed.subscribe();
        let mut cancelled = false;
        loop {
            tokio::select! {
                biased;
                settled = &mut settled => return settled.unwrap_or(Settled::Lost),
                () = &mut cancel, if !cancelled => cancelled = true,
                _ = changed.changed(), if cancelled => {}
            }
            let standing = self.state.lock().standing.clone();
            if let Standing::Up(sender) = standing {
                let order = order.to_owned();
                // In a task of its own, as an end may come while there is no room for the word.
                tokio::spawn(async move { sender.send(ToRunner::Cancel { order }).await });
            }
        }
    }

    /// Reads how a run ended.
    async fn look(&self, order: String, settled: Settled) -> Found {
        let word = match settled {
            Settled::Refused(reason) => return Found::Ended(act::Ended::refused(reason)),
            Settled::Over => Word::Took,
            Settled::NotTaken => Word::NeverTook,
            Settled::Lost => Word::Nobody,
        };
        let (storage, life) = (self.settings.storage.clone(), self.settings.life.clone());
        let looked =
            tokio::task::spawn_blocking(move || act::inspect(&storage, &order, &life, word));
        match looked.await {
            Ok(Found::Unknown(Doubt::NoExit | Doubt::NoWitness)) if word == Word::Nobody => {
                Found::Unknown(Doubt::RunnerGone)
            }
            Ok(found) => found,
            Err(error) => Found::Unknown(Doubt::Record { error: error.to_string() }),
        }
    }
}

async fn write_all(
    mut writer: OwnedWriteHalf,
    mut said: mpsc::Receiver<ToRunner>,
) -> Result<(), FrameError> {
    while let Some(frame) = said.recv().await {
        // A connection that broke is noticed by the reading side.
        writer.write_all(&encode(&frame)?).await?;
    }
    Ok(())
}
