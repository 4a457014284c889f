//! What the retention leaves of what it lets go: hashes, and no more of them than are needed.
//!
//! ```text
//!  a fact goes ─> its hash stands in `gone`, as long as others of its group are there
//!  the last one of a group goes ─> the group's link goes, too; of links in a row that went, the hash
//!                                  of the last one stands in `folds`
//! ```
//!
//! Each step is a link of its own, which says what went by it, so that nothing can be let go without
//! leaving a link. A link of an earlier step goes like any other once it is old; what it said and is
//! still needed is said again by the step that folds it.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

use super::chain::{self, Hash, Head, Kind, Link, StoredFact};

/// Links that are looked at in one step.
const LOOKED_AT: u16 = 512;

/// What a step of the retention says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    /// What was over before then may have gone: microseconds since 1970.
    pub(super) until: i64,
    /// The facts that went, from and to, of which the hashes are there.
    pub(super) gone: Vec<(i64, i64)>,
    /// All folds that there are, where the step has made some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) folds: Option<Vec<Fold>>,
}

/// Links in a row that went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fold {
    /// The first one.
    pub(super) first: i64,
    /// The last one.
    pub(super) last: i64,
    /// The hash of the last one.
    #[serde(with = "chain::hexadecimal")]
    pub(super) hash: Hash,
}

/// Lets facts go, and returns the new head.
pub(super) fn let_go(
    transaction: &Transaction<'_>,
    head: Head,
    facts: &[i64],
    until: i64,
) -> rusqlite::Result<Head> {
    let sql = format!("SELECT {} FROM facts WHERE seq = ?1", StoredFact::COLUMNS);
    let mut select = transaction.prepare_cached(&sql)?;
    let mut leave = transaction.prepare_cached("INSERT INTO gone (seq, hash) VALUES (?1, ?2)")?;
    let mut delete = transaction.prepare_cached("DELETE FROM facts WHERE seq = ?1")?;
    for seq in facts {
        let hash = select.query_row([seq], |row| Ok(StoredFact::read(row)?.hash()))?;
        leave.execute(params![seq, hash])?;
        delete.execute([seq])?;
    }
    let step = Step { until, gone: ranges(facts), folds: None };
    append(transaction, head, &step)
}

fn append(transaction: &Transaction<'_>, head: Head, step: &Step) -> rusqlite::Result<Head> {
    let body = serde_json::to_vec(step)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let first = step.gone.first().map_or(0, |(from, _)| *from);
    let last = step.gone.last().map_or(0, |(_, to)| *to);
    let link = Link { kind: Kind::Retention, first, last, content: &body };
    chain::append(transaction, head, &link, Some(&body))
}

/// Numbers in order, as from and to.
fn ranges(numbers: &[i64]) -> Vec<(i64, i64)> {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == *number => *to = *number,
            Some(_) | None => ranges.push((*number, *number)),
        }
    }
    ranges
}

/// A row of the table `chain`, but for its body.
struct Row {
    link: i64,
    kind: Kind,
    first: i64,
    last: i64,
    hash: Hash,
}

/// Folds links after this one of which nothing is there any more. Returns the new head, and where to go
/// on; `None` at the end.
pub(super) fn fold(
    transaction: &Transaction<'_>,
    head: Head,
    after: i64,
) -> rusqlite::Result<(Head, Option<i64>)> {
    let sql = "SELECT MAX(seq) FROM gone";
    let Some(youngest) = transaction.query_row(sql, [], |row| row.get::<_, Option<i64>>(0))? else {
        return Ok((head, None));
    };
    // What is younger has all that it holds, and what comes after it may be needed.
    let Some(end) = link_of(transaction, youngest)? else { return Ok((head, None)) };
    let rows = rows(transaction, after, end)?;
    let next = rows.last().filter(|_| rows.len() == usize::from(LOOKED_AT)).map(|row| row.link);
    let (mut step, mut runs) = (Step::default(), Vec::<Fold>::new());
    for row in rows {
        if !lets_go(transaction, &row, &mut step)? {
            continue;
        }
        transaction.prepare_cached("DELETE FROM chain WHERE link = ?1")?.execute([row.link])?;
        match runs.last_mut() {
            Some(run) if run.last + 1 == row.link => {
                (run.last, run.hash) = (row.link, row.hash);
            }
            Some(_) | None => {
                runs.push(Fold { first: row.link, last: row.link, hash: row.hash });
            }
        }
    }
    if runs.is_empty() {
        return Ok((head, next));
    }
    for run in runs {
        merge(transaction, run)?;
    }
    step.gone.sort_unstable();
    step.folds = Some(folds(transaction)?);
    Ok((append(transaction, head, &step)?, next))
}

