//! Who sends: several senders at once, as several groups of an Alertmanager are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::world::Notification;

/// How many send at once.
const SENDERS: usize = 4;

/// The longest answer that was awaited, and what was answered.
#[derive(Debug, Default)]
pub struct Answers {
    /// Answered 200.
    pub accepted: Vec<Notification>,
    /// Answered otherwise, or not at all: they are to be sent again.
    pub refused: Vec<Notification>,
}

/// Sends notifications, each once, in this order but several at a time. A sender whose engine is
/// gone goes on with the next: it will be refused, too.
pub async fn send(client: &Client, url: &str, notifications: Vec<Notification>) -> Answers {
    let waiting = Arc::new(Mutex::new(notifications.into_iter()));
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let (client, url, waiting) = (client.clone(), url.to_owned(), waiting.clone());
        senders.spawn(async move {
            let mut answers = Answers::default();
            loop {
                let Some(notification) = waiting.lock().await.next() else { return answers };
                if post(&client, &url, &notification).await {
                    answers.accepted.push(notification);
                } else {
                    answers.refused.push(notification);
                }
            }
        });
    }
    let mut all = Answers::default();
    while let Some(joined) = senders.join_next().await {
        let answers = joined.expect("a sender does not panic");
        all.accepted.extend(answers.accepted);
        all.refused.extend(answers.refused);
    }
    all
}

async fn post(client: &Client, url: &str, notification: &Notification) -> bool {
    let request = client.post(url).header("content-type", "application/json");
    let answer = request.body(notification.body.clone()).send().await;
    answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
}

/// Waits until something is so, looking often.
pub async fn until(most: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + most;
    while !is_so() {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    true
}
