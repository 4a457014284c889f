//! As whom, where and with what programs run.

use super::*;

fn settings(text: &str) -> ActionSettings {
    let config =
        parse("/etc/homeostat/homeostat.yml", text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.problems(), [], "{}", config.warnings);
    config.settings
}

fn of(part: Part) -> (PolicyName, RemedyName, Part) {
    (PolicyName::new("a"), RemedyName::new("x"), part)
}

#[test]
fn a_program_runs_as_the_engine_does_where_nothing_is_said_and_a_request_has_no_setting() {
    let found = settings(&policy("remedies: [{ name: x, exec: [/bin/true] }]"));
    assert_eq!(found, [(of(Part::Heal), ActionSetting::default())].into());
    let found = settings(&policy("remedies: [{ name: x, http: { url: 'https://a.example' } }]"));
    assert!(found.is_empty());
}

#[test]
fn a_remedy_and_its_undo_say_as_whom_where_and_with_what_they_run() {
    let text = "target: [instance]
remedies:
  - name: x
    exec: [/bin/true]
    run_as: deploy:web
    working_directory: /srv
    env: { MODE: fast, _n: \"2\" }
    secrets: { KEY: key, TOKEN: { file: /run/token, variable: true } }
    undo: { script: 'true', run_as: \"1001\" }
regression: { matchers: ['severity=\"critical\"'], worse: undo }";
    let sources = "sources: { prometheuses: [{ name: m, url: 'http://127.0.0.1:9' }] }\n";
    let found = settings(&format!("{sources}{}", policy(text)));
    let secret = |name: &str, file: &str, as_variable| HandedSecret {
        name: name.into(),
        file: file.into(),
        as_variable,
    };
    let heal = ActionSetting {
        run_as: Some("deploy:web".into()),
        working_directory: Some("/srv".into()),
        variables: vec![("MODE".into(), "fast".into()), ("_n".into(), "2".into())],
        secrets: vec![
            secret("KEY", "/etc/homeostat/key", false),
            secret("TOKEN", "/run/token", true),
        ],
    };
    let undo = ActionSetting { run_as: Some("1001".into()), ..ActionSetting::default() };
    assert_eq!(found, [(of(Part::Heal), heal), (of(Part::Undo), undo)].into());
}

#[test]
fn what_a_program_cannot_have_is_told_with_the_way_out() {
    for (key, says, helps) in [
        ("run_as: 'a b'", "this is no user", "write run_as: USER"),
        ("run_as: 'a:b:c'", "this is no user", "write run_as: USER"),
        ("run_as: ':b'", "this is no user", "write run_as: USER"),
        ("working_directory: srv", "begins with `/`", "relative to"),
        ("env: { A-B: x }", "cannot be the name of a variable", "no digit first"),
        ("env: { 1A: x }", "cannot be the name of a variable", "no digit first"),
        ("env: { HOMEOSTAT_X: x }", "are Homeostat's own", "another name"),
        ("env: { AMX_X: x }", "are Homeostat's own", "another name"),
        ("env: { A: 'x {{ labels.a }}' }", "is a constant", "$HOMEOSTAT_LABEL_instance"),
        ("secrets: { ../A: x }", "cannot be the name of a variable", "no digit first"),
        ("secrets: { A: { variable: true } }", "this secret has no `file`", "write secrets:"),
        ("secrets: { A: { value: x } }", "", "secrets stand in files"),
        ("secrets: x", "", "write secrets: { NAME: /PATH }"),
        ("env: [A]", "", "write env: { NAME: value }"),
    ] {
        let problems = of_policy(&format!("remedies: [{{ name: x, exec: [/bin/true], {key} }}]"));
        assert!(problems.contains(says) && problems.contains(helps), "{key}: {problems}");
    }
    let twice = "remedies: [{ name: x, exec: [/bin/true], env: { A: x }, secrets: { A: y } }]";
    assert!(of_policy(twice).contains("a variable of this name stands under `env`"));
    for key in ["run_as: a", "working_directory: /srv", "env: { A: x }", "secrets: { A: x }"] {
        let text = format!("remedies: [{{ name: x, http: {{ url: 'https://a.b' }}, {key} }}]");
        let problems = of_policy(&text);
        assert!(problems.contains("is about a program, and there is none here"), "{problems}");
    }
}

#[test]
fn a_program_is_seen_from_the_directory_in_which_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().display();
    let file = directory.path().join("homeostat.yml");
    let warnings = |keys: &str| {
        let text = policy(&format!("remedies: [{{ name: x, exec: [bin/restart]{keys} }}]"));
        std::fs::write(&file, text).unwrap();
        load_with_care(&[&file]).map(|config| config.warnings.to_string())
    };
    let nothing = "there is nothing at this path, relative to the directory in which it runs";
    assert!(warnings("").unwrap_err().to_string().contains(nothing));
    let there = format!(", working_directory: {place}");
    assert!(warnings(&there).unwrap().contains("there is no program"));
    std::fs::create_dir(directory.path().join("bin")).unwrap();
    std::os::unix::fs::symlink("/bin/true", directory.path().join("bin/restart")).unwrap();
    assert!(!warnings(&there).unwrap().contains("there is no program"));
}

#[test]
fn a_secret_among_the_arguments_is_told_of_with_the_way_to_hand_it_over() {
    let exec = "exec: [/bin/true, --password, abc]";
    let remedy = of_policy(&format!("remedies: [{{ name: x, {exec} }}]"));
    assert!(remedy.contains("looks like a secret"), "{remedy}");
    assert!(remedy.contains("secrets: { NAME: /PATH }"), "{remedy}");
    let channel = problems(&format!("notify: [{{ name: n, {exec} }}]"));
    assert!(channel.contains("looks like a secret"), "{channel}");
    assert!(!channel.contains("secrets:"), "{channel}");
}
