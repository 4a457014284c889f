//! The world outside of the engine: its troubles, what was said of them, and what actions did.
//!
//! An action writes two lines of its own: one before it does anything, and one at its end. The
//! first is what tells that an order ran; the second heals the trouble. Some fight back: those that
//! mean to outlive their limit write down who they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use homeostat_core::limits::{STALE_FOR, STALE_TIMES};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::plan::Trouble;

/// The longest that an action may take.
pub const TIMEOUT_SECONDS: u64 = 5;

/// How far a peer is behind at most.
const BEHIND: Duration = Duration::from_secs(STALE_FOR.as_millis() / 2000);

/// What is known of a trouble.
#[derive(Debug, Clone)]
pub struct Known {
    /// The trouble.
    pub trouble: Trouble,
    /// Since when it fires.
    pub since: Timestamp,
    /// Whether a notification of it was answered 200.
    pub accepted: bool,
    /// When its resolved notification was answered 200.
    pub resolved: Option<Instant>,
    /// How often it was sent late.
    pub late: u32,
}

/// All troubles that ever were.
#[derive(Debug)]
pub struct World {
    directory: PathBuf,
    troubles: BTreeMap<String, Known>,
}

/// A notification, and what it is about.
#[derive(Debug, Clone)]
pub struct Notification {
    /// As Alertmanager would send it.
    pub body: String,
    /// Who fires in it.
    pub firing: Vec<String>,
    /// Who is resolved in it.
    pub resolved: Vec<String>,
}

/// A run of an order, as its action told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// The order.
    pub order: String,
    /// The target.
    pub target: String,
}

/// A process that meant to outlive its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebel {
    /// Its order.
    pub order: String,
    /// Its number.
    pub pid: i32,
}

impl Rebel {
    /// Whether it lives: whoever has its number now may be another.
    fn lives(&self) -> bool {
        let read = |name| fs::read(format!("/proc/{}/{name}", self.pid)).unwrap_or_default();
        let variable = format!("HOMEOSTAT_ORDER={}", self.order);
        let is_it = read("environ").split(|byte| *byte == 0).any(|one| one == variable.as_bytes());
        is_it && !String::from_utf8_lossy(&read("stat")).contains(") Z ")
    }

    /// Ends it.
    pub fn end(&self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid) {
            // It may be gone already.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

impl World {
    /// A world without troubles, whose actions write into this directory.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), troubles: BTreeMap::new() }
    }

    /// The configuration by which the engine heals this world, and tells people in it.
    pub fn configuration(&self) -> String {
        let directory = self.directory.display();
        format!(
            r#"
limits: {{ concurrency: 64, rate: {{ max: 1000000, per: 1s }} }}
notify:
  - name: people
    exec: [/bin/sh, -c, 'echo "$HOMEOSTAT_NOTICE_INCIDENT" >> {directory}/told']
policies:
  - name: torture
    matchers: ['alertname="Torture"']
    target: [instance]
    mode: auto
    escalate: {{ after: 1h, severity: page }}
    verify: {{ within: 10s, every: 1s }}
    guard: {{ cooldown: 0s, rate: {{ max: 1000000, per: 1s }}, concurrency: 64, breaker: none }}
    remedies:
      - name: heal
        timeout: {TIMEOUT_SECONDS}s
        script: |
          echo "$HOMEOSTAT_ORDER $HOMEOSTAT_LABEL_instance" >> {directory}/ran
          records={directory}/data/orders/"$HOMEOSTAT_ORDER"-*
          case "$HOMEOSTAT_LABEL_temper" in
          removes) rm -rf "$PWD" ../"$HOMEOSTAT_ORDER"-* ;;
          replaces)
            for place in $records; do
              rm -f $place/stdout $place/stderr
              mkfifo $place/stdout
              ln -s /dev/zero $place/stderr
            done ;;
          forks)
            setsid sh -c 'trap "" TERM
              sh -c "echo \$HOMEOSTAT_ORDER \$\$ >> {directory}/rebels; exec sleep 600" &'
            exec sleep 600 ;;
          stubborn)
            trap "" TERM
            echo "$HOMEOSTAT_ORDER $$" >> {directory}/rebels
            while :; do sleep 0.2; done ;;
          esac
          sleep "$HOMEOSTAT_LABEL_nap"
          echo "$HOMEOSTAT_ORDER $HOMEOSTAT_LABEL_instance" >> {directory}/healed
