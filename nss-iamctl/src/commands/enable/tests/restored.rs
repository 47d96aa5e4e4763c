//! Files that are not UTF-8, and files that others edited: what `disable` leaves.

use super::*;

/// Comments and full names in Latin-1, a byte order mark, NUL, foreign line endings, a last line without a newline.
fn foreign() -> Machine {
    let machine = Machine::debian();
    let append = |path: &str, bytes: &[u8]| {
        let before = std::fs::read(machine.path(path)).unwrap_or_default();
        machine.write(path, [&before, bytes].concat());
    };
    append("/etc/passwd", b"kate:x:1001:1001:Kathe M\xfcller:/home/kate:/bin/bash\nm\xfcller:x:1002:1002::/home/m\xfcller:/bin/sh\n");
    append("/etc/shadow", b"m\xfcller:!:1::::::\n");
    append("/etc/nsswitch.conf", b"# f\xfcr alle\r\n\xff\xfe\0\n# ohne Ende \xe4");
    append("/etc/ssh/sshd_config", b"# f\xfcr alle\r\n#\xff ohne Ende");
    append("/etc/ssh/sshd_config.d/20-\u{e4}.conf", b"Banner /etc/gr\xfc\xdfe\n");
    append("/etc/pam.d/sshd", b"# f\xfcr alle");
    append("/etc/pam.d/sudo", b"#%PAM-1.0\n# \xfc\0\n@include common-auth");
    append("/etc/sudoers", b"# \xe4\n");
    append("/etc/sudoers.d/local", b"%ops ALL=(ALL) ALL # \xe4\n");
    append("/usr/lib64/security/pam_ssh_agent_auth.so", b"");
    machine
}

#[test]
fn bytes_that_are_not_utf8_stay_where_they_are_and_hinder_nothing() {
    for how in [Sudo::Agent, Sudo::Nopasswd] {
        let machine = foreign();
        let before = machine.files();
        machine.enable(&sudo(how)).unwrap();
        assert_ours_get_in(&machine, "Latin-1");
        assert_eq!(machine.enable(&sudo(how)).unwrap(), "", "enabling twice changes nothing");
        machine.disable().unwrap();
        assert_eq!(machine.files(), before);
        // Without the backup, and after the file was edited.
        machine.enable(&sudo(how)).unwrap();
        std::fs::remove_file(machine.path("/var/lib/nss-iam/backup/manifest.json")).unwrap();
        machine.write("/etc/ssh/sshd_config", [&bytes_of(&machine, MAIN)[..], b"\n# sp\xe4ter\n"].concat());
        machine.disable().unwrap();
        let after = machine.files();
        let differ = before.keys().filter(|path| after.get(*path) != before.get(*path));
        assert_eq!(differ.collect::<Vec<_>>(), [&machine.path(MAIN)]);
    }
}

fn bytes_of(machine: &Machine, path: &str) -> Vec<u8> {
    std::fs::read(machine.path(path)).unwrap()
}

#[test]
fn edits_by_others_survive_disable() {
    let machine = Machine::debian();
    machine.enable(&enable()).unwrap();
    let edited = machine
        .read("/etc/nsswitch.conf")
        .replace("hosts:          files dns", "hosts: files myhostname dns");
    machine.write("/etc/nsswitch.conf", &edited);
    machine.write("/etc/nss-iam/config.toml", "groups = [\"Other\"]\n");
    machine.write(settings::OURS, "groups = [\"Edited\"]\n");
    machine.said();
    machine.disable().unwrap();
    let said = machine.said();
    assert!(said.contains("10-enable.toml' was changed since 'enable', and is removed\n"), "{said}");
    assert!(!machine.has(settings::OURS));
    let left = machine.read("/etc/nsswitch.conf");
    assert!(left.contains("hosts: files myhostname dns") && !left.contains("iam"), "{left}");
    assert_eq!(machine.read("/etc/nss-iam/config.toml"), "groups = [\"Other\"]\n");
    assert!(!machine.has(DROP_IN) && !machine.has("/var/lib/nss-iam/backup"));
}

#[test]
fn edits_between_two_enables_are_what_disable_gives_back() {
    let machine = Machine::debian();
    machine.enable(&enable()).unwrap();
    let edited =
        machine.read("/etc/nsswitch.conf").replace("passwd:         files iam", "passwd: files sss iam");
    machine.write(
        "/etc/nsswitch.conf",
        edited.replace("group:          files [SUCCESS=merge] iam", "group: files"),
    );
    machine.enable(&enable()).unwrap();
    machine.disable().unwrap();
    let left = machine.read("/etc/nsswitch.conf");
    assert!(left.contains("passwd: files sss systemd\ngroup: files systemd\n"), "{left}");
}

#[test]
fn without_the_backup_disable_still_takes_ours_out() {
    let machine = Machine::debian();
    let before = ["/etc/nsswitch.conf", MAIN, "/etc/pam.d/sshd"].map(|path| machine.read(path));
    machine.enable(&sudo(Sudo::Nopasswd)).unwrap();
    std::fs::remove_file(machine.path("/var/lib/nss-iam/backup/manifest.json")).unwrap();
    machine.disable().unwrap();
    assert_eq!(["/etc/nsswitch.conf", MAIN, "/etc/pam.d/sshd"].map(|path| machine.read(path)), before);
    for path in [DROP_IN, "/etc/sudoers.d/nss-iam", settings::OURS] {
        assert!(!machine.has(path), "{path}");
    }
    assert_eq!(machine.disable().unwrap(), "", "and twice finds nothing");
}
