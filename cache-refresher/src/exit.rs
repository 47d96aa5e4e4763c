//! Exit statuses, after sysexits.h.

use std::io;

use listing::FailureKind;

/// Published, or nothing to publish.
pub(crate) const OK: u8 = 0;
/// Something was held or refused (EX_DATAERR).
pub(crate) const HELD: u8 = 65;
/// None of the others (EX_SOFTWARE).
pub(crate) const OTHER: u8 = 70;
/// AWS unreachable or throttled, or another refresher holds the lock (EX_TEMPFAIL).
pub(crate) const UNAVAILABLE: u8 = 75;
/// Denied by AWS or by file modes (EX_NOPERM).
pub(crate) const DENIED: u8 = 77;
/// The configuration is wrong (EX_CONFIG).
pub(crate) const CONFIGURATION: u8 = 78;

/// From the one that needs an administrator most to the one that may pass by itself.
const BY_WEIGHT: [u8; 5] = [CONFIGURATION, DENIED, UNAVAILABLE, HELD, OTHER];

pub(crate) fn of(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Held => HELD,
        FailureKind::Unavailable => UNAVAILABLE,
        FailureKind::Denied => DENIED,
        FailureKind::Configuration => CONFIGURATION,
        FailureKind::Other => OTHER,
    }
}

/// For an error of the operating system.
pub(crate) fn of_io(cause: &io::Error) -> u8 {
    match cause.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => DENIED,
        _ => OTHER,
    }
}

/// One status for several outcomes.
pub(crate) fn heaviest(statuses: impl IntoIterator<Item = u8>) -> u8 {
    let all: Vec<u8> = statuses.into_iter().collect();
    BY_WEIGHT.into_iter().find(|status| all.contains(status)).unwrap_or(OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_status_is_the_one_that_needs_a_person() {
        assert_eq!(heaviest([]), 0);
        assert_eq!(heaviest([0, HELD, 0]), 65);
        assert_eq!(heaviest([UNAVAILABLE, DENIED, HELD]), 77);
        assert_eq!(heaviest([DENIED, CONFIGURATION]), 78);
    }
}
