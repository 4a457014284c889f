//! Policies that want to know whose it is what an alert is about, and what a hand says of that.
//!
//! Not all worlds have them. What there is of it is drawn by name, so that the other worlds stay what they
//! were.

use std::sync::Arc;

use homeostat_core::errand::{Errand, ErrandTemplate, FieldTemplate, Form};
use homeostat_core::evidence::Trouble;
use homeostat_core::owner::{Owner, Whose};
use homeostat_core::policy::{Book, TargetLabels};
use homeostat_core::template::Template;
use homeostat_core::time::Timestamp;

use crate::random::Fate;

/// Worlds of a hundred that have owners.
const WORLDS: u64 = 12;

/// The label by which policies of such worlds have the owner in their target.
pub const LABEL: &str = "owner_name";

/// Lets some policies of some worlds ask for owners. A reload does not change which.
pub fn give(fate: Fate, books: &mut [Book]) {
    if !fate.of("ownership", &[]).percent(WORLDS) {
        return;
    }
    for book in books {
        let mut policies = book.policies().to_vec();
        for policy in &mut policies {
            let name = policy.name.as_str().bytes().map(u64::from).sum();
            if fate.of("owners of", &[name]).percent(35) {
                continue;
            }
            policy.owner_of = Some(Box::new(owner_of()));
            if let TargetLabels::Named(names) = &mut policy.target {
                names.push(LABEL.into());
                names.sort();
            }
        }
        let (limits, witnesses, teams) =
            (book.limits, book.witnesses.clone(), std::mem::take(&mut book.teams));
        *book = Book::new(policies, limits, witnesses);
        book.teams = teams;
    }
}

fn owner_of() -> ErrandTemplate {
    let instance = Template::parse("{{ labels.instance }}").expect("it is a template");
    let fields = vec![(Arc::from("node"), FieldTemplate::Text(instance, Form::HOST))];
    ErrandTemplate { hand: "cluster".into(), verb: "owner".into(), fields, rehearsed: false }
}

/// Whether hands that are asked for owners hang at this time, for twenty minutes.
pub fn hang(fate: Fate, now: Timestamp) -> bool {
    let minute = now.micros().unsigned_abs() / 60_000_000;
    fate.of("owners hang", &[minute / 20]).percent(10)
}

/// What a hand says of whose a host is. Most belong to the same for ever, and some change hands each half
/// hour; now and then, and for minutes on end, nobody can say.
pub fn says(fate: Fate, of: &Errand, now: Timestamp) -> Result<Whose, Trouble> {
    let minute = now.micros().unsigned_abs() / 60_000_000;
    let on = of.to_string();
    let on: u64 =
        on.bytes().fold(11, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let is_away = fate.of("owners away", &[minute / 20]).percent(15);
    let mut dice = fate.of("owner", &[on, minute]);
    if is_away || dice.percent(12) {
        return Err(Trouble("no answer from the cluster".into()));
    }
    if fate.of("nobody's", &[on]).percent(6) {
        return Ok(Whose::Nobody { why: "it has no owner".into() });
    }
    let changes = fate.of("changes hands", &[on]).percent(15);
    let name = format!("own-{on:x}-{}", if changes { minute / 30 % 2 } else { 0 });
    let (kind, uid) = ("Fleet".into(), format!("uid of {name}"));
    Ok(Whose::Of(Owner { kind, name: name.as_str().into(), uid: uid.as_str().into() }))
}
