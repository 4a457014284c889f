//! One way by which a notice reaches people beside Alertmanager: a command, or a webhook.

use std::time::Duration;

use super::command;
use super::message::Message;
use super::webhook::Webhook;

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
    Webhook(Box<Webhook>),
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
            Way::Webhook(webhook) => webhook.post(message, self.timeout).await,
        }
    }
}
