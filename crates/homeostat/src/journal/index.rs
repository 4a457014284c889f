//! The index by which closed incidents are found, however many there are.
//!
//! ```text
//!  facts ─> names of alerts ─> what is over becomes a document ─> volume 0, volume 1, …
//!        `indexed` says up to which fact; `unindexed` has what was not yet over there
//! ```
//!
//! Whatever is said of an incident (policy, outcome, target, names of alerts) is one document of
//! trigrams. It is written by the housekeeper in small steps, and never within a commit of facts. A volume
//! has the incidents of a range of numbers, so that no step takes longer because the journal is longer.
//!
//! What it finds is only where to look: letters are folded more widely here than by LIKE, and
//! trigrams may stand apart. The conditions of `search` decide, so that a search without the index,
//! or with a half of it, finds the same.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::sqlite::{CommitError, Journal};
use crate::incidents::Filter;
use homeostat_hands::failpoint;

/// Facts that one step reads; few in tests, so that there are many steps.
const FACTS: usize = if cfg!(test) { 16 } else { 256 };

/// Incidents of a volume: the trigram that is in all of them fits a few pages, which is the least that a
/// merge must write at once. Few in tests, so that there are several volumes.
const VOLUME: i64 = if cfg!(test) { 16 } else { 1 << 16 };

/// Pages that a step merges, more than it has written of new ones at all levels.
const MERGED: u32 = 16;

/// Of several names of policies, or outcomes, so many are looked up. More are most of what there is.
const ALTERNATIVES: usize = 64;

/// Trigrams of one text of which it is looked which are rare.
const GRAMS: usize = 64;

/// Trigrams that are looked up of what must all be there: those that are rarest. A frequent one is in
/// nearly all that the others are in, and has to be read nevertheless.
const RAREST: usize = 4;

/// How many back a trigram is looked for, to tell whether it is rare.
const BACK: i64 = 63;

/// Keeps the name of an alert that became part of an incident.
pub(super) const NAME: &str = "
INSERT OR IGNORE INTO alerts_of
  SELECT ?1, json_extract(body, '$.alert.labels.alertname') FROM facts
  WHERE episode = ?2 AND kind = 'episode_began'
    AND json_extract(body, '$.alert.labels.alertname') IS NOT NULL
  ORDER BY seq LIMIT 1";

/// What is said of an incident; the marks tell where a whole text begins and ends.
const DOCUMENT: &str = "
  SELECT id, char(1) || policy || char(1, 2) || COALESCE(outcome, '') || char(2)
    || (SELECT COALESCE(group_concat(char(3) || key || char(4) || COALESCE(atom, ''), ''), '')
        FROM json_each(target)) || char(3)
    || (SELECT COALESCE(group_concat(name, char(5)), '') FROM alerts_of WHERE incident = id)
  FROM incidents WHERE id = ?1";

/// How far the index is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Indexed {
    /// The last fact that was read.
    seq: i64,
    /// The newest incident that had opened by then.
    pub(super) incident: i64,
    /// Up to this fact names were kept as facts were written, by a program of before.
    named: i64,
}

impl Indexed {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT seq, incident, named FROM indexed";
        connection.prepare_cached(sql)?.query_row([], |row| {
            Ok(Self { seq: row.get(0)?, incident: row.get(1)?, named: row.get(2)? })
        })
    }

    /// The fact up to which all names of alerts are kept.
    pub(super) fn named(self) -> i64 {
        self.seq.max(self.named)
    }
}

impl Journal {
    /// Reads on for the index, a step. Returns whether there may be more to do.
    ///
    /// # Errors
    ///
    /// Nothing was written, or nobody knows.
    pub fn index(&mut self) -> Result<bool, CommitError> {
        self.transact(|transaction| {
            let mut at = Indexed::read(transaction)?;
            let read = read_on(transaction, &mut at)?;
            if read == 0 {
                return drop_empty(transaction);
            }
            transaction
                .prepare_cached("UPDATE indexed SET seq = ?1, incident = ?2")?
                .execute(params![at.seq, at.incident])?;
            failpoint::reach("index.step");
            Ok(true)
        })
    }
}

