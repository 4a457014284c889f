use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use homeostat_core::event::Event;
use homeostat_core::hold::Guard;
use homeostat_core::label::LabelSet;
use homeostat_core::name::{IncidentId, PolicyName};
use homeostat_core::notice::{Carried, Matter, Topic};
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

pub(super) fn notice(incident: u64) -> Notice {
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
        carried: Carried::default(),
    }
}

/// A question that was asked just now.
fn question(incident: u64) -> Notice {
    let (action, expires_at) = ("exec reboot a".to_owned(), now() + Span::from_secs(600));
    let matter = Matter::Approval { incident: IncidentId(incident), action, expires_at };
    Notice { matter, since: now(), ..notice(incident) }
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
        pace: QUICK,
        tally: Arc::new(Counts::default()),
    }
}

/// For tests that do not want to wait.
const QUICK: Pace = Pace { refresh: Duration::from_millis(100), least: Duration::from_millis(300) };

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
mod living;

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
        "link": "http://heal.example/incidents/17",
    });
    assert_eq!(alert["annotations"], expected);
    assert_eq!(alert["generatorURL"], "http://heal.example/incidents/17");
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
        "link": "http://heal.example/incidents/17",
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
async fn an_end_that_one_peer_did_not_hear_is_told_until_it_does() {
    let tries = AtomicUsize::new(0);
    let whole = Server::start(|_| ok(""));
    let cut_off = Server::start(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        1 | 2 => Canned::Answer(503, "", Vec::new()),
        _ => ok(""),
    });
    let mut desk = desk(vec![cluster("main", &[&whole.url, &cut_off.url])]);
    let question = question(1);
    desk.teller.tell(question.clone());
    desk.hears(accepted(&question)).await;
    desk.teller.clear(question.clone());
    desk.hears(Event::NoticeEnded(question.topic())).await;
    let ends = |server: &Server| {
        let last = sent(server).pop().unwrap();
        (server.received().len(), last[0]["endsAt"].as_str().unwrap() < now().to_string().as_str())
    };
    assert!(ends(&cut_off).0 >= 4 && ends(&cut_off).1, "{:?}", ends(&cut_off));
    assert!(ends(&whole).1);
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

/// How long what calls for help fires at least.
const LEAST: Duration = Pace::USUAL.least;

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
    pace: Pace,
) -> Vec<Event> {
    table.settle_parcel(parcel, outcome, at, pace);
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
    assert_eq!(settle(&mut table, &first, &Outcome::Accepted, at, Pace::USUAL), told);
    let quiet = table.due(at + MINUTE / 2, UNDER_WAY);
    assert!(quiet.parcels.is_empty());
    assert_eq!(quiet.next, Some(at + MINUTE));
    let second = parcel(&mut table, at + MINUTE);
    assert_eq!(settle(&mut table, &second, &Outcome::Accepted, at + MINUTE, Pace::USUAL), []);
}

#[test]
fn pauses_after_failures_grow_up_to_a_bound() {
    let (mut table, mut at) = table();
    table.tell(notice(1), at);
    let mut longest = Duration::ZERO;
    for doubled in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000] {
        let parcel = parcel(&mut table, at);
        assert_eq!(settle(&mut table, &parcel, &failed(), at, Pace::USUAL), []);
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
    table.clear(notice(1), at, at);
    assert!(table.due(at, UNDER_WAY).parcels.is_empty());
    let told = [told(1)];
    assert_eq!(settle(&mut table, &under_way, &Outcome::Accepted, at, Pace::USUAL), told);
    // What was under way did not say that it is over.
    let again = parcel(&mut table, at);
    assert!(!again.items[0].ending);
    assert_eq!(settle(&mut table, &again, &Outcome::Accepted, at, Pace::USUAL), []);
    let at = at + LEAST;
    let end = parcel(&mut table, at);
    assert!(end.items[0].ending);
    let over = [Event::NoticeEnded(escalation(1))];
    assert_eq!(settle(&mut table, &end, &Outcome::Accepted, at, Pace::USUAL), over);
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
    table.clear(notice(1), at, at);
    let first = parcel(&mut table, at);
    settle(&mut table, &first, &failed(), at, Pace::USUAL);
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
        assert_eq!(settle(&mut table, one, &Outcome::Accepted, late, Pace::USUAL).len(), 256);
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
    settle(&mut table, &both, &Outcome::Refused("bad label".into()), at, Pace::USUAL);
    let alone = table.due(at, UNDER_WAY).parcels;
    assert_eq!(
        alone.iter().map(|one| (one.items.len(), one.careful)).collect::<Vec<_>>(),
        [(1, true), (1, true)]
    );
    settle(&mut table, &alone[0], &Outcome::Refused("bad".into()), at, Pace::USUAL);
    settle(&mut table, &alone[1], &Outcome::Accepted, at, Pace::USUAL);
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
    assert_eq!(settle(&mut table, &early, &Outcome::Accepted, at, Pace::USUAL), []);
    let second = parcel(&mut table, at);
    assert_eq!(settle(&mut table, &second, &Outcome::Accepted, at, Pace::USUAL), [accepted(&late)]);
}

#[test]
fn what_was_told_before_a_restart_is_kept_up_and_not_reported_again() {
    let (mut table, at) = table();
    table.remind(notice(1), at, at);
    let first = parcel(&mut table, at);
    assert_eq!(settle(&mut table, &first, &Outcome::Accepted, at, Pace::USUAL), []);
    assert_eq!(table.due(at, UNDER_WAY).next, Some(at + MINUTE));
}

