//! When keys and tags of a user are read again. Pure.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use listing::User;

/// When something is read again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// How often; none: by each fetch.
    pub(crate) every: Option<Duration>,
    /// Everything that was read before this time is read again.
    pub(crate) asked: Option<Timestamp>,
    /// The time of this fetch.
    pub(crate) now: Timestamp,
}

impl Schedule {
    /// Whether what was read at this time is not to be read again yet.
    pub(crate) fn is_recent(&self, read: Option<Timestamp>) -> bool {
        let (Some(every), Some(read)) = (self.every, read) else { return false };
        let every = SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX);
        read <= self.now && !self.is_asked(read) && self.now.duration_since(read) < every
    }

    /// Whether somebody asked since for everything to be read. A time in the future is of another clock.
    fn is_asked(&self, read: Timestamp) -> bool {
        self.asked.is_some_and(|asked| asked <= self.now && read < asked)
    }

    /// How old keys can become before it is an error that they were not read.
    pub(crate) fn late(&self) -> SignedDuration {
        SignedDuration::try_from(self.every.unwrap_or(EXPECTED))
            .unwrap_or(SignedDuration::MAX)
            .saturating_mul(2)
    }

    /// Whether keys and tags of this user are to be read.
    ///
    /// The time is divided into periods, which begin at a different moment for each user: each user is read once in each
    /// period, and about the same number of users is due at any time, whenever they were read before.
    pub(crate) fn has_due(&self, user: &User) -> bool {
        let (Some(every), Some(confirmed)) = (self.every, user.confirmed) else { return true };
        let period = |at| period(&user.id, every, at);
        confirmed > self.now || self.is_asked(confirmed) || period(confirmed) != period(self.now)
    }
}

/// How often keys are expected to be read where nothing says it.
const EXPECTED: Duration = Duration::from_secs(15 * 60);

/// The number of the period that a time is in.
fn period(id: &str, every: Duration, at: Timestamp) -> i64 {
    let every = i64::try_from(every.as_secs()).unwrap_or(i64::MAX).max(1);
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let start = i64::try_from(hasher.finish() >> 1).unwrap_or_default().rem_euclid(every);
    at.as_second().saturating_sub(start).div_euclid(every)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(15 * 60);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    fn user(id: &str, confirmed: i64) -> User {
        User { id: id.to_owned(), confirmed: Some(at(confirmed)), ..User::default() }
    }

    #[test]
    fn the_first_period_of_each_user_ends_within_one_period_and_not_all_end_together() {
        let now = |seconds| Schedule { every: Some(EVERY), asked: None, now: at(seconds) };
        let due = |seconds| (0..900).filter(|n| now(seconds).has_due(&user(&format!("AIDA{n}"), 0))).count();
        assert_eq!((due(0), due(900)), (0, 900));
        for quarter in 1..4 {
            assert!(
                due(225 * quarter).abs_diff(225 * usize::try_from(quarter).unwrap()) < 60,
                "{}",
                due(225 * quarter)
            );
        }
    }

    #[test]
    fn what_was_never_read_or_is_dated_in_the_future_or_was_asked_for_is_due() {
        let all = Schedule { every: Some(EVERY), asked: None, now: at(1) };
        // Not due by itself.
        let id = (0..).map(|n| format!("AIDA{n}")).find(|id| !all.has_due(&user(id, -1))).unwrap();
        assert!(all.has_due(&User { id: id.clone(), ..User::default() }));
        assert!(all.has_due(&user(&id, 2)));
        for (asked, is_due) in [(-2, false), (-1, false), (0, true), (1, true), (2, false)] {
            let schedule = Schedule { asked: Some(at(asked)), ..all };
            assert_eq!(
                schedule.has_due(&user(&id, -1)),
                is_due,
                "{asked}: not in the future, or a clock was set back"
            );
        }
        assert!(Schedule { every: None, ..all }.has_due(&user(&id, 1)));
        let longest =
            Schedule { every: Some(Duration::MAX), now: at(0) + SignedDuration::from_secs(1), ..all };
        assert!(!longest.has_due(&user(&id, 0)));
    }

    #[test]
    fn what_was_read_less_than_a_period_ago_is_recent_unless_all_was_asked_for() {
        let schedule = |asked| Schedule { every: Some(EVERY), asked, now: at(1000) };
        for (read, is_recent) in [(1001, false), (1000, true), (101, true), (100, false), (-5, false)] {
            assert_eq!(schedule(None).is_recent(Some(at(read))), is_recent, "{read}");
        }
        assert!(!schedule(None).is_recent(None));
        assert!(
            !schedule(Some(at(600))).is_recent(Some(at(599)))
                && schedule(Some(at(600))).is_recent(Some(at(600)))
        );
        assert!(schedule(Some(at(1001))).is_recent(Some(at(599))));
        assert!(!Schedule { every: None, ..schedule(None) }.is_recent(Some(at(1000))));
    }
}
