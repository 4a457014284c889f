//! Randomness for secrets, from where TLS has its own.

use rustls::crypto::ring::default_provider;

/// Returns bytes that nobody can guess.
///
/// # Panics
///
/// The kernel gives no randomness: nothing secret can be made then.
pub(super) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let filled = default_provider().secure_random.fill(&mut bytes);
    filled.expect("the kernel gives randomness");
    bytes
}