"#
        )
    }

    /// Begins troubles, and returns the notification that tells of them.
    pub fn begin(&mut self, troubles: &[Trouble]) -> Notification {
        let since = Timestamp::now();
        for trouble in troubles {
            let known =
                Known { trouble: trouble.clone(), since, accepted: false, resolved: None, late: 0 };
            self.troubles.insert(trouble.target.clone(), known);
        }
        self.notification(troubles.iter().map(|trouble| trouble.target.as_str()), [])
    }

    /// Notes that a notification was answered 200.
    pub fn accept(&mut self, notification: &Notification) {
        for target in &notification.firing {
            if let Some(known) = self.troubles.get_mut(target) {
                known.accepted = true;
            }
        }
        for target in &notification.resolved {
            if let Some(known) = self.troubles.get_mut(target) {
                // Its firing may have been committed, and its sender killed before the answer.
                known.accepted = true;
                known.resolved.get_or_insert_with(Instant::now);
            }
        }
    }

    /// What Alertmanager would send now: all that fires still, as it repeats itself, in one
    /// notification with all whose end was not accepted yet.
    ///
    /// # Errors
    ///
    /// What the actions wrote cannot be read.
    pub fn repeat(&self) -> io::Result<Option<Notification>> {
        let healed: BTreeSet<String> = self.healed()?.into_iter().map(|run| run.target).collect();
        let open = self.troubles.values().filter(|known| known.resolved.is_none());
        let (resolved, firing): (Vec<&Known>, Vec<&Known>) =
            open.partition(|known| healed.contains(&known.trouble.target));
        if resolved.is_empty() && firing.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.notification(firing.into_iter().map(name), resolved.into_iter().map(name))))
    }

    /// A firing notification of an old trouble, as a peer that is behind sends it: not later, and not
    /// more often, than what is late is ignored.
    pub fn stale(&mut self, nth: u64) -> Option<Notification> {
        let is_late = |known: &&mut Known| {
            known.resolved.is_some_and(|at| at.elapsed() < BEHIND) && known.late < STALE_TIMES
        };
        let mut late: Vec<&mut Known> = self.troubles.values_mut().filter(is_late).collect();
        let length = u64::try_from(late.len()).ok().filter(|length| *length > 0)?;
        let one = late.get_mut(usize::try_from(nth % length).ok()?)?;
        one.late += 1;
        let target = one.trouble.target.clone();
        Some(self.notification([target.as_str()], []))
    }

    /// All troubles.
    pub fn troubles(&self) -> impl Iterator<Item = &Known> {
        self.troubles.values()
    }

    /// All runs of orders, each as often as it began.
    ///
    /// # Errors
    ///
    /// What the actions wrote cannot be read.
    pub fn ran(&self) -> io::Result<Vec<Run>> {
        self.runs("ran")
    }

    /// All runs that came to their end.
    ///
    /// # Errors
    ///
    /// What the actions wrote cannot be read.
    pub fn healed(&self) -> io::Result<Vec<Run>> {
        self.runs("healed")
    }

    /// The processes that meant to outlive their limits, and live, with their orders.
    ///
    /// # Errors
    ///
    /// What the actions wrote cannot be read.
    pub fn rebels(&self) -> io::Result<Vec<Rebel>> {
        let rebel = |line: &String| {
            let (order, pid) = line.split_once(' ')?;
            Some(Rebel { order: order.to_owned(), pid: pid.parse().ok()? })
        };
        Ok(self.lines("rebels")?.iter().filter_map(rebel).filter(Rebel::lives).collect())
    }

    /// The incidents of which a person was told.
    ///
    /// # Errors
    ///
    /// What the commands wrote cannot be read.
    pub fn told(&self) -> io::Result<BTreeSet<String>> {
        Ok(self.lines("told")?.into_iter().collect())
    }

    fn runs(&self, name: &str) -> io::Result<Vec<Run>> {
        let run = |line: &String| {
            let (order, target) = line.split_once(' ')?;
            Some(Run { order: order.to_owned(), target: target.to_owned() })
        };
        Ok(self.lines(name)?.iter().filter_map(run).collect())
    }

    fn lines(&self, name: &str) -> io::Result<Vec<String>> {
        match fs::read_to_string(self.directory.join(name)) {
            Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn notification<'a>(
        &self,
        firing: impl IntoIterator<Item = &'a str>,
        resolved: impl IntoIterator<Item = &'a str>,
    ) -> Notification {
        let firing: Vec<String> = firing.into_iter().map(str::to_owned).collect();
        let resolved: Vec<String> = resolved.into_iter().map(str::to_owned).collect();
        let now = Timestamp::now().to_string();
        let fires = firing.iter().filter_map(|target| self.alert(target, "0001-01-01T00:00:00Z"));
        let ended = resolved.iter().filter_map(|target| self.alert(target, &now));
        let alerts: Vec<Value> = fires.chain(ended).collect();
        let body = json!({
            "version": "4", "receiver": "homeostat", "alerts": alerts,
            "status": if firing.is_empty() { "resolved" } else { "firing" },
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
            "externalURL": "http://alertmanager", "groupKey": "{}:{}", "truncatedAlerts": 0,
        });
        Notification { body: body.to_string(), firing, resolved }
    }

    fn alert(&self, target: &str, ends_at: &str) -> Option<Value> {
        let known = self.troubles.get(target)?;
        let nap = known.trouble.nap.as_secs_f64().to_string();
        let status = if ends_at.starts_with("0001") { "firing" } else { "resolved" };
        Some(json!({
            "status": status, "annotations": {}, "generatorURL": "",
            "labels": { "alertname": "Torture", "instance": target, "nap": nap,
                        "temper": known.trouble.temper.as_str() },
            "startsAt": known.since.to_string(), "endsAt": ends_at,
        }))
    }
}

fn name(known: &Known) -> &str {
    &known.trouble.target
}
