//! The doors of Homeostat: everything that touches the world.
//!
//! ```text
//!  intake ─> queue ─> driver ─> journal
//!    web ──────┘         └────> act, probe, notice ─> queue
//! ```
//!
//! The order of the rooms below is the order in which to read them. `intake`, `act`, `probe`,
//! `journal`, `notice` and `web` never use each other: only `driver` and `app` know them all.

pub mod config;
pub mod queue;
pub mod telemetry;
pub mod client;
pub mod intake;
pub mod act;
pub mod probe;
pub mod journal;
pub mod notice;
pub mod web;
pub mod driver;
pub mod app;
pub mod demo;
pub mod cli;
