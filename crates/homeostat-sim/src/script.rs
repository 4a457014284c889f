//! What happens to a world, as a list of steps that can be shortened.
//!
//! A script holds all that does not depend on what the engine does. How the world reacts to it is
//! drawn by name (`random::Fate`), so that a script with a step less is still the same world.

use homeostat_core::clock::Leap;
use homeostat_core::command::Command;
use homeostat_core::policy::Book;
use homeostat_core::time::Span;

use crate::book;
use crate::cast::{self, Part};
use crate::hands;
use crate::owners;
use crate::people;
use crate::prometheus::{self, Prometheus};
use crate::random::{Dice, Fate};

/// Where an Alertmanager or a Prometheus stands with the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Honesty {
    /// Tells the truth, soon.
    True,
    /// Answers with an error.
    Errs,
    /// Knows nothing, as one that forgot all.
    Empty,
    /// Tells what was true a while ago.
    Stale,
    /// Tells the truth, late.
    Slow,
    /// Never answers.
    Mute,
    /// An Alertmanager: says that all is silenced. A Prometheus: its rules are unhealthy.
    Odd,
    /// An Alertmanager that restarted: it runs for seconds, and was told of half so far. A Prometheus
    /// tells the truth.
    Young,
    /// An Alertmanager that is told of half only. A Prometheus tells the truth.
    Partial,
    /// An Alertmanager that does not list all that there is, and errs for it. A Prometheus errs.
    Truncated,
    /// An Alertmanager of which a peer that was told of half answers now and then. A Prometheus tells
    /// the truth.
    Differs,
    /// A Prometheus that is gone: it neither answers nor evaluates nor sends, and Alertmanager takes
    /// its alerts for resolved after a while. An Alertmanager errs.
    Dead,
    /// A Prometheus that skips evaluations, and answers of before. An Alertmanager tells the truth.
    Skips,
}

impl Honesty {
    /// Whether a Prometheus evaluates its rules.
    pub fn evaluates(self) -> bool {
        !matches!(self, Self::Dead | Self::Skips)
    }
}

/// What the inventory of all targets says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    /// How many hosts there are.
    True,
    /// So many, whatever there are.
    Says(u64),
    /// Nothing: it cannot be reached.
    Errs,
    /// Nothing: its result is empty.
    Empty,
    /// What is not a number.
    NotANumber,
}

/// When the engine dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// While nothing happens.
    Idle,
    /// With the next facts, before they are committed.
    BeforeCommit,
    /// After the next commit with effects, with so many of them performed.
    BeforeEffects(usize),
    /// So long after the next action began.
    WhileRunning(Span),
    /// With the next facts, because nobody knows whether they were written: they were, or not.
    Uncertain {
        /// Whether they were.
        written: bool,
    },
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A part of the cast falls ill; it recovers alone after a time, if one is given.
    Break {
        /// Which part.
        part: usize,
        /// How long it lasts if nobody heals it.
        lasts: Option<Span>,
    },
    /// A part recovers alone.
    Mend(usize),
    /// The last notification that a part fires, of an earlier firing, arrives once more.
    Stray(usize),
    /// The Alertmanager changes its ways.
    Alertmanager(Honesty),
    /// A Prometheus changes its ways.
    Prometheus(usize, Honesty),
    /// The target of a part vanishes, with its series, or comes back.
    Vanish {
        /// Of which part.
        part: usize,
        /// Whether it is gone.
        gone: bool,
    },
    /// The value that a part's labels carry changes, if they carry one.
    Value(usize),
    /// A rule of a Prometheus is replaced by another of the same name.
    Replace(usize, usize),
    /// The Alertmanager takes a part for resolved that fires on, because it was not told for too long;
    /// after a while it is told again, since then or since before.
    TimeOut {
        /// Which part.
        part: usize,
        /// After which time it is told again.
        after: Span,
        /// Whether it is told that it began then.
        later: bool,
    },
    /// The source of a part resolves it without knowing that it is over.
    Unproven {
        /// Which part.
        part: usize,
        /// After which time it fires again.
        after: Span,
    },
    /// The inventory changes its ways.
    Inventory(Stock),
    /// The engine dies and starts again; so does its machine, if `reboot` is set.
    Crash {
        /// When.
        death: Death,
        /// Whether the machine starts anew too.
        reboot: bool,
    },
    /// The wall clock is set.
    Jump(Leap),
    /// So many commits fail, one after the other: nothing is written.
    FullDisk(u32),
    /// Another book comes into force.
    Reload(usize),
    /// An operator says a word about one of the last incidents, whether it fits or not.
    Word(Command, u64),
    /// An operator pauses.
    Pause,
    /// An operator resumes.
    Resume,
}

