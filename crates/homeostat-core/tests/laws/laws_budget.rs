//! The law of budgets: a limit that is wider never turns a permit into a hold.
//!
//! One deed is judged twice on the same ledgers, the same evidence and at the same moment: once by
//! some limits, once by limits of which one is wider. Whatever holds the second held the first.
//!
//! Two keys have no wider side and are left out. A shorter `rate.per` refills sooner, and is a
//! smaller bucket. A higher `flap.reuse` lets a target go sooner, and is a higher ceiling.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::stage::{fire, ladder, nobody, secs, start_time};
use homeostat_core::alert::{Alert, Presence};
use homeostat_core::approval::Consent;
use homeostat_core::evidence::{Ask, Evidence, Finding};
use homeostat_core::fact::What;
use homeostat_core::guard::{Bench, Deed, Judgement, judge, judge_ledgers};
use homeostat_core::hold::{Circuit, Guard, Hold, Scope};
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::ledger::{Line, Mark, Past, Trial};
use homeostat_core::name::{CircuitName, IncidentId, PolicyName, RemedyName, TeamName};
use homeostat_core::plan::Ladder;
use homeostat_core::policy::{
    About, BlastRadius, Book, BookLimits, Breaker, Damping, Extent, GuardLimits, Policy, Rate,
    TeamLimits, Watchdog,
};
use homeostat_core::scenario::Scenario;
use homeostat_core::snapshot::Record;
use homeostat_core::state::State;
use homeostat_core::storm::StormLimits;
use homeostat_core::time::{Span, Timestamp};
use proptest::prelude::*;

const INVENTORY: &str = "count(up)";

/// Which limit is wider.
#[derive(Debug, Clone, Copy)]
enum Wider {
    Cooldown,
    Rate,
    Concurrency,
    Attempts,
    FreshMaxAge,
    WatchdogMaxAge,
    FlapSuppress,
    FlapHalfLife,
    BreakerFailures,
    BreakerOf,
    BreakerAfter,
    RadiusWindow,
    RadiusMax,
    RadiusPercent,
    RadiusMin,
    StormPercent,
    StormMin,
    BookRate,
    BookConcurrency,
    TeamRate,
    TeamConcurrency,
}

/// The limits of all policies together, and those of the team.
type Shared = (BookLimits, TeamLimits);

const ALL: [Wider; 21] = [
    Wider::Cooldown,
    Wider::Rate,
    Wider::Concurrency,
    Wider::Attempts,
    Wider::FreshMaxAge,
    Wider::WatchdogMaxAge,
    Wider::FlapSuppress,
    Wider::FlapHalfLife,
    Wider::BreakerFailures,
    Wider::BreakerOf,
    Wider::BreakerAfter,
    Wider::RadiusWindow,
    Wider::RadiusMax,
    Wider::RadiusPercent,
    Wider::RadiusMin,
    Wider::StormPercent,
    Wider::StormMin,
    Wider::BookRate,
    Wider::BookConcurrency,
    Wider::TeamRate,
    Wider::TeamConcurrency,
];

