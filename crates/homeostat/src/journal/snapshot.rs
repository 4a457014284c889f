//! Snapshots in the journal: written part by part, and read back at a start.
//!
//! ```text
//!  state ─> records ─> part 0, part 1, … ─> the line in `snapshots`: only now does it exist
//! ```
//!
//! A part is a small commit, so that facts get in between. Parts without a line in `snapshots` are
//! what a crash or a full disk left of one; they mean nothing and are cleared. The newest two
//! snapshots are kept, and the facts after the older one: if the newest cannot be read, nothing is
//! lost.

use std::fmt;
use std::iter::Peekable;

use homeostat_core::fact::Fact;
use homeostat_core::snapshot::{self, Record, VERSION};
use homeostat_core::state::State;
use homeostat_core::time::Timestamp;
use rusqlite::{OptionalExtension, params};
use tracing::warn;

use super::chain::{self, SnapshotSum};
use super::sqlite::{CommitError, Journal, JournalError};
use homeostat_hands::failpoint;

/// Bytes of a part, the last record aside: one takes a few milliseconds to write.
const PART: usize = 256 << 10;

/// Snapshots that are kept.
const KEPT: u32 = 2;

/// Leftover parts that are cleared in one commit.
const CLEARED: u32 = 8;

/// What a start finds.
#[derive(Debug)]
pub struct Recovered {
    /// What all facts came to.
    pub state: State,
    /// The last fact that the snapshot covers; 0 without a snapshot.
    pub covered: i64,
    /// When the snapshot was taken.
    pub taken_at: Option<Timestamp>,
    /// How many facts were read after it.
    pub facts: u64,
}

/// A snapshot that is being written.
pub struct Draft {
    seq: i64,
    at: Timestamp,
    records: Peekable<Box<dyn Iterator<Item = Record> + Send>>,
    parts: i64,
    checksum: Checksum,
    sum: SnapshotSum,
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("seq", &self.seq)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

impl Draft {
    /// Returns the last fact that it covers, and when it was taken.
    pub fn covers(&self) -> (i64, Timestamp) {
        (self.seq, self.at)
    }

    /// Returns how many parts are written.
    pub fn parts(&self) -> i64 {
        self.parts
    }

    /// Encodes the next part: a line of JSON a record.
    fn encode(&mut self) -> serde_json::Result<Vec<u8>> {
        let mut body = Vec::with_capacity(PART + PART / 8);
        while body.len() < PART {
            let Some(record) = self.records.next() else { break };
            serde_json::to_writer(&mut body, &record)?;
            body.push(b'\n');
        }
        Ok(body)
    }
}

/// A line of the table `snapshots`.
struct Header {
    seq: i64,
    at: i64,
    version: u32,
    parts: i64,
    checksum: i64,
}

impl Journal {
    /// Begins a snapshot of a state that is the fold of all facts committed so far. Nothing is
    /// written yet.
    pub fn draft(&self, state: &State, at: Timestamp) -> Draft {
        let records: Box<dyn Iterator<Item = Record> + Send> = Box::new(state.records());
        let (seq, records) = (self.last(), records.peekable());
        let (checksum, sum) = (Checksum::default(), SnapshotSum::default());
        Draft { seq, at, records, parts: 0, checksum, sum }
    }

    /// Writes the next part of a snapshot. Returns whether it is complete.
    ///
    /// # Errors
    ///
    /// The part was not written: the draft is to be thrown away.
    pub fn write_part(&mut self, draft: &mut Draft) -> Result<bool, CommitError> {
        let encoded = draft.encode();
        let head = self.head();
        let (complete, head) = self.transact(|transaction| {
            let body = encoded.map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
            draft.checksum.take(&body);
            draft.sum.take(&body);
            transaction
                .prepare_cached("INSERT OR REPLACE INTO snapshot_parts VALUES (?1, ?2, ?3)")?
                .execute(params![draft.seq, draft.parts, body])?;
            draft.parts += 1;
            failpoint::reach("snapshot.part");
            let mut head = head;
            let complete = draft.records.peek().is_none();
            if complete {
                let (at, checksum) = (draft.at.micros(), draft.checksum.0.cast_signed());
                let hash = draft.sum.with([draft.seq, at, VERSION.into(), draft.parts, checksum]);
                head = chain::append_snapshot(transaction, head, draft.seq, &hash)?;
                transaction.execute(
                    "INSERT OR REPLACE INTO snapshots VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![draft.seq, at, VERSION, draft.parts, checksum],
                )?;
                transaction.execute(
                    "DELETE FROM snapshots WHERE seq NOT IN
                     (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT ?1)",
                    [KEPT],
                )?;
                failpoint::reach("snapshot.whole");
            }
            Ok((complete, head))
        })?;
        self.set_head(head);
        Ok(complete)
    }

