//! All that is said of facts, in one file that a person can read through: `snapshots`, beside this one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use homeostat_core::approval::Terms;
use homeostat_core::fact::Fact;
use homeostat_core::name::IncidentId;
use homeostat_core::policy::Mode;
use serde_json::{Value, json};

use super::super::fixture::{World, healed_by_the_second, held, policy};
use super::super::fold;
use super::*;

/// A journal of a real engine, with incidents in every stage.
const JOURNAL: &str = include_str!("../../../../tests/fixtures/journal-0.1.0/journal.sql");

/// Sentences of one kind of fact that are shown.
const SHOWN: usize = 6;

fn of_the_journal() -> Vec<What> {
    let bodies = JOURNAL.lines().filter_map(|line| {
        let body = line.strip_prefix("INSERT INTO facts VALUES (")?.split_once(", '{")?.1;
        Some(format!("{{{}", body.strip_suffix("');")?.replace("''", "'")))
    });
    bodies.map(|body| serde_json::from_str(&body).unwrap()).collect()
}

fn of_the_worlds() -> Vec<What> {
    let mut asking = policy();
    asking.remedies.truncate(1);
    asking.remedies[0].mode = Mode::Approve;
    let mut world = World::new(asking);
    world.notify(true, "a:80");
    world.approve("user:ann", Some(Terms { uses: 3, lasts: Span::from_secs(3600) }));
    let facts = [healed_by_the_second().facts, held().facts, world.facts].concat();
    facts.into_iter().map(|fact: Fact| fact.what).collect()
}

fn asked_of() -> Value {
    json!({ "hand": "kubernetes", "verb": "owner", "fields": [["namespace", "shop"], ["pod", "a"]] })
}

fn sighted_rule() -> Value {
    json!({
        "prometheus": "main",
        "rule": { "file": "a.yml", "group": "web", "name": "Down", "digest": "0123456789abcdef" },
        "instance": {}, "memory": { "lasts": "0s" }, "interval": "15s", "inputs": { "known": [] },
        "beside": { "instances": [] },
    })
}

/// What neither has.
fn further() -> Vec<What> {
    let at = "2026-01-05T09:00:00Z";
    let order = "1.restart.1";
    let ended = |ending: Value| json!({ "kind": "episode_ended", "episode": 1, "ending": ending });
    let all = [
        ended(json!({ "how": "superseded" })),
        ended(json!({ "how": "lapsed" })),
        ended(json!({ "how": "absent", "since": at })),
        ended(json!({ "how": "unproven", "reason": "its rule was deleted" })),
        json!({
            "kind": "incident_opened", "incident": 2, "policy": "web-down", "target": {},
            "episode": 3, "relapse_of": 1, "held": { "lasted": "4m", "within": "30m" },
            "ladder": { "climbed": "restart", "orders": 1 }, "unheld": 1, "settles_at": null, "tell_at": null,
        }),
        json!({ "kind": "episode_attached", "incident": 1, "episode": 1 }),
        json!({ "kind": "episode_moved", "episode": 1, "starts_at": at }),
        json!({ "kind": "episode_mentioned", "episode": 1 }),
        json!({ "kind": "episode_sighted", "episode": 1, "sightings": [
            { "witness": { "rule": sighted_rule() }, "seen_at": at },
        ] }),
        json!({ "kind": "owner_sought", "episode": 1, "of": asked_of() }),
        json!({ "kind": "owner_found", "episode": 1, "of": asked_of(), "owner": {
            "kind": "Deployment", "name": "web", "uid": "1",
        } }),
        json!({ "kind": "owner_missed", "episode": 1, "of": asked_of(), "why": "forbidden", "again": at }),
        json!({ "kind": "owner_missed", "episode": 1, "of": asked_of(), "why": "pod shop/a has no owner" }),
        json!({ "kind": "owner_dropped", "episode": 1, "of": asked_of() }),
        json!({ "kind": "approval_voided", "incident": 1, "reason": "the configuration has changed" }),
        json!({
            "kind": "shadow_judged", "incident": 1, "policy": "web-down", "remedy": "restart",
            "worth": "needless", "after": "90s",
        }),
        json!({
            "kind": "shadow_judged", "incident": 1, "policy": "web-down", "remedy": "restart",
            "worth": "needed", "after": "15m",
        }),
        json!({ "kind": "order_returned", "order": order }),
        json!({ "kind": "order_gone", "order": order }),
        json!({ "kind": "order_progressed", "order": order, "text": "promoting db2" }),
        json!({ "kind": "order_cancelled", "order": order, "reason": "ann cancels: wrong host" }),
        json!({ "kind": "verification_prolonged", "incident": 1, "until": at }),
        json!({ "kind": "aftermath_seen", "incident": 1, "text": "the alert fires on", "next": at }),
        json!({ "kind": "aftermath_seen", "incident": 1, "text": "nothing is worse", "next": null }),
        json!({ "kind": "sight_lost", "incident": 1 }),
        json!({ "kind": "notice_withheld", "incident": 1, "open": 1000 }),
        json!({ "kind": "notice_told", "incident": 1 }),
        json!({ "kind": "notice_ended", "incident": 1 }),
        json!({ "kind": "notice_cleared", "incident": 1 }),
    ];
    let read = |value: &Value| {
        serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
    };
    all.iter().map(read).collect()
}

/// The kinds of which there is nothing to say in a timeline, or no example here.
const SILENT: [&str; 14] = [
    "engine_started",
    "book_changed",
    "configuration_loaded",
    "engine_paused",
    "engine_resumed",
    "watchdog_seen",
    "episode_listed",
    "evidence_asked",
    "alarm_dropped",
    "approval_ended",
    "storm_began",
    "storm_gauged",
    "storm_ended",
    // It is of no incident, and in no timeline.
    "clock_jumped",
];

#[test]
fn all_that_is_said_of_facts() {
    let mut all = [of_the_journal(), of_the_worlds(), further()].concat();
    let issued = all.iter().find_map(|what| match what {
        What::OrderIssued { order } => Some(What::OrderReissued { order: order.clone() }),
        _ => None,
    });
    all.extend(issued);
    let incident = fold(IncidentId(1), &healed_by_the_second().facts).unwrap();
    let names: BTreeMap<EpisodeId, String> =
        (1..100).map(|number| (EpisodeId(number), "ServiceDown".to_owned())).collect();
    let mut said: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for what in &all {
        let Some(sentence) = text(what, &incident, &names) else {
            assert!(SILENT.contains(&what.kind()), "nothing is said of {}", what.kind());
            continue;
        };
        let of_kind = said.entry(what.kind()).or_default();
        if of_kind.len() < SHOWN && !of_kind.contains(&sentence) {
            of_kind.push(sentence);
        }
    }
    let mut page = String::new();
    for (kind, sentences) in &said {
        let _ = writeln!(page, "{kind}");
        for sentence in sentences {
            let _ = writeln!(page, "  {sentence}");
        }
    }
    for tired in ["is done with", "stands in the way", "was accepted", ".."] {
        assert!(!page.contains(tired), "{tired:?} is no word for a person at night:\n{page}");
    }
    assert!(said.values().flatten().all(|sentence| sentence.ends_with('.')), "{page}");
    assert_eq!(said.len(), 40, "{:?}", said.keys());
    insta::assert_snapshot!(page);
}