/// Makes one limit wider, by as much as `by` says.
fn widen(guard: &mut GuardLimits, (book, team): &mut Shared, wider: Wider, by: u32) {
    let shorter = |span: Span| Span::from_micros(span.as_micros() / u64::from(by + 1));
    let longer = |span: Span| span.saturating_add(secs(u64::from(by) * 30));
    let (watchdog, flap) = (guard.watchdog.as_mut().unwrap(), guard.flap.as_mut().unwrap());
    let (breaker, radius) = (guard.breaker.as_mut().unwrap(), guard.blast_radius.as_mut().unwrap());
    let Extent::Share { percent, max, min, .. } = &mut radius.extent else { panic!("no share") };
    let storm = guard.storm.as_mut().unwrap();
    match wider {
        Wider::Cooldown => guard.cooldown = shorter(guard.cooldown),
        Wider::Rate => guard.rate.max += by,
        Wider::Concurrency => guard.concurrency += by,
        Wider::Attempts => guard.attempts += by,
        Wider::FreshMaxAge => guard.fresh_max_age = longer(guard.fresh_max_age),
        Wider::WatchdogMaxAge => watchdog.max_age = longer(watchdog.max_age),
        Wider::FlapSuppress => flap.suppress += by * 200,
        Wider::FlapHalfLife => flap.half_life = shorter(flap.half_life).max(secs(1)),
        Wider::BreakerFailures => breaker.failures += by,
        Wider::BreakerOf => breaker.of = breaker.of.saturating_sub(by).max(1),
        Wider::BreakerAfter => breaker.after = shorter(breaker.after),
        Wider::RadiusWindow => radius.window = shorter(radius.window),
        Wider::RadiusMax => *max = max.map(|max| max + by),
        Wider::RadiusPercent => *percent = (*percent + by * 5).min(100),
        Wider::RadiusMin => *min += by,
        Wider::StormPercent => storm.percent = (storm.percent + by * 5).min(100),
        Wider::StormMin => storm.min += by,
        Wider::BookRate => book.rate.max += by,
        Wider::BookConcurrency => book.concurrency += by,
        Wider::TeamRate => team.rate.as_mut().unwrap().max += by,
        Wider::TeamConcurrency => *team.concurrency.as_mut().unwrap() += by,
    }
}

fn within(seconds: std::ops::Range<u64>) -> impl Strategy<Value = Span> {
    seconds.prop_map(secs)
}

/// Limits of which every one is narrow enough to hold now and then, and all are set.
fn any_limits() -> impl Strategy<Value = (GuardLimits, Shared)> {
    let own = (within(1..1200), 1..6_u32, within(60..7200), 1..5_u32, 1..6_u32, within(1..400));
    let flap = (within(60..1800), 1000..3000_u32, 300..900_u32);
    let breaker = (1..4_u32, 1..8_u32, within(1..1800));
    let radius = (within(1..3600), 1..100_u32, prop::option::of(1..5_u32), 0..3_u32);
    let storm = (1..100_u32, 1..6_u32);
    let shared = || (1..9_u32, within(60..7200), 1..9_u32);
    (own, within(1..400), flap, breaker, radius, storm, (shared(), shared())).prop_map(
        |(own, watchdog, flap, breaker, radius, storm, (book, team))| {
            let (cooldown, max, per, concurrency, attempts, fresh_max_age) = own;
            let matchers = Matchers::parse("alertname=\"Watchdog\"").unwrap().matchers;
            let inventory: Arc<str> = INVENTORY.into();
            let (window, percent, most, min) = radius;
            let extent = Extent::Share { percent, inventory: inventory.clone(), max: most, min };
            let guard = GuardLimits {
                cooldown,
                rate: Rate { max, per },
                concurrency,
                attempts,
                fresh_max_age,
                watchdog: Some(Watchdog { matchers, max_age: watchdog }),
                flap: Some(Damping { half_life: flap.0, suppress: flap.1, reuse: flap.2 }),
                breaker: Some(Breaker {
                    failures: breaker.0,
                    of: breaker.1,
                    after: breaker.2,
                    shared: Some(CircuitName::new("fleet")),
                }),
                blast_radius: Some(BlastRadius { window, extent }),
                storm: Some(StormLimits {
                    percent: storm.0,
                    min: storm.1,
                    cool_down: secs(300),
                    inventory,
                }),
                ..Policy::observe().guard
            };
            let rate = |max, per| Rate { max, per };
            let team = TeamLimits { concurrency: Some(team.2), rate: Some(rate(team.0, team.1)) };
            (guard, (BookLimits { concurrency: book.2, rate: rate(book.0, book.1) }, team))
        },
    )
}

fn target(number: u8) -> LabelSet {
    LabelSet::from_pairs([("instance", format!("{number}:80"))])
}

fn ago(seconds: u64) -> Timestamp {
    start_time() - secs(seconds)
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::Book),
        Just(Scope::Policy(PolicyName::new("web"))),
        Just(Scope::Team(TeamName::new("web"))),
    ]
}

