use homeostat_core::label::LabelSet;
use homeostat_core::policy::{Action, Mode, Policy};

use super::super::{Wishes, webhook};
use crate::report::{Report, Severity};

/// The example of our own documents, and hooks that are about something else.
const HOOKS: &str = r#"[
  {
    "id": "restart-web",
    "execute-command": "/usr/local/bin/restart",
    "command-working-directory": "/srv/web",
    "response-message": "ok",
    "pass-arguments-to-command": [
      { "source": "payload", "name": "alerts.0.labels.instance" },
      { "source": "string", "name": "it's" }
    ],
    "pass-environment-to-command": [
      { "source": "payload", "name": "commonLabels.job", "envname": "JOB" },
      { "source": "payload", "name": "commonAnnotations.summary" }
    ],
    "trigger-rule": {
      "and": [
        { "match": { "type": "value", "value": "firing",
                     "parameter": { "source": "payload", "name": "status" } } },
        { "match": { "type": "regex", "regex": "^web",
                     "parameter": { "source": "payload", "name": "commonLabels.job" } } },
        { "match": { "type": "payload-hmac-sha256", "secret": "hunter2",
                     "parameter": { "source": "header", "name": "X-Signature" } } }
      ]
    }
  },
  {
    "id": "deploy",
    "execute-command": "deploy.sh",
    "pass-arguments-to-command": [{ "source": "payload", "name": "head_commit.id" }]
  }
]"#;

fn wishes() -> Wishes {
    Wishes { mode: Mode::Auto, alertmanager: None, target: vec!["instance".into()] }
}

fn translate(text: &str) -> super::super::Translation {
    webhook("hooks.json", text, &wishes()).unwrap_or_else(|report| panic!("{report}"))
}

fn policies(text: &str) -> Vec<Policy> {
    crate::load::parse("homeostat.yml", text).unwrap().book.policies().to_vec()
}

/// A hook with this rule, in YAML.
fn with_rule(rule: &str) -> String {
    format!("- id: x\n  execute-command: /bin/true\n  trigger-rule: {rule}\n")
}

fn label(name: &str, value: &str) -> String {
    format!(
        "{{ match: {{ type: value, value: {value}, parameter: {{ source: payload, name: \
         commonLabels.{name} }} }} }}"
    )
}

fn takes(policy: &Policy, labels: &[(&str, &str)]) -> bool {
    policy.matchers.matches(&LabelSet::from_pairs(labels.iter().copied()))
}

