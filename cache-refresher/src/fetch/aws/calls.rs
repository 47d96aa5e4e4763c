//! What every call to AWS needs: how often it may be made, who is told of it, and the count of the requests that are sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::link::Link;
use crate::fetch::pace::Pace;
use crate::fetch::request::Progress;

/// What every call needs, whatever it is about.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    pub(crate) calls: Calls,
    pub(crate) pace: Pace,
    pub(crate) link: Link,
    pub(crate) progress: Arc<dyn Progress>,
}

/// Requests that were sent, retries among them, by action.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<BTreeMap<&'static str, Count>>>);

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    sent: u64,
    throttled: u64,
}

impl Calls {
    /// By action, `iam:GetGroup`.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.by_action(|count| count.sent)
    }

    /// Those that were refused because there were too many. Actions of which none was are left out.
    pub(crate) fn throttled(&self) -> BTreeMap<String, u64> {
        let mut throttled = self.by_action(|count| count.throttled);
        throttled.retain(|_, count| *count > 0);
        throttled
    }

    pub(super) fn count(&self, action: &'static str) {
        self.change(action, |count| count.sent = count.sent.saturating_add(1));
    }

    pub(super) fn count_throttled(&self, action: &'static str) {
        self.change(action, |count| count.throttled = count.throttled.saturating_add(1));
    }

    fn change(&self, action: &'static str, change: impl FnOnce(&mut Count)) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(calls.entry(action).or_default());
    }

    fn by_action(&self, number: fn(&Count) -> u64) -> BTreeMap<String, u64> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().map(|(action, count)| ((*action).to_owned(), number(count))).collect()
    }
}
