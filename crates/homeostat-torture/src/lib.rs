//! Kills a Homeostat that works, over and over, and counts what became of each alert.
//!
//! ```text
//!  seed ─> Plan ─> a round: load ─> strike ─> restart      (as often as asked)
//!                             │                 │
//!                             └──> World <──────┘ what was answered 200, what ran, who was told
//!  last round ─> all comes to rest ─> judge: lost, double, untold ─> Account, a table
//! ```
//!
//! The engine is the real program, in a process of its own, on one directory from first to last.
//! What it does is judged from outside: by the answers to those who sent, by what its actions wrote
//! down themselves, and at the end by what its API tells. A seed fixes what is sent and when it is
//! struck; what the machine makes of that is not in its hands.

pub mod plan;
pub mod world;
pub mod engine;
pub mod load;
pub mod judge;
pub mod torture;
pub mod command;
