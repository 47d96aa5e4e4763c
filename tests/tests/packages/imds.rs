//! `nss-iam-imds.service` on booted systems: its rules are in force before anything runs for an IAM user, and stay.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};
use tests::boot::Booted;

use crate::support::repository;

const V4: &str = "169.254.169.254";
const V6: &str = "fd00:ec2::254";
const UNITS: &str = "/usr/local/lib/systemd/system";
/// A shell line that prints the answer of the metadata service.
const ASK: &str = "exec 3<>/dev/tcp/169.254.169.254/80 && cat <&3";
/// As Debian's begins.
const FLUSHES: &str = "#!/usr/sbin/nft -f\nflush ruleset\n";

#[test]
fn no_guest_can_reach_the_metadata_of_a_debian_11_from_boot_to_shutdown() {
    from_boot_to_shutdown("debian11");
}

#[test]
fn no_guest_can_reach_the_metadata_of_a_debian_12_from_boot_to_shutdown() {
    from_boot_to_shutdown("debian12");
}

#[test]
fn no_guest_can_reach_the_metadata_of_a_debian_13_from_boot_to_shutdown() {
    from_boot_to_shutdown("debian13");
}

fn from_boot_to_shutdown(name: &str) {
    let Some(host) = set_up(name) else { return };
    asks_as_early_as_it_can(&host, "ana");
    asks_as_early_as_it_can(&host, "old");
    asks_as_early_as_it_can(&host, "root");
    asks_as_late_as_it_can(&host, "ana");
    for user in ["ana", "old"] {
        host.done(&format!("echo \"@reboot bash -c '{ASK}' >/tmp/cron-{user} 2>&1\" | crontab -u {user} -"));
    }
    reboot(&host);
    nobody_was_answered(&host);
    for user in ["ana", "old"] {
        host.until("cron ran the job", || host.sh(&format!("cat /tmp/cron-{user}")).1.contains("refused"));
    }

    a_user_who_gets_a_pinned_id_is_refused_too(&host);
    reboot(&host);
    let said = answered_late(&host);
    assert!(said.contains("refused") && !said.contains("role"), "{said}");
    doctors_remedies_bring_the_rules_back(&host);
    nftables_flushes_and_the_rules_stay(&host);

    host.power_off();
    // The flush at shutdown and the loading are two steps.
    let said = answered_late(&host);
    assert!(said.rfind("role") < said.rfind("refused"), "{said}");
}

/// With ana, whose id is computed, old, whose id is pinned, and a metadata service.
fn set_up(tree: &str) -> Option<Booted> {
    let host = Booted::start_apart(tree, &[V4, V6])?;
    for address in [V4, V6] {
        let server = TcpListener::bind((address, 80)).unwrap();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = server.accept() {
                let _ = stream.write_all(b"role\n");
            }
        });
    }
    repository(&host);
    host.done("apt-get install -qq -y nss-iam");
    host.write("/etc/nss-iam/config.d/source.toml", "[source]\nurl = \"file:///srv/users.json\"\n");
    host.write("/etc/nss-iam/config.d/ids.toml", "[ids]\nu-old = 1005\nu-new = 1006\nu-late = 1007\n");
    users(&host, &["ana", "old"]);
    host.done("nss-iamctl enable --imds");
    host.done("systemctl stop nss-iam-refresh.timer && systemctl start nss-iam-refresh.service");
    assert_eq!(host.done("id -u old"), "1005\n");
    Some(host)
}

/// Sets the users of the source.
fn users(host: &Booted, names: &[&str]) {
    let id = |name: &&str| format!("u-{name}");
    let users: Vec<Value> =
        names.iter().map(|name| json!({"id": id(name), "name": name, "keys": []})).collect();
    let members: Vec<String> = names.iter().map(id).collect();
    let group = json!({"id": "g-ops", "name": "Ops", "members": members});
    let listing = json!({"version": 1, "accounts": [{"groups": [group], "users": users}]});
    host.write("/srv/users.json", &listing.to_string());
}

/// systemd.special(7): units with default dependencies start after sysinit.target. This one asks repeatedly from
/// then on, and prints the answer when it changes.
fn asks_as_early_as_it_can(host: &Booted, user: &str) {
    let unit = format!(
        "[Unit]\nDefaultDependencies=no\nAfter=sysinit.target\n[Service]\nUser={user}\nTimeoutStopSec=1\n\
         ExecStart=bash -c 'while :; do now=$$( ({ASK}) 2>&1); [ \"$$now\" = \"$$then\" ] || echo \"$$now\"; then=$$now; done'\n"
    );
    host.write(&format!("{UNITS}/early-{user}.service"), &unit);
    host.done(&format!(
        "cd {UNITS} && mkdir -p basic.target.wants && ln -sf ../early-{user}.service basic.target.wants"
    ));
}

fn reboot(host: &Booted) {
    host.power_off();
    // The network continues to exist after the system.
    let flushed = Command::new("chroot").arg(host.path("/")).args(["nft", "flush", "ruleset"]).status();
    assert!(flushed.unwrap().success());
    host.boot();
    let said = host.done("journalctl --no-pager -b -o cat");
    assert!(!said.contains("ordering cycle"), "{said}");
}

