//! Drives Homeostat's decision core through worlds that lie, and watches what it does.
//!
//! ```text
//!  seed ─> Script ─> Play ─┬─> world: truth, witnesses, actions, notifications
//!                          ├─> engine.turn ─> facts ─> journal in memory
//!                          └─> oracle: what the world saw, judged independently ─> Violation
//!  Violation ─> shrink ─> print: a few steps, in the grammar of policy tests
//! ```
//!
//! The engine is the real one; only its driver, its journal and the world are simulated. There is
//! no clock, no thread, no file and no network in a run: a seed fixes all of it. How to read what
//! a run found is written in `docs/internals/simulation.md`.

pub mod random;
pub mod clock;
pub mod zone;
pub mod frost;
pub mod prometheus;
pub mod cast;
pub mod health;
pub mod book;
pub mod people;
pub mod hands;
pub mod owners;
pub mod script;
pub mod world;
pub mod mail;
pub mod act;
pub mod oracle;
pub mod play;
pub mod shrink;
pub mod print;
pub mod command;
