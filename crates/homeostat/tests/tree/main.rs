//! What needs no server: the tree and its documents are in order, and the examples, cases and tests of
//! policies do what they say.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree must fail")]

mod blocks;
mod cases;
mod commands;
mod documents;
mod kubernetes;
mod manual;
mod monitoring;
mod policy_tests;
mod reference;
mod tidy;
