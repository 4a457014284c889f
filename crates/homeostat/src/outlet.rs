//! The way out for the requests of remedies: each by its remedy's own client, with the secrets that
//! are no part of an order.
//!
//! *Not* its duty: when a request is sent, and what its answer means (`homeostat_hands::act`).

use std::time::Duration;

use homeostat_core::request::{Header, Request};
use homeostat_hands::act::limits::RESPONSE_MAX;
use homeostat_hands::act::{self, Answer, NoAnswer, Refusal};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::client::{self, Client, Outgoing, Secret};

/// Where a remedy's requests go, and what only the sender knows.
#[derive(Debug)]
pub struct Outlet {
    /// The server, and who we are to it.
    pub client: Client,
    /// Headers whose values are secret.
    pub headers: Vec<(String, Secret)>,
}

/// A request, and what must not stand in its answer.
#[derive(Debug)]
pub struct Letter {
    outgoing: Outgoing,
    secrets: Vec<String>,
}

impl act::Outlet for Outlet {
    type Letter = Letter;

    async fn prepare(&self, request: &Request, timeout: Duration) -> Result<Letter, Refusal> {
        let wrong = |reason: String| Refusal::NoRequest { reason };
        let url = Url::parse(&request.url).map_err(|error| wrong(format!("not a URL: {error}")))?;
        if url.origin() != self.client.base().origin() {
            return Err(Refusal::Reconfigured);
        }
        let mut headers = HeaderMap::new();
        let mut secrets = Vec::new();
        if let Some(body) = &request.body {
            let media_type = HeaderValue::from_str(&body.media_type);
            headers.extend(media_type.ok().map(|value| (CONTENT_TYPE, value)));
        }
        for Header { name, value } in &request.headers {
            let text = if let Some(text) = value {
                text.clone()
            } else {
                secrets.push(self.reveal(name).await?);
                secrets.last().cloned().unwrap_or_default()
            };
            let mut carried = HeaderValue::from_bytes(text.as_bytes())
                .map_err(|_| wrong(format!("header {name} cannot carry its value")))?;
            carried.set_sensitive(value.is_none());
            let name: HeaderName =
                name.parse().map_err(|_| wrong(format!("no header is named {name:?}")))?;
            headers.insert(name, carried);
        }
        let method = request.method.as_str().parse().map_err(|_| wrong("not a method".into()))?;
        let body = request.body.as_ref().map(|body| body.text.clone().into_bytes());
        let outgoing = Outgoing { method, url, headers, body, timeout, keep: RESPONSE_MAX };
        Ok(Letter { outgoing, secrets })
    }

    async fn send(&self, letter: Letter) -> Result<Answer, NoAnswer> {
        let answer = self.client.call(letter.outgoing, &letter.secrets).await;
        let client::Answer { status, location, body, truncated } =
            answer.map_err(|error| match error {
                client::NoAnswer::NotSent(error) => NoAnswer::NotSent(error.line()),
                client::NoAnswer::Broken(error) => NoAnswer::Broken(error.line()),
                client::NoAnswer::TooSlow => NoAnswer::TooSlow,
            })?;
        Ok(Answer { status, location, body, truncated })
    }
}

impl Outlet {
    async fn reveal(&self, header: &str) -> Result<String, Refusal> {
        let known = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(header));
        let Some((_, secret)) = known else { return Err(Refusal::Reconfigured) };
        let revealed = self.client.reveal(secret).await;
        revealed.map_err(|error| Refusal::NotSent { error: error.line() })
    }
}
