use super::*;

fn rule(action: Action) -> Relabel {
    Relabel { action, ..Relabel::default() }
}

fn from(sources: &[&str], rule: Relabel) -> Relabel {
    Relabel { source_labels: sources.iter().map(|name| (*name).to_owned()).collect(), ..rule }
}

fn replace(sources: &[&str], regex: &str, target: &str, replacement: &str) -> Relabel {
    let (regex, replacement) = (regex.to_owned(), replacement.to_owned());
    let rule =
        Relabel { regex, replacement, target_label: target.to_owned(), ..rule(Action::Replace) };
    from(sources, rule)
}

fn set(pairs: &[(&str, &str)]) -> LabelSet {
    LabelSet::from_pairs(pairs.iter().copied())
}

fn apply_as(dialect: Dialect, rules: Vec<Relabel>, labels: &[(&str, &str)]) -> Option<LabelSet> {
    Rules::new(rules, dialect).unwrap().apply(&set(labels))
}

fn version(version: &str) -> Dialect {
    Dialect::of_version(version).unwrap()
}

/// What all versions make of it.
fn apply(rules: &[Relabel], labels: &[(&str, &str)]) -> Option<LabelSet> {
    let versions = ["2.42.0+ds", "2.43.0", "2.50.1", "3.14.0-rc.1"];
    let mut all = versions.map(|text| apply_as(version(text), rules.to_vec(), labels));
    let first = all[0].take();
    assert!(all[1..].iter().all(|other| *other == first), "{all:?}, {first:?}");
    first
}

const ABC: &[(&str, &str)] = &[("a", "foo"), ("b", "bar"), ("c", "baz")];

/// The cases of Prometheus' own test, `TestRelabel`.
#[test]
#[expect(clippy::too_many_lines, reason = "it is one table")]
fn rules_do_what_prometheus_expects_of_itself() {
    let action = |action, sources, target: &str| {
        from(sources, Relabel { target_label: target.to_owned(), ..rule(action) })
    };
    let by_name = |action, regex: &str| Relabel { regex: regex.to_owned(), ..rule(action) };
    let by_value = |action, sources, regex: &str| from(sources, by_name(action, regex));
    let f_star = replace(&["a"], "f(.*)", "d", "ch${1}-ch${1}");
    for (rules, labels, expected) in [
        (
            vec![f_star.clone()],
            ABC,
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "choo-choo")][..]),
        ),
        (
            vec![f_star, replace(&["a", "b"], ".*(b).*", "a", "$1${1}m")],
            &[("a", "foo"), ("b", "bar")],
            Some(&[("a", "bbm"), ("b", "bar"), ("d", "choo-choo")]),
        ),
        (vec![by_value(Action::Drop, &["a"], ".*o.*")], ABC, None),
        (vec![by_value(Action::Drop, &["a"], "f|o")], ABC, Some(ABC)),
        (vec![by_value(Action::Keep, &["a"], "no-match")], ABC, None),
        (vec![by_value(Action::Keep, &["a"], "f.*")], ABC, Some(ABC)),
        (vec![replace(&["a"], "f(.*)", "b", "")], ABC, Some(&[("a", "foo"), ("c", "baz")])),
        (vec![replace(&["a"], "no-match", "d", "x")], ABC, Some(ABC)),
        (
            vec![Relabel { modulus: 1000, ..action(Action::HashMod, &["c"], "d") }],
            &[("a", "foo"), ("b", "bar"), ("c", "baz")],
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "976")]),
        ),
        (
            vec![Relabel { modulus: 1000, ..action(Action::HashMod, &["a"], "d") }],
            &[("a", "foo\nbar")],
            Some(&[("a", "foo\nbar"), ("d", "734")]),
        ),
        (
            vec![by_name(Action::LabelMap, "(b.*)")]
                .into_iter()
                .map(|r| Relabel { replacement: "bar_${1}".into(), ..r })
                .collect(),
            &[("a", "foo"), ("b1", "bar"), ("b2", "baz")],
            Some(&[
                ("a", "foo"),
                ("b1", "bar"),
                ("b2", "baz"),
                ("bar_b1", "bar"),
                ("bar_b2", "baz"),
            ]),
        ),
        (
            vec![by_name(Action::LabelMap, "__meta_(my.*)")],
            &[
                ("a", "foo"),
                ("__meta_my_bar", "aaa"),
                ("__meta_my_baz", "bbb"),
                ("__meta_other", "ccc"),
            ],
            Some(&[
                ("a", "foo"),
                ("__meta_my_bar", "aaa"),
                ("__meta_my_baz", "bbb"),
                ("__meta_other", "ccc"),
                ("my_bar", "aaa"),
                ("my_baz", "bbb"),
            ]),
        ),
        (
            vec![replace(&["a"], "some-([^-]+)-([^,]+)", "${1}", "${2}")],
            &[("a", "some-name-value")],
            Some(&[("a", "some-name-value"), ("name", "value")]),
        ),
        (
            vec![replace(&["a"], "some-([^-]+)-([^,]+)", "${3}", "${2}")],
            &[("a", "some-name-value")],
            Some(&[("a", "some-name-value")]),
        ),
        (
            vec![by_name(Action::LabelKeep, "(b.*)")],
            &[("a", "foo"), ("b", "bar"), ("bc", "baz")],
            Some(&[("b", "bar"), ("bc", "baz")]),
        ),
        (
            vec![by_name(Action::LabelDrop, "(b.*)")],
            &[("a", "foo"), ("b1", "bar"), ("b2", "baz")],
            Some(&[("a", "foo")]),
        ),
        (
            vec![
                action(Action::Uppercase, &["foo"], "up"),
                action(Action::Lowercase, &["foo"], "low"),
            ],
            &[("foo", "bAr123Foo")],
            Some(&[("foo", "bAr123Foo"), ("low", "bar123foo"), ("up", "BAR123FOO")]),
        ),
        (
            vec![action(Action::KeepEqual, &["port"], "container")],
            &[("port", "1234"), ("container", "1234")],
            Some(&[("port", "1234"), ("container", "1234")]),
        ),
        (
            vec![action(Action::DropEqual, &["port"], "container")],
            &[("port", "1234"), ("container", "1234")],
            None,
        ),
        (
            vec![action(Action::KeepEqual, &["port"], "container")],
            &[("port", "1234"), ("container", "1235")],
            None,
        ),
        (
            vec![action(Action::DropEqual, &["port"], "container")],
            &[("port", "1234"), ("container", "1235")],
            Some(&[("port", "1234"), ("container", "1235")]),
        ),
    ] {
        let described = format!("{rules:?}");
        assert_eq!(apply(&rules, labels), expected.map(set), "{described}");
    }
}

