//! One request for all who ask at the same time.
//!
//! ```text
//!  asked ──> next round ──(the round under way ends)──> sent ──> answered ──> all of the round
//!                 ▲
//!                 └── whoever asks before it is sent joins
//! ```
//!
//! A thousand questions at once so cost two requests, and every answer is to a request that was
//! sent after its question was asked. Rejected: a cache with an age. An answer from before an
//! action's end must not count as one from after it, and two looks must not count one answer twice.

use std::future::Future;
use std::sync::{Arc, OnceLock};

/// Rounds of one kind of request; `W` is what those who ask want of it, `A` its answer.
#[derive(Debug)]
pub(super) struct Flight<W, A> {
    under_way: tokio::sync::Mutex<()>,
    next: parking_lot::Mutex<Option<Arc<Round<W, A>>>>,
}

#[derive(Debug)]
struct Round<W, A> {
    wanted: parking_lot::Mutex<W>,
    answer: OnceLock<A>,
}

impl<W, A> Default for Flight<W, A> {
    fn default() -> Self {
        Self { under_way: tokio::sync::Mutex::default(), next: parking_lot::Mutex::default() }
    }
}

impl<W: Clone + Default, A: Clone> Flight<W, A> {
    /// Joins the next round and returns its answer. `want` adds to what the round asks for; of all
    /// who join, one performs `request`.
    pub(super) async fn join<F: Future<Output = A>>(
        &self,
        want: impl FnOnce(&mut W),
        request: impl FnOnce(W) -> F,
    ) -> A {
        let round = {
            let mut next = self.next.lock();
            let round = next.get_or_insert_with(|| {
                Arc::new(Round { wanted: parking_lot::Mutex::default(), answer: OnceLock::new() })
            });
            want(&mut round.wanted.lock());
            round.clone()
        };
        let _turn = self.under_way.lock().await;
        if let Some(answer) = round.answer.get() {
            return answer.clone();
        }
        // From here nobody joins this round. It may have left before, with somebody who gave up;
        // the round that stands there now is then another one.
        {
            let mut next = self.next.lock();
            if next.as_ref().is_some_and(|waiting| Arc::ptr_eq(waiting, &round)) {
                *next = None;
            }
        }
        let wanted = round.wanted.lock().clone();
        let answer = request(wanted).await;
        round.answer.get_or_init(|| answer).clone()
    }
}
