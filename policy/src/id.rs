//! Uids and gids: which there are to give.

use std::fmt;
use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

use crate::{IamId, Invalid};

/// First of the ids that are computed.
pub const FIRST: u32 = 0x7000_0000;
/// Last of the ids that are computed, and of those that may be given at all. systemd's UIDS-GIDS leaves the range unused.
pub const LAST: u32 = 0x7ffd_ffff;
/// All of them.
pub const COMPUTED: RangeInclusive<u32> = FIRST..=LAST;
/// How many ids can be computed.
pub const COUNT: u32 = LAST - FIRST + 1;
/// Lowest id that may be pinned; below are the system's.
pub const PINNED_FIRST: u32 = 1000;

/// A uid or gid: users and groups share one space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u32);

impl Id {
    /// The id that every host computes: `0x70000000 + sha256("nss-iam:" + id)[0..8, big-endian] mod 0x0ffe0000`.
    #[must_use]
    pub fn computed(iam_id: &IamId) -> Self {
        let digest = Sha256::digest(format!("nss-iam:{iam_id}"));
        let head = digest.iter().take(8).fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
        let rest = u32::try_from(head % u64::from(COUNT)).unwrap_or_default();
        Self(FIRST + rest)
    }

    /// An id that `[ids]`, a tag or `adopt` gives.
    ///
    /// # Errors
    /// [`Invalid::Id`] for the system's ids and for those that mean nobody.
    pub fn pinned(id: u32) -> Result<Self, Invalid> {
        if id < PINNED_FIRST || matches!(id, 65534 | 65535 | u32::MAX) {
            return Err(Invalid::Id(id));
        }
        Ok(Self(id))
    }

    /// As a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_the_documented_hash() {
        // printf nss-iam:AIDAEXAMPLE | sha256sum | head -c16; python3 -c 'print(0x70000000 + 0x… % 0x0ffe0000)'
        for (iam_id, id) in [("AIDAEXAMPLE", 1_895_840_708), ("group:iam-users", 1_962_406_056)] {
            assert_eq!(Id::computed(&IamId::new(iam_id)).get(), id);
        }
    }

    #[test]
    fn ids_that_mean_the_system_or_nobody_cannot_be_pinned() {
        for id in [0, 1, 999, 65534, 65535, u32::MAX] {
            assert_eq!(Id::pinned(id), Err(Invalid::Id(id)));
        }
        assert_eq!(Id::pinned(1000).unwrap().get(), 1000);
    }

    proptest! {
        #[test]
        fn a_computed_id_is_in_the_range_that_nobody_uses(iam_id in "[A-Z0-9]{1,30}") {
            let id = Id::computed(&IamId::new(&iam_id)).get();
            prop_assert!((0x7000_0000..=0x7ffd_ffff).contains(&id));
        }
    }
}
