//! Remedies that systemd runs as units of their own, under a real one: their ends, their limits, what they are
//! told, and that none runs twice, whoever is killed in the middle.

use serde_json::Value;

use super::machine::Machine;

/// What is said of `systemd` for each alert, and how long it may take.
const PROGRAMS: [(&str, &str, &str); 13] = [
    ("who", "30s", "{ run: [id, -un] }"),
    (
        "told",
        "30s",
        "{ run: [sh, -c, 'echo out; echo err >&2; env >/srv/env; cat >/srv/stdin; pwd; id -un; id -gn'],
            user: nobody, working_directory: /srv }",
    ),
    ("hostile", "30s", r#"{ run: [printf, '<%s>', "{{ labels.value }}", end] }"#),
    ("code", "30s", "{ run: [sh, -c, 'exit 7'] }"),
    ("signal", "30s", "{ run: [sh, -c, 'kill -TERM $$'] }"),
    ("hungry", "60s", "{ run: [tail, /dev/zero], memory_max: 32M }"),
    ("nowhere", "30s", "{ run: [/srv/nowhere] }"),
    ("nobody", "30s", "{ run: [sh, -c, 'echo ran'], user: nobody-of-this-name }"),
    ("deaf", "3s", "{ run: [sh, -c, 'trap \"\" TERM; setsid sleep 6001 & sleep 6001'] }"),
    (
        "gated",
        "1m",
        r#"{ run: [sh, -c, 'echo "$1" >>/srv/ran; setsid sleep 6002 & while ! [ -e /srv/go ]; do sleep 0.1; done',
             sh, "{{ labels.unit }}"],
             memory_max: 512M, tasks_max: 64, cpu_quota: 50% }"#,
    ),
    ("short", "8s", "{ run: [sh, -c, 'echo short >>/srv/ran; sleep 6003'] }"),
    ("twice", "30s", "{ run: [sh, -c, 'echo twice >>/srv/ran'] }"),
    ("lost", "1m", "{ run: [sh, -c, 'echo lost >>/srv/ran; sleep 6004'] }"),
];

fn policies() -> String {
    let policies = PROGRAMS.map(|(name, timeout, systemd)| {
        format!(
            "  - name: {name}\n    matchers: ['alertname=\"{name}\"']\n    target: [alertname, unit]\n    \
             mode: auto\n    escalate: none\n    \
             guard: {{ rate: {{ max: 1000, per: 1h }}, breaker: none, cooldown: 0s }}\n    \
             verify: {{ within: 1s, every: 1s, times: 1 }}\n    remedies:\n      \
             - name: act\n        timeout: {timeout}\n        systemd: {systemd}\n"
        )
    });
    format!("limits: {{ rate: {{ max: 1000, per: 1h }} }}\npolicies:\n{}", policies.concat())
}

/// Whoever may make transient units may run anything as anybody: systemd does not tell polkit their names.
const POLKIT: &str = r#"
polkit.addRule(function (action, subject) {
    if (subject.user === "homeostat" && action.id === "org.freedesktop.systemd1.manage-units") {
        return polkit.Result.YES;
    }
});
"#;

/// What has been fired so far.
struct Fired<'a> {
    machine: &'a Machine,
    count: u32,
}

impl Fired<'_> {
    /// Fires an alert, and returns the number of its incident.
    fn fire(&mut self, name: &str, labels: &str) -> u32 {
        self.machine.sh(&format!("homeostat fire alertname={name} unit=u{} {labels}", self.count));
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

    fn order_of(&mut self, name: &str, labels: &str) -> Value {
        let id = self.fire(name, labels);
        self.order(id)
    }

    /// The name that the unit of an incident's first order has, or will have.
    fn unit(&self, id: u32) -> String {
        let token = self.machine.sh("ls -t /var/lib/homeostat/orders | head -n 1 | sed 's/.*-//'");
        format!("homeostat-{id}.act.1-{}.service", token.trim())
    }
}

