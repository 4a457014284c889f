//! Signatures of notifications: that a body is what its source has signed, that it was signed just
//! now, and that it was not taken in before.
//!
//! ```text
//!  headers, body ─> signed by one of the secrets? ─> in time? ─> not seen before? ─> taken in
//!                                                                                       │
//!              503 or slower: forgotten, so that it may be sent again <── committed? ───┴─> remembered
//! ```
//!
//! A signature is HMAC-SHA-256 in hexadecimal, over the body as it arrives, or over `TIME:BODY` where a
//! header tells the time, in Unix seconds. Without a time nobody can tell a repeat from a replay, and
//! Alertmanagers repeat; so repeats are taken, as they are without a signature. With one, the same
//! signature is taken once.
//!
//! **No replay is taken because there was no room to remember.** What is forgotten, the oldest first,
//! raises a mark: whatever was signed at or before it is sent away with 503, to be signed anew. So is
//! what was signed before the engine began to remember.
//!
//! **No honest repeat is lost.** Grafana signs each try anew. Of one that signs once and tries several
//! times, what was not committed is forgotten, and what was may be refused: its alerts are known.
//!
//! Source: `http/hmac.go` of grafana/alerting.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue};
use homeostat_core::name::SourceName;
use homeostat_core::time::Timestamp;
use parking_lot::{Mutex, RwLock};
use ring::hmac::{self, Key};
use thiserror::Error;

use crate::access::Unsigned;
use crate::secret::{self, SecretFile};

/// Signatures of one source that are remembered, one MiB of them. In a tolerance of five minutes, that
/// is one each 20 milliseconds.
const REMEMBERED: usize = 16_384;

/// The hexadecimal digits of a signature.
const DIGITS: usize = 64;

/// The digits of a time in seconds; three more than it has today.
const TIME_DIGITS: usize = 13;

/// Why a file gives no secret.
#[derive(Debug, Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("cannot read the secret in {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It holds nothing.
    #[error("the file {path} holds no secret: expected one line")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// How the notifications of one source are signed.
#[derive(Debug)]
pub struct Signing {
    /// The secrets, each as good as the others.
    secrets: Vec<SecretFile<Arc<Key>, SecretError>>,
    /// The headers of which one holds the signature.
    headers: Vec<String>,
    /// The header that holds the time, and by how many seconds it may differ from ours.
    time: Option<(String, i64)>,
}

impl Signing {
    /// Reads the secrets.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or holds none.
    pub fn new(
        secret_files: &[PathBuf],
        headers: Vec<String>,
        time: Option<(String, i64)>,
    ) -> Result<Self, SecretError> {
        let open = |path: &PathBuf| SecretFile::open(path, read);
        let secrets = secret_files.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { secrets, headers, time })
    }

    /// Makes sure of a body: it is signed, and in time. Returns what is signed and when, where that is
    /// told.
    fn check(&self, headers: &HeaderMap, body: &[u8], now: i64) -> Result<Option<Print>, Unsigned> {
        let shown = self.headers.iter().flat_map(|name| headers.get_all(name));
        let signature = only(shown).and_then(digest).ok_or(Unsigned::Absent)?;
        let signed_at = match &self.time {
            Some((name, tolerance)) => {
                let shown = only(headers.get_all(name).iter()).ok_or(Unsigned::Absent)?;
                let signed_at = seconds(shown).ok_or(Unsigned::Absent)?;
                let age = now - signed_at;
                if age.abs() > *tolerance {
                    return Err(Unsigned::OutOfTime { seconds: age });
                }
                Some((shown, signed_at))
            }
            None => None,
        };
        let shown = signed_at.map(|(shown, _)| shown);
        let signs = |secret: &SecretFile<Arc<Key>, _>| {
            let own = sign(&secret.current(), shown, body);
            // Compared in constant time.
            bool::from(subtle::ConstantTimeEq::ct_eq(own.as_ref(), &signature[..]))
        };
        // All are tried, so that nobody learns by the time which one it was.
        let signed = self.secrets.iter().map(signs).fold(false, |any, one| any | one);
        let print = signed_at.map(|(_, at)| Print { at, signature });
        if signed { Ok(print) } else { Err(Unsigned::Wrong) }
    }
}

