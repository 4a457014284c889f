//! What a witness is made to say: `answer` of a step.

use homeostat_core::evidence::Rehearsal;
use homeostat_core::owner::{Owner, Whose};
use homeostat_core::scenario::{Answer, Asked};

use super::word::no_such;
use super::{Setting, keys, labels, only, taken, yes};
use crate::read::{Fields, Reader, Spanned, Text};
use crate::report::Problem;
use crate::yaml::Node;

/// Which answers each probe can give.
const PROBES: [(&str, &[&str]); 7] = [
    ("alertmanager", &["error", "empty", "unlisted", "silenced", "truth"]),
    ("prometheus", &["error", "truth"]),
    (
        "rules",
        &[
            "error",
            "empty",
            "unhealthy",
            "stuck",
            "firing",
            "pending",
            "kept_firing",
            "looks_back",
            "looks_back_unknown",
            "inputs",
            "truth",
        ],
    ),
    ("query", &["error", "empty", "holds"]),
    ("inventory", &["error", "empty", "nan", "value"]),
    ("dry_run", &["error", "managed_by", "not_now", "refused", "truth"]),
    ("owner", &["error", "nobody", "owner"]),
];

/// Reads an answer, and what it is for.
pub(super) fn answer(
    reader: &mut Reader<'_>,
    node: &Node,
    setting: &Setting,
) -> Option<(Asked, Answer)> {
    let fields = reader.fields(node, &keys::ANSWER)?;
    let probe = fields.read(reader, "probe", Reader::text);
    if probe.is_absent() {
        let problem = Problem::error(fields.span.clone(), "who answers?");
        let probes: Vec<&str> = PROBES.iter().map(|(probe, _)| *probe).collect();
        reader.problems.report(problem.help(format!("write probe: {}", probes.join(", or "))));
    }
    let probe = taken(probe)?;
    let Some((name, can)) = PROBES.iter().find(|(name, _)| *name == probe.value) else {
        let names: Vec<&str> = PROBES.iter().map(|(name, _)| *name).collect();
        reader.problems.report(no_such(&probe.value, probe.span, "probe", &names));
        return None;
    };
    let asked = asked(reader, &fields, name, setting);
    let all: Vec<&'static str> =
        keys::ANSWER.known.iter().copied().filter(|key| !NARROW.contains(key)).collect();
    let key = only(reader, &fields, &all, "this answer says")?;
    if !can.contains(&key) {
        let place = fields.node(key).map_or(&fields.span, |node| &node.span).clone();
        let problem = Problem::error(place, format!("`{name}` does not answer with `{key}`"));
        reader.problems.report(problem.help(format!("it answers with: {}", can.join(", "))));
        return None;
    }
    Some((asked, said(reader, &fields, name, key)?))
}

/// The keys of an answer that do not say what it is.
const NARROW: [&str; 4] = ["probe", "policy", "labels", "query"];

fn asked(reader: &mut Reader<'_>, fields: &Fields<'_>, probe: &str, setting: &Setting) -> Asked {
    let policy = fields.read(reader, "policy", |reader, node| setting.policy(reader, node));
    let about = fields.read(reader, "labels", labels);
    let query = fields.read(reader, "query", Reader::text);
    for (key, fits) in [
        ("labels", matches!(probe, "alertmanager" | "rules" | "owner")),
        ("policy", probe != "owner"),
        ("query", matches!(probe, "query" | "inventory" | "prometheus")),
    ] {
        if let (Some(node), false) = (fields.node(key), fits) {
            let message = format!("`{probe}` is not asked by `{key}`");
            reader.problems.report(Problem::error(node.span.clone(), message));
        }
    }
    Asked {
        policy: taken(policy),
        labels: taken(about).unwrap_or_default(),
        query: taken(query).map(|text| text.value),
    }
}

