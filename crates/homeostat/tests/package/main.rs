//! The Debian package: what is in it, and its life under a real systemd.

#![expect(clippy::unwrap_used, reason = "the helpers of a test are a test, too")]

mod contents;
mod healing;
mod image;
mod life;
mod machine;
mod programs;
mod release;
mod survival;
mod units;
