//! What the world does in a scenario, and when: the inputs of policy tests as values.
//!
//! A step prints as a line of a policy test, so that whatever a scenario went through can be
//! written down, kept, and played again by `homeostat test`. Reading such lines is not core's
//! duty; whoever reads them gets the same step back.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use super::world::{Answer, Asked};
use crate::alert::Status;
use crate::approval::Terms;
use crate::clock::Leap;
use crate::command::Command;
use crate::evidence::Rehearsal;
use crate::label::LabelSet;
use crate::name::{PolicyName, RemedyName, SourceName};
use crate::operator::Operator;
use crate::order::{Ended, Found, Outcome};
use crate::owner::Whose;
use crate::policy::Book;
use crate::time::{Span, Timestamp};

/// One input, and when it comes.
#[derive(Debug, Clone)]
pub struct Step {
    /// Counted from the scenario's beginning.
    pub at: Span,
    /// What happens.
    pub input: Input,
}

/// Something that the world does, or an operator.
#[derive(Debug, Clone)]
pub enum Input {
    /// An alert fires.
    Fire(Signal),
    /// An alert ends.
    Resolve(Signal),
    /// A notification arrives, whatever is true.
    Send {
        /// What it is about.
        signal: Signal,
        /// What it says.
        status: Status,
        /// Since when it says that the alert fires.
        starts_at: Option<Timestamp>,
        /// When it says that the alert ended, or until when it is to be believed.
        ends_at: Option<Timestamp>,
    },
    /// A witness says something else from now on.
    Answer(Asked, Answer),
    /// A run ends.
    Exit {
        /// Which.
        run: WhichRun,
        /// How.
        outcome: Outcome,
        /// The last part of its output.
        output: String,
    },
    /// A run says how far it is.
    Progress {
        /// Which.
        run: WhichRun,
        /// What it says.
        text: String,
    },
    /// An operator pauses.
    Pause {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// An operator resumes.
    Resume {
        /// Who.
        by: String,
    },
    /// An operator commands something about the newest incident.
    Command {
        /// What.
        command: Command,
        /// Labels of the incident's target, where that matters.
        target: Option<LabelSet>,
        /// Who.
        by: Operator,
        /// Why.
        reason: String,
        /// What they approve ahead.
        ahead: Option<Terms>,
    },
    /// A new configuration comes into force.
    Reload {
        /// The name of its file.
        file: String,
        /// What it means.
        book: Arc<Book>,
    },
    /// The engine is killed and starts again; this is found of the runs.
    Crash(Found),
    /// The wall clock jumps, of the engine and of its world.
    Jump(Leap),
}

/// An alert, and who sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Who sends it; `api` is the door of the alerts API.
    pub source: SourceName,
    /// Its labels.
    pub labels: LabelSet,
    /// Its annotations.
    pub annotations: LabelSet,
    /// Whether it is only true: the notification is lost.
    pub lost: bool,
}

/// Which of the running orders is meant: the oldest that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhichRun {
    /// Its remedy.
    pub remedy: RemedyName,
    /// Its policy, where that matters.
    pub policy: Option<PolicyName>,
    /// Labels of its target, where that matters.
    pub target: Option<LabelSet>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ at: {}, {} }}", self.at, self.input)
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fire(signal) => write!(f, "fire: {signal}"),
            Self::Resolve(signal) => write!(f, "resolve: {signal}"),
            Self::Send { signal, status, starts_at, ends_at } => {
                write!(f, "send: {signal}, status: {}", status.as_str())?;
                let times = [("starts_at", starts_at), ("ends_at", ends_at)];
                let mut times = times.iter().filter_map(|(key, at)| Some((key, at.as_ref()?)));
                times.try_for_each(|(key, at)| write!(f, ", {key}: {}", Word(&at.to_string())))
            }
            Self::Answer(asked, answer) => write_answer(f, asked, answer),
            Self::Exit { run, outcome, output } => {
                write!(f, "exit: {{ {run}, {}", Ending(outcome))?;
                if !output.is_empty() {
                    write!(f, ", output: {}", Word(output))?;
                }
                f.write_str(" }")
            }
            Self::Progress { run, text } => {
                write!(f, "progress: {{ {run}, text: {} }}", Word(text))
            }
            Self::Pause { by, reason } => {
                write!(f, "pause: {{ by: {}, reason: {} }}", Word(by), Word(reason))
            }
            Self::Resume { by } => write!(f, "resume: {{ by: {} }}", Word(by)),
            Self::Command { command, target, by, reason, ahead } => {
                write!(f, "{command}: {{ by: {}", Word(by.person()))?;
                let groups = by.known.iter().flat_map(|known| &known.groups);
                let groups: Vec<String> = groups.map(|group| Word(group).to_string()).collect();
                if !groups.is_empty() {
                    write!(f, ", groups: [{}]", groups.join(", "))?;
                }
                if let Some(Terms { uses, lasts }) = ahead {
                    write!(f, ", next: {uses}, for: {lasts}")?;
                }
                if !reason.is_empty() {
                    write!(f, ", reason: {}", Word(reason))?;
                }
                if let Some(target) = target {
                    write!(f, ", target: {}", Map(target))?;
                }
                f.write_str(" }")
            }
            Self::Reload { file, .. } => write!(f, "reload: {}", Word(file)),
            Self::Jump(Leap::Forwards(by)) => write!(f, "jump: {{ forwards: {by} }}"),
            Self::Jump(Leap::Back(by)) => write!(f, "jump: {{ back: {by} }}"),
            Self::Crash(Found::NotStarted) => f.write_str("crash: { found: not_started }"),
            Self::Crash(Found::Unknown(_)) => f.write_str("crash: { found: unknown }"),
            Self::Crash(Found::Ended(Ended { outcome, .. })) => {
                write!(f, "crash: {{ found: {{ {} }} }}", Ending(outcome))
            }
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, source: {}", Map(&self.labels), Word(self.source.as_str()))?;
        if !self.annotations.is_empty() {
            write!(f, ", annotations: {}", Map(&self.annotations))?;
        }
        f.write_str(if self.lost { ", lost: true" } else { "" })
    }
}

