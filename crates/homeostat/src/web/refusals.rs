//! Refusals are seen: a counter for each reason, and a warning now and then that names the way out.
//!
//! ```text
//!  server ─> watch ─> [route prefix] ─> guard ─> routes
//! ```
//!
//! Who is refused is mostly a program that nobody watches: an Alertmanager with a wrong `url` in its
//! configuration loses every alert, and its own log may be read by somebody else. So this layer
//! stands around everything, a prefix too. Where a refusal is made, its answer carries why
//! ([`because`]); what other crates answer is read from the status. A 404 of something that could be
//! there, as an incident, is an answer and no refusal.
//!
//! *Not* its duty: to refuse (`guard`, the routes).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{HOST, USER_AGENT};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::peer::Peer;
use super::{answer, guard};
use crate::telemetry::Metrics;

/// How long one kind of refusal is counted only, once it was told.
const QUIET: Duration = Duration::from_mins(1);

/// Characters that are shown of what a sender says.
const SHOWN_CHARS: usize = 200;

/// Why a request was refused; a label of `http_refusals_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It shows no credentials.
    NoToken,
    /// It shows wrong credentials.
    WrongCredentials,
    /// What it shows was right, and its time is over.
    Expired,
    /// Too many wait for their password to be looked at.
    Crowded,
    /// The provider that could say who it is gives no answer.
    NoProvider,
    /// Who sends it may not do this.
    NotGranted,
    /// It shows no signature where its source has to.
    NoSignature,
    /// It shows a signature that none of the secrets makes.
    WrongSignature,
    /// It was signed too long ago, or in the future.
    SignedOutOfTime,
    /// It was taken in before, or is being taken in.
    Replayed,
    /// It is older than what is remembered of signatures.
    SignatureForgotten,
    /// It comes by a session, and does not show the token of its forms.
    NoFormToken,
    /// More come than `rate_limit` allows.
    TooMany,
    /// Its `Host` is no name of ours.
    UnlistedHost,
    /// It comes from a page of another origin.
    ForeignOrigin,
    /// There is nothing at its path.
    UnknownPath,
    /// Its path takes other methods.
    WrongMethod,
    /// Its body is too large.
    TooLarge,
    /// Its body says that it is of another type.
    WrongType,
}

impl Reason {
    /// Returns the value of the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::WrongCredentials => "wrong_credentials",
            Self::Expired => "expired",
            Self::Crowded => "crowded",
            Self::NoProvider => "no_provider",
            Self::NotGranted => "not_granted",
            Self::NoSignature => "no_signature",
            Self::WrongSignature => "wrong_signature",
            Self::SignedOutOfTime => "signed_out_of_time",
            Self::Replayed => "replayed",
            Self::SignatureForgotten => "signature_forgotten",
            Self::NoFormToken => "no_form_token",
            Self::TooMany => "too_many",
            Self::UnlistedHost => "unlisted_host",
            Self::ForeignOrigin => "foreign_origin",
            Self::UnknownPath => "unknown_path",
            Self::WrongMethod => "wrong_method",
            Self::TooLarge => "too_large",
            Self::WrongType => "wrong_type",
        }
    }

    fn of(response: &Response) -> Option<Self> {
        response.extensions().get().copied().or(match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => Some(Self::WrongMethod),
            StatusCode::PAYLOAD_TOO_LARGE => Some(Self::TooLarge),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Some(Self::WrongType),
            _ => None,
        })
    }
}

/// What a person should read of a refusal in the log, and who asked may not know. No secrets.
#[derive(Debug, Clone)]
pub(super) struct Details(pub(super) String);

/// Marks an answer as a refusal.
pub(super) fn because(reason: Reason, mut response: Response) -> Response {
    response.extensions_mut().insert(reason);
    response
}

/// Serves all routes below a prefix, which may be empty, and watches what is refused.
pub fn watch(all: Router, prefix: &str, metrics: Arc<Metrics>) -> Router {
    let all = match prefix {
        "" => all,
        // As a service, so that the page is at the prefix with a slash, too.
        prefix => Router::new().nest_service(prefix, all).fallback(outside),
    };
    let told = Mutex::default();
    let watch = Arc::new(Watch { prefix: prefix.to_owned(), metrics, told });
    all.layer(middleware::from_fn_with_state(watch, stand))
}

async fn outside(uri: axum::http::Uri) -> Response {
    let mut response = super::nothing_here(&uri);
    guard::protect(response.headers_mut());
    response
}

