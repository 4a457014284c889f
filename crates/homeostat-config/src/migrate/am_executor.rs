//! What prometheus-am-executor is told, and what it makes of it.
//!
//! Duty: read its file as it does, and find what has no equal here. It ignores keys that it does
//! not know; here they are errors, because a misspelt `match_labels` runs a command for every
//! alert, and this is the moment to notice.
//!
//! Source: `config.go`, `command.go` and `server.go` of imgix/prometheus-am-executor.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::keys::Keys;
use crate::read::{Field, Problems, Reader, Spanned, Text};
use crate::report::{Problem, Severity};
use crate::yaml::{Kind, Node};

static FILE: Keys = Keys {
    of: "a configuration of am-executor",
    known: &["listen_address", "verbose", "tls_key", "tls_crt", "commands"],
    later: &[],
    habits: &[],
};

static COMMAND: Keys = Keys {
    of: "a command of am-executor",
    known: &[
        "cmd",
        "args",
        "match_labels",
        "max",
        "notify_on_failure",
        "ignore_resolved",
        "resolved_signal",
    ],
    later: &[],
    habits: &[],
};

/// Everything in the file.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) listen_address: Field<Text>,
    verbose: Field<Spanned<bool>>,
    tls_key: Field<Text>,
    tls_crt: Field<Text>,
    pub(super) commands: Vec<Command>,
}

/// One command.
#[derive(Debug, Clone)]
pub(super) struct Command {
    /// Where it stands in the file; `None` if it was given on the command line.
    pub(super) span: Option<Range<usize>>,
    /// The program and its arguments.
    pub(super) argv: Vec<String>,
    /// Labels that all alerts of a group must have with exactly these values.
    pub(super) labels: BTreeMap<String, String>,
    /// How many may run at once for one alert; `None` for any number.
    pub(super) max: Option<u32>,
    /// Whether Alertmanager is told of a failure, and sends the notification again.
    pub(super) notify_on_failure: bool,
    /// Whether it is left to finish when its alert resolves.
    pub(super) ignore_resolved: Option<Spanned<bool>>,
    /// What it is sent when its alert resolves.
    pub(super) resolved_signal: Option<Text>,
}

impl Command {
    /// The command that was given on the command line, if one was.
    pub(super) fn from_words(words: &[String]) -> Option<Self> {
        (!words.is_empty()).then(|| Self {
            span: None,
            argv: words.to_vec(),
            labels: BTreeMap::new(),
            max: None,
            notify_on_failure: true,
            ignore_resolved: None,
            resolved_signal: None,
        })
    }

    /// The program.
    pub(super) fn program(&self) -> &str {
        self.argv.first().map(String::as_str).unwrap_or_default()
    }

    fn warning(&self, message: &str, help: &str) -> Problem {
        let problem = match &self.span {
            Some(span) => Problem::warning(span.clone(), message),
            None => Problem {
                severity: Severity::Warning,
                ..Problem::of_file(format!("{:?} of the command line: {message}", self.program()))
            },
        };
        problem.help(help)
    }
}

/// Reads the whole file.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Settings> {
    let fields = reader.fields(node, &FILE)?;
    let commands = fields.read(reader, "commands", |reader, node| {
        let help = |_: &Node| Some("write commands: [{ cmd: program }]".to_owned());
        let read = |reader: &mut Reader<'_>, node: &Node| Some(command(reader, node));
        reader.list(node, "a list of commands", help, read)
    });
    let commands = match commands {
        Field::Given(list) => list.value.into_iter().flatten().collect(),
        Field::Absent | Field::Wrong => Vec::new(),
    };
    Some(Settings {
        listen_address: fields.read(reader, "listen_address", Reader::text),
        verbose: fields.read(reader, "verbose", flag),
        tls_key: fields.read(reader, "tls_key", Reader::text),
        tls_crt: fields.read(reader, "tls_crt", Reader::text),
        commands,
    })
}

fn command(reader: &mut Reader<'_>, node: &Node) -> Option<Command> {
    let fields = reader.fields(node, &COMMAND)?;
    let cmd = fields.read(reader, "cmd", Reader::text);
    let args = fields.read(reader, "args", |reader, node| reader.texts(node, "args"));
    let labels = fields.read(reader, "match_labels", labels);
    let max = fields.read(reader, "max", max);
    let notify = fields.read(reader, "notify_on_failure", flag);
    let ignore_resolved = fields.read(reader, "ignore_resolved", flag);
    let resolved_signal = fields.read(reader, "resolved_signal", Reader::text);
    let cmd = match cmd {
        Field::Given(cmd) if !cmd.value.trim().is_empty() => cmd,
        Field::Wrong => return None,
        Field::Given(_) | Field::Absent => {
            let place = cmd.given().map_or(&fields.span, |cmd| &cmd.span).clone();
            let problem = Problem::error(place, "this command names no program");
            reader.problems.report(problem.help("write `cmd`, or remove the command"));
            return None;
        }
    };
    let args = args.given().map_or(&[][..], |args| &args.value);
    Some(Command {
        argv: [&cmd].into_iter().chain(args).map(|text| text.value.clone()).collect(),
        span: Some(cmd.span),
        labels: labels.given().cloned().unwrap_or_default(),
        max: max.given().filter(|max| **max > 0).map(|max| u32::try_from(*max).unwrap_or(u32::MAX)),
        notify_on_failure: notify.value_or(true),
        ignore_resolved: ignore_resolved.given().cloned(),
        resolved_signal: resolved_signal.given().cloned(),
    })
}

