//! The deadline of the whole fetch.

use std::time::Duration;

use tokio::time::Instant;

/// When the fetch has to end, and how long it was allowed to take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    allowed: Duration,
}

impl Deadline {
    /// Starts now.
    pub(super) fn after(allowed: Duration) -> Self {
        Self { at: Instant::now() + allowed, allowed }
    }

    pub(super) fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    pub(super) fn missed(self) -> String {
        format!("no time left of the {} s that [aws] timeout allows", self.allowed.as_secs_f64())
    }
}
