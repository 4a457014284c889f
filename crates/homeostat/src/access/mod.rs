//! Who may do what: permissions, and routes that cannot be made without one.
//!
//! ```text
//!  request ─> web's guard: who is it? ─> the route's gate: may they? ─> handler
//! ```
//!
//! Duty: a route names what it asks for where it is made ([`Routes`]), and lets in by that ([`Gate`]).
//! It stands above all rooms that have routes. *Not* its duty: finding out who somebody is, and how
//! a refusal is answered (`web`).

mod gate;
mod routes;

pub use gate::{Arrival, Gate, Refusal};
pub use homeostat_config::Permission;
pub use routes::{Listed, Routes};
