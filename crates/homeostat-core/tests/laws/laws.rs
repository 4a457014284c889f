//! Laws that hold whatever happens: random walks through the core.
//!
//! Each walk fires, resolves, ends actions, changes what witnesses say, crashes and lets time
//! pass, in any order. [`Scenario`] itself asserts after each turn that the fold of the journal is
//! the state.

use std::collections::{BTreeMap, BTreeSet};

use crate::walks::{Step, book, steps, take};
use homeostat_core::command::Command;
use homeostat_core::event::Event;
use homeostat_core::fact::What;
use homeostat_core::incident::End;
use homeostat_core::name::{IncidentId, OrderId, Part};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::time::{Span, Timestamp};
use proptest::prelude::*;

/// One trouble on one target is healed by one order at a time, whichever policies take it.
fn one_order_a_target(play: &Scenario) {
    let mut acting = BTreeSet::new();
    for incident in play.state().incidents().filter(|i| i.is_acting()) {
        assert!(acting.insert(incident.target.clone()), "two orders run on {}", incident.target);
    }
}

/// No order is issued twice, none is issued while paused, and none after its incident closed.
fn orders_are_sound(play: &Scenario) {
    let mut issued: BTreeSet<OrderId> = BTreeSet::new();
    let mut orders: BTreeMap<IncidentId, u32> = BTreeMap::new();
    let mut closed: BTreeSet<IncidentId> = BTreeSet::new();
    let mut returned: BTreeSet<OrderId> = BTreeSet::new();
    let mut worse: BTreeSet<IncidentId> = BTreeSet::new();
    let mut paused = false;
    for fact in play.journal() {
        match &fact.what {
            What::EnginePaused { .. } => paused = true,
            What::EngineResumed { .. } => paused = false,
            What::OrderIssued { order } => {
                assert!(!paused, "an order was issued during a pause");
                assert!(issued.insert(order.id.clone()), "{} was issued twice", order.id);
                assert!(!closed.contains(&order.id.incident), "{} comes too late", order.id);
                match order.id.part {
                    Part::Heal => *orders.entry(order.id.incident).or_default() += 1,
                    Part::Undo => {
                        let undone = OrderId { part: Part::Heal, ..order.id.clone() };
                        assert!(issued.contains(&undone), "{} undoes nothing", order.id);
                        assert!(worse.contains(&order.id.incident), "{} undoes no harm", order.id);
                        assert!(order.undo.is_none(), "{} could be undone", order.id);
                    }
                }
            }
            What::TurnedWorse { incident, .. } => {
                assert!(worse.insert(*incident), "incident {incident} turned worse twice");
            }
            What::OrderReturned { order } => {
                returned.insert(order.clone());
            }
            What::OrderReissued { order } => {
                assert!(!paused, "an order was issued again during a pause");
                assert!(returned.remove(&order.id), "{} may have run before", order.id);
            }
            What::IncidentClosed { incident, closing, .. } => {
                assert!(closed.insert(*incident), "incident {incident} closed twice");
                let healed = closing.outcome == End::Healed;
                assert!(!(healed && worse.contains(incident)), "incident {incident} is worse");
            }
            _ => {}
        }
    }
    assert!(orders.values().all(|count| *count <= 3), "an incident had too many orders");
}

/// What needs a person's word runs only after it, once for each word, and never after a rejection.
fn what_needs_a_word_has_it(play: &Scenario) {
    let mut asked: BTreeMap<IncidentId, OrderId> = BTreeMap::new();
    let mut approved: BTreeSet<OrderId> = BTreeSet::new();
    for fact in play.journal() {
        match &fact.what {
            What::ApprovalAsked { incident, asked: question, .. } => {
                asked.insert(*incident, question.order.clone());
            }
            What::IncidentCommanded { incident, command: Command::Approve, .. } => {
                approved.extend(asked.remove(incident));
            }
            What::OrderIssued { order } if order.id.remedy.as_str() == "second" => {
                assert!(approved.remove(&order.id), "{} was not approved", order.id);
            }
            _ => {}
        }
    }
}

/// Nothing is called healed without an order that ended, and no verdict comes from silence.
fn healing_is_earned(play: &Scenario) {
    let mut ended: BTreeSet<IncidentId> = BTreeSet::new();
    for fact in play.journal() {
        match &fact.what {
            What::OrderEnded { order, .. } => drop(ended.insert(order.incident)),
            What::IncidentClosed { incident, closing, .. } if closing.outcome == End::Healed => {
                assert!(ended.contains(incident), "incident {incident} healed without an order");
                assert!(closing.grade.is_some() && closing.remedy.is_some());
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_core_stays_sound_and_every_incident_ends(
        steps in steps(),
        witnessed in any::<bool>(),
    ) {
        let mut play =
            Scenario::new(book(witnessed, false), Timestamp::from_seconds(1_700_000_000));
        for step in &steps {
            take(&mut play, step, witnessed);
            one_order_a_target(&play);
        }
        orders_are_sound(&play);
        healing_is_earned(&play);
        what_needs_a_word_has_it(&play);
        for alert in 0..4 {
            for api in [true, false] {
                take(&mut play, &Step::Resolve(alert, api), witnessed);
            }
        }
        play.send(Event::Resume { by: "sre".into(), reason: String::new() });
        // What became worse is told of until somebody can see that it is over.
        for truth in [Answer::PrometheusTruth, Answer::AlertmanagerTruth, Answer::Inputs { there: true }] {
            play.answer(truth);
        }
        play.advance(Span::from_secs(7 * 86_400));
        orders_are_sound(&play);
        let open: Vec<String> = play.state().incidents().map(|i| format!("{i:?}")).collect();
        prop_assert!(open.is_empty(), "left open: {open:?}");
        prop_assert_eq!(play.state().notices().count(), 0, "a notice was left");
    }
}
