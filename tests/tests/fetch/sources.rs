//! The source `file:///…`, which needs no AWS.

use std::fs;

use serde_json::json;

use crate::host::Host;

const FILE: &str = "/etc/nss-iam/users.json";

fn write(text: &str) {
    fs::write(FILE, text).unwrap();
}

#[test]
fn a_file_is_a_source_and_a_broken_one_changes_nothing() {
    let Some(host) = Host::seeded(&json!({})) else { return };
    host.machine.config(&format!("[source]\nurl = \"file://{FILE}\"\n"));
    let people = json!({"version": 1, "accounts": [{
        "users": [{"id": "1", "name": "ana", "keys": [{"body": "ssh-ed25519 AAAA"}]}],
        "groups": [{"id": "ops", "name": "Ops", "members": ["1"]}],
    }]});
    write(&people.to_string());
    let first = host.refresh();
    first.told(0, &[]);
    assert_eq!(first.names(), ["ana"]);
    assert_ne!(first.user("ana").confirmed, None, "its keys were read just now");
    let before = first.listing.unwrap();

    write("{\"version\": 1, \"accounts\": [");
    host.refresh()
        .told(65, &["parse on '/etc/nss-iam/users.json' failed", "kept the listing of"])
        .kept(&before);
    fs::remove_file(FILE).unwrap();
    host.refresh().told(78, &["open on '", "No such file"]).kept(&before);
    write("");
    fs::set_permissions(FILE, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    host.refresh().told(77, &["open on '", "ermission denied", "nss-iam-fetch"]).kept(&before);
    assert!(host.account.calls().is_empty());
}

#[test]
fn a_file_url_is_decoded_for_the_path_and_shown_as_written() {
    let Some(host) = Host::seeded(&json!({})) else { return };
    let url = "file://localhost/etc/nss-iam/all%20users.json";
    host.machine.config(&format!("[source]\nurl = \"{url}\"\n"));
    host.refresh().told(78, &["open on '/etc/nss-iam/all users.json' failed", "No such file"]);
    let people = json!({"version": 1, "accounts": [{"users": [{"id": "1", "name": "ana"}]}]});
    fs::write("/etc/nss-iam/all users.json", people.to_string()).unwrap();
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names(), ["ana"]);
    assert_eq!(ended.listing.unwrap().source, url);
}
