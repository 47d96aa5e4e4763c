//! Messages to the system's log, for an audit.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::host::Host;

/// The daemon's socket on every Linux (syslog(3)).
const SOCKET: &str = "/dev/log";
/// LOG_AUTHPRIV and LOG_NOTICE of syslog(3).
const PRIORITY: u8 = 10 << 3 | 5;
/// How long a lock waits for a daemon whose queue is full.
const PATIENCE: Duration = Duration::from_millis(200);

/// Writes one line, if there is a log: a host without one must still allow locks. `text` must be printable.
pub(crate) fn log(host: &Host, text: &str) {
    let line = format!("<{PRIORITY}>nss-iamctl[{}]: {text}", std::process::id());
    let sent = UnixDatagram::unbound().and_then(|socket| {
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.connect(host.path(SOCKET))?;
        socket.send(line.as_bytes())
    });
    // 'locked' contains the same.
    drop(sent);
}
