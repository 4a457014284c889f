//! Bodies that their sender has compressed.
//!
//! What is compressed says so by its first bytes, which no JSON begins with; a header that somebody
//! on the way has left or taken away changes nothing. What comes out is bounded like a body that was
//! never compressed, so that a small body cannot become a large one.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

/// What every gzip begins with.
///
/// Source: RFC 1952, section 2.3.1.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Bytes that are inflated before it is asked whether there is room for more.
const STEP: usize = 64 << 10;

/// Whether a body is compressed.
pub(super) fn is_gzip(body: &[u8]) -> bool {
    body.starts_with(&MAGIC)
}

/// Inflates a body; `room` is asked before each step whether the bytes so far, which it is told,
/// are not too many.
pub(super) fn inflate<E: From<io::Error>>(
    body: &[u8],
    mut room: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let mut inflated = Vec::new();
    let mut decoder = MultiGzDecoder::new(body);
    loop {
        let before = inflated.len();
        (&mut decoder).take(STEP as u64).read_to_end(&mut inflated)?;
        if inflated.len() == before {
            return Ok(inflated);
        }
        room(inflated.len() - before)?;
    }
}
