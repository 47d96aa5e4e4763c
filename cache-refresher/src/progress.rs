//! The progress bar of the fetch half; on a terminal only, and gone when it is done.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::fetch::Progress;

const TICK: Duration = Duration::from_millis(100);

pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn start() -> Self {
        let seen = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(
            None,
            if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} reading IAM {wide_bar} {pos}/{len} {elapsed}")
        {
            bar.set_style(style);
        }
        if seen {
            bar.enable_steady_tick(TICK);
        }
        Self(bar)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn more(&self, steps: usize) {
        self.0.inc_length(u64::try_from(steps).unwrap_or_default());
    }

    fn done(&self) {
        self.0.inc(1);
    }
}
