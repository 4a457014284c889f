//! What remedies do, and the templates in it.
//!
//! Labels reach a process as arguments, environment or stdin, never as text of a shell: whoever
//! may send an alert could otherwise write the script.

use std::sync::Arc;

use homeostat_core::name::HandlerName;
use homeostat_core::policy::Action;
use homeostat_core::template::{NAMES, Template};

use super::words::Whose;
use super::{errand, is_name, kubernetes, request, words};
use crate::config::Callable;
use crate::nearest::nearest;
use crate::raw;
use crate::read::{Field, Problems, Spanned, Text};
use crate::report::Problem;

/// Checks that a remedy, or its undo, does exactly one thing.
pub(super) fn check(
    remedy: &raw::Action,
    what: &str,
    callable: Callable<'_>,
    problems: &mut Problems,
) -> Option<Action> {
    let kinds = remedy.kinds();
    match kinds.iter().filter(|(_, there)| !there.is_absent()).count() {
        0 => {
            let problem = Problem::error(remedy.span.clone(), format!("this {what} does nothing"));
            problems.report(problem.help(
                "add `exec: [program, argument]`, `script: …`, `http: { url: … }`, `call: …`, \
                 `ssh: { host: …, exec: […] }`, `systemd: { restart: … }` or `kubernetes: { evict: … }`",
            ));
            return None;
        }
        1 => {}
        _ => {
            let article = if what.starts_with('u') { "an" } else { "a" };
            let names = kinds.each_ref().map(|(name, _)| format!("`{name}`"));
            let (last, names) = names.split_last().expect("there are several");
            let message =
                format!("{article} {what} does one thing: {} or {last}", names.join(", "));
            let places = kinds.iter().filter_map(|(_, place)| place.given());
            let second = places.max_by_key(|span| span.start).unwrap_or(&remedy.span);
            let problem = Problem::error(second.clone(), message);
            problems.report(problem.help("remove one, or make it a remedy of its own"));
            return None;
        }
    }
    if let Some(argv) = remedy.exec.given() {
        let directory = remedy.setting.working_directory.given().map(|text| text.value.as_str());
        exec(argv, directory, problems)
    } else if let Some(text) = remedy.script.given() {
        script(text, problems)
    } else if let Some(raw) = remedy.http.given() {
        request::check(raw, problems).map(|request| Action::Http(Box::new(request)))
    } else if let Some(raw) = remedy.ssh.given() {
        errand::ssh(raw, problems).map(|errand| Action::Errand(Box::new(errand)))
    } else if let Some(raw) = remedy.systemd.given() {
        errand::systemd(raw, problems).map(|errand| Action::Errand(Box::new(errand)))
    } else if let Some(raw) = remedy.kubernetes.given() {
        kubernetes::check(raw, problems).map(|errand| Action::Errand(Box::new(errand)))
    } else {
        remedy.call.given().and_then(|text| call(text, callable, problems))
    }
}

const BUILD_HELP: &str = "handlers are written in Rust: build a program of your own with the crate \
     `homeostat`, App::from_file(…)?.action(\"NAME\", …)";

fn call(text: &Text, callable: Callable<'_>, problems: &mut Problems) -> Option<Action> {
    let name = &text.value;
    if !is_name(name) {
        let problem = Problem::error(text.span.clone(), "this cannot be the name of a handler");
        problems.report(problem.help("a handler is called by the name that it is registered with"));
        return None;
    }
    let message = format!("no handler is named {name:?}");
    match callable {
        Callable::Elsewhere => problems.report(
            Problem::warning(text.span.clone(), format!("{message} here: this binary has none"))
                .help(BUILD_HELP),
        ),
        Callable::These([]) => problems.report(
            Problem::error(text.span.clone(), format!("{message}: this program has none"))
                .help(BUILD_HELP),
        ),
        Callable::These(names) if names.contains(&name.as_str()) => {}
        Callable::These(names) => {
            let help = match nearest(name, names.iter().copied()) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("there are: {}", names.join(", ")),
            };
            problems.report(Problem::error(text.span.clone(), message).help(help));
        }
    }
    Some(Action::Call(HandlerName::new(name.as_str())))
}

fn exec(
    argv: &Spanned<Vec<Text>>,
    directory: Option<&str>,
    problems: &mut Problems,
) -> Option<Action> {
    self::argv(argv, Whose::Remedy(directory), problems).map(Action::Exec)
}

/// Checks a program and its arguments.
pub(super) fn argv(
    argv: &Spanned<Vec<Text>>,
    whose: Whose<'_>,
    problems: &mut Problems,
) -> Option<Vec<Template>> {
    let Some(program) = argv.value.first() else {
        let problem = Problem::error(argv.span.clone(), "`exec` names no program");
        problems.report(problem.help("write exec: [program, argument, …]"));
        return None;
    };
    if program.value.trim().is_empty() {
        problems.report(Problem::error(program.span.clone(), "`exec` names no program"));
    } else if program.value.contains("{{") {
        let problem =
            Problem::error(program.span.clone(), "the program itself cannot come from an alert");
        problems.report(problem.help("name the program; placeholders may stand in its arguments"));
    }
    for element in &argv.value {
        if element.value.contains('\0') {
            let message = "no argument can carry a NUL byte";
            problems.report(Problem::error(element.span.clone(), message));
        }
    }
    words::check(&argv.value, whose, problems);
    let templates: Vec<Template> =
        argv.value.iter().filter_map(|element| template(element, problems)).collect();
    (templates.len() == argv.value.len()).then_some(templates)
}

