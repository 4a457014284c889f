//! Remedies that one of the hands performs.

use homeostat_core::errand::{Errand, Field, FieldTemplate};
use homeostat_core::template::Values;

use super::*;

fn errand(line: &str, instance: &str) -> Result<Errand, String> {
    let text = policy(&format!("remedies: [{{ name: x, {line} }}]"));
    let config =
        parse("/etc/homeostat/homeostat.yml", &text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.problems(), [], "{}", config.warnings);
    let Action::Errand(template) = &config.book.policies()[0].remedies[0].action else { panic!() };
    let values = Values {
        labels: LabelSet::from_pairs([("instance", instance)]),
        annotations: LabelSet::default(),
        incident: 1,
        policy: "a".into(),
        remedy: "x".into(),
        attempt: 1,
        key: String::new(),
    };
    template.render(&values).map_err(|error| error.message)
}

const SSH: &str = "ssh: { host: '{{ labels.instance | host }}', user: root, exec: [systemctl, \
     restart, 'web@{{ labels.instance }}'] }";

#[test]
fn a_command_on_another_machine_is_an_errand() {
    let errand = errand(SSH, "web1:9100").unwrap();
    let shown = "ssh exec host=web1 user=root argv=[systemctl restart web@web1:9100]";
    assert_eq!(errand.to_string(), shown);
    let (name, host) = &errand.fields[0];
    assert_eq!((&**name, host), ("host", &Field::Text("web1".into())));
}

#[test]
fn all_keys_are_carried_and_what_is_left_out_is_left_to_ssh() {
    let line = "ssh: { host: web1, port: 2222, config_file: /etc/hosts, exec: [true] }";
    let shown = errand(line, "x").unwrap().to_string();
    assert_eq!(shown, "ssh exec host=web1 port=2222 config_file=/etc/hosts argv=[true]");
}

#[test]
fn a_hostile_host_is_refused_where_it_is_rendered() {
    for hostile in ["-oProxyCommand=reboot", "a;reboot", "$(reboot)", "a`b`", "a'b", "a,b", "ä"] {
        let error = errand(SSH, hostile).unwrap_err();
        assert!(error.contains("labels.instance"), "{hostile}: {error}");
    }
}

#[test]
fn a_verb_of_systemd_and_its_unit_are_an_errand() {
    let line = "systemd: { restart: \"web@{{ labels.instance | host }}.service\" }";
    let shown = errand(line, "web-1:9100").unwrap().to_string();
    assert_eq!(shown, "systemd restart unit=web@web-1.service");
    for hostile in ["a b", "../x", "-x", "a;b"] {
        let line = "systemd: { stop: \"{{ labels.instance }}.service\" }";
        let error = errand(line, hostile).unwrap_err();
        assert!(error.contains("labels.instance"), "{hostile}: {error}");
    }
    for verb in ["start", "stop", "reload", "reset_failed"] {
        let shown = errand(&format!("systemd: {{ {verb}: a.service }}"), "x").unwrap().to_string();
        assert_eq!(shown, format!("systemd {verb} unit=a.service"));
    }
}

