//! Jumps of the wall clock, as scenarios: what waits waits for as long as it would have, what was
//! known is asked anew, and what a person has approved is void.

use std::sync::Arc;

use crate::stage::*;
use homeostat_core::alert::{Alert, Door, Observation, Status};
use homeostat_core::clock::{Jump, Leap};
use homeostat_core::engine::Engine;
use homeostat_core::event::{Event, Remark};
use homeostat_core::evidence::Evidence;
use homeostat_core::fact::What;
use homeostat_core::hold::{Guard, Hold};
use homeostat_core::incident::{End, Stage};
use homeostat_core::interval::{Part, TimeInterval};
use homeostat_core::notice::{Matter, Notice, Topic};
use homeostat_core::order::Found;
use homeostat_core::policy::{
    BlastRadius, Book, BookLimits, Escalate, Extent, Mode, Policy, Rate, Remedy, Verify,
};
use homeostat_core::scenario::{Answer, Scenario};
use homeostat_core::state::State;
use homeostat_core::template::Template;
use homeostat_core::time::{Span, Timestamp};

const HOUR: Leap = Leap::Forwards(Span::from_secs(3600));
const HOUR_BACK: Leap = Leap::Back(Span::from_secs(3600));

fn state(play: &Scenario) -> &'static str {
    play.incident().unwrap().stage.as_str()
}

fn outcome(play: &Scenario) -> (End, String) {
    match &play.incident().unwrap().stage {
        Stage::Closed { closing, .. } => (closing.outcome, closing.reason.to_string()),
        stage => panic!("not closed: {stage:?}"),
    }
}

fn held_by(play: &Scenario) -> Vec<Guard> {
    match &play.incident().unwrap().stage {
        Stage::Held { holds, .. } => holds.iter().map(Hold::guard).collect(),
        stage => panic!("not held: {stage:?}"),
    }
}

fn topics(play: &Scenario) -> Vec<Topic> {
    play.told().map(Notice::topic).collect()
}

/// How long after now the incident moves by itself.
fn moves_in(play: &Scenario) -> Span {
    play.incident().unwrap().wakes_at().unwrap().since(play.now())
}

/// From hour to hour, each day.
fn hours(from: u16, to: u16) -> Arc<TimeInterval> {
    let part = Part {
        times: std::iter::once(from * 60..to * 60).collect(),
        weekdays: Vec::new(),
        days_of_month: Vec::new(),
        months: Vec::new(),
        years: Vec::new(),
        zone: jiff::tz::TimeZone::UTC,
    };
    Arc::new(TimeInterval { name: "hours".into(), parts: vec![part] })
}

fn both_ways(check: impl Fn(Leap)) {
    for leap in [HOUR, HOUR_BACK] {
        check(leap);
    }
}

#[test]
fn an_alert_settles_for_as_long_as_it_would_have() {
    both_ways(|leap| {
        let mut play = witnessed(Policy { settle: secs(300), ..ladder() });
        fire(&mut play, A);
        play.advance(secs(100));
        play.jump(leap);
        assert_eq!(moves_in(&play), secs(200), "{leap}");
        play.advance(secs(199));
        assert!(orders(&mut play).is_empty());
        play.advance(secs(1));
        assert_eq!(orders(&mut play), ["1.restart.1"]);
    });
}

#[test]
fn a_retry_backs_off_for_as_long_as_it_would_have() {
    let mut first = remedy("restart");
    (first.retries, first.backoff) = (1, secs(60));
    let mut play = witnessed(policy(vec![first]));
    fire(&mut play, A);
    play.exit("restart", FAILED);
    play.advance(secs(20));
    play.jump(HOUR);
    play.advance(secs(39));
    assert_eq!(orders(&mut play), ["1.restart.1"]);
    play.advance(secs(1));
    assert_eq!(orders(&mut play), ["1.restart.2"]);
}

