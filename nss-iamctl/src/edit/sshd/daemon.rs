//! The sshd that is running, by its pid file.

use rustix::process::Pid;

use crate::host::{Host, files, processes};
use crate::say::error::Error;

const PID_FILES: [&str; 2] = ["/run/sshd.pid", "/var/run/sshd.pid"];

/// The command line of the daemon, in which blanks separate words, whatever they contain; empty if it is not running. sshd puts its
/// own text around it (setproctitle).
pub(crate) fn command_line(host: &Host) -> String {
    let Ok(Some(pid)) = running(host) else { return String::new() };
    let path = host.path(&format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
    files::read_lossy(&path).ok().flatten().unwrap_or_default().replace('\0', " ")
}

/// The process of the pid file, if it is an sshd.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn running(host: &Host) -> Result<Option<Pid>, Error> {
    for path in PID_FILES {
        let Some(pid) = files::read_lossy(&host.path(path))? else { continue };
        let Ok(pid) = pid.trim().parse::<i32>() else { continue };
        if pid > 1 && processes::is_called(host, pid, "sshd")? {
            return Ok(Pid::from_raw(pid));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_command_line_is_that_of_the_daemon_of_the_pid_file() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::this_directory(root.path());
        let write = |path: &str, text: &str| {
            fs::create_dir_all(host.path(path).parent().unwrap()).unwrap();
            fs::write(host.path(path), text).unwrap();
        };
        assert_eq!(command_line(&host), "");
        write("/run/sshd.pid", "77\n");
        assert_eq!(command_line(&host), "", "no such process");
        write("/proc/77/cmdline", "sshd: /usr/sbin/sshd -o\0X=y z\0");
        for (name, wanted) in [("sshd", "sshd: /usr/sbin/sshd -o X=y z "), ("cat", "")] {
            write("/proc/77/status", &format!("Name:\t{name}\nState:\tS (sleeping)\nUid:\t0\t0\t0\t0\n"));
            assert_eq!(command_line(&host), wanted, "{name}");
        }
    }
}
