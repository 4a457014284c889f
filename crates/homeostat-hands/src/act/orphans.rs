//! What the first process of a container owes to all others: to reap who dies without a parent.
//!
//! A runner takes in all that descends from its runs, and reaps it. When it has died, or for what it
//! never knew, the first process of the container is the parent. Where that is the engine, nobody
//! waits for such a child, and its number would stay taken for ever.
//!
//! A child that the engine itself has started is waited for by who started it, at once. So who is
//! dead at two looks in a row is nobody's. A wait for any child at all would take the ends of ours.

use std::collections::BTreeSet;

use rustix::process::{Pid, WaitOptions, waitpid};
use tokio::time::sleep;

use super::limits::ORPHANS_INTERVAL;
use super::start::off_thread;
use super::tree::{Member, Stat};

/// Reaps, for ever, who comes to this process without being waited for, if it is the first one of a
/// container. Otherwise it returns at once.
///
/// # Panics
///
/// Outside of a Tokio runtime with time enabled.
pub async fn reap_as_first() {
    if std::process::id() != 1 {
        return;
    }
    let mut before = BTreeSet::new();
    loop {
        sleep(ORPHANS_INTERVAL).await;
        let dead = off_thread(dead_children).await;
        reap(dead.intersection(&before));
        before = dead;
    }
}

/// The children of this process that are dead and not waited for.
fn dead_children() -> BTreeSet<Member> {
    let own = i32::try_from(std::process::id()).expect("Linux has fewer than 2^22 process numbers");
    let all = Stat::all().into_iter();
    all.filter(|stat| stat.parent == own && stat.is_dead()).map(|stat| stat.member).collect()
}

fn reap<'a>(dead: impl Iterator<Item = &'a Member>) {
    for pid in dead.filter_map(|member| Pid::from_raw(member.pid)) {
        // Who is waited for by now is no child any more.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_child_that_nobody_waits_for_is_found_and_reaped() {
        // Nobody waits for it.
        #[expect(clippy::zombie_processes, reason = "it is what is tested")]
        let child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let is_it = |member: &&Member| member.pid == pid;
        let found = loop {
            if let Some(found) = dead_children().iter().find(is_it) {
                break *found;
            }
            std::thread::yield_now();
        };
        reap([found].iter());
        assert!(!dead_children().contains(&found));
        // One that is gone does no harm.
        reap([found].iter());
    }
}
