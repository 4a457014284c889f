//! What is to be done in a cluster of Kubernetes: made an errand, whose names can be no path.

use std::ops::Range;

use homeostat_core::errand::{ErrandTemplate, FieldTemplate, Form};
use homeostat_core::template::Template;
use homeostat_core::time::Span;

use super::errand::{PATH, constant, text};
use super::some_time;
use crate::raw::collect::Cluster;
use crate::raw::kubernetes::{Deed, Kubernetes, OwnerOf};
use crate::read::{Field, Problems, Spanned, Text};
use crate::report::Problem;
use crate::{limits, raw};

/// A number, which is checked where it is read.
const NUMBER: Form = Form::of_marks("a number", "-", "", 11);

/// What `kubernetes` is to do.
pub(super) fn check(raw: &Kubernetes, problems: &mut Problems) -> Option<ErrandTemplate> {
    let deed = match &raw.deeds[..] {
        [one] => one,
        [] => {
            if raw.is_whole {
                let problem = Problem::error(raw.span.clone(), "`kubernetes` does nothing");
                problems.report(problem.help(
                    "write kubernetes: { rollout_restart: { namespace: …, deployment: … } }",
                ));
            }
            return None;
        }
        [.., second] => {
            let problem = Problem::error(second.span.clone(), "a remedy does one thing");
            problems.report(problem.help("remove one, or make it a remedy of its own"));
            return None;
        }
    };
    let cluster = cluster(&raw.context, &raw.kubeconfig, problems)?;
    let mut fields = objects(deed, problems)?;
    fields.extend(numbers(deed, problems)?);
    fields.extend(cluster);
    Some(errand(deed.verb, fields, true))
}

/// What a collector sees of a cluster.
pub(super) fn look(raw: &Cluster, problems: &mut Problems) -> Option<ErrandTemplate> {
    let cluster = cluster(&raw.context, &raw.kubeconfig, problems)?;
    let Some(logs) = raw.logs.given() else {
        if raw.logs.is_absent() {
            let problem = Problem::error(raw.span.clone(), "`kubernetes` looks at nothing");
            problems.report(problem.help("write kubernetes: { logs: { namespace: …, pod: … } }"));
        }
        return None;
    };
    let mut fields = pod(&logs.span, &logs.namespace, &logs.pod, problems)?;
    match text(&logs.container, Form::OBJECT, problems) {
        Some(text) => fields.push(("container", text)),
        None if logs.container.is_absent() => {}
        None => return None,
    }
    if logs.previous.value_or(false) {
        fields.push(("previous", self::field("true")));
    }
    if let Some(tail) = logs.tail.given() {
        if tail.value == 0 || tail.value > limits::LOG_LINES {
            let problem = Problem::error(tail.span.clone(), "so many lines cannot be asked for");
            problems.report(problem.help(format!("from 1 to {}", limits::LOG_LINES)));
            return None;
        }
        fields.push(("tail", self::field(&tail.value.to_string())));
    }
    fields.extend(cluster);
    Some(errand("logs", fields, false))
}

/// How it is asked whose a pod is.
pub(super) fn owner_of(raw: &OwnerOf, problems: &mut Problems) -> Option<ErrandTemplate> {
    let texts = [&raw.namespace, &raw.pod, &raw.context].map(Field::given);
    for text in texts.into_iter().flatten() {
        refuse_late_names(text, problems);
    }
    let mut fields = pod(&raw.span, &raw.namespace, &raw.pod, problems)?;
    fields.extend(cluster(&raw.context, &raw.kubeconfig, problems)?);
    Some(errand("owner", fields, false))
}

/// There is no incident yet where its owner is asked for.
fn refuse_late_names(text: &Text, problems: &mut Problems) {
    let Ok(template) = Template::parse(&text.value) else { return };
    let late = template.names().find(|name| ["incident", "remedy", "attempt"].contains(name));
    if let Some(name) = late {
        let message = format!("there is no {name:?} yet where an owner is asked for");
        let problem = Problem::error(text.span.clone(), message);
        problems.report(problem.help("write what the alert says: \"{{ labels.pod }}\""));
    }
}

/// Which pod.
fn pod(
    span: &Range<usize>,
    namespace: &Field<Text>,
    pod: &Field<Text>,
    problems: &mut Problems,
) -> Option<Fields> {
    let mut fields = Fields::new();
    for (key, field, form) in
        [("namespace", namespace, Form::NAMESPACE), ("pod", pod, Form::OBJECT)]
    {
        if field.is_absent() {
            let problem = Problem::error(span.clone(), format!("it says no `{key}`"));
            problems.report(problem.help(format!("add {key}: \"{{{{ labels.{key} }}}}\"")));
            return None;
        }
        fields.push((key, text(field, form, problems)?));
    }
    Some(fields)
}

/// In which cluster.
fn cluster(
    context: &Field<Text>,
    kubeconfig: &Field<Text>,
    problems: &mut Problems,
) -> Option<Fields> {
    if let Some(path) = kubeconfig.given()
        && !(path.value.starts_with('/') && PATH.admits(&path.value))
    {
        let message = "a kubeconfig is named by a path that begins with `/`";
        problems.report(Problem::error(path.span.clone(), message));
        return None;
    }
    let context = text(context, Form::CONTEXT, problems);
    let kubeconfig = constant(kubeconfig, PATH, problems);
    let whose = [("context", context), ("kubeconfig", kubeconfig)];
    Some(whose.into_iter().filter_map(|(name, text)| Some((name, text?))).collect())
}

