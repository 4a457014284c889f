//! Which part gets which: the only place, besides the driver, that knows all doors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::alert::Status as AlertStatus;
use homeostat_core::configuration::Occasion;
use homeostat_core::name::{BootId, SourceName, title};
use homeostat_core::policy::Book;
use homeostat_hands::act::{self, Life};
use parking_lot::RwLock;
use reqwest::Url;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::history::Committed;
use super::reload::Reloader;
use super::{Options, SharedStanding, StartError, talk};
use crate::client::{Client, ClientError};
use crate::driver::{Aside, Clock, Doors, Outlets, Setting, Settings};
use crate::intake::reconcile::{self, Reconciler};
use crate::intake::signature::{Signatures, Signing};
use crate::intake::{self, Bounds, Intake, Leads, NotificationResult, Tally};
use crate::journal::Reader;
use crate::notice::{self, Recipients, Teller, Telling};
use crate::outlet::Outlet;
use crate::probe::{self, Prober};
use crate::queue::Queue;
use crate::runner;
use crate::telemetry::Metrics;
use crate::web::api::Status;
use crate::web::api::board::Board;
use crate::web::api::status::PauseView;
use crate::web::entrance::Entrance;
use crate::web::guard::Guard;
use crate::web::oidc::Provider;
use crate::web::origin::Names;
use crate::web::server::Front;
use crate::web::wicket::{Repeats, Wicket};
use crate::web::{self, Web};
use homeostat_config::{self as config, Config, HttpConfig};

/// What the routes are made of.
pub(super) struct Parts {
    pub(super) entrance: Arc<Entrance>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) queue: Queue,
    pub(super) clock: Arc<Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) sources: intake::Sources,
    pub(super) leads: Leads,
    pub(super) signatures: Arc<Signatures>,
    pub(super) standing: SharedStanding,
    /// Up to which number there are facts.
    pub(super) committed: watch::Receiver<i64>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) boot: BootId,
}

/// Who is configured, in file order.
pub(super) fn named(config: &Config) -> intake::Named {
    let alertmanagers = config.sources.alertmanagers.iter();
    intake::Named {
        alertmanagers: alertmanagers.map(|s| (s.name.clone(), s.urls.clone())).collect(),
        webhooks: config.sources.webhooks.iter().map(|hook| hook.name.clone()).collect(),
        witnesses: config.book.witnesses.clone(),
    }
}

/// How sources sign what they send, by this configuration.
pub(super) fn signed(config: &Config) -> Result<BTreeMap<SourceName, Signing>, StartError> {
    let signed = config.sources.webhooks.iter().filter_map(|source| {
        let config::Hmac { secret_files, headers, timestamp } = source.hmac.as_ref()?;
        let time = timestamp.as_ref().map(|time| {
            let tolerance =
                i64::try_from(Duration::from(time.tolerance).as_secs()).unwrap_or(i64::MAX);
            (time.header.clone(), tolerance)
        });
        let signing = Signing::new(secret_files, headers.clone(), time);
        Some(signing.map(|signing| (source.name.clone(), signing)).map_err(StartError::from))
    });
    signed.collect()
}

/// Opens the doors through which effects leave.
pub(super) fn doors(
    options: &Options,
    config: &Config,
    queue: &Queue,
    clock: &Arc<Clock>,
    metrics: &Arc<Metrics>,
) -> Result<(Doors, Telling), StartError> {
    let told_at = clock.clone();
    let settings = notice::Settings {
        external_url: options.external_url.clone(),
        clock: Box::new(move || told_at.wall()),
        pace: notice::Pace::USUAL,
        tally: Arc::new(Counted(metrics.clone())),
    };
    let (teller, telling) = Teller::start(recipients(config)?, settings, queue.clone());
    let doors = Doors {
        runtime: Handle::current(),
        queue: queue.clone(),
        clock: clock.clone(),
        storage: absolute(&options.storage_path),
        prober: RwLock::new(Arc::new(prober(config)?)),
        teller,
        outlets: RwLock::new(Arc::new(outlets(config)?)),
        settings: RwLock::new(Arc::new(self::settings(config))),
        handlers: options.handlers.clone(),
        stopping: tokio::sync::watch::Sender::new(false),
        hand: options.runner.as_ref().map(runner::Program::as_hand),
        runner: None,
        aside: Aside::new(config.redact.clone()),
        runs: parking_lot::Mutex::default(),
    };
    Ok((doors, telling))
}

