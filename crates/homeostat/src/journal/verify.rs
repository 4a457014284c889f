//! Whether a journal is what was written: the chain, and all that a start or a reader takes from the
//! journal, against it.
//!
//! ```text
//!  chain, in order ─> each hash anew, from the one before and what the link holds ─> as it is written?
//!  facts, snapshots, hashes of what went ─> all of them in a link?
//!  incidents ─> as the facts say?
//! ```
//!
//! It reads one moment, beside an engine that runs or without one, and writes nothing. What it finds is
//! told; what it cannot tell is what `chain` says.

use std::collections::BTreeMap;
use std::path::Path;

use homeostat_core::fact::Fact;
use homeostat_core::time::Timestamp;
use rusqlite::{Connection, Transaction};

use super::chain::{self, Hash, Head, Kind, Link, StoredFact, hex};
use super::fold::{self, Fold, Step};
use super::project::Projection;
use super::read::Reader;
use super::schema;
use super::sqlite::{JournalError, read_fact};

/// Faults that are told; of more, there are only so many.
const TOLD: usize = 50;

/// Snapshots that must be there: as many as are kept.
const SNAPSHOTS: usize = 2;

/// What was found of a journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// The last link: to be kept elsewhere.
    pub head: Head,
    /// How many links there are.
    pub links: u64,
    /// How many facts there are.
    pub facts: u64,
    /// The number of the first fact that is there, and of the last one.
    pub between: Option<(i64, i64)>,
    /// The last fact that was there before the chain was: what is proved of it, and of those before, is
    /// how they were found then.
    pub adopted: Option<i64>,
    /// The last link of which only the hash of what went is there.
    pub folded: Option<i64>,
    /// What was over before then may have been let go.
    pub until: Option<Timestamp>,
    /// What is wrong, in the order in which it was found.
    pub faults: Vec<String>,
    /// How much more is wrong.
    pub more: u64,
    /// What became of the head that was kept.
    pub kept: Option<KeptHead>,
}

/// What became of a head that was kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptHead {
    /// It is in the chain: nothing of before has been changed.
    Found,
    /// Another one is in its place.
    Another,
    /// The chain ends before it.
    Missing,
    /// The retention has let it go.
    Gone,
}

impl Verified {
    /// Tells whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty() && !matches!(self.kept, Some(KeptHead::Another | KeptHead::Missing))
    }
}

/// Verifies the journal of a directory; `kept` is a head of it that was kept elsewhere.
///
/// # Errors
///
/// It cannot be read, or is of a version without a chain.
pub fn verify(directory: &Path, kept: Option<Head>) -> Result<Verified, JournalError> {
    let reader = Reader::open(directory)?;
    let connection = reader.connection.lock();
    let found = || -> rusqlite::Result<i64> {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0))
    };
    let found = found().map_err(|source| reader.error(source))?;
    if usize::try_from(found).is_ok_and(|found| found < schema::CHAINED) {
        return Err(JournalError::Unchained { path: reader.path.clone() });
    }
    if usize::try_from(found) != Ok(schema::VERSION) {
        return Err(JournalError::Newer { path: reader.path.clone(), found });
    }
    let moment = reader.at_one_moment(&connection)?;
    let mut memory = Connection::open_in_memory().map_err(|source| reader.error(source))?;
    let verified = (|| {
        schema::settle(&mut memory)?.map_err(|_| rusqlite::Error::InvalidQuery)?;
        let mut walk = Walk::new(&moment, memory.transaction()?, kept)?;
        walk.sound()?;
        walk.made()?;
        walk.chain()?;
        walk.rest()?;
        walk.snapshots()?;
        walk.gone()?;
        walk.incidents()?;
        Ok(walk.verified)
    })();
    verified.map_err(|source| reader.error(source))
}

/// What a walk along the chain knows.
struct Walk<'a> {
    journal: &'a Connection,
    /// A list of incidents that the facts are told to.
    incidents: Transaction<'a>,
    folds: BTreeMap<i64, Fold>,
    kept: Option<Head>,
    /// The head of what was walked; without its hash where that is not known.
    number: i64,
    hash: Option<Hash>,
    /// The last fact of what was walked.
    last: i64,
    /// Which link each snapshot has, and its hash.
    snapshots: BTreeMap<i64, (i64, Hash)>,
    /// What steps of the retention say that went.
    went: Vec<(i64, i64)>,
    /// What the last step that folded says.
    said: Option<Vec<Fold>>,
    verified: Verified,
}

