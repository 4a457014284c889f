//! How servers are talked to: from what the configuration says to what a client needs.

use std::sync::Arc;

use reqwest::Url;

use crate::client::{
    Authorization, BasicAuth, Client, ClientError, ClientOptions, ExtraHeader, ProxyOptions,
    Secret, TlsOptions, TokenOptions, Tokens,
};
use homeostat_config::{
    Credentials, HttpConfig, HttpHeader, OAuth2Config, ProxyConfig, SecretSource, TlsConfig,
};

/// Makes a client.
pub(super) fn client(url: &Url, http: &HttpConfig) -> Result<Client, ClientError> {
    Client::new(url.as_str(), options(http)?)
}

/// Makes a client that sends each request by a connection of its own.
pub(super) fn single_use(url: &Url, http: &HttpConfig) -> Result<Client, ClientError> {
    Client::new(url.as_str(), ClientOptions { single_use: true, ..options(http)? })
}

/// A secret, to be read by a client.
pub(super) fn secret(source: &SecretSource) -> Secret {
    match source {
        SecretSource::Inline(secret) => Secret::Text(secret.reveal().to_owned()),
        SecretSource::File(path) => Secret::File(path.clone()),
    }
}

/// What a client of these settings needs. Clones of it share their tokens.
pub(crate) fn options(http: &HttpConfig) -> Result<ClientOptions, ClientError> {
    let mut options = ClientOptions {
        tls: tls(&http.tls),
        proxy: http.proxy.as_ref().map(proxy),
        headers: http.headers.iter().map(header).collect(),
        params: http.params.clone(),
        ..ClientOptions::default()
    };
    match &http.credentials {
        Credentials::Anonymous => {}
        Credentials::Basic { username, password } => {
            let password = password.as_ref().map(secret);
            options.basic_auth = Some(BasicAuth { username: username.clone(), password });
        }
        Credentials::Header { scheme, credentials } => {
            let credentials = secret(credentials);
            options.authorization = Some(Authorization { scheme: scheme.clone(), credentials });
        }
        Credentials::Token(config) => options.tokens = Some(Arc::new(tokens(config)?)),
    }
    Ok(options)
}

fn tls(config: &TlsConfig) -> TlsOptions {
    TlsOptions {
        ca_file: config.ca_file.clone(),
        cert_file: config.client.as_ref().map(|client| client.cert_file.clone()),
        key_file: config.client.as_ref().map(|client| client.key_file.clone()),
        server_name: config.server_name.clone(),
        insecure_skip_verify: config.insecure_skip_verify,
    }
}

fn proxy(config: &ProxyConfig) -> ProxyOptions {
    ProxyOptions { url: config.url.reveal().to_owned(), except: config.except.clone() }
}

fn header(header: &HttpHeader) -> ExtraHeader {
    ExtraHeader {
        name: header.name.clone(),
        values: header.values.clone(),
        secrets: header.secrets.iter().map(secret).collect(),
    }
}

fn tokens(config: &OAuth2Config) -> Result<Tokens, ClientError> {
    let params = config.endpoint_params.iter();
    Tokens::new(TokenOptions {
        client_id: config.client_id.clone(),
        client_secret: config.client_secret.as_ref().map(secret),
        token_url: config.token_url.to_string(),
        scopes: config.scopes.clone(),
        endpoint_params: params
            .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
            .collect(),
        client: trusting(&config.tls, config.proxy.as_ref()),
    })
}

/// What a client needs to whom nobody says who we are.
pub(super) fn trusting(tls: &TlsConfig, proxy: Option<&ProxyConfig>) -> ClientOptions {
    ClientOptions { tls: self::tls(tls), proxy: proxy.map(self::proxy), ..ClientOptions::default() }
}

#[cfg(test)]
mod tests {
    use crate::client::tests::{Server, ok};
    use homeostat_config as config;

    #[tokio::test]
    async fn what_the_configuration_says_reaches_the_server() {
        let service = Server::start(|_| ok(r#"{"access_token":"t","expires_in":60}"#));
        let server = Server::start(|_| ok(""));
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("key"), "from a file\n").unwrap();
        let text = format!(
            "sources:
  prometheuses:
    - name: main
      url: http://prometheus.invalid/p
      proxy_url: {proxy}
      params: {{ tenant: [a] }}
      http_headers: {{ X-Scope-OrgID: {{ values: [b] }}, X-Key: {{ files: [key] }} }}
      oauth2:
        client_id: me
        client_secret: secret
        token_url: {token}/token
        scopes: [read]
        endpoint_params: {{ audience: c }}
",
            proxy = server.url,
            token = service.url,
        );
        let name = directory.path().join("homeostat.yml").display().to_string();
        let config = config::parse(&name, &text).unwrap_or_else(|report| panic!("{report}"));
        let source = &config.sources.prometheuses[0];
        let client = super::client(&source.url, &source.http).unwrap();
        client.get("/q", &[]).await.unwrap();
        // The server stands where the proxy would, so that it shows what a proxy is asked for.
        let [sent] = server.received().try_into().unwrap();
        assert!(sent.head.starts_with("GET http://prometheus.invalid/p/q?tenant=a "), "{sent:?}");
        let header = |name| sent.header(name).unwrap_or("-");
        assert_eq!((header("x-scope-orgid"), header("x-key")), ("b", "from a file"));
        assert_eq!(header("authorization"), "Bearer t");
        let [asked] = service.received().try_into().unwrap();
        assert_eq!(asked.body, "grant_type=client_credentials&scope=read&audience=c");
    }
}
