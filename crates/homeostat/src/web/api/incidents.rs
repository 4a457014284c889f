//! Incidents, as a list and one by one.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use homeostat_core::fact::{Fact, What};
use homeostat_core::label::LabelSet;
use homeostat_core::name::{IncidentId, PolicyName};
use homeostat_core::policy::Book;

use super::view::{IncidentList, IncidentView, StateView};
use super::{Api, Filter, History, Page, ReadError, Story, fold};
use crate::access::{Caller, Permission, Subject};
use crate::web::answer;

/// Incidents in a page, where the request does not say.
const LIMIT: usize = 100;

/// Incidents in a page at most.
const MOST: usize = 1000;

/// Patterns of policies by which the journal is asked; of more, what it lists is looked through.
const PATTERNS: usize = 256;

/// Pages of the journal that are looked through for one page of what the caller may see.
const SEARCHES: usize = 20;

const ROOT: &str = "/api/v1/incidents";

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Response {
    let filter = match read(query.as_deref().unwrap_or_default()) {
        Ok(filter) => {
            let policies = caller.sees_policies().filter(|few| few.len() <= PATTERNS);
            Filter { policies, ..filter }
        }
        Err(message) => return answer::problem(ROOT, StatusCode::BAD_REQUEST, &message),
    };
    let page = match visible(&api, &caller, filter).await {
        Ok(page) => page,
        Err(response) => return response,
    };
    let book = (api.web.book)();
    let incidents = page.incidents.iter().filter_map(|(id, story)| view(*id, story, &book));
    let incidents = incidents.collect();
    let next_cursor = page.next.map(|id| id.to_string());
    answer::json(StatusCode::OK, &IncidentList { incidents, next_cursor })
}

/// Lists what the caller may see. The journal knows policies; which targets are seen, is known here:
/// where many are not, a page may be short although there is a next one.
async fn visible(api: &Api, caller: &Caller, mut filter: Filter) -> Result<Page, Response> {
    let mut seen = Page::default();
    let wanted = filter.limit;
    for _ in 0..SEARCHES {
        filter.limit = wanted - seen.incidents.len();
        let asked = filter.clone();
        let page = ask(api, move |history| history.list(&asked)).await?;
        let is_seen = |(id, story): &(IncidentId, Story)| may_see(caller, *id, &story.facts);
        seen.incidents.extend(page.incidents.into_iter().filter(is_seen));
        seen.next = page.next;
        filter.before = page.next;
        if seen.next.is_none() || seen.incidents.len() == wanted {
            break;
        }
    }
    Ok(seen)
}

pub(super) async fn one(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
) -> Response {
    let none = || {
        let message = format!("there is no incident {text:?}");
        answer::problem(ROOT, StatusCode::NOT_FOUND, &message)
    };
    let Some(id) = read_id(&text) else { return none() };
    match ask(&api, move |history| history.incident(id)).await {
        Ok(story) => {
            let seen = story.filter(|story| may_see(&caller, id, &story.facts));
            match seen.and_then(|story| view(id, &story, &(api.web.book)())) {
                Some(incident) => answer::json(StatusCode::OK, &incident),
                None => none(),
            }
        }
        Err(response) => response,
    }
}

/// The policy and the target of an incident, if the caller may see it.
pub(super) async fn subject(
    api: &Api,
    caller: &Caller,
    id: IncidentId,
) -> Result<Option<(PolicyName, LabelSet)>, Response> {
    let story = ask(api, move |history| history.incident(id)).await?;
    let seen = story.filter(|story| may_see(caller, id, &story.facts));
    let subject = |story: Story| {
        subject_of(id, &story.facts).map(|(policy, target)| (policy.clone(), target.clone()))
    };
    Ok(seen.and_then(subject))
}

fn may_see(caller: &Caller, id: IncidentId, facts: &[Fact]) -> bool {
    match subject_of(id, facts) {
        Some((policy, target)) => {
            let subject = Subject::Incident { policy, target };
            caller.may(Permission::View, &subject).is_ok()
        }
        None => caller.may_all(Permission::View),
    }
}

fn subject_of(id: IncidentId, facts: &[Fact]) -> Option<(&PolicyName, &LabelSet)> {
    facts.iter().find_map(|fact| match &fact.what {
        What::IncidentOpened { incident, policy, target, .. } if *incident == id => {
            Some((policy, target))
        }
        _ => None,
    })
}

