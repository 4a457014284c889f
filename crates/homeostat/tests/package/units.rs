//! Remedies that tell systemd what to do, under a real one: each way in which a job can end, or not be made,
//! is a clear end, also when the engine or its runner is killed in the middle.

use std::time::Duration;

use serde_json::{Value, json};

use super::machine::Machine;

/// A policy for each verb: the unit comes from the alert.
fn policies() -> String {
    let verbs = [("start", "1m"), ("restart", "3s"), ("reload", "1m"), ("reset_failed", "1m")];
    let policies = verbs.map(|(verb, timeout)| {
        format!(
            "  - name: {verb}\n    matchers: ['alertname=\"{verb}\"']\n    target: [alertname, unit]\n    \
             mode: auto\n    escalate: none\n    \
             guard: {{ rate: {{ max: 1000, per: 1h }}, breaker: none, cooldown: 0s }}\n    \
             verify: {{ within: 1s, every: 1s, times: 1 }}\n    remedies:\n      \
             - {{ name: act, systemd: {{ {verb}: 't-{{{{ labels.unit }}}}.service' }}, timeout: {timeout} }}\n      \
             - {{ name: next, script: 'echo next >> /var/lib/homeostat/next' }}\n"
        )
    });
    format!("limits: {{ rate: {{ max: 1000, per: 1h }} }}\npolicies:\n{}", policies.concat())
}

/// The engine may do what it likes with these units, but for one.
const POLKIT: &str = r#"
polkit.addRule(function (action, subject) {
    if (subject.user === "homeostat" && action.id === "org.freedesktop.systemd1.manage-units"
        && action.lookup("unit").indexOf("t-") === 0
        && action.lookup("unit") !== "t-forbidden.service") {
        return polkit.Result.YES;
    }
});
"#;

const UNITS: [(&str, &str); 7] = [
    ("good", "[Service]\nExecStart=/bin/sleep infinity\n"),
    ("bad", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo it is broken; exit 3'\n"),
    (
        "often",
        "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=1\n[Service]\n\
         ExecStart=/bin/sleep infinity\n",
    ),
    ("forbidden", "[Service]\nExecStart=/bin/sleep infinity\n"),
    ("slow", "[Service]\nType=oneshot\nExecStart=/bin/sleep 600\n"),
    (
        "gated",
        "[Service]\nType=oneshot\n\
         ExecStart=/bin/sh -c 'echo ran >> /srv/ran; while ! [ -e /srv/go ]; do sleep 0.1; done'\n",
    ),
    ("wrong", "[Service]\nType=exec\n"),
];

/// What has been fired so far.
struct Fired<'a> {
    machine: &'a Machine,
    count: u32,
}

impl Fired<'_> {
    /// Fires an alert, and returns the number of its incident.
    fn fire(&mut self, verb: &str, unit: &str) -> u32 {
        self.machine.sh(&format!("homeostat fire alertname={verb} unit={unit}"));
        self.count += 1;
        self.count
    }

    /// The first order of an incident, once it is over.
    fn order(&self, id: u32) -> Value {
        let ended =
            format!("homeostat incidents {id} --output json | grep -q '\"state\": \"ended\"'");
        self.machine.until(&ended);
        self.machine.incident(id)["orders"][0].clone()
    }
}

#[test]
fn each_end_of_a_job_is_a_clear_one() {
    let Some(machine) = Machine::with_the_package() else { return };
    if !machine.try_sh("command -v pkaction").status.success() {
        eprintln!("skipped: there is no polkit here, by which a remedy may restart a unit");
        return;
    }
    for (name, text) in UNITS {
        machine.write(&format!("/etc/systemd/system/t-{name}.service"), text);
    }
    machine.write("/etc/polkit-1/rules.d/50-homeostat.rules", POLKIT);
    machine.write(
        "/etc/systemd/system/homeostat.service.d/polkit.conf",
        "[Service]\nPrivateUsers=false\n",
    );
    machine.write("/etc/homeostat/homeostat.yml", &policies());
    machine.sh("ln -sf /dev/null /etc/systemd/system/t-masked.service; systemctl daemon-reload; \
         systemctl start t-often; systemctl restart homeostat");
    let mut fired = Fired { machine: &machine, count: 0 };
    ends(&mut fired);
    looks(&machine);
    crashes(&mut fired);
}

