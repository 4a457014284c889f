//! The API as `OpenAPI` describes it, for programs that make clients and tests of it.
//!
//! What answers hold is read from the types that are written ([`ToSchema`]); which operations there are, and
//! what each takes, stands in one table ([`operations`]), and a test sees that it has every route.

use std::sync::OnceLock;

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::alerts::AlertList;
use super::approvals::ApprovalList;
use super::audit::AuditList;
use super::history::HistoryList;
use super::search::OUTCOMES;
use super::slim::FIELDS;
use super::status::Status;
use super::view::{IncidentList, IncidentView, StateView};
use crate::web::answer;

/// Answers with the document, which is written once.
pub(super) async fn show() -> Response {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| document().to_string().into());
    answer::with_type(StatusCode::OK, "application/json", document.clone())
}

/// One operation.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    parameters: Vec<Parameter>,
    /// What is posted, where anything is.
    body: Option<Value>,
    /// The types and schemas of what is answered.
    answers: Vec<(&'static str, Value)>,
    /// With which statuses else, and why.
    refusals: &'static [u16],
}

/// A parameter.
struct Parameter {
    name: &'static str,
    place: &'static str,
    schema: Value,
    /// Whether it may be there more than once; too often is a 400.
    is_repeatable: bool,
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        let method = operation.method;
        path[method] = written(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Homeostat",
            "description": "What happens, and what operators command. The rest: docs/reference/http.md.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "basic": { "type": "http", "scheme": "basic" },
            },
        },
        // Where nobody is asked who they are, nothing is shown.
        "security": [{}, { "bearer": [] }, { "basic": [] }],
    })
}

fn written(operation: Operation) -> Value {
    let Operation { summary, parameters, body, answers, refusals, .. } = operation;
    let content: Map<String, Value> = answers
        .into_iter()
        .map(|(kind, schema)| (kind.to_owned(), json!({ "schema": schema })))
        .collect();
    let mut responses = Map::new();
    responses.insert("200".into(), json!({ "description": "OK", "content": content }));
    for status in refusals.iter().chain(EVERYWHERE) {
        let known = StatusCode::from_u16(*status).ok();
        let reason = known.and_then(|status| status.canonical_reason()).unwrap_or_default();
        let problem = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
        // A request that is too long is answered before we see it.
        let answer = if [304, 414].contains(status) {
            json!({ "description": reason })
        } else {
            json!({ "description": reason, "content": { answer::PROBLEM: problem } })
        };
        responses.insert(status.to_string(), answer);
    }
    let parameters: Vec<Value> = parameters.into_iter().map(Parameter::written).collect();
    let mut operation = json!({
        "summary": summary, "parameters": parameters, "responses": responses,
    });
    if let Some(schema) = body {
        let content = json!({ "application/json": { "schema": schema } });
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

/// With what any request may be answered.
const EVERYWHERE: &[u16] = &[401, 403, 414, 429, 500, 503];

impl Parameter {
    fn written(self) -> Value {
        let Self { name, place, schema, is_repeatable } = self;
        let list = |schema| json!({ "type": "array", "items": schema });
        let schema = if is_repeatable { list(schema) } else { schema };
        json!({ "name": name, "in": place, "required": place == "path", "schema": schema })
    }
}

fn query(name: &'static str, schema: Value) -> Parameter {
    Parameter { name, place: "query", schema, is_repeatable: false }
}

fn repeated(name: &'static str, schema: Value) -> Parameter {
    Parameter { is_repeatable: true, ..query(name, schema) }
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn words(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn number() -> Value {
    // Numbers of ours have at most so many digits that they fit.
    json!({ "type": "string", "pattern": "^[0-9]{1,18}$" })
}

fn moment() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn label() -> Value {
    json!({ "type": "string", "pattern": "^[^=]+=.*$" })
}

fn limit() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 })
}

fn id() -> Parameter {
    Parameter { place: "path", ..query("id", number()) }
}

/// A schema by its name.
fn named<T: ToSchema>() -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
}

fn as_json(schema: Value) -> Vec<(&'static str, Value)> {
    vec![("application/json", schema)]
}

fn any_object() -> Value {
    json!({ "type": "object" })
}

