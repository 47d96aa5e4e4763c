//! sssd or its server is down, or hangs: who gets in, and what `doctor`, `why` and `status --check` say.

use nix::sys::signal::Signal::{SIGCONT, SIGKILL, SIGSTOP};

use crate::support::Beside;

/// Longer than nss-iamctl waits, and shorter than sshd does.
const SECONDS: u32 = 20;
/// sudo and cron ask the same account stage.
const SUDO: &str = "sudo -n id -un";

#[test]
fn with_sssd_down_doctor_and_why_say_who_refuses_and_their_remedy_lets_users_of_iam_in() {
    let Some((beside, ana)) = Beside::enabled(&["--sudo", "nopasswd"]) else { return };
    let host = &beside.host;
    let admin = host.user_in("bea", &[tests::login::GROUP, tests::login::ADMINS]);
    host.refresh();
    assert_eq!(host.login("bea", &admin, SUDO), "root\n");
    let may = beside.finding(&["doctor"], "pam-may-refuse").unwrap();
    assert_eq!(
        (may.level.as_str(), may.what.as_str()),
        (
            "warn",
            "'pam_sss' in '/etc/pam.d/common-account' refuses nss-iam users of sshd, sudo, cron, su while its service does \
             not answer"
        )
    );
    beside.stop_sssd();
    assert!(!beside.gets_in("ana", &ana, SECONDS));
    assert!(beside.gets_in("ubuntu", &beside.ubuntu, SECONDS), "a local user");
    assert!(!beside.says_logins_work());
    for words in [&["doctor"][..], &["why", "ana"]] {
        let now = beside.finding(words, "pam-unavailable").unwrap();
        assert!(
            now.level == "bad" && now.what.contains("'pam_sss' in '/etc/pam.d/common-account'"),
            "{now:?}"
        );
        assert!(
            now.remedy
                == format!(
                    "systemctl restart sssd; or, so that nss-iam users do not need it: {}",
                    may.remedy
                )
        );
    }
    host.done(&["sh", "-c", &may.remedy]);
    assert!(beside.gets_in("ana", &ana, SECONDS));
    assert_eq!(host.login("bea", &admin, SUDO), "root\n");
    assert!(beside.says_logins_work());
    for (words, code) in [
        (&["doctor"][..], "pam-may-refuse"),
        (&["doctor"], "pam-unavailable"),
        (&["why", "ana"], "pam-unavailable"),
    ] {
        assert_eq!(beside.finding(words, code), None);
    }
    // What an upgrade of libpam-sss, or of nss-iam, runs.
    host.done(&["pam-auth-update", "--package"]);
    assert!(beside.gets_in("ana", &ana, SECONDS));
    beside.start_sssd();
    assert!(beside.gets_in("dana", &beside.dana, SECONDS) && beside.by_password("dana").is_some());
    assert!(beside.gets_in("ana", &ana, SECONDS) && beside.says_logins_work());
    // Whom sssd refuses stays out.
    beside.write_sssd_conf("access_provider = simple\nsimple_deny_users = dana\n");
    beside.restart_sssd_cold();
    host.refused("dana", &beside.dana);
    assert!(beside.gets_in("ana", &ana, SECONDS));
}

#[test]
fn once_sssd_is_restarted_nothing_is_left() {
    let Some((beside, ana)) = Beside::enabled(&[]) else { return };
    beside.stop_sssd();
    assert!(!beside.says_logins_work());
    beside.start_sssd();
    assert!(beside.gets_in("ana", &ana, SECONDS) && beside.says_logins_work());
    assert_eq!(beside.finding(&["doctor"], "pam-unavailable"), None);
}

/// A program hangs: nobody of IAM gets in, and `doctor`, `why` and `status --check` say so, and what to do.
fn holds_logins(program: &str, options: &[&str], code: &str) {
    let Some((beside, ana)) = Beside::enabled(options) else { return };
    beside.signal(program, SIGSTOP);
    assert!(!beside.gets_in("ana", &ana, SECONDS), "{program} {options:?}");
    assert!(!beside.says_logins_work(), "{program} {options:?}");
    let found = beside.finding(&["why", "ana"], code).unwrap();
    assert!(found.level == "bad" && found.remedy.contains("systemctl restart sssd"), "{found:?}");
    beside.signal(program, SIGCONT);
    beside.restart_sssd_cold();
    assert!(beside.gets_in("ana", &ana, 2 * SECONDS) && beside.says_logins_work());
}

#[test]
fn while_sssd_nss_hangs_nobody_of_iam_gets_in_and_lookup_waits_says_so() {
    holds_logins("sssd_nss", &[], "lookup-waits");
}

/// sshd takes the groups of the local user who runs keys-cmd, for whom glibc asks every service.
#[test]
fn while_sssd_nss_hangs_nobody_of_iam_gets_in_even_with_iam_before_it() {
    holds_logins("sssd_nss", &["--before-directories"], "lookup-waits");
}

#[test]
fn while_sssd_pam_hangs_nobody_of_iam_gets_in_and_pam_no_answer_says_so() {
    holds_logins("sssd_pam", &["--before-directories"], "pam-no-answer");
}

/// sssd does without its server after a few seconds.
#[test]
fn while_the_server_hangs_or_is_down_everybody_gets_in() {
    let Some((beside, ana)) = Beside::enabled(&[]) else { return };
    beside.signal("slapd", SIGSTOP);
    assert!(beside.gets_in("ana", &ana, 4 * SECONDS));
    assert!(beside.gets_in("dana", &beside.dana, 4 * SECONDS));
    assert!(beside.says_logins_work());
    beside.signal("slapd", SIGKILL);
    assert!(beside.gets_in("ana", &ana, 4 * SECONDS) && beside.says_logins_work());
}
