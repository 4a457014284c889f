use homeostat_core::alert::Ending;
use homeostat_core::approval::Terms;
use homeostat_core::evidence::Grade;
use homeostat_core::incident::End;
use homeostat_core::order::Outcome;
use homeostat_core::policy::Mode;
use homeostat_core::time::Span;

use super::super::fixture::{World, healed_by_the_second, held, policy};
use super::super::view::{Verdict, VerdictView};
use super::*;

const FIRST: IncidentId = IncidentId(1);

fn view(world: &World) -> IncidentView {
    fold(FIRST, &world.facts).expect("the incident opened")
}

/// The timeline as the lines that a person reads.
fn timeline(view: &IncidentView) -> String {
    let line = |entry: &Entry| {
        let count = if entry.count > 1 { format!(" x{}", entry.count) } else { String::new() };
        format!("{} {}{count}: {}\n", entry.at, entry.kind, entry.text)
    };
    view.timeline.iter().map(line).collect()
}

#[test]
fn a_healing_is_told_from_the_first_alert_to_the_end() {
    let view = view(&healed_by_the_second());
    insta::assert_snapshot!(timeline(&view), @r#"
    2026-01-05T09:00:00Z episode_began: Source main says that alert ServiceDown fires.
    2026-01-05T09:00:00Z incident_opened: Incident 1 opened: policy web-down takes care of {instance="a:80"}. A person is told if it is still open at 2026-01-05T09:15:00Z.
    2026-01-05T09:00:00Z order_issued: All guards agree: remedy restart starts: `systemctl restart web@a`.
    2026-01-05T09:00:03Z order_ended: Remedy restart exited with code 1 after 2s.
    2026-01-05T09:00:03Z retry_scheduled: It will be tried again at 2026-01-05T09:00:08Z.
    2026-01-05T09:00:08Z order_issued: All guards agree: remedy restart starts, run 2: `systemctl restart web@a`.
    2026-01-05T09:00:10Z order_ended: Remedy restart exited with code 1 after 2s.
    2026-01-05T09:00:10Z remedy_given_up: Remedy restart is not tried again: it exited with code 1.
    2026-01-05T09:00:10Z order_issued: All guards agree: remedy reboot starts: `script: exec reboot`.
    2026-01-05T09:00:14Z order_ended: Remedy reboot exited with code 0 after 2s.
    2026-01-05T09:00:14Z verification_began: Now it is checked whether that healed; the answer is due by 2026-01-05T09:15:14Z.
    2026-01-05T09:00:15Z evidence_seen: Looked: rule ServiceDown is inactive.
    2026-01-05T09:00:15Z incident_closed: Closed as healed: confirmed by remedy reboot: rule ServiceDown is inactive.
    2026-01-05T09:00:16Z episode_ended: The source of alert ServiceDown says that it resolved.
    2026-01-05T09:00:16Z latch_released: All its alerts have ended: what fires here from now on is a new incident.
    "#);
    assert_eq!((view.state, view.outcome), (StateView::Closed, Some(End::Healed)));
    assert_eq!((view.grade, view.remedy.as_deref()), (Some(Grade::Confirmed), Some("reboot")));
    assert_eq!(view.reason, "confirmed by remedy reboot: rule ServiceDown is inactive");
    assert!(view.closed_at.is_some_and(|closed_at| closed_at > view.opened_at));
    let alert = &view.alerts[0];
    assert_eq!((alert.status, alert.source.as_str()), (AlertStatus::Resolved, "main"));
    assert!(alert.ended_at.is_some());
}

#[test]
fn what_waits_for_approval_is_shown_until_somebody_answers() {
    let mut asking = policy();
    asking.remedies.truncate(1);
    asking.remedies[0].mode = Mode::Approve;
    let mut world = World::new(asking);
    world.notify(true, "a:80");
    let asked = view(&world);
    assert_eq!(asked.state, StateView::AwaitingApproval);
    assert_eq!(asked.reason, "remedy restart waits for approval until 2026-01-05T09:30:00Z");
    let approval = asked.approval.clone().unwrap();
    assert_eq!((&*approval.order, &*approval.action), ("1.restart.1", "systemctl restart web@a"));
    world.command(Command::Approve, "the host is empty");
    world.command(Command::Cancel, "");
    world.exit(1, "");
    let view = view(&world);
    assert_eq!((view.state, view.outcome), (StateView::Closed, Some(End::Cancelled)));
    assert!(view.approval.is_none());
    insta::assert_snapshot!(timeline(&view), @r#"
    2026-01-05T09:00:00Z episode_began: Source main says that alert ServiceDown fires.
    2026-01-05T09:00:00Z incident_opened: Incident 1 opened: policy web-down takes care of {instance="a:80"}. A person is told if it is still open at 2026-01-05T09:15:00Z.
    2026-01-05T09:00:00Z approval_asked: All guards agree, and a person must approve remedy restart by 2026-01-05T09:30:00Z: `systemctl restart web@a`.
    2026-01-05T09:00:00Z notice_raised: A person is asked until 2026-01-05T09:30:00Z whether `systemctl restart web@a` may run: to let remedy restart start: homeostat approve 1.
    2026-01-05T09:00:00Z notice_told: Everybody who must be told has been reached.
    2026-01-05T09:00:00Z incident_commanded: ann approves: the host is empty.
    2026-01-05T09:00:00Z notice_cleared: Nobody has to answer any more, and that is told as well.
    2026-01-05T09:00:00Z notice_ended: Nobody is told anything further about it.
    2026-01-05T09:00:00Z order_issued: All guards agree: remedy restart starts: `systemctl restart web@a`.
    2026-01-05T09:00:00Z incident_commanded: ann cancels.
    2026-01-05T09:00:00Z order_cancelled: Remedy restart is told to end: cancelled by ann.
    2026-01-05T09:00:00Z order_ended: Remedy restart exited with code 1 after 2s.
    2026-01-05T09:00:00Z incident_closed: Closed as cancelled: cancelled by ann; remedy restart exited with code 1.
    "#);
    let grants = &view.timeline.iter().find(|e| e.kind == "order_issued").unwrap().grants;
    let approved = grants.iter().find(|grant| grant.guard == "approval").unwrap();
    assert_eq!(approved.reason, "ann approved it at 2026-01-05T09:00:00Z: the host is empty");
}

#[test]
fn several_people_and_runs_that_they_approve_ahead_are_told() {
    let mut asking = policy();
    asking.remedies.truncate(1);
    let remedy = &mut asking.remedies[0];
    (remedy.mode, remedy.approval.count) = (Mode::Approve, Some(2));
    (asking.guard.cooldown, asking.relapse) = (Span::ZERO, Span::ZERO);
    let mut world = World::new(asking);
    let ahead = |uses| Some(Terms { uses, lasts: Span::from_secs(86_400) });
    world.notify(true, "a:80");
    world.approve("user:ann", ahead(5));
    let asked = view(&world);
    assert_eq!(asked.state, StateView::AwaitingApproval);
    assert_eq!(
        asked.reason,
        "1 of 2 approvals: user:ann; it waits for others until 2026-01-05T09:30:00Z"
    );
    let approval = asked.approval.unwrap();
    assert_eq!((approval.count, approval.by), (2, None));
    let [vote] = &approval.votes[..] else { panic!() };
    assert_eq!((&*vote.by, vote.at), ("user:ann", asked.opened_at));
    world.approve("user:bob", ahead(9));
    world.exit(0, "");
    world.notify(false, "a:80");
    world.pass(600);
    world.notify(true, "a:80");
    let first = timeline(&view(&world));
    let told: Vec<&str> = first.lines().filter(|line| line.contains("pprov")).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    2026-01-05T09:00:00Z approval_asked: All guards agree, and 2 different people must approve remedy restart by 2026-01-05T09:30:00Z: `systemctl restart web@a`.
    2026-01-05T09:00:00Z notice_raised: A person is asked until 2026-01-05T09:30:00Z whether `systemctl restart web@a` may run: to let remedy restart start: homeostat approve 1, by 2 people.
    2026-01-05T09:00:00Z incident_commanded: user:ann approves, and 5 more runs like it within 1d. 1 of 2 approvals: user:ann.
    2026-01-05T09:00:00Z notice_raised: A person is asked until 2026-01-05T09:30:00Z whether `systemctl restart web@a` may run: to let remedy restart start: homeostat approve 1, by 2 people; 1 of 2 approvals: user:ann.
    2026-01-05T09:00:00Z incident_commanded: user:bob approves, and 9 more runs like it within 1d. 2 of 2 approvals: user:ann, user:bob.
    2026-01-05T09:00:00Z approval_stands: Standing approval 1 of user:ann, user:bob: remedy restart may start 5 more times on this target until 2026-01-06T09:00:00Z without a question.
    "#);
    let second = fold(IncidentId(2), &world.facts).unwrap();
    let used = second.orders[0].standing_approval.clone().unwrap();
    assert_eq!((&*used.id, used.left), ("1", 4));
    assert_eq!(used.by, ["user:ann", "user:bob"]);
    insta::assert_snapshot!(timeline(&second).lines().last().unwrap(), @"2026-01-05T09:10:00Z order_issued: All guards agree: remedy restart starts: `systemctl restart web@a`. Standing approval 1 of user:ann, user:bob: 4 more until 2026-01-06T09:00:00Z.");
}

#[test]
fn a_shadow_tells_whether_it_would_have_been_needed() {
    let shadow = |seconds| {
        let mut policy = policy();
        policy.mode = Mode::Shadow;
        policy.remedies.truncate(1);
        policy.remedies[0].mode = Mode::Shadow;
        let mut world = World::new(policy);
        world.notify(true, "a:80");
        world.pass(seconds);
        world.notify(false, "a:80");
        view(&world)
    };
    for (seconds, text) in [
        (
            240,
            "t ended without us after 4m, by itself or by somebody: remedy restart counts as needless",
        ),
        (
            1200,
            "t still fired after 15m30s, the time that a healing by remedy restart would have had: \
             it would have been needed",
        ),
    ] {
        let view = shadow(seconds);
        assert_eq!(view.reason, format!("recorded what would have been done; i{text}"));
        let entry = view.timeline.iter().find(|entry| entry.kind == "shadow_judged").unwrap();
        assert_eq!(entry.text, format!("I{text}."));
        assert_eq!(entry.remedy.as_deref(), Some("restart"));
    }
}

#[test]
fn each_run_is_an_order_with_its_result() {
    let view = view(&healed_by_the_second());
    let orders: Vec<_> = view
        .orders
        .iter()
        .map(|o| (o.id.as_str(), o.attempt, o.state, o.exit_code, o.result.as_deref()))
        .collect();
    assert_eq!(
        orders,
        [
            ("1.restart.1", 1, OrderState::Ended, Some(1), Some("failed")),
            ("1.restart.2", 2, OrderState::Ended, Some(1), Some("failed")),
            ("1.reboot.1", 1, OrderState::Ended, Some(0), Some("succeeded")),
        ]
    );
    assert_eq!(view.orders[0].action, "systemctl restart web@a");
    assert_eq!(view.orders[0].output, "Job for web@a.service failed.\n");
    let issued = view.timeline.iter().find(|entry| entry.kind == "order_issued").unwrap();
    assert_eq!(issued.order.as_deref(), Some("1.restart.1"));
    let guards: Vec<&str> = issued.grants.iter().map(|grant| grant.guard.as_str()).collect();
    assert!(guards.contains(&"cooldown") && guards.contains(&"fresh"), "{guards:?}");
    assert!(issued.grants.iter().all(|grant| !grant.reason.is_empty()));
}

#[test]
fn while_it_is_open_the_reason_says_what_it_waits_for() {
    let mut world = World::new(policy());
    world.notify(true, "a:80");
    assert_eq!(view(&world).state, StateView::Acting);
    assert_eq!(view(&world).reason, "remedy restart runs");
    assert_eq!(view(&world).orders[0].state, OrderState::Running);
    world.exit(1, "");
    assert_eq!(view(&world).state, StateView::Waiting);
    assert_eq!(
        view(&world).reason,
        "the remedy failed, and is tried again at 2026-01-05T09:00:05Z"
    );
    let failed_at = view(&world).orders[0].ended_at;
    world.pass(3);
    assert_eq!(view(&world).reason_at, failed_at, "however late it is read");
    world.pass(3);
    world.exit(0, "");
    assert_eq!(view(&world).state, StateView::Verifying);
    world.pass(2);
    assert!(
        view(&world).reason.ends_with("; last look: rule ServiceDown fires"),
        "{}",
        view(&world).reason
    );
}

#[test]
fn equal_holds_in_a_row_are_told_once_with_their_number() {
    let view = view(&held());
    let holds: Vec<_> = view.timeline.iter().filter(|e| e.kind == "order_held").collect();
    assert_eq!(holds.len(), 1);
    assert_eq!(holds[0].count, 4);
    assert_eq!(holds[0].text, "Remedy restart is held: pause: paused by ann: migration.");
    assert_eq!(holds[0].holds[0].guard, "pause");
    assert_eq!(holds[0].holds[0].reason, "paused by ann: migration");
    assert_eq!(holds[0].last_at, Some(holds[0].at + homeostat_core::time::Span::from_secs(30)));
    assert_eq!(view.reason, "remedy restart is held: pause: paused by ann: migration");
    assert_eq!(view.reason_at, holds[0].last_at, "it was judged again since it was first said");
    assert_eq!(view.state, StateView::Waiting);
}

/// Why an entry's choice was made, as the lines that a person reads.
fn why(entry: &Entry) -> String {
    let why = entry.why.as_ref().expect("a choice says why");
    let candidates =
        why.candidates.iter().map(|c| format!("{} {}: {}\n", c.rank, c.remedy, c.text));
    let verdict = |v: &VerdictView| format!("{} {}: {}\n", v.verdict.as_str(), v.guard, v.reason);
    let guards = why.guards.iter().map(verdict);
    let answers = why.evidence.iter();
    let answers = answers.map(|a| format!("{}: {}, {} old\n", a.asked, a.answer, a.age));
    candidates.chain(guards).chain(answers).collect()
}

#[test]
fn an_order_says_why_it_was_chosen() {
    let view = view(&healed_by_the_second());
    let issued = view.timeline.iter().rfind(|entry| entry.kind == "order_issued").unwrap();
    insta::assert_snapshot!(why(issued), @r#"
    tried restart: tried: exited with code 1
    chosen reboot: chosen
    clear pause: not paused
    clear lock: free: target {instance="a:80"}
    clear cooldown: the same incident goes on
    clear rate: within the rate
    clear concurrency: few enough orders are running
    clear breaker: it did not fail often of late
    clear attempts: order 3 of at most 3
    clear fresh: Alertmanager main lists it now
    clear silence: not silenced
    Alertmanager main, alert 8459147829d7e238: lists it active, updated 0s before, 0s old
    Prometheus, rule ServiceDown: main shows it: fires, evaluated 0s before, 0s old
    "#);
}

#[test]
fn a_hold_says_which_guards_hold_and_which_do_not() {
    let view = view(&held());
    let held = view.timeline.iter().find(|entry| entry.kind == "order_held").unwrap();
    insta::assert_snapshot!(why(held), @r#"
    chosen restart: chosen
    ahead reboot: its turn comes later
    hold pause: paused by ann: migration
    clear lock: free: target {instance="a:80"}
    clear cooldown: this target was not healed before
    clear rate: within the rate
    clear concurrency: few enough orders are running
    clear breaker: it did not fail often of late
    clear attempts: order 1 of at most 3
    "#);
}

#[test]
fn of_equal_holds_in_a_row_the_evidence_is_the_last_and_the_rest_the_first() {
    let mut world = World::new(policy());
    world.silenced_by = Some("silence 7");
    world.notify(true, "a:80");
    world.pass(30);
    let view = view(&world);
    let held = view.timeline.iter().find(|entry| entry.kind == "order_held").unwrap();
    assert!(held.count > 1, "{held:?}");
    let why = held.why.as_ref().unwrap();
    assert_eq!(why.candidates.len(), 2);
    let verdict = |name: &str| why.guards.iter().find(|v| v.guard == name).map(|v| v.verdict);
    assert_eq!(verdict("silence"), Some(Verdict::Hold));
    assert_eq!(verdict("fresh"), Some(Verdict::Clear));
    let last_look = held.last_at.unwrap().since(held.at);
    let told = format!("lists it suppressed by silence 7, updated {last_look} before");
    assert_eq!(why.evidence[0].answer, told);
}

#[test]
fn an_order_of_an_earlier_version_says_what_its_guards_said() {
    let mut world = healed_by_the_second();
    for fact in &mut world.facts {
        if let What::OrderIssued { order } = &mut fact.what {
            order.why = None;
        }
    }
    let view = view(&world);
    let issued = view.timeline.iter().find(|entry| entry.kind == "order_issued").unwrap();
    let why = issued.why.as_ref().unwrap();
    assert_eq!((why.candidates.len(), why.evidence.len()), (0, 0));
    assert_eq!(why.guards.len(), issued.grants.len());
}

#[test]
fn looks_that_find_the_same_are_told_once() {
    let mut world = World::new(policy());
    world.notify(true, "a:80");
    world.exit(0, "");
    world.pass(60);
    let view = view(&world);
    let looks: Vec<_> = view.timeline.iter().filter(|e| e.kind == "evidence_seen").collect();
    assert_eq!(looks.len(), 1);
    assert!(looks[0].count > 3);
    assert!(view.timeline.iter().all(|entry| entry.kind != "evidence_asked"));
}

#[test]
fn a_shadow_says_what_it_would_have_done() {
    let mut shadow = policy();
    for remedy in &mut shadow.remedies {
        remedy.mode = Mode::Shadow;
    }
    let mut world = World::new(shadow);
    world.notify(true, "a:80");
    let view = view(&world);
    assert_eq!(view.outcome, Some(End::Shadowed));
    let shadowed = view.timeline.iter().find(|e| e.kind == "remedy_shadowed").unwrap();
    assert_eq!(
        shadowed.text,
        "Shadow mode: remedy restart would run `systemctl restart web@a`; nothing was done."
    );
}

#[test]
fn facts_of_another_incident_of_the_same_alert_are_passed_over() {
    let mut world = healed_by_the_second();
    let other = IncidentId(2);
    let mut others: Vec<Fact> = world.facts.clone();
    for fact in &mut others {
        if let What::IncidentOpened { incident, .. } | What::IncidentClosed { incident, .. } =
            &mut fact.what
        {
            *incident = other;
        }
    }
    let alone = view(&world);
    others.retain(|fact| fact.what.incident() == Some(other));
    world.facts.extend(others);
    assert_eq!(view(&world), alone);
    assert_eq!(fold(IncidentId(3), &world.facts), None);
}

#[test]
fn whatever_became_of_a_run_is_shown() {
    let mut world = World::new(policy());
    world.notify(true, "a:80");
    let order = world.running[0].id.clone();
    for (outcome, state, text) in [
        (Outcome::Signalled { signal: 9 }, "signalled", "was ended by signal 9"),
        (Outcome::Done, "succeeded", "is done"),
        (Outcome::Failed { reason: "x".into() }, "failed", "failed: x"),
        (Outcome::Answered { status: 204, expected: true }, "succeeded", "was answered 204"),
        (
            Outcome::Answered { status: 500, expected: false },
            "failed",
            "was answered 500, which is no success",
        ),
        (Outcome::TimedOut, "timed_out", "ran into its time limit and was ended"),
        (Outcome::Unknown { reason: "x".into() }, "unknown", "has an unknown outcome: x"),
    ] {
        let ended = Ended { outcome, started_at: None, output: String::new(), left: Vec::new() };
        let what = What::OrderEnded { order: order.clone(), ended };
        let mut facts = world.facts.clone();
        facts.push(Fact { at: world.now, what });
        let view = fold(FIRST, &facts).unwrap();
        assert_eq!(view.orders[0].result.as_deref(), Some(state));
        assert_eq!(view.orders[0].outcome.as_deref(), Some(text));
        assert_eq!(view.timeline.last().unwrap().text, format!("Remedy restart {text}."));
    }
}

#[test]
fn a_lapsed_alert_is_not_called_resolved() {
    let mut world = World::new(policy());
    world.notify(true, "a:80");
    let ending = Ending::Lapsed;
    let what = What::EpisodeEnded { episode: EpisodeId(1), ending };
    world.facts.push(Fact { at: world.now, what });
    let view = view(&world);
    assert_eq!(view.alerts[0].status, AlertStatus::Lapsed);
    assert!(view.timeline.last().unwrap().text.contains("does not prove that anything healed"));
}

#[test]
fn the_json_has_the_promised_names_and_reads_back() {
    let view = view(&healed_by_the_second());
    let json = serde_json::to_value(&view).unwrap();
    for name in [
        "id",
        "policy",
        "target",
        "state",
        "outcome",
        "reason",
        "reason_at",
        "grade",
        "relapse_of",
        "opened_at",
        "closed_at",
        "alerts",
        "orders",
        "timeline",
    ] {
        assert!(json.get(name).is_some(), "{name}");
    }
    for name in ["fingerprint", "labels", "annotations", "status", "starts_at"] {
        assert!(json["alerts"][0].get(name).is_some(), "{name}");
    }
    for name in [
        "id",
        "remedy",
        "attempt",
        "state",
        "started_at",
        "ended_at",
        "exit_code",
        "signal",
        "output",
    ] {
        assert!(json["orders"][0].get(name).is_some(), "{name}");
    }
    let issued = json["timeline"].as_array().unwrap();
    let issued = issued.iter().find(|entry| entry["kind"] == "order_issued").unwrap();
    for name in ["candidates", "guards", "evidence"] {
        assert!(issued["why"][name][0].is_object(), "{name}: {issued:#}");
    }
    assert_eq!(issued["why"]["guards"][0]["verdict"], "clear");
    assert_eq!(issued["why"]["evidence"][0]["age"], "0s");
    assert_eq!(json["state"], "closed");
    assert_eq!(json["outcome"], "healed");
    assert_eq!(json["opened_at"], "2026-01-05T09:00:00Z");
    assert_eq!(serde_json::from_value::<IncidentView>(json).unwrap(), view);
}