#[test]
fn templates_are_expanded_as_in_go() {
    for (template, expected) in [
        ("$1", "web"),
        ("${1}", "web"),
        ("$1x", ""),
        ("$1-x", "web-x"),
        ("$name", "80"),
        ("${name}s", "80s"),
        ("$names", ""),
        ("$$1", "$1"),
        ("$0", "web:80"),
        ("$", "$"),
        ("a$-b", "a$-b"),
        ("${1", "${1"),
        ("${}", "${}"),
        ("$01", ""),
        ("$3", ""),
        ("$1²", "web²"),
        ("$999999999999", ""),
    ] {
        let rules = [replace(&["a"], r"(.*):(?P<name>\d+)", "b", template)];
        let relabelled = apply(&rules, &[("a", "web:80"), ("b", "old")]).unwrap();
        assert_eq!(relabelled.get("b").unwrap_or_default(), expected, "{template}");
    }
}

#[test]
fn the_values_of_sources_are_joined_and_a_missing_one_is_empty() {
    let joined = |separator: &str| {
        let rule = Relabel {
            separator: separator.to_owned(),
            ..replace(&["a", "x", "b"], "(.*)", "j", "$1")
        };
        apply(&[rule], ABC).unwrap().get("j").unwrap().to_owned()
    };
    assert_eq!(
        (joined(";"), joined(""), joined("--")),
        ("foo;;bar".into(), "foobar".into(), "foo----bar".into())
    );
}

#[test]
fn what_versions_do_differently_is_done_as_the_version_does_it() {
    // A dot and a line feed.
    let dot = || vec![replace(&["a"], "f.*", "b", "x")];
    let lines = &[("a", "f\nx")];
    assert_eq!(apply_as(version("2.55.1"), dot(), lines), Some(set(lines)));
    assert_eq!(apply_as(version("3.0.0"), dot(), lines).unwrap().get("b"), Some("x"));
    // A target that comes of a template, and nothing to put there.
    let empty = || vec![replace(&["a"], "f(.*)", "${1}", "$2")];
    let labels = &[("a", "foo"), ("oo", "kept?")];
    assert_eq!(apply_as(version("2.49.1"), empty(), labels), Some(set(labels)));
    assert_eq!(apply_as(version("2.50.0"), empty(), labels), Some(set(&labels[..1])));
    // A name that needs quotes.
    let dotted = || vec![replace(&["a"], "(.*)", "my.$1", "x")];
    let newest = version("3.9.1");
    assert_eq!(apply_as(newest, dotted(), ABC).unwrap().get("my.foo"), Some("x"));
    assert_eq!(apply_as(newest.with_classic_names(), dotted(), ABC), Some(set(ABC)));
    assert_eq!(apply_as(version("2.55.0"), dotted(), ABC), Some(set(ABC)));
    // Two labels for one name: what a rule has set comes last.
    let clash = || {
        let map =
            Relabel { regex: "[bz]".into(), replacement: "one".into(), ..rule(Action::LabelMap) };
        vec![replace(&["a"], "(.*)", "b", "set"), map]
    };
    let labels = &[("a", "1"), ("b", "2"), ("z", "3")];
    assert_eq!(apply_as(version("2.42.0"), clash(), labels).unwrap().get("one"), Some("3"));
    assert_eq!(apply_as(version("2.43.0"), clash(), labels).unwrap().get("one"), Some("set"));
}

