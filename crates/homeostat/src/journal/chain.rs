//! The chain: what is written down is bound to all that was written down before it.
//!
//! Each group of facts is a link, and so is each snapshot, and each step of the retention. A link has
//! the SHA-256 of what it holds together with the hash of the link before it:
//!
//! ```text
//!  hash = SHA-256("link", hash of the link before, number, kind, first, last, content)
//!
//!  kind       first, last             content
//!  facts      of its facts            the SHA-256 of each fact
//!  adopted    of its facts            the same; they were there before the chain was
//!  snapshot   the fact that it covers the SHA-256 of its parts         ─┐ kept in `body`: the parts
//!  retention  of what was let go      what stands for it, as JSON      ─┘ and the facts are gone later
//! ```
//!
//! So whoever knows the hash of one link, its head at some time, can tell whether anything that was
//! written down before has been changed, removed, added or moved since (`verify`). What is let go
//! leaves its hash: of a fact, as long as others of its group are there (`gone`), and of the last of
//! the links of which nothing is there any more (`folds`).
//!
//! *Not* its duty: to keep anybody from writing. Whoever can write to the disk can write further
//! links, too, or make all anew; only a head that is kept elsewhere tells.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sha2::{Digest as _, Sha256};

/// Facts of a link of what was there before the chain. Few, so that what is let go of one is soon all
/// of it.
const ADOPTED: usize = 256;

pub(super) type Hash = [u8; 32];

/// A link of the chain, as it can be kept elsewhere: `1043:9f86d081…`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 where there is none yet.
    pub link: i64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.link, hex(&self.hash))
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(link, hash)| {
            let link = link.parse().ok().filter(|link| *link >= 0)?;
            Some(Self { link, hash: unhex(hash)? })
        });
        parts.ok_or_else(|| {
            "expected the number of a link and its hash, as `homeostat audit verify` prints them: \
             1043:9f86…, with 64 hexadecimal digits"
                .to_owned()
        })
    }
}

/// How a hash is written as JSON.
pub(super) mod hexadecimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::{Hash, hex, unhex};

    pub(in crate::journal) fn serialize<S: Serializer>(
        hash: &Hash,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex(hash))
    }

    pub(in crate::journal) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Hash, D::Error> {
        let text = String::deserialize(from)?;
        unhex(&text).ok_or_else(|| D::Error::custom("expected 64 hexadecimal digits"))
    }
}

/// Writes a hash for people.
pub(super) fn hex(hash: &Hash) -> String {
    let digits: Vec<String> = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// Reads a hash that people were shown.
pub(super) fn unhex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 2 * hash.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, place) in hash.iter_mut().zip((0..text.len()).step_by(2)) {
        *byte = u8::from_str_radix(&text[place..place + 2], 16).ok()?;
    }
    Some(hash)
}

/// What a link holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A group of facts.
    Facts,
    /// Facts that were there before the chain was.
    Adopted,
    /// A snapshot.
    Snapshot,
    /// What the retention has let go.
    Retention,
}

impl Kind {
    /// Returns its name, as it is written.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Facts => "facts",
            Self::Adopted => "adopted",
            Self::Snapshot => "snapshot",
            Self::Retention => "retention",
        }
    }

    /// Reads its name.
    pub(super) fn of(name: &str) -> Option<Self> {
        [Self::Facts, Self::Adopted, Self::Snapshot, Self::Retention]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// A link before it is written.
pub(super) struct Link<'a> {
    pub(super) kind: Kind,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) content: &'a [u8],
}

impl Head {
    /// Where the chain begins.
    pub(super) const NONE: Self = Self { link: 0, hash: [0; 32] };

    /// Returns the head once this link follows.
    pub(super) fn then(self, link: &Link<'_>) -> Self {
        let number = self.link + 1;
        let kind = link.kind.as_str();
        let mut sum = Sha256::new();
        sum.update(b"link");
        sum.update(self.hash);
        for integer in [number, link.first, link.last] {
            sum.update(integer.to_le_bytes());
        }
        text(&mut sum, kind.as_bytes());
        text(&mut sum, link.content);
        Self { link: number, hash: sum.finalize().into() }
    }
}

