//! TLS of our own listener: what the file of `--web.config.file` says, as rustls wants it.
//!
//! A configuration is made whole or not at all, and used for the connections that begin after it: a
//! session of an earlier one is not resumed, so that who is no longer vouched for must show it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use homeostat_config::{CipherSuite, ClientAuth, Curve, Pem, ServerTls, TlsVersion};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{
    CryptoProvider, SupportedKxGroup, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme, SupportedCipherSuite, version,
};
use thiserror::Error;

use super::certificate::subject_alt_names;

/// Bytes of a file of certificates or keys.
const MOST_BYTES: u64 = 1 << 20;

/// Why there is no TLS as it is configured.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is nothing of use.
    #[error("{place} holds no {what} in PEM")]
    Nothing {
        /// Where.
        place: Place,
        /// What should be there.
        what: &'static str,
    },
    /// It is there, and cannot be used.
    #[error("{what} cannot be used")]
    Unusable {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: Error,
    },
    /// Who may vouch for clients cannot be used.
    #[error("who may vouch for clients cannot be used: {0}")]
    Verifier(String),
}

/// Where certificates or a key should be.
#[derive(Debug)]
pub enum Place {
    /// In the configuration itself, under this name.
    Inline(&'static str),
    /// In a file.
    File(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(what) => write!(f, "the {what} of the web configuration"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl TlsError {
    /// Returns the file that is to blame, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Unreadable { path, .. } | Self::Nothing { place: Place::File(path), .. } => {
                Some(path)
            }
            Self::Nothing { place: Place::Inline(_), .. }
            | Self::Unusable { .. }
            | Self::Verifier(_) => None,
        }
    }
}

/// TLS, ready to be spoken.
#[derive(Debug, Clone)]
pub struct Tls {
    /// How.
    pub server: Arc<ServerConfig>,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
}

impl Tls {
    /// Reads all that is named.
    ///
    /// # Errors
    ///
    /// A file cannot be read, holds nothing of use, or does not fit to the others.
    pub fn new(config: &ServerTls, http2: bool) -> Result<Self, TlsError> {
        let chain = certificates("certificate", &config.certificate)?;
        let key = read(&config.key)?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| TlsError::Nothing { place: place("key", &config.key), what: "key" })?;
        let provider = Arc::new(provider(config));
        let versions = config.versions.iter().map(|version| match version {
            TlsVersion::Tls12 => &version::TLS12,
            TlsVersion::Tls13 => &version::TLS13,
        });
        let versions: Vec<&rustls::SupportedProtocolVersion> = versions.collect();
        let unusable = |what| move |source| TlsError::Unusable { what, source };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)
            .map_err(unusable("the choice of versions and cipher suites"))?;
        let builder = match config.client_auth {
            ClientAuth::Nothing => builder.with_no_client_auth(),
            ClientAuth::Request
            | ClientAuth::RequireAny
            | ClientAuth::VerifyIfGiven
            | ClientAuth::RequireAndVerify => {
                builder.with_client_cert_verifier(Arc::new(Clients::new(config, provider)?))
            }
        };
        let certified = builder.with_single_cert(chain, key);
        let mut server = certified.map_err(unusable("the certificate with its key"))?;
        server.ignore_client_order = config.prefer_server_cipher_suites;
        let protocols: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        server.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Self { server: Arc::new(server), client_auth: config.client_auth })
    }
}

/// The files that a configuration names: what changes with them, changes it.
pub fn files(config: &ServerTls) -> Vec<PathBuf> {
    let all = [Some(&config.certificate), Some(&config.key), config.client_ca.as_ref()];
    let file = |pem: &Pem| match pem {
        Pem::Inline(_) => None,
        Pem::File(path) => Some(path.clone()),
    };
    all.into_iter().flatten().filter_map(file).collect()
}

fn provider(config: &ServerTls) -> CryptoProvider {
    let mut provider = default_provider();
    if let Some(suites) = &config.cipher_suites {
        // Those of TLS 1.3 stay, as in Go.
        let of_tls13 = |suite: &SupportedCipherSuite| suite.tls13().is_some();
        provider.cipher_suites.retain(of_tls13);
        provider.cipher_suites.extend(suites.iter().map(|suite| match suite {
            CipherSuite::EcdheEcdsaAes256 => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::EcdheEcdsaAes128 => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::EcdheEcdsaChacha20 => {
                cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            }
            CipherSuite::EcdheRsaAes256 => cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::EcdheRsaAes128 => cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::EcdheRsaChacha20 => {
                cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
            }
        }));
    }
    if let Some(curves) = &config.curves {
        let group = |curve: &Curve| -> &'static dyn SupportedKxGroup {
            match curve {
                Curve::X25519 => kx_group::X25519,
                Curve::P256 => kx_group::SECP256R1,
                Curve::P384 => kx_group::SECP384R1,
            }
        };
        provider.kx_groups = curves.iter().map(group).collect();
    }
    provider
}

fn certificates(what: &'static str, pem: &Pem) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(pem)?;
    let nothing = || TlsError::Nothing { place: place(what, pem), what: "certificate" };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(nothing)
}

fn read(pem: &Pem) -> Result<Vec<u8>, TlsError> {
    use io::Read as _;
    let path = match pem {
        Pem::Inline(text) => return Ok(text.as_bytes().to_vec()),
        Pem::File(path) => path,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes))
        .map_err(|source| TlsError::Unreadable { path: path.clone(), source })?;
    Ok(bytes)
}

fn place(what: &'static str, pem: &Pem) -> Place {
    match pem {
        Pem::Inline(_) => Place::Inline(what),
        Pem::File(path) => Place::File(path.clone()),
    }
}

/// Looks at the certificates of clients.
#[derive(Debug)]
struct Clients {
    mode: ClientAuth,
    /// Who vouches for them, where that is asked.
    vouched: Option<Arc<dyn ClientCertVerifier>>,
    allowed_sans: Option<Vec<String>>,
    provider: Arc<CryptoProvider>,
}

impl Clients {
    fn new(config: &ServerTls, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        // Also where they are not asked to vouch: a file that is not there is a mistake.
        let named = match &config.client_ca {
            Some(pem) => Some(certificates("client_ca", pem)?),
            None => None,
        };
        let vouched = match (named, config.client_auth.verifies()) {
            (Some(named), true) => Some(verifier(named, provider.clone())?),
            (None, true) => {
                return Err(TlsError::Verifier("`client_ca_file` is missing".to_owned()));
            }
            (_, false) => None,
        };
        let (mode, allowed_sans) = (config.client_auth, config.allowed_sans.clone());
        Ok(Self { mode, vouched, allowed_sans, provider })
    }
}

fn verifier(
    named: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in named {
        let what = "a certificate of `client_ca`";
        roots.add(certificate).map_err(|source| TlsError::Unusable { what, source })?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    builder.build().map_err(|error| TlsError::Verifier(error.to_string()))
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.mode.is_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.vouched.as_ref().map_or(&[], |vouched| vouched.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(vouched) = &self.vouched {
            vouched.verify_client_cert(end_entity, intermediates, now)?;
        }
        if let Some(allowed) = &self.allowed_sans {
            let names = subject_alt_names(end_entity);
            if !names.iter().any(|name| allowed.contains(name)) {
                let failure = CertificateError::ApplicationVerificationFailure;
                return Err(Error::InvalidCertificate(failure));
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
