//! `homeostat rbac`: what the engine must be allowed in clusters of Kubernetes, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use homeostat_config::{self as config, Config};
use homeostat_core::collect::{Collector, Looked};
use homeostat_core::errand::ErrandTemplate;
use homeostat_core::policy::{Action, Worse};
use homeostat_hands::hand::kubernetes::{Place, Right, rights};

use super::{Exit, answered};

/// Print what the engine needs to be allowed in Kubernetes
///
/// A `ServiceAccount`, and roles for exactly what the policies of a configuration can do: in one
/// namespace where that is constant, on one object where its name is. Policies and remedies in
/// shadow do nothing, and need nothing but to ask whose a pod is. Clusters of a kubeconfig come apart, each under its context.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  homeostat rbac --config.file /etc/homeostat/homeostat.yml | kubectl apply -f -
  homeostat rbac --kubernetes.namespace healing")]
pub(super) struct Args {
    /// The configuration, a file or a directory of them; may be given more than once
    #[arg(long = "config.file", value_name = "FILE", default_value = "homeostat.yml")]
    config_files: Vec<PathBuf>,
    /// Where the `ServiceAccount` is
    #[arg(long = "kubernetes.namespace", value_name = "NAMESPACE", default_value = "monitoring")]
    namespace: String,
    /// Its name, and what the roles are named after
    #[arg(long = "kubernetes.name", value_name = "NAME", default_value = "homeostat")]
    name: String,
}

/// Runs the command.
pub(super) fn run(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let config = match config::load(&args.config_files) {
        Ok(config) => config,
        Err(report) => {
            let exit = if report.is_unreadable() { Exit::Cannot } else { Exit::No };
            return answered(&writeln!(err, "{report}\n"), exit);
        }
    };
    let needs = needed(&config);
    if needs.is_empty() {
        let said = writeln!(err, "no policy of this configuration acts in a cluster");
        return answered(&said, Exit::Fine);
    }
    let documents = needs.iter().map(|(place, rights)| of_cluster(args, place, rights));
    let text = documents.collect::<Vec<_>>().join("---\n");
    answered(&write!(out, "{text}"), Exit::Fine)
}

/// What all that acts needs, by cluster.
pub(super) fn needed(config: &Config) -> BTreeMap<Place, BTreeSet<Right>> {
    let mut needed: BTreeMap<Place, BTreeSet<Right>> = BTreeMap::new();
    let mut add = |errand: &ErrandTemplate| {
        if let Some((place, rights)) = rights(errand) {
            needed.entry(place).or_default().extend(rights);
        }
    };
    for policy in config.book.policies() {
        // Whose a pod is, is asked in shadow, too.
        if let Some(errand) = &policy.owner_of {
            add(errand);
        }
        let undoes = policy.regression.as_ref().is_some_and(|it| it.worse == Worse::Undo);
        let mut acting = policy.remedies.iter().filter(|remedy| remedy.mode.may_act()).peekable();
        let looks = acting.peek().map(|_| &policy.collect).into_iter().flatten();
        looks.filter_map(looked_by_a_hand).for_each(&mut add);
        for remedy in acting {
            let undo = remedy.undo.as_ref().filter(|_| undoes).map(|undo| &undo.action);
            let actions = [Some(&remedy.action), undo].into_iter().flatten();
            actions.filter_map(done_by_a_hand).for_each(&mut add);
            remedy.collect.iter().filter_map(looked_by_a_hand).for_each(&mut add);
        }
    }
    needed
}

fn done_by_a_hand(action: &Action) -> Option<&ErrandTemplate> {
    match action {
        Action::Errand(errand) => Some(errand),
        Action::Exec(_) | Action::Script(_) | Action::Http(_) | Action::Call(_) => None,
    }
}

fn looked_by_a_hand(collector: &Collector) -> Option<&ErrandTemplate> {
    match &collector.at {
        Looked::Errand(errand) => Some(errand),
        Looked::Exec(_) | Looked::Query(_) => None,
    }
}

fn of_cluster(args: &Args, place: &Place, rights: &BTreeSet<Right>) -> String {
    let Args { namespace, name, .. } = args;
    let mut documents = Vec::new();
    let account = format!(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
    );
    documents.push(match (&place.context, &place.kubeconfig) {
        (None, None) => account,
        (Some(context), _) => format!("# In the cluster of the context {context}.\n{account}"),
        (None, Some(file)) => format!("# In the cluster of {file}.\n{account}"),
    });
    let namespaces: BTreeSet<Option<&str>> =
        rights.iter().map(|right| right.namespace.as_deref()).collect();
    for of in namespaces {
        let rights = rights.iter().filter(|right| right.namespace.as_deref() == of);
        let (scope, place) = match of {
            None => ("Cluster", String::new()),
            Some(namespace) => ("", format!("  namespace: {namespace}\n")),
        };
        documents.push(format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {scope}Role\nmetadata:\n  name: \
             {name}\n{place}rules:\n{}",
            rules(rights)
        ));
        documents.push(format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {scope}RoleBinding\nmetadata:\n  \
             name: {name}\n{place}roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: \
             {scope}Role\n  name: {name}\nsubjects:\n  - kind: ServiceAccount\n    name: {name}\n    \
             namespace: {namespace}\n"
        ));
    }
    documents.join("---\n")
}

