//! IAM cannot be reached.

use tests::login::{JumpHost, Key};

/// Runs a refresh that cannot reach AWS; it reports this, and publishes what it already had.
fn without_iam(host: &JumpHost) {
    let ran = host.refresher(&[]).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").output().unwrap();
    assert_eq!(ran.status.code(), Some(75), "{}", tests::text(&ran.stderr));
}

fn host() -> Option<(JumpHost, Key)> {
    let host = JumpHost::start_with("[aws]\ntimeout = \"2s\"\n")?;
    let ana = host.refreshed_user("ana");
    Some((host, ana))
}

#[test]
fn logins_continue_while_iam_is_unreachable() {
    let Some((host, ana)) = host() else { return };
    without_iam(&host);
    assert_eq!(host.login("ana", &ana, "id -un"), "ana\n");
}

#[test]
fn past_max_age_logins_stop_and_the_log_says_why_until_iam_answers_again() {
    let Some((host, ana)) = host() else { return };
    host.configure("[aws]\ntimeout = \"2s\"\n[keys]\nmax_age = \"1s\"\n");
    without_iam(&host);
    host.until("the keys are older than a second", || !host.ssh("ana", &ana, "true").status.success());
    host.refused("ana", &ana);
    host.logged(&["nss-iam-keys-cmd[", "offered no key of user 'ana'", "max_age is 1 s", "hint: "]);
    host.configure("");
    host.refresh();
    host.login("ana", &ana, "true");
}
