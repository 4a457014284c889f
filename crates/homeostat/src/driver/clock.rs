//! The one clock: it never goes back, and notices when the wall clock jumps.
//!
//! ```text
//!  monotonic clock ─┐                    ┌─> now: what the engine lives by
//!                   ├─ readings ─> dial ─┤
//!  wall clock ──────┘                    └─> jump: an event, once the driver asks for it
//! ```
//!
//! What a jump means is not decided here: `homeostat_core::clock` says it.

use std::fmt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use homeostat_core::clock::{Clock as Known, Jump};
use homeostat_core::limits::CLOCK_JUMP;
use homeostat_core::time::Timestamp;
use parking_lot::Mutex;

/// Between the two halves of a reading no more time may pass than this, or it is taken again: a
/// thread that was put to sleep just there would see a wall clock that has jumped.
const AT_ONCE: i64 = 10_000;

/// How often a reading is taken again. A machine that is so busy reads well enough within a minute.
const TRIES: usize = 8;

/// Tells the time.
///
/// Time goes on with the monotonic clock, and follows the wall clock where that is ahead, so that
/// it agrees with what Prometheus and Alertmanager write down. The monotonic clock is the one that
/// stands still while the machine is suspended: nothing was watched meanwhile, and the wall clock
/// has then jumped forwards as if somebody had set it.
///
/// Whoever asks for the time is told it without the jump until the driver has taken that, so that
/// nothing is late before what waits has been moved along.
pub struct Clock {
    read: Box<dyn Fn() -> Reading + Send + Sync>,
    dial: Mutex<Dial>,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("dial", &self.dial).finish_non_exhaustive()
    }
}

impl Default for Clock {
    fn default() -> Self {
        let started = Instant::now();
        Self::of(move || read(started))
    }
}

impl Clock {
    /// Makes the clock of these readings.
    pub(super) fn of(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        let dial = Mutex::new(Dial::new(read()));
        Self { read: Box::new(read), dial }
    }

    /// Returns the time.
    pub fn now(&self) -> Timestamp {
        let mut dial = self.dial.lock();
        dial.tell((self.read)())
    }

    /// Returns what the wall clock shows, by which others stamp what they say.
    pub fn wall(&self) -> Timestamp {
        Timestamp::from_micros((self.read)().wall)
    }

    /// Returns what this clock shows when the wall clock shows that.
    pub fn of_wall(&self, wall: Timestamp) -> Timestamp {
        self.dial.lock().of_wall(wall)
    }

    /// Goes on from where an earlier engine's clock was. What was left of its lead is kept, and no
    /// time is told that is earlier than the last that was written down.
    pub(super) fn resume(&self, known: &Known) {
        let mut dial = self.dial.lock();
        dial.resume((self.read)(), known);
    }

    /// Takes the jump that the wall clock has made since this was last called.
    pub(super) fn take_jump(&self) -> Option<Jump> {
        let mut dial = self.dial.lock();
        dial.take_jump((self.read)())
    }
}

/// What both clocks showed at one moment, in microseconds: since the start, and since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) elapsed: i64,
    pub(super) wall: i64,
}

impl Reading {
    fn offset(self) -> i64 {
        self.wall.saturating_sub(self.elapsed)
    }
}

/// What is added to the monotonic clock, in microseconds.
#[derive(Debug)]
struct Dial {
    /// Gives the time told.
    told: i64,
    /// Gives the wall clock, as it was last followed.
    wall: i64,
    /// The lead over the wall clock that the engine knows of.
    noted: i64,
}

impl Dial {
    fn new(reading: Reading) -> Self {
        Self { told: reading.offset(), wall: reading.offset(), noted: 0 }
    }

    fn resume(&mut self, reading: Reading, known: &Known) {
        self.noted = i64::try_from(known.ahead().as_micros()).unwrap_or(i64::MAX);
        self.told = self.told.max(reading.offset().saturating_add(self.noted));
        if let Some(latest) = known.latest() {
            self.told = self.told.max(latest.micros().saturating_sub(reading.elapsed));
        }
    }

