//! How long an alert of ours lives in a real Alertmanager, and whom that calls.

use super::*;
use crate::demo::stack::{Sandbox, Timings};

/// Groups that are told of a change within a second, and of what stays as it is never again.
const TIMINGS: Timings = Timings {
    group_wait: Duration::from_millis(200),
    group_interval: Duration::from_secs(1),
    repeat_interval: Duration::from_hours(1),
};

/// An Alertmanager whose route leads to a receiver, and what that got.
struct Stack {
    receiver: Server,
    alertmanager: stack::Alertmanager,
    _sandbox: Sandbox,
}

impl Stack {
    async fn start() -> Self {
        let (sandbox, receiver) = (Sandbox::new().unwrap(), Server::start(|_| ok("")));
        let alertmanager = stack::Alertmanager::builder()
            .webhook(&receiver.url)
            .group_by(&["incident"])
            .timings(TIMINGS)
            .start(sandbox.path())
            .await
            .unwrap();
        Self { receiver, alertmanager, _sandbox: sandbox }
    }

    fn clusters(&self) -> Vec<Cluster> {
        vec![cluster("main", &[&self.alertmanager.url()])]
    }

    /// What people heard.
    fn heard(&self) -> Vec<Value> {
        let received = self.receiver.received();
        received.iter().map(|one| serde_json::from_str(&one.body).unwrap()).collect()
    }

    fn statuses(&self) -> Vec<String> {
        self.heard().iter().map(|body| body["status"].as_str().unwrap().to_owned()).collect()
    }

    async fn hears(&self, statuses: &[&str]) {
        eventually(&format!("people hear {statuses:?}"), async || self.statuses() == statuses)
            .await;
    }

    /// Several group intervals: whatever is to be heard was heard by then.
    async fn settles(&self) {
        tokio::time::sleep(3 * TIMINGS.group_interval).await;
    }
}

#[tokio::test]
async fn what_is_over_at_once_calls_somebody_first_and_is_then_gone_within_a_group_interval() {
    let stack = Stack::start().await;
    let mut desk = desk(stack.clusters());
    let short = Notice { since: now(), ..notice(1) };
    desk.teller.tell(short.clone());
    desk.teller.clear(short.clone());
    desk.hears(accepted(&short)).await;
    desk.hears(Event::NoticeEnded(escalation(1))).await;
    assert!(alerts(&stack.alertmanager.url()).await.is_empty(), "it is over");
    stack.hears(&["firing", "resolved"]).await;
    assert_eq!(desk.teller.owed(), 0);
    desk.telling.stop().await;
}

#[tokio::test]
async fn an_end_counts_although_the_clock_of_an_alertmanager_is_behind() {
    let stack = Stack::start().await;
    let (queue, inbox) = queue::queue();
    let ahead = || now() + Span::from_secs(40);
    let settings = Settings { clock: Box::new(ahead), ..settings() };
    let recipients = Recipients { clusters: stack.clusters(), ..Recipients::default() };
    let (teller, telling) = Teller::start(recipients, settings, queue);
    let mut desk = Listener { teller, telling, inbox, heard: Vec::new() };
    for asked in [notice(1), Notice { since: ahead(), ..question(2) }] {
        desk.teller.tell(asked.clone());
        desk.hears(accepted(&asked)).await;
        desk.teller.clear(asked.clone());
        desk.hears(Event::NoticeEnded(asked.topic())).await;
        assert!(alerts(&stack.alertmanager.url()).await.is_empty(), "{asked:?}");
    }
    desk.telling.stop().await;
}

#[tokio::test]
async fn over_a_restart_nobody_is_called_again_and_the_end_is_still_told() {
    let stack = Stack::start().await;
    let asked = question(1);
    let mut first = desk(stack.clusters());
    first.teller.tell(asked.clone());
    first.hears(accepted(&asked)).await;
    stack.hears(&["firing"]).await;
    first.telling.stop().await;
    stack.settles().await;
    let second = desk(stack.clusters());
    second.teller.remind(asked.clone());
    stack.settles().await;
    assert_eq!(stack.statuses(), ["firing"], "neither over nor told anew");
    second.telling.stop().await;
    // The end that this one did not get to tell.
    let mut third = desk(stack.clusters());
    third.teller.clear(asked.clone());
    third.hears(Event::NoticeEnded(asked.topic())).await;
    assert!(alerts(&stack.alertmanager.url()).await.is_empty());
    stack.hears(&["firing", "resolved"]).await;
    third.telling.stop().await;
}

