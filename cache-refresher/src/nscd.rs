//! nscd(8) would go on answering from its own memory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long the module remembers, in nscd as everywhere, that there is no cache.
const ABSENCE: Duration = Duration::from_millis(1100);

/// Lets it forget users and groups, if it runs. `first`: there was no cache before.
pub(crate) fn invalidate(first: bool) {
    if !Path::new("/run/nscd/socket").exists() && !Path::new("/var/run/nscd/socket").exists() {
        return;
    }
    if first {
        std::thread::sleep(ABSENCE);
    }
    for table in ["passwd", "group"] {
        let done = Command::new("nscd")
            .args(["-i", table])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !done.is_ok_and(|status| status.success()) {
            log::warn!("'nscd -i {table}' failed; its old answers stay until they time out");
        }
    }
}
