//! Makes the running sshd read its files again. It is reloaded, never restarted, because a restart can fail.

use rustix::process::{Signal, kill_process};

use crate::edit::sshd::Sshd;
use crate::edit::sshd::daemon::running;
use crate::host::{Host, processes};
use crate::say::error::Error;

const UNITS: [&str; 2] = ["ssh.service", "sshd.service"];
const SOCKETS: [&str; 2] = ["ssh.socket", "sshd.socket"];

/// Reloads whatever is running, and says what was done.
///
/// # Errors
/// When sshd refuses its files, in which case a reload would end it, or when it cannot be reloaded.
pub(crate) fn reload(sshd: &Sshd<'_>) -> Result<String, Error> {
    let host = sshd.host;
    sshd.test().map_err(|refused| refused.done("it was not reloaded"))?;
    // sd_booted(3)
    if host.exists("/run/systemd/system") {
        for unit in UNITS {
            if host.run(&["systemctl", "is-active", "--quiet", unit])?.success() {
                host.must(&["systemctl", "reload", unit])?;
                return Ok(format!("reloaded {unit}"));
            }
        }
        for unit in SOCKETS {
            if host.run(&["systemctl", "is-active", "--quiet", unit])?.success() {
                return Ok(format!("{unit} starts sshd for each connection, so there is nothing to reload"));
            }
        }
    }
    match running(host)? {
        Some(pid) => {
            kill_process(pid, Signal::HUP)
                .map_err(|cause| Error::other(format!("cannot signal sshd ({pid}): {cause}")))?;
            Ok(format!("told sshd ({pid}) to read its files again"))
        }
        None => Ok("sshd is not running, so there is nothing to reload".to_owned()),
    }
}

/// Whether sshd runs, or is started for each connection. Sessions outlive it under the same name, so processes count only
/// where systemd does not say.
pub(crate) fn runs(host: &Host) -> bool {
    let is_active = |unit: &&str| {
        host.run(&["systemctl", "is-active", "--quiet", unit]).is_ok_and(|output| output.success())
    };
    let by_systemd = host.exists("/run/systemd/system");
    by_systemd && UNITS.iter().chain(&SOCKETS).any(is_active)
        || !matches!(running(host), Ok(None))
        || !by_systemd && processes::runs(host, "sshd")
}
