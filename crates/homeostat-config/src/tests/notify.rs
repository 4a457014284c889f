//! Channels, and the policies that tell through them.

use std::path::Path;

use super::*;
use crate::notify::{Way, WebhookUrl};

const CHANNELS: &str = "notify:
  - name: oncall
    exec: [/usr/local/bin/page, --team, web]
    timeout: 20s
    send_resolved: false
  - name: chat
    webhook:
      url: https://chat.example/hook/secret
      authorization: { credentials_file: chat.token }
";

#[test]
fn channels_and_the_choice_of_a_policy_are_read() {
    let text = format!("{CHANNELS}{}", policy("mode: auto\nescalate: { notify: [chat] }"));
    let config = parse("/etc/homeostat/homeostat.yml", &text).unwrap_or_else(|r| panic!("{r}"));
    let [oncall, chat] = &config.notify.channels[..] else { panic!() };
    let Way::Exec(argv) = &oncall.way else { panic!() };
    assert_eq!((&*oncall.name, argv.len()), ("oncall", 3));
    assert_eq!((oncall.timeout, oncall.send_resolved), (Span::from_secs(20), false));
    let Way::Webhook { url: WebhookUrl::Inline(url), http } = &chat.way else { panic!() };
    assert_eq!(url.as_str(), "https://chat.example/hook/secret");
    assert!(matches!(http.credentials, Credentials::Header { .. }));
    assert_eq!((chat.timeout, chat.send_resolved), (Span::from_secs(10), true));
    let routes: Vec<_> = config.notify.routes.into_iter().collect();
    assert_eq!(routes, [(PolicyName::new("a"), ["chat".to_owned()].into())]);
}

