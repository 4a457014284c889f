//! The guard before all routes: who has come, and what every answer carries.
//!
//! Who has come, [`entrance`](super::entrance) finds out; what they may come to, each route says by its
//! gate ([`crate::access`]). Where nobody is asked, `Host` must be a name of ours. Either way a foreign
//! `Origin` is refused, and what changes something under `/api/v1` must be JSON, which no foreign form
//! can send.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use axum::middleware::Next;
use axum::response::Response;

use super::entrance::{Arrived, Entrance};
use super::origin::Names;
use super::peer::Peer;
use super::refusals::{Details, Reason, because, is_door};
use super::{answer, hearing, pages};
use crate::access::{self, Identity, Stranger, Unsigned};

/// Until when a request must have been answered. Longer than any commit that ends well.
const PATIENCE: Duration = Duration::from_mins(1);

/// What browsers may do with an answer that is no page.
const OUR_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// What scripts show, besides the cookie of their session; forms have a field for it
/// ([`super::pages::FORM_TOKEN`]).
const FORM_TOKEN: &str = "x-csrf-token";

/// Bytes that a form may have.
const FORM_BYTES: usize = 16 * 1024;

/// The posts that Prometheus and others send, who do not always name a content type.
const ALERTS: &str = "/api/v1/alerts";

/// Who may come in.
#[derive(Debug)]
pub struct Guard {
    /// Finds out who has come.
    pub entrance: Arc<Entrance>,
    /// By which names we are called.
    pub names: Names,
}

/// Who has come, or why they are refused.
pub(super) type Judgement = Result<Arrived, Refusal>;

/// A judgement that was made before the router: it stands beside the request.
#[derive(Debug, Clone)]
pub(super) struct Judged(pub(super) Judgement);

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    Gate(access::Refusal),
    UnlistedHost,
    ForeignOrigin,
    NotJson,
    NoFormToken,
    /// Who sends alerts is told to come again, and not that it was too much: Alertmanager would not.
    TooMany {
        sends_alerts: bool,
    },
}

impl Refusal {
    const fn reason(&self) -> Reason {
        match self {
            Self::Gate(access::Refusal::Unknown(why)) => match why {
                Stranger::Nothing => Reason::NoToken,
                Stranger::Wrong | Stranger::Token(_) => Reason::WrongCredentials,
                Stranger::Expired => Reason::Expired,
                Stranger::Crowded => Reason::Crowded,
                Stranger::Unverifiable => Reason::NoProvider,
            },
            Self::Gate(access::Refusal::Lacking(_) | access::Refusal::Objected(_)) => {
                Reason::NotGranted
            }
            Self::Gate(access::Refusal::Unsigned(_, why)) => match why {
                Unsigned::Absent => Reason::NoSignature,
                Unsigned::Wrong => Reason::WrongSignature,
                Unsigned::OutOfTime { .. } => Reason::SignedOutOfTime,
                Unsigned::Replayed | Unsigned::Underway => Reason::Replayed,
                Unsigned::Forgotten => Reason::SignatureForgotten,
            },
            Self::UnlistedHost => Reason::UnlistedHost,
            Self::ForeignOrigin => Reason::ForeignOrigin,
            Self::NotJson => Reason::WrongType,
            Self::NoFormToken => Reason::NoFormToken,
            Self::TooMany { .. } => Reason::TooMany,
        }
    }

    fn answer(&self) -> (StatusCode, String) {
        let (status, message) = match self {
            Self::Gate(access::Refusal::Unknown(why)) => {
                let (status, denied) = (StatusCode::SERVICE_UNAVAILABLE, StatusCode::UNAUTHORIZED);
                match why {
                    Stranger::Nothing => {
                        (denied, "nobody knows who you are: this needs credentials")
                    }
                    Stranger::Wrong => (denied, "these credentials are wrong"),
                    Stranger::Expired => (denied, "this token has expired"),
                    Stranger::Crowded => (status, "too many wait to sign in: try again"),
                    Stranger::Token(fault) => return (denied, fault.to_string()),
                    Stranger::Unverifiable => {
                        (status, "the provider that could verify this token gives no answer")
                    }
                }
            }
            Self::Gate(access::Refusal::Lacking(lacking)) => {
                return (StatusCode::FORBIDDEN, lacking.to_string());
            }
            Self::Gate(access::Refusal::Objected(objection)) => {
                return (StatusCode::FORBIDDEN, objection.to_string());
            }
            Self::Gate(access::Refusal::Unsigned(_, why)) => {
                return (why.status(), why.to_string());
            }
            Self::UnlistedHost => (
                StatusCode::FORBIDDEN,
                "this Host is not known here; --web.allowed-host adds a name",
            ),
            Self::ForeignOrigin => {
                (StatusCode::FORBIDDEN, "requests from pages of another origin are refused")
            }
            Self::NotJson => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "this needs Content-Type: application/json")
            }
            Self::NoFormToken => {
                (StatusCode::FORBIDDEN, "this needs the form token of the session: X-CSRF-Token")
            }
            Self::TooMany { sends_alerts: true } => {
                (StatusCode::SERVICE_UNAVAILABLE, "too many requests: try again")
            }
            Self::TooMany { sends_alerts: false } => {
                (StatusCode::TOO_MANY_REQUESTS, "too many requests")
            }
        };
        (status, message.to_owned())
    }
}