fn rows(transaction: &Transaction<'_>, after: i64, end: i64) -> rusqlite::Result<Vec<Row>> {
    let mut statement = transaction.prepare_cached(
        "SELECT link, kind, first, last, hash FROM chain WHERE link > ?1 AND link <= ?2
         ORDER BY link LIMIT ?3",
    )?;
    let rows = statement.query_map(params![after, end, LOOKED_AT], |row| {
        let kind: String = row.get(1)?;
        let kind = Kind::of(&kind).ok_or(rusqlite::Error::InvalidQuery)?;
        let (link, first, last) = (row.get(0)?, row.get(2)?, row.get(3)?);
        Ok(Row { link, kind, first, last, hash: row.get(4)? })
    })?;
    rows.collect()
}

/// Tells whether nothing is there any more of what a link holds, and takes on what it said that is
/// still needed.
fn lets_go(transaction: &Transaction<'_>, row: &Row, step: &mut Step) -> rusqlite::Result<bool> {
    let is_there = |sql: &str| transaction.prepare_cached(sql)?.exists([row.first, row.last]);
    match row.kind {
        Kind::Facts | Kind::Adopted => {
            let goes = !is_there("SELECT 1 FROM facts WHERE seq BETWEEN ?1 AND ?2")?;
            if goes {
                transaction
                    .prepare_cached("DELETE FROM gone WHERE seq BETWEEN ?1 AND ?2")?
                    .execute([row.first, row.last])?;
            }
            Ok(goes)
        }
        Kind::Snapshot => Ok(!is_there("SELECT 1 FROM snapshots WHERE seq BETWEEN ?1 AND ?2")?),
        Kind::Retention => {
            let Some(said) = said(transaction, row.link)? else { return Ok(false) };
            step.until = step.until.max(said.until);
            let sql = "SELECT seq FROM gone WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq";
            let mut statement = transaction.prepare_cached(sql)?;
            for (from, to) in said.gone {
                let left = statement.query_map([from, to], |row| row.get(0))?;
                step.gone.extend(ranges(&left.collect::<rusqlite::Result<Vec<i64>>>()?));
            }
            Ok(true)
        }
    }
}

/// What a step has said; `None` where it cannot be read.
fn said(connection: &Connection, link: i64) -> rusqlite::Result<Option<Step>> {
    let sql = "SELECT body FROM chain WHERE link = ?1";
    let body: Option<Vec<u8>> = connection.query_row(sql, [link], |row| row.get(0)).optional()?;
    Ok(body.and_then(|body| serde_json::from_slice(&body).ok()))
}

/// Adds a fold, as one with those that it touches.
fn merge(transaction: &Transaction<'_>, mut run: Fold) -> rusqlite::Result<()> {
    let find = |condition: &str, link: i64| {
        let sql = format!("SELECT first, last, hash FROM folds WHERE {condition} = ?1");
        transaction.prepare_cached(&sql)?.query_row([link], fold_of).optional()
    };
    let before = find("last", run.first - 1)?;
    let after = find("first", run.last + 1)?;
    let mut delete = transaction.prepare_cached("DELETE FROM folds WHERE first = ?1")?;
    if let Some(before) = before {
        delete.execute([before.first])?;
        run.first = before.first;
    }
    if let Some(after) = after {
        delete.execute([after.first])?;
        (run.last, run.hash) = (after.last, after.hash);
    }
    transaction
        .prepare_cached("INSERT INTO folds (first, last, hash) VALUES (?1, ?2, ?3)")?
        .execute(params![run.first, run.last, run.hash])?;
    Ok(())
}

/// All folds, in order.
pub(super) fn folds(connection: &Connection) -> rusqlite::Result<Vec<Fold>> {
    let mut statement = connection.prepare("SELECT first, last, hash FROM folds ORDER BY first")?;
    statement.query_map([], fold_of)?.collect()
}

fn fold_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Fold> {
    Ok(Fold { first: row.get(0)?, last: row.get(1)?, hash: row.get(2)? })
}

/// Finds the link that holds a fact: links of facts are in the order of their facts.
fn link_of(connection: &Connection, seq: i64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT COALESCE(MIN(link), 0), COALESCE(MAX(link), 0) FROM chain";
    let (mut low, mut high): (i64, i64) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut statement = connection.prepare_cached(
        "SELECT link, first FROM chain
         WHERE link >= ?1 AND link <= ?2 AND kind IN ('facts', 'adopted') ORDER BY link LIMIT 1",
    )?;
    let mut found = None;
    while low <= high {
        let middle = low + (high - low) / 2;
        let next = statement.query_row([middle, high], |row| Ok((row.get(0)?, row.get(1)?)));
        let next: Option<(i64, i64)> = next.optional()?;
        if let Some((link, _)) = next.filter(|(_, first)| *first <= seq) {
            found = Some(link);
            low = link + 1;
        } else {
            high = middle - 1;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_one_range() {
        assert_eq!(ranges(&[]), []);
        assert_eq!(ranges(&[3]), [(3, 3)]);
        assert_eq!(ranges(&[1, 2, 3, 5, 8, 9]), [(1, 3), (5, 5), (8, 9)]);
    }
}
