//! Uids and gids: which ones can be assigned, and which one a user or group gets.

use std::fmt;
use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

use crate::{IamId, Invalid};

/// The first computed id.
pub const FIRST: u32 = 0x7000_0000;
/// Last of the ids that are computed, and the highest that can be assigned. systemd's UIDS-GIDS leaves the range unused.
pub const LAST: u32 = 0x7ffd_ffff;
/// All ids that are computed.
pub const COMPUTED: RangeInclusive<u32> = FIRST..=LAST;
/// The number of computed ids.
pub const COUNT: u32 = LAST - FIRST + 1;
/// The lowest id that can be pinned; lower ids belong to the system.
pub const PINNED_FIRST: u32 = 1000;

/// Ids that others assign: systemd's "Users, Groups, UIDs and GIDs on systemd Systems" has all of them.
const RANGES: [(RangeInclusive<u32>, &str); 5] = [
    (60_001..=60_513, "of systemd-homed"),
    (60_514..=60_577, "of host users that are mapped into containers"),
    (61_184..=65_519, "of systemd's DynamicUser="),
    (524_288..=0x6fff_ffff, "of containers"),
    (COMPUTED, "of computed ids, each of which belongs to one UserId or GroupId"),
];

/// An id that cannot be pinned, because it is in a range from which somebody else assigns ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Foreign::text(id.get(), range, whose))]
pub struct Foreign {
    /// The id.
    pub id: Id,
    /// The range that contains it.
    pub range: RangeInclusive<u32>,
    /// Follows the range in a message: "of systemd-homed".
    pub whose: &'static str,
}

impl Foreign {
    /// What messages say, also where the three are read from a report.
    #[must_use]
    pub fn text(id: u32, range: &RangeInclusive<u32>, whose: &str) -> String {
        format!("{id} is in the range {}-{} {whose}", range.start(), range.end())
    }
}

/// Why a tag gives no id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadTag {
    /// Its value is not a decimal number of 32 bits.
    Number,
    /// The system's, or nobody's.
    Invalid(Invalid),
    /// Above all ranges.
    High(Id),
    /// In a range of others.
    Foreign(Foreign),
}

/// Whether a row with this id may be published, and readers believe it: the id is a computed one, or pinned.
#[must_use]
pub fn may_be_published(id: u32, pinned: bool) -> bool {
    COMPUTED.contains(&id) || pinned && Id::pinned(id).is_ok()
}

/// The ranges in subuid(5) or subgid(5), whose lines are `name:first:count`. Other lines are ignored.
#[must_use]
pub fn sub_ids(text: &str) -> Vec<RangeInclusive<u32>> {
    let range = |line: &str| {
        let mut numbers = line.split(':').skip(1).map(|number| number.trim().parse::<u32>().ok());
        let (first, count) = (numbers.next()??, numbers.next()??);
        Some(first..=first.saturating_add(count.checked_sub(1)?))
    };
    text.lines().filter_map(range).collect()
}

/// A uid or gid: users and groups share one range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u32);

impl Id {
    /// The id that every host computes: `0x70000000 + sha256("nss-iam:" + id)[0..8, big-endian] mod 0x0ffe0000`.
    #[must_use]
    pub fn computed(iam_id: &IamId) -> Self {
        Self::hashed(&format!("nss-iam:{iam_id}"))
    }

    /// The ids that a publisher tries for `iam_id`, in this order: the computed one, then, if it belongs to another, the same
    /// computation with `:1`, `:2` and so on behind the id.
    pub fn series(iam_id: &IamId) -> impl Iterator<Item = Self> {
        let others = (1_u32..).map(move |number| Self::hashed(&format!("nss-iam:{iam_id}:{number}")));
        std::iter::once(Self::computed(iam_id)).chain(others)
    }

    fn hashed(text: &str) -> Self {
        let digest = Sha256::digest(text);
        let head = digest.iter().take(8).fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
        let rest = u32::try_from(head % u64::from(COUNT)).unwrap_or_default();
        Self(FIRST + rest)
    }

    /// An id from `[ids]`, a tag or `adopt`.
    ///
    /// # Errors
    /// [`Invalid::Id`] for ids of the system and ids that mean nobody.
    pub fn pinned(id: u32) -> Result<Self, Invalid> {
        if id < PINNED_FIRST || matches!(id, 65534 | 65535 | u32::MAX) {
            return Err(Invalid::Id(id));
        }
        Ok(Self(id))
    }

    /// The id of a user or group: the one assigned before, else the one in `[ids]`, else the one in a tag, else the
    /// computed one.
    #[must_use]
    pub fn decided(
        iam_id: &IamId,
        given: Option<Self>,
        configured: Option<Self>,
        tagged: Option<Self>,
    ) -> Self {
        given.or(configured).or(tagged).unwrap_or_else(|| Self::computed(iam_id))
    }

    /// Whether `[ids]`, a tag or `adopt` may pin this id for `iam_id`, as far as ranges decide: whether this host has a user
    /// with the id is checked elsewhere. `sub_ids` are the ranges in subuid(5) and subgid(5).
    ///
    /// # Errors
    /// The range of others that contains the id.
    pub fn may_be_pinned(self, iam_id: &IamId, sub_ids: &[RangeInclusive<u32>]) -> Result<(), Foreign> {
        if Self::computed(iam_id) == self {
            return Ok(());
        }
        let ranges = RANGES.iter().map(|(range, whose)| (range, *whose));
        let subordinate = sub_ids.iter().map(|range| (range, "of /etc/subuid or /etc/subgid"));
        match ranges.chain(subordinate).find(|(range, _)| range.contains(&self.0)) {
            Some((range, whose)) => Err(Foreign { id: self, range: range.clone(), whose }),
            None => Ok(()),
        }
    }

