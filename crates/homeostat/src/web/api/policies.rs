//! The policies in force, as their meaning: with every default filled in.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use homeostat_core::errand::{ErrandTemplate, FieldTemplate};
use homeostat_core::policy::{
    Action, Approval, BlastRadius, Book, Breaker, Damping, Escalate, Extent, GuardLimits, Mode,
    Policy, Rate, Regression, Remedy, TargetLabels, TeamLimits, Verify, Watchdog,
};
use homeostat_core::request::{BodyTemplate, RequestTemplate};
use homeostat_core::shadow::{Score, Scores};
use homeostat_core::storm::StormLimits;
use homeostat_core::template::Template;
use serde_json::{Value, json};

use super::Api;
use crate::access::{Caller, Permission, Subject};
use crate::web::answer;

pub(super) async fn list(State(api): State<Arc<Api>>, caller: Caller) -> Response {
    let seen =
        |policy: &&Policy| caller.may(Permission::View, &Subject::Policy(&policy.name)).is_ok();
    answer::json(StatusCode::OK, &view(&(api.web.book)(), seen, &(api.web.scores)()))
}

fn view(book: &Book, seen: impl Fn(&&Policy) -> bool, scores: &Scores) -> Value {
    let seen: Vec<&Policy> = book.policies().iter().filter(seen).collect();
    let policies: Vec<Value> = seen.iter().map(|p| policy(p, scores)).collect();
    let limits = json!({
        "concurrency": book.limits.concurrency,
        "rate": rate(book.limits.rate),
        "teams": teams(book, &seen),
    });
    json!({ "policies": policies, "limits": limits })
}

/// The limits of those teams whose policies are seen.
fn teams(book: &Book, seen: &[&Policy]) -> Value {
    let of = seen.iter().filter_map(|policy| policy.about.team.as_ref());
    let limited = of.filter_map(|team| Some((team, book.teams.get(team)?)));
    let view = |limits: &TeamLimits| json!({ "concurrency": limits.concurrency, "rate": limits.rate.map(rate) });
    limited.map(|(team, limits)| (team.to_string(), view(limits))).collect()
}

/// Names its fields as the configuration does.
fn policy(policy: &Policy, scores: &Scores) -> Value {
    let matchers: Vec<String> = policy.matchers.iter().map(ToString::to_string).collect();
    let target = match &policy.target {
        TargetLabels::All => Value::Null,
        TargetLabels::Named(names) => json!(names),
    };
    let escalate = match &policy.escalate {
        Escalate::Nobody => json!("none"),
        Escalate::After { after, severity, carries } => json!({
            "after": after,
            "severity": severity,
            "labels": map(&carries.labels),
            "annotations": map(&carries.annotations),
        }),
    };
    let remedies = policy.remedies.iter().map(|r| {
        let mut value = remedy(r);
        value["shadow"] = scores.of(&policy.name, &r.name).map_or(Value::Null, score);
        value
    });
    let remedies: Vec<Value> = remedies.collect();
    json!({
        "name": policy.name,
        "team": policy.about.team,
        "labels": map(&policy.about.labels),
        "description": policy.about.description,
        "runbook_url": policy.about.runbook_url,
        "matchers": matchers,
        "target": target,
        "mode": policy.mode,
        "for": policy.settle,
        "remedies": remedies,
        "sources": policy.sources,
        "verify": verify(&policy.verify),
        "regression": policy.regression.as_ref().map(regression),
        "guard": guard(&policy.guard),
        "escalate": escalate,
        "on_resolve": policy.on_resolve,
        "continue": policy.continues,
        "relapse": policy.relapse,
        "lapse": policy.lapse,
    })
}

fn map(pairs: &[(Arc<str>, Arc<str>)]) -> Value {
    pairs.iter().map(|(name, value)| (name.to_string(), json!(value))).collect()
}

fn remedy(remedy: &Remedy) -> Value {
    let mut value = json!({
        "name": remedy.name,
        "mode": remedy.mode,
        "timeout": remedy.timeout,
        "retries": remedy.retries,
        "backoff": remedy.backoff,
        "idempotent": remedy.idempotent,
    });
    if remedy.mode == Mode::Approve {
        let Approval { by, count, expires } = &remedy.approval;
        value["approval"] = json!({ "by": by, "count": count, "expires": expires });
    }
    let (kind, does) = action(&remedy.action);
    value[&*kind] = does;
    value["undo"] = remedy.undo.as_ref().map_or(Value::Null, |undo| {
        let (kind, does) = action(&undo.action);
        let kind = kind.into_owned();
        json!({ kind: does, "timeout": undo.timeout })
    });
    value
}

/// What it would have been worth while it was in shadow.
fn score(score: Score) -> Value {
    json!({
        "judged": score.judged(),
        "needless": score.needless,
        "needed": score.needed,
        "since": score.since,
    })
}

fn action(action: &Action) -> (Cow<'_, str>, Value) {
    match action {
        Action::Exec(argv) => ("exec".into(), sources(argv)),
        Action::Script(text) => ("script".into(), json!(text)),
        Action::Http(template) => ("http".into(), request(template)),
        Action::Call(handler) => ("call".into(), json!(handler)),
        Action::Errand(errand) => ((&*errand.hand).into(), self::errand(errand)),
    }
}

