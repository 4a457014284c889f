//! Starts the parts in order and stops them last in, first out.
//!
//! ```text
//!  start: configuration ─> directory lock ─> journal ─> doors ─> driver ─> listeners
//!  stop:  listeners (what is under way is answered) ─> driver (what runs is waited for) ─> doors
//!         ─> the runner (told that nobody follows)
//! ```
//!
//! Tests run it in their own process; the binary adds signals and exit codes.

mod builder;
mod history;
mod manager;
mod reload;
mod signals;
mod talk;
mod wiring;

pub(crate) use talk::options as client_options;
pub(crate) use wiring::prober;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use homeostat_core::configuration::Occasion;
use homeostat_core::event::Event;
use homeostat_core::policy::{Action, Polling};
use homeostat_core::time::Span;
use parking_lot::{Mutex, RwLock};
use rustix::process::{Resource, getrlimit, setrlimit};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::driver::{Clock, Driver, Fatal, Standing};
use crate::intake::reconcile::Reconciler;
use crate::intake::signature::{SecretError, Signatures};
use crate::intake::{self, Leads};
use crate::journal::{DirectoryLock, Journal, JournalError, LockError, Reader};
use crate::notice::Telling;
use crate::queue::{Queue, queue};
use crate::runner;
use crate::telemetry::Metrics;
use crate::web::api::status::ConfigStatus;
use crate::web::auth::{Token, TokenError};
use crate::web::entrance::{Entrance, Rules};
use crate::web::exposure::{Exposed, Exposure};
use crate::web::listening::{Listening, ListeningError, Served};
use crate::web::oidc::ProviderError;
use crate::web::origin::NotAHost;
use crate::web::server::{self, Door, Front};
use crate::web::socket::Socket;
use homeostat_config::{self as config, Callable, Config, Report};
use homeostat_hands::act::{self, Life};
use homeostat_hands::failpoint;

use reload::{Reloader, follow, listener};

pub use crate::driver::chain as describe;
pub use crate::driver::{AtStop, DRAIN, Shutdown};
pub use builder::App;
pub(crate) use builder::become_runner_if_asked;
pub(crate) use signals::survive_hangup;
pub use signals::until_signalled;

/// How long what is over is kept, where nothing else is said.
pub const RETENTION: Span = Span::from_secs(90 * 86_400);

/// Open files that are enough: 2048 connections, 3 for each of the orders that run, those of the
/// journal, and as many again for questions and notices.
const FILES: u64 = 4096;

/// What an engine is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The files and directories of the configuration; without one every alert is recorded in shadow.
    pub config_files: Vec<PathBuf>,
    /// How often they are looked at for a change; without it, they are read when told to.
    pub auto_reload: Option<Span>,
    /// Where the journal and the orders are kept.
    pub storage_path: PathBuf,
    /// How long what is over is kept.
    pub retention: Span,
    /// The addresses and sockets to serve.
    pub listen_addresses: Vec<ListenAddress>,
    /// The file that says how addresses are served.
    pub web_config_file: Option<PathBuf>,
    /// The URL by which people reach the engine, for links.
    pub external_url: Option<String>,
    /// The path below which everything is served; empty for none, else it begins with a slash and
    /// ends without one.
    pub route_prefix: String,
    /// Host names that may be asked for, besides the loopback names.
    pub allowed_hosts: Vec<String>,
    /// The file with the token that every request must show.
    pub bearer_token_file: Option<PathBuf>,
    /// Whether addresses that others reach are served without a token.
    pub allow_anonymous: bool,
    /// The largest body that is taken in, in bytes.
    pub max_body: usize,
    /// When sources are asked for all of their alerts, and when their silence counts.
    pub polling: Polling,
    /// What was built.
    pub build: Build,
    /// The handlers that it was built with.
    pub handlers: Arc<act::Handlers>,
    /// What becomes a runner, which owns the processes of actions; without one the engine does,
    /// and they are nobody's when it ends.
    pub runner: Option<runner::Program>,
    /// What is done with running actions at the end.
    pub shutdown: Shutdown,
}

/// Where to serve.
#[derive(Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address, and a port.
    Tcp(SocketAddr),
    /// A socket of this machine, by its path.
    Unix(PathBuf),
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<PathBuf> for ListenAddress {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

impl fmt::Debug for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What was built.
#[derive(Debug, Clone, Copy)]
pub struct Build {
    /// The version.
    pub version: &'static str,
    /// The revision it was built from.
    pub revision: &'static str,
    /// The branch it was built from.
    pub branch: &'static str,
}

impl Build {
    /// This very crate.
    pub const THIS: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        revision: env!("HOMEOSTAT_REVISION"),
        branch: env!("HOMEOSTAT_BRANCH"),
    };
}

