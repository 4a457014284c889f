//! The processes of one run: finding them and ending them.
//!
//! A process belongs to the run if it is in the leader's process group, descends from a member, was
//! seen to belong before, or carries the run's token in its environment, which is how one is found
//! that called `setsid` and whose parents are gone. What does all of that and clears its
//! environment between two looks escapes, unless the run has a cgroup: that holds it. Of one that
//! became another user, so that its environment may not be read, the reaper knows that it is of a run.
//!
//! Numbers of processes are used again, so a member is its number *and* its start time, and a
//! signal goes through a pidfd that was compared with them. The group's number cannot be used again
//! as long as the leader is not reaped; so a tree is ended before its leader is waited for, and
//! after that the group is no longer asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::param::clock_ticks_per_second;
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open, pidfd_send_signal,
};
use rustix::time::{ClockId, Timespec, clock_gettime};

use super::cgroup::Cgroup;
use super::environment::RUN;
use super::limits::{PROC_ENVIRON_MAX, STUCK_MAX};
use super::owner::Owner;
use super::process::{Process, describe};

/// The processes of one run.
#[derive(Debug)]
pub(super) struct Tree {
    leader: i32,
    /// When none of the run was there yet, in clock ticks since boot.
    since: u64,
    /// Whether the leader's number is still its own.
    group: Group,
    /// The entry of the environment that all processes of the run inherit.
    token: Vec<u8>,
    known: BTreeSet<Member>,
    owner: Owner,
    cgroup: Option<Cgroup>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Held,
    Released,
}

/// One process, safe against numbers that are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    pub(super) pid: i32,
    /// In clock ticks since boot.
    pub(super) started: u64,
}

/// A time, as the kernel tells when a process started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticks(u64);

impl Ticks {
    /// Source: `proc_pid_stat(5)`, `clock_gettime(2)`.
    pub(super) fn now() -> Self {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Boottime);
        let a_second = clock_ticks_per_second();
        let of_a_second = tv_nsec.unsigned_abs() * a_second / 1_000_000_000;
        Self(tv_sec.unsigned_abs() * a_second + of_a_second)
    }
}

/// What `/proc/<pid>/stat` says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stat {
    pub(super) member: Member,
    state: u8,
    pub(super) parent: i32,
    group: i32,
}

impl Tree {
    /// The tree of a process that was just spawned into its own group, and is not reaped. `since` is a
    /// time before it was.
    pub(super) fn of(
        leader: i32,
        since: Ticks,
        run: &str,
        owner: Owner,
        cgroup: Option<Cgroup>,
    ) -> Self {
        let token = format!("{RUN}={run}").into_bytes();
        let known = BTreeSet::new();
        Self { leader, since: since.0, group: Group::Held, token, known, owner, cgroup }
    }

    /// The leader is reaped: its number may belong to a stranger from now on.
    pub(super) fn release_group(&mut self) {
        self.group = Group::Released;
    }

    /// How many processes of the run live.
    pub(super) fn count(&mut self) -> u32 {
        if self.group == Group::Released && self.owner.has_no_orphans() {
            return 0;
        }
        u32::try_from(self.look().len()).expect("Linux has fewer than 2^22 process numbers")
    }

    /// The processes of the run that live, in words.
    pub(super) fn list(&mut self) -> Vec<Process> {
        self.look().iter().take(STUCK_MAX).map(describe).collect()
    }

    /// Lets go of what held its processes together. Nothing of it lives.
    pub(super) fn close(&mut self) {
        if let Some(cgroup) = self.cgroup.take() {
            cgroup.remove();
        }
    }

    /// Whether nothing of it lives; if so, lets go.
    pub(super) fn is_over(&mut self) -> bool {
        let over = self.count() == 0;
        if over {
            self.close();
        }
        over
    }

    /// Sends a signal to every process of the run and tells how many there were.
    pub(super) fn signal(&mut self, signal: Signal) -> u32 {
        let members = self.look();
        if let Some(cgroup) = self.cgroup.as_ref().filter(|_| signal == Signal::KILL) {
            // First: what forks faster than we look does not outrun this.
            cgroup.kill();
        }
        if self.group == Group::Held
            && let Some(leader) = Pid::from_raw(self.leader)
        {
            // The group at once, so that none of it forks away between two signals. It may be
            // empty by now; what then lives elsewhere is in `members`.
            let _ = kill_process_group(leader, signal);
        }
        for stat in &members {
            if self.group == Group::Released || stat.group != self.leader {
                stat.member.signal(signal);
            }
        }
        u32::try_from(members.len()).expect("Linux has fewer than 2^22 process numbers")
    }