struct Watch {
    prefix: String,
    metrics: Arc<Metrics>,
    /// What was told last, and how often it happened since without a word. Those who send alerts
    /// are told of apart from those who only look, who may be many.
    told: Mutex<BTreeMap<(Reason, bool), (Instant, u64)>>,
}

impl Watch {
    /// Tells whether one more refusal is worth a word, and how many had none before it.
    fn is_due(&self, kind: (Reason, bool), now: Instant) -> Option<u64> {
        let mut told = self.told.lock();
        match told.get_mut(&kind) {
            Some((at, unsaid)) if now.duration_since(*at) < QUIET => {
                *unsaid += 1;
                None
            }
            Some((_, unsaid)) => {
                let unsaid = *unsaid;
                told.insert(kind, (now, 0));
                Some(unsaid)
            }
            None => {
                told.insert(kind, (now, 0));
                Some(0)
            }
        }
    }
}

async fn stand(State(watch): State<Arc<Watch>>, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let said = [HOST, USER_AGENT].map(|name| request.headers().get(name).cloned());
    let from = request.extensions().get::<Peer>().map(Peer::shown);
    let response = next.run(request).await;
    let Some(reason) = Reason::of(&response) else { return response };
    watch.metrics.refused(reason.as_str());
    let (sends, path) = ([Method::POST, Method::PUT].contains(&method), uri.path());
    let [host, agent] = said.map(|said| said.map_or_else(String::new, |said| header(&said)));
    let help = help(reason, &Asked { prefix: &watch.prefix, path, host: &host, sends });
    // Intake tells of bodies that are too large by itself, with their source.
    if reason != Reason::TooLarge
        && let Some(more) = watch.is_due((reason, sends), Instant::now())
    {
        let (reason, path) = (reason.as_str(), shown(path));
        let details = response.extensions().get().map(|Details(details)| details.as_str());
        let from = from.as_deref().unwrap_or_default();
        tracing::warn!(
            %method, path, host, agent, from, reason, details, more, help, "a request was refused"
        );
    }
    if reason == Reason::UnknownPath && sends {
        // Its sender writes the answer into its own log.
        let mut told = answer::problem(path, response.status(), &format!("{NOTHING_HERE}: {help}"));
        guard::protect(told.headers_mut());
        return told;
    }
    response
}

/// What a request for a path that we do not have is answered with, at least.
pub(crate) const NOTHING_HERE: &str = "there is nothing here";

fn header(said: &HeaderValue) -> String {
    shown(&String::from_utf8_lossy(said.as_bytes()))
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

/// What was asked.
struct Asked<'a> {
    prefix: &'a str,
    path: &'a str,
    host: &'a str,
    /// Whether it brings something.
    sends: bool,
}

/// The way out, for a person.
fn help(reason: Reason, asked: &Asked<'_>) -> String {
    let Asked { prefix, path, host, sends } = asked;
    match reason {
        Reason::NoToken | Reason::WrongCredentials => {
            "send a token of `access.tokens` or of --web.bearer-token-file; in Alertmanager and \
             Prometheus it stands under `authorization`, a password under `basic_auth`"
                .to_owned()
        }
        Reason::Expired => {
            "give the token another `expires`, or its sender another token".to_owned()
        }
        Reason::Crowded => {
            "somebody tries many passwords: who was let in before is not kept waiting".to_owned()
        }
        Reason::NoProvider => "`access.oidc` names it; the log says why it gives none".to_owned(),
        Reason::NoSignature => {
            "`hmac` of its webhook in `sources` says by which headers and secrets it \
                                must be signed: say the same to its sender"
                .to_owned()
        }
        Reason::WrongSignature => {
            "the sender and `hmac` of its webhook must have one secret; nothing \
                                   between them may change the body"
                .to_owned()
        }
        Reason::SignedOutOfTime => {
            "set the clocks right (NTP), or give `hmac` of the webhook a longer `tolerance`"
                .to_owned()
        }
        Reason::Replayed => {
            "who sends again signs again: somebody may have recorded this, and sent it once more"
                .to_owned()
        }
        Reason::SignatureForgotten => {
            "it was signed before the engine started, or before more signatures than it remembers"
                .to_owned()
        }
        Reason::TooMany => "`rate_limit` of the web configuration allows no more".to_owned(),
        Reason::NoFormToken => "it may come from a page that is not ours".to_owned(),
        Reason::NotGranted => "if this should be allowed: `access.grants`".to_owned(),
        Reason::UnlistedHost if host.is_empty() => "name one Host that is ours".to_owned(),
        Reason::UnlistedHost => format!("if this is a name of ours: --web.allowed-host={host}"),
        Reason::ForeignOrigin => {
            "if this page is ours: --web.external-url, or --web.allowed-host".to_owned()
        }
        Reason::WrongMethod if is_door(path, prefix) => {
            let put = if path.contains("/hooks") { " or PUT" } else { "" };
            format!("alerts are sent here by POST{put}")
        }
        Reason::UnknownPath | Reason::WrongMethod if *sends || is_outside(path, prefix) => {
            way(path, prefix)
        }
        Reason::UnknownPath | Reason::WrongMethod => {
            format!(
                "the page is at {prefix}/, the API at {prefix}/api/v1, metrics at {prefix}/metrics"
            )
        }
        Reason::TooLarge => "--web.max-body is the largest body that is taken".to_owned(),
        Reason::WrongType => "send it as Content-Type: application/json".to_owned(),
    }
}