#[test]
fn the_url_of_a_webhook_may_stand_in_a_file_beside_the_configuration() {
    let text = "notify: [{ name: chat, webhook: { url_file: chat.url } }]\n";
    let config = parse("/etc/homeostat/homeostat.yml", &format!("{text}policies: []\n"));
    let config = config.unwrap_or_else(|report| panic!("{report}"));
    let Way::Webhook { url: WebhookUrl::File(file), .. } = &config.notify.channels[0].way else {
        panic!()
    };
    assert_eq!(file, Path::new("/etc/homeostat/chat.url"));
    let slack = "webhook: { url: \"https://hooks.slack.com/services/T1/B1/x\" }";
    let text = format!("notify: [{{ name: chat, {slack} }}]\npolicies: []\n");
    insta::assert_snapshot!(problems(&text), @r#"
        1:40 warning: this path looks like a secret, and URLs are written down
          => write it into a file that only Homeostat can read, and name that: url_file: …
        2:11 warning: there are no policies
          => until there are, every alert is recorded in shadow
        "#);
}

#[test]
fn a_channel_is_a_way_to_tell_unless_the_policy_chooses_none() {
    let with = |lines: &str| problems(&format!("{CHANNELS}{}", policy(lines)));
    assert_eq!(with("mode: auto"), "");
    insta::assert_snapshot!(with("mode: auto\nescalate: { notify: [] }"), @r#"
        13:15 this policy acts, and there is no way to tell a person
          => add sources: { alertmanagers: [{ name: main, urls: ["http://127.0.0.1:9093"] }] }, or
            a channel to `notify`, or say that nobody is told: `escalate: none`
        "#);
    insta::assert_snapshot!(with("mode: auto\nescalate: { notify: [chatt, pager] }"), @r#"
        13:26 no channel of `notify` is named "chatt"
          => did you mean "chat"?
        13:33 no channel of `notify` is named "pager"
          => add it to the list `notify` at the top level of the file
        "#);
    insta::assert_snapshot!(with("mode: auto\nnotify: [chat]"), @r#"
        13:5 unknown key "notify" in a policy
          => write escalate: { notify: [NAME] }
        "#);
}

#[test]
fn what_is_wrong_with_a_channel_is_told_with_its_place() {
    let text = "notify:
- { name: a }
- { name: a, exec: [page], webhook: { url: \"http://x\" } }
- { name: b, exec: [] }
- { name: c, exec: [page --all] }
- { name: d, exec: [page, \"{{ labels.instance }}\"] }
- { name: e, webhook: {} }
- { name: f, webhook: { url: \"ftp://x/secret\" } }
- { name: g, webhook: http://x }
- { name: h, exec: [page], timeout: 1h }
- { name: i, url: http://x }
- { name: j, webhook: { url: \"http://x/secret\", url_file: x.url } }
- { name: k, webhook: { url_file: ~/x.url } }
- { name: l, webhook: { url_file: [x] } }
";
    let shown = problems(&format!("{text}{}", policy("mode: auto\nescalate: none")));
    assert!(!shown.contains("secret"), "{shown}");
    insta::assert_snapshot!(shown, @r#"
        2:3 this channel says no way to tell
          => write `exec: [program, argument]`, or `webhook: { url: "https://…" }`
        3:11 a second channel is named "a"
          => names are unique
        3:37 `exec` and `webhook` are two channels
          => give each a `name` and an element of its own
        4:20 `exec` names no program
          => write `exec: [program, argument]`, or `webhook: { url: "https://…" }`
        5:21 no shell splits this into words
          => write exec: [page, --all]
        6:27 a channel has no placeholders
          => what there is to tell comes as JSON on stdin and as $HOMEOSTAT_NOTICE_SUMMARY
        7:23 this webhook has no `url`
          => write webhook: { url: "https://…" }, or name a file that holds it: url_file: …
        8:30 cannot talk "ftp", only http and https
          => write it as in "http://127.0.0.1:9093"
        9:23 expected a map, found a text
          => write webhook: { url: "https://…" }
        10:37 longer than 5m
          => what takes longer is tried again, so that a person is told sooner
        11:14 unknown key "url" in a channel of `notify`
          => write webhook: { url: "https://…" }
        12:59 `url` and `url_file` exclude each other
          => remove one of them
        13:35 no shell expands this path
          => write it from `/` on, or from the configuration's directory
        14:35 expected a text, found a list
        "#);
}

// --- what notices carry ---

fn with_sources(lines: &str) -> String {
    format!("{SOURCES}{}", policy(lines))
}

#[test]
fn what_a_policy_puts_on_its_notices_is_read() {
    let text = with_sources(
        "mode: auto\nescalate: { labels: { team: web, zone: '' }, \
         annotations: { runbook_url: 'https://wiki.example/down' } }",
    );
    let config = parse("/etc/homeostat/homeostat.yml", &text).unwrap_or_else(|r| panic!("{r}"));
    let Escalate::After { carries, severity, .. } = &config.book.policies()[0].escalate else {
        panic!()
    };
    assert_eq!(&**severity, "critical");
    assert_eq!(carries.labels, [("team".into(), "web".into()), ("zone".into(), "".into())]);
    let runbook = ("runbook_url".into(), "https://wiki.example/down".into());
    assert_eq!(carries.annotations, [runbook]);
}

#[test]
fn what_no_notice_can_carry_is_told_with_its_place() {
    let shown = problems(&with_sources(
        "mode: auto\ntarget: [instance]\nescalate:\n  labels:\n    severity: page\n    \
         incident: 7\n    instance: a\n    selfhealing: true\n    service.name: web\n    \
         \"\": x\n    host: \"{{ labels.host }}\"\n  annotations:\n    summary: help\n    \
         instance: a\n    run book: x",
    ));
    insta::assert_snapshot!(shown, @r#"
        10:9 the severity of notices has a key of its own
          => write escalate: { severity: … }
        11:9 notices have the label incident of their own
          => choose another name
        12:9 instance is a label of this policy's target
          => leave it out: notices say which target they are about
        13:9 a notice with this label would be routed to Homeostat, and to no person
          => leave it out
        14:9 "service.name" is not the name of a label
          => write letters, digits and `_`, and no digit first
        15:9 "" is not the name of a label
          => write letters, digits and `_`, and no digit first
        16:15 placeholders are not filled in here
          => write the text itself: labels that all alerts of an incident have are carried anyway
        18:9 notices have the annotation summary of their own
          => choose another name
        20:9 "run book" is not the name of an annotation
          => write letters, digits and `_`, and no digit first
        "#);
    let long = "x".repeat(limits::CARRIED_BYTES + 1);
    let many: Vec<String> = (0..=limits::CARRIED).map(|n| format!("l{n}: x")).collect();
    let many = many.join(", ");
    let shown = problems(&with_sources(&format!(
        "mode: auto\nescalate: {{ labels: {{{many} }}, annotations: {{ a: {long} }} }}"
    )));
    assert!(shown.contains("more than 32 labels"), "{shown}");
    assert!(shown.contains("longer than 1024 bytes"), "{shown}");
    insta::assert_snapshot!(problems(&with_sources("mode: auto\nescalate: { labels: [team] }")), @r#"
        7:25 expected texts as a map, found a list
          => write { NAME: text }
        "#);
    insta::assert_snapshot!(problems(&with_sources("mode: auto\nescalate: { team: web }")), @r#"
        7:17 unknown key "team" in escalate
          => write labels: { team: NAME }
        "#);
}
