use std::collections::BTreeMap;

use homeostat_core::label::LabelSet;
use proptest::prelude::*;

use super::*;

/// What an instance of each row's rule has. The rule sets `severity` itself.
const INSTANCE: &[(&str, &str)] = &[
    ("alertname", "A"),
    ("instance", "a:80"),
    ("job", "web"),
    ("severity", "page"),
    ("team", "x"),
];

fn set(pairs: &[(&str, &str)]) -> LabelSet {
    LabelSet::from_pairs(pairs.iter().copied())
}

fn none(_: &str) -> Vec<RecordingRule> {
    Vec::new()
}

fn narrowed(reading: &Reading, role: Role) -> Vec<String> {
    let (instance, own) = (set(INSTANCE), set(&[("severity", "page")]));
    let found = reading.selectors.iter().filter(|selector| selector.role() == role);
    found.map(|selector| narrow(selector, &instance, &own)).collect()
}

const ALL: &str = r#"instance="a:80",job="web",team="x""#;

/// An expression, how far it looks back, the inputs that feed it and those that hide it, narrowed.
/// `@` stands for all labels that the instance can have of its series.
type Row = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("up == 0", "0s", &["up{@}"], &[]),
    ("up{job=\"web\"} == 0", "0s", &["up{@}"], &[]),
    ("up{job=~\"w.*\"} == 0", "0s", &[r#"up{instance="a:80",job="web",job=~"w.*",team="x"}"#], &[]),
    ("{__name__=\"up\"} == 0", "0s", &["up{@}"], &[]),
    ("0 == up", "0s", &["up{@}"], &[]),
    ("-up < 0", "0s", &["up{@}"], &[]),
    ("up offset 5m == 0", "5m", &["up{@}"], &[]),
    ("rate(x[5m] offset 1h) > 1", "1h5m", &["x{@}"], &[]),
    ("sum by (instance) (rate(x{job=\"a\"}[5m]))", "5m", &[r#"x{instance="a:80",job="a"}"#], &[]),
    ("sum(rate(x[5m])) > 1", "5m", &["x"], &[]),
    ("sum without (instance) (x)", "0s", &[r#"x{job="web",team="x"}"#], &[]),
    ("a / on(instance) group_left(team) b", "0s",
        &[r#"a{instance="a:80",job="web"}"#, r#"b{instance="a:80",team="x"}"#], &[]),
    ("b * on(instance) group_right(team) a", "0s",
        &[r#"b{instance="a:80",team="x"}"#, r#"a{instance="a:80",job="web"}"#], &[]),
    ("a * ignoring(job) group_left(team) b", "0s",
        &[r#"a{instance="a:80",job="web"}"#, r#"b{instance="a:80",team="x"}"#], &[]),
    ("a * ignoring(job) group_left(job) b", "0s",
        &[r#"a{instance="a:80",team="x"}"#, "b{@}"], &[]),
    ("a / b > 0.9", "0s", &["a{@}", "b{@}"], &[]),
    ("a / on(instance) b", "0s", &[r#"a{instance="a:80"}"#, r#"b{instance="a:80"}"#], &[]),
    ("a / ignoring(job) b", "0s",
        &[r#"a{instance="a:80",team="x"}"#, r#"b{instance="a:80",team="x"}"#], &[]),
    ("a > on() b", "0s", &["a", "b"], &[]),
    ("label_replace(up, \"instance\", \"$1\", \"pod\", \"(.*)\") == 0", "0s",
        &[r#"up{job="web",team="x"}"#], &[]),
    ("label_join(up, \"team\", \"-\", \"a\", \"b\")", "0s", &[r#"up{instance="a:80",job="web"}"#], &[]),
    ("topk(3, rate(x[5m])) > 1", "5m", &["x{@}"], &[]),
    ("bottomk by (job) (3, x)", "0s", &["x{@}"], &[]),
    ("topk(scalar(n), x)", "0s", &["x{@}", "n"], &[]),
    ("count_values by (job) (\"team\", x) > 1", "0s", &[r#"x{job="web"}"#], &[]),
    ("histogram_quantile(0.9, sum by (le, job) (rate(x_bucket[5m]))) > 1", "5m",
        &[r#"x_bucket{job="web"}"#], &[]),
    ("histogram_quantile(0.9, rate(x_bucket[5m])) > 1", "5m", &["x_bucket{@}"], &[]),
    ("absent(up{job=\"x\"})", "0s", &[], &[r#"up{job="x"}"#]),
    ("absent_over_time(up{job=\"x\"}[10m])", "10m", &[], &[r#"up{job="x"}"#]),
    ("absent(absent(up))", "0s", &["up"], &[]),
    ("up == 0 unless maintenance", "0s", &["up{@}"], &["maintenance{@}"]),
    ("up == 0 unless on(instance) maintenance == 1", "0s",
        &["up{@}"], &[r#"maintenance{instance="a:80"}"#]),
    ("a unless (b unless c)", "0s", &["a{@}", "c{@}"], &["b{@}"]),
    ("a > 1 and on(instance) b > 2", "0s", &["a{@}", r#"b{instance="a:80"}"#], &[]),
    ("a > 1 and b", "0s", &["a{@}", "b{@}"], &[]),
    ("a > 1 or b > 1", "0s", &["a{@}", "b{@}"], &[]),
    ("(a or b) unless on(job) c", "0s", &["a{@}", "b{@}"], &[r#"c{job="web"}"#]),
    ("max_over_time(rate(x[5m])[1h:1m]) > 1", "1h5m", &["x{@}"], &[]),
    ("max_over_time(rate(x[5m])[1h:] offset 1d)", "1d1h5m", &["x{@}"], &[]),
    ("time() - last_run > 3600", "0s", &["last_run{@}"], &[]),
    ("time() - max by (job) (last_run) > 3600", "0s", &[r#"last_run{job="web"}"#], &[]),
    ("x > scalar(limit)", "0s", &["x{@}", "limit"], &[]),
    ("vector(scalar(x)) > 1", "0s", &["x"], &[]),
    ("vector(1)", "0s", &[], &[]),
    ("1 > bool 0", "0s", &[], &[]),
    ("hour() > 5", "0s", &[], &[]),
    ("info(x, {job=\"web\"}) > 1", "?", &["x", "{job=\"web\"}"], &[]),
    ("delta(x[10m]) < 1 or deriv(y[30m]) < 0", "30m", &["x{@}", "y{@}"], &[]),
    ("x > 1 and x > 1", "0s", &["x{@}"], &[]),
    ("x{a=\"q\\\"\\\\\\n\"} > 1", "0s", &[r#"x{a="q\"\\\n",instance="a:80",job="web",team="x"}"#], &[]),

    // As in the mixins.
    ("(node_filesystem_avail_bytes{job=\"node\",fstype!=\"\"} / node_filesystem_size_bytes{job=\"node\",fstype!=\"\"} * 100 < 3 and node_filesystem_readonly{job=\"node\",fstype!=\"\"} == 0)", "0s",
        &[r#"node_filesystem_avail_bytes{fstype!="",instance="a:80",job="node",job="web",team="x"}"#,
          r#"node_filesystem_size_bytes{fstype!="",instance="a:80",job="node",job="web",team="x"}"#,
          r#"node_filesystem_readonly{fstype!="",instance="a:80",job="node",job="web",team="x"}"#], &[]),
    ("predict_linear(node_filesystem_files_free[6h], 24*60*60) < 0", "6h", &["node_filesystem_files_free{@}"], &[]),
    ("max_over_time(kube_pod_container_status_waiting_reason{reason=\"CrashLoopBackOff\"}[5m]) >= 1", "5m",
        &[r#"kube_pod_container_status_waiting_reason{instance="a:80",job="web",reason="CrashLoopBackOff",team="x"}"#], &[]),
    ("sum by (namespace, pod, job) (max by(namespace, pod, job) (kube_pod_status_phase{phase=~\"Pending|Unknown\"}) * on(namespace, pod) group_left(owner_kind) topk by(namespace, pod) (1, max by(namespace, pod, owner_kind) (kube_pod_owner{owner_kind!=\"Job\"}))) > 0", "0s",
        &[r#"kube_pod_status_phase{job="web",phase=~"Pending|Unknown"}"#, r#"kube_pod_owner{owner_kind!="Job"}"#], &[]),
    ("(kube_deployment_spec_replicas{job=\"k\"} > kube_deployment_status_replicas_available{job=\"k\"}) and (changes(kube_deployment_status_replicas_updated{job=\"k\"}[10m]) == 0)", "10m",
        &[r#"kube_deployment_spec_replicas{instance="a:80",job="k",job="web",team="x"}"#,
          r#"kube_deployment_status_replicas_available{instance="a:80",job="k",job="web",team="x"}"#,
          r#"kube_deployment_status_replicas_updated{instance="a:80",job="k",job="web",team="x"}"#], &[]),
    ("count(up{job=\"etcd\"} == bool 1) < 2", "0s", &[r#"up{job="etcd"}"#], &[]),
    ("100 * (count by (job, instance) (up == 0) / count by (job, instance) (up)) > 10", "0s",
        &[r#"up{instance="a:80",job="web"}"#], &[]),
    ("quantile(0.99, rate(x[1m])) by (job) > 1", "1m", &[r#"x{job="web"}"#], &[]),
    ("sum(rate(apiserver_request_total{code=~\"5..\"}[5m])) by (instance) / sum(rate(apiserver_request_total[5m])) by (instance) > 0.1", "5m",
        &[r#"apiserver_request_total{code=~"5..",instance="a:80"}"#, r#"apiserver_request_total{instance="a:80"}"#], &[]),
];

#[test]
fn an_expression_is_read_down_to_its_selectors() {
    for (expression, back, feeding, hiding) in ROWS {
        let reading = read(expression, &none);
        let back = back.parse().map_or_else(|_| None, |span| Some(Memory::Lasts(span)));
        match back {
            Some(memory) => assert_eq!(reading.memory, memory, "{expression}"),
            None => assert!(matches!(reading.memory, Memory::Unknown { .. }), "{expression}"),
        }
        let expected = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| text.replace('@', ALL)).collect()
        };
        assert_eq!(narrowed(&reading, Role::Feeds), expected(feeding), "{expression}");
        assert_eq!(narrowed(&reading, Role::Hides), expected(hiding), "{expression}");
        assert_eq!(reading.incomplete, None, "{expression}");
    }
}

#[test]
fn what_is_not_known_says_why() {
    for (expression, why, complete) in [
        ("up @ 1609746000 == 0", "its expression has an `@`", true),
        ("rate(x[5m] @ end()) > 1", "its expression has an `@`", true),
        ("max_over_time(x[5m:1m] @ start())", "its expression has an `@`", true),
        ("up offset -5m == 0", "its expression has an offset into the future", true),
        (
            "{job=\"web\"} > 1",
            "it reads {job=\"web\"}, which may be written by recording rules",
            true,
        ),
        (
            "{__name__=~\"job:.*\"} > 1",
            "it reads {__name__=~\"job:.*\"}, which may be written by recording rules",
            true,
        ),
        (
            "ALERTS{alertname=\"X\"} == 1",
            "it reads ALERTS, which lasts as long as another alert",
            false,
        ),
        ("up ==", "its expression is not understood: ", false),
        ("rate(x)", "its expression is not understood: ", false),
        ("", "its expression is not understood: ", false),
        ("ttf(x[5m])", "its expression is not understood: ", false),
    ] {
        let reading = read(expression, &none);
        let Memory::Unknown { why: told } = &reading.memory else { panic!("{expression}") };
        assert!(told.starts_with(why), "{expression}: {told}");
        assert_eq!(reading.incomplete.is_none(), complete, "{expression}: {reading:?}");
    }
}

/// Finds recording rules in a table: the name, the expression, the interval in seconds.
fn book(rules: &[(&str, &str, u64)]) -> impl Fn(&str) -> Vec<RecordingRule> {
    let mut book: BTreeMap<String, Vec<RecordingRule>> = BTreeMap::new();
    for (name, expression, seconds) in rules {
        let labels = set(&[("team", "recorded")]);
        let (expression, interval) = ((*expression).to_owned(), Span::from_secs(*seconds));
        let rule = RecordingRule { expression, interval, labels };
        book.entry((*name).to_owned()).or_default().push(rule);
    }
    move |name| book.get(name).cloned().unwrap_or_default()
}

#[test]
fn recording_rules_are_followed_to_what_they_read() {
    let book = book(&[
        ("job:x:rate5m", "sum by (job, instance, team) (rate(x[5m]))", 60),
        ("job:x:max1h", "max_over_time(job:x:rate5m[1h])", 30),
        ("two", "a", 15),
        ("two", "rate(b[10m])", 15),
    ]);
    let reading = read("job:x:rate5m > 1", &book);
    assert_eq!(reading.memory, Memory::Lasts("7m".parse().unwrap()));
    assert_eq!(narrowed(&reading, Role::Feeds), [r#"x{instance="a:80",job="web"}"#]);
    let reading = read("sum by (job) (job:x:max1h) > 1", &book);
    assert_eq!(reading.memory, Memory::Lasts("1h8m".parse().unwrap()));
    assert_eq!(narrowed(&reading, Role::Feeds), [r#"x{job="web"}"#]);
    let reading = read("two offset 1m > 1", &book);
    assert_eq!(reading.memory, Memory::Lasts("11m30s".parse().unwrap()));
    assert_eq!(reading.selectors.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b"]);
    let alert = of_alert(reading.memory, Span::from_secs(15), Span::from_secs(60));
    assert_eq!(alert, Memory::Lasts("13m".parse().unwrap()));
}

#[test]
fn recording_rules_are_not_followed_for_ever() {
    let circle = book(&[("a", "b", 1), ("b", "a + c", 1)]);
    let reading = read("a > 1", &circle);
    assert_eq!(reading.memory, Memory::unknown("the recording rule a reads itself"));
    assert_eq!(reading.incomplete.as_deref(), Some("the recording rule a reads itself"));

    let names: Vec<String> = (0..10).map(|number| format!("r{number}")).collect();
    let chain: Vec<_> = names.windows(2).map(|two| (&*two[0], &*two[1], 1)).collect();
    let deep = read("r1 > 1", &book(&chain));
    assert_eq!((deep.memory, deep.incomplete), (Memory::Lasts(Span::from_secs(16)), None));
    let deeper = read("r0 > 1", &book(&chain));
    let why = "it reads r8 through 8 other recording rules";
    assert_eq!(deeper.memory, Memory::unknown(why));

    let bad = read("a > 1", &book(&[("a", "rate(", 1)]));
    assert!(matches!(bad.memory, Memory::Unknown { .. }) && bad.incomplete.is_some());

    let twice: Vec<(String, String)> =
        (0..9).map(|n| (format!("r{n}"), format!("r{0} + r{0}", n + 1))).collect();
    let twice: Vec<_> = twice.iter().map(|(name, text)| (&**name, &**text, 1)).collect();
    let wide = read("r1 + r1 + r1 > 1", &book(&twice));
    assert_eq!(wide.memory, Memory::unknown("it reads more than 256 recording rules"));
}

#[test]
fn what_is_too_long_is_not_read_and_what_is_not_is_walked() {
    let sum = |terms| vec!["x"; terms].join("+");
    assert_eq!(read(&sum(1_000), &none).memory, Memory::NONE);
    assert!(matches!(read(&sum(1_002), &none).memory, Memory::Unknown { .. }));
    let nested = format!("{}x{}", "abs(".repeat(1_000), ")".repeat(1_000));
    assert_eq!(read(&nested, &none).memory, Memory::NONE);
    let words = vec!["x"; 1_002].join(" and ");
    assert!(matches!(read(&words, &none).memory, Memory::Unknown { .. }));
    let many: Vec<_> = (0..65).map(|number| format!("x{number}")).collect();
    let reading = read(&many.join("+"), &none);
    assert_eq!(reading.selectors.len(), 64);
    assert_eq!(reading.incomplete.as_deref(), Some("it reads more than 64 selectors"));
}

#[test]
fn a_selector_is_written_so_that_it_reads_back() {
    for (written, printed) in [
        ("x", "x"),
        ("x{b=\"1\", a!=\"2\"}", r#"x{a!="2",b="1"}"#),
        ("{\"my.metric\"}", r#"{__name__="my.metric"}"#),
        ("{\"my.metric\", a=\"é\"}", r#"{__name__="my.metric",a="é"}"#),
        ("{__name__=\"sum\"}", r#"{__name__="sum"}"#),
        ("job:x:rate5m{a=~`\\d+`}", r#"job:x:rate5m{a=~"\\d+"}"#),
        ("x{a=\"\"}", r#"x{a=""}"#),
        ("x{a=`\\`,b=`\"`}", r#"x{a="\\",b="\""}"#),
        ("x{a='`\\'',b=\"`\\\"\"} # `\n", r#"x{a="`'",b="`\""}"#),
    ] {
        let reading = read(written, &none);
        assert_eq!(reading.incomplete, None, "{written}");
        let text = reading.selectors[0].to_string();
        assert_eq!(text, printed);
        assert_eq!(read(&text, &none).selectors[0].to_string(), printed);
    }
}

#[test]
fn an_expression_without_series_is_constant() {
    for (expression, constant) in [
        ("vector(1)", true),
        ("vector(1) > 0", true),
        ("vector(time()) > 5", true),
        ("hour() > 5", true),
        ("up", false),
        ("absent(up)", false),
        ("ALERTS", false),
        ("vector(", false),
    ] {
        assert_eq!(is_constant(expression), constant, "{expression}");
    }
}

proptest! {
    /// The parser is somebody else's, and the texts are, too.
    #[test]
    fn no_text_is_too_strange_to_be_read(
        parts in prop::collection::vec(
            prop_oneof![
                "(?s).{0,3}",
                "[-a-z0-9(){}\\[\\]\"'`#@=~!<>:.,+*/^% \\\\]{0,6}",
                prop::sample::select(vec![
                    "rate(", "x", "{a=\"", "\"}", "[5m]", "[1h:1m]", " offset ", "-5m", " @ ", "sum by (a) (",
                    ")", " and ", " on (", " group_left (", "{a=~\"", "0x", "1e", "\\u00", "é", "\\x",
                ])
                .prop_map(str::to_owned),
            ],
            0..8,
        ),
    ) {
        let text = parts.concat();
        for selector in read(&text, &none).selectors {
            let printed = selector.to_string();
            let again = read(&printed, &none).selectors;
            prop_assert_eq!(again.iter().map(ToString::to_string).collect::<Vec<_>>(), [printed]);
        }
    }
}