/// Looks for the runner that an earlier engine left, or starts one.
pub(super) fn runner(
    options: &Options,
    fence: u64,
    life: Life,
    metrics: &Arc<Metrics>,
) -> Option<runner::Client> {
    let storage = absolute(&options.storage_path);
    let settings = runner::Settings { storage, life, fence, program: options.runner.clone()? };
    Some(runner::Client::start(settings, Arc::new(Counted(metrics.clone()))))
}

/// Actions run in a directory of their own, so that its path must not depend on ours.
fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Whom to ask, by this configuration.
pub(crate) fn prober(config: &Config) -> Result<Prober, StartError> {
    let alertmanagers = config.sources.alertmanagers.iter().map(|source| {
        let peers = peers(&source.name, &source.urls, &source.http)?;
        Ok(probe::AlertmanagerSource { name: source.name.clone(), peers })
    });
    let prometheuses = config.sources.prometheuses.iter().map(|source| {
        let client = talk::client(&source.url, &source.http);
        let client = client.map_err(|error| unusable(&source.name, &error))?;
        let (name, external_labels) = (source.name.clone(), source.external_labels.clone());
        Ok(probe::PrometheusSource { name, client, external_labels })
    });
    Ok(Prober::new(probe::Witnesses {
        alertmanagers: alertmanagers.collect::<Result<_, StartError>>()?,
        prometheuses: prometheuses.collect::<Result<_, StartError>>()?,
    }))
}

/// Prepares to ask Alertmanagers for what notifications lost. Nobody is asked before it is
/// configured.
pub(super) fn reconciler(
    options: &Options,
    leads: &Leads,
    queue: &Queue,
    clock: &Arc<Clock>,
    metrics: &Arc<Metrics>,
) -> Reconciler {
    let (walls, engines) = (clock.clone(), clock.clone());
    Reconciler::new(reconcile::Settings {
        queue: queue.clone(),
        leads: leads.clone(),
        wall: Box::new(move || walls.wall()),
        of_wall: Box::new(move |wall| engines.of_wall(wall)),
        tally: Arc::new(Counted(metrics.clone())),
        polling: options.polling,
    })
}

/// Whom to reconcile with, by this configuration.
pub(super) fn clusters(config: &Config) -> Result<Vec<reconcile::Cluster>, StartError> {
    let clusters = config.sources.alertmanagers.iter().map(|source| {
        let peers = peers(&source.name, &source.urls, &source.http)?;
        let receivers = source.receivers.iter().cloned().collect();
        Ok(reconcile::Cluster { name: source.name.clone(), peers, receivers })
    });
    clusters.collect()
}

/// Whom to tell, by this configuration.
pub(super) fn recipients(config: &Config) -> Result<Recipients, StartError> {
    let clusters = config.sources.alertmanagers.iter().map(|source| {
        let peers = peers(&source.name, &source.urls, &source.http)?;
        Ok(notice::Cluster { name: source.name.clone(), peers })
    });
    let channels = config.notify.channels.iter().map(channel);
    Ok(Recipients {
        clusters: clusters.collect::<Result<_, StartError>>()?,
        channels: channels.collect::<Result<_, StartError>>()?,
        routes: config.notify.routes.clone(),
    })
}

fn channel(channel: &config::Channel) -> Result<notice::Channel, StartError> {
    let name = channel.name.clone();
    let way = match &channel.way {
        config::Way::Exec(argv) => notice::Way::Exec(argv.clone()),
        config::Way::Webhook { url, http } => {
            notice::Way::Webhook(Box::new(webhook(&name, url, http)?))
        }
    };
    let (timeout, send_resolved) = (channel.timeout.into(), channel.send_resolved);
    Ok(notice::Channel { name, way, timeout, send_resolved })
}

