//! What Prometheus and Alertmanager make of a text, and what we make of it.

mod matcher_table;
mod re2_table;
