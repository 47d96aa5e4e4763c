//! What this process tells systemd, see sd_notify(3).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// How long a busy systemd is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The socket of systemd.
#[derive(Debug)]
pub(crate) struct Systemd(UnixDatagram);

impl Systemd {
    /// `None` unless systemd started this process and listens.
    pub(crate) fn listening() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "sd_notify(3) names the socket in the environment")]
        let name = std::env::var("NOTIFY_SOCKET").ok()?;
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok()?,
            None => SocketAddr::from_pathname(name).ok()?,
        };
        let socket = UnixDatagram::unbound().ok()?;
        // A busy systemd must delay nothing.
        socket.set_nonblocking(true).ok()?;
        socket.connect_addr(&address).ok()?;
        Some(Self(socket))
    }

    /// Tells it that this process is ready, and more; waits for it, since nothing would follow what is lost.
    pub(crate) fn ready(&self, variables: &str) {
        let _ = self.0.set_nonblocking(false).and_then(|()| self.0.set_write_timeout(Some(PATIENCE)));
        self.tell(&format!("READY=1\n{variables}"));
        let _ = self.0.set_nonblocking(true);
    }

    /// Tells it the values of these variables, one a line. What is lost is followed by the next.
    pub(crate) fn tell(&self, variables: &str) {
        let _ = self.0.send(variables.as_bytes());
    }

    #[cfg(test)]
    pub(crate) fn at(socket: UnixDatagram) -> Self {
        Self(socket)
    }
}
