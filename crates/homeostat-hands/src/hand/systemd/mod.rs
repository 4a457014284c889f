//! Tells systemd of this machine to start, stop, restart or reload a unit, or to forget that it failed,
//! and waits for the end of the job that this makes. A program as a unit of its own: `program`.
//!
//! ```text
//!  connect ─> subscribe ─> look ─> ask: a job, or why not ─> JobRemoved of that job ─> look
//!                                   └── certainly nothing      └── done, or why not
//! ```
//!
//! The signal is subscribed to before anything is asked, so that no end is missed. A job that is to end
//! before its time is cancelled; of one that has begun systemd goes on with the unit all the same, by the
//! unit's own limits, and nobody knows what it comes to. Connection and reply that are lost once something was asked leave it
//! unknown; systemd goes on with the job.
//!
//! Source: org.freedesktop.systemd1(5), `Manager`.

mod program;

use std::fmt::Write as _;
use std::future::poll_fn;
use std::io::Write as _;
use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use homeostat_core::errand::Form;
use tokio::process::Command;
use tokio::time::timeout;
use zbus::export::futures_core::Stream;
use zbus::proxy::SignalStream;
use zbus::zvariant::{self, OwnedObjectPath, OwnedValue};
use zbus::{Connection, Message, Proxy};

use super::{Doing, Lasting, refused};
use crate::act::{Doubt, Outcome, one_line};

/// The name of this hand.
pub(super) const NAME: &str = "systemd";

const SERVICE: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const SERVICE_UNIT: &str = "org.freedesktop.systemd1.Service";

/// How long a look at a unit may take: it is for people, and keeps nothing waiting.
const LOOK: Duration = Duration::from_secs(2);

/// Lines of the journal that are shown.
const LINES: u32 = 8;

/// What is asked of systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Start,
    Stop,
    Restart,
    Reload,
    ResetFailed,
}

impl Verb {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "start" => Self::Start,
            "stop" => Self::Stop,
            "restart" => Self::Restart,
            "reload" => Self::Reload,
            "reset_failed" => Self::ResetFailed,
            _ => return None,
        })
    }

    fn method(self) -> &'static str {
        match self {
            Self::Start => "StartUnit",
            Self::Stop => "StopUnit",
            Self::Restart => "RestartUnit",
            Self::Reload => "ReloadUnit",
            Self::ResetFailed => "ResetFailedUnit",
        }
    }
}

/// The errand that asks for nothing, and only looks.
const STATUS: &str = "status";

/// Does what an errand says.
pub(super) async fn perform(doing: Doing) -> Outcome {
    if &*doing.errand.verb == program::VERB {
        return program::perform(&doing).await;
    }
    let (verb, unit) = (Verb::of(&doing.errand.verb), doing.errand.text("unit"));
    let is_known = verb.is_some() || *doing.errand.verb == *STATUS;
    let Some(unit) = unit.filter(|_| is_known) else {
        return refused("this is no errand for systemd", Lasting::Yes);
    };
    if !Form::UNIT.admits(unit) {
        return refused(&format!("{unit:?} is not {}", Form::UNIT.what), Lasting::Yes);
    }
    let (systemd, removed) = match Systemd::reach(&doing).await {
        Ok(began) => began,
        Err(never) => return never,
    };
    let Some(verb) = verb else { return systemd.status(unit).await };
    systemd.show("before", unit).await;
    let outcome = systemd.ask(&doing, verb, unit, removed).await;
    systemd.show("after", unit).await;
    outcome
}

/// The manager of this machine's units.
struct Systemd {
    connection: Connection,
    manager: Proxy<'static>,
}

/// How a job ended.
enum Over {
    Removed(String),
    Lost,
}

impl Systemd {
    /// Reaches it, unless this is to end before.
    async fn reach(doing: &Doing) -> Result<(Self, SignalStream<'static>), Outcome> {
        let no = |reason: &str| refused(reason, Lasting::No);
        tokio::select! {
            began = Self::connect() => {
                began.map_err(|error| no(&format!("cannot reach systemd: {}", said(&error))))
            }
            () = doing.told_to_end() => Err(no("systemd does not answer")),
        }
    }

    /// Connects, and hears of the ends of all jobs and the changes of all units from now on.
    async fn connect() -> zbus::Result<(Self, SignalStream<'static>)> {
        let connection = Connection::system().await?;
        let path = "/org/freedesktop/systemd1";
        let manager = Proxy::new(&connection, SERVICE, path, MANAGER).await?;
        let removed = manager.receive_signal("JobRemoved").await?;
        manager.call::<_, _, ()>("Subscribe", &()).await?;
        Ok((Self { connection, manager }, removed))
    }

