//! Watches a run and says which law was broken.
//!
//! An oracle knows what the world told and saw, and what was committed. It counts for itself: no
//! ledger, no index and no guard of the core is asked. Its laws stand in
//! `docs/internals/simulation.md`.
//!
//! | file | laws |
//! |---|---|
//! | `effects` | what is wanted was committed before; what was promised is wanted |
//! | `limits` | pause, lock, cooldown, rate, concurrency, attempts, mode, `for` |
//! | `guards` | blast radius, watchdog, commands, what made things worse |
//! | `hands` | what can be rehearsed was |
//! | `owner` | whose it is what an alert is about is known, or asked, and not for too long |
//! | `people` | who agreed to a run, and what they agreed to ahead |
//! | `freeze`, `flap`, `breaker`, `storm` | the guard of that name, when it holds and when it does not |
//! | `fresh` | nothing is done about what ended or is silenced; evidence is young |
//! | `course` | retries, the ladder, relapses; how incidents close, and why |
//! | `absence` | what is missing is over, and nothing else is |
//! | `alerts` | nothing accepted is lost; nothing stale is believed; a latch holds |
//! | `hours` | what time it is: what jumps of the clock skip has not passed |
//! | `telling` | what people were told of a guard is over once it holds nobody |
//! | `ending` | every incident ends or a person is told; nothing is left behind |

mod absence;
mod alerts;
mod beside;
mod breaker;
mod course;
mod effects;
mod ending;
mod flap;
mod freeze;
mod fresh;
mod guards;
mod hands;
mod hours;
mod jump;
mod limits;
mod met;
mod notices;
mod owner;
mod people;
mod storm;
mod telling;
mod truth;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use homeostat_core::alert::{Alert, Door, Ending, Observation, Status};
use homeostat_core::approval::Asked;
use homeostat_core::command::Command;
use homeostat_core::engine::Turn;
use homeostat_core::event::{Effect, Event};
use homeostat_core::evidence::Evidence;
use homeostat_core::fact::{Fact, What};
use homeostat_core::hold::Guard;
use homeostat_core::incident::End;
use homeostat_core::label::{Fingerprint, LabelSet};
use homeostat_core::ledger::Subject;
use homeostat_core::name::{
    ApprovalId, EpisodeId, IncidentId, OrderId, PolicyName, RemedyName, SourceName,
};
use homeostat_core::notice::Topic;
use homeostat_core::operator::Operator;
use homeostat_core::order::{Ended, Found, Order, Outcome};
use homeostat_core::policy::Book;
use homeostat_core::state::State;
use homeostat_core::text::Text;
use homeostat_core::time::{Span, Timestamp};

use crate::act::Acts;
use crate::cast::without_value;
use crate::script::Script;

use absence::{Absences, Roster};
use guards::is_undo;
pub use met::Met;
pub use truth::{KnownAt, Truth};
use witness::Sightings;

/// A law that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Timestamp,
    /// Which law, as `docs/internals/simulation.md` calls it.
    pub law: &'static str,
    /// What happened instead.
    pub text: String,
}

impl Violation {
    /// Notes that a law was broken.
    pub fn new(at: Timestamp, law: &'static str, text: impl Into<String>) -> Self {
        Self { at, law, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.law, self.at, self.text)
    }
}

/// What one law says.
type Verdict = Result<(), Violation>;

/// What tells one alert from another.
type Key = (SourceName, Fingerprint);

fn key(alert: &Alert) -> Key {
    (alert.source.clone(), alert.fingerprint)
}

/// What the engine was told in one group. It counts once the group is committed.
#[derive(Debug, Default)]
pub struct Heard {
    observations: Vec<Observation>,
    answers: Vec<(IncidentId, u32, Evidence)>,
    vouched: Vec<(Key, Evidence)>,
    owners: Vec<(EpisodeId, Evidence)>,
    ended: Vec<(OrderId, Ended)>,
    found: Vec<(OrderId, Found)>,
    paused: Option<bool>,
    rosters: Vec<Roster>,
    commands: Vec<(IncidentId, Command, Operator)>,
    revoked: Vec<ApprovalId>,
    changed: Vec<Changed>,
}

