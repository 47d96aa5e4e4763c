//! AppArmor in force.

use serde_json::Value;
use tests::vm::Vm;

use crate::support::{found, installed};

/// What the lines of denials of our files are searched for.
const OURS: &str = "nss.iam|libnss_iam|keys-cmd|cache-refresher|forward-only|cache\\.db|keys\\.db";

/// The denials so far.
fn denials(vm: &Vm) -> String {
    vm.sh("(cat /var/log/audit/audit.log; journalctl -k -o cat) | grep 'apparmor=.DENIED'").1
}

#[test]
fn a_program_that_was_confined_before_the_installation_sees_the_users_and_a_purge_leaves_nothing() {
    let Some((vm, _)) = installed() else { return };
    assert_eq!(vm.done("grep ^lookup /sys/kernel/security/apparmor/profiles"), "lookup (enforce)\n");
    assert!(vm.done("lookup passwd ana").contains(":/home/ana:"));
    vm.done("lookup group ops && lookup initgroups ana");
    assert_ne!(vm.sh("lookup shadow ana; lookup shadow root").0, Some(0), "its profile does not allow it");
    assert!(denials(&vm).contains("/etc/shadow"), "denials are seen: {}", denials(&vm));
    let ours = |vm: &Vm| vm.sh(&format!("grep -E '{OURS}' <<'END'\n{}\nEND", denials(vm))).1;
    assert_eq!(ours(&vm), "");
    assert!(!found(&vm, "nss-iamctl doctor").contains(&"apparmor-denied".to_owned()));

    // Without the line that the package adds, the same program sees nobody.
    let line = "/etc/apparmor.d/abstractions/nameservice.d/nss-iam";
    vm.done(&format!("mv {line} /root/line && systemctl reload apparmor.service"));
    assert_ne!(vm.sh("lookup passwd ana").0, Some(0));
    assert!(ours(&vm).contains("/var/lib/nss-iam/cache.db"));
    vm.done(&format!("mv /root/line {line}"));

    vm.done("rm /etc/nss-iam/config.d/source.toml && dpkg --purge nss-iam");
    assert_ne!(vm.sh("lookup passwd ana").0, Some(0));
    vm.done("lookup passwd root");
    let left =
        vm.done("find / -xdev \\( -name '*nss*iam*' -o -name 'imds*' \\) ! -path '/srv/*' ! -path '/tmp/*'");
    assert_eq!(left, "");
    assert_eq!(
        vm.sh("grep -rl nss-iam /etc/apparmor.d /etc/pam.d /etc/ssh /etc/systemd /etc/nsswitch.conf").1,
        ""
    );
    assert_ne!(vm.sh("nft list table inet nss_iam").0, Some(0));
}

/// A profile that does not include `abstractions/nameservice`.
const BARE: &str = "abi <abi/3.0>,\ninclude <tunables/global>\nprofile bare /usr/local/bin/bare {\n  include <abstractions/base>\n  \
                    /usr/local/bin/bare mr,\n  /etc/nsswitch.conf r,\n  /etc/passwd r,\n  include if exists <local/usr.local.bin.bare>\n}\n";

#[test]
fn each_way_of_the_remedy_of_a_denial_ends_it() {
    let Some((vm, _)) = installed() else { return };
    let remedy = |vm: &Vm| {
        let report: Value = serde_json::from_str(&vm.sh("nss-iamctl doctor --json").1).unwrap();
        let all = report["findings"].as_array().unwrap();
        let denied = all.iter().find(|found| found["code"] == "apparmor-denied")?;
        Some(denied["remedy"].as_str().unwrap().to_owned())
    };
    // The line of the package came after the profile was loaded.
    let line = "/etc/apparmor.d/abstractions/nameservice.d/nss-iam";
    vm.done(&format!("mv {line} /root/line && systemctl reload apparmor.service"));
    assert_ne!(vm.sh("lookup passwd ana").0, Some(0));
    vm.done(&format!("cp /root/line {line}"));
    let said = remedy(&vm).unwrap();
    let (reload, ways) = said.split_once("; if it is still denied: ").unwrap();
    let [include, add] = ["include <abstractions/nameservice>", "/var/lib/nss-iam/cache.db r,"];
    assert!(ways.contains(include) && ways.contains(add) && ways.ends_with("and reload again"), "{ways}");
    vm.done(reload);
    vm.done("lookup passwd ana");
    assert_eq!(remedy(&vm), None);

    // Neither way needs the other.
    let profile = "/etc/apparmor.d/usr.local.bin.bare";
    vm.write(profile, BARE);
    vm.done("cp /usr/bin/getent /usr/local/bin/bare");
    for way in [
        format!("echo '{add}' >/etc/apparmor.d/local/usr.local.bin.bare"),
        format!("rm /etc/apparmor.d/local/usr.local.bin.bare && sed -i '/^profile/a {include}' {profile}"),
    ] {
        vm.done(reload);
        if vm.sh("test -e /etc/apparmor.d/local/usr.local.bin.bare").0 != Some(0) {
            assert_ne!(vm.sh("bare passwd ana").0, Some(0));
            assert_eq!(remedy(&vm).as_deref(), Some(said.as_str()));
        }
        vm.done(&way);
        vm.done(reload);
        vm.done("bare passwd ana");
        assert_eq!(remedy(&vm), None);
    }
}