#[test]
fn a_cooldown_a_rate_and_a_blast_radius_keep_their_remaining_time() {
    let radius = BlastRadius { window: secs(600), extent: Extent::Targets(1) };
    for (guard, limit) in [
        (Guard::Cooldown, None),
        (Guard::Rate, Some(Rate { max: 1, per: secs(600) })),
        (Guard::BlastRadius, None),
    ] {
        let mut web = policy(vec![remedy("restart")]);
        match guard {
            Guard::Cooldown => {
                web.guard.cooldown = secs(600);
                web.relapse = secs(1);
            }
            Guard::Rate => web.guard.rate = limit.unwrap(),
            _ => web.guard.blast_radius = Some(radius.clone()),
        }
        let mut play = witnessed(web);
        fire(&mut play, A);
        resolve(&mut play, A);
        play.exit("restart", DONE);
        play.advance(secs(5));
        assert_eq!(closings(play.journal()).len(), 1, "{guard}");
        play.take_orders();
        play.advance(secs(95));
        fire(&mut play, if guard == Guard::Cooldown { A } else { B });
        assert_eq!(held_by(&play), [guard]);
        let left = moves_in(&play);
        play.jump(HOUR);
        assert_eq!(held_by(&play), [guard]);
        assert_eq!(moves_in(&play), left, "{guard}");
        play.advance(left.saturating_sub(secs(1)));
        assert!(orders(&mut play).is_empty(), "{guard}");
        play.advance(secs(1));
        assert_eq!(orders(&mut play).len(), 1, "{guard}");
    }
}

#[test]
fn what_comes_back_in_the_time_of_a_relapse_is_one() {
    let mut play = witnessed(Policy { relapse: secs(600), ..ladder() });
    fire(&mut play, A);
    resolve(&mut play, A);
    play.exit("restart", DONE);
    play.advance(secs(5));
    play.jump(HOUR);
    play.advance(secs(5));
    fire(&mut play, A);
    assert!(play.incident().unwrap().relapse_of.is_some());
}

#[test]
fn a_freeze_is_by_the_calendar() {
    let mut web = ladder();
    web.escalate = Escalate::Nobody;
    web.guard.freeze = vec![hours(10, 12)];
    let mut play = witnessed(web.clone());
    play.jump(HOUR);
    fire(&mut play, A);
    assert_eq!(held_by(&play), [Guard::Freeze], "it is ten");
    play.jump(HOUR_BACK);
    assert_eq!(orders(&mut play), ["1.restart.1"], "it is nine again");

    let mut play = witnessed(web);
    play.advance(secs(90 * 60));
    fire(&mut play, A);
    assert_eq!((held_by(&play), moves_in(&play)), (vec![Guard::Freeze], secs(90 * 60)));
    play.jump(HOUR);
    assert_eq!((held_by(&play), moves_in(&play)), (vec![Guard::Freeze], secs(30 * 60)));
    play.advance(secs(30 * 60));
    assert_eq!(orders(&mut play), ["1.restart.1"]);
}

#[test]
fn a_question_is_asked_anew_and_an_earlier_answer_is_not_taken() {
    let mut play = witnessed(Policy { settle: secs(10), ..ladder() });
    fire(&mut play, A);
    let step = play.incident().unwrap().step;
    play.jump(HOUR);
    play.advance(secs(10));
    assert!(play.incident().unwrap().step > step);
    assert_eq!(orders(&mut play), ["1.restart.1"]);

    // Nobody answered before the jump; what arrives after it was gathered before.
    let mut play = Unanswered::new(ladder());
    let step = play.step();
    let jump = play.jump(HOUR);
    play.turn(vec![Event::ClockJumped(jump)]);
    assert_eq!(play.step(), step + 1, "it is asked anew");
    play.answer(step);
    assert_eq!(play.step(), step + 1);
    assert_eq!(play.stage(), "waiting");
}

/// An engine whose questions are not answered by themselves.
struct Unanswered {
    engine: Engine,
    now: Timestamp,
}

