//! What the file of `--web.config.file` means: TLS, headers, users and limits of our own listener.
//!
//! Duty: exporter-toolkit's file as plain data. Not its duty: reading the files that it names, which
//! may change while we run, and serving.
//!
//! Source: prometheus/exporter-toolkit, `docs/web-configuration.md` and `web/tls_config.go`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use homeostat_core::configuration::ReadFile;

use crate::http::Secret;
use crate::report::Report;

/// How our own listener is served.
#[derive(Debug)]
pub struct WebConfig {
    /// TLS; without it, plain HTTP is served.
    pub tls: Option<ServerTls>,
    /// Whether HTTP/2 is served, which it is over TLS only.
    pub http2: bool,
    /// Headers of every answer.
    pub headers: Vec<(String, String)>,
    /// Who may come in by basic auth, and the bcrypt hashes of their passwords.
    pub users: BTreeMap<String, Secret>,
    /// How many requests are answered.
    pub rate: Option<RequestRate>,
    /// The file that was read, with its SHA-256; `None` where there is none.
    pub file: Option<ReadFile>,
    /// What is allowed and probably not meant.
    pub warnings: Report,
}

impl WebConfig {
    /// Makes the one that stands in where none is given: plain HTTP, for whoever comes.
    pub fn plain() -> Self {
        Self {
            tls: None,
            http2: true,
            headers: Vec::new(),
            users: BTreeMap::new(),
            rate: None,
            file: None,
            warnings: Report::new("", "", Vec::new()),
        }
    }
}

/// A bucket of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRate {
    /// How often one more may come.
    pub interval: Duration,
    /// How many may come at once.
    pub burst: u32,
}

/// TLS of our own listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// Our certificate, and those that lead to its authority.
    pub certificate: Pem,
    /// Its key.
    pub key: Pem,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// Who may vouch for clients.
    pub client_ca: Option<Pem>,
    /// The subject alternative names of which a client's certificate must have one.
    pub allowed_sans: Option<Vec<String>>,
    /// The versions that are spoken.
    pub versions: Vec<TlsVersion>,
    /// The suites of TLS 1.2, in order of preference; `None`: all that there are.
    pub cipher_suites: Option<Vec<CipherSuite>>,
    /// Whether our order counts, and not that of the client.
    pub prefer_server_cipher_suites: bool,
    /// The groups of the key exchange, in order of preference; `None`: all that there are.
    pub curves: Option<Vec<Curve>>,
}

/// Certificates or a key in PEM, or the file that holds them.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// In the configuration itself.
    Inline(String),
    /// In a file.
    File(PathBuf),
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// What is asked of clients, by Go's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// `NoClientCert`: nothing.
    Nothing,
    /// `RequestClientCert`: a certificate, and whoever has none comes in, too; nobody looks who
    /// vouches for it.
    Request,
    /// `RequireAnyClientCert`: a certificate; nobody looks who vouches for it.
    RequireAny,
    /// `VerifyClientCertIfGiven`: whoever shows a certificate must be vouched for.
    VerifyIfGiven,
    /// `RequireAndVerifyClientCert`: a certificate that is vouched for.
    RequireAndVerify,
}

impl ClientAuth {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Nothing,
        Self::Request,
        Self::RequireAny,
        Self::VerifyIfGiven,
        Self::RequireAndVerify,
    ];

    /// Returns Go's name for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "NoClientCert",
            Self::Request => "RequestClientCert",
            Self::RequireAny => "RequireAnyClientCert",
            Self::VerifyIfGiven => "VerifyClientCertIfGiven",
            Self::RequireAndVerify => "RequireAndVerifyClientCert",
        }
    }

    /// Tells whether somebody must vouch for a certificate, so that it says who somebody is.
    pub const fn verifies(self) -> bool {
        match self {
            Self::VerifyIfGiven | Self::RequireAndVerify => true,
            Self::Nothing | Self::Request | Self::RequireAny => false,
        }
    }

    /// Tells whether nobody comes in without a certificate.
    pub const fn is_mandatory(self) -> bool {
        match self {
            Self::RequireAny | Self::RequireAndVerify => true,
            Self::Nothing | Self::Request | Self::VerifyIfGiven => false,
        }
    }
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// A suite of TLS 1.2, of those that there are. All of TLS 1.3 are always on, as in Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say all")]
pub enum CipherSuite {
    EcdheEcdsaAes256,
    EcdheEcdsaAes128,
    EcdheEcdsaChacha20,
    EcdheRsaAes256,
    EcdheRsaAes128,
    EcdheRsaChacha20,
}

impl CipherSuite {
    /// All of them, by Go's names.
    pub const ALL: [(&str, Self); 6] = [
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Self::EcdheEcdsaAes256),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Self::EcdheEcdsaAes128),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Self::EcdheEcdsaChacha20),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Self::EcdheRsaAes256),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Self::EcdheRsaAes128),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Self::EcdheRsaChacha20),
    ];

    /// Those of TLS 1.3 by Go's names, which may be listed and change nothing.
    pub const OF_TLS13: [&str; 3] =
        ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
}

/// A group of the key exchange, of those that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say all")]
pub enum Curve {
    X25519,
    P256,
    P384,
}

impl Curve {
    /// All of them, by Go's names.
    pub const ALL: [(&str, Self); 3] =
        [("X25519", Self::X25519), ("CurveP256", Self::P256), ("CurveP384", Self::P384)];
}
