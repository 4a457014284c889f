//! Incidents, as a list and one by one.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use homeostat_core::fact::{Fact, What};
use homeostat_core::label::LabelSet;
use homeostat_core::name::{BootId, IncidentId, PolicyName};
use homeostat_core::policy::Book;

use super::board::{Board, Shown, in_force};
use super::pick::{Picked, is_of_open, pick};
use super::search::{self, Asked};
use super::view::{IncidentList, IncidentView, OrderState};
use super::{Api, Filter, History, Page, ReadError, Story, fold};
use crate::access::{Caller, Permission, Subject};
use crate::web::answer;

/// Patterns of policies by which the journal is asked; of more, what it lists is looked through.
const PATTERNS: usize = 256;

/// Pages of the journal that are looked through for one page of what the caller may see.
const SEARCHES: usize = 20;

const ROOT: &str = "/api/v1/incidents";

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = match search::read(query.as_deref().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(message) => return answer::problem(ROOT, StatusCode::BAD_REQUEST, &message),
    };
    let fields = asked.fields.clone();
    let (incidents, next_cursor) = match listed(&api, &caller, asked).await {
        Ok(listed) => listed,
        Err(response) => return response,
    };
    let incidents = incidents.into_iter().map(|incident| fields.of(incident));
    match incidents.collect::<Result<_, _>>() {
        Ok(incidents) => answer::tagged_json(&headers, &IncidentList { incidents, next_cursor }),
        Err(error) => answer::unwritten(&error),
    }
}

/// Lists what is asked for and may be seen.
pub(in crate::web) async fn listed(
    api: &Api,
    caller: &Caller,
    asked: Asked,
) -> Result<Listed, Response> {
    let Asked { filter, teams, fields } = asked;
    let book = (api.web.book)();
    let policies = caller.sees_policies().filter(|few| few.len() <= PATTERNS);
    let named = of_teams(filter.named, &teams, &book);
    let filter = Filter { named, policies, ..filter };
    if is_of_open(&filter)
        && !fields.is_long()
        && let Some(listed) = listed_on_board(api, caller, &filter).await?
    {
        return Ok(listed);
    }
    listed_by_journal(api, caller, filter, &book).await
}

/// Incidents, and from where the next page goes on.
pub(in crate::web) type Listed = (Vec<IncidentView>, Option<String>);

/// Whatever is open and may be seen, newest first, and whether there is more than the board has.
pub(in crate::web) async fn open(
    api: &Api,
    caller: &Caller,
) -> Result<(Vec<Arc<IncidentView>>, bool), Response> {
    let Shown { mut incidents, more, .. } = ask_board(api, Board::open).await?;
    if !caller.may_all(Permission::View) {
        incidents.retain(|incident| {
            let policy = PolicyName::new(&incident.policy);
            let subject = Subject::Incident { policy: &policy, target: &incident.target };
            caller.may(Permission::View, &subject).is_ok()
        });
    }
    Ok((incidents, more > 0))
}

/// What is open; `None` where not all of it is on the board.
async fn listed_on_board(
    api: &Api,
    caller: &Caller,
    filter: &Filter,
) -> Result<Option<Listed>, Response> {
    let (open, is_cut) = open(api, caller).await?;
    if is_cut {
        return Ok(None);
    }
    let Picked { incidents, next } = pick(&open, filter);
    let incidents = incidents.into_iter().map(Arc::unwrap_or_clone);
    Ok(Some((incidents.collect(), next)))
}

async fn listed_by_journal(
    api: &Api,
    caller: &Caller,
    filter: Filter,
    book: &Book,
) -> Result<Listed, Response> {
    let page = visible(api, caller, filter).await?;
    let incidents = page.incidents.iter().filter_map(|(id, story)| view(*id, story, book));
    Ok((incidents.collect(), page.next.map(|id| id.to_string())))
}

/// The policies that are asked for, of those of some teams where any is named.
fn of_teams(named: Option<Vec<String>>, teams: &[String], book: &Book) -> Option<Vec<String>> {
    if teams.is_empty() {
        return named;
    }
    let of = book.teams().filter(|(_, team)| teams.iter().any(|named| named == team));
    let is_named =
        |policy: &str| named.as_ref().is_none_or(|names| names.iter().any(|n| n == policy));
    Some(
        of.map(|(policy, _)| policy).filter(|policy| is_named(policy)).map(str::to_owned).collect(),
    )
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
    match find(&api, &caller, &text).await {
        Ok(Some(incident)) => answer::json(StatusCode::OK, &incident),
        Ok(None) => none(),
        Err(response) => response,
    }
}

/// One that somebody may see, with what its runs have printed by now.
pub(in crate::web) async fn find(
    api: &Api,
    caller: &Caller,
    id: &str,
) -> Result<Option<IncidentView>, Response> {
    let Some(id) = read_id(id) else { return Ok(None) };
    let story = ask(api, move |history| history.incident(id)).await?;
    let Some(story) = story.filter(|story| may_see(caller, id, &story.facts)) else {
        return Ok(None);
    };
    let Some(mut incident) = view(id, &story, &(api.web.book)()) else { return Ok(None) };
    if incident.orders.iter().all(|order| order.state != OrderState::Running) {
        return Ok(Some(incident));
    }
    let printed = api.web.printed.clone();
    let incident = ask(api, move |_| {
        let running = incident.orders.iter_mut().filter(|o| o.state == OrderState::Running);
        for order in running {
            let life = life_of(&order.id, &story.facts);
            order.output = life.map(|life| printed(&order.id, life)).unwrap_or_default();
        }
        Ok(incident)
    });
    incident.await.map(Some)
}

/// In which life of an engine an order was issued last.
fn life_of<'a>(id: &str, facts: &'a [Fact]) -> Option<&'a BootId> {
    facts.iter().rev().find_map(|fact| match &fact.what {
        What::OrderIssued { order } | What::OrderReissued { order } => {
            (order.id.to_string() == id).then_some(&order.boot)
        }
        _ => None,
    })
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
    Some(in_force(view, book))
}

/// Asks the board on a thread that may block.
pub(super) async fn ask_board<T: Send + 'static>(
    api: &Api,
    question: impl FnOnce(&Board) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, Response> {
    let board = api.web.board.clone();
    ask(api, move |_| question(&board)).await
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
pub(in crate::web) fn pairs(query: &str) -> Result<Vec<(String, String)>, String> {
    let uri: axum::http::Uri =
        format!("/?{query}").parse().map_err(|_| "the query cannot be read".to_owned())?;
    axum::extract::Query::try_from_uri(&uri)
        .map(|query| query.0)
        .map_err(|error| format!("the query cannot be read: {error}"))
}