impl Guard {
    /// Finds out who has come, or refuses what nobody may ask like this. The path is the one below the
    /// prefix.
    pub(super) async fn judge(
        &self,
        request: &Parts,
        path: &str,
        peer: Option<&Peer>,
        form: Option<&[u8]>,
    ) -> Judgement {
        if !self.entrance.served().has_room() {
            return Err(Refusal::TooMany { sends_alerts: is_door(path, "") });
        }
        self.judge_origin(request)?;
        let headers = &request.headers;
        let arrived = self.entrance.arrive(headers, peer).await;
        let Ok(caller) = &arrived.arrival.0 else { return Ok(arrived) };
        if *caller.identity() == Identity::Anonymous {
            self.judge_host(request)?;
        }
        let is_read = [Method::GET, Method::HEAD].contains(&request.method);
        let shown = headers.get(FORM_TOKEN).map(HeaderValue::as_bytes).or(form);
        if let Some(form_token) = &arrived.form_token
            && !is_read
            && !shown.is_some_and(|shown| form_token.is(shown))
        {
            return Err(Refusal::NoFormToken);
        }
        let changes = !is_read && path.starts_with("/api/v1/") && path != ALERTS;
        if changes && !is_json(headers) { Err(Refusal::NotJson) } else { Ok(arrived) }
    }

    /// A browser always names the host; only the oldest of other clients do not. HTTP/2 names it in
    /// the target.
    fn judge_host(&self, request: &Parts) -> Result<(), Refusal> {
        let mut hosts = request.headers.get_all(HOST).iter();
        let (host, further) = (hosts.next(), hosts.next());
        let is_ours = |host: &HeaderValue| host.to_str().is_ok_and(|h| self.names.is_our_host(h));
        let is_listed = match host {
            Some(host) => is_ours(host) && further.is_none(),
            None if request.version == Version::HTTP_2 => request.uri.authority().is_some(),
            None => request.version < Version::HTTP_11,
        };
        let in_target = request.uri.authority().map(axum::http::uri::Authority::as_str);
        let target_is_ours = in_target.is_none_or(|host| self.names.is_our_host(host));
        if is_listed && target_is_ours { Ok(()) } else { Err(Refusal::UnlistedHost) }
    }

    fn judge_origin(&self, request: &Parts) -> Result<(), Refusal> {
        let host = request.headers.get(HOST).and_then(|host| host.to_str().ok());
        let target = request.uri.authority().map(axum::http::uri::Authority::as_str);
        let host = host.or(target.filter(|_| request.version == Version::HTTP_2));
        let is_ours = |origin: &HeaderValue| {
            origin.to_str().is_ok_and(|origin| self.names.is_our_origin(origin, host))
        };
        if request.headers.get_all(ORIGIN).iter().all(is_ours) {
            Ok(())
        } else {
            Err(Refusal::ForeignOrigin)
        }
    }
}

impl Guard {
    /// Tells a stranger how to say who they are.
    /// The scripts of a page are not: their browser would ask for a password, and keep it.
    fn challenge(&self, headers: &mut HeaderMap, is_of_a_page: bool) {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        if !is_of_a_page && !self.entrance.served().config.users.is_empty() {
            let basic = HeaderValue::from_static("Basic realm=\"Homeostat\", charset=\"UTF-8\"");
            headers.append(WWW_AUTHENTICATE, basic);
        }
    }

    /// Adds what the web configuration says. A policy of contents stands beside ours, and browsers
    /// keep both: it can only forbid more.
    pub(super) fn dress(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.entrance.served().config.headers {
            let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()))
            else {
                continue;
            };
            if name == CONTENT_SECURITY_POLICY {
                let ours = HeaderValue::from_static(OUR_POLICY);
                headers.entry(&name).or_insert(ours);
                headers.append(name, value);
            } else {
                headers.insert(name, value);
            }
        }
    }
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    is_of_type(headers, "application/json")
}

