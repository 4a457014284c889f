//! Tokens of a provider: whether they count, and whose they are.
//!
//! A token counts if the provider has signed it by one of its public keys, for us, and for now. What
//! its header says, only helps to find the key: no key of a token's own, no URL, and no algorithm that
//! the key is not for.
//!
//! Source: RFC 7519, RFC 8725, RFC 9068, `OpenID` Connect Core 1.0, section 3.1.3.7.

use homeostat_config::OidcProvider;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation, decode, decode_header, get_current_timestamp};
use serde_json::{Map, Value};

use super::keys::Keys;
use crate::access::{Fault, GROUPS, NAME_BYTES, Stranger};

/// How far the provider's clock and ours may be apart, in seconds.
const LEEWAY: u64 = 60;

/// Bytes of a token. Those with hundreds of groups have a few thousand.
const TOKEN_BYTES: usize = 16 * 1024;

/// For what somebody shows a token.
#[derive(Debug, Clone, Copy)]
pub(super) enum Use<'a> {
    /// To sign in: it is what the provider answered.
    SignIn {
        /// Our name there.
        client_id: &'a str,
        /// What makes it that of one sign-in.
        nonce: &'a str,
    },
    /// In each request.
    Bearer {
        /// For whom it must be.
        audience: &'a str,
    },
}

/// Whose a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The user, by the claim that names users.
    pub user: String,
    /// The groups.
    pub groups: Vec<String>,
}

/// Why a token does not count, and whether other keys could make a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unproven {
    /// It does not, by whatever key.
    Stranger(Stranger),
    /// None of these keys has signed it.
    ByThese(Fault),
}

impl From<Fault> for Unproven {
    fn from(fault: Fault) -> Self {
        Self::Stranger(Stranger::Token(fault))
    }
}

/// Tells whether it looks like one: other tokens have no dots, or not two.
pub(super) fn is_one(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'.').count() == 3
}

/// Finds out whose a token is.
pub(super) fn verify(
    token: &[u8],
    usage: Use<'_>,
    provider: &OidcProvider,
    keys: &Keys,
) -> Result<Named, Unproven> {
    if token.len() > TOKEN_BYTES {
        return Err(Fault::Unreadable.into());
    }
    let header = decode_header(token).map_err(|_| Fault::Unreadable)?;
    if !is_of_kind(&header, usage) {
        return Err(Fault::Kind.into());
    }
    let claims = claims(token, &header, usage, provider, keys)?;
    let is_early = claims.get("iat").is_some_and(|at| match at.as_f64() {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far smaller")]
        Some(at) => at > (get_current_timestamp() + LEEWAY) as f64,
        None => true,
    });
    if is_early {
        return Err(Fault::Early.into());
    }
    if let Use::SignIn { client_id, nonce } = usage {
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
        if text("nonce") != Some(nonce) {
            return Err(Fault::Nonce.into());
        }
        let has_many = claims.get("aud").and_then(Value::as_array).is_some_and(|a| a.len() > 1);
        let is_ours = text("azp") == Some(client_id);
        if (has_many || claims.contains_key("azp")) && !is_ours {
            return Err(Fault::Audience.into());
        }
    }
    Ok(named(&claims, provider)?)
}

/// What is neither is made for something else, as to sign somebody out.
fn is_of_kind(header: &Header, usage: Use<'_>) -> bool {
    let typ = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    match usage {
        Use::SignIn { .. } => typ == "jwt",
        Use::Bearer { .. } => ["jwt", "at+jwt", "application/at+jwt"].contains(&&*typ),
    }
}

fn claims(
    token: &[u8],
    header: &Header,
    usage: Use<'_>,
    provider: &OidcProvider,
    keys: &Keys,
) -> Result<Map<String, Value>, Unproven> {
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_issuer(&[&provider.issuer]);
    validation.set_audience(&[match usage {
        Use::SignIn { client_id, .. } => client_id,
        Use::Bearer { audience } => audience,
    }]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let id = header.kid.as_deref();
    let mut unproven = match id {
        Some(id) if keys.has(id) => Unproven::from(Fault::Algorithm),
        Some(_) => Unproven::ByThese(Fault::Key),
        None => Unproven::ByThese(Fault::Algorithm),
    };
    for key in keys.of(id, header.alg) {
        match decode::<Map<String, Value>>(token, key, &validation) {
            Ok(data) => return Ok(data.claims),
            Err(error) => match error.kind() {
                // Who does not name the key may have signed by another one, and so may who has
                // another key by the same name.
                ErrorKind::InvalidSignature => unproven = Unproven::ByThese(Fault::Signature),
                ErrorKind::ExpiredSignature => return Err(Unproven::Stranger(Stranger::Expired)),
                kind => return Err(fault(kind).into()),
            },
        }
    }
    Err(unproven)
}

fn fault(kind: &ErrorKind) -> Fault {
    match kind {
        ErrorKind::InvalidIssuer => Fault::Issuer,
        ErrorKind::InvalidAudience => Fault::Audience,
        ErrorKind::ImmatureSignature => Fault::Early,
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "iss" => Fault::Issuer,
            "aud" => Fault::Audience,
            "sub" => Fault::Nameless,
            _ => Fault::Claims,
        },
        ErrorKind::InvalidClaimFormat(_) => Fault::Claims,
        ErrorKind::InvalidAlgorithm => Fault::Algorithm,
        _ => Fault::Unreadable,
    }
}

/// Reads who it is. An address that the provider does not vouch for is anybody's.
fn named(claims: &Map<String, Value>, provider: &OidcProvider) -> Result<Named, Fault> {
    let OidcProvider { username_claim, groups_claim, .. } = provider;
    let is_name = |name: &&str| {
        !name.is_empty() && name.len() <= NAME_BYTES && !name.chars().any(char::is_control)
    };
    let user = claims.get(username_claim).and_then(Value::as_str).filter(is_name);
    let user = user.ok_or(Fault::Nameless)?;
    if username_claim == "email" && claims.get("email_verified").is_some_and(|word| *word != true) {
        return Err(Fault::Unverified);
    }
    let groups: Vec<&str> = match claims.get(groups_claim) {
        Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(group)) => vec![group],
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => vec![],
    };
    // Everybody who has a name is of this group; nobody else is.
    let groups = groups.into_iter().filter(|group| is_name(group) && *group != "everyone");
    let groups = groups.take(GROUPS).map(str::to_owned).collect();
    Ok(Named { user: user.to_owned(), groups })
}
