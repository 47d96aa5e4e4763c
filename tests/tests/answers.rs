//! nss-iamctl on a private machine: what it reports about real files, through the real glibc, and what a lock does.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::{CACHE, Host, LISTING, Ran, listing, user};

const CTL: &str = "/usr/sbin/nss-iamctl";

/// ana and bob are published, with one key each.
fn host() -> Option<Host> {
    let host = Host::new()?;
    host.machine.config("groups = [\"Ops\"]\n");
    host.apply(&everyone());
    Some(host)
}

fn everyone() -> Value {
    listing(&[user("AIDAEXAMPLE", "Ana"), user("an-2", "bob")])
}

fn ctl(host: &Host, words: &[&str]) -> Ran {
    host.run(&[&[CTL], words].concat())
}

/// The findings of `why` or `doctor`, from their JSON output.
fn findings(ran: &Ran) -> Vec<(String, String)> {
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all = report["findings"].as_array().unwrap();
    all.iter().map(|finding| (text(finding, "level"), text(finding, "what"))).collect()
}

/// The finding that contains `text`, if any: its level and its remedy.
fn found(host: &Host, words: &[&str], text: &str) -> Option<(String, String)> {
    let ran = ctl(host, &[words, &["--json"]].concat());
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let all = report["findings"].as_array().unwrap();
    let finding = all.iter().find(|finding| finding["what"].as_str().unwrap().contains(text))?;
    let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    Some((text("level"), text("remedy")))
}

/// Follows a remedy: runs its command that writes a file of the configuration.
fn follow(host: &Host, remedy: &str) {
    let at = remedy.find("printf '[names.allow]").unwrap();
    let (command, _refresh) = remedy[at..].rsplit_once(" && ").unwrap();
    // As in the package.
    fs::create_dir_all("/etc/nss-iam/config.d").unwrap();
    assert_eq!(host.run(&["sh", "-c", command]).status, Some(0), "{command}");
}

#[test]
fn users_keys_ids_and_status_are_shown_from_what_is_published() {
    let Some(host) = host() else { return };
    let users = ctl(&host, &["users"]);
    assert_eq!(users.status, Some(0), "{users:?}");
    let row: Vec<&str> = users.out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["ana", "1895840708", "active", "Ana", "-", "ops", "1"]);
    let keys = ctl(&host, &["keys", "Ana"]);
    assert!(keys.out.lines().nth(1).unwrap().ends_with("  yes"), "{keys:?}");
    assert_eq!(ctl(&host, &["keys", "eve"]).status, Some(78));
    let uid = ctl(&host, &["uid", "1895840708"]);
    assert!(uid.out.starts_with("1895840708 is 'ana', user 'Ana' (AIDAEXAMPLE), active"), "{uid:?}");
    assert_eq!(ctl(&host, &["uid", "1895840707"]).status, Some(1));
    let check = ctl(&host, &["status", "--check"]);
    assert_eq!(check.status, Some(1), "{check:?}");
    assert!(
        check.out.starts_with("NSS_IAM WARNING - nobody can log in: sshd is not installed")
            && check.out.contains("| users=2;;1: able=0;;1: keys=2;;1: age="),
        "{check:?}"
    );
}

#[test]
fn without_a_cache_the_check_of_status_is_critical() {
    let Some(host) = host() else { return };
    fs::remove_file(format!("{CACHE}/cache.db")).unwrap();
    let check = ctl(&host, &["status", "--check"]);
    assert_eq!(check.status, Some(2));
    assert!(
        check
            .out
            .starts_with("NSS_IAM CRITICAL - nobody can log in: '/var/lib/nss-iam/cache.db' does not exist"),
        "{check:?}"
    );
}

