//! Bodies of requests: webhooks, and the alerts API.

use std::sync::Arc;

use homeostat::intake::{alerts_api, webhook};
use homeostat_core::alert::Observation;
use homeostat_core::engine::Engine;
use homeostat_core::event::Event;
use homeostat_core::fact::{Fact, What};
use homeostat_core::label::LabelSet;
use homeostat_core::name::SourceName;
use homeostat_core::policy::Book;
use homeostat_core::state::State;
use homeostat_core::time::Timestamp;

const NOW: Timestamp = Timestamp::from_seconds(1_767_603_600);

/// Reads a webhook's body, and takes in what it tells.
pub fn webhook(bytes: &[u8]) {
    match webhook::parse(bytes, &SourceName::new("main")) {
        Ok(parsed) => take_in(parsed.observations),
        Err(error) => drop(error.to_string()),
    }
}

/// Reads a body of the alerts API, and takes in what it tells.
pub fn alerts_api(bytes: &[u8]) {
    match alerts_api::parse(bytes, NOW) {
        Ok(parsed) => take_in(parsed.valid),
        Err(error) => drop(error.to_string()),
    }
}

/// The engine takes whatever intake lets in, and what it writes down reads back as the same.
fn take_in(observations: Vec<Observation>) {
    let mut engine = Engine::restore(State::default(), Arc::new(Book::observe()), NOW);
    for observation in &observations {
        engine.account(&observation.alert.labels, &LabelSet::default(), NOW);
    }
    let turn = engine.turn(observations.into_iter().map(Event::observed), NOW);
    let mut folded = State::default();
    for fact in &turn.facts {
        let written = serde_json::to_string(&fact.what).expect("a fact can be written");
        let what: What = serde_json::from_str(&written).expect("and reads back");
        assert_eq!(fact.what, what, "{written}");
        let read = Fact { at: fact.at, what };
        folded.apply(&read);
    }
    assert_eq!(*engine.state(), folded, "fold(journal) == state");
}
