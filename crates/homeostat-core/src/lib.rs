//! The decision core of Homeostat: pure, deterministic, infallible.
//!
//! There is no clock here, no file, no network, no randomness: time, names and answers arrive as
//! arguments. The order of the rooms below is the order in which to read them, and a room uses
//! only rooms above it.
//!
//! ```text
//!  observation ─> episode ─> incident ─> plan ─> guard ─> order ─> healing ─> closed
//!                               ▲                                     │
//!                               └──────────── next remedy ◄───────────┘
//!  every arrow is a fact; facts fold into the state; `engine` takes turns
//! ```

mod collections;
pub mod time;
pub mod limits;
pub mod clock;
pub mod interval;
pub mod text;
pub mod name;
pub mod label;
pub mod relabel;
pub mod template;
pub mod request;
pub mod errand;
pub mod collect;
pub mod owner;
pub mod alert;
pub mod repeats;
pub mod storm;
pub mod shadow;
pub mod policy;
pub mod evidence;
pub mod poll;
pub mod witness;
pub mod regression;
pub mod plan;
pub mod why;
pub mod reach;
pub mod operator;
pub mod configuration;
pub mod approval;
pub mod command;
pub mod process;
pub mod hold;
pub mod ledger;
pub mod guard;
pub mod order;
pub mod healing;
pub mod incident;
pub mod notice;
pub mod fact;
pub mod deed;
pub mod snapshot;
pub mod state;
pub mod event;
pub mod decide;
pub mod engine;
pub mod scenario;
