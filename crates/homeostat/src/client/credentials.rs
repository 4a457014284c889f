//! Who we are to a server: credentials, tokens, and headers of its own.

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, StatusCode};
use tokio::time::Instant;

use super::{Authorization, BasicAuth, Client, ClientError, ExtraHeader, Secret};

impl Client {
    /// Says who we are, and adds the headers of every request.
    pub(super) async fn introduce(
        &self,
        request: RequestBuilder,
        whom: Option<&BasicAuth>,
    ) -> Result<RequestBuilder, ClientError> {
        let mut request = self.authorize(request, whom).await?;
        for ExtraHeader { name, values, secrets } in &self.options.headers {
            let wrong = |what: &str| self.unusable(format!("the header {name} {what}"));
            let known: HeaderName = name.parse().map_err(|_| wrong("cannot be named so"))?;
            let carried = |text: &str| {
                HeaderValue::from_str(text).map_err(|_| wrong("cannot carry its value"))
            };
            for text in values {
                request = request.header(known.clone(), carried(text)?);
            }
            for secret in secrets {
                let mut value = carried(&self.reveal(secret).await?)?;
                value.set_sensitive(true);
                request = request.header(known.clone(), value);
            }
        }
        Ok(request)
    }

    async fn authorize(
        &self,
        request: RequestBuilder,
        whom: Option<&BasicAuth>,
    ) -> Result<RequestBuilder, ClientError> {
        if let Some(tokens) = &self.options.tokens {
            return self.carry(request, &tokens.current().await?);
        }
        if let Some(Authorization { scheme, credentials }) = &self.options.authorization {
            let text = format!("{scheme} {}", self.reveal(credentials).await?);
            return self.carry(request, &text);
        }
        let Some(BasicAuth { username, password }) = whom else {
            return Ok(request);
        };
        let password = match password {
            Some(secret) => Some(self.reveal(secret).await?),
            None => None,
        };
        Ok(request.basic_auth(username, password))
    }

    fn carry(&self, request: RequestBuilder, text: &str) -> Result<RequestBuilder, ClientError> {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| self.unusable("the credentials do not fit into a header".into()))?;
        value.set_sensitive(true);
        Ok(request.header(AUTHORIZATION, value))
    }

    /// Forgets a token that the server does not take any more, so that the next request has another.
    pub(super) async fn heed(&self, status: StatusCode, sent_at: Instant) {
        if let (StatusCode::UNAUTHORIZED, Some(tokens)) = (status, &self.options.tokens) {
            tokens.refused(sent_at).await;
        }
    }

    /// Reads a secret.
    pub(crate) async fn reveal(&self, secret: &Secret) -> Result<String, ClientError> {
        match secret {
            Secret::Text(text) => Ok(text.clone()),
            Secret::File(path) => {
                let text = tokio::fs::read_to_string(path).await;
                Ok(text.map_err(|source| self.unreadable(path, source))?.trim().to_owned())
            }
        }
    }

    /// Reads all that this client says about us and nobody else may see, tokens aside.
    pub(super) async fn own_secrets(&self) -> Result<Vec<String>, ClientError> {
        let headers = self.options.headers.iter().flat_map(|header| &header.secrets);
        let basic = self.options.basic_auth.as_ref().and_then(|basic| basic.password.as_ref());
        let mut texts = Vec::new();
        for secret in basic.into_iter().chain(headers) {
            texts.push(self.reveal(secret).await?);
        }
        Ok(texts)
    }
}
