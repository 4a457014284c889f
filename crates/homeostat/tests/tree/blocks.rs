//! Every block of code in the README and the manual is checked by whoever would read it: configurations
//! by the reader, tests by playing them, those of others by promtool and amtool, commands by the command
//! line. A block of which nobody knows what it is fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use homeostat::demo::stack::{Binary, Sandbox};
use homeostat_config as config;

use super::documents::{passes, root, tool};
use super::manual::documents;

/// A block of code.
pub(super) struct Block {
    pub(super) document: PathBuf,
    pub(super) language: String,
    pub(super) text: String,
}

impl Block {
    fn place(&self) -> String {
        let first = self.text.lines().next().unwrap_or_default();
        format!("{}, the block that begins with {first:?}", self.document.display())
    }

    /// The first line that says something.
    fn begins(&self) -> &str {
        let mut lines = self.text.lines();
        lines.find(|line| !line.trim().is_empty() && !line.starts_with('#')).unwrap_or_default()
    }
}

/// The README, the manual, and the pages beside it that a user reads.
pub(super) fn is_for_users(document: &Path) -> bool {
    let path = document.strip_prefix(root()).unwrap();
    path.starts_with("docs") && !path.starts_with("docs/internals")
        || ["README.md", "SECURITY.md", "examples/README.md", "contrib/mixin/README.md"]
            .iter()
            .any(|page| path == Path::new(page))
}

