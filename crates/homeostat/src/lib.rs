//! The doors of Homeostat: everything that touches the world.
//!
//! The order of the rooms below is the order in which to read them. `intake`, `act`, `probe`,
//! `journal`, `notice` and `web` never use each other: only `driver` and `app` know them all.

pub mod queue;
pub mod act;
pub mod journal;
