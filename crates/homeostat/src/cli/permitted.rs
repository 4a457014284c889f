//! Asks clusters of Kubernetes whether the engine may do what its policies want.

use homeostat_config::{Config, Problem};
use homeostat_hands::hand::kubernetes::{Place, Right, review};

use super::rbac::needed;

/// Asks each cluster that is named, as whoever runs this; returns what is not allowed.
pub(super) fn check(config: &Config) -> Vec<Problem> {
    let needs = needed(config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return vec![warning(format!("no cluster can be asked: {error}"))],
    };
    let mut problems = Vec::new();
    for (place, rights) in &needs {
        if place.context.as_deref().is_some_and(|context| context.contains("{{")) {
            let named = named(place);
            problems.push(warning(format!("{named} comes from an alert: it cannot be asked")));
            continue;
        }
        let rights: Vec<Right> = rights.iter().cloned().collect();
        match runtime.block_on(review(place, &rights)) {
            Ok(allowed) => {
                let missing = rights.iter().zip(allowed).filter(|(_, allowed)| !allowed);
                problems.extend(missing.map(|(right, _)| refused(place, right)));
            }
            Err(why) => {
                problems.push(warning(format!("{} cannot be asked: {why}", named(place))));
            }
        }
    }
    problems
}

fn refused(place: &Place, right: &Right) -> Problem {
    let Right { namespace, group, resource, name, verb } = right;
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    let name = name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
    let of = match namespace {
        Some(namespace) => format!("in the namespace {namespace}"),
        None => "in all of it".to_owned(),
    };
    let named = named(place);
    warning(format!("{named} does not let the engine {verb} {resource}{group}{name} {of}"))
        .help("`homeostat rbac` prints what is needed")
}

fn named(place: &Place) -> String {
    match (&place.context, &place.kubeconfig) {
        (Some(context), _) => format!("the cluster of the context {context}"),
        (None, Some(file)) => format!("the cluster of {file}"),
        (None, None) => "the engine's own cluster".to_owned(),
    }
}

fn warning(message: String) -> Problem {
    Problem::warning_of_file(message)
}
