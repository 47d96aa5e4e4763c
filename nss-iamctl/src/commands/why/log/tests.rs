//! What sshd, PAM and keys-cmd log, as worded by OpenSSH 7.4 to 9.9, and what is reported.

use config::Config;

use policy::no_key::{Hint, NoKey};

use super::{Asked, last};
use crate::inspect::facts::log::Line;
use crate::say::finding::{Finding, Level};

/// Lines of one connection, oldest first.
pub(crate) fn lines(texts: &[&str]) -> Vec<Line> {
    let line = |(index, text): (usize, &&str)| Line {
        time: format!("T{index}"),
        program: "sshd".to_owned(),
        pid: "7".to_owned(),
        text: (*text).to_owned(),
    };
    texts.iter().enumerate().map(line).collect()
}

fn asked(config: &Config) -> Asked<'_> {
    Asked {
        name: "ana",
        config,
        iam_name: "Ana",
        active: vec!["SHA256:good"],
        inactive: vec![("APKA9".to_owned(), "SHA256:old".to_owned())],
    }
}

fn told(texts: &[&str]) -> Finding {
    last(&lines(texts), &asked(&Config::default())).unwrap_or_else(|| panic!("nothing is told of {texts:?}"))
}

/// Words of the finding, and of its remedy.
fn says(texts: &[&str], what: &str, remedy: &str) {
    let found = told(texts);
    assert_eq!(found.level, Level::Warn, "{found:?}");
    assert!(found.what.contains(what), "'{what}' is not in {found:?}");
    assert!(
        found.remedy.as_ref().is_some_and(|text| text.contains(remedy)),
        "'{remedy}' is not in {found:?}"
    );
}

const CLOSED: &str = "Connection closed by authenticating user ana 10.0.0.1 port 5 [preauth]";

#[test]
fn keys_that_were_offered_are_compared_with_those_of_iam() {
    let failed = |key: &str| format!("Failed publickey for ana from 10.0.0.1 port 5 ssh2: {key}");
    let (rsa, ed) = (failed("RSA SHA256:mine"), failed("ED25519 SHA256:modern"));
    says(
        &[&rsa, CLOSED],
        "T1: offered 'SHA256:mine'; IAM has 'SHA256:good'",
        "aws iam upload-ssh-public-key --user-name Ana",
    );
    says(&[&ed, &rsa], "offered 'SHA256:mine', 'SHA256:modern'", "upload");
    says(&[&ed], "'SHA256:modern'", "takes RSA keys only");
    says(&[&ed], "'SHA256:modern'", "nss-iamctl enable --use-tag ssh-key");
    says(
        &[&failed("RSA SHA256:old")],
        "'APKA9' was offered, but is inactive",
        "--ssh-public-key-id APKA9 --status Active",
    );
    says(&[&failed("RSA SHA256:good")], "was not at the time", "try again");
    says(&[CLOSED], "offered no matching key", "LogLevel VERBOSE");
    says(&["Disconnected from authenticating user ana 10.0.0.1 port 5 [preauth]"], "gave up", "ssh-add -l");
    let invalid = "Failed publickey for invalid user ana from 10.0.0.1 port 5 ssh2: RSA SHA256:mine";
    says(&[invalid], "offered 'SHA256:mine'", "upload");
}

#[test]
fn the_reason_that_was_given_is_the_one_that_is_told() {
    for (text, what, remedy) in [
        (
            "User ana from 10.0.0.1 not allowed because not listed in AllowUsers",
            "AllowUsers",
            "nss-iamctl enable",
        ),
        ("User ana from 10.0.0.1 not allowed because listed in DenyUsers", "DenyUsers", "disabled users"),
        ("User ana not allowed because shell /bin/zsh does not exist", "/bin/zsh", "install the shell"),
        ("Invalid user ana from 10.0.0.1 port 5", "did not know the user", "does not resolve by name"),
        ("fatal: Access denied for user ana by PAM account configuration [preauth]", "PAM refused", "pam_*"),
        ("pam_unix(sshd:account): account ana has expired (account expired)", "expired", "state"),
        (
            "error: maximum authentication attempts exceeded for ana from 10.0.0.1 port 5 ssh2 [preauth]",
            "too many",
            "IdentitiesOnly",
        ),
        (
            &NoKey { why: "its keys are old".to_owned(), hint: Some(Hint::Refreshes) }.line("ana"),
            "its keys are old",
            "nss-iamctl doctor",
        ),
        (
            &NoKey::from("not a login name; hint: run x".to_owned()).line("ana"),
            "keys-cmd offered no key: not a login name; hint: run x",
            "nss-iamctl keys",
        ),
    ] {
        says(&[text, CLOSED], what, remedy);
    }
    for (text, what, remedy) in [
        (
            "error: Unsafe AuthorizedKeysCommand \"/usr/libexec/nss-iam/keys-cmd\": bad ownership or modes for directory /usr",
            "bad ownership",
            "doctor",
        ),
        ("error: AuthorizedKeysCommandUser \"nss-iam\" not found: Success", "'nss-iam'", "sysusers"),
        (
            "error: AuthorizedKeysCommand /usr/libexec/nss-iam/keys-cmd ana 1 SHA256:x failed, status 1",
            "keys-cmd failed",
            "doctor",
        ),
        (
            "userauth_pubkey: signature algorithm ssh-rsa not in PubkeyAcceptedAlgorithms [preauth]",
            "ssh-rsa",
            "SHA-1",
        ),
    ] {
        says(&[text, CLOSED], what, remedy);
    }
}

#[test]
fn a_login_that_worked_ends_the_search() {
    let accepted = "Accepted publickey for ana from 10.0.0.1 port 5 ssh2: RSA SHA256:good";
    let found = told(&["Invalid user ana from 10.0.0.1 port 5", accepted]);
    assert_eq!(
        (found.level, found.what.as_str()),
        (Level::Ok, "the last login, T1, was accepted with RSA SHA256:good")
    );
    says(
        &["User ana from x not allowed because listed in DenyUsers", accepted, CLOSED],
        "T2: the client offered no matching key",
        "",
    );
}

#[test]
fn other_users_and_other_connections_are_no_concern() {
    for text in [
        "Invalid user anastasia from ::1 port 5",
        "Failed publickey for bob from ::1 port 5 ssh2: RSA SHA256:x",
        "Server listening",
    ] {
        assert_eq!(last(&lines(&[text]), &asked(&Config::default())), None, "{text}");
    }
    let mut two = lines(&["error: Unsafe AuthorizedKeysCommand \"x\": y", CLOSED]);
    two[0].pid = "8".to_owned();
    assert!(last(&two, &asked(&Config::default())).unwrap().what.contains("no matching key"));
}