    fn tell(&mut self, reading: Reading) -> Timestamp {
        if !self.is_far(reading) {
            self.follow(reading);
        }
        self.time(reading)
    }

    /// A clock that is steered is followed, and has not jumped, however far it gets: unless small
    /// steps back have added up to a lead that the engine must know of.
    fn take_jump(&mut self, reading: Reading) -> Option<Jump> {
        let from = self.time(reading);
        let expected = if self.is_far(reading) {
            self.wall.saturating_add(reading.elapsed)
        } else {
            from.micros().saturating_sub(self.noted)
        };
        let jumped = self.is_far(reading);
        self.follow(reading);
        let ahead = self.told.saturating_sub(self.wall);
        if !jumped && !is_jump(ahead, self.noted) {
            return None;
        }
        self.noted = ahead;
        let [expected, wall] = [expected, reading.wall].map(Timestamp::from_micros);
        Some(Jump { expected, wall, from, to: self.time(reading) })
    }

    fn of_wall(&self, wall: Timestamp) -> Timestamp {
        let ahead = self.told.saturating_sub(self.wall);
        Timestamp::from_micros(wall.micros().saturating_add(ahead))
    }

    fn is_far(&self, reading: Reading) -> bool {
        is_jump(reading.offset(), self.wall)
    }

    fn follow(&mut self, reading: Reading) {
        self.wall = reading.offset();
        self.told = self.told.max(self.wall);
    }

    fn time(&self, reading: Reading) -> Timestamp {
        Timestamp::from_micros(self.told.saturating_add(reading.elapsed))
    }
}

fn is_jump(one: i64, other: i64) -> bool {
    one.abs_diff(other) > CLOCK_JUMP.as_micros()
}

fn read(started: Instant) -> Reading {
    let elapsed = || i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX);
    let mut reading = Reading { elapsed: elapsed(), wall: wall() };
    for _ in 0..TRIES {
        let after = elapsed();
        if after.saturating_sub(reading.elapsed) <= AT_ONCE {
            break;
        }
        reading = Reading { elapsed: after, wall: wall() };
    }
    reading
}

