//! What people are told, and that old journals still say it.

use std::collections::BTreeSet;

use crate::stage::*;
use homeostat_core::alert::{Alert, Door};
use homeostat_core::decide::decide;
use homeostat_core::event::{Effect, Event};
use homeostat_core::fact::{Fact, What};
use homeostat_core::hold::Guard;
use homeostat_core::label::LabelSet;
use homeostat_core::limits::{NOTICE_TARGETS, OPEN_NOTICES, defaults};
use homeostat_core::name::{EpisodeId, IncidentId, PolicyName, SourceName};
use homeostat_core::notice::{Carried, Matter, Notice, Topic};
use homeostat_core::order::Found;
use homeostat_core::policy::{Escalate, Policy, TargetLabels};
use homeostat_core::state::State;

fn notice(matter: Matter) -> Notice {
    Notice {
        matter,
        policy: PolicyName::new("web"),
        target: LabelSet::from_pairs([("instance", "a:80")]),
        source: SourceName::new("main"),
        alertname: "Down".into(),
        severity: "critical".into(),
        reason: "no remedy healed it".into(),
        since: start_time(),
        carried: Carried::default(),
    }
}

fn escalation(incident: u64) -> Notice {
    let tried = vec!["restart: exited with code 1".to_owned()];
    notice(Matter::Escalation { incident: IncidentId(incident), tried })
}

// --- as it is written ---

/// Written by the first version, which knew escalations only.
const RAISED: &str = r#"{"kind":"notice_raised","notice":{"incident":2,"policy":"web","target":{"instance":"a:80"},"source":"main","alertname":"Down","severity":"critical","reason":"no remedy healed it","tried":["restart: exited with code 1"],"since":"2026-01-05T09:00:00Z"}}"#;