#[cfg(test)]
impl Journal {
    /// How many facts the index has not read, how many incidents it knows that are not over, and how
    /// many volumes it has.
    pub(crate) fn index_stands(&self) -> (i64, i64, i64) {
        let sql = "SELECT (SELECT COUNT(*) FROM facts WHERE seq > indexed.seq),
                   (SELECT COUNT(*) FROM unindexed), (SELECT COUNT(*) FROM volumes) FROM indexed";
        let row = self.connection().query_row(sql, [], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)));
        row.unwrap()
    }
}

/// Takes in the next facts, and returns how many there were.
fn read_on(transaction: &Transaction<'_>, at: &mut Indexed) -> rusqlite::Result<usize> {
    let mut facts = transaction.prepare_cached(
        "SELECT seq, kind, incident, episode FROM facts WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut opened = transaction.prepare_cached("INSERT OR IGNORE INTO unindexed VALUES (?1)")?;
    let mut over = transaction.prepare_cached("DELETE FROM unindexed WHERE incident = ?1")?;
    let mut name = transaction.prepare_cached(NAME)?;
    let mut rows = facts.query(params![at.seq, i64::try_from(FACTS).unwrap_or(i64::MAX)])?;
    let (mut read, mut written) = (0, BTreeSet::new());
    while let Some(row) = rows.next()? {
        read += 1;
        at.seq = row.get(0)?;
        let (kind, incident) = (row.get_ref(1)?.as_str()?, row.get::<_, Option<i64>>(2)?);
        let Some(incident) = incident else { continue };
        match kind {
            "incident_opened" | "episode_attached" => {
                opened.execute([incident])?;
                at.incident = at.incident.max(incident);
                if at.seq > at.named {
                    name.execute(params![incident, row.get::<_, i64>(3)?])?;
                }
            }
            // No alert becomes part of it any more.
            "latch_released" if over.execute([incident])? > 0 => {
                written.insert(write(transaction, incident)?);
            }
            _ => {}
        }
    }
    for volume in written {
        let sql = format!("INSERT INTO words_{volume} (words_{volume}, rank) VALUES ('merge', ?1)");
        transaction.prepare_cached(&sql)?.execute([MERGED])?;
    }
    Ok(read)
}

/// Writes the document of an incident, and returns its volume.
fn write(transaction: &Transaction<'_>, incident: i64) -> rusqlite::Result<i64> {
    let volume = incident / VOLUME;
    let new = "INSERT OR IGNORE INTO volumes VALUES (?1)";
    if transaction.prepare_cached(new)?.execute([volume])? > 0 {
        // Merged by hand: left to itself it merges a hundred pages at once.
        transaction.execute_batch(&format!(
            "CREATE VIRTUAL TABLE words_{volume} USING fts5
               (text, content='', contentless_delete=1, detail=none, tokenize='trigram');
             INSERT INTO words_{volume} (words_{volume}, rank) VALUES ('automerge', 0);"
        ))?;
    }
    let sql = format!("INSERT OR REPLACE INTO words_{volume} (rowid, text) {DOCUMENT}");
    transaction.prepare_cached(&sql)?.execute([incident])?;
    Ok(volume)
}

/// Lets the index forget an incident.
pub(super) fn forget(transaction: &Transaction<'_>, incident: i64) -> rusqlite::Result<()> {
    let over = "DELETE FROM unindexed WHERE incident = ?1";
    transaction.prepare_cached(over)?.execute([incident])?;
    let names = "DELETE FROM alerts_of WHERE incident = ?1";
    transaction.prepare_cached(names)?.execute([incident])?;
    let volume = incident / VOLUME;
    if transaction.prepare_cached("SELECT 1 FROM volumes WHERE volume = ?1")?.exists([volume])? {
        let sql = format!("DELETE FROM words_{volume} WHERE rowid = ?1");
        transaction.prepare_cached(&sql)?.execute([incident])?;
    }
    Ok(())
}

/// Drops a volume whose incidents are all gone. Returns whether there was one.
fn drop_empty(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    let sql = "SELECT volume FROM volumes WHERE NOT EXISTS
                 (SELECT 1 FROM incidents WHERE id >= volume * ?1 AND id < (volume + 1) * ?1)";
    let empty: Option<i64> =
        transaction.prepare_cached(sql)?.query_row([VOLUME], |row| row.get(0)).optional()?;
    let Some(volume) = empty else { return Ok(false) };
    transaction.execute_batch(&format!(
        "DROP TABLE words_{volume}; DELETE FROM volumes WHERE volume = {volume};"
    ))?;
    Ok(true)
}

/// The volumes, newest first, of incidents before this one.
pub(super) fn volumes(connection: &Connection, before: i64) -> rusqlite::Result<Vec<i64>> {
    let sql = "SELECT volume FROM volumes WHERE volume <= ?1 ORDER BY volume DESC";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map([before / VOLUME], |row| row.get(0))?.collect()
}

/// Trigrams that are all in what is looked for.
type All = Vec<String>;

/// What is in the documents of all incidents that a filter finds: of each of these, one at least.
#[derive(Debug, Default)]
pub(super) struct Needle(Vec<Vec<All>>);

impl Needle {
    /// What a filter asks for; `None` where the index would be of no use.
    pub(super) fn of(filter: &Filter) -> Option<Self> {
        if !filter.states.is_empty() && !filter.states.iter().any(|state| state == "closed") {
            return None;
        }
        let mut needle = Self::default();
        needle.one_of(filter.text.iter().cloned());
        needle.one_of(filter.outcomes.iter().map(|outcome| format!("\u{2}{outcome}\u{2}")));
        needle.one_of(filter.named.iter().flatten().map(|name| format!("\u{1}{name}\u{1}")));
        needle.one_of(filter.policies.iter().flatten().map(|name| format!("\u{1}{name}\u{1}")));
        for (name, value) in &filter.target {
            needle.one_of([format!("\u{3}{name}\u{4}{value}\u{3}")]);
        }
        (!needle.0.is_empty()).then_some(needle)
    }

    /// Wants one of these texts, unless one of them may be anywhere. `*` stands for any letters; where it
    /// means itself less is asked for than could be.
    fn one_of(&mut self, texts: impl IntoIterator<Item = String>) {
        let texts = texts.into_iter().take(ALTERNATIVES + 1).map(|text| {
            let parts = text.split('*').map(|part| part.chars().collect::<Vec<_>>());
            let all = parts.flat_map(|part| {
                part.windows(3).map(|three| three.iter().collect::<String>()).collect::<Vec<_>>()
            });
            // The end of a text for SQLite; the trigrams have none of it.
            if text.contains('\0') { Vec::new() } else { all.take(GRAMS).collect::<All>() }
        });
        let texts: Vec<All> = texts.collect();
        if (1..=ALTERNATIVES).contains(&texts.len()) && texts.iter().all(|all| !all.is_empty()) {
            self.0.push(texts);
        }
    }

    /// Asks a volume for what it looks for, in the words of FTS5. Which of its trigrams are rare is
    /// told by the volumes before.
    pub(super) fn ask(&self, connection: &Connection, of: i64) -> rusqlite::Result<String> {
        let sql = format!(
            "SELECT rowid FROM words_{of} WHERE words_{of} MATCH ?1 ORDER BY rowid DESC LIMIT 1 OFFSET {BACK}"
        );
        let mut statement = connection.prepare(&sql)?;
        let mut known = HashMap::new();
        let mut rarest = |all: &[&String]| -> rusqlite::Result<String> {
            let mut seen = BTreeSet::new();
            for &gram in all {
                let quoted = format!("\"{}\"", gram.replace('"', "\"\""));
                let last = if let Some(last) = known.get(gram) {
                    *last
                } else {
                    let last = statement.query_row([&quoted], |row| row.get(0)).optional()?;
                    *known.entry(gram.clone()).or_insert(last.unwrap_or(0_i64))
                };
                seen.insert((last, quoted));
            }
            let rarest: Vec<String> = seen.into_iter().take(RAREST).map(|(_, gram)| gram).collect();
            Ok(format!("({})", rarest.join(" AND ")))
        };
        let (single, several): (Vec<_>, Vec<_>) = self.0.iter().partition(|any| any.len() == 1);
        let single: Vec<&String> = single.into_iter().flatten().flatten().collect();
        let mut clauses = Vec::new();
        if !single.is_empty() {
            clauses.push(rarest(&single)?);
        }
        for any in several {
            let any = any.iter().map(|all| rarest(&all.iter().collect::<Vec<_>>()));
            let any = any.collect::<rusqlite::Result<Vec<_>>>()?;
            clauses.push(format!("({})", any.join(" OR ")));
        }
        Ok(clauses.join(" AND "))
    }
}
