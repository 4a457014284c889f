//! The floor under all rooms: facts, written down in groups, and read back.
//!
//! SQL lives here and nowhere else. A group is committed whole or not at all; a commit whose
//! outcome is uncertain is told apart, because nobody may go on from it.
//!
//! | table | holds |
//! |---|---|
//! | `facts` | what happened, in order; `body` is JSON, `version` says how to read it |
//! | `incidents` | a projection for listing: one row an incident, written in the same commit |
//! | `alerts_of` | the names of their alerts, as far as the index has read |
//! | `indexed` | one row: up to which fact the index has read |
//! | `unindexed` | incidents of before that fact which are not over |
//! | `volumes`, `words_N` | the index of those that are over, by ranges of their numbers |
//! | `days` | what became of the incidents of each day, counted as they close |
//! | `snapshots` | a line for each snapshot that is complete: which facts it covers |
//! | `snapshot_parts` | what they hold, in parts of JSON lines |
//! | `chain` | a link for each group of facts, snapshot and step of the retention, bound to those before |
//! | `gone` | the hashes of facts that were let go, of whose group others are there |
//! | `folds` | the hashes of links in a row of which nothing is there any more |

mod chain;
mod days;
mod deeds;
mod encode;
mod fold;
mod follow;
mod index;
mod lock;
mod mover;
mod project;
mod read;
mod retention;
mod schema;
mod search;
mod snapshot;
mod sqlite;
#[cfg(test)]
mod tests;
mod verify;

pub use chain::Head;
pub use lock::{DirectoryLock, LockError};
pub use mover::Mover;
pub use read::Reader;
pub use retention::Batch;
pub use snapshot::{Draft, Recovered};
pub use sqlite::{CommitError, Journal, JournalError};
pub use verify::{KeptHead, Verified, verify};
