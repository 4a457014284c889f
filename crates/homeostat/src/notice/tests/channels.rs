//! Commands and webhooks, each real, and what each of them is owed.

use std::path::Path;

use super::*;
use crate::notice::message::Status;
use crate::notice::outbox::Outbox;

fn exec(name: &str, script: &str) -> Channel {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    Channel { name: name.into(), way: Way::Exec(argv), timeout: MINUTE, send_resolved: true }
}

fn webhook(name: &str, url: &str) -> Channel {
    let client = Client::new(url, ClientOptions::default()).unwrap();
    Channel {
        name: name.into(),
        way: Way::Webhook(Box::new(Webhook::Fixed(client))),
        timeout: MINUTE,
        send_resolved: true,
    }
}

fn channels(channels: Vec<Channel>) -> Recipients {
    Recipients { channels, ..Recipients::default() }
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn bodies(server: &Server) -> Vec<Value> {
    server.received().iter().map(|one| serde_json::from_str(&one.body).unwrap()).collect()
}

#[tokio::test]
async fn a_command_that_fails_at_first_is_told_once_it_recovers_and_told_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let (told, up) = (directory.path().join("told"), directory.path().join("up"));
    let tries = directory.path().join("tries");
    let script =
        format!(
        "echo $HOMEOSTAT_NOTICE_KEY >> {tries}; test -e {up} || {{ echo it is down >&2; exit 1; }}
         echo $HOMEOSTAT_NOTICE_STATUS $HOMEOSTAT_NOTICE_INCIDENT >> {told}.env
         cat >> {told}; echo >> {told}",
        tries = tries.display(), up = up.display(), told = told.display()
    );
    let mut desk = listener(channels(vec![exec("oncall", &script)]));
    desk.teller.tell(notice(17));
    let keys = || std::fs::read_to_string(&tries).unwrap_or_default();
    eventually("two tries", async || keys().lines().count() >= 2).await;
    assert!(read(&told).is_empty() && desk.inbox.take().is_none(), "nobody has accepted it");
    std::fs::write(&up, "").unwrap();
    desk.hears(super::told(17)).await;
    desk.teller.clear(notice(17));
    desk.hears(Event::NoticeEnded(escalation(17))).await;
    assert_eq!(desk.teller.owed(), 0);

    let [firing, resolved] = <[Value; 2]>::try_from(read(&told)).unwrap();
    assert_eq!((&firing["status"], &resolved["status"]), (&"firing".into(), &"resolved".into()));
    let environment = std::fs::read_to_string(directory.path().join("told.env")).unwrap();
    assert_eq!(environment, "firing 17\nresolved 17\n");
    let keys: Vec<String> = keys().lines().map(str::to_owned).collect();
    let (end, tries) = keys.split_last().unwrap();
    assert!(tries.iter().all(|key| *key == firing["key"].as_str().unwrap()), "{keys:?}");
    assert_eq!(end, resolved["key"].as_str().unwrap());
    desk.telling.stop().await;
}

#[tokio::test]
async fn a_webhook_gets_the_document_under_the_same_key_each_time() {
    let tries = AtomicUsize::new(0);
    let server = Server::start(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Canned::Answer(503, "", Vec::new()),
        1 => Canned::Answer(302, "Location: /login\r\n", Vec::new()),
        _ => ok(""),
    });
    let url = format!("{}/hook/?team=web", server.url);
    let mut desk = listener(channels(vec![webhook("chat", &url)]));
    desk.teller.tell(notice(17));
    desk.hears(told(17)).await;
    let received = server.received();
    assert_eq!(received.len(), 3);
    let keys: Vec<_> = received.iter().map(|one| one.header("idempotency-key").unwrap()).collect();
    assert!(keys[0].starts_with("escalation/17/") && keys[0].ends_with("/firing"), "{keys:?}");
    assert_eq!(keys, [keys[0]; 3]);
    assert!(received[0].head.starts_with("POST /hook/?team=web "), "{}", received[0].head);
    let expected = serde_json::json!({
        "version": "1", "key": keys[0], "status": "firing", "kind": "escalation", "incident": 17,
        "policy": "restart-web", "target": { "instance": "a:80", "severity": "none" },
        "alertname": "WebDown", "severity": "critical", "reason": "no remedy is left",
        "summary": r#"A person is needed: WebDown on {instance="a:80", severity="none"}"#,
        "tried": ["restart: exit 1", "reboot: exit 0, still firing"],
        "since": SINCE.to_string(), "labels": {}, "annotations": {}, "link": "http://heal.example/incidents/17",
    });
    assert_eq!(bodies(&server)[2], expected);
    desk.telling.stop().await;
}

