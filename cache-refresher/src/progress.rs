//! The progress of the fetch half. On a terminal it is a bar, which disappears at the end. A fetch half that is a child
//! reports to its parent, and one that systemd started reports to systemd, where `nss-iamctl refresh` reads it.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::child_report::{self, Said};
use crate::fetch::Progress;
use crate::notify::Systemd;

const TICK: Duration = Duration::from_millis(100);

const STEPS: &str = "{spinner} reading groups and users {wide_bar} {pos}/{len} {elapsed}";

/// While a request is repeated.
const REPEATED: &str = "{spinner} {wide_msg} {elapsed}";

#[derive(Debug)]
pub(crate) enum Bar {
    Drawn(ProgressBar),
    Told,
    Notified(Notified),
}

/// The status text of the unit, see sd_notify(3).
#[derive(Debug)]
pub(crate) struct Notified {
    systemd: Systemd,
    steps: AtomicU64,
    done: AtomicU64,
}

impl Notified {
    fn more(&self, steps: u64, done: u64) {
        self.steps.fetch_add(steps, Ordering::Relaxed);
        self.done.fetch_add(done, Ordering::Relaxed);
        self.tell(None);
    }

    fn tell(&self, repeats: Option<&str>) {
        let (done, steps) = (self.done.load(Ordering::Relaxed), self.steps.load(Ordering::Relaxed));
        // Whatever is told shows that this process does not hang.
        self.systemd.tell(&format!("STATUS={}\nWATCHDOG=1", text(done, steps, repeats)));
    }
}

/// `reading groups and users 3/7: iam.amazonaws.com: Connection refused, try 3 of 10`
fn text(done: u64, steps: u64, repeats: Option<&str>) -> String {
    let counted = if steps == 0 { String::new() } else { format!(" {done}/{steps}") };
    let repeats = repeats.map_or_else(String::new, |text| format!(": {text}"));
    format!("reading groups and users{counted}{repeats}")
}

impl Bar {
    pub(crate) fn start() -> Self {
        if child_report::is_child() {
            return Self::Told;
        }
        if let Some(systemd) = Systemd::listening() {
            let (steps, done) = (AtomicU64::new(0), AtomicU64::new(0));
            return Self::Notified(Notified { systemd, steps, done });
        }
        let seen = std::io::stderr().is_terminal();
        // Without a length, the bar would show its position as its length.
        let bar = ProgressBar::with_draw_target(
            Some(0),
            if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        style(&bar, STEPS);
        if seen {
            bar.enable_steady_tick(TICK);
        }
        Self::Drawn(bar)
    }

    /// The bar disappears.
    pub(crate) fn end(&self) {
        if let Self::Drawn(bar) = self {
            bar.finish_and_clear();
        }
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
        self.end();
    }
}

fn length(steps: usize) -> u64 {
    u64::try_from(steps).unwrap_or_default()
}

fn style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

impl Progress for Bar {
    fn more(&self, steps: usize) {
        match self {
            Self::Drawn(bar) => {
                style(bar, STEPS);
                bar.inc_length(length(steps));
            }
            Self::Told => Said::More(steps).say(),
            Self::Notified(notified) => notified.more(length(steps), 0),
        }
    }

    fn done(&self) {
        match self {
            Self::Drawn(bar) => {
                style(bar, STEPS);
                bar.inc(1);
            }
            Self::Told => Said::Done.say(),
            Self::Notified(notified) => notified.more(0, 1),
        }
    }

    fn repeats(&self, words: &str) {
        match self {
            Self::Drawn(bar) => {
                style(bar, REPEATED);
                bar.set_message(text(bar.position(), bar.length().unwrap_or_default(), Some(words)));
            }
            Self::Told => Said::Repeats(words.to_owned()).say(),
            Self::Notified(notified) => notified.tell(Some(words)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    /// sd_notify(3): "STATUS=...: Passes a single-line UTF-8 status string".
    #[test]
    fn systemd_gets_the_numbers_and_what_is_repeated_until_the_next_step() {
        let (socket, systemd) = UnixDatagram::pair().unwrap();
        let bar = Bar::Notified(Notified {
            systemd: Systemd::at(socket),
            steps: AtomicU64::new(0),
            done: AtomicU64::new(0),
        });
        let told = || {
            let mut bytes = [0; 200];
            let length = systemd.recv(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            text.strip_suffix("\nWATCHDOG=1").unwrap().to_owned()
        };
        bar.repeats("sts.x.com: Connection refused, try 2 of 10");
        assert_eq!(told(), "STATUS=reading groups and users: sts.x.com: Connection refused, try 2 of 10");
        bar.more(7);
        assert_eq!(told(), "STATUS=reading groups and users 0/7");
        bar.repeats("iam.x.com: Throttling, try 3 of 10");
        assert_eq!(told(), "STATUS=reading groups and users 0/7: iam.x.com: Throttling, try 3 of 10");
        bar.done();
        assert_eq!(told(), "STATUS=reading groups and users 1/7");
    }
}