/// Whether a form of a page is sent.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    is_of_type(headers, "application/x-www-form-urlencoded")
}

fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(wanted)
}

/// Reads the token that a form shows, and gives the body back; of one that is too long, nothing is left.
async fn shown_by_form(body: Body) -> (Body, Option<Vec<u8>>) {
    let bytes = axum::body::to_bytes(body, FORM_BYTES).await.unwrap_or_default();
    let uri = std::str::from_utf8(&bytes).unwrap_or_default();
    let pairs = super::api::incidents::pairs(uri).unwrap_or_default();
    let shown = pairs.into_iter().find(|(name, _)| name == super::pages::FORM_TOKEN);
    (Body::from(bytes), shown.map(|(_, value)| value.into_bytes()))
}

/// Stands before every route.
pub(super) async fn stand(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let uri = request.uri().clone();
    let path = uri.path();
    let (mut parts, body) = request.into_parts();
    let (body, left) = hearing::share(body);
    let is_page = pages::is_page(path, &parts.headers);
    let is_of_a_page =
        is_page || parts.headers.get("sec-fetch-dest").is_some_and(|dest| dest == "empty");
    let has_form = is_form(&parts.headers) && parts.method == Method::POST;
    let (body, shown) =
        if has_form && !is_door(path, "") { shown_by_form(body).await } else { (body, None) };
    let judged = match parts.extensions.remove() {
        Some(Judged(judged)) => judged,
        None => guard.judge(&parts, path, parts.extensions.get(), shown.as_deref()).await,
    };
    let page = is_page.then_some((&*guard.entrance, &uri));
    let mut request = Request::from_parts(parts, body);
    let mut response = match judged {
        Ok(Arrived { arrival, form_token }) => {
            let caller = arrival.0.as_ref().ok().cloned();
            request.extensions_mut().insert(arrival);
            form_token.map(|form_token| request.extensions_mut().insert(form_token));
            let answered = tokio::time::timeout(PATIENCE, next.run(request)).await;
            let response = answered.unwrap_or_else(|_| give_up(path));
            match response.extensions().get::<access::Refusal>() {
                Some(refusal) => {
                    let who = caller.map(|caller| caller.identity().to_string());
                    let mut refused = refuse(path, &Refusal::Gate(refusal.clone()), who, page);
                    if refused.status() == StatusCode::UNAUTHORIZED {
                        guard.challenge(refused.headers_mut(), is_of_a_page);
                    }
                    refused
                }
                None => response,
            }
        }
        Err(refusal) => refuse(path, &refusal, None, page),
    };
    left.hear_out().await;
    guard.dress(response.headers_mut());
    protect(response.headers_mut());
    response
}

fn give_up(path: &str) -> Response {
    tracing::warn!(path, "a request was given up because it took too long");
    let status = StatusCode::SERVICE_UNAVAILABLE;
    answer::problem(path, status, "this took too long and was given up")
}

fn refuse(
    path: &str,
    refusal: &Refusal,
    who: Option<String>,
    page: Option<(&Entrance, &Uri)>,
) -> Response {
    let (status, message) = refusal.answer();
    let mut response = match page {
        Some((entrance, uri)) => pages::refused(entrance, status, &message, uri),
        None => answer::problem(path, status, &message),
    };
    // Whoever opens a page is asked who they are, and not refused.
    if page.is_some() && *refusal == Refusal::Gate(access::Refusal::Unknown(Stranger::Nothing)) {
        return response;
    }
    match refusal {
        Refusal::Gate(access::Refusal::Lacking(lacking)) => {
            let who = who.unwrap_or_default();
            response.extensions_mut().insert(Details(format!("{who} may not: {lacking}")));
        }
        Refusal::Gate(access::Refusal::Unknown(Stranger::Token(_))) => {
            response.extensions_mut().insert(Details(message));
        }
        Refusal::Gate(access::Refusal::Objected(objection)) => {
            let who = who.unwrap_or_default();
            response.extensions_mut().insert(Details(format!("{who}: {objection}")));
        }
        Refusal::Gate(access::Refusal::Unsigned(source, why)) => {
            response.extensions_mut().insert(Details(format!("source {source}: {why}")));
        }
        Refusal::Gate(access::Refusal::Unknown(_))
        | Refusal::UnlistedHost
        | Refusal::ForeignOrigin
        | Refusal::NotJson
        | Refusal::NoFormToken
        | Refusal::TooMany { .. } => {}
    }
    because(refusal.reason(), response)
}

/// What every answer tells browsers.
pub(super) fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, OUR_POLICY),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
