//! What the fetch half reports of its last run, in `report.json` and on standard output. The apply half does not trust it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use listing::{Failure, Listing};
use serde::{Deserialize, Serialize};

use crate::report::failures;

/// How many actions are counted: far more than the fetch half calls.
const ACTIONS: usize = 64;

/// The longest name of an action, in bytes.
const LONGEST: usize = 64;

/// What a fetch half did. It also prints this to standard output.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fetched {
    /// When it began.
    pub time: Option<Timestamp>,
    /// When the last one began whose exit status was 0.
    pub succeeded: Option<Timestamp>,
    /// Its exit status.
    pub exit: u8,
    /// How long it took.
    pub seconds: f64,
    /// The number of users in the listing.
    pub users: usize,
    /// The number of groups in the listing.
    pub groups: usize,
    /// The number of accounts in the listing.
    pub accounts: usize,
    /// The number of calls by name, such as `iam:GetGroup`.
    pub calls: BTreeMap<String, u64>,
    /// The number of them that were refused because there were too many.
    pub throttled: BTreeMap<String, u64>,
    /// The same of all runs so far.
    pub totals: Totals,
    /// What went wrong. Not in `report.json`: the listing has it.
    #[serde(deserialize_with = "failures")]
    pub failures: Vec<Failure>,
    /// The listing, only in a dry run, which does not write it to disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listing: Option<Listing>,
}

/// Sums over all fetches since the first one, or since the file with them was lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Calls, by action.
    pub calls: BTreeMap<String, u64>,
    /// Of these, calls that were refused because there were too many.
    pub throttled: BTreeMap<String, u64>,
}

impl Fetched {
    /// Continues the sums and times of the previous run.
    #[must_use]
    pub fn after(self, previous: Option<&Self>) -> Self {
        let succeeded = if self.exit == crate::exit::OK {
            self.time
        } else {
            previous.and_then(|previous| previous.succeeded)
        };
        let mut totals = previous.map(|previous| previous.totals.clone()).unwrap_or_default();
        add(&mut totals.calls, &self.calls);
        add(&mut totals.throttled, &self.throttled);
        Self { succeeded, totals, ..self }
    }

    /// Without what cannot be names of actions: they become labels of metrics, and come from a process that has no privileges.
    #[must_use]
    pub fn checked(mut self) -> Self {
        let Totals { calls, throttled } = &mut self.totals;
        for counts in [&mut self.calls, &mut self.throttled, calls, throttled] {
            let all = std::mem::take(counts).into_iter();
            counts.extend(all.filter(|(action, _)| is_action(action)).take(ACTIONS));
        }
        self.seconds = if self.seconds.is_finite() { self.seconds.max(0.0) } else { 0.0 };
        self
    }
}

fn add(totals: &mut BTreeMap<String, u64>, counts: &BTreeMap<String, u64>) {
    for (action, count) in counts {
        let total = totals.entry(action.clone()).or_default();
        *total = total.saturating_add(*count);
    }
}

/// `iam:GetGroup`
fn is_action(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= LONGEST
        && text.split_once(':').is_some_and(|(service, action)| is_word(service) && is_word(action))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
        counts.iter().map(|(action, count)| ((*action).to_owned(), *count)).collect()
    }

    #[test]
    fn totals_grow_with_each_run_and_the_last_success_is_kept() {
        let run = |exit, time: &str, calls: &[(&str, u64)]| Fetched {
            exit,
            time: Some(time.parse().unwrap()),
            calls: counts(calls),
            throttled: counts(&[("iam:GetGroup", 1)]),
            ..Fetched::default()
        };
        let first = run(0, "2026-11-22T18:00:00Z", &[("iam:GetGroup", 3)]).after(None);
        let second = run(75, "2026-11-22T18:05:00Z", &[("iam:GetGroup", u64::MAX), ("sts:AssumeRole", 1)]);
        let second = second.after(Some(&first));
        assert_eq!(second.succeeded, first.time);
        assert_eq!(second.totals.calls, counts(&[("iam:GetGroup", u64::MAX), ("sts:AssumeRole", 1)]));
        assert_eq!(second.totals.throttled, counts(&[("iam:GetGroup", 2)]));
        assert_eq!(run(75, "2026-11-22T18:05:00Z", &[]).after(None).succeeded, None);
    }

    #[test]
    fn only_names_of_actions_are_counted_and_not_without_limit() {
        let long = format!("iam:{}", "A".repeat(LONGEST));
        let hostile = [
            "",
            "iam",
            "iam:",
            ":GetGroup",
            "iam:Get Group",
            "iam:\n",
            "iam:a\"}",
            "iam:\u{e9}",
            "a:b:c",
            &long,
        ];
        let mut calls = counts(&hostile.map(|action| (action, 1)));
        calls.extend(counts(&[("iam:GetGroup", 2), ("identitystore:ListGroups", 3)]));
        let fetched = Fetched { calls, seconds: -1.0, ..Fetched::default() }.checked();
        assert_eq!(fetched.calls, counts(&[("iam:GetGroup", 2), ("identitystore:ListGroups", 3)]));
        assert!(fetched.seconds.abs() < f64::EPSILON);
        let calls = (0..1000).map(|number| (format!("iam:A{number}"), 1)).collect();
        let totals = Totals { calls, ..Totals::default() };
        assert_eq!(Fetched { totals, ..Fetched::default() }.checked().totals.calls.len(), ACTIONS);
    }
}
