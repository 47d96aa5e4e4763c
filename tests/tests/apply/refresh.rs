//! Both halves, as root runs them with a file: which user they run as, what they leave, what they refuse.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::{Value, json};
use tests::{CACHE, Host, LISTING, REFRESHER, files, listing, user};

use crate::{POWER, Running, stopped_at};

const SOURCE: &str = "/srv/users.json";
const FETCH: &str = "/var/lib/nss-iam-fetch";

/// ana's listing is the source, and no refresh has run yet.
fn with_source() -> Option<Host> {
    let host = Host::new()?;
    host.machine.config(&format!("[source]\nurl = \"file://{SOURCE}\"\n"));
    fs::create_dir_all("/srv").unwrap();
    put(&listing(&[user("rf-1", "ana")]));
    Some(host)
}

fn put(listing: &Value) {
    fs::write(SOURCE, listing.to_string()).unwrap();
    fs::set_permissions(SOURCE, Permissions::from_mode(0o644)).unwrap();
}

/// Inode, mode, owner, and content of a file.
type Found = (u64, u32, u32, Vec<u8>);

/// Everything that is published or stored, except the reports of the two halves.
fn kept() -> [BTreeMap<String, Found>; 2] {
    let mut kept = [files(CACHE), files(FETCH)];
    for report in ["metrics.prom", "status.json"] {
        kept[0].remove(report);
    }
    for report in ["confirmed", "listing.json", "report.json"] {
        kept[1].remove(report);
    }
    kept
}

/// The run ends with this status and message, and nothing that is published or stored has changed.
fn fails(host: &Host, words: &[&str], status: i32, why: &[&str]) {
    let before = kept();
    let ran = host.refresher(words);
    assert_eq!((ran.status, ran.out.as_str()), (Some(status), ""), "{}", ran.err);
    for why in why {
        assert!(ran.err.contains(why), "{why}: {}", ran.err);
    }
    let changed = before.iter().zip(kept()).flat_map(|(before, now)| {
        now.into_iter().filter(|(name, found)| before.get(name) != Some(found)).map(|(name, _)| name)
    });
    assert_eq!(changed.collect::<Vec<_>>(), [""; 0], "{}", ran.err);
}

#[test]
fn at_a_terminal_a_first_refresh_of_many_users_is_a_summary_unless_all_are_asked_for() {
    let Some(host) = with_source() else { return };
    let users: Vec<Value> = (0..1500).map(|n| user(&format!("rf-{n}"), &format!("user{n}"))).collect();
    put(&listing(&users));
    let shown = |words: &str| {
        let ran = host.run(&["script", "-qec", &format!("{REFRESHER} {words}"), "/dev/null"]);
        assert_eq!(ran.status, Some(0), "{}", ran.out);
        ran.out
    };
    let said = shown("");
    assert!(said.contains("changes; --verbose lists them"), "{said}");
    assert!(said.contains("published 1500 users, 1 groups, 1500 keys: +1500 "), "{said}");
    assert!(!said.contains("user 'user7'") && said.lines().count() < 5, "{said}");
    put(&listing(&[]));
    assert_eq!(shown("--force --verbose").matches("' (").count(), 1500);
}

#[test]
fn at_a_terminal_users_who_are_held_are_disabled_only_after_a_yes() {
    let Some(host) = with_source() else { return };
    let _ = host.refresher(&[]);
    put(&listing(&[]));
    let answered = |answer: &str| {
        let line = format!("printf '{answer}\\n' | script -qec {REFRESHER} /dev/null");
        let ran = host.run(&["sh", "-c", &line]);
        assert!(ran.out.contains("this disables 'ana' now. Continue? [y/N] "), "{}", ran.out);
        ran.status
    };
    assert_eq!(answered("n"), Some(65));
    assert!(host.getent("passwd", "ana").is_some());
    assert_eq!(answered("y"), Some(0));
    assert!(host.getent("passwd", "ana").is_none());
}

