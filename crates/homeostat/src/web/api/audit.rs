//! What people did: who, what, when, on what and why.
//!
//! Whoever may view an incident sees what was done about it; what concerns the whole engine, as a
//! pause or a reload, sees who may view everything.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use homeostat_core::approval::Terms;
use homeostat_core::configuration::{Configuration, ReadFile, Scope};
use homeostat_core::deed::{self, Deed};
use homeostat_core::label::LabelSet;
use homeostat_core::operator::Operator;
use homeostat_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::incidents::{ask, read_id};
use super::search::{few, moment};
use crate::access::{Caller, Permission, Subject};
use crate::deeds::{Deeds, Done, Search};
use crate::web::answer;

/// Deeds in a page, where the request does not say.
const LIMIT: usize = 100;

/// Deeds in a page at most.
const MOST: usize = 1000;

/// Pages of the journal that are looked through for one page of what the caller may see.
const SEARCHES: usize = 20;

const ROOT: &str = "/api/v1/audit";

/// A page of deeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditList {
    /// The deeds, the last one first.
    pub entries: Vec<AuditEntry>,
    /// The `cursor` of the next page; `null` at the end.
    pub next_cursor: Option<String>,
}

/// One deed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its number in the journal; also the `cursor` of what comes before it.
    pub id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What: `approve`, `reject`, `cancel`, `retry`, `revoke`, `pause`, `resume`, `start`, `reload`.
    pub what: String,
    /// Who it was; `null` where nobody knows.
    pub who: Option<String>,
    /// The name that they said; `null` where they said none.
    pub claimed: Option<String>,
    /// How it is known who it was, or what else it was done by: `start`, `signal`, `change`.
    pub way: Option<String>,
    /// From where they came.
    pub address: Option<String>,
    /// The incident that it was about.
    pub incident: Option<String>,
    /// The policy of that.
    pub policy: Option<String>,
    /// The target of that.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    pub target: Option<LabelSet>,
    /// Why, in their words.
    pub reason: String,
    /// What they approved ahead.
    pub ahead: Option<AheadView>,
    /// The standing approval that they revoked.
    pub approval: Option<String>,
    /// The configuration that was put in force.
    pub configuration: Option<ConfigurationView>,
}

/// What somebody approved ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AheadView {
    /// How many further runs.
    pub uses: u32,
    /// For how long.
    #[schema(value_type = String)]
    pub lasts: Span,
}

/// A configuration that was put in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigurationView {
    /// Of what.
    #[schema(value_type = String)]
    pub of: Scope,
    /// The files that were read, each with the SHA-256 of what it held; none where there is none.
    #[schema(value_type = Vec<Object>)]
    pub files: Vec<ReadFile>,
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// One object.
    Json,
    /// A line for each deed.
    Lines,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Response {
    let (search, format) = match read(query.as_deref().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(message) => return answer::problem(ROOT, StatusCode::BAD_REQUEST, &message),
    };
    match (listed(&api, &caller, search).await, format) {
        (Ok(list), Format::Json) => answer::json(StatusCode::OK, &list),
        (Ok(list), Format::Lines) => answer::json_lines(&list.entries),
        (Err(response), _) => response,
    }
}

/// Lists deeds that somebody may see.
pub(in crate::web) async fn listed(
    api: &Api,
    caller: &Caller,
    search: Search,
) -> Result<AuditList, Response> {
    let page = visible(api, caller, search).await?;
    let entries = page.deeds.iter().filter_map(entry).collect();
    Ok(AuditList { entries, next_cursor: page.next.map(|number| number.to_string()) })
}

/// What a form asks for.
pub(in crate::web) fn asked(pairs: &[(String, String)], limit: usize) -> Result<Search, String> {
    let (search, _) = search(pairs.iter().cloned())?;
    Ok(Search { limit, ..search })
}

/// Lists what the caller may see. Where they may not see much, a page may be short although there is a
/// next one.
async fn visible(api: &Api, caller: &Caller, mut search: Search) -> Result<Deeds, Response> {
    let mut seen = Deeds::default();
    let wanted = search.limit;
    for _ in 0..SEARCHES {
        search.limit = wanted - seen.deeds.len();
        let asked = search.clone();
        let page = ask(api, move |history| history.deeds(&asked)).await?;
        seen.deeds.extend(page.deeds.into_iter().filter(|done| may_see(caller, done)));
        seen.next = page.next;
        search.before = page.next;
        if seen.next.is_none() || seen.deeds.len() == wanted {
            break;
        }
    }
    Ok(seen)
}

fn may_see(caller: &Caller, done: &Done) -> bool {
    let subject = match &done.subject {
        Some((policy, target)) => Subject::Incident { policy, target },
        None => Subject::Everything,
    };
    caller.may(Permission::View, &subject).is_ok()
}