fn webhook(
    channel: &str,
    url: &config::WebhookUrl,
    http: &HttpConfig,
) -> Result<notice::Webhook, StartError> {
    let wrong = |reason| StartError::Channel { name: channel.to_owned(), reason };
    let unusable = |error: ClientError| wrong(error.line());
    match url {
        config::WebhookUrl::Inline(url) => {
            talk::single_use(url, http).map(notice::Webhook::Fixed).map_err(unusable)
        }
        config::WebhookUrl::File(file) => {
            let options = talk::options(http).map_err(unusable)?;
            notice::Webhook::told_by(file, options)
                .map_err(|error| wrong(format!("{:#}", anyhow::Error::new(error))))
        }
    }
}

/// All peers of one source. They share its tokens.
fn peers(name: &SourceName, urls: &[Url], http: &HttpConfig) -> Result<Vec<Client>, StartError> {
    let peers = talk::options(http).and_then(|options| {
        urls.iter().map(|url| Client::new(url.as_str(), options.clone())).collect()
    });
    peers.map_err(|error| unusable(name, &error))
}

fn unusable(name: &SourceName, error: &ClientError) -> StartError {
    StartError::Source { name: name.to_string(), reason: error.line() }
}

/// Who says, by `OpenID` Connect, who somebody is, by this configuration: the one that there is, where
/// nothing about it has changed.
pub(super) fn provider(
    config: &Config,
    external_url: Option<&str>,
    current: Option<Arc<Provider>>,
) -> Result<Option<Arc<Provider>>, StartError> {
    let Some(oidc) = config.access.as_ref().and_then(|access| access.oidc.as_ref()) else {
        return Ok(None);
    };
    if let Some(same) = current.filter(|provider| provider.is_of(oidc, external_url)) {
        return Ok(Some(same));
    }
    let secret = oidc.client.as_ref().and_then(|client| client.client_secret.as_ref());
    let secret = secret.map(talk::secret);
    let options = talk::trusting(&oidc.tls, oidc.proxy.as_ref());
    let provider = Arc::new(Provider::new(oidc.clone(), options, secret, external_url)?);
    tokio::spawn(provider.look_ahead());
    Ok(Some(provider))
}

/// Where requests go, by this configuration.
pub(super) fn outlets(config: &Config) -> Result<Outlets, StartError> {
    let outlets = config.requests.iter().map(|(of, target)| {
        let client = talk::single_use(&target.url, &target.http).map_err(|error| {
            let (policy, remedy, part) = of;
            let remedy = format!("{} of policy {policy}", title(remedy, *part));
            StartError::Request { remedy, reason: error.line() }
        })?;
        let headers =
            target.secrets.iter().map(|(name, value)| (name.clone(), talk::secret(value)));
        Ok((of.clone(), Arc::new(Outlet { client, headers: headers.collect() })))
    });
    outlets.collect()
}

/// As whom, where and with what programs run, by this configuration.
pub(super) fn settings(config: &Config) -> Settings {
    let setting = |setting: &config::ActionSetting| Setting {
        run_as: setting.run_as.clone(),
        rest: act::Setting {
            identity: None,
            directory: setting.working_directory.clone(),
            variables: setting.variables.clone(),
            secrets: setting
                .secrets
                .iter()
                .map(|secret| act::SecretFile {
                    name: secret.name.clone(),
                    // Whoever starts the program has another directory than we have.
                    file: absolute(&secret.file),
                    as_variable: secret.as_variable,
                })
                .collect(),
        },
    };
    config.settings.iter().map(|(of, one)| (of.clone(), setting(one))).collect()
}

