//! Who may do what: identities, permissions, grants, and routes that cannot be made without a
//! permission.
//!
//! ```text
//!  request ─> web's guard: who is it? ─> the route's gate: may they at all? ─> handler: may they here?
//! ```
//!
//! Duty: a route names what it asks for where it is made ([`Routes`]), and lets in by that ([`Gate`]);
//! what somebody may do, and to what, grants say ([`Caller::may`]). It stands above all rooms that have
//! routes. *Not* its duty: finding out who somebody is, and how a refusal is answered (`web`).

mod grants;
mod caller;
mod gate;
mod routes;

pub use caller::{Caller, GROUPS, Identity, NAME_BYTES, Rights};
pub use gate::{Arrival, Fault, Gate, Refusal, Stranger, Unsigned};
pub use grants::{Lacking, Subject, agreeing, granted, listed};
pub use homeostat_config::Permission;
pub use routes::{Listed, Routes};