fn any_mark() -> impl Strategy<Value = Mark> {
    (0..3600_u64, any::<bool>(), 0..5_u8).prop_map(|(at, other, trial)| Mark {
        at: ago(at),
        policy: PolicyName::new(if other { "other" } else { "web" }),
        incident: IncidentId(90),
        trial: match trial {
            0 | 1 => Trial::Healed,
            2 => Trial::Worse("more alerts than before".into()),
            _ => Trial::Failed("exited with code 1".into()),
        },
    })
}

/// What was done before, as a snapshot would tell it.
fn any_line() -> impl Strategy<Value = Line> {
    let policy = || PolicyName::new("web");
    let restart = || RemedyName::new("restart");
    let level = (scopes(), 0..7200_u64, 0..7200_u64).prop_map(|(scope, charged, full)| {
        let charged_at = ago(charged);
        let bucket =
            serde_json::json!({ "charged_at": charged_at, "full_at": charged_at + secs(full) });
        Line::Level { scope, bucket: serde_json::from_value(bucket).unwrap() }
    });
    let running = (scopes(), 0..6_u32).prop_map(|(scope, orders)| Line::Running { scope, orders });
    let past = (0..3600_u64, 0..3600_u64).prop_map(move |(closed, ran)| {
        let past = Past {
            incident: IncidentId(90),
            closed_at: Some(ago(closed)),
            healed: true,
            ladder: Ladder::default(),
            unheld: 0,
            ran_at: [(restart(), ago(ran))].into(),
        };
        Line::Past { policy: policy(), target: target(0), past: Arc::new(past) }
    });
    let flaps = prop::collection::vec(0..7200_u64, 1..9).prop_map(move |mut seconds| {
        seconds.sort_unstable_by(|a, b| b.cmp(a));
        let flaps: Vec<Timestamp> = seconds.into_iter().map(ago).collect();
        let touched_at = *flaps.last().unwrap();
        Line::Flaps { policy: policy(), target: target(0), touched_at, over: None, flaps }
    });
    let circuits =
        move || [Circuit::Remedy(policy(), restart()), Circuit::Shared(CircuitName::new("fleet"))];
    let results = (0..2_usize, prop::collection::vec(any_mark(), 1..9)).prop_map(
        move |(circuit, mut marks)| {
            marks.sort_by_key(|mark| mark.at);
            Line::Results { circuit: circuits()[circuit].clone(), marks }
        },
    );
    let trying = (0..2_usize).prop_map(move |circuit| Line::Trying {
        circuit: circuits()[circuit].clone(),
        incident: IncidentId(91),
    });
    let acted = (1..9_u8, 0..3600_u64).prop_map(move |(number, at)| Line::Acted {
        policy: policy(),
        target: target(number),
        at: ago(at),
    });
    prop_oneof![2 => level, 1 => running, 1 => past, 1 => flaps, 2 => results, 1 => trying, 4 => acted]
}

/// What is the same in both judgements.
#[derive(Debug, Clone)]
struct Case {
    lines: Vec<Line>,
    firing: u8,
    inventory: u64,
    seen: (u64, u64),
    orders: u32,
    unheld: u32,
    continues: bool,
}

fn any_case() -> impl Strategy<Value = Case> {
    let seen = (0..300_u64, 0..300_u64);
    let lines = prop::collection::vec(any_line(), 0..8);
    (lines, 1..6_u8, 1..80_u64, seen, 0..5_u32, 0..3_u32, prop::bool::weighted(0.3)).prop_map(
        |(lines, firing, inventory, seen, orders, unheld, continues)| Case {
            lines,
            firing,
            inventory,
            seen,
            orders,
            unheld,
            continues,
        },
    )
}

/// A state in which targets fire and nothing was done, with these lines besides.
fn state(case: &Case) -> (State, Alert) {
    let mut play = Scenario::new(Book::observe(), start_time());
    let mut shadow = ladder();
    shadow.mode = homeostat_core::policy::Mode::Shadow;
    shadow.remedies.clear();
    play.reload(crate::stage::book(shadow, nobody()));
    for number in 0..case.firing {
        let instance = format!("{number}:80");
        fire(&mut play, &[("alertname", "Down"), ("instance", &instance)]);
    }
    let alert = play.journal().iter().find_map(|fact| match &fact.what {
        What::EpisodeBegan { alert, .. } => Some(alert.clone()),
        _ => None,
    });
    let mut state = State::default();
    play.journal().iter().for_each(|fact| state.apply(fact));
    case.lines.iter().for_each(|line| state.recall(Record::Ledger(line.clone())));
    (state, alert.unwrap())
}