/// What a command says.
fn command(needs_reason: bool, more: &Value) -> Value {
    let mut properties = json!({
        "by": { "type": "string", "minLength": 1, "maxLength": 200, "pattern": "\\S" },
        "reason": { "type": "string", "maxLength": 2000 },
    });
    if needs_reason {
        properties["reason"]["minLength"] = json!(1);
        properties["reason"]["pattern"] = json!("\\S");
    }
    if let (Some(all), Some(more)) = (properties.as_object_mut(), more.as_object()) {
        all.extend(more.clone());
    }
    let required = if needs_reason { json!(["by", "reason"]) } else { json!(["by"]) };
    json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

fn incident_command(verb: &'static str, summary: &'static str) -> Operation {
    let ahead = json!({ "digest": { "type": "string", "pattern": "^[0-9a-f]{64}$" } });
    let more = if verb.ends_with("approve") { ahead } else { json!({}) };
    Operation {
        method: "post",
        path: verb,
        summary,
        parameters: vec![id()],
        body: Some(command(false, &more)),
        answers: as_json(json!({
            "type": "object", "required": ["message"],
            "properties": { "message": { "type": "string" } },
        })),
        refusals: &[400, 404, 409, 415],
    }
}

fn get(
    path: &'static str,
    summary: &'static str,
    answers: Vec<(&'static str, Value)>,
) -> Operation {
    let parameters = Vec::new();
    Operation { method: "get", path, summary, parameters, body: None, answers, refusals: &[] }
}

fn pause(path: &'static str, summary: &'static str, needs_reason: bool) -> Operation {
    Operation {
        method: "post",
        body: Some(command(needs_reason, &json!({}))),
        refusals: &[400, 415],
        ..get(
            path,
            summary,
            as_json(json!({
                "type": "object", "required": ["paused", "message"],
                "properties": {
                    "paused": { "type": "boolean" }, "message": { "type": "string" },
                },
            })),
        )
    }
}

#[expect(clippy::too_many_lines, reason = "one table")]
fn operations() -> Vec<Operation> {
    let states: Vec<&str> =
        StateView::ALL.iter().map(|state| state.as_str()).chain(["open"]).collect();
    let of_lists = || {
        vec![
            repeated("target", label()),
            query("since", moment()),
            query("until", moment()),
            query("limit", limit()),
            query("cursor", number()),
        ]
    };
    let mut incidents = vec![
        repeated("state", words(&states)),
        repeated("outcome", words(&OUTCOMES)),
        repeated("policy", text()),
        repeated("team", text()),
        query("q", json!({ "type": "string", "maxLength": 200 })),
        query(
            "fields",
            json!({
                "type": "string",
                "pattern": format!("^(all|({0})(,({0}))*)$", FIELDS.join("|")),
            }),
        ),
    ];
    incidents.extend(of_lists());
    let mut audit = vec![
        query("who", text()),
        query("what", words(&homeostat_core::deed::ALL)),
        query("incident", number()),
        query("policy", text()),
        query("format", words(&["json", "jsonl"])),
    ];
    audit.extend(of_lists());
    vec![
        Operation {
            parameters: incidents,
            refusals: &[304, 400],
            ..get(
                "/api/v1/incidents",
                "Lists incidents, the newest first",
                as_json(named::<IncidentList>()),
            )
        },
        Operation {
            parameters: vec![id()],
            refusals: &[404],
            ..get("/api/v1/incidents/{id}", "Tells one incident", as_json(named::<IncidentView>()))
        },
        incident_command(
            "/api/v1/incidents/{id}/approve",
            "Lets the run start that waits for approval",
        ),
        incident_command("/api/v1/incidents/{id}/reject", "Does not let it start"),
        incident_command("/api/v1/incidents/{id}/cancel", "Stops healing"),
        incident_command("/api/v1/incidents/{id}/retry", "Tries again what was given up"),
        Operation {
            parameters: vec![query("last_event_id", number()), query("incident", number())],
            refusals: &[400],
            ..get(
                "/api/v1/stream",
                "Tells what happens, as it is committed",
                vec![("text/event-stream", text())],
            )
        },
        get("/api/v1/approvals", "Lists standing approvals", as_json(named::<ApprovalList>())),
        incident_command("/api/v1/approvals/{id}/revoke", "Ends a standing approval"),
        Operation {
            refusals: &[304, 400],
            ..get("/api/v1/alerts", "Lists what fires, by policy", as_json(named::<AlertList>()))
        },
        Operation {
            parameters: vec![
                query("since", moment()),
                query("until", moment()),
                repeated("policy", text()),
                query("format", words(&["json", "csv"])),
            ],
            refusals: &[304, 400],
            ..get(
                "/api/v1/history",
                "Tells what became of incidents, by day and policy",
                vec![("application/json", named::<HistoryList>()), ("text/csv", text())],
            )
        },
        Operation {
            parameters: audit,
            refusals: &[400],
            ..get(
                "/api/v1/audit",
                "Lists what people did, the last deed first",
                vec![("application/json", named::<AuditList>()), ("application/jsonl", text())],
            )
        },
        get(
            "/api/v1/policies",
            "Tells the policies in force, with every default",
            as_json(any_object()),
        ),
        Operation {
            parameters: vec![repeated("label", label()), repeated("annotation", label())],
            refusals: &[400],
            ..get(
                "/api/v1/explain",
                "Tells what would be done about an alert",
                as_json(any_object()),
            )
        },
        get("/api/v1/status", "Tells how things stand", as_json(named::<Status>())),
        get(
            "/api/v1/whoami",
            "Tells who the caller is, and what they may do",
            as_json(any_object()),
        ),
        get("/api/v1/openapi.json", "This document", as_json(any_object())),
        pause("/api/v1/pause", "Lets nothing start", true),
        pause("/api/v1/resume", "Lets things start again", false),
        Operation {
            method: "post",
            body: Some(json!({ "type": "array", "items": { "type": "object" } })),
            refusals: &[400, 408, 413],
            ..get("/api/v1/alerts", "Takes alerts, as Alertmanager does", Vec::new())
        },
    ]
}

/// The schema of an incident in a list.
const LISTED: &str = "ListedIncident";

/// All schemas that the operations name, and those that these name.
fn schemas() -> Value {
    let mut all: Vec<(String, RefOr<Schema>)> = Vec::new();
    add::<IncidentList>(&mut all);
    add::<IncidentView>(&mut all);
    add::<ApprovalList>(&mut all);
    add::<AlertList>(&mut all);
    add::<HistoryList>(&mut all);
    add::<AuditList>(&mut all);
    add::<Status>(&mut all);
    let mut schemas: Map<String, Value> = all
        .into_iter()
        .map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default()))
        .collect();
    // What a list tells of an incident is what `fields` asks for, and its number.
    let mut listed = schemas["IncidentView"].clone();
    listed["description"] = json!("One incident, as much of it as was asked for.");
    listed["required"] = json!(["id"]);
    schemas.insert(LISTED.into(), listed);
    schemas["IncidentList"]["properties"]["incidents"]["items"] =
        json!({ "$ref": format!("#/components/schemas/{LISTED}") });
    schemas.insert(
        "Problem".into(),
        json!({
            "type": "object",
            "required": ["type", "title", "status", "detail", "error"],
            "properties": {
                "type": { "type": "string" },
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "detail": { "type": "string" },
                "error": { "type": "string" },
            },
        }),
    );
    schemas.into()
}

