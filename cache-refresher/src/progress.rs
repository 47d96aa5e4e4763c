//! The progress of the fetch half. On a terminal it is a bar, which disappears at the end. A fetch half that is a child
//! reports to its parent, and one that systemd started reports to systemd, where `nss-iamctl refresh` reads it.

use std::io::IsTerminal;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::child_report::{self, Said};
use crate::fetch::Progress;

const TICK: Duration = Duration::from_millis(100);

pub(crate) enum Bar {
    Drawn(ProgressBar),
    Told,
    Notified(Notified),
}

/// The status text of the unit, see sd_notify(3).
pub(crate) struct Notified {
    socket: UnixDatagram,
    steps: AtomicUsize,
    done: AtomicUsize,
}

impl Notified {
    /// `None` unless systemd started this process and listens.
    fn connect() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "sd_notify(3) names the socket in the environment")]
        let name = std::env::var("NOTIFY_SOCKET").ok()?;
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok()?,
            None => SocketAddr::from_pathname(name).ok()?,
        };
        let socket = UnixDatagram::unbound().ok()?;
        // A busy systemd must not delay the refresh.
        socket.set_nonblocking(true).ok()?;
        socket.connect_addr(&address).ok()?;
        Some(Self { socket, steps: AtomicUsize::new(0), done: AtomicUsize::new(0) })
    }

    fn more(&self, steps: usize, done: usize) {
        let steps = self.steps.fetch_add(steps, Ordering::Relaxed) + steps;
        let done = self.done.fetch_add(done, Ordering::Relaxed) + done;
        // It is only for people who wait; a lost text is followed by the next one.
        let _ = self.socket.send(format!("STATUS=reading groups and users {done}/{steps}").as_bytes());
    }
}

impl Bar {
    pub(crate) fn start() -> Self {
        if child_report::is_child() {
            return Self::Told;
        }
        if let Some(notified) = Notified::connect() {
            return Self::Notified(notified);
        }
        let seen = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(
            None,
            if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        if let Ok(style) = ProgressStyle::with_template(
            "{spinner} reading groups and users {wide_bar} {pos}/{len} {elapsed}",
        ) {
            bar.set_style(style);
        }
        if seen {
            bar.enable_steady_tick(TICK);
        }
        Self::Drawn(bar)
    }

    /// Hides the bar, prints, and shows it again.
    pub(crate) fn above(&self, print: impl FnOnce()) {
        match self {
            Self::Drawn(bar) => bar.suspend(print),
            Self::Told | Self::Notified(_) => print(),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Self::Drawn(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    fn more(&self, steps: usize) {
        match self {
            Self::Drawn(bar) => bar.inc_length(u64::try_from(steps).unwrap_or_default()),
            Self::Told => Said::More(steps).say(),
            Self::Notified(notified) => notified.more(steps, 0),
        }
    }

    fn done(&self) {
        match self {
            Self::Drawn(bar) => bar.inc(1),
            Self::Told => Said::Done.say(),
            Self::Notified(notified) => notified.more(0, 1),
        }
    }
}