    /// The processes of the run that live now; dead ones that nobody has reaped do not count.
    fn look(&mut self) -> Vec<Stat> {
        // Before the reading, so that whoever is in it is in both, or was born since.
        let held = self.cgroup.as_ref().map(Cgroup::processes).unwrap_or_default();
        let scan = Scan::since_now();
        let mut members: BTreeMap<i32, Stat> = BTreeMap::new();
        for process in &scan.processes {
            let stat = &process.stat;
            let known = self.known.contains(&stat.member);
            let held = held.contains(&stat.member.pid);
            if known || held || self.is_in_group(stat) || self.is_marked(process) {
                members.insert(stat.member.pid, *stat);
            }
        }
        add_descendants(&mut members, &scan.processes);
        self.known = members.values().map(|stat| stat.member).collect();
        members.into_values().filter(|stat| !stat.is_dead()).collect()
    }

    fn is_in_group(&self, stat: &Stat) -> bool {
        self.group == Group::Held && [stat.group, stat.member.pid].contains(&self.leader)
    }

    fn is_marked(&self, process: &Seen) -> bool {
        // Nothing of the run is older than it: this spares reading the environment of nearly all
        // processes of the machine.
        let stat = &process.stat;
        let may_be = stat.member.started >= self.since && !stat.is_dead();
        may_be
            && process.runs().map_or_else(
                // Who became another user and left its parents comes to the reaper, as all that
                // descends from runs does: nobody can say of which run it is, so it is of each.
                || self.cgroup.is_none() && self.owner.is_orphan(stat.member.pid, stat.parent),
                |runs| runs.contains(&self.token),
            )
    }
}

/// All processes at one moment. Many runs that end at once share one reading of `/proc`, which
/// costs as much as all else that the end of a run costs.
#[derive(Debug)]
struct Scan {
    began: Instant,
    processes: Vec<Seen>,
}

impl Scan {
    /// A reading that began after this was asked for, by us or by somebody who asked meanwhile.
    fn since_now() -> Arc<Self> {
        static LATEST: Mutex<Option<Arc<Scan>>> = Mutex::new(None);
        let asked = Instant::now();
        // Whoever reads holds the lock, so that whoever waits for it takes the next reading, and
        // all who wait take the same.
        let mut latest = LATEST.lock();
        if let Some(scan) = latest.as_ref().filter(|scan| scan.began > asked) {
            return Arc::clone(scan);
        }
        let began = Instant::now();
        let processes = Stat::all().into_iter().map(Seen::of).collect();
        Arc::clone(latest.insert(Arc::new(Self { began, processes })))
    }
}

/// One process of a reading.
#[derive(Debug)]
struct Seen {
    stat: Stat,
    runs: OnceLock<Option<Vec<Vec<u8>>>>,
}

impl Seen {
    fn of(stat: Stat) -> Self {
        Self { stat, runs: OnceLock::new() }
    }

    /// The tokens of runs in its environment, read when somebody first asks. None: they may not be
    /// read, as of a process of another user.
    fn runs(&self) -> Option<&[Vec<u8>]> {
        let runs = self.runs.get_or_init(|| {
            let file = match File::open(format!("/proc/{}/environ", self.stat.member.pid)) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::PermissionDenied => return None,
                // It is gone.
                Err(_) => return Some(Vec::new()),
            };
            let mut environment = Vec::new();
            let _ = file.take(PROC_ENVIRON_MAX).read_to_end(&mut environment);
            let entries = environment.split(|byte| *byte == 0);
            let runs = entries.filter(|entry| entry.starts_with(RUN.as_bytes()));
            Some(runs.map(<[u8]>::to_vec).collect())
        });
        runs.as_deref()
    }
}

