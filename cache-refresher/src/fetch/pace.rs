//! How fast calls are made: `max_calls_per_minute`, for all accounts and services together, and pauses after AWS throttled calls.
//! Earlier fetches count, too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

/// What a fetch has to know of those before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Past {
    /// The number of requests in each second of the last minute, by seconds since 1970.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sent: BTreeMap<i64, u32>,
    /// Accounts whose calls were throttled to the end, by their names in the configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pauses: BTreeMap<String, Pause>,
}

impl Past {
    /// The pauses, by the names of accounts.
    pub(crate) fn pauses(&self) -> &BTreeMap<String, Pause> {
        &self.pauses
    }
}

/// A time without calls, because AWS throttled those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pause {
    /// When calls are made again.
    pub(crate) until: Timestamp,
    /// The number of fetches in a row that were throttled.
    times: u32,
    /// Which calls are not made.
    pub(crate) of: Purpose,
}

/// The first pause. Each further one is twice as long.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_mins(2);

/// A pause delays removals, so it has a limit.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(30);

impl Pause {
    fn after(before: Option<&Self>, of: Purpose, now: Timestamp) -> Self {
        let times = before.map_or(0, |before| before.times.min(16)).saturating_add(1);
        let pause = FIRST_PAUSE.saturating_mul(1 << times.saturating_sub(1)).min(LONGEST_PAUSE);
        Self { until: now.checked_add(pause).unwrap_or(now), times, of }
    }

    /// A longer one was not written by a fetch, or the clock was set back.
    fn lasts(&self, now: Timestamp) -> bool {
        let left = self.until.duration_since(now);
        left.is_positive() && left <= LONGEST_PAUSE
    }
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Purpose {
    /// What decides who is a member; without it, keys are not read either.
    Members,
    /// Keys and tags, which can wait for the next fetch.
    Keys,
}

/// How long a request counts, in seconds: times are rounded down, so a minute and one second.
const COUNTS: i64 = 61;

/// Shared by everything that makes calls.
#[derive(Debug, Clone)]
pub(crate) struct Pace(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: Option<u32>,
    start: Timestamp,
    began: Instant,
    past: Mutex<Past>,
    /// Whether pauses do not count.
    force: bool,
    /// Accounts whose calls this fetch gave up because they were throttled.
    throttled: Mutex<BTreeMap<String, Purpose>>,
}

impl Pace {
    /// `limit` is the number of requests in a minute, `now` the time of this fetch. What `past` says of the future is ignored: its
    /// file is damaged, or the clock was set back.
    /// With `force`, pauses do not count.
    pub(crate) fn new(limit: Option<u32>, mut past: Past, now: Timestamp, force: bool) -> Self {
        past.sent.retain(|second, _| *second <= now.as_second());
        let (past, throttled) = (Mutex::new(past), Mutex::default());
        Self(Arc::new(Shared { limit, start: now, began: Instant::now(), past, force, throttled }))
    }

    /// AWS throttled a call about this account until it was given up.
    pub(crate) fn throttled(&self, account: &str, purpose: Purpose) {
        let mut throttled = self.0.throttled.lock().unwrap_or_else(PoisonError::into_inner);
        let of = throttled.entry(account.to_owned()).or_insert(purpose);
        if purpose == Purpose::Members {
            *of = purpose;
        }
    }

    /// The pause of this account, if it has one now.
    pub(crate) fn pause(&self, account: &str) -> Option<Pause> {
        let past = self.lock();
        let pause = past.pauses.get(account).copied();
        pause.filter(|pause| !self.0.force && pause.lasts(self.0.start))
    }

    /// Waits until one more request may be sent, and counts it. False if none may before the deadline.
    pub(crate) async fn take(&self, purpose: Purpose, deadline: Instant) -> bool {
        loop {
            let Some(wait) = self.wait(purpose) else { return true };
            let until = Instant::now() + wait;
            if until >= deadline {
                return false;
            }
            sleep_until(until).await;
        }
    }

    /// Counts one more request if it may be sent now.
    pub(crate) fn take_now(&self, purpose: Purpose) -> bool {
        self.wait(purpose).is_none()
    }

    /// Why no request may be sent.
    pub(crate) fn used_up(&self) -> String {
        let limit = self.0.limit.unwrap_or_default();
        format!("no call is left of the {limit} a minute that [refresh] max_calls_per_minute allows")
    }

