//! Configurations of other programs, translated into ours.
//!
//! ```text
//!  their file ── yaml ──▶ am_executor ──▶ commands ── write ──▶ our text ── parse ──▶ Translation
//!                 └─────▶ webhook ──────▶ hooks ─────────────────┘
//!                              └── warnings: what has no equal, each with its place
//! ```
//!
//! Duty: say the same in our words where there are words for it, and say where there are none.
//! What is printed has passed the same checks as a configuration that is loaded. Not its duty:
//! guessing what somebody meant; their file is taken as their program takes it.

mod am_executor;
mod webhook;
mod write;

#[cfg(test)]
mod tests;

use homeostat_core::policy::Mode;

use crate::load;
use crate::read::{Problems, Reader};
use crate::report::{Problem, Report, Severity};
use crate::{limits, yaml};

use am_executor::{Command, Settings};

/// The name by which our text goes in a report about it.
const OURS: &str = "homeostat.yml";

/// What the other program's configuration does not say.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// The mode of all policies.
    pub mode: Mode,
    /// The Alertmanager to ask, and to tell people by.
    pub alertmanager: Option<String>,
    /// The labels that say what is healed; none: policies heal one thing at a time.
    pub target: Vec<String>,
}

/// A configuration of ours that was another program's.
#[derive(Debug, Clone)]
pub struct Translation {
    /// The text, with comments; it has been checked.
    pub text: String,
    /// How many commands became a policy.
    pub policies: usize,
    /// What has no equal, with its place in the other program's file.
    pub warnings: Report,
}

impl Wishes {
    /// Tells what is wrong with the wishes themselves.
    ///
    /// # Errors
    ///
    /// No configuration could hold them; the message says why.
    pub fn check(&self) -> Result<(), String> {
        let command = Command::from_words(&["true".to_owned()]);
        let text = write::file("", "", &Settings::default(), command.as_slice(), self);
        match load::parse(OURS, &text) {
            Ok(_) => Ok(()),
            Err(report) => Err(first_error(&report)),
        }
    }
}

/// Translates a configuration of prometheus-am-executor.
///
/// `text` is its file, empty where there is none; `words` are the script and its arguments that
/// it was given on its command line, which it adds to those of the file.
///
/// # Errors
///
/// The file is not one of prometheus-am-executor, or a command in it cannot be said in ours.
///
/// ```
/// use homeostat_config::migrate;
/// use homeostat_core::policy::Mode;
///
/// let wishes = migrate::Wishes { mode: Mode::Shadow, alertmanager: None, target: vec![] };
/// let old = "commands: [{ cmd: /usr/local/bin/restart, match_labels: { job: web } }]";
/// let new = migrate::am_executor("executor.yml", old, &[], &wishes).unwrap();
/// assert!(new.text.contains("exec: [\"/usr/local/bin/restart\"]"));
/// assert!(homeostat_config::parse("homeostat.yml", &new.text).is_ok());
/// ```
pub fn am_executor(
    name: &str,
    text: &str,
    words: &[String],
    wishes: &Wishes,
) -> Result<Translation, Report> {
    let mut reader = Reader::new(text);
    let settings = match yaml::parse(text) {
        Ok(Some(document)) => am_executor::read(&mut reader, &document),
        Ok(None) => Some(Settings::default()),
        Err(problem) => return Err(Report::new(name, text, vec![problem])),
    };
    let errors = Report::new(name, text, reader.problems.into_vec());
    let Some(mut settings) = settings.filter(|_| errors.errors() == 0) else { return Err(errors) };
    settings.commands.extend(Command::from_words(words));
    if settings.commands.is_empty() {
        let problem = Problem::of_file("there is no command to run");
        let problem = problem.help("am-executor does not start without one");
        return Err(Report::new(name, text, vec![problem]));
    }
    let mut problems = Problems::default();
    let commands = am_executor::effective(&settings.commands, &mut problems);
    am_executor::warn(&settings, &commands, &mut problems);
    let warnings = Report::new(name, text, problems.into_vec());
    let ours = write::file(name, text, &settings, &commands, wishes);
    match load::parse(OURS, &ours) {
        Ok(_) => Ok(Translation { text: ours, policies: commands.len(), warnings }),
        Err(report) => Err(blame(name, text, &commands, wishes).unwrap_or(report)),
    }
}

