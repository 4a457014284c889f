//! One request that does something, for which it counts whether it was sent.
//!
//! Asking and telling may be repeated; a deed may not. So each request has a connection of its
//! own, because one that was idle may be closed just as it is written to, and nothing is tried
//! again. Every status is an answer, a redirect too.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, LOCATION};
use reqwest::{Method, Response, Url};
use tokio::time::{Instant, timeout_at};

use super::{Client, ClientError};

/// Shorter texts are not looked for in answers: they stand there by chance.
const SECRET_BYTES: usize = 4;

/// A request to send.
#[derive(Debug)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// The URL, at the client's own server.
    pub url: Url,
    /// Its headers, besides those that say who we are.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Option<Vec<u8>>,
    /// How long it may take, its answer read.
    pub timeout: Duration,
    /// How many bytes of the answer are kept.
    pub keep: usize,
}

/// What a server answered to a deed.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Where a redirect points to. It is not followed.
    pub location: Option<String>,
    /// The beginning of the body, without our own secrets.
    pub body: Vec<u8>,
    /// Whether the body is longer, or broke off.
    pub truncated: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// Nothing was sent.
    NotSent(ClientError),
    /// It was sent, at least in part.
    Broken(ClientError),
    /// Its time was over; it may have been sent.
    TooSlow,
}

impl Client {
    /// Returns the server's URL as it was configured.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Sends one request, once.
    ///
    /// `secrets` are texts that are taken out of the answer, together with our credentials: a
    /// server that echoes what it was sent must not publish them.
    pub async fn call(&self, request: Outgoing, secrets: &[String]) -> Result<Answer, NoAnswer> {
        let deadline = Instant::now() + request.timeout;
        let keep = request.keep;
        let mut secrets = secrets.to_vec();
        let sent = timeout_at(deadline, self.dispatch(request, &mut secrets)).await;
        let mut response = sent.map_err(|_| NoAnswer::TooSlow)??;
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.map(str::to_owned);
        let status = response.status().as_u16();
        let mut body = Vec::new();
        // The status says what became of the deed, even if the body never ends.
        let read = timeout_at(deadline, read(&mut response, &mut body, keep)).await;
        let truncated = !read.unwrap_or(false);
        Ok(Answer { status, location, body: without(body, &secrets), truncated })
    }

    async fn dispatch(
        &self,
        request: Outgoing,
        secrets: &mut Vec<String>,
    ) -> Result<Response, NoAnswer> {
        let client = self.client().await.map_err(NoAnswer::NotSent)?;
        let Outgoing { method, url, headers, body, .. } = request;
        let mut builder = self.address(&client, method, url).map_err(NoAnswer::NotSent)?;
        builder = self
            .introduce(builder, self.options.basic_auth.as_ref())
            .await
            .map_err(NoAnswer::NotSent)?;
        builder = builder.headers(headers);
        if let Some(body) = body {
            builder = builder.body(body);
        }
        let built = builder.build().map_err(|error| NoAnswer::NotSent(self.unreachable(error)))?;
        let ours = built.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        secrets.extend(ours.and_then(|text| text.split_once(' ')).map(|(_, rest)| rest.to_owned()));
        secrets.extend(self.own_secrets().await.map_err(NoAnswer::NotSent)?);
        let sent_at = Instant::now();
        let response = client.execute(built).await.map_err(|error| {
            let is_certain = error.is_connect() || error.is_builder();
            let error = self.unreachable(error);
            if is_certain { NoAnswer::NotSent(error) } else { NoAnswer::Broken(error) }
        })?;
        self.heed(response.status(), sent_at).await;
        Ok(response)
    }
}