#[test]
fn a_version_is_read_as_prometheus_writes_it() {
    let eras = ["2.42.0+ds", "v2.43.0", "2.50.0-rc.0", "3.0.0", "1.8.2", "4.1"]
        .map(|text| version(text).era);
    assert_eq!(
        eras,
        [Era::Sorted, Era::Chained, Era::Expanded, Era::Current, Era::Sorted, Era::Current]
    );
    assert_eq!(Dialect::of_version("unknown"), None);
    assert_eq!(Dialect::of_version(""), None);
}

#[test]
fn a_rule_that_cannot_be_applied_says_why() {
    let told = |rule: Relabel| {
        Rules::new(
            vec![
                Relabel { regex: "a".into(), target_label: "t".into(), ..Relabel::default() },
                rule,
            ],
            Dialect::default(),
        )
        .unwrap_err()
        .to_string()
    };
    for (rule, expected) in [
        (
            replace(&[], "a**", "b", "c"),
            "(replace) cannot be applied: its regex \"a**\" is none of RE2: ",
        ),
        (rule(Action::Replace), "(replace) cannot be applied: it has no target_label"),
        (rule(Action::KeepEqual), "(keepequal) cannot be applied: it has no target_label"),
        (
            Relabel { target_label: "t".into(), ..rule(Action::HashMod) },
            "(hashmod) cannot be applied: its modulus is zero",
        ),
    ] {
        let told = told(rule);
        assert!(told.starts_with(&format!("relabelling rule 2 {expected}")), "{told}");
    }
    let unknown = "labelmove".parse::<Action>().unwrap_err();
    assert_eq!(unknown.to_string(), "its action \"labelmove\" is not known");
    assert_eq!("LabelMap".parse(), Ok(Action::LabelMap));
    for action in Action::ALL {
        assert_eq!(action.to_string().parse(), Ok(action));
    }
}

#[test]
fn labels_that_grow_without_bound_are_dropped() {
    let doubles = replace(&["a"], "(.*)", "a", "$1$1$1$1");
    let rules = vec![doubles; 40];
    assert_eq!(apply(&rules, ABC), None);
    let copies =
        |number| Relabel { replacement: format!("x{number}_$1"), ..rule(Action::LabelMap) };
    assert_eq!(apply(&(0..40).map(copies).collect::<Vec<_>>(), ABC), None);
}

fn wire(external: &[(&str, &str)], rules: Vec<Relabel>) -> Wire {
    Wire::new(set(external), Rules::new(rules, Dialect::default()).unwrap())
}

#[test]
fn external_labels_fill_what_is_free_before_rules_see_them() {
    let plain = wire(&[("cluster", "eu"), ("job", "never")], Vec::new());
    let sent = plain.send(&set(&[("alertname", "Down"), ("job", "web")]));
    assert_eq!(sent, Some(set(&[("alertname", "Down"), ("cluster", "eu"), ("job", "web")])));
    let rules =
        vec![replace(&["cluster"], "(.*)", "region", "$1-1"), replace(&[], "", "cluster", "")];
    let sent = wire(&[("cluster", "eu")], rules).send(&set(&[("a", "1")]));
    assert_eq!(sent, Some(set(&[("a", "1"), ("region", "eu-1")])));
}

#[test]
fn each_alertmanager_gets_what_its_own_rules_leave() {
    let of = |rules| Rules::new(rules, Dialect::default()).unwrap();
    let drops = of(vec![Relabel { regex: "web".into(), ..from(&["job"], rule(Action::Drop)) }]);
    let marks = of(vec![replace(&[], "", "to", "b")]);
    let wire = wire(&[("cluster", "eu")], Vec::new());
    let web = set(&[("job", "web")]);
    let plain = set(&[("cluster", "eu"), ("job", "web")]);
    let marked = set(&[("cluster", "eu"), ("job", "web"), ("to", "b")]);
    assert_eq!(wire.send_all(&web), std::slice::from_ref(&plain));
    let both = wire.clone().with_alertmanager(Rules::default()).with_alertmanager(marks.clone());
    assert_eq!(both.send_all(&web), [plain.clone(), marked.clone()]);
    let twice = both.clone().with_alertmanager(marks).with_alertmanager(Rules::default());
    assert_eq!(twice, both);
    let one = wire.clone().with_alertmanager(drops.clone());
    assert_eq!(one.send_all(&web), [] as [LabelSet; 0]);
    assert_eq!(one.send_all(&set(&[("job", "db")])), [set(&[("cluster", "eu"), ("job", "db")])]);
    assert!(Wire::default().is_plain() && !one.is_plain() && !wire.is_plain());
}
