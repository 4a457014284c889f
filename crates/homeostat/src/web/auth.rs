//! Tokens: what is kept of them, and those that stand in files.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::secret::{self, SecretFile};

/// Why a token file gives no token.
#[derive(Debug, Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot read the token file {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It holds nothing that could be a token.
    #[error("the token file {path} holds no token: expected one line of visible ASCII characters")]
    NoToken {
        /// The file.
        path: PathBuf,
    },
}

/// The SHA-256 of a token. The token itself is not kept.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(a secret's)")
    }
}

impl Digest {
    /// Takes one that is known.
    pub fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Computes that of a token.
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Tells whether both are of one token, in constant time.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A token that stands in a file.
#[derive(Debug)]
pub struct Token(SecretFile<Digest, TokenError>);

impl Token {
    /// Reads the token from a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds no token.
    pub fn from_file(path: &Path) -> Result<Self, TokenError> {
        SecretFile::open(path, read).map(Self)
    }

    /// Tells whether this is the token's digest.
    pub fn is(&self, shown: &Digest) -> bool {
        self.0.current().is(shown)
    }
}

fn read(path: &Path) -> Result<Digest, TokenError> {
    let bytes = secret::bytes(path)
        .map_err(|source| TokenError::Unreadable { path: path.to_owned(), source })?;
    let token = bytes.trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(TokenError::NoToken { path: path.to_owned() });
    }
    Ok(Digest::of(token))
}

/// The token of an `Authorization: Bearer`, whose case does not matter (RFC 9110, section 11.1).
pub(super) fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = authorization.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| rest.trim_ascii())
}

/// User and password of an `Authorization: Basic` (RFC 7617).
pub(super) fn basic(authorization: &[u8]) -> Option<(String, Vec<u8>)> {
    let (scheme, rest) = authorization.split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    // What is no base64, or no UTF-8, is nobody's.
    let shown = BASE64_STANDARD.decode(rest.trim_ascii()).unwrap_or_default();
    let (user, password) = match shown.iter().position(|byte| *byte == b':') {
        Some(colon) => (&shown[..colon], &shown[colon + 1..]),
        None => (&[][..], &[][..]),
    };
    Some((String::from_utf8(user.to_vec()).unwrap_or_default(), password.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> (tempfile::TempDir, Result<Token, TokenError>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, text).unwrap();
        let token = Token::from_file(&path);
        (directory, token)
    }

    #[test]
    fn user_and_password_are_parted_at_the_first_colon() {
        let read = |header: &str| basic(header.as_bytes());
        let ann = Some(("ann".to_owned(), b"a:b".to_vec()));
        assert_eq!(read("Basic YW5uOmE6Yg=="), ann);
        assert_eq!(read("basic  YW5uOmE6Yg== "), ann);
        let nobody = Some((String::new(), Vec::new()));
        for wrong in ["Basic ", "Basic !", "Basic YW5u", "Basic /zph"] {
            assert_eq!(read(wrong).map(|(user, _)| user), Some(String::new()), "{wrong}");
        }
        assert_eq!(read("Basic Og=="), nobody);
        assert_eq!(read("Bearer YW5uOmE6Yg=="), None);
    }

    fn is_shown_by(token: &Token, authorization: &[u8]) -> bool {
        bearer(authorization).is_some_and(|shown| token.is(&Digest::of(shown)))
    }

    #[test]
    fn the_token_is_asked_for_whole() {
        let (_directory, token) = token("s3cret\n");
        let token = token.unwrap();
        for good in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret "] {
            assert!(is_shown_by(&token, good.as_bytes()), "{good}");
        }
        for bad in
            ["", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret1", "Basic s3cret", "s3cret"]
        {
            assert!(!is_shown_by(&token, bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_file_without_a_token_is_refused() {
        for text in ["", "\n \n", "two words", "two\nlines", "s\u{1}"] {
            let (_directory, token) = token(text);
            assert!(matches!(token, Err(TokenError::NoToken { .. })), "{text:?}");
        }
        let missing = Token::from_file(Path::new("/nonexistent/token"));
        assert!(matches!(missing, Err(TokenError::Unreadable { .. })));
    }

    #[test]
    fn a_replaced_token_counts_and_a_broken_one_does_not() {
        let (directory, token) = token("old");
        let token = token.unwrap();
        let later = || token.0.look_next_time();
        std::fs::write(directory.path().join("token"), "").unwrap();
        later();
        assert!(is_shown_by(&token, b"Bearer old"));
        std::fs::write(directory.path().join("token"), "newer").unwrap();
        later();
        assert!(is_shown_by(&token, b"Bearer newer"));
        assert!(!is_shown_by(&token, b"Bearer old"));
        std::fs::remove_file(directory.path().join("token")).unwrap();
        later();
        assert!(is_shown_by(&token, b"Bearer newer"));
    }
}