#[test]
fn what_an_earlier_version_wrote_about_notices_is_read() {
    let read = |text: &str| serde_json::from_str::<What>(text).unwrap();
    assert_eq!(read(RAISED), What::NoticeRaised { notice: escalation(2) });
    let topic = Topic::Escalation { incident: IncidentId(2) };
    for (kind, what) in [
        ("notice_told", What::NoticeTold { topic: topic.clone() }),
        ("notice_cleared", What::NoticeCleared { topic: topic.clone() }),
        ("notice_ended", What::NoticeEnded { topic }),
    ] {
        assert_eq!(read(&format!(r#"{{"kind":"{kind}","incident":2}}"#)), what);
        assert_eq!(what.incident(), Some(IncidentId(2)));
    }
}

#[test]
fn a_notice_of_every_topic_is_read_as_it_was_written() {
    let expires_at = start_time() + secs(1800);
    let action = "exec reboot a".to_owned();
    let targets = [LabelSet::from_pairs([("instance", "a:80")])];
    for (matter, topic, written) in [
        (
            Matter::Escalation { incident: IncidentId(7), tried: Vec::new() },
            Topic::Escalation { incident: IncidentId(7) },
            r#"{"kind":"notice_told","incident":7}"#,
        ),
        (
            Matter::Approval { incident: IncidentId(7), action, expires_at },
            Topic::Approval { incident: IncidentId(7) },
            r#"{"kind":"notice_told","approval":7}"#,
        ),
        (
            Matter::guard(Guard::Rate, targets),
            Topic::Guard { policy: PolicyName::new("web"), guard: Guard::Rate },
            r#"{"kind":"notice_told","policy":"web","guard":"rate"}"#,
        ),
    ] {
        let notice = notice(matter);
        assert_eq!(notice.topic(), topic);
        let told = What::NoticeTold { topic };
        assert_eq!(serde_json::to_string(&told).unwrap(), written);
        for what in [What::NoticeRaised { notice }, told] {
            let text = serde_json::to_string(&what).unwrap();
            assert_eq!(serde_json::from_str::<What>(&text).unwrap(), what, "{text}");
        }
    }
}

#[test]
fn a_notice_about_a_guard_lists_so_many_targets_and_counts_the_rest() {
    let targets = (0..1000).map(|n| LabelSet::from_pairs([("instance", &format!("{n}:80")[..])]));
    let Matter::Guard { targets, more, .. } = Matter::guard(Guard::Rate, targets) else {
        panic!("it is about a guard");
    };
    assert_eq!((targets.len(), more), (NOTICE_TARGETS, 1000 - NOTICE_TARGETS as u64));
    assert_eq!(targets[0].get("instance"), Some("0:80"));
}

// --- as it is told ---

/// A policy that tells after a minute, and whose alerts lapse after five.
fn impatient() -> Policy {
    let mut policy = ladder();
    policy.escalate = Escalate::after(secs(60), "critical");
    policy.lapse = secs(300);
    policy
}

fn count(facts: &[Fact], kind: &str) -> usize {
    facts.iter().filter(|fact| fact.what.kind() == kind).count()
}

#[test]
fn a_notice_that_is_raised_again_is_told_again() {
    let mut play = alone(impatient());
    fire(&mut play, A);
    play.exit("restart", DONE);
    play.advance(secs(60));
    assert_eq!(count(play.journal(), "notice_told"), 1);
    play.advance(defaults::VERIFY_WITHIN_WEBHOOK);
    let raised: Vec<&Notice> = play
        .journal()
        .iter()
        .filter_map(|fact| match &fact.what {
            What::NoticeRaised { notice } => Some(notice),
            _ => None,
        })
        .collect();
    let [early, late] = raised[..] else { panic!("{raised:?}") };
    assert_eq!(early.topic(), late.topic());
    assert!(late.reason.contains("unknown"), "{}", late.reason);
    assert_eq!(late.alertname, "Down", "its alert has lapsed; the notice before it knew it");
    assert!(late.reason.contains("its source says nothing of the alert any more"), "{late:?}");
    assert_eq!(late.source.as_str(), "main");
    assert_eq!(count(play.journal(), "notice_told"), 2);
    assert_eq!(count(play.journal(), "notice_ended"), 0, "nobody knows that it is over");
    resolve(&mut play, A);
    assert_eq!(count(play.journal(), "notice_ended"), 1, "now its source says so");
}

/// The state after these facts.
fn fold(facts: impl IntoIterator<Item = What>) -> State {
    let mut state = State::default();
    for what in facts {
        state.apply(&Fact { at: start_time(), what });
    }
    state
}

/// Decides an event, and applies what it comes to.
fn decided(state: &mut State, event: Event) -> (Vec<What>, Vec<Effect>) {
    let mut policy = ladder();
    policy.target = TargetLabels::Named(vec!["instance".into(), "zone".into()]);
    let book = book(policy, nobody());
    let decision = decide(state, &book, event, start_time());
    decision.facts.iter().for_each(|fact| state.apply(fact));
    (decision.facts.into_iter().map(|fact| fact.what).collect(), decision.effects)
}

#[test]
fn that_an_earlier_notice_was_accepted_says_nothing_about_the_one_in_its_place() {
    let (early, late) = (escalation(1), Notice { reason: "worse".into(), ..escalation(1) });
    let raised = |notice: &Notice| What::NoticeRaised { notice: notice.clone() };
    let mut state = fold([raised(&early), raised(&late)]);
    let told = |notice: &Notice| Event::NoticeTold(Box::new(notice.clone()));
    assert_eq!(decided(&mut state, told(&early)).0, []);
    let topic = late.topic();
    assert_eq!(decided(&mut state, told(&late)).0, [What::NoticeTold { topic: topic.clone() }]);
    assert_eq!(decided(&mut state, told(&late)).0, []);
    assert_eq!(decided(&mut state, Event::NoticeEnded(topic)).0, [], "its trouble goes on");
}

#[test]
fn after_a_restart_what_nobody_accepted_is_told_and_the_rest_kept_up() {
    let [one, two, three, four] = [1, 2, 3, 4].map(escalation);
    let raised = |notice: &Notice| What::NoticeRaised { notice: notice.clone() };
    let mut state = fold([
        raised(&one),
        raised(&two),
        raised(&three),
        What::NoticeTold { topic: two.topic() },
        What::NoticeTold { topic: three.topic() },
        What::NoticeCleared { topic: three.topic() },
        raised(&four),
        What::NoticeCleared { topic: four.topic() },
    ]);
    let boot = homeostat_core::name::BootId::new("next");
    let (_, effects) = decided(&mut state, Event::Started { boot });
    let expected = [
        Effect::Tell(Box::new(one)),
        Effect::Remind(Box::new(two)),
        Effect::Clear(Box::new(three)),
        Effect::Tell(Box::new(four.clone())),
        Effect::Clear(Box::new(four)),
    ];
    assert_eq!(effects, expected);
}

#[test]
fn a_crash_between_the_fact_and_its_telling_loses_no_notice() {
    let mut play = alone(policy(vec![remedy("restart")]));
    fire(&mut play, A);
    play.exit("restart", FAILED);
    let before: Vec<Notice> = play.told().cloned().collect();
    assert_eq!(before.len(), 1);
    play.crash(&Found::NotStarted);
    assert!(play.told().eq(&before));
    resolve(&mut play, A);
    assert_eq!(play.told().count(), 0);
}

// --- its bound ---

#[test]
fn beyond_so_many_open_notices_it_is_written_down_that_nobody_is_told() {
    let open = OPEN_NOTICES as u64 - 1;
    let raise = |number| What::NoticeRaised { notice: escalation(1_000_000 + number) };
    let raised = (1..=open).map(raise);
    // Alerts without a label that names the target: a reload hands them over to a person.
    let began = (1..=3).map(|number| {
        let labels = LabelSet::from_pairs([("alertname", "Down"), ("zone", &format!("{number}"))]);
        let alert = Alert {
            source: SourceName::new("main"),
            door: Door::Webhook,
            fingerprint: labels.fingerprint(),
            labels,
            annotations: LabelSet::default(),
            starts_at: None,
            generator_url: "".into(),
            receiver: "".into(),
            external_url: "".into(),
            group_labels: LabelSet::default(),
        };
        What::EpisodeBegan { episode: EpisodeId(number), alert, lapse: secs(60), by: None }
    });
    let mut state = fold(raised.chain(began));
    let (facts, _) = decided(&mut state, Event::Reloaded);
    let kinds: BTreeSet<&str> = facts.iter().map(What::kind).collect();
    assert!(kinds.contains("incident_closed"), "{kinds:?}");
    let notices: Vec<&What> =
        facts.iter().filter(|what| what.kind().starts_with("notice_")).collect();
    let full = |what: &What| matches!(what, What::NoticeWithheld { open, .. } if *open == 10_000);
    assert!(matches!(notices[0], What::NoticeRaised { .. }));
    assert_eq!(state.notices().len(), OPEN_NOTICES);
    assert!(notices.len() == 3 && notices[1..].iter().all(|what| full(what)), "{notices:?}");
}