#[tokio::test]
async fn other_words_are_shown_and_call_nobody_but_another_severity_does() {
    let stack = Stack::start().await;
    let command = Server::start(|_| ok(""));
    let client = Client::new(&command.url, ClientOptions::default()).unwrap();
    let chat = Channel {
        name: "chat".into(),
        way: Way::Webhook(Box::new(Webhook::Fixed(client))),
        timeout: MINUTE,
        send_resolved: true,
    };
    let mut desk = listener(Recipients {
        clusters: stack.clusters(),
        channels: vec![chat],
        ..Recipients::default()
    });
    let first = notice(1);
    desk.teller.tell(first.clone());
    desk.hears(accepted(&first)).await;
    stack.hears(&["firing"]).await;

    let mut silent = first.reworded("no remedy is left; its source is silent".into());
    silent.carried.annotations = LabelSet::from_pairs([("runbook_url", "https://wiki.example")]);
    desk.teller.tell(silent.clone());
    desk.hears(accepted(&silent)).await;
    let [shown] = <[Value; 1]>::try_from(alerts(&stack.alertmanager.url()).await).unwrap();
    assert_eq!(shown["annotations"]["description"], silent.reason);
    stack.settles().await;
    assert_eq!((stack.statuses().len(), command.received().len()), (1, 1), "nobody is called");

    let worse = Notice { severity: "page".into(), ..silent.clone() };
    desk.teller.tell(worse.clone());
    desk.hears(accepted(&worse)).await;
    eventually("both call", async || {
        let paged = stack.heard().iter().any(|body| {
            let alerts = body["alerts"].as_array().unwrap();
            alerts.iter().any(|alert| alert["labels"]["severity"] == "page")
        });
        paged && command.received().len() == 2
    })
    .await;
    desk.teller.clear(worse);
    desk.hears(Event::NoticeEnded(escalation(1))).await;
    let last: Value = serde_json::from_str(&command.received()[2].body).unwrap();
    assert_eq!((&last["status"], &last["reason"]), (&"resolved".into(), &silent.reason.into()));
    desk.telling.stop().await;
}

#[tokio::test]
async fn a_notice_is_routed_by_the_labels_that_it_carries() {
    let sandbox = Sandbox::new().unwrap();
    let (humans, web) = (Server::start(|_| ok("")), Server::start(|_| ok("")));
    let text = format!(
        "route: {{ receiver: humans, group_wait: 0s, routes: [{{ receiver: web, matchers: ['team=\"web\"'] }}] }}
receivers:
  - {{ name: humans, webhook_configs: [{{ url: '{}' }}] }}
  - {{ name: web, webhook_configs: [{{ url: '{}' }}] }}
",
        humans.url, web.url
    );
    let alertmanager = stack::Alertmanager::builder();
    let alertmanager = alertmanager.configuration(&text).start(sandbox.path()).await.unwrap();
    let mut desk = desk(vec![cluster("main", &[&alertmanager.url()])]);
    // Whatever comes from an alert, what tells our own alerts from others is ours.
    let labels = LabelSet::from_pairs([
        ("team", "web"),
        ("alertname", "Theirs"),
        ("homeostat", "theirs"),
        ("incident", "theirs"),
        ("selfhealing", "true"),
    ]);
    let annotations = LabelSet::from_pairs([
        ("runbook_url", "https://wiki.example/down"),
        ("summary", "theirs"),
        ("description", "theirs"),
    ]);
    let carried = Carried { labels: labels.clone(), annotations };
    let target = LabelSet::from_pairs([("instance", "a:80"), ("selfhealing", "true")]);
    let notice = Notice { carried, target, ..notice(1) };
    desk.teller.tell(notice.clone());
    desk.hears(accepted(&notice)).await;
    eventually("the team hears of it", async || !web.received().is_empty()).await;
    let body: Value = serde_json::from_str(&web.received()[0].body).unwrap();
    let alert = &body["alerts"][0];
    let expected = serde_json::json!({
        "alertname": "HomeostatEscalation", "homeostat": "escalation", "policy": "restart-web",
        "severity": "critical", "incident": "1", "alert": "WebDown", "instance": "a:80",
        "team": "web",
    });
    assert_eq!(alert["labels"], expected);
    assert_eq!(alert["annotations"]["runbook_url"], "https://wiki.example/down");
    assert_eq!(alert["annotations"]["description"], "no remedy is left");
    assert_ne!(alert["annotations"]["summary"], "theirs");
    assert!(humans.received().is_empty());
    desk.telling.stop().await;
}
