//! What a run reports to people: status.json, the log, the output.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use serde_json::json;
use tests::{CACHE, Host, listing, text, user};

/// Everything that was logged and not read yet, without priority and time.
fn logged(syslog: &UnixDatagram) -> Vec<String> {
    syslog.set_nonblocking(true).unwrap();
    let mut lines = Vec::new();
    let mut datagram = [0; 4096];
    while let Ok(length) = syslog.recv(&mut datagram) {
        let line = text(&datagram[..length]);
        assert!(line.starts_with("<86>") || line.starts_with("<84>"), "authpriv, info or warning: {line}");
        let (program, message) = line.split_once("]: ").unwrap();
        assert!(program.contains("nss-iam-cache-refresher["), "{line}");
        lines.push(message.trim_end().to_owned());
    }
    lines
}

#[test]
fn everyone_can_read_status_json_which_lists_who_was_skipped_and_why() {
    let Some(host) = Host::new() else { return };
    let mut key = user("rs-3", "eve");
    key["keys"][0]["body"] = json!("-----BEGIN OPENSSH PRIVATE KEY-----");
    let users = [user("rs-1", "root"), user("rs-2", "ana"), key, user("rs-4", "ana maria")];
    host.apply(&listing(&users));

    let mode = fs::metadata(format!("{CACHE}/status.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
    let status = host.status();
    assert_eq!(
        (&status["exit"], &status["users"], &status["groups"], &status["keys"]),
        (&json!(0), &json!(2), &json!(1), &json!(1))
    );
    let told: Vec<[&str; 4]> = status["skips"]
        .as_array()
        .unwrap()
        .iter()
        .map(|skip| ["what", "name", "code", "reason"].map(|field| skip[field].as_str().unwrap()))
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    let root = ["user", "root", "name-of-host-user", "'root' is a user of /etc/passwd (uid 0)"];
    assert!(told.contains(&root), "{told:?}");
    let blank = ["user", "ana maria", "name-character", "name has ' ', which no login name may have"];
    assert!(told.contains(&blank), "{told:?}");
    assert!(told.iter().any(|[what, name, code, why]| {
        (*what, *name, *code) == ("key", "eve", "key-private") && why.contains("private key")
    }));
}

#[test]
fn each_change_is_one_line_in_the_log_and_a_run_without_changes_logs_nothing() {
    let Some(host) = Host::new() else { return };
    let syslog = host.machine.syslog();
    host.apply(&listing(&[user("lg-1", "ana"), user("lg-2", "bob")]));
    let (ana, bob) = (host.passwd("ana", 2), host.passwd("bob", 2));
    let lines = logged(&syslog);
    for (name, uid) in [("ana", &ana), ("bob", &bob)] {
        let line = format!("user '{name}' ({uid}) added");
        assert_eq!(lines.iter().filter(|other| **other == line).count(), 1, "{line} in {lines:?}");
    }
    let skipped = [user("lg-1", "ana"), user("lg-3", "root")];
    host.apply(&listing(&skipped));
    let mut lines = logged(&syslog);
    lines.sort();
    let wanted = [
        format!("user 'bob' ({bob}) disabled"),
        "user 'root' skipped: 'root' is a user of /etc/passwd (uid 0)".to_owned(),
    ];
    assert_eq!(lines, wanted);
    host.apply(&listing(&skipped));
    assert_eq!(logged(&syslog), [""; 0], "already logged");
}

#[test]
fn a_listing_cannot_forge_a_line_of_the_log() {
    let Some(host) = Host::new() else { return };
    let syslog = host.machine.syslog();
    let forged = "x\nuser 'eve' (0) added\u{1b}[2J";
    let mut document = listing(&[user("fo-1", forged)]);
    document["accounts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": forged, "users": [user("fo-2", forged)]}));
    let ran = host.apply(&document);
    assert!(
        !ran.err.contains('\u{1b}') && !ran.err.lines().any(|line| line.starts_with("user 'eve'")),
        "{}",
        ran.err
    );
    for line in logged(&syslog).iter().filter(|line| line.contains("eve")) {
        assert!(line.starts_with("user 'x\\nuser") && !line.contains('\u{1b}'), "{line}");
    }
}

#[test]
fn the_summary_counts_what_changed_and_json_has_the_same_numbers() {
    let Some(host) = Host::new() else { return };
    let summary = host.apply(&listing(&[user("su-1", "ana"), user("su-2", "bob")])).out;
    assert!(summary.starts_with("published 2 users, 1 groups, 2 keys: +2 -0 ~"), "{summary}");
    assert!(summary.trim_end().ends_with(" s") && summary.lines().count() == 1, "{summary}");
    host.list(&listing(&[user("su-2", "bob"), user("su-3", "eve")]));
    let ran = host.refresher(&["apply", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    for (field, value) in
        [("published", json!(true)), ("users", json!(2)), ("disabled", json!(1)), ("exit", json!(0))]
            .into_iter()
            .chain([("added", json!(1)), ("removed", json!(1)), ("keys", json!(2)), ("groups", json!(1))])
    {
        assert_eq!(report[field], value, "{field}");
    }
    assert_eq!(report, host.status());
    assert!(host.refresher(&["apply"]).out.starts_with("unchanged 2 users, 1 groups, 2 keys in "));
}