impl Unanswered {
    fn new(policy: Policy) -> Self {
        let book = Arc::new(book(policy, everybody()));
        let state = State::default();
        let engine = Engine::restore(state, book, start_time());
        let mut this = Self { engine, now: start_time() };
        let mut play = alone(ladder());
        fire(&mut play, A);
        let alert = play.journal().iter().find_map(|fact| match &fact.what {
            What::EpisodeBegan { alert, .. } => Some(alert.clone()),
            _ => None,
        });
        let (alert, status) = (alert.unwrap(), Status::Firing);
        this.turn(vec![Event::observed(Observation {
            alert,
            status,
            ends_at: None,
            unproven: None,
            by: None,
        })]);
        this
    }

    fn turn(&mut self, events: Vec<Event>) {
        self.engine.turn(events, self.now);
    }

    fn jump(&mut self, leap: Leap) -> Jump {
        let clock = self.engine.state().clock();
        let jump = Jump::new(clock, leap, self.now);
        self.now = jump.to;
        jump
    }

    fn answer(&mut self, step: u32) {
        let incident = self.engine.state().incidents().next().unwrap().id;
        let (evidence, presence) = (Evidence::none(self.now), Vec::new());
        self.turn(vec![Event::Answered { incident, step, evidence, presence }]);
    }

    fn step(&self) -> u32 {
        self.engine.state().incidents().next().unwrap().step
    }

    fn stage(&self) -> &'static str {
        self.engine.state().incidents().next().unwrap().stage.as_str()
    }
}

fn proven() -> Policy {
    let query = Some(Template::parse("up == 1").unwrap());
    let verify =
        Verify { query, times: 3, every: secs(10), within: secs(60), ..Policy::observe().verify };
    Policy { verify, ..ladder() }
}

#[test]
fn a_proof_begins_anew_in_the_time_that_its_window_had_left() {
    both_ways(|leap| {
        let mut play = Scenario::new(book(proven(), everybody()), start_time());
        play.answer(Answer::Query(1));
        fire(&mut play, A);
        resolve(&mut play, A);
        play.exit("restart", DONE);
        play.advance(secs(15));
        let held = |play: &Scenario| match &play.incident().unwrap().stage {
            Stage::Verifying(verification) => (verification.held, verification.until),
            stage => panic!("not verifying: {stage:?}"),
        };
        let (held_before, until) = held(&play);
        assert_eq!((held_before, until.since(play.now())), (2, secs(45)));
        play.jump(leap);
        let (held_after, until) = held(&play);
        assert_eq!((held_after, until.since(play.now())), (0, secs(45)), "{leap}");
        play.advance(secs(10));
        assert_eq!(state(&play), "verifying", "once is not three times");
    });
}

#[test]
fn forwards_a_healing_is_proven_by_what_was_evaluated_since() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    play.advance(secs(2));
    resolve(&mut play, A);
    play.answer(Answer::RuleKeptFiring(secs(5)));
    play.exit("restart", DONE);
    play.advance(secs(5));
    play.answer(Answer::RuleStuck);
    play.jump(HOUR);
    play.advance(secs(20));
    assert_eq!(state(&play), "verifying", "it was evaluated after the action, but before the jump");
    play.answer(Answer::RulesTruth);
    play.advance(secs(20));
    assert_eq!(closings(play.journal())[0].outcome, End::Healed);
}

#[test]
fn back_the_evidence_for_an_earlier_action_is_unknown_and_for_a_later_one_is_good() {
    let mut play = witnessed(ladder());
    fire(&mut play, A);
    play.exit("restart", DONE);
    play.jump(HOUR_BACK);
    play.advance(secs(61));
    let (end, reason) = outcome(&play);
    assert_eq!(end, End::Escalated, "a rule that fires is no proof either: {reason}");
    assert!(reason.contains("was not evaluated since the action"), "{reason}");

    let mut play = witnessed(ladder());
    play.jump(HOUR_BACK);
    play.advance(secs(1));
    fire(&mut play, A);
    play.exit("restart", DONE);
    play.advance(secs(61));
    assert_eq!(
        orders(&mut play),
        ["1.restart.1", "1.reboot.1"],
        "it was evaluated since, and fires"
    );
    resolve(&mut play, A);
    play.exit("reboot", DONE);
    play.advance(secs(20));
    assert_eq!(closings(play.journal())[0].outcome, End::Healed);
}

