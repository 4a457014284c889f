//! Why a server gave no usable answer, in words for a person.

use std::path::PathBuf;
use std::time::Duration;

use homeostat_hands::act::one_line;
use thiserror::Error;

use super::ANSWER_BYTES;

/// Why a server gave no usable answer. The text names the server and is meant for a person.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The base URL cannot be one.
    #[error("{url:?} is not an http or https URL: {reason}")]
    Url {
        /// The URL as it was written.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file with credentials or certificates cannot be read.
    #[error("reading {} for {server}", path.display())]
    File {
        /// The server.
        server: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The options fit no request.
    #[error("the credentials or TLS settings for {server} cannot be used: {reason}")]
    Settings {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// It could not be reached, or broke off.
    #[error("{server} could not be reached: {reason}")]
    Unreachable {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// It began to answer, and the rest did not come.
    #[error("the answer of {server} broke off: {reason}")]
    Broken {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// Whoever should vouch for us did not.
    #[error("no token from {server}: {reason}")]
    NoToken {
        /// Where it was asked for.
        server: String,
        /// Why.
        reason: String,
    },
    /// It took too long.
    #[error("{server} did not answer within {} s", timeout.as_secs())]
    TooSlow {
        /// The server.
        server: String,
        /// How long it had.
        timeout: Duration,
    },
    /// Its answer is too long.
    #[error("the answer of {server} is longer than {ANSWER_BYTES} bytes")]
    TooLong {
        /// The server.
        server: String,
    },
    /// It says that it lives elsewhere.
    #[error("{server} redirects to {location}: configure that URL if it is right")]
    Redirected {
        /// The server.
        server: String,
        /// Where to.
        location: String,
    },
}

impl ClientError {
    /// Returns the error and its causes as one line.
    pub fn line(&self) -> String {
        match self {
            Self::File { source, .. } => format!("{self}: {source}"),
            Self::Url { .. }
            | Self::Settings { .. }
            | Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::NoToken { .. }
            | Self::TooSlow { .. }
            | Self::TooLong { .. }
            | Self::Redirected { .. } => self.to_string(),
        }
    }
}

/// Writes an error and its causes, the same words once.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    // What every error of a request begins with.
    one_line(text.trim_start_matches("error sending request: "))
}