impl fmt::Display for WhichRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "remedy: {}", Word(self.remedy.as_str()))?;
        if let Some(policy) = &self.policy {
            write!(f, ", policy: {}", Word(policy.as_str()))?;
        }
        self.target.as_ref().map_or(Ok(()), |target| write!(f, ", target: {}", Map(target)))
    }
}

fn write_answer(f: &mut fmt::Formatter<'_>, asked: &Asked, answer: &Answer) -> fmt::Result {
    let (probe, key, value) = match answer {
        Answer::AlertmanagerErrs(error) => ("alertmanager", "error", Word(error).to_string()),
        Answer::AlertmanagerEmpty => ("alertmanager", "empty", "true".into()),
        Answer::Unlisted => ("alertmanager", "unlisted", "true".into()),
        Answer::Silenced(by) => ("alertmanager", "silenced", Word(by).to_string()),
        Answer::AlertmanagerTruth => ("alertmanager", "truth", "true".into()),
        Answer::PrometheusErrs(error) => ("prometheus", "error", Word(error).to_string()),
        Answer::PrometheusTruth => ("prometheus", "truth", "true".into()),
        Answer::RulesErr(error) => ("rules", "error", Word(error).to_string()),
        Answer::NoRule => ("rules", "empty", "true".into()),
        Answer::RuleUnhealthy(error) => ("rules", "unhealthy", Word(error).to_string()),
        Answer::RuleStuck => ("rules", "stuck", "true".into()),
        Answer::RuleFires => ("rules", "firing", "true".into()),
        Answer::RuleInactive => ("rules", "firing", "false".into()),
        Answer::RulePending => ("rules", "pending", "true".into()),
        Answer::RuleKeptFiring(span) => ("rules", "kept_firing", span.to_string()),
        Answer::RulesTruth => ("rules", "truth", "true".into()),
        Answer::LooksBack(span) => ("rules", "looks_back", span.to_string()),
        Answer::LooksBackUnknown(why) => ("rules", "looks_back_unknown", Word(why).to_string()),
        Answer::Inputs { there } => ("rules", "inputs", there.to_string()),
        Answer::Query(samples) => ("query", "holds", (*samples > 0).to_string()),
        Answer::QueryErrs(error) => ("query", "error", Word(error).to_string()),
        Answer::Inventory(count) => ("inventory", "value", count.to_string()),
        Answer::InventoryErrs(error) => ("inventory", "error", Word(error).to_string()),
        Answer::Rehearsal(Rehearsal::Accepted { managed_by: None }) => {
            ("dry_run", "truth", "true".into())
        }
        Answer::Rehearsal(Rehearsal::Accepted { managed_by: Some(by) }) => {
            ("dry_run", "managed_by", Word(by).to_string())
        }
        Answer::Rehearsal(Rehearsal::NotNow(why)) => ("dry_run", "not_now", Word(why).to_string()),
        Answer::Rehearsal(Rehearsal::Refused(why)) => ("dry_run", "refused", Word(why).to_string()),
        Answer::RehearsalErrs(error) => ("dry_run", "error", Word(error).to_string()),
        Answer::Owner(Whose::Of(owner)) => {
            ("owner", "owner", Word(&format!("{}/{}", owner.kind, owner.name)).to_string())
        }
        Answer::Owner(Whose::Nobody { why }) => ("owner", "nobody", Word(why).to_string()),
        Answer::OwnerErrs(error) => ("owner", "error", Word(error).to_string()),
    };
    write!(f, "answer: {{ probe: {probe}, {key}: {value}")?;
    if let Some(policy) = &asked.policy {
        write!(f, ", policy: {}", Word(policy.as_str()))?;
    }
    if !asked.labels.is_empty() {
        write!(f, ", labels: {}", Map(&asked.labels))?;
    }
    if let Some(query) = &asked.query {
        write!(f, ", query: {}", Word(query))?;
    }
    f.write_str(" }")
}

