//! A host on which 0.1.0 ran (`cache/tests/fixtures`) is upgraded to this release, and downgraded.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use rusqlite::Connection;
use serde_json::{Value, json};
use tests::{CACHE, Host, files, repository, user};

use crate::disk::{FILLER, fill_up_to, small_disk};
use crate::killed::{LIMIT, kill_before};

const STATE: &str = "/var/lib/nss-iam/state.db";
const COPY: &str = "/var/lib/nss-iam/state.db.100";

/// A host without a cache. `removed_keep` is long because the fixture gets older.
fn host() -> Option<Host> {
    let host = Host::new()?;
    host.machine.config(
        "groups = [\"Ops\", \"Admins\"]\n[ids]\nAIDABOB = 1003\n[keys]\nmax_age = \"0\"\n[users]\nremoved_keep = \"36500d\"\n",
    );
    Some(host)
}

/// Creates only what 0.1.0 left.
fn as_0_1_0_left_it() {
    let group = fs::read_to_string("/etc/group").unwrap();
    let gid = group.lines().find_map(|line| line.strip_prefix("nss-iam:x:")?.split(':').next()?.parse().ok());
    for entry in fs::read_dir(CACHE).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (name, mode, group) in
        [("cache.db", 0o644, 0), ("keys.db", 0o640, gid.unwrap()), ("state.db", 0o600, 0)]
    {
        let path = format!("{CACHE}/{name}");
        fs::copy(repository().join("cache/tests/fixtures/0.1.0").join(name), &path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(0), Some(group)).unwrap();
    }
}

