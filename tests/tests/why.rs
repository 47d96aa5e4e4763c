//! `nss-iamctl why` and `doctor` on a host with a real sshd that is broken in one way: they must name what prevents
//! the login.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use serde_json::Value;
use tests::login::{GROUP, JumpHost, Key, append};

const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-nss-iam.conf";

/// A host on which ana can log in, and her key.
fn host() -> Option<(JumpHost, Key)> {
    let host = JumpHost::start()?;
    let key = host.refreshed_user("ana");
    host.login("ana", &key, "true");
    Some((host, key))
}

/// `(level, what, remedy)` of all findings.
fn findings(host: &JumpHost, words: &[&str]) -> Vec<(String, String, String)> {
    let ran = host.machine.run(&[&["nss-iamctl"], words, &["--json"]].concat());
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all = report["findings"].as_array().unwrap();
    all.iter()
        .map(|finding| (text(finding, "level"), text(finding, "what"), text(finding, "remedy")))
        .collect()
}

fn finds(host: &JumpHost, words: &[&str], level: &str, what: &str, remedy: &str) {
    let findings = findings(host, words);
    let fits = |found: &&(String, String, String)| {
        found.0 == level && found.1.contains(what) && found.2.contains(remedy)
    };
    assert!(
        findings.iter().any(|found| fits(&found)),
        "{words:?}: {level}: {what} -> {remedy}: {findings:#?}"
    );
}

/// Asserts that both commands report it.
fn both(host: &JumpHost, level: &str, what: &str, remedy: &str) {
    finds(host, &["why", "ana"], level, what, remedy);
    finds(host, &["doctor"], level, what, remedy);
}

