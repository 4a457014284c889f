//! Whose word a run needs: how many must agree, who may, and whether there can be anybody.

use std::collections::BTreeSet;

use homeostat_core::limits::APPROVING_PEOPLE;
use homeostat_core::operator::{ANONYMOUS, EVERYONE};
use homeostat_core::policy::{Approval, Approvers, Mode, Policy, Remedy};

use super::access::wrong_name;
use super::{at_least_one, some_time};
use crate::access::Access;
use crate::raw;
use crate::read::{Problems, Text};
use crate::report::Problem;

/// Checks one `approval`. What it does not say, `default` does.
pub(super) fn check(
    raw: Option<&raw::Approval>,
    default: &Approval,
    problems: &mut Problems,
) -> Approval {
    let Some(raw) = raw else { return default.clone() };
    let by = raw.by.given().map(|list| {
        if list.value.is_empty() {
            let problem = Problem::error(list.span.clone(), "nobody may approve this");
            problems
                .report(problem.help("name who may, as in by: [\"group:dba\"], or remove `by`"));
        }
        list.value.iter().map(|text| text.value.as_str().into()).collect()
    });
    let count = raw.count.given().map(|count| {
        if count.value > APPROVING_PEOPLE {
            let message = format!("more than {APPROVING_PEOPLE} people");
            problems.report(Problem::error(count.span.clone(), message));
        }
        at_least_one(&raw.count, 1, problems).min(APPROVING_PEOPLE)
    });
    let approval = Approval {
        by: by.or_else(|| default.by.clone()),
        count: count.or(default.count),
        expires: some_time(&raw.expires, default.expires, problems),
    };
    too_few(raw, &approval, problems);
    approval
}

/// Where all are named one by one, there must be enough of them.
fn too_few(raw: &raw::Approval, approval: &Approval, problems: &mut Problems) {
    let Approval { by: Some(by), count: Some(count), .. } = approval else { return };
    let place = raw.count.given().filter(|given| given.value == *count).map(|given| &given.span);
    let by_itself = raw.count.is_absent().then(|| raw.by.given().map(|by| &by.span)).flatten();
    // What is not said here, or wrong by itself, is told of where it stands.
    let Some(place) = place.or(by_itself).cloned() else { return };
    let named: BTreeSet<&str> = by.iter().map(|who| &**who).collect();
    if named.contains(ANONYMOUS) {
        let problem =
            Problem::error(place, "anonymous is nobody in particular, and counts as nobody");
        problems.report(problem.help("where people are counted, `by` names who has a name"));
    } else if !by.is_empty()
        && named.iter().all(|who| !is_group(who))
        && named.len() < *count as usize
    {
        let (need, named) = (count, named.len());
        let message = format!("{need} different people must approve, and `by` names {named}");
        problems.report(Problem::error(place, message).help("name more, or a group"));
    }
}

fn is_group(who: &str) -> bool {
    who.starts_with("group:")
}

/// Looks whether those who are named can be anybody who may approve, by what is granted.
pub(super) fn check_names(
    raw: &[raw::Policy],
    policies: &[Policy],
    access: Option<&Access>,
    problems: &mut Problems,
) {
    let tokens = access.map_or(&[][..], |access| &access.tokens);
    let tokens: BTreeSet<&str> = tokens.iter().map(|token| &*token.name).collect();
    for (raw, policy) in raw.iter().zip(policies) {
        names(raw.approval.given(), &tokens, problems);
        let asked = |remedy: &&Remedy| remedy.mode == Mode::Approve;
        if policy.remedies.iter().any(|remedy| asked(&remedy)) {
            covered(raw.approval.given(), policy, problems);
        }
        let remedies = raw.remedies.given().map_or(&[][..], |list| &list.value);
        for (raw, remedy) in remedies.iter().zip(&policy.remedies) {
            names(raw.approval.given(), &tokens, problems);
            if asked(&remedy) {
                covered(raw.approval.given(), policy, problems);
            }
        }
    }
}

/// Each must name somebody.
fn names(raw: Option<&raw::Approval>, tokens: &BTreeSet<&str>, problems: &mut Problems) {
    for text in raw.and_then(|raw| raw.by.given()).map_or(&[][..], |list| &list.value) {
        if let Some((message, help)) = wrong_name(&text.value, tokens) {
            problems.report(Problem::error(text.span.clone(), message).help(help));
        }
    }
}

/// `by` narrows what is granted, and grants nothing: of those whom it names, somebody must be granted it,
/// too. A person and a group may fit, and so may two groups, which a person can be of.
fn covered(raw: Option<&raw::Approval>, policy: &Policy, problems: &mut Problems) {
    let Some(raw) = raw else { return };
    let by = raw.by.given().filter(|list| !list.value.is_empty());
    let Approvers::Granted(granted) = &policy.approvers else {
        return without_access(raw, problems);
    };
    let Some(by) = by else { return };
    let granted: BTreeSet<&str> =
        granted.iter().flat_map(|granted| granted.who.iter()).map(|who| &**who).collect();
    let fits = |text: &Text| {
        let who = text.value.as_str();
        granted.contains(who)
            || (granted.contains(EVERYONE) && who != ANONYMOUS)
            || granted.iter().any(|known| who == EVERYONE || is_group(known) != is_group(who))
    };
    // What is granted to nobody is told where the grants are.
    if !granted.is_empty() && !by.value.iter().any(fits) {
        let granted: Vec<&str> = granted.into_iter().collect();
        let message = format!(
            "approve on policy {} is granted to {}, and to none of these",
            policy.name,
            granted.join(", ")
        );
        let problem = Problem::warning(by.span.clone(), message);
        problems.report(
            problem.help("`by` narrows what `grants` of `access` grant, and grants nothing"),
        );
    }
}

/// Without `access`, nobody is known to be of a group, and few have a name.
fn without_access(raw: &raw::Approval, problems: &mut Problems) {
    if let Some(by) = raw.by.given()
        && !by.value.is_empty()
        && by.value.iter().all(|text| is_group(&text.value) && text.value != EVERYONE)
    {
        let message = "without `access`, nobody is known to be of a group";
        let problem = Problem::warning(by.span.clone(), message);
        problems.report(problem.help("add `access`, or name people: by: [\"user:ann\"]"));
    }
    if let (Some(count), true) = (raw.count.given(), problems.looks_around()) {
        let message = "people are counted by their names, and there is no `access`";
        let problem = Problem::warning(count.span.clone(), message);
        problems.report(problem.help(
            "without it, only those have one who come with a password or a certificate, or by a socket",
        ));
    }
}
