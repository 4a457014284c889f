//! What the hands are to do: made errands, whose fields have forms.

use homeostat_core::errand::{ErrandTemplate, FieldTemplate, Form};
use homeostat_core::template::Template;

use super::action::{argv as argv_of, template};
use super::words::Whose;
use crate::raw::errand::{Ssh, Systemd};
use crate::read::{Field, Problems, Spanned, Text};
use crate::report::Problem;

/// A port: a number, as a text.
const PORT: Form = Form::of_marks("a port", "", "", 5);

/// A path that begins with `/`; it never comes from an alert.
pub(super) const PATH: Form = Form::of_marks("a path", "/", "/._-+@%:, ", 4096);

/// A number with the letter of a unit, which is checked where it is read.
const SIZE: Form = Form::of_marks("a size", "", "", 13);

/// A share of a processor.
const QUOTA: Form = Form::of_marks("a share", "", "%", 13);

/// `ssh`: the host may come from the alert, and so may arguments.
pub(super) fn ssh(raw: &Ssh, problems: &mut Problems) -> Option<ErrandTemplate> {
    if raw.host.is_absent() {
        let problem = Problem::error(raw.span.clone(), "`ssh` names no host");
        problems.report(problem.help("add host: \"{{ labels.instance | host }}\""));
    }
    if raw.exec.is_absent() {
        let problem = Problem::error(raw.span.clone(), "`ssh` runs nothing");
        problems.report(problem.help("add exec: [program, argument]"));
    }
    if let Some(host) = raw.host.given()
        && let Some((user, host)) = host.value.split_once('@')
    {
        let place = raw.host.given().map_or(0..0, |host| host.span.clone());
        let problem = Problem::error(place, "a host has no user in it");
        problems.report(problem.help(format!("write user: {user}, host: {host:?}")));
        return None;
    }
    let host = text(&raw.host, Form::HOST, problems);
    let user = text(&raw.user, Form::USER, problems);
    let port = constant(&raw.port, PORT, problems).filter(|_| check_port(&raw.port, problems));
    let config_file = constant(&raw.config_file, PATH, problems)
        .filter(|_| check_config_file(&raw.config_file, problems));
    let argv = argv_of(raw.exec.given()?, Whose::Host, problems)?;
    let given = [("host", host), ("user", user), ("port", port), ("config_file", config_file)];
    let texts = given.into_iter().filter_map(|(name, text)| Some((name.into(), text?)));
    let fields = texts.chain([("argv".into(), FieldTemplate::List(argv))]).collect();
    Some(ErrandTemplate { hand: "ssh".into(), verb: "exec".into(), fields, rehearsed: false })
}

/// What the name of a unit ends with, which says what it is.
const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".mount",
    ".automount",
    ".path",
    ".swap",
    ".slice",
    ".scope",
    ".device",
];

/// `systemd`: one verb, and the unit, whose name may have a label in it; or a program that is run as one.
pub(super) fn systemd(raw: &Systemd, problems: &mut Problems) -> Option<ErrandTemplate> {
    let run = raw.run.given();
    if run.is_none() && raw.is_whole {
        refuse_properties(&raw.properties, problems);
    }
    let (verb, unit) = match (&raw.verbs[..], run) {
        ([], Some(argv)) => return self::run(argv, &raw.properties, problems),
        ([one], None) => one,
        ([], None) => {
            if raw.is_whole {
                let problem = Problem::error(raw.span.clone(), "`systemd` does nothing");
                problems.report(problem.help("write systemd: { restart: UNIT }"));
            }
            return None;
        }
        ([.., (_, last)], _) => {
            let message = "a remedy does one thing with one unit";
            let problem = Problem::error(last.span.clone(), message);
            problems.report(problem.help("remove one, or make it a remedy of its own"));
            return None;
        }
    };
    of_unit(verb, unit, problems)
}

/// What is done with a unit, or seen of it.
pub(super) fn of_unit(verb: &str, unit: &Text, problems: &mut Problems) -> Option<ErrandTemplate> {
    if !SUFFIXES.iter().any(|suffix| unit.value.ends_with(suffix)) {
        let message = "the name of a unit says what it is, as `.service`";
        let problem = Problem::error(unit.span.clone(), message);
        problems.report(problem.help(format!("write {verb}: \"{}.service\"", unit.value)));
        return None;
    }
    let field = Field::Given(unit.clone());
    let unit = text(&field, Form::UNIT, problems)?;
    let fields = vec![("unit".into(), unit)];
    Some(ErrandTemplate { hand: "systemd".into(), verb: verb.into(), fields, rehearsed: false })
}

