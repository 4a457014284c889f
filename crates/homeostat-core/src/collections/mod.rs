//! Maps that are small where there are a hundred thousand of something.
//!
//! Duty: keep what std's trees keep, in the same order, in less room: where keys only grow
//! ([`RisingMap`], [`RisingSet`]), and where many have the same first key ([`Nested`]).
//!
//! Not its duty: to know what is kept.

mod nested;
mod rising;

pub(crate) use nested::Nested;
pub(crate) use rising::{RisingMap, RisingSet};