/// Takes a text in, so that nobody can tell it for another with its neighbours.
fn text(sum: &mut Sha256, bytes: &[u8]) {
    sum.update((bytes.len() as u64).to_le_bytes());
    sum.update(bytes);
}

/// A fact as it is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredFact<'a> {
    pub(super) seq: i64,
    pub(super) at: i64,
    pub(super) version: i64,
    pub(super) kind: &'a str,
    pub(super) incident: Option<i64>,
    pub(super) episode: Option<i64>,
    pub(super) body: &'a str,
}

impl<'a> StoredFact<'a> {
    /// The columns that [`Self::read`] expects.
    pub(super) const COLUMNS: &'static str = "seq, at, version, kind, incident, episode, body";

    /// Reads a row of the table `facts`.
    pub(super) fn read(row: &'a rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            at: row.get(1)?,
            version: row.get(2)?,
            kind: row.get_ref(3)?.as_str()?,
            incident: row.get(4)?,
            episode: row.get(5)?,
            body: row.get_ref(6)?.as_str()?,
        })
    }

    /// Returns its hash, over all that is stored of it.
    pub(super) fn hash(&self) -> Hash {
        let mut sum = Sha256::new();
        sum.update(b"fact");
        for integer in
            [Some(self.seq), Some(self.at), Some(self.version), self.incident, self.episode]
        {
            sum.update([u8::from(integer.is_some())]);
            sum.update(integer.unwrap_or_default().to_le_bytes());
        }
        text(&mut sum, self.kind.as_bytes());
        text(&mut sum, self.body.as_bytes());
        sum.finalize().into()
    }
}

/// The hash of a snapshot, part by part.
#[derive(Clone)]
pub(super) struct SnapshotSum(Sha256);

impl Default for SnapshotSum {
    fn default() -> Self {
        let mut sum = Sha256::new();
        sum.update(b"snapshot");
        Self(sum)
    }
}

impl SnapshotSum {
    /// Takes the next part in.
    pub(super) fn take(&mut self, part: &[u8]) {
        text(&mut self.0, part);
    }

    /// Returns the hash, with what its line in `snapshots` says: what it covers, when it was taken, its
    /// version, how many parts it has, and their checksum.
    pub(super) fn with(&self, line: [i64; 5]) -> Hash {
        let mut sum = self.0.clone();
        for integer in line {
            sum.update(integer.to_le_bytes());
        }
        sum.finalize().into()
    }
}

/// Reads the head.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    let sql = "SELECT link, hash FROM chain ORDER BY link DESC LIMIT 1";
    let head =
        connection.query_row(sql, [], |row| Ok(Head { link: row.get(0)?, hash: row.get(1)? }));
    Ok(head.optional()?.unwrap_or(Head::NONE))
}