/// Translates the hooks of adnanh/webhook, a file of JSON or YAML.
///
/// # Errors
///
/// The file is not one of webhook, or a hook in it cannot be said in ours.
///
/// ```
/// use homeostat_config::migrate;
/// use homeostat_core::policy::Mode;
///
/// let wishes = migrate::Wishes { mode: Mode::Shadow, alertmanager: None, target: vec![] };
/// let old = r#"[{ "id": "restart", "execute-command": "/usr/local/bin/restart" }]"#;
/// let new = migrate::webhook("hooks.json", old, &wishes).unwrap();
/// assert!(new.text.contains("exec: [\"/usr/local/bin/restart\"]"));
/// ```
pub fn webhook(name: &str, text: &str, wishes: &Wishes) -> Result<Translation, Report> {
    let mut reader = Reader::new(text);
    let hooks = match yaml::parse(text) {
        Ok(Some(document)) => webhook::read(&mut reader, &document),
        Ok(None) => None,
        Err(problem) => return Err(Report::new(name, text, vec![problem])),
    };
    // Secrets of rules are not shown.
    let text = &*load::mask(text, reader.problems.take_concealed());
    let errors = Report::new(name, text, reader.problems.into_vec());
    let Some(hooks) = hooks.filter(|hooks| errors.errors() == 0 && !hooks.is_empty()) else {
        if errors.errors() > 0 {
            return Err(errors);
        }
        let problem = Problem::of_file("there is no hook in it");
        return Err(Report::new(name, text, vec![problem]));
    };
    let mut problems = Problems::default();
    let written = webhook::file(name, text, &hooks, wishes, &mut problems);
    let warnings = Report::new(name, text, problems.into_vec());
    match load::parse(OURS, &written.text) {
        Ok(_) => Ok(Translation { text: written.text, policies: written.policies, warnings }),
        Err(report) => Err(blame_hooks(name, text, &hooks, wishes).unwrap_or(report)),
    }
}

/// Finds the hooks because of which our text is not valid.
fn blame_hooks(name: &str, text: &str, hooks: &[webhook::Hook], wishes: &Wishes) -> Option<Report> {
    let mut problems = Problems::default();
    for hook in hooks.iter().take(limits::PROBLEMS_KEPT) {
        let alone = std::slice::from_ref(hook);
        let ours = webhook::file(name, text, alone, wishes, &mut Problems::default());
        let Err(report) = load::parse(OURS, &ours.text) else { continue };
        let message = format!("this cannot be said in Homeostat's words: {}", first_error(&report));
        problems.report(
            Problem::error(hook.span.clone(), message)
                .help("put what it does into a script file, which needs no quoting"),
        );
    }
    let report = Report::new(name, text, problems.into_vec());
    (report.errors() > 0).then_some(report)
}

/// Finds the commands because of which our text is not valid.
fn blame(name: &str, text: &str, commands: &[Command], wishes: &Wishes) -> Option<Report> {
    let mut problems = Problems::default();
    for command in commands.iter().take(limits::PROBLEMS_KEPT) {
        let alone = std::slice::from_ref(command);
        let ours = write::file(name, text, &Settings::default(), alone, wishes);
        let Err(report) = load::parse(OURS, &ours) else { continue };
        let message = format!("this cannot be said in Homeostat's words: {}", first_error(&report));
        problems.report(Problem { span: command.span.clone(), ..Problem::of_file(message) }.help(
            "put what it does into a script file, which needs no placeholder and no quoting",
        ));
    }
    let report = Report::new(name, text, problems.into_vec());
    (report.errors() > 0).then_some(report)
}

fn first_error(report: &Report) -> String {
    let first = report.problems().iter().find(|problem| problem.severity == Severity::Error);
    first.map(|problem| problem.message.clone()).unwrap_or_default()
}