    /// The id in the tag `uid` of `iam_id`. `given` is the one assigned before, if any.
    ///
    /// # Errors
    /// Why the tag is not used.
    pub fn of_tag(
        tag: &str,
        iam_id: &IamId,
        given: Option<Self>,
        sub_ids: &[RangeInclusive<u32>],
    ) -> Result<Self, BadTag> {
        let id = tag.parse().map_err(|_| BadTag::Number)?;
        let id = Self::pinned(id).map_err(BadTag::Invalid)?;
        if given == Some(id) {
            return Ok(id);
        }
        if id.0 > LAST {
            return Err(BadTag::High(id));
        }
        id.may_be_pinned(iam_id, sub_ids).map_err(BadTag::Foreign)?;
        Ok(id)
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
    fn ids_of_the_system_and_of_nobody_cannot_be_pinned() {
        for id in [0, 1, 999, 65534, 65535, u32::MAX] {
            assert_eq!(Id::pinned(id), Err(Invalid::Id(id)));
        }
        assert_eq!(Id::pinned(1000).unwrap().get(), 1000);
    }

    #[test]
    fn ranges_are_those_of_subuid() {
        let text = "kate:100000:65536\n\n# x:1:1\nbad\nnone:5:0\nall:4294967295:2\n";
        assert_eq!(sub_ids(text), [100_000..=165_535, 1..=1, u32::MAX..=u32::MAX]);
    }

    #[test]
    fn an_id_in_a_range_of_others_cannot_be_pinned() {
        let (ana, sub_ids) = (IamId::new("U-ana"), [100_000..=165_535]);
        let others = [60_001, 60_513, 60_514, 60_577, 61_184, 65_519, 524_288, 0x6fff_ffff, FIRST, LAST];
        for id in others.into_iter().chain([100_000, 165_535]) {
            let refused = Id(id).may_be_pinned(&ana, &sub_ids).unwrap_err();
            assert!(refused.to_string().starts_with(&format!("{id} is in the range ")), "{refused}");
            assert_eq!(Id::of_tag(&id.to_string(), &ana, None, &sub_ids), Err(BadTag::Foreign(refused)));
            assert_eq!(Id::of_tag(&id.to_string(), &ana, Some(Id(id)), &sub_ids), Ok(Id(id)), "it was given");
        }
        for id in [1000, 60_000, 60_578, 61_183, 65_520, 99_999, 165_536, 524_287, Id::computed(&ana).0] {
            assert_eq!(Id(id).may_be_pinned(&ana, &sub_ids), Ok(()), "{id}");
            assert_eq!(Id::of_tag(&id.to_string(), &ana, None, &sub_ids), Ok(Id(id)));
        }
        let bad = |tag| Id::of_tag(tag, &ana, None, &[]).unwrap_err();
        for tag in ["", "-1", "1e3", "0x3e8", "4294967296"] {
            assert_eq!(bad(tag), BadTag::Number, "{tag}");
        }
        for (tag, id) in [("0", 0), ("999", 999), ("65534", 65534), ("4294967295", u32::MAX)] {
            assert_eq!(bad(tag), BadTag::Invalid(Invalid::Id(id)));
        }
        assert_eq!(bad("2147352576"), BadTag::High(Id(LAST + 1)));
    }

    #[test]
    fn an_assigned_id_stays_and_the_configuration_takes_precedence_over_a_tag() {
        let ana = IamId::new("U-ana");
        let [a, b, c] = [1001, 1002, 1003].map(|id| Some(Id(id)));
        assert_eq!(Some(Id::decided(&ana, a, b, c)), a);
        assert_eq!(Some(Id::decided(&ana, None, b, c)), b);
        assert_eq!(Some(Id::decided(&ana, None, None, c)), c);
        assert_eq!(Id::decided(&ana, None, None, None), Id::computed(&ana));
    }

    proptest! {
        #[test]
        fn an_id_from_any_tag_may_be_published(tag in "[0-9]{1,10}|\\PC*", given in any::<u32>()) {
            let ana = IamId::new("U-ana");
            if let Ok(id) = Id::of_tag(&tag, &ana, Id::pinned(given).ok(), &[]) {
                prop_assert!(may_be_published(id.get(), true));
                prop_assert!(id == Id::computed(&ana) || id.get() == given || !COMPUTED.contains(&id.get()));
            }
        }

        #[test]
        fn a_computed_id_is_in_the_unused_range(iam_id in "[A-Z0-9]{1,30}") {
            let id = Id::computed(&IamId::new(&iam_id)).get();
            prop_assert!((0x7000_0000..=0x7ffd_ffff).contains(&id));
        }
    }

    #[test]
    fn a_series_begins_with_the_computed_id_and_stays_in_its_range() {
        let series: Vec<Id> = Id::series(&IamId::new("AIDAEXAMPLE")).take(1000).collect();
        assert_eq!(series[0], Id::computed(&IamId::new("AIDAEXAMPLE")));
        assert_eq!(series[1].get(), 2_009_227_592);
        assert!(series.iter().all(|id| COMPUTED.contains(&id.get())));
        let different: std::collections::BTreeSet<_> = series.iter().collect();
        assert!(different.len() > 990);
    }
}
