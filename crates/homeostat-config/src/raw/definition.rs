//! Tells all that a part of the file says from anything else that it might say.
//!
//! Comments, places and the way in which a text is quoted make no difference. Secrets that stand in the
//! file make none either: what is computed of them could be compared with guesses.
//!
//! Source: SHA-256 (FIPS 180-4).

use sha2::{Digest as _, Sha256};

use crate::read::Problems;
use crate::yaml::{Kind, Node};

/// Returns the digest of a part of the file, as 64 hexadecimal digits.
pub(super) fn of(node: &Node, problems: &Problems) -> String {
    let mut digest = Sha256::new();
    take(node, problems, &mut digest);
    let digits: Vec<String> = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// Each value is told with its length, so that no two parts look alike because of where one ends.
fn take(node: &Node, problems: &Problems, digest: &mut Sha256) {
    if problems.is_concealed(&node.span) {
        return digest.update(b"secret");
    }
    let mut begin = |kind: &[u8], length: usize| {
        digest.update(kind);
        digest.update(u64::try_from(length).unwrap_or(u64::MAX).to_le_bytes());
    };
    match &node.kind {
        Kind::Scalar(scalar) => {
            begin(b"text", scalar.text.len());
            digest.update(scalar.text.as_bytes());
        }
        Kind::List(items) => {
            begin(b"list", items.len());
            for item in items {
                take(item, problems, digest);
            }
        }
        Kind::Map(entries) => {
            begin(b"map", entries.len());
            for (name, value) in entries {
                take(name, problems, digest);
                take(value, problems, digest);
            }
        }
    }
}
