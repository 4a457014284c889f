//! The service of the demo as its remedies find it: real processes, broken and mended.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use homeostat::demo::stack::{self, Process, Sandbox};

const PROGRAM: &str = env!("CARGO_BIN_EXE_homeostat");

fn service(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("demo-service").args(arguments);
    command
}

/// Instance b with sound files, or with what is left of them.
async fn start(sandbox: &Sandbox) -> (Process, SocketAddr) {
    let address = stack::free_address().unwrap();
    let place = sandbox.path().to_str().unwrap();
    let mut command = service(&["serve", "b", place, &address.to_string()]);
    let mut process = Process::spawn("web-b", &mut command, sandbox.path()).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while tokio::net::TcpStream::connect(address).await.is_err() {
        process.must_run().unwrap();
        assert!(tokio::time::Instant::now() < deadline, "it does not listen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (process, address)
}

async fn health(address: SocketAddr) -> (u16, String) {
    let answer = stack::client().get(format!("http://{address}/healthz")).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn clear_cache(sandbox: &Path) -> Output {
    service(&["clear-cache", "b", sandbox.to_str().unwrap()]).output().unwrap()
}

#[tokio::test]
async fn a_corrupt_cache_outlives_a_new_process_and_not_its_clearing() {
    let sandbox = Sandbox::new().unwrap();
    let home = sandbox.path().join("b");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("data"), "all pages\n").unwrap();
    fs::write(home.join("cache"), "garbage").unwrap();

    for _ in 0..2 {
        let (_process, address) = start(&sandbox).await;
        assert_eq!(health(address).await, (500, "the cache is corrupt\n".to_owned()));
    }
    let (_process, address) = start(&sandbox).await;
    let cleared = clear_cache(sandbox.path());
    assert!(cleared.status.success());
    assert_eq!(String::from_utf8_lossy(&cleared.stdout), "the cache is cleared\n");
    assert_eq!(health(address).await.0, 200);

    fs::remove_file(home.join("data")).unwrap();
    assert!(clear_cache(sandbox.path()).status.success());
    assert_eq!(health(address).await, (500, "the data is lost\n".to_owned()));
}

#[tokio::test]
async fn an_instance_ends_when_its_standard_input_closes() {
    let sandbox = Sandbox::new().unwrap();
    let address = stack::free_address().unwrap().to_string();
    let place = sandbox.path().to_str().unwrap();
    let mut child =
        service(&["serve", "a", place, &address]).stdin(Stdio::piped()).spawn().unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_remedy_that_cannot_do_its_work_fails_with_a_reason() {
    let nowhere = stack::free_address().unwrap().to_string();
    let output = service(&["restart", "a", &nowhere]).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("asking the supervisor to restart a"), "{said}");
}
