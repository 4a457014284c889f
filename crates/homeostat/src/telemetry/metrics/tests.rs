use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;

/// Metrics with one of each.
fn busy() -> Metrics {
    let metrics = Metrics::new("1.2.3", "abc", "main");
    metrics.reloaded(true, 1_767_600_000.5);
    metrics.notification("main", "taken");
    metrics.alerts("main", "firing", 1);
    metrics.polled("main", "listed");
    metrics.reconciled("ended", 2);
    metrics.set_alerts_active(3);
    metrics.notices("oncall", "accepted", 2);
    metrics.set_incidents_open([(("web-down", "waiting"), 2)]);
    metrics.incident_closed("web-down", "healed");
    metrics.order_ended("web-down", "restart", "succeeded", Some(1.5));
    metrics.set_orders_running(1);
    metrics.held("web-down", "cooldown");
    metrics.healed("web-down", 42.0);
    metrics.shadow_judged("web-down", "reboot", "needless");
    metrics.committed(0.002, 5);
    metrics.set_queue_length(7);
    metrics.clock_jumped();
    metrics.set_paused(true);
    metrics.set_leader(true);
    metrics.set_runner_up(true);
    metrics.runner_start("started");
    metrics.runner_lost();
    metrics
}

#[test]
fn what_is_counted_by_policy_says_whose_it_is_where_it_is_somebodys() {
    let metrics = Metrics::new("1.2.3", "abc", "main");
    metrics.set_teams([("db", "dba")]);
    metrics.incident_closed("db", "healed");
    metrics.incident_closed("web", "healed");
    metrics.order_ended("db", "promote", "succeeded", Some(1.5));
    metrics.set_incidents_open([(("db", "waiting"), 2)]);
    // As a reload says.
    metrics.set_teams([("db", "storage")]);
    metrics.set_incidents_open([(("db", "waiting"), 2)]);
    metrics.held("db", "rate");
    let text = metrics.print();
    for line in [
        "homeostat_incidents_closed_total{policy=\"db\",outcome=\"healed\",team=\"dba\"} 1",
        "homeostat_incidents_closed_total{policy=\"web\",outcome=\"healed\"} 1",
        "homeostat_order_duration_seconds_sum{policy=\"db\",remedy=\"promote\",team=\"dba\"} 1.5",
        "homeostat_incidents_open{policy=\"db\",state=\"waiting\",team=\"dba\"} 0",
        "homeostat_incidents_open{policy=\"db\",state=\"waiting\",team=\"storage\"} 2",
        "homeostat_holds_total{policy=\"db\",guard=\"rate\",team=\"storage\"} 1",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_promised_names_are_there() {
    let text = busy().print();
    for line in [
        "homeostat_build_info{version=\"1.2.3\",revision=\"abc\",branch=\"main\"} 1",
        "homeostat_config_last_reload_successful 1",
        "homeostat_config_last_reload_success_timestamp_seconds 1767600000.5",
        "homeostat_notifications_received_total{source=\"main\",result=\"taken\"} 1",
        "homeostat_alerts_received_total{source=\"main\",status=\"firing\"} 1",
        "homeostat_reconcile_polls_total{source=\"main\",result=\"listed\"} 1",
        "homeostat_reconcile_alerts_total{change=\"ended\"} 2",
        "homeostat_alerts_active 3",
        "homeostat_notices_total{channel=\"oncall\",result=\"accepted\"} 2",
        "homeostat_incidents_open{policy=\"web-down\",state=\"waiting\"} 2",
        "homeostat_incidents_closed_total{policy=\"web-down\",outcome=\"healed\"} 1",
        "homeostat_orders_total{policy=\"web-down\",remedy=\"restart\",result=\"succeeded\"} 1",
        "homeostat_order_duration_seconds_sum{policy=\"web-down\",remedy=\"restart\"} 1.5",
        "homeostat_orders_running 1",
        "homeostat_holds_total{policy=\"web-down\",guard=\"cooldown\"} 1",
        "homeostat_shadow_total{policy=\"web-down\",remedy=\"reboot\",result=\"needless\"} 1",
        "homeostat_time_to_heal_seconds_count{policy=\"web-down\"} 1",
        "homeostat_journal_commit_duration_seconds_count 1",
        "homeostat_journal_facts_total 5",
        "homeostat_intake_queue_length 7",
        "homeostat_clock_jumps_total 1",
        "homeostat_paused 1",
        "homeostat_leader 1",
        "homeostat_runner_up 1",
        "homeostat_runner_starts_total{result=\"started\"} 1",
        "homeostat_runner_lost_total 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
}

#[test]
fn a_vanished_group_of_incidents_goes_to_zero() {
    let metrics = busy();
    metrics.set_incidents_open([(("web-down", "acting"), 1)]);
    let text = metrics.print();
    assert!(text.contains("homeostat_incidents_open{policy=\"web-down\",state=\"waiting\"} 0"));
    assert!(text.contains("homeostat_incidents_open{policy=\"web-down\",state=\"acting\"} 1"));
}

#[test]
fn a_flood_of_names_is_not_a_flood_of_series() {
    let metrics = Metrics::new("", "", "");
    for number in 0..NAMES + 100 {
        metrics.alerts(&format!("source-{number}"), "firing", 1);
    }
    let text = metrics.print();
    let series = text.lines().filter(|line| line.starts_with("homeostat_alerts_received_total{"));
    assert_eq!(series.count(), NAMES + 1);
    assert!(text.contains("{source=\"other\",status=\"firing\"} 100"));
}

#[test]
fn a_failed_reload_keeps_the_time_of_the_last_good_one() {
    let metrics = busy();
    metrics.reloaded(false, 2e9);
    let text = metrics.print();
    assert!(text.contains("homeostat_config_last_reload_successful 0"));
    assert!(text.contains("homeostat_config_last_reload_success_timestamp_seconds 1767600000.5"));
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let metrics = busy();
    metrics.alerts("hostile \" \\ \n } 1", "firing", 1);
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        eprintln!("skipped: promtool is not installed");
        return;
    };
    let text = metrics.print();
    promtool.stdin.take().expect("is piped").write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