    /// What the next fetch has to know. A pause ends with a fetch that made calls and was not throttled.
    pub(crate) fn past(&self) -> Past {
        let now = self.now();
        let mut past = self.lock().clone();
        past.sent.retain(|second, _| counts(*second, now));
        let before = std::mem::take(&mut past.pauses);
        let lasting = before.keys().filter_map(|account| Some((account.clone(), self.pause(account)?)));
        past.pauses.extend(lasting);
        let throttled = self.0.throttled.lock().unwrap_or_else(PoisonError::into_inner);
        let new = throttled
            .iter()
            .map(|(account, of)| (account.clone(), Pause::after(before.get(account), *of, now)));
        past.pauses.extend(new);
        past
    }

    /// How long to wait for the next request; `None`: it may be sent, and is counted.
    fn wait(&self, purpose: Purpose) -> Option<Duration> {
        let limit = self.0.limit?;
        let now = self.now();
        let mut past = self.lock();
        past.sent.retain(|second, _| counts(*second, now));
        // Keys leave a part of the minute to memberships, of the next fetch among others.
        let allowed = match purpose {
            Purpose::Members => limit,
            Purpose::Keys => limit.saturating_sub(limit.div_ceil(5)),
        };
        let mut used = past.sent.values().fold(0_u32, |used, sent| used.saturating_add(*sent));
        if used < allowed {
            let sent = past.sent.entry(now.as_second()).or_default();
            *sent = sent.saturating_add(1);
            return None;
        }
        let mut until = now.as_second();
        for (second, sent) in &past.sent {
            used = used.saturating_sub(*sent);
            until = second.saturating_add(COUNTS);
            if used < allowed {
                break;
            }
        }
        let wait = until.saturating_mul(1000).saturating_sub(now.as_millisecond());
        Some(Duration::from_millis(u64::try_from(wait).unwrap_or_default().max(1)))
    }

    /// By the clock that nobody sets.
    fn now(&self) -> Timestamp {
        self.0.start.checked_add(self.0.began.elapsed()).unwrap_or(self.0.start)
    }