#[track_caller]
fn assert_came_to(order: &Value, result: &str, words: &str) {
    assert_eq!(order["result"], result, "{order:#}");
    assert!(order["outcome"].as_str().unwrap().contains(words), "{order:#}");
}

#[test]
fn a_program_as_a_unit_comes_to_a_clear_end_and_never_runs_twice() {
    let Some(machine) = Machine::with_the_package() else { return };
    machine.write("/etc/homeostat/homeostat.yml", &policies());
    machine.write(
        "/etc/systemd/system/homeostat.service.d/bus.conf",
        "[Service]\nPrivateUsers=false\n",
    );
    machine.sh("systemctl daemon-reload; systemctl restart homeostat");
    let mut fired = Fired { machine: &machine, count: 0 };
    rights(&mut fired);
    machine.write("/etc/systemd/system/homeostat.service.d/root.conf", "[Service]\nUser=root\n");
    machine.sh("systemctl daemon-reload; systemctl restart homeostat");
    ends(&mut fired);
    hunger(&mut fired);
    limits(&mut fired);
    crashes(&mut fired);
}

/// An engine that is not root needs leave, and lends nobody more than it is itself.
fn rights(fired: &mut Fired<'_>) {
    let order = fired.order_of("who", "");
    assert_came_to(&order, "refused", "a rule of polkit would let it");
    if !fired.machine.try_sh("command -v pkaction").status.success() {
        eprintln!("skipped in part: there is no polkit here, by which an engine may make a unit");
        return;
    }
    fired.machine.write("/etc/polkit-1/rules.d/50-homeostat.rules", POLKIT);
    fired.machine.sh("systemctl restart polkit");
    let order = fired.order_of("who", "");
    assert_came_to(&order, "succeeded", "exited with code 0");
    assert_eq!(order["output"], "homeostat\n", "{order:#}");
}

fn ends(fired: &mut Fired<'_>) {
    let machine = fired.machine;
    machine.sh("touch /srv/env /srv/stdin; chown nobody /srv/env /srv/stdin");
    let order = fired.order_of("told", "value='a b'");
    assert_came_to(&order, "succeeded", "exited with code 0");
    assert_eq!(order["output"], "out\n/srv\nnobody\nnogroup\nerr\n", "{order:#}");
    let environment = machine.sh("cat /srv/env");
    for line in ["HOMEOSTAT_LABEL_value=a b", "AMX_LABEL_value=a b", "HOMEOSTAT_POLICY=told"] {
        assert!(environment.lines().any(|is| is == line), "{line}: {environment}");
    }
    assert!(!environment.contains("HOMEOSTAT_RUN"), "{environment}");
    let told: Value = serde_json::from_str(&machine.sh("cat /srv/stdin")).unwrap();
    assert_eq!(told["alerts"][0]["labels"]["value"], "a b");

    let value = "$HOME ${PATH} %n %% \\ \"; reboot #\n$(reboot)";
    let order = fired.order_of("hostile", &format!("value='{value}'"));
    assert_eq!(order["output"], format!("<{value}><end>"), "{order:#}");

    for (name, result, words) in [
        ("code", "failed", "exited with code 7"),
        ("signal", "signalled", "signal 15"),
        ("nowhere", "refused", "there is no program \"/srv/nowhere\""),
        ("nobody", "failed", "217/USER: there is no such user"),
    ] {
        let order = fired.order_of(name, "");
        assert_came_to(&order, result, words);
        assert_eq!(order["output"], "", "{order:#}");
    }
    // Nothing is left of them in systemd.
    let left = machine.sh("systemctl list-units --all --plain --no-legend 'homeostat-*'");
    assert_eq!(left.trim(), "");
}

/// The kernel ends what takes more memory than it may have.
fn hunger(fired: &mut Fired<'_>) {
    if !fired.machine.try_sh("grep -qw memory /sys/fs/cgroup/cgroup.controllers").status.success() {
        eprintln!("skipped in part: memory cannot be limited here");
        return;
    }
    let order = fired.order_of("hungry", "");
    assert_came_to(&order, "failed", "want of memory (oom-kill); its limit is 32M");
}

