use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use homeostat_core::event::Event;
use homeostat_core::hold::Guard;
use homeostat_core::label::LabelSet;
use homeostat_core::name::{IncidentId, PolicyName};
use homeostat_core::notice::{Matter, Topic};
use homeostat_core::time::Span;
use serde_json::Value;

use super::*;
use crate::client::ClientOptions;
use crate::client::tests::{Canned, Server, eventually, ok};
use crate::demo::stack;
use crate::queue::{self, Inbox, Request};

fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

fn notice(incident: u64) -> Notice {
    Notice {
        matter: Matter::Escalation {
            incident: IncidentId(incident),
            tried: vec!["restart: exit 1".into(), "reboot: exit 0, still firing".into()],
        },
        policy: PolicyName::new("restart-web"),
        target: LabelSet::from_pairs([("instance", "a:80"), ("severity", "none")]),
        source: SourceName::new("main"),
        alertname: "WebDown".into(),
        severity: "critical".into(),
        reason: "no remedy is left".into(),
        since: *SINCE,
    }
}

/// Since when the notices of these tests need a person.
static SINCE: LazyLock<Timestamp> = LazyLock::new(|| now() - Span::from_secs(3600));

fn escalation(incident: u64) -> Topic {
    Topic::Escalation { incident: IncidentId(incident) }
}

fn told(incident: u64) -> Event {
    accepted(&notice(incident))
}

fn accepted(notice: &Notice) -> Event {
    Event::NoticeTold(Box::new(notice.clone()))
}

fn cluster(name: &str, urls: &[&str]) -> Cluster {
    let client = |url: &&str| Client::new(url, ClientOptions::default()).unwrap();
    Cluster { name: SourceName::new(name), peers: urls.iter().map(client).collect() }
}

fn settings() -> Settings {
    Settings {
        external_url: Some("http://heal.example/".into()),
        clock: Box::new(now),
        refresh: Duration::from_millis(100),
        tally: Arc::new(Counts::default()),
    }
}

/// What was counted, by channel and result.
#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<(String, String), u64>>);

impl Tally for Counts {
    fn notices(&self, channel: &str, result: &str, count: u64) {
        *self.0.lock().entry((channel.into(), result.into())).or_default() += count;
    }
}

struct Listener {
    teller: Teller,
    telling: Telling,
    inbox: Inbox,
    heard: Vec<Event>,
}

fn desk(clusters: Vec<Cluster>) -> Listener {
    listener(Recipients { clusters, ..Recipients::default() })
}

fn listener(recipients: Recipients) -> Listener {
    let (queue, inbox) = queue::queue();
    let (teller, telling) = Teller::start(recipients, settings(), queue);
    Listener { teller, telling, inbox, heard: Vec::new() }
}

impl Listener {
    /// Waits until the engine was told this, and nothing before that was not expected.
    async fn hears(&mut self, event: Event) {
        eventually(&format!("{event:?}"), async || {
            while let Some(request) = self.inbox.take() {
                let Request::Tell(event) = request else { panic!("{request:?}") };
                self.heard.push(event);
            }
            !self.heard.is_empty()
        })
        .await;
        assert_eq!(std::mem::take(&mut self.heard), [event]);
    }
}

mod channels;

// --- a real Alertmanager ---

/// The alerts that it lists.
async fn alerts(url: &str) -> Vec<Value> {
    let client = Client::new(url, ClientOptions::default()).unwrap();
    let reply = client.get("/api/v2/alerts", &[]).await.unwrap();
    serde_json::from_slice(&reply.body).unwrap()
}

