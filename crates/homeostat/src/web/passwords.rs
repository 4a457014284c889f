//! Passwords of basic auth: compared with their bcrypt hashes, which takes long on purpose.
//!
//! So it is done away from the threads that serve, one at a time, for few who wait, and what it came
//! to is remembered: who signs in again and again, right or wrong, costs it once. Of what was
//! compared, only a keyed hash is kept.
//!
//! ```text
//!  password ─> known? ── yes ──────────────────────────────> right or wrong
//!                └ no ─> a place to wait? ── no ───────────> come again (503)
//!                             └ yes ─> a turn ─> bcrypt ─> remembered
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use homeostat_config::Secret;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::random;

/// Comparisons at once. One keeps one core busy.
const TURNS: usize = 1;

/// Who waits for a turn. Of 10 comparisons a second, the last one waits for a few seconds.
const PLACES: usize = 32;

/// Passwords that were right and are remembered: one for each user, and for each of their devices.
const RIGHT: usize = 1024;

/// Passwords that were wrong and are remembered. They are kept apart, so that no flood of wrong ones
/// lets a right one be forgotten.
const WRONG: usize = 8192;

/// What is compared with where there is no such user, so that nobody learns by the time who there is:
/// the hash of a text that nobody knows.
///
/// Source: exporter-toolkit, `web/handler.go`.
const NOBODY: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    /// The password is the user's.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// Too many wait for it to be compared.
    Crowded,
}

/// Compares passwords.
#[derive(Debug)]
pub(super) struct Passwords {
    key: Key,
    known: Mutex<Known>,
    turns: Arc<Semaphore>,
    places: Semaphore,
}

struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(a secret)")
    }
}

type Print = [u8; 32];

#[derive(Debug, Default)]
struct Known {
    right: Remembered,
    wrong: Remembered,
}

/// So many prints; the oldest one goes first.
#[derive(Debug, Default)]
struct Remembered {
    prints: BTreeSet<Print>,
    order: VecDeque<Print>,
}

impl Remembered {
    fn add(&mut self, print: Print, most: usize) {
        if !self.prints.insert(print) {
            return;
        }
        self.order.push_back(print);
        if self.order.len() > most
            && let Some(oldest) = self.order.pop_front()
        {
            self.prints.remove(&oldest);
        }
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            key: Key(random::bytes()),
            known: Mutex::default(),
            turns: Arc::new(Semaphore::new(TURNS)),
            places: Semaphore::new(PLACES),
        }
    }
}

impl Passwords {
    /// Compares a password with that of a user.
    pub(super) async fn check(
        &self,
        users: &BTreeMap<String, Secret>,
        user: &str,
        password: &[u8],
    ) -> Checked {
        let hash = users.get(user).map(Secret::reveal);
        let print = self.print(user, hash.unwrap_or(NOBODY), password);
        if let Some(known) = self.recall(&print) {
            return known;
        }
        let Ok(_place) = self.places.try_acquire() else { return Checked::Crowded };
        let turns = self.turns.clone();
        let turn = turns.acquire_owned().await.expect("the semaphore is never closed");
        // Another request with the same password may have had its turn before.
        if let Some(known) = self.recall(&print) {
            return known;
        }
        let (compared, password) = (hash.unwrap_or(NOBODY).to_owned(), password.to_vec());
        let right = tokio::task::spawn_blocking(move || {
            // Also where nobody waits any more, nobody else has this turn.
            let _turn = turn;
            bcrypt::verify(&password, &compared).unwrap_or(false)
        });
        let right = right.await.unwrap_or(false) && hash.is_some();
        let mut known = self.known.lock();
        if right {
            known.right.add(print, RIGHT);
            Checked::Right
        } else {
            known.wrong.add(print, WRONG);
            Checked::Wrong
        }
    }

    fn recall(&self, print: &Print) -> Option<Checked> {
        let known = self.known.lock();
        if known.right.prints.contains(print) {
            Some(Checked::Right)
        } else if known.wrong.prints.contains(print) {
            Some(Checked::Wrong)
        } else {
            None
        }
    }

    /// Tells this password of this user with this hash from any other. The key makes it worthless
    /// elsewhere; nobody can choose prints that are near to each other.
    fn print(&self, user: &str, hash: &str, password: &[u8]) -> Print {
        let mut print = Sha256::new();
        print.update(self.key.0);
        for part in [user.as_bytes(), hash.as_bytes(), password] {
            print.update((part.len() as u64).to_le_bytes());
            print.update(part);
        }
        print.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> BTreeMap<String, Secret> {
        let hash = bcrypt::hash("right", 4).unwrap();
        [("ann".to_owned(), Secret::new(hash))].into()
    }

    #[tokio::test]
    async fn a_password_is_right_or_wrong_for_its_user_and_hash() {
        let (passwords, users) = (Passwords::default(), users());
        for _ in 0..2 {
            assert_eq!(passwords.check(&users, "ann", b"right").await, Checked::Right);
            assert_eq!(passwords.check(&users, "ann", b"wrong").await, Checked::Wrong);
            assert_eq!(passwords.check(&users, "bob", b"right").await, Checked::Wrong);
            assert_eq!(passwords.check(&users, "", b"").await, Checked::Wrong);
        }
        let changed = [("ann".to_owned(), Secret::new(bcrypt::hash("new", 4).unwrap()))].into();
        assert_eq!(passwords.check(&changed, "ann", b"right").await, Checked::Wrong);
        assert_eq!(passwords.check(&changed, "ann", b"new").await, Checked::Right);
    }

    #[tokio::test]
    async fn a_flood_of_wrong_passwords_is_sent_away_and_who_was_right_is_not() {
        let users = users();
        let passwords = Arc::new(Passwords::default());
        assert_eq!(passwords.check(&users, "ann", b"right").await, Checked::Right);
        let mut flood = tokio::task::JoinSet::new();
        for number in 0..1000 {
            let (passwords, users) = (passwords.clone(), users.clone());
            flood.spawn(async move {
                passwords.check(&users, "bob", format!("{number}").as_bytes()).await
            });
        }
        tokio::task::yield_now().await;
        assert_eq!(passwords.check(&users, "ann", b"right").await, Checked::Right);
        let came_to = flood.join_all().await;
        assert!(!came_to.contains(&Checked::Right));
        let compared = came_to.iter().filter(|checked| **checked == Checked::Wrong).count();
        assert!((1..=2 * PLACES).contains(&compared), "{compared}");
        assert_eq!(passwords.places.available_permits(), PLACES);
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut remembered = Remembered::default();
        for number in 0..5 {
            remembered.add([number; 32], 3);
            remembered.add([number; 32], 3);
        }
        let kept: Vec<u8> = remembered.prints.iter().map(|print| print[0]).collect();
        assert_eq!((kept, remembered.order.len()), (vec![2, 3, 4], 3));
    }
}
