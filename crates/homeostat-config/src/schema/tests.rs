use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::{Shape, Table, book, configuration, emit, policy_tests, test};
use crate::report::Severity;
use crate::yaml::{Kind, Node, Scalar};
use crate::{load, policy_test, raw, read, yaml};

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schema").join(name)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn tables() -> impl Iterator<Item = &'static Table> {
    [&book::FILE, &test::FILE].into_iter().flat_map(emit::reachable)
}

fn validator(schema: &Value) -> Validator {
    jsonschema::meta::validate(schema).unwrap();
    jsonschema::validator_for(schema).unwrap()
}

/// A file as other programs that read YAML see it.
fn value(node: &Node) -> Value {
    let plain = |scalar: &Scalar| match scalar.text.as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => match text.parse::<u64>() {
            Ok(number) => number.into(),
            Err(_) => text.into(),
        },
    };
    match &node.kind {
        Kind::Scalar(scalar) if scalar.is_nothing() => Value::Null,
        Kind::Scalar(scalar) if scalar.plain => plain(scalar),
        Kind::Scalar(scalar) => scalar.text.as_str().into(),
        Kind::List(items) => items.iter().map(value).collect(),
        Kind::Map(entries) => {
            let entries = entries.iter();
            entries.map(|(key, it)| (read::name_of(key).unwrap().to_owned(), value(it))).collect()
        }
    }
}

fn seen(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    value(&yaml::parse(&text).unwrap().unwrap())
}

/// Whether the reader finds that all of a configuration has the right shape, before it asks what that
/// means.
fn is_shaped(text: &str) -> bool {
    let mut reader = read::Reader::new(text);
    let node = yaml::parse(text).unwrap().unwrap();
    raw::file(&mut reader, &node);
    let problems = reader.problems.into_vec();
    problems.iter().all(|problem| problem.severity != Severity::Error)
}

#[test]
fn every_key_that_is_read_is_described() {
    for table in tables() {
        let described: Vec<&str> = table.entries().map(|entry| entry.key).collect();
        let once: BTreeSet<&str> = described.iter().copied().collect();
        assert_eq!(once.len(), described.len(), "{}: a key is described twice", table.keys.of);
        let read: BTreeSet<&str> = table.keys.known.iter().copied().collect();
        assert_eq!(once, read, "{}", table.keys.of);
        assert!(table.one_of.iter().all(|key| once.contains(key)), "{}", table.keys.of);
    }
    assert!(tables().count() > 50, "the tables were not found");
}

#[test]
fn every_description_is_there_and_says_something_else() {
    for (name, rows) in super::reference() {
        assert!(!rows.contains("|  |"), "{name}: {rows}");
    }
    let schema = configuration().to_string();
    assert!(!schema.contains("](") && !schema.contains('`'), "Markdown is not for editors");
}

/// Keys that are known and not built yet are told where the others are.
#[test]
fn what_is_not_built_yet_is_told() {
    let page = std::fs::read_to_string(root().join("docs/reference/configuration.md")).unwrap();
    let paragraphs = page.split("\n\n").filter(|text| text.starts_with("Not built yet:"));
    let told = paragraphs.flat_map(|text| text.split('`').skip(1).step_by(2));
    let told: BTreeSet<&str> = told.filter_map(|key| key.rsplit('.').next()).collect();
    let later = tables().flat_map(|table| table.keys.later).copied();
    assert_eq!(told, later.collect::<BTreeSet<&str>>());
}

/// What a schema has against a file.
fn problems(schema: &Validator, file: &Value) -> Vec<String> {
    let problems = schema.iter_errors(file);
    problems.map(|problem| format!("{}: {problem}", problem.instance_path())).collect()
}

/// All files of a kind that the tree has.
fn files(test: bool) -> Vec<PathBuf> {
    let mut found = vec![here(if test { "every.test.yml" } else { "every.yml" })];
    let mut open: Vec<PathBuf> =
        ["examples", "crates/homeostat/tests/cases", "crates/homeostat/tests/interface"]
            .map(|directory| root().join(directory))
            .to_vec();
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                open.push(path);
            } else if name.strip_suffix(".yml").is_some_and(|it| it.contains(".test") == test) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn what_the_tree_has_is_valid() {
    for (schema, test) in [(configuration(), false), (policy_tests(), true)] {
        let validator = validator(&schema);
        let files = files(test);
        assert!(files.len() > 10, "the files were not found");
        for file in files {
            assert_eq!(problems(&validator, &seen(&file)), [""; 0], "{}", file.display());
        }
    }
}

/// The keys of maps that a shape leads to, each as `map key`, as far as this file has them.
fn visit(table: &'static Table, value: &Value, keys: &mut BTreeSet<String>) {
    let Value::Object(map) = value else { return };
    for entry in table.entries() {
        if let Some(value) = map.get(entry.key) {
            keys.insert(format!("{} {}", table.name, entry.key));
            visit_shape(&entry.shape, value, keys);
        }
    }
}

