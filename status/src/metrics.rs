//! The metrics of a report, in Prometheus' text format. `docs/reference/metrics.md` describes them.
//!
//! A number in a file does not age, so ages are given as the times since when: rules compute them. Labels have few values: codes,
//! kinds, actions of AWS and accounts; never users, groups or messages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use jiff::Timestamp;
use message::printable;
use serde_json::Number;

use crate::{Coded, Fetched, Kind, Status, Told};

/// The file that the apply half writes, beside `status.json`.
pub const NAME: &str = "metrics.prom";

/// How many accounts have metrics. Their names can come from a source.
const ACCOUNTS: usize = 100;

/// The longest value of a label, in characters.
const LONGEST: usize = 64;

/// How values of a metric relate to earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// They rise and fall.
    Gauge,
    /// They only rise, until they start again at 0.
    Counter,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        })
    }
}

/// A metric and its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// `nss_iam_users`
    pub name: &'static str,
    /// How its values change.
    pub kind: Type,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// A value for each combination of the labels' values.
    pub samples: BTreeMap<Vec<String>, f64>,
}

impl Metric {
    fn new(name: &'static str, labels: &'static [&'static str]) -> Self {
        Self { name, kind: Type::Gauge, labels, samples: BTreeMap::new() }
    }

    /// A metric without labels.
    fn single(name: &'static str, value: f64) -> Self {
        Self { samples: [(Vec::new(), value)].into(), ..Self::new(name, &[]) }
    }

    /// With these values. Values with the same labels are added.
    fn with<const N: usize>(mut self, samples: impl IntoIterator<Item = ([String; N], f64)>) -> Self {
        for (labels, value) in samples {
            *self.samples.entry(labels.into()).or_default() += value;
        }
        self
    }

    fn counter(self) -> Self {
        Self { kind: Type::Counter, ..self }
    }

    /// `nss_iam_users{state="active"}`, and the value.
    fn series(&self) -> impl Iterator<Item = (String, f64)> {
        self.samples.iter().map(|(values, value)| {
            let labels = self.labels.iter().zip(values);
            let labels: Vec<String> =
                labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            (format!("{}{labels}", self.name), *value)
        })
    }
}

/// The content of [`NAME`].
#[must_use]
pub fn text(status: &Status) -> String {
    let mut text = String::new();
    for metric in metrics(status).into_iter().filter(|metric| !metric.samples.is_empty()) {
        let _ = writeln!(text, "# TYPE {} {}", metric.name, metric.kind);
        for (series, value) in metric.series() {
            let _ = writeln!(text, "{series} {value}");
        }
    }
    text
}

/// The same as values by name and labels.
#[must_use]
pub fn values(status: &Status) -> BTreeMap<String, Number> {
    let all = metrics(status);
    all.iter().flat_map(Metric::series).filter_map(|(series, value)| Some((series, number(value)?))).collect()
}

/// Whole numbers without a decimal point.
fn number(value: f64) -> Option<Number> {
    let whole = value as i64;
    if whole as f64 == value { Some(whole.into()) } else { Number::from_f64(value) }
}

/// All metrics, also those without a value.
#[must_use]
pub fn metrics(status: &Status) -> Vec<Metric> {
    let nothing = Fetched::default();
    let fetched = status.fetch.as_ref().unwrap_or(&nothing);
    [refresh(status), content(status), ages(status), accounts(status), signed(status), fetch(fetched)]
        .concat()
}

fn refresh(status: &Status) -> Vec<Metric> {
    let held = status.held.iter().map(|held| ([code(held)], 1.0));
    let users = status.held.iter().filter_map(|held| held.kind.known()).flat_map(crate::Held::users);
    let by_fetch = status.accounts.iter().flat_map(|account| &account.errors).flat_map(|error| &error.users);
    let held_users: BTreeSet<&String> = users.chain(by_fetch).collect();
    let skips = status.skips.iter().filter(|skip| !skip.is_group_of_the_source_only());
    vec![
        Metric::new("nss_iam_info", &["version", "source"])
            .with([([label(&status.version), label(&status.source)], 1.0)]),
        Metric::single("nss_iam_refresh_timestamp_seconds", at(status.time)),
        Metric::single("nss_iam_refresh_success_timestamp_seconds", at(status.succeeded)),
        Metric::single("nss_iam_refresh_exit_status", status.exit.into()),
        Metric::single("nss_iam_refresh_duration_seconds", status.seconds),
        Metric::new("nss_iam_refresh_error", &["code"])
            .with(status.error.iter().map(|error| ([code(error)], 1.0))),
        Metric::new("nss_iam_held", &["code"]).with(held),
        Metric::single("nss_iam_held_users", count(held_users.len())),
        Metric::new("nss_iam_warnings", &["code"])
            .with(status.warnings.iter().map(|warning| ([code(warning)], 1.0))),
        Metric::new("nss_iam_skipped", &["what", "code"])
            .with(skips.map(|skip| ([skip.what.to_string(), known(&skip.reason)], 1.0))),
    ]
}

fn content(status: &Status) -> Vec<Metric> {
    let users = [("active", status.users), ("disabled", status.disabled)];
    vec![
        Metric::new("nss_iam_users", &["state"])
            .with(users.map(|(state, users)| ([state.to_owned()], count(users)))),
        Metric::single("nss_iam_locks", count(status.locks)),
        Metric::single("nss_iam_groups", count(status.groups)),
        Metric::single("nss_iam_keys", count(status.keys)),
    ]
}

fn ages(status: &Status) -> Vec<Metric> {
    let confirmed = &status.confirmed;
    vec![
        Metric::single("nss_iam_users_confirmed_timestamp_seconds", at(confirmed.users)),
        Metric::single("nss_iam_keys_confirmed_oldest_timestamp_seconds", at(confirmed.oldest_keys)),
        Metric::single("nss_iam_keys_confirmed_newest_timestamp_seconds", at(confirmed.newest_keys)),
        Metric::single("nss_iam_keys_max_age_seconds", confirmed.max_age.into()),
        Metric::single("nss_iam_users_keys_too_old", count(confirmed.too_old)),
    ]
}

fn accounts(status: &Status) -> Vec<Metric> {
    let by_name: BTreeMap<String, &crate::Account> =
        status.accounts.iter().take(ACCOUNTS).map(|account| (label(&account.name), account)).collect();
    let of = |value: fn(&crate::Account) -> f64| {
        by_name.iter().map(move |(name, account)| ([name.clone()], value(account)))
    };
    let errors = status.accounts.iter().flat_map(|account| &account.errors);
    vec![
        Metric::new("nss_iam_account_users", &["account"]).with(of(|account| count(account.users))),
        Metric::new("nss_iam_account_complete", &["account"]).with(of(|account| account.complete.into())),
        Metric::new("nss_iam_account_confirmed_timestamp_seconds", &["account"])
            .with(of(|account| at(account.as_of))),
        Metric::new("nss_iam_source_errors", &["code"])
            .with(errors.map(|error| ([error.code().to_owned()], 1.0))),
    ]
}

fn signed(status: &Status) -> Vec<Metric> {
    let one = |name, value: fn(&crate::Signed) -> f64| {
        Metric::new(name, &[]).with(status.signed.iter().map(|signed| ([], value(signed))))
    };
    vec![
        one("nss_iam_listing_generation", |signed| signed.generation as f64),
        one("nss_iam_listing_issued_timestamp_seconds", |signed| at(signed.issued)),
        one("nss_iam_listing_expires_timestamp_seconds", |signed| at(signed.expires)),
    ]
}

fn fetch(fetched: &Fetched) -> Vec<Metric> {
    let by_action = |counts: &BTreeMap<String, u64>| {
        counts.iter().map(|(action, count)| ([label(action)], *count as f64)).collect::<Vec<_>>()
    };
    vec![
        Metric::single("nss_iam_fetch_timestamp_seconds", at(fetched.time)),
        Metric::single("nss_iam_fetch_success_timestamp_seconds", at(fetched.succeeded)),
        Metric::single("nss_iam_fetch_exit_status", fetched.exit.into()),
        Metric::single("nss_iam_fetch_duration_seconds", fetched.seconds),
        Metric::new("nss_iam_aws_requests_total", &["action"])
            .counter()
            .with(by_action(&fetched.totals.calls)),
        Metric::new("nss_iam_aws_throttled_total", &["action"])
            .counter()
            .with(by_action(&fetched.totals.throttled)),
    ]
}

fn code<K: Coded>(told: &Told<K>) -> String {
    known(&told.kind)
}

/// The code, if this release knows it.
fn known<K: Coded>(kind: &Kind<K>) -> String {
    kind.known().map_or("other", Coded::code).to_owned()
}

fn label(text: &str) -> String {
    printable(text).chars().take(LONGEST).collect()
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Seconds since 1970.
fn at(time: Option<Timestamp>) -> f64 {
    time.map_or(0.0, |time| time.as_second() as f64)
}

fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;
