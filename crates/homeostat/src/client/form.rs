//! Questions that are too long for a URL, asked of servers that may refuse a POST.
//!
//! A form carries a query of any length. Gateways and read-only roles in front of a Prometheus
//! often let only GET pass; such a server is asked by GET, and for a while not tried by POST again.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::Instant;

use super::{Client, ClientError, Reply};

/// How long a server that refused a POST is asked by GET at once: the refusal costs a round trip, and
/// a gateway that was put right should be noticed.
pub(super) const REMEMBERED: Duration = Duration::from_mins(10);

impl Client {
    /// Asks by a POST of a form, or by a GET with the same fields where POST is refused.
    ///
    /// Source: `DoGetFallback` of Prometheus' `api/prometheus/v1` client, which does so at 405 and 501;
    /// 403 is what roles that allow reading only answer.
    pub async fn form_or_query(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Reply, ClientError> {
        if self.refused_post() {
            let reply = self.get(path, fields).await?;
            if !refuses(reply.status) {
                return Ok(reply);
            }
        }
        let posted = self.post_form(path, fields).await?;
        if !refuses(posted.status) {
            *self.post_refused.lock() = None;
            return Ok(posted);
        }
        let reply = self.get(path, fields).await?;
        let is_better = !refuses(reply.status);
        *self.post_refused.lock() = is_better.then(Instant::now);
        // Where both are refused it is not about the method.
        Ok(if is_better { reply } else { posted })
    }

    fn refused_post(&self) -> bool {
        self.post_refused.lock().is_some_and(|at| at.elapsed() < REMEMBERED)
    }
}

fn refuses(status: StatusCode) -> bool {
    let refusals =
        [StatusCode::FORBIDDEN, StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED];
    refusals.contains(&status)
}
