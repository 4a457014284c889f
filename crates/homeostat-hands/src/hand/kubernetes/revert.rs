//! Whether somebody took back what an order has changed, and who.
//!
//! Whoever follows a repository sets a field to what the repository says, and takes away what it does not
//! say. So a change is taken back where what it set is as it was before, or its mark is gone; other changes,
//! as a new version in the middle, are not against it.

use serde_json::Value;

use super::api::MANAGER;
use super::change::Changed;
use super::object::Object;

/// As whom the server's own controllers set fields, which they do in the course of each rollout.
const CONTROLLERS: &str = "kube-controller-manager";

/// What a change may set, and what to say once it is as it was before.
const FIELDS: [(&str, &str); 2] = [
    ("/spec/replicas", "the number of pods is what it was before"),
    ("/spec/template", "the template of the pods is what it was before"),
];

/// Where the mark of an order stands.
const MARKS: [&str; 2] = [
    "/metadata/annotations/homeostat~1order",
    "/spec/template/metadata/annotations/homeostat~1order",
];

/// Says who took a change back, and how that is seen; nothing as long as nobody has.
pub(super) fn taken_back(changed: &Changed, now: &Object) -> Option<String> {
    let Changed { before, object: ours, .. } = changed;
    let is_set = |at: &str| ours.at(at) != before.at(at);
    let is_back = |(at, _): &&(&str, &str)| is_set(at) && now.at(at) == before.at(at);
    let is_gone = |at: &str| is_set(at) && !ours.at(at).is_null() && now.at(at).is_null();
    let how = match FIELDS.iter().find(is_back) {
        Some((_, how)) => how,
        None if MARKS.into_iter().any(is_gone) => "the order's annotation is gone",
        None => return None,
    };
    let who = writer(ours, now).unwrap_or("somebody");
    Some(format!("{who} took the change back: {how}"))
}

/// Who has written last since, as the server knows them. Who takes a field away, and sets none, is not known.
fn writer<'a>(ours: &Object, now: &'a Object) -> Option<&'a str> {
    fn fields(object: &Object) -> &[Value] {
        object.at("/metadata/managedFields").as_array().map_or(&[], Vec::as_slice)
    }
    let since = fields(now).iter().filter(|fields| {
        let is_other = fields["manager"] != MANAGER && fields["manager"] != CONTROLLERS;
        is_other && fields["subresource"] != "status"
    });
    let since = since.filter(|entry| !fields(ours).contains(entry));
    since.max_by_key(|fields| fields["time"].as_str())?["manager"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(replicas: u32, image: &str, marks: (Option<&str>, Option<&str>)) -> Object {
        let mark = |mark: Option<&str>| {
            mark.map_or(Value::Null, |mark| json!({ "homeostat/order": mark }))
        };
        Object(json!({
            "metadata": { "annotations": mark(marks.0) },
            "spec": { "replicas": replicas, "template": {
                "metadata": { "annotations": mark(marks.1) }, "spec": { "image": image } } },
        }))
    }

    #[test]
    fn a_change_is_taken_back_where_what_it_set_is_as_before() {
        let (old, mark) = (Some("1.a.1"), Some("2.a.1"));
        let changed = |before: Object, object: Object| Changed { before, object, is_ours: true };
        let restart = || changed(object(3, "x", (None, None)), object(3, "x", (mark, mark)));
        let again = || changed(object(3, "x", (old, old)), object(3, "x", (mark, mark)));
        let scale = || changed(object(3, "x", (old, old)), object(4, "x", (mark, old)));
        let undone = || changed(object(3, "x", (old, old)), object(3, "x", (mark, None)));
        let undo = || changed(object(3, "y", (None, None)), object(3, "x", (mark, None)));
        let nothing = || Changed {
            is_ours: false,
            ..changed(object(3, "x", (old, old)), object(3, "x", (old, old)))
        };
        let template = Some("somebody took the change back: the template of the pods is what");
        let replicas = Some("somebody took the change back: the number of pods is what");
        let gone = Some("somebody took the change back: the order's annotation is gone");
        for (row, (changed, now, expected)) in [
            (restart(), object(3, "x", (mark, mark)), None),
            (restart(), object(3, "x", (mark, None)), template),
            (restart(), object(3, "x", (None, mark)), gone),
            // A new version, which keeps the mark, or does not.
            (restart(), object(3, "z", (mark, mark)), None),
            (restart(), object(3, "z", (mark, None)), gone),
            // Another order.
            (restart(), object(4, "x", (Some("3.b.1"), mark)), None),
            (again(), object(3, "x", (mark, old)), template),
            (scale(), object(4, "x", (mark, old)), None),
            (scale(), object(3, "x", (mark, old)), replicas),
            (scale(), object(5, "x", (mark, old)), None),
            (scale(), object(4, "z", (mark, None)), None),
            (undo(), object(3, "x", (mark, None)), None),
            // Back to a template from before an order's restart.
            (undone(), object(3, "x", (mark, None)), None),
            (undone(), object(3, "x", (mark, old)), template),
            (undo(), object(3, "y", (mark, None)), template),
            (undo(), object(3, "y", (None, None)), template),
            (nothing(), object(2, "z", (None, None)), None),
        ]
        .into_iter()
        .enumerate()
        {
            let how = taken_back(&changed, &now);
            assert_eq!(how.is_some(), expected.is_some(), "{row}: {how:?}");
            assert!(how.unwrap_or_default().starts_with(expected.unwrap_or_default()), "{row}");
        }
    }

    #[test]
    fn who_has_written_last_is_named_if_the_server_knows() {
        let with = |managers: Value| {
            let mut object = object(3, "x", (None, None));
            object.0["metadata"]["managedFields"] = managers;
            object
        };
        let of = |manager: &str, time: &str, fields: u32| json!({ "manager": manager, "time": time, "fieldsV1": fields });
        let (us, apply) =
            (of("homeostat", "2026-01-01T00:00:05Z", 1), of("kubectl", "2026-01-01T00:00:00Z", 1));
        let ours = with(json!([apply, us]));
        let status =
            json!({ "manager": "other", "time": "2026-01-01T00:00:09Z", "subresource": "status" });
        for (managers, who) in [
            (json!([apply, us]), None),
            (json!([apply, us, of("kube-controller-manager", "2026-01-01T00:00:06Z", 1)]), None),
            (json!([apply, us, status]), None),
            (json!([apply, of("homeostat", "2026-01-01T00:00:05Z", 2)]), None),
            (
                json!([apply, of("argocd-controller", "2026-01-01T00:00:05Z", 1)]),
                Some("argocd-controller"),
            ),
            (
                json!([
                    of("kubectl", "2026-01-01T00:00:06Z", 1),
                    of("a", "2026-01-01T00:00:05Z", 1)
                ]),
                Some("kubectl"),
            ),
        ] {
            assert_eq!(writer(&ours, &with(managers.clone())), who, "{managers:#}");
        }
    }
}
