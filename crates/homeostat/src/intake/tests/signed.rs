//! Signed notifications, over TCP; the signatures are those that `openssl` makes.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::super::signature::{Signatures, Signing};
use super::doors::{House, signed_house};
use super::*;

const TOLERANCE: i64 = 300;

/// What `openssl dgst` says.
fn openssl(secret: &str, signed: &[u8]) -> String {
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha256", "-hmac", secret]).stdin(Stdio::piped());
    let mut running = command.stdout(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(signed).unwrap();
    let said = String::from_utf8(running.wait_with_output().unwrap().stdout).unwrap();
    said.trim().rsplit(' ').next().unwrap().to_owned()
}

/// The headers of a body that was signed so many seconds before now.
fn signed(secret: &str, ago: i64, body: &[u8]) -> Vec<String> {
    let at = (time(NOW).seconds() - ago).to_string();
    let signature = openssl(secret, &[at.as_bytes(), b":", body].concat());
    vec![format!("X-Signature: {signature}"), format!("X-Time: {at}")]
}

fn signing(directory: &Path, secrets: &[&str], is_timed: bool) -> Signing {
    let file = |(number, secret): (usize, &&str)| {
        let path = directory.join(number.to_string());
        fs::write(&path, format!("{secret}\n")).unwrap();
        path
    };
    let files: Vec<_> = secrets.iter().enumerate().map(file).collect();
    let header = |name: &str| name.to_owned();
    let headers = vec![header("x-signature"), header("x-older-signature")];
    let time = is_timed.then(|| (header("x-time"), TOLERANCE));
    Signing::new(&files, headers, time).unwrap()
}

/// A house whose source `grafana` signs with `secret`, as long as it runs before `NOW`.
fn grafana(is_timed: bool) -> (TempDir, House) {
    let directory = tempfile::tempdir().unwrap();
    let signing = signing(directory.path(), &["new secret", "secret"], is_timed);
    let signatures = Signatures::default();
    let started = time(NOW) - homeostat_core::time::Span::from_secs(200);
    signatures.configure([(SourceName::new("grafana"), signing)].into(), started);
    (directory, signed_house(Bounds::default(), Arc::new(signatures)))
}

fn post(house: &House, headers: &[String], body: &[u8]) -> u16 {
    house.send_with(headers, "POST", "/hooks/grafana", body).status
}

#[test]
fn a_body_is_taken_with_a_signature_by_either_secret_and_with_no_other() {
    let (_directory, house) = grafana(false);
    let signature = openssl("secret", FIRING);
    let newer = openssl("new secret", FIRING);
    let line = |name: &str, value: &str| format!("{name}: {value}");
    let cases: [(&[String], u16); 12] = [
        (&[line("X-Signature", &signature)], 200),
        (&[line("X-Signature", &signature)], 200),
        (&[line("X-Signature", &newer)], 200),
        (&[line("X-Signature", &signature.to_uppercase())], 200),
        (&[line("X-Older-Signature", &signature)], 200),
        (&[], 401),
        (&[line("X-Signature", "")], 401),
        (&[line("X-Signature", &openssl("secret ", FIRING))], 401),
        (&[line("X-Signature", &format!("sha256={signature}"))], 401),
        (&[line("X-Signature", &signature[..62])], 401),
        (&[line("X-Signature", &newer), line("X-Signature", &signature)], 401),
        (&[line("X-Signature", &signature), line("X-Older-Signature", &signature)], 401),
    ];
    for (headers, status) in cases {
        assert_eq!(post(&house, headers, FIRING), status, "{headers:?}");
    }
    assert_eq!(post(&house, &[line("X-Signature", &signature)], RESOLVED), 401, "another body");
    assert_eq!(house.engine.received.load(std::sync::atomic::Ordering::Relaxed), 5);
    assert_eq!(house.send("POST", "/hooks/main", FIRING).status, 200, "others need not sign");
}

#[test]
fn a_body_that_is_compressed_is_signed_as_it_is_sent() {
    let (_directory, house) = grafana(false);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(FIRING).unwrap();
    let sent = gzip.finish().unwrap();
    let line = |signed: &[u8]| [format!("X-Signature: {}", openssl("secret", signed))];
    assert_eq!(post(&house, &line(FIRING), &sent), 401);
    assert_eq!(post(&house, &line(&sent), &sent), 200);
    assert_eq!(house.engine.seen.lock().len(), 1);
}

#[test]
fn a_signature_counts_for_as_long_as_the_tolerance_and_once() {
    let (_directory, house) = grafana(true);
    for (ago, status) in [(301, 401), (-301, 401), (201, 503), (200, 503), (199, 200), (-300, 200)]
    {
        assert_eq!(post(&house, &signed("secret", ago, FIRING), FIRING), status, "{ago}");
    }
    assert_eq!(post(&house, &signed("secret", 199, FIRING), FIRING), 401, "it is a replay");
    assert_eq!(post(&house, &signed("secret", 198, FIRING), FIRING), 200, "it was signed anew");
    let mut moved = signed("secret", 100, FIRING);
    moved[1] = signed("secret", 99, FIRING).remove(1);
    assert_eq!(post(&house, &moved, FIRING), 401, "the time is signed, too");
    let untimed = [format!("X-Signature: {}", openssl("secret", FIRING))];
    assert_eq!(post(&house, &untimed, FIRING), 401, "so that it cannot be left out");
    for time in ["X-Time: soon", "X-Time: -1", "X-Time:", "X-Time: 99999999999999"] {
        let headers = [untimed[0].clone(), time.to_owned()];
        assert_eq!(post(&house, &headers, FIRING), 401, "{time}");
    }
    assert_eq!(house.engine.seen.lock().len(), 3);
}

#[test]
fn what_was_not_committed_may_come_again_with_the_same_signature() {
    let (_directory, house) = grafana(true);
    let headers = signed("secret", 5, FIRING);
    for busy in [Busy::Full, Busy::NotWritable] {
        *house.engine.refuse.lock() = Some(busy);
        assert_eq!(post(&house, &headers, FIRING), 503);
    }
    *house.engine.refuse.lock() = None;
    assert_eq!(post(&house, &headers, FIRING), 200);
    assert_eq!(post(&house, &headers, FIRING), 401);
    assert_eq!(house.engine.seen.lock().len(), 1);
}

/// Two of the same at once, of which the sender of the first one leaves before it is answered.
#[test]
fn what_is_being_taken_in_is_not_taken_in_again_though_its_sender_has_left() {
    let (_directory, house) = grafana(true);
    let headers = signed("secret", 5, FIRING);
    let held = house.engine.refuse.lock();
    let mut first = house.connect();
    let lines: Vec<String> = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let lines = lines.concat();
    let head = format!("POST /hooks/grafana HTTP/1.1\r\nHost: x\r\n{lines}");
    write!(first, "{head}Content-Length: {}\r\n\r\n", FIRING.len()).unwrap();
    first.write_all(FIRING).unwrap();
    let received = || house.engine.received.load(std::sync::atomic::Ordering::Relaxed);
    super::doors::wait_until(|| received() == 1);
    drop(first);
    assert_eq!(post(&house, &headers, FIRING), 503, "nobody knows yet what the first comes to");
    drop(held);
    super::doors::wait_until(|| house.engine.seen.lock().len() == 1);
    super::doors::wait_until(|| post(&house, &headers, FIRING) == 401);
    assert_eq!(received(), 1);
}

#[test]
fn a_replay_is_known_after_a_reload_that_keeps_the_source() {
    let directory = tempfile::tempdir().unwrap();
    let signatures = Arc::new(Signatures::default());
    let source = SourceName::new("grafana");
    let started = time(NOW) - homeostat_core::time::Span::from_secs(200);
    let configure = |secret: &str| {
        let signing = signing(directory.path(), &[secret], true);
        signatures.configure([(source.clone(), signing)].into(), started);
    };
    configure("secret");
    let house = signed_house(Bounds::default(), signatures.clone());
    let headers = signed("secret", 5, FIRING);
    assert_eq!(post(&house, &headers, FIRING), 200);
    configure("secret");
    assert_eq!(post(&house, &headers, FIRING), 401);
    configure("another");
    assert_eq!(post(&house, &signed("secret", 4, FIRING), FIRING), 401);
    assert_eq!(post(&house, &signed("another", 4, FIRING), FIRING), 200);
    signatures.configure([].into(), started);
    assert_eq!(post(&house, &[], FIRING), 200, "it need not sign any more");
}

#[test]
fn a_secret_is_replaced_in_its_file() {
    let (directory, house) = grafana(false);
    let file = directory.path().join("1");
    let line = |secret: &str| [format!("X-Signature: {}", openssl(secret, FIRING))];
    fs::write(&file, "another\r\n").unwrap();
    super::doors::wait_until(|| post(&house, &line("another"), FIRING) == 200);
    assert_eq!(post(&house, &line("secret"), FIRING), 401);
}

#[test]
fn a_file_without_a_secret_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    let refusal =
        || Signing::new(std::slice::from_ref(&file), vec![], None).unwrap_err().to_string();
    assert!(refusal().starts_with("cannot read the secret in /"), "{}", refusal());
    for nothing in ["", "\n", "\r\n"] {
        fs::write(&file, nothing).unwrap();
        assert!(refusal().contains("holds no secret"), "{}", refusal());
    }
}
