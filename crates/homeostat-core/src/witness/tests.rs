use super::*;
use crate::evidence::{Input, ListedAlert};

const ENDED: Timestamp = Timestamp::from_seconds(1_000);

fn act() -> Act {
    Act { after: After::stamp(ENDED), past: After::stamp(ENDED), over_at: ENDED }
}

fn input(has_data: bool) -> Inputs {
    Inputs::Known(vec![Input { selector: "up".into(), has_data }])
}

fn unknown() -> Inputs {
    Inputs::Unknown { why: "not understood".into() }
}

fn beside(prints: &[u64]) -> Beside {
    Beside { instances: prints.iter().map(|print| Fingerprint(*print)).collect(), more: 0 }
}

fn says(state: InstanceState) -> RuleSays {
    let instance = LabelSet::from_pairs([("alertname", "Down")]);
    RuleSays {
        rule: RuleId::new("f", "g", "Down", "up == 0", &LabelSet::default()),
        instance,
        state,
        unhealthy: None,
        evaluated_at: ENDED + Span::from_secs(30),
        interval: Span::from_secs(15),
        memory: Some(Memory::Lasts(Span::from_secs(60))),
        inputs: input(true),
        beside: beside(&[1]),
    }
}

fn seen(says: &RuleSays) -> Option<RuleWitness> {
    Sighting::of_rule(&SourceName::new("main"), says, ENDED)?.rule().cloned()
}

#[test]
fn only_what_shows_an_alert_firing_has_seen_it() {
    for (state, sees) in [
        (InstanceState::Firing, true),
        (InstanceState::Kept, true),
        (InstanceState::Pending, false),
        (InstanceState::Absent, false),
    ] {
        assert_eq!(seen(&says(state)).is_some(), sees, "{state:?}");
    }
    let listing = |alert| Listing { uptime: Span::from_secs(3600), total: 3, alert };
    let listed = ListedAlert { suppressed_by: None, updated_at: ENDED, starts_at: ENDED };
    let alert = Alert::down();
    assert!(Sighting::of_listing(&alert, &listing(Some(listed)), ENDED).is_some());
    assert_eq!(Sighting::of_listing(&alert, &listing(None), ENDED), None);
}

#[test]
fn a_rule_says_what_it_can_know() {
    let later = |seconds| ENDED + Span::from_secs(seconds);
    let firing = || says(InstanceState::Firing);
    let absent = || says(InstanceState::Absent);
    let rule = seen(&firing()).unwrap();
    let blind = RuleWitness { inputs: unknown(), ..rule.clone() };
    let had_none = RuleWitness { inputs: input(false), ..rule.clone() };
    let forgetful =
        RuleWitness { memory: Memory::Unknown { why: "it has an @".into() }, ..rule.clone() };
    let silent = |why| Testimony::Silent { why };
    for (rule, says, expected) in [
        (&rule, RuleSays { evaluated_at: ENDED, ..absent() }, silent(NoWord::NotEvaluated)),
        (&rule, firing(), Testimony::Remembers { until: later(75) }),
        (&rule, RuleSays { evaluated_at: later(60), ..firing() }, {
            Testimony::Remembers { until: later(75) }
        }),
        (&rule, RuleSays { evaluated_at: later(61), ..firing() }, Testimony::Fires),
        (
            &rule,
            RuleSays { evaluated_at: later(61), ..says(InstanceState::Kept) },
            silent(NoWord::Kept),
        ),
        (
            &rule,
            RuleSays { memory: Some(Memory::Lasts(Span::from_secs(90))), ..firing() },
            Testimony::Remembers { until: later(105) },
        ),
        (
            &forgetful,
            RuleSays { evaluated_at: later(9_999), ..firing() },
            silent(NoWord::MemoryUnknown { why: "it has an @".into() }),
        ),
        (&rule, says(InstanceState::Pending), silent(NoWord::Pending)),
        (&rule, absent(), Testimony::Gone),
        (
            &rule,
            RuleSays { unhealthy: Some("many-to-many".into()), ..absent() },
            silent(NoWord::Unhealthy { error: "many-to-many".into() }),
        ),
        (
            &rule,
            RuleSays { inputs: input(false), ..absent() },
            silent(NoWord::InputsGone { selector: "up".into() }),
        ),
        (
            &rule,
            RuleSays { inputs: unknown(), ..absent() },
            silent(NoWord::InputsUnknown { why: "not understood".into() }),
        ),
        (&blind, absent(), silent(NoWord::InputsUnknown { why: "not understood".into() })),
        (&had_none, RuleSays { inputs: input(false), ..absent() }, Testimony::Gone),
        (
            &rule,
            RuleSays { beside: beside(&[1, 2]), ..absent() },
            silent(NoWord::Changed { others: 1 }),
        ),
        (&rule, RuleSays { beside: beside(&[]), ..absent() }, Testimony::Gone),
    ] {
        assert_eq!(rule.hear(&says, &act()), expected, "{says:?}");
    }
}

