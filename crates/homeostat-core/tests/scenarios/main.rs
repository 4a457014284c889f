//! Scenarios: alerts, answers, exits and time are played on the engine, one file a subject.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own constants must fail")]

#[path = "../stage/mod.rs"]
mod stage;

mod account;
mod actions;
mod approval;
mod beside;
mod carried;
mod clock;
mod evidence;
mod fair;
mod guards;
mod halt;
mod ladder;
mod notices;
mod owner;
mod people;
mod polls;
mod radius;
mod regressions;
mod seams;
mod shadow;
mod standing;
mod steps;
mod storm;
mod undo;
mod walk;
mod why;