fn add<T: ToSchema>(all: &mut Vec<(String, RefOr<Schema>)>) {
    all.push((T::name().into_owned(), <T as PartialSchema>::schema()));
    T::schemas(all);
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The operations that the document has: methods and paths.
    pub(crate) fn described() -> BTreeSet<(String, String)> {
        let document = document();
        let paths = document["paths"].as_object().unwrap().iter();
        let all = paths.flat_map(|(path, operations)| {
            let methods = operations.as_object().unwrap().keys();
            methods.map(move |method| (method.to_ascii_uppercase(), path.clone()))
        });
        all.collect()
    }

    #[test]
    fn every_schema_that_is_named_is_there() {
        let document = document();
        let text = document.to_string();
        let named: BTreeSet<&str> = text
            .split("#/components/schemas/")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        let known = document["components"]["schemas"].as_object().unwrap();
        for name in &named {
            assert!(known.contains_key(*name), "{name} is named and not there");
        }
        assert!(named.len() > 20, "{named:?}");
        let incident = &known["IncidentView"]["properties"];
        for field in FIELDS {
            assert!(incident.get(field).is_some(), "{field} is not described");
        }
    }

    #[test]
    fn an_incident_of_a_list_has_what_was_asked_for_and_no_more() {
        let document = document();
        let known = &document["components"]["schemas"];
        let items = &known["IncidentList"]["properties"]["incidents"]["items"];
        assert_eq!(items["$ref"], "#/components/schemas/ListedIncident");
        let (listed, whole) = (&known[LISTED], &known["IncidentView"]);
        assert_eq!(listed["required"], json!(["id"]));
        assert_eq!(listed["properties"], whole["properties"]);
        assert!(whole["required"].as_array().unwrap().len() > 5, "{whole:#}");
    }
}
