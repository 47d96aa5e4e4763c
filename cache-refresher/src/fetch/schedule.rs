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
    /// The time is divided into periods, which begin at one of [`STARTS`] moments for each user: each user is read once in each
    /// period, and about the same number of users is due at any time, whenever they were read before. Users with one moment are
    /// due together.
    pub(crate) fn has_due(&self, user: &User) -> bool {
        let (Some(every), Some(confirmed)) = (self.every, user.confirmed) else { return true };
        let period = |at| period(&user.id, every, at);
        confirmed > self.now || self.is_asked(confirmed) || period(confirmed) != period(self.now)
    }

    /// The time of confirmation of a user who is read now: when the user became due, if that is not long ago. So users who are
    /// due together have one time, whichever fetch reads them, and their keys look a little older than they are, never younger.
    pub(crate) fn confirmed(&self, user: &User) -> Timestamp {
        let due = self.every.and_then(|every| {
            let due = Timestamp::from_second(begin(&user.id, every, self.now)).ok()?;
            let late = self.now.duration_since(due);
            (late <= LATE && late.unsigned_abs() <= every / 2).then_some(due)
        });
        let is_why =
            |due: &Timestamp| user.confirmed.is_some_and(|before| before < *due) && !self.is_asked(*due);
        due.filter(is_why).unwrap_or(self.now)
    }
}

/// How often keys are expected to be read where nothing says it.
const EXPECTED: Duration = Duration::from_secs(15 * 60);

/// At how many moments the periods of all users begin. Users who are read late have times that are as much later as they were late: a
/// record has room for so many ranges (see [`policy::confirmed`]).
const STARTS: i64 = 60;
/// After becoming due, a user is read by the next fetch, which is 5 minutes later at most where a timer starts it, unless it fails.
const LATE: SignedDuration = SignedDuration::from_mins(10);

/// When the period that a time is in began, in seconds since 1970.
fn begin(id: &str, every: Duration, at: Timestamp) -> i64 {
    let every_seconds = seconds(every);
    period(id, every, at).saturating_mul(every_seconds).saturating_add(start(id, every_seconds))
}

/// The number of the period that a time is in.
fn period(id: &str, every: Duration, at: Timestamp) -> i64 {
    let every = seconds(every);
    at.as_second().saturating_sub(start(id, every)).div_euclid(every)
}

fn seconds(every: Duration) -> i64 {
    i64::try_from(every.as_secs()).unwrap_or(i64::MAX).max(1)
}

/// The moment at which the periods of a user begin.
fn start(id: &str, every: i64) -> i64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let start = i64::try_from(hasher.finish() >> 1).unwrap_or_default().rem_euclid(every);
    let between = every.saturating_add(STARTS - 1).div_euclid(STARTS);
    start - start.rem_euclid(between)
}

#[cfg(test)]
mod tests {
    use policy::confirmed::Moves;

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

    /// After one period, in which everyone was read once; some fetches are late.
    #[test]
    fn after_a_period_few_ranges_of_times_say_when_keys_were_confirmed_in_whichever_fetch_users_are_read() {
        for (every, pause) in [(900, 20), (900, 290), (12 * 3600, 290), (119, 1), (1, 1)] {
            let every = Duration::from_secs(every);
            let mut users: Vec<User> = (0..900).map(|n| user(&format!("AIDA{n}"), 0)).collect();
            let mut stored: Vec<i64> = Vec::new();
            let end = 3 * i64::try_from(every.as_secs()).unwrap() + pause;
            for now in (1..end).step_by(usize::try_from(pause).unwrap()) {
                let now = now + now * 7919 % (pause / 10 + 1);
                let schedule = Schedule { every: Some(every), asked: None, now: at(now) };
                for user in &mut users {
                    if schedule.has_due(user) {
                        user.confirmed = Some(schedule.confirmed(user));
                        assert!(user.confirmed <= Some(at(now)) && !schedule.has_due(user));
                    }
                }
                let times: Vec<i64> = users.iter().map(|user| user.confirmed.unwrap().as_second()).collect();
                let pairs = stored.iter().copied().zip(times.iter().copied());
                match Moves::between(pairs).filter(|_| now > end / 3) {
                    Some(moves) => {
                        assert!(moves.ranges() <= 2, "{every:?}, each {pause} s, after {now}: {moves:?}");
                    }
                    None => {
                        let is_first = stored.is_empty() || now <= end / 3 + 2 * pause;
                        assert!(is_first, "{every:?}, each {pause} s, after {now}");
                        stored = times;
                    }
                }
            }
        }
    }

    #[test]
    fn who_is_read_late_or_for_another_reason_is_confirmed_now() {
        let schedule = |asked, now| Schedule { every: Some(EVERY), asked, now: at(now) };
        let known = user("AIDA1", -9000);
        let begins = (0..900).find(|now| schedule(None, now + 1).confirmed(&known) == at(*now)).unwrap();
        let reads = [(None, 0, 0), (None, 450, 0), (None, 451, 451), (Some(5), 7, 7), (Some(0), 7, 0)];
        for (asked, late, expected) in reads {
            let schedule = schedule(asked.map(|asked| at(begins + asked)), begins + late);
            assert_eq!(schedule.confirmed(&known), at(begins + expected), "{asked:?}, {late}");
        }
        let now = schedule(None, begins + 7);
        let others =
            [User { confirmed: None, ..known.clone() }, user("AIDA1", begins), user("AIDA1", begins + 900)];
        assert!(others.iter().all(|user| now.confirmed(user) == now.now), "not because of the time");
        assert_eq!(Schedule { every: None, ..now }.confirmed(&known), now.now);
        let day = |now| Schedule { every: Some(Duration::from_secs(24 * 3600)), asked: None, now: at(now) };
        let known = user("AIDA1", -100_000);
        let early =
            (0..24 * 60).filter(|minute| day(60 * minute).confirmed(&known) < at(60 * minute)).count();
        assert!((9..=11).contains(&early), "{early} minutes");
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