fn ends(fired: &mut Fired<'_>) {
    let machine = fired.machine;
    let table = [
        ("restart", "good", "succeeded", "is done"),
        ("start", "bad", "failed", "ended as failed (exit-code)"),
        ("restart", "often", "failed", "start-limit-hit: it was started too often"),
        ("start", "masked", "refused", "the unit is masked"),
        ("start", "nowhere", "refused", "there is no such unit"),
        ("start", "wrong", "refused", "the unit cannot be loaded"),
        ("restart", "forbidden", "refused", "a rule of polkit would let it"),
        ("reload", "good", "refused", "this cannot be done with the unit"),
        ("restart", "slow", "unknown", "goes on with what it had begun"),
        ("reset_failed", "bad", "succeeded", "is done"),
    ];
    for (verb, unit, result, words) in table {
        let id = fired.fire(verb, unit);
        let order = fired.order(id);
        assert_eq!(order["result"], result, "{verb} {unit}: {order:#}");
        assert!(order["outcome"].as_str().unwrap().contains(words), "{verb} {unit}: {order:#}");
        match (verb, unit) {
            ("restart", "good") => {
                let output = order["output"].as_str().unwrap();
                assert!(output.contains("before: loaded, inactive (dead)"), "{output}");
                assert!(
                    output.contains("after: loaded, active (running), result success"),
                    "{output}"
                );
                machine.sh("systemctl is-active t-good");
            }
            ("reset_failed", "bad") => machine.until("! systemctl is-failed t-bad"),
            _ => {}
        }
    }
    // What was refused went to a person, and not to the next remedy.
    machine.until("test \"$(wc -l < /var/lib/homeostat/next)\" = 2");
}

/// A hand that only looks, with no engine.
fn looks(machine: &Machine) {
    for (unit, says, shows) in [
        ("t-good.service", r#"{"kind":"done"}"#, "now: loaded, active (running), result success"),
        (
            "t-nowhere.service",
            "t-nowhere.service: there is no such unit",
            "now: not-found, inactive",
        ),
    ] {
        let (timeout, grace) = (Duration::from_secs(20), Duration::from_secs(5));
        let errand = json!({ "hand": "systemd", "verb": "status", "fields": [["unit", unit]] });
        let asked = json!({ "errand": errand, "timeout": timeout, "grace": grace });
        machine.write("/srv/asked", &json!({ "homeostat": { "hand": asked } }).to_string());
        let output = machine
            .sh("mkdir -p /srv/look; HOMEOSTAT_HAND=/srv/look/said homeostat </srv/asked; \
             cat /srv/look/said");
        assert!(output.contains(says) && output.contains(shows), "{output}");
    }
}

fn crashes(fired: &mut Fired<'_>) {
    let machine = fired.machine;
    let id = fired.fire("start", "gated");
    machine.until("grep -q ran /srv/ran");
    let engine = machine.show("MainPID");
    machine.sh(&format!("kill -KILL {engine}"));
    machine.until(&format!(
        "test \"$(systemctl show --value --property=MainPID homeostat)\" != {engine} && \
         homeostat incidents {id} --output json | grep -q '\"state\": \"acting\"'"
    ));
    machine.sh("touch /srv/go");
    let order = fired.order(id);
    assert_eq!(order["result"], "succeeded", "adopted: {order:#}");

    machine.sh("rm /srv/go; : > /srv/ran");
    machine.sh("homeostat fire alertname=start unit=gated --resolve");
    machine.closed(id);
    machine.write("/etc/systemd/system/t-other.service", &UNITS[5].1.replace("ran", "other"));
    machine.sh("systemctl daemon-reload");
    let id = fired.fire("start", "other");
    machine.until("grep -q other /srv/other");
    machine.sh(
        "for process in /proc/[0-9]*; do \
         ! grep -qz '^HOMEOSTAT_RUNNER=' \"$process/environ\" 2>/dev/null || kill -KILL \"${process#/proc/}\"; \
         done",
    );
    let order = fired.order(id);
    assert_eq!(order["result"], "unknown", "{order:#}");
    machine.sh("touch /srv/go");
    machine.until("test \"$(systemctl is-active t-other)\" = inactive");
    assert_eq!(machine.sh("wc -l < /srv/other").trim(), "1", "it ran once");
}
