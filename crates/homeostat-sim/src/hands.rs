//! Remedies of hands that say first what would come of them, and what is looked at beside acts.
//!
//! Not all worlds have them. What there is of it is drawn by name, so that the other worlds stay what they
//! were.

use std::sync::Arc;

use homeostat_core::collect::{self, Collector, Looked, Moment};
use homeostat_core::errand::{Errand, ErrandTemplate, FieldTemplate, Form};
use homeostat_core::event::Run;
use homeostat_core::evidence::{Rehearsal, Trouble};
use homeostat_core::policy::{Action, Book, Managed};
use homeostat_core::template::Template;
use homeostat_core::time::Timestamp;

use crate::random::Fate;

/// Worlds of a hundred that have hands.
const WORLDS: u64 = 20;

/// Gives the remedies of some worlds to a hand, and lets some policies look.
pub fn give(fate: Fate, books: &mut [Book]) {
    if !fate.of("hands", &[]).percent(WORLDS) {
        return;
    }
    for (number, book) in books.iter_mut().enumerate() {
        let mut policies = book.policies().to_vec();
        for policy in &mut policies {
            let name = policy.name.as_str().bytes().map(u64::from).sum();
            let mut dice = fate.of("hands of", &[name]);
            for remedy in &mut policy.remedies {
                if matches!(remedy.action, Action::Exec(_)) && dice.percent(60) {
                    remedy.action = Action::Errand(Box::new(errand()));
                }
                if dice.percent(25) {
                    remedy.collect = vec![collector("of the remedy", None)];
                }
            }
            if dice.percent(40) {
                let when = *dice.pick(&[None, Some(Moment::Before), Some(Moment::After)]);
                policy.collect = vec![collector("of the policy", when)];
            }
            // What a reload may change.
            let mut own = fate.of("hands of a book", &[name, number as u64]);
            policy.guard.managed = if own.percent(30) { Managed::Act } else { Managed::Ask };
            policy.guard.dry_run = own.percent(90);
        }
        let (limits, witnesses, teams) =
            (book.limits, book.witnesses.clone(), std::mem::take(&mut book.teams));
        *book = Book::new(policies, limits, witnesses);
        book.teams = teams;
    }
}

fn errand() -> ErrandTemplate {
    let instance = Template::parse("{{ labels.instance }}").expect("it is a template");
    let fields = vec![(Arc::from("node"), FieldTemplate::Text(instance, Form::HOST))];
    ErrandTemplate { hand: "cluster".into(), verb: "restart".into(), fields, rehearsed: true }
}

fn collector(name: &str, when: Option<Moment>) -> Collector {
    // The second one lacks what it needs now and then.
    let look = |text: &str| Template::parse(text).expect("it is a template");
    let at = Looked::Exec(vec![look("look"), look("{{ labels.zone }}")]);
    Collector { name: name.into(), when, at }
}

/// What a hand says of what it is not to do yet. It changes its mind from minute to minute.
pub fn says(fate: Fate, errand: &Errand, now: Timestamp) -> Result<Rehearsal, Trouble> {
    let minute = now.micros().unsigned_abs() / 60_000_000;
    let on: u64 = errand
        .to_string()
        .bytes()
        .fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut dice = fate.of("rehearsal", &[on, minute]);
    // Who manages it does not change.
    let managed = fate.of("managed", &[on]).percent(25);
    match dice.below(100) {
        0..8 => Err(Trouble("no answer from the cluster".into())),
        8..20 => Ok(Rehearsal::NotNow("held_by_budget".into())),
        20..23 => Ok(Rehearsal::Refused("forbidden".into())),
        _ => Ok(Rehearsal::Accepted { managed_by: managed.then(|| "Argo CD".to_owned()) }),
    }
}

/// What the looks beside a run find.
pub fn found(run: &Run, moment: Moment) -> Vec<collect::Found> {
    let looks = run.order.looks(moment).iter();
    let found = |look: &collect::Look| collect::Found {
        name: look.name.clone(),
        at: look.at.to_string(),
        text: "load 7".into(),
        cut: false,
        trouble: None,
    };
    looks.map(found).collect()
}
