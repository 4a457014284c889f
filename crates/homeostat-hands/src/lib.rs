//! The hands of Homeostat: they perform orders, and know nothing of why.
//!
//! ```text
//!  engine ─> act: claim ─> do ─> watch ─> end the whole tree ─> record
//!                           ├── hand: this program once more, for one errand
//!                           └── runner: the process that owns the processes, and outlives the engine
//! ```
//!
//! No configuration, journal, web, notice or probe is known here. What is to be done comes as values
//! (`Execution`, `Sending`, `Call`), and requests leave by an `Outlet` that the engine brings. It is
//! the one crate of the workspace in which a line may be `unsafe`, with its argument beside it.
//!
//! The order of the rooms below is the order in which to read them; a room uses only rooms above it.

pub mod failpoint;
pub mod inherited;
pub mod act;
pub mod hand;
pub mod runner;
