//! What binds a sign-in to the browser in which it began.
//!
//! ```text
//!  begin:  a cookie, by chance ─┬─> state      goes to the provider, and comes back
//!                               ├─> nonce      goes to the provider, and comes back in its token
//!                               └─> verifier ─> challenge goes to the provider
//!  finish: cookie, state ─> do they belong together, in time, and for the first time? ─> nonce, verifier
//! ```
//!
//! All three are made of the cookie by a key of this process. So nothing is kept of sign-ins that began,
//! however many do, and nobody can drive out that of another. Kept is which were finished, so that each
//! counts once.
//!
//! Source: RFC 6749, section 10.12; RFC 7636; `OpenID` Connect Core 1.0, section 15.5.2.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use ring::hmac;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use crate::web::random;

/// How long one may take to sign in at the provider.
pub(super) const LIFE: Duration = Duration::from_mins(10);

/// Sign-ins that are remembered as finished. Of more in ten minutes, the oldest is forgotten; the
/// provider takes no code of it twice.
const FINISHED: usize = 4096;

/// Binds sign-ins to browsers.
pub(super) struct SignIns {
    key: hmac::Key,
    /// Since when this process counts.
    epoch: Instant,
    /// The states of those that were finished, and when each ends.
    finished: Mutex<BTreeMap<String, u64>>,
}

/// What a sign-in shows the provider in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secrets {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
}

impl Secrets {
    /// What the provider is shown of the verifier in the beginning.
    pub(super) fn challenge(&self) -> String {
        encoded(&Sha256::digest(&self.verifier))
    }
}

impl std::fmt::Debug for SignIns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIns").finish_non_exhaustive()
    }
}

impl Default for SignIns {
    fn default() -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>());
        Self { key, epoch: Instant::now(), finished: Mutex::default() }
    }
}

impl SignIns {
    /// Begins one: a cookie for the browser, and what is made of it.
    pub(super) fn begin(&self) -> (String, Secrets) {
        let ends = self.now() + LIFE.as_secs();
        let cookie = format!("{}.{ends}", encoded(&random::bytes::<32>()));
        let secrets = self.secrets(&cookie);
        (cookie, secrets)
    }

    /// Finishes one; `None`: it did not begin in this browser, is over, or was finished before.
    pub(super) fn finish(&self, cookie: &str, state: &str) -> Option<Secrets> {
        let secrets = self.secrets(cookie);
        let is_its_own: bool = secrets.state.as_bytes().ct_eq(state.as_bytes()).into();
        let ends = cookie.rsplit_once('.')?.1.parse().ok()?;
        let now = self.now();
        if !is_its_own || ends < now {
            return None;
        }
        let mut finished = self.finished.lock();
        finished.retain(|_, ends| *ends >= now);
        if finished.contains_key(&secrets.state) {
            return None;
        }
        if finished.len() >= FINISHED {
            let oldest = finished.iter().min_by_key(|(_, ends)| **ends);
            oldest.map(|(state, _)| state.clone()).map(|state| finished.remove(&state));
        }
        finished.insert(secrets.state.clone(), ends);
        Some(secrets)
    }

    fn secrets(&self, cookie: &str) -> Secrets {
        let of = |purpose: &str| {
            let mut context = hmac::Context::with_key(&self.key);
            for part in [purpose, "\n", cookie] {
                context.update(part.as_bytes());
            }
            encoded(context.sign().as_ref())
        };
        Secrets { state: of("state"), nonce: of("nonce"), verifier: of("verifier") }
    }

    fn now(&self) -> u64 {
        self.epoch.elapsed().as_secs()
    }
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sign_in_is_finished_once_in_its_browser_and_in_time() {
        let sign_ins = SignIns::default();
        let (cookie, secrets) = sign_ins.begin();
        let (other_cookie, other) = sign_ins.begin();
        assert_eq!(sign_ins.finish(&cookie, &other.state), None, "it is of another browser");
        assert_eq!(sign_ins.finish("", &secrets.state), None);
        assert_eq!(sign_ins.finish(&cookie, ""), None);
        let later = format!("{cookie}9");
        assert_eq!(sign_ins.finish(&later, &secrets.state), None, "its end is a part of it");
        assert_eq!(sign_ins.finish(&cookie, &secrets.state), Some(secrets.clone()));
        assert_eq!(sign_ins.finish(&cookie, &secrets.state), None, "it was finished");
        let another = SignIns::default();
        assert_eq!(another.finish(&other_cookie, &other.state), None, "it is of another process");
        tokio::time::advance(LIFE + Duration::from_secs(1)).await;
        assert_eq!(sign_ins.finish(&other_cookie, &other.state), None, "it is over");
        let known = [secrets.state, secrets.nonce, secrets.verifier];
        assert!(known.iter().all(|text| text.len() == 43), "as RFC 7636 wants a verifier");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded_and_forgotten_in_time() {
        let sign_ins = SignIns::default();
        for _ in 0..FINISHED + 10 {
            let (cookie, secrets) = sign_ins.begin();
            assert!(sign_ins.finish(&cookie, &secrets.state).is_some());
        }
        assert_eq!(sign_ins.finished.lock().len(), FINISHED);
        tokio::time::advance(LIFE + Duration::from_secs(1)).await;
        let (cookie, secrets) = sign_ins.begin();
        assert!(sign_ins.finish(&cookie, &secrets.state).is_some());
        assert_eq!(sign_ins.finished.lock().len(), 1);
    }

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        let secrets = Secrets {
            state: String::new(),
            nonce: String::new(),
            verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into(),
        };
        assert_eq!(secrets.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
