//! As whom, where and with what a program runs.

use std::path::{Path, PathBuf};

use super::http;
use crate::config::{ActionSetting, HandedSecret};
use crate::files::Files;
use crate::raw;
use crate::raw::setting::Handed;
use crate::read::{Problems, Text};
use crate::report::Problem;

/// Variables with these beginnings are ours.
const OURS: [&str; 2] = ["HOMEOSTAT_", "AMX_"];

/// Checks what stands beside an action; nothing where the action is no program.
pub(super) fn check(
    action: &raw::Action,
    files: &Files,
    problems: &mut Problems,
) -> Option<ActionSetting> {
    let raw = &action.setting;
    if !action.http.is_absent() || !action.call.is_absent() {
        refuse(action, &[], problems);
        return None;
    }
    if !action.systemd.is_absent() {
        refuse(action, &[], problems);
    }
    if !action.kubernetes.is_absent() {
        // It is the hand that runs as somebody here, with the kubeconfig that they have.
        refuse(action, &["run_as"], problems);
    }
    if !action.ssh.is_absent() {
        // It is the client that runs as somebody here, with the keys that they have.
        refuse(action, &["run_as"], problems);
    }
    let run_as = raw.run_as.given().map(|text| {
        let bad = |c: char| c.is_whitespace() || c.is_control();
        let is_wrong = text.value.contains(bad) || text.value.split(':').any(str::is_empty);
        if is_wrong || text.value.matches(':').count() > 1 {
            let problem = Problem::error(text.span.clone(), "this is no user");
            problems.report(problem.help("write run_as: USER, or run_as: USER:GROUP"));
        }
        text.value.clone()
    });
    let working_directory =
        raw.working_directory.given().map(|text| working_directory(text, problems));
    let variables = raw.env.given().into_iter().flatten().filter_map(|(name, value)| {
        check_name(name, problems);
        if value.value.contains("{{") || value.value.contains('\0') {
            let problem = Problem::error(value.span.clone(), "a variable here is a constant");
            problems.report(
                problem.help("labels come as variables by themselves: $HOMEOSTAT_LABEL_instance"),
            );
            return None;
        }
        Some((name.value.clone(), value.value.clone()))
    });
    let variables = variables.collect();
    let secrets = raw.secrets.given().into_iter().flatten();
    let secrets = secrets.filter_map(|handed| secret(handed, files, problems)).collect();
    refuse_twice(action, problems);
    Some(ActionSetting { run_as, working_directory, variables, secrets })
}

fn working_directory(text: &Text, problems: &mut Problems) -> PathBuf {
    if !text.value.starts_with('/') {
        let problem = Problem::error(text.span.clone(), "a working directory begins with `/`");
        problems.report(problem.help("nobody knows what it would be relative to"));
    } else if problems.looks_around() && !Path::new(&text.value).is_dir() {
        let message = "there is no such directory on this machine";
        let problem = Problem::warning(text.span.clone(), message);
        problems.report(problem.help("the remedy does not start where the engine has none"));
    }
    PathBuf::from(&text.value)
}

fn secret(raw: &Handed, files: &Files, problems: &mut Problems) -> Option<HandedSecret> {
    check_name(&raw.name, problems);
    if raw.file.is_absent() {
        let problem = Problem::error(raw.name.span.clone(), "this secret has no `file`");
        problems.report(problem.help("write secrets: { NAME: /PATH }"));
    }
    let file = http::path(&raw.file, files, problems)?;
    let as_variable = raw.variable.value_or(false);
    Some(HandedSecret { name: raw.name.value.clone(), file, as_variable })
}

fn check_name(name: &Text, problems: &mut Problems) {
    let mut bytes = name.value.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !begins || !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        let problem = Problem::error(name.span.clone(), "this cannot be the name of a variable");
        problems.report(problem.help("letters, digits and `_`, and no digit first"));
    } else if OURS.iter().any(|ours| name.value.starts_with(ours)) {
        let message = "variables with this beginning are Homeostat's own";
        let problem = Problem::error(name.span.clone(), message);
        problems.report(problem.help("take another name"));
    }
}

/// A secret and a variable of one name.
fn refuse_twice(action: &raw::Action, problems: &mut Problems) {
    let names = action.setting.env.given().into_iter().flatten().map(|(name, _)| &name.value);
    let names: Vec<&String> = names.collect();
    for handed in action.setting.secrets.given().into_iter().flatten() {
        if names.contains(&&handed.name.value) {
            let message = "a variable of this name stands under `env`";
            problems.report(Problem::error(handed.name.span.clone(), message));
        }
    }
}

/// Refuses what is about a program on this machine, where there is none.
fn refuse(action: &raw::Action, but: &[&str], problems: &mut Problems) {
    let setting = &action.setting;
    let given = [
        setting.run_as.given().map(|text| ("run_as", text.span.clone())),
        setting.working_directory.given().map(|text| ("working_directory", text.span.clone())),
        setting.env.given().and_then(|all| Some(("env", all.first()?.0.span.clone()))),
        setting.secrets.given().and_then(|all| Some(("secrets", all.first()?.name.span.clone()))),
    ];
    for (key, span) in given.into_iter().flatten().filter(|(key, _)| !but.contains(key)) {
        let message = format!("`{key}` is about a program, and there is none here");
        let problem = Problem::error(span, message);
        problems.report(problem.help("it stands beside `exec` or `script`"));
    }
}