#[test]
fn a_question_to_a_person_expires() {
    both_ways(|leap| {
        let asking = Remedy { mode: Mode::Approve, ..remedy("reboot") };
        let mut play = alone(policy(vec![asking]));
        fire(&mut play, A);
        let incident = play.incident().unwrap().id;
        assert_eq!(topics(&play), [Topic::Approval { incident }]);
        play.jump(leap);
        let reason = format!(
            "the wall clock jumped {leap}: the question whether remedy reboot may run is void; it \
             was not run"
        );
        assert_eq!(outcome(&play), (End::Escalated, reason));
        assert_eq!(topics(&play), [Topic::Escalation { incident }]);
        assert!(orders(&mut play).is_empty());
    });
}

#[test]
fn an_approval_that_was_not_made_use_of_expires() {
    let asking = Remedy { mode: Mode::Approve, ..remedy("reboot") };
    let mut play = alone(policy(vec![asking]));
    fire(&mut play, A);
    play.send(Event::Pause { by: "sre".into(), reason: "deploy".into() });
    play.approve("ada");
    assert_eq!(held_by(&play), [Guard::Pause]);
    play.jump(HOUR);
    let reason = "the wall clock jumped forwards by 1h: the approval of remedy reboot is void; it \
                  was not run";
    assert_eq!(outcome(&play), (End::Escalated, reason.to_owned()));
    assert!(matches!(play.told().next().unwrap().matter, Matter::Escalation { .. }));
    play.send(Event::Resume { by: "sre".into(), reason: String::new() });
    assert!(orders(&mut play).is_empty());
}

#[test]
fn what_was_mentioned_before_a_jump_is_not_taken_for_fresh() {
    both_ways(|leap| {
        let mut play = alone(Policy { settle: secs(10), ..ladder() });
        fire(&mut play, A);
        play.jump(leap);
        play.advance(secs(10));
        assert_eq!(held_by(&play), [Guard::Fresh], "{leap}");
        fire(&mut play, A);
        assert_eq!(orders(&mut play), ["1.restart.1"]);
    });
}

fn by_api() -> Alert {
    let mut other = alone(ladder());
    other.fire("api", Door::Api, A);
    let alert = other.journal().iter().find_map(|fact| match &fact.what {
        What::EpisodeBegan { alert, .. } => Some(alert.clone()),
        _ => None,
    });
    alert.unwrap()
}

/// Tells the alerts API since when it fires, and until when that is to be believed.
fn say(play: &mut Scenario, starts_at: Timestamp, ends_at: Timestamp) -> Option<Remark> {
    let alert = Alert { starts_at: Some(starts_at), ..by_api() };
    let (status, ends_at) = (Status::Firing, Some(ends_at));
    play.observe(Observation { alert, status, ends_at, unproven: None, by: None })
}

/// Fires by the alerts API, to be believed for so long.
fn send_for(play: &mut Scenario, span: Span) {
    let ends_at = play.wall() + span;
    say(play, start_time(), ends_at);
}

#[test]
fn an_alert_lapses_when_it_would_have() {
    both_ways(|leap| {
        let mut play = alone(Policy { settle: secs(7200), ..ladder() });
        send_for(&mut play, secs(900));
        play.advance(secs(400));
        play.jump(leap);
        play.advance(secs(499));
        assert_eq!(play.state().count_firing(), 1, "{leap}");
        play.advance(secs(1));
        assert_eq!(play.state().count_firing(), 0, "{leap}");
        // What its sender says after the jump is by the wall clock of after the jump.
        send_for(&mut play, secs(300));
        play.advance(secs(299));
        assert_eq!(play.state().count_firing(), 1, "{leap}");
        play.advance(secs(1));
        assert_eq!(play.state().count_firing(), 0, "{leap}");
    });
}

#[test]
fn a_person_is_told_when_they_would_have_been() {
    let mut web = ladder();
    web.guard.freeze = vec![hours(0, 24)];
    let mut play = witnessed(web);
    fire(&mut play, A);
    play.advance(secs(3000));
    play.jump(HOUR);
    play.advance(secs(599));
    assert_eq!(play.told().count(), 0);
    play.advance(secs(1));
    assert_eq!(play.told().count(), 1);
}