#[tokio::test]
async fn told_means_that_every_channel_has_accepted_it_and_none_holds_up_another() {
    let directory = tempfile::tempdir().unwrap();
    let up = directory.path().join("up");
    let slow = exec("slow", &format!("test -e {}", up.display()));
    let server = Server::start(|_| ok(""));
    let alertmanager = Server::start(|_| ok(""));
    let recipients = Recipients {
        clusters: vec![cluster("main", &[&alertmanager.url])],
        ..channels(vec![slow, webhook("chat", &server.url)])
    };
    let mut desk = listener(recipients);
    desk.teller.tell(notice(1));
    eventually("the others have it", async || {
        !server.received().is_empty() && alertmanager.received().len() > 2
    })
    .await;
    assert!(desk.inbox.take().is_none(), "one channel has not accepted it");
    std::fs::write(&up, "").unwrap();
    desk.hears(told(1)).await;
    assert_eq!(server.received().len(), 1, "accepted is accepted");
    desk.telling.stop().await;
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_all_that_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let pids = directory.path().join("pids");
    let script = format!("sleep 300 & echo $! >> {}; wait", pids.display());
    let channel = Channel { timeout: Duration::from_millis(300), ..exec("hung", &script) };
    let desk = listener(channels(vec![channel]));
    desk.teller.tell(notice(1));
    let count = || std::fs::read_to_string(&pids).unwrap_or_default().lines().count();
    eventually("a second try", async || count() >= 2).await;
    desk.telling.stop().await;
    eventually("nothing of it lives", async || {
        let pids = std::fs::read_to_string(&pids).unwrap();
        pids.lines().all(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        })
    })
    .await;
}

#[tokio::test]
async fn a_policy_tells_through_the_channels_that_it_names() {
    let (one, two) = (Server::start(|_| ok("")), Server::start(|_| ok("")));
    let routes = BTreeMap::from([(notice(1).policy, BTreeSet::from(["two".to_owned()]))]);
    let list = vec![webhook("one", &one.url), webhook("two", &two.url)];
    let mut desk = listener(Recipients { routes, ..channels(list) });
    desk.teller.tell(notice(1));
    desk.hears(told(1)).await;
    let other = Notice { policy: PolicyName::new("other"), ..notice(2) };
    desk.teller.tell(other.clone());
    desk.hears(accepted(&other)).await;
    assert_eq!((one.received().len(), two.received().len()), (1, 2));
    assert_eq!(bodies(&one)[0]["incident"], 2);
    desk.telling.stop().await;
}

// --- what a channel is owed, in made-up time ---

fn outbox(send_resolved: bool) -> (Outbox, Instant) {
    let channel = Channel { send_resolved, ..webhook("chat", "http://127.0.0.1:1") };
    (Outbox::new(Arc::new(channel)), Instant::now())
}

/// The statuses of what is due, all of it settled.
fn settled(outbox: &mut Outbox, at: Instant, accepted: bool) -> Vec<Status> {
    let letters = outbox.due(at).letters;
    for letter in &letters {
        outbox.settle(letter, accepted, at);
    }
    letters.iter().map(|letter| letter.status).collect()
}

#[test]
fn what_is_over_before_it_was_accepted_is_told_all_the_same() {
    for (send_resolved, then) in [(true, vec![Status::Resolved]), (false, vec![])] {
        let (mut outbox, at) = outbox(send_resolved);
        outbox.tell(&notice(1), at);
        assert_eq!(settled(&mut outbox, at, false), [Status::Firing]);
        outbox.clear(&notice(1), at);
        let later = at + MINUTE;
        assert_eq!(settled(&mut outbox, later, true), [Status::Firing]);
        assert_eq!(settled(&mut outbox, later, true), then);
        assert!(!outbox.knows(&escalation(1)), "{send_resolved}");
    }
}

#[test]
fn what_was_accepted_before_a_restart_is_not_told_again_but_its_end_is() {
    let (mut outbox, at) = outbox(true);
    outbox.remind(&notice(1), at);
    assert!(outbox.due(at).letters.is_empty());
    outbox.clear(&notice(1), at);
    assert_eq!(settled(&mut outbox, at, true), [Status::Resolved]);
    assert!(!outbox.knows(&escalation(1)));
}

#[test]
fn an_answer_to_a_notice_says_nothing_about_the_one_in_its_place() {
    let (mut outbox, at) = outbox(true);
    outbox.tell(&notice(1), at);
    let early = outbox.due(at).letters.remove(0);
    let late = Notice { since: *SINCE + Span::from_secs(60), ..notice(1) };
    outbox.tell(&late, at);
    assert!(outbox.due(at).letters.is_empty(), "one at a time about one topic");
    outbox.settle(&early, true, at);
    assert!(outbox.owes_telling(&escalation(1)));
    assert_eq!(outbox.due(at).letters[0].notice, late);
}