/// Reads a truth value as YAML 1.1 has it, which is what am-executor reads.
fn flag(reader: &mut Reader<'_>, node: &Node) -> Option<Spanned<bool>> {
    let value = match &node.kind {
        Kind::Scalar(scalar) if scalar.plain => match scalar.text.to_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => true,
            "false" | "no" | "off" | "n" => false,
            _ => return reader.flag(node),
        },
        Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) => return reader.flag(node),
    };
    Some(Spanned { value, span: node.span.clone() })
}

/// Reads how many may run at once, which may be negative.
fn max(reader: &mut Reader<'_>, node: &Node) -> Option<i64> {
    let text = reader.text(node)?;
    match text.value.parse() {
        Ok(max) => Some(max),
        Err(_) => reader.wrong(node, "a whole number", None),
    }
}

fn labels(reader: &mut Reader<'_>, node: &Node) -> Option<BTreeMap<String, String>> {
    let Kind::Map(entries) = &node.kind else {
        let help = "write match_labels: { name: value }";
        return reader.wrong(node, "a map of labels and values", Some(help));
    };
    let mut labels = BTreeMap::new();
    let mut sound = true;
    for (name, value) in entries {
        let (Some(key), Some(value)) = (reader.text(name), reader.text(value)) else {
            sound = false;
            continue;
        };
        if labels.insert(key.value, value.value).is_some() {
            let problem = Problem::error(name.span.clone(), "this label is given twice");
            reader.problems.report(problem.help("remove one of them"));
        }
    }
    sound.then_some(labels)
}

/// Leaves out what am-executor never runs: repetitions, and labels that no alert has.
pub(super) fn effective(commands: &[Command], problems: &mut Problems) -> Vec<Command> {
    let mut kept = Vec::new();
    let mut seen = BTreeSet::new();
    for command in commands {
        if !seen.insert((&command.argv, &command.labels)) {
            problems.report(command.warning(
                "left out: an earlier command is the same",
                "am-executor runs the first of them and ignores this one",
            ));
        } else if command.labels.iter().any(|(name, value)| name.is_empty() || value.is_empty()) {
            problems.report(command.warning(
                "left out: no alert has a label that is empty, so this command never runs",
                "in Homeostat an empty value means that the label is absent",
            ));
        } else {
            kept.push(command.clone());
        }
    }
    kept
}

/// Warns of what has no equal, or another one than the file shows.
pub(super) fn warn(settings: &Settings, commands: &[Command], problems: &mut Problems) {
    let mut warn = |span: &Range<usize>, message: &str, help: &str| {
        problems.report(Problem::warning(span.clone(), message).help(help));
    };
    if let Some(address) = settings.listen_address.given() {
        let message = "where to listen is no part of a configuration here";
        let help = "`homeostat serve --web.listen-address HOST:PORT`; an address that is not \
             loopback needs --web.bearer-token-file, too: who can post there can start actions";
        warn(&address.span, message, help);
    }
    if let Some(verbose) = settings.verbose.given().filter(|verbose| verbose.value) {
        let message = "how much is logged is no part of a configuration here";
        warn(&verbose.span, message, "`homeostat serve --log.level debug`");
    }
    for file in [&settings.tls_key, &settings.tls_crt].into_iter().filter_map(Field::given) {
        let message = "how addresses are served is no part of a configuration here";
        let help = "name it in a file of `homeostat serve --web.config.file`: \
             tls_server_config: { cert_file: …, key_file: … }";
        warn(&file.span, message, help);
    }
    for command in commands {
        warn_of_command(command, problems);
    }
}

fn warn_of_command(command: &Command, problems: &mut Problems) {
    if command.program().contains('/') && !command.program().starts_with('/') {
        problems.report(command.warning(
            "this path is relative to am-executor's working directory",
            "write the whole path: Homeostat runs each action in a directory of its own",
        ));
    }
    if command.labels.is_empty() {
        problems.report(command.warning(
            "this command runs for every alert that there is",
            "name the alerts that it can heal, under `matchers`",
        ));
    }
    let leaves = command.ignore_resolved.as_ref().is_some_and(|ignore| ignore.value);
    let help = "a running action finishes here; `on_resolve: signal` ends it when all alerts of \
         its incident have resolved, by TERM, and by KILL 5 seconds later";
    if let Some(signal) = command.resolved_signal.as_ref().filter(|_| !leaves) {
        let message = "no equal: no signal of your choice is sent when an alert resolves";
        problems.report(Problem::warning(signal.span.clone(), message).help(help));
    } else if let Some(ignore) = command.ignore_resolved.as_ref().filter(|ignore| !ignore.value) {
        let message = "not carried over: a running action is not killed when its alert resolves";
        problems.report(Problem::warning(ignore.span.clone(), message).help(help));
    }
}
