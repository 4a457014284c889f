//! Whose it is what a policy's alerts are about.

use homeostat_core::owner::Seen;

use super::*;

const OWNER_OF: &str = "owner_of: { namespace: '{{ labels.namespace }}', pod: '{{ labels.pod }}' }";
const TARGET: &str = "target: [namespace, owner_kind, owner_name]";

fn seen(lines: &str, labels: &[(&str, &str)]) -> Seen {
    let config = parse("homeostat.yml", &policy(lines)).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.problems(), [], "{}", config.warnings);
    let labels = LabelSet::from_pairs(labels.iter().copied());
    config.book.policies()[0].sees(&labels, &LabelSet::default(), &[])
}

#[test]
fn an_owner_is_asked_for_by_what_the_alert_says() {
    let labels = [("namespace", "shop"), ("pod", "web-1"), ("cluster", "eu")];
    let Seen::Asks(of) = seen(&format!("{OWNER_OF}\n{TARGET}"), &labels) else { panic!() };
    assert_eq!(of.to_string(), "kubernetes owner namespace=shop pod=web-1");
    let far = "owner_of: { namespace: shop, pod: a, context: '{{ labels.cluster }}', kubeconfig: /etc/kube }";
    let Seen::Asks(of) = seen(&format!("{far}\n{TARGET}"), &labels) else { panic!() };
    let shown = "kubernetes owner namespace=shop pod=a context=eu kubeconfig=/etc/kube";
    assert_eq!(of.to_string(), shown);
    let hostile = [("namespace", "shop"), ("pod", "../../nodes/n1")];
    let Seen::Unowned { why, .. } = seen(&format!("{OWNER_OF}\n{TARGET}"), &hostile) else {
        panic!("it is a path")
    };
    assert!(why.contains("labels.pod"), "{why}");
}

#[test]
fn what_cannot_stand_beside_an_owner_is_refused() {
    insta::assert_snapshot!(of_policy(&format!(
        "matchers: [a=b, 'owner_kind=\"Deployment\"']\n{OWNER_OF}\n{TARGET}"
    )), @r"
    1:21 whose it is is asked after this: owner_kind is the owner's label
      => where alerts have a label owner_kind of their own, name it otherwise before they are
        sent
    ");
    for (owner_of, problem) in [
        ("{ pod: a }", "it says no `namespace`"),
        ("{ namespace: A, pod: a }", "\"A\" is not the name of a namespace"),
        ("{ namespace: a, name: x }", "write `pod`"),
        ("{ namespace: a, pod: '{{ incident }}' }", "there is no \"incident\" yet"),
        ("{ namespace: a, pod: b, kubeconfig: x }", "begins with `/`"),
    ] {
        let found = of_policy(&format!("owner_of: {owner_of}\ntarget: [owner_name]"));
        assert!(found.contains(problem), "{owner_of}: {found}");
    }
}

#[test]
fn an_owner_that_is_in_no_target_is_wondered_at() {
    insta::assert_snapshot!(of_policy(&format!("{OWNER_OF}\ntarget: [namespace, pod]")), @r"
    2:13 warning: no label of the owner is in `target`: each pod is a trouble of its own
      => write target: [namespace, owner_kind, owner_name]
    ");
    let sources = "sources: { prometheuses: [{ name: main, url: 'http://127.0.0.1:9090' }] }\n";
    let regression = "regression: { matchers: ['severity=\"critical\"'] }";
    let text = format!("{sources}{}", policy(&format!("{OWNER_OF}\n{TARGET}\n{regression}")));
    let found = problems(&text);
    assert!(found.contains("warning: alerts do not say whose they are"), "{found}");
}