/// The rules of a role: what may be done to one kind of object stands in one.
fn rules<'a>(rights: impl Iterator<Item = &'a Right>) -> String {
    let mut verbs: BTreeMap<(&str, &str, Option<&str>), BTreeSet<&str>> = BTreeMap::new();
    for Right { group, resource, name, verb, .. } in rights {
        verbs.entry((group, resource, name.as_deref())).or_default().insert(verb);
    }
    let rules = verbs.into_iter().map(|((group, resource, name), verbs)| {
        let verbs = verbs.into_iter().collect::<Vec<_>>().join(", ");
        let name = name.map(|name| format!("    resourceNames: [\"{name}\"]\n"));
        format!(
            "  - apiGroups: [\"{group}\"]\n    resources: [{resource}]\n{}    verbs: [{verbs}]\n",
            name.unwrap_or_default()
        )
    });
    rules.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> (Exit, String, String) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("homeostat.yml");
        std::fs::write(&file, text).unwrap();
        let args = Args {
            config_files: vec![file],
            namespace: "monitoring".into(),
            name: "homeostat".into(),
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = run(&args, &mut out, &mut err);
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    const ACTS: &str = r#"policies:
- name: web
  matchers: [a=b]
  target: [a]
  mode: auto
  escalate: none
  remedies:
  - { name: a, kubernetes: { rollout_restart: { namespace: shop, deployment: web } } }
  - { name: b, kubernetes: { scale: { namespace: shop, deployment: web, by: 1, max: 3 } } }
  - { name: c, kubernetes: { evict: { namespace: "{{ labels.namespace }}", pod: "{{ labels.pod }}" } } }
  - { name: d, mode: shadow, kubernetes: { delete_pod: { namespace: shop, pod: x } } }
  - { name: e, kubernetes: { context: far, cordon: { node: n1 } } }
"#;

    #[test]
    fn exactly_what_acts_is_allowed_where_it_acts() {
        let (exit, out, err) = printed(ACTS);
        assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
        insta::assert_snapshot!(out, @r#"
        apiVersion: v1
        kind: ServiceAccount
        metadata:
          name: homeostat
          namespace: monitoring
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata:
          name: homeostat
        rules:
          - apiGroups: [""]
            resources: [pods]
            verbs: [get]
          - apiGroups: [""]
            resources: [pods/eviction]
            verbs: [create]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRoleBinding
        metadata:
          name: homeostat
        roleRef:
          apiGroup: rbac.authorization.k8s.io
          kind: ClusterRole
          name: homeostat
        subjects:
          - kind: ServiceAccount
            name: homeostat
            namespace: monitoring
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata:
          name: homeostat
          namespace: shop
        rules:
          - apiGroups: ["apps"]
            resources: [deployments]
            resourceNames: ["web"]
            verbs: [get, patch]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata:
          name: homeostat
          namespace: shop
        roleRef:
          apiGroup: rbac.authorization.k8s.io
          kind: Role
          name: homeostat
        subjects:
          - kind: ServiceAccount
            name: homeostat
            namespace: monitoring
        ---
        # In the cluster of the context far.
        apiVersion: v1
        kind: ServiceAccount
        metadata:
          name: homeostat
          namespace: monitoring
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata:
          name: homeostat
        rules:
          - apiGroups: [""]
            resources: [nodes]
            resourceNames: ["n1"]
            verbs: [get, patch]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRoleBinding
        metadata:
          name: homeostat
        roleRef:
          apiGroup: rbac.authorization.k8s.io
          kind: ClusterRole
          name: homeostat
        subjects:
          - kind: ServiceAccount
            name: homeostat
            namespace: monitoring
        "#);
    }

    #[test]
    fn whoever_asks_whose_a_pod_is_may_look_up_to_its_owner() {
        let (exit, out, _) = printed(
            "policies: [{ name: a, matchers: [a=b], target: [owner_name], mode: shadow, remedies: [], \
             owner_of: { namespace: shop, pod: \"{{ labels.pod }}\" } }]",
        );
        assert_eq!(exit, Exit::Fine);
        let rules = out.split("rules:\n").nth(1).and_then(|rest| rest.split("---").next());
        insta::assert_snapshot!(rules.unwrap(), @r#"
          - apiGroups: [""]
            resources: [pods]
            verbs: [get]
          - apiGroups: ["apps"]
            resources: [replicasets]
            verbs: [get]
          - apiGroups: ["batch"]
            resources: [jobs]
            verbs: [get]
        "#);
    }

    #[test]
    fn who_acts_nowhere_needs_nothing() {
        let (exit, out, err) =
            printed("policies: [{ name: a, matchers: [a=b], mode: shadow, remedies: [] }]");
        assert_eq!((exit, out.as_str()), (Exit::Fine, ""));
        assert!(err.contains("acts in a cluster"), "{err}");
    }
}
