//! How fast calls are made: `max_calls_per_minute`, for all accounts and services together. Requests of earlier fetches count,
//! too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

/// What a fetch has to know of those before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Past {
    /// The number of requests in each second of the last minute, by seconds since 1970.
    sent: BTreeMap<i64, u32>,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// What decides who is a member.
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
}

impl Pace {
    /// `limit` is the number of requests in a minute, `now` the time of this fetch. What `past` says of the future is ignored: its
    /// file is damaged, or the clock was set back.
    pub(crate) fn new(limit: Option<u32>, mut past: Past, now: Timestamp) -> Self {
        past.sent.retain(|second, _| *second <= now.as_second());
        Self(Arc::new(Shared { limit, start: now, began: Instant::now(), past: Mutex::new(past) }))
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

    /// What the next fetch has to know.
    pub(crate) fn past(&self) -> Past {
        let now = self.now();
        let mut past = self.lock();
        past.sent.retain(|second, _| counts(*second, now));
        past.clone()
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
                let pace = Pace::new(Some(30), past, now);
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
            let pace = Pace::new(Some(10), Past::default(), at(0));
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
            let pace = Pace::new(None, Past::default(), at(0));
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
                let past = Past { sent: sent.clone().into_iter().collect() };
                let pace = Pace::new(Some(10), past, at(0));
                let start = Instant::now();
                assert!(pace.take(Purpose::Keys, start + Duration::from_secs(62)).await, "{sent:?}");
            }
        });
    }
}
