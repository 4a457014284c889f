//! What is answered beside the engine, which hears of it in its next turn.

use homeostat_core::time::Timestamp;

use super::{Heard, Oracle, Verdict};

impl Oracle {
    /// Judges what only repeats what rests. What is due at that moment waits for the engine's turn.
    ///
    /// # Errors
    ///
    /// The first law that it broke.
    pub fn overhear(&mut self, heard: &Heard, shown: Timestamp) -> Verdict {
        let now = self.listen(heard, shown);
        self.begun_anew_is_new(now)?;
        self.nothing_is_lost(heard, now)?;
        self.count_ignored(heard, now);
        Ok(())
    }
}