/// Joins all routes.
pub(super) fn router(options: &Options, parts: Parts, reader: Reader) -> Result<Front, StartError> {
    let external_url = options.external_url.as_deref();
    let names = Names::new(&parts.addresses, external_url, &options.allowed_hosts)?;
    let status = status(options, &parts);
    let Parts { entrance, queue, clock, metrics, sources, leads, signatures, .. } = parts;
    let (standing, reloader) = (parts.standing, parts.reloader);
    let history = Arc::new(Committed(reader));
    let book: Arc<dyn Fn() -> Arc<Book> + Send + Sync> = {
        let standing = standing.clone();
        Arc::new(move || standing.read().book.clone())
    };
    let stopping = reloader.doors.stopping.subscribe();
    let tally = Arc::new(Counted(metrics.clone()));
    let bounds = Bounds { bytes: options.max_body, ..Bounds::default() };
    let engines = clock.clone();
    let intake = Intake::new(queue.clone(), sources, tally, move || clock.wall());
    let intake = intake.answering_repeats(move || engines.now());
    let intake = Arc::new(intake.bounds(bounds).leads(leads).signatures(signatures));
    let web = Web {
        guard: Arc::new(Guard { entrance, names }),
        queue,
        metrics,
        board: Arc::new(Board::new(history.clone(), book.clone(), parts.committed)),
        history,
        stopping,
        scores: {
            let standing = standing.clone();
            Arc::new(move || standing.read().scores.clone())
        },
        approvals: Arc::new(move || standing.read().approvals.clone()),
        printed: {
            let root = options.storage_path.clone();
            Arc::new(move |order, life| act::printed(&root, &Life::of(life).name(order)))
        },
        book,
        reload: Arc::new(move |by| {
            let reloader = reloader.clone();
            Box::pin(async move { reloader.reload(Occasion::Request, Some(by)).await })
        }),
        status,
    };
    let all = web::router(&web, intake::routes(intake.clone()));
    let router = web::refusals::watch(all, &options.route_prefix, web.metrics.clone());
    let (guard, prefix) = (web.guard, options.route_prefix.clone());
    let wicket = Wicket { guard, prefix, repeats: Arc::new(Known(intake)) };
    Ok(Front::from(router).with_wicket(wicket))
}

/// What intake answers for the engine.
struct Known(Arc<Intake>);

impl Repeats for Known {
    fn source(&self, path: &str) -> Option<SourceName> {
        self.0.unsigned(path)
    }

    fn take(&self, source: &SourceName, body: &[u8]) -> bool {
        self.0.take_repeat(source, body)
    }
}

fn status(options: &Options, parts: &Parts) -> Arc<dyn Fn() -> Status + Send + Sync> {
    let build = options.build;
    let started_at = parts.clock.now();
    let boot = parts.boot.to_string();
    let listen_addresses: Vec<String> = parts.addresses.iter().map(ToString::to_string).collect();
    let (queue, standing) = (parts.queue.clone(), parts.standing.clone());
    let reloader = parts.reloader.clone();
    Arc::new(move || {
        let standing = standing.read().clone();
        Status {
            version: build.version.to_owned(),
            revision: build.revision.to_owned(),
            started_at,
            boot: boot.clone(),
            not_ready: queue.trouble(),
            paused: standing.paused.map(|pause| PauseView {
                by: pause.by.to_string(),
                reason: pause.reason,
                since: pause.since,
            }),
            queue_length: queue.len(),
            alerts_active: Some(standing.alerts_active),
            standing_approvals: standing.approvals.len(),
            incidents_open: standing.incidents_open,
            config: reloader.status.read().clone(),
            listen_addresses: listen_addresses.clone(),
        }
    })
}

/// Counts in our metrics what comes in.
struct Counted(Arc<Metrics>);

impl Tally for Counted {
    fn notification(&self, source: &SourceName, result: NotificationResult) {
        self.0.notification(source.as_str(), result.as_str());
    }

    fn alerts(&self, source: &SourceName, status: AlertStatus, count: u64) {
        self.0.alerts(source.as_str(), status.as_str(), count);
    }

    fn polled(&self, source: &SourceName, result: &str) {
        self.0.polled(source.as_str(), result);
    }

    fn found(&self, count: u64) {
        self.0.reconciled("began", count);
    }
}

impl runner::Tally for Counted {
    fn up(&self, up: bool) {
        self.0.set_runner_up(up);
    }

    fn started(&self) {
        self.0.runner_start("started");
    }

    fn failed(&self) {
        self.0.runner_start("failed");
    }

    fn lost(&self) {
        self.0.runner_lost();
    }
}

impl notice::Tally for Counted {
    fn notices(&self, channel: &str, result: &str, count: u64) {
        self.0.notices(channel, result, count);
    }
}
