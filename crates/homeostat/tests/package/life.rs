//! Install, upgrade, remove, install again, purge: nothing that runs is lost, and the journal goes
//! when it is told to.

use serde_json::Value;

use super::machine::{Machine, said};

/// A remedy that takes this many seconds and writes down that it ended.
fn slow(seconds: u32) -> String {
    format!(
        "policies:\n\
         \x20 - name: slow\n\
         \x20   matchers: ['alertname=\"Slow\"']\n\
         \x20   target: [instance]\n\
         \x20   mode: auto\n\
         \x20   escalate: none\n\
         \x20   relapse: 0s\n\
         \x20   guard: {{ cooldown: 0s }}\n\
         \x20   remedies:\n\
         \x20     - {{ name: wait, timeout: 1m, script: 'sleep {seconds}; echo \"$HOMEOSTAT_ORDER\" >> /var/lib/homeostat/ended' }}\n"
    )
}

fn orders(incident: &Value) -> Vec<(String, i64)> {
    let orders = incident["orders"].as_array().unwrap().iter();
    let told = |order: &Value| {
        (order["id"].as_str().unwrap().to_owned(), order["exit_code"].as_i64().unwrap())
    };
    orders.map(told).collect()
}

/// Starts a remedy, upgrades while it runs, and returns the incident and how many ends there were.
fn upgrade_during(
    machine: &Machine,
    seconds: u32,
    instance: &str,
    id: u32,
    version: &str,
) -> Value {
    let upgrade = machine.package(version).unwrap();
    machine.write("/etc/homeostat/homeostat.yml", &slow(seconds));
    machine.sh("systemctl reload homeostat");
    machine.until(
        "homeostat explain --url unix:/run/homeostat/homeostat.sock alertname=Slow instance=x \
         | grep -q slow",
    );
    machine.sh(&format!("homeostat fire alertname=Slow instance={instance}"));
    machine.until(&format!(
        "homeostat incidents {id} --output json | grep -q '\"state\": \"acting\"'"
    ));
    machine.sh(&format!("dpkg --install {upgrade}"));
    assert_eq!(machine.show("ActiveState"), "active");
    machine.until(&format!("test \"$(wc -l < /var/lib/homeostat/ended)\" = {id}"));
    machine.sh(&format!("homeostat fire alertname=Slow instance={instance} --resolve"));
    machine.closed(id)
}

#[test]
fn it_is_installed_upgraded_under_a_running_action_removed_and_purged() {
    let Some(machine) = Machine::with_the_package() else { return };

    // It runs, has said so itself, and acts on nothing.
    assert_eq!(machine.show("ActiveState"), "active");
    assert_eq!(machine.show("UnitFileState"), "enabled");
    assert_eq!(machine.show("StatusText"), "");
    let owner = "stat --format='%U %G %a' /var/lib/homeostat /etc/homeostat/homeostat.yml \
                 /run/homeostat/homeostat.sock";
    assert_eq!(
        machine.sh(owner),
        "homeostat homeostat 700\nroot homeostat 640\nhomeostat homeostat 660\n"
    );
    machine.sh("homeostat fire alertname=Slow instance=z");
    machine.until("homeostat incidents | grep -q shadowed");
    // Who may not use the socket comes by the address.
    machine.sh("runuser -u nobody -- homeostat incidents | grep -q shadowed");
    machine.sh("homeostat fire alertname=Slow instance=z --resolve");

    // What ends within the time is waited for; what takes longer goes on and is taken over.
    machine.sh("install -o homeostat -g homeostat /dev/null /var/lib/homeostat/ended; echo 0.0.0 > /var/lib/homeostat/ended");
    let waited = upgrade_during(&machine, 6, "a", 2, "1.0.1");
    assert_eq!(orders(&waited), [("2.wait.1".to_owned(), 0)], "{waited:#}");
    machine.sh("sed -i 's/^ARGS=\"/&--shutdown.actions=leave /' /etc/default/homeostat");
    machine.sh("systemctl restart homeostat");
    let left = upgrade_during(&machine, 20, "b", 3, "1.0.2");
    assert_eq!(orders(&left), [("3.wait.1".to_owned(), 0)], "{left:#}");
    assert_eq!(machine.sh("cat /var/lib/homeostat/ended"), "0.0.0\n2.wait.1\n3.wait.1\n");
    assert_eq!(left["outcome"], "healed", "{left:#}");
    // An upgrade leaves what people wrote.
    machine.sh("grep -q 'name: slow' /etc/homeostat/homeostat.yml");
    machine.sh("grep -q shutdown.actions=leave /etc/default/homeostat");

    // Removed: it is gone, and what it knew is not.
    machine.sh("dpkg --remove homeostat");
    assert_eq!(machine.show("ActiveState"), "inactive");
    machine.sh("test ! -e /usr/bin/homeostat && test -e /var/lib/homeostat/homeostat.db");
    let again = machine.package("1.0.2").unwrap();
    machine.sh(&format!("dpkg --install {again}"));
    machine.until("homeostat incidents 3 --output json | grep -q healed");

    // Purged: nothing is left.
    machine.sh("dpkg --purge homeostat");
    for gone in ["/var/lib/homeostat", "/etc/homeostat", "/etc/default/homeostat", "/run/homeostat"]
    {
        let output = machine.try_sh(&format!("ls -d {gone}"));
        assert!(!output.status.success(), "{gone} is left: {}", said(&output));
    }
    assert!(!machine.try_sh("getent passwd homeostat").status.success(), "its user is left");
    assert!(!machine.try_sh("systemctl cat homeostat").status.success(), "its unit is left");
    let left = machine.try_sh("ls -l /proc/[0-9]*/exe 2>/dev/null | grep homeostat");
    assert!(!left.status.success(), "a process of it is left: {}", said(&left));
}
