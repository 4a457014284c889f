use super::*;
use crate::web::api::view::StateView;
use homeostat_config::policy_test as grammar;

const CONFIG: &str = "
sources:
  alertmanagers: [{ name: main, urls: ['http://127.0.0.1:9093'] }]
  prometheuses: [{ name: main, url: 'http://127.0.0.1:9090' }]
policies:
  - name: web-down
    matchers: ['alertname=\"Down\"']
    target: [instance]
    mode: auto
    remedies:
      - { name: restart, exec: [restart, '{{ labels.instance }}'], retries: 1 }
      - { name: reboot, exec: [reboot] }
    guard: { lock: [all] }
";

const DOWN_A: &str = "{ at: 0s, fire: { alertname: Down, instance: a } }";
const DOWN_B: &str = "{ at: 0s, fire: { alertname: Down, instance: b } }";

/// Plays one test with these steps and expectations.
fn outcome(steps: &[&str], expect: &[&str]) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("h.yml"), CONFIG).unwrap();
    let name = directory.path().join("t.yml").display().to_string();
    let (steps, expect) = (steps.join(", "), expect.join(", "));
    let text = format!(
        "config_file: h.yml\ntests: [{{ name: one, steps: [{steps}], expect: [{expect}] }}]\n"
    );
    let tests = grammar::parse(&name, text).unwrap_or_else(|reports| panic!("{}", reports[0]));
    play(&tests, &tests.tests[0])
}

/// Plays one test; returns what failed.
fn failures(steps: &[&str], expect: &[&str]) -> Vec<String> {
    let outcome = outcome(steps, expect);
    assert_eq!(outcome.story.is_empty(), outcome.passed(), "a failure tells its story");
    outcome
        .failures
        .into_iter()
        .map(|failure| match failure.help {
            Some(help) => format!("{} | {help}", failure.message),
            None => failure.message,
        })
        .collect()
}

fn passes(steps: &[&str], expect: &[&str]) {
    assert_eq!(failures(steps, expect), Vec::<String>::new());
}

#[test]
fn the_states_that_can_be_expected_are_those_of_the_api() {
    assert_eq!(grammar::STATES, StateView::ALL.map(StateView::as_str));
}

#[test]
fn inputs_up_to_the_moment_apply_and_the_engine_runs_until_nothing_moves() {
    passes(
        &[DOWN_A, "{ at: 5s, exit: { remedy: restart, code: 1 } }"],
        &[
            "{ eval_time: 0s, exp_state: acting }",
            "{ eval_time: 4s, exp_state: acting }",
            "{ eval_time: 5s, exp_state: waiting }",
            "{ eval_time: 10s, exp_state: acting, exp_orders: [{ remedy: restart, attempt: 2 }] }",
        ],
    );
}

#[test]
fn an_action_without_an_exit_runs_to_its_timeout_and_is_verified() {
    passes(
        &[DOWN_A],
        &["{ eval_time: 59s, exp_state: acting }", "{ eval_time: 1m, exp_state: verifying }"],
    );
}

#[test]
fn orders_are_exact_since_the_expectation_before() {
    let steps = [DOWN_A, "{ at: 5s, exit: { remedy: restart, code: 1 } }"];
    passes(
        &steps,
        &[
            "{ eval_time: 1s, exp_state: acting }",
            "{ eval_time: 9s, exp_orders: [] }",
            "{ eval_time: 1m, exp_orders: [{ remedy: restart, attempt: 2 }] }",
        ],
    );
    passes(&steps, &["{ eval_time: 1m, exp_orders: [{ attempt: 1 }, { attempt: 2 }] }"]);
    passes(
        &steps,
        &[
            "{ eval_time: 1m, exp_orders: [{ attempt: 1 }, { attempt: 2 }] }",
            "{ eval_time: 1m, exp_orders: [{ attempt: 1 }, { attempt: 2 }] }",
        ],
    );
    for wrong in ["[]", "[{}]", "[{ attempt: 2 }, { attempt: 1 }]", "[{}, {}, {}]"] {
        let found = failures(&steps, &[&format!("{{ eval_time: 1m, exp_orders: {wrong} }}")]);
        assert_eq!(found.len(), 1, "{wrong}: {found:?}");
        let told = "issued since the expectation before: restart on {instance=\"a\"}: `restart a`, \
                    restart (run 2) on {instance=\"a\"}: `restart a`";
        assert!(found[0].contains(told), "{found:?}");
    }
}

#[test]
fn each_field_of_an_order_is_compared() {
    let with = |order: &str| {
        failures(&[DOWN_A], &[&format!("{{ eval_time: 1s, exp_orders: [{order}] }}")]).len()
    };
    for right in [
        "{ remedy: restart }",
        "{ policy: web-down }",
        "{ target: { instance: a } }",
        "{ attempt: 1 }",
        "{ action: restart a }",
    ] {
        assert_eq!(with(right), 0, "{right}");
    }
    for wrong in [
        "{ remedy: reboot }",
        "{ target: { instance: b } }",
        "{ target: { job: web } }",
        "{ attempt: 2 }",
        "{ action: restart }",
    ] {
        assert_eq!(with(wrong), 1, "{wrong}");
    }
}

