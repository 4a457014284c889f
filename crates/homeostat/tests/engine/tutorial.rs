//! What the tutorial shows of a first alert is what is printed.

use std::path::Path;
use std::process::Command;

use homeostat::demo::stack::Sandbox;

use super::support::{Engine, until};

/// What is typed at each prompt of a page's consoles, and what is printed then.
fn consoles(page: &str) -> Vec<(String, Vec<String>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(page).unwrap();
    let mut shown: Vec<(String, Vec<String>)> = Vec::new();
    for block in text.split("\n```console\n").skip(1) {
        for line in block.split("\n```").next().unwrap().lines() {
            match line.strip_prefix("$ homeostat ") {
                Some(typed) => shown.push((typed.to_owned(), Vec::new())),
                None => shown.last_mut().unwrap().1.push(line.to_owned()),
            }
        }
    }
    shown
}

/// Without the server's address, and without how long ago something was.
fn plain(line: &str) -> String {
    let words = line.split(' ').filter(|word| !word.starts_with("http://"));
    let seconds = |word: &str| word.strip_suffix('s').is_some_and(|n| n.parse::<u32>().is_ok());
    words.map(|word| if seconds(word) { "0s" } else { word }).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_first_alert_is_shown_as_in_the_tutorial() {
    let shown = consoles("tutorial/first-policy.md");
    let [(fire, fired), (incidents, listed)] = &shown[..] else { panic!("{shown:?}") };
    assert!(fire.ends_with("alertname=Fake severity=page") && incidents == "incidents");
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "policies: []\n", &[]).await;
    let homeostat = async |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
        command.args(words).args(["--url", &engine.url("")]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(plain).collect::<Vec<_>>()
    };
    let plain = |lines: &[String]| lines.iter().map(|line| plain(line)).collect::<Vec<_>>();
    assert_eq!(homeostat(&["fire", "alertname=Fake", "severity=page"]).await, plain(fired));
    until("the incident", || async { engine.incidents().await.pop() }).await;
    assert_eq!(homeostat(&["incidents"]).await, plain(listed));
}
