//! A cgroup for each run, where the kernel and our rights allow it.
//!
//! A process leaves its group by `setsid`, its parents by a double fork and its variables by
//! clearing them. It does not leave its cgroup, unless it may write there and means to: so one
//! write to `cgroup.kill` ends all of a run, whatever it did.
//!
//! ```text
//!  <mount>/<own cgroup>/homeostat-<storage>-<runner's number>/<order>-<token>
//! ```
//!
//! Source: `Documentation/admin-guide/cgroup-v2.rst` of Linux. No controller is switched on, so the
//! rule of no processes in inner nodes does not concern us, in a cgroup that is delegated or not.
//! Where version 2 is mounted is asked of the kernel: on machines with both versions it is not
//! below the usual place.

use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::limits::CGROUP_DEPTH_MAX;
use super::spawn::{Place, can_watch};

/// The place where the cgroups of one runner lie.
#[derive(Debug)]
pub struct Cgroups {
    base: PathBuf,
    /// How the names of such places begin, for this storage.
    prefix: String,
}

/// The cgroup of one run.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
}

impl Cgroups {
    /// Makes the place, and clears away what earlier runners of this storage left empty. None where
    /// there is no version 2, or where we may not.
    pub fn create(orders: &Path) -> Option<Self> {
        let own = own_cgroup()?;
        let storage = fs::metadata(orders).ok()?.ino();
        let prefix = format!("homeostat-{storage}-");
        clear(&own, &prefix);
        let base = own.join(format!("{prefix}{}", std::process::id()));
        fs::create_dir(&base).ok()?;
        let cgroups = Self { base, prefix };
        // Whether processes may be moved shows when one is opened for that.
        let may = can_watch()
            && fs::exists(cgroups.base.join("cgroup.kill")).ok()?
            && cgroups.make("probe", "probe").is_some_and(|probe| {
                let may_enter = probe.place().is_some();
                probe.remove();
                may_enter
            });
        if may {
            Some(cgroups)
        } else {
            cgroups.remove();
            None
        }
    }

    pub(super) fn make(&self, order: &str, run: &str) -> Option<Cgroup> {
        let path = self.base.join(format!("{order}-{run}"));
        fs::create_dir(&path).ok()?;
        Some(Cgroup { path })
    }

    /// Removes the cgroups of runs whose last process has died. Only while nothing is started: a
    /// new one is empty, too.
    pub(super) fn tidy(&self) {
        for run in directories(&self.base) {
            remove_empty(&run, 0);
        }
    }

    /// Removes all of it that is empty, with the place itself and with what runners left that were
    /// killed: the kernel refuses the rest.
    pub(super) fn remove(&self) {
        remove_empty(&self.base, 0);
        if let Some(own) = self.base.parent() {
            clear(own, &self.prefix);
        }
    }
}

impl Cgroup {
    /// What a child needs to be in it. None where processes may not be moved.
    pub(super) fn place(&self) -> Option<Place> {
        let directory = File::open(&self.path).ok()?.into();
        let entrance = OpenOptions::new().write(true).open(self.path.join("cgroup.procs")).ok()?;
        Some(Place { directory, entrance })
    }

    /// Kills all that is in it, and what they fork meanwhile.
    pub(super) fn kill(&self) {
        // Where it fails, the next look shows who lives.
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
    }

    /// The numbers of the processes in it, and in the cgroups that they made below it.
    pub(super) fn processes(&self) -> Vec<i32> {
        if !self.is_populated() {
            return Vec::new();
        }
        let mut found = Vec::new();
        collect(&self.path, 0, &mut found);
        found
    }

    fn is_populated(&self) -> bool {
        let events = fs::read_to_string(self.path.join("cgroup.events")).unwrap_or_default();
        events.lines().any(|line| line == "populated 1")
    }

    /// Removes it, if nothing lives there.
    pub(super) fn remove(&self) {
        if fs::remove_dir(&self.path).is_err() {
            remove_empty(&self.path, 0);
        }
    }
}

fn collect(path: &Path, depth: usize, found: &mut Vec<i32>) {
    let list = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    found.extend(list.lines().filter_map(|pid| pid.parse::<i32>().ok()).filter(|pid| *pid > 0));
    if depth < CGROUP_DEPTH_MAX {
        for below in directories(path) {
            collect(&below, depth + 1, found);
        }
    }
}

/// Removes a cgroup and those below it, as far as they are empty.
fn remove_empty(path: &Path, depth: usize) {
    if depth < CGROUP_DEPTH_MAX {
        for below in directories(path) {
            remove_empty(&below, depth + 1);
        }
    }
    // A populated one refuses, and its processes live on in it.
    let _ = fs::remove_dir(path);
}

/// Clears what runners of this storage left that are gone.
fn clear(own: &Path, prefix: &str) {
    for path in directories(own) {
        let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
        let number = std::str::from_utf8(name).ok().and_then(|name| name.strip_prefix(prefix));
        let is_gone = |number: &str| !Path::new("/proc").join(number).exists();
        if number.is_some_and(is_gone) {
            remove_empty(&path, 0);
        }
    }
}

fn directories(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.filter_map(Result::ok).filter(is_directory).map(|entry| entry.path()).collect()
}

/// The directory of the cgroup that this process is in.
fn own_cgroup() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    place(&mounts, &groups)
}

/// Where a cgroup of version 2 is found, by what the kernel says of mounts and of a process.
///
/// Source: `proc_pid_mountinfo(5)`, `cgroups(7)`.
fn place(mounts: &str, groups: &str) -> Option<PathBuf> {
    let within = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        if after.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = before.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        // In a container a part of the hierarchy may be mounted: what is not below it is not seen.
        let rest = if root == "/" { within } else { within.strip_prefix(root)? };
        Some(Path::new(&unescaped(point)).join(rest.trim_start_matches('/')))
    })
}

/// Spaces and the like stand in mountinfo as three octal digits.
fn unescaped(text: &str) -> String {
    let named = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    named.iter().fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_found_beside_version_1_and_in_containers() {
        let hybrid = "\
24 1 0:20 / /sys/fs/cgroup rw - tmpfs tmpfs rw
30 24 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
41 24 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
        let found = place(hybrid, "4:memory:/x\n0::/\n");
        assert_eq!(found, Some(PathBuf::from("/sys/fs/cgroup/unified/")));
        let service = place(hybrid, "0::/system.slice/homeostat.service\n").unwrap();
        let expected = "/sys/fs/cgroup/unified/system.slice/homeostat.service";
        assert_eq!(service, PathBuf::from(expected));
        let part = "9 1 0:3 /pod/a /my\\040cgroup rw - cgroup2 none rw";
        assert_eq!(place(part, "0::/pod/a/b\n"), Some(PathBuf::from("/my cgroup/b")));
        assert_eq!(place(part, "0::/elsewhere\n"), None);
        assert_eq!(place("24 1 0:20 / /sys rw - cgroup cgroup rw", "0::/\n"), None);
        assert_eq!(place(hybrid, "4:memory:/x\n"), None);
        assert_eq!(place("garbage\n - \n1 - cgroup2", "0::/"), None);
    }
}