fn sources(templates: &[Template]) -> Value {
    json!(templates.iter().map(Template::source).collect::<Vec<_>>())
}

/// What a hand does, and its fields under that.
fn errand(errand: &ErrandTemplate) -> Value {
    let fields = errand.fields.iter().map(|(name, field)| {
        let value = match field {
            FieldTemplate::Text(text, _) => json!(text.source()),
            FieldTemplate::List(list) => sources(list),
        };
        (name.to_string(), value)
    });
    let fields: serde_json::Map<_, _> = fields.collect();
    let verb = errand.verb.to_string();
    json!({ verb: fields })
}

fn regression(regression: &Regression) -> Value {
    let matchers: Vec<String> = regression.matchers.iter().map(ToString::to_string).collect();
    json!({ "matchers": matchers, "worse": regression.worse })
}

fn request(request: &RequestTemplate) -> Value {
    let headers = request.headers.iter().map(|header| {
        let value = header.value.as_ref().map_or("<redacted>", Template::source);
        (header.name.to_string(), Value::from(value))
    });
    let body = match &request.body {
        BodyTemplate::Nothing => Value::Null,
        BodyTemplate::Text(text) => json!(text),
        BodyTemplate::Json(document) => json!(document.source()),
    };
    let expected: Vec<String> = request.expected.iter().map(ToString::to_string).collect();
    json!({
        "method": request.method.as_str(),
        "url": request.url.source(),
        "headers": headers.collect::<serde_json::Map<_, _>>(),
        "body": body,
        "expected_status": expected,
        "idempotency_key": request.key_header,
    })
}

fn verify(verify: &Verify) -> Value {
    json!({
        "within": verify.within,
        "query": verify.query.as_ref().map(Template::source),
        "every": verify.every,
        "times": verify.times,
        "patience": verify.patience,
        "vanishes": verify.vanishes,
    })
}

fn guard(guard: &GuardLimits) -> Value {
    let locks: Vec<&str> = guard.locks.iter().map(Template::source).collect();
    json!({
        "cooldown": guard.cooldown,
        "rate": rate(guard.rate),
        "concurrency": guard.concurrency,
        "lock": locks,
        "attempts": guard.attempts,
        "fresh": { "max_age": guard.fresh_max_age },
        "freeze": guard.freeze.iter().map(|interval| &interval.name).collect::<Vec<_>>(),
        "watchdog": guard.watchdog.as_ref().map(watchdog),
        "flap": guard.flap.map(flap),
        "breaker": guard.breaker.as_ref().map(breaker),
        "blast_radius": guard.blast_radius.as_ref().map(blast_radius),
        "storm": guard.storm.as_ref().map(storm),
    })
}

fn blast_radius(radius: &BlastRadius) -> Value {
    match &radius.extent {
        Extent::Targets(max) => json!({ "max": max, "window": radius.window }),
        Extent::Share { percent, inventory, max, min } => json!({
            "max": max,
            "percent": percent,
            "min": min,
            "window": radius.window,
            "inventory": inventory,
        }),
    }
}

fn storm(storm: &StormLimits) -> Value {
    json!({
        "percent": storm.percent,
        "min": storm.min,
        "cool_down": storm.cool_down,
        "inventory": storm.inventory,
    })
}

fn watchdog(watchdog: &Watchdog) -> Value {
    let matchers: Vec<String> = watchdog.matchers.iter().map(ToString::to_string).collect();
    json!({ "matchers": matchers, "max_age": watchdog.max_age })
}

fn flap(flap: Damping) -> Value {
    json!({ "half_life": flap.half_life, "suppress": flap.suppress, "reuse": flap.reuse })
}

fn breaker(breaker: &Breaker) -> Value {
    let Breaker { failures, of, after, shared } = breaker;
    json!({ "failures": failures, "of": of, "after": after, "shared": shared })
}

fn rate(rate: Rate) -> Value {
    json!({ "max": rate.max, "per": rate.per })
}

#[cfg(test)]
mod tests {
    use homeostat_core::fact::{Fact, What};
    use homeostat_core::name::IncidentId;
    use homeostat_core::shadow::Worth;
    use homeostat_core::state::State;
    use homeostat_core::time::{Span, Timestamp};

    use super::*;
    use crate::web::api::fixture::policy;

    #[test]
    fn a_remedy_shows_its_score_and_one_that_was_never_judged_shows_none() {
        let known = policy();
        let mut state = State::default();
        for worth in [Worth::Needless, Worth::Needed, Worth::Needless] {
            let what = What::ShadowJudged {
                incident: IncidentId(1),
                policy: known.name.clone(),
                remedy: known.remedies[0].name.clone(),
                worth,
                after: Span::from_secs(9),
            };
            state.apply(&Fact { at: Timestamp::from_seconds(1_767_600_000), what });
        }
        let view = super::policy(&known, &state.ledgers().scores);
        let wanted = json!({
            "judged": 3, "needless": 2, "needed": 1, "since": "2026-01-05T08:00:00Z",
        });
        assert_eq!(view["remedies"][0]["shadow"], wanted);
        assert_eq!(view["remedies"][1]["shadow"], Value::Null);
    }
}
