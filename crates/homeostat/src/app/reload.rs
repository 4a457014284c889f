//! A reload: the configuration is read again and put in force, whole or not at all; when it is told to,
//! or by itself when its files have changed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::configuration::{Configuration, Occasion, ReadFile, Scope};
use homeostat_core::event::Event;
use homeostat_core::operator::Operator;
use homeostat_core::policy::Polling;
use homeostat_core::time::{Span, Timestamp};
use parking_lot::{Mutex, RwLock};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{error, info};

use super::{Running, describe, load, manager, signals, warn_of, wiring};
use crate::driver::Doors;
use crate::intake;
use crate::intake::reconcile::Reconciler;
use crate::intake::signature::Signatures;
use crate::queue::Queue;
use crate::telemetry::Metrics;
use crate::web::api::status::ConfigStatus;
use crate::web::entrance::{Entrance, Rules};
use crate::web::exposure::{Exposed, Exposure};
use crate::web::listening::Listening;
use homeostat_config::{self as config, Config};

/// How long files must stay as they are before they are read: one may be seen while it is written.
const SETTLED: Duration = Duration::from_secs(1);

/// Reads the configuration again and puts it in force.
#[derive(Debug)]
pub(super) struct Reloader {
    pub(super) files: Vec<PathBuf>,
    pub(super) queue: Queue,
    pub(super) doors: Arc<Doors>,
    pub(super) sources: intake::Sources,
    pub(super) signatures: Arc<Signatures>,
    pub(super) reconciler: Arc<Reconciler>,
    pub(super) polling: Polling,
    pub(super) entrance: Arc<Entrance>,
    pub(super) external_url: Option<String>,
    pub(super) exposure: Exposure,
    pub(super) metrics: Arc<Metrics>,
    pub(super) status: RwLock<ConfigStatus>,
    /// What the files were when they were last read.
    pub(super) seen: Mutex<Vec<ReadFile>>,
    /// One reload at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl Reloader {
    /// Reads and applies it, one at a time.
    ///
    /// # Errors
    ///
    /// It has errors, or cannot be put in force now; the earlier one stays.
    pub(super) async fn reload(
        &self,
        occasion: Occasion,
        by: Option<Operator>,
    ) -> Result<(), String> {
        if self.files.is_empty() {
            return Err("there is no configuration file: start with --config.file".into());
        }
        let _turn = self.turn.lock().await;
        let who = by.as_ref().map(ToString::to_string);
        let result = self.try_reload(occasion, by).await;
        let now = self.doors.clock.now();
        match &result {
            Ok(()) => {
                self.settle(now);
                info!(occasion = occasion.as_str(), by = who, "configuration reloaded");
            }
            Err(reason) => {
                self.metrics.reloaded(false, seconds(now));
                self.status.write().last_error = Some(reason.clone());
                let occasion = occasion.as_str();
                error!(
                    reason,
                    occasion,
                    by = who,
                    "configuration not reloaded; the earlier one stays in force"
                );
            }
        }
        result
    }

    /// Looks at the files each so often, if that is wanted, until the engine stops, and reads them again
    /// when something else stands in them. What has errors is told once.
    pub(super) fn follow(self: &Arc<Self>, every: Option<Span>) {
        if let Some(every) = every {
            tokio::spawn(self.clone().keep_looking(every.into()));
        }
    }

