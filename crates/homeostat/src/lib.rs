//! The doors of Homeostat: everything that touches the world.
//!
//! ```text
//!  intake ─> queue ─> driver ─> journal
//!    web ──────┘         └────> hands, probe, notice ─> queue
//! ```
//!
//! The order of the rooms below is the order in which to read them. `intake`, `probe`, `journal`,
//! `notice` and `web` never use each other, nor the hands (`homeostat_hands`), which perform orders:
//! only `driver` and `app` know them all.
//!
//! # Your own domain expertise
//!
//! What no command and no request can do is written as a handler: an async function from an
//! [`Action`] to an [`Outcome`], in a program of your own.
//!
//! ```no_run
//! use homeostat::{Action, App, Outcome};
//!
//! #[tokio::main]
//! async fn main() -> anyhow::Result<()> {
//!     App::from_file("homeostat.yml")?
//!         .action("move-primary", |order: Action| async move {
//!             println!("moving the primary away from {}", order.label("instance")?);
//!             Ok(Outcome::done())
//!         })
//!         .run()
//!         .await
//! }
//! ```
//!
//! A remedy names it: `call: move-primary`. Guards, verification, journal and timeline are the
//! same as for any other remedy.

pub mod queue;
pub mod telemetry;
pub mod secret;
pub mod access;
pub mod client;
pub mod outlet;
pub mod relabelling;
pub mod promql;
mod listing;
pub mod intake;
pub mod runner;
pub mod probe;
mod explanation;
pub mod deeds;
pub mod incidents;
pub mod journal;
pub mod notice;
pub mod web;
pub mod policy_test;
pub mod driver;
pub mod app;
pub mod demo;
pub mod cli;

pub use app::{App, AtStop, Running, StartError};
pub use homeostat_config::Report;
pub use homeostat_core::label::LabelSet;
pub use homeostat_hands::act::SubjectAlert as Alert;
pub use homeostat_hands::act::handler::{Action, Cancelled, HandlerError, MissingLabel, Outcome};
pub use homeostat_hands::failpoint;

/// The programs in the manual compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/reference/handlers.md")]
struct Manual;