/// An action whose outcome is unknown may have gone on: what it left behind is forgotten later.
#[test]
fn memory_counts_from_the_latest_end_of_an_action() {
    let later = |seconds| ENDED + Span::from_secs(seconds);
    let act = Act { past: After::stamp(later(100)), over_at: later(100), ..act() };
    let rule = seen(&says(InstanceState::Firing)).unwrap();
    let fires = |evaluated_at| RuleSays { evaluated_at, ..says(InstanceState::Firing) };
    let remembers = Testimony::Remembers { until: later(175) };
    assert_eq!(rule.hear(&fires(later(160)), &act), remembers);
    assert_eq!(rule.hear(&fires(later(161)), &act), Testimony::Fires);
    let gone = RuleSays { evaluated_at: later(1), ..says(InstanceState::Absent) };
    assert_eq!(rule.hear(&gone, &act), Testimony::Gone);
    let listing = |seconds| Listing {
        uptime: Span::from_secs(3600),
        total: 5,
        alert: Some(ListedAlert {
            suppressed_by: None,
            updated_at: later(seconds),
            starts_at: ENDED,
        }),
    };
    let before = Testimony::Silent { why: NoWord::ListedFromBefore };
    assert_eq!(hear_listing(&listing(100), &act), before);
    assert_eq!(hear_listing(&listing(101), &act), Testimony::Fires);
}

#[test]
fn a_listing_misses_only_what_it_should_know() {
    let listing = |uptime, total, updated: Option<u64>| Listing {
        uptime: Span::from_secs(uptime),
        total,
        alert: updated.map(|seconds| ListedAlert {
            suppressed_by: None,
            updated_at: ENDED + Span::from_secs(seconds),
            starts_at: ENDED,
        }),
    };
    let silent = |why| Testimony::Silent { why };
    for (listing, expected) in [
        (listing(3600, 5, Some(1)), Testimony::Fires),
        (listing(3600, 5, Some(0)), silent(NoWord::ListedFromBefore)),
        (listing(3600, 5, None), Testimony::Gone),
        (listing(3600, 0, None), silent(NoWord::ListsNothing)),
        (listing(60, 5, None), silent(NoWord::Young { uptime: Span::from_secs(60) })),
    ] {
        assert_eq!(hear_listing(&listing, &act()), expected, "{listing:?}");
    }
}

#[test]
fn what_may_be_the_alert_is_so_unless_another_is_or_one_is_silent_that_may_know_better() {
    let labels = |more: &[(&str, &str)]| {
        let own = [("alertname", "Down"), ("instance", "a:80")];
        LabelSet::from_pairs(own.into_iter().chain(more.iter().copied()))
    };
    let mine = labels(&[("job", "node"), ("team", "db")]);
    let alert = Alert { labels: mine.clone(), ..Alert::down() };
    let says = |state| RuleSays { instance: labels(&[]), ..says(state) };
    let resembles = || Ok(Knows::Resembles(Box::new(says(InstanceState::Firing))));
    let shows = || Ok(Knows::Shows(vec![says(InstanceState::Firing)]));
    let silent = || Err(Trouble("timed out".into()));
    let asks = |labels| Ask::Rule {
        alertname: "Down".into(),
        labels,
        target: TargetLabels::All,
        by: Vec::new(),
    };
    let none = LabelSet::default();
    for (words, beside, fires, (seen, awaited)) in [
        (vec![resembles()], &none, &none, (1, 0)),
        (vec![resembles(), Ok(Knows::NoRule)], &none, &none, (1, 0)),
        (vec![resembles()], &none, &labels(&[]), (0, 0)),
        (vec![resembles()], &labels(&[("job", "node")]), &none, (0, 0)),
        (vec![resembles()], &labels(&[("job", "web"), ("rack", "1"), ("dc", "2")]), &none, (1, 0)),
        (vec![resembles(), silent()], &none, &none, (0, 1)),
        (vec![resembles(), silent(), shows()], &none, &none, (2, 0)),
    ] {
        let words =
            words.into_iter().map(|knows| RuleWord { prometheus: SourceName::new("p"), knows });
        let mut evidence = Evidence {
            found: vec![(asks(mine.clone()), Finding::Rule(words.collect()))],
            gathered_at: ENDED,
        };
        evidence.tell_apart(|labels| labels == fires, Some(&[&mine, beside]));
        let case = Case::open(EpisodeId(1), &alert, &evidence);
        let found = (case.sightings.len(), case.awaited.len());
        assert_eq!(found, (seen, awaited), "{:?}", evidence.words(&alert));
    }
}
