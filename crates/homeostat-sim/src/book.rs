//! Random books: policies, ladders, limits and modes, and whom they may ask.

use std::sync::Arc;

use homeostat_core::interval::TimeInterval;
use homeostat_core::label::{LabelSet, Matchers};
use homeostat_core::name::{CircuitName, PolicyName, RemedyName, SourceName, TeamName};
use homeostat_core::policy::{
    Action, Approval, BlastRadius, Book, BookLimits, Breaker, Damping, Escalate, Extent,
    GuardLimits, Mode, OnResolve, Policy, PrometheusWitness, Rate, Regression, Remedy,
    TargetLabels, TeamLimits, Undo, Verify, Watchdog, Witnesses, Worse,
};
use homeostat_core::storm::StormLimits;
use homeostat_core::template::Template;
use homeostat_core::time::Span;

use crate::cast::{MAIN, NAMES, OTHER};
use crate::frost;
use crate::prometheus::Prometheus;
use crate::random::Dice;
use crate::script::Mood;

/// Microseconds in which nobody may hear that a rule fires no more: an Alertmanager may be behind.
const UNHEARD: u64 = 200_000_000;

/// What all inventories ask.
const INVENTORY: &str = "count(up)";

/// The rungs that a ladder may have, in this order.
pub const RUNGS: [&str; 3] = ["restart", "reboot", "replace"];

/// Draws a book, and others to which it may be reloaded.
pub fn draw(dice: &mut Dice, mood: Mood, proms: &[Prometheus]) -> Vec<Book> {
    let first = first(dice, mood, proms);
    let mut books = vec![first];
    for _ in 0..2 {
        let changed = changed(dice, &books[0], mood);
        books.push(changed);
    }
    books
}

/// Makes the policies of some books those of teams, with limits that a reload may change.
pub fn give_to_teams(dice: &mut Dice, books: &mut [Book]) {
    if !dice.percent(30) {
        return;
    }
    let owners = [0, 1, 2].map(|_| *dice.pick(&[None, Some("db"), Some("web"), Some("web")]));
    for book in books {
        let mut policies = book.policies().to_vec();
        for policy in &mut policies {
            let number = policy.name.as_str().trim_start_matches('p').parse::<usize>().ok();
            let owner = number.and_then(|number| owners.get(number).copied().flatten());
            policy.about.team = owner.map(TeamName::new);
        }
        let limits = |dice: &mut Dice| TeamLimits {
            concurrency: dice.percent(60).then(|| small(dice, 1, 3)),
            rate: dice
                .percent(60)
                .then(|| Rate { max: small(dice, 1, 8), per: dice.seconds(600, 7_200) }),
        };
        let teams = ["db", "web"].map(|team| (TeamName::new(team), limits(dice)));
        let witnesses = book.witnesses.clone();
        *book = Book::new(policies, book.limits, witnesses);
        book.teams = teams.into();
    }
}

/// Keeps what rules remember short where no Prometheus is asked: nobody knows it there, and whoever is
/// listed after the window is over is taken to fire.
pub fn fit(proms: &mut [Prometheus], books: &[Book]) {
    if books.iter().any(|book| !book.witnesses.prometheuses.is_empty()) {
        return;
    }
    let windows = books.iter().flat_map(Book::policies).map(|policy| policy.verify.within);
    let least = windows.min().unwrap_or_default();
    for prom in proms {
        prom.remember_at_most(Span::from_micros(least.as_micros().saturating_sub(UNHEARD)));
    }
}

fn first(dice: &mut Dice, mood: Mood, proms: &[Prometheus]) -> Book {
    let mut policies = Vec::new();
    for number in 0..dice.range(1, 3) {
        policies.push(policy(dice, number, mood));
    }
    let (alertmanager, prometheus) = match mood {
        Mood::Plain | Mood::Shaken => (70, 65),
        Mood::Meddled => (45, 40),
    };
    let listed = dice.percent(alertmanager);
    let alertmanagers = if listed { [SourceName::new(MAIN)].into() } else { [].into() };
    let prometheuses = if dice.percent(prometheus) { asked(dice, proms) } else { Vec::new() };
    if prometheuses.is_empty() {
        for policy in &mut policies {
            policy.verify.query = None;
        }
    } else if prometheuses.len() > 1 {
        for policy in &mut policies {
            if dice.percent(20) {
                policy.sources = Some(vec![dice.pick(&prometheuses).name.clone()]);
            }
        }
    }
    // Where anybody is named, what comes by a hook that is not is not acted on.
    let named = dice.percent(85);
    let webhooks = if named { [SourceName::new(OTHER)].into() } else { [].into() };
    let witnesses = Witnesses { alertmanagers, webhooks, prometheuses };
    Book::new(policies, book_limits(dice), witnesses)
}