#[test]
fn what_a_jump_moved_is_so_after_a_crash() {
    let mut play = witnessed(Policy { settle: secs(300), ..ladder() });
    play.jump(HOUR_BACK);
    fire(&mut play, A);
    play.advance(secs(100));
    play.jump(HOUR);
    play.jump(HOUR);
    play.crash(&Found::NotStarted);
    assert_eq!(play.wall(), play.now());
    assert_eq!(play.state().clock().latest(), Some(play.now()));
    play.advance(secs(200));
    assert_eq!(orders(&mut play), ["1.restart.1"]);
}

#[test]
fn back_an_end_after_the_jump_is_later_than_a_beginning_before_it() {
    let mut play = alone(Policy { settle: secs(7200), ..ladder() });
    fire(&mut play, A);
    play.jump(HOUR_BACK);
    play.advance(secs(60));
    assert_eq!(resolve(&mut play, A), Some(Remark::Ended), "its endsAt is before its startsAt");
    play.advance(secs(60));
    assert_eq!(fire(&mut play, A), Some(Remark::Began));
    // Of two stamps of before a jump the earlier one is earlier.
    play.advance(secs(60));
    play.jump(HOUR_BACK);
    let alert = play.incident().unwrap().episodes.iter().last().unwrap().episode;
    let alert = play.state().episode(alert).unwrap().alert.clone();
    assert!(alert.starts_at.unwrap() > play.wall());
    let ends_at = alert.starts_at.map(|starts_at| starts_at - secs(1));
    let stale = Observation { alert, status: Status::Resolved, ends_at, unproven: None, by: None };
    assert_eq!(play.observe(stale), Some(Remark::Stale));
}

#[test]
fn back_a_firing_after_the_jump_is_later_than_an_end_before_it() {
    let mut play = alone(Policy { settle: secs(7200), ..ladder() });
    fire(&mut play, A);
    play.advance(secs(60));
    let began = play.wall();
    resolve(&mut play, A);
    play.jump(HOUR_BACK);
    play.advance(secs(60));
    assert_eq!(fire(&mut play, A), Some(Remark::Began), "its startsAt is before the last endsAt");
    play.advance(secs(60));
    resolve(&mut play, A);
    assert!(play.wall() < began);
    assert_eq!(fire(&mut play, A), Some(Remark::Stale), "it ended at that very moment");
}

#[test]
fn back_an_alert_of_the_api_without_an_end_is_believed_for_as_long_as_ever() {
    let mut play = alone(Policy { settle: secs(7200), ..ladder() });
    play.jump(HOUR_BACK);
    play.fire("api", Door::Api, A);
    play.advance(secs(299));
    assert_eq!(play.state().count_firing(), 1);
    play.advance(secs(1));
    assert_eq!(play.state().count_firing(), 0);
}

/// Of two stamps of before the last jump, nobody can tell any more which is the later one. So the end of an
/// alert was taken for that of an earlier firing, and it fired on until it had lapsed.
#[test]
fn what_an_end_is_about_is_known_though_the_clock_was_set_twice_since() {
    both_ways(|leap| {
        // No incident waits for it: since when it fires is written down only as it begins.
        let mut play =
            Scenario::new(Book::new(Vec::new(), BookLimits::default(), nobody()), start_time());
        let begin = play.wall();
        say(&mut play, begin, begin + secs(900));
        play.advance(secs(60));
        play.jump(HOUR_BACK);
        play.advance(secs(60));
        let again = play.wall();
        say(&mut play, again, again + secs(900));
        play.jump(leap);
        play.advance(secs(60));
        let end = play.wall();
        play.advance(secs(30));
        let believed = play.wall() + secs(900);
        assert_eq!(say(&mut play, again, believed), Some(Remark::Repeated), "late");
        play.advance(secs(30));
        assert_eq!(say(&mut play, again, end), Some(Remark::Ended), "{leap}");
    });
}
