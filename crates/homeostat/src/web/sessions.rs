//! Sessions of browsers: who signed in, until when, and by what.
//!
//! A session is a secret in a cookie; of the secret, only its SHA-256 is kept, in memory, so that all
//! end with the process. It is bounded in time and in number, and it is worth no more than that by
//! which it began: when the password or the token is replaced, it is over.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::auth::Digest;
use super::oidc::Mark;
use super::random;
use crate::access::Identity;
use homeostat_core::operator::Way;

/// How long a session lasts: a shift.
pub(super) const LIFE: Duration = Duration::from_hours(12);

/// How long a session lasts that is not used.
const IDLE: Duration = Duration::from_hours(2);

/// Sessions at once. The one that was not used for the longest goes first.
const SESSIONS: usize = 4096;

/// Sessions of one identity, so that nobody who signs in again and again drives out others.
const OF_ONE: usize = 16;

/// Who signed in, of which groups, and how both are known.
pub(super) type Named = (Identity, Vec<String>, Way);

/// By what a session began.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    /// By the password of a user, whose hash was this.
    Password {
        /// The user.
        user: String,
        /// The digest of the hash.
        hash: Digest,
    },
    /// By this token.
    Token(Digest),
    /// By what a provider says.
    Provider(Mark),
}

/// A session, as it is known.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// Who signed in.
    pub(super) named: Named,
    /// By what.
    pub(super) proof: Proof,
    /// What forms must show, besides the cookie.
    pub(super) form_token: String,
    life: Duration,
    began: Instant,
    used: Instant,
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<BTreeMap<[u8; 32], Session>>);

impl Sessions {
    /// Begins a session that lasts for so long at most; returns its secret and what its forms must
    /// show.
    pub(super) fn begin(&self, named: Named, proof: Proof, life: Duration) -> (String, String) {
        let (secret, form_token) = (hex(&random::bytes::<32>()), hex(&random::bytes::<32>()));
        let now = Instant::now();
        let (life, token) = (life.min(LIFE), form_token.clone());
        let session = Session { named, proof, form_token: token, life, began: now, used: now };
        let mut sessions = self.0.lock();
        sessions.retain(|_, session| session.is_alive(now));
        let is_one = |known: &Session| known.named.0 == session.named.0;
        if sessions.values().filter(|known| is_one(known)).count() >= OF_ONE {
            forget_one(&mut sessions, is_one);
        }
        if sessions.len() >= SESSIONS {
            forget_one(&mut sessions, |_| true);
        }
        sessions.insert(print(&secret), session);
        (secret, form_token)
    }

    /// Finds a session by its secret, and notes that it is used.
    pub(super) fn find(&self, secret: &str) -> Option<Session> {
        let (mut sessions, now) = (self.0.lock(), Instant::now());
        let session = sessions.get_mut(&print(secret)).filter(|session| session.is_alive(now))?;
        session.used = now;
        Some(session.clone())
    }

    /// Ends a session.
    pub(super) fn end(&self, secret: &str) {
        self.0.lock().remove(&print(secret));
    }
}

impl Session {
    fn is_alive(&self, now: Instant) -> bool {
        now.duration_since(self.began) < self.life && now.duration_since(self.used) < IDLE
    }
}

fn forget_one(sessions: &mut BTreeMap<[u8; 32], Session>, is_one: impl Fn(&Session) -> bool) {
    let of_them = sessions.iter().filter(|(_, session)| is_one(session));
    let oldest = of_them.min_by_key(|(_, session)| session.used).map(|(print, _)| *print);
    oldest.map(|print| sessions.remove(&print));
}

fn print(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_token() -> Proof {
        Proof::Token(Digest::of(b"token"))
    }

    fn user(name: &str) -> Named {
        (Identity::User(name.into()), Vec::new(), Way::Session)
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_by_time_and_by_sign_out() {
        let sessions = Sessions::default();
        let (secret, form_token) = sessions.begin(user("ann"), by_token(), LIFE);
        assert_eq!((secret.len(), form_token.len()), (64, 64));
        assert_eq!(sessions.find(&secret).unwrap().form_token, form_token);
        assert!(sessions.find(&form_token).is_none() && sessions.find("").is_none());
        tokio::time::advance(IDLE.saturating_sub(Duration::from_secs(1))).await;
        assert!(sessions.find(&secret).is_some(), "it was used in time");
        tokio::time::advance(IDLE).await;
        assert!(sessions.find(&secret).is_none(), "it was not used");
        let (secret, _) = sessions.begin(user("ann"), by_token(), LIFE);
        for _ in 0..11 {
            tokio::time::advance(Duration::from_hours(1)).await;
            assert!(sessions.find(&secret).is_some());
        }
        tokio::time::advance(Duration::from_hours(1)).await;
        assert!(sessions.find(&secret).is_none(), "a shift is over");
        let (secret, _) = sessions.begin(user("ann"), by_token(), IDLE / 2);
        tokio::time::advance(IDLE / 2).await;
        assert!(sessions.find(&secret).is_none(), "it was to be a short one");
        let (secret, _) = sessions.begin(user("ann"), by_token(), LIFE);
        sessions.end(&secret);
        assert!(sessions.find(&secret).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_identity_drives_out_its_own_oldest_session_only() {
        let sessions = Sessions::default();
        let (bob, _) = sessions.begin(user("bob"), by_token(), LIFE);
        let mut of_ann = Vec::new();
        for _ in 0..=OF_ONE {
            tokio::time::advance(Duration::from_secs(1)).await;
            of_ann.push(sessions.begin(user("ann"), by_token(), LIFE).0);
        }
        assert!(sessions.find(&bob).is_some());
        assert!(sessions.find(&of_ann[0]).is_none());
        assert!(of_ann[1..].iter().all(|secret| sessions.find(secret).is_some()));
        assert_eq!(sessions.0.lock().len(), OF_ONE + 1);
    }
}