/// A deed and its time, counted from the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Span,
    /// What.
    pub deed: Deed,
}

/// How a world treats messages and actions, in chances of a hundred and in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manners {
    /// Notifications that are lost.
    pub lost: u64,
    /// Notifications that a second peer sends too.
    pub doubled: u64,
    /// Notifications that come up to ten minutes late.
    pub late: u64,
    /// Time until a first notification.
    pub group_wait: Span,
    /// Time between repeats.
    pub repeat: Span,
    /// Time between two evaluations of a rule.
    pub evaluation: Span,
    /// Actions that heal.
    pub heals: u64,
    /// Actions that fail.
    pub fails: u64,
    /// Actions that hang.
    pub hangs: u64,
    /// Actions that break something else.
    pub worsens: u64,
    /// Hosts that never fall ill.
    pub idle: u64,
    /// Actions that heal only for a while.
    pub briefly: u64,
    /// Actions that heal after their time limit.
    pub late_cures: u64,
    /// Cures that take the target away.
    pub removes: u64,
    /// Whether webhooks tell that alerts resolved.
    pub tells_resolved: bool,
    /// How far what queries read is behind.
    pub query_lag: Span,
}

/// One world and what happens to it.
#[derive(Debug, Clone)]
pub struct Script {
    /// From which it was drawn.
    pub seed: u64,
    /// What kind of world it is.
    pub world: World,
    /// Who may fall ill.
    pub cast: Vec<Part>,
    /// Who evaluates rules.
    pub proms: Vec<Prometheus>,
    /// The book in force at the start, and others.
    pub books: Vec<Book>,
    /// Whether people have names.
    pub people: bool,
    /// How messages and actions are treated.
    pub manners: Manners,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// When the world calms down.
    pub calm_at: Span,
}

/// What there is more of in a world than elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Nothing.
    Plain,
    /// People: they must be asked, command at all times, and change the configuration.
    Meddled,
    /// Deaths of the engine, and remedies that may be run again after one.
    Shaken,
}

/// What kind of world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// Everything that can be drawn.
    Hostile,
    /// No faults: to measure the core alone.
    Kind,
}

/// Illnesses in one script.
const TROUBLES: u64 = 110;

impl Script {
    /// Draws the script of a seed.
    pub fn draw(seed: u64, world: World) -> Self {
        let mut dice = Dice::new(seed);
        let mood = match dice.below(100) {
            0..15 => Mood::Meddled,
            15..30 => Mood::Shaken,
            _ => Mood::Plain,
        };
        let storm = dice.percent(6);
        let hosts = match (storm, dice.below(3)) {
            (true, _) => dice.range(30, 80),
            (false, 0) => dice.range(1, 3),
            (false, 1) => dice.range(3, 8),
            (false, _) => dice.range(8, 24),
        };
        let mut proms = prometheus::draw(&mut dice);
        let mut cast = cast::draw(&mut dice, usize::try_from(hosts).unwrap_or(1), &proms);
        let mut books = book::draw(&mut dice, mood, &proms);
        // By a fate of its own: worlds that were seen before stay what they were but for this.
        book::give_to_teams(&mut Fate::new(seed).of("teams", &[]), &mut books);
        if world == World::Kind {
            proms.iter_mut().for_each(Prometheus::forget_nothing);
        }
        book::fit(&mut proms, &books);
        let manners = manners(&mut dice, world);
        let mut steps = if storm {
            let mut steps = storm_steps(&mut dice, &cast);
            steps.extend(trouble_steps(&mut dice, &cast, TROUBLES / 2, Span::from_secs(7_200)));
            steps
        } else {
            trouble_steps(&mut dice, &cast, TROUBLES, Span::ZERO)
        };
        let calm_at = steps.iter().map(|step| step.at).max().unwrap_or_default();
        let calm_at = calm_at.saturating_add(Span::from_secs(300));
        if world == World::Hostile {
            steps.extend(fault_steps(&mut dice, books.len(), calm_at, mood));
            steps.extend(doubt_steps(&mut dice, &cast, &proms, calm_at));
        }
        steps.sort_by_key(|step| step.at);
        let people = world == World::Hostile && people::have_names(Fate::new(seed));
        if people {
            people::post(&mut cast);
            people::settle(Fate::new(seed), &mut books);
        }
        if world == World::Hostile {
            hands::give(Fate::new(seed), &mut books);
            owners::give(Fate::new(seed), &mut books);
        }
        Self { seed, world, cast, proms, books, people, manners, steps, calm_at }
    }
}