/// Appends a link, and returns the new head. `body` is kept where the content cannot be had from
/// elsewhere.
pub(super) fn append(
    transaction: &Transaction<'_>,
    head: Head,
    link: &Link<'_>,
    body: Option<&[u8]>,
) -> rusqlite::Result<Head> {
    let head = head.then(link);
    transaction
        .prepare_cached(
            "INSERT INTO chain (link, kind, first, last, body, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![head.link, link.kind.as_str(), link.first, link.last, body, head.hash])?;
    Ok(head)
}

/// Makes links of all that is there, as it is: what the chain proves of it is that it is as it was
/// found now.
pub(super) fn adopt(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut head = head(transaction)?;
    let sql = format!("SELECT {} FROM facts ORDER BY seq", StoredFact::COLUMNS);
    let mut statement = transaction.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let (mut content, mut first, mut last) = (Vec::new(), 0, 0);
    loop {
        let row = rows.next()?;
        let is_full = content.len() == ADOPTED * size_of::<Hash>();
        if !content.is_empty() && (row.is_none() || is_full) {
            let link = Link { kind: Kind::Adopted, first, last, content: &content };
            head = append(transaction, head, &link, None)?;
            content.clear();
        }
        let Some(row) = row else { break };
        let fact = StoredFact::read(row)?;
        if content.is_empty() {
            first = fact.seq;
        }
        last = fact.seq;
        content.extend(fact.hash());
    }
    let mut statement = transaction.prepare("SELECT seq FROM snapshots ORDER BY seq")?;
    let snapshots = statement.query_map([], |row| row.get(0))?;
    for seq in snapshots.collect::<rusqlite::Result<Vec<i64>>>()? {
        if let Some(hash) = snapshot(transaction, seq)? {
            head = append_snapshot(transaction, head, seq, &hash)?;
        }
    }
    Ok(())
}

/// Appends the link of a snapshot.
pub(super) fn append_snapshot(
    transaction: &Transaction<'_>,
    head: Head,
    seq: i64,
    hash: &Hash,
) -> rusqlite::Result<Head> {
    let link = Link { kind: Kind::Snapshot, first: seq, last: seq, content: hash };
    append(transaction, head, &link, Some(hash))
}

/// Computes the hash of a snapshot as it is stored; `None` where there is none.
pub(super) fn snapshot(connection: &Connection, seq: i64) -> rusqlite::Result<Option<Hash>> {
    let sql = "SELECT seq, at, version, parts, checksum FROM snapshots WHERE seq = ?1";
    let line = connection.query_row(sql, [seq], |row| {
        Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?])
    });
    let Some(line): Option<[i64; 5]> = line.optional()? else { return Ok(None) };
    let mut sum = SnapshotSum::default();
    let sql = "SELECT body FROM snapshot_parts WHERE seq = ?1 AND part < ?2 ORDER BY part";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params![seq, line[3]])?;
    while let Some(row) = rows.next()? {
        sum.take(row.get_ref(0)?.as_blob()?);
    }
    Ok(Some(sum.with(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_written() {
        let head = Head { link: 1043, hash: [0xa5; 32] };
        assert_eq!(head.to_string().parse(), Ok(head));
        for wrong in ["", "7", ":", "7:", "-1:00", "x:00", &format!("7:{}", "g".repeat(64))] {
            assert!(wrong.parse::<Head>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_field_of_a_fact_and_of_a_link_counts() {
        let fact = StoredFact {
            seq: 1,
            at: 2,
            version: 3,
            kind: "k",
            incident: None,
            episode: Some(0),
            body: "{}",
        };
        let mut hashes = vec![fact.hash()];
        for other in [
            StoredFact { seq: 2, ..fact },
            StoredFact { at: 1, ..fact },
            StoredFact { version: 4, ..fact },
            StoredFact { kind: "k{", body: "}", ..fact },
            StoredFact { incident: Some(0), episode: None, ..fact },
            StoredFact { episode: None, ..fact },
            StoredFact { body: "{ }", ..fact },
        ] {
            assert!(!hashes.contains(&other.hash()), "{other:?}");
            hashes.push(other.hash());
        }
        let link = |kind, first, last, content| Link { kind, first, last, content };
        let head = Head { link: 1, hash: [1; 32] };
        let mut links = vec![head.then(&link(Kind::Facts, 1, 2, &[3][..])).hash];
        for other in [
            Head { link: 2, ..head }.then(&link(Kind::Facts, 1, 2, &[3])),
            Head { hash: [2; 32], ..head }.then(&link(Kind::Facts, 1, 2, &[3])),
            head.then(&link(Kind::Adopted, 1, 2, &[3])),
            head.then(&link(Kind::Facts, 2, 2, &[3])),
            head.then(&link(Kind::Facts, 1, 1, &[3])),
            head.then(&link(Kind::Facts, 1, 2, &[])),
        ] {
            assert!(!links.contains(&other.hash), "{other}");
            links.push(other.hash);
        }
    }
}
