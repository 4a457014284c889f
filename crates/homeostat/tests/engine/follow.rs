//! A configuration that is read again by itself.

use std::os::unix::fs::symlink;

use homeostat::demo::stack::Sandbox;

use crate::support::{Engine, until};

const FOLLOW: &str = "--config.auto-reload-interval=100ms";

fn of(policy: &str) -> String {
    format!("policies: [{{ name: {policy}, matchers: ['a=\"b\"'], mode: shadow, remedies: [] }}]\n")
}

async fn policies(engine: &Engine) -> String {
    engine.json("/api/v1/policies").await.to_string()
}

async fn until_it_has(engine: &Engine, policy: &str) {
    let named = format!("\"{policy}\"");
    until(policy, || async { policies(engine).await.contains(&named).then_some(()) }).await;
}

async fn good(engine: &Engine) -> f64 {
    engine.metric("homeostat_config_last_reload_successful").await.unwrap()
}

#[tokio::test]
async fn a_changed_file_is_read_again_and_one_with_errors_changes_nothing() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, &of("first"), &[FOLLOW]).await;
    let file = engine.directory.join("homeostat.yml");
    std::fs::write(&file, of("second")).unwrap();
    until_it_has(&engine, "second").await;
    std::fs::write(&file, "polices: []\n").unwrap();
    until("a reload that failed", || async { (good(&engine).await == 0.0).then_some(()) }).await;
    assert!(policies(&engine).await.contains("\"second\""));
    // It is told once, and not each time that it is looked at.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(engine.whole_log().matches("configuration not reloaded").count(), 1);
    std::fs::write(&file, of("third")).unwrap();
    until_it_has(&engine, "third").await;
    assert!((good(&engine).await - 1.0).abs() < f64::EPSILON);
}

/// As Kubernetes does it: the files are links by way of a link to a directory, which is replaced.
#[tokio::test]
async fn a_mounted_config_map_is_followed_as_it_is_replaced() {
    let sandbox = Sandbox::new().unwrap();
    let mounted = sandbox.path().join("mounted");
    let version = |name: &str, policy: &str| {
        std::fs::create_dir_all(mounted.join(name)).unwrap();
        std::fs::write(mounted.join(name).join("homeostat.yml"), of(policy)).unwrap();
    };
    version("..1", "first");
    symlink("..1", mounted.join("..data")).unwrap();
    symlink("..data/homeostat.yml", mounted.join("homeostat.yml")).unwrap();
    let file = format!("--config.file={}", mounted.join("homeostat.yml").display());
    let engine = Engine::start(&sandbox, "", &[FOLLOW, &file]).await;
    until_it_has(&engine, "first").await;
    version("..2", "second");
    symlink("..2", mounted.join("..new")).unwrap();
    std::fs::rename(mounted.join("..new"), mounted.join("..data")).unwrap();
    std::fs::remove_dir_all(mounted.join("..1")).unwrap();
    until_it_has(&engine, "second").await;
}

#[tokio::test]
async fn a_file_that_is_included_later_is_found() {
    let sandbox = Sandbox::new().unwrap();
    let engine = Engine::start(&sandbox, "include: [more/*.yml]\n", &[FOLLOW]).await;
    let more = engine.directory.join("more");
    std::fs::create_dir(&more).unwrap();
    std::fs::write(more.join("a.yml"), of("included")).unwrap();
    until_it_has(&engine, "included").await;
}