fn manners(dice: &mut Dice, world: World) -> Manners {
    let mut some = |most: u64| {
        let drawn = if dice.percent(70) { dice.below(most + 1) } else { 0 };
        if world == World::Hostile { drawn } else { 0 }
    };
    Manners {
        lost: some(25),
        doubled: some(60),
        late: some(25),
        fails: some(35),
        hangs: some(12),
        worsens: some(20),
        group_wait: dice.seconds(0, 30),
        // Some tell a thing once a day.
        repeat: if dice.percent(88) {
            dice.seconds(120, 1_200)
        } else {
            dice.seconds(14_400, 86_400)
        },
        evaluation: dice.seconds(5, 30),
        heals: if world == World::Kind { 100 } else { dice.range(30, 95) },
        idle: if dice.percent(55) { 0 } else { dice.range(40, 200) },
        briefly: if world == World::Kind { 0 } else { dice.below(3) * 6 },
        late_cures: if world == World::Kind { 0 } else { dice.below(3) * 20 },
        removes: if world == World::Kind { 0 } else { dice.below(4) * 5 },
        tells_resolved: world == World::Kind || dice.percent(90),
        query_lag: if dice.percent(60) { Span::ZERO } else { dice.seconds(5, 90) },
    }
}

/// Single illnesses, some of them flapping.
fn trouble_steps(dice: &mut Dice, cast: &[Part], count: u64, from: Span) -> Vec<Step> {
    let pace = *dice.pick(&[30, 120, 400, 1_200]);
    let flapping = *dice.pick(&[5, 10, 10, 60]);
    let mut steps = Vec::new();
    let mut at = from;
    let mut left = count;
    while left > 0 {
        at = at.saturating_add(dice.seconds(0, pace));
        let part = usize::try_from(dice.below(cast.len() as u64)).unwrap_or(0);
        let flaps = if dice.percent(flapping) { dice.range(2, 6) } else { 1 };
        for _ in 0..flaps {
            let lasts = dice.percent(45).then(|| dice.seconds(5, 900));
            steps.push(Step { at, deed: Deed::Break { part, lasts } });
            if flaps > 1 {
                at = at.saturating_add(dice.seconds(5, 180));
                steps.push(Step { at, deed: Deed::Mend(part) });
                at = at.saturating_add(dice.seconds(1, 90));
            }
        }
        if dice.percent(12) {
            let at = at.saturating_add(dice.seconds(1, 1_200));
            steps.push(Step { at, deed: Deed::Stray(part) });
        }
        left = left.saturating_sub(flaps);
    }
    steps
}

/// Everything breaks within two minutes.
fn storm_steps(dice: &mut Dice, cast: &[Part]) -> Vec<Step> {
    (0..cast.len())
        .map(|part| {
            let lasts = dice.percent(30).then(|| dice.seconds(60, 3_600));
            Step { at: dice.seconds(60, 180), deed: Deed::Break { part, lasts } }
        })
        .collect()
}

fn fault_steps(dice: &mut Dice, books: usize, calm_at: Span, mood: Mood) -> Vec<Step> {
    let last = (calm_at.as_micros() / 1_000_000).saturating_sub(600).max(1);
    let mut steps = Vec::new();
    let mut pairs = |dice: &mut Dice, most: u64, begin: &dyn Fn(&mut Dice) -> Deed, end: Deed| {
        for _ in 0..dice.below(most + 1) {
            let at = dice.seconds(1, last);
            steps.push(Step { at, deed: begin(dice) });
            let at = at.saturating_add(dice.seconds(10, 1_800));
            steps.push(Step { at, deed: end.clone() });
        }
    };
    pairs(dice, 4, &|dice| Deed::Alertmanager(lie(dice)), Deed::Alertmanager(Honesty::True));
    let stock = Deed::Inventory(Stock::True);
    pairs(dice, 3, &|dice| Deed::Inventory(wrong_count(dice)), stock);
    pairs(dice, 2, &|_| Deed::Pause, Deed::Resume);
    let (crashes, words, reloads) = match mood {
        Mood::Plain if dice.percent(20) => (dice.range(8, 30), dice.below(12), dice.below(3)),
        Mood::Plain => (dice.below(6), dice.below(12), dice.below(3)),
        Mood::Meddled => (dice.below(6), dice.range(40, 120), dice.range(6, 30)),
        Mood::Shaken => (dice.range(15, 50), dice.range(20, 60), dice.range(2, 12)),
    };
    for _ in 0..crashes {
        let death = match dice.below(8) {
            0 => Death::Idle,
            1 => Death::BeforeCommit,
            2 => Death::BeforeEffects(0),
            3 => Death::BeforeEffects(1),
            4 | 5 => Death::WhileRunning(dice.seconds(0, 20)),
            _ => Death::Uncertain { written: dice.percent(50) },
        };
        let reboot = dice.percent(25);
        steps.push(Step { at: dice.seconds(1, last), deed: Deed::Crash { death, reboot } });
    }
    for _ in 0..dice.below(4) {
        let fails = if dice.percent(70) { 1 } else { dice.range(2, 12) };
        let full = Deed::FullDisk(u32::try_from(fails).unwrap_or(1));
        steps.push(Step { at: dice.seconds(1, last), deed: full });
    }
    let jumps = if dice.percent(55) { 0 } else { dice.range(1, 5) };
    for _ in 0..jumps {
        let by = if dice.percent(60) {
            dice.seconds(120, 7_200)
        } else {
            dice.seconds(7_200, 2 * 86_400)
        };
        let leap = if dice.percent(50) { Leap::Forwards(by) } else { Leap::Back(by) };
        steps.push(Step { at: dice.seconds(1, last), deed: Deed::Jump(leap) });
    }
    for _ in 0..words {
        let word = Deed::Word(*dice.pick(&Command::ALL), dice.below(4));
        steps.push(Step { at: dice.seconds(1, last), deed: word });
    }
    for _ in 0..reloads {
        let book = usize::try_from(dice.below(books as u64)).unwrap_or(0);
        steps.push(Step { at: dice.seconds(1, last), deed: Deed::Reload(book) });
    }
    steps
}

