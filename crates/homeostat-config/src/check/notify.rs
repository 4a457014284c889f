//! By which commands and webhooks people are told, and which policy tells through which.

use std::collections::BTreeSet;
use std::ops::Range;

use homeostat_core::name::PolicyName;
use homeostat_core::policy::Policy;

use super::http::{http, http_url, path};
use super::{Names, secrets, some_time, words};
use crate::files::Files;
use crate::nearest::nearest;
use crate::notify::{Channel, Notify, Way, WebhookUrl};
use crate::read::{Field, Problems, Spanned, Text};
use crate::report::Problem;
use crate::{limits, raw};

/// Checks all channels, and the policies' choices among them.
pub(super) fn check(
    file: &raw::File,
    policies: &[Policy],
    files: &Files,
    problems: &mut Problems,
) -> Notify {
    let mut names = Names::of("channel");
    let list = file.notify.given().map_or(&[][..], |list| &list.value);
    if list.len() > limits::CHANNELS {
        let place = file.notify.given().map_or(0..0, |list| list.span.clone());
        let message = format!("more than {} channels", limits::CHANNELS);
        problems.report(Problem::error(place, message));
    }
    let channels =
        list.iter().filter_map(|raw| channel(raw, &mut names, files, problems)).collect();
    let raw = file.policies.given().map_or(&[][..], |list| &list.value);
    let mut notify = Notify { channels, ..Notify::default() };
    for (raw, policy) in raw.iter().zip(policies) {
        if let Some(chosen) = chosen(raw) {
            let known = !matches!(file.notify, Field::Wrong);
            let route = route(chosen, known.then_some(list), problems);
            notify.routes.insert(PolicyName::new(policy.name.as_str()), route);
        }
    }
    notify
}

/// The channels that a policy names, where it names some.
pub(super) fn chosen(raw: &raw::Policy) -> Option<&Spanned<Vec<Text>>> {
    match raw.escalate.given()? {
        raw::Escalate::Nobody => None,
        raw::Escalate::Person { notify, .. } => notify.given(),
    }
}

fn route(
    chosen: &Spanned<Vec<Text>>,
    channels: Option<&[raw::notify::Channel]>,
    problems: &mut Problems,
) -> BTreeSet<String> {
    let given = chosen.value.iter().map(|text| text.value.clone()).collect();
    let Some(channels) = channels else { return given };
    let names = || channels.iter().filter_map(|raw| raw.name.given()).map(|name| &*name.value);
    for text in &chosen.value {
        if names().any(|name| name == text.value) {
            continue;
        }
        let message = format!("no channel of `notify` is named {:?}", text.value);
        let help = match nearest(&text.value, names()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => "add it to the list `notify` at the top level of the file".to_owned(),
        };
        problems.report(Problem::error(text.span.clone(), message).help(help));
    }
    given
}

fn channel(
    raw: &raw::notify::Channel,
    names: &mut Names,
    files: &Files,
    problems: &mut Problems,
) -> Option<Channel> {
    let name = names.check(&raw.name, &raw.span, problems);
    let default = limits::CHANNEL_TIMEOUT;
    let timeout = some_time(&raw.timeout, default, problems);
    if let Some(given) = raw.timeout.given()
        && given.value > limits::CHANNEL_TIMEOUT_MAX
    {
        let message = format!("longer than {}", limits::CHANNEL_TIMEOUT_MAX);
        problems.report(
            Problem::error(given.span.clone(), message)
                .help("what takes longer is tried again, so that a person is told sooner"),
        );
    }
    let send_resolved = raw.send_resolved.value_or(true);
    let way = way(raw, files, problems)?;
    Some(Channel { name, way, timeout, send_resolved })
}

fn way(raw: &raw::notify::Channel, files: &Files, problems: &mut Problems) -> Option<Way> {
    match (&raw.exec, &raw.webhook) {
        (Field::Given(argv), Field::Absent) => exec(argv, problems),
        (Field::Absent, Field::Given(webhook)) => {
            let http = Box::new(http(&webhook.http, files, problems));
            Some(Way::Webhook { url: webhook_url(webhook, files, problems)?, http })
        }
        (Field::Absent, Field::Absent) => {
            let problem = Problem::error(raw.span.clone(), "this channel says no way to tell");
            problems.report(problem.help(WAYS));
            None
        }
        (Field::Given(_) | Field::Wrong, Field::Given(_) | Field::Wrong) => {
            let place: Range<usize> =
                raw.webhook.given().map_or(&raw.span, |webhook| &webhook.span).clone();
            let problem = Problem::error(place, "`exec` and `webhook` are two channels");
            problems.report(problem.help("give each a `name` and an element of its own"));
            None
        }
        (Field::Wrong, Field::Absent) | (Field::Absent, Field::Wrong) => None,
    }
}

fn webhook_url(
    raw: &raw::notify::Webhook,
    files: &Files,
    problems: &mut Problems,
) -> Option<WebhookUrl> {
    match (&raw.url, &raw.url_file) {
        (Field::Given(text), Field::Absent) => match http_url(text) {
            Ok(url) => {
                secrets::check_url(text, &url, secrets::IN_A_WEBHOOK, problems);
                Some(WebhookUrl::Inline(url))
            }
            Err(problem) => {
                problems.report(problem);
                None
            }
        },
        (Field::Absent, file @ Field::Given(_)) => {
            path(file, files, problems).map(WebhookUrl::File)
        }
        (Field::Absent, Field::Absent) => {
            let problem = Problem::error(raw.span.clone(), "this webhook has no `url`");
            problems.report(problem.help(
                "write webhook: { url: \"https://…\" }, or name a file that holds it: url_file: …",
            ));
            None
        }
        (Field::Given(_), Field::Given(file)) => {
            let message = "`url` and `url_file` exclude each other";
            problems.report(Problem::error(file.span.clone(), message).help("remove one of them"));
            None
        }
        (Field::Wrong, _) | (_, Field::Wrong) => None,
    }
}

const WAYS: &str = "write `exec: [program, argument]`, or `webhook: { url: \"https://…\" }`";

fn exec(argv: &Spanned<Vec<Text>>, problems: &mut Problems) -> Option<Way> {
    if argv.value.first().is_none_or(|program| program.value.trim().is_empty()) {
        let problem = Problem::error(argv.span.clone(), "`exec` names no program");
        problems.report(problem.help(WAYS));
        return None;
    }
    for text in &argv.value {
        if text.value.contains('\0') {
            let message = "no argument can carry a NUL byte";
            problems.report(Problem::error(text.span.clone(), message));
        } else if text.value.contains("{{") {
            let message = "a channel has no placeholders";
            problems.report(Problem::error(text.span.clone(), message).help(
                "what there is to tell comes as JSON on stdin and as $HOMEOSTAT_NOTICE_SUMMARY",
            ));
        }
    }
    if !argv.value.iter().any(|text| text.value.contains("{{")) {
        words::check(&argv.value, words::Whose::Channel, problems);
    }
    Some(Way::Exec(argv.value.iter().map(|text| text.value.clone()).collect()))
}