/// Where alerts that came to a wrong path should go.
fn way(path: &str, prefix: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    let before =
        ["/api/v2/alerts", "/api/v1/alerts"].iter().find_map(|api| trimmed.strip_suffix(api));
    match before {
        Some(front) if prefix.is_empty() => {
            let front = shown(front);
            format!(
                "the alerts API is at /api/v2/alerts: remove `path_prefix: {front}` from the sender, \
                 or start with --web.route-prefix={front}"
            )
        }
        Some(_) => format!(
            "the alerts API is at {prefix}/api/v2/alerts: set `path_prefix: {prefix}` in the sender"
        ),
        None => format!(
            "webhooks go to {prefix}/hooks or {prefix}/hooks/NAME, a Prometheus' alerts to \
             {prefix}/api/v2/alerts"
        ),
    }
}

/// Whether alerts are taken at a path, by the right method.
pub(super) fn is_door(path: &str, prefix: &str) -> bool {
    let Some(path) = path.strip_prefix(prefix) else { return false };
    ["/hooks", "/api/v2/alerts", "/api/v1/alerts"].iter().any(|door| {
        path.strip_prefix(door).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn is_outside(path: &str, prefix: &str) -> bool {
    !path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_names_the_right_path_or_flag() {
        let unknown = Reason::UnknownPath;
        let wrong = Reason::WrongMethod;
        let hooks = "webhooks go to /hooks or /hooks/NAME";
        for (reason, prefix, path, sends, way) in [
            (wrong, "", "/", true, hooks),
            (unknown, "", "/hook", true, hooks),
            (unknown, "", "/webhook", true, hooks),
            (unknown, "", "/api/v1/webhook", true, hooks),
            (unknown, "", "/hooks/a/b", true, hooks),
            (unknown, "", "/prom/api/v2/alerts", true, "start with --web.route-prefix=/prom"),
            (unknown, "", "/x/api/v1/alerts/", true, "remove `path_prefix: /x`"),
            (unknown, "/heal", "/api/v2/alerts", true, "set `path_prefix: /heal`"),
            (unknown, "/heal", "/hooks", true, "webhooks go to /heal/hooks"),
            (unknown, "/heal", "/healthy/hooks", true, "webhooks go to /heal/hooks"),
            (unknown, "/heal", "/metrics", false, "webhooks go to /heal/hooks"),
            (unknown, "", "/favicon.ico", false, "metrics at /metrics"),
            (unknown, "/heal", "/heal/x", false, "the page is at /heal/"),
            (wrong, "", "/hooks/main", false, "by POST or PUT"),
            (wrong, "/heal", "/heal/api/v2/alerts", false, "sent here by POST"),
            (Reason::UnlistedHost, "", "/", false, "--web.allowed-host=homeostat:9999"),
        ] {
            let said = help(reason, &Asked { prefix, path, host: "homeostat:9999", sends });
            assert!(said.contains(way), "{prefix} {path}: {said}");
        }
    }

    #[test]
    fn each_kind_is_told_once_a_minute_with_what_was_left_unsaid() {
        let metrics = Arc::new(Metrics::new("1", "2", "3"));
        let watch = Watch { prefix: String::new(), metrics, told: Mutex::default() };
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let path = (Reason::UnknownPath, true);
        assert_eq!(watch.is_due(path, after(0)), Some(0));
        assert_eq!(watch.is_due(path, after(1)), None);
        assert_eq!(watch.is_due((Reason::UnknownPath, false), after(1)), Some(0));
        assert_eq!(watch.is_due((Reason::UnlistedHost, true), after(1)), Some(0));
        assert_eq!(watch.is_due(path, after(59)), None);
        assert_eq!(watch.is_due(path, after(60)), Some(2));
        assert_eq!(watch.is_due(path, after(61)), None);
    }
}
