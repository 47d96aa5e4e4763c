//! Who has a name, checked by the shipped unit in its sandbox, with systemd itself as the reference.

use serde_json::json;
use tests::boot::Booted;

use crate::support::repository;

/// Users of a file source, with UserIds from their names.
fn list(host: &Booted, names: &[&str]) {
    let users: Vec<_> = names.iter().map(|name| json!({"id": format!("U-{name}"), "name": name})).collect();
    let members: Vec<_> = names.iter().map(|name| format!("U-{name}")).collect();
    let listing = json!({"version": 1, "accounts": [
        {"groups": [{"id": "g-ops", "name": "Ops", "members": members}], "users": users}]});
    host.write("/srv/users.json", &listing.to_string());
}

fn refresh(host: &Booted) -> (Option<i32>, String) {
    let ran = host.sh("systemctl start nss-iam-refresh.service");
    let status = host.done("systemctl show -P ExecMainStatus nss-iam-refresh.service");
    (status.trim().parse().ok(), ran.1 + &host.done("cat /var/lib/nss-iam/status.json"))
}

const DAEMON: &str = "[Service]\nDynamicUser=yes\nStateDirectory=backup-sync\nExecStart=/bin/sh -c 'umask 077; \
    echo token >/var/lib/backup-sync/token; exec sleep 600'\n";

#[test]
fn a_daemon_never_runs_as_a_person_and_no_person_gets_the_name_of_a_daemon() {
    let Some(host) = Booted::start("debian12") else { return };
    repository(&host);
    host.done("apt-get install -qq -y nss-iam");
    host.write("/etc/nss-iam/config.d/10-source.toml", "[source]\nurl = \"file:///srv/users.json\"\n");
    list(&host, &["ana"]);
    host.done("nss-iamctl enable");
    // The first refresh must have ended, or it would be mistaken for the next one.
    host.done("systemctl stop nss-iam-refresh.timer nss-iam-fetch.service nss-iam-refresh.service");

    host.write("/etc/systemd/system/backup-sync.service", DAEMON);
    host.write("/etc/sudoers.d/site", "dana ALL=(ALL:ALL) NOPASSWD: ALL\n");
    host.done("systemctl daemon-reload && groupadd extra && sed -i 's/^extra:.*/&gil/' /etc/group");
    list(&host, &["ana", "backup-sync", "dana", "gil", "mosca"]);
    let (status, said) = refresh(&host);
    assert_eq!(status, Some(0), "{said}");
    for words in [
        "'backup-sync' is the dynamic user of 'backup-sync.service'",
        "'dana' is in a sudo rule",
        "'gil' is a member of 'extra'",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    host.done("systemctl start backup-sync && sleep 0.5");
    let uid = host.done("stat -c %u /proc/$(systemctl show -P MainPID backup-sync)");
    assert!((61_184..=65_519).contains(&uid.trim().parse::<u32>().unwrap()), "{uid}");
    list(&host, &["ana", "mosca"]);
    refresh(&host);
    assert_eq!(host.done("systemctl is-active backup-sync"), "active\n", "it is not a user who left");

    // A package that is installed later adopts an existing account, like adduser(8) in its scripts.
    host.write("/usr/lib/systemd/system/mosca.service", "[Service]\nUser=mosca\nExecStart=sleep 600\n");
    host.done("systemctl daemon-reload");
    for _ in 0..2 {
        let (status, said) = refresh(&host);
        assert!(status == Some(0) && said.contains("mosca.service"), "{said}");
    }
    let doctor = host.sh("nss-iamctl doctor").1;
    assert!(doctor.contains("mosca.service") && doctor.contains("[names.allow]"), "{doctor}");
}