/// All blocks of a document, without the space before a block that stands in a list.
pub(super) fn blocks(document: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(document).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => {
                let block = Block {
                    document: document.to_owned(),
                    language: language.to_owned(),
                    text: String::new(),
                };
                open = Some((indent, block));
            }
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
            (Some((indent, block)), None) => {
                block.text.push_str(line.get(*indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a block has no end", document.display());
    blocks
}

/// All blocks that a user reads.
fn all() -> Vec<Block> {
    let documents = documents().into_iter().filter(|document| is_for_users(document));
    documents.flat_map(|document| blocks(&document)).collect()
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn homeostat(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.current_dir(directory).args(arguments).output().unwrap()
}

/// A configuration, as the reader of the engine reads it. Files that it includes are empty.
fn check_configuration(block: &Block, text: &str) {
    let sandbox = Sandbox::new().unwrap();
    std::fs::create_dir(sandbox.path().join("shared")).unwrap();
    std::fs::write(sandbox.path().join("shared/intervals.yml"), "time_intervals: []\n").unwrap();
    let file = sandbox.write("homeostat.yml", text).unwrap();
    if let Err(report) = config::load(&[&file]) {
        panic!("{} is no valid configuration:\n{report}", block.place());
    }
}

/// What Prometheus or Alertmanager would read.
fn check_by(program: &str, arguments: &[&str], with: Binary, text: &str) {
    let sandbox = Sandbox::new().unwrap();
    let mut command = tool(program, with);
    command.args(arguments);
    passes(command, &sandbox.write("file.yml", text).unwrap());
}

const RECEIVER: &str = "receivers:\n  - name: homeostat\n";
/// For steps that stand alone.
const RUNGS: &str = r#"
sources:
  alertmanagers: [{ name: main, urls: ["http://127.0.0.1:9093"] }]
  prometheuses: [{ name: main, url: "http://127.0.0.1:9090" }]
policies:
  - name: errors
    matchers: ['alertname="HighErrors"']
    target: [instance]
    mode: auto
    remedies:
      - { name: restart, exec: [systemctl, restart, web] }
      - { name: reboot, exec: [systemctl, reboot] }
"#;

/// Checks a block of YAML by what it begins with.
fn check_yaml(block: &Block, before: Option<&Block>) {
    let text = &block.text;
    let begins = block.begins();
    let key = begins.split(':').next().unwrap_or_default();
    match key {
        "sources" | "policies" | "time_intervals" | "notify" | "limits" | "include" | "access"
        | "defaults" => check_configuration(block, text),
        "config_file" => play(block, &before.expect("a configuration before its tests").text, text),
        "    steps" => {
            let tests = "config_file: homeostat.yml\ntests:\n  - name: it\n";
            play(block, RUNGS, &format!("{tests}{text}"));
        }
        "route" => check_by("amtool", &["check-config"], Binary::Alertmanager, text),
        "routes" => {
            let routes: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
            let routes = routes.join("\n");
            let text = format!("route:\n  receiver: homeostat\n{routes}\n{RECEIVER}");
            check_by("amtool", &["check-config"], Binary::Alertmanager, &text);
        }
        "receivers" => {
            let text = format!("route: {{ receiver: homeostat }}\n{text}");
            check_by("amtool", &["check-config"], Binary::Alertmanager, &text);
        }
        "groups" => check_by("promtool", &["check", "rules"], Binary::Prometheus, text),
        "scrape_configs" | "alerting" => {
            check_by("promtool", &["check", "config"], Binary::Prometheus, text);
        }
        "tls_server_config" => {
            config::parse_web("web.yml", text).unwrap();
        }
        "basic_auth" => {
            // What it names must be there.
            let sandbox = Sandbox::new().unwrap();
            let mut here = text.clone();
            for path in ["/home/ann/.homeostat-password", "/etc/homeostat/ca.pem"] {
                let name = path.rsplit('/').next().unwrap();
                let file = sandbox.write(name, "").unwrap().display().to_string();
                assert!(text.contains(path), "{}", block.place());
                here = here.replace(path, &file);
            }
            config::load_http(&sandbox.write("http.yml", &here).unwrap()).unwrap();
        }
        "policy-tests" => {
            let lines = text.lines().filter_map(|line| line.trim().strip_prefix("- homeostat"));
            let lines: Vec<String> = lines.map(|line| format!("homeostat{line}")).collect();
            assert_eq!(lines.len(), 2, "{}", block.place());
            for line in &lines {
                super::commands::check(&block.place(), line);
            }
        }
        "commands" => {
            let sandbox = Sandbox::new().unwrap();
            let file = sandbox.write("old.yml", text).unwrap();
            let output =
                homeostat(sandbox.path(), &["migrate", "am-executor", &file.display().to_string()]);
            assert!(output.status.success(), "{}: {}", block.place(), said(&output));
        }
        // A policy alone, as `migrate` prints it; a test of the engine compares it.
        "  - name" => {
            let sources = "sources: { alertmanagers: [{ name: main, urls: [\"http://a:1\"] }] }";
            check_configuration(block, &format!("{sources}\npolicies:\n{text}"));
        }
        _ => panic!("{}: nobody knows how to check it", block.place()),
    }
}

/// Plays tests on the configuration beside them. What is in shadow does what it shows once it acts.
fn play(block: &Block, configuration: &str, tests: &str) {
    let sandbox = Sandbox::new().unwrap();
    let play = |configuration: &str| {
        sandbox.write("homeostat.yml", configuration).unwrap();
        sandbox.write("homeostat.test.yml", tests).unwrap();
        homeostat(sandbox.path(), &["test", "homeostat.test.yml"])
    };
    if configuration.contains("mode: shadow") {
        assert_eq!(play(configuration).status.code(), Some(1), "{} acts in shadow", block.place());
    }
    let output = play(&configuration.replace("mode: shadow", "mode: auto"));
    assert!(output.status.success(), "{}: {}", block.place(), said(&output));
}

#[test]
fn every_block_of_the_manual_is_checked() {
    let all = all();
    let mut seen = 0;
    let mut last_configuration: Option<&Block> = None;
    for block in &all {
        seen += 1;
        match block.language.as_str() {
            "yaml" => {
                let before = last_configuration.filter(|before| before.document == block.document);
                check_yaml(block, before);
                if ["policies:", "sources:"].iter().any(|key| block.begins().starts_with(key)) {
                    last_configuration = Some(block);
                }
            }
            "sh" | "console" => super::commands::check_block(block),
            "json" => {
                let value: Result<serde_json::Value, _> = serde_json::from_str(&block.text);
                assert!(value.is_ok(), "{}", block.place());
            }
            // Rust compiles with the tests of the documentation; what is printed is compared below; a
            // unit's lines and a rule of polkit are tried by the tests of the package.
            "rust" | "rust,no_run" | "toml" | "text" | "ini" | "js" | "jsonnet" => seen -= 1,
            _ => panic!("{}: nobody knows its language {}", block.place(), block.language),
        }
    }
    assert!(seen > 60, "only {seen} blocks were found");
}

/// The block of what is printed that begins so.
fn printed(document: &str, begins: &str) -> Block {
    let mut blocks = blocks(&root().join(document)).into_iter();
    let found = blocks.find(|block| block.language == "text" && block.text.starts_with(begins));
    found.unwrap_or_else(|| panic!("{document} does not show {begins}"))
}

#[test]
fn the_error_that_the_tutorial_shows_is_printed() {
    let shown = printed("docs/tutorial/first-policy.md", "error: unknown key");
    let sandbox = Sandbox::new().unwrap();
    let wrong = "policies:\n  - name: a\n    matchers: ['job=\"a\"']\n    mode: shadow\n    \
                 escalate: none\n    remidies:\n      []\n";
    sandbox.write("homeostat.yml", wrong).unwrap();
    let output = homeostat(sandbox.path(), &["check", "--config.file", "homeostat.yml"]);
    assert!(said(&output).contains(shown.text.trim_end()), "{}", said(&output));
}

#[test]
fn the_failure_that_the_manual_shows_is_printed() {
    let shown = printed("docs/how-to/test-policies.md", "FAIL");
    let blocks = blocks(&root().join("docs/reference/policy-tests.md"));
    let mut yaml = blocks.iter().filter(|block| block.language == "yaml");
    let [config, tests] = [yaml.next().unwrap(), yaml.next().unwrap()];
    let sandbox = Sandbox::new().unwrap();
    let retried = config.text.replacen("timeout: 30s", "timeout: 30s, retries: 1", 1);
    sandbox.write("homeostat.yml", &retried).unwrap();
    sandbox.write("homeostat.test.yml", &tests.text).unwrap();
    let output = said(&homeostat(sandbox.path(), &["test", "homeostat.test.yml"]));
    for part in shown.text.trim_end().split("\n\n") {
        assert!(output.contains(part), "{part}\nis not in\n{output}");
    }
}