/// What the guards say of a case: by the ledgers alone, and by evidence.
fn verdicts(
    case: &Case,
    (state, alert): &(State, Alert),
    guard: GuardLimits,
    (limits, team): Shared,
) -> [Judgement; 2] {
    let now = start_time();
    let name = TeamName::new("web");
    let about = About { team: Some(name.clone()), ..About::default() };
    let policy = Policy { guard, about, ..ladder() };
    let mut book = Book::new(vec![policy.clone()], limits, nobody());
    book.teams.insert(name, team);
    let ladder = Ladder { orders: case.orders, ..Ladder::default() };
    let presence = |age| Presence { known: true, seen_at: ago(age), ..Presence::unknown(now) };
    let target = target(0);
    let deed = Deed {
        incident: IncidentId(1),
        policy: &policy,
        remedy: &policy.remedies[0],
        action: None,
        target: &target,
        ladder: &ladder,
        continues: case.continues,
        returned: false,
        unheld: case.unheld,
        locks: &[],
        consent: Consent::NotNeeded,
        behind: None,
        firing: vec![(alert, presence(case.seen.0))],
        watchdog: Some(presence(case.seen.1)),
        now,
        wall: now,
    };
    let bench = Bench { ledgers: state.ledgers(), book: &book };
    let asked = Ask::Inventory { promql: INVENTORY.into(), by: None };
    let found = vec![(asked, Finding::Inventory(Ok(case.inventory)))];
    [judge_ledgers(&deed, bench), judge(&deed, bench, &Evidence { found, gathered_at: now })]
}

fn guards(judgement: &Judgement) -> BTreeSet<Guard> {
    judgement.holds().iter().map(Hold::guard).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn more_budget_never_gives_more_holds(
        case in any_case(),
        (narrow, book) in any_limits(),
        by in 1..5_u32,
    ) {
        let before = state(&case);
        let strict = verdicts(&case, &before, narrow.clone(), book);
        for wider in ALL {
            let (mut limits, mut more) = (narrow.clone(), book);
            widen(&mut limits, &mut more, wider, by);
            let wide = verdicts(&case, &before, limits, more);
            for (strict, wide) in strict.iter().zip(&wide) {
                if matches!(strict, Judgement::Stopped(_)) {
                    continue;
                }
                let stopped = matches!(wide, Judgement::Stopped(_));
                prop_assert!(!stopped, "a wider {wider:?} stops");
                let added: Vec<_> = guards(wide).difference(&guards(strict)).copied().collect();
                prop_assert!(added.is_empty(), "a wider {wider:?} adds holds: {added:?}");
            }
        }
    }
}

/// The law says nothing where nothing is held, or nothing is let pass: among the cases each guard
/// with a limit must have held what a wider limit lets pass.
#[test]
fn each_limit_decides_some_of_these_cases() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut undecided: BTreeSet<usize> = (0..ALL.len()).collect();
    for _ in 0..3000 {
        let case = any_case().new_tree(&mut runner).unwrap().current();
        let (narrow, book) = any_limits().new_tree(&mut runner).unwrap().current();
        let before = state(&case);
        let strict = verdicts(&case, &before, narrow.clone(), book);
        undecided.retain(|&position| {
            let (mut limits, mut more) = (narrow.clone(), book);
            widen(&mut limits, &mut more, ALL[position], 4);
            let wide = verdicts(&case, &before, limits, more);
            let stopped = |judgement: &Judgement| matches!(judgement, Judgement::Stopped(_));
            strict.iter().zip(&wide).all(|(strict, wide)| {
                stopped(wide) || (!stopped(strict) && guards(strict) == guards(wide))
            })
        });
        if undecided.is_empty() {
            return;
        }
    }
    let limits: Vec<Wider> = undecided.into_iter().map(|position| ALL[position]).collect();
    panic!("these decide nothing: {limits:?}");
}
