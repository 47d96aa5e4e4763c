//! What docs/guide/caveats.md and CAVEATS of nss-iam(7) say of other programs, as they do it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use tests::login::{ADMINS, GROUP, JumpHost};

/// "The file appears to be 549 to 627 GB large. It is sparse." "GNU tar with -S finds the holes."
#[test]
fn lastlog_appears_large_is_sparse_and_tar_finds_its_holes() {
    let Some(host) = JumpHost::start() else { return };
    host.refreshed_user("ana");
    host.done(&["lastlog", "--set", "--user", "ana"]);
    let lastlog = fs::metadata("/var/log/lastlog").unwrap();
    let uid: u64 = host.passwd("ana", 2).parse().unwrap();
    assert_eq!(lastlog.len(), (uid + 1) * 292, "an entry for each uid");
    assert!((549_000_000_000 - 1_000_000_000..627_500_000_000).contains(&lastlog.len()), "{}", lastlog.len());
    assert!(lastlog.blocks() * 512 < 1 << 20, "{} blocks", lastlog.blocks());
    host.done(&["tar", "-C", "/", "-cSf", "/tmp/sparse.tar", "var/log/lastlog"]);
    assert!(fs::metadata("/tmp/sparse.tar").unwrap().len() < 1 << 20);
}

/// "cron sends the output of a job to the owner of the crontab." The mail server is not ours; this one writes down what it gets.
#[test]
fn cron_addresses_the_mail_of_a_user_with_a_domain_to_that_domain_unless_mailto_is_empty() {
    let Some(host) = JumpHost::start() else { return };
    let (plain, silent) = (host.user("bob@example.com"), host.user("eve@example.com"));
    host.refresh();
    fs::write("/usr/sbin/sendmail", "#!/bin/sh\n{ echo \"$@\"; cat; } >/tmp/mail-$(id -un)\n").unwrap();
    fs::set_permissions("/usr/sbin/sendmail", Permissions::from_mode(0o755)).unwrap();
    let job = "@reboot echo done; touch ran";
    host.login("bob@example.com", &plain, &format!("echo '{job}' | crontab -"));
    host.login("eve@example.com", &silent, &format!("printf 'MAILTO=\"\"\\n{job}\\n' | crontab -"));
    let mut cron = host.machine.command(&["cron", "-f"]).spawn().unwrap();
    for name in ["bob", "eve"] {
        host.until("cron runs the job", || fs::exists(format!("/home/{name}@example.com/ran")).unwrap());
    }
    let mail = || fs::read_to_string("/tmp/mail-bob@example.com").unwrap_or_default();
    host.until("cron sends the mail", || mail().ends_with("done\n"));
    let (arguments, text) =
        mail().split_once('\n').map(|(line, text)| (line.to_owned(), text.to_owned())).unwrap();
    assert!(arguments.split(' ').next_back() == Some("bob@example.com"), "{arguments}");
    assert!(text.contains("\nTo: bob@example.com\n"), "{text}");
    assert!(!fs::exists("/tmp/mail-eve@example.com").unwrap());
    cron.kill().unwrap();
    cron.wait().unwrap();
}

/// "dpkg stops if /var/lib/dpkg/statoverride has a name that does not exist any more." "The number helps until
/// dpkg-statoverride writes the file again."
#[test]
fn dpkg_stops_at_an_override_for_a_user_who_left_until_it_has_the_uid() {
    let Some(host) = JumpHost::start() else { return };
    host.refreshed_user("ana");
    let uid = host.passwd("ana", 2);
    fs::create_dir_all("/root/p/DEBIAN").unwrap();
    let control = "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: x <x@localhost>\nDescription: x\n";
    fs::write("/root/p/DEBIAN/control", control).unwrap();
    host.done(&["dpkg-deb", "--build", "/root/p", "/root/p.deb"]);
    host.done(&["dpkg-statoverride", "--add", "ana", "root", "0750", "/srv/data"]);
    host.done(&["dpkg", "--install", "/root/p.deb"]);

    host.remove_member("ana");
    host.refresh();
    let (status, said) = host.sh("dpkg --install /root/p.deb");
    assert!(status == Some(2) && said.contains("unknown system user 'ana' in statoverride file"), "{said}");
    host.done(&["sed", "-i", &format!("s/^ana /#{uid} /"), "/var/lib/dpkg/statoverride"]);
    host.done(&["dpkg", "--install", "/root/p.deb"]);
    // The uid still has a name, and dpkg-statoverride writes names.
    host.done(&["dpkg-statoverride", "--add", &format!("#{uid}"), "root", "0750", "/srv/more"]);
    assert_eq!(fs::read_to_string("/var/lib/dpkg/statoverride").unwrap().matches("ana root ").count(), 2);
    assert_eq!(host.sh("dpkg --install /root/p.deb").0, Some(2));
}

/// "getent group sudo prints /etc/group only, and never lists them."
#[test]
fn members_by_local_groups_are_in_id_and_not_in_getent_group() {
    let Some(host) = JumpHost::start() else { return };
    let ana = host.user_in("ana", &[GROUP, ADMINS]);
    host.refresh();
    assert!(!host.done(&["getent", "group", "sudo"]).contains("ana"));
    let groups = |said: String| said.split_whitespace().any(|group| group == "sudo");
    assert!(groups(host.done(&["id", "-Gn", "ana"])));
    assert!(groups(host.login("ana", &ana, "id -Gn")));
    assert!(
        host.done(&["nss-iamctl", "users"]).contains(&ADMINS.to_lowercase()),
        "it shows the groups of the source"
    );
}
