//! What remedies must not make worse, and how they are taken back.

use homeostat_core::limits::defaults;
use homeostat_core::policy::{Action, Regression, Undo, Worse};

use super::{Surroundings, action, kubernetes, policy};
use crate::config::Callable;
use crate::raw;
use crate::read::{Field, Problems};
use crate::report::Problem;

/// Checks `regression` of a policy, together with the undos of its remedies.
pub(super) fn check(
    raw: &raw::Policy,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Regression> {
    let remedies = raw.remedies.given().map_or(&[][..], |list| &list.value);
    let undos = remedies.iter().filter_map(|remedy| remedy.undo.given());
    let given = match &raw.regression {
        Field::Given(given) => given,
        Field::Absent => {
            for undo in undos {
                let message = "nothing asks for this undo: its policy has no `regression`";
                problems.report(Problem::error(undo.span.clone(), message).help(
                    "add regression: { matchers: ['severity=\"critical\"'], worse: undo } to the \
                     policy",
                ));
            }
            return None;
        }
        Field::Wrong => return None,
    };
    let matchers = policy::matchers(&given.matchers, &given.span, "regression", problems);
    check_that_it_can_be_seen(raw, given, surroundings, problems);
    let worse = given.worse.value_or(Worse::Tell);
    match worse {
        Worse::Tell => {
            for undo in undos.filter(|_| !matches!(given.worse, Field::Wrong)) {
                let problem = Problem::warning(undo.span.clone(), "this undo is never run");
                problems.report(problem.help("write `worse: undo` in the policy's `regression`"));
            }
        }
        Worse::Undo => {
            let any = remedies.iter().any(|remedy| !remedy.undo.is_absent());
            let place = given.worse.given().map_or(&given.span, |worse| &worse.span);
            if !any && !matches!(raw.remedies, Field::Wrong) {
                let message = "no remedy of this policy has an `undo`";
                problems.report(Problem::error(place.clone(), message).help(
                    "add undo: { exec: [program, argument] } to a remedy, or write `worse: tell`",
                ));
            }
        }
    }
    Some(Regression { matchers, worse })
}

fn check_that_it_can_be_seen(
    raw: &raw::Policy,
    given: &raw::Regression,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) {
    if !surroundings.prometheus && !surroundings.alertmanager {
        let message = "there is nobody to ask what else fires";
        problems.report(Problem::error(given.span.clone(), message).help(
            "add sources: { prometheuses: [{ name: main, url: \"http://127.0.0.1:9090\" }] }",
        ));
    }
    if raw.target.is_absent() {
        let message = "without a `target` no other alert is of the same target";
        problems.report(Problem::error(given.span.clone(), message).help(
            "name the labels that say what is healed, as in target: [instance]: alerts that have \
             them with the same values are compared",
        ));
    }
}

/// Checks `undo` of a remedy.
pub(super) fn undo(raw: &raw::Undo, callable: Callable<'_>, problems: &mut Problems) -> Undo {
    let action = action::check(&raw.action, "undo", callable, problems);
    Undo {
        action: action.unwrap_or_else(|| Action::Exec(Vec::new())),
        timeout: kubernetes::timeout(&raw.timeout, &raw.action, defaults::TIMEOUT, problems),
    }
}
