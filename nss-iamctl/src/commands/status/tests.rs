//! Which state is which level for monitoring, and that text and JSON agree.

use super::{Summary, numbers, summary, text};
use crate::fixtures::{NOW, good, probe};
use crate::host::published::Trouble;
use crate::inspect::facts::{Facts, NoConfig};
use crate::inspect::outlook::outlook;
use crate::say::finding::Level;
use crate::say::look::Look;
use listing::{Failure, FailureKind};
use message::Message;
use serde_json::json;
use status::{Held, Kind, Locked, Stop, Told, Warning};

fn of(facts: &Facts) -> Summary {
    summary(facts, &outlook(facts, &[probe(true)]))
}

fn judged(change: impl Fn(&mut Facts)) -> (Option<Level>, String) {
    let mut facts = good();
    change(&mut facts);
    let summary = of(&facts);
    (summary.level, summary.because)
}

#[test]
fn a_fresh_cache_is_fine() {
    assert_eq!(judged(|_| ()), (Some(Level::Ok), "1 user, 1 key, confirmed 60 s ago".to_owned()));
}

#[test]
fn numbers_have_the_limits_of_a_warning_and_of_an_error() {
    let mut facts = good();
    let all = "users=1;;1: able=1;;1: keys=1;;1: age=60s;3600;259200";
    assert_eq!(numbers(&of(&facts)), all);
    facts.published.keys.as_mut().unwrap().max_age = 0;
    assert!(numbers(&of(&facts)).ends_with(" age=60s;3600"));
}

#[test]
fn what_an_administrator_should_look_at_is_a_warning() {
    let warns = |why: &str, change: &dyn Fn(&mut Facts)| {
        let (level, because) = judged(change);
        assert!(level == Some(Level::Warn) && because.contains(why), "{level:?}: {because}");
    };
    warns("nothing was confirmed for 60 min", &|facts| facts.now += 3541);
    warns("unknown key", &|facts| facts.config = Err(NoConfig::Refused(Message::new("unknown key 'x'"))));
    warns("config.toml' is missing", &|facts| facts.config = Err(NoConfig::Missing));
    warns("'nss-iam-fetch.service' ended with exit-code", &|facts| {
        facts.services[0].result = "exit-code".to_owned();
    });
    warns("there are no automatic refreshes", &|facts| {
        facts.schedule.as_mut().unwrap().0.active = "inactive".to_owned();
    });
    warns("sshd is not installed", &|facts| facts.sshd = None);
    warns("5 of 9", &|facts| {
        let users = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        facts.published.status.as_mut().unwrap().held =
            vec![Held::TooMany { users, of: 9, percent: 50 }.into()];
    });
    warns("refused", &|facts| {
        let error = Told::new(Stop::ListingForm, Message::new("refused").with_hint("x"));
        facts.published.status.as_mut().unwrap().error = Some(error);
    });
    warns("status 75", &|facts| facts.published.status.as_mut().unwrap().exit = 75);
    warns("report cannot be read", &|facts| facts.published.status = Err(Trouble::Missing));
    warns("iam:GetGroup on 'Ops' failed: AccessDenied", &|facts| {
        let [call, on, cause, hint] = ["iam:GetGroup", "Ops", "AccessDenied", ""].map(str::to_owned);
        let failure =
            Failure { call, on, cause, hint, kind: FailureKind::Denied, code: None, users: Vec::new() };
        facts.published.listing.as_mut().unwrap().accounts[0].errors.push(failure);
    });
}

