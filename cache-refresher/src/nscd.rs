//! Clears the cache of nscd(8), which would otherwise keep giving old answers.

use std::path::Path;
use std::time::Duration;

use claims::{nscd, program};

/// How long the NSS module, which nscd loads too, remembers that there is no cache.
const ABSENCE: Duration = Duration::from_millis(1100);

/// How long to wait for nscd for each table, in a lock or a removal.
const PATIENCE: Duration = Duration::from_millis(200);

/// Clears its users and groups, if it runs. `first`: there was no cache before.
pub(crate) fn invalidate(first: bool) {
    if !nscd::runs(Path::new("/")) {
        return;
    }
    if first {
        std::thread::sleep(ABSENCE);
    }
    let Some(program) =
        program::find(&["/usr/sbin/nscd", "/sbin/nscd", "/usr/bin/nscd", "/usr/local/sbin/nscd"])
    else {
        log::warn!("cannot find the program 'nscd'; its cached answers stay until they time out");
        return;
    };
    for table in nscd::TABLES {
        if let Err(why) = program::start(&program, &["-i", table], PATIENCE) {
            log::warn!("'nscd -i {table}': {why}; its cached answers may stay until they time out");
        }
    }
}