/// Who may be asked. Where the door does not know what one puts on the wire, and another one has rules
/// of the same names, the labels of its alerts tell the two apart.
fn asked(dice: &mut Dice, proms: &[Prometheus]) -> Vec<PrometheusWitness> {
    let mut asked = Vec::new();
    for prom in proms {
        if proms.len() > 1 && dice.percent(15) {
            continue;
        }
        let mut witness = PrometheusWitness::new(prom.name.as_str());
        if !prom.mapped || dice.percent(40) {
            witness.labels = LabelSet::from_pairs(prom.cluster());
        }
        asked.push(witness);
    }
    asked
}

fn book_limits(dice: &mut Dice) -> BookLimits {
    let rate = Rate { max: small(dice, 4, 60), per: dice.seconds(600, 7_200) };
    BookLimits { concurrency: small(dice, 1, 12), rate }
}

fn small(dice: &mut Dice, from: u64, to: u64) -> u32 {
    u32::try_from(dice.range(from, to)).unwrap_or(1)
}

/// The same policies with other limits, modes and ladders; sometimes one is gone. Targets and who
/// is told stay.
fn changed(dice: &mut Dice, book: &Book, mood: Mood) -> Book {
    let mut policies: Vec<Policy> = book.policies().to_vec();
    for policy in &mut policies {
        if dice.percent(50) {
            policy.guard = guard_limits(dice, &policy.remedies);
        }
        let (turned, shadowed) = match mood {
            Mood::Plain => (14, 10),
            Mood::Meddled => (60, 10),
            Mood::Shaken => (14, 35),
        };
        if dice.percent(turned) {
            policy.remedies.reverse();
        } else if dice.percent(14) {
            policy.remedies.truncate(1);
        }
        if dice.percent(shadowed) {
            policy.mode = Mode::Shadow;
            policy.remedies.iter_mut().for_each(|remedy| remedy.mode = Mode::Shadow);
        }
    }
    if policies.len() > 1 && dice.percent(30) {
        let gone = dice.below(policies.len() as u64);
        policies.remove(usize::try_from(gone).unwrap_or(0));
    }
    let limits = if dice.percent(50) { book_limits(dice) } else { book.limits };
    Book::new(policies, limits, book.witnesses.clone())
}

#[allow(clippy::needless_update, reason = "a guard's author need not come here at once")]
fn policy(dice: &mut Dice, number: u64, mood: Mood) -> Policy {
    let mode = if dice.percent(88) { Mode::Auto } else { Mode::Shadow };
    let matchers = match dice.below(5) {
        0 => String::new(),
        1 => "team=\"db\"".to_owned(),
        2 => format!("alertname=~\"{}|{}\"", NAMES[0], NAMES[1]),
        _ => format!("alertname=\"{}\"", dice.pick(&NAMES)),
    };
    let target = if dice.percent(88) {
        TargetLabels::Named(vec!["instance".into()])
    } else if dice.percent(50) {
        TargetLabels::Named(vec!["instance".into(), "team".into()])
    } else {
        TargetLabels::All
    };
    let rungs = dice.range(u64::from(mode == Mode::Auto), RUNGS.len() as u64);
    let rungs = usize::try_from(rungs).unwrap_or(1);
    let remedies: Vec<Remedy> =
        RUNGS.iter().take(rungs).map(|rung| remedy(dice, rung, mode, mood)).collect();
    let escalate = if dice.percent(85) {
        Escalate::after(dice.seconds(300, 3_600), "page")
    } else {
        Escalate::Nobody
    };
    let query = dice.percent(35).then(|| template("up{instance=\"{{ labels.instance }}\"} == 1"));
    Policy {
        name: PolicyName::new(format!("p{number}")),
        matchers: Matchers::parse(&matchers).map(|parsed| parsed.matchers).unwrap_or_default(),
        target,
        mode,
        settle: if dice.percent(25) { dice.seconds(5, 120) } else { Span::ZERO },
        guard: guard_limits(dice, &remedies),
        remedies,
        regression: dice.percent(40).then(|| Regression {
            matchers: Matchers::default(),
            worse: if dice.percent(70) { Worse::Undo } else { Worse::Tell },
        }),
        on_resolve: if dice.percent(20) { OnResolve::Signal } else { OnResolve::Finish },
        verify: Verify {
            within: dice.seconds(30, 300),
            query,
            every: dice.seconds(5, 30),
            times: small(dice, 1, 3),
            patience: if dice.percent(60) { Span::from_secs(3_600) } else { dice.seconds(60, 900) },
            vanishes: dice.percent(8),
        },
        escalate,
        continues: dice.percent(40),
        relapse: dice.seconds(60, 3_600),
        lapse: dice.seconds(1_800, 7_200),
        ..Policy::observe()
    }
}