fn view(id: IncidentId, story: &Story, book: &Book) -> Option<IncidentView> {
    let Some(mut view) = fold(id, &story.facts) else {
        tracing::error!(incident = id.0, "the facts of an incident do not tell how it opened");
        return None;
    };
    view.alerts_total += story.left_out;
    let policy = book.policy(&PolicyName::new(&view.policy));
    view.team = policy.and_then(|policy| policy.about.team.as_ref().map(ToString::to_string));
    Some(view)
}

/// Asks the journal on a thread that may block.
pub(super) async fn ask<T: Send + 'static>(
    api: &Api,
    question: impl FnOnce(&dyn History) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, Response> {
    let _reader = api.readers.acquire().await.expect("the semaphore is never closed");
    let history = api.web.history.clone();
    let asked = tokio::task::spawn_blocking(move || question(&*history)).await;
    let error = match asked {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::error!(error, "the journal could not be read");
    Err(answer::problem(ROOT, StatusCode::INTERNAL_SERVER_ERROR, &error))
}

/// Reads the query of a list.
fn read(query: &str) -> Result<Filter, String> {
    let mut filter = Filter { limit: LIMIT, ..Filter::default() };
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "state" if StateView::ALL.iter().any(|state| state.as_str() == value) => {
                filter.state = Some(value);
            }
            "state" => {
                let states = StateView::ALL.map(StateView::as_str).join(", ");
                return Err(format!("unknown state {value:?}: expected one of {states}"));
            }
            "policy" => filter.policy = Some(value),
            "target" => filter.target.push(label(&value)?),
            "limit" => filter.limit = limit(&value, MOST)?,
            "cursor" => {
                let cursor = read_id(&value);
                filter.before = Some(cursor.ok_or_else(|| {
                    format!("cursor {value:?}: expected the next_cursor of an earlier page")
                })?);
            }
            _ => {
                return Err(format!(
                    "unknown parameter {name:?}: expected state, policy, target, limit or cursor"
                ));
            }
        }
    }
    Ok(filter)
}

/// Reads a label of a target.
pub(super) fn label(value: &str) -> Result<(String, String), String> {
    let label = value.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = label.ok_or_else(|| format!("target {value:?}: expected name=value"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads how many there may be in a page.
pub(super) fn limit(value: &str, most: usize) -> Result<usize, String> {
    let limit = value.parse().ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| format!("limit {value:?}: expected a number from 1 to {most}"))
}

/// Reads the number of an incident, as a path or a cursor names it.
pub(super) fn read_id(text: &str) -> Option<IncidentId> {
    read_number(text).map(IncidentId)
}

/// Reads a number that we have given.
pub(super) fn read_number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// The parameters of a query, in order; a name may come more than once.
pub(super) fn pairs(query: &str) -> Result<Vec<(String, String)>, String> {
    let uri: axum::http::Uri =
        format!("/?{query}").parse().map_err(|_| "the query cannot be read".to_owned())?;
    axum::extract::Query::try_from_uri(&uri)
        .map(|query| query.0)
        .map_err(|error| format!("the query cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_strictly() {
        let filter = read(
            "state=waiting&policy=web%20down&target=instance=a:80&target=job=w%3Db\
             &limit=5&cursor=17",
        );
        assert_eq!(
            filter,
            Ok(Filter {
                state: Some("waiting".into()),
                policy: Some("web down".into()),
                policies: None,
                target: vec![("instance".into(), "a:80".into()), ("job".into(), "w=b".into())],
                limit: 5,
                before: Some(IncidentId(17)),
            })
        );
        assert_eq!(read("").map(|filter| filter.limit), Ok(LIMIT));
        for (query, complaint) in [
            ("state=open", "unknown state \"open\": expected one of waiting, awaiting_approval"),
            ("limit=0", "from 1 to 1000"),
            ("limit=1001", "from 1 to 1000"),
            ("limit=many", "from 1 to 1000"),
            ("cursor=x", "next_cursor"),
            ("cursor=-1", "next_cursor"),
            ("target=a", "expected name=value"),
            ("polcy=x", "unknown parameter \"polcy\""),
        ] {
            let error = read(query).unwrap_err();
            assert!(error.contains(complaint), "{query}: {error}");
        }
    }
}
