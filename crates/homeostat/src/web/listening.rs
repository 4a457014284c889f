//! How our own listener is served: what the file of `--web.config.file` says, as long as it runs.
//!
//! The file, and the files that it names, are looked at each second. What has changed is read again
//! and put in force whole; what cannot be, leaves the earlier one in force, and is told.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use homeostat_config::{self as config, Report, RequestRate, WebConfig};
use parking_lot::{Mutex, RwLock};
use thiserror::Error;
use tokio::sync::watch;

use super::tls::{Tls, TlsError, files};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a file cannot be put in force.
#[derive(Debug, Error)]
pub enum ListeningError {
    /// It has errors.
    #[error("{0}")]
    Config(Box<Report>),
    /// TLS cannot be spoken as it says.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It can be read, and must not be put in force.
    #[error("{0}")]
    Refused(String),
}

/// What is in force.
#[derive(Debug)]
pub struct Served {
    /// What the file says.
    pub config: WebConfig,
    /// TLS, where it is spoken.
    pub tls: Option<Tls>,
    bucket: Option<Bucket>,
}

impl Served {
    /// Reads a file, and all that it names.
    ///
    /// # Errors
    ///
    /// It has errors, or TLS cannot be spoken as it says.
    pub fn read(path: &Path) -> Result<Self, ListeningError> {
        let read = config::load_web(path);
        let config = read.map_err(|report| ListeningError::Config(Box::new(report)))?;
        let tls = config.tls.as_ref().map(|tls| Tls::new(tls, config.http2)).transpose();
        let tls = tls.map_err(|error| match error.file() {
            Some(file) => {
                let report = config::complain_of(path, file, &chain(&error));
                ListeningError::Config(Box::new(report))
            }
            None => ListeningError::Tls(error),
        })?;
        let bucket = config.rate.map(Bucket::new);
        Ok(Self { config, tls, bucket })
    }

    /// Plain HTTP for everybody, as without a file.
    fn plain() -> Self {
        Self { config: WebConfig::plain(), tls: None, bucket: None }
    }

    /// Tells whether anybody is asked who they are.
    pub fn asks(&self) -> bool {
        !self.config.users.is_empty() || self.tls.as_ref().is_some_and(|t| t.client_auth.verifies())
    }

    /// Tells whether one more request may be answered now.
    pub(super) fn has_room(&self) -> bool {
        self.bucket.as_ref().is_none_or(|bucket| bucket.take(Instant::now()))
    }
}

/// What is in force, and its file. Clones share it.
#[derive(Debug)]
pub struct Listening {
    file: Option<File>,
    served: RwLock<Arc<Served>>,
    /// Counts how often something else came into force.
    turns: watch::Sender<u64>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    seen: Mutex<Versions>,
}

/// What changes when a file is written or replaced, for each file.
type Versions = Vec<(PathBuf, Version)>;

/// When it was written, how long it is, and which file it is; `None` where it is not there.
type Version = Option<(i64, i64, u64, u64)>;

impl Listening {
    /// Serves plain HTTP to everybody.
    pub fn plain() -> Self {
        Self::with(None, Served::plain())
    }

    /// Serves what a file says.
    ///
    /// # Errors
    ///
    /// It cannot be put in force.
    pub fn open(path: &Path) -> Result<Self, ListeningError> {
        // The versions first: what changes while it is read is read once more.
        let before = versions(path, None);
        let served = Served::read(path)?;
        let seen = merged(&before, versions(path, Some(&served)));
        let file = File { path: path.to_owned(), seen: Mutex::new(seen) };
        Ok(Self::with(Some(file), served))
    }

    fn with(file: Option<File>, served: Served) -> Self {
        let (served, turns) = (RwLock::new(Arc::new(served)), watch::Sender::new(0));
        Self { file, served, turns }
    }

    /// Returns what is in force.
    pub fn served(&self) -> Arc<Served> {
        self.served.read().clone()
    }

    /// Tells when something else comes into force.
    pub(super) fn turns(&self) -> watch::Receiver<u64> {
        self.turns.subscribe()
    }

    /// Looks at the files for as long as it is polled, and puts in force what has changed, unless
    /// `admit` says why not. Tells whether the last one could be.
    pub async fn follow<F: Future<Output = ()> + Send>(
        self: Arc<Self>,
        admit: impl Fn(&Served) -> Result<(), String> + Send + Sync + 'static,
        told: impl Fn(bool) -> F + Send + Sync + 'static,
    ) {
        if self.file.is_none() {
            return;
        }
        let mut clock = tokio::time::interval(LOOK_EVERY);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let admit = Arc::new(admit);
        loop {
            clock.tick().await;
            let (this, admit) = (self.clone(), admit.clone());
            let looked = tokio::task::spawn_blocking(move || this.look(&*admit)).await;
            match looked {
                Ok(Some(Ok(()))) => {
                    tracing::info!("the web configuration was read again");
                    told(true).await;
                }
                Ok(Some(Err(error))) => {
                    let error = chain(&error);
                    tracing::error!(
                        error,
                        "web configuration not read again; the earlier one stays"
                    );
                    told(false).await;
                }
                Ok(None) | Err(_) => {}
            }
        }
    }

