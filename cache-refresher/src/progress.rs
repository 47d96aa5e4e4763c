//! The progress bar of the fetch half. It is shown on a terminal only, and disappears at the end. A fetch half that is a
//! child has no terminal, and reports to its parent.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::child_report::{self, Said};
use crate::fetch::Progress;

const TICK: Duration = Duration::from_millis(100);

pub(crate) enum Bar {
    Drawn(ProgressBar),
    Told,
}

impl Bar {
    pub(crate) fn start() -> Self {
        if child_report::is_child() {
            return Self::Told;
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
            Self::Told => print(),
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
        }
    }

    fn done(&self) {
        match self {
            Self::Drawn(bar) => bar.inc(1),
            Self::Told => Said::Done.say(),
        }
    }
}