fn sign(key: &Key, time: Option<&[u8]>, body: &[u8]) -> hmac::Tag {
    let mut signing = hmac::Context::with_key(key);
    if let Some(time) = time {
        signing.update(time);
        signing.update(b":");
    }
    signing.update(body);
    signing.sign()
}

/// The value of a header, if there is exactly one: of two, one may have been added on the way.
fn only<'a>(mut values: impl Iterator<Item = &'a HeaderValue>) -> Option<&'a [u8]> {
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

fn digest(shown: &[u8]) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut digest = [0; 32];
    if shown.len() != DIGITS {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(shown.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(digest)
}

fn seconds(shown: &[u8]) -> Option<i64> {
    let is_plain = (1..=TIME_DIGITS).contains(&shown.len()) && shown.iter().all(u8::is_ascii_digit);
    if is_plain { std::str::from_utf8(shown).ok()?.parse().ok() } else { None }
}

/// A secret is what the file holds, but for the end of its line.
fn read(path: &Path) -> Result<Arc<Key>, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let bytes = secret::bytes(path).map_err(unreadable)?;
    let secret = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    if secret.is_empty() {
        return Err(SecretError::Empty { path: path.to_owned() });
    }
    Ok(Arc::new(Key::new(hmac::HMAC_SHA256, secret)))
}

/// By what a signed notification is known again. What was signed first comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Print {
    /// When it was signed, in Unix seconds.
    at: i64,
    signature: [u8; 32],
}

/// How the notifications of all sources are signed that sign them, and which were taken in.
#[derive(Debug, Default)]
pub struct Signatures {
    sources: RwLock<BTreeMap<SourceName, Signed>>,
}

/// How one signs, and what was seen of it.
type Signed = (Arc<Signing>, Arc<Mutex<Seen>>);

impl Signatures {
    /// Puts in force how sources sign; what was seen of those that stay is still known.
    pub fn configure(&self, signed: BTreeMap<SourceName, Signing>, now: Timestamp) {
        let mut sources = self.sources.write();
        let mut earlier = std::mem::take(&mut *sources);
        *sources = signed
            .into_iter()
            .map(|(source, signing)| {
                let seen = earlier.remove(&source).map(|(_, seen)| seen);
                let seen = seen.unwrap_or_else(|| Arc::new(Mutex::new(Seen::since(now.seconds()))));
                (source, (Arc::new(signing), seen))
            })
            .collect();
    }

    /// Tells whether a source signs.
    pub(super) fn has(&self, source: &SourceName) -> bool {
        self.sources.read().contains_key(source)
    }

    /// Makes sure of a body that comes as this source's. Where that tells when it was signed, nobody
    /// else is let in with the same until it is known what this came to.
    ///
    /// # Errors
    ///
    /// It is not to be taken in.
    pub(super) fn admit(
        &self,
        source: &SourceName,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<Admission>, Unsigned> {
        let Some((signing, seen)) = self.sources.read().get(source).cloned() else {
            return Ok(None);
        };
        let Some(print) = signing.check(headers, body, now.seconds())? else { return Ok(None) };
        let tolerance = signing.time.as_ref().map_or(0, |(_, tolerance)| *tolerance);
        seen.lock().admit(print, now.seconds() - tolerance)?;
        Ok(Some(Admission { seen, print }))
    }
}

/// A signed notification that is being taken in. If nobody says that it was, it may come again.
#[derive(Debug)]
#[must_use]
pub(super) struct Admission {
    seen: Arc<Mutex<Seen>>,
    print: Print,
}

impl Admission {
    /// It was taken in.
    pub(super) fn keep(self) {
        self.seen.lock().keep(self.print);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.seen.lock().release(self.print);
    }
}

/// What was taken in of one source, and what is being.
#[derive(Debug)]
struct Seen {
    /// Of what was signed then or before, nobody knows whether it was taken in.
    since: i64,
    prints: BTreeMap<Print, Stage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Underway,
    Taken,
}

impl Seen {
    fn since(since: i64) -> Self {
        Self { since, prints: BTreeMap::new() }
    }

