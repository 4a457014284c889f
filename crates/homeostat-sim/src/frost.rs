//! Random time intervals in which nothing may be done: of a clock, of a week, of a month, in zones
//! whose clocks are changed while the world lasts.

use std::ops::{Range, RangeInclusive};

use homeostat_core::interval::{Part, TimeInterval};

use crate::random::Dice;
use crate::zone::ZONES;

/// Draws an interval.
pub fn draw(dice: &mut Dice, number: u64) -> TimeInterval {
    let parts = (0..dice.range(1, 2)).map(|_| part(dice)).collect();
    TimeInterval { name: format!("freeze {number}").into(), parts }
}

fn part(dice: &mut Dice) -> Part {
    let mut part = Part {
        times: Vec::new(),
        weekdays: Vec::new(),
        days_of_month: Vec::new(),
        months: Vec::new(),
        years: Vec::new(),
        zone: dice.pick(&ZONES).value(),
    };
    part.times = match dice.below(4) {
        // Whole days, of few worlds: there nothing is done at all.
        0 if dice.percent(15) => Vec::new(),
        0 | 1 => some_of_each_hour(dice),
        2 => vec![some_hours(dice)],
        _ => vec![minute(dice, 22 * 60, 1_439)..1_440, 0..minute(dice, 1, 120)],
    };
    // Every world begins on a Monday, the fifth of January.
    match dice.below(6) {
        0 => part.weekdays = vec![weekday(dice)],
        1 | 4 => part.days_of_month = vec![days(dice)],
        2 => part.months = vec![dice.pick(&[1..=1, 1..=12, 2..=12]).clone()],
        3 => part.years = vec![dice.pick(&[2026..=2026, 2020..=2030, 2027..=2028]).clone()],
        _ => {}
    }
    part
}

fn days(dice: &mut Dice) -> RangeInclusive<i8> {
    dice.pick(&[5..=5, 1..=6, -27..=-1, -31..=-27, 6..=31]).clone()
}

fn weekday(dice: &mut Dice) -> RangeInclusive<i8> {
    dice.pick(&[1..=1, 2..=5, 0..=6, 1..=3]).clone()
}

fn some_of_each_hour(dice: &mut Dice) -> Vec<Range<u16>> {
    let from = minute(dice, 0, 50);
    let to = (from + minute(dice, 3, 20)).min(60);
    (0..24).map(|hour| hour * 60 + from..hour * 60 + to).collect()
}

fn some_hours(dice: &mut Dice) -> Range<u16> {
    let from = minute(dice, 0, 23 * 60);
    from..(from + minute(dice, 20, 240)).min(1_440)
}

fn minute(dice: &mut Dice, from: u64, to: u64) -> u16 {
    u16::try_from(dice.range(from, to)).unwrap_or(0)
}
