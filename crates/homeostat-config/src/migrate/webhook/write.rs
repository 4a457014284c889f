//! Our text for hooks, with comments that say how the one became the other.

use std::collections::BTreeSet;

use homeostat_core::label::Matchers;

use super::super::Wishes;
use super::super::write::{
    TIMEOUT, as_name, cut, free_name, line, line_of, list, named, quoted_label, scalar, shell_word,
    sources,
};
use super::rule::{Condition, whole};
use super::{Hook, Value, What};
use crate::read::Problems;
use crate::report::Problem;

/// How many policies were written, and their text.
pub(in super::super) struct Written {
    pub(in super::super) text: String,
    pub(in super::super) policies: usize,
}

/// One policy that is to be written.
struct Draft<'a> {
    hook: &'a Hook,
    matchers: Vec<String>,
    /// Why it only records.
    held: Vec<String>,
}

/// Writes a whole configuration, and reports what has no equal.
pub(in super::super) fn file(
    name: &str,
    text: &str,
    hooks: &[Hook],
    wishes: &Wishes,
    problems: &mut Problems,
) -> Written {
    let mut out = format!(
        "\
# Translated from {}, hooks of webhook.
#
# Alertmanager's receiver gets the URL http://127.0.0.1:9999/hooks. Which alerts a hook got was said by
# Alertmanager's routes, too; here matchers alone say it. Watch what would be done with `mode: shadow`,
# then write `mode: auto`.
#
# What is different for all hooks:
# - A command runs once for an incident, not at every notification; then its alert must resolve.
# - A policy takes single alerts; `alerts.0` was the first of a notification, and the others were lost.
# - Who may send is said to `homeostat serve`: --web.bearer-token-file, or the TLS of --web.config.file.
# - A command is ended at its `timeout`; webhook waited for ever.

",
        scalar(name)
    );
    sources(&mut out, wishes);
    line(&mut out, "");
    let drafts: Vec<Draft<'_>> =
        hooks.iter().flat_map(|hook| drafts(hook, &mut *problems)).collect();
    line(&mut out, if drafts.is_empty() { "policies: []" } else { "policies:" });
    let mut names = BTreeSet::new();
    for (index, draft) in drafts.iter().enumerate() {
        if index > 0 {
            line(&mut out, "");
        }
        let is_last = index + 1 == drafts.len();
        policy(&mut out, text, draft, &mut names, is_last, wishes);
    }
    Written { text: out, policies: drafts.len() }
}

/// The policies of one hook; none, and why, where it is left out.
fn drafts<'a>(hook: &'a Hook, problems: &mut Problems) -> Vec<Draft<'a>> {
    let mut warn = |span: &std::ops::Range<usize>, message: &str, help: &str| {
        problems.report(Problem::warning(span.clone(), message).help(help));
    };
    for (span, message) in &hook.aside {
        warn(span, message, "Alertmanager looks at nothing but the status");
    }
    let unsaid = hook.arguments.iter().chain(&hook.variables);
    let unsaid = unsaid.filter_map(|value| Some((value.span.clone(), value.what.why_not()?)));
    let missing: Vec<_> = hook.missing.iter().cloned().chain(unsaid).collect();
    if let Some((span, why)) = missing.first() {
        let message = format!(
            "left out: the command of hook {:?} needs what there is not: {why}",
            hook.id.value
        );
        warn(span, &message, "write the policy by hand, if it is about alerts");
        return Vec::new();
    }
    let ways = match &hook.rule {
        None => Some(vec![Vec::new()]),
        Some(rule) => rule.ways(),
    };
    let Some(ways) = ways else {
        let message =
            format!("left out: the rule of hook {:?} has too many alternatives", hook.id.value);
        warn(&hook.span, &message, "write its policies by hand");
        return Vec::new();
    };
    if ways.is_empty() {
        let message = format!("left out: hook {:?} is about what has resolved", hook.id.value);
        warn(
            &hook.span,
            &message,
            "a policy acts on what fires; `undo` takes back what made things worse",
        );
    }
    ways.into_iter().map(|way| draft(hook, &way, &mut warn)).collect()
}

fn draft<'a>(
    hook: &'a Hook,
    way: &[Condition],
    warn: &mut impl FnMut(&std::ops::Range<usize>, &str, &str),
) -> Draft<'a> {
    let mut draft = Draft { hook, matchers: Vec::new(), held: Vec::new() };
    for condition in way {
        match condition {
            Condition::Label { name, is_regex, value, holds } => {
                draft.matchers.extend(matchers(name, *is_regex, value, *holds));
            }
            Condition::Sender(span) => {
                let help = "say who may send to `homeostat serve`: --web.bearer-token-file, and in Alertmanager's \
                     receiver `authorization`; senders that sign: `sources.webhooks[].hmac`";
                warn(span, "not carried over: this is about who may send", help);
            }
            Condition::Nothing(span, why) => {
                let message = format!("not carried over, so that this policy only records: {why}");
                warn(
                    span,
                    &message,
                    "say by matchers which alerts are meant, then write `mode: auto`",
                );
                draft.held.push(why.clone());
            }
            Condition::Firing(_) => {}
        }
    }
    if draft.matchers.is_empty() {
        let why = "nothing says which alerts it takes".to_owned();
        warn(
            &hook.span,
            "this hook runs for whatever is sent to it, so that its policy only records",
            "name the alerts that it can heal, under `matchers`",
        );
        draft.held.push(why);
    }
    draft
}

