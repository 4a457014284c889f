//! The whole loop under systemd: a unit breaks, Prometheus sees it, and the installed Homeostat starts
//! it again, with the right to that one deed and to nothing else.

use homeostat::demo::stack::{self, Binary};

use super::machine::Machine;

const POLICY: &str = r#"
sources:
  prometheuses:
    - { name: main, url: "http://127.0.0.1:9090" }
policies:
  - name: web-down
    matchers: ['alertname="WebDown"']
    target: [job]
    mode: auto
    escalate: none
    remedies:
      - { name: restart, exec: [systemctl, restart, web.service], timeout: 20s }
    verify: { within: 1m, query: 'up{job="web"} == 1', every: 1s, times: 2 }
"#;

const PROMETHEUS: &str = r#"
global: { scrape_interval: 500ms, evaluation_interval: 500ms }
rule_files: [/srv/prometheus/rules.yml]
scrape_configs:
  - job_name: web
    static_configs: [{ targets: ["127.0.0.1:8080"] }]
alerting:
  alertmanagers:
    - static_configs: [{ targets: ["127.0.0.1:9999"] }]
"#;

const RULES: &str = r#"
groups:
  - name: web
    rules: [{ alert: WebDown, expr: 'up{job="web"} == 0' }]
"#;

/// The grant of one deed, as the comments of the unit advise.
const POLKIT: &str = r#"
polkit.addRule(function (action, subject) {
    if (subject.user === "homeostat" && action.id === "org.freedesktop.systemd1.manage-units"
        && action.lookup("unit") === "web.service" && action.lookup("verb") === "restart") {
        return polkit.Result.YES;
    }
});
"#;

/// A unit that runs a Prometheus: one that watches, and one that is the web server that breaks.
fn unit(program: &str, name: &str, port: u16) -> String {
    format!(
        "[Service]\nExecStart={program} --config.file=/srv/{name}/prometheus.yml \
         --storage.tsdb.path=/srv/{name}/data --web.listen-address=127.0.0.1:{port}\n"
    )
}

#[test]
fn a_unit_that_breaks_is_healed() {
    let Some(machine) = Machine::with_the_package() else { return };
    if !machine.try_sh("command -v pkaction").status.success() {
        eprintln!("skipped: there is no polkit here, by which a remedy may restart a unit");
        return;
    }
    let prometheus = stack::find(Binary::Prometheus).unwrap().canonicalize().unwrap();
    let promtool = prometheus.with_file_name("promtool");
    let prometheus = prometheus.to_str().unwrap();
    machine.write("/etc/systemd/system/web.service", &unit(prometheus, "web", 8080));
    machine.write("/srv/web/prometheus.yml", "scrape_configs: []\n");
    machine.write("/etc/systemd/system/watching.service", &unit(prometheus, "prometheus", 9090));
    machine.write("/srv/prometheus/prometheus.yml", PROMETHEUS);
    machine.write("/srv/prometheus/rules.yml", RULES);
    machine.write("/etc/polkit-1/rules.d/50-homeostat.rules", POLKIT);
    machine.write(
        "/etc/systemd/system/homeostat.service.d/polkit.conf",
        "[Service]\nPrivateUsers=false\n",
    );
    machine.write("/etc/homeostat/homeostat.yml", POLICY);
    machine.sh(
        "systemctl daemon-reload && systemctl start web watching && systemctl restart homeostat",
    );
    let promtool = promtool.display();
    machine
        .until(&format!("{promtool} query instant http://127.0.0.1:9090 'up == 1' | grep -q web"));

    machine.sh("systemctl kill --signal=KILL web");
    let incident = machine.closed(1);
    assert_eq!(incident["outcome"], "healed", "{incident:#}");
    assert_eq!(incident["grade"], "proven", "{incident:#}");
    assert_eq!(incident["orders"].as_array().unwrap().len(), 1, "{incident:#}");
    machine.sh("systemctl is-active web");

    // The grant was for that deed alone.
    let other = "runuser -u homeostat -- systemctl restart watching.service";
    assert!(!machine.try_sh(other).status.success(), "it may restart what it was not granted");
}
