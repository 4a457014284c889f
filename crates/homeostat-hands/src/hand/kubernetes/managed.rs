//! Who else makes an object what it is: a controller that follows a repository (`GitOps`), and takes back what
//! the repository does not say.
//!
//! What another object of the cluster has made is not what a repository says, whatever stands beside it:
//! operators and controllers hand labels and annotations on to what they make.
//!
//! Source: Argo CD, "Resource Tracking"; Flux, `Kustomization`, "Controlling the apply behavior of resources";
//! Kubernetes, "Server-Side Apply", of `managedFields`.

use super::object::Object;

/// Of which application of Argo CD it is, and as which of its objects.
const TRACKING: &str = "argocd.argoproj.io/tracking-id";

/// Of which application of Argo CD it is, where Argo CD was told to say it by this label.
const ARGO_INSTANCE: &str = "argocd.argoproj.io/instance";

/// The same, where it was not told; charts have this label for themselves.
const INSTANCE: &str = "app.kubernetes.io/instance";

/// By this Flux is told to leave an object as it is.
const RECONCILE: &str = "kustomize.toolkit.fluxcd.io/reconcile";

const ARGO: &str = "Argo CD";
const FLUX: &str = "Flux";

/// As whom the servers know them.
const WRITERS: [(&str, &str); 5] = [
    ("argocd-controller", ARGO),
    ("argocd-application-controller", ARGO),
    (KUSTOMIZE, FLUX),
    ("helm-controller", FLUX),
    ("fleetagent", "Fleet"),
];

const KUSTOMIZE: &str = "kustomize-controller";

/// Tells who else manages an object, in words.
pub(super) fn managed_by(object: &Object) -> Option<String> {
    if object.controller().is_some() {
        return None;
    }
    let writer = writer(object);
    by_argo(object, writer == Some(ARGO))
        .or_else(|| by_flux(object))
        .or_else(|| writer.map(str::to_owned))
}

/// The one that has set something of it, beside its status.
fn writer(object: &Object) -> Option<&'static str> {
    let fields = object.at("/metadata/managedFields").as_array()?;
    let of_it = fields.iter().filter(|fields| fields["subresource"] != "status");
    let mut writers = of_it.filter_map(|fields| {
        let (name, writer) = WRITERS.iter().find(|(name, _)| fields["manager"] == *name)?;
        (*name != KUSTOMIZE || !is_left_alone(object)).then_some(*writer)
    });
    writers.next()
}

fn by_argo(object: &Object, is_writer: bool) -> Option<String> {
    let tracked = object.annotation(TRACKING).and_then(|id| application(id, object));
    let application = tracked
        .or_else(|| object.label(ARGO_INSTANCE))
        .or_else(|| object.label(INSTANCE).filter(|_| is_writer))?;
    Some(format!("{ARGO} (application {application})"))
}

/// The application of a tracking id, as `shop:apps/Deployment:web-namespace/web`, where that is this object.
fn application<'a>(id: &'a str, object: &Object) -> Option<&'a str> {
    let (application, tracked) = id.split_once(':')?;
    let (group, _) = object.text("/apiVersion").split_once('/').unwrap_or_default();
    let [kind, namespace, name] =
        ["/kind", "/metadata/namespace", "/metadata/name"].map(|of| object.text(of));
    (tracked == format!("{group}/{kind}:{namespace}/{name}")).then_some(application)
}

fn by_flux(object: &Object) -> Option<String> {
    let of = |kind: &str, group: &str| {
        let name = object.label(&format!("{group}.toolkit.fluxcd.io/name"))?;
        let namespace = object.label(&format!("{group}.toolkit.fluxcd.io/namespace"))?;
        Some(format!("{FLUX} ({kind} {namespace}/{name})"))
    };
    of("Kustomization", "kustomize")
        .filter(|_| !is_left_alone(object))
        .or_else(|| of("HelmRelease", "helm"))
}

