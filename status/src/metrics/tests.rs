//! Whatever is in a report, its metrics are text that Prometheus reads, with each series once.

use std::collections::BTreeSet;

use listing::{Failure, FailureKind};
use message::Message;
use proptest::prelude::*;

use super::*;
use crate::{Account, Confirmed, Held, Part, Signed, Skip, SkipReason, Stop, Totals, Warning};

fn time(text: &str) -> Option<Timestamp> {
    Some(text.parse().unwrap())
}

fn account() -> Account {
    let failure = |kind, users: &[&str]| Failure {
        call: "iam:GetGroup".to_owned(),
        on: "Ops".to_owned(),
        cause: "why".to_owned(),
        hint: String::new(),
        kind,
        code: None,
        users: users.iter().map(|user| (*user).to_owned()).collect(),
    };
    Account {
        name: "prod".to_owned(),
        complete: true,
        as_of: time("2026-11-22T17:59:00Z"),
        users: 400,
        errors: vec![failure(FailureKind::Held, &["bob", "eve"]), failure(FailureKind::Denied, &[])],
        ..Account::default()
    }
}

/// A report with a value for each metric.
fn full() -> Status {
    let counts = |count| [("iam:GetGroup".to_owned(), count)].into();
    let users = vec!["ana".to_owned(), "bob".to_owned()];
    Status {
        time: time("2026-11-22T18:00:00Z"),
        exit: 65,
        users: 412,
        disabled: 3,
        groups: 9,
        keys: 530,
        skips: vec![
            Skip::new("", Part::Key("APKA1"), "Ana", "AIDAY", SkipReason::KeyPrivate),
            Skip::new("", Part::Key("APKA2"), "Bob", "AIDAZ", SkipReason::KeyPrivate),
            Skip::new("", Part::Group, "Jump Hosts", "AGPAX", SkipReason::NameEmpty),
        ],
        warnings: vec![Warning::NoMachineId.into()],
        held: vec![Held::NoGroups { users }.into(), Held::StateOlder.into()],
        error: Some(Told::new(Stop::ListingForm, Message::new("listing refused"))),
        accounts: vec![account()],
        fetch: Some(Fetched {
            time: time("2026-11-22T17:58:58Z"),
            succeeded: time("2026-11-22T17:53:58Z"),
            exit: 75,
            seconds: 1.5,
            totals: Totals { calls: counts(47), throttled: counts(2) },
            ..Fetched::default()
        }),
        version: "0.1.0".to_owned(),
        source: "iam".to_owned(),
        seconds: 0.25,
        succeeded: time("2026-11-22T17:00:00Z"),
        locks: 1,
        confirmed: Confirmed {
            users: time("2026-11-22T17:59:00Z"),
            oldest_keys: time("2026-11-22T12:00:00Z"),
            newest_keys: time("2026-11-22T17:59:01Z"),
            max_age: 259_200,
            too_old: 4,
        },
        signed: Some(Signed {
            fleet: "jump".to_owned(),
            generation: 1_795_370_000,
            issued: time("2026-11-22T17:50:00Z"),
            expires: time("2026-11-23T17:50:00Z"),
        }),
        ..Status::default()
    }
}

#[test]
fn the_metrics_of_a_report_are_these() {
    let text = text(&full());
    let expected = include_str!("full.prom");
    assert_eq!(text, expected);
    for metric in metrics(&full()) {
        assert!(!metric.samples.is_empty(), "{}", metric.name);
    }
    let values = values(&full());
    assert_eq!(values["nss_iam_users{state=\"active\"}"], Number::from(412));
    assert_eq!(values["nss_iam_fetch_duration_seconds"].as_f64(), Some(1.5));
    let of_text =
        expected.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0);
    assert_eq!(of_text.collect::<BTreeSet<_>>(), values.keys().map(String::as_str).collect());
}

#[test]
fn what_never_happened_is_0_and_what_is_not_there_has_no_series() {
    let text = text(&Status::default());
    for line in ["nss_iam_refresh_success_timestamp_seconds 0", "nss_iam_fetch_timestamp_seconds 0"] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    for name in [
        "nss_iam_refresh_error",
        "nss_iam_held{",
        "nss_iam_account_users",
        "nss_iam_aws_requests_total",
        "nss_iam_listing",
    ] {
        assert!(!text.contains(name), "{name}: {text}");
    }
}

/// A label's value, from the text of one line. Prometheus' own rules: `\\`, `\"` and `\n` are escapes.
fn unescaped(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '"' => return Some((value, rest.as_str())),
            '\\' => value.push(match rest.next()? {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    None
}

/// Name, labels and value of a line.
fn parsed(line: &str) -> Option<(String, Vec<String>, f64)> {
    let end = line.find(|character: char| !(character.is_ascii_lowercase() || character == '_'))?;
    let (name, mut rest) = line.split_at(end);
    let mut values = Vec::new();
    if let Some(labels) = rest.strip_prefix('{') {
        rest = labels;
        loop {
            let (_, quoted) = rest.split_once("=\"")?;
            let (value, after) = unescaped(quoted)?;
            values.push(value);
            if let Some(after) = after.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = after.strip_prefix(',')?;
        }
    }
    Some((name.to_owned(), values, rest.strip_prefix(' ')?.parse().ok()?))
}

proptest! {
    #[test]
    fn no_name_of_an_account_or_action_breaks_the_text(
        names in prop::collection::vec(prop_oneof![any::<String>(), "[\"\\\\\n{},= ]{0,70}"], 0..150),
        times in any::<(i32, i64)>(),
    ) {
        let account = |name: &String| Account {
            name: name.clone(),
            as_of: Timestamp::from_second(times.0.into()).ok(),
            ..Account::default()
        };
        let calls = names.iter().map(|name| (name.clone(), times.1.unsigned_abs())).collect();
        let totals = Totals { calls, ..Totals::default() };
        let status = Status {
            accounts: names.iter().map(account).collect(),
            fetch: Some(Fetched { totals, ..Fetched::default() }.checked()),
            version: names.first().cloned().unwrap_or_default(),
            ..Status::default()
        };
        let text = text(&status);
        let mut seen = BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, labels, _) = parsed(line).ok_or_else(|| TestCaseError::fail(line.to_owned()))?;
            prop_assert!(labels.iter().all(|label| label.chars().count() <= LONGEST), "{line}");
            prop_assert!(seen.insert((name, labels)), "twice: {line}");
        }
        prop_assert!(seen.iter().filter(|(name, _)| name == "nss_iam_account_users").count() <= ACCOUNTS);
    }
}
