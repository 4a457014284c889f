//! What errands in a cluster need to be allowed there, and whether it is.
//!
//! Each verb's rights stand beside what it asks for in this room: no more, so that whoever has them can do
//! nothing else. A name or a namespace that may come from an alert is any.

use homeostat_core::errand::{ErrandTemplate, FieldTemplate};
use reqwest::Method;
use serde_json::json;

use super::access::find;
use super::api::{Answer, Api, Form};
use super::end::End;

/// One verb on one kind of object, where, and on which.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// In which namespace; in all of them, or of the cluster itself, where there is none.
    pub namespace: Option<String>,
    /// The API group; empty for the first one.
    pub group: &'static str,
    /// The kind, in the plural, as `pods/eviction`.
    pub resource: &'static str,
    /// On which one, by name; on any where there is none.
    pub name: Option<String>,
    /// What is done with it.
    pub verb: &'static str,
}

/// In which cluster something is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// A context, as the configuration has it.
    pub context: Option<String>,
    /// A kubeconfig.
    pub kubeconfig: Option<String>,
}

/// Returns where an errand is done and what it needs there; nothing for those of other hands.
pub fn rights(errand: &ErrandTemplate) -> Option<(Place, Vec<Right>)> {
    if *errand.hand != *super::NAME {
        return None;
    }
    let text = |name: &str| {
        errand.fields.iter().find(|(known, _)| **known == *name).and_then(
            |(_, field)| match field {
                FieldTemplate::Text(text, _) => Some(text.source().to_owned()),
                FieldTemplate::List(_) => None,
            },
        )
    };
    let constant = |name: &str| text(name).filter(|text| !text.contains("{{"));
    let place = Place { context: text("context"), kubeconfig: text("kubeconfig") };
    let namespace = constant("namespace");
    let mut all = Vec::new();
    let mut add = |group, resource, name: Option<String>, verbs: &[&'static str]| {
        all.extend(verbs.iter().map(|verb| Right {
            namespace: namespace.clone(),
            group,
            resource,
            name: name.clone(),
            verb,
        }));
    };
    let workload = ["deployment", "statefulset", "daemonset"]
        .into_iter()
        .find(|key| text(key).is_some())
        .map(|key| (plural(key), constant(key)));
    let (pod, node) = (constant("pod"), constant("node"));
    match (&*errand.verb, workload) {
        ("rollout_restart" | "scale", Some((resource, name))) => {
            add("apps", resource, name, &["get", "patch"]);
        }
        ("rollout_undo", Some((resource, name))) => {
            add("apps", resource, name, &["get", "patch"]);
            let revisions =
                if resource == "deployments" { "replicasets" } else { "controllerrevisions" };
            add("apps", revisions, None, &["list"]);
        }
        ("evict", _) => {
            add("", "pods", pod.clone(), &["get"]);
            add("", "pods/eviction", pod, &["create"]);
        }
        ("logs", _) => {
            add("", "pods", pod.clone(), &["get"]);
            add("", "pods/log", pod, &["get"]);
        }
        ("owner", _) => {
            add("", "pods", pod, &["get"]);
            add("apps", "replicasets", None, &["get"]);
            add("batch", "jobs", None, &["get"]);
        }
        ("delete_pod", _) => add("", "pods", pod, &["get", "delete"]),
        ("cordon" | "uncordon", _) => add("", "nodes", node, &["get", "patch"]),
        ("drain", _) => {
            add("", "nodes", node, &["get", "patch"]);
            add("", "pods", None, &["list"]);
            add("", "pods/eviction", None, &["create"]);
        }
        ("run_job", _) => {
            add("batch", "cronjobs", constant("cronjob"), &["get"]);
            add("batch", "jobs", None, &["create", "get", "patch"]);
        }
        _ => {}
    }
    Some((place, all))
}

fn plural(key: &str) -> &'static str {
    match key {
        "deployment" => "deployments",
        "statefulset" => "statefulsets",
        _ => "daemonsets",
    }
}