fn mode(path: &str, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Writes messages from syslog to the file in which they would be.
fn logged(host: &JumpHost, words: &[&str]) {
    let line = host.logged(words);
    let (_, text) = line.split_once("sshd[").unwrap();
    append("/var/log/auth.log", &format!("Nov 22 18:00:00 jump sshd[{text}\n"));
}

#[test]
fn on_a_working_host_nothing_is_broken() {
    let Some((host, _)) = host() else { return };
    for words in [&["doctor"][..], &["why", "ana"]] {
        let bad: Vec<_> = findings(&host, words).into_iter().filter(|found| found.0 == "bad").collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
    finds(&host, &["why", "ana"], "ok", "for 'ana', it asks keys-cmd, and nothing denies the login", "");
    let (status, text) = host.sh("nss-iamctl why ana");
    assert!(status < Some(2) && text.contains("verdict: nothing"), "{text}");
}

#[test]
fn a_directory_above_keys_cmd_that_others_can_write_to_is_found() {
    let Some((host, key)) = host() else { return };
    mode("/usr/libexec/nss-iam", 0o777);
    host.refused("ana", &key);
    both(&host, "bad", "'/usr/libexec/nss-iam' has mode 0777", "chmod go-w /usr/libexec/nss-iam");
    logged(&host, &["Unsafe AuthorizedKeysCommand"]);
    mode("/usr/libexec/nss-iam", 0o755);
    host.login("ana", &key, "true");
}

#[test]
fn a_drop_in_that_is_missing_overridden_not_included_or_not_loaded_yet_is_found() {
    let Some((host, key)) = host() else { return };
    let ours = fs::read_to_string(DROP_IN).unwrap();
    let main = fs::read_to_string("/etc/ssh/sshd_config").unwrap();
    let refused = |what: &str| {
        host.restart_sshd(&[]);
        host.refused("ana", &key);
        both(&host, "bad", what, "nss-iamctl enable");
    };
    fs::remove_file(DROP_IN).unwrap();
    refused("00-nss-iam.conf' is missing");
    fs::write(DROP_IN, &ours).unwrap();
    let earlier = "/etc/ssh/sshd_config.d/00-a.conf";
    fs::write(earlier, "Match User ana\nAuthorizedKeysCommand none\n").unwrap();
    refused("AuthorizedKeysCommand is 'none', not '/usr/libexec/nss-iam/keys-cmd");
    fs::remove_file(earlier).unwrap();
    fs::write("/etc/ssh/sshd_config", main.replace("Include", "#Include")).unwrap();
    refused("no Include reads");
    fs::write("/etc/ssh/sshd_config", main).unwrap();
    host.restart_sshd(&[]);
    host.login("ana", &key, "true");
    let later =
        fs::metadata("/run/sshd.pid").unwrap().modified().unwrap() + std::time::Duration::from_secs(5);
    fs::File::options().append(true).open(DROP_IN).unwrap().set_modified(later).unwrap();
    both(&host, "bad", "00-nss-iam.conf' was changed", "reload");
}

#[test]
fn an_allow_list_of_users_that_was_added_after_enable_is_found() {
    let Some((host, key)) = host() else { return };
    append("/etc/ssh/sshd_config.d/60-hard.conf", "AllowUsers root\n");
    host.restart_sshd(&[]);
    host.refused("ana", &key);
    both(&host, "bad", "AllowUsers has 'root'", "nss-iamctl enable");
    logged(&host, &["User ana from", "not listed in AllowUsers"]);
    finds(&host, &["why", "ana"], "warn", "because not listed in AllowUsers", "nss-iamctl enable");
}

#[test]
fn a_home_of_another_user_is_found() {
    let Some((host, _)) = host() else { return };
    chown("/home/ana", Some(1234), Some(1234)).unwrap();
    both(&host, "warn", "the home '/home/ana' of 'ana' belongs to uid 1234", "--from=1234");
}

#[test]
fn a_nologin_file_is_found() {
    let Some((host, key)) = host() else { return };
    fs::write("/etc/nologin", "maintenance\n").unwrap();
    host.refused("ana", &key);
    both(&host, "bad", "'/etc/nologin' exists", "rm /etc/nologin");
}

#[test]
fn a_shell_that_is_gone_is_found() {
    let Some((host, key)) = host() else { return };
    fs::rename("/bin/bash", "/bin/bash.gone").unwrap();
    let ran = host.ssh("ana", &key, "true");
    assert_eq!(ran.status.code(), Some(255));
    both(&host, "bad", "the shell '/bin/bash' of 'ana' is missing", "[users] shell");
    logged(&host, &["User ana not allowed because shell"]);
    finds(&host, &["why", "ana"], "warn", "because shell /bin/bash does not exist", "install the shell");
}

#[test]
fn a_missing_user_of_keys_cmd_is_found() {
    let Some((host, key)) = host() else { return };
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let without: String = passwd.split_inclusive('\n').filter(|line| !line.starts_with("nss-iam:")).collect();
    fs::write("/etc/passwd", without).unwrap();
    host.refused("ana", &key);
    finds(&host, &["doctor"], "bad", "system user 'nss-iam' is missing", "systemd-sysusers");
    logged(&host, &["AuthorizedKeysCommandUser", "not found"]);
}

#[test]
fn a_stale_negative_entry_of_nscd_is_found() {
    let Some((host, _)) = host() else { return };
    fs::create_dir_all("/run/nscd").unwrap();
    host.done(&["nscd"]);
    host.until("nscd answers", || fs::exists("/run/nscd/socket").unwrap());
    assert_eq!(host.machine.run(&["getent", "passwd", "zoe"]).status.code(), Some(2));
    // A refresh that cannot flush nscd.
    fs::rename("/usr/sbin/nscd", "/usr/sbin/nscd.gone").unwrap();
    let _key = host.refreshed_user("zoe");
    fs::rename("/usr/sbin/nscd.gone", "/usr/sbin/nscd").unwrap();
    finds(&host, &["why", "zoe"], "bad", "nscd has a stale negative entry for 'zoe'", "nscd -i passwd");
    host.done(&["nscd", "-i", "passwd"]);
    finds(&host, &["why", "zoe"], "ok", "'zoe' resolves to uid", "");
}

#[test]
fn a_key_that_iam_does_not_have_is_explained_by_whether_iam_accepts_its_type() {
    let Some((host, _)) = host() else { return };
    let other = host.key("other");
    host.refused("ana", &other);
    logged(&host, &["Failed publickey for ana", "RSA SHA256:"]);
    finds(
        &host,
        &["why", "ana"],
        "warn",
        "; IAM has 'SHA256:",
        "aws iam upload-ssh-public-key --user-name ana",
    );
    let file = std::path::PathBuf::from("/root/keys/modern");
    host.done(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file.to_str().unwrap()]);
    host.refused("ana", &Key { file, public: String::new() });
    fs::remove_file("/var/log/auth.log").unwrap();
    logged(&host, &["Failed publickey for ana", "ED25519 SHA256:"]);
    finds(&host, &["why", "ana"], "warn", "; IAM has 'SHA256:", "nss-iam:ssh-key");
}

#[test]
fn an_inactive_key_a_user_who_left_and_a_stranger_are_told_apart() {
    let Some((host, key)) = host() else { return };
    let body = &key.public;
    host.account.seed(
        serde_json::json!({"users": [{"name": "ivan", "keys": [{"body": body, "status": "Inactive"}]}]}),
    );
    host.account.change(serde_json::json!({"do": "add_member", "group": GROUP, "user": "ivan"}));
    host.remove_member("ana");
    host.refresh();
    host.refused("ivan", &key);
    finds(&host, &["why", "ivan"], "bad", "IAM has no active SSH key of the user", "--status Active");
    host.refused("ana", &key);
    finds(&host, &["why", "ana"], "bad", "the user left the IAM groups", "aws iam add-user-to-group");
    finds(&host, &["why", "ana"], "ok", "and does not resolve by name", "");
    host.refused("mallory", &key);
    finds(&host, &["why", "mallory"], "bad", "no nss-iam user is called 'mallory'", "add-user-to-group");
}

#[test]
fn what_the_host_grants_to_the_name_of_a_present_user_is_listed() {
    let Some((host, key)) = host() else { return };
    host.done(&["gpasswd", "-a", "ana", "adm"]);
    fs::write("/etc/sudoers.d/ana", "ana ALL=(root) /usr/bin/id\n").unwrap();
    host.done(&["sh", "-c", "echo '@daily true' | crontab -u ana -"]);
    host.refresh();
    host.login("ana", &key, "true");
    for what in [
        "'ana' is a member of 'adm' in /etc/group",
        "'ana' is in a sudo rule ('/etc/sudoers.d/ana')",
        "'ana' is the owner of a crontab ('/var/spool/cron/crontabs/ana')",
    ] {
        both(&host, "ok", what, "");
    }
}