/// A row of the chain.
struct Row {
    link: i64,
    kind: String,
    first: i64,
    last: i64,
    body: Option<Vec<u8>>,
    hash: Hash,
}

impl<'a> Walk<'a> {
    fn new(
        journal: &'a Connection,
        incidents: Transaction<'a>,
        kept: Option<Head>,
    ) -> rusqlite::Result<Self> {
        let folds = fold::folds(journal)?.into_iter().map(|fold| (fold.first, fold)).collect();
        // Where nothing was written down, nothing was changed.
        let found = (kept == Some(Head::NONE)).then_some(KeptHead::Found);
        let verified = Verified { kept: found, ..Verified::default() };
        Ok(Self {
            journal,
            incidents,
            folds,
            kept,
            number: 0,
            hash: Some(Head::NONE.hash),
            last: 0,
            snapshots: BTreeMap::new(),
            went: Vec::new(),
            said: None,
            verified,
        })
    }

    fn fault(&mut self, fault: impl Into<String>) {
        if self.verified.faults.len() < TOLD {
            self.verified.faults.push(fault.into());
        } else {
            self.verified.more += 1;
        }
    }

    /// Whether SQLite finds its pages and indices in order: readers go by indices.
    fn sound(&mut self) -> rusqlite::Result<()> {
        let mut statement = self.journal.prepare("PRAGMA integrity_check(10)")?;
        let said = statement.query_map([], |row| row.get::<_, String>(0))?;
        for line in said.collect::<rusqlite::Result<Vec<_>>>()? {
            if line != "ok" {
                self.fault(format!("the database is damaged: {}", line.replace('\n', " ")));
            }
        }
        Ok(())
    }

