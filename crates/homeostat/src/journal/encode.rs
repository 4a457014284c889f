//! Facts as they are stored: their JSON and their hash. Of many at once they are made beside the thread
//! that writes them.

use std::sync::mpsc::sync_channel;
use std::thread;

use homeostat_core::fact::{Fact, VERSION};

use super::chain::{Hash, StoredFact};
use super::sqlite::number;

/// Facts of a group that are worth a thread of their own.
const MANY: usize = 128;

/// Those that the writing thread encodes by itself while the other one begins.
const MEANWHILE: usize = 64;

/// Facts that are handed over at once, and how many hands may be full.
const HANDFUL: usize = 32;
const AHEAD: usize = 16;

/// Gives each of these facts to `write` as it is stored, with its hash, in order. They are numbered from
/// `first`.
pub(super) fn each(
    facts: &[Fact],
    first: i64,
    mut write: impl FnMut(StoredFact<'_>, Hash) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let numbered = |from: usize| (first..).zip(facts).skip(from);
    let mut store = |(seq, fact): (i64, &Fact), encoded: rusqlite::Result<Encoded>| {
        let Encoded { body, hash } = encoded?;
        write(stored(seq, fact, &body), hash)
    };
    if facts.len() < MANY {
        return numbered(0).try_for_each(|(seq, fact)| store((seq, fact), encode(seq, fact)));
    }
    thread::scope(|scope| {
        let (hand, taken) = sync_channel(AHEAD);
        let encoder = thread::Builder::new().name("encoder".to_owned());
        let spawned = encoder.spawn_scoped(scope, move || {
            let mut left = numbered(MEANWHILE);
            loop {
                let handful = left.by_ref().take(HANDFUL);
                let handful: Vec<_> = handful.map(|(seq, fact)| encode(seq, fact)).collect();
                // Nobody takes more once one could not be written.
                if handful.is_empty() || hand.send(handful).is_err() {
                    return;
                }
            }
        });
        let alone = if spawned.is_ok() { MEANWHILE } else { facts.len() };
        let mut first = numbered(0).take(alone);
        first.try_for_each(|(seq, fact)| store((seq, fact), encode(seq, fact)))?;
        let mut rest = numbered(alone).zip(taken.into_iter().flatten());
        rest.try_for_each(|(fact, encoded)| store(fact, encoded))
    })
}

struct Encoded {
    body: String,
    hash: Hash,
}

fn encode(seq: i64, fact: &Fact) -> rusqlite::Result<Encoded> {
    let body = serde_json::to_string(&fact.what)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let hash = stored(seq, fact, &body).hash();
    Ok(Encoded { body, hash })
}

fn stored<'a>(seq: i64, fact: &'a Fact, body: &'a str) -> StoredFact<'a> {
    let what = &fact.what;
    StoredFact {
        seq,
        at: fact.at.micros(),
        version: VERSION.into(),
        kind: what.kind(),
        incident: what.incident().map(|id| number(id.0)),
        episode: what.episode().map(|id| number(id.0)),
        body,
    }
}