/// All of a unit ends: at its limit, by a cancel, and where nobody is left to say so.
fn limits(fired: &mut Fired<'_>) {
    let machine = fired.machine;
    let order = fired.order_of("deaf", "");
    assert_came_to(&order, "timed_out", "");
    machine.sh("! pgrep -f '[s]leep 6001'");

    let id = fired.fire("gated", "");
    machine.until("grep -q u /srv/ran && pgrep -f '[s]leep 6002'");
    let unit = fired.unit(id);
    let shown = machine.sh(&format!(
        "systemctl show {unit} --property=Type,MemoryMax,TasksMax,CPUQuotaPerSecUSec,RuntimeMaxUSec,CollectMode"
    ));
    for line in [
        "Type=exec",
        "MemoryMax=536870912",
        "TasksMax=64",
        "CPUQuotaPerSecUSec=500ms",
        "RuntimeMaxUSec=1min",
        "CollectMode=inactive-or-failed",
    ] {
        assert!(shown.lines().any(|is| is == line), "{line}: {shown}");
    }
    machine.sh(&format!("homeostat cancel {id} --reason enough"));
    assert_came_to(&fired.order(id), "cancelled", "");
    machine.sh("! pgrep -f '[s]leep 6002'");

    // Of its hand nothing is left that could stop it.
    let id = fired.fire("short", "");
    machine.until("grep -q short /srv/ran");
    kill_all_with(machine, "HOMEOSTAT_HAND");
    assert_came_to(&fired.order(id), "unknown", "without a word");
    machine.until("! pgrep -f '[s]leep 6003'");
}

/// Kills every process that has a variable.
fn kill_all_with(machine: &Machine, variable: &str) {
    machine.sh(&format!(
        "for process in /proc/[0-9]*; do \
         ! grep -qz '^{variable}=' \"$process/environ\" 2>/dev/null || kill -KILL \"${{process#/proc/}}\"; \
         done"
    ));
}

fn crashes(fired: &mut Fired<'_>) {
    let machine = fired.machine;
    machine.sh(": > /srv/ran");
    let id = fired.fire("gated", "");
    machine.until("grep -q u /srv/ran");
    let engine = machine.show("MainPID");
    machine.sh(&format!("kill -KILL {engine}"));
    machine.until(&format!(
        "test \"$(systemctl show --value --property=MainPID homeostat)\" != {engine} && \
         homeostat incidents {id} --output json | grep -q '\"state\": \"acting\"'"
    ));
    machine.sh("touch /srv/go");
    assert_came_to(&fired.order(id), "succeeded", "exited with code 0");

    machine.sh("rm /srv/go; : > /srv/ran");
    let id = fired.fire("gated", "");
    machine.until("grep -q u /srv/ran");
    kill_all_with(machine, "HOMEOSTAT_RUNNER");
    assert_came_to(&fired.order(id), "unknown", "");
    machine.sh("touch /srv/go");
    machine.until("! pgrep -f '[s]leep 6002'");
    assert_eq!(machine.sh("wc -l < /srv/ran").trim(), "1", "it ran once");

    // Whoever made a unit of this name: it is not made beside it.
    assert_came_to(&fired.order_of("code", ""), "failed", "exited with code 7");
    let unit = fired.unit(fired.count + 1);
    machine.sh(&format!("systemd-run --quiet --unit={unit} sleep 6005"));
    let order = fired.order_of("twice", "");
    assert_came_to(&order, "unknown", &format!("there is a unit {unit} already"));
    machine.sh(&format!("systemctl stop {unit}; ! grep twice /srv/ran"));

    let id = fired.fire("lost", "");
    machine.until("grep -q lost /srv/ran");
    machine.sh("kill -KILL $(systemctl show --value --property=MainPID dbus)");
    assert_came_to(&fired.order(id), "unknown", "systemd was lost sight of");
    machine.sh("pgrep -f '[s]leep 6004'");
}