#[test]
fn a_hook_becomes_a_policy_that_hands_on_the_same() {
    let new = translate(HOOKS);
    assert_eq!(new.policies, 1);
    let (_, text) = new.text.split_once("\npolicies:\n").unwrap();
    insta::assert_snapshot!(text, @r#"
    # line 3: hook "restart-web"
    - name: restart-web
      matchers: ['job=~"web.*"']
      target: ["instance"]
      mode: auto
      escalate: none
      remedies:
        - name: restart
          working_directory: "/srv/web"
          script: |
            export JOB="$HOMEOSTAT_LABEL_job"
            # HOOK_commonAnnotations.summary cannot be the name of a variable in a shell.
            exec /usr/local/bin/restart "$HOMEOSTAT_LABEL_instance" 'it'\''s'
          timeout: 10m
    "#);
}

#[test]
fn what_has_no_equal_is_told_at_its_place_and_no_secret_is_shown() {
    let new = translate(HOOKS);
    insta::assert_snapshot!(new.warnings.to_string(), @r#"
    warning: no equal: a notification is answered when it is written down, before anything runs
     --> hooks.json:6:25
      |
    6 |     "response-message": "ok",
      |                         ^^^^
      |
      = help: Alertmanager looks at nothing but the status

    warning: not carried over: this is about who may send
      --> hooks.json:21:20
       |
    21 |         { "match": { "type": "payload-hmac-sha256", "secret": *********,
       |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: say who may send to `homeostat serve`: --web.bearer-token-file, and in Alertmanager's receiver `authorization`; senders that sign: `sources.webhooks[].hmac`

    warning: left out: the command of hook "deploy" needs what there is not: "head_commit.id" is no part of an alert
      --> hooks.json:29:35
       |
    29 |     "pass-arguments-to-command": [{ "source": "payload", "name": "head_commit.id" }]
       |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write the policy by hand, if it is about alerts
    "#);
    assert!(!new.text.contains("hunter2"));
}

#[test]
fn alternatives_become_policies_and_what_holds_for_nothing_that_fires_none() {
    let (a, b) = (label("job", "a"), label("job", "b"));
    let new = translate(&with_rule(&format!("{{ or: [{a}, {b}] }}")));
    let both = policies(&new.text);
    assert_eq!(both.len(), 2);
    assert!(takes(&both[0], &[("job", "a")]) && takes(&both[1], &[("job", "b")]));
    assert_ne!(both[0].name, both[1].name);

    let new = translate(&with_rule(&format!("{{ not: {{ or: [{a}, {b}] }} }}")));
    let neither = policies(&new.text);
    assert_eq!(neither.len(), 1);
    assert!(takes(&neither[0], &[("job", "c")]) && !takes(&neither[0], &[("job", "b")]));

    let status =
        "{ match: { type: value, value: resolved, parameter: { source: payload, name: status } } }";
    let new = translate(&with_rule(status));
    assert_eq!(new.policies, 0);
    assert!(new.warnings.to_string().contains("is about what has resolved"));
}

#[test]
fn an_expression_that_is_found_anywhere_is_one_that_takes_the_whole() {
    for (regex, yes, no) in [
        ("web", "a-web-1", "db"),
        ("^web", "web1", "a-web"),
        ("web$", "a-web", "web1"),
        ("^web$", "web", "web1"),
        ("a|b", "xbx", "c"),
        ("(?i)WEB", "my-web", "db"),
    ] {
        let rule = format!(
            "{{ match: {{ type: regex, regex: '{regex}', parameter: {{ source: payload, name: \
             alerts.0.labels.job }} }} }}"
        );
        let policy = policies(&translate(&with_rule(&rule)).text).remove(0);
        assert!(takes(&policy, &[("job", yes)]), "{regex} {yes}");
        assert!(!takes(&policy, &[("job", no)]), "{regex} {no}");
        assert!(!takes(&policy, &[]), "what is not there is not found");
    }
}

#[test]
fn a_condition_without_an_equal_makes_a_policy_that_only_records() {
    for (rule, why) in [
        (
            "{ match: { type: value, value: x, parameter: { source: payload, name: ref } } }",
            "is no part of an alert",
        ),
        (
            "{ match: { type: value, value: x, parameter: { source: payload, name: receiver } } }",
            "by their labels alone",
        ),
        ("{ match: { type: ip-whitelist, ip-range: 10.0.0.0/8 } }", "who may send"),
    ] {
        let new = translate(&with_rule(rule));
        assert_eq!(policies(&new.text)[0].mode, Mode::Shadow, "{rule}");
        assert!(new.warnings.to_string().contains(why), "{rule}: {}", new.warnings);
    }
    let job = label("job", "web");
    let sender = "{ match: { type: value, value: x, parameter: { source: url, name: token } } }";
    let new = translate(&with_rule(&format!("{{ and: [{job}, {sender}] }}")));
    assert_eq!(policies(&new.text)[0].mode, Mode::Auto, "who may send is asked elsewhere");
}

#[test]
fn a_hook_that_needs_what_no_alert_has_is_left_out() {
    for line in [
        "pass-arguments-to-command: [{ source: header, name: X-Event }]",
        "pass-arguments-to-command: [{ source: payload, name: commits.0.id }]",
        "pass-arguments-to-command: [{ source: template, name: '{{ .Payload.x }}' }]",
        "pass-file-to-command: [{ source: entire-payload, envname: F }]",
        "pre-hook-command: /bin/true",
    ] {
        let new = translate(&format!("- id: x\n  execute-command: /bin/true\n  {line}\n"));
        assert_eq!(new.policies, 0, "{line}");
        let row = &new.warnings.rows()[0];
        assert_eq!((row.line, row.message.starts_with("left out")), (Some(3), true), "{line}");
    }
}

#[test]
fn no_value_becomes_text_of_a_shell() {
    for hostile in ["$(reboot)", "`id`", "'; reboot; '", "a b", "", "{{ x }}", "-n", "é\n"] {
        let quoted = serde_json::to_string(hostile).unwrap();
        let text = format!(
            "[{{ \"id\": \"x\", \"execute-command\": \"/usr/bin/printf\", \
             \"pass-arguments-to-command\": [{{ \"source\": \"string\", \"name\": \"<%s>\" }}, \
             {{ \"source\": \"string\", \"name\": {quoted} }}] }}]"
        );
        let new = translate(&text);
        let Action::Script(script) = &policies(&new.text)[0].remedies[0].action else {
            panic!("{}", new.text)
        };
        let output =
            std::process::Command::new("/bin/sh").arg("-c").arg(&**script).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("<{hostile}>"));
    }
}

#[test]
fn what_is_no_file_of_hooks_is_told_with_its_place() {
    let wrong: [(&str, &str); 8] = [
        ("[{ id: x }]", "this hook has no `execute-command`"),
        ("[{ execute-command: x }]", "this hook has no `id`"),
        ("[{ id: x, execute-command: y, exec: z }]", "unknown key \"exec\""),
        ("id: x", "expected a list of hooks"),
        ("[]", "there is no hook in it"),
        ("[{ id: x, execute-command: y, trigger-rule: {} }]", "this rule says nothing"),
        ("[{ id: x, execute-command: 'a {{ labels.x }}' }]", "cannot be said in Homeostat's words"),
        ("[", "not valid YAML"),
    ];
    for (text, message) in wrong {
        let report: Report = webhook("hooks.json", text, &wishes()).unwrap_err();
        let first = report.rows().into_iter().find(|row| row.severity == Severity::Error).unwrap();
        assert!(first.message.contains(message), "{text}: {report}");
    }
}
