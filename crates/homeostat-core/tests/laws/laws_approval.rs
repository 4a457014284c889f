//! Laws of approvals: nothing that needs people's word runs without enough different people who may give
//! it; and what is approved ahead lets start no more than it says, no later than it says, and nothing
//! else. Whatever happens in between: restarts, other books, jumps of the clock, retries, revocations.
//!
//! The count is the law's own: it knows the book in force and what was committed, and asks neither the
//! state nor a guard.

use std::collections::{BTreeMap, BTreeSet};

use crate::stage::{known, remedy};
use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::approval::{StandingApproval, Terms};
use homeostat_core::clock::Leap;
use homeostat_core::command::Command;
use homeostat_core::event::Event;
use homeostat_core::fact::{Fact, What};
use homeostat_core::incident::{Incident, Stage};
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::name::{ApprovalId, EpisodeId, IncidentId, OrderId, PolicyName, SourceName};
use homeostat_core::operator::{ANONYMOUS, Operator};
use homeostat_core::order::{Found, Order, Outcome};
use homeostat_core::plan::Rendered;
use homeostat_core::policy::{
    Action, Approval, Approvers, Book, BookLimits, Granted, GuardLimits, Mode, Policy, Rate,
    Remedy, TargetLabels, Witnesses,
};
use homeostat_core::scenario::Scenario;
use homeostat_core::snapshot::Record;
use homeostat_core::state::State;
use homeostat_core::template::Template;
use homeostat_core::time::{Span, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// Who comes. The last two are anonymous, and may be anybody.
const PEOPLE: [&str; 6] = ["user:ann", "user:bob", "user:cat", "user:eve", ANONYMOUS, ANONYMOUS];

/// What differs from book to book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edition {
    /// How many people must agree; 0: one, whoever that is.
    count: u32,
    /// How many of [`PEOPLE`] may approve, the first of them; all where it is 0.
    granted: usize,
    /// Whether only ann and bob are asked.
    narrowed: bool,
    /// What the configuration says of the remedy, and what it does.
    wording: u8,
}

impl Edition {
    const FIRST: Self = Self { count: 2, granted: 0, narrowed: false, wording: 0 };

    fn may(self, who: &str) -> bool {
        let is_granted = self.granted == 0 || PEOPLE[..self.granted].contains(&who);
        let is_asked = !self.narrowed || PEOPLE[..2].contains(&who);
        is_granted && is_asked && (self.count == 0 || who != ANONYMOUS)
    }

    fn need(self) -> usize {
        self.count.max(1) as usize
    }

    fn definition(self) -> String {
        format!("wording {}", self.wording)
    }

    fn book(self) -> Book {
        let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
        let argv: &[&str] = match self.wording {
            0 => &["reboot", "{{ labels.instance }}"],
            1 => &["reboot", "{{ labels.instance }}", "{{ labels.severity }}"],
            _ => &["reboot", "--hard", "{{ labels.instance }}"],
        };
        let argv = argv.iter().map(|element| Template::parse(element).unwrap()).collect();
        let reboot = Remedy {
            mode: Mode::Approve,
            approval: Approval {
                by: self.narrowed.then(|| names(&PEOPLE[..2])),
                count: (self.count > 0).then_some(self.count),
                expires: Span::from_secs(600),
            },
            definition: self.definition().into(),
            action: Action::Exec(argv),
            retries: 1,
            ..remedy("reboot")
        };
        let rate = Rate { max: 60, per: Span::from_secs(60) };
        let policy = |name: &str| Policy {
            name: PolicyName::new(name),
            target: TargetLabels::Named(vec!["instance".into()]),
            mode: Mode::Auto,
            remedies: vec![reboot.clone()],
            guard: GuardLimits {
                cooldown: Span::ZERO,
                attempts: 9,
                rate,
                breaker: None,
                ..Policy::observe().guard
            },
            approvers: match self.granted {
                0 => Approvers::Anybody,
                first => {
                    let (who, targets) = (names(&PEOPLE[..first]), Matchers::default());
                    Approvers::Granted(vec![Granted { who, targets }])
                }
            },
            relapse: Span::ZERO,
            continues: true,
            ..Policy::observe()
        };
        let limits = BookLimits { rate, ..BookLimits::default() };
        Book::new(vec![policy("web"), policy("db")], limits, Witnesses::default())
    }
}

