//! SELinux in enforcing mode, with Debian's policy.

use serde_json::Value;
use tests::vm::{Borrowed, Security, Vm};
use tests::{package, text};

/// What the lines of denials are searched for: our files, types, programs, and what a session of a user needs.
const OURS: &str = "nss.iam|libnss_iam|keys-cmd|cache-refresher|forward-only|cache\\.db|keys\\.db|mkhomedir|systemd-user-ru|comm=\"nft\"";

/// A domain that no policy knows, in which a copy of getent runs.
const LOOKUP: &str = include_str!("selinux/lookup.cil");

/// The machine with the package installed, and ana, who is an administrator.
fn set_up() -> Option<Borrowed> {
    let vm = Vm::take(Security::SeLinux)?;
    install(&vm);
    Some(vm)
}

fn install(vm: &Vm) {
    vm.write("/root/nss-iam.deb", std::fs::read(package("deb")).unwrap());
    vm.done("dpkg -i /root/nss-iam.deb");
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

/// The part of a remedy that is a command, and the command for the case that it did not help.
fn remedy(found: &Value) -> (&str, Option<&str>) {
    let remedy = found["remedy"].as_str().unwrap();
    remedy.split_once("; if it is still denied: ").map_or((remedy, None), |(first, then)| (first, Some(then)))
}

/// Carries out the one remedy of all these findings, after which there are none. Returns what is for the case that it did not help.
fn carry_out(vm: &Vm, what: &str) -> Option<String> {
    let found = findings(vm);
    let (line, then) = remedy(&found[0]);
    assert!(
        found.iter().all(|other| other["code"] == "selinux-denied" && remedy(other).0 == line),
        "{found:?}"
    );
    assert!(found.iter().any(|found| found["what"].as_str().unwrap().contains(what)), "{found:?}");
    vm.done(line);
    assert_eq!(findings(vm), Vec::<Value>::new());
    then.map(str::to_owned)
}

#[test]
fn each_remedy_of_a_denial_ends_it_and_a_purge_leaves_no_module_and_no_label() {
    let Some(vm) = set_up() else { return };
    let ana = vm.people(&["ana"]).remove("ana").unwrap();
    enable(&vm);
    let home = || text(&vm.ssh("ana", &ana, "pwd").stdout).to_owned();

    // A label of a program that is lost, as after a restore from a backup.
    vm.done("chcon -t user_home_t /usr/libexec/nss-iam/keys-cmd");
    assert_eq!(home(), "");
    let then = carry_out(&vm, "'sshd");
    assert_eq!(home(), "/home/ana\n");
    assert!(vm.done(&then.unwrap()).contains("keys-cmd"), "it shows what was denied");

    // A domain of the administrator's own.
    vm.write("/root/lookup.cil", LOOKUP);
    vm.done("cp /usr/bin/getent /usr/local/bin/lookup && semodule -i /root/lookup.cil");
    vm.done("chcon -t lookup_exec_t /usr/local/bin/lookup && /usr/local/bin/lookup passwd root");
    assert_ne!(vm.sh("/usr/local/bin/lookup passwd ana").0, Some(0));
    assert_eq!(carry_out(&vm, "'lookup'"), None);
    vm.done("/usr/local/bin/lookup passwd ana");
    assert_eq!(findings(&vm), Vec::<Value>::new());

    vm.done("dpkg -P nss-iam");
    assert_eq!(vm.sh("semodule -l | grep nss-iam").1, "");
    assert_eq!(vm.sh("ls /var/lib/nss-iam").0, Some(2));
    assert_eq!(vm.done("restorecon -nv /usr/sbin/mkhomedir_helper"), "");
    vm.done("/usr/local/bin/lookup passwd root && id root && su -s /bin/sh -c true nobody");
    assert_eq!(vm.done("getenforce"), "Enforcing\n");
    vm.done("dpkg -i /root/nss-iam.deb && semodule -l | grep -qx nss-iam");
    assert!(vm.done("ls -dZ /var/lib/nss-iam").contains(":nss_iam_cache_t:"));
}

/// While SELinux is disabled, new files get no label. Debian labels all files at the next boot, but not where enforcing mode is
/// set on the kernel's command line: it may then not read ld.so.cache, which has no label. So the administrator does it before.
#[test]
fn a_user_logs_in_where_selinux_was_switched_on_after_the_installation() {
    let Some(mut vm) = Vm::take(Security::SeLinux) else { return };
    let configured = |vm: &Vm, mode: &str| {
        vm.done(&format!("sed -i 's/^SELINUX=.*/SELINUX={mode}/' /etc/selinux/config"));
    };
    configured(&vm, "disabled");
    vm.reboot();
    assert_eq!(vm.done("getenforce"), "Disabled\n");
    install(&vm);
    let ana = vm.people(&["ana"]).remove("ana").unwrap();
    enable(&vm);
    let home = |vm: &Vm| text(&vm.ssh("ana", &ana, "pwd").stdout).to_owned();
    assert_eq!(home(&vm), "/home/ana\n");

    configured(&vm, "enforcing");
    // Quicker than all files: what has no label, and the program for which the package has one.
    let others = ["/dev", "/proc", "/run", "/sys", "/tmp", "/var/tmp"]
        .map(|path| format!("-path {path}"))
        .join(" -o ");
    vm.done(&format!(
        "find / -xdev \\( {others} \\) -prune -o -newerct \"$(uptime -s)\" -exec stat -c '%C %n' {{}} + |
         sed -n 's/^? //p' >/root/new; command -v mkhomedir_helper >>/root/new
         setfiles -F -q -f /root/new /etc/selinux/default/contexts/files/file_contexts"
    ));
    vm.done("rm /.autorelabel");
    vm.reboot();
    assert_eq!(vm.done("getenforce"), "Enforcing\n");
    assert_eq!(home(&vm), "/home/ana\n");
    vm.done("systemctl start nss-iam-refresh.service && nft list table inet nss_iam");
    assert_eq!(denials(&vm), "");
    assert_eq!(findings(&vm), Vec::<Value>::new());
}

/// docs/guide/shared-homes.md
#[test]
fn homes_that_a_refresh_creates_have_the_labels_of_the_policy_and_their_users_log_in() {
    let Some(vm) = set_up() else { return };
    let ana = vm.people(&["ana"]).remove("ana").unwrap();
    vm.write("/etc/nss-iam/config.d/50-homes.toml", "[users]\ncreate_homes = \"refresh\"\n");
    vm.done(
        "mkdir -p /etc/skel/.config/app && touch /etc/skel/.config/app/rc && ln -s .bashrc /etc/skel/.link",
    );
    enable(&vm);
    vm.until("ana has a home", || vm.sh("ls /home/ana/.config/app/rc /home/ana/.link").0 == Some(0));
    vm.until("the unit has ended", || vm.sh("systemctl is-active nss-iam-homes.service").1 == "inactive\n");
    assert_eq!(vm.done("stat -c '%U %a' /home/ana"), "ana 700\n");
    let label =
        |path: &str| vm.done(&format!("stat -c %C {path}")).trim().split(':').nth(2).unwrap().to_owned();
    assert_eq!(label("/home/ana"), "user_home_dir_t");
    assert_eq!(label("/home/ana/.bashrc"), "user_home_t");
    // For .config the policy has a type of its own, which a home from pam_mkhomedir does not have either.
    let differing = vm.done("restorecon -nRv /home/ana | grep -v '/home/ana/.config' || :");
    assert_eq!(differing, "");
    let said =
        vm.ssh("ana", &ana, "pwd; echo more >>.bashrc && touch .config/app/new && cat .link | tail -n 1");
    assert_eq!(text(&said.stdout), "/home/ana\nmore\n", "{}", text(&said.stderr));
    assert_eq!(denials(&vm), "");
    assert_eq!(findings(&vm), Vec::<Value>::new());
}
