//! How a source is talked to, as plain data.
//!
//! Duty: what `basic_auth`, `authorization`, `oauth2`, `tls_config`, `proxy_url` and `http_headers` say. Not its duty: reading the files
//! that they name, which may change while we run, and talking HTTP (`probe`).
//!
//! Source: `http_config` of Prometheus's configuration.

use std::fmt;
use std::path::PathBuf;

use url::Url;

/// How a source is talked to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpConfig {
    /// How we say who we are.
    pub credentials: Credentials,
    /// How we trust each other.
    pub tls: TlsConfig,
    /// Through whom it is reached.
    pub proxy: Option<ProxyConfig>,
    /// Headers of every request.
    pub headers: Vec<HttpHeader>,
    /// Query parameters of every request to a source.
    pub params: Vec<(String, String)>,
}

/// How we say who we are: at most one of the ways that there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Not at all.
    #[default]
    Anonymous,
    /// `Authorization: Basic …`, from `basic_auth`.
    Basic {
        /// The name.
        username: String,
        /// The password; `None` for an empty one.
        password: Option<SecretSource>,
    },
    /// `Authorization: <scheme> <credentials>`, from `authorization`.
    Header {
        /// The scheme, `Bearer` unless said otherwise.
        scheme: String,
        /// The credentials.
        credentials: SecretSource,
    },
    /// A token that is asked for, from `oauth2`.
    Token(Box<OAuth2Config>),
}

/// Where tokens come from, and by which credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2Config {
    /// Who we are.
    pub client_id: String,
    /// How it is known that we are; `None` for an empty one.
    pub client_secret: Option<SecretSource>,
    /// Where it is asked for.
    pub token_url: Url,
    /// For what.
    pub scopes: Vec<String>,
    /// What else is told.
    pub endpoint_params: Vec<(String, Secret)>,
    /// How we trust each other.
    pub tls: TlsConfig,
    /// Through whom it is reached.
    pub proxy: Option<ProxyConfig>,
}

/// A proxy, from `proxy_url` and `no_proxy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyConfig {
    /// Its URL, in which there may be a password.
    pub url: Secret,
    /// What is reached without it.
    pub except: Option<String>,
}

/// A header of every request, from `http_headers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpHeader {
    /// Its name.
    pub name: String,
    /// Values that anybody may see.
    pub values: Vec<String>,
    /// Values that nobody may see.
    pub secrets: Vec<SecretSource>,
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// It stands in the configuration.
    Inline(Secret),
    /// It is the content of this file without space around it, read anew when it is needed.
    File(PathBuf),
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Shows it to who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// How we trust each other, from `tls_config`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Authorities to trust instead of the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its key.
    pub client: Option<ClientCertificate>,
    /// The name that the server's certificate must have, where it is not the URL's.
    pub server_name: Option<String>,
    /// Whether any certificate is believed.
    pub insecure_skip_verify: bool,
}

/// Our certificate, as two files of PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate and those that vouch for it.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}