#[test]
fn what_calls_for_help_fires_for_some_time_from_when_it_was_accepted() {
    let (mut table, at) = table();
    table.tell(notice(1), at);
    // Nobody could be told for a while, and then it is over.
    let first = parcel(&mut table, at);
    settle(&mut table, &first, &failed(), at, Pace::USUAL);
    let back = at + 3 * LEAST;
    table.clear(notice(1), back, back);
    let firing = parcel(&mut table, back);
    assert!(!firing.items[0].ending, "nobody has heard of it yet");
    settle(&mut table, &firing, &Outcome::Accepted, back, Pace::USUAL);
    for minute in 1..6 {
        let again = parcel(&mut table, back + minute * MINUTE);
        assert!(!again.items[0].ending, "an Alertmanager that was restarted hears it, too");
        settle(&mut table, &again, &Outcome::Accepted, back + minute * MINUTE, Pace::USUAL);
    }
    assert_eq!(table.due(back + LEAST - MINUTE / 2, UNDER_WAY).next, Some(back + LEAST));
    assert!(parcel(&mut table, back + LEAST).items[0].ending);
}

#[test]
fn what_has_fired_for_long_enough_ends_at_once_and_what_has_not_after_a_restart_later() {
    let (mut table, at) = table();
    table.tell(notice(1), at);
    let first = parcel(&mut table, at);
    settle(&mut table, &first, &Outcome::Accepted, at, Pace::USUAL);
    let later = at + LEAST + MINUTE / 2;
    table.clear(notice(1), later, later);
    assert!(parcel(&mut table, later).items[0].ending);
    let left = later + 2 * MINUTE;
    table.clear(notice(2), left, later);
    assert!(!parcel(&mut table, later).items[0].ending);
}

#[test]
fn a_question_that_needs_no_answer_ends_at_once() {
    let (mut table, at) = table();
    let question = question(1);
    table.tell(question.clone(), at);
    let first = parcel(&mut table, at);
    settle(&mut table, &first, &Outcome::Accepted, at, Pace::USUAL);
    table.clear(question, at + LEAST, at);
    assert!(parcel(&mut table, at).items[0].ending);
}

#[test]
fn an_end_is_told_until_every_peer_that_may_fire_it_has_taken_it() {
    let (mut table, at) = table();
    table.tell(notice(1), at);
    let partly = Outcome::Partly("one is cut off".into());
    let first = parcel(&mut table, at);
    assert_eq!(settle(&mut table, &first, &partly, at, Pace::USUAL), [told(1)], "one is enough");
    let over = at + LEAST;
    table.clear(notice(1), over, over);
    let end = parcel(&mut table, over);
    assert_eq!(settle(&mut table, &end, &partly, over, Pace::USUAL), []);
    let next = table.due(over, UNDER_WAY).next.unwrap();
    assert!(next > over && next <= over + MINUTE / 60, "after a pause");
    let end = parcel(&mut table, next);
    let gone = [Event::NoticeEnded(escalation(1))];
    assert_eq!(settle(&mut table, &end, &Outcome::Accepted, next, Pace::USUAL), gone);
}

#[test]
fn an_end_that_one_peer_never_takes_is_over_when_the_alert_has_lapsed_there() {
    let (mut table, at) = table();
    table.tell(notice(1), at);
    let first = parcel(&mut table, at);
    settle(&mut table, &first, &Outcome::Accepted, at, Pace::USUAL);
    let mut now = at + LEAST;
    table.clear(notice(1), now, now);
    while now < at + LASTING {
        let partly = Outcome::Partly("one is gone".into());
        let end = parcel(&mut table, now);
        assert_eq!(settle(&mut table, &end, &partly, now, Pace::USUAL), []);
        now = table.due(now, UNDER_WAY).next.unwrap();
    }
    table.due(now, UNDER_WAY);
    assert_eq!(table.events(), [Event::NoticeEnded(escalation(1))]);
}

#[test]
fn other_labels_are_another_alert_and_end_the_one_before() {
    let (mut table, at) = table();
    table.tell(notice(1), at);
    let carried = Carried { labels: LabelSet::from_pairs([("team", "web")]), ..Carried::default() };
    table.tell(Notice { carried, ..notice(1) }, at);
    let alerts = parcel(&mut table, at).alerts(now(), None);
    let alerts: Vec<Value> = serde_json::from_slice(&alerts).unwrap();
    let time = |alert: &Value| -> Timestamp { alert["endsAt"].as_str().unwrap().parse().unwrap() };
    assert!(alerts[0]["labels"].get("team").is_none() && time(&alerts[0]) < now());
    assert!(alerts[1]["labels"]["team"] == "web" && time(&alerts[1]) > now());
}

#[test]
fn an_alert_never_ends_before_it_starts() {
    let (mut table, at) = table();
    let since = now() + Span::from_secs(600);
    table.clear(Notice { since, ..notice(1) }, at, at);
    let alerts = parcel(&mut table, at).alerts(now(), None);
    let alerts: Vec<Value> = serde_json::from_slice(&alerts).unwrap();
    assert!(alerts[0]["startsAt"].as_str() <= alerts[0]["endsAt"].as_str());
    assert!(alerts[0].get("generatorURL").is_none());
    assert!(alerts[0]["annotations"].get("link").is_none());
}
