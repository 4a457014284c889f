//! Several files as one configuration.

use super::*;

/// Files below a directory; a name may have directories in it.
struct Tree(tempfile::TempDir);

impl Tree {
    fn of(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = tree.at(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        tree
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, names: &[&str]) -> Result<Config, String> {
        let paths: Vec<_> = names.iter().map(|name| self.at(name)).collect();
        load_with_care(&paths).map_err(|report| self.shown(&report))
    }

    fn shown(&self, report: &Report) -> String {
        let text = report.to_string();
        text.replace(&format!("{}/", self.0.path().display()), "")
    }

    fn policies(&self, names: &[&str]) -> Vec<String> {
        let config = self.load(names).unwrap_or_else(|report| panic!("{report}"));
        config.book.policies().iter().map(|policy| policy.name.to_string()).collect()
    }
}

fn one(name: &str) -> String {
    format!("policies: [{{ name: {name}, matchers: [a={name}], mode: shadow, remedies: [] }}]\n")
}

#[test]
fn files_are_one_book_in_order() {
    let tree = Tree::of(&[("b.yml", &one("b")), ("a.yml", &one("a")), ("empty.yml", "# later\n")]);
    assert_eq!(tree.policies(&["b.yml", "empty.yml", "a.yml"]), ["b", "a"]);
    // Named again, it is read once.
    assert_eq!(tree.policies(&["a.yml", "b.yml", "./a.yml"]), ["a", "b"]);
}

#[test]
fn a_directory_is_its_files_by_name() {
    let tree = Tree::of(&[
        ("d/2.yaml", &one("two")),
        ("d/10.yml", &one("ten")),
        ("d/.hidden.yml", "no: [yaml"),
        ("d/10.test.yml", "no: [yaml"),
        ("d/README.md", "no: [yaml"),
        ("d/deeper/3.yml", "no: [yaml"),
        ("none/a.txt", ""),
    ]);
    assert_eq!(tree.policies(&["d"]), ["ten", "two"]);
    insta::assert_snapshot!(tree.load(&["none"]).unwrap_err(), @"error: none: cannot be read: there is no *.yml and no *.yaml in this directory");
}

#[test]
fn a_file_includes_others_by_name() {
    let main = format!("include: [teams/*.yml, 'more/[ab].yml', single.yml]\n{}", one("main"));
    let tree = Tree::of(&[
        ("etc/main.yml", &main),
        ("etc/teams/web.yml", &one("web")),
        ("etc/teams/db.yml", &one("db")),
        ("etc/teams/.later.yml", "no: [yaml"),
        ("etc/teams/db.test.yml", "no: [yaml"),
        ("etc/more/a.yml", &one("a")),
        ("etc/more/c.yml", "no: [yaml"),
        ("etc/single.yml", &one("single")),
    ]);
    assert_eq!(tree.policies(&["etc/main.yml"]), ["main", "db", "web", "a", "single"]);
    // What is asked for, and is included as well, stands where it is met first.
    let names = ["etc/teams/web.yml", "etc/main.yml"];
    assert_eq!(tree.policies(&names), ["web", "main", "db", "a", "single"]);
}

#[test]
fn what_cannot_be_included_is_told_where_it_is_named() {
    let tree = Tree::of(&[
        ("main.yml", "include: [gone.yml, 'teams/*.yml', none/*.yml, 'a***b']\n"),
        ("teams/web.yml", &format!("include: [main.yml]\n{}", one("web"))),
    ]);
    insta::assert_snapshot!(tree.load(&["main.yml"]).unwrap_err(), @"
    error: gone.yml cannot be read: No such file or directory (os error 2)
     --> main.yml:1:11
      |
    1 | include: [gone.yml, 'teams/*.yml', none/*.yml, 'a***b']
      |           ^^^^^^^^

    note: no file is included by this pattern
     --> main.yml:1:36
      |
    1 | include: [gone.yml, 'teams/*.yml', none/*.yml, 'a***b']
      |                                    ^^^^^^^^^^

    error: not a pattern: wildcards are either regular `*` or recursive `**`
     --> main.yml:1:48
      |
    1 | include: [gone.yml, 'teams/*.yml', none/*.yml, 'a***b']
      |                                                ^^^^^^^

    error: an included file includes nothing further
     --> teams/web.yml:1:11
      |
    1 | include: [main.yml]
      |           ^^^^^^^^
      |
      = help: write the pattern in main.yml, from its directory
    ");
    let text = "include: [b.yml]";
    let report = parse("main.yml", text).unwrap_err();
    assert!(report.to_string().contains("only files that are read include others"), "{report}");
    assert!(report.to_string().contains("--> main.yml:1:11"), "{report}");
}

#[test]
fn a_pattern_without_a_file_is_noted_by_those_who_look() {
    let text = format!("include: [none/*.yml]\n{}", one("main"));
    let tree = Tree::of(&[("main.yml", &text)]);
    let config = tree.load(&["main.yml"]).unwrap();
    insta::assert_snapshot!(tree.shown(&config.warnings), @"
    note: no file is included by this pattern
     --> main.yml:1:11
      |
    1 | include: [none/*.yml]
      |           ^^^^^^^^^^
    ");
    assert!(load(&[tree.at("main.yml")]).unwrap().warnings.problems().is_empty());
}

#[test]
fn what_is_wrong_is_told_of_all_files_at_once() {
    let bom = "\u{feff}policies:\n- { name: b, matchers: [a=c], mode: odd, remedies: [] }";
    let tree = Tree::of(&[
        ("a.yml", "policies: [{ nam: a, matchers: [a=b], mode: shadow, remedies: [] }]"),
        ("b.yml", bom),
        ("c.yml", "policies: ["),
        ("d.yml", "- a list\n"),
    ]);
    std::fs::write(tree.at("e.yml"), b"# \xff\n").unwrap();
    let names = ["a.yml", "b.yml", "c.yml", "d.yml", "e.yml", "gone.yml"];
    insta::assert_snapshot!(tree.load(&names).unwrap_err(), @r#"
    error: gone.yml: cannot be read: No such file or directory (os error 2)

    error: unknown key "nam" in a policy
     --> a.yml:1:14
      |
    1 | policies: [{ nam: a, matchers: [a=b], mode: shadow, remedies: [] }]
      |              ^^^
      |
      = help: did you mean "name"?

    error: there is no mode "odd"
     --> b.yml:2:37
      |
    2 | - { name: b, matchers: [a=c], mode: odd, remedies: [] }
      |                                     ^^^
      |
      = help: modes are `shadow`, which records what would be done, `approve`, which asks a person first, and `auto`

    error: not valid YAML: unclosed bracket '['
     --> c.yml:1:11
      |
    1 | policies: [
      |           ^

    error: expected a configuration as a map, found a list
     --> d.yml:1:1
      |
    1 | - a list
      | ^^^^^^^^
      |
      = help: a configuration is a map of: include, sources, time_intervals, limits, defaults, notify, access, redact, policies

    error: these bytes are not UTF-8
     --> e.yml:1:3
      |
    1 | # �
      |   ^
    "#);
    let paths: Vec<_> = names.iter().map(|name| tree.at(name)).collect();
    let rows = load(&paths).unwrap_err().rows();
    let files: Vec<_> = rows.iter().map(|row| row.file.rsplit('/').next().unwrap()).collect();
    assert_eq!(files, ["gone.yml", "a.yml", "b.yml", "c.yml", "d.yml", "e.yml"]);
}

#[test]
fn names_are_unique_and_other_keys_stand_once_over_all_files() {
    let one = "limits: { concurrency: 3 }
time_intervals: [{ name: night, time_intervals: [{ times: [{ start_time: '00:00', end_time: '06:00' }] }] }]
notify: [{ name: pager, exec: [/bin/true] }]
policies: [{ name: a, matchers: [a=b], mode: shadow, remedies: [] }]
";
    let two = one.replace("a=b", "a=c").replace("concurrency: 3", "concurrency: 4");
    let tree = Tree::of(&[("one.yml", one), ("two.yml", &two)]);
    insta::assert_snapshot!(tree.load(&["one.yml", "two.yml"]).unwrap_err(), @r#"
    error: `limits` stands in two files
     --> two.yml:1:1
      |
    1 | limits: { concurrency: 4 }
      | ^^^^^^
      |
      = help: write `limits` in one of them; the first stands at one.yml:1:1

    error: a second time interval is named "night"
     --> two.yml:2:26
      |
    2 | time_intervals: [{ name: night, time_intervals: [{ times: [{ start_time: '00:00', end_time: '06:00' }] }] }]
      |                          ^^^^^
      |
      = help: names are unique; the first stands at one.yml:2:26

    error: a second channel is named "pager"
     --> two.yml:3:18
      |
    3 | notify: [{ name: pager, exec: [/bin/true] }]
      |                  ^^^^^
      |
      = help: names are unique; the first stands at one.yml:3:18

    error: a second policy is named "a"
     --> two.yml:4:20
      |
    4 | policies: [{ name: a, matchers: [a=c], mode: shadow, remedies: [] }]
      |                    ^
      |
      = help: names are unique; the first stands at one.yml:4:20
    "#);
}

#[test]
fn a_file_uses_what_another_one_names() {
    let shared = "sources: { alertmanagers: [{ name: main, urls: ['http://a:9093'] }] }
time_intervals: [{ name: night, time_intervals: [{ times: [{ start_time: '00:00', end_time: '06:00' }] }] }]
";
    let policy = "policies:
- name: a
  matchers: [a=b]
  mode: shadow
  remedies: []
  guard: { freeze: [nigt] }
";
    let tree = Tree::of(&[("z.yml", shared), ("a.yml", &policy.replace("nigt", "night"))]);
    assert_eq!(tree.policies(&["a.yml", "z.yml"]), ["a"]);
    std::fs::write(tree.at("a.yml"), policy).unwrap();
    insta::assert_snapshot!(tree.load(&["a.yml", "z.yml"]).unwrap_err(), @r#"
    error: there is no time interval "nigt"
     --> a.yml:6:21
      |
    6 |   guard: { freeze: [nigt] }
      |                     ^^^^
      |
      = help: did you mean "night"?
    "#);
    // Where the file that may name it cannot be read, nothing is missed.
    std::fs::write(tree.at("z.yml"), "time_intervals: [").unwrap();
    let shown = tree.load(&["a.yml", "z.yml"]).unwrap_err();
    assert!(shown.contains("z.yml:1:17") && !shown.contains("nigt"), "{shown}");
}

#[test]
fn paths_are_meant_from_the_file_that_names_them() {
    let sources = "sources:
  alertmanagers:
  - { name: m, urls: ['https://a:9093'], authorization: { credentials_file: token } }
";
    let notify =
        "notify: [{ name: n, webhook: { url: 'http://c/', tls_config: { ca_file: ca.pem } } }]";
    let tree = Tree::of(&[
        ("main.yml", &format!("include: [teams/*.yml]\n{}", one("a"))),
        ("teams/n.yml", notify),
        ("teams/s.yml", sources),
    ]);
    let config = tree.load(&["main.yml"]).unwrap();
    let Credentials::Header { credentials, .. } = &config.sources.alertmanagers[0].http.credentials
    else {
        panic!()
    };
    assert_eq!(*credentials, SecretSource::File(tree.at("teams/token")));
    let Way::Webhook { http, .. } = &config.notify.channels[0].way else { panic!() };
    assert_eq!(http.tls.ca_file, Some(tree.at("teams/ca.pem")));
    let shown = tree.shown(&config.warnings);
    assert!(shown.contains("--> teams/n.yml:1:"), "{shown}");
}

#[test]
fn a_secret_is_hidden_in_whichever_file_it_stands() {
    let second = "sources:
  prometheuses: [{ name: m, url: x, basic_auth: { username: u, password: geheim } }]
";
    let tree = Tree::of(&[("a.yml", &one("a")), ("b.yml", second)]);
    let shown = tree.load(&["a.yml", "b.yml"]).unwrap_err();
    assert!(
        shown.contains("--> b.yml:2:")
            && shown.contains("password: ******")
            && !shown.contains("geheim"),
        "{shown}"
    );
}

#[test]
fn all_files_together_are_bounded() {
    let half = format!("# {}\n", "x".repeat(limits::FILE_BYTES / 2));
    let tree = Tree::of(&[("a.yml", &half), ("b.yml", &half), ("c.yml", "policies: [1]")]);
    let shown = tree.load(&["a.yml", "b.yml"]).unwrap_err();
    assert_eq!(shown, "error: b.yml: larger than 16 MiB, together with the files before it");
    assert!(
        load(&[tree.at("a.yml"), tree.at("c.yml")]).is_err_and(|r| r.rows()[0].line == Some(1))
    );
    let aliases = format!("x: &a [{}]\ny: [{}]\n", "1,".repeat(1000), "*a,".repeat(1500));
    let tree = Tree::of(&[("a.yml", &aliases), ("b.yml", &aliases)]);
    let shown = tree.load(&["a.yml", "b.yml"]).unwrap_err();
    assert!(shown.contains("more than 2000000 values") && shown.contains("b.yml:2:"), "{shown}");
}
