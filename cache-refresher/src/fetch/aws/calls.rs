//! What every call to AWS needs: how often it may be made, who is told of it, and the count of the requests that are sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::fetch::pace::Pace;
use crate::fetch::request::Progress;

/// What every call needs, whatever it is about.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    pub(crate) calls: Calls,
    pub(crate) pace: Pace,
    pub(crate) progress: Arc<dyn Progress>,
}

/// Requests that were sent, retries among them, by action.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Calls {
    /// By action, `iam:GetGroup`.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().map(|(action, count)| ((*action).to_owned(), *count)).collect()
    }

    pub(super) fn count(&self, action: &'static str) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = calls.entry(action).or_default();
        *count = count.saturating_add(1);
    }
}