    fn lock(&self) -> MutexGuard<'_, Past> {
        self.0.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counts(second: i64, now: Timestamp) -> bool {
    second.saturating_add(COUNTS) > now.as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    fn paused(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(test);
    }

    /// Takes as many as there are before a deadline in so many seconds; the times are seconds since the start of the test.
    async fn taken(pace: &Pace, purpose: Purpose, seconds: u64, start: Instant) -> Vec<f64> {
        let (deadline, mut times) = (Instant::now() + Duration::from_secs(seconds), Vec::new());
        while pace.take(purpose, deadline).await {
            times.push(start.elapsed().as_secs_f64());
        }
        times
    }

    #[test]
    fn no_minute_has_more_requests_than_allowed_also_over_several_fetches() {
        paused(async {
            let start = Instant::now();
            let (mut past, mut times) = (Past::default(), Vec::new());
            for seconds in [30, 45, 1, 200, 20] {
                let began = start.elapsed();
                let now = at(0).checked_add(began).unwrap();
                let pace = Pace::new(Some(30), past, now, false);
                times.extend(taken(&pace, Purpose::Members, seconds, start).await);
                past = pace.past();
                tokio::time::sleep(Duration::from_millis(3700)).await;
            }
            assert!(times.len() >= 30 * 4, "{}", times.len());
            for (first, later) in times.iter().zip(times.iter().skip(30)) {
                assert!(later - first > 60.0, "31 in {} s", later - first);
            }
        });
    }

    #[test]
    fn keys_leave_a_fifth_of_the_minute_to_memberships_and_what_does_not_fit_is_said_at_once() {
        paused(async {
            let start = Instant::now();
            let pace = Pace::new(Some(10), Past::default(), at(0), false);
            assert_eq!(taken(&pace, Purpose::Keys, 50, start).await, [0.0; 8]);
            assert_eq!(taken(&pace, Purpose::Members, 50, start).await, [0.0; 2]);
            assert_eq!(start.elapsed(), Duration::ZERO, "nothing is waited for in vain");
            assert!(!pace.take_now(Purpose::Members));
            let later = taken(&pace, Purpose::Keys, 62, start).await;
            assert!(later.len() == 8 && later.iter().all(|at| (61.0..61.1).contains(at)), "{later:?}");
        });
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        paused(async {
            let pace = Pace::new(None, Past::default(), at(0), false);
            for _ in 0..1000 {
                assert!(pace.take(Purpose::Keys, Instant::now()).await && pace.take_now(Purpose::Members));
            }
            assert_eq!(pace.past(), Past::default());
        });
    }

    #[test]
    fn what_the_file_says_can_delay_a_request_by_a_minute_at_most() {
        paused(async {
            for sent in [
                vec![(i64::MAX, u32::MAX), (i64::MIN, 7)],
                vec![(at(0).as_second(), u32::MAX), (at(-1).as_second(), u32::MAX)],
                vec![(at(5).as_second(), 100), (at(-60).as_second(), 100)],
            ] {
                let past = Past { sent: sent.clone().into_iter().collect(), ..Past::default() };
                let pace = Pace::new(Some(10), past, at(0), false);
                let start = Instant::now();
                assert!(pace.take(Purpose::Keys, start + Duration::from_secs(62)).await, "{sent:?}");
            }
        });
    }

    /// One fetch after the other, so many minutes after the first; the value says what is throttled.
    fn fetches(all: &[(i64, Option<Purpose>, bool)]) -> Vec<Option<(Purpose, i64)>> {
        let mut past = Past::default();
        let mut pauses = Vec::new();
        for (minute, throttled, force) in all {
            let pace = Pace::new(None, past, at(60 * minute), *force);
            pauses.push(pace.pause("b").map(|pause| (pause.of, pause.until.duration_since(at(0)).as_mins())));
            let is_called = pauses.last().unwrap().is_none_or(|(of, _)| of == Purpose::Keys);
            if let Some(of) = throttled.filter(|_| is_called) {
                pace.throttled("b", of);
            }
            past = pace.past();
            assert!(pace.pause("other").is_none());
        }
        pauses
    }

    #[test]
    fn pauses_grow_while_calls_are_throttled_and_end_with_a_fetch_that_is_not() {
        // Where no time passes by itself.
        paused(async { pauses_grow() });
    }

    fn pauses_grow() {
        use Purpose::{Keys, Members};
        let m = Some(Members);
        assert_eq!(
            fetches(&[
                (0, m, false),
                (1, m, false),
                (2, m, false),
                (5, None, false),
                (6, m, false),
                (7, m, false)
            ]),
            [None, Some((Members, 2)), None, Some((Members, 6)), None, Some((Members, 14))],
            "the third was throttled again, the fifth after its pause"
        );
        let always: Vec<_> = (0..50).map(|n| (5 * n, m, false)).collect();
        let pauses = fetches(&always);
        let called: Vec<_> =
            (0..).zip(&pauses).filter(|(_, pause)| pause.is_none()).map(|(n, _)| 5 * n).collect();
        assert_eq!(called[..6], [0, 5, 10, 20, 40, 70], "after 2, 4, 8, 16, 30 and 30 minutes: {called:?}");
        assert_eq!(
            fetches(&[(0, m, false), (1, None, true), (1, None, false)])[1..],
            [None, None],
            "by force"
        );
        assert_eq!(
            fetches(&[(0, Some(Keys), false), (1, m, false), (2, None, false)])[1..],
            [Some((Keys, 2)), Some((Members, 5))]
        );
        assert_eq!(
            fetches(&[(0, Some(Keys), false), (1, None, false), (2, None, false)])[1..],
            [Some((Keys, 2)), None]
        );
    }

    #[test]
    fn a_pause_of_a_damaged_file_or_of_another_clock_does_not_count() {
        for (minutes, lasts) in
            [(1, true), (30, true), (31, false), (100_000, false), (0, false), (-5, false)]
        {
            let pause = Pause { until: at(60 * minutes), times: u32::MAX, of: Purpose::Members };
            let past = Past { pauses: [("b".to_owned(), pause)].into(), ..Past::default() };
            let pace = Pace::new(None, past, at(0), false);
            assert_eq!(pace.pause("b").is_some(), lasts, "{minutes}");
            pace.throttled("b", Purpose::Members);
            let next = pace.past().pauses["b"].until;
            assert!(next <= at(31 * 60), "{next}");
        }
    }
}
