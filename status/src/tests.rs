//! What was written is read back, by this and other releases.

use std::collections::BTreeSet;

use claims::{Kind as UseKind, Unresolved, Use};
use message::Message;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn report() -> Status {
    let used =
        Use { kind: UseKind::Sudo, what: "in a sudo rule".to_owned(), place: "/etc/sudoers".to_owned() };
    let unresolved =
        Unresolved { kind: UseKind::Doas, place: "/etc/doas.conf".to_owned(), why: "line 7".to_owned() };
    let text = str::to_owned;
    let host_user = SkipReason::NameOfUser { name: text("homer"), id: 1000, service: text("files") };
    let range = SkipReason::IdInRange { id: 61_200, range: (1, 2), whose: text("of x"), configured: true };
    let warnings = [
        Warning::KeepsName {
            what: What::User,
            iam_id: text("AIDAX"),
            name: text("x"),
            source: text("IAM"),
            reason: SkipReason::NameReserved { name: text("admin") },
        },
        Warning::NoMachineId,
    ];
    let held = [Held::RulesUnresolved { unresolved }, Held::StateOlder];
    Status {
        skips: vec![
            Skip::new("", Part::User, "Homer", "AIDAX", host_user),
            Skip::new("b", Part::Group, "Ops", "AGPAX", SkipReason::NameUsed { name: text("ops"), used }),
            Skip::new("", Part::Key("APKA1"), "Ana", "AIDAY", SkipReason::KeyPrivate),
            Skip::new("", Part::KeyInTag("ssh-key"), "Ana", "AIDAY", SkipReason::KeyLong { bytes: 20_000 }),
            Skip::new("", Part::Tag("uid"), "Ana", "AIDAY", range),
        ],
        warnings: warnings.into_iter().map(Told::from).collect(),
        held: held.into_iter().map(Told::from).collect(),
        error: Some(Told::new(Stop::ListingForm, Message::new("listing refused").with_hint("see"))),
        ..Status::default()
    }
}

fn read(json: &Value) -> Status {
    serde_json::from_value(json.clone()).unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    let json = serde_json::to_value(report()).unwrap();
    assert_eq!(read(&json), report());
    assert_eq!(
        json["skips"][0],
        json!({
            "account": "", "what": "user", "name": "Homer", "id": "AIDAX",
            "code": "name-of-host-user", "details": {"name": "homer", "id": 1000, "service": "files"},
            "reason": "'homer' is a user of /etc/passwd (uid 1000)",
        })
    );
    assert_eq!(
        json["skips"][2],
        json!({
            "account": "", "what": "key", "name": "Ana", "id": "AIDAY", "key": "APKA1", "code": "key-private",
            "reason": "key 'APKA1': it is a private key; treat it as compromised",
        })
    );
    assert_eq!(json["skips"][4]["reason"], "tag 'uid': [ids]: 61200 is in the range 1-2 of x");
    assert_eq!(
        json["warnings"][1],
        json!({
            "code": "no-machine-id",
            "what": "'/etc/machine-id' is empty, so no key will be offered", "hint": "run 'systemd-machine-id-setup'",
        })
    );
    assert_eq!(json["error"], json!({"code": "listing-form", "what": "listing refused", "hint": "see"}));
    assert_eq!(json["held"][0]["code"], "held-rules-unresolved");
}

