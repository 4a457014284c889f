//! What a run needs before it may be claimed: its variables, its directory and its inputs.
//!
//! This is the engine's part. What comes of it, a [`Launch`], is all that whoever owns the process
//! must know, and it travels to the runner as it is.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claim::{Directory, draw_run};
use super::environment::Environment;
use super::said::{self, Asked, HAND};
use super::start::NotRunning;
use super::{Doubt, Ended, Execution, Program, Refusal, Setting};
use crate::failpoint;

/// The program of whoever starts it, be it that another file has its name by now.
const ITSELF: &str = "/proc/self/exe";

/// A run that is prepared: nothing of it can be refused any more but its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The order's name, that of its directories.
    pub order: String,
    /// The token by which the processes of this run are recognised.
    pub run: String,
    /// What is started.
    pub command: Command,
    /// The variables that it gets besides the inherited ones, in the order of their names.
    pub environment: Vec<(String, String)>,
    /// How long it may run; counted from the spawn.
    pub timeout: Duration,
    /// How long it may take to end after SIGTERM, before SIGKILL.
    pub grace: Duration,
    /// As whom and where it runs, and what it has besides.
    #[serde(default)]
    pub setting: Setting,
}

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// A program and its arguments.
    Argv(Vec<String>),
    /// The script that lies in the order's directory.
    Script,
}

/// Checks what an execution carries, and writes what its action reads. Blocks.
///
/// # Errors
///
/// It cannot be carried or written, or somebody claimed the order before: the end of a run that
/// did not begin.
pub fn prepare(root: &Path, execution: &Execution) -> Result<Launch, Box<Ended>> {
    try_prepare(root, execution).map_err(|not_running| Box::new(not_running.into()))
}

fn try_prepare(root: &Path, execution: &Execution) -> Result<Launch, NotRunning> {
    let run = draw_run()?;
    let environment = Environment::of(execution, &run)?;
    execution.setting.check()?;
    let (command, script, asked) = match &execution.program {
        Program::Argv(argv) => (Command::Argv(argv.clone()), None, None),
        Program::Script(text) => (Command::Script, Some(text.as_str()), None),
        Program::Hand(hand) => {
            let itself = std::iter::once(ITSELF.to_owned()).chain(hand.arguments.iter().cloned());
            let Execution { timeout, grace, .. } = *execution;
            let (errand, rehearse) = (hand.errand.clone(), hand.rehearse);
            let asked = Asked { errand, rehearse, timeout, grace };
            (Command::Argv(itself.collect()), None, Some(asked))
        }
    };
    let directory = Directory::prepare(root, &execution.name, &run)?;
    if directory.is_claimed()? {
        return Err(NotRunning::Unknown(Doubt::AlreadyClaimed));
    }
    let (subject, order) = (&execution.subject, &execution.order);
    directory.write_inputs(|to| subject.write(order, asked.as_ref(), to), script)?;
    let mut environment = environment.into_pairs();
    if let Some(asked) = &asked {
        directory.write_errand(&asked.errand)?;
        let place = said::place(directory.work());
        let place = place.into_os_string().into_string();
        let no_text = |_| Refusal::Nul { place: "the storage directory".into() };
        environment.push((HAND.to_owned(), place.map_err(no_text)?));
    }
    failpoint::reach("act.prepared");
    Ok(Launch {
        order: execution.name.clone(),
        run,
        command,
        environment,
        timeout: execution.timeout,
        grace: execution.grace,
        setting: execution.setting.clone(),
    })
}
