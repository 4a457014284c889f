//! What only an engine with failpoints can show: it is killed at each step, and over and over.

#![expect(clippy::unwrap_used, reason = "the helpers of a test are a test, too")]

#[path = "../support/mod.rs"]
mod support;

mod crash;
mod hang;
mod torture;