#[test]
fn a_program_as_a_unit_is_an_errand_in_which_only_arguments_come_from_the_alert() {
    let line = "systemd: { run: [sh, -c, 'df \"$1\"', sh, '{{ labels.instance }}'] }";
    let hostile = "a; reboot $HOME %n";
    let shown = errand(line, hostile).unwrap().to_string();
    assert_eq!(shown, r#"systemd run argv=[sh -c "df \"$1\"" sh "a; reboot $HOME %n"]"#);
    let line = "systemd: { cpu_quota: 150%, run: [true], memory_max: 512M, tasks_max: 64, \
                user: web, working_directory: /srv }";
    let shown = errand(line, "x").unwrap().to_string();
    assert_eq!(
        shown,
        "systemd run user=web working_directory=/srv memory_max=512M tasks_max=64 cpu_quota=150% \
         argv=[true]"
    );
}

#[test]
fn a_verb_of_kubernetes_and_what_it_is_about_are_an_errand() {
    let workload = "namespace: shop, deployment: \"{{ labels.instance }}\"";
    for (line, shown) in [
        (
            format!("rollout_restart: {{ {workload} }}"),
            "rollout_restart namespace=shop deployment=web-1",
        ),
        (format!("rollout_undo: {{ {workload} }}"), "rollout_undo namespace=shop deployment=web-1"),
        (
            format!("scale: {{ {workload}, by: -1, min: 2 }}"),
            "scale namespace=shop deployment=web-1 by=-1 min=2",
        ),
        (
            "scale: { namespace: shop, statefulset: db, to: 0 }".into(),
            "scale namespace=shop statefulset=db to=0",
        ),
        (
            "evict: { namespace: shop, pod: \"{{ labels.instance }}\", uid: 12-ab }".into(),
            "evict namespace=shop pod=web-1 uid=12-ab",
        ),
        ("delete_pod: { namespace: shop, pod: a.b }".into(), "delete_pod namespace=shop pod=a.b"),
        ("cordon: { node: n1 }, context: 'prod@eu/1'".into(), "cordon node=n1 context=prod@eu/1"),
        (
            "uncordon: { node: n1 }, kubeconfig: /etc/kube".into(),
            "uncordon node=n1 kubeconfig=/etc/kube",
        ),
        (
            "drain: { node: n1, max_unavailable: 3, force: true }".into(),
            "drain node=n1 max_unavailable=3 force=true",
        ),
        ("run_job: { namespace: a, cronjob: b }".into(), "run_job namespace=a cronjob=b"),
    ] {
        let shown_as = errand(&format!("kubernetes: {{ {line} }}"), "web-1").unwrap().to_string();
        assert_eq!(shown_as, format!("kubernetes {shown}"));
    }
}

#[test]
fn a_hostile_name_of_an_object_is_refused_where_it_is_rendered() {
    let hostile =
        ["a/b", "..", "../../secrets", "a?x=y", "a#b", "a%2fb", "A", "-a", "a b", "a\nb", "ä", ""];
    for hostile in hostile {
        for line in [
            "evict: { namespace: shop, pod: \"{{ labels.instance }}\" }",
            "evict: { namespace: \"{{ labels.instance }}\", pod: a }",
            "evict: { namespace: a, pod: b, uid: \"{{ labels.instance }}\" }",
            "cordon: { node: \"{{ labels.instance }}\" }",
        ] {
            let refused = errand(&format!("kubernetes: {{ {line} }}"), hostile);
            // A uid may be of capitals: no API has such a one, and it is no path either.
            let is_harmless = line.contains("uid") && hostile == "A";
            assert!(is_harmless || refused.is_err(), "{hostile:?} in {line}");
        }
    }
}

#[test]
fn the_time_limit_may_stand_with_the_verb() {
    let line = "remedies: [{ name: x, kubernetes: { drain: { node: a, timeout: 10m } } }]";
    let config = parse("h.yml", &policy(line)).unwrap_or_else(|report| panic!("{report}"));
    let remedy = &config.book.policies()[0].remedies[0];
    assert_eq!(remedy.timeout, homeostat_core::time::Span::from_secs(600));
}

#[test]
fn what_cannot_be_is_told_with_the_way_out() {
    for (line, says, helps) in [
        ("ssh: { exec: [true] }", "`ssh` names no host", "labels.instance | host"),
        ("ssh: { host: a }", "`ssh` runs nothing", "exec: [program, argument]"),
        ("ssh: { host: root@a, exec: [true] }", "no user in it", "user: root, host: \"a\""),
        ("ssh: { host: -x, exec: [true] }", "is not a host name or an address", ""),
        ("ssh: { host: 'a b', exec: [true] }", "is not a host name or an address", ""),
        ("ssh: { host: a, user: -x, exec: [true] }", "is not the name of a user", ""),
        ("ssh: { host: a, port: 0, exec: [true] }", "is not a port", "from 1 to 65535"),
        ("ssh: { host: a, port: '{{ labels.p }}', exec: [true] }", "cannot come from an alert", ""),
        ("ssh: { host: a, config_file: x, exec: [true] }", "begins with `/`", ""),
        ("ssh: { host: a, exec: ['{{ labels.a }}'] }", "program itself cannot come", ""),
        (
            "ssh: { host: a, exec: [sh, -c, 'x {{ labels.a }}'] }",
            "cannot stand in shell text",
            "as an argument",
        ),
        ("ssh: { host: a, exec: [x, '&&', y] }", "no shell reads", ""),
        ("ssh: { host: a, exec: [~/x] }", "no shell expands `~`", ""),
        ("ssh: { host: a, exec: true }", "expected a program and its arguments", ""),
        ("ssh: { host: a, command: x }", "unknown key \"command\"", "exec: [program"),
        ("ssh: { host: a, password: x }", "unknown key \"password\"", "~/.ssh/config"),
        ("systemd: {}", "`systemd` does nothing", "systemd: { restart: UNIT }"),
        (
            "systemd: { restart: a.service, stop: b.service }",
            "one thing with one unit",
            "remove one",
        ),
        ("systemd: { restart: web }", "says what it is", "restart: \"web.service\""),
        ("systemd: { restart: '{{ labels.unit }}' }", "says what it is", ".service"),
        ("systemd: { restart: /etc/x.service }", "is not the name of a unit", ""),
        ("systemd: { restart: 'a b.service' }", "is not the name of a unit", ""),
        ("systemd: { restart: '*.service' }", "is not the name of a unit", ""),
        ("systemd: { unit: a.service }", "unknown key \"unit\"", "systemd: { restart: UNIT }"),
        ("systemd: { restart: a.service, host: b }", "unknown key \"host\"", "ssh: { host: …"),
        ("systemd: { restart: a.service }, run_as: a", "is about a program", ""),
        ("systemd: { run: [] }", "names no program", "exec: [program"),
        ("systemd: { run: x }", "expected a program and its arguments", ""),
        ("systemd: { run: ['{{ labels.a }}'] }", "program itself cannot come", ""),
        ("systemd: { run: [sh, -c, 'x {{ labels.a }}'] }", "cannot stand in shell text", "LABEL_a"),
        ("systemd: { run: [x], start: a.service }", "one thing with one unit", "remove one"),
        ("systemd: { start: a.service, user: b }", "`user` is about a program", "beside run:"),
        ("systemd: { memory_max: 1G }", "`memory_max` is about a program", "beside run:"),
        ("systemd: { run: [x], user: '{{ labels.a }}' }", "cannot come from an alert", ""),
        ("systemd: { run: [x], user: 'a b' }", "is no `user`", "of this machine"),
        ("systemd: { run: [x], working_directory: b }", "is no `working_directory`", "with `/`"),
        ("systemd: { run: [x], memory_max: 50% }", "is no `memory_max`", "as 512M"),
        ("systemd: { run: [x], memory_max: 9999999T }", "is no `memory_max`", "as 512M"),
        ("systemd: { run: [x], tasks_max: 0 }", "is no `tasks_max`", "from 1 on"),
        ("systemd: { run: [x], cpu_quota: 50 }", "is no `cpu_quota`", "as 50%"),
        ("systemd: { run: [x], MemoryMax: 1G }", "unknown key", "write `memory_max`"),
        ("systemd: { exec: [x] }", "unknown key \"exec\"", "run: [program"),
        ("systemd: { run: [x] }, env: { A: b }", "is about a program", ""),
        ("ssh: a", "expected `ssh` as a map", "host, user, port, exec, config_file"),
        ("host: a, exec: [true]", "unknown key \"host\"", "write ssh: { host: …"),
        ("ssh: { host: a, exec: [true] }, exec: [true]", "a remedy does one thing", "remove one"),
        ("ssh: { host: a, exec: [true] }, env: { A: x }", "is about a program", ""),
        ("ssh: { host: a, exec: [true] }, secrets: { A: /x }", "is about a program", ""),
        ("ssh: { host: a, exec: [true] }, working_directory: /", "is about a program", ""),
    ] {
        assert_told(line, says, helps);
    }
}

fn assert_told(line: &str, says: &str, helps: &str) {
    let problems = of_policy(&format!("remedies: [{{ name: x, {line} }}]"));
    let problems = problems.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(problems.contains(says) && problems.contains(helps), "{line}: {problems}");
}

#[test]
fn what_cannot_be_done_in_a_cluster_is_told_with_the_way_out() {
    for (line, says, helps) in [
        ("kubernetes: {}", "`kubernetes` does nothing", "rollout_restart"),
        (
            "kubernetes: { cordon: { node: a }, uncordon: { node: a } }",
            "a remedy does one thing",
            "remove one",
        ),
        ("kubernetes: { cordon: {} }", "`cordon` names nothing to act on", "write one of `node`"),
        (
            "kubernetes: { rollout_restart: { namespace: a, deployment: b, daemonset: c } }",
            "acts on one thing",
            "`deployment`, `statefulset`, `daemonset`",
        ),
        ("kubernetes: { evict: { pod: a } }", "it says no `namespace`", "labels.namespace"),
        ("kubernetes: { evict: { namespace: a, pod: A_b } }", "is not the name of an object", ""),
        ("kubernetes: { evict: { namespace: a.b, pod: b } }", "is not the name of a namespace", ""),
        ("kubernetes: { evict: { namespace: a, pod: b, force: true } }", "unknown key", "by force"),
        ("kubernetes: { cordon: { node: a }, context: a b }", "is not the name of a context", ""),
        ("kubernetes: { cordon: { node: a }, kubeconfig: x }", "begins with `/`", ""),
        (
            "kubernetes: { drain: { node: a, max_unavailable: 0 } }",
            "no pod could ever",
            "at least 1",
        ),
        ("kubernetes: { scale: { namespace: a, deployment: b } }", "says no number", "by: 1, max"),
        (
            "kubernetes: { scale: { namespace: a, deployment: b, by: 1 } }",
            "where this ends",
            "add `max: 10`",
        ),
        (
            "kubernetes: { scale: { namespace: a, deployment: b, by: -1, max: 3 } }",
            "where this ends",
            "add `min: 1`",
        ),
        ("kubernetes: { scale: { namespace: a, deployment: b, by: x } }", "is no step", "by: 1"),
        (
            "kubernetes: { scale: { namespace: a, deployment: b, by: 1, to: 2 } }",
            "stand together",
            "remove one",
        ),
        (
            "kubernetes: { scale: { namespace: a, deployment: b, to: 2, max: 3 } }",
            "a bound is for a step",
            "remove it",
        ),
        (
            "kubernetes: { scale: { namespace: a, deployment: b, by: 1, max: 2, min: 3 } }",
            "`min` is above `max`",
            "",
        ),
        (
            "kubernetes: { scale: { namespace: a, daemonset: b, to: 2 } }",
            "unknown key \"daemonset\"",
            "as many pods as there are nodes",
        ),
        ("kubernetes: { restart: { namespace: a } }", "unknown key", "rollout_restart"),
        (
            "kubernetes: { drain: { node: a, timeout: 1m } }, timeout: 2m",
            "two time limits",
            "remove one",
        ),
        ("kubernetes: { cordon: { node: a } }, env: { A: x }", "is about a program", ""),
    ] {
        assert_told(line, says, helps);
    }
}

#[test]
fn it_may_run_as_somebody_who_has_the_keys_and_an_undo_may_be_one() {
    let lines = "target: [instance]
remedies:
  - name: x
    ssh: { host: a, exec: [lb, drain] }
    run_as: deploy
    undo: { ssh: { host: a, exec: [lb, fill] } }
regression: { matchers: ['severity=\"critical\"'], worse: undo }";
    let sources = "sources: { prometheuses: [{ name: m, url: 'http://127.0.0.1:9' }] }\n";
    let text = format!("{sources}{}", policy(lines));
    let config = parse("h.yml", &text).unwrap_or_else(|report| panic!("{report}"));
    let undo = config.book.policies()[0].remedies[0].undo.clone().unwrap();
    let Action::Errand(errand) = undo.action else { panic!() };
    assert!(matches!(errand.fields[1].1, FieldTemplate::List(_)));
    let of = |part| config.settings[&(PolicyName::new("a"), RemedyName::new("x"), part)].clone();
    assert_eq!(of(Part::Heal).run_as.as_deref(), Some("deploy"));
    assert_eq!(of(Part::Undo), ActionSetting::default());
}