#[derive(Debug, Clone)]
enum Step {
    Fire(u8, Option<usize>),
    Resolve(u8),
    Exit(i32),
    Advance(u16),
    Crash(bool),
    Vote(u8, usize, Option<(u32, u16)>),
    /// The first three approve, one after the other.
    Agree(u8, Option<(u32, u16)>),
    /// What runs does what it should, and all is well for a minute.
    Heal,
    Command(u8, usize, bool),
    Revoke(u64),
    Reload(Edition),
    Pause(bool),
    Jump(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let person = || 0..PEOPLE.len();
    let ahead = prop::option::of((1..4_u32, 60..7200_u16));
    let edition = (0..4_u32, prop_oneof![3 => Just(0), 1 => 1..5_usize], prop::bool::weighted(0.2));
    let edition = (edition, prop_oneof![4 => Just(0_u8), 1 => 1..3_u8]);
    let edition = edition.prop_map(|((count, granted, narrowed), wording)| Edition {
        count,
        granted,
        narrowed,
        wording,
    });
    let step = prop_oneof![
        6 => (0..4_u8, prop::option::weighted(0.2, person())).prop_map(|(a, by)| Step::Fire(a, by)),
        4 => (0..4_u8).prop_map(Step::Resolve),
        4 => (0..2_i32).prop_map(Step::Exit),
        4 => (0..900_u16).prop_map(Step::Advance),
        2 => any::<bool>().prop_map(Step::Crash),
        6 => (0..3_u8, ahead.clone()).prop_map(|(skipped, ahead)| Step::Agree(skipped, ahead)),
        4 => Just(Step::Heal),
        12 => (0..3_u8, person(), ahead).prop_map(|(back, who, ahead)| Step::Vote(back, who, ahead)),
        1 => (0..3_u8, person(), any::<bool>()).prop_map(|(b, who, retry)| Step::Command(b, who, retry)),
        1 => (1..5_u64).prop_map(Step::Revoke),
        1 => edition.prop_map(Step::Reload),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => (61..7200_u16).prop_map(Step::Jump),
    ];
    prop::collection::vec(step, 0..80)
}

fn person(number: usize) -> Operator {
    // Whoever has no name can say what they like.
    Operator { claimed: format!("claim {number}"), ..known(PEOPLE[number], &[]) }
}

fn alert(number: u8, starts_at: Timestamp) -> Alert {
    let severity = if number < 2 { "page" } else { "warning" };
    let instance = if number.is_multiple_of(2) { "a:80" } else { "b:80" };
    let labels = [("alertname", "Down"), ("instance", instance), ("severity", severity)];
    let labels = LabelSet::from_pairs(labels);
    Alert {
        source: SourceName::new("main"),
        door: Door::Webhook,
        fingerprint: labels.fingerprint(),
        labels,
        annotations: LabelSet::default(),
        starts_at: Some(starts_at),
        generator_url: "".into(),
        receiver: "".into(),
        external_url: "".into(),
        group_labels: LabelSet::default(),
    }
}

/// What is asked in an incident, and who has agreed.
#[derive(Debug, Clone)]
struct Question {
    order: OrderId,
    action: Rendered,
    expires_at: Timestamp,
    votes: Vec<String>,
}

#[derive(Debug)]
struct Ahead {
    given: StandingApproval,
    edition: Edition,
    /// The law's own count of those who gave it.
    people: Vec<String>,
    runs: BTreeSet<OrderId>,
}

/// How often something ran.
#[derive(Debug, Default, Clone, Copy)]
struct Met {
    by_vote: u32,
    ahead: u32,
    again: u32,
}

/// Follows a walk, fact by fact.
#[derive(Debug)]
struct Law {
    edition: Edition,
    seen: usize,
    posted: BTreeMap<EpisodeId, String>,
    /// Who set each incident going.
    movers: BTreeMap<IncidentId, BTreeSet<String>>,
    subjects: BTreeMap<IncidentId, (PolicyName, LabelSet)>,
    questions: BTreeMap<IncidentId, Question>,
    ahead: BTreeMap<ApprovalId, Ahead>,
    met: Met,
}

fn who(by: &Operator) -> String {
    by.known.as_ref().map_or(ANONYMOUS, |known| &known.who).to_owned()
}

impl Law {
    fn new(edition: Edition) -> Self {
        Self {
            edition,
            seen: 0,
            posted: BTreeMap::new(),
            movers: BTreeMap::new(),
            subjects: BTreeMap::new(),
            questions: BTreeMap::new(),
            ahead: BTreeMap::new(),
            met: Met::default(),
        }
    }

    /// Watches what was committed since it looked last.
    fn watch(&mut self, play: &Scenario) {
        let facts = play.journal();
        for fact in &facts[self.seen..] {
            self.see(fact);
        }
        self.seen = facts.len();
    }

