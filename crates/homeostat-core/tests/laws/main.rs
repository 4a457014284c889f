//! What holds on random walks, whatever happens in which order.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own constants must fail")]

#[path = "../stage/mod.rs"]
mod stage;

#[path = "../walks/mod.rs"]
mod walks;

mod crowd;
mod cut_journal;
mod laws;
mod laws_approval;
mod laws_budget;
mod laws_order;
mod snapshot_law;
mod walked;