/// Why an engine does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration has errors.
    #[error("{0}")]
    Config(Box<Report>),
    /// An address would be open to everybody.
    #[error("{0}; {help}", help = Exposed::HELP)]
    Exposed(Exposed),
    /// A host name or URL is not one.
    #[error(transparent)]
    NotAHost(#[from] NotAHost),
    /// The token cannot be read.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The provider of `access.oidc` cannot be used as configured.
    #[error("`access.oidc` cannot be used")]
    Provider(#[from] ProviderError),
    /// The web configuration cannot be put in force.
    #[error(transparent)]
    Web(#[from] ListeningError),
    /// The storage directory cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal cannot be recovered from.
    #[error(transparent)]
    Recovery(#[from] Fatal),
    /// A source cannot be talked to as configured.
    #[error("source {name} cannot be used: {reason}")]
    Source {
        /// The source.
        name: String,
        /// Why.
        reason: String,
    },
    /// The secret by which a source signs cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A remedy's requests cannot be sent as configured.
    #[error("the requests of remedy {remedy} cannot be sent: {reason}")]
    Request {
        /// The policy and its remedy.
        remedy: String,
        /// Why.
        reason: String,
    },
    /// A channel of `notify` cannot be used as configured.
    #[error("channel {name} cannot be used: {reason}")]
    Channel {
        /// The channel.
        name: String,
        /// Why.
        reason: String,
    },
    /// Two handlers have one name.
    #[error("two handlers are named {name:?}")]
    Handler {
        /// The name.
        name: String,
    },
    /// An address cannot be served.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: ListenAddress,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The machine does not say which boot this is.
    #[error("the kernel does not say which boot this is")]
    Boot(#[source] std::io::Error),
    /// The driver's thread cannot be started.
    #[error("the driver's thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// An engine that runs.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    queue: Queue,
    reloader: Arc<Reloader>,
    server: tokio::task::JoinHandle<()>,
    stop_server: watch::Sender<bool>,
    driver: JoinHandle<()>,
    driver_ended: Ended,
    telling: Telling,
    reconciler: Arc<Reconciler>,
    _lock: DirectoryLock,
}

impl Running {
    /// Starts an engine. Returns once it serves. One straight list of parts, in order.
    ///
    /// # Errors
    ///
    /// Anything that would keep it from doing its duty; nothing is left running.
    #[expect(clippy::too_many_lines, reason = "one straight list of parts, in order")]
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let token = options.bearer_token_file.as_deref().map(Token::from_file).transpose()?;
        let mut config = load(&options.config_files, &options.handlers)
            .map_err(|report| StartError::Config(Box::new(report)))?;
        config.book.polling = options.polling;
        let access = config.access.as_ref();
        let listening = Arc::new(match &options.web_config_file {
            Some(path) => Listening::open(path)?,
            None => Listening::plain(),
        });
        let entrance = Arc::new(entrance(token, &options, &config, listening.clone())?);
        let exposure = exposure(&options);
        exposure.permit(entrance.would_ask(access)).map_err(StartError::Exposed)?;
        warn_of_clear_text(&exposure, &entrance, &listening.served());
        warn_of(&config);
        warn_of_idle(&config, &options.handlers);
        let boot = act::current_boot().map_err(StartError::Boot)?;
        let life = Life::begin().map_err(StartError::Boot)?;
        failpoint::arm();
        make_room_for_files();
        let lock = DirectoryLock::take(&options.storage_path)?;
        failpoint::reach("start.locked");
        let journal = Journal::open(&options.storage_path)?;
        let reader = Reader::open(&options.storage_path)?;
        let doors_in = listen(&options.listen_addresses).await?;
        let addresses: Vec<SocketAddr> = doors_in.iter().filter_map(Door::address).collect();

        let build = options.build;
        let metrics = Arc::new(Metrics::new(build.version, build.revision, build.branch));
        let clock = Arc::new(Clock::default());
        let (queue, inbox) = queue();
        let fence = journal.fence()?;
        let (mut doors, telling) = wiring::doors(&options, &config, &queue, &clock, &metrics)?;
        doors.runner = wiring::runner(&options, fence, life.clone(), &metrics);
        let doors = Arc::new(doors);
        let sources = intake::Sources::new(wiring::named(&config));
        let signatures = Arc::<Signatures>::default();
        signatures.configure(wiring::signed(&config)?, clock.wall());
        let leads = Leads::default();
        let reconciler = wiring::reconciler(&options, &leads, &queue, &clock, &metrics);
        let reconciler = Arc::new(reconciler);
        let clusters = wiring::clusters(&config)?;
        let reloader = Arc::new(Reloader {
            files: options.config_files.clone(),
            queue: queue.clone(),
            doors: doors.clone(),
            sources: sources.clone(),
            signatures: signatures.clone(),
            reconciler: reconciler.clone(),
            polling: options.polling,
            entrance: entrance.clone(),
            external_url: options.external_url.clone(),
            exposure: exposure.clone(),
            metrics: metrics.clone(),
            status: RwLock::new(ConfigStatus::default()),
            seen: Mutex::new(config.files.clone()),
            turn: tokio::sync::Mutex::new(()),
        });
        reloader.settle(clock.now());
        // The driver takes them with its first group.
        let in_force = reload::in_force(&config, Occasion::Start, None);
        queue.report(Event::Configured(Box::new(in_force))).await;
        if let Some(in_force) = listener(&listening, Occasion::Start) {
            queue.report(Event::Configured(Box::new(in_force))).await;
        }
        metrics.set_leader(true);
        let book = Arc::new(config.book);
        metrics.set_teams(book.teams());
        let (observed, started_in) = (metrics.clone(), life.mark());
        let retention = options.retention;
        let driver = Driver::recover(journal, book, inbox, doors, observed, started_in, retention)?;
        let driver = driver.with_shutdown(options.shutdown);
        failpoint::reach("start.recovered");
        sources.recall(driver.sources().iter());
        driver.receivers().iter().for_each(|(source, receiver)| leads.learn(source, receiver));
        let followed = follow(&listening, &entrance, exposure, &metrics, &queue);
        let parts = wiring::Parts {
            entrance,
            addresses: addresses.clone(),
            queue: queue.clone(),
            clock,
            metrics,
            sources,
            leads,
            signatures,
            standing: driver.standing(),
            committed: driver.committed(),
            reloader: reloader.clone(),
            boot,
        };
        let router = wiring::router(&options, parts, reader)?;
        let (driver, driver_ended) = run(driver)?;
        let (stop_server, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(doors_in, listening, router, followed, stopped));
        info!(?addresses, "engine ready");
        // In a container that has no other first process; elsewhere it has nothing to do.
        tokio::spawn(act::reap_as_first());
        reconciler.configure(clusters);
        reloader.follow(options.auto_reload);
        Ok(Self {
            addresses,
            queue,
            reloader,
            server,
            stop_server,
            driver,
            driver_ended,
            telling,
            reconciler,
            _lock: lock,
        })
    }

    /// Returns the addresses that are served.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Reads the configuration again and puts it in force. It is written down that the program itself
    /// asked for it.
    ///
    /// # Errors
    ///
    /// The configuration has errors, or cannot be put in force now; the earlier one stays.
    pub async fn reload(&self) -> Result<(), String> {
        self.reloader.reload(Occasion::Request, None).await
    }

    /// Runs until `stop`, then stops in order.
    ///
    /// # Errors
    ///
    /// The engine could not go on by itself.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), Fatal> {
        let ended = tokio::select! {
            () = stop => None,
            ended = &mut self.driver_ended => Some(ended),
        };
        self.reloader.doors.stopping.send_replace(true);
        self.stop_server.send_replace(true);
        self.reconciler.stop();
        if let Err(error) = (&mut self.server).await {
            error!(%error, "server failed");
        }
        self.queue.stop();
        let ended = match ended {
            Some(ended) => ended,
            None => (&mut self.driver_ended).await,
        };
        let joined = tokio::task::spawn_blocking(move || self.driver.join()).await;
        self.telling.stop().await;
        // One that failed is started again, and asks the runner what it took.
        if let Some(runner) = &self.reloader.doors.runner
            && matches!(ended, Ok(Ok(())))
        {
            runner.leave().await;
        }
        info!("engine stopped");
        match (ended, joined) {
            (Ok(ended), _) => ended,
            (Err(_), joined) => {
                error!(?joined, "driver failed");
                Err(Fatal::Died)
            }
        }
    }
}

fn warn_of(config: &Config) {
    if !config.warnings.problems().is_empty() {
        warn!(warnings = %config.warnings, "configuration has warnings");
    }
}

/// Warns of handlers that nothing calls: probably a name is misspelt.
fn warn_of_idle(config: &Config, handlers: &act::Handlers) {
    let remedies = config.book.policies().iter().flat_map(|policy| &policy.remedies);
    let called: BTreeSet<&str> = remedies
        .filter_map(|remedy| match &remedy.action {
            Action::Call(handler) => Some(handler.as_str()),
            Action::Exec(_) | Action::Script(_) | Action::Http(_) | Action::Errand(_) => None,
        })
        .collect();
    for handler in handlers.names().filter(|name| !called.contains(name)) {
        warn!(handler, "no remedy calls this handler");
    }
}

/// Reads the configuration, if there is one.
fn load(files: &[PathBuf], handlers: &act::Handlers) -> Result<Config, Report> {
    if files.is_empty() {
        return Ok(Config::observe());
    }
    let names: Vec<&str> = handlers.names().collect();
    config::load_for(files, Callable::These(&names))
}

async fn listen(addresses: &[ListenAddress]) -> Result<Vec<Door>, StartError> {
    let mut doors = Vec::new();
    for address in addresses {
        let door = match address {
            ListenAddress::Tcp(address) => TcpListener::bind(address).await.map(Door::Tcp),
            ListenAddress::Unix(path) => Socket::bind(path).map(Door::Unix),
        };
        let failed = |source| StartError::Listen { address: address.clone(), source };
        doors.push(door.map_err(failed)?);
    }
    Ok(doors)
}

fn exposure(options: &Options) -> Exposure {
    let address = |address: &ListenAddress| match address {
        ListenAddress::Tcp(address) => Some(*address),
        ListenAddress::Unix(_) => None,
    };
    Exposure {
        addresses: options.listen_addresses.iter().filter_map(address).collect(),
        allow_anonymous: options.allow_anonymous,
    }
}

fn entrance(
    token: Option<Token>,
    options: &Options,
    config: &Config,
    listening: Arc<Listening>,
) -> Result<Entrance, StartError> {
    let external_url = options.external_url.as_deref();
    let provider = wiring::provider(config, external_url, None)?;
    let rules = Rules::new(config.access.as_ref())?.believing(provider);
    Ok(Entrance::new(token, rules, listening).reached_by(external_url))
}

/// What is shown to say who somebody is, others can read on the way.
fn warn_of_clear_text(exposure: &Exposure, entrance: &Entrance, served: &Served) {
    if let Some(address) = exposure.reached_by_others()
        && served.tls.is_none()
        && entrance.asks_for_secrets()
    {
        warn!(
            %address, help = "set tls_server_config in the file of --web.config.file, or put a proxy \
                              with TLS in front",
            "credentials are asked for without TLS: others can read them on the way"
        );
    }
}

type Ended = tokio::sync::oneshot::Receiver<Result<(), Fatal>>;

fn run(driver: Driver) -> Result<(JoinHandle<()>, Ended), StartError> {
    let (ended, receiver) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("driver".into());
    let handle = thread
        .spawn(move || {
            let result = driver.run();
            // The app may be gone already; then the process ends anyway.
            let _ = ended.send(result);
        })
        .map_err(StartError::Thread)?;
    Ok((handle, receiver))
}

async fn serve(
    doors: Vec<Door>,
    listening: Arc<Listening>,
    front: Front,
    followed: impl Future<Output = ()>,
    mut stopped: watch::Receiver<bool>,
) {
    let stop = async move {
        // A sender that is gone means that the app is gone.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let limits = server::Limits::default();
    tokio::select! {
        () = server::serve(doors, listening, front, limits, stop) => {}
        // It ends by itself where there is nothing to follow.
        never = async { followed.await; std::future::pending::<std::convert::Infallible>().await } => {
            match never {}
        }
    }
}

/// Lets the process have as many files open as its connections and its runs need: where the soft
/// limit is the usual 1024, slow peers could otherwise keep the journal and the orders from theirs.
fn make_room_for_files() {
    let mut limit = getrlimit(Resource::Nofile);
    let room = limit.maximum.map_or(FILES, |most| most.min(FILES));
    if limit.current.is_some_and(|current| current < room) {
        limit.current = Some(room);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            warn!(%error, room, "the limit of open files cannot be raised");
        }
    }
}

/// How things stand, as the driver last published it.
type SharedStanding = Arc<RwLock<Standing>>;
