//! What a jump of the wall clock does to the state.
//!
//! Where the engine's clock follows the wall clock, all that runs out is moved along: what was to
//! happen in a minute happens in a minute. Dates are not: when something began, opened or closed,
//! and what others have stamped.

use crate::clock::Jump;
use crate::name::IncidentId;
use crate::time::Span;

use super::State;

impl State {
    pub(super) fn live_through(&mut self, jump: &Jump) {
        self.clock.jumped(jump);
        self.move_memory(jump.followed());
        self.move_owners(jump);
        self.ledgers.move_along(jump.followed());
        let ids: Vec<IncidentId> = self.incidents.keys().copied().collect();
        for id in ids {
            self.amend(id, |incident| incident.live_through(jump));
        }
        // A freeze is a matter of the calendar, and what held for want of an answer is asked again.
        self.rejudge_all();
    }

    /// Ended episodes are remembered for as long as they would have been.
    fn move_memory(&mut self, by: Span) {
        if by.is_zero() {
            return;
        }
        self.ended_by_age.clear();
        for (source, fingerprint, (at, _)) in self.ended.iter_mut() {
            *at = *at + by;
            self.ended_by_age.insert((*at, (*fingerprint, source.clone())));
        }
    }
}
