//! Enables and disables systemd units.

use crate::host::Host;
use crate::host::paths::TIMER;

const FOLDERS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// Whether the unit is installed.
pub(crate) fn is_installed(host: &Host, unit: &str) -> bool {
    FOLDERS.iter().any(|folder| host.exists(&format!("{folder}/{unit}")))
}

/// Whether it is started at boot.
pub(crate) fn is_enabled(host: &Host, unit: &str) -> bool {
    host.run(&["systemctl", "is-enabled", "--quiet", unit]).is_ok_and(|output| output.success())
}

/// The line that enables or disables a unit: at once, where systemd runs (sd_booted(3)), and not in a container, nor while an
/// image is built.
pub(crate) fn switch(host: &Host, on: bool, unit: &str) -> Vec<String> {
    let now = host.exists("/run/systemd/system").then_some("--now");
    // cloud-init runs us while the host boots, and the timer may wait for what comes later (time-sync.target).
    let wait = now.filter(|_| on && unit == TIMER).map(|_| "--no-block");
    let verb = if on { "enable" } else { "disable" };
    let line = ["systemctl", verb].into_iter().chain(now).chain(wait).chain([unit]);
    line.map(str::to_owned).collect()
}
