//! Collectors: what is looked at before an act and after it, and that nothing else is done by it.

use std::sync::Arc;

use homeostat_core::collect::{Collector, Looked};

use super::words::Whose;
use super::{Names, Surroundings, action, errand, kubernetes, query};
use crate::limits;
use crate::raw::collect as raw;
use crate::read::{Field, Problems, Spanned};
use crate::report::Problem;

/// Checks the collectors of a policy or of a remedy.
pub(super) fn check(
    field: &Field<Spanned<Vec<raw::Collector>>>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Vec<Collector> {
    let Some(list) = field.given() else { return Vec::new() };
    if list.value.len() > limits::COLLECTORS {
        let message = format!("more than {} collectors", limits::COLLECTORS);
        problems.report(Problem::error(list.span.clone(), message));
        return Vec::new();
    }
    let mut names = Names::of("collector");
    let mut collector = |raw: &raw::Collector| {
        let name = names.check(&raw.name, &raw.span, problems);
        let at = looked(raw, surroundings, problems)?;
        let when = raw.when.given().map(|when| when.value);
        Some(Collector { name: Arc::from(name), when, at })
    };
    list.value.iter().filter_map(&mut collector).collect()
}

fn looked(
    raw: &raw::Collector,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Looked> {
    let kinds = raw.kinds();
    let mut given = kinds.iter().filter(|(_, place)| !place.is_absent());
    match (given.next(), given.next()) {
        (Some(_), None) => {}
        (None, _) => {
            let problem = Problem::error(raw.span.clone(), "this collector looks at nothing");
            problems.report(problem.help(
                "add `exec: [program, argument]`, `query: …`, `ssh: { host: …, exec: […] }`, \
                 `systemd: { status: … }` or `kubernetes: { logs: … }`",
            ));
            return None;
        }
        (Some(_), Some((_, second))) => {
            let place = second.given().unwrap_or(&raw.span).clone();
            let problem = Problem::error(place, "a collector looks at one thing");
            problems.report(problem.help("remove one, or make it a collector of its own"));
            return None;
        }
    }
    if let Some(argv) = raw.exec.given() {
        action::argv(argv, Whose::Remedy(None), problems).map(Looked::Exec)
    } else if let Some(text) = raw.query.given() {
        if !surroundings.prometheus {
            let problem = Problem::error(text.span.clone(), "there is no Prometheus to ask this");
            problems.report(problem.help(
                "add sources: { prometheuses: [{ name: main, url: \"http://127.0.0.1:9090\" }] }",
            ));
        }
        query::placed(text, problems).map(Looked::Query)
    } else if let Some(ssh) = raw.ssh.given() {
        errand::ssh(ssh, problems).map(|errand| Looked::Errand(Box::new(errand)))
    } else if let Some(unit) = raw.systemd.given() {
        let Some(name) = unit.status.given() else {
            if unit.status.is_absent() {
                let problem = Problem::error(unit.span.clone(), "`systemd` looks at nothing");
                problems.report(problem.help("write systemd: { status: UNIT }"));
            }
            return None;
        };
        errand::of_unit("status", name, problems).map(|errand| Looked::Errand(Box::new(errand)))
    } else {
        let cluster = raw.kubernetes.given()?;
        kubernetes::look(cluster, problems).map(|errand| Looked::Errand(Box::new(errand)))
    }
}
