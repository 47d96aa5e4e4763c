//! SELinux in enforcing mode, with Debian's policy.

use serde_json::Value;
use tests::vm::{Borrowed, Security, Vm};
use tests::{package, text};

/// What the lines of denials are searched for: our files, types, programs, and what a session of a user needs.
const OURS: &str = "nss.iam|libnss_iam|keys-cmd|cache-refresher|forward-only|cache\\.db|keys\\.db|mkhomedir|systemd-user-ru|comm=\"nft\"";

/// The machine with the package installed, and ana, who is an administrator.
fn set_up() -> Option<Borrowed> {
    let vm = Vm::take(Security::SeLinux)?;
    vm.write("/root/nss-iam.deb", std::fs::read(package("deb")).unwrap());
    vm.done("dpkg -i /root/nss-iam.deb");
    Some(vm)
}

fn enable(vm: &Vm) {
    vm.done("nss-iamctl enable --sudo nopasswd --local-group Ops=sudo --imds");
    vm.until("the users were read", || {
        vm.sh("systemctl start nss-iam-refresh.service && id ana").0 == Some(0)
    });
}

/// All denials since the boot that concern us.
fn denials(vm: &Vm) -> String {
    vm.sh(&format!(
        "(cat /var/log/audit/audit.log; journalctl -k -o cat) | grep 'avc:  *denied' | grep -E '{OURS}'"
    ))
    .1
}

fn findings(vm: &Vm) -> Vec<Value> {
    let report: Value = serde_json::from_str(&vm.sh("nss-iamctl doctor --json").1).unwrap();
    let all = report["findings"].as_array().unwrap().iter();
    all.filter(|found| found["check"] == "selinux").cloned().collect()
}

#[test]
fn a_user_logs_in_and_works_under_an_enforcing_policy_and_nothing_of_ours_is_denied() {
    let Some(vm) = set_up() else { return };
    let ana = vm.people(&["ana"]).remove("ana").unwrap();
    enable(&vm);
    let said = vm.ssh(
        "ana",
        &ana,
        "id -un; pwd; echo $XDG_RUNTIME_DIR; cat /proc/self/cgroup; sudo -n id -un; systemctl --user is-system-running --wait; \
         echo 'date >cron-ran' | (echo -n '* * * * * '; cat) | crontab -",
    );
    let out = text(&said.stdout);
    let uid = vm.done("id -u ana");
    let wanted = [
        "ana\n/home/ana\n".to_owned(),
        format!("/run/user/{uid}"),
        format!("/user-{}.slice/session-", uid.trim()),
        ".scope\nroot\nrunning\n".to_owned(),
    ];
    for part in wanted {
        assert!(out.contains(&part), "{part}: {out}{}", text(&said.stderr));
    }
    vm.until("cron ran ana's job", || vm.sh("ls /home/ana/cron-ran").0 == Some(0));
    vm.done("systemctl start nss-iam-fetch.service && systemctl start nss-iam-refresh.service");
    vm.done("systemctl reload nss-iam-imds.service && nft list table inet nss_iam");
    vm.done("nss-iamctl lock ana");
    assert_ne!(vm.ssh("ana", &ana, "true").status.code(), Some(0), "ana is locked");
    vm.done("nss-iamctl unlock ana");
    assert_eq!(vm.done("getenforce"), "Enforcing\n");
    assert_eq!(denials(&vm), "");
    assert_eq!(findings(&vm), Vec::<Value>::new());

    // The assertions above can fail, and the remedy works where loading the module alone does not.
    vm.done("chcon -R -t var_lib_t /var/lib/nss-iam");
    assert_ne!(vm.ssh("ana", &ana, "true").status.code(), Some(0), "sshd may not read the cache");
    assert_ne!(denials(&vm), "");
    assert_ne!(vm.sh("semodule -i /usr/share/selinux/packages/nss-iam.cil").0, Some(0));
    let found = findings(&vm);
    assert_eq!(found[0]["code"], "selinux-label", "{found:?}");
    vm.done(found[0]["remedy"].as_str().unwrap());
    assert_eq!(text(&vm.ssh("ana", &ana, "pwd").stdout), "/home/ana\n");
    assert_eq!(findings(&vm), Vec::<Value>::new());
}