/// As a user other than root.
fn as_other(host: &Host, words: &[&str]) -> Ran {
    host.run(&[&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", CTL], words].concat())
}

#[test]
fn users_other_than_root_see_what_glibc_returns_and_no_keys() {
    let Some(host) = host() else { return };
    let other = |words: &[&str]| as_other(&host, words);
    let users = other(&["users"]);
    assert_eq!(users.out.lines().next().unwrap().split_whitespace().last(), Some("GROUPS"), "{users:?}");
    let keys = other(&["keys", "ana"]);
    assert_eq!((keys.status, keys.out.as_str()), (Some(77), ""));
    assert!(keys.err.contains("sudo nss-iamctl keys ana"), "{keys:?}");
    let why = other(&["why", "ana", "--json"]);
    assert_eq!(findings(&why)[0].0, "warn", "{why:?}");
    assert!(!why.out.contains("SHA256:"), "{why:?}");
}

#[test]
fn commands_that_change_something_need_root() {
    let Some(host) = host() else { return };
    for words in
        [&["lock", "ana"][..], &["unlock", "--all"], &["clean"], &["restore", "/etc/passwd"], &["refresh"]]
    {
        assert_eq!(as_other(&host, words).status, Some(77), "{words:?}");
    }
}

#[test]
fn a_lock_takes_effect_at_once_without_a_valid_listing_but_an_unlock_needs_one() {
    let Some(host) = host() else { return };
    for broken in [None, Some("{}"), Some("")] {
        match broken {
            None => fs::remove_file(LISTING).unwrap(),
            Some(text) => host.list_bytes(text.as_bytes()),
        }
        let uid = host.passwd("ana", 2);
        let mut running = Command::new("setpriv")
            .args([&format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups", "sleep", "600"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        while !fs::read_to_string(format!("/proc/{}/comm", running.id())).unwrap().starts_with("sleep") {
            std::thread::yield_now();
        }
        let locked = ctl(&host, &["lock", "ana"]);
        assert_eq!(locked.status, Some(0), "{broken:?}: {locked:?}");
        assert!(
            locked.out.contains("locked 'ana'")
                && locked.out.contains("ended the processes of 'ana': 'sleep ("),
            "{locked:?}"
        );
        assert!(!running.wait().unwrap().success());
        assert!(host.is_disabled("ana", &uid) && host.passwd("bob", 6) == "/bin/bash");
        assert_eq!((host.keys("ana").is_empty(), host.keys("bob").is_empty()), (true, false));
        assert_eq!(host.status()["exit"], 0, "a lock is not a refresh");
        let why = ctl(&host, &["why", "ana"]);
        assert_eq!(why.status, Some(2));
        assert!(
            why.out.ends_with("hint: nss-iamctl unlock ana\n")
                && why.out.contains("locked on this host since"),
            "{why:?}"
        );

        let unlocked = ctl(&host, &["unlock", "ana"]);
        assert!(
            unlocked.err.contains("but the user stays disabled"),
            "whether IAM still has the user, nobody knows: {unlocked:?}"
        );
        host.apply(&everyone());
        assert_eq!((host.passwd("ana", 6).as_str(), host.keys("ana").is_empty()), ("/bin/bash", false));
    }
}

#[test]
fn only_root_can_read_the_list_of_locks() {
    let Some(host) = host() else { return };
    assert_eq!(ctl(&host, &["lock", "ana"]).status, Some(0));
    assert_eq!(host.run(&["stat", "-c", "%a %u", &format!("{CACHE}/locked")]).out, "600 0\n");
}

#[test]
fn everyone_is_locked_and_unlocked_again() {
    let Some(host) = host() else { return };
    let bob = host.passwd("bob", 2);
    let locked = ctl(&host, &["lock", "--all"]);
    assert!(locked.status == Some(0) && host.is_disabled("bob", &bob), "{locked:?}");
    let doctor = ctl(&host, &["doctor", "--json"]);
    assert_eq!(doctor.status, Some(2));
    assert!(
        findings(&doctor).iter().any(|(level, what)| level == "bad" && what.contains("everyone is locked")),
        "{doctor:?}"
    );
    let unlocked = ctl(&host, &["unlock", "--all"]);
    assert_eq!(unlocked.out, "unlocked everyone: 2 users may log in\n", "{unlocked:?}");
}

#[test]
fn a_name_that_nobody_has_is_not_locked() {
    let Some(host) = host() else { return };
    assert_eq!(ctl(&host, &["lock", "eve"]).status, Some(78));
    assert!(!fs::exists(format!("{CACHE}/locked")).unwrap());
}

#[test]
fn why_and_doctor_report_what_glibc_really_answers() {
    let Some(host) = host() else { return };
    let found = |words: &[&str], level: &str, text: &str| {
        let ran = ctl(&host, &[words, &["--json"]].concat());
        let findings = findings(&ran);
        assert!(
            findings.iter().any(|(is, what)| is == level && what.contains(text)),
            "{text}: {findings:#?}"
        );
    };
    found(&["why", "ana"], "ok", "'ana' is IAM user 'Ana' (AIDAEXAMPLE)");
    found(&["why", "Ana"], "ok", "'ana' resolves to uid 1895840708");
    found(&["why", "eve"], "bad", "no nss-iam user is called 'eve'");
    found(&["doctor"], "ok", "passwd, group and shadow ask 'iam'");
    fs::write("/etc/nsswitch.conf", "passwd: files\ngroup: files [SUCCESS=merge] iam\nshadow: files\n")
        .unwrap();
    found(&["why", "ana"], "bad", "'ana' does not resolve, although the module has the user");
    found(&["doctor"], "bad", "does not ask 'iam' for shadow");
    fs::write("/etc/nsswitch.conf", "passwd: files iam\ngroup: files [SUCCESS=merge] iam\nshadow: files\n")
        .unwrap();
    found(&["why", "ana"], "bad", "'ana' has no shadow entry");
    // Without the line glibc asks the services of passwd.
    fs::write("/etc/nsswitch.conf", "passwd: files iam\ngroup: files [SUCCESS=merge] iam\n").unwrap();
    found(&["why", "ana"], "warn", "no line for shadow");
    assert!(host.run(&["getent", "shadow", "ana"]).out.starts_with("ana:*:"));
    fs::write("/etc/nsswitch.conf", "passwd: files iam\ngroup: files\nshadow: files iam\n").unwrap();
    found(&["why", "ana"], "bad", "does not ask 'iam' for group");
    host.machine.nsswitch();
    fs::remove_file(tests::module()).unwrap();
    found(&["doctor"], "bad", "libnss_iam.so.2 is in none of the directories");
    found(&["why", "ana"], "bad", "the module does not answer for 'ana'");
}

#[test]
fn a_unit_that_runs_as_a_published_user_is_bad_until_it_is_allowed() {
    let Some(host) = host() else { return };
    let unit = "/etc/systemd/system/bobs.service";
    fs::create_dir_all("/etc/systemd/system").unwrap();
    fs::write(unit, "[Service]\nUser=bob\nExecStart=/bin/true\n").unwrap();
    let text = format!("IAM user 'bob' is the user of 'bobs.service' ('{unit}')");
    let (level, remedy) = found(&host, &["doctor"], &text).unwrap();
    assert_eq!(level, "bad");
    assert_eq!(found(&host, &["why", "bob"], &text).unwrap().0, "warn", "it does not prevent a login");
    host.apply(&everyone());
    assert_eq!(
        found(&host, &["doctor"], &text).unwrap(),
        (level, remedy.clone()),
        "once, the report's included"
    );
    follow(&host, &remedy);
    assert_eq!(found(&host, &["doctor"], &text), None, "before a refresh");
    host.apply(&everyone());
    assert_eq!(found(&host, &["doctor"], &text), None);
    let allowed = "'bob' is the user of 'bobs.service'";
    assert_eq!(found(&host, &["doctor"], allowed).unwrap().0, "ok");
}

#[test]
fn a_service_that_is_not_installed_is_a_note_and_one_that_cannot_be_asked_is_bad_until_it_is_excluded() {
    let Some(host) = host() else { return };
    let module = tests::module().with_file_name("libnss_ldap.so.2");
    let _ = fs::remove_file(&module);
    let conf = fs::read_to_string("/etc/nsswitch.conf").unwrap();
    fs::write("/etc/nsswitch.conf", conf.replace("passwd: files", "passwd: files ldap")).unwrap();
    let absent = "nsswitch.conf names the service 'ldap', whose module is not installed";
    assert_eq!(found(&host, &["doctor"], absent).unwrap().0, "ok");
    fs::write(&module, "no module").unwrap();
    let text = "service 'ldap' of nsswitch.conf cannot be asked: ";
    let (level, remedy) = found(&host, &["doctor"], text).unwrap();
    assert!(level == "bad" && remedy.contains("repair it"), "{remedy}");
    let exclude = "nss-iamctl enable --exclude ldap";
    assert!(remedy.contains(exclude), "{remedy}");
    host.list(&listing(&[user("AIDAEXAMPLE", "Ana"), user("an-2", "bob"), user("an-3", "zoe")]));
    assert_eq!(host.refresher(&["apply"]).status, Some(65));
    let (level, remedy) = found(&host, &["why", "zoe"], "'zoe' cannot be given: service 'ldap'").unwrap();
    assert!(level == "bad" && remedy.contains(exclude), "{remedy}");
    host.machine.config("groups = [\"Ops\"]\n[names]\nexclude = [\"ldap\"]\n");
    assert_eq!(host.refresher(&["apply"]).status, Some(0));
    assert!(!host.keys("zoe").is_empty());
    assert_eq!(found(&host, &["doctor"], text), None);
    assert_eq!(found(&host, &["doctor"], "because of [names] exclude: 'ldap'").unwrap().0, "ok");
}

#[test]
fn a_refused_newcomer_gets_in_by_following_the_remedy_literally() {
    let Some(host) = host() else { return };
    fs::write("/etc/group", fs::read_to_string("/etc/group").unwrap() + "team-x:x:7777:zoe\n").unwrap();
    fs::create_dir_all("/etc/sudoers.d").unwrap();
    fs::write("/etc/sudoers.d/gina", "gina ALL=(root) /usr/bin/id\n").unwrap();
    let users = [("an-3", "zoe"), ("an-4", "gina"), ("an-5", "wwwrun")];
    let all = listing(&users.map(|(id, name)| user(id, name)));
    host.apply(&all);
    for ((_, name), reason) in users.iter().zip(["a member of 'team-x'", "in a sudo rule", "reserved"]) {
        let (level, remedy) = found(&host, &["why", name], &format!("'{name}' is {reason}")).unwrap();
        assert_eq!(level, "bad");
        follow(&host, &remedy);
        assert_eq!(host.getent("passwd", name), None);
    }
    host.apply(&all);
    for (_, name) in users {
        assert!(!host.keys(name).is_empty(), "{name}: {}", host.status());
    }
    // The other way: what the host grants to the name is removed.
    let all = listing(&[user("an-3", "zoe"), user("an-4", "gina"), user("an-6", "eve")]);
    fs::write("/etc/group", fs::read_to_string("/etc/group").unwrap() + "team-y:x:7778:eve\n").unwrap();
    host.apply(&all);
    let (_, remedy) = found(&host, &["why", "eve"], "'eve' is a member of 'team-y'").unwrap();
    assert!(remedy.contains("gpasswd -d eve team-y"), "{remedy}");
    assert_eq!(host.run(&["gpasswd", "-d", "eve", "team-y"]).status, Some(0));
    host.apply(&all);
    assert!(!host.keys("eve").is_empty());
}

#[test]
fn a_lost_state_is_bad_before_and_after_the_refresh_that_rebuilds_it() {
    let Some(host) = host() else { return };
    assert_eq!(found(&host, &["doctor"], "state.db"), None);
    fs::remove_file(format!("{CACHE}/state.db")).unwrap();
    let (level, remedy) = found(&host, &["doctor"], "state.db' lacks").unwrap();
    assert!(level == "bad" && remedy.contains("newer copy"), "{remedy}");
    host.list(&everyone());
    assert_eq!(host.refresher(&["apply"]).status, Some(65));
    host.apply(&everyone());
    let (level, remedy) = found(&host, &["doctor"], "state.db' was lost, and was rebuilt").unwrap();
    assert!(level == "bad" && remedy.contains("nss-iamctl users --all"), "{remedy}");
}

#[test]
fn clean_removes_everything_but_the_configuration() {
    let Some(host) = host() else { return };
    let refused = ctl(&host, &["clean"]);
    assert_eq!(refused.status, Some(78), "there is no terminal to ask: {refused:?}");
    assert!(host.getent("passwd", "ana").is_some());
    let cleaned = ctl(&host, &["clean", "--yes"]);
    assert_eq!(cleaned.status, Some(0), "{cleaned:?}");
    assert!(!fs::exists(LISTING).unwrap() && fs::read_dir(CACHE).unwrap().next().is_none(), "{cleaned:?}");
    assert!(fs::exists("/etc/nss-iam/config.toml").unwrap());
    assert_eq!(host.getent("passwd", "ana"), None);
}

#[test]
fn a_backup_is_restored_and_a_file_that_is_none_is_refused() {
    let Some(host) = host() else { return };
    let ana = host.getent("passwd", "ana");
    for name in ["cache.db", "keys.db"] {
        fs::rename(format!("{CACHE}/{name}"), format!("/root/{name}")).unwrap();
    }
    for name in ["cache.db", "keys.db"] {
        let restored = ctl(&host, &["restore", &format!("/root/{name}")]);
        assert_eq!(restored.status, Some(0), "{restored:?}");
    }
    assert_eq!(host.getent("passwd", "ana"), ana);
    assert!(!host.keys("ana").is_empty());
    let refused = ctl(&host, &["restore", "/etc/passwd"]);
    assert_eq!(refused.status, Some(78), "{refused:?}");
}

#[test]
fn refresh_runs_the_refresher_and_passes_on_arguments_and_status() {
    let Some(host) = host() else { return };
    let source = "/srv/users.json";
    fs::create_dir_all("/srv").unwrap();
    fs::write(source, listing(&[user("AIDAEXAMPLE", "Ana")]).to_string()).unwrap();
    host.machine.config(&format!("[source]\nurl = \"file://{source}\"\n"));
    let held = ctl(&host, &["refresh", "--dry-run"]);
    assert_eq!((held.status, held.out.contains("-user bob:")), (Some(65), false), "another source: {held:?}");
    let dry = ctl(&host, &["refresh", "--dry-run", "--force"]);
    assert!(dry.out.contains("-user bob:"), "{dry:?}");
    let json = ctl(&host, &["refresh", "--json", "--force"]);
    let report: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.status, &report["removed"]), (Some(0), &json!(1)), "{json:?}");
    host.machine.config("no such key\n");
    assert_eq!(ctl(&host, &["refresh"]).status, Some(78));
}