/// Since the boot, no user except root got an answer.
fn nobody_was_answered(host: &Booted) {
    let said = |user: &str| host.done(&format!("journalctl --no-pager -b -o cat -u early-{user}.service"));
    for user in ["ana", "old"] {
        host.until("it asked", || said(user).contains("refused"));
        assert!(!said(user).contains("role"), "{user}: {}", said(user));
    }
    host.until("the metadata service answers root", || said("root").contains("role"));
}

fn asks(host: &Booted, user: &str) -> String {
    host.sh(&format!("setpriv --reuid $(id -u {user}) --clear-groups bash -c '{ASK}'")).1
}

fn nftables_flushes_and_the_rules_stay(host: &Booted) {
    host.write("/etc/nftables.conf", FLUSHES);
    for change in ["start", "reload", "restart", "stop", "start"] {
        host.done(&format!("systemctl {change} nftables.service"));
        for user in ["ana", "old"] {
            assert!(asks(host, user).contains("refused"), "{change}, {user}");
        }
        assert_eq!(asks(host, "root"), "role\n", "{change}");
    }
    // As in the manual, to close the gap.
    host.write("/etc/nftables.conf", &format!("{FLUSHES}include \"/run/nss-iam-imds*.nft\"\n"));
    host.done("systemctl enable nftables.service");
    reboot(host);
    for _ in 0..20 {
        host.done("systemctl reload nftables.service");
    }
    nobody_was_answered(host);
}

fn a_user_who_gets_a_pinned_id_is_refused_too(host: &Booted) {
    host.done("systemctl stop nss-iam-imds.path");
    users(host, &["ana", "old", "new"]);
    host.done("systemctl start nss-iam-refresh.service");
    assert_eq!(host.done("id -u new"), "1006\n");
    assert!(asks(host, "new").contains("refused"), "the refresh has ended, and so has its access");

    host.done("systemctl start nss-iam-imds.path");
    users(host, &["ana", "old", "new", "late"]);
    host.done("/usr/libexec/nss-iam/cache-refresher");
    assert_eq!(host.done("id -u late"), "1007\n");
    host.until("the cache that was written by hand was seen", || asks(host, "late").contains("refused"));

    // Their processes may still be running.
    users(host, &["ana", "old", "late"]);
    host.done("nss-iamctl refresh --force && systemctl reload nss-iam-imds.service");
    assert_eq!(host.sh("id new").0, Some(1));
    let asked = host.sh(&format!("setpriv --reuid 1006 --clear-groups bash -c '{ASK}'")).1;
    assert!(asked.contains("refused"), "{asked}");
}

/// Each way to remove the rules, and what doctor reports.
fn doctors_remedies_bring_the_rules_back(host: &Booted) {
    let found = || {
        let report: Value = serde_json::from_str(&host.sh("nss-iamctl doctor --json").1).unwrap();
        let all = report["findings"].as_array().unwrap().iter();
        let ours: Vec<Value> = all.filter(|found| found["check"] == "imds").cloned().collect();
        assert!(!ours.is_empty(), "{report}");
        ours[0].clone()
    };
    for (harm, told) in [
        ("nft flush ruleset", "no table"),
        ("nft flush chain inet nss_iam guests", "uids 1879048192-2147352575"),
        ("nft flush chain inet nss_iam output", "from '169.254.169.254'"),
        (
            "nft 'flush chain inet nss_iam guests; add rule inet nss_iam guests meta skuid 1879048192-2147352575 reject'",
            "('old')",
        ),
        (
            "nft 'delete table inet nss_iam; table inet nss_iam { chain output { type filter hook output priority 0; }; }'",
            "priority",
        ),
    ] {
        assert_eq!(found()["level"], "ok");
        host.done(harm);
        let finding = found();
        assert!(
            finding["level"] == "bad" && finding["what"].as_str().unwrap().contains(told),
            "{harm}: {finding}"
        );
        host.done(finding["remedy"].as_str().unwrap());
        assert!(asks(host, "old").contains("refused"), "{harm}");
    }
}

/// A process of a user that outlives its service, like a cron job, and asks until the system is gone.
fn asks_as_late_as_it_can(host: &Booted, user: &str) {
    let job = format!(
        "#!/bin/bash\ntrap '' TERM\nwhile :; do echo \"$(ls /run/stopped) $({ASK})\"; done >>/var/tmp/late 2>&1\n"
    );
    host.write("/usr/local/bin/job", &job);
    // What does not end is waited for so long, and then killed.
    host.write("/etc/systemd/system.conf.d/test.conf", "[Manager]\nDefaultTimeoutStopSec=3s\n");
    let unit = format!(
        "[Service]\nUser={user}\nType=oneshot\nRemainAfterExit=yes\nKillMode=process\n\
         ExecStart=sh -c 'setsid /usr/local/bin/job &'\nExecStopPost=+touch /run/stopped\n"
    );
    host.write(&format!("{UNITS}/late.service"), &unit);
    host.done(&format!("chmod 755 /usr/local/bin/job && ln -sf ../late.service {UNITS}/basic.target.wants"));
}

/// The answers that it got after its service had stopped.
fn answered_late(host: &Booted) -> String {
    let path = host.path("/var/tmp/late");
    let said = fs::read_to_string(&path).unwrap();
    fs::remove_file(path).unwrap();
    let late = said.find("/run/stopped ").unwrap_or_else(|| panic!("it was ended before: {said}"));
    said[late..].to_owned()
}
