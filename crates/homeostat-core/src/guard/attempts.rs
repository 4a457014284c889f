//! Attempts: at most so many orders for one incident, those of the incident of which it is a
//! relapse included. Beyond it a person is told.

use super::{Deed, Ruling};
use crate::hold::Stop;

pub(super) fn judge(deed: &Deed<'_>) -> Ruling {
    let (used, max) = (deed.ladder.orders, deed.policy.guard.attempts);
    if used < max {
        Ruling::Clear(format!("order {} of at most {max}", used + 1))
    } else {
        Ruling::Stop(Stop::AttemptsUsed { max })
    }
}
