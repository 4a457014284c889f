//! What Homeostat says about itself: every metric name, and how log lines look.
//!
//! Duty: hold the metrics and print them ([`Metrics`]), and set up logging ([`logging::start`]).
//! Not its duty: deciding what is counted when; the rooms that know call the methods here.

pub mod logging;
mod classic;
mod metrics;

pub use metrics::Metrics;
