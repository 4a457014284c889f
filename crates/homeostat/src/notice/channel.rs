//! One way by which a notice reaches people beside Alertmanager: a command, or a webhook.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::command;
use super::message::Message;
use crate::client::{Client, NoAnswer, Outgoing, one_line};

/// The header that carries [`Message::key`].
const KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// Bytes that are read of an answer, for the log.
const KEPT: usize = 2 << 10;

/// One way by which a notice reaches people.
#[derive(Debug)]
pub struct Channel {
    /// Its name in the configuration.
    pub name: String,
    /// Which way.
    pub way: Way,
    /// How long one try may take.
    pub timeout: Duration,
    /// Whether it is told that a trouble is over.
    pub send_resolved: bool,
}

/// How a notice is handed over.
#[derive(Debug)]
pub enum Way {
    /// To a program: on stdin and as environment.
    Exec(Vec<String>),
    /// To a server, by POST.
    Webhook(Box<Client>),
}

impl Channel {
    /// Tries once to hand over a message. Whoever gets it may get it again.
    ///
    /// # Errors
    ///
    /// It was not accepted, and why; or nobody knows.
    pub(super) async fn send(&self, message: &Message<'_>) -> Result<(), String> {
        match &self.way {
            Way::Exec(argv) => {
                command::run(argv, message.variables(), message.document(), self.timeout).await
            }
            Way::Webhook(client) => post(client, message, self.timeout).await,
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