/// What one notification says ended, where it also says that the same fires with other labels.
#[derive(Debug)]
struct Changed {
    over: Key,
    ends_at: Option<Timestamp>,
    fires: Alert,
}

/// One order of a case.
#[derive(Debug, Clone)]
struct Run {
    order: Order,
    issued_at: Timestamp,
    /// The same, by the time of the world.
    truly_issued_at: Timestamp,
    returned: bool,
    outcome: Option<Outcome>,
    /// Whether its outcome was lost in a crash.
    after_crash: bool,
}

impl Run {
    fn new(order: &Order, issued_at: Timestamp, truly_issued_at: Timestamp) -> Self {
        Self {
            order: order.clone(),
            issued_at,
            truly_issued_at,
            returned: false,
            outcome: None,
            after_crash: false,
        }
    }

    /// Whether nobody knows that it is over: a crash lost its end, and its time limit has not passed.
    fn may_still_run(&self, now: Timestamp) -> bool {
        self.after_crash
            && matches!(self.outcome, Some(Outcome::Unknown { .. }))
            && self.order.action.outlives_the_engine()
            && now < self.issued_at + self.order.timeout
    }
}

/// An incident, as the oracle follows it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is what one law must know")]
struct Case {
    subject: Subject,
    opened_at: Timestamp,
    settles: Span,
    /// After which time a person is to be told, if ever.
    tells_after: Option<Span>,
    relapse_of: Option<IncidentId>,
    orders_before: u32,
    unheld: u32,
    episodes: Vec<EpisodeId>,
    runs: Vec<Run>,
    given_up: BTreeSet<RemedyName>,
    step: u32,
    answer: Option<(Timestamp, Evidence)>,
    /// Since when evidence of a healing counts.
    proving_since: Option<Timestamp>,
    /// When its action is over at the latest.
    over_at: Option<Timestamp>,
    looks: Vec<Evidence>,
    /// Who saw its alerts fire when its last order was issued, and since.
    sightings: Sightings,
    /// When its window is over, and when it was looked last.
    window: Option<Timestamp>,
    looked_at: Option<Timestamp>,
    /// Of when the last look told the truth.
    knows: Option<KnownAt>,
    /// What core read from the last look, for the table of what stays unknown.
    last_words: Vec<&'static str>,
    /// Whether it was forgotten.
    released: bool,
    closed: Option<(Timestamp, End)>,
    /// Whether it was closed only because its policy was gone.
    removed: bool,
    told: bool,
    /// Whether an order of it runs, is being proven, or will be tried again.
    flies: bool,
    /// What a person is asked, and what one has approved.
    asked: Option<Asked>,
    approved: Option<Asked>,
    /// Who has agreed to it.
    votes: Vec<Operator>,
    /// The labels of the alert that led when it was asked.
    asked_about: Option<LabelSet>,
    /// Who had it tried again, where that is known.
    retried_by: Option<String>,
    /// Whether an operator wanted it to be tried again, or to be stopped.
    retried: bool,
    stopped: bool,
    rejected: bool,
    /// Whether an order made something else worse, and what takes it back.
    worse: bool,
    undo: Option<Run>,
    /// Since when its last run is to be run again.
    again_since: Option<Timestamp>,
    /// Which guards hold it.
    held: BTreeSet<Guard>,
}

impl Run {
    /// Whether it ran, or may have run.
    fn has_run(&self) -> bool {
        let not =
            matches!(self.outcome, Some(Outcome::NotStarted { .. } | Outcome::Refused { .. }));
        !self.returned && !not
    }
}