/// `run` of `systemd`: what comes from an alert stands in arguments alone.
fn run(
    argv: &Spanned<Vec<Text>>,
    properties: &[(&'static str, Text)],
    problems: &mut Problems,
) -> Option<ErrandTemplate> {
    let mut fields = Vec::new();
    for (name, text) in properties {
        let Some(template) = property(name, text, problems) else { continue };
        fields.push(((*name).into(), template));
    }
    let is_whole = fields.len() == properties.len();
    let argv = argv_of(argv, Whose::Unit, problems).filter(|_| is_whole)?;
    fields.push(("argv".into(), FieldTemplate::List(argv)));
    Some(ErrandTemplate { hand: "systemd".into(), verb: "run".into(), fields, rehearsed: false })
}

/// What is said of a unit that is run.
fn property(name: &str, text: &Text, problems: &mut Problems) -> Option<FieldTemplate> {
    let is_count = |text: &str| {
        (1..=12).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.bytes().any(|byte| byte != b'0')
    };
    let value = text.value.as_str();
    let (form, is_right, help) = match name {
        "user" => (Form::USER, Form::USER.admits(value), "the name of a user of this machine"),
        "working_directory" => {
            (PATH, value.starts_with('/') && PATH.admits(value), "a path that begins with `/`")
        }
        "memory_max" => {
            let count = value.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(value);
            let fits = count.len() == value.len() || count.len() <= 6;
            (SIZE, is_count(count) && fits, "bytes, or as 512M or 2G")
        }
        "tasks_max" => (SIZE, is_count(value), "a number, from 1 on"),
        _ => {
            let percent = value.strip_suffix('%');
            (QUOTA, percent.is_some_and(is_count), "percent of one processor, as 50% or 200%")
        }
    };
    let given = constant(&Field::Given(text.clone()), form, problems)?;
    if !is_right {
        let problem = Problem::error(text.span.clone(), format!("{value:?} is no `{name}`"));
        problems.report(problem.help(help));
        return None;
    }
    Some(given)
}

/// Refuses what is said of a unit that is not run.
fn refuse_properties(properties: &[(&'static str, Text)], problems: &mut Problems) {
    for (name, text) in properties {
        let message = format!("`{name}` is about a program, and there is none here");
        let problem = Problem::error(text.span.clone(), message);
        problems.report(problem.help("it stands beside run: [program, argument]"));
    }
}

/// Reads a text that may have placeholders. Where it has none, it is of its form.
pub(super) fn text(
    field: &Field<Text>,
    form: Form,
    problems: &mut Problems,
) -> Option<FieldTemplate> {
    let text = field.given()?;
    let template = template(text, problems)?;
    if !text.value.contains('{') && !form.admits(&text.value) {
        let message = format!("{:?} is not {}", text.value, form.what);
        problems.report(Problem::error(text.span.clone(), message));
        return None;
    }
    Some(FieldTemplate::Text(template, form))
}

/// Reads a text that is the same for every alert.
pub(super) fn constant(
    field: &Field<Text>,
    form: Form,
    problems: &mut Problems,
) -> Option<FieldTemplate> {
    let text = field.given()?;
    if text.value.contains("{{") {
        let message = "this cannot come from an alert";
        problems.report(Problem::error(text.span.clone(), message).help("write the value"));
        return None;
    }
    Some(FieldTemplate::Text(Template::parse(&text.value).ok()?, form))
}

fn check_port(field: &Field<Text>, problems: &mut Problems) -> bool {
    let Some(text) = field.given() else { return false };
    let is_port = text.value.parse::<u16>().is_ok_and(|port| port > 0);
    if !is_port {
        let message = format!("{:?} is not a port", text.value);
        problems.report(Problem::error(text.span.clone(), message).help("from 1 to 65535"));
    }
    is_port
}

fn check_config_file(field: &Field<Text>, problems: &mut Problems) -> bool {
    let Some(text) = field.given() else { return false };
    let is_path = text.value.starts_with('/') && PATH.admits(&text.value);
    if !is_path {
        let message = "the configuration of ssh is named by a path that begins with `/`";
        problems.report(Problem::error(text.span.clone(), message));
    } else if problems.looks_around() && !std::path::Path::new(&text.value).is_file() {
        let message = "there is no such file on this machine";
        let problem = Problem::warning(text.span.clone(), message);
        problems.report(problem.help("where the engine runs elsewhere, see that it is there"));
    }
    is_path
}