#[test]
fn a_refresh_from_a_file_publishes_and_the_next_one_leaves_the_cache_alone() {
    let Some(host) = with_source() else { return };
    let ran = host.refresher(&[]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(ran.out.starts_with("published 1 users, 1 groups, 1 keys: +1 -0 ~"), "{}", ran.out);
    assert!(ran.out.ends_with(" s, 0 calls\n"), "{}", ran.out);
    assert!(host.getent("passwd", "ana").is_some() && !host.keys("ana").is_empty());

    let before = files(CACHE);
    let ran = host.refresher(&[]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(ran.out.starts_with("unchanged 1 users, 1 groups, 1 keys in "), "{}", ran.out);
    assert!(files(CACHE)["cache.db"] == before["cache.db"], "not even another inode");
}

#[test]
fn json_covers_both_halves_and_equals_status_json() {
    let Some(host) = with_source() else { return };
    let report: Value = serde_json::from_str(&host.refresher(&["--json"]).out).unwrap();
    assert_eq!(report, host.status());
    for (pointer, value) in [
        ("/exit", json!(0)),
        ("/published", json!(true)),
        ("/users", json!(1)),
        ("/added", json!(1)),
        ("/skips", json!([])),
        ("/accounts/0/complete", json!(true)),
        ("/fetch/exit", json!(0)),
        ("/fetch/calls", json!({})),
        ("/fetch/failures", json!([])),
    ] {
        assert_eq!(report.pointer(pointer), Some(&value), "{pointer}");
    }
}

#[test]
fn the_fetch_half_started_by_root_runs_as_its_own_user_without_capabilities() {
    let Some(host) = with_source() else { return };
    let owner = fs::metadata(FETCH).unwrap();
    let opens_the_source = ["-P", SOURCE, "-e", "trace=openat", "-e", "inject=openat:signal=SIGSTOP"];
    stopped_at(&host, &opens_the_source, &[], |_, value| {
        for (key, id) in [("Uid", owner.uid()), ("Gid", owner.gid())] {
            assert_eq!(value(key), format!("{id} {id} {id} {id}"), "{key}");
        }
        assert_eq!((value("Groups"), value("NoNewPrivs")), (String::new(), "1".to_owned()));
        for set in POWER {
            assert_eq!(value(set), "0".repeat(16), "{set}");
        }
    });
}

#[test]
fn the_listing_belongs_to_the_fetch_half_and_nobody_else_can_read_it() {
    let Some(host) = with_source() else { return };
    assert_eq!(host.refresher(&[]).status, Some(0));
    let (listing, directory) = (fs::metadata(LISTING).unwrap(), fs::metadata(FETCH).unwrap());
    assert_eq!((listing.uid(), listing.mode() & 0o7777), (directory.uid(), 0o600));
}

#[test]
fn a_dry_run_shows_a_unified_diff_and_leaves_nothing_on_disk() {
    let Some(host) = with_source() else { return };
    let before = (files(CACHE), files(FETCH));
    let ran = host.refresher(&["--dry-run"]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(ran.out.starts_with("--- published\n+++ planned\n@@ "), "{}", ran.out);
    for line in ["+user ana:x:", "+key  ana ssh-ed25519 SHA256:", "+group ops:x:"] {
        assert!(ran.out.lines().any(|shown| shown.starts_with(line)), "{line}: {}", ran.out);
    }
    assert!((files(CACHE), files(FETCH)) == before && before.0.is_empty());

    assert_eq!(host.refresher(&[]).status, Some(0));
    assert_eq!(host.refresher(&["--dry-run"]).out, "nothing would change\n");
    put(&listing(&[user("rf-2", "bob")]));
    let before = (files(CACHE), files(FETCH));
    let shown = host.refresher(&["--dry-run"]).out;
    let starts = |text: &str| shown.lines().filter(|line| line.starts_with(text)).count();
    assert_eq!(
        (starts("-user ana:x:"), starts("+user ana:x:"), starts("+user bob:x:")),
        (1, 1, 1),
        "{shown}"
    );
    assert!(shown.contains(":/usr/sbin/nologin disabled\n"), "{shown}");
    assert!((files(CACHE), files(FETCH)) == before);
}

#[test]
fn a_dry_run_that_fails_does_not_say_that_nothing_would_change() {
    let Some(host) = with_source() else { return };
    fs::write("/etc/shells", "/bin/sh\n").unwrap();
    fails(&host, &["--dry-run"], 78, &["[users] shell '/bin/bash' is not in /etc/shells", "hint: "]);
}

#[test]
fn without_its_user_the_fetch_half_does_not_run_but_the_apply_half_does() {
    let Some(host) = with_source() else { return };
    assert_eq!(host.run(&["sed", "-i", "/^nss-iam-fetch:/d", "/etc/passwd"]).status, Some(0));
    let ran = host.refresher(&[]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(78), ""));
    let why = "error: user 'nss-iam-fetch' does not exist; nothing was done\nhint: run 'systemd-sysusers nss-iam.conf'\n";
    assert!(ran.err.starts_with(why) && ran.err.contains("there is no listing"), "{}", ran.err);
    assert!(fs::metadata(LISTING).is_err());
    fs::write(LISTING, listing(&[user("rf-1", "ana")]).to_string()).unwrap();
    let ran = host.refresher(&[]);
    assert_eq!(ran.status, Some(78), "{}", ran.err);
    assert!(ran.err.starts_with(why) && ran.err.matches("error: ").count() == 1, "{}", ran.err);
    assert!(ran.out.starts_with("published 1 users, ") && host.getent("passwd", "ana").is_some(), "{ran:?}");
}

#[test]
fn a_wrong_configuration_is_reported_with_file_and_line_and_nothing_is_lost() {
    let Some(host) = with_source() else { return };
    assert_eq!(host.refresher(&[]).status, Some(0));
    host.machine.config(&format!("[source]\nurl = \"file://{SOURCE}\"\n\n[users]\nshel = \"/bin/sh\"\n"));
    fails(&host, &[], 78, &["'/etc/nss-iam/config.toml' line 5: ", "'shel'"]);
    fails(&host, &["apply"], 78, &["'/etc/nss-iam/config.toml' line 5: ", "'shel'"]);

    host.machine.config(&format!("[source]\nurl = \"file://{SOURCE}\"\n"));
    fs::create_dir_all("/etc/nss-iam/config.d").unwrap();
    fs::write("/etc/nss-iam/config.d/50-local.toml", "\n[keys]\nmax_age = 3\n").unwrap();
    fails(&host, &[], 78, &["'/etc/nss-iam/config.d/50-local.toml' line 3: ", "max_age"]);
    fs::remove_file("/etc/nss-iam/config.d/50-local.toml").unwrap();

    fs::remove_file("/etc/nss-iam/config.toml").unwrap();
    fs::create_dir("/etc/nss-iam/config.toml").unwrap();
    fails(&host, &[], 78, &["/etc/nss-iam/config.toml"]);
    assert!(host.getent("passwd", "ana").is_some() && !host.keys("ana").is_empty());
}

#[test]
fn if_only_root_can_read_the_configuration_the_fetch_half_uses_the_last_one_that_it_could_read() {
    let Some(host) = with_source() else { return };
    assert_eq!(host.refresher(&[]).status, Some(0));
    fs::set_permissions("/etc/nss-iam/config.toml", Permissions::from_mode(0o600)).unwrap();
    put(&listing(&[user("rf-1", "ana"), user("rf-2", "bob")]));
    let ran = host.refresher(&[]);
    assert_eq!(ran.status, Some(78), "{}", ran.err);
    assert!(ran.out.starts_with("published 2 users, "), "{}", ran.out);
    let why = "cannot read '/etc/nss-iam/config.toml': Permission denied";
    assert!(ran.err.contains(why) && ran.err.contains("chmod 0644"), "{}", ran.err);
}

#[test]
fn the_fetch_half_can_read_known_db_and_others_cannot() {
    let Some(host) = with_source() else { return };
    assert_eq!(host.refresher(&[]).status, Some(0));
    let known = fs::metadata(format!("{CACHE}/known.db")).unwrap();
    assert_eq!((known.uid(), known.gid()), (0, fs::metadata(FETCH).unwrap().gid()));
    assert_eq!(known.mode() & 0o7777, 0o640);
}

#[test]
fn a_relative_path_of_the_configuration_means_the_same_file_to_both_halves() {
    let Some(host) = with_source() else { return };
    fs::rename("/etc/nss-iam/config.toml", "/srv/here.toml").unwrap();
    let line = ["sh", "-c", "cd /srv && exec /usr/libexec/nss-iam/cache-refresher --config here.toml"];
    let ran = host.run(&line);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(host.getent("passwd", "ana").is_some());
}

#[test]
fn only_root_publishes() {
    let Some(host) = with_source() else { return };
    assert_eq!(host.refresher(&[]).status, Some(0));
    let before = (files(CACHE), files(FETCH));
    for (words, done) in [(&[][..], "done"), (&["apply"], "changed"), (&["fetch"], "done")] {
        let as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", REFRESHER];
        let ran = host.run(&[&as_nobody[..], words].concat());
        assert_eq!((ran.status, ran.out.as_str()), (Some(77), ""), "{words:?}: {}", ran.err);
        let told = format!("nothing was {done}\nhint: run as root");
        assert!(ran.err.contains(&told) && !ran.err.contains("warning"), "{words:?}: {}", ran.err);
    }
    assert!((files(CACHE), files(FETCH)) == before);
}

/// As the first process of a container, which ignores signals by default (pid_namespaces(7)).
#[test]
fn a_loop_refreshes_again_and_ends_on_sigterm() {
    let Some(host) = with_source() else { return };
    let line = ["unshare", "--pid", "--fork", "--kill-child", REFRESHER, "--loop", "1s"];
    let mut outside = Running::silent(host.machine.command(&line));
    let mut times = std::collections::BTreeSet::new();
    while times.len() < 2 {
        if fs::metadata(format!("{CACHE}/status.json")).is_ok() {
            times.insert(host.status()["time"].as_str().unwrap().to_owned());
        }
        assert!(outside.0.try_wait().unwrap().is_none(), "it left");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let pid = outside.0.id();
    let first = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    assert_eq!(host.run(&["kill", "-TERM", first.trim()]).status, Some(0));
    let gone = host.run(&["timeout", "30", "tail", "-f", "/dev/null", &format!("--pid={}", first.trim())]);
    assert_eq!(gone.status, Some(0), "it is still there");
    assert_eq!(outside.0.wait().unwrap().code(), Some(0));
}

#[test]
fn what_is_in_the_way_of_known_db_is_a_warning_with_what_to_do() {
    let Some(host) = with_source() else { return };
    assert_eq!(host.refresher(&[]).status, Some(0));
    let journal = format!("{CACHE}/known.db-journal");
    fs::create_dir(&journal).unwrap();
    let ran = host.refresher(&[]);
    let why = "cannot remove the journal of '/var/lib/nss-iam/known.db': it is not a regular file\nhint: make room for it, or remove what \
               is in its way; then run 'nss-iamctl refresh'";
    assert!(ran.status == Some(0) && ran.err.contains(why), "{}", ran.err);
    fs::remove_dir(&journal).unwrap();
    put(&listing(&[user("rf-1", "ana"), user("rf-9", "zoe")]));
    let ran = host.refresher(&[]);
    assert!(ran.status == Some(0) && !ran.err.contains("known.db"), "{}", ran.err);
    let parts = cache::parts::read(format!("{CACHE}/known.db").as_ref(), cache::schema::KNOWN).unwrap();
    assert!(parts.iter().any(|(name, _)| name == "account/00000/user/rf-9"), "{parts:?}");
}
