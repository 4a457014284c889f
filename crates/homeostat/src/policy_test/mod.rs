//! Plays policy tests on core's engine, in virtual time, and says where they fail.
//!
//! ```text
//!  PolicyTests ─> Scenario: steps up to eval_time, then until nothing moves ─> compare ─> Outcome
//!                                                                        └─> story ─┘
//! ```
//!
//! Nothing is started, nobody is asked: the world is the scenario's, and a test of an hour takes
//! milliseconds. Not its duty: reading the file (`config`), and printing (`cli`).

mod compare;
mod story;

use std::ops::Range;

use homeostat_core::event::Run;
use homeostat_core::scenario::{Input, Scenario, Step};
use homeostat_core::time::Span;

use crate::web::api::view::IncidentView;
use homeostat_config::policy_test::{PolicyTest, PolicyTests};
use homeostat_config::{Problem, Report};

pub use story::Line;

/// How often the Prometheus of a test tells Alertmanagers again about what fires: its default
/// (`--rules.alert.resend-delay`).
const RESEND: Span = Span::from_secs(60);

/// What one test came to.
#[derive(Debug)]
pub struct Outcome {
    /// What is not as expected; none: the test passes.
    pub failures: Vec<Failure>,
    /// What happened, up to the last failure.
    pub story: Vec<Line>,
}

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where it stands in the file.
    pub span: Range<usize>,
    /// What is not as expected.
    pub message: String,
    /// What else there is to know.
    pub help: Option<String>,
}

impl Outcome {
    /// Tells whether all is as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// Shows the failures where they stand in their file.
    pub fn report(&self, tests: &PolicyTests) -> Report {
        let problem = |failure: &Failure| {
            let problem = Problem::error(failure.span.clone(), failure.message.clone());
            match &failure.help {
                Some(help) => problem.help(help.clone()),
                None => problem,
            }
        };
        Report::new(&tests.name, &tests.text, self.failures.iter().map(problem).collect())
    }
}

/// What has happened so far, as it is compared.
struct Moment<'a> {
    scenario: &'a Scenario,
    incidents: Vec<IncidentView>,
    /// Orders issued since the expectation before.
    orders: &'a [Run],
}

/// Plays one test.
pub fn play(tests: &PolicyTests, test: &PolicyTest) -> Outcome {
    let mut scenario = Scenario::new((*tests.book).clone(), test.start);
    scenario.resend(RESEND);
    let mut steps: Vec<&(Step, Range<usize>)> = test.steps.iter().collect();
    // What witnesses say from a moment on, they say to whoever asks at that moment.
    steps.sort_by_key(|(step, _)| (step.at, !matches!(step.input, Input::Answer(..))));
    let mut steps = steps.into_iter().peekable();
    let mut orders: Vec<Run> = Vec::new();
    let mut failures = Vec::new();
    let mut told = Vec::new();
    let mut looked_at = None;
    for expected in &test.expectations {
        while let Some((step, span)) = steps.next_if(|(step, _)| step.at <= expected.at) {
            let met = scenario.play(step);
            if !met {
                failures.push(unmet(&scenario, step, span));
                told = story::tell(scenario.journal(), test.start);
            }
        }
        scenario.advance_until(expected.at);
        if looked_at != Some(expected.at) {
            orders.clear();
        }
        looked_at = Some(expected.at);
        orders.extend(scenario.take_orders());
        let incidents = story::incidents(scenario.journal());
        let moment = Moment { scenario: &scenario, incidents, orders: &orders };
        let found = compare::compare(expected, &moment);
        if !found.is_empty() {
            told = story::tell(scenario.journal(), test.start);
        }
        failures.extend(found);
    }
    Outcome { failures, story: told }
}

/// A step that is about a run that is not there.
fn unmet(scenario: &Scenario, step: &Step, span: &Range<usize>) -> Failure {
    let (what, remedy) = match &step.input {
        Input::Exit { run, .. } => ("ends", Some(&run.remedy)),
        Input::Progress { run, .. } => ("tells about", Some(&run.remedy)),
        Input::Command { command, .. } => {
            return Failure {
                span: span.clone(),
                message: format!("no incident takes `{command}` at {}", step.at),
                help: Some("the newest incident is meant, or that of the `target`".to_owned()),
            };
        }
        Input::Fire(_)
        | Input::Resolve(_)
        | Input::Send { .. }
        | Input::Answer(..)
        | Input::Pause { .. }
        | Input::Resume { .. }
        | Input::Reload { .. }
        | Input::Crash(_)
        | Input::Jump(_) => ("is about", None),
    };
    let remedy = remedy.map_or_else(String::new, |remedy| format!(" of remedy {remedy}"));
    let running: Vec<String> = scenario.runs().map(|run| run.order.id.to_string()).collect();
    Failure {
        span: span.clone(),
        message: format!("this step {what} a run{remedy}, and none is running at {}", step.at),
        help: Some(match running.as_slice() {
            [] => "nothing is running then".to_owned(),
            ids => format!("these are running then: {}", ids.join(", ")),
        }),
    }
}

#[cfg(test)]
mod tests;