/// The last listing that 0.1.0 applied.
fn old_listing() -> Value {
    let json = fs::read(repository().join("cache/tests/fixtures/0.1.0/listing.json")).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// The same people, read now, and dan.
fn present_listing() -> Value {
    let mut listing = old_listing();
    let now = json!(jiff::Timestamp::now().to_string());
    listing["read"] = now.clone();
    let mut dan = user("AIDADAN", "dan");
    dan["confirmed"] = now.clone();
    join(&mut listing, dan);
    for account in listing["accounts"].as_array_mut().unwrap() {
        account["as_of"] = now.clone();
        for user in account["users"].as_array_mut().unwrap() {
            user["confirmed"] = now.clone();
        }
    }
    listing
}

/// Adds a member of `Ops` to the listing.
fn join(listing: &mut Value, user: Value) {
    let account = &mut listing["accounts"][0];
    account["groups"][0]["members"].as_array_mut().unwrap().push(user["id"].clone());
    account["users"].as_array_mut().unwrap().push(user);
}

/// Removes bob from the listing.
fn leave(listing: &mut Value) {
    let account = &mut listing["accounts"][0];
    for group in account["groups"].as_array_mut().unwrap() {
        group["members"].as_array_mut().unwrap().retain(|id| id != "AIDABOB");
    }
    account["users"].as_array_mut().unwrap().retain(|user| user["id"] != "AIDABOB");
}

fn version(file: &str) -> u32 {
    Connection::open(file).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

/// The users in a file, with id, home, disabled since, and keys, as text.
fn people(file: &str) -> Vec<String> {
    let db = Connection::open(file).unwrap();
    let integrity: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok", "'{file}'");
    let mut select = db
        .prepare(
            "SELECT concat_ws(' ', identity.iam_id, id, pinned, name, home, disabled, keys) FROM identity \
             LEFT JOIN user ON user.iam_id = identity.iam_id WHERE identity.iam_id != 'AIDADAN' ORDER BY id",
        )
        .unwrap();
    select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// The ids, homes, locks and keys that 0.1.0 published.
fn is_as_before(host: &Host) {
    let ana = "ana.maria@example.com";
    let line =
        |name: &str, uid: u32, shell: &str| format!("{name}:x:{uid}:{uid}:AWS User:/home/{name}:{shell}");
    for (name, uid) in [(ana, 1_879_737_969), ("bob", 1003), ("cy", 2_009_866_010)] {
        assert_eq!(host.getent("passwd", name), Some(line(name, uid, "/bin/bash")));
    }
    for (name, uid) in [("eve", 1_908_126_216_u32), ("hal", 1_982_697_966)] {
        assert_eq!(host.getent("passwd", &uid.to_string()), Some(line(name, uid, "/usr/sbin/nologin")));
        assert!(host.is_disabled(name, &uid.to_string()));
    }
    for (name, gid, members) in [("ops", 2_084_616_035_u32, ana), ("admins", 2_007_140_171, "bob")] {
        let found = host.getent("group", name).unwrap();
        assert!(found.starts_with(&format!("{name}:x:{gid}:{members}")), "{found}");
    }
    assert_eq!([ana, "bob", "cy"].map(|name| host.keys(name).lines().count()), [2, 1, 0]);
}

#[test]
fn reading_the_state_of_an_earlier_release_changes_nothing() {
    let Some(host) = host() else { return };
    as_0_1_0_left_it();
    let left = files(CACHE);
    host.list(&present_listing());
    let ran = host.refresher(&["apply", "--dry-run"]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let status = host.run(&["nss-iamctl", "users", "--all"]);
    assert!(status.out.contains("eve"), "{status:?}");
    assert!(files(CACHE) == left);
}

#[test]
fn an_upgraded_host_keeps_ids_homes_keys_and_disabled_users() {
    let Some(host) = host() else { return };
    as_0_1_0_left_it();
    let remembered = people(STATE);
    host.list(&present_listing());
    let ran = host.refresher(&["apply"]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(ran.out.contains(": +1 -0 ~0 in"), "{}", ran.out);
    is_as_before(&host);
    assert!(host.keys("dan").starts_with("ssh-ed25519"));
    assert_eq!(people(STATE), remembered);

    // Back in the group: as before.
    let mut listing = present_listing();
    join(&mut listing, user("AIDAEVE", "eve"));
    host.apply(&listing);
    let eve = "eve:x:1908126216:1908126216:AWS User:/home/eve:/bin/bash";
    assert_eq!(host.getent("passwd", "eve").as_deref(), Some(eve));
}

#[test]
fn an_upgrade_leaves_one_copy_of_the_earlier_state() {
    let Some(host) = host() else { return };
    as_0_1_0_left_it();
    let remembered = people(STATE);
    host.apply(&present_listing());
    assert_eq!((version(STATE), version(COPY)), (103, 100));
    assert_eq!(people(COPY), remembered);
    let found = fs::metadata(COPY).unwrap();
    assert_eq!((found.mode() & 0o7777, found.uid()), (0o600, 0));

    // The second time there is nothing to migrate.
    let before = files(CACHE);
    let ran = host.refresher(&["apply"]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let after = files(CACHE);
    assert!(after[&name_of(COPY)] == before[&name_of(COPY)]);
    assert!(after.keys().eq(before.keys()), "{:?}", after.keys());
}

fn name_of(path: &str) -> String {
    path.rsplit('/').next().unwrap().to_owned()
}

/// The version that a killed run left, and whether there is a copy. Read from a copy, because SQLite would roll
/// back the journal.
fn found_in_a_copy(remembered: &[String], n: u32) -> (u32, bool) {
    let directory = tempfile::tempdir().unwrap();
    for (name, (.., bytes)) in files(CACHE) {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (state, copy) = (path("state.db"), path("state.db.100"));
    assert_eq!(people(&state), remembered, "after call {n}");
    let is_copied = fs::exists(&copy).unwrap();
    if is_copied {
        assert_eq!((version(&copy), people(&copy)), (100, remembered.to_vec()), "after call {n}");
    }
    (version(&state), is_copied)
}

#[test]
fn a_killed_upgrade_leaves_the_old_or_the_new_state_and_the_next_run_succeeds() {
    let Some(host) = host() else { return };
    let listing = present_listing();
    host.list(&listing);
    as_0_1_0_left_it();
    let remembered = people(STATE);
    let mut seen = Vec::new();
    for n in 1..LIMIT {
        as_0_1_0_left_it();
        if !kill_before(&host, n) {
            is_as_before(&host);
            seen.dedup();
            assert_eq!(seen, [(100, false), (100, true), (103, true)], "the copy, and then the migration");
            return;
        }
        seen.push(found_in_a_copy(&remembered, n));
        host.apply(&listing);
        assert_eq!(people(STATE), remembered, "after call {n}");
        assert_eq!((version(STATE), version(COPY)), (103, 100), "after call {n}");
        let names: Vec<String> = files(CACHE).into_keys().collect();
        let others: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| *name != "state.db.100").collect();
        assert_eq!((others.as_slice(), names.len()), (&crate::FILES[..], 9), "after call {n}");
    }
    panic!("the calls of a run do not end");
}

#[test]
fn without_room_for_the_copy_the_old_state_stays_and_the_message_says_so() {
    let Some(host) = host() else { return };
    small_disk();
    as_0_1_0_left_it();
    let before = files(CACHE);
    host.list(&present_listing());
    fill_up_to(8 << 10);
    let ran = host.refresher(&["apply"]);
    fs::remove_file(FILLER).unwrap();
    assert_eq!((ran.status, ran.out.as_str()), (Some(70), ""), "{}", ran.err);
    let why = "cannot be copied to 'state.db.100' before it is changed: database or disk is full";
    assert!(ran.err.contains(why) && ran.err.contains("hint: make room for the copy"), "{}", ran.err);
    let mut after = files(CACHE);
    after.retain(|name, _| before.contains_key(name));
    assert!(after == before);
    assert!(!files(CACHE).keys().any(|name| name.starts_with("state.db.")), "no leftover");
    host.apply(&present_listing());
    is_as_before(&host);
}

/// Removals are published before anything is stored, and so before anything is migrated.
#[test]
fn users_who_left_are_locked_out_even_if_the_state_cannot_be_migrated() {
    let Some(host) = host() else { return };
    as_0_1_0_left_it();
    let state = files(CACHE).remove("state.db");
    fs::create_dir_all(format!("{COPY}/in-the-way")).unwrap();
    let mut listing = old_listing();
    leave(&mut listing);
    host.list(&listing);
    let ran = host.refresher(&["apply"]);
    assert_eq!(ran.status, Some(70), "{}", ran.err);
    assert!(ran.err.contains("cannot be copied to 'state.db.100'"), "{}", ran.err);
    assert!(ran.err.contains("one user who left or is locked was disabled"), "{}", ran.err);
    assert!(host.is_disabled("bob", "1003") && host.keys("bob").is_empty());
    assert_eq!(host.keys("ana.maria@example.com").lines().count(), 2);
    fs::remove_dir_all(COPY).unwrap();
    assert_eq!(files(CACHE).remove("state.db"), state);

    host.apply(&listing);
    assert!(host.is_disabled("bob", "1003"));
    assert_eq!((version(STATE), version(COPY)), (103, 100));
}

#[test]
fn a_state_of_a_later_release_is_refused_unchanged_and_the_copy_allows_a_downgrade() {
    let Some(host) = host() else { return };
    as_0_1_0_left_it();
    host.apply(&present_listing());
    // As a release with a different major version would leave it.
    Connection::open(STATE).unwrap().execute_batch("PRAGMA user_version = 200;").unwrap();
    let state = files(CACHE).remove("state.db");
    let mut listing = present_listing();
    leave(&mut listing);
    host.list(&listing);
    for words in [&["apply", "--dry-run"][..], &["apply"]] {
        let ran = host.refresher(words);
        assert_eq!((ran.status, ran.out.as_str()), (Some(70), ""), "{}", ran.err);
        let why = "cannot use '/var/lib/nss-iam/state.db': its format 200 is newer than 103, the format of this release";
        let hint = "hint: reinstall the release that wrote it, or put back the copy that it made before: \
                    systemctl stop nss-iam-refresh.timer; rm -f '/var/lib/nss-iam/state.db-journal'; \
                    cp '/var/lib/nss-iam/state.db.100' '/var/lib/nss-iam/state.db'\n";
        assert!(ran.err.contains(why) && ran.err.contains(hint), "{}", ran.err);
        assert_eq!(files(CACHE).remove("state.db"), state);
    }
    assert!(host.is_disabled("bob", "1003"), "removals take effect all the same");
    let doctor = host.run(&["nss-iamctl", "doctor"]).out;
    assert!(doctor.contains("its format 200") && doctor.contains("install the release"), "{doctor}");

    // dan is newer than the copy: the loss is reported, and nobody's id changes.
    let dan = host.passwd("dan", 2);
    File::options().write(true).truncate(true).open(STATE).unwrap();
    fs::write(STATE, fs::read(COPY).unwrap()).unwrap();
    let ran = host.refresher(&["apply"]);
    assert_eq!(ran.status, Some(65), "{}", ran.err);
    assert!(host.is_disabled("bob", "1003"));
    assert_eq!(host.passwd("dan", 2), dan);
    host.apply(&present_listing());
    is_as_before(&host);
}