/// What makes it doubtful who may say that it is over.
fn doubt_steps(dice: &mut Dice, cast: &[Part], proms: &[Prometheus], calm_at: Span) -> Vec<Step> {
    let last = (calm_at.as_micros() / 1_000_000).saturating_sub(600).max(1);
    let mut steps = Vec::new();
    // In some worlds every Prometheus is up and tells the truth.
    let honest = dice.percent(40);
    for number in 0..if honest { 0 } else { proms.len() } {
        for _ in 0..dice.below(5) {
            let at = dice.seconds(1, last);
            let honesty = if dice.percent(35) { Honesty::Dead } else { lie(dice) };
            steps.push(Step { at, deed: Deed::Prometheus(number, honesty) });
            let at = at.saturating_add(dice.seconds(10, 1_800));
            steps.push(Step { at, deed: Deed::Prometheus(number, Honesty::True) });
        }
    }
    let any = |dice: &mut Dice| usize::try_from(dice.below(cast.len() as u64)).unwrap_or(0);
    for _ in 0..dice.below(if honest { 3 } else { 12 }) {
        let (at, part) = (dice.seconds(1, last), any(dice));
        steps.push(Step { at, deed: Deed::Vanish { part, gone: true } });
        let at = at.saturating_add(dice.seconds(30, 1_200));
        steps.push(Step { at, deed: Deed::Vanish { part, gone: false } });
    }
    let carriers: Vec<usize> = (0..cast.len()).filter(|part| cast[*part].carries).collect();
    for _ in 0..if carriers.is_empty() { 0 } else { dice.below(60) } {
        let value = Deed::Value(*dice.pick(&carriers));
        steps.push(Step { at: dice.seconds(1, last), deed: value });
    }
    for _ in 0..dice.below(3) {
        let prom = usize::try_from(dice.below(proms.len() as u64)).unwrap_or(0);
        let rule = usize::try_from(dice.below(2)).unwrap_or(0);
        steps.push(Step { at: dice.seconds(1, last), deed: Deed::Replace(prom, rule) });
    }
    for _ in 0..dice.below(12) {
        let (part, after, later) = (any(dice), dice.seconds(5, 900), dice.percent(50));
        let deed = Deed::TimeOut { part, after, later };
        steps.push(Step { at: dice.seconds(1, last), deed });
    }
    for _ in 0..dice.below(12) {
        let deed = Deed::Unproven { part: any(dice), after: dice.seconds(5, 900) };
        steps.push(Step { at: dice.seconds(1, last), deed });
    }
    steps
}

fn wrong_count(dice: &mut Dice) -> Stock {
    match dice.below(6) {
        0 => Stock::Errs,
        1 => Stock::Empty,
        2 => Stock::NotANumber,
        3 => Stock::Says(0),
        4 => Stock::Says(dice.range(1, 12)),
        _ => Stock::Says(dice.range(20, 1_000)),
    }
}

fn lie(dice: &mut Dice) -> Honesty {
    use Honesty::{Differs, Empty, Errs, Mute, Odd, Partial, Skips, Slow, Stale, Truncated, Young};
    *dice.pick(&[
        Errs, Empty, Stale, Slow, Mute, Odd, Odd, Young, Partial, Truncated, Differs, Skips,
    ])
}
