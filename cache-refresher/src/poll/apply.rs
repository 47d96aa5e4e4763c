//! Sees to it that the apply half runs after something was written for it, or local accounts were changed. A path unit starts it; what
//! is written while it runs, such a unit does not notice.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use status::Status;

use crate::{handover, report};

/// How long the apply half may take to begin before it is called again, at first.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
const FIRST: SignedDuration = SignedDuration::from_secs(PATIENCE.as_secs().cast_signed());

/// The longest time between two calls, and the time until it is called again after it failed: the interval of the timer.
const LONGEST: SignedDuration = SignedDuration::from_mins(5);

/// The files with local accounts, which win. The path unit watches them, too.
const ACCOUNTS: [&str; 2] = ["/etc/passwd", "/etc/group"];

/// What is known of the apply half.
#[derive(Debug, Default)]
pub(super) struct Apply {
    /// When local accounts were changed last.
    changed: Option<Timestamp>,
    /// Since when it has something to do; none: it has done everything.
    since: Option<Timestamp>,
    /// When it is called again.
    again: Timestamp,
    patience: SignedDuration,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    Call,
}

impl Apply {
    /// It has something to do from now on.
    pub(super) fn call(&mut self, now: Timestamp) {
        self.expect(now, now);
        call();
    }

    /// It should begin after this time.
    fn expect(&mut self, since: Timestamp, now: Timestamp) {
        (self.since, self.again, self.patience) = (Some(since), later(now, FIRST), FIRST);
    }

    /// Takes note of when local accounts were changed.
    fn note(&mut self, changed: Option<Timestamp>, now: Timestamp) {
        let is_first = self.changed.is_none();
        if let Some(at) = changed.filter(|at| Some(*at) != self.changed && *at <= now) {
            self.changed = changed;
            if !is_first && self.since.is_none_or(|since| since < at) {
                self.expect(at, now);
            }
        }
    }

    /// Whether it has something to do.
    pub(super) fn has_to_run(&self) -> bool {
        self.since.is_some()
    }

    /// Calls it again if it did not begin since, or failed.
    pub(super) fn remind(&mut self, now: Timestamp) {
        let changed = ACCOUNTS.iter().filter_map(|path| {
            let about = std::fs::metadata(path).ok()?;
            Timestamp::new(about.ctime(), i32::try_from(about.ctime_nsec()).ok()?).ok()
        });
        self.note(changed.max(), now);
        if self.since.is_none() {
            return;
        }
        let status = report::last(Path::new(cache::DIRECTORY));
        if self.next(now, &status) == Next::Call {
            call();
        }
    }

    fn next(&mut self, now: Timestamp, status: &Status) -> Next {
        let Some(since) = self.since else { return Next::Nothing };
        let has_begun = status.time.is_some_and(|time| time >= since && time <= now);
        if has_begun && status.exit == crate::exit::OK {
            self.since = None;
            return Next::Nothing;
        }
        if has_begun {
            // From the run that failed on.
            self.patience = LONGEST;
            self.again = self.again.max(later(status.time.unwrap_or(now), LONGEST));
        }
        // The clock was set back.
        let is_far = self.again.duration_since(now) > LONGEST;
        if now < self.again && !is_far {
            return Next::Nothing;
        }
        self.patience = self.patience.saturating_mul(2).min(LONGEST);
        (self.since, self.again) = (Some(if is_far { now } else { since }), later(now, self.patience));
        Next::Call
    }
}

fn later(now: Timestamp, time: SignedDuration) -> Timestamp {
    now.checked_add(time).unwrap_or(now)
}

fn call() {
    if let Err(cause) = handover::call_apply() {
        log::warn!("cannot tell the apply half that there is something to do: {cause}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    /// The times at which it is called again within 20 minutes, if the status then says this.
    fn calls(status: impl Fn(i64) -> Option<(i64, u8)>) -> Vec<i64> {
        let mut apply = Apply { since: Some(at(0)), again: at(10), patience: FIRST, ..Apply::default() };
        let called = |second: &i64| {
            let status = status(*second).map_or_else(Status::default, |(time, exit)| Status {
                time: Some(at(time)),
                exit,
                ..Status::default()
            });
            apply.next(at(*second), &status) == Next::Call
        };
        (0..1200).step_by(10).filter(called).collect()
    }

    #[test]
    fn it_is_called_until_a_run_began_since_and_less_and_less_often() {
        assert_eq!(calls(|_| None), [10, 30, 70, 150, 310, 610, 910]);
        assert_eq!(calls(|_| Some((-1, 0))), calls(|_| None), "a run that began before may have read less");
        assert_eq!(calls(|second| (second > 0).then_some((1, 0))), [] as [i64; 0]);
        assert_eq!(calls(|second| Some(if second > 70 { (61, 0) } else { (-1, 0) })), [10, 30, 70]);
        assert_eq!(calls(|_| Some((9000, 0))), calls(|_| None), "of another clock");
    }

    #[test]
    fn a_run_that_failed_is_repeated_as_often_as_by_the_timer() {
        let mut apply = Apply { since: Some(at(0)), again: at(10), patience: FIRST, ..Apply::default() };
        let mut ran = 1;
        let called = (10..1200).step_by(10).filter(|&second| {
            let status = Status { time: Some(at(ran)), exit: 65, ..Status::default() };
            let is_called = apply.next(at(second), &status) == Next::Call;
            if is_called {
                ran = second + 1;
            }
            is_called
        });
        assert_eq!(called.collect::<Vec<_>>(), [310, 620, 930]);
    }

    #[test]
    fn a_change_of_local_accounts_needs_a_run_that_began_after_it() {
        let mut apply = Apply::default();
        apply.note(Some(at(-100)), at(0));
        assert_eq!(apply.since, None, "the first run looks at everything");
        apply.note(Some(at(-100)), at(10));
        assert_eq!(apply.since, None);
        apply.note(Some(at(15)), at(20));
        let run = |time| Status { time: Some(at(time)), ..Status::default() };
        assert_eq!(apply.next(at(25), &run(14)), Next::Nothing, "the path unit may have started one");
        assert_eq!(apply.next(at(30), &run(14)), Next::Call);
        assert_eq!(apply.next(at(50), &run(41)), Next::Nothing);
        apply.note(Some(at(9000)), at(60));
        assert_eq!(apply.since, None, "of another clock");
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        let mut apply = Apply { since: Some(at(9000)), again: at(9010), patience: FIRST, ..Apply::default() };
        assert_eq!(apply.next(at(0), &Status::default()), Next::Call);
        let status = Status { time: Some(at(1)), ..Status::default() };
        assert_eq!(apply.next(at(10), &status), Next::Nothing);
        assert!(apply.since.is_none());
    }
}
