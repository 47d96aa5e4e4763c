//! The package itself: an upgrade, and the end.

use std::fs;
use std::path::Path;

use tests::boot::Booted;
use tests::login::GROUP;

use crate::day::{differences, host, installed, listed, types};
use crate::support::{done, package};

/// The package of the next release, whose configuration has another comment, in /srv/next.deb.
fn next(host: &Booted) {
    let work = tempfile::tempdir().unwrap();
    let root = work.path().join("root");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    done("dpkg-deb", &["-R", &path(&package("deb")), &path(&root)]);
    let control = root.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    let version = text.lines().find(|line| line.starts_with("Version: ")).unwrap();
    fs::write(&control, text.replace(version, "Version: 99.0")).unwrap();
    let config = root.join("etc/nss-iam/config.toml");
    fs::write(&config, fs::read_to_string(&config).unwrap() + "# of the next release\n").unwrap();
    let built = path(&host.path("/srv/next.deb"));
    done("dpkg-deb", &["-Zgzip", "-z1", "--root-owner-group", "-b", &path(&root), &built]);
}

#[test]
fn an_upgrade_asks_nothing_and_keeps_every_setting() {
    let Some(host) = installed() else { return };
    next(&host);
    let ana = host.user("ana");
    types(&host, &format!("nss-iamctl enable --group {GROUP} --sudo nopasswd")).exits(0);
    host.write("/etc/nss-iam/config.d/20-site.toml", "[users]\ngecos = \"Ops\"\n");
    types(&host, "nss-iamctl refresh").exits(0);
    types(&host, "nss-iamctl lock ana && nss-iamctl unlock ana").exits(0);
    assert!(host.logs_in("ana", &ana));
    let settings = || {
        let etc = listed(&host, "/etc", &["nss-iam/config.toml", "ld.so.cache", "apt/"]);
        (etc, host.done("getent passwd ana; id ana; systemctl is-enabled nss-iam-refresh.timer"))
    };
    let before = settings();
    // As in a script, without a terminal, and without the variable that would silence debconf.
    let said = types(&host, "env -u DEBIAN_FRONTEND dpkg -i /srv/next.deb <&-").exits(0);
    said.says(&["Setting up nss-iam (99.0)"]).says_not("onfiguration file");
    let after = settings();
    assert_eq!(differences(&before.0, &after.0), Vec::<String>::new());
    assert_eq!(before.1, after.1);
    types(&host, "tail -n 1 /etc/nss-iam/config.toml").exits(0).says(&["# of the next release"]);
    types(&host, "ls /etc/nss-iam").exits(0).says_not("dpkg");
    assert!(host.logs_in("ana", &ana));
    types(&host, "systemctl is-active nss-iam-refresh.timer").exits(0);
    types(&host, "nss-iamctl refresh").exits(0);
    types(&host, "nss-iamctl enable").exits(0).says(&["everything is set up already"]);
}

#[test]
fn somebody_who_edited_the_packages_file_is_asked_and_logins_work_meanwhile() {
    let Some(host) = installed() else { return };
    next(&host);
    let ana = host.user("ana");
    types(&host, &format!("nss-iamctl enable --group {GROUP}")).exits(0);
    host.done("echo '# mine' >>/etc/nss-iam/config.toml");
    types(&host, "dpkg -i /srv/next.deb <&-").exits(1).says(&["/etc/nss-iam/config.toml"]);
    assert!(host.logs_in("ana", &ana), "unpacked, but not configured");
    types(&host, "dpkg --configure -a --force-confold").exits(0);
    types(&host, "tail -n 1 /etc/nss-iam/config.toml").exits(0).says(&["# mine"]);
    assert!(host.logs_in("ana", &ana));
    types(&host, "nss-iamctl status --check").says(&["NSS_IAM"]).says_not("CRITICAL");
}

/// Written by other programs at any time, or by the test itself.
const OTHERS: [&str; 17] = [
    "ld.so.cache",
    ".pwd.lock",
    "passwd- ",
    "shadow- ",
    "group- ",
    "gshadow- ",
    "systemd/system/nss-iam-fetch.service.d",
    "cache/",
    "log/",
    "lib/dpkg/",
    "lib/apt/",
    "lib/systemd/",
    "lib/private",
    "lib/pam/seen",
    "tmp/",
    "backups/",
    "spool/cron",
];

/// Everything that a package can leave behind: files, units, users, groups, and what sshd says of a local user.
fn everything(host: &Booted) -> Vec<String> {
    let places = ["/etc", "/var", "/usr/lib", "/usr/share", "/usr/sbin", "/usr/libexec"];
    let files = places
        .map(|place| listed(host, place, &OTHERS).into_iter().map(move |line| format!("{place}/{line}")));
    let mut all: Vec<String> = files.into_iter().flatten().collect();
    for line in [
        "systemctl list-unit-files --no-pager --no-legend | awk '{print \"unit\", $1, $2}'",
        "systemctl list-units --all --plain --no-legend 'nss-iam*' | awk '{print \"loaded\", $1}'",
        "sshd -T 2>/dev/null | sed 's/^/sshd /'",
        "sshd -T -C user=carl,host=h,addr=10.0.0.1 2>/dev/null | sed 's/^/carl /'",
        "getent passwd | sed 's/^/user /'",
        "getent group | sed 's/^/group /'",
    ] {
        all.extend(host.done(line).lines().map(str::to_owned));
    }
    all
}

#[test]
fn removing_and_purging_leave_the_host_as_it_was() {
    let Some(host) = host() else { return };
    host.done("useradd -m carl");
    let ana = host.user("ana");
    let fresh = everything(&host);
    types(&host, "apt-get install -y /srv/dist/nss-iam_*.deb").exits(0);
    let installed = everything(&host);
    types(&host, &format!("nss-iamctl enable --group {GROUP} --sudo nopasswd")).exits(0);
    types(&host, "ssh ana@HOST 'touch hers'").exits(0);
    types(&host, "nss-iamctl lock ana; nss-iamctl unlock ana").exits(0);
    assert!(host.logs_in("ana", &ana));
    assert!(differences(&installed, &everything(&host)).len() > 20, "this looks where something changes");

    types(&host, "apt-get remove -y nss-iam").exits(0);
    assert!(!host.logs_in("ana", &ana));
    types(&host, "getent passwd ana").exits(2);
    let of_logins =
        ["/etc/nsswitch.conf", "/etc/pam.d", "/etc/ssh", "/etc/sudoers", "/etc/systemd", "sshd ", "carl "];
    let mut left = differences(&fresh, &everything(&host));
    left.retain(|line| of_logins.iter().any(|start| line[2..].starts_with(start)));
    assert_eq!(left, Vec::<String>::new(), "remove gives back what 'enable' changed");

    types(&host, "apt-get purge -y nss-iam").exits(0);
    let of_users =
        ["/etc/passwd ", "/etc/shadow ", "/etc/group ", "/etc/gshadow ", "user nss-iam", "group nss-iam"];
    let mut left = differences(&fresh, &everything(&host));
    left.retain(|line| !of_users.iter().any(|start| line[2..].starts_with(start)));
    assert_eq!(left, Vec::<String>::new(), "purge leaves two system users, whose ids nobody gets");
    // The home stays, and nobody owns it by name.
    types(&host, "stat -c %U /home/ana/hers").exits(0).says(&["UNKNOWN"]);
}