    async fn ask(
        &self,
        doing: &Doing,
        verb: Verb,
        unit: &str,
        mut removed: SignalStream<'static>,
    ) -> Outcome {
        if *doing.ending.borrow() {
            return refused("it was to end before it was asked", Lasting::No);
        }
        let job = match verb {
            Verb::ResetFailed => {
                let done = self.manager.call::<_, _, ()>(verb.method(), &(unit,)).await;
                return done.map_or_else(|error| not_asked(unit, &error), |()| Outcome::Done);
            }
            Verb::Start | Verb::Stop | Verb::Restart | Verb::Reload => {
                let asked = self.manager.call(verb.method(), &(unit, "replace")).await;
                match asked {
                    Ok(job) => job,
                    Err(error) => return not_asked(unit, &error),
                }
            }
        };
        let over = tokio::select! {
            // An end that is there counts, whatever else is there with it.
            biased;
            over = end_of(&mut removed, &job) => over,
            () = doing.told_to_end() => return self.cancel(unit, &job, &mut removed, doing).await,
        };
        match over {
            Over::Removed(result) => self.came_to(unit, &result).await,
            Over::Lost => unknown("systemd was lost sight of before its job ended"),
        }
    }

    /// Cancels a job, and waits until it is gone.
    async fn cancel(
        &self,
        unit: &str,
        job: &OwnedObjectPath,
        removed: &mut SignalStream<'static>,
        doing: &Doing,
    ) -> Outcome {
        let cancelled = async {
            let path = job.clone().into_inner();
            let job_of =
                Proxy::new(&self.connection, SERVICE, path, "org.freedesktop.systemd1.Job");
            // One that is gone by now has ended by itself.
            let _ = job_of.await?.call::<_, _, ()>("Cancel", &()).await;
            zbus::Result::Ok(end_of(removed, job).await)
        };
        match timeout(doing.grace / 2, cancelled).await {
            Ok(Ok(Over::Removed(result))) if result == "done" => Outcome::Done,
            Ok(Ok(Over::Removed(_))) => self.left_as(unit).await,
            Ok(Ok(Over::Lost) | Err(_)) | Err(_) => unknown("systemd's job could not be cancelled"),
        }
    }

    /// What is left of a job that was cancelled: what systemd had begun of it goes on.
    async fn left_as(&self, unit: &str) -> Outcome {
        match timeout(LOOK, self.state(unit)).await {
            Ok(Ok(state)) if ["active", "inactive", "failed"].contains(&&*state.active) => {
                Outcome::Cancelled
            }
            Ok(Ok(state)) => unknown(&format!(
                "the job was cancelled, and systemd goes on with what it had begun: {unit} is {}",
                state.active
            )),
            Ok(Err(_)) | Err(_) => unknown("the job was cancelled, and systemd says no more of it"),
        }
    }

    /// What a job came to that is over.
    async fn came_to(&self, unit: &str, result: &str) -> Outcome {
        match result {
            "done" => Outcome::Done,
            // Another job took its place, in the middle.
            "canceled" => unknown("another job of the unit took its place"),
            _ => {
                let state = timeout(LOOK, self.state(unit)).await.ok().and_then(Result::ok);
                let why = state.map(|state| state.result).unwrap_or_default();
                let hint = match why.as_str() {
                    "start-limit-hit" => ": it was started too often; reset_failed lets it start",
                    _ => "",
                };
                let why = if why.is_empty() { why } else { format!(" ({why}{hint})") };
                Outcome::Failed { reason: format!("the job of {unit} ended as {result}{why}") }
            }
        }
    }

    /// Says how a unit stands.
    async fn status(&self, unit: &str) -> Outcome {
        match self.show("now", unit).await {
            Some(state) if state.load == "not-found" => {
                refused(&format!("{unit}: there is no such unit"), Lasting::Yes)
            }
            Some(_) => Outcome::Done,
            None => refused(&format!("systemd does not say how {unit} stands"), Lasting::No),
        }
    }

    /// Shows how a unit stands, and what its journal says last; returns how it stands, if that is known.
    async fn show(&self, when: &str, unit: &str) -> Option<State> {
        let mut text = format!("{when}: ");
        // Writing into a text never fails.
        let (state, journal) = tokio::join!(timeout(LOOK, self.state(unit)), journal(unit));
        let _ = match &state {
            Ok(Ok(state)) => writeln!(text, "{state}"),
            Ok(Err(error)) => writeln!(text, "{}", said(error)),
            Err(_) => writeln!(text, "systemd does not say how {unit} stands"),
        };
        for line in journal.iter().flat_map(|journal| journal.lines()) {
            let _ = writeln!(text, "  {line}");
        }
        let _ = std::io::stdout().write_all(text.as_bytes());
        state.ok()?.ok()
    }

    async fn state(&self, unit: &str) -> zbus::Result<State> {
        let path: OwnedObjectPath = self.manager.call("LoadUnit", &(unit,)).await?;
        let of = self.properties(path).await?;
        let mut state = State {
            load: of.get(UNIT, "LoadState").await?,
            active: of.get(UNIT, "ActiveState").await?,
            sub: of.get(UNIT, "SubState").await?,
            ..State::default()
        };
        if unit.ends_with(".service") {
            state.result = of.get(SERVICE_UNIT, "Result").await?;
            state.restarts = Some(of.get(SERVICE_UNIT, "NRestarts").await?);
        }
        Ok(state)
    }

