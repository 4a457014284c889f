//! The unit: whoever heals is started again however often it dies, and is not where that helps nobody.

use super::machine::Machine;

/// The number of the main process; 0 while there is none.
fn main_process(machine: &Machine) -> String {
    machine.show("MainPID")
}

#[test]
fn who_heals_is_started_again_however_often_it_dies() {
    let Some(machine) = Machine::with_the_package() else { return };
    machine.sh("mkdir -p /etc/systemd/system/homeostat.service.d");
    machine.write(
        "/etc/systemd/system/homeostat.service.d/test.conf",
        "[Service]\nRestartSec=100ms\n",
    );
    machine.sh("systemctl daemon-reload");
    // systemd gives up after five starts within ten seconds, unless it is told not to.
    for _ in 0..8 {
        let before = main_process(&machine);
        machine.sh("systemctl kill --kill-whom=main --signal=KILL homeostat");
        machine.until(&format!(
            "test \"$(systemctl show --value --property=MainPID homeostat)\" != {before} && \
             systemctl is-active homeostat"
        ));
    }
    assert_eq!(machine.show("NRestarts"), "8");
}

#[test]
fn one_that_hangs_is_killed_and_started_again() {
    let Some(machine) = Machine::with_the_package() else { return };
    machine
        .write("/etc/systemd/system/homeostat.service.d/test.conf", "[Service]\nWatchdogSec=2s\n");
    machine.sh("systemctl daemon-reload && systemctl restart homeostat");
    let before = main_process(&machine);
    // Alive, it is left alone for longer than that.
    machine.sh("sleep 5");
    assert_eq!(main_process(&machine), before);
    machine.sh("systemctl kill --kill-whom=main --signal=STOP homeostat");
    machine.until(&format!(
        "test \"$(systemctl show --value --property=MainPID homeostat)\" != {before} && \
         systemctl is-active homeostat"
    ));
    machine.sh("journalctl --unit=homeostat | grep -q 'Watchdog timeout'");
}

#[test]
fn a_configuration_with_errors_is_told_and_not_tried_again_and_again() {
    let Some(machine) = Machine::with_the_package() else { return };
    let good = machine.sh("cat /etc/homeostat/homeostat.yml");
    machine.write("/etc/homeostat/homeostat.yml", "polices: []\n");
    machine.sh("systemctl reload homeostat");
    machine.until("systemctl status homeostat | grep -q 'the earlier one stays in force'");
    assert_eq!(machine.show("ActiveState"), "active");
    assert!(
        !machine.try_sh("systemctl restart homeostat").status.success(),
        "it starts with errors"
    );
    assert_eq!(machine.show("ActiveState"), "failed");
    assert_eq!(machine.show("ExecMainStatus"), "1");
    assert_eq!(machine.show("NRestarts"), "0");
    machine.write("/etc/homeostat/homeostat.yml", &good);
    machine.sh("systemctl restart homeostat && systemctl reload homeostat");
    assert_eq!(machine.show("StatusText"), "");
}