/// Reads a body as far as it is kept. Returns whether that is all of it.
async fn read(response: &mut Response, body: &mut Vec<u8>, keep: usize) -> bool {
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = keep - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    return false;
                }
            }
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Takes secrets out of a body.
pub(crate) fn without(mut body: Vec<u8>, secrets: &[String]) -> Vec<u8> {
    for secret in secrets.iter().filter(|secret| secret.len() >= SECRET_BYTES) {
        let mut clean = Vec::with_capacity(body.len());
        let mut rest = body.as_slice();
        while let Some(at) = rest.windows(secret.len()).position(|w| w == secret.as_bytes()) {
            clean.extend_from_slice(&rest[..at]);
            clean.extend_from_slice(b"<redacted>");
            rest = &rest[at + secret.len()..];
        }
        clean.extend_from_slice(rest);
        body = clean;
    }
    body
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Canned, Server, ok};
    use super::super::{Authorization, ClientOptions, ExtraHeader, Secret, TokenOptions, Tokens};
    use super::*;

    fn outgoing(server: &str) -> Outgoing {
        Outgoing {
            method: Method::POST,
            url: Url::parse(server).unwrap().join("/x?a=%2F").unwrap(),
            headers: HeaderMap::new(),
            body: Some(b"{}".to_vec()),
            timeout: Duration::from_secs(20),
            keep: 10,
        }
    }

    #[tokio::test]
    async fn every_status_is_an_answer_and_no_redirect_is_followed() {
        let server = Server::start(|request| {
            assert!(request.head.starts_with("POST /x?a=%2F "), "{request:?}");
            Canned::Answer(307, "Location: http://127.0.0.1:1/y\r\n", b"0123456789a".into())
        });
        let answer = server.client().call(outgoing(&server.url), &[]).await.unwrap();
        assert_eq!((answer.status, answer.truncated), (307, true));
        assert_eq!(answer.location.as_deref(), Some("http://127.0.0.1:1/y"));
        assert_eq!(answer.body, b"0123456789");
        assert_eq!(server.received().len(), 1);
    }

    #[tokio::test]
    async fn a_server_that_echoes_our_secrets_does_not_publish_them() {
        let server = Server::start(|request| {
            Canned::Answer(200, "", request.head.to_lowercase().into_bytes())
        });
        let credentials = Secret::Text("tok-5ecret".into());
        let authorization = Authorization { scheme: "Bearer".into(), credentials };
        let options = ClientOptions { authorization: Some(authorization), ..Default::default() };
        let client = Client::new(&server.url, options).unwrap();
        let mut request = outgoing(&server.url);
        request.headers.insert("x-key", "key-5ecret".parse().unwrap());
        request.keep = 10_000;
        let answer = client.call(request, &["key-5ecret".to_owned()]).await.unwrap();
        let body = String::from_utf8(answer.body).unwrap();
        assert!(body.contains("authorization: bearer <redacted>"), "{body}");
        assert!(body.contains("x-key: <redacted>") && !body.contains("5ecret"), "{body}");
    }

    #[tokio::test]
    async fn headers_of_the_server_go_with_a_deed_and_the_deed_has_the_last_word() {
        let server = Server::start(|request| {
            Canned::Answer(200, "", request.head.to_lowercase().into_bytes())
        });
        let headers = ["X-Key", "X-Org"].map(|name| ExtraHeader {
            name: name.into(),
            values: Vec::new(),
            secrets: vec![Secret::Text("key-5ecret".into())],
        });
        let params = vec![("tenant".to_owned(), "a".to_owned())];
        let options = ClientOptions { headers: headers.into(), params, ..Default::default() };
        let client = Client::new(&server.url, options).unwrap();
        let mut request = outgoing(&server.url);
        request.headers.insert("x-org", "mine".parse().unwrap());
        request.keep = 10_000;
        let body = client.call(request, &[]).await.unwrap().body;
        let body = String::from_utf8(body).unwrap();
        assert!(body.starts_with("post /x?a=%2f "), "a deed has its own URL: {body}");
        assert!(body.contains("x-key: <redacted>") && !body.contains("5ecret"), "{body}");
        assert!(body.contains("x-org: mine"), "{body}");
        assert_eq!(server.received()[0].header("x-key"), Some("key-5ecret"));
    }

    #[tokio::test]
    async fn without_a_token_no_deed_is_sent_and_a_refused_one_is_not_used_again() {
        let service = Server::start({
            let count = std::sync::atomic::AtomicUsize::new(0);
            move |_| match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Canned::Answer(503, "", Vec::new()),
                number => ok(&format!(r#"{{"access_token":"token-{number}"}}"#)),
            }
        });
        let server = Server::start(|request| {
            let refused = request.header("authorization") == Some("Bearer token-1");
            Canned::Answer(if refused { 401 } else { 200 }, "", request.head.clone().into_bytes())
        });
        let tokens = Tokens::new(TokenOptions {
            client_id: "me".into(),
            client_secret: None,
            token_url: service.url.clone(),
            scopes: Vec::new(),
            endpoint_params: Vec::new(),
            client: ClientOptions::default(),
        });
        let tokens = Some(std::sync::Arc::new(tokens.unwrap()));
        let options = ClientOptions { tokens, ..Default::default() };
        let client = Client::new(&server.url, options).unwrap();
        let send = || client.call(Outgoing { keep: 10_000, ..outgoing(&server.url) }, &[]);
        let refused = send().await.unwrap_err();
        assert!(matches!(refused, NoAnswer::NotSent(ClientError::NoToken { .. })), "{refused:?}");
        assert_eq!(server.received().len(), 0);
        assert_eq!(send().await.unwrap().status, 401);
        let answer = send().await.unwrap();
        let body = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 200);
        assert!(body.contains("Bearer <redacted>") && !body.contains("token-2"), "{body}");
    }

    #[tokio::test]
    async fn what_was_sent_is_told_from_what_was_not() {
        let url = "http://127.0.0.1:1";
        let client = Client::new(url, ClientOptions::default()).unwrap();
        let refused = client.call(outgoing(url), &[]).await.unwrap_err();
        assert!(matches!(refused, NoAnswer::NotSent(_)), "{refused:?}");

        // Reads the request and hangs up.
        let rude = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", rude.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = rude.accept().unwrap();
            let mut buffer = [0; 1024];
            let _ = std::io::Read::read(&mut stream, &mut buffer);
        });
        let client = Client::new(&url, ClientOptions::default()).unwrap();
        let broken = client.call(outgoing(&url), &[]).await.unwrap_err();
        assert!(matches!(broken, NoAnswer::Broken(_)), "{broken:?}");
        thread.join().unwrap();

        let silent = Server::start(|_| Canned::Silence);
        let request = Outgoing { timeout: Duration::from_millis(200), ..outgoing(&silent.url) };
        let slow = silent.client().call(request, &[]).await.unwrap_err();
        assert!(matches!(slow, NoAnswer::TooSlow), "{slow:?}");
    }

    #[tokio::test]
    async fn a_server_that_never_says_hello_was_sent_nothing() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", silent.local_addr().unwrap());
        let options = ClientOptions {
            tls: super::super::TlsOptions { insecure_skip_verify: true, ..Default::default() },
            ..Default::default()
        };
        let client = Client::new(&url, options).unwrap();
        let error = client.call(outgoing(&url), &[]).await.unwrap_err();
        assert!(matches!(error, NoAnswer::NotSent(_)), "{error:?}");
    }
}
