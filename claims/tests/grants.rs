//! `claims::grants`: each place, with names that it grants to, and names only in comments or other columns.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;

use claims::{Kind, Uses};

/// File, text, and the published names that are reported; `ana`, `ben` and `cara` are published.
const ROWS: &[(&str, &str, &[&str])] = &[
    (
        "/etc/ssh/sshd_config",
        "AllowUsers ana b?n@10.0.0.*\n# AllowUsers cara\nPermitRootLogin no # cara\n",
        &["ana", "ben"],
    ),
    ("/etc/ssh/sshd_config", "Match User ana,!ben Address 10.0.0.1\nMatch Host cara\n", &["ana", "ben"]),
    ("/etc/ssh/sshd_config", "match group=\"a*\"\n  AllowUsers *\nBanner /etc/cara\n", &["ana"]),
    ("/etc/ssh/sshd_config", "denygroups ana\nAllowGroups ben\nX11Forwarding cara\n", &["ana", "ben"]),
    ("/etc/ssh/sshd_config", "AuthorizedKeysCommandUser ana\nAuthorizedKeysCommand /ben\n", &["ana"]),
    ("/etc/ssh/sshd_config.d/x.conf", "AllowUsers ANA\n", &["ana"]),
    ("/etc/ssh/authorized_keys/ana", "ssh-ed25519 AAAA ben\n", &["ana"]),
    ("/etc/hosts.equiv", "host ana\nben\n# host cara\n", &["ana"]),
    ("/etc/subuid", "ana:100000:65536\n# ben:1:1\n1000:ben:1\n", &["ana"]),
    ("/etc/subgid", "ana:100000:65536\n#cara:1:1\n", &["ana"]),
    ("/var/spool/cron/crontabs/ana", "* * * * * ben\n", &["ana"]),
    ("/var/spool/cron/tabs/ana", "", &["ana"]),
    ("/var/spool/cron/ana", "", &["ana"]),
    ("/etc/crontab", "A=ben\nPATH = a b c d cara\n1 2 3 4 5 ana /bin/ben\n# 1 2 3 4 5 cara x\n", &["ana"]),
    ("/etc/cron.d/x", "@reboot ana cara\n0 1 * * * ben /bin/x ana\n", &["ana", "ben"]),
    ("/etc/cron.allow", "ana\n#ben\n", &["ana"]),
    ("/etc/at.allow", "ana\n# ben\n", &["ana"]),
    ("/etc/at.deny", "ana\n", &["ana"]),
    ("/var/lib/systemd/linger/ana", "", &["ana"]),
    ("/etc/security/access.conf", "+:ana (ben):cara\n# +:cara:ALL\n", &["ana", "ben"]),
    ("/etc/security/access.d/x.conf", "- : ALL EXCEPT ana : ALL\n", &["ana"]),
    ("/etc/security/group.conf", "login;*;ana|!ben;Al0000-2400;audio, cara\n", &["ana", "ben", "cara"]),
    ("/etc/security/group.conf", "ana;ben;\\\n x;cara;audio # ana\n", &[]),
    ("/etc/security/time.conf", "login;ben;ana&!x;!Al\n#x;x;cara;x\n", &["ana"]),
    ("/etc/security/limits.conf", "@ana hard nofile 1\nben - nice 1 # cara\n", &["ana", "ben"]),
    ("/etc/security/limits.d/x.conf", "x ben nofile 1\nana hard nproc 1\n", &["ana"]),
    ("/etc/security/namespace.conf", "/tmp /ben user root,~ana\n", &["ana"]),
    ("/etc/security/capability.conf", "cap_net_raw ana @ben # cara\n", &["ana", "ben"]),
    ("/etc/selinux/targeted/seusers", "ana:staff_u:s0\nben_x:cara:s0\n", &["ana"]),
    ("/etc/suauth", "root:ana,GROUP ben:NOPASS\nx:y:cara\n", &["ana", "ben"]),
    (
        "/etc/pam.d/x",
        "auth [x] pam_succeed_if.so user in ana:ben # cara\nauth cara pam_unix.so\n",
        &["ana", "ben"],
    ),
    (
        "/etc/pam.d/x",
        "auth required pam_wheel.so \\\n group=ana\n# auth required pam_wheel.so group=ben\n",
        &["ana"],
    ),
    (
        "/etc/polkit-1/rules.d/x.rules",
        "if (subject.isInGroup(\"ana\") || subject.user == 'ben') // \"cara\"\n /* \"cara\" */",
        &["ana", "ben"],
    ),
    (
        "/usr/share/polkit-1/rules.d/x.rules",
        "return [\"unix-group:ana\", \"unix-user:ben\", \"x cara\"];",
        &["ana", "ben"],
    ),
    (
        "/etc/polkit-1/localauthority/50-local.d/x.pkla",
        "[x]\nIdentity=unix-user:ana;unix-group:ben\nAction=cara\n",
        &["ana", "ben"],
    ),
    (
        "/etc/dbus-1/system.d/x.conf",
        "<policy user=\"ana\"><allow own=\"cara\"/></policy><!-- <policy user=\"cara\"> --><policy group='ben'>",
        &["ana", "ben"],
    ),
    (
        "/etc/udev/rules.d/x.rules",
        "KERNEL==\"cara\", OWNER=\"ana\", \\\n GROUP:=\"ben\"\n# GROUP=\"cara\"\n",
        &["ana", "ben"],
    ),
    ("/etc/udev/rules.d/x.rules", "KERNEL==\"x\", GROUP==\"ana\"\n", &[]),
    ("/etc/tmpfiles.d/x.conf", "d /run/cara 0755 ana :ben - cara\n# d /x 0755 cara cara\n", &["ana", "ben"]),
    ("/usr/lib/tmpfiles.d/x.conf", "a+ /x - - - - u:ana:rwx,g:ben:r\n", &["ana", "ben"]),
    ("/etc/logrotate.d/x", "/var/log/cara {\n  su ana ben\n  create 0640 root adm\n}\n", &["ana", "ben"]),
    ("/etc/logrotate.conf", "create 0640 ana ben # cara\n", &["ana", "ben"]),
    (
        "/etc/samba/smb.conf",
        "[x]\n valid users = ana, @ben\n; admin users = cara\n path = cara\n",
        &["ana", "ben"],
    ),
    ("/etc/samba/smbusers", "ana = cara\n# ben = x\n", &["ana"]),
    ("/etc/xinetd.d/x", "service x\n{\n user = ana\n server = cara\n}\n", &["ana"]),
    ("/etc/inetd.conf", "x stream tcp nowait ana cara\n", &["ana"]),
    ("/etc/supervisor/conf.d/x.conf", "[program:cara]\nuser=ana\n;user=ben\n", &["ana"]),
    ("/etc/sssd/sssd.conf", "simple_allow_users = ana, ben\n# x = cara\n", &["ana", "ben"]),
    ("/etc/cgrules.conf", "@ana cpu cara\n", &["ana"]),
    ("/etc/please.ini", "[x]\nname = ana\nrule = cara\n", &["ana"]),
];

