//! Whether a user's keys are offered to sshd now, depending on where and when they were confirmed. Times are in
//! seconds since 1970.

/// Maximum clock skew, in seconds: clocks are set while they run, and those of two hosts differ. If keys were confirmed
/// further in the future, their age is unknown.
pub const CLOCK_TOLERANCE: i64 = 5 * 60;

/// Keys whose confirmation is older than this, in seconds, are offered with a warning.
pub const STALE: i64 = 60 * 60;

/// What `keys.db` says about a user's keys, and what that is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Confirmation<'a> {
    /// machine-id(5) of the host that the file was made for.
    pub made_for: &'a [u8],
    /// machine-id(5) of this host.
    pub machine_id: &'a [u8],
    /// When the source last listed the keys; 0 or less: never.
    pub confirmed: i64,
    /// Seconds; 0: no limit.
    pub max_age: i64,
    /// The present time.
    pub now: i64,
}

/// Why no key is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// The file was made for another host, as in an image.
    OtherMachine,
    /// No source has confirmed a key yet.
    Unconfirmed,
    /// Confirmed this many seconds in the future: the clock is or was wrong.
    Future(i64),
    /// Confirmed this many seconds ago, more than `max_age`.
    Old(i64),
}

impl Confirmation<'_> {
    /// How many seconds ago the keys were confirmed, if they may be offered.
    ///
    /// # Errors
    /// Why they may not be offered.
    pub fn age(&self) -> Result<i64, Withheld> {
        if !is_of_machine(self.made_for, self.machine_id) {
            return Err(Withheld::OtherMachine);
        }
        if self.confirmed <= 0 {
            return Err(Withheld::Unconfirmed);
        }
        let age = self.now.saturating_sub(self.confirmed);
        if self.max_age > 0 && is_in_future(self.confirmed, self.now) {
            return Err(Withheld::Future(age.saturating_neg()));
        }
        if is_too_old(age, self.max_age) {
            return Err(Withheld::Old(age));
        }
        Ok(age.max(0))
    }
}

/// Whether a file that was made for one machine-id(5) belongs to this host. An image has no machine-id, so there nothing
/// does.
#[must_use]
pub fn is_of_machine(made_for: &[u8], machine_id: &[u8]) -> bool {
    !machine_id.is_empty() && made_for == machine_id
}

/// Whether a confirmation is so far in the future that it does not count.
#[must_use]
pub fn is_in_future(confirmed: i64, now: i64) -> bool {
    now.saturating_sub(confirmed) < -CLOCK_TOLERANCE
}

/// Whether keys of this age are no longer offered. `max_age` 0: no limit.
#[must_use]
pub fn is_too_old(age: i64, max_age: i64) -> bool {
    max_age > 0 && age > max_age
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn age(confirmed: i64, max_age: i64) -> Result<i64, Withheld> {
        Confirmation { made_for: b"0123", machine_id: b"0123", confirmed, max_age, now: NOW }.age()
    }

    #[test]
    fn keys_are_offered_up_to_max_age_and_not_a_second_longer() {
        assert_eq!(age(NOW - 3600, 3600), Ok(3600));
        assert_eq!(age(NOW - 3601, 3600), Err(Withheld::Old(3601)));
        assert_eq!(age(1, 0), Ok(NOW - 1));
    }

    #[test]
    fn a_confirmation_in_the_future_counts_within_the_tolerance_or_if_age_is_unlimited() {
        assert_eq!(age(NOW + 300, 3600), Ok(0));
        assert_eq!(age(NOW + 301, 3600), Err(Withheld::Future(301)));
        assert_eq!(age(NOW + 301, 0), Ok(0));
        assert_eq!(age(i64::MAX, 1), Err(Withheld::Future(i64::MAX - NOW)));
    }

    #[test]
    fn keys_that_no_source_confirmed_are_never_offered() {
        for confirmed in [0, -1, i64::MIN] {
            assert_eq!(
                (age(confirmed, 0), age(confirmed, 1)),
                (Err(Withheld::Unconfirmed), Err(Withheld::Unconfirmed))
            );
        }
    }

    #[test]
    fn keys_for_a_different_machine_id_are_never_offered() {
        for (made_for, machine_id) in [("0123", "4567"), ("", "0123"), ("0123", ""), ("", "")] {
            let [made_for, machine_id] = [made_for, machine_id].map(str::as_bytes);
            let confirmation = Confirmation { made_for, machine_id, confirmed: NOW, max_age: 0, now: NOW };
            assert_eq!(confirmation.age(), Err(Withheld::OtherMachine));
        }
    }

    proptest! {
        #[test]
        fn offered_keys_were_confirmed_by_now_and_within_max_age(
            confirmed in any::<i64>(), max_age in 0..=i64::from(u32::MAX), now in 0..i64::from(u32::MAX),
        ) {
            let offered = Confirmation { made_for: b"0", machine_id: b"0", confirmed, max_age, now }.age();
            if let Ok(age) = offered {
                prop_assert!(confirmed > 0 && age >= 0);
                prop_assert!(max_age == 0 || age <= max_age && confirmed <= now + CLOCK_TOLERANCE);
            }
        }
    }
}
