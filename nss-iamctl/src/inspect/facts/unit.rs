//! What systemd reports about a unit.

use crate::host::Host;

/// From `systemctl show`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    pub name: &'static str,
    /// `loaded`, `not-found`.
    pub load: String,
    /// `active`, `inactive`, `failed`.
    pub active: String,
    /// `success`, `exit-code`.
    pub result: String,
    /// Of the main process.
    pub status: String,
}

impl Unit {
    /// Asks systemd. A unit that it does not know has empty fields, or is `not-found`.
    pub(crate) fn of(host: &Host, name: &'static str) -> Self {
        let line = ["systemctl", "show", "-p", "LoadState,ActiveState,Result,ExecMainStatus", name];
        let output = host.run(&line).map(|output| output.stdout).unwrap_or_default();
        let value = |key: &str| {
            let value = output.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            value.unwrap_or_default().to_owned()
        };
        let (load, active) = (value("LoadState"), value("ActiveState"));
        Self { name, load, active, result: value("Result"), status: value("ExecMainStatus") }
    }
}
