//! Bodies of requests: webhooks, and the alerts API.

use std::sync::{Arc, LazyLock};

use homeostat::intake::{alerts_api, webhook};
use homeostat_config as config;
use homeostat_core::alert::Observation;
use homeostat_core::engine::Engine;
use homeostat_core::event::Event;
use homeostat_core::fact::{Fact, What};
use homeostat_core::label::LabelSet;
use homeostat_core::name::SourceName;
use homeostat_core::policy::Book;
use homeostat_core::state::State;
use homeostat_core::time::{Span, Timestamp};

const NOW: Timestamp = Timestamp::from_seconds(1_767_603_600);

/// What has settled, has been told, has lapsed.
const LATER: [Span; 4] =
    [Span::ZERO, Span::from_secs(60), Span::from_secs(3_600), Span::from_secs(100_000)];

/// Acts on every alert, with its labels in each place that can carry one. Nobody vouches for what
/// fires, so that orders are issued at once.
const BOOK: &str = r#"
policies:
  - name: processes
    matchers: []
    target: [job]
    mode: auto
    escalate: none
    continue: true
    remedies:
      - { name: arguments, exec: [echo, "job={{ labels.job }}", "at {{ labels.a | host }}"] }
      - { name: script, script: 'echo "$HOMEOSTAT_ORDER"' }
    guard: { lock: ["{{ labels.a }}/{{ labels.b }}"], cooldown: 1m }
  - name: requests
    matchers: []
    mode: auto
    escalate: none
    remedies:
      - name: request
        http:
          method: POST
          url: "http://127.0.0.1:9/{{ labels.job }}?q={{ labels.a }}"
          body: { h: "{{ labels.b }}" }
"#;

static ACTING: LazyLock<Arc<Book>> = LazyLock::new(|| match config::parse("acting.yml", BOOK) {
    Ok(config) => Arc::new(config.book),
    Err(report) => panic!("{report}"),
});

/// Reads a webhook's body, and takes in what it tells.
pub fn webhook(bytes: &[u8]) {
    match webhook::parse(bytes, &SourceName::new("main"), NOW) {
        Ok(parsed) => take_in(&parsed.observations),
        Err(error) => drop(error.to_string()),
    }
}

/// Reads a body of the alerts API, and takes in what it tells.
pub fn alerts_api(bytes: &[u8]) {
    match alerts_api::parse(bytes, NOW) {
        Ok(parsed) => take_in(&parsed.valid),
        Err(error) => drop(error.to_string()),
    }
}

/// The engine takes whatever intake lets in, and what it writes down reads back as the same: with
/// nothing configured, and where every alert is acted on.
fn take_in(observations: &[Observation]) {
    live(observations, Arc::new(Book::observe()));
    live(observations, ACTING.clone());
}

/// Lives through what is observed, and through what comes of it later.
fn live(observations: &[Observation], book: Arc<Book>) {
    let mut engine = Engine::restore(State::default(), book, NOW);
    let mut folded = State::default();
    for observation in observations {
        engine.account(&observation.alert.labels, &LabelSet::default(), NOW);
    }
    let mut events: Vec<Event> = observations.iter().cloned().map(Event::observed).collect();
    for later in LATER {
        let turn = engine.turn(events.drain(..), NOW + later);
        for fact in &turn.facts {
            folded.apply(&read_back(fact));
        }
        assert_eq!(*engine.state(), folded, "fold(journal) == state");
    }
}

fn read_back(fact: &Fact) -> Fact {
    let written = serde_json::to_string(&fact.what).expect("a fact can be written");
    let what: What = serde_json::from_str(&written).expect("and reads back");
    assert_eq!(fact.what, what, "{written}");
    Fact { at: fact.at, what }
}
