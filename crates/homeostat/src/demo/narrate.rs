//! What the viewer reads: calm lines with aligned columns, the same in a terminal and in a log.

use std::io::{self, IsTerminal as _, Write as _};

use jiff::Timestamp;

use super::act::{ACTS, Act, Entry, Record, Stage};
use super::world::World;
use super::{ActVerdict, Verdict};

/// The width that lines are wrapped to; a terminal that is narrower, and not absurdly so, is
/// respected.
const WIDTHS: std::ops::RangeInclusive<usize> = 60..=100;

/// Where the text of a line begins: after time, instance, stage and the time since the fault.
const TEXT_COLUMN: usize = 32;

/// Where the text of a verdict begins.
const VERDICT_COLUMN: usize = 13;

/// A way of writing that needs a terminal.
#[derive(Clone, Copy)]
enum Ink {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Ink {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Red => "\x1b[31m",
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
            Self::Cyan => "\x1b[36m",
        }
    }

    const fn of(stage: Stage) -> Self {
        match stage {
            Stage::Fault | Stage::Escalated => Self::Red,
            Stage::Pending | Stage::Firing | Stage::Held | Stage::Unhealed | Stage::Told => {
                Self::Yellow
            }
            Stage::Notified | Stage::Decided | Stage::Acted => Self::Cyan,
            Stage::Recovered | Stage::Proven => Self::Green,
            Stage::Closed | Stage::Resolved => Self::Plain,
        }
    }
}

/// Writes to standard output. A reader that is gone does not stop the demo.
pub(super) struct Narrator {
    began: Timestamp,
    coloured: bool,
    width: usize,
}

