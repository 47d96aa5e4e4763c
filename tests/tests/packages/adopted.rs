//! Accounts that `adopt` removed, after apt removed the package and everything of it that can be removed.

use tests::boot::Booted;
use tests::login::GROUP;

use crate::support::{aws, repository};

#[test]
fn adopted_accounts_survive_the_purge_of_the_package() {
    let Some(host) = Booted::start("debian12") else { return };
    repository(&host);
    host.done(
        "useradd -m -u 5000 -c 'AWS User' -s /bin/bash ana && echo ana:secret | chpasswd && touch ~ana/hers",
    );
    let before =
        host.done("grep ^ana: /etc/passwd /etc/shadow /etc/group /etc/gshadow; stat -c %u:%g /home/ana");
    let key = host.user("ana");
    aws(&host, None);
    host.done("apt-get install -qq -y nss-iam");
    host.done(&format!("nss-iamctl enable --group {GROUP}"));
    host.done("nss-iamctl adopt --apply");
    host.until("the adopted user logs in", || host.logs_in("ana", &key));
    assert_eq!(host.sh("grep ^ana: /etc/passwd").0, Some(1));

    let (status, said) = host.sh("apt-get purge -qq -y nss-iam");
    assert_eq!(status, Some(0), "{said}");
    for expected in [
        "no account has the uids of 'ana' any more",
        "useradd -M -s /usr/sbin/nologin -u 5000 ana",
        "/var/lib/nss-iam/backup is kept",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(host.done("ls -A /var/lib/nss-iam"), "backup\n");

    host.done("apt-get install -qq -y nss-iam");
    host.done("nss-iamctl adopt --undo --apply ana");
    let after =
        host.done("grep ^ana: /etc/passwd /etc/shadow /etc/group /etc/gshadow; stat -c %u:%g /home/ana");
    assert_eq!(after, before);
    host.done("apt-get purge -qq -y nss-iam");
    assert!(!host.path("/var/lib/nss-iam").exists(), "there is nothing left to keep");
}