#[test]
fn where_several_things_have_incidents_one_must_be_chosen() {
    let steps = [DOWN_A, DOWN_B];
    passes(
        &steps,
        &[
            "{ eval_time: 1s, exp_incidents: 2, exp_orders: [{ target: { instance: a } }] }",
            "{ eval_time: 1s, target: { instance: a }, exp_state: acting, exp_holds: [] }",
            "{ eval_time: 1s, target: { instance: b }, exp_state: waiting, exp_holds: [lock] }",
            "{ eval_time: 1s, target: { instance: b }, exp_orders: [], exp_incidents: 1 }",
            "{ eval_time: 1s, target: { instance: c }, exp_incidents: 0 }",
        ],
    );
    for (expectation, wanted) in [
        (
            "{ eval_time: 1s, exp_state: acting }",
            "at 1s: 2 things have incidents, and it is not said which is meant | say `policy` or \
             `target`: web-down on {instance=\"a\"}; web-down on {instance=\"b\"}",
        ),
        (
            "{ eval_time: 1s, target: { instance: c }, exp_state: acting }",
            "at 1s: there is no such incident | the incidents that opened are of other policies or \
             targets",
        ),
    ] {
        assert_eq!(failures(&steps, &[expectation]), [wanted]);
    }
}

#[test]
fn of_several_incidents_of_one_thing_the_newest_counts() {
    passes(
        &[
            DOWN_A,
            "{ at: 1s, exit: { remedy: restart, code: 0 } }",
            "{ at: 1s, resolve: { alertname: Down, instance: a } }",
            "{ at: 5m, fire: { alertname: Down, instance: a } }",
        ],
        &[
            "{ eval_time: 1m, exp_state: closed, exp_outcome: healed, exp_grade: confirmed }",
            "{ eval_time: 10m30s, exp_state: acting, exp_incidents: 2, exp_orders: [{ remedy: reboot }] }",
        ],
    );
}

#[test]
fn what_people_are_told_is_compared() {
    let steps = [
        DOWN_A,
        "{ at: 0s, exit: { remedy: restart, code: 1 } }",
        "{ at: 10s, exit: { remedy: restart, code: 1 } }",
        "{ at: 10s, exit: { remedy: reboot, code: 1 } }",
        "{ at: 1h, resolve: { alertname: Down, instance: a } }",
    ];
    let at = |time: &str, notices: &str| {
        failures(
            &steps,
            &[
                &format!("{{ eval_time: {time}, exp_notices: {notices} }}"),
                "{ eval_time: 2h, exp_incidents: 1 }",
            ],
        )
    };
    assert!(at("5s", "[]").is_empty());
    assert!(at("20s", "[{ reason: no remedy healed it, severity: critical }]").is_empty());
    assert!(at("20s", "[{ topic: escalation }]").is_empty());
    assert!(at("20s", "[{ policy: web-down, target: { instance: a } }]").is_empty());
    assert!(at("90m", "[]").is_empty(), "cleared with its alert");
    for wrong in [
        "[]",
        "[{ reason: none-such }]",
        "[{ severity: page }]",
        "[{ topic: guard }]",
        "[{ target: { instance: b } }]",
    ] {
        let found = at("20s", wrong);
        assert!(found.len() == 1 && found[0].contains("they are told: \"no remedy"), "{found:?}");
    }
}

#[test]
fn a_step_that_meets_nothing_fails_its_test() {
    let exit = "{ at: 5s, exit: { remedy: reboot, code: 0 } }";
    let wanted = "this step ends a run of remedy reboot, and none is running at 5s | these are \
                  running then: 1.restart.1";
    assert_eq!(failures(&[DOWN_A, exit], &["{ eval_time: 6s, exp_state: acting }"]), [wanted]);
}

#[test]
fn an_alert_that_no_policy_takes_is_told() {
    let fire = "{ at: 0s, fire: { alertname: Up } }";
    let outcome = outcome(&[fire], &["{ eval_time: 6s, exp_state: acting }"]);
    let wanted = "at 6s: there is no such incident";
    assert_eq!(outcome.failures[0].message, wanted);
    let text = "Alert {alertname=\"Up\"} fires, and no policy takes it.".to_owned();
    assert_eq!(outcome.story, [Line { at: Span::ZERO, incident: None, text }]);
}

#[test]
fn a_jump_of_the_clock_is_told_and_what_waits_waits_on() {
    let fail = "{ at: 5s, exit: { remedy: restart, code: 1 } }";
    let steps = [DOWN_A, fail, "{ at: 6s, jump: { forwards: 1h } }"];
    let acting = "exp_state: acting, exp_orders: [{ attempt: 2 }]";
    passes(
        &steps,
        &[
            "{ eval_time: 9s, exp_state: waiting, exp_orders: [{ attempt: 1 }] }",
            &format!("{{ eval_time: 10s, {acting} }}"),
        ],
    );
    let story = outcome(&steps, &["{ eval_time: 7s, exp_state: closed }"]).story;
    let told: Vec<&str> = story.iter().map(|line| line.text.as_str()).collect();
    let wanted = "The wall clock jumped forwards by 1h. What waits keeps its remaining time, what \
                  witnesses said is asked anew, and approvals are void.";
    assert!(told.contains(&wanted), "{told:?}");
    let back = [DOWN_A, fail, "{ at: 6s, jump: { back: 1h } }"];
    passes(&back, &["{ eval_time: 10s, exp_orders: [{}, {}] }"]);
}

#[test]
fn a_command_that_no_incident_takes_fails_its_test() {
    let expected = ["{ eval_time: 6s, exp_state: acting }"];
    for (command, wanted) in [
        ("{ at: 5s, approve: {} }", "no incident takes `approve` at 5s"),
        ("{ at: 5s, reject: { target: { instance: b } } }", "no incident takes `reject` at 5s"),
        ("{ at: 5s, retry: { target: { job: x } } }", "no incident takes `retry` at 5s"),
    ] {
        let wanted = format!("{wanted} | the newest incident is meant, or that of the `target`");
        assert_eq!(failures(&[DOWN_A, command], &expected), [wanted]);
    }
}