/// Asks a cluster which of these rights we have there.
///
/// # Errors
///
/// The cluster could not be asked, and why.
pub async fn review(place: &Place, rights: &[Right]) -> Result<Vec<bool>, String> {
    let say = |end: End| match end {
        End::Refused(why) | End::NotNow(why) | End::Forbidden(why) => why,
        other => format!("{other:?}"),
    };
    let access = find(place.kubeconfig.as_deref(), place.context.as_deref()).await.map_err(say)?;
    let api = Api::new(access, false).await.map_err(say)?;
    let mut allowed = Vec::new();
    for right in rights {
        let (resource, part) = right.resource.split_once('/').unwrap_or((right.resource, ""));
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "namespace": right.namespace, "group": right.group, "resource": resource,
                "subresource": part, "name": right.name, "verb": right.verb,
            } },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        match api.write(Method::POST, path, Form::Json, body).await {
            Answer::Yes(review) => allowed.push(review["status"]["allowed"] == true),
            Answer::No(no) => return Err(no.message),
            Answer::Unsent(why) | Answer::Lost(why) => return Err(why),
        }
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use homeostat_core::errand::Form as Names;
    use homeostat_core::template::Template;

    use super::*;

    fn of(verb: &str, fields: &[(&str, &str)]) -> String {
        let field = |(name, text): &(&str, &str)| {
            let template = Template::parse(text).unwrap();
            ((*name).into(), FieldTemplate::Text(template, Names::OBJECT))
        };
        let fields = fields.iter().map(field).collect();
        let errand = ErrandTemplate {
            hand: "kubernetes".into(),
            verb: verb.into(),
            fields,
            rehearsed: true,
        };
        let (_, rights) = rights(&errand).unwrap();
        let shown = rights.iter().map(|right| {
            let Right { namespace, group, resource, name, verb } = right;
            let (namespace, name) = (namespace.as_deref(), name.as_deref());
            format!(
                "{}:{verb} {group}/{resource}/{}",
                namespace.unwrap_or("*"),
                name.unwrap_or("*")
            )
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_verb_needs_what_it_asks_for_and_no_more() {
        let label = "{{ labels.x }}";
        for (verb, fields, needs) in [
            (
                "rollout_restart",
                &[("namespace", "shop"), ("deployment", "web")][..],
                "shop:get apps/deployments/web, shop:patch apps/deployments/web",
            ),
            (
                "rollout_undo",
                &[("namespace", label), ("daemonset", label)],
                "*:get apps/daemonsets/*, *:patch apps/daemonsets/*, *:list apps/controllerrevisions/*",
            ),
            (
                "evict",
                &[("namespace", "shop"), ("pod", label)],
                "shop:get /pods/*, shop:create /pods/eviction/*",
            ),
            (
                "delete_pod",
                &[("namespace", "shop"), ("pod", "web-0")],
                "shop:get /pods/web-0, shop:delete /pods/web-0",
            ),
            (
                "logs",
                &[("namespace", "shop"), ("pod", label)],
                "shop:get /pods/*, shop:get /pods/log/*",
            ),
            (
                "owner",
                &[("namespace", "shop"), ("pod", label)],
                "shop:get /pods/*, shop:get apps/replicasets/*, shop:get batch/jobs/*",
            ),
            ("cordon", &[("node", "n1")], "*:get /nodes/n1, *:patch /nodes/n1"),
            (
                "drain",
                &[("node", label)],
                "*:get /nodes/*, *:patch /nodes/*, *:list /pods/*, *:create /pods/eviction/*",
            ),
            (
                "run_job",
                &[("namespace", "shop"), ("cronjob", "clean")],
                "shop:get batch/cronjobs/clean, shop:create batch/jobs/*, shop:get batch/jobs/*, \
                 shop:patch batch/jobs/*",
            ),
        ] {
            assert_eq!(of(verb, fields), needs, "{verb}");
        }
    }
}