fn errand(verb: &str, fields: Fields, rehearsed: bool) -> ErrandTemplate {
    let fields = fields.into_iter().map(|(name, field)| (name.into(), field)).collect();
    ErrandTemplate { hand: "kubernetes".into(), verb: verb.into(), fields, rehearsed }
}

/// The time limit of an action: beside it, or with its verb.
pub(super) fn timeout(
    beside: &raw::Length,
    action: &raw::Action,
    default: Span,
    problems: &mut Problems,
) -> Span {
    let within = action.kubernetes.given().map(Kubernetes::timeout).unwrap_or_default();
    if let (Field::Given(_), Field::Given(within)) = (beside, &within) {
        let problem = Problem::error(within.span.clone(), "this has two time limits");
        problems.report(problem.help("remove one `timeout`"));
    }
    some_time(if within.is_absent() { beside } else { &within }, default, problems)
}

type Fields = Vec<(&'static str, FieldTemplate)>;

/// Keys of which one says what is acted on.
const NAMED: [&str; 6] = ["deployment", "statefulset", "daemonset", "pod", "node", "cronjob"];

fn objects(deed: &Deed, problems: &mut Problems) -> Option<Fields> {
    let named = deed.objects.iter().filter(|(key, _)| NAMED.contains(key));
    let given = named.clone().filter(|(_, text)| !text.is_absent()).count();
    if given != 1 {
        let keys: Vec<String> = named.map(|(key, _)| format!("`{key}`")).collect();
        let message = match given {
            0 => format!("`{}` names nothing to act on", deed.verb),
            _ => format!("`{}` acts on one thing", deed.verb),
        };
        let problem = Problem::error(deed.span.clone(), message);
        problems.report(problem.help(format!("write one of {}", keys.join(", "))));
        return None;
    }
    let mut fields = Fields::new();
    let mut is_whole = true;
    for (key, field) in &deed.objects {
        let form = match *key {
            "namespace" => Form::NAMESPACE,
            "uid" => Form::UID,
            _ => Form::OBJECT,
        };
        if *key == "namespace" && field.is_absent() {
            let problem = Problem::error(deed.span.clone(), "it says no `namespace`");
            problems.report(problem.help("add namespace: \"{{ labels.namespace }}\""));
        }
        match text(field, form, problems) {
            Some(text) => fields.push((*key, text)),
            None => is_whole &= field.is_absent() && *key != "namespace",
        }
    }
    is_whole.then_some(fields)
}

fn numbers(deed: &Deed, problems: &mut Problems) -> Option<Fields> {
    let mut fields = Fields::new();
    let mut number = |name, value: i64| fields.push((name, field(&value.to_string())));
    if deed.verb == "scale" {
        for (name, value) in scale(deed, problems)? {
            number(name, value);
        }
    }
    if let Some(most) = deed.max_unavailable.given() {
        if most.value == 0 {
            let problem = Problem::error(most.span.clone(), "no pod could ever be evicted");
            problems.report(problem.help("at least 1"));
            return None;
        }
        number("max_unavailable", most.value.into());
    }
    if deed.force.value_or(false) {
        fields.push(("force", field("true")));
    }
    Some(fields)
}

/// How far is scaled: to a number, or by one as far as a bound.
fn scale(deed: &Deed, problems: &mut Problems) -> Option<Vec<(&'static str, i64)>> {
    let mut refuse = |span: &std::ops::Range<usize>, message: &str, help: &str| {
        problems.report(Problem::error(span.clone(), message).help(help));
        None
    };
    let bound = |field: &Field<Spanned<u32>>| field.given().map(|it| i64::from(it.value));
    let (max, min) = (bound(&deed.max), bound(&deed.min));
    let mut numbers: Vec<(&'static str, i64)> = match (deed.by.given(), deed.to.given()) {
        (Some(by), None) => {
            let step = by.value.parse::<i32>().ok().filter(|step| *step != 0);
            let Some(step) = step else {
                return refuse(&by.span, "this is no step", "write `by: 1`, or `by: -1`");
            };
            if step > 0 && max.is_none() {
                return refuse(&by.span, "nothing says where this ends", "add `max: 10`");
            }
            if step < 0 && min.is_none() {
                return refuse(&by.span, "nothing says where this ends", "add `min: 1`");
            }
            vec![("by", step.into())]
        }
        (None, Some(to)) => {
            if let Some(bound) = [&deed.max, &deed.min].into_iter().find_map(Field::given) {
                return refuse(&bound.span, "a bound is for a step", "remove it, or write `by`");
            }
            vec![("to", to.value.into())]
        }
        (Some(by), Some(_)) => {
            return refuse(&by.span, "`by` and `to` stand together", "remove one of them");
        }
        (None, None) => {
            let is_wrong = matches!(deed.by, Field::Wrong) || matches!(deed.to, Field::Wrong);
            if is_wrong {
                return None;
            }
            return refuse(
                &deed.span,
                "`scale` says no number",
                "add `by: 1, max: 10`, or `to: 3`",
            );
        }
    };
    if let (Some(max), Some(least), Some(place)) = (max, min, deed.min.given())
        && max < least
    {
        return refuse(&place.span, "`min` is above `max`", "the lower one is `min`");
    }
    numbers.extend(max.map(|max| ("max", max)).into_iter().chain(min.map(|min| ("min", min))));
    Some(numbers)
}

fn field(constant: &str) -> FieldTemplate {
    let template = Template::parse(constant).expect("without a brace it is as it is written");
    FieldTemplate::Text(template, NUMBER)
}