/// The children of a process, on kernels that keep no list of them.
pub(super) fn children_of(parent: u32) -> Vec<i32> {
    let is_child = |stat: &Stat| u32::try_from(stat.parent).is_ok_and(|pid| pid == parent);
    Stat::all().into_iter().filter(is_child).map(|stat| stat.member.pid).collect()
}

/// Adds, generation by generation, the processes whose parent is a member.
fn add_descendants(members: &mut BTreeMap<i32, Stat>, all: &[Seen]) {
    loop {
        let before = members.len();
        for Seen { stat, .. } in all {
            if members.contains_key(&stat.parent) {
                members.entry(stat.member.pid).or_insert(*stat);
            }
        }
        if members.len() == before {
            return;
        }
    }
}

impl Member {
    /// Sends a signal to this process and to no other. It may be gone, or not ours to signal:
    /// the next look shows that it lives.
    fn signal(self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        let descriptor = pidfd_open(pid, PidfdFlags::empty());
        if Stat::read(self.pid).is_none_or(|stat| stat.member != self) {
            return;
        }
        let _ = match descriptor {
            Ok(descriptor) => pidfd_send_signal(descriptor, signal),
            // Sandboxes without pidfd: between the comparison and here the number could in
            // theory be used again.
            Err(Errno::NOSYS | Errno::PERM) => kill_process(pid, signal),
            Err(error) => Err(error),
        };
    }
}

impl Stat {
    /// All processes that could belong to a run: not the engine itself, and not init.
    pub(super) fn all() -> Vec<Self> {
        let own = std::process::id();
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| *pid > 1 && pid.unsigned_abs() != own)
            .filter_map(Self::read)
            .collect()
    }

    pub(super) fn read(pid: i32) -> Option<Self> {
        Self::parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads the fields after the command's name, which may itself contain anything.
    ///
    /// Source: `proc_pid_stat(5)`.
    fn parse(pid: i32, line: &[u8]) -> Option<Self> {
        let name_end = line.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(&line[name_end + 1..]).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The first of them is field 3 of the manual page.
        let field = |number: usize| fields.get(number - 3).copied();
        let started = field(22)?.parse().ok()?;
        Some(Self {
            member: Member { pid, started },
            state: *field(3)?.as_bytes().first()?,
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
        })
    }

    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_command_cannot_forge_the_fields_after_it() {
        let line =
            b"7 (x) S 1 1 1) Z 5 6 -1 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 4242 23 24\n";
        let stat = Stat::parse(7, line).unwrap();
        assert_eq!((stat.state, stat.parent, stat.group), (b'Z', 5, 6));
        assert_eq!(stat.member, Member { pid: 7, started: 4242 });
        assert!(Stat::parse(7, b"").is_none());
        assert!(Stat::parse(7, b"7 (x) S 1").is_none());
    }

    #[test]
    fn this_process_reads_itself() {
        let own = i32::try_from(std::process::id()).unwrap();
        let stat = Stat::read(own).unwrap();
        assert!(stat.member.started > 0 && !stat.is_dead());
        assert!(Stat::all().iter().all(|other| other.member.pid != own));
    }

    #[test]
    fn the_clock_is_that_by_which_processes_start() {
        let before = Ticks::now();
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let started = Stat::read(pid).unwrap().member.started;
        let after = Ticks::now();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(before.0 <= started && started <= after.0, "{before:?} {started} {after:?}");
    }

    #[test]
    fn descendants_of_all_generations_are_found() {
        let process = |pid, parent| {
            let member = Member { pid, started: 1 };
            Seen::of(Stat { member, state: b'S', parent, group: parent })
        };
        let all = [(13, 12), (12, 11), (20, 1), (11, 10), (10, 1)].map(|(a, b)| process(a, b));
        let mut members = BTreeMap::from([(10, all[4].stat)]);
        add_descendants(&mut members, &all);
        assert_eq!(members.into_keys().collect::<Vec<_>>(), [10, 11, 12, 13]);
    }

    #[test]
    fn a_number_that_is_used_again_is_not_signalled() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let real = Stat::read(pid).unwrap().member;
        Member { started: real.started + 1, ..real }.signal(Signal::KILL);
        real.signal(Signal::TERM);
        // Had the first one been sent, it would have come before the second.
        let status = std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap());
        assert_eq!(status, Some(15));
    }
}
