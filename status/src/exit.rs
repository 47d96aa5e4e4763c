//! Exit statuses, after sysexits.h; docs/reference/exit-codes.md says what each program means by them.

/// Done.
pub const OK: u8 = 0;
/// Something was held, or input was refused (EX_DATAERR).
pub const HELD: u8 = 65;
/// None of the others (EX_SOFTWARE).
pub const OTHER: u8 = 70;
/// AWS unreachable or throttled, or another refresher holds the lock (EX_TEMPFAIL).
pub const UNAVAILABLE: u8 = 75;
/// Denied by AWS or by file modes, or root is needed (EX_NOPERM).
pub const DENIED: u8 = 77;
/// The command line, or the configuration of the host or of nss-iam, does not allow it (EX_CONFIG).
pub const CONFIGURATION: u8 = 78;

/// From the one that needs an administrator most to the one that may pass by itself.
const BY_WEIGHT: [u8; 5] = [CONFIGURATION, DENIED, UNAVAILABLE, HELD, OTHER];

/// One status for several outcomes. Any other status, such as that of a signal, counts as [`OTHER`].
#[must_use]
pub fn heaviest(statuses: impl IntoIterator<Item = u8>) -> u8 {
    let all: Vec<u8> = statuses.into_iter().filter(|status| *status != OK).collect();
    let otherwise = if all.is_empty() { OK } else { OTHER };
    BY_WEIGHT.into_iter().find(|status| all.contains(status)).unwrap_or(otherwise)
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
        assert_eq!(heaviest([OK, 9]), 70);
    }
}
