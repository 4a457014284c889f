//! A reload: the configuration is read again and put in force, whole or not at all.

use std::path::PathBuf;
use std::sync::Arc;

use homeostat_core::configuration::{Configuration, Occasion, Scope};
use homeostat_core::operator::Operator;
use homeostat_core::policy::Polling;
use homeostat_core::time::Timestamp;
use parking_lot::RwLock;
use tracing::{error, info};

use super::{describe, load, warn_of, wiring};
use crate::driver::Doors;
use crate::intake;
use crate::intake::reconcile::Reconciler;
use crate::intake::signature::Signatures;
use crate::queue::Queue;
use crate::telemetry::Metrics;
use crate::web::api::status::ConfigStatus;
use crate::web::entrance::{Entrance, Rules};
use crate::web::exposure::{Exposed, Exposure};
use homeostat_config::Config;

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

    async fn try_reload(&self, occasion: Occasion, by: Option<Operator>) -> Result<(), String> {
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
        reloaded.map_err(|busy| busy.to_string())?;
        self.metrics.set_teams(book.teams());
        *self.doors.prober.write() = Arc::new(prober);
        *self.doors.outlets.write() = Arc::new(outlets);
        *self.doors.settings.write() = Arc::new(settings);
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

fn seconds(at: Timestamp) -> f64 {
    at.since(Timestamp::EPOCH).as_secs_f64()
}