    /// Looks once; returns what came of it, if something has changed.
    fn look(
        &self,
        admit: &(impl Fn(&Served) -> Result<(), String> + ?Sized),
    ) -> Option<Result<(), ListeningError>> {
        let file = self.file.as_ref()?;
        let mut seen = file.seen.lock();
        let now: Versions = seen.iter().map(|(path, _)| (path.clone(), version(path))).collect();
        if now == *seen {
            return None;
        }
        let read = Served::read(&file.path).and_then(|served| {
            let refuse = |why: &str| Err(ListeningError::Refused(why.to_owned()));
            if self.served().tls.is_some() && served.tls.is_none() {
                return refuse("TLS is not switched off while it runs: start again");
            }
            admit(&served).map_err(ListeningError::Refused)?;
            Ok(served)
        });
        *seen = now;
        Some(read.map(|served| {
            *seen = merged(&seen, versions(&file.path, Some(&served)));
            *self.served.write() = Arc::new(served);
            self.turns.send_modify(|turns| *turns += 1);
        }))
    }
}

/// The versions that were seen, and those of files that are named now and were not before.
fn merged(seen: &[(PathBuf, Version)], now: Versions) -> Versions {
    let earlier = |path: &PathBuf| seen.iter().find(|(known, _)| known == path).map(|(_, v)| *v);
    now.into_iter().map(|(path, new)| (path.clone(), earlier(&path).unwrap_or(new))).collect()
}

fn versions(path: &Path, served: Option<&Served>) -> Versions {
    let tls = served.and_then(|served| served.config.tls.as_ref());
    let named = tls.map(files).unwrap_or_default();
    let all = std::iter::once(path.to_owned()).chain(named);
    all.map(|path| (path.clone(), version(&path))).collect()
}

fn version(path: &Path) -> Version {
    let file: io::Result<std::fs::Metadata> = std::fs::metadata(path);
    file.ok().map(|file| (file.mtime(), file.mtime_nsec(), file.len(), file.ino()))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// A bucket that one more request may be taken from each interval.
#[derive(Debug)]
struct Bucket {
    rate: RequestRate,
    /// When it is full again.
    full_at: Mutex<Option<Instant>>,
}

impl Bucket {
    fn new(rate: RequestRate) -> Self {
        Self { rate, full_at: Mutex::new(None) }
    }

    /// Takes one, if there is one. The generic cell rate algorithm, whose only state is when the
    /// bucket is full again.
    fn take(&self, now: Instant) -> bool {
        let RequestRate { interval, burst } = self.rate;
        let mut full_at = self.full_at.lock();
        let next = full_at.map_or(now, |full| full.max(now)) + interval;
        let fits = next.duration_since(now) <= interval.saturating_mul(burst);
        if fits {
            *full_at = Some(next);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_it_has_and_fills_again() {
        let rate = RequestRate { interval: Duration::from_secs(1), burst: 3 };
        let bucket = Bucket::new(rate);
        let start = Instant::now();
        let take = |millis| bucket.take(start + Duration::from_millis(millis));
        assert_eq!([0, 0, 0, 0].map(take), [true, true, true, false]);
        assert_eq!([999, 1000, 1001].map(take), [false, true, false]);
        assert_eq!([9000, 9000, 9000, 9000].map(take), [true, true, true, false]);
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_bad_one_is_not_put_in_force() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.yml");
        let hash = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
        std::fs::write(&path, format!("basic_auth_users: {{ ann: {hash} }}")).unwrap();
        let listening = Listening::open(&path).unwrap();
        let look = || listening.look(&|_: &Served| Ok(()));
        let users = || listening.served().config.users.keys().cloned().collect::<Vec<_>>();
        assert!(look().is_none());
        let turns = listening.turns();
        std::fs::write(&path, "basic_auth_users: { ann: wrong }").unwrap();
        assert!(matches!(look(), Some(Err(ListeningError::Config(_)))));
        assert!(look().is_none(), "it is told once");
        assert_eq!((users(), *turns.borrow()), (vec!["ann".to_owned()], 0));
        std::fs::write(&path, format!("basic_auth_users: {{ bob: {hash} }}")).unwrap();
        assert!(matches!(look(), Some(Ok(()))));
        assert_eq!((users(), *turns.borrow()), (vec!["bob".to_owned()], 1));
        std::fs::write(&path, "").unwrap();
        let refused = listening.look(&|served: &Served| {
            if served.asks() { Ok(()) } else { Err("open to everybody".to_owned()) }
        });
        assert!(matches!(refused, Some(Err(ListeningError::Refused(_)))));
        assert_eq!(users(), ["bob"]);
    }
}
