//! The core alone, in this process: incidents that walk from their alert to their proof.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::engine::{Engine, Turn};
use homeostat_core::event::{Effect, Event};
use homeostat_core::fact::{Fact, What};
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::name::{BootId, PolicyName, RemedyName, SourceName};
use homeostat_core::order::{Ended, Outcome};
use homeostat_core::policy::{
    Action, Approval, Book, BookLimits, Escalate, GuardLimits, Mode, Policy, Rate, Remedy,
    TargetLabels, Witnesses,
};
use homeostat_core::state::State;
use homeostat_core::template::Template;
use homeostat_core::time::{Span, Timestamp};

/// No guard holds anything.
const UNBOUNDED: Rate = Rate { max: 1_000_000, per: Span::from_secs(1) };

/// The turns of one life: it fires, its action ends, it is resolved.
pub(crate) const TURNS: usize = 3;

/// An engine, and a clock that goes on a millisecond a turn.
#[derive(Debug)]
pub(crate) struct Walk {
    engine: Engine,
    now: Timestamp,
    policies: usize,
    born: usize,
    /// What happened, where somebody wants to know.
    pub(crate) facts: Option<Vec<Fact>>,
}

impl Walk {
    /// A walk with so many policies, each for one name of an alert.
    pub(crate) fn new(policies: usize, began: Timestamp) -> Result<Self> {
        let book = Arc::new(book(policies)?);
        let engine = Engine::restore(State::default(), book, began);
        let mut walk = Self { engine, now: began, policies, born: 0, facts: None };
        walk.turn(Event::Started { boot: BootId::new("bench") });
        Ok(walk)
    }

    /// Opens so many incidents that wait for their proof.
    pub(crate) fn open(&mut self, incidents: usize) -> Result<()> {
        for _ in 0..incidents {
            self.fire()?;
        }
        Ok(())
    }

    /// Lets one incident live from its alert to its end, and returns the seconds that its turns
    /// took.
    pub(crate) fn live(&mut self) -> Result<f64> {
        let (observation, seconds) = self.fire()?;
        let resolved =
            Observation { status: Status::Resolved, ends_at: Some(self.now), ..observation };
        let event = Event::observed(resolved);
        let began = Instant::now();
        let turn = self.turn(event);
        let took = began.elapsed().as_secs_f64();
        let over = |fact: &Fact| matches!(fact.what, What::LatchReleased { .. });
        ensure!(turn.facts.iter().any(over), "an incident whose alert resolved must be over");
        Ok(seconds + took)
    }

    fn fire(&mut self) -> Result<(Observation, f64)> {
        let observation = self.observation();
        let event = Event::observed(observation.clone());
        let began = Instant::now();
        let turn = self.turn(event);
        let mut seconds = began.elapsed().as_secs_f64();
        let order = turn.effects.iter().find_map(|effect| match effect {
            Effect::Run(run) => Some(run.order.id.clone()),
            _ => None,
        });
        let order = order.context("nothing holds an order here")?;
        let outcome = Outcome::Exited { code: 0 };
        let ended =
            Ended { outcome, started_at: Some(self.now), output: String::new(), left: Vec::new() };
        let event = Event::OrderEnded { order, ended };
        let began = Instant::now();
        self.turn(event);
        seconds += began.elapsed().as_secs_f64();
        Ok((observation, seconds))
    }

    fn turn(&mut self, event: Event) -> Turn {
        self.now = self.now + Span::from_millis(1);
        let turn = self.engine.turn([event], self.now);
        if let Some(facts) = &mut self.facts {
            facts.extend_from_slice(&turn.facts);
        }
        turn
    }

    fn observation(&mut self) -> Observation {
        self.born += 1;
        let labels = LabelSet::from_pairs([
            ("alertname", format!("Alert{}", self.born % self.policies)),
            ("cluster", "eu-central-1".to_owned()),
            ("instance", format!("web-{:06}.example.org:9100", self.born)),
            ("job", "web".to_owned()),
            ("severity", "critical".to_owned()),
        ]);
        let alert = Alert {
            source: SourceName::new("main"),
            door: Door::Webhook,
            fingerprint: labels.fingerprint(),
            labels,
            annotations: LabelSet::from_pairs([("summary", "A web server is down")]),
            starts_at: Some(self.now),
            generator_url: "http://prometheus.example.org:9090/graph?g0.expr=up".into(),
            receiver: "homeostat".into(),
            external_url: "http://alertmanager.example.org:9093".into(),
            group_labels: LabelSet::default(),
        };
        Observation { alert, status: Status::Firing, ends_at: None, unproven: None, by: None }
    }
}

fn book(policies: usize) -> Result<Book> {
    let policies = (0..policies).map(|number| -> Result<Policy> {
        let matchers = format!("alertname=\"Alert{number}\", severity=\"critical\"");
        Ok(Policy {
            name: PolicyName::new(format!("policy-{number}")),
            matchers: Matchers::parse(&matchers).map_err(|e| anyhow::anyhow!("{e}"))?.matchers,
            target: TargetLabels::Named(vec!["instance".into()]),
            mode: Mode::Auto,
            remedies: vec![Remedy {
                name: RemedyName::new("restart"),
                mode: Mode::Auto,
                approval: Approval { expires: Span::from_secs(1800), ..Approval::default() },
                definition: "".into(),
                action: Action::Exec(vec![
                    Template::parse("/bin/true").map_err(|e| anyhow::anyhow!("{e}"))?,
                ]),
                timeout: Span::from_secs(30),
                retries: 0,
                backoff: Span::from_secs(5),
                idempotent: false,
                undo: None,
                collect: Vec::new(),
            }],
            guard: GuardLimits {
                cooldown: Span::ZERO,
                rate: UNBOUNDED,
                concurrency: u32::MAX,
                ..Policy::observe().guard
            },
            escalate: Escalate::Nobody,
            ..Policy::observe()
        })
    });
    let limits = BookLimits { concurrency: u32::MAX, rate: UNBOUNDED };
    Ok(Book::new(policies.collect::<Result<_>>()?, limits, Witnesses::default()))
}