    /// Clears some parts that belong to no snapshot. Returns whether there may be more.
    ///
    /// # Errors
    ///
    /// Nothing was cleared.
    pub fn clear_parts(&mut self) -> Result<bool, CommitError> {
        self.transact(|transaction| {
            let cleared = transaction.execute(
                "DELETE FROM snapshot_parts WHERE rowid IN (SELECT rowid FROM snapshot_parts
                 WHERE seq NOT IN (SELECT seq FROM snapshots) LIMIT ?1)",
                [CLEARED],
            )?;
            Ok(cleared > 0)
        })
    }

    /// Recovers the state: the newest snapshot that can be read, and the facts after it. A snapshot
    /// that cannot is passed over, with a warning, for an older one, and for all facts at last.
    ///
    /// # Errors
    ///
    /// The database cannot be read, a fact is not understood, or facts are gone that only a
    /// snapshot covered which cannot be read.
    pub fn recover(&self) -> Result<Recovered, JournalError> {
        for header in self.headers()? {
            match self.load(&header) {
                Ok(state) => {
                    let recovered = self.follow(state, header.seq)?;
                    let taken_at = Some(Timestamp::from_micros(header.at));
                    return Ok(Recovered { taken_at, ..recovered });
                }
                Err(reason) => {
                    warn!(snapshot = header.seq, reason, "snapshot passed over");
                }
            }
        }
        self.follow(State::default(), 0)
    }

    fn follow(&self, mut state: State, covered: i64) -> Result<Recovered, JournalError> {
        let mut last = covered;
        self.each_after(covered, |seq, fact: &Fact| {
            if seq != last + 1 {
                return Err(JournalError::Gone { path: self.path().to_owned(), seq: last + 1 });
            }
            last = seq;
            state.apply(fact);
            Ok(())
        })?;
        let facts = (last - covered).unsigned_abs();
        Ok(Recovered { state, covered, taken_at: None, facts })
    }

    fn headers(&self) -> Result<Vec<Header>, JournalError> {
        let read = || {
            let mut statement = self.connection().prepare(
                "SELECT seq, at, version, parts, checksum FROM snapshots ORDER BY seq DESC",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Header {
                    seq: row.get(0)?,
                    at: row.get(1)?,
                    version: row.get(2)?,
                    parts: row.get(3)?,
                    checksum: row.get(4)?,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<Header>>>()
        };
        read().map_err(|source| self.error("read", source))
    }

    /// Reads a snapshot, or tells for a person why it cannot be used.
    fn load(&self, header: &Header) -> Result<State, String> {
        let text = |error: rusqlite::Error| error.to_string();
        let sql = "SELECT 1 FROM facts WHERE seq = ?1";
        let known = self.connection().query_row(sql, [header.seq], |_| Ok(())).optional();
        if known.map_err(text)?.is_none() {
            return Err("the last fact that it covers is not in this journal".into());
        }
        let (mut state, mut checksum, mut parts) = (State::default(), Checksum::default(), 0);
        let sql = "SELECT body FROM snapshot_parts WHERE seq = ?1 AND part < ?2 ORDER BY part";
        let mut statement = self.connection().prepare(sql).map_err(text)?;
        let mut rows = statement.query(params![header.seq, header.parts]).map_err(text)?;
        while let Some(row) = rows.next().map_err(text)? {
            let body = row.get_ref(0).map_err(text)?.as_bytes().map_err(|e| e.to_string())?;
            checksum.take(body);
            parts += 1;
            let version = header.version;
            let records = snapshot::read(version, body).ok_or_else(|| {
                format!("it has version {version}, and this program knows none after {VERSION}")
            })?;
            for record in records {
                state.recall(record.map_err(|error| format!("part {}: {error}", parts - 1))?);
            }
        }
        if parts != header.parts || checksum.0.cast_signed() != header.checksum {
            return Err("its checksum does not fit: it was damaged on the disk".into());
        }
        Ok(state)
    }
}

/// Tells damage on the disk, not forgery: FNV-1a with words of eight bytes. Each step is a
/// bijection, so that no change of a single word goes unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Checksum(u64);

impl Default for Checksum {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Checksum {
    fn take(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
        for word in words.chain([length]) {
            self.0 = (self.0 ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_sees_every_changed_byte_and_where_parts_end() {
        let sum = |parts: &[&[u8]]| {
            let mut sum = Checksum::default();
            for part in parts {
                sum.take(part);
            }
            sum
        };
        let body = b"seventeen letters";
        let whole = sum(&[body]);
        for position in 0..body.len() {
            let mut changed = *body;
            changed[position] ^= 1;
            assert_ne!(sum(&[&changed]), whole, "byte {position}");
        }
        assert_ne!(sum(&[&body[..8], &body[8..]]), whole);
        assert_ne!(sum(&[&body[..16]]), sum(&[b"seventeen letter\0"]));
        assert_eq!(sum(&[body]), whole);
    }
}