fn script(text: &Text, problems: &mut Problems) -> Option<Action> {
    if text.value.trim().is_empty() {
        problems.report(Problem::error(text.span.clone(), "this script is empty"));
        return None;
    }
    if text.value.contains('\0') {
        problems.report(Problem::error(text.span.clone(), "no script can carry a NUL byte"));
        return None;
    }
    if let Some(range) = placeholder_of_ours(&text.value) {
        let problem = Problem::error(text.part(&range), "a placeholder cannot stand in a script");
        problems.report(problem.help(environment_help(&text.value[range])));
        return None;
    }
    words::check_interpreter(text, problems);
    Some(Action::Script(Arc::from(text.value.as_str())))
}

/// Finds a placeholder that would name something of an alert. Other braces are the script's own:
/// `docker inspect --format '{{.State.Status}}'` must stay possible.
fn placeholder_of_ours(script: &str) -> Option<std::ops::Range<usize>> {
    let mut from = 0;
    while let Some(start) = script[from..].find("{{").map(|at| from + at) {
        let rest = &script[start..];
        // Braces that nothing closes are no placeholder.
        let end = start + rest.find("}}")? + 2;
        let inner = script[start..end].trim_matches(['{', '}', '-', ' ', '\t', '\n']);
        let head: String = inner.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if NAMES.contains(&head.as_str()) || foreign_label(inner).is_some() {
            return Some(start..end);
        }
        from = start + 2;
    }
    None
}

pub(super) fn environment_help(text: &str) -> String {
    let name = label_in(text).unwrap_or("instance");
    format!("labels come as environment: write \"$HOMEOSTAT_LABEL_{name}\"")
}

/// The name of the label that a placeholder asks for.
fn label_in(text: &str) -> Option<&str> {
    let ours = text.find("labels.").map(|at| word(&text[at + "labels.".len()..]));
    foreign_label(text).or(ours).filter(|name| !name.is_empty())
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The name of the label in Go's templates, as in Prometheus's rules and Alertmanager's receivers.
fn foreign_label(text: &str) -> Option<&str> {
    const FORMS: [&str; 6] =
        ["$labels.", ".Labels.", ".CommonLabels.", ".GroupLabels.", ".Annotations.", ".Alerts"];
    FORMS.iter().find_map(|form| text.find(form).map(|at| word(&text[at + form.len()..])))
}

/// Reads a template.
pub(super) fn template(text: &Text, problems: &mut Problems) -> Option<Template> {
    match Template::parse(&text.value) {
        Ok(template) => {
            refuse_dotted_names(text, problems);
            Some(template)
        }
        Err(error) => {
            let place = error.span.map_or_else(|| text.span.clone(), |span| text.part(&span));
            let problem = match foreign_label(&text.value) {
                Some(name) => {
                    let name = if name.is_empty() { "instance" } else { name };
                    Problem::error(place, "this is a placeholder of Go's templates, not of ours")
                        .help(format!("write {{{{ labels.{name} }}}}"))
                }
                None if text.value.contains("$value") => Problem::error(place, error.message)
                    .help("an alert does not carry the value of its expression"),
                None => Problem::error(place, error.message)
                    .help("write placeholders as in {{ labels.instance | host }}"),
            };
            problems.report(problem);
            None
        }
    }
}

/// `labels.k8s.pod.name` asks for a part of the label `k8s`, which no label has.
fn refuse_dotted_names(text: &Text, problems: &mut Problems) {
    for (start, _) in text.value.match_indices("{{") {
        let rest = &text.value[start..];
        let inner = rest.find("}}").map_or(rest, |end| &rest[..end]);
        for of in ["labels.", "annotations."] {
            let Some(at) = inner.find(of) else { continue };
            let path = &inner[at + of.len()..];
            let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            let name = &path[..path.find(|c: char| !is_name(c)).unwrap_or(path.len())];
            if name.contains('.') {
                let from = start + at;
                let place = text.part(&(from..from + of.len() + name.len()));
                let of = of.trim_end_matches('.');
                let message = format!("no label has parts: {of}.{name} is never there");
                let help = format!("write {{{{ {of}['{name}'] }}}}");
                problems.report(Problem::error(place, message).help(help));
            }
        }
    }
}

/// Reads the keys of a policy's locks.
pub(super) fn locks(field: &Field<Spanned<Vec<Text>>>, problems: &mut Problems) -> Vec<Template> {
    let Some(list) = field.given() else { return Vec::new() };
    let mut locks = Vec::new();
    for text in &list.value {
        if text.value.trim().is_empty() {
            problems.report(Problem::error(text.span.clone(), "this lock has no name"));
        } else {
            locks.extend(template(text, problems));
        }
    }
    locks
}
