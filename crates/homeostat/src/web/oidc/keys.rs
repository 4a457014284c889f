//! The keys by which a provider signs.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Keys that are looked at. A provider has a few: those of now, of before and of later.
const KEYS: usize = 64;

/// The keys of a provider, as far as they are of use: public ones, for signatures.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys(Vec<Key>);

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    public: DecodingKey,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl Keys {
    /// Reads a set of keys; those that are of no use here are left out, whatever they are.
    ///
    /// Source: RFC 7517.
    pub(super) fn read(json: &[u8]) -> Result<Self, String> {
        let set: Set = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let keys: Vec<Key> = set.keys.into_iter().filter_map(Key::read).take(KEYS).collect();
        if keys.is_empty() {
            return Err("there is no key by which a token could be verified".to_owned());
        }
        Ok(Self(keys))
    }

    /// The keys that could have signed a token whose header says this.
    pub(super) fn of(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<&DecodingKey> {
        let is_meant = |key: &&Key| {
            (id.is_none() || key.id.as_deref() == id) && key.algorithms.contains(&algorithm)
        };
        self.0.iter().filter(is_meant).map(|key| &key.public).collect()
    }

    /// Tells whether there is a key of this name.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(id))
    }
}

impl Key {
    fn read(json: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(json).ok()?;
        let common = &jwk.common;
        if common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
            return None;
        }
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().to_vec(),
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) => match key.curve {
                EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
                _ => return None,
            },
            // A secret that everybody can read, and what nobody knows.
            _ => return None,
        };
        if let Some(only) = common.key_algorithm {
            algorithms.retain(|algorithm| only.to_string().parse().ok() == Some(*algorithm));
        }
        let public = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: common.key_id.clone(), algorithms, public })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_public_keys_for_signatures_are_of_use() {
        let point = json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" });
        let with = |more: Value| {
            let mut key = point.clone();
            key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            key
        };
        let read = |keys: Vec<Value>| Keys::read(json!({ "keys": keys }).to_string().as_bytes());
        let set = read(vec![
            json!("junk"),
            json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256" }),
            with(json!({ "kid": "to-encrypt", "use": "enc" })),
            json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA", "kid": "large" }),
            json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "one-way", "alg": "PS256" }),
            with(json!({ "kid": "es", "use": "sig" })),
            with(json!({ "x5c": ["…"], "alg": "ES256" })),
        ]);
        let set = set.unwrap();
        let count = |id, algorithm| set.of(id, algorithm).len();
        assert_eq!(count(Some("es"), Algorithm::ES256), 1);
        assert_eq!(count(Some("es"), Algorithm::ES384), 0);
        assert_eq!(count(None, Algorithm::ES256), 2, "one of them has no name");
        assert_eq!(count(Some("one-way"), Algorithm::PS256), 1);
        assert_eq!(count(Some("one-way"), Algorithm::RS256), 0);
        for id in ["shared", "to-encrypt", "large"] {
            assert!(!set.has(id), "{id}");
        }
        assert!(read(vec![json!({ "kty": "oct", "k": "AA" })]).is_err());
        assert!(Keys::read(b"{}").is_err() && Keys::read(b"<html>").is_err());
    }
}
