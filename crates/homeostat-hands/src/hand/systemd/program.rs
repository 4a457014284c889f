//! Runs a program as a transient unit: systemd is its owner, with all that systemd does for a service. A
//! cgroup with limits, a user, the end of all of it, a place in the journal.
//!
//! ```text
//!  connect ─> StartTransientUnit ─> watch ─> inactive or failed, and no job: what it came to
//!              │                     └── limit, cancel ─> StopUnit ─> ended
//!              ├── certainly nothing
//!              └── there is one of this name: it may be ours
//! ```
//!
//! The unit is named after the order, and no other order ever has its name: it is never started beside
//! itself. Its streams are ours. It is kept (`AddRef`) until we have read how it ended, and goes by itself
//! then; where we are gone, at its own end, which is the order's limit at the latest (`RuntimeMaxSec`).
//!
//! Source: org.freedesktop.systemd1(5), systemd.service(5), systemd.exec(5).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use homeostat_core::errand::{Errand, Form};
use tokio::time::{sleep, timeout};
use zbus::proxy::SignalStream;
use zbus::zvariant::{Fd, OwnedObjectPath, Value};

use super::super::{Doing, Lasting, refused};
use super::{Properties, SERVICE_UNIT, Systemd, UNIT, next, not_asked, said, unknown};
use crate::act::{Outcome, told};

/// The verb of such an errand.
pub(super) const VERB: &str = "run";

/// How often a unit is looked at of which no signal came: one may be lost with systemd's own restart.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Exit codes with which systemd says that it could not do what comes before the program itself.
/// Source: systemd.exec(5), "Process Exit Codes".
const NOT_RUN: std::ops::RangeInclusive<i32> = 200..=245;

/// How a process ended, as `waitid` has it.
const CLD_EXITED: i32 = 1;
const CLD_KILLED: i32 = 2;
const CLD_DUMPED: i32 = 3;

/// Runs the program of an errand.
pub(super) async fn perform(doing: &Doing) -> Outcome {
    let unit = match Unit::of(doing) {
        Ok(unit) => unit,
        Err(never) => return never,
    };
    match Systemd::reach(doing).await {
        Ok((systemd, _)) => systemd.run(doing, unit).await,
        Err(never) => never,
    }
}

/// A unit that is to be made.
#[derive(Debug)]
struct Unit {
    name: String,
    properties: Vec<(&'static str, Value<'static>)>,
}

impl Unit {
    /// Reads an errand, and refuses what certainly cannot be run.
    fn of(doing: &Doing) -> Result<Self, Outcome> {
        let never = |reason: &str| refused(reason, Lasting::Yes);
        let no_errand = || never("this is no errand for systemd");
        let argv = doing.errand.list("argv").ok_or_else(no_errand)?;
        let program = argv.first().ok_or_else(no_errand)?;
        let path = find(program)
            .ok_or_else(|| never(&format!("there is no program {program:?} on this machine")))?;
        let order = doing.work.file_name().and_then(|name| name.to_str()).ok_or_else(no_errand)?;
        let name = format!("homeostat-{order}.service");
        if !Form::UNIT.admits(&name) {
            return Err(never(&format!("{name:?} is not {}", Form::UNIT.what)));
        }
        // Else systemd would put values of its own in the place of `$NAME` in arguments.
        let command = (path, argv.to_vec(), vec!["no-env-expand"]);
        let variables: Vec<String> =
            told().map(|(name, value)| format!("{name}={value}")).collect();
        let mut properties: Vec<(_, Value<'_>)> = vec![
            ("Description", Value::from(format!("Homeostat, order {order}"))),
            ("Type", Value::from("exec")),
            ("CollectMode", Value::from("inactive-or-failed")),
            ("AddRef", Value::from(true)),
            ("ExecStartEx", Value::from(vec![command])),
            ("Environment", Value::from(variables)),
            ("RuntimeMaxUSec", micros(doing.timeout)),
            ("TimeoutStopUSec", micros(time_to_stop(doing))),
        ];
        properties.extend(given(&doing.errand).ok_or_else(no_errand)?);
        let streams = streams().map_err(|error| {
            refused(&format!("cannot hand over the output: {error}"), Lasting::No)
        })?;
        properties.extend(streams.map(|(name, stream)| (name, Value::from(Fd::from(stream)))));
        Ok(Self { name, properties })
    }
}