    /// Takes note of a signature. What was signed before `oldest` would be refused anyway.
    fn admit(&mut self, print: Print, oldest: i64) -> Result<(), Unsigned> {
        match self.prints.get(&print) {
            Some(Stage::Taken) => return Err(Unsigned::Replayed),
            Some(Stage::Underway) => return Err(Unsigned::Underway),
            None if print.at <= self.since => return Err(Unsigned::Forgotten),
            None => {}
        }
        self.prints.insert(print, Stage::Underway);
        while let Some((first, _)) = self.prints.first_key_value()
            && (first.at < oldest || self.prints.len() > REMEMBERED)
        {
            self.forget_first();
        }
        Ok(())
    }

    fn forget_first(&mut self) {
        if let Some((first, _)) = self.prints.pop_first() {
            self.since = self.since.max(first.at);
        }
    }

    fn keep(&mut self, print: Print) {
        if let Some(stage) = self.prints.get_mut(&print) {
            *stage = Stage::Taken;
        }
    }

    fn release(&mut self, print: Print) {
        if self.prints.get(&print) == Some(&Stage::Underway) {
            self.prints.remove(&print);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(at: i64, number: usize) -> Print {
        let mut signature = [0; 32];
        signature[..8].copy_from_slice(&number.to_le_bytes());
        Print { at, signature }
    }

    #[test]
    fn what_is_forgotten_for_want_of_room_is_not_taken_again() {
        let mut seen = Seen::since(100);
        assert_eq!(seen.admit(print(100, 0), 0), Err(Unsigned::Forgotten));
        // Ten were signed in each second.
        let at = |number: usize| 101 + i64::try_from(number / 10).unwrap();
        let all = REMEMBERED + 1000;
        for number in 0..all {
            assert_eq!(seen.admit(print(at(number), number), 0), Ok(()), "{number}");
            seen.keep(print(at(number), number));
        }
        assert_eq!(seen.prints.len(), REMEMBERED);
        for number in 0..all {
            let again = seen.admit(print(at(number), number), 0);
            let known = if number < 1000 { Unsigned::Forgotten } else { Unsigned::Replayed };
            assert_eq!(again, Err(known), "{number}");
        }
        assert_eq!(seen.since, at(999));
        assert_eq!(seen.admit(print(at(all), all), 0), Ok(()), "what is signed now is taken");
    }

    #[test]
    fn what_is_too_old_anyway_is_forgotten_and_stays_refused_when_the_clock_goes_back() {
        let mut seen = Seen::since(0);
        for at in [10, 20, 30] {
            seen.admit(print(at, 0), 0).unwrap();
            seen.keep(print(at, 0));
        }
        seen.admit(print(400, 0), 100).unwrap();
        assert_eq!((seen.prints.len(), seen.since), (1, 30));
        assert_eq!(seen.admit(print(30, 0), 0), Err(Unsigned::Forgotten));
    }

    #[test]
    fn only_what_was_not_taken_in_is_released() {
        let mut seen = Seen::since(0);
        seen.admit(print(1, 0), 0).unwrap();
        assert_eq!(seen.admit(print(1, 0), 0), Err(Unsigned::Underway));
        seen.release(print(1, 0));
        seen.admit(print(1, 0), 0).unwrap();
        seen.keep(print(1, 0));
        seen.release(print(1, 0));
        assert_eq!(seen.admit(print(1, 0), 0), Err(Unsigned::Replayed));
    }

    #[test]
    fn a_signature_is_hexadecimal_and_a_time_is_plain() {
        assert_eq!(digest(&[b'f'; 64]), Some([0xff; 32]));
        for wrong in [&b"ff"[..], &[b'g'; 64], &[b'f'; 65], b""] {
            assert_eq!(digest(wrong), None);
        }
        assert_eq!(seconds(b"1764400000"), Some(1_764_400_000));
        for wrong in [&b""[..], b"-1", b"+1", b"1.5", b" 1", b"12345678901234"] {
            assert_eq!(seconds(wrong), None);
        }
    }
}
