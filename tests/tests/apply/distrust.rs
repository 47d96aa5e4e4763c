//! A listing is written by an unprivileged process: `apply` accepts it only if nobody else could have written it,
//! and only as a whole.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixDatagram;

use serde_json::json;
use tests::{CACHE, Host, LISTING, REFRESHER, files, listing, user};

/// ana is published, and her listing is at [`LISTING`].
fn published() -> Option<Host> {
    let host = Host::new()?;
    host.apply(&listing(&[user("di-1", "ana")]));
    Some(host)
}

/// The run ends with this status, reports the reason on stderr and in status.json, and changes nothing else.
fn refused(host: &Host, status: i32, why: &str) {
    let now = || {
        let mut files = files(CACHE);
        assert!(["metrics.prom", "status.json"].iter().all(|report| files.remove(*report).is_some()));
        files
    };
    let before = now();
    let ran = host.run(&["timeout", "60", REFRESHER, "apply"]);
    assert_eq!(ran.status, Some(status), "{why}: {}", ran.err);
    assert!(ran.err.contains(why) && ran.err.contains("nothing was changed"), "{why}: {}", ran.err);
    assert_eq!(ran.out, "");
    assert!(now() == before, "{why}");
    let told = host.status();
    assert_eq!(told["exit"], status);
    assert!(told["error"]["what"].as_str().unwrap().contains(why), "{told}");
    assert!(host.getent("passwd", "ana").is_some());
}

#[test]
fn a_listing_that_is_not_a_regular_file_is_refused_without_waiting() {
    let Some(host) = published() else { return };
    let good = fs::read(LISTING).unwrap();
    let put = |make: &dyn Fn()| {
        fs::remove_file(LISTING).unwrap();
        make();
        refused(&host, 65, "it is not a regular file");
    };
    put(&|| {
        let elsewhere = format!("{LISTING}.elsewhere");
        fs::write(&elsewhere, &good).unwrap();
        symlink(elsewhere, LISTING).unwrap();
    });
    put(&|| nix::unistd::mkfifo(LISTING, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap());
    put(&|| drop(UnixDatagram::bind(LISTING).unwrap()));
    fs::remove_file(LISTING).unwrap();
    fs::create_dir(LISTING).unwrap();
    refused(&host, 65, "it is not a regular file");
}

#[test]
fn a_listing_that_somebody_else_could_have_written_is_refused() {
    let Some(host) = published() else { return };
    let bob = listing(&[user("di-1", "ana"), user("di-2", "bob")]);
    for mode in [0o620, 0o602, 0o666] {
        host.list(&bob);
        fs::set_permissions(LISTING, Permissions::from_mode(mode)).unwrap();
        refused(&host, 65, "users other than its owner can write it");
    }
    host.list(&bob);
    chown(LISTING, Some(1000), None).unwrap();
    refused(&host, 65, "it belongs to uid 1000, not to 'nss-iam-fetch' or root");
    chown(LISTING, Some(0), None).unwrap();
    assert_eq!(host.refresher(&["apply"]).status, Some(0), "root's own");
    assert!(host.getent("passwd", "bob").is_some());
}

#[test]
fn a_document_that_is_not_a_listing_is_refused_as_a_whole() {
    let Some(host) = published() else { return };
    let mut later = listing(&[user("di-1", "ana")]);
    later["version"] = json!(2);
    let mut twice = listing(&[user("di-1", "ana"), user("di-2", "bob")]);
    twice["accounts"][0]["users"][1]["id"] = json!("di-1");
    let mut stranger = listing(&[user("di-1", "ana")]);
    stranger["accounts"][0]["groups"][0]["members"] = json!(["di-1", "di-9"]);
    let unknown = json!({"version": 1, "accounts": [], "user": []});
    let whole = listing(&[user("di-2", "bob")]).to_string();
    for (document, why) in [
        ("", "EOF while parsing"),
        ("root:x:0:0:root:/root:/bin/bash", "at line 1 column 1"),
        (&whole[..whole.len() - 1], "EOF while parsing"),
        (&later.to_string(), "listing version 2 is not 1"),
        (&twice.to_string(), "id 'di-1' occurs twice"),
        (&stranger.to_string(), "has member 'di-9', who is not among the users"),
        (&unknown.to_string(), "unknown field `user`"),
    ] {
        host.list_bytes(document.as_bytes());
        refused(&host, 65, why);
    }
}

#[test]
fn a_listing_that_is_too_large_is_refused() {
    let Some(host) = published() else { return };
    host.list_bytes(b" ");
    let file = File::options().write(true).open(LISTING).unwrap();
    file.set_len((256 << 20) + 1).unwrap();
    refused(&host, 65, "it is larger than 256 MiB");
}

#[test]
fn a_missing_listing_is_reported_with_a_remedy() {
    let Some(host) = published() else { return };
    fs::remove_file(LISTING).unwrap();
    refused(&host, 70, "there is no listing '/var/lib/nss-iam-fetch/listing.json' yet");
}