    async fn keep_looking(self: Arc<Self>, every: Duration) {
        let mut stopping = self.doors.stopping.subscribe();
        let mut clock = interval(every);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = clock.tick() => {}
                _ = stopping.wait_for(|stops| *stops) => return,
            }
            if self.has_changed().await {
                info!("the configuration has changed");
                // `reload` has written into the log what came of it.
                let _ = self.reload(Occasion::Change, None).await;
            }
        }
    }

    /// Whether the files are other than when they were last read, and stay so for a moment.
    async fn has_changed(&self) -> bool {
        let mut now = self.look().await;
        while now != *self.seen.lock() {
            sleep(SETTLED).await;
            let later = self.look().await;
            if later == now {
                return true;
            }
            now = later;
        }
        false
    }

    /// What the files are now; what they were, if that cannot be told.
    async fn look(&self) -> Vec<ReadFile> {
        let files = self.files.clone();
        let looked = tokio::task::spawn_blocking(move || config::look(&files)).await;
        looked.unwrap_or_else(|_| self.seen.lock().clone())
    }

    async fn try_reload(&self, occasion: Occasion, by: Option<Operator>) -> Result<(), String> {
        let now = self.look().await;
        let before = std::mem::replace(&mut *self.seen.lock(), now);
        let (files, handlers) = (self.files.clone(), self.doors.handlers.clone());
        let loaded = tokio::task::spawn_blocking(move || load(&files, &handlers)).await;
        let mut config = loaded.map_err(|e| e.to_string())?.map_err(|report| report.to_string())?;
        let in_force = in_force(&config, occasion, by);
        config.book.polling = self.polling;
        warn_of(&config);
        let prober = wiring::prober(&config).map_err(|error| error.to_string())?;
        let recipients = wiring::recipients(&config).map_err(|error| error.to_string())?;
        let outlets = wiring::outlets(&config).map_err(|error| error.to_string())?;
        let settings = wiring::settings(&config);
        let clusters = wiring::clusters(&config).map_err(|error| error.to_string())?;
        let names = wiring::named(&config);
        let signed = wiring::signed(&config).map_err(|error| describe(&error))?;
        let access = config.access.as_ref();
        let current = self.entrance.provider();
        let provider = wiring::provider(&config, self.external_url.as_deref(), current);
        let provider = provider.map_err(|error| describe(&error))?;
        let rules = Rules::new(access).map_err(|error| describe(&error))?.believing(provider);
        let asks = self.entrance.would_ask(access);
        self.exposure.permit(asks).map_err(|exposed| format!("{exposed}; {}", Exposed::HELP))?;
        // The book first: if it cannot be put in force now, nothing else has changed.
        let book = Arc::new(config.book);
        let reloaded = self.queue.reload(book.clone(), in_force).await;
        if let Err(busy) = reloaded {
            // Who follows the files tries again.
            *self.seen.lock() = before;
            return Err(busy.to_string());
        }
        self.metrics.set_teams(book.teams());
        *self.doors.prober.write() = Arc::new(prober);
        *self.doors.outlets.write() = Arc::new(outlets);
        *self.doors.settings.write() = Arc::new(settings);
        self.doors.aside.conceal(config.redact.clone());
        self.entrance.configure(rules);
        self.sources.configure(names);
        self.signatures.configure(signed, self.doors.clock.wall());
        self.reconciler.configure(clusters);
        self.doors.teller.configure(recipients);
        Ok(())
    }

    /// The configuration that was read is in force.
    pub(super) fn settle(&self, now: Timestamp) {
        self.metrics.reloaded(true, seconds(now));
        let files: Vec<String> = self.files.iter().map(|path| path.display().to_string()).collect();
        *self.status.write() = ConfigStatus {
            file: (!files.is_empty()).then(|| files.join(", ")),
            loaded_at: Some(now),
            last_error: None,
        };
    }
}

/// Tells which configuration was read, for whoever asks later.
pub(super) fn in_force(config: &Config, occasion: Occasion, by: Option<Operator>) -> Configuration {
    Configuration { of: Scope::Engine, files: config.files.clone(), occasion, by }
}

impl Running {
    /// Lets SIGHUP reload, until `stop` resolves.
    pub fn reload_on_hangup(&self) {
        let reloader = self.reloader.clone();
        signals::on_hangup(move || {
            let reloader = reloader.clone();
            async move {
                manager::reloading();
                // Whoever sent the signal reads the log: `reload` has written it there.
                match reloader.reload(Occasion::Signal, None).await {
                    Ok(()) => manager::ready(),
                    Err(_) => manager::ready_with_the_old_configuration(),
                }
            }
        });
    }
}

/// Tells what is in force of the file of `--web.config.file`, where there is one.
pub(super) fn listener(listening: &Listening, occasion: Occasion) -> Option<Configuration> {
    let files = vec![listening.served().config.file.clone()?];
    Some(Configuration { of: Scope::Listener, files, occasion, by: None })
}

/// Follows the web configuration while the server runs.
pub(super) fn follow(
    listening: &Arc<Listening>,
    entrance: &Arc<Entrance>,
    exposure: Exposure,
    metrics: &Arc<Metrics>,
    queue: &Queue,
) -> impl Future<Output = ()> + use<> {
    let (entrance, metrics) = (entrance.clone(), metrics.clone());
    let (read, queue) = (listening.clone(), queue.clone());
    metrics.set_web_config_good(true);
    listening.clone().follow(
        move |served| {
            let asks = entrance.would_ask_by(served);
            exposure.permit(asks).map_err(|exposed| format!("{exposed}; {}", Exposed::HELP))
        },
        move |good| {
            metrics.set_web_config_good(good);
            let in_force = listener(&read, Occasion::Change).filter(|_| good);
            let queue = queue.clone();
            async move {
                if let Some(in_force) = in_force {
                    queue.report(Event::Configured(Box::new(in_force))).await;
                }
            }
        },
    )
}

fn seconds(at: Timestamp) -> f64 {
    at.since(Timestamp::EPOCH).as_secs_f64()
}
