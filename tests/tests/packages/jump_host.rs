//! A host that people only pass through, on a whole system: systemd starts something for each connection.

use serde_json::json;
use tests::boot::Booted;
use tests::login::{ADMINS, GROUP, Key};
use tests::text;

use crate::support::{aws, repository};

/// A unit of the user's own systemd and a timer of the user, which run something as soon as anybody connects under the name.
const UNIT: &str =
    "[Service]\nType=oneshot\nExecStart=/usr/bin/touch /tmp/ran-%u\n[Install]\nWantedBy=default.target\n";

fn leave_a_unit(host: &Booted, user: &str) {
    let directory = format!("/home/{user}/.config/systemd/user");
    host.write(&format!("{directory}/own.service"), UNIT);
    host.done(&format!("mkdir {directory}/default.target.wants"));
    host.done(&format!("ln -s ../own.service {directory}/default.target.wants/"));
    host.done(&format!("chown -R {user}: /home/{user} && chmod 700 /home/{user}"));
}

fn ran(host: &Booted, user: &str) -> bool {
    host.sh(&format!("test -e /tmp/ran-{user}")).0 == Some(0)
}

/// `ssh -W` through the host to its own sshd: the first line that it sends.
fn through(host: &Booted, user: &str, key: &Key) -> String {
    let ran = host.client(user, key, &["-W", &host.sshd()]).output().unwrap();
    text(&ran.stdout).lines().next().unwrap_or_default().to_owned()
}

/// Debian 13 as it is here has no nologin(8).
#[test]
fn people_pass_through_a_jump_host_and_nothing_of_theirs_runs_on_it() {
    let Some(host) = Booted::start("debian13") else { return };
    repository(&host);
    host.done("apt-get install -qq -y nss-iam");
    aws(&host, None);
    let (ana, bob) = (host.user("ana"), host.user("bob"));
    host.account.seed(json!({"groups": {ADMINS: []}}));
    host.account.change(json!({"do": "add_member", "group": ADMINS, "user": "bob"}));

    let said = host.done(&format!("nss-iamctl enable --group {GROUP} --forward-only --shell-group {ADMINS}"));
    assert!(said.contains("2 users may log in: 'ana', 'bob'\n"), "{said}");
    assert!(said.contains(&format!("only members of '{ADMINS}' can run commands on this host")), "{said}");
    ["ana", "bob"].iter().for_each(|user| leave_a_unit(&host, user));

    assert!(through(&host, "ana", &ana).starts_with("SSH-2.0-"), "{}", through(&host, "ana", &ana));
    let refused = host.client("ana", &ana, &[]).arg("id").output().unwrap();
    assert!(text(&refused.stderr).contains("this host runs no command for you"), "{refused:?}");
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(1), ""));
    assert!(host.logs_in("bob", &bob));
    host.until("bob's unit ran", || ran(&host, "bob"));
    assert!(!ran(&host, "ana"), "a session of hers began earlier");
    let uid = host.done("id -u ana");
    let units = host.sh(&format!(
        "systemctl --machine=ana@ --user list-units --all 'own*' --no-legend; loginctl user-status {}",
        uid.trim()
    ));
    assert!(!units.1.contains("own.service"), "{units:?}");

    host.done("nss-iamctl status --check");
    let said = host.done("nss-iamctl why ana");
    assert!(said.contains("may only forward connections through this host"), "{said}");

    host.done("nss-iamctl enable --no-forward-only && nss-iamctl refresh");
    // logind.conf(5), UserStopDelaySec: it stays for ten seconds, and starts nothing new.
    let manager = format!("systemctl is-active user@{}.service", uid.trim());
    host.until("the user manager of the first connection has ended", || host.sh(&manager).0 != Some(0));
    assert!(host.logs_in("ana", &ana));
    host.until("ana's unit ran", || ran(&host, "ana"));
}
