//! Enables and disables systemd units.

use crate::host::Host;
use config::Config;

use crate::host::paths::{TIMER, WATCH};

/// Whether it is started at boot.
pub(crate) fn is_enabled(host: &Host, unit: &str) -> bool {
    host.run(&["systemctl", "is-enabled", "--quiet", unit]).is_ok_and(|output| output.success())
}

/// Whether it runs now.
pub(crate) fn is_active(host: &Host, unit: &str) -> bool {
    host.run(&["systemctl", "is-active", "--quiet", unit]).is_ok_and(|output| output.success())
}

/// The unit that has the host refreshed with this configuration, and the one that must be off.
pub(crate) fn schedule(config: &Config) -> (&'static str, &'static str) {
    if config.refresh.every.is_some() { (WATCH, TIMER) } else { (TIMER, WATCH) }
}

/// The command that enables or disables a unit, and starts or stops it if systemd is running (sd_booted(3)): it is not in
/// a container or while an image is built.
pub(crate) fn switch(host: &Host, on: bool, unit: &str) -> Vec<String> {
    let now = host.exists("/run/systemd/system").then_some("--now");
    // cloud-init runs us during boot, and the timer may depend on units that start later (time-sync.target).
    let wait = now.filter(|_| on && [TIMER, WATCH].contains(&unit)).map(|_| "--no-block");
    let verb = if on { "enable" } else { "disable" };
    let line = ["systemctl", verb].into_iter().chain(now).chain(wait).chain([unit]);
    line.map(str::to_owned).collect()
}