impl Case {
    /// Whether an order of it ran, or may have run.
    fn has_acted(&self) -> bool {
        self.runs.iter().any(Run::has_run)
    }
}

/// An alert's episode, as it was written down.
#[derive(Debug, Clone)]
struct Known {
    alert: Alert,
    began_at: Timestamp,
    /// The same, by the time of the world.
    truly_began_at: Timestamp,
    /// When it was last mentioned, in what was accepted.
    mentioned_at: Option<Timestamp>,
    fires: bool,
    resolved: bool,
    /// When it ended by its source.
    ended_at: Option<Timestamp>,
    /// Who posted it, where that is known.
    by: Option<Text>,
}

/// What was last heard of an alert since the engine started.
#[derive(Debug, Clone, Copy)]
struct Mention {
    at: Timestamp,
    ends_at: Option<Timestamp>,
}

/// How the last healing of a subject went.
#[derive(Debug, Clone)]
struct Past {
    closed_at: Timestamp,
    healed: bool,
    unheld: u32,
}

/// All oracles, with what they remember.
#[derive(Debug, Default)]
pub struct Oracle {
    hours: hours::Hours,
    absences: Absences,
    cases: BTreeMap<IncidentId, Case>,
    open: BTreeMap<Subject, IncidentId>,
    episodes: BTreeMap<EpisodeId, Known>,
    firing: BTreeMap<Key, EpisodeId>,
    mentions: BTreeMap<Key, Mention>,
    newest_start: BTreeMap<Key, Timestamp>,
    last_end: BTreeMap<Key, (Timestamp, Option<Timestamp>)>,
    paused: bool,
    reloaded_at: Option<Timestamp>,
    in_flight: BTreeMap<OrderId, Subject>,
    locks: BTreeMap<String, IncidentId>,
    buckets: BTreeMap<String, limits::Bucket>,
    past: BTreeMap<Subject, Past>,
    ran: BTreeMap<(Subject, RemedyName), Timestamp>,
    ordered: BTreeSet<OrderId>,
    acted: BTreeMap<Subject, Timestamp>,
    flaps: flap::Flaps,
    breakers: breaker::Breakers,
    storms: BTreeMap<PolicyName, storm::Storm>,
    paces: BTreeMap<PolicyName, storm::Pace>,
    /// How often the world came to what the laws are about.
    pub met: Met,
    told: telling::Told,
    /// Whom an operator's retry has let go in this turn.
    retried: BTreeSet<Subject>,
    jumps: jump::Jumps,
    /// Which incident turned out not to be healed, because a rule fires on past its memory.
    relapsed: Option<IncidentId>,
    /// Which one is to be a trouble again for that.
    owes_relapse: Option<IncidentId>,
    /// How often a late repeat of an alert was ignored.
    ignored: BTreeMap<Key, u32>,
    /// When anybody lied last, the engine was away, or the configuration was changed, by the time of
    /// the world.
    disturbed_at: Option<Timestamp>,
    /// The truth, as far as the laws need it.
    pub truth: Truth,
    notices: notices::Notices,
    /// Whose it is what each alert is about, where a policy wants to know.
    owners: BTreeMap<EpisodeId, owner::Sought>,
    standing: BTreeMap<ApprovalId, people::Ahead>,
}

/// What a notification says ended of which it says that it fires with other labels.
fn changed_in(letter: &[&Observation]) -> Vec<Changed> {
    let bare = |observation: &Observation| without_value(&observation.alert.labels);
    let over = letter.iter().filter(|observation| observation.status == Status::Resolved);
    let fires = |over: &Observation| {
        let mut others = letter.iter().filter(|other| other.status == Status::Firing);
        others.find(|other| bare(other) == bare(over)).map(|other| other.alert.clone())
    };
    let changed = over.filter_map(|observation| {
        let (over, ends_at) = (key(&observation.alert), observation.ends_at);
        Some(Changed { over, ends_at, fires: fires(observation)? })
    });
    changed.collect()
}

