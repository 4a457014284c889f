//! A journal that is cut off after any of its facts is a journal: the engine starts on it and goes on
//! to the end. No order is issued twice, every incident ends, and the fold of the journal is the
//! state ([`Scenario`] asserts that after each turn).

use std::collections::BTreeSet;

use crate::walks::{Step, book, steps, take};
use homeostat_core::event::Event;
use homeostat_core::fact::What;
use homeostat_core::name::{IncidentId, OrderId};
use homeostat_core::order::Found;
use homeostat_core::scenario::Scenario;
use homeostat_core::time::{Span, Timestamp};
use proptest::prelude::*;

const HOUR: Span = Span::from_secs(3600);

fn play(steps: &[Step], witnessed: bool) -> Scenario {
    let mut play = Scenario::new(book(witnessed, false), Timestamp::from_seconds(1_700_000_000));
    for step in steps {
        take(&mut play, step, witnessed);
    }
    play
}

/// Lets everybody say again what they said, and time pass until nothing is left to do.
fn go_on(play: &mut Scenario, witnessed: bool) {
    take(play, &Step::Pause(false), witnessed);
    play.send(Event::Resume { by: "test".into(), reason: String::new() });
    for alert in 0..4 {
        take(play, &Step::Fire(alert, false), witnessed);
    }
    play.advance(HOUR);
    for alert in 0..4 {
        take(play, &Step::Resolve(alert, false), witnessed);
        take(play, &Step::Resolve(alert, true), witnessed);
    }
    // Longer than any approval, undo or verification waits.
    play.advance(HOUR);
    play.advance(HOUR);
}

/// `kept` facts are those of before the cut; `may_return`: whether orders may not have started.
fn is_sound(play: &Scenario, kept: usize, may_return: bool) {
    let mut issued: BTreeSet<OrderId> = BTreeSet::new();
    let mut open: BTreeSet<IncidentId> = BTreeSet::new();
    let mut returned: BTreeSet<OrderId> = BTreeSet::new();
    for (position, fact) in play.journal().iter().enumerate() {
        match &fact.what {
            What::OrderIssued { order } => {
                assert!(issued.insert(order.id.clone()), "{} is issued twice", order.id);
            }
            What::OrderReturned { order } => {
                assert!(position < kept || may_return, "{order} was claimed, and is returned");
                returned.insert(order.clone());
            }
            What::OrderReissued { order } => {
                assert!(returned.remove(&order.id), "{} may have run before", order.id);
            }
            What::IncidentOpened { incident, .. } => {
                assert!(open.insert(*incident), "incident {incident} opens twice");
            }
            What::IncidentClosed { incident, .. } => {
                assert!(open.remove(incident), "incident {incident} closes and is not open");
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "incidents that never end: {open:?}");
}

/// Cuts the journal of this walk after these facts, of all.
fn cut_after(
    which: impl Iterator<Item = usize>,
    steps: &[Step],
    witnessed: bool,
    found: &Found,
) -> usize {
    let all = play(steps, witnessed).journal().len();
    for facts in which.take_while(|facts| *facts <= all) {
        let mut play = play(steps, witnessed);
        play.cut(facts, found);
        go_on(&mut play, witnessed);
        is_sound(&play, facts, *found == Found::NotStarted);
    }
    all
}

/// Two policies heal two targets: a remedy fails, one is approved, one makes it worse, one heals; the
/// engine crashes, somebody pauses, and a relapse comes.
fn rich() -> Vec<Step> {
    vec![
        Step::Fire(0, false),
        Step::Fire(1, true),
        Step::Advance(5),
        Step::Exit(true, 1),
        Step::Advance(30),
        Step::Exit(true, 0),
        Step::Fire(2, false),
        Step::Advance(60),
        Step::Command(0, 0),
        Step::Advance(5),
        Step::Exit(false, 0),
        Step::Crash(true),
        Step::Advance(300),
        Step::Resolve(0, false),
        Step::Advance(120),
        Step::Pause(true),
        Step::Fire(0, false),
        Step::Advance(30),
        Step::Pause(false),
        Step::Advance(600),
        Step::Reload(true),
        Step::Advance(900),
    ]
}

#[test]
fn a_rich_run_goes_on_from_any_of_its_facts() {
    let claimed = Found::Unknown("no end was recorded".into());
    let facts = cut_after(1.., &rich(), true, &claimed);
    assert!(facts > 30, "{facts} facts are no rich run");
    // Other worlds differ in what is asked, not in what is written: every fourth fact shows that.
    cut_after((1..).step_by(4), &rich(), false, &claimed);
    cut_after((3..).step_by(4), &rich(), true, &Found::NotStarted);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_run_goes_on_from_any_of_its_facts(
        steps in steps(),
        witnessed in any::<bool>(),
        first in 1..8_usize,
    ) {
        let claimed = Found::Unknown("no end was recorded".into());
        cut_after((first..).step_by(7), &steps, witnessed, &claimed);
    }
}