fn wall() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use homeostat_core::clock::Leap;
    use homeostat_core::fact::{Fact, What};
    use homeostat_core::state::State;
    use homeostat_core::time::Span;

    use super::*;

    /// When the clock is made, in seconds of the wall clock.
    const BEGIN: i64 = 1_000_000;

    /// A reading so many seconds after the start, of a wall clock that is off by so many.
    fn reading(elapsed: i64, off: i64) -> Reading {
        Reading { elapsed: elapsed * 1_000_000, wall: (BEGIN + elapsed + off) * 1_000_000 }
    }

    fn dial() -> Dial {
        Dial::new(reading(0, 0))
    }

    /// What is told, in seconds since the start.
    fn told(dial: &mut Dial, reading: Reading) -> i64 {
        dial.tell(reading).seconds() - BEGIN
    }

    /// How far a jump was, and by how much the engine's clock followed and is ahead.
    fn jump(dial: &mut Dial, reading: Reading) -> Option<(Leap, u64, u64)> {
        let jump = dial.take_jump(reading)?;
        let seconds = |span: Span| span.as_millis() / 1000;
        Some((jump.leap(), seconds(jump.followed()), seconds(jump.to.since(jump.wall))))
    }

    fn secs(seconds: u64) -> Span {
        Span::from_secs(seconds)
    }

    #[test]
    fn time_never_goes_back_and_agrees_with_the_wall() {
        let clock = Clock::default();
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        assert!((last.micros() - wall()).abs() < 1_000_000);
        assert_eq!(clock.take_jump(), None);
    }

    #[test]
    fn a_clock_that_is_steered_is_followed_and_has_not_jumped() {
        let mut dial = dial();
        for minute in 1..=100 {
            let reading = reading(minute * 60, minute * 60);
            assert_eq!(jump(&mut dial, reading), None, "a minute a minute is no jump");
            assert_eq!(told(&mut dial, reading), minute * 120);
        }
    }

    #[test]
    fn forwards_the_time_follows_once_the_driver_has_taken_the_jump() {
        let mut dial = dial();
        let set = |elapsed| reading(elapsed, 3600);
        assert_eq!(told(&mut dial, set(10)), 10, "what waits has not been moved along yet");
        assert_eq!(jump(&mut dial, set(11)), Some((Leap::Forwards(secs(3600)), 3600, 0)));
        assert_eq!(told(&mut dial, set(12)), 3612);
        assert_eq!(jump(&mut dial, set(13)), None, "it is taken once");
    }

    #[test]
    fn back_the_time_goes_on_and_the_lead_is_known() {
        let mut dial = dial();
        let set = |elapsed| reading(elapsed, -3600);
        assert_eq!(told(&mut dial, set(10)), 10);
        assert_eq!(jump(&mut dial, set(11)), Some((Leap::Back(secs(3600)), 0, 3600)));
        assert_eq!(told(&mut dial, set(12)), 12);
        assert_eq!(jump(&mut dial, set(13)), None);
        let wall = Timestamp::from_micros(set(13).wall);
        assert_eq!(dial.of_wall(wall), dial.tell(set(13)), "stamps of the wall clock have a place");
        // It is put right: the engine's clock has nothing to follow.
        assert_eq!(jump(&mut dial, reading(20, 0)), Some((Leap::Forwards(secs(3600)), 0, 0)));
        assert_eq!(told(&mut dial, reading(21, 0)), 21);
    }

    #[test]
    fn small_steps_back_are_a_jump_once_they_have_added_up() {
        let mut dial = dial();
        assert_eq!(jump(&mut dial, reading(10, -40)), None);
        assert_eq!(told(&mut dial, reading(11, -60)), 11);
        assert_eq!(jump(&mut dial, reading(11, -60)), None);
        let found = jump(&mut dial, reading(20, -90));
        assert_eq!(found, Some((Leap::Back(secs(90)), 0, 90)));
        assert_eq!(jump(&mut dial, reading(30, -100)), None);
    }

    /// What a journal says whose last fact is of this moment, with a lead over the wall clock.
    fn journal(latest: i64, ahead: u64) -> State {
        let at = |seconds| Timestamp::from_seconds(BEGIN + seconds);
        let mut state = State::default();
        let leap = Leap::Back(secs(ahead));
        let jump = Jump::new(state.clock(), leap, at(latest));
        state.apply(&Fact { at: at(latest), what: What::ClockJumped { jump } });
        state
    }

    #[test]
    fn a_start_goes_on_from_what_was_written_down() {
        // The engine was away for a minute, and its lead is as it was.
        let mut dial = dial();
        dial.resume(reading(0, 0), journal(3540, 3600).clock());
        assert_eq!(jump(&mut dial, reading(1, 0)), None);
        assert_eq!(told(&mut dial, reading(1, 0)), 3601);
        // Meanwhile the clock was set back further.
        let mut dial = Dial::new(reading(0, -7200));
        dial.resume(reading(0, -7200), journal(3540, 3600).clock());
        assert_eq!(jump(&mut dial, reading(1, -7200)), Some((Leap::Back(secs(7140)), 0, 10_740)));
        assert_eq!(told(&mut dial, reading(1, -7200)), 3541);
        // Forwards nobody can tell it from the time that the engine was away.
        let mut dial = Dial::new(reading(0, 7200));
        dial.resume(reading(0, 7200), journal(0, 0).clock());
        assert_eq!(jump(&mut dial, reading(1, 7200)), None);
        assert_eq!(told(&mut dial, reading(1, 7200)), 7201);
    }
}