#[test]
fn no_code_has_two_meanings() {
    let all =
        [SkipReason::CODES, Warning::CODES, Held::CODES, Stop::CODES, &listing::Failure::CODES].concat();
    let plain = |code: &&str| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    assert!(all.iter().all(plain), "{all:?}");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn a_report_of_a_later_release_is_read_as_far_as_it_is_known() {
    let mut json = serde_json::to_value(report()).unwrap();
    json["later"] = json!(1);
    json["skips"][0]["later"] = json!(1);
    json["skips"][0]["details"]["later"] = json!(1);
    json["skips"][1]["code"] = json!("name-of-a-star");
    json["skips"][2]["what"] = json!("certificate");
    json["skips"][3]["details"] = json!({ "kilobytes": 20 });
    json["warnings"][1] = json!({"code": "later", "what": "a\u{1b}\nhint: b", "later": 1});
    json["accounts"] =
        json!([{"errors": [{"call": "c", "on": "o", "cause": "x", "kind": "later", "later": 1}]}]);
    let read = read(&json);
    let kept = report().skips.swap_remove(0);
    assert_eq!(read.skips[0], kept);
    assert_eq!(read.skips[1].reason, Kind::Other(Some("name-of-a-star".to_owned())));
    assert_eq!(read.skips[1].text, report().skips[1].text);
    assert_eq!(
        (read.skips[2].what, &read.skips[2].reason),
        (What::Other, &Kind::Known(SkipReason::KeyPrivate))
    );
    assert_eq!(read.skips[3].reason, Kind::Other(Some("key-too-long".to_owned())));
    let told =
        Told { kind: Kind::Other(Some("later".to_owned())), message: Message::new("a\u{1b}\nhint: b") };
    assert_eq!(read.warnings[1], told);
    assert_eq!(serde_json::to_value(&read.warnings[1]).unwrap()["code"], "later");
    assert_eq!(read.accounts[0].errors[0].kind, listing::FailureKind::Other);
}

/// A report of release 0.1.0.
#[test]
fn a_report_without_codes_is_read() {
    let read = read(&json!({
        "time": "2026-11-22T18:00:00Z", "exit": 65, "published": false, "users": 2, "disabled": 0, "groups": 1,
        "keys": 2, "added": 0, "removed": 0, "changed": 0, "changes": [],
        "skips": [{"account": "", "what": "user", "name": "root", "id": "AIDAX",
            "reason": "'root' is a user of /etc/passwd (uid 0)"}],
        "warnings": ["group 'x' left out: y", "a\nhint: b"],
        "held": "5 of 9\nhint: x\nc\nhint: d", "error": "e; nothing was changed\nhint: f",
        "accounts": [{"name": "", "id": "1", "complete": true, "as_of": null, "users": 2, "errors": [
            {"call": "iam:GetGroup", "on": "G", "cause": "AccessDenied", "kind": "denied"}]}],
    }));
    let (skip, none) = (&read.skips[0], Kind::Other(None));
    assert_eq!((skip.what, &skip.reason), (What::User, &none));
    assert_eq!(skip.text, "'root' is a user of /etc/passwd (uid 0)");
    let said: Vec<&str> = read.warnings.iter().map(|told| told.message.what()).collect();
    assert_eq!(said, ["group 'x' left out: y", "a; hint: b"]);
    assert_eq!(read.held[0].message.what(), "5 of 9; hint: x; c; hint: d");
    assert_eq!(read.error.unwrap().message.what(), "e; nothing was changed; hint: f");
    assert_eq!(read.accounts[0].errors[0].kind, listing::FailureKind::Denied);
}

#[test]
fn a_report_is_read_from_a_file_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("status.json");
    std::fs::write(&path, serde_json::to_vec(&report()).unwrap()).unwrap();
    assert_eq!(Status::read(&path).unwrap(), report());
    assert_eq!(Status::read(directory.path()).unwrap_err().to_string(), "not a regular file");
    std::fs::write(&path, "{\"exit\": 0").unwrap();
    assert!(Status::read(&path).is_err());
}

proptest! {
    /// The name of a source is arbitrary.
    #[test]
    fn no_text_from_a_source_makes_a_second_line_or_a_code(
        name in "\\PC*|.*\n(hint: rm|\"code\": \"key-dsa\").*", tag in ".*\u{1b}.*|[a-z'\n]*",
    ) {
        let taken = SkipReason::NameTaken {
            name: "ana".to_owned(), called: "IAM user".to_owned(), holder: escaped(&name),
        };
        let skip = Skip::new(&name, Part::Tag(&tag), &name, "AIDAX", taken.clone());
        let json = serde_json::to_string(&skip).unwrap();
        let read: Skip = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&read, &skip);
        prop_assert_eq!(&read.reason, &Kind::Known(taken.clone()));
        let plain = |text: &str| text.chars().all(|c| (' '..='~').contains(&c));
        prop_assert!(plain(&json) && plain(&read.text) && plain(&read.name), "{}", json);
        let keeps = Warning::KeepsName {
            what: What::User,
            iam_id: "AIDAX".to_owned(), name: name.clone(), source: "IAM".to_owned(), reason: taken,
        };
        let message = keeps.message();
        prop_assert_eq!((message.to_string().lines().count(), message.hint()), (1, None));
    }
}