/// Reads what a probe says by one of the keys that it has.
fn said(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    probe: &str,
    key: &'static str,
) -> Option<Answer> {
    let text = |reader: &mut Reader<'_>| {
        taken(fields.read(reader, key, Reader::text)).map(|text: Text| text.value)
    };
    let flag = |reader: &mut Reader<'_>| {
        taken(fields.read(reader, key, Reader::flag)).map(|flag: Spanned<bool>| flag.value)
    };
    let yes = |reader: &mut Reader<'_>| yes(reader, fields, key);
    match (probe, key) {
        ("alertmanager", "error") => text(reader).map(Answer::AlertmanagerErrs),
        ("alertmanager", "silenced") => text(reader).map(Answer::Silenced),
        ("alertmanager", "empty") => yes(reader).map(|()| Answer::AlertmanagerEmpty),
        ("alertmanager", "unlisted") => yes(reader).map(|()| Answer::Unlisted),
        ("alertmanager", _) => yes(reader).map(|()| Answer::AlertmanagerTruth),
        ("prometheus", "error") => text(reader).map(Answer::PrometheusErrs),
        ("prometheus", _) => yes(reader).map(|()| Answer::PrometheusTruth),
        ("rules", "error") => text(reader).map(Answer::RulesErr),
        ("rules", "unhealthy") => text(reader).map(Answer::RuleUnhealthy),
        ("rules", "empty") => yes(reader).map(|()| Answer::NoRule),
        ("rules", "stuck") => yes(reader).map(|()| Answer::RuleStuck),
        ("rules", "pending") => yes(reader).map(|()| Answer::RulePending),
        ("rules", "firing") => {
            flag(reader).map(|it| if it { Answer::RuleFires } else { Answer::RuleInactive })
        }
        ("rules", "kept_firing") => {
            let span = taken(fields.read(reader, key, Reader::duration));
            span.map(|span| Answer::RuleKeptFiring(span.value))
        }
        ("rules", "looks_back") => {
            let span = taken(fields.read(reader, key, Reader::duration));
            span.map(|span| Answer::LooksBack(span.value))
        }
        ("rules", "looks_back_unknown") => text(reader).map(Answer::LooksBackUnknown),
        ("rules", "inputs") => flag(reader).map(|there| Answer::Inputs { there }),
        ("rules", _) => yes(reader).map(|()| Answer::RulesTruth),
        ("inventory", "error") => text(reader).map(Answer::InventoryErrs),
        ("inventory", "empty") => {
            yes(reader).map(|()| Answer::InventoryErrs("the inventory returns nothing".into()))
        }
        ("inventory", "nan") => {
            yes(reader).map(|()| Answer::InventoryErrs("the inventory is NaN".into()))
        }
        ("inventory", _) => {
            let count = taken(fields.read(reader, key, Reader::count));
            count.map(|count| Answer::Inventory(count.value.into()))
        }
        ("dry_run", "error") => text(reader).map(Answer::RehearsalErrs),
        ("dry_run", "refused") => text(reader).map(Rehearsal::Refused).map(Answer::Rehearsal),
        ("dry_run", "not_now") => text(reader).map(Rehearsal::NotNow).map(Answer::Rehearsal),
        ("dry_run", "managed_by") => {
            text(reader).map(|by| Answer::Rehearsal(Rehearsal::Accepted { managed_by: Some(by) }))
        }
        ("dry_run", _) => {
            yes(reader).map(|()| Answer::Rehearsal(Rehearsal::Accepted { managed_by: None }))
        }
        ("owner", "error") => text(reader).map(Answer::OwnerErrs),
        ("owner", "nobody") => text(reader).map(|why| Answer::Owner(Whose::Nobody { why })),
        ("owner", _) => {
            let text = taken(fields.read(reader, key, Reader::text))?;
            owner(reader, &text).map(|owner| Answer::Owner(Whose::Of(owner)))
        }
        (_, "error") => text(reader).map(Answer::QueryErrs),
        (_, "empty") => yes(reader).map(|()| Answer::Query(0)),
        (_, _) => flag(reader).map(|holds| Answer::Query(usize::from(holds))),
    }
}

/// Reads `Deployment/web`. Which one of its name it is, tests need not say.
fn owner(reader: &mut Reader<'_>, text: &Text) -> Option<Owner> {
    let parts = text.value.split_once('/');
    let Some((kind, name)) = parts.filter(|(kind, name)| !kind.is_empty() && !name.is_empty())
    else {
        let problem = Problem::error(text.span.clone(), "an owner has a kind and a name");
        reader.problems.report(problem.help("write owner: Deployment/web"));
        return None;
    };
    let uid = format!("uid-of-{kind}-{name}");
    Some(Owner { kind: kind.into(), name: name.into(), uid: uid.as_str().into() })
}
