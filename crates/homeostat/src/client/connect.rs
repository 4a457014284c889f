//! The connections of a client: TLS and a proxy, made anew where their files have changed.

use std::net::SocketAddr;
use std::time::SystemTime;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder, Identity, NoProxy, Proxy};

use super::error::causes;
use super::{
    CONNECT_TIMEOUT, Client, ClientError, IDLE_CONNECTION, ProxyOptions, Stamp, TlsOptions,
};

impl Client {
    /// Returns the client in use, made anew where the files of its TLS settings have changed.
    pub(super) async fn client(&self) -> Result<reqwest::Client, ClientError> {
        let mut stamp = Stamp::new();
        let TlsOptions { ca_file, cert_file, key_file, .. } = &self.options.tls;
        for path in [ca_file, cert_file, key_file].into_iter().flatten() {
            let about = tokio::fs::metadata(path).await;
            let about = about.map_err(|source| self.unreadable(path, source))?;
            stamp.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.len()));
        }
        if let Some((made_of, client)) = &*self.current.lock()
            && *made_of == stamp
        {
            return Ok(client.clone());
        }
        let client = self.build().await?;
        *self.current.lock() = Some((stamp, client.clone()));
        Ok(client)
    }

    async fn build(&self) -> Result<reqwest::Client, ClientError> {
        // Whoever runs us as a library has not necessarily chosen a provider; an error says that
        // one is chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(if self.options.single_use { 0 } else { usize::MAX })
            .pool_idle_timeout(IDLE_CONNECTION)
            .user_agent(concat!("homeostat/", env!("CARGO_PKG_VERSION")));
        if let Some(socket) = &self.options.socket {
            builder = builder.unix_socket(socket.as_path());
        }
        let mut is_secure = self.base.scheme() == "https";
        if let Some(proxy) = &self.options.proxy {
            is_secure |= proxy.url.starts_with("https:");
            builder = builder.proxy(self.proxy(proxy)?);
        }
        if !is_secure {
            // The system's certificates are not even read: they take time and a MiB.
            builder = builder.tls_certs_only([]);
            return builder.build().map_err(|error| self.unusable(causes(&error)));
        }
        self.secure(builder).await?.build().map_err(|error| self.unusable(causes(&error)))
    }

    /// Tells whom we trust in TLS, and who we are.
    async fn secure(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, ClientError> {
        let tls = &self.options.tls;
        if let Some(path) = &tls.ca_file {
            let certificates = Certificate::from_pem_bundle(&self.read(path).await?);
            let certificates = certificates.map_err(|error| self.unusable(causes(&error)))?;
            builder = builder.tls_certs_only(certificates);
        }
        if let (Some(certificate), Some(key)) = (&tls.cert_file, &tls.key_file) {
            let mut pem = self.read(certificate).await?;
            pem.push(b'\n');
            pem.extend(self.read(key).await?);
            let identity = Identity::from_pem(&pem);
            builder = builder.identity(identity.map_err(|error| self.unusable(causes(&error)))?);
        }
        if tls.insecure_skip_verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if tls.server_name.is_some() {
            let host = self.base.host_str().unwrap_or_default();
            builder = builder.dns_resolver(Fixed(host.trim_matches(['[', ']']).into()));
        }
        Ok(builder)
    }

    /// A SOCKS proxy is given the host's name and not an address, as Prometheus does: what the
    /// proxy can reach, it can often name as well, and we cannot.
    fn proxy(&self, options: &ProxyOptions) -> Result<Proxy, ClientError> {
        let url = match options.url.strip_prefix("socks5://") {
            Some(rest) => format!("socks5h://{rest}"),
            None => options.url.clone(),
        };
        let proxy = Proxy::all(url).map_err(|error| {
            let reason = causes(&error.without_url());
            self.unusable(format!("proxy_url is not one: {reason}"))
        })?;
        let except = options.except.as_deref().and_then(NoProxy::from_string);
        Ok(proxy.no_proxy(except))
    }
}

/// Finds the addresses of one host, whatever name is asked for: this is how a certificate for
/// another name is accepted while the connection goes to the host of the URL.
struct Fixed(String);

impl Resolve for Fixed {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