    async fn properties(&self, unit: OwnedObjectPath) -> zbus::Result<Properties> {
        Proxy::new(&self.connection, SERVICE, unit.into_inner(), PROPERTIES).await.map(Properties)
    }
}

/// The properties of one unit.
struct Properties(Proxy<'static>);

impl Properties {
    async fn get<T>(&self, interface: &str, name: &str) -> zbus::Result<T>
    where
        T: TryFrom<OwnedValue, Error = zvariant::Error>,
    {
        Ok(self.0.call::<_, _, OwnedValue>("Get", &(interface, name)).await?.try_into()?)
    }
}

/// How a unit stands.
#[derive(Debug, Default)]
struct State {
    load: String,
    active: String,
    sub: String,
    result: String,
    restarts: Option<u32>,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} ({})", self.load, self.active, self.sub)?;
        if !self.result.is_empty() {
            write!(f, ", result {}", self.result)?;
        }
        self.restarts.map_or(Ok(()), |restarts| write!(f, ", restarted {restarts} times by itself"))
    }
}

/// Waits for the next signal; nothing, where the connection is lost.
async fn next(signals: &mut SignalStream<'static>) -> Option<Message> {
    poll_fn(|context| Pin::new(&mut *signals).poll_next(context)).await
}

/// Waits for the end of one job.
async fn end_of(removed: &mut SignalStream<'static>, job: &OwnedObjectPath) -> Over {
    while let Some(signal) = next(removed).await {
        let body = signal.body();
        let parsed = body.deserialize::<(u32, OwnedObjectPath, String, String)>();
        if let Ok((_, removed, _, result)) = parsed
            && removed == *job
        {
            return Over::Removed(result);
        }
    }
    Over::Lost
}

/// What systemd answered instead of making a job.
fn not_asked(unit: &str, error: &zbus::Error) -> Outcome {
    let zbus::Error::MethodError(name, ..) = error else {
        return unknown(&format!("systemd did not answer: {}", said(error)));
    };
    let (what, lasting) = match name.as_str() {
        "org.freedesktop.DBus.Error.NoReply"
        | "org.freedesktop.DBus.Error.Timeout"
        | "org.freedesktop.DBus.Error.TimedOut"
        | "org.freedesktop.DBus.Error.Disconnected" => {
            return unknown(&format!("systemd did not answer: {}", said(error)));
        }
        "org.freedesktop.systemd1.NoSuchUnit" => ("there is no such unit", Lasting::Yes),
        "org.freedesktop.systemd1.UnitMasked" => ("the unit is masked", Lasting::Yes),
        "org.freedesktop.systemd1.BadUnitSetting" | "org.freedesktop.systemd1.LoadFailed" => {
            ("the unit cannot be loaded", Lasting::Yes)
        }
        "org.freedesktop.systemd1.JobTypeNotApplicable"
        | "org.freedesktop.systemd1.OnlyByDependency"
        | "org.freedesktop.DBus.Error.InvalidArgs" => {
            ("this cannot be done with the unit", Lasting::Yes)
        }
        "org.freedesktop.DBus.Error.AccessDenied"
        | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" => {
            ("the engine's user may not do this; a rule of polkit would let it", Lasting::Yes)
        }
        _ => ("systemd refused", Lasting::No),
    };
    refused(&format!("{unit}: {what}: {}", said(error)), lasting)
}

/// What went wrong, on one line.
fn said(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(_, Some(text), _) => one_line(text),
        error => one_line(&error.to_string()),
    }
}

fn unknown(reason: &str) -> Outcome {
    Outcome::Unknown { reason: Doubt::Hand { reason: reason.to_owned() } }
}

/// The last lines of a unit's journal, where there is one that this user may read.
async fn journal(unit: &str) -> Option<String> {
    let mut command = Command::new("journalctl");
    command.arg(format!("--unit={unit}")).arg(format!("--lines={LINES}"));
    command.args(["--no-pager", "--quiet", "--output=short-iso"]);
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = timeout(LOOK, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_of_the_configuration_has_its_method() {
        let verbs = ["start", "stop", "restart", "reload", "reset_failed"];
        let methods = verbs.map(|verb| Verb::of(verb).unwrap().method());
        let expected = ["StartUnit", "StopUnit", "RestartUnit", "ReloadUnit", "ResetFailedUnit"];
        assert_eq!(methods, expected);
        assert_eq!((Verb::of("kill"), Verb::of(STATUS)), (None, None));
    }

    #[test]
    fn the_name_of_a_unit_is_never_a_path_or_an_option() {
        for name in ["web.service", "web@a.b:80.service", "dev-disk\\x2did.device", "a_b.timer"] {
            assert!(Form::UNIT.admits(name), "{name}");
        }
        for name in ["", "/etc/x.service", "a/b.service", "-x.service", "a b.service", "a*.service"]
        {
            assert!(!Form::UNIT.admits(name), "{name}");
        }
    }
}
