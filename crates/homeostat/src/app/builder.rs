//! An engine with handlers of its own, for programs that are built with this crate.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::policy::Polling;
use homeostat_core::time::Span;
use tracing::Level;

use super::{
    AtStop, Build, ListenAddress, Options, RETENTION, Running, Shutdown, StartError, load,
    until_signalled,
};
use crate::intake::Bounds;
use crate::runner;
use crate::telemetry::logging::{self, Format};
use homeostat_config::{self as config, Report};
use homeostat_hands::act::Handlers;
use homeostat_hands::act::handler::{Action, HandlerError, Outcome};

/// An engine that is about to start, with handlers written in Rust.
///
/// It does what `homeostat serve` does, with the same defaults, and every method changes one of
/// them. Whatever can be wrong with them shows when it starts.
///
/// ```no_run
/// use homeostat::{Action, App, Outcome};
///
/// # async fn example() -> anyhow::Result<()> {
/// App::from_file("/etc/homeostat/homeostat.yml")?
///     .storage("/var/lib/homeostat")
///     .listen(([127, 0, 0, 1], 9999))
///     .action("move-primary", |order: Action| async move {
///         let replica = order.label("replica")?;
///         order.progress(format!("promoting {replica}"));
///         Ok(Outcome::done().evidence("new primary", replica))
///     })
///     .run()
///     .await
/// # }
/// ```
#[derive(Debug)]
#[must_use = "an engine does nothing before it runs"]
pub struct App {
    options: Options,
    handlers: Handlers,
    /// A name that was given to two handlers.
    twice: Option<String>,
    listens: bool,
    owner: Owner,
    level: Level,
    format: Format,
}

/// Who owns the processes of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// A runner if this program is the engine, and the engine if it is a part of this program.
    Usual,
    Runner,
    Engine,
}

