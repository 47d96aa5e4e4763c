//! Which state is which level for monitoring, and that text and JSON agree.

use super::{judge, summary, text};
use crate::fixtures::{MACHINE, NOW, published};
use crate::host::published::{Published, Trouble};
use crate::say::finding::Level;
use listing::{Failure, FailureKind};
use message::Message;
use serde_json::json;
use status::{Held, Kind, Locked, Stop, Told, Warning};

fn judged(now: i64, change: impl Fn(&mut Published)) -> (Option<Level>, String) {
    let mut published = published();
    change(&mut published);
    let summary = summary(&published, MACHINE, now);
    let verdict = (summary.level, summary.code, summary.because.clone());
    assert_eq!(verdict, judge(&published, &summary, MACHINE));
    (summary.level, summary.because)
}

#[test]
fn a_fresh_cache_is_fine() {
    assert_eq!(judged(NOW, |_| ()), (Some(Level::Ok), "1 user, 1 key, confirmed 60 s ago".to_owned()));
}

#[test]
fn what_an_administrator_should_look_at_is_a_warning() {
    let warns = |now, why: &str, change: &dyn Fn(&mut Published)| {
        let (level, because) = judged(now, change);
        assert!(level == Some(Level::Warn) && because.contains(why), "{level:?}: {because}");
    };
    warns(NOW + 3541, "nothing was confirmed for 60 min", &|_| ());
    warns(NOW, "5 of 9", &|published| {
        let users = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        published.status.as_mut().unwrap().held = vec![Held::TooMany { users, of: 9, percent: 50 }.into()];
    });
    warns(NOW, "refused", &|published| {
        let error = Told::new(Stop::ListingForm, Message::new("refused").with_hint("x"));
        published.status.as_mut().unwrap().error = Some(error);
    });
    warns(NOW, "status 75", &|published| published.status.as_mut().unwrap().exit = 75);
    warns(NOW, "report cannot be read", &|published| published.status = Err(Trouble::Missing));
    warns(NOW, "iam:GetGroup on 'Ops' failed: AccessDenied", &|published| {
        let [call, on, cause, hint] = ["iam:GetGroup", "Ops", "AccessDenied", ""].map(str::to_owned);
        let failure =
            Failure { call, on, cause, hint, kind: FailureKind::Denied, code: None, users: Vec::new() };
        published.listing.as_mut().unwrap().accounts[0].errors.push(failure);
    });
}

#[test]
fn what_keeps_people_out_is_critical_and_what_cannot_be_seen_is_unknown() {
    let critical = |now, why: &str, change: &dyn Fn(&mut Published)| {
        let (level, because) = judged(now, change);
        assert!(level == Some(Level::Bad) && because.contains(why), "{level:?}: {because}");
    };
    critical(NOW + 259_200, "no key is offered", &|_| ());
    critical(NOW, "machine-id", &|published| published.keys.as_mut().unwrap().machine_id.clear());
    critical(NOW, "cache.db cannot be used: it is missing", &|published| {
        published.cache = Err(Trouble::Missing)
    });
    critical(NOW, "keys.db cannot be used", &|published| published.keys = Err(Trouble::Missing));
    critical(NOW, "everyone is locked", &|published| published.locked = Ok(Locked::parse("*")));
    assert_eq!(judged(NOW, |published| published.cache = Err(Trouble::Denied)).0, None);
    // Without root, keys.db cannot be read, and only the report is available.
    let others = |published: &mut Published| {
        published.keys = Err(Trouble::Denied);
        published.listing = Err(Trouble::Denied);
    };
    assert_eq!(judged(NOW, others), (Some(Level::Ok), "1 user, 1 key, confirmed 60 s ago".to_owned()));
    assert_eq!(judged(NOW + 4000, others).0, Some(Level::Warn));
}

#[test]
fn programs_are_told_codes() {
    let mut published = published();
    let status = published.status.as_mut().unwrap();
    let users = vec!["ana".to_owned()];
    status.held = vec![Held::TooMany { users, of: 1, percent: 50 }.into()];
    status.warnings = vec![Warning::NoMachineId.into()];
    let json = serde_json::to_value(summary(&published, MACHINE, NOW)).unwrap();
    assert_eq!((&json["level"], &json["code"]), (&json!("warn"), &json!("held-too-many")));
    assert_eq!(json["held"][0]["code"], "held-too-many");
    assert_eq!(json["held"][0]["details"], json!({"users": ["ana"], "of": 1, "percent": 50}));
    assert_eq!(json["warnings"][0]["code"], "no-machine-id");
    assert_eq!(json["warnings"][0]["hint"], "run 'systemd-machine-id-setup'");
    assert_eq!(json["error"], json!(null));
}

#[test]
fn people_are_told_the_numbers_and_what_is_wrong() {
    let mut published = published();
    let message = Message::new("odd \u{1b}[2J").with_hint("x");
    published.status.as_mut().unwrap().held = vec![Told { kind: Kind::Other(None), message }];
    let told = text(&summary(&published, MACHINE, NOW), NOW);
    assert!(told.starts_with("users      1 active, 1 disabled\n"), "{told}");
    assert!(told.contains("held       odd \\u{1b}[2J; hint: x\n"), "{told}");
    assert!(told.ends_with("state      odd \\u{1b}[2J; 'nss-iamctl doctor' shows details\n"), "{told}");
}