/// One condition as matchers. Their expressions are found anywhere in a value, ours are whole values;
/// what is not there holds for none of theirs.
fn matchers(name: &str, is_regex: bool, value: &str, holds: bool) -> Vec<String> {
    let name = quoted_label(name);
    let quoted = |text: &str| {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("\"{escaped}\"")
    };
    let (op, value) = match (is_regex, holds) {
        (false, true) => ("=", value.to_owned()),
        (false, false) => ("!=", value.to_owned()),
        (true, true) => ("=~", whole(value)),
        (true, false) => ("!~", whole(value)),
    };
    let matcher = format!("{name}{op}{}", quoted(&value));
    let takes_nothing = Matchers::parse(&matcher)
        .is_ok_and(|parsed| parsed.matchers.iter().any(|matcher| matcher.matches_value("")));
    let mut all = vec![matcher];
    if takes_nothing && holds {
        all.push(format!("{name}!=\"\""));
    }
    all
}

fn policy(
    out: &mut String,
    text: &str,
    draft: &Draft<'_>,
    names: &mut BTreeSet<String>,
    is_last: bool,
    wishes: &Wishes,
) {
    let hook = draft.hook;
    let name = as_name(&hook.id.value);
    let name = if name.is_empty() { "hook".to_owned() } else { name };
    let name = free_name(&name, names);
    let title = scalar(&cut(&hook.id.value));
    line(out, &format!("  # line {}: hook {title}", line_of(text, hook.span.start)));
    for why in &draft.held {
        line(out, &format!("  # - it only records: {}.", scalar(&cut(why))));
    }
    line(out, &format!("  - name: {}", named(&name)));
    line(out, &format!("    matchers: {}", list(&draft.matchers)));
    if wishes.target.is_empty() {
        line(out, "    # target: [instance]   # what is healed; without it, one thing at a time");
    } else {
        line(out, &format!("    target: {}", list(&wishes.target)));
    }
    let mode = if draft.held.is_empty() { wishes.mode.as_str() } else { "shadow" };
    line(out, &format!("    mode: {mode}"));
    if !is_last {
        line(out, "    continue: true");
    }
    if wishes.alertmanager.is_none() {
        line(out, "    escalate: none");
    }
    line(out, "    remedies:");
    let program = hook.command.value.rsplit('/').next().unwrap_or_default();
    let stem = program.rsplit_once('.').map_or(program, |(stem, _)| stem);
    let remedy = as_name(stem);
    let remedy = if remedy.is_empty() { "command".to_owned() } else { remedy };
    line(out, &format!("      - name: {}", named(&remedy)));
    if let Some(directory) = &hook.directory {
        line(out, &format!("        working_directory: {}", scalar(&directory.value)));
    }
    action(out, hook);
    line(out, &format!("        timeout: {TIMEOUT}"));
}

/// The program, as webhook looks for it.
fn program(hook: &Hook) -> String {
    match &hook.directory {
        Some(directory) if !hook.command.value.starts_with('/') => {
            format!("{}/{}", directory.value.trim_end_matches('/'), hook.command.value)
        }
        Some(_) | None => hook.command.value.clone(),
    }
}

/// All values come as variables of a script, so that none of them is read as a placeholder or by a
/// shell. Where there are none, the command is as it was.
fn action(out: &mut String, hook: &Hook) {
    let program = program(hook);
    let constants: Option<Vec<String>> = hook
        .arguments
        .iter()
        .map(|value| match &value.what {
            What::Constant(text) => Some(text.clone()),
            _ => None,
        })
        .collect();
    let is_plain = |text: &String| shell_word(text) == *text && !text.is_empty();
    if let Some(constants) = constants
        && hook.variables.is_empty()
        && constants.iter().chain([&program]).all(is_plain)
    {
        let argv: Vec<String> = [program].into_iter().chain(constants).collect();
        return line(out, &format!("        exec: {}", list(&argv)));
    }
    let mut script = String::new();
    for value in &hook.variables {
        if is_variable(&value.variable) {
            line(&mut script, &format!("export {}={}", value.variable, in_shell(value)));
        } else {
            let shown = shell_word(&value.variable).replace('\n', " ");
            line(&mut script, &format!("# {shown} cannot be the name of a variable in a shell."));
        }
    }
    let words: Vec<String> =
        [shell_word(&program)].into_iter().chain(hook.arguments.iter().map(in_shell)).collect();
    line(&mut script, &format!("exec {}", words.join(" ")));
    script.pop();
    if script.chars().any(|c| c != '\n' && c.escape_debug().count() > 1 && !"\"'\\".contains(c)) {
        return line(out, &format!("        script: {}", scalar(&script)));
    }
    line(out, "        script: |");
    for text in script.split('\n') {
        line(out, &format!("          {text}"));
    }
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A value as one word of a shell.
fn in_shell(value: &Value) -> String {
    let part = |name: &str| -> String {
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
    };
    match &value.what {
        What::Constant(text) => shell_word(text),
        What::Label(name) => format!("\"$HOMEOSTAT_LABEL_{}\"", part(name)),
        What::Annotation(name) => format!("\"$HOMEOSTAT_ANNOTATION_{}\"", part(name)),
        What::Variable(name) => format!("\"${name}\""),
        What::Payload => "\"$(cat)\"".to_owned(),
        // A hook that needs it is left out.
        What::NoPart(_) | What::Elsewhere(_) => "''".to_owned(),
    }
}