#[test]
fn what_keeps_people_out_is_critical_and_what_cannot_be_seen_is_unknown() {
    let critical = |why: &str, change: &dyn Fn(&mut Facts)| {
        let (level, because) = judged(change);
        assert!(level == Some(Level::Bad) && because.contains(why), "{level:?}: {because}");
    };
    critical("keys are no longer offered", &|facts| facts.now += 259_200);
    critical("in the future", &|facts| facts.now -= 86_400);
    critical("machine-id", &|facts| facts.published.keys.as_mut().unwrap().machine_id.clear());
    critical("cache.db' does not exist", &|facts| facts.published.cache = Err(Trouble::Missing));
    critical("keys.db' does not exist", &|facts| facts.published.keys = Err(Trouble::Missing));
    critical("everyone is locked", &|facts| facts.published.locked = Ok(Locked::parse("*")));
    critical("no active user", &|facts| facts.published.cache.as_mut().unwrap().users.clear());
    critical("no user has an active SSH key", &|facts| {
        facts.published.keys.as_mut().unwrap().logins[0].keys.clear();
    });
    critical("not set up: nss-iamctl enable", &|facts| {
        facts.nsswitch = None;
        facts.sshd.as_mut().unwrap().ours = false;
    });
    assert_eq!(judged(|facts| facts.published.cache = Err(Trouble::Denied)).0, None);
    // Without root, keys.db cannot be read, and only the report is available.
    let others = |facts: &mut Facts| {
        facts.root = false;
        facts.published.keys = Err(Trouble::Denied);
        facts.published.listing = Err(Trouble::Denied);
    };
    let because =
        "1 user, 1 key, confirmed 60 s ago; keys, sshd's settings and PAM's answers are visible only to root";
    assert_eq!(judged(others), (Some(Level::Ok), because.to_owned()));
    let later = |facts: &mut Facts| {
        others(facts);
        facts.now += 4000;
    };
    assert_eq!(judged(later).0, Some(Level::Warn));
    let blind = |facts: &mut Facts| {
        others(facts);
        facts.published.status = Err(Trouble::Missing);
    };
    assert_eq!(judged(blind).0, None);
    let unread = |facts: &mut Facts| facts.config = Err(NoConfig::Denied(Message::new("x")));
    assert_eq!(judged(unread).0, Some(Level::Ok));
}

#[test]
fn programs_are_told_codes() {
    let mut facts = good();
    let status = facts.published.status.as_mut().unwrap();
    let users = vec!["ana".to_owned()];
    status.held = vec![Held::TooMany { users, of: 1, percent: 50 }.into()];
    status.warnings = vec![Warning::NoMachineId.into()];
    let json = serde_json::to_value(of(&facts)).unwrap();
    assert_eq!((&json["level"], &json["code"]), (&json!("warn"), &json!("held-too-many")));
    assert_eq!(json["held"][0]["code"], "held-too-many");
    assert_eq!(json["held"][0]["details"], json!({"users": ["ana"], "of": 1, "percent": 50}));
    assert_eq!(json["warnings"][0]["code"], "no-machine-id");
    assert_eq!(json["warnings"][0]["hint"], "run 'systemd-machine-id-setup'");
    assert_eq!(json["error"], json!(null));
}

#[test]
fn people_are_told_the_numbers_and_what_is_wrong() {
    let mut facts = good();
    let message = Message::new("odd \u{1b}[2J").with_hint("x");
    facts.published.status.as_mut().unwrap().held = vec![Told { kind: Kind::Other(None), message }];
    let told = text(&of(&facts), NOW, Look::default());
    assert!(told.starts_with("users      1 active, 1 disabled\n"), "{told}");
    assert!(told.contains("held       odd \\u{1b}[2J; hint: x\n"), "{told}");
    assert!(told.ends_with("state      odd \\u{1b}[2J; 'nss-iamctl doctor' shows details\n"), "{told}");
}

#[test]
fn a_lock_is_shown_with_who_made_it_and_no_reason_makes_a_second_line() {
    let mut facts = good();
    let list = "# lock {\"user\":\"bob\",\"at\":\"2026-11-18T08:26:40Z\",\"by\":\"carl (uid 1001)\",\"reason\":\"left\\n\\u001b[2J\"}\n\
        bob\neve\n";
    facts.published.locked = Ok(Locked::parse(list));
    let shown = text(&of(&facts), NOW, Look::default());
    let locked: Vec<&str> = shown.lines().filter(|line| line.starts_with("locked")).collect();
    let [bob, eve] = locked[..] else { panic!("{shown}") };
    assert!(bob.starts_with("locked     'bob' by carl (uid 1001), 2026-11-18T08:26:40Z ("), "{bob}");
    assert!(bob.ends_with("): left\\u{a}\\u{1b}[2J"), "{bob}");
    assert_eq!(eve, "locked     'eve'");
    let json = serde_json::to_value(of(&facts)).unwrap();
    assert_eq!(
        (&json["locked"], &json["locks"]["bob"]["by"]),
        (&json!(["bob", "eve"]), &json!("carl (uid 1001)"))
    );
}