impl Narrator {
    /// Begins to count the time.
    pub(super) fn new() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let columns = rustix::termios::tcgetwinsize(io::stdout())
            .map_or(*WIDTHS.end(), |size| usize::from(size.ws_col));
        Self {
            began: Timestamp::now(),
            coloured: io::stdout().is_terminal() && !refused,
            width: columns.clamp(*WIDTHS.start(), *WIDTHS.end()),
        }
    }

    pub(super) fn prologue(&self) {
        self.paragraph(
            Ink::Bold,
            "Homeostat heals a web service with the Prometheus stack. Everything here is real.",
        );
        self.line("");
    }

    /// A part that runs now.
    pub(super) fn part(&self, name: &str, text: &str) {
        self.line(&format!("  {}  {text}", self.ink(Ink::Dim, &format!("{name:<12}"))));
    }

    pub(super) fn ready(&self) {
        let seconds = self.elapsed(Timestamp::now());
        let text =
            format!("  All instances are up, as Prometheus sees them, after {seconds:.1} s.");
        self.line(&self.ink(Ink::Dim, &text));
    }

    pub(super) fn act(&self, number: usize, act: &Act) {
        self.line("");
        let title = format!("Act {number} of {}. {}.", ACTS.len(), act.title);
        self.line(&self.ink(Ink::Bold, &title));
        self.paragraph(Ink::Plain, act.story);
        let columns = "   time      stage    since fault";
        self.line(&self.ink(Ink::Dim, columns));
    }

    pub(super) fn entry(&self, record: &Record, entry: &Entry) {
        let elapsed = self.ink(Ink::Dim, &format!("{:>5.1} s", self.elapsed(entry.at)));
        let stage = self.ink(Ink::of(entry.stage), &format!("{:<9}", entry.stage.name()));
        let since = format!("{:>+5.1} s", record.since_fault(entry.at));
        let instance = record.act.instance;
        let text = self.wrapped(&entry.text, TEXT_COLUMN);
        self.line(&format!("{elapsed}   {instance}  {stage}  {since}   {text}"));
    }

    pub(super) fn stuck(&self, waited_for: &str, seconds: u64, log: &str) {
        self.line("");
        let text = format!("Waited {seconds} s for {waited_for}. The demo stops here.");
        self.paragraph(Ink::Red, &text);
        self.line("The end of Homeostat's log:");
        log.lines().for_each(|line| self.line(&format!("  {line}")));
    }

    /// The timelines: each stage, when it was reached, and how long that took.
    pub(super) fn timelines(&self, records: &[Record]) {
        self.line("");
        self.line(&self.ink(Ink::Bold, "The timelines, in seconds since the fault"));
        for (number, record) in records.iter().enumerate() {
            self.line("");
            self.line(&format!("{}. {}", number + 1, record.act.title));
            self.line(&self.ink(Ink::Dim, "     stage          at     took"));
            let mut before = record.began;
            for entry in &record.entries {
                let name = self.ink(Ink::of(entry.stage), &format!("{:<9}", entry.stage.name()));
                let (at, took) = (record.since_fault(entry.at), entry.at.duration_since(before));
                before = entry.at;
                let text = if entry.stage.has_more_to_say() { &entry.text } else { "" };
                let text = self.wrapped(text, TEXT_COLUMN);
                let took = took.as_secs_f64();
                self.line(&format!("     {name}  {at:>5.1}    {took:>5.1}   {text}"));
            }
        }
    }

    pub(super) fn verdict(&self, verdict: &Verdict) {
        self.line("");
        self.line(&self.ink(Ink::Bold, "Verdict"));
        for (number, (act, judged)) in ACTS.iter().zip(&verdict.acts).enumerate() {
            let ActVerdict { ended, own_share } = judged;
            let (mark, text) = match ended {
                Ok(text) => (self.ink(Ink::Green, "ok  "), text),
                Err(text) => (self.ink(Ink::Red, "FAIL"), text),
            };
            let number = number + 1;
            let share = own_share.map(|s| format!("; Homeostat took {:.0} ms", s * 1000.0));
            let text = format!("{text}{}", share.unwrap_or_default());
            let text = self.wrapped(&text, VERDICT_COLUMN);
            self.line(&format!("  {mark}  {number}. {}  {text}", act.instance));
        }
        self.paragraph(
            Ink::Dim,
            "What Homeostat took is the time from the notification's arrival to the start of the \
             first remedy, or to the hold. All else is the stack, as it is configured, and proof.",
        );
    }

    pub(super) fn kept(&self, world: &World) {
        self.line("");
        self.line("Everything stays up until Ctrl-C:");
        let rows = [
            ("Homeostat", world.engine.url()),
            ("Prometheus", format!("{}/alerts", world.prometheus.url())),
            ("Alertmanager", world.alertmanager.url()),
            ("configuration", world.config_file().display().to_string()),
        ];
        for (name, place) in rows {
            self.line(&format!("  {name:<13}  {place}"));
        }
    }

    /// The last word, after that many seconds.
    pub(super) fn ended(&self, verdict: &Verdict, took: f64) {
        self.line("");
        if !verdict.left_running.is_empty() {
            let pids: Vec<String> = verdict.left_running.iter().map(u32::to_string).collect();
            let text = format!("These processes did not end and were killed: {}", pids.join(", "));
            self.paragraph(Ink::Red, &text);
        }
        let (ink, outcome) = if verdict.passed() {
            (Ink::Green, "All four acts ended as they should.")
        } else {
            (Ink::Red, "The demo failed.")
        };
        let text = format!("{outcome} It took {took:.0} s. Nothing is left running.");
        self.paragraph(ink, &text);
    }

    /// The seconds since the demo began.
    pub(super) fn elapsed(&self, at: Timestamp) -> f64 {
        at.duration_since(self.began).as_secs_f64()
    }

    fn paragraph(&self, ink: Ink, text: &str) {
        self.line(&self.ink(ink, &self.wrapped(text, 0)));
    }

    fn ink(&self, ink: Ink, text: &str) -> String {
        match (self.coloured, ink) {
            (false, _) | (_, Ink::Plain) => text.to_owned(),
            (true, _) => format!("{}{text}\x1b[0m", ink.code()),
        }
    }

    fn wrapped(&self, text: &str, column: usize) -> String {
        wrapped(text, column, self.width)
    }

    #[expect(clippy::unused_self, reason = "lines are the narrator's, wherever they go")]
    fn line(&self, line: &str) {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{}", line.trim_end());
        let _ = out.flush();
    }
}

/// Breaks a text at a width; what follows the first line is indented to `column`.
fn wrapped(text: &str, column: usize, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && column + line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.join(&format!("\n{:column$}", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_goes_on_below_where_it_began() {
        let text = "word ".repeat(30);
        let lines = wrapped(&text, 34, 100);
        let mut lines = lines.lines();
        assert!(lines.next().unwrap().chars().count() <= 66);
        let second = lines.next().unwrap();
        assert!(second.starts_with(&" ".repeat(34)) && second.chars().count() <= 100);
    }

    #[test]
    fn a_text_is_one_line_whatever_it_contains() {
        assert_eq!(wrapped("  exit code 0:\n\tdone ", 34, 100), "exit code 0: done");
    }
}