impl App {
    /// Takes a configuration file, or a directory of them, and checks all of it but the handlers that
    /// it calls.
    ///
    /// # Errors
    ///
    /// [`StartError::Config`]: the file has errors; all of them are shown with their places.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, StartError> {
        Self::from_files([path])
    }

    /// Takes files and directories that are one configuration together, as
    /// [`from_file`](Self::from_file) does.
    ///
    /// # Errors
    ///
    /// [`StartError::Config`]: one of them has errors, or there is none.
    pub fn from_files<P: Into<PathBuf>>(
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Self, StartError> {
        let mut app = Self::observe();
        app.options.config_files = paths.into_iter().map(Into::into).collect();
        app.checked()
    }

    /// Takes all options, as a command line has them.
    pub(crate) fn with(options: Options, level: Level, format: Format) -> Result<Self, StartError> {
        Self { options, listens: true, level, format, ..Self::observe() }.checked()
    }

    fn checked(self) -> Result<Self, StartError> {
        if !self.options.config_files.is_empty() {
            config::load(&self.options.config_files)
                .map_err(|report| StartError::Config(Box::new(report)))?;
        }
        Ok(self)
    }

    /// Takes no configuration: every alert is taken in and recorded, and nothing is done.
    pub fn observe() -> Self {
        become_runner_if_asked();
        Self {
            options: Options {
                config_files: Vec::new(),
                auto_reload: None,
                storage_path: PathBuf::from("./data"),
                retention: RETENTION,
                listen_addresses: vec![SocketAddr::from(([127, 0, 0, 1], 9999)).into()],
                web_config_file: None,
                external_url: None,
                route_prefix: String::new(),
                allowed_hosts: Vec::new(),
                bearer_token_file: None,
                allow_anonymous: false,
                max_body: Bounds::default().bytes,
                polling: Polling::default(),
                build: Build::THIS,
                handlers: Arc::default(),
                runner: None,
                shutdown: Shutdown::default(),
            },
            handlers: Handlers::default(),
            twice: None,
            listens: false,
            owner: Owner::Usual,
            level: Level::INFO,
            format: Format::default(),
        }
    }

    /// Adds a handler, which remedies call by this name: `call: NAME`.
    ///
    /// It runs in a task of its own on the runtime of the engine: work that blocks belongs into
    /// [`tokio::task::spawn_blocking`]. An error is a known failure, and its causes are shown; a
    /// panic is one too. When the remedy's timeout is over, [`Action::cancelled`] completes; five
    /// seconds later the handler is aborted at its next `await`, and its outcome counts as timed
    /// out.
    ///
    /// A function with another error type is called so: `|order| async { Ok(heal(order).await?) }`.
    pub fn action<F, Fut>(mut self, name: &str, handler: F) -> Self
    where
        F: Fn(Action) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Outcome, HandlerError>> + Send + 'static,
    {
        if !self.handlers.add(name, handler) {
            self.twice = Some(name.to_owned());
        }
        self
    }

    /// Sets the address to serve; may be called more than once. By default 127.0.0.1:9999.
    pub fn listen(self, address: impl Into<SocketAddr>) -> Self {
        self.listen_at(ListenAddress::Tcp(address.into()))
    }

    /// Serves a socket of this machine, too; who comes there is known by their user.
    pub fn listen_on_socket(self, path: impl Into<PathBuf>) -> Self {
        self.listen_at(ListenAddress::Unix(path.into()))
    }

    fn listen_at(mut self, address: ListenAddress) -> Self {
        if !std::mem::replace(&mut self.listens, true) {
            self.options.listen_addresses.clear();
        }
        self.options.listen_addresses.push(address);
        self
    }

    /// Sets the file that says how addresses are served: TLS, basic auth, headers and limits, as for
    /// Prometheus.
    pub fn web_config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.web_config_file = Some(path.into());
        self
    }

    /// Sets where the journal and the output of remedies are kept, one engine a directory. By
    /// default `./data`.
    pub fn storage(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.storage_path = path.into();
        self
    }

    /// Reads the configuration again when its files have changed, looking at them each so often. By
    /// default it is read when [`Running::reload`] says so, or at a SIGHUP.
    pub fn auto_reload(mut self, every: Duration) -> Self {
        let micros = u64::try_from(every.as_micros()).unwrap_or(u64::MAX);
        self.options.auto_reload = Some(Span::from_micros(micros.max(1)));
        self
    }

    /// Sets how long what is over is kept. By default 90 days.
    pub fn retention(mut self, time: Duration) -> Self {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.options.retention = Span::from_micros(micros);
        self
    }

    /// Sets the URL by which people reach the engine, for links in what they are told.
    pub fn external_url(mut self, url: impl Into<String>) -> Self {
        self.options.external_url = Some(url.into());
        self
    }

    /// Adds a name by which the engine is called, besides the loopback names.
    pub fn allowed_host(mut self, host: impl Into<String>) -> Self {
        self.options.allowed_hosts.push(host.into());
        self
    }

    /// Asks every request for the token in this file.
    pub fn bearer_token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.bearer_token_file = Some(path.into());
        self
    }

    /// Serves addresses that are not loopback without a token: who can post there can start
    /// actions.
    pub fn allow_anonymous(mut self) -> Self {
        self.options.allow_anonymous = true;
        self
    }

    /// Sets the size of the largest notification that is read, in bytes. By default 32 MiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.options.max_body = bytes;
        self
    }

    /// Sets what is done with running actions when the engine stops, and how long they are waited
    /// for. By default they are waited for, for 30 seconds; those that take longer go on.
    pub fn shutdown(mut self, actions: AtStop, timeout: Duration) -> Self {
        self.options.shutdown = Shutdown { actions, timeout };
        self
    }

    /// Has a runner own the processes of `exec` and `script`, so that they outlive this program: it
    /// is started again, with its arguments, and becomes the runner where it makes its first `App`.
    /// [`run`](Self::run) does so by itself.
    pub fn with_runner(mut self) -> Self {
        self.owner = Owner::Runner;
        self
    }

    /// Keeps the processes of `exec` and `script` in the engine's own hands: they go on when it
    /// ends, but nobody enforces their time limits, or knows how they ended. [`start`](Self::start)
    /// does so by itself, because the program around it may not be one to start twice.
    pub fn without_runner(mut self) -> Self {
        self.owner = Owner::Engine;
        self
    }

    /// Sets how [`run`](Self::run) logs: from which level on, and in which form. By default from
    /// info on, as logfmt. Where the program has set up a subscriber of its own, that one counts.
    pub fn log(mut self, level: Level, format: Format) -> Self {
        (self.level, self.format) = (level, format);
        self
    }

    /// Checks the configuration with the handlers that were added so far, and returns what is
    /// allowed and probably not meant.
    ///
    /// # Errors
    ///
    /// The configuration has errors, or calls a handler that there is not.
    pub fn check(&self) -> Result<Report, Box<Report>> {
        Ok(load(&self.options.config_files, &self.handlers)?.warnings)
    }

    /// Starts the engine and returns once it serves. Logs go nowhere unless the program has set
    /// up a subscriber.
    ///
    /// # Errors
    ///
    /// Anything that would keep it from doing its duty; nothing is left running.
    pub async fn start(mut self) -> Result<Running, StartError> {
        if let Some(name) = self.twice {
            return Err(StartError::Handler { name });
        }
        self.options.handlers = Arc::new(self.handlers);
        self.options.runner = match self.owner {
            Owner::Runner => Some(runner::Program::again()),
            Owner::Usual | Owner::Engine => None,
        };
        Running::start(self.options).await
    }

    /// Runs the engine until SIGTERM or SIGINT; SIGHUP reads the configuration again.
    ///
    /// # Errors
    ///
    /// A [`StartError`]: it could not start. A [`Fatal`](crate::driver::Fatal): it could not go
    /// on by itself.
    pub async fn run(mut self) -> anyhow::Result<()> {
        if self.owner == Owner::Usual {
            self.owner = Owner::Runner;
        }
        logging::start(self.level, self.format);
        super::survive_hangup();
        // Before anybody is served: whoever is told to stop then has something to finish.
        let told_to_stop = until_signalled();
        let running = self.start().await?;
        running.reload_on_hangup();
        running.report_to_the_manager();
        running.run(told_to_stop).await?;
        Ok(())
    }
}

/// Becomes a runner, and ends with it, where an engine started this program to be one. What owns
/// actions must be small and do nothing else, so nothing that is built here would be of use.
pub(crate) fn become_runner_if_asked() {
    if let Some(code) = runner::become_one_if_asked() {
        code.exit_process();
    }
}