fn read(files: &[(&str, &str)]) -> Uses {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let names = ["ana", "ben", "cara"].map(str::to_owned);
    claims::grants::read(root.path(), &BTreeSet::from(names))
}

#[test]
fn each_place_reports_the_names_that_it_grants_to() {
    for (path, text, expected) in ROWS {
        let uses = read(&[(path, text)]);
        let names: Vec<_> = uses.names.keys().map(String::as_str).collect();
        assert_eq!(names, *expected, "{path}: {text}");
        assert!(uses.unresolved.is_empty(), "{path}: {:?}", uses.unresolved);
        let uses = uses.names.values().flatten();
        assert!(uses.clone().all(|used| used.kind == Kind::Grant && used.place == *path), "{path}");
    }
}

#[test]
fn a_use_says_where_the_name_is() {
    let uses = read(&[("/etc/ssh/sshd_config", "AllowUsers ana\n")]);
    let said = uses.names["ana"].first().unwrap().to_string();
    assert_eq!(said, "in AllowUsers ('/etc/ssh/sshd_config')");
}

#[test]
fn files_that_a_file_refers_to_are_read() {
    let uses = read(&[
        ("/etc/ssh/sshd_config", "Include site/*.conf\nInclude /etc/ssh/sshd_config\n"),
        ("/etc/ssh/site/a.conf", "AllowUsers ana\n"),
        ("/etc/pam.d/vsftpd", "auth required pam_listfile.so item=user sense=allow file=/etc/ftp.allow\n"),
        ("/etc/ftp.allow", "ben\n"),
    ]);
    assert_eq!(uses.names.keys().collect::<Vec<_>>(), ["ana", "ben"]);
}

#[test]
fn an_unreadable_file_is_unresolved() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc")).unwrap();
    fs::File::create(root.path().join("etc/subuid")).unwrap().set_len(2 << 20).unwrap();
    let uses = claims::grants::read(root.path(), &BTreeSet::new());
    assert_eq!(uses.unresolved.first().map(|cannot| cannot.place.as_str()), Some("/etc/subuid"));
}