    fn see(&mut self, fact: &Fact) {
        match &fact.what {
            What::EpisodeBegan { episode, by: Some(by), .. } => {
                self.posted.insert(*episode, by.to_string());
            }
            What::IncidentOpened { incident, policy, target, episode, .. } => {
                self.subjects.insert(*incident, (policy.clone(), target.clone()));
                self.moves(*incident, *episode);
            }
            What::EpisodeAttached { incident, episode } => self.moves(*incident, *episode),
            What::ApprovalAsked { incident, asked, .. } => {
                let (order, action) = (asked.order.clone(), asked.action.clone());
                let expires_at = asked.expires_at;
                let question = Question { order, action, expires_at, votes: Vec::new() };
                self.questions.insert(*incident, question);
            }
            What::ApprovalVoided { incident, .. } => drop(self.questions.remove(incident)),
            What::IncidentCommanded { incident, command: Command::Approve, by, .. } => {
                let by = who(by);
                assert!(self.edition.may(&by), "{by} may not approve");
                let set_going = self.movers.get(incident).is_some_and(|all| all.contains(&by));
                assert!(self.edition.count == 0 || !set_going, "{by} set {incident} going");
                let question = self.questions.get_mut(incident).expect("something is asked");
                assert!(!question.votes.contains(&by), "{by} is counted twice");
                assert!(fact.at < question.expires_at, "{by} comes too late");
                question.votes.push(by);
            }
            What::IncidentCommanded { incident, command: Command::Retry, by, .. }
                if who(by) != ANONYMOUS =>
            {
                self.movers.entry(*incident).or_default().insert(who(by));
            }
            What::ApprovalStands { approval } => {
                let question = &self.questions[&approval.incident];
                assert!(self.is_enough(approval.incident, &question.votes), "{approval:?}");
                let ahead = Ahead {
                    given: approval.clone(),
                    edition: self.edition,
                    people: question.votes.clone(),
                    runs: BTreeSet::new(),
                };
                let before = self.ahead.insert(approval.id, ahead);
                assert!(before.is_none(), "{} is given twice", approval.id);
            }
            What::ApprovalEnded { approval, .. } => {
                assert!(self.ahead.remove(approval).is_some(), "{approval} ends twice");
            }
            What::OrderIssued { order } => self.runs(order, fact.at),
            What::OrderReissued { order } => {
                self.met.again += 1;
                self.runs(order, fact.at);
            }
            What::ClockJumped { .. } => self.questions.clear(),
            _ => {}
        }
    }

    fn moves(&mut self, incident: IncidentId, episode: EpisodeId) {
        if let Some(by) = self.posted.get(&episode) {
            self.movers.entry(incident).or_default().insert(by.clone());
        }
    }

    /// Whether so many different people, who may, and none of whom set the incident going.
    fn is_enough(&self, incident: IncidentId, people: &[String]) -> bool {
        let movers = self.movers.get(&incident).cloned().unwrap_or_default();
        let counts = |by: &&String| {
            self.edition.may(by) && (self.edition.count == 0 || !movers.contains(*by))
        };
        let people: BTreeSet<&String> = people.iter().filter(counts).collect();
        people.len() >= self.edition.need()
    }

