//! What notices carry of their alerts and their policies, for those who route them.

use crate::stage::*;
use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::limits::{CARRIED_LABELS, defaults};
use homeostat_core::name::SourceName;
use homeostat_core::notice::{Carried, Notice};
use homeostat_core::policy::{Carries, Escalate, Mode, Policy, Rate};
use homeostat_core::scenario::Scenario;

const RUNBOOK: (&str, &str) = ("runbook_url", "https://wiki.example/down");

fn alert(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Alert {
    let labels = LabelSet::from_pairs(labels.iter().copied());
    Alert {
        source: SourceName::new("main"),
        door: Door::Webhook,
        fingerprint: labels.fingerprint(),
        labels,
        annotations: LabelSet::from_pairs(annotations.iter().copied()),
        starts_at: None,
        generator_url: "".into(),
        receiver: "".into(),
        external_url: "".into(),
        group_labels: LabelSet::default(),
    }
}

fn observe(play: &mut Scenario, labels: &[(&str, &str)], annotations: &[(&str, &str)]) {
    let alert = alert(labels, annotations);
    let observation =
        Observation { alert, status: Status::Firing, ends_at: None, unproven: None, by: None };
    play.remember(&observation);
    play.observe(observation);
}

fn labels(notice: &Notice) -> String {
    notice.carried.labels.to_string()
}

fn only(play: &Scenario) -> Notice {
    let [notice] = <[&Notice; 1]>::try_from(play.told().collect::<Vec<_>>()).unwrap();
    notice.clone()
}

fn carries(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Escalate {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    let carries = Carries { labels: pairs(labels), annotations: pairs(annotations) };
    Escalate::After { after: secs(60), severity: "critical".into(), carries }
}

/// A policy whose only remedy fails.
fn helpless() -> Policy {
    policy(vec![remedy("restart")])
}

const ONE: &[(&str, &str)] = &[
    ("alertname", "Down"),
    ("instance", "a:80"),
    ("team", "web"),
    ("zone", "eu"),
    ("severity", "info"),
    ("policy", "theirs"),
    ("selfhealing", "true"),
    ("value", "91"),
];

#[test]
fn an_escalation_carries_what_is_free_of_its_alert_and_its_runbook() {
    let mut play = alone(helpless());
    observe(&mut play, ONE, &[RUNBOOK, ("summary", "a:80 is down")]);
    play.exit("restart", FAILED);
    let notice = only(&play);
    assert_eq!(labels(&notice), r#"{team="web", value="91", zone="eu"}"#);
    assert_eq!(notice.carried.annotations, LabelSet::from_pairs([RUNBOOK]));
}

#[test]
fn of_several_alerts_only_what_all_have_is_carried() {
    let mut play = alone(helpless());
    observe(&mut play, ONE, &[]);
    let mut other = ONE.to_vec();
    other[7] = ("value", "93");
    other.remove(3);
    observe(&mut play, &other, &[RUNBOOK]);
    play.exit("restart", FAILED);
    assert_eq!(labels(&only(&play)), r#"{team="web"}"#);
}

#[test]
fn what_the_policy_says_counts_more_and_an_empty_value_carries_nothing() {
    let mut play = {
        let mut policy = helpless();
        policy.escalate = carries(
            &[("team", "ops"), ("zone", ""), ("channel", "#web")],
            &[("runbook_url", ""), ("dashboard", "https://grafana.example/d/web")],
        );
        alone(policy)
    };
    observe(&mut play, ONE, &[RUNBOOK]);
    play.exit("restart", FAILED);
    let notice = only(&play);
    assert_eq!(labels(&notice), r##"{channel="#web", team="ops", value="91"}"##);
    let dashboard = LabelSet::from_pairs([("dashboard", "https://grafana.example/d/web")]);
    assert_eq!(notice.carried.annotations, dashboard);
}

#[test]
fn the_labels_of_a_notice_stay_when_it_is_raised_again() {
    let mut policy = ladder();
    policy.escalate = carries(&[], &[]);
    let mut play = alone(policy);
    observe(&mut play, ONE, &[RUNBOOK]);
    play.exit("restart", DONE);
    play.advance(secs(60));
    let early = only(&play);
    assert_eq!(labels(&early), r#"{team="web", value="91", zone="eu"}"#);
    // Another alert of the same target takes the place of the first.
    let joined = &[("alertname", "Down"), ("instance", "a:80"), ("team", "db"), ("value", "93")];
    observe(&mut play, joined, &[]);
    resolve(&mut play, ONE);
    play.advance(defaults::VERIFY_WITHIN_WEBHOOK);
    let late = only(&play);
    assert!(late.since > early.since && late.reason != early.reason, "{late:?}");
    assert_eq!(labels(&late), labels(&early));
    assert_eq!(late.carried.annotations, early.carried.annotations, "the runbook is still known");
}

#[test]
fn a_notice_about_a_whole_policy_carries_what_its_matchers_require() {
    let mut policy = helpless();
    let text = r#"{alertname="Down", team="web", selfhealing="true", zone=~"eu|us"}"#;
    policy.matchers = Matchers::parse(text).unwrap().matchers;
    policy.guard.rate = Rate { max: 1, per: secs(7200) };
    policy.escalate = carries(&[("channel", "#web")], &[]);
    let mut play = alone(policy);
    observe(&mut play, ONE, &[]);
    let mut second = ONE.to_vec();
    second[1] = ("instance", "b:80");
    observe(&mut play, &second, &[RUNBOOK]);
    play.advance(secs(61));
    let notice = play.told().find(|notice| notice.topic().incident().is_none()).unwrap();
    assert_eq!(labels(notice), r##"{channel="#web", team="web"}"##);
    assert_eq!(notice.carried.annotations, LabelSet::from_pairs([RUNBOOK]));
}

#[test]
fn a_question_carries_the_labels_of_its_alert() {
    let mut policy = helpless();
    policy.mode = Mode::Approve;
    policy.remedies[0].mode = Mode::Approve;
    policy.escalate = carries(&[("channel", "#web")], &[]);
    let mut play = alone(policy);
    observe(&mut play, ONE, &[RUNBOOK]);
    let notice = only(&play);
    assert_eq!(labels(&notice), r##"{channel="#web", team="web", value="91", zone="eu"}"##);
    assert_eq!(notice.carried.annotations.get("runbook_url"), Some(RUNBOOK.1));
}

#[test]
fn what_cannot_be_healed_at_all_is_told_with_its_labels_too() {
    let mut play = alone(helpless());
    observe(&mut play, &[("alertname", "Down"), ("team", "web")], &[RUNBOOK]);
    let notice = only(&play);
    assert_eq!(labels(&notice), r#"{team="web"}"#, "it lacks the label of its target");
    assert_eq!(notice.carried.annotations.get("runbook_url"), Some(RUNBOOK.1));
}

#[test]
fn so_many_labels_are_carried_and_no_more() {
    let names: Vec<String> = (0..200).map(|number| format!("l{number:03}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let carried = Carried::of([&alert(&many, &[])], &LabelSet::default());
    assert_eq!(carried.labels.len(), CARRIED_LABELS);
    assert_eq!(carried.labels.get("l000"), Some("x"));
}

#[test]
fn other_words_are_the_same_notice_and_another_time_or_severity_is_not() {
    let mut play = alone(helpless());
    observe(&mut play, ONE, &[RUNBOOK]);
    play.exit("restart", FAILED);
    let notice = only(&play);
    let silent = notice.reworded(format!("{}; its source is silent", notice.reason));
    assert!(notice.is_reworded(&silent) && silent.reason.ends_with("silent"));
    for other in [
        Notice { since: notice.since + secs(1), ..notice.clone() },
        Notice { severity: "page".into(), ..notice.clone() },
        Notice { carried: Carried::default(), ..notice.clone() },
    ] {
        assert!(!notice.is_reworded(&other), "{other:?}");
    }
}

#[test]
fn a_notice_that_carries_something_is_read_as_it_was_written_and_one_without_looks_as_ever() {
    let mut play = alone(helpless());
    observe(&mut play, ONE, &[RUNBOOK]);
    play.exit("restart", FAILED);
    let notice = only(&play);
    let text = serde_json::to_string(&notice).unwrap();
    assert_eq!(serde_json::from_str::<Notice>(&text).unwrap(), notice, "{text}");
    let bare = serde_json::to_string(&Notice { carried: Carried::default(), ..notice }).unwrap();
    assert!(!bare.contains("carried"), "{bare}");
}