#[tokio::test]
async fn a_person_is_told_until_it_is_over() {
    let sandbox = stack::Sandbox::new().unwrap();
    let alertmanager = stack::Alertmanager::builder().start(sandbox.path()).await.unwrap();
    let url = alertmanager.url();
    let mut desk = desk(vec![cluster("main", &[&url])]);
    desk.teller.tell(notice(17));
    desk.hears(told(17)).await;

    let [alert] = <[Value; 1]>::try_from(alerts(&url).await).unwrap();
    let expected = serde_json::json!({
        "alertname": "HomeostatEscalation", "homeostat": "escalation", "policy": "restart-web",
        "severity": "critical", "incident": "17", "alert": "WebDown", "instance": "a:80",
    });
    assert_eq!(alert["labels"], expected);
    let expected = serde_json::json!({
        "summary": r#"A person is needed: WebDown on {instance="a:80", severity="none"}"#,
        "description": "no remedy is left",
        "tried": "restart: exit 1; reboot: exit 0, still firing",
        "link": "http://heal.example/#17",
    });
    assert_eq!(alert["annotations"], expected);
    assert_eq!(alert["generatorURL"], "http://heal.example/#17");
    let time = |alert: &Value, field: &str| -> Timestamp {
        alert[field].as_str().unwrap().parse().unwrap()
    };
    let ahead = time(&alert, "endsAt").since(now());
    assert!(ahead > Span::from_secs(3_500) && ahead <= Span::from_secs(3_600), "{ahead}");

    eventually("it is told again", async || {
        time(&alerts(&url).await[0], "updatedAt") > time(&alert, "updatedAt")
    })
    .await;
    let changed = Notice { reason: "it got worse".into(), ..notice(17) };
    desk.teller.tell(changed.clone());
    desk.hears(accepted(&changed)).await;
    eventually("the text is replaced", async || {
        let alerts = alerts(&url).await;
        assert_eq!(alerts.len(), 1);
        alerts[0]["annotations"]["description"] == "it got worse"
    })
    .await;
    let renamed = Notice { severity: "page".into(), ..changed };
    desk.teller.tell(renamed.clone());
    desk.hears(accepted(&renamed)).await;
    eventually("an alert with other labels takes the place of the first", async || {
        let alerts = alerts(&url).await;
        alerts.len() == 1 && alerts[0]["labels"]["severity"] == "page"
    })
    .await;
    desk.teller.clear(renamed);
    desk.hears(Event::NoticeEnded(escalation(17))).await;
    eventually("nothing fires any more", async || alerts(&url).await.is_empty()).await;
    assert_eq!(desk.teller.owed(), 0);
    desk.telling.stop().await;
}

/// Tells a notice to a real Alertmanager, and returns the only alert that it lists then.
async fn as_alert(notice: Notice) -> Value {
    let sandbox = stack::Sandbox::new().unwrap();
    let alertmanager = stack::Alertmanager::builder().start(sandbox.path()).await.unwrap();
    let url = alertmanager.url();
    let mut desk = desk(vec![cluster("main", &[&url])]);
    desk.teller.tell(notice.clone());
    desk.hears(accepted(&notice)).await;
    let [alert] = <[Value; 1]>::try_from(alerts(&url).await).unwrap();
    desk.telling.stop().await;
    alert
}

#[tokio::test]
async fn an_approval_that_is_awaited_says_what_would_be_done_and_how_to_approve_it() {
    let expires_at = "2026-01-05T09:30:00Z".parse().unwrap();
    let action = "exec reboot a".to_owned();
    let matter = Matter::Approval { incident: IncidentId(17), action, expires_at };
    let reason = "remedy reboot waits for a person's word".to_owned();
    let alert = as_alert(Notice { matter, reason, ..notice(17) }).await;
    let expected = serde_json::json!({
        "alertname": "HomeostatApprovalNeeded", "homeostat": "approval", "policy": "restart-web",
        "severity": "critical", "incident": "17", "alert": "WebDown", "instance": "a:80",
    });
    assert_eq!(alert["labels"], expected);
    let expected = serde_json::json!({
        "summary": r#"A person's word is needed: WebDown on {instance="a:80", severity="none"}"#,
        "description": "remedy reboot waits for a person's word",
        "action": "exec reboot a",
        "expires": "2026-01-05T09:30:00Z",
        "approve": "homeostat approve 17",
        "reject": "homeostat reject 17",
        "link": "http://heal.example/#17",
    });
    assert_eq!(alert["annotations"], expected);
}

