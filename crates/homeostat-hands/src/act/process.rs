//! Processes that go on though their run was to end: who they are, in words, and whether they live.

use std::fs;
use std::os::unix::fs::MetadataExt;

pub use homeostat_core::process::Process;

use super::limits::{COMMAND_CHARS, STUCK_LOOK};
use super::tree::Stat;

/// Says of whom there is to say anything, as far as this process may know.
pub(super) fn describe(stat: &Stat) -> Process {
    let pid = stat.member.pid;
    Process { pid, started: stat.member.started, command: command(pid), user: user(pid) }
}

/// What it was started as; its name alone where that may not be read.
fn command(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    let words: Vec<_> = words.map(String::from_utf8_lossy).collect();
    let text = if words.is_empty() {
        fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
    } else {
        words.join(" ")
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let harmless = super::output::harmless(&text);
    match harmless.char_indices().nth(COMMAND_CHARS) {
        Some((end, _)) => format!("{}…", &harmless[..end]),
        None => harmless,
    }
}

/// As whom it acts: the name of its user, or the number where the user has none here.
fn user(pid: i32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_ascii_whitespace().nth(1)?.parse().ok())
        .or_else(|| fs::metadata(format!("/proc/{pid}")).ok().map(|entry| entry.uid()));
    let Some(number) = effective else { return String::new() };
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok::<u32, _>(number)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| number.to_string())
}

/// Those of them that live. It looks at them alone, and not at what they have started since.
pub fn living(processes: &[Process]) -> Vec<Process> {
    let lives = |process: &&Process| {
        Stat::read(process.pid)
            .is_some_and(|stat| stat.member.started == process.started && !stat.is_dead())
    };
    processes.iter().filter(lives).cloned().collect()
}

/// Waits until none of them lives.
pub async fn until_gone(processes: &[Process]) {
    while !living(processes).is_empty() {
        tokio::time::sleep(STUCK_LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_described_and_known_again_by_its_number_and_start() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        // Its command is that of its maker until it is the program.
        while command(pid) != "sleep 600" {
            std::thread::yield_now();
        }
        let process = describe(&Stat::read(pid).unwrap());
        let own = user(i32::try_from(std::process::id()).unwrap());
        assert_eq!(process.to_string(), format!("sleep 600 ({own})"));
        let other = Process { started: process.started + 1, ..process.clone() };
        let both = [process.clone(), other];
        assert_eq!(living(&both), both[..1]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(living(&[process]).is_empty());
    }
}