    fn runs(&mut self, order: &Order, at: Timestamp) {
        let incident = order.id.incident;
        let Some(used) = &order.standing else {
            self.met.by_vote += 1;
            let question = self.questions.get(&incident).expect("it was asked");
            assert_eq!((&question.order, &question.action), (&order.id, &order.action));
            assert!(at < question.expires_at, "{} runs too late", order.id);
            assert!(self.is_enough(incident, &question.votes), "{} by {question:?}", order.id);
            return;
        };
        self.met.ahead += 1;
        let subject = &self.subjects[&incident];
        let ahead = self.ahead.get(&used.approval).expect("it is in force");
        let given = &ahead.given;
        assert_eq!((&given.policy, &given.target), (&subject.0, &subject.1), "{}", order.id);
        assert_eq!((&given.remedy, &given.action), (&order.id.remedy, &order.action));
        assert_eq!(ahead.edition.definition(), self.edition.definition(), "{}", order.id);
        assert!(at < given.until, "{} runs too late", order.id);
        assert!(self.is_enough(incident, &ahead.people), "{} by {ahead:?}", order.id);
        let ahead = self.ahead.get_mut(&used.approval).expect("it is in force");
        ahead.runs.insert(order.id.clone());
        let (runs, uses) = (ahead.runs.len(), ahead.given.uses as usize);
        assert!(runs <= uses, "{} is run {runs} of {uses}", order.id);
        assert_eq!(used.left as usize, uses - runs, "{}", order.id);
    }
}

fn terms(ahead: Option<(u32, u16)>) -> Option<Terms> {
    ahead.map(|(uses, seconds)| Terms { uses, lasts: Span::from_secs(u64::from(seconds)) })
}

/// One of those that wait for a word, if any does; else the newest.
fn awaiting(play: &Scenario, skipped: u8) -> IncidentId {
    let waits = |incident: &&Incident| matches!(incident.stage, Stage::AwaitingApproval(_));
    let waiting: Vec<IncidentId> =
        play.state().incidents().filter(waits).map(|incident| incident.id).collect();
    let newest = IncidentId(play.state().next_incident().0.saturating_sub(1));
    waiting.get(usize::from(skipped)).or(waiting.first()).copied().unwrap_or(newest)
}

fn take(play: &mut Scenario, law: &mut Law, step: &Step) {
    let incident = |play: &Scenario, back: u8| {
        let newest = play.state().next_incident().0.saturating_sub(1);
        IncidentId(newest.saturating_sub(u64::from(back)))
    };
    let command = |incident, command, ahead, by: usize| Event::Command {
        incident,
        command,
        seen: None,
        ahead,
        by: person(by),
        reason: String::new(),
    };
    match step {
        Step::Fire(number, by) => {
            let by = by.filter(|by| PEOPLE[*by] != ANONYMOUS).map(|by| PEOPLE[by].into());
            let alert = alert(*number, play.wall());
            let (status, ends_at, unproven) = (Status::Firing, None, None);
            let observation = Observation { alert, status, ends_at, unproven, by };
            play.remember(&observation);
            play.observe(observation);
        }
        Step::Resolve(number) => {
            let labels = alert(*number, play.wall()).labels;
            let labels: Vec<(&str, &str)> = labels.iter().collect();
            play.resolve("main", Door::Webhook, &labels);
        }
        Step::Exit(code) => play.exit("reboot", Outcome::Exited { code: *code }),
        Step::Advance(seconds) => play.advance(Span::from_secs(u64::from(*seconds))),
        Step::Crash(true) => play.crash(&Found::Unknown("no exit is recorded".into())),
        Step::Crash(false) => play.crash(&Found::NotStarted),
        Step::Vote(skipped, by, ahead) => {
            let incident = awaiting(play, *skipped);
            play.send(command(incident, Command::Approve, terms(*ahead), *by));
        }
        Step::Agree(skipped, ahead) => {
            let incident = awaiting(play, *skipped);
            for by in 0..3 {
                play.send(command(incident, Command::Approve, terms(*ahead), by));
            }
        }
        Step::Heal => {
            play.exit("reboot", Outcome::Exited { code: 0 });
            for number in 0..4 {
                take(play, law, &Step::Resolve(number));
            }
            play.advance(Span::from_secs(60));
        }
        Step::Command(back, by, retry) => {
            let word = if *retry { Command::Retry } else { Command::Reject };
            let incident = incident(play, *back);
            play.send(command(incident, word, None, *by));
        }
        Step::Revoke(number) => drop(play.revoke(ApprovalId(*number), person(3))),
        Step::Reload(edition) => {
            law.watch(play);
            law.edition = *edition;
            play.reload(edition.book());
        }
        Step::Pause(true) => {
            play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
        }
        Step::Pause(false) => play.send(Event::Resume { by: "sre".into(), reason: String::new() }),
        Step::Jump(seconds) => play.jump(Leap::Forwards(Span::from_secs(u64::from(*seconds)))),
    }
    law.watch(play);
}

/// A walk, in which a law is kept.
fn walk(steps: &[Step]) -> (Scenario, Met) {
    let mut law = Law::new(Edition::FIRST);
    let mut play = Scenario::new(law.edition.book(), Timestamp::from_seconds(1_700_000_000));
    for step in steps {
        take(&mut play, &mut law, step);
    }
    (play, law.met)
}

/// A state that is written as a snapshot, and read back.
fn through_a_snapshot(state: &State) -> State {
    let mut read = State::default();
    for record in state.records() {
        let line = serde_json::to_string(&record).unwrap();
        read.recall(serde_json::from_str::<Record>(&line).unwrap());
    }
    read
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_runs_without_enough_people_or_beyond_what_they_said(steps in steps()) {
        walk(&steps);
    }

    /// What people said is what it was after the facts were read from a disk, and after a snapshot.
    #[test]
    fn what_people_said_is_read_back(steps in steps(), every in 1..20_usize) {
        let (play, _) = walk(&steps);
        let mut state = State::default();
        for (position, fact) in play.journal().iter().enumerate() {
            let text = serde_json::to_string(&fact.what).unwrap();
            state.apply(&Fact { at: fact.at, what: serde_json::from_str(&text).unwrap() });
            if position % every == 0 {
                state = through_a_snapshot(&state);
            }
        }
        prop_assert_eq!(&state, play.state());
    }
}

#[test]
fn walks_come_to_what_the_laws_are_about() {
    let mut runner = TestRunner::deterministic();
    let mut met = Met::default();
    for _ in 0..300 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let (_, more) = walk(&steps);
        met.by_vote += more.by_vote;
        met.ahead += more.ahead;
        met.again += more.again;
    }
    assert!(met.by_vote > 200 && met.ahead > 30 && met.again > 5, "{met:?}");
}