#[tokio::test]
async fn a_guard_that_holds_a_policy_is_one_alert_that_lists_some_of_what_it_holds() {
    let held = (0..22).map(|n| LabelSet::from_pairs([("instance", &format!("{n}:80")[..])]));
    let matter = Matter::guard(Guard::Rate, held);
    let reason = "22 targets wait".to_owned();
    let target = LabelSet::default();
    let alert = as_alert(Notice { matter, reason, target, ..notice(0) }).await;
    let expected = serde_json::json!({
        "alertname": "HomeostatEscalation", "homeostat": "escalation", "policy": "restart-web",
        "severity": "critical", "guard": "rate", "alert": "WebDown",
    });
    assert_eq!(alert["labels"], expected);
    let annotations = &alert["annotations"];
    assert_eq!(annotations["summary"], "A person is needed: guard rate holds policy restart-web");
    assert_eq!(annotations["description"], "22 targets wait");
    let held = annotations["held"].as_str().unwrap();
    assert!(held.starts_with(r#"{instance="0:80"}, {instance="1:80"}"#), "{held}");
    assert!(held.ends_with(r#", {instance="19:80"}, and 2 more"#), "{held}");
    assert_eq!(annotations["link"], "http://heal.example/");
}

#[tokio::test]
async fn an_old_alertmanager_that_refuses_a_label_is_told_without_it() {
    let sandbox = stack::Sandbox::new().unwrap();
    let alertmanager = stack::Alertmanager::builder().start(sandbox.path()).await.unwrap();
    let url = alertmanager.url();
    let mut desk = desk(vec![cluster("main", &[&url])]);
    let target = LabelSet::from_pairs([("service.name", "web"), ("zone", "x")]);
    let unusual = Notice { target, ..notice(1) };
    desk.teller.tell(unusual.clone());
    desk.hears(accepted(&unusual)).await;
    let alerts = alerts(&url).await;
    assert_eq!(alerts[0]["labels"]["zone"], "x");
    assert!(alerts[0]["labels"].get("service.name").is_none());
    assert!(alerts[0]["annotations"]["summary"].as_str().unwrap().contains("service.name"));
    desk.telling.stop().await;
}

// --- servers that misbehave ---

fn sent(server: &Server) -> Vec<Vec<Value>> {
    server.received().iter().map(|one| serde_json::from_str(&one.body).unwrap()).collect()
}

#[tokio::test]
async fn what_fails_is_tried_again_until_one_peer_accepts() {
    let tries = AtomicUsize::new(0);
    let server = Server::start(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Canned::Answer(503, "", Vec::new()),
        2 => Canned::Answer(302, "Location: /login\r\n", Vec::new()),
        _ => ok(""),
    });
    // Nobody listens at the first.
    let mut desk = desk(vec![cluster("main", &["http://127.0.0.1:1", &server.url])]);
    desk.teller.tell(notice(1));
    desk.hears(told(1)).await;
    assert!(server.received().len() >= 4);
    desk.telling.stop().await;
}

#[tokio::test]
async fn notices_go_to_the_cluster_of_their_alert_or_else_to_the_first() {
    let (first, second) = (Server::start(|_| ok("")), Server::start(|_| ok("")));
    let clusters = vec![cluster("one", &[&first.url]), cluster("two", &[&second.url])];
    let mut desk = desk(clusters);
    let [two, api] = [(1, "two"), (2, "api")]
        .map(|(incident, source)| Notice { source: SourceName::new(source), ..notice(incident) });
    desk.teller.tell(two.clone());
    desk.hears(accepted(&two)).await;
    assert_eq!((first.received().len(), sent(&second)[0].len()), (0, 1));
    desk.teller.tell(api.clone());
    desk.hears(accepted(&api)).await;
    assert_eq!(sent(&first)[0][0]["labels"]["incident"], "2");
    desk.telling.stop().await;
}

#[tokio::test]
async fn without_an_alertmanager_nothing_is_told_and_nothing_stays_owed() {
    let mut desk = desk(Vec::new());
    desk.teller.tell(notice(1));
    desk.teller.tell(notice(2));
    desk.teller.clear(notice(1));
    desk.hears(Event::NoticeEnded(escalation(1))).await;
    assert_eq!(desk.teller.owed(), 1);
    let server = Server::start(|_| ok(""));
    let clusters = vec![cluster("main", &[&server.url])];
    desk.teller.configure(Recipients { clusters, ..Recipients::default() });
    desk.hears(told(2)).await;
    desk.telling.stop().await;
}

#[tokio::test]
async fn it_stops_at_once_whatever_is_under_way() {
    let server = Server::start(|_| Canned::Silence);
    let desk = desk(vec![cluster("main", &[&server.url])]);
    desk.teller.tell(notice(1));
    eventually("it is under way", async || !server.received().is_empty()).await;
    tokio::time::timeout(Duration::from_secs(2), desk.telling.stop()).await.unwrap();
}

// --- what is owed, in made-up time ---

const MINUTE: Duration = Duration::from_mins(1);

fn table() -> (Desk, Instant) {
    let clusters = vec![cluster("main", &["http://127.0.0.1:1"])];
    (Desk::new(Recipients { clusters, ..Recipients::default() }), Instant::now())
}

/// Takes the only parcel that is due.
fn parcel(table: &mut Desk, at: Instant) -> Parcel {
    let due = table.due(at, UNDER_WAY);
    assert!(table.events().is_empty());
    due.parcels.into_iter().next().expect("something is due")
}

/// Takes in what came of a parcel, and returns what the engine hears of it.
fn settle(
    table: &mut Desk,
    parcel: &Parcel,
    outcome: &Outcome,
    at: Instant,
    refresh: Duration,
) -> Vec<Event> {
    table.settle_parcel(parcel, outcome, at, refresh);
    table.events()
}

fn failed() -> Outcome {
    Outcome::Failed("it is down".into())
}

#[test]
fn it_is_said_once_that_a_notice_was_accepted_and_told_each_minute() {
    let (mut table, at) = table();
    table.tell(notice(1), at);
    let first = parcel(&mut table, at);
    let told = [told(1)];
    assert_eq!(settle(&mut table, &first, &Outcome::Accepted, at, MINUTE), told);
    let quiet = table.due(at + MINUTE / 2, UNDER_WAY);
    assert!(quiet.parcels.is_empty());
    assert_eq!(quiet.next, Some(at + MINUTE));
    let second = parcel(&mut table, at + MINUTE);
    assert_eq!(settle(&mut table, &second, &Outcome::Accepted, at + MINUTE, MINUTE), []);
}

#[test]
fn pauses_after_failures_grow_up_to_a_bound() {
    let (mut table, mut at) = table();
    table.tell(notice(1), at);
    let mut longest = Duration::ZERO;
    for doubled in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000] {
        let parcel = parcel(&mut table, at);
        assert_eq!(settle(&mut table, &parcel, &failed(), at, MINUTE), []);
        let next = table.due(at, UNDER_WAY).next.unwrap();
        let (pause, doubled) = (next - at, Duration::from_millis(doubled));
        assert!(pause >= doubled / 2 && pause <= doubled, "{pause:?} {doubled:?}");
        longest = longest.max(pause);
        at = next;
    }
    assert!(longest >= Duration::from_secs(15));
}

#[test]
fn the_end_is_not_sent_before_what_is_under_way_is_answered() {
    let (mut table, at) = table();
    table.tell(notice(1), at);
    let under_way = parcel(&mut table, at);
    table.clear(notice(1), at);
    assert!(table.due(at, UNDER_WAY).parcels.is_empty());
    let told = [told(1)];
    assert_eq!(settle(&mut table, &under_way, &Outcome::Accepted, at, MINUTE), told);
    let end = parcel(&mut table, at);
    assert!(end.items[0].clearing);
    let over = [Event::NoticeEnded(escalation(1))];
    assert_eq!(settle(&mut table, &end, &Outcome::Accepted, at, MINUTE), over);
    assert_eq!(table.len(), 0);
}

#[test]
fn a_request_that_is_lost_does_not_lose_its_notices() {
    let (mut table, at) = table();
    table.tell(notice(1), at);
    drop(parcel(&mut table, at));
    let next = table.due(at, UNDER_WAY).next.unwrap();
    assert!(next <= at + MINUTE);
    assert_eq!(parcel(&mut table, next).items.len(), 1);
}

#[test]
fn an_end_that_nobody_takes_is_over_when_the_alert_has_lapsed() {
    let (mut table, at) = table();
    table.clear(notice(1), at);
    let first = parcel(&mut table, at);
    settle(&mut table, &first, &failed(), at, MINUTE);
    table.due(at + LASTING - MINUTE, 0);
    assert!(table.events().is_empty());
    table.due(at + LASTING, UNDER_WAY);
    assert_eq!(table.events(), [Event::NoticeEnded(escalation(1))]);
    assert_eq!(table.len(), 0);
}

#[test]
fn a_storm_goes_out_in_few_requests_the_oldest_first() {
    let (mut table, at) = table();
    for number in 0..3_000 {
        table.tell(notice(number), at + Duration::from_micros(number));
    }
    let late = at + MINUTE;
    let due = table.due(late, UNDER_WAY);
    assert_eq!(due.parcels.iter().map(|one| one.items.len()).collect::<Vec<_>>(), [256; 8]);
    assert_eq!(due.parcels[0].items[0].notice.topic(), escalation(0));
    assert!(table.due(late, 0).parcels.is_empty());
    for one in &due.parcels {
        assert_eq!(settle(&mut table, one, &Outcome::Accepted, late, MINUTE).len(), 256);
    }
    let rest: usize = table.due(late, UNDER_WAY).parcels.iter().map(|one| one.items.len()).sum();
    assert_eq!(rest, 3_000 - 8 * 256);
}

#[test]
fn of_a_batch_that_is_refused_each_is_sent_alone() {
    let (mut table, at) = table();
    table.tell(notice(1), at);
    table.tell(notice(2), at);
    let both = parcel(&mut table, at);
    assert_eq!((both.items.len(), both.careful), (2, false));
    settle(&mut table, &both, &Outcome::Refused("bad label".into()), at, MINUTE);
    let alone = table.due(at, UNDER_WAY).parcels;
    assert_eq!(
        alone.iter().map(|one| (one.items.len(), one.careful)).collect::<Vec<_>>(),
        [(1, true), (1, true)]
    );
    settle(&mut table, &alone[0], &Outcome::Refused("bad".into()), at, MINUTE);
    settle(&mut table, &alone[1], &Outcome::Accepted, at, MINUTE);
    let due = table.due(at, UNDER_WAY);
    assert!(due.parcels.is_empty() && due.next.unwrap() > at);
}

#[test]
fn one_that_takes_the_place_of_another_is_told_anew() {
    let (mut table, at) = table();
    table.tell(notice(1), at);
    let early = parcel(&mut table, at);
    let late = Notice { reason: "it got worse".into(), ..notice(1) };
    table.tell(late.clone(), at);
    assert_eq!(settle(&mut table, &early, &Outcome::Accepted, at, MINUTE), []);
    let second = parcel(&mut table, at);
    assert_eq!(settle(&mut table, &second, &Outcome::Accepted, at, MINUTE), [accepted(&late)]);
}

#[test]
fn what_was_told_before_a_restart_is_kept_up_and_not_reported_again() {
    let (mut table, at) = table();
    table.remind(notice(1), at);
    let first = parcel(&mut table, at);
    assert_eq!(settle(&mut table, &first, &Outcome::Accepted, at, MINUTE), []);
    assert_eq!(table.due(at, UNDER_WAY).next, Some(at + MINUTE));
}

#[test]
fn an_alert_never_ends_before_it_starts() {
    let (mut table, at) = table();
    let since = now() + Span::from_secs(600);
    table.clear(Notice { since, ..notice(1) }, at);
    let alerts = parcel(&mut table, at).alerts(now(), None);
    let alerts: Vec<Value> = serde_json::from_slice(&alerts).unwrap();
    assert!(alerts[0]["startsAt"].as_str() < alerts[0]["endsAt"].as_str());
    assert!(alerts[0].get("generatorURL").is_none());
    assert!(alerts[0]["annotations"].get("link").is_none());
}