/// What an errand says of its unit; nothing, where that cannot be read.
fn given(errand: &Errand) -> Option<Vec<(&'static str, Value<'static>)>> {
    let mut properties = Vec::new();
    match errand.text("user") {
        Some(user) => properties.push(("User", Value::from(user.to_owned()))),
        // A unit that says nothing runs as root, and whoever may make one need not be root.
        None if !rustix::process::geteuid().is_root() => {
            let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
            properties.push(("User", Value::from(user.as_raw().to_string())));
            properties.push(("Group", Value::from(group.as_raw().to_string())));
        }
        None => {}
    }
    if let Some(directory) = errand.text("working_directory") {
        properties.push(("WorkingDirectory", Value::from(directory.to_owned())));
    }
    if let Some(size) = errand.text("memory_max") {
        properties.push(("MemoryMax", Value::from(bytes(size)?)));
    }
    if let Some(tasks) = errand.text("tasks_max") {
        properties.push(("TasksMax", Value::from(tasks.parse::<u64>().ok()?)));
    }
    if let Some(quota) = errand.text("cpu_quota") {
        let percent: u64 = quota.strip_suffix('%')?.parse().ok()?;
        // Microseconds of each second.
        properties.push(("CPUQuotaPerSecUSec", Value::from(percent.checked_mul(10_000)?)));
    }
    Some(properties)
}