impl Oracle {
    /// Knows the world, and nothing of what happens yet.
    pub fn new(script: &Script) -> Self {
        Self { truth: Truth::new(script), ..Self::default() }
    }

    /// Notes what the engine is about to be told.
    pub fn hear(&mut self, events: &[Event]) -> Heard {
        let mut heard = Heard::default();
        let mut letter: Vec<&Observation> = Vec::new();
        for event in events {
            match event {
                Event::Observed { observation, more, .. } => {
                    letter.push(observation);
                    if !more {
                        heard.changed.extend(changed_in(&letter));
                        letter.clear();
                    }
                    if observation.status == Status::Firing {
                        heard.rosters.push(Roster::Named(key(&observation.alert)));
                    }
                    heard.observations.push((**observation).clone());
                }
                Event::Vouched { observation, evidence } => {
                    heard.rosters.push(Roster::Named(key(&observation.alert)));
                    heard.vouched.push((key(&observation.alert), evidence.clone()));
                }
                Event::OwnerTold { episode, evidence } => {
                    heard.owners.push((*episode, evidence.clone()));
                }
                Event::Answered { incident, step, evidence, .. } => {
                    heard.answers.push((*incident, *step, evidence.clone()));
                }
                Event::OrderEnded { order, ended } => {
                    heard.ended.push((order.clone(), ended.clone()));
                }
                Event::OrderFound { order, found } => {
                    heard.found.push((order.clone(), found.clone()));
                }
                Event::Command { incident, command, by, .. } => {
                    heard.commands.push((*incident, *command, by.clone()));
                }
                Event::Revoke { approval, .. } => heard.revoked.push(*approval),
                Event::Polled(poll) => {
                    heard.rosters.push(Roster::Poll(poll.clone()));
                }
                Event::RulesPolled { episodes, evidence } => {
                    heard.rosters.push(Roster::Rules(episodes.clone(), evidence.clone()));
                }
                Event::ClockJumped(jump) => self.lives_through(jump),
                Event::Pause { .. } => heard.paused = Some(true),
                Event::Resume { .. } => heard.paused = Some(false),
                _ => {}
            }
        }
        // What ends in the same group after all, ends.
        let observations = &heard.observations;
        heard.changed.retain(|Changed { fires, .. }| {
            let of = |told: &&Observation| key(&told.alert) == key(fires);
            let last = observations.iter().rev().find(of);
            last.is_some_and(|told| told.status == Status::Firing)
        });
        heard
    }

    /// Judges one committed turn.
    ///
    /// # Errors
    ///
    /// The first law that it broke.
    pub fn watch(
        &mut self,
        heard: &Heard,
        turn: &Turn,
        state: &State,
        book: &Book,
        shown: Timestamp,
    ) -> Verdict {
        let now = self.listen(heard, shown);
        self.retried.clear();
        for fact in &turn.facts {
            self.follow_owners(&fact.what, (heard, book), self.hours.own(fact.at))?;
            self.see(fact, heard, book)?;
            self.follow_notices(&fact.what);
            self.note_flight(&fact.what);
            self.note_telling(&fact.what, now);
            self.note_trials(&fact.what, now);
            self.follow_storms(&fact.what, book, now)?;
        }
        self.storms_end(now)?;
        self.is_voided(turn, now)?;
        self.standing_is_sound(turn, book, now)?;
        self.missing_have_ended(now)?;
        self.told_guards_hold(now)?;
        self.notices_end(now)?;
        self.relapses_are_open(book, now)?;
        self.begun_anew_is_new(now)?;
        self.owners_are_asked(state, book, now)?;
        Self::effects_follow_facts(turn, now)?;
        self.nothing_is_lost(heard, now)?;
        self.count_ignored(heard, now);
        self.running_is_counted(state, now)
    }