#[test]
fn other_words_are_owed_to_no_channel_and_go_with_what_is_sent_anyway() {
    let (mut outbox, at) = outbox(true);
    outbox.tell(&notice(1), at);
    let words = |text: &str| notice(1).reworded(text.into());
    outbox.tell(&words("silent"), at);
    let first = outbox.due(at).letters.remove(0);
    assert_eq!(first.notice.reason, "silent", "it was not sent yet");
    outbox.tell(&words("deaf"), at);
    outbox.settle(&first, true, at);
    assert!(!outbox.owes_telling(&escalation(1)), "under the same key it was accepted");
    outbox.tell(&words("mute"), at);
    assert!(outbox.due(at + MINUTE).letters.is_empty());
    outbox.clear(&words("mute"), at);
    let end = outbox.due(at).letters.remove(0);
    assert_eq!((end.status, &*end.notice.reason), (Status::Resolved, "mute"));
}

#[tokio::test]
async fn a_command_gets_the_labels_and_the_runbook() {
    let directory = tempfile::tempdir().unwrap();
    let (told, environment) = (directory.path().join("told"), directory.path().join("env"));
    let script = format!(
        "printf '%s\\n' \"$HOMEOSTAT_NOTICE_LABELS\" \"$HOMEOSTAT_NOTICE_RUNBOOK_URL\" > {}; cat > {}",
        environment.display(),
        told.display()
    );
    let mut desk = listener(channels(vec![exec("oncall", &script)]));
    let carried = Carried {
        labels: LabelSet::from_pairs([("team", "web")]),
        annotations: LabelSet::from_pairs([("runbook_url", "https://wiki.example/down")]),
    };
    let notice = Notice { carried, ..notice(1) };
    desk.teller.tell(notice.clone());
    desk.hears(accepted(&notice)).await;
    let environment = std::fs::read_to_string(environment).unwrap();
    assert_eq!(environment, "{team=\"web\"}\nhttps://wiki.example/down\n");
    let told = read(&told).remove(0);
    assert_eq!(told["labels"], serde_json::json!({ "team": "web" }));
    let annotations = serde_json::json!({ "runbook_url": "https://wiki.example/down" });
    assert_eq!(told["annotations"], annotations);
    desk.telling.stop().await;
}

#[test]
fn a_channel_that_never_comes_back_is_given_up_a_day_after_the_trouble_is_over() {
    let (mut outbox, mut at) = outbox(true);
    outbox.tell(&notice(1), at);
    let day = Duration::from_hours(24);
    for _ in 0..5 {
        at += day;
        assert_eq!(settled(&mut outbox, at, false), [Status::Firing], "it goes on");
    }
    outbox.clear(&notice(1), at);
    assert!(outbox.due(at + day - MINUTE).dropped.is_empty());
    assert_eq!(outbox.due(at + day).dropped, [escalation(1)]);
    assert!(!outbox.knows(&escalation(1)));
}

#[test]
fn a_channel_gets_few_messages_at_once_and_pauses_after_failures_are_bounded() {
    let (mut outbox, mut at) = outbox(true);
    for number in 0..10 {
        outbox.tell(&notice(number), at);
    }
    let first = outbox.due(at).letters;
    assert_eq!((first.len(), outbox.due(at).letters.len()), (4, 0));
    for letter in &first {
        outbox.settle(letter, true, at);
    }
    assert_eq!(settled(&mut outbox, at, true).len(), 4);
    assert_eq!(settled(&mut outbox, at, true).len(), 2);
    outbox.tell(&notice(99), at);
    for doubled in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(settled(&mut outbox, at, false), [Status::Firing]);
        let next = outbox.due(at).next.unwrap();
        let (pause, doubled) = (next - at, Duration::from_secs(doubled));
        assert!(pause >= doubled / 2 && pause <= doubled, "{pause:?} {doubled:?}");
        at = next;
    }
}

#[test]
fn a_reload_keeps_what_a_channel_accepted_and_owes_a_new_one_what_not_all_have() {
    let dead = "http://127.0.0.1:1";
    let mut desk = Desk::new(channels(vec![webhook("old", dead)]));
    let at = Instant::now();
    desk.tell(notice(1), at);
    desk.tell(notice(2), at);
    for letter in desk.due(at, UNDER_WAY).letters {
        desk.settle_letter(&letter, letter.notice == notice(1), at);
    }
    assert_eq!(desk.events(), [told(1)]);
    desk.configure(channels(vec![webhook("old", dead), webhook("new", dead)]), at);
    let due = desk.due(at, UNDER_WAY).letters;
    let due: Vec<_> = due.iter().map(|l| (&*l.channel.name, l.notice.topic())).collect();
    assert_eq!(due, [("new", escalation(2))], "the old one waits for its next try");
    desk.configure(Recipients::default(), at);
    assert_eq!(desk.events(), [], "nobody is there");
    desk.clear(notice(2), at, at);
    desk.due(at, UNDER_WAY);
    assert_eq!(desk.events(), [Event::NoticeEnded(escalation(2))]);
}