/// The bytes of a size, as systemd has it.
fn bytes(size: &str) -> Option<u64> {
    let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
    let unit = units.into_iter().find(|(unit, _)| size.ends_with(*unit));
    let (digits, shift) = match unit {
        Some((unit, shift)) => (size.strip_suffix(unit)?, shift),
        None => (size, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn micros(span: Duration) -> Value<'static> {
    Value::from(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}

/// How long a unit may take to end by itself when it is stopped. The rest of the grace is for systemd,
/// which kills it then, and for us, who say so.
fn time_to_stop(doing: &Doing) -> Duration {
    doing.grace / 2
}

/// Our own streams. What is read begins at its beginning once more: we have read it.
fn streams() -> io::Result<[(&'static str, OwnedFd); 3]> {
    Ok([
        ("StandardInputFileDescriptor", File::open("/proc/self/fd/0")?.into()),
        ("StandardOutputFileDescriptor", io::stdout().as_fd().try_clone_to_owned()?),
        ("StandardErrorFileDescriptor", io::stderr().as_fd().try_clone_to_owned()?),
    ])
}

/// Where a program is: on our `PATH`, unless it has a slash.
fn find(program: &str) -> Option<String> {
    let is_program = |path: &Path| {
        let found = path.metadata();
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let candidates: Vec<PathBuf> = if program.contains('/') {
        vec![program.into()]
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|directory| directory.join(program)).collect()
    };
    let found = candidates.into_iter().find(|path| path.is_absolute() && is_program(path))?;
    found.into_os_string().into_string().ok()
}

/// How a unit ended.
#[derive(Debug)]
struct End {
    result: String,
    code: i32,
    status: i32,
    /// Whether its program was seen to run.
    ran: bool,
}

impl End {
    fn outcome(&self, errand: &Errand) -> Outcome {
        let Self { result, code, status, ran } = self;
        let failed = |reason: String| Outcome::Failed { reason };
        match (&**result, *code) {
            ("oom-kill", _) => {
                let limit = errand.text("memory_max");
                let limit = limit.map_or_else(String::new, |max| format!("; its limit is {max}"));
                failed(format!("it was ended for want of memory (oom-kill){limit}"))
            }
            ("timeout", _) => Outcome::TimedOut,
            ("exit-code", CLD_EXITED) if !ran && NOT_RUN.contains(status) => failed(format!(
                "systemd could not run it ({}), unless the program ends with this code itself",
                cause(*status)
            )),
            (_, CLD_EXITED) => Outcome::Exited { code: *status },
            (_, CLD_KILLED | CLD_DUMPED) => Outcome::Signalled { signal: *status },
            (result, _) => failed(format!("systemd could not run it ({result})")),
        }
    }
}

/// What a code says with which systemd gave up before the program ran.
fn cause(status: i32) -> String {
    let word = match status {
        200 => "CHDIR: there is no such working directory, or it may not be entered",
        203 => "EXEC: the program cannot be executed",
        216 => "GROUP: there is no such group",
        217 => "USER: there is no such user",
        _ => return format!("exit code {status}"),
    };
    format!("{status}/{word}")
}

/// A unit that is watched.
struct Watched {
    properties: Properties,
    changed: SignalStream<'static>,
}

impl Watched {
    /// How the unit ended, if it has.
    async fn end(&self) -> zbus::Result<Option<End>> {
        let of = &self.properties;
        let (job, _): (u32, OwnedObjectPath) = of.get(UNIT, "Job").await?;
        let active: String = of.get(UNIT, "ActiveState").await?;
        if job != 0 || !["inactive", "failed"].contains(&&*active) {
            return Ok(None);
        }
        Ok(Some(End {
            result: of.get(SERVICE_UNIT, "Result").await?,
            code: of.get(SERVICE_UNIT, "ExecMainCode").await?,
            status: of.get(SERVICE_UNIT, "ExecMainStatus").await?,
            ran: of.get::<u64>(UNIT, "ActiveEnterTimestampMonotonic").await? > 0,
        }))
    }

    /// Waits until it has ended. A signal only says when to look.
    async fn until_ended(&mut self) -> zbus::Result<End> {
        loop {
            if let Some(end) = self.end().await? {
                return Ok(end);
            }
            tokio::select! {
                signal = next(&mut self.changed) => {
                    signal.ok_or_else(|| zbus::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)))?;
                }
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }
}

impl Systemd {
    async fn run(&self, doing: &Doing, unit: Unit) -> Outcome {
        if *doing.ending.borrow() {
            return refused("it was to end before it was asked", Lasting::No);
        }
        let Unit { name, properties } = unit;
        let others: [(&str, Vec<(&str, Value<'_>)>); 0] = [];
        let asked = (&*name, "fail", properties, &others[..]);
        let made = self.manager.call::<_, _, OwnedObjectPath>("StartTransientUnit", &asked).await;
        if let Err(error) = made {
            return not_made(&name, &error);
        }
        let mut watched = match self.watch(&name).await {
            Ok(watched) => watched,
            Err(error) => return lost(&error),
        };
        let ended = tokio::select! {
            // An end that is there counts, whatever else is there with it.
            biased;
            ended = watched.until_ended() => ended,
            () = doing.told_to_end() => return self.stop(doing, &name, &mut watched).await,
        };
        ended.map_or_else(|error| lost(&error), |end| end.outcome(&doing.errand))
    }

    async fn watch(&self, name: &str) -> zbus::Result<Watched> {
        let unit: OwnedObjectPath = self.manager.call("GetUnit", &(name,)).await?;
        let properties = self.properties(unit).await?;
        let changed = properties.0.receive_signal("PropertiesChanged").await?;
        Ok(Watched { properties, changed })
    }

    /// Stops a unit, and waits until all of it has ended.
    async fn stop(&self, doing: &Doing, name: &str, watched: &mut Watched) -> Outcome {
        let stopped = async {
            let asked = (name, "replace");
            self.manager.call::<_, _, OwnedObjectPath>("StopUnit", &asked).await?;
            watched.until_ended().await
        };
        match timeout(doing.grace / 4 * 3, stopped).await {
            Ok(Ok(_)) => Outcome::Cancelled,
            Ok(Err(error)) => lost(&error),
            Err(_) => unknown("the unit was stopped, and systemd does not say that it has ended"),
        }
    }
}

/// What systemd answered instead of making a unit.
fn not_made(name: &str, error: &zbus::Error) -> Outcome {
    match error {
        zbus::Error::MethodError(what, ..) if *what == "org.freedesktop.systemd1.UnitExists" => {
            unknown(&format!("there is a unit {name} already: it may be of this very order"))
        }
        _ => not_asked(name, error),
    }
}

fn lost(error: &zbus::Error) -> Outcome {
    unknown(&format!("systemd was lost sight of while the unit ran: {}", said(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_systemd() {
        let table = [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("512K", Some(512 << 10)),
            ("512M", Some(512 << 20)),
            ("2G", Some(2 << 30)),
            ("1T", Some(1 << 40)),
            ("99999999T", None),
            ("1MM", None),
            ("1m", None),
            ("-1", None),
            ("", None),
            ("M", None),
        ];
        for (text, expected) in table {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    fn ended(result: &str, code: i32, status: i32, ran: bool) -> Outcome {
        let fields =
            vec![("memory_max".into(), homeostat_core::errand::Field::Text("512M".into()))];
        let errand = Errand { hand: "systemd".into(), verb: VERB.into(), fields };
        End { result: result.into(), code, status, ran }.outcome(&errand)
    }

    #[test]
    fn each_end_of_a_unit_is_a_clear_one() {
        assert_eq!(ended("success", CLD_EXITED, 0, true), Outcome::Exited { code: 0 });
        assert_eq!(ended("exit-code", CLD_EXITED, 7, true), Outcome::Exited { code: 7 });
        assert_eq!(ended("exit-code", CLD_EXITED, 7, false), Outcome::Exited { code: 7 });
        assert_eq!(ended("exit-code", CLD_EXITED, 217, true), Outcome::Exited { code: 217 });
        // To systemd some signals are a good end.
        assert_eq!(ended("success", CLD_KILLED, 15, true), Outcome::Signalled { signal: 15 });
        assert_eq!(ended("core-dump", CLD_DUMPED, 6, true), Outcome::Signalled { signal: 6 });
        assert_eq!(ended("timeout", CLD_KILLED, 15, true), Outcome::TimedOut);
        for (result, code, status, ran, words) in [
            ("oom-kill", CLD_KILLED, 9, true, "want of memory (oom-kill); its limit is 512M"),
            ("exit-code", CLD_EXITED, 217, false, "217/USER: there is no such user"),
            ("exit-code", CLD_EXITED, 226, false, "exit code 226"),
            ("resources", 0, 0, false, "could not run it (resources)"),
        ] {
            let Outcome::Failed { reason } = ended(result, code, status, ran) else { panic!() };
            assert!(reason.contains(words), "{reason}");
        }
    }
}
