//! What a service manager hears.

use std::time::Duration;

use homeostat::demo::stack::{Sandbox, Signal};

use crate::support::manager::{ALIVE, Manager};
use crate::support::{Engine, Start};

const WATCH: &str = "policies: [{ name: a, matchers: ['a=\"b\"'], mode: shadow, remedies: [] }]\n";

#[tokio::test]
async fn a_manager_hears_ready_reloading_and_stopping() {
    let sandbox = Sandbox::new().unwrap();
    let (manager, before) = Manager::new(&sandbox, Duration::from_mins(1));
    let start = Start { config: WATCH, before: &before, ..Start::default() };
    let mut engine = Engine::broken(&sandbox, &start);
    assert_eq!(manager.hears_news(), "READY=1\nSTATUS=\n");
    // Ready means that: the first request is answered.
    let answer = engine.client().get(engine.url("/-/ready")).send().await.unwrap();
    assert!(answer.status().is_success());

    engine.signal(Signal::HUP);
    let reloading = manager.hears_news();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(manager.hears_news(), "READY=1\nSTATUS=\n");

    std::fs::write(engine.directory.join("homeostat.yml"), "polices: []\n").unwrap();
    engine.signal(Signal::HUP);
    assert!(manager.hears_news().starts_with("RELOADING=1\n"));
    let status = "STATUS=The configuration has errors; the earlier one stays in force.\n";
    assert_eq!(manager.hears_news(), format!("READY=1\n{status}"));

    engine.signal(Signal::TERM);
    assert_eq!(manager.hears_news(), "STOPPING=1\n");
    assert_eq!(engine.wait(), Some(0));
}

#[tokio::test]
async fn signs_of_life_come_while_the_engine_turns() {
    let sandbox = Sandbox::new().unwrap();
    let (manager, before) = Manager::new(&sandbox, Duration::from_secs(2));
    let engine = Engine::broken(&sandbox, &Start { before: &before, ..Start::default() });
    assert_eq!(manager.hears_news(), "READY=1\nSTATUS=\n");
    for _ in 0..6 {
        assert_eq!(manager.hears(), ALIVE);
    }
    drop(engine);
}
