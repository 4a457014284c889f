//! The tables of the reference are what the program knows. Where one is not, it is written anew by
//! `HOMEOSTAT_WRITE_TABLES=1 cargo test -p homeostat --test tree reference`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use clap::Command;
use homeostat::cli;
use homeostat_config::schema;

use super::documents::root;
use super::manual::documents;
use super::tidy::files;

/// The table that belongs below a mark of a page, as `<!-- keys: a policy -->`.
fn table(mark: &str) -> Option<String> {
    match mark.split_once(": ") {
        Some(("keys", group)) => {
            let tables = schema::reference();
            tables.into_iter().find(|(name, _)| *name == group).map(|(_, rows)| rows)
        }
        Some(("flags", command)) => Some(flags(cli::command().find_subcommand(command)?)),
        None if mark == "commands" => Some(commands(&cli::command())),
        Some(_) | None => None,
    }
}

fn commands(all: &Command) -> String {
    let mut rows = String::from("| command | what |\n|---|---|\n");
    for command in all.get_subcommands().filter(|command| !command.is_hide_set()) {
        let about = command.get_about().unwrap();
        writeln!(rows, "| `{}` | {about} |", command.get_name()).unwrap();
    }
    rows
}

fn flags(command: &Command) -> String {
    let mut rows = String::from("| flag | what | default |\n|---|---|---|\n");
    for flag in command.get_arguments().filter(|flag| !flag.is_hide_set()) {
        let Some(long) = flag.get_long().filter(|long| !["help", "version"].contains(long)) else {
            continue;
        };
        let what = flag.get_help().unwrap().to_string().replace('|', "\\|");
        let defaults = flag.get_default_values();
        let defaults: Vec<String> =
            defaults.iter().map(|value| format!("`{}`", value.display())).collect();
        writeln!(rows, "| `--{long}` | {what} | {} |", defaults.join(", ")).unwrap();
    }
    rows
}

/// A page with the tables that belong into it, and the marks that it has.
fn filled(page: &Path, text: &str) -> (String, Vec<String>) {
    let mut marks = Vec::new();
    let mut filled = String::new();
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        filled.push_str(line);
        let mark = line.trim_end().strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        let Some(mark) = mark.filter(|mark| *mark == "commands" || mark.contains(": ")) else {
            continue;
        };
        let Some(table) = table(mark) else {
            // The benchmark writes a table of its own.
            assert!(mark.starts_with("table: "), "{}: there is no table {mark}", page.display());
            continue;
        };
        while lines.peek().is_some_and(|line| line.starts_with('|') || line.trim().is_empty()) {
            lines.next();
        }
        filled.push('\n');
        filled.push_str(&table);
        if lines.peek().is_some() {
            filled.push('\n');
        }
        marks.push(mark.to_owned());
    }
    (filled, marks)
}

#[test]
fn every_table_of_the_reference_is_what_the_program_knows() {
    let write = std::env::var_os("HOMEOSTAT_WRITE_TABLES").is_some();
    let mut marks: Vec<String> = Vec::new();
    for page in documents() {
        let text = std::fs::read_to_string(&page).unwrap();
        let (filled, found) = filled(&page, &text);
        if write && filled != text {
            std::fs::write(&page, &filled).unwrap();
        }
        assert!(
            write || filled == text,
            "{} does not say what the program knows: write its tables anew, as \
             crates/homeostat/tests/tree/reference.rs says",
            page.display()
        );
        marks.extend(found);
    }
    let keys: BTreeSet<String> =
        marks.iter().filter_map(|mark| mark.strip_prefix("keys: ")).map(str::to_owned).collect();
    let known: BTreeSet<String> =
        schema::reference().into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(keys, known, "every key has one place in the reference");
    let once: BTreeSet<&String> = marks.iter().collect();
    assert_eq!(once.len(), marks.len(), "a table stands in two places: {marks:?}");
    assert!(marks.contains(&"commands".to_owned()) && marks.contains(&"flags: serve".to_owned()));
}

#[test]
fn every_example_names_the_schema_that_the_program_prints() {
    let write = std::env::var_os("HOMEOSTAT_WRITE_TABLES").is_some();
    for (name, schema) in
        [("homeostat", schema::configuration()), ("homeostat.test", schema::policy_tests())]
    {
        let path = root().join(format!("contrib/schema/{name}.schema.json"));
        let printed = format!("{schema:#}\n");
        if write {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &printed).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap();
        assert!(there == printed, "{} is not what `homeostat schema` prints", path.display());
    }
    let examples = root().join("examples");
    let mut seen = 0;
    for path in files(&examples, ".yml") {
        seen += 1;
        let is_test = path.file_name().unwrap().to_string_lossy().contains(".test.");
        let kind = if is_test { "homeostat.test" } else { "homeostat" };
        let up = "../".repeat(path.strip_prefix(&examples).unwrap().iter().count());
        let line = format!("# yaml-language-server: $schema={up}contrib/schema/{kind}.schema.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().next(), Some(line.as_str()), "{}", path.display());
    }
    assert!(seen > 15, "the examples were not found");
}
