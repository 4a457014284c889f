//! A server that takes notices by POST: its URL stands in the configuration, or in a file of its own,
//! which is read again when it changes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use thiserror::Error;

use super::message::Message;
use crate::client::{Client, ClientOptions, NoAnswer, Outgoing, one_line};
use crate::secret::{self, SecretFile};

/// The header that carries [`Message::key`].
const KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// Bytes that are read of an answer, for the log.
const KEPT: usize = 2 << 10;

/// Why a file gives no URL. What it holds is not shown: it is a secret.
#[derive(Debug, Error)]
pub enum UrlError {
    /// It cannot be read.
    #[error("cannot read the URL in {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It holds no URL to which something can be sent.
    #[error(
        "the file {path} holds no URL: expected one line, http://… or https://…, without a user or \
         a password"
    )]
    NoUrl {
        /// The file.
        path: PathBuf,
    },
}

/// Where a webhook is.
#[derive(Debug)]
pub enum Webhook {
    /// Always at one URL.
    Fixed(Client),
    /// Where a file says that it is now.
    Told {
        /// The file.
        url: SecretFile<Url, UrlError>,
        /// How it is talked to.
        options: ClientOptions,
    },
}

impl Webhook {
    /// Reads where it is from a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds no URL.
    pub fn told_by(file: &Path, options: ClientOptions) -> Result<Self, UrlError> {
        Ok(Self::Told { url: SecretFile::open(file, read)?, options })
    }

    /// Sends a message, once.
    pub(super) async fn post(
        &self,
        message: &Message<'_>,
        timeout: Duration,
    ) -> Result<(), String> {
        match self {
            Self::Fixed(client) => post(client, message, timeout).await,
            Self::Told { url, options } => {
                let client = Client::new(url.current().as_str(), options.clone());
                let client = client.expect("only what can be talked to was read from the file");
                post(&client, message, timeout).await
            }
        }
    }
}

async fn post(client: &Client, message: &Message<'_>, timeout: Duration) -> Result<(), String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let key = HeaderValue::from_str(&message.key).map_err(|error| error.to_string())?;
    headers.insert(KEY_HEADER, key);
    let request = Outgoing {
        method: Method::POST,
        url: client.base().clone(),
        headers,
        body: Some(message.document()),
        timeout,
        keep: KEPT,
    };
    let answer = client.call(request, &[]).await.map_err(|error| match error {
        // The path of a webhook is often a secret.
        NoAnswer::NotSent(error) | NoAnswer::Broken(error) => {
            error.line().replace(client.server(), "the webhook")
        }
        NoAnswer::TooSlow => format!("no answer within {timeout:?}"),
    })?;
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    let body = one_line(&String::from_utf8_lossy(&answer.body));
    Err(format!("the webhook answered {}: {body}", answer.status))
}

fn read(path: &Path) -> Result<Url, UrlError> {
    let bytes = secret::bytes(path)
        .map_err(|source| UrlError::Unreadable { path: path.to_owned(), source })?;
    let text = str::from_utf8(bytes.trim_ascii()).ok();
    let one_line = text.filter(|text| !text.contains(char::is_whitespace));
    one_line
        .and_then(|text| Url::parse(text).ok())
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .ok_or_else(|| UrlError::NoUrl { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::super::message::Status;
    use super::super::tests::notice;
    use super::*;
    use crate::client::tests::{Canned, Server, ok};

    #[tokio::test]
    async fn it_is_where_its_file_says_now_and_nobody_is_told_where() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("url");
        let (one, two) = (Server::start(|_| ok("")), Server::start(|_| Canned::Silence));
        std::fs::write(&file, format!("{}/s3cret/one\n", one.url)).unwrap();
        let webhook = Webhook::told_by(&file, ClientOptions::default()).unwrap();
        let Webhook::Told { url, .. } = &webhook else { panic!("{webhook:?}") };
        let notice = notice(1);
        let message = Message::new(&notice, Status::Firing, None);
        let post = async |millis| {
            url.look_next_time();
            webhook.post(&message, Duration::from_millis(millis)).await
        };
        assert_eq!(post(20_000).await, Ok(()));
        assert!(one.received()[0].head.starts_with("POST /s3cret/one "), "{:?}", one.received());

        std::fs::write(&file, "no URL\n").unwrap();
        assert_eq!(post(20_000).await, Ok(()));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(post(20_000).await, Ok(()));
        assert_eq!(one.received().len(), 3, "the last one stays in force");

        std::fs::write(&file, format!("{}/s3cret/two", two.url)).unwrap();
        assert_eq!(post(200).await, Err("no answer within 200ms".into()));
        assert_eq!((one.received().len(), two.received().len()), (3, 1));
        std::fs::write(&file, "http://127.0.0.1:1/s3cret/three").unwrap();
        let refused = post(20_000).await.unwrap_err();
        assert!(refused.starts_with("the webhook could not be reached"), "{refused}");
        assert!(!format!("{refused} {webhook:?}").contains("s3cret"), "{refused} {webhook:?}");
    }

    #[test]
    fn what_is_no_url_of_a_webhook_is_refused_and_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("url");
        let error = || Webhook::told_by(&file, ClientOptions::default()).unwrap_err();
        assert!(matches!(error(), UrlError::Unreadable { .. }));
        for text in [
            "",
            "\n",
            "s3cret",
            "/s3cret",
            "ftp://chat.example/s3cret",
            "https://",
            "https://u:s3cret@chat.example/",
            "https://chat.example/a\nhttps://chat.example/s3cret",
        ] {
            std::fs::write(&file, text).unwrap();
            let error = error();
            assert!(matches!(error, UrlError::NoUrl { .. }), "{text:?}: {error:?}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