fn is_left_alone(object: &Object) -> bool {
    object.annotation(RECONCILE) == Some("disabled")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn deployment(metadata: &Value) -> Object {
        let mut object = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
                                 "metadata": { "namespace": "shop", "name": "web" } });
        for (key, value) in metadata.as_object().unwrap() {
            object["metadata"][key] = value.clone();
        }
        Object(object)
    }

    #[test]
    fn who_else_manages_an_object_is_read_from_what_stands_beside_it() {
        let by = |managers: &[&str]| {
            let fields = managers.iter().map(|manager| json!({ "manager": manager }));
            fields.collect::<Value>()
        };
        let tracking = |id: &str| json!({ "annotations": { TRACKING: id } });
        let kustomize = json!({ "kustomize.toolkit.fluxcd.io/name": "apps",
                                "kustomize.toolkit.fluxcd.io/namespace": "flux-system" });
        let helm = json!({ "helm.toolkit.fluxcd.io/name": "web",
                           "helm.toolkit.fluxcd.io/namespace": "shop" });
        let chart = json!({ INSTANCE: "web", "app.kubernetes.io/managed-by": "Helm" });
        let mut both = kustomize.clone();
        both["helm.toolkit.fluxcd.io/name"] = "web".into();
        both["helm.toolkit.fluxcd.io/namespace"] = "shop".into();
        let owner = json!([{ "kind": "Shop", "name": "a", "uid": "1", "controller": true }]);
        let alone = json!({ RECONCILE: "disabled" });
        for (metadata, expected) in [
            (json!({}), None),
            (json!({ "managedFields": by(&["kubectl-create", "homeostat"]) }), None),
            (tracking("shop:apps/Deployment:shop/web"), Some("Argo CD (application shop)")),
            (
                tracking("infra_shop:apps/Deployment:shop/web"),
                Some("Argo CD (application infra_shop)"),
            ),
            // It was handed on from another object.
            (tracking("shop:apps/Deployment:shop/other"), None),
            (tracking("shop:apps/StatefulSet:shop/web"), None),
            (tracking("shop"), None),
            (json!({ "labels": { ARGO_INSTANCE: "shop" } }), Some("Argo CD (application shop)")),
            (json!({ "labels": chart }), None),
            (
                json!({ "labels": chart, "managedFields": by(&["kubectl", "argocd-controller"]) }),
                Some("Argo CD (application web)"),
            ),
            (json!({ "managedFields": by(&["argocd-application-controller"]) }), Some("Argo CD")),
            // A person's restart by its page.
            (json!({ "managedFields": by(&["argocd-server"]) }), None),
            (json!({ "labels": kustomize }), Some("Flux (Kustomization flux-system/apps)")),
            (json!({ "labels": helm }), Some("Flux (HelmRelease shop/web)")),
            (json!({ "labels": { "helm.toolkit.fluxcd.io/name": "web" } }), None),
            (json!({ "managedFields": by(&["kustomize-controller"]) }), Some("Flux")),
            (json!({ "managedFields": by(&["helm-controller"]) }), Some("Flux")),
            (json!({ "managedFields": by(&["fleetagent"]) }), Some("Fleet")),
            (
                json!({ "managedFields": [
                    { "manager": "kustomize-controller", "subresource": "status" }] }),
                None,
            ),
            (
                json!({ "labels": kustomize, "annotations": alone,
                        "managedFields": by(&["kustomize-controller"]) }),
                None,
            ),
            (json!({ "labels": both, "annotations": alone }), Some("Flux (HelmRelease shop/web)")),
            (json!({ "labels": kustomize, "ownerReferences": owner }), None),
            (
                json!({ "managedFields": by(&["argocd-controller"]), "ownerReferences": owner }),
                None,
            ),
        ] {
            let object = deployment(&metadata);
            assert_eq!(managed_by(&object).as_deref(), expected, "{metadata:#}");
        }
    }
}
