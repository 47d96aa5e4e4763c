//! nscd(8), which keeps "no such user" for a while.

use claims::nscd;

use crate::host::Host;
use crate::say::say;

/// Whether it answers instead of glibc.
pub(crate) fn runs(host: &Host) -> bool {
    nscd::runs(&host.path("/"))
}

/// Invalidates its users and groups; does nothing if nscd is not running.
pub(crate) fn invalidate(host: &Host) {
    if !runs(host) {
        return;
    }
    for table in nscd::TABLES {
        if let Err(failed) = host.must(&["nscd", "-i", table]) {
            say(failed.hint("systemctl restart nscd"));
        }
    }
}