    fn chain(&mut self) -> rusqlite::Result<()> {
        let sql = "SELECT link, kind, first, last, body, hash FROM chain ORDER BY link";
        let mut statement = self.journal.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            let read = || -> rusqlite::Result<Row> {
                let (kind, first, last) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok(Row { link: number, kind, first, last, body: row.get(4)?, hash: row.get(5)? })
            };
            self.pass_folds();
            match read() {
                Ok(row) => self.link(&row)?,
                Err(error) => {
                    self.fault(format!("link {number} cannot be read: {error}"));
                    (self.number, self.hash) = (number, None);
                }
            }
        }
        self.pass_folds();
        if let Some(kept) = self.kept.filter(|kept| kept.link > self.number) {
            self.verified.kept = Some(KeptHead::Missing);
            self.fault(format!(
                "the end is missing: the chain ends with link {}, and link {} was kept",
                self.number, kept.link
            ));
        }
        self.verified.head = Head { link: self.number, hash: self.hash.unwrap_or(Head::NONE.hash) };
        Ok(())
    }

    /// Goes on after links of which only the last hash is there.
    fn pass_folds(&mut self) {
        // One that ends before it begins leads nowhere; that it is wrong is found by what was said.
        while let Some(fold) = self.folds.get(&self.number.saturating_add(1)).cloned()
            && fold.first <= fold.last
        {
            if let Some(kept) = self.kept
                && (fold.first..=fold.last).contains(&kept.link)
            {
                self.verified.kept = Some(KeptHead::Gone);
                if kept.link == fold.last {
                    self.compare(&kept, fold.hash);
                }
            }
            (self.number, self.hash) = (fold.last, Some(fold.hash));
            self.verified.folded = Some(fold.last);
        }
    }

    fn compare(&mut self, kept: &Head, hash: Hash) {
        let same = kept.hash == hash;
        self.verified.kept = Some(if same { KeptHead::Found } else { KeptHead::Another });
        if !same {
            self.fault(format!(
                "link {} has another hash than the one that was kept: something was changed in it, \
                 or before it",
                kept.link
            ));
        }
    }

    fn link(&mut self, row: &Row) -> rusqlite::Result<()> {
        self.verified.links += 1;
        if row.link != self.number.saturating_add(1) {
            let missing = (self.number.saturating_add(1), row.link - 1);
            let are = if missing.0 == missing.1 { "is" } else { "are" };
            self.fault(format!("{} {are} missing", told(missing, "link", "links")));
            self.hash = None;
        }
        let Some(kind) = Kind::of(&row.kind) else {
            self.fault(format!("link {} is of no kind that there is: {:?}", row.link, row.kind));
            (self.number, self.hash) = (row.link, Some(row.hash));
            return Ok(());
        };
        let content = self.content(kind, row)?;
        let link = Link { kind, first: row.first, last: row.last, content: &content };
        let before = self.hash.map(|hash| Head { link: row.link - 1, hash });
        if before.is_some_and(|before| before.then(&link).hash != row.hash) {
            let of = match kind {
                Kind::Facts | Kind::Adopted => told((row.first, row.last), "fact", "facts"),
                Kind::Snapshot => format!("the snapshot of fact {}", row.first),
                Kind::Retention => "a step of the retention".to_owned(),
            };
            self.fault(format!(
                "link {} ({of}) is not what was written, or does not follow link {}",
                row.link,
                row.link - 1
            ));
        }
        if let Some(kept) = self.kept.filter(|kept| kept.link == row.link) {
            self.compare(&kept, row.hash);
        }
        (self.number, self.hash) = (row.link, Some(row.hash));
        Ok(())
    }

    /// What a link holds, as it is there.
    fn content(&mut self, kind: Kind, row: &Row) -> rusqlite::Result<Vec<u8>> {
        let body = row.body.clone().unwrap_or_default();
        match kind {
            Kind::Facts | Kind::Adopted => {
                self.strays(row.first)?;
                if kind == Kind::Adopted {
                    self.verified.adopted = Some(row.last);
                }
                self.last = row.last;
                return self.facts(kind, row);
            }
            Kind::Snapshot => {
                if let Ok(hash) = Hash::try_from(&*body) {
                    self.snapshots.insert(row.first, (row.link, hash));
                }
            }
            Kind::Retention => {
                if let Ok(step) = serde_json::from_slice::<Step>(&body) {
                    let until = Timestamp::from_micros(step.until);
                    self.verified.until = self.verified.until.max(Some(until));
                    self.went.extend(step.gone);
                    self.said = step.folds.or(self.said.take());
                }
            }
        }
        Ok(body)
    }

    /// The hashes of the facts of a link; of those that went, as they were left.
    fn facts(&mut self, kind: Kind, row: &Row) -> rusqlite::Result<Vec<u8>> {
        let columns = StoredFact::COLUMNS;
        let sql = format!("SELECT {columns} FROM facts WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq");
        let mut statement = self.journal.prepare_cached(&sql)?;
        let mut rows = statement.query([row.first, row.last])?;
        let mut hashes: BTreeMap<i64, Hash> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let seq = row.get(0)?;
            match StoredFact::read(row) {
                Ok(fact) => {
                    hashes.insert(seq, fact.hash());
                    self.count(seq);
                    self.tell(&fact)?;
                }
                Err(error) => self.fault(format!("fact {seq} cannot be read: {error}")),
            }
        }
        let sql = "SELECT seq, hash FROM gone WHERE seq BETWEEN ?1 AND ?2";
        let mut statement = self.journal.prepare_cached(sql)?;
        let mut rows = statement.query([row.first, row.last])?;
        while let Some(row) = rows.next()? {
            let seq = row.get(0)?;
            if hashes.insert(seq, row.get(1)?).is_some() {
                self.fault(format!("fact {seq} is there, although it was let go"));
            }
        }
        // Before there was a chain, facts were let go without a trace.
        if kind == Kind::Facts {
            let mut next = row.first;
            for seq in hashes.keys().copied().chain([row.last.saturating_add(1)]) {
                if next < seq {
                    let are = if next + 1 == seq { "is" } else { "are" };
                    self.fault(format!("{} {are} missing", told((next, seq - 1), "fact", "facts")));
                }
                next = seq.saturating_add(1);
            }
        }
        Ok(hashes.into_values().flatten().collect())
    }

    fn count(&mut self, seq: i64) {
        self.verified.facts += 1;
        let (first, last) = self.verified.between.unwrap_or((seq, seq));
        self.verified.between = Some((first.min(seq), last.max(seq)));
    }

    /// Tells the list of incidents of a fact.
    fn tell(&mut self, stored: &StoredFact<'_>) -> rusqlite::Result<()> {
        let version = u32::try_from(stored.version).unwrap_or_default();
        let body = rusqlite::types::ValueRef::Text(stored.body.as_bytes());
        match read_fact(Ok(stored.at), Ok(version), Ok(body)) {
            Ok(fact) => self.project(stored.seq, &fact),
            Err(reason) => {
                self.fault(format!("fact {} cannot be read: {reason}", stored.seq));
                Ok(())
            }
        }
    }

    fn project(&mut self, seq: i64, fact: &Fact) -> rusqlite::Result<()> {
        let mut told = Projection::default();
        told.take(seq, fact);
        match told.write(&self.incidents) {
            Err(rusqlite::Error::SqliteFailure(..)) => {
                self.fault(format!("fact {seq} opens an incident that was opened before"));
                Ok(())
            }
            told => told,
        }
    }

    /// Whether tables and indices are those that this program makes: what they are said to hold is not
    /// found by them otherwise.
    fn made(&mut self) -> rusqlite::Result<()> {
        let ours: Vec<(String, Option<String>)> = {
            let mut made = self.incidents.prepare("SELECT name, sql FROM sqlite_schema")?;
            let made = made.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            made.collect::<rusqlite::Result<_>>()?
        };
        let found = "SELECT 1 FROM sqlite_schema WHERE name = ?1 AND sql IS ?2";
        for (name, sql) in ours {
            if !self.journal.prepare_cached(found)?.exists((&name, &sql))? {
                self.fault(format!("{name} is not made as this program makes it"));
            }
        }
        Ok(())
    }

    /// Facts that stand between the links.
    fn strays(&mut self, before: i64) -> rusqlite::Result<()> {
        let sql = "SELECT seq FROM facts WHERE seq > ?1 AND seq < ?2 ORDER BY seq";
        let mut statement = self.journal.prepare_cached(sql)?;
        let strays = statement.query_map([self.last, before], |row| row.get(0))?;
        for seq in strays.collect::<rusqlite::Result<Vec<i64>>>()? {
            self.count(seq);
            self.fault(format!("fact {seq} is in no link"));
        }
        Ok(())
    }

    /// What follows the last link, and what precedes the first.
    fn rest(&mut self) -> rusqlite::Result<()> {
        self.strays(i64::MAX)?;
        let here: Vec<Fold> = self.folds.values().cloned().collect();
        if self.said.take().unwrap_or_default() != here {
            self.fault("links went by no step of the retention");
        }
        Ok(())
    }

    fn snapshots(&mut self) -> rusqlite::Result<()> {
        let mut statement = self.journal.prepare("SELECT seq FROM snapshots ORDER BY seq DESC")?;
        let there: Vec<i64> =
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for seq in &there {
            let Some((link, hash)) = self.snapshots.get(seq).copied() else {
                self.fault(format!("the snapshot of fact {seq} is in no link"));
                continue;
            };
            if chain::snapshot(self.journal, *seq)? != Some(hash) {
                let was = hex(&hash);
                self.fault(format!(
                    "the snapshot of fact {seq} is not what was written: link {link} has {was}"
                ));
            }
        }
        let newest: Vec<(i64, i64)> = self
            .snapshots
            .iter()
            .rev()
            .take(SNAPSHOTS)
            .map(|(seq, (link, _))| (*seq, *link))
            .collect();
        for (seq, link) in newest {
            if !there.contains(&seq) {
                self.fault(format!("the snapshot of fact {seq} is missing: link {link} has it"));
            }
        }
        Ok(())
    }

    /// Whether all that went, went by a step that says so.
    fn gone(&mut self) -> rusqlite::Result<()> {
        self.went.sort_unstable();
        let mut statement = self.journal.prepare("SELECT seq FROM gone ORDER BY seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            let after = self.went.partition_point(|(from, _)| *from <= seq);
            let before = after.checked_sub(1).map(|at| self.went[at]);
            if before.is_none_or(|(_, to)| to < seq) {
                self.fault(format!("fact {seq} went by no step of the retention"));
            }
        }
        Ok(())
    }

    /// Whether the list of incidents is what the facts say.
    fn incidents(&mut self) -> rusqlite::Result<()> {
        let sql = "SELECT id, policy, target, state, outcome, opened_at, closed_at
                   FROM incidents ORDER BY id";
        let list = |connection: &Connection| -> rusqlite::Result<BTreeMap<i64, String>> {
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let columns = (1..7).map(|n| row.get_ref(n).map(|value| format!("{value:?}")));
                Ok((row.get(0)?, columns.collect::<rusqlite::Result<Vec<_>>>()?.join(" ")))
            })?;
            rows.collect()
        };
        let (listed, told) = (list(self.journal)?, list(&self.incidents)?);
        for id in listed.keys().chain(told.keys().filter(|id| !listed.contains_key(id))) {
            if listed.get(id) != told.get(id) {
                self.fault(format!("incident {id} is not listed as the facts say"));
            }
        }
        Ok(())
    }
}

/// Numbers with their noun.
fn told((from, to): (i64, i64), one: &str, many: &str) -> String {
    if from == to { format!("{one} {from}") } else { format!("{many} {from}–{to}") }
}
