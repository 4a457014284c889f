//! Who may agree: a few people who have a name, and books that ask for several of them.
//!
//! Not all worlds have them. What they do is drawn by name, so that the other worlds stay what they
//! were.

use std::sync::Arc;

use homeostat_core::approval::Terms;
use homeostat_core::operator::{ANONYMOUS, Known, Operator, Way};
use homeostat_core::policy::{Approval, Approvers, Book, Granted, Policy, Remedy};

use crate::cast::Part;
use crate::random::{Dice, Fate};

/// Worlds of a hundred in which people have names.
const WORLDS: u64 = 40;

/// Who there is. The last one is nobody in particular.
pub const PEOPLE: [&str; 4] = ["user:ann", "user:bob", "user:cat", ANONYMOUS];

/// Whether people have names in a world.
pub fn have_names(fate: Fate) -> bool {
    fate.of("people", &[]).percent(WORLDS)
}

/// Somebody, who says of themselves what they like.
pub fn operator(number: usize) -> Operator {
    let who = PEOPLE[number % PEOPLE.len()].to_owned();
    let (way, groups, address) = (Way::Password, Vec::new(), "10.0.0.7:51".to_owned());
    Operator { claimed: "sre".into(), known: Some(Known { who, way, groups, address }) }
}

/// What somebody may approve ahead.
pub fn terms(dice: &mut Dice) -> Terms {
    let uses = u32::try_from(dice.range(1, 3)).unwrap_or(1);
    Terms { uses, lasts: dice.seconds(600, 14_400) }
}

/// Lets some alerts be posted by a person.
pub fn post(cast: &mut [Part]) {
    for part in cast.iter_mut().step_by(5) {
        part.posted_by = Some(PEOPLE[0].into());
    }
}

/// Lets books ask for people, each for others now and then.
pub fn settle(fate: Fate, books: &mut [Book]) {
    for (number, book) in books.iter_mut().enumerate() {
        let number = number as u64;
        let mut policies: Vec<Policy> = book.policies().to_vec();
        for policy in &mut policies {
            let name =
                policy.name.as_str().bytes().map(u64::from).fold(0, |sum, byte| sum * 7 + byte);
            let mut common = fate.of("asks", &[name]);
            let mut own = fate.of("asks instead", &[number, name]);
            let mut asked = approval(&mut common);
            if number > 0 && own.percent(30) {
                asked = approval(&mut own);
            }
            policy.approvers = approvers(if own.percent(70) { &mut common } else { &mut own });
            let other = number > 0 && own.percent(15);
            for remedy in &mut policy.remedies {
                ask(remedy, &asked, other);
            }
        }
        let (polling, teams) = (book.polling, book.teams.clone());
        *book = Book::new(policies, book.limits, book.witnesses.clone());
        book.polling = polling;
        book.teams = teams;
    }
}

fn ask(remedy: &mut Remedy, asked: &Approval, other: bool) {
    remedy.approval = Approval { expires: remedy.approval.expires, ..asked.clone() };
    if other {
        remedy.definition = "in other words".into();
    }
}

fn approval(dice: &mut Dice) -> Approval {
    let count = match dice.below(10) {
        0..3 => None,
        3..5 => Some(1),
        5..9 => Some(2),
        _ => Some(3),
    };
    let by = dice.percent(20).then(|| names(&PEOPLE[..2]));
    Approval { by, count, ..Approval::default() }
}

fn approvers(dice: &mut Dice) -> Approvers {
    let who = match dice.below(10) {
        0..7 => return Approvers::Anybody,
        7 => &PEOPLE[..2],
        8 => &PEOPLE[1..3],
        _ => &PEOPLE[..3],
    };
    let targets = homeostat_core::label::Matchers::default();
    Approvers::Granted(vec![Granted { who: names(who), targets }])
}

fn names(who: &[&str]) -> Arc<[Arc<str>]> {
    who.iter().map(|who| (*who).into()).collect()
}
