//! Real engine processes, alone or with a real Prometheus and Alertmanager: one file a subject.

#![expect(clippy::unwrap_used, reason = "the helpers of a test are a test, too")]

#[path = "../support/mod.rs"]
mod support;

mod acceptance;
mod actions;
mod approvals;
mod audit;
mod collectors;
mod demo_hosts;
mod demo_service;
mod direct;
mod doors;
mod evidence;
mod explain;
mod fair;
mod faults;
mod follow;
mod history;
mod kubernetes;
mod listener;
mod manager;
mod migrate;
mod modes;
mod notices;
mod notified;
mod oidc;
mod openapi;
mod overload;
mod owner;
mod page;
mod panels;
mod prospects;
mod radius;
mod rebels;
mod reconcile;
mod relabel;
mod runner;
mod senders;
mod signed;
mod ssh;
mod stack;
mod stored_journal;
mod stream;
mod tutorial;
mod undo;
mod witnesses;
