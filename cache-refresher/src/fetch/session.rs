//! What a process that fetches again and again keeps between two fetches.

use std::time::Duration;

use config::Config;
use listing::{Failure, FailureKind};
use tokio::runtime::{Builder, Runtime};

use super::aws::Link;
use super::failure::failure;

/// Keeps connections to AWS for at most 10 minutes, and only as long as nothing fails.
#[derive(Debug)]
pub(crate) struct Session {
    config: Config,
    runtime: Runtime,
    pub(super) link: Link,
}

impl Session {
    /// The one that was kept, if it was for this configuration; otherwise a new one, which connects to nothing yet.
    ///
    /// # Errors
    /// If this process may open no more files.
    pub(crate) fn of(config: &Config, kept: Option<Self>) -> Result<Self, Failure> {
        if let Some(kept) = kept.filter(|kept| kept.is_of(config)) {
            return Ok(kept);
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        let failed =
            |cause: std::io::Error| failure("fetch", "this host", &cause.to_string(), "", FailureKind::Other);
        Ok(Self { config: config.clone(), runtime: runtime.map_err(failed)?, link: Link::default() })
    }

    pub(crate) fn is_of(&self, config: &Config) -> bool {
        self.config == *config
    }

    /// Waits, while idle connections notice that they are closed.
    pub(crate) fn sleep(&self, time: Duration) {
        // In the runtime, which has the clock.
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    /// The next fetch opens new connections.
    pub(crate) fn reconnect(&self) {
        self.link.cut();
    }

    pub(super) fn wait<T>(&self, done: impl Future<Output = T>) -> T {
        self.runtime.block_on(done)
    }
}
