//! Homes on file systems with limits of their own: quotas, and a server that does not trust this host's root.

use std::time::{Duration, Instant};

use tests::text;

use crate::support::{found, installed};

#[test]
fn a_quota_of_a_user_is_set_by_name_and_stops_only_that_user() {
    let Some((vm, keys)) = installed() else { return };
    vm.done(
        "truncate -s 64M /srv/home.img && mkfs.ext4 -q -O quota -E quotatype=usrquota /srv/home.img && \
         mount -o loop,usrquota /srv/home.img /home && setquota -u ana 1024 2048 0 0 /home",
    );
    let fills = |name: &str| {
        let ran = vm.ssh(name, &keys[name], "LC_ALL=C head -c 5M /dev/zero >~/data; id -un");
        format!("{}{}", text(&ran.stdout), text(&ran.stderr))
    };
    let (ana, bob) = (fills("ana"), fills("bob"));
    assert!(ana.contains("Disk quota exceeded") && ana.contains("ana\n"), "{ana}");
    assert_eq!(bob, "bob\n");
    let report = vm.done("repquota -u /home");
    assert!(report.lines().any(|line| line.starts_with("ana  ") && line.contains(" 2048 ")), "{report}");
    assert!(text(&vm.ssh("ana", &keys["ana"], "quota").stdout).contains("user ana "));
}

/// exports(5): with root_squash, root of this host is nobody on the server, so `pam_mkhomedir` cannot create homes.
#[test]
fn homes_on_an_nfs_server_that_does_not_trust_root_are_created_by_the_server_and_delay_no_login() {
    let Some((vm, keys)) = installed() else { return };
    vm.write("/etc/exports", "/srv/nfs 127.0.0.1(rw,root_squash,no_subtree_check,fsid=0)\n");
    vm.done("mkdir -p /srv/nfs && systemctl start nfs-server.service && mount -t nfs -o vers=4.2 127.0.0.1:/ /home");
    let log_in = |name: &str| {
        let started = Instant::now();
        let ran = vm.ssh(name, &keys[name], "pwd");
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
        (ran.status.code(), text(&ran.stdout).to_owned())
    };
    assert_eq!(log_in("ana"), (Some(0), "/\n".to_owned()), "without a home, but logged in");
    let why = vm.sh("nss-iamctl why ana").1;
    assert!(found(&vm, "nss-iamctl why ana").contains(&"home-not-created".to_owned()), "{why}");
    assert!(found(&vm, "nss-iamctl doctor").contains(&"homes-missing".to_owned()));
    vm.done("systemctl start nss-iam-refresh.service && nss-iamctl status --check");
    vm.done("id ana && id bob");

    // As why says, on the server.
    let command = why.split_once("-> install ").unwrap().1.split_once("; if it is on NFS").unwrap().0;
    vm.done(&format!("install {}", command.replace("/home/", "/srv/nfs/")));
    assert_eq!(log_in("ana"), (Some(0), "/home/ana\n".to_owned()));
    assert_eq!(found(&vm, "nss-iamctl why ana"), Vec::<String>::new());
    assert_eq!(log_in("bob").1, "/\n", "every user needs it");

    // A server that has stopped answering: the refresh does not wait for it, not even with a new user, and nobody is disabled.
    vm.done("systemctl stop nfs-server.service");
    let _ = vm.people(&["ana", "bob", "cyd"]);
    let started = Instant::now();
    vm.sh("systemctl start nss-iam-refresh.service");
    assert!(started.elapsed() < Duration::from_secs(90), "{:?}", started.elapsed());
    vm.done("id ana && id bob");
}