#[allow(clippy::needless_update, reason = "a guard's author need not come here at once")]
fn guard_limits(dice: &mut Dice, remedies: &[Remedy]) -> GuardLimits {
    let runs: u32 = remedies.iter().map(|remedy| 1 + remedy.retries).sum();
    let locks = match dice.below(6) {
        0 => vec![lock_on_all()],
        1 => vec![template("zone {{ labels.zone }}")],
        _ => Vec::new(),
    };
    GuardLimits {
        cooldown: if dice.percent(20) { Span::ZERO } else { dice.seconds(30, 900) },
        rate: Rate { max: small(dice, 1, 12), per: dice.seconds(120, 3_600) },
        concurrency: small(dice, 1, 4),
        locks,
        attempts: if dice.percent(35) {
            small(dice, 1, u64::from(runs.max(1)))
        } else {
            runs.max(1)
        },
        fresh_max_age: dice.seconds(30, 300),
        watchdog: dice.percent(8).then(|| Watchdog {
            matchers: matchers("alertname=\"Slow\""),
            max_age: dice.seconds(120, 1_200),
        }),
        freeze: if dice.percent(26) { frozen(dice) } else { Vec::new() },
        flap: dice.percent(35).then(|| damping(dice)),
        breaker: breaker(dice),
        blast_radius: dice.percent(35).then(|| blast_radius(dice)),
        storm: dice.percent(30).then(|| StormLimits {
            percent: if dice.percent(50) { small(dice, 2, 12) } else { small(dice, 20, 60) },
            min: small(dice, 2, 4),
            cool_down: dice.seconds(30, 600),
            inventory: INVENTORY.into(),
        }),
        ..Policy::observe().guard
    }
}

fn frozen(dice: &mut Dice) -> Vec<Arc<TimeInterval>> {
    (0..dice.range(1, 2)).map(|number| Arc::new(frost::draw(dice, number))).collect()
}

fn damping(dice: &mut Dice) -> Damping {
    if dice.percent(25) {
        return Damping::default();
    }
    Damping {
        half_life: dice.seconds(60, 3_600),
        suppress: small(dice, 1_001, 2_600),
        reuse: small(dice, 200, 1_000),
    }
}

fn breaker(dice: &mut Dice) -> Option<Breaker> {
    match dice.below(8) {
        0 => None,
        1 => Some(Breaker::default()),
        _ => {
            let failures = small(dice, 1, 3);
            let of = failures + small(dice, 0, 4);
            let after = dice.seconds(60, 1_800);
            let shared = dice.percent(35).then(|| CircuitName::new("fleet"));
            Some(Breaker { failures, of, after, shared })
        }
    }
}

fn blast_radius(dice: &mut Dice) -> BlastRadius {
    let extent = if dice.percent(40) {
        Extent::Targets(small(dice, 1, 5))
    } else {
        Extent::Share {
            percent: small(dice, 5, 60),
            inventory: INVENTORY.into(),
            max: dice.percent(50).then(|| small(dice, 1, 6)),
            min: small(dice, 1, 2),
        }
    };
    BlastRadius { window: dice.seconds(300, 7_200), extent }
}

fn matchers(text: &str) -> Matchers {
    Matchers::parse(text).map(|parsed| parsed.matchers).unwrap_or_default()
}

fn remedy(dice: &mut Dice, name: &str, mode: Mode, mood: Mood) -> Remedy {
    let (asked, idempotent) = match mood {
        Mood::Plain => (20, 25),
        Mood::Meddled => (70, 25),
        Mood::Shaken => (10, 70),
    };
    let action = if dice.percent(70) {
        Action::Exec(vec![template("heal"), template("{{ labels.instance }}")])
    } else {
        Action::Call(homeostat_core::name::HandlerName::new("heal"))
    };
    Remedy {
        name: RemedyName::new(name),
        mode: match dice.below(100) {
            0..10 => Mode::Shadow,
            chance if chance < 10 + asked => mode.min(Mode::Approve),
            _ => mode,
        },
        action,
        timeout: if dice.percent(70) { dice.seconds(10, 120) } else { dice.seconds(120, 900) },
        retries: if dice.percent(40) { small(dice, 1, 2) } else { 0 },
        backoff: dice.seconds(1, 30),
        idempotent: dice.percent(idempotent),
        approval: Approval { expires: dice.seconds(30, 1_800), ..Approval::default() },
        definition: "".into(),
        undo: dice.percent(60).then(|| Undo {
            action: Action::Exec(vec![template("undo"), template("{{ labels.instance }}")]),
            timeout: dice.seconds(10, 120),
        }),
        collect: Vec::new(),
    }
}

/// The lock that all policies may share; the other one is a lock of a zone.
pub fn lock_on_all() -> Template {
    template("all")
}

fn template(text: &str) -> Template {
    Template::parse(text).expect("the simulation's own templates are valid")
}