fn visit_shape(shape: &Shape, value: &Value, keys: &mut BTreeSet<String>) {
    match (shape, value) {
        (Shape::Map(table), value) => visit(table, value, keys),
        (Shape::List(inner), Value::Array(items)) => {
            for item in items {
                visit_shape(inner, item, keys);
            }
        }
        (Shape::Named(inner), Value::Object(map)) => {
            for value in map.values() {
                visit_shape(inner, value, keys);
            }
        }
        (Shape::Either(shapes), value) => {
            for shape in *shapes {
                visit_shape(shape, value, keys);
            }
        }
        _ => {}
    }
}

#[test]
fn the_files_with_every_key_have_every_key() {
    let (mut keys, mut all) = (BTreeSet::new(), BTreeSet::new());
    for name in ["every.yml", "every.other.yml"] {
        visit(&book::FILE, &seen(&here(name)), &mut keys);
    }
    visit(&test::FILE, &seen(&here("every.test.yml")), &mut keys);
    for table in tables() {
        all.extend(table.entries().map(|entry| format!("{} {}", table.name, entry.key)));
    }
    let missing: Vec<&String> = all.difference(&keys).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The same file with one value changed, in each way and at each place; and where. Of places with the same
/// key in a map of the same name, one stands for all.
fn changed(file: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    walk(file, &mut String::new(), &mut places);
    let mut alike: BTreeSet<Vec<String>> = BTreeSet::new();
    places.retain(|place| {
        let names = place.rsplit('/').map(|name| name.replace(|c: char| c.is_ascii_digit(), ""));
        alike.insert(names.take(3).collect())
    });
    let mut all = Vec::new();
    for place in places {
        for other in [
            json!("none"),
            json!("5m"),
            json!(7),
            json!(-1),
            json!(true),
            Value::Null,
            json!([]),
            json!(["word"]),
            json!({ "strange": "word" }),
        ] {
            let mut file = file.clone();
            *file.pointer_mut(&place).unwrap() = other.clone();
            all.push((format!("{other} at {place}"), file));
        }
        if let Some(Value::Object(map)) = file.pointer(&place) {
            for key in map.keys() {
                let mut file = file.clone();
                object(&mut file, &place).remove(key);
                all.push((format!("no {key} at {place}"), file));
            }
            let mut file = file.clone();
            object(&mut file, &place).insert("strange_key".to_owned(), "word".into());
            all.push((format!("a strange key at {place}"), file));
        }
    }
    all
}

fn object<'v>(file: &'v mut Value, place: &str) -> &'v mut Map<String, Value> {
    file.pointer_mut(place).and_then(Value::as_object_mut).unwrap()
}

fn walk(value: &Value, place: &mut String, places: &mut Vec<String>) {
    if !place.is_empty() {
        places.push(place.clone());
    }
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect()
        }
        _ => return,
    };
    for (key, value) in inner {
        let length = place.len();
        place.push('/');
        place.push_str(&key);
        walk(value, place, places);
        place.truncate(length);
    }
}

/// Whatever is done to one value: the schema refuses nothing that is read, and lets nothing pass of which
/// the reader says that it has the wrong shape.
#[test]
fn the_schema_and_the_reader_agree() {
    let schema = validator(&configuration());
    let (mut refused, mut read) = (0, 0);
    for file in ["every.yml", "every.other.yml"].map(|name| seen(&here(name))) {
        if let Err(report) = load::parse("every.yml", &file.to_string()) {
            panic!("{report}");
        }
        assert_eq!(problems(&schema, &file), [""; 0]);
        for (what, file) in changed(&file) {
            let text = file.to_string();
            let is_shaped = is_shaped(&text);
            if schema.is_valid(&file) {
                assert!(is_shaped, "the schema lets {what} pass, which is not read");
                read += 1;
            } else {
                let is_valid = is_shaped && load::parse("every.yml", &text).is_ok();
                assert!(!is_valid, "the schema refuses {what}, which is read");
                refused += 1;
            }
        }
    }
    assert!(refused > 1_000 && read > 100, "{refused} were refused, {read} passed");
}

#[test]
fn the_schema_of_tests_refuses_nothing_that_is_read() {
    let schema = validator(&policy_tests());
    let file = seen(&here("every.test.yml"));
    let name = here("every.test.yml").display().to_string();
    let reads = |file: &Value| policy_test::parse(&name, file.to_string());
    if let Err(reports) = reads(&file) {
        panic!("{}", reports[0]);
    }
    let mut refused = 0;
    for (what, file) in changed(&file) {
        let is_valid = reads(&file).is_ok();
        let passes = schema.is_valid(&file);
        assert!(passes || !is_valid, "the schema refuses {what}, which is read");
        assert!(!passes || !what.starts_with("a strange key") || is_valid, "{what} passes");
        refused += u32::from(!passes);
    }
    assert!(refused > 500, "{refused} were refused");
}