    /// Takes in what was heard, and returns when that was.
    fn listen(&mut self, heard: &Heard, shown: Timestamp) -> Timestamp {
        let now = self.hours.own(shown);
        self.note_lies();
        self.count_absences(heard, shown);
        self.note_accepted(heard, now);
        self.take_in(heard, now);
        now
    }

    /// Judges an effect in the moment in which it is performed.
    ///
    /// # Errors
    ///
    /// The law that it breaks.
    pub fn performs(&mut self, effect: &Effect, acts: &Acts, shown: Timestamp) -> Verdict {
        let now = self.hours.own(shown);
        match effect {
            Effect::Run(run) => self.runs_once_and_alone(run, acts, now),
            _ => Ok(()),
        }
    }

    fn take_in(&mut self, heard: &Heard, now: Timestamp) {
        if let Some(paused) = heard.paused {
            self.paused = paused;
        }
        let mut looked = Vec::new();
        let valid = heard.answers.iter().filter(|(.., evidence)| !self.hours.is_void(evidence));
        for (incident, step, evidence) in valid {
            if let Some(case) = self.cases.get_mut(incident).filter(|case| case.step == *step) {
                case.answer = Some((now, evidence.clone()));
                if case.proving_since.is_some() {
                    case.looks.push(evidence.clone());
                    case.knows = self.truth.known_of(*incident, *step);
                    looked.push((*incident, evidence));
                }
            }
        }
        for (incident, evidence) in looked {
            let Some(case) = self.cases.get(&incident) else { continue };
            let sightings = self.sees_more(case, evidence);
            if let Some(case) = self.cases.get_mut(&incident) {
                case.sightings = sightings;
            }
        }
        self.note_what_begins_anew(heard, now);
        self.mention(heard, now);
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each fact that a law is about")]
    fn see(&mut self, fact: &Fact, heard: &Heard, book: &Book) -> Verdict {
        let at = self.hours.own(fact.at);
        match &fact.what {
            What::EpisodeBegan { episode, alert, by, .. } => {
                self.absences.name(*episode, fact.at);
                let is_polled = alert.door == Door::Webhook;
                let listed_since = |roster: &Roster| match roster {
                    Roster::Poll(poll) if is_polled && poll.source == alert.source => {
                        poll.lists(alert.fingerprint)
                    }
                    Roster::Poll(_) | Roster::Named(_) | Roster::Rules(..) => None,
                };
                for since in heard.rosters.iter().filter_map(listed_since) {
                    self.absences.list_perhaps(*episode);
                    self.note_start(key(alert), since, at);
                }
                self.begins(*episode, (alert, by.as_ref()), heard, at)
            }
            What::EpisodeEnded { episode, ending } => {
                if let Ending::Absent { .. } = ending {
                    self.was_missing(*episode, at)?;
                }
                self.ends(*episode, ending, at)
            }
            What::EpisodeListed { episode } => {
                self.absences.list(*episode);
                Ok(())
            }
            What::EpisodeMoved { episode, starts_at } => {
                if let Some(known) = self.episodes.get_mut(episode) {
                    known.alert.starts_at = Some(*starts_at);
                }
                Ok(())
            }
            What::IncidentOpened { incident, .. } => self.opens(*incident, &fact.what, book, at),
            What::EpisodeAttached { incident, episode } => self.attaches(*incident, *episode, at),
            What::EvidenceAsked { incident, step } => {
                if let Some(case) = self.cases.get_mut(incident) {
                    case.looked_at = Some(at);
                    case.step = *step;
                }
                Ok(())
            }
            What::EvidenceSeen { incident, reading, .. } => {
                if let Some(case) = self.cases.get_mut(incident) {
                    case.last_words = truth::words_of(reading);
                }
                // What nobody answered was a look, too.
                let case = self.cases.get_mut(incident);
                let unanswered = |case: &&mut Case| {
                    case.answer.as_ref().is_none_or(|(answered_at, _)| *answered_at != at)
                };
                if let Some(case) = case.filter(unanswered) {
                    case.looks.push(Evidence::none(at));
                }
                Ok(())
            }
            What::ClockJumped { .. } => {
                self.keep_jump();
                Ok(())
            }
            What::BookChanged => {
                self.disturbed_at = Some(self.truth.now());
                self.absences.forget_rows();
                self.reloaded_at = Some(at);
                Ok(())
            }
            What::OrderHeld { incident, holds, until, .. } => {
                self.holds(*incident, (holds, until.map(|until| self.hours.own(until))), book, at)
            }
            What::OrderIssued { order } => {
                self.issues(order, book, at)?;
                let case = self.cases.get(&order.id.incident).filter(|_| !is_undo(&order.id));
                if let Some(sightings) = case.map(|case| self.who_sees(case, at))
                    && let Some(case) = self.cases.get_mut(&order.id.incident)
                {
                    case.sightings = sightings;
                }
                Ok(())
            }
            What::OrderReissued { order } => self.issues_again(order, book, at),
            What::OrderReturned { order } => self.returns(order, heard, at),
            What::OrderEnded { order, ended } => self.order_ends(order, ended, heard, at),
            What::RemedyGivenUp { incident, remedy, reason } => {
                self.gives_up(*incident, remedy, reason, at)
            }
            What::VerificationProlonged { incident, until } => {
                self.met.count("window prolonged for a memory");
                if let Some(case) = self.cases.get_mut(incident) {
                    case.window = Some(self.hours.own(*until));
                }
                Ok(())
            }
            What::AftermathSeen { incident, next, .. } => {
                self.looks_after(*incident, next.is_none(), at);
                Ok(())
            }
            What::VerificationBegan { incident, ended_at, until, .. } => {
                if let Some(case) = self.cases.get_mut(incident) {
                    case.window = Some(self.hours.own(*until));
                    case.looked_at = None;
                    case.proving_since = Some(self.hours.own(*ended_at));
                    let within = case.runs.last().map(|run| run.order.proof.within);
                    let over_at = within.map(|within| (*until - within).max(*ended_at));
                    case.over_at = over_at.map(|at| self.hours.own(at));
                    case.asked = None;
                    case.looks.clear();
                }
                Ok(())
            }
            What::RetryScheduled { incident, .. } => {
                if let Some(case) = self.cases.get_mut(incident) {
                    case.again_since = Some(at);
                }
                Ok(())
            }
            What::TurnedWorse { order, text, .. } => self.turns_worse(order, text, at),
            What::IncidentCommanded { incident, .. } => {
                self.commands(*incident, &fact.what, (heard, book), at)
            }
            What::ApprovalStands { approval } => self.stands(approval, at),
            What::ApprovalEnded { approval, why } => self.is_over(*approval, why, heard, at),
            What::ApprovalAsked { incident, asked, .. } => {
                self.met.count("approval");
                let led_by = self.cases.get(incident).and_then(|case| self.leading(case));
                if let Some(case) = self.cases.get_mut(incident) {
                    let expires_at = self.hours.own(asked.expires_at);
                    let asked = Asked { expires_at, ..asked.clone() };
                    (case.asked, case.approved) = (Some(asked), None);
                    case.votes.clear();
                    case.asked_about = led_by;
                }
                Ok(())
            }
            What::ApprovalVoided { incident, .. } => {
                if let Some(case) = self.cases.get_mut(incident) {
                    (case.asked, case.approved) = (None, None);
                }
                Ok(())
            }
            What::IncidentClosed { incident, closing, .. } => {
                self.is_judged_whole(*incident, closing, heard, book, at)?;
                self.closes(*incident, closing, book, at)
            }
            What::LatchReleased { incident } => self.releases(*incident, book, at),
            What::NoticeRaised { notice } => {
                if let Topic::Escalation { incident } = notice.topic()
                    && let Some(case) = self.cases.get_mut(&incident)
                {
                    case.told = true;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