/// How a run ended, as keys of `exit`.
struct Ending<'a>(&'a Outcome);

impl fmt::Display for Ending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Outcome::Exited { code } => write!(f, "code: {code}"),
            Outcome::Signalled { signal } => write!(f, "signal: {signal}"),
            Outcome::Answered { status, expected } => {
                write!(f, "http_status: {status}, expected: {expected}")
            }
            Outcome::Done => f.write_str("done: true"),
            Outcome::Failed { reason } => write!(f, "failed: {}", Word(reason)),
            Outcome::TimedOut => f.write_str("timed_out: true"),
            Outcome::Cancelled => f.write_str("cancelled: true"),
            Outcome::NotStarted { reason } => write!(f, "not_started: {}", Word(reason)),
            Outcome::Refused { reason } => write!(f, "refused: {}", Word(reason)),
            Outcome::Unknown { reason } => write!(f, "unknown: {}", Word(reason)),
        }
    }
}

struct Map<'a>(&'a LabelSet);

impl fmt::Display for Map<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("{}");
        }
        for (position, (name, value)) in self.0.iter().enumerate() {
            let before = if position == 0 { "{ " } else { ", " };
            write!(f, "{before}{}: {}", Word(name), Word(value))?;
        }
        f.write_str(" }")
    }
}

/// A text in YAML: as it is where nothing else can be read into it, else in double quotes.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/');
        let means_more = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
        if self.0.starts_with(|c: char| c.is_ascii_alphabetic())
            && self.0.bytes().all(plain)
            && !means_more.contains(&self.0.to_ascii_lowercase().as_str())
        {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                ' '..='~' => f.write_char(c)?,
                c if c.is_alphanumeric() => f.write_char(c)?,
                c => write!(f, "\\U{:08X}", u32::from(c))?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::{Known, Way};

    fn labels(pairs: &[(&str, &str)]) -> LabelSet {
        LabelSet::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn a_step_prints_as_a_line_of_a_policy_test() {
        let signal = Signal {
            source: SourceName::new("main"),
            labels: labels(&[("alertname", "Down"), ("instance", "a:80"), ("on", "yes")]),
            annotations: labels(&[("summary", "a \"b\"\n\u{202e}ü")]),
            lost: true,
        };
        let which = WhichRun {
            remedy: RemedyName::new("restart"),
            policy: None,
            target: Some(labels(&[("instance", "a:80")])),
        };
        let asked = Asked { query: Some("up == 1".into()), ..Asked::default() };
        let exit = |outcome| Input::Exit { run: which.clone(), outcome, output: String::new() };
        for (input, wanted) in [
            (
                Input::Fire(signal),
                r#"fire: { alertname: Down, instance: "a:80", "on": "yes" }, source: main, annotations: { summary: "a \"b\"\n\U0000202Eü" }, lost: true"#,
            ),
            (
                exit(Outcome::Exited { code: 3 }),
                r#"exit: { remedy: restart, target: { instance: "a:80" }, code: 3 }"#,
            ),
            (
                exit(Outcome::NotStarted { reason: "no such file".into() }),
                r#"exit: { remedy: restart, target: { instance: "a:80" }, not_started: "no such file" }"#,
            ),
            (
                Input::Answer(asked, Answer::Query(0)),
                r#"answer: { probe: query, holds: false, query: "up == 1" }"#,
            ),
            (
                Input::Answer(Asked::default(), Answer::RuleKeptFiring(Span::from_secs(90))),
                "answer: { probe: rules, kept_firing: 1m30s }",
            ),
            (
                Input::Answer(Asked::default(), Answer::Inventory(3)),
                "answer: { probe: inventory, value: 3 }",
            ),
            (Input::Crash(Found::NotStarted), "crash: { found: not_started }"),
            (Input::Resume { by: "1".into() }, r#"resume: { by: "1" }"#),
            (
                Input::Command {
                    command: Command::Approve,
                    target: Some(labels(&[("instance", "a:80")])),
                    by: "alice".into(),
                    reason: "it is empty".into(),
                    ahead: None,
                },
                r#"approve: { by: alice, reason: "it is empty", target: { instance: "a:80" } }"#,
            ),
            (
                Input::Command {
                    command: Command::Approve,
                    target: None,
                    by: Operator {
                        claimed: String::new(),
                        known: Some(Known {
                            who: "user:ann".into(),
                            way: Way::Unasked,
                            groups: vec!["group:dba".into()],
                            address: String::new(),
                        }),
                    },
                    reason: String::new(),
                    ahead: Some(Terms { uses: 5, lasts: Span::from_secs(86_400) }),
                },
                r#"approve: { by: "user:ann", groups: ["group:dba"], next: 5, for: 1d }"#,
            ),
        ] {
            let step = Step { at: Span::from_secs(65), input };
            assert_eq!(step.to_string(), format!("{{ at: 1m5s, {wanted} }}"));
        }
    }
}