fn entry(done: &Done) -> Option<AuditEntry> {
    let deed = deed::deed(&done.fact.what)?;
    let Deed { what, by, reason, ahead, approval, configuration } = deed;
    let known = by.and_then(|by| by.known.as_ref());
    let occasion = configuration.map(|configuration| configuration.occasion.as_str().to_owned());
    let (policy, target) = done.subject.clone().unzip();
    Some(AuditEntry {
        id: done.number.to_string(),
        at: done.fact.at,
        what: what.to_owned(),
        who: known.map(|known| known.who.clone()),
        claimed: by.and_then(claimed),
        way: known.map(|known| known.way.as_str().to_owned()).or(occasion),
        address: known.map(|known| known.address.clone()),
        incident: done.fact.what.incident().map(|incident| incident.to_string()),
        policy: policy.map(|policy| policy.to_string()),
        target,
        reason: reason.to_owned(),
        ahead: ahead.map(|Terms { uses, lasts }| AheadView { uses: *uses, lasts: *lasts }),
        approval: approval.map(|approval| approval.to_string()),
        configuration: configuration.map(view),
    })
}

fn claimed(by: &Operator) -> Option<String> {
    (!by.claimed.is_empty()).then(|| by.claimed.clone())
}

fn view(configuration: &Configuration) -> ConfigurationView {
    let Configuration { of, files, .. } = configuration.clone();
    ConfigurationView { of, files }
}

/// Reads the query of a list.
fn read(query: &str) -> Result<(Search, Format), String> {
    search(few(query)?.into_iter())
}

fn search(pairs: impl Iterator<Item = (String, String)>) -> Result<(Search, Format), String> {
    let mut search = Search { limit: LIMIT, ..Search::default() };
    let mut format = Format::Json;
    for (name, value) in pairs {
        match name.as_str() {
            "who" => search.who = Some(value),
            "what" if deed::ALL.contains(&&*value) => search.what = Some(value),
            "what" => {
                let all = deed::ALL.join(", ");
                return Err(format!("unknown deed {value:?}: expected one of {all}"));
            }
            "incident" => {
                let incident = read_id(&value);
                search.incident = Some(incident.ok_or_else(|| {
                    format!("incident {value:?}: expected the number of an incident")
                })?);
            }
            "policy" => search.policy = Some(value),
            "target" => search.target.push(super::incidents::label(&value)?),
            "since" => search.since = Some(moment(&name, &value)?),
            "until" => search.until = Some(moment(&name, &value)?),
            "limit" => search.limit = super::incidents::limit(&value, MOST)?,
            "cursor" => {
                let cursor = read_id(&value).and_then(|id| i64::try_from(id.0).ok());
                search.before = Some(cursor.ok_or_else(|| {
                    format!("cursor {value:?}: expected the next_cursor of an earlier page")
                })?);
            }
            "format" if value == "json" => format = Format::Json,
            "format" if value == "jsonl" => format = Format::Lines,
            "format" => return Err(format!("unknown format {value:?}: expected json or jsonl")),
            _ => {
                return Err(format!(
                    "unknown parameter {name:?}: expected who, what, incident, policy, target, \
                     since, until, limit, cursor or format"
                ));
            }
        }
    }
    Ok((search, format))
}

#[cfg(test)]
mod tests {
    use homeostat_core::name::IncidentId;

    use super::*;

    #[test]
    fn a_query_is_read_strictly() {
        let (search, format) = read(
            "who=user:ann&what=approve&incident=7&policy=web&target=a=b&target=c=d&limit=5\
             &since=2026-01-05T09:00:00Z&until=2026-01-06T09:00:00Z&cursor=17&format=jsonl",
        )
        .unwrap();
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(format, Format::Lines);
        assert_eq!(
            search,
            Search {
                who: Some("user:ann".into()),
                what: Some("approve".into()),
                incident: Some(IncidentId(7)),
                policy: Some("web".into()),
                target: vec![label("a", "b"), label("c", "d")],
                since: Some("2026-01-05T09:00:00Z".parse().unwrap()),
                until: Some("2026-01-06T09:00:00Z".parse().unwrap()),
                limit: 5,
                before: Some(17),
            }
        );
        for (query, complaint) in [
            (
                "what=delete",
                "expected one of approve, reject, cancel, retry, revoke, pause, resume",
            ),
            ("incident=x", "expected the number of an incident"),
            ("since=yesterday", "since \"yesterday\": "),
            ("limit=0", "from 1 to 1000"),
            ("target=a", "expected name=value"),
            ("cursor=-1", "next_cursor"),
            ("format=csv", "expected json or jsonl"),
            ("user=ann", "unknown parameter \"user\": expected who, what"),
        ] {
            let error = read(query).unwrap_err();
            assert!(error.contains(complaint), "{query}: {error}");
        }
    }
}
