mod authselect;
mod groups;

use crate::cli::{Enable, Sudo};
use crate::edit::settings;
use crate::fixtures::machine::Machine;
use crate::say::error::CONFIGURATION;

const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-nss-iam.conf";
const MAIN: &str = "/etc/ssh/sshd_config";

fn enable() -> Enable {
    Enable { groups: vec!["Ops".to_owned()], role: Some("Lookup".to_owned()), ..Enable::default() }
}

fn sudo(how: Sudo) -> Enable {
    Enable { sudo: Some(how), ..enable() }
}

/// nss-iam users can log in, nothing changed for local users, and a user who does not resolve, such as a disabled one, gets
/// no key. With the module of an earlier release, which finds disabled users by name, sshd denies them.
fn assert_ours_get_in(machine: &Machine, why: &str) {
    assert!(
        machine.sshd("ana", "authorizedkeyscommand").starts_with("/usr/libexec/nss-iam/keys-cmd"),
        "{why}"
    );
    assert_eq!(machine.sshd("ana", "authorizedkeysfile"), "none", "{why}");
    assert!(!machine.sshd("gone", "authorizedkeyscommand").contains("nss-iam"), "{why}");
    machine.write("/module-earlier", "");
    assert_eq!(machine.sshd("gone", "authorizedkeyscommand"), "none", "{why}");
    assert!(machine.sshd("gone", "denyusers").contains('*'), "{why}");
    machine.remove("/module-earlier");
    assert!(!machine.sshd("ubuntu", "authorizedkeyscommand").contains("nss-iam"), "{why}");
}

macro_rules! distribution {
    ($name:literal, $version:literal) => {
        (
            $name,
            $version,
            include_str!(concat!("../../../tests/files/", $name, "/nsswitch.conf")),
            include_str!(concat!("../../../tests/files/", $name, "/sshd_config")),
        )
    };
}

const DISTRIBUTIONS: [(&str, &str, &str, &str); 10] = [
    distribution!("debian11", "8.4"),
    distribution!("debian12", "9.2"),
    distribution!("debian13", "10.0"),
    distribution!("ubuntu2204", "8.9"),
    distribution!("ubuntu2404", "9.6"),
    distribution!("amzn2", "7.4"),
    distribution!("amzn2023", "8.7"),
    distribution!("rhel8", "8.0"),
    distribution!("rhel9", "8.7"),
    distribution!("sles15", "7.9"),
];

#[test]
fn enable_and_disable_leave_every_file_of_ten_distributions_as_it_was() {
    for (name, version, nsswitch, sshd_config) in DISTRIBUTIONS {
        let machine = Machine::of(nsswitch, sshd_config);
        machine.write("/sshd-version", version);
        let before = machine.files();
        machine.enable(&enable()).unwrap_or_else(|failed| panic!("{name}: {failed}"));
        assert_ours_get_in(&machine, name);
        let enabled = machine.files();
        let printed = machine.enable(&enable()).unwrap();
        assert_eq!(printed, "", "{name}: enabling twice has nothing to show");
        assert_eq!(machine.files(), enabled, "{name}: enabling twice changes nothing");
        machine.disable().unwrap_or_else(|failed| panic!("{name}: {failed}"));
        assert_eq!(machine.files(), before, "{name}");
    }
}

#[test]
fn what_is_printed_is_what_is_changed_and_a_dry_run_changes_nothing() {
    let machine = Machine::debian();
    let before = machine.files();
    let dry = machine.enable(&Enable { dry_run: true, ..enable() }).unwrap();
    assert_eq!(machine.files(), before);
    for line in [
        "+passwd:         files iam systemd",
        "--- /dev/null\n+++ /etc/ssh/sshd_config.d/00-nss-iam.conf",
        "+groups = [\"Ops\"]",
        "+session optional pam_mkhomedir.so umask=0077",
    ] {
        assert!(dry.contains(line), "{line} in {dry}");
    }
    assert_eq!(machine.enable(&enable()).unwrap(), dry);
}

#[test]
fn hardened_images_let_ours_in_and_keep_their_restrictions() {
    for (more, allow_users, allow_groups) in [
        ("AllowUsers ubuntu", "*", ""),
        ("AllowUsers *@10.0.0.0/8", "*@10.0.0.0/8", ""),
        ("AllowUsers ubuntu@10.0.0.0/8", "*@10.0.0.0/8", ""),
        ("AllowGroups sudo", "", "*"),
        ("DenyUsers guest", "", ""),
        ("AuthenticationMethods publickey,keyboard-interactive", "", ""),
        ("AuthorizedKeysCommand /opt/other %u\nAuthorizedKeysCommandUser nobody", "", ""),
        ("Match User ubuntu\nAuthorizedKeysFile /keys/%u", "", ""),
        ("Match User *\nAuthorizedKeysFile /keys/%u", "", ""),
    ] {
        let machine = Machine::debian();
        machine.write("/etc/ssh/sshd_config.d/00-aaa.conf", format!("{more}\n"));
        let before = machine.files();
        let keywords = ["authorizedkeysfile", "authorizedkeyscommand", "allowusers", "authenticationmethods"];
        let local = keywords.map(|keyword| machine.sshd("ubuntu", keyword));
        machine.enable(&enable()).unwrap_or_else(|failed| panic!("{more}: {failed}"));
        assert_ours_get_in(&machine, more);
        assert_eq!(machine.sshd("ana", "allowusers"), allow_users, "{more}");
        assert_eq!(machine.sshd("ana", "allowgroups"), allow_groups, "{more}");
        assert_eq!(
            keywords.map(|keyword| machine.sshd("ubuntu", keyword)),
            local,
            "{more}: local users keep theirs"
        );
        assert_eq!(
            machine.sshd("ana", "authenticationmethods"),
            machine.sshd("ubuntu", "authenticationmethods"),
            "{more}"
        );
        assert!(machine.enable(&enable()).unwrap().is_empty(), "{more}: enabling twice changes nothing");
        machine.disable().unwrap();
        assert_eq!(machine.files(), before, "{more}");
    }
}

#[test]
fn what_is_overridden_and_what_stays_is_told() {
    for (more, told) in [
        ("AllowUsers ubuntu", "'AllowUsers ubuntu' is overridden for nss-iam users by 'AllowUsers *'"),
        ("AllowUsers *@10.0.0.0/8", "'AllowUsers *@10.0.0.0/8' stays in effect"),
        ("AllowGroups sudo", "'AllowGroups sudo' is overridden for nss-iam users by 'AllowGroups *'"),
        ("DenyUsers ana", "'DenyUsers ana' stays in effect, and names user 'ana'"),
        (
            "AuthenticationMethods publickey,password",
            "'AuthenticationMethods publickey,password' stays in effect",
        ),
        ("UsePAM no", "so no home directories are created"),
    ] {
        let machine = Machine::of("passwd: files\n", &format!("{more}\n"));
        machine.enable(&enable()).unwrap();
        let said = machine.said();
        assert!(said.contains(told), "{told} in {said}");
    }
}

#[test]
fn an_include_at_a_wrong_place_is_helped_by_one_at_the_top() {
    for main in [
        "Port 22\n",
        "Match User git\nX11Forwarding no\nInclude /etc/ssh/sshd_config.d/*.conf",
        "Match all\nInclude sshd_config.d/*.conf\n",
    ] {
        let machine = Machine::of("passwd: files\n", main);
        let before = machine.files();
        machine.enable(&enable()).unwrap();
        assert!(
            machine.read(MAIN).starts_with(&format!("# BEGIN nss-iam\nInclude {DROP_IN}\n# END nss-iam\n")),
            "{main}"
        );
        assert_ours_get_in(&machine, main);
        machine.disable().unwrap();
        assert_eq!(machine.files(), before, "{main}");
    }
}

#[test]
fn where_ours_could_never_log_in_nothing_is_changed_and_the_reason_is_told() {
    for (more, why) in [
        ("PubkeyAuthentication no", "PubkeyAuthentication no"),
        ("AuthenticationMethods password", "AuthenticationMethods password"),
        ("DenyUsers *", "DenyUsers *"),
        ("DenyGroups iam-users", "DenyGroups iam-users"),
        ("FingerprintHash md5", "FingerprintHash md5"),
    ] {
        let machine = Machine::debian();
        machine.write("/etc/ssh/sshd_config.d/10-hard.conf", format!("{more}\n"));
        let before = machine.files();
        let refused = machine.enable(&enable()).unwrap_err();
        assert_eq!(refused.status(), CONFIGURATION);
        let message = refused.to_string();
        assert!(
            message.contains(why) && message.contains("nothing was changed") && message.contains("hint: "),
            "{message}"
        );
        assert_eq!(machine.files(), before, "{more}");
    }
    let machine = Machine::of("passwd: nis [NOTFOUND=return] files\n", "PasswordAuthentication no\n");
    let before = machine.files();
    assert!(machine.enable(&enable()).unwrap_err().to_string().contains("'/etc/nsswitch.conf' line 1"));
    assert_eq!(machine.files(), before);
}

/// Each problem is found only after the files are written.
#[test]
fn whatever_sshd_then_shows_otherwise_puts_every_file_back() {
    for (file, text, why) in [
        // The name of a local group, whose members would be treated as nss-iam users.
        ("/ubuntu-in-iam-users", "", "local user 'ubuntu' differently"),
        ("/module-missing", "", "glibc does not find user 'ana'"),
        ("/module-earlier", "", "glibc finds user 'gone' by name, although the user is disabled"),
        ("/etc/ssh/sshd_config.d/00-aaa.conf", "Broken yes\n", "Bad configuration option"),
    ] {
        let machine = Machine::debian();
        machine.write(file, text);
        let before = machine.files();
        let failed = machine.enable(&sudo(Sudo::Nopasswd)).unwrap_err().to_string();
        assert!(failed.contains(why) && failed.contains("; all files were restored"), "{failed}");
        assert_eq!(machine.files(), before, "{why}");
    }
}

#[test]
fn who_has_no_other_way_in_is_warned() {
    let warning = "if nss-iam users cannot log in, nobody can";
    let machine = Machine::debian();
    machine.enable(&Enable { dry_run: true, ..enable() }).unwrap();
    assert!(!machine.said().contains(warning));
    machine.write("/home/ubuntu/.ssh/authorized_keys", "# none yet\n");
    machine.enable(&Enable { dry_run: true, ..enable() }).unwrap();
    assert!(machine.said().contains(warning));
}

#[test]
fn what_cannot_be_tried_yet_is_told() {
    let machine = Machine::debian();
    std::fs::remove_file(machine.path("/var/lib/nss-iam/cache.db")).unwrap();
    machine.enable(&enable()).unwrap();
    let said = machine.said();
    assert!(said.contains("no nss-iam user in the cache yet"), "{said}");
    machine.disable().unwrap();
}

/// If a socket starts sshd for each connection, its directory in /run exists only during connections.
#[test]
fn an_sshd_that_was_never_started_can_be_asked() {
    let machine = Machine::debian();
    std::fs::create_dir(machine.path("/run")).unwrap();
    machine.enable(&enable()).unwrap();
    assert!(!machine.has("/run/sshd"));
}

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

#[test]
fn pam_auth_update_makes_homes_where_it_is() {
    let machine = Machine::debian();
    machine.write("/usr/sbin/pam-auth-update", "");
    machine.write("/usr/share/pam-configs/unix", "");
    machine.write("/etc/pam.d/common-session", "session required pam_unix.so\n");
    machine.write("/var/lib/pam/seen", "unix\n");
    let before = machine.files();
    machine.enable(&enable()).unwrap();
    assert!(machine.read("/etc/pam.d/common-session").contains("umask=0077"));
    assert_eq!(machine.read("/etc/pam.d/sshd"), "@include common-session\n");
    assert!(machine.enable(&enable()).unwrap().is_empty());
    machine.disable().unwrap();
    assert_eq!(machine.files(), before);

    // pam-auth-update does not change an edited file; then a line is added to another one.
    machine.write("/etc/pam.d/common-session", "# edited by hand\n");
    let before = machine.files();
    machine.enable(&enable()).unwrap();
    assert!(machine.read("/etc/pam.d/sshd").contains("pam_mkhomedir.so umask=0077"));
    machine.disable().unwrap();
    assert_eq!(machine.files(), before);

    // Another package's profile was enabled in the meantime: its line stays.
    machine.write("/etc/pam.d/common-session", "session required pam_unix.so\n");
    machine.enable(&enable()).unwrap();
    machine.write(
        "/etc/pam.d/common-session",
        &(machine.read("/etc/pam.d/common-session") + "session optional new.so\n"),
    );
    machine.disable().unwrap();
    assert_eq!(
        machine.read("/etc/pam.d/common-session"),
        "session required pam_unix.so\nsession optional new.so\n"
    );
    assert_eq!(machine.read("/var/lib/pam/seen"), "unix\n");
}

#[test]
fn sudo_without_password_asks_local_users_as_before() {
    let machine = Machine::debian();
    machine.write("/etc/nss-iam/config.toml", "[local_groups]\nAdmins = [\"sudo\"]\n");
    let before = machine.files();
    machine.enable(&sudo(Sudo::Nopasswd)).unwrap();
    let rule = machine.read("/etc/sudoers.d/nss-iam");
    let rules: Vec<&str> = rule.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(rules, ["Defaults:%iam-users !authenticate"], "no rule gives power, and none is for all");
    assert_eq!(machine.files()[&machine.path("/etc/sudoers.d/nss-iam")].0 & 0o777, 0o440);
    machine.disable().unwrap();
    assert_eq!(machine.files(), before);
}

#[test]
fn sudo_by_agent_needs_its_module_and_is_asked_first() {
    let machine = Machine::debian();
    machine.write("/etc/pam.d/sudo", "#%PAM-1.0\n@include common-auth\n");
    let refused = machine.enable(&sudo(Sudo::Agent)).unwrap_err().to_string();
    assert!(
        refused.contains("pam_ssh_agent_auth.so") && refused.contains("libpam-ssh-agent-auth"),
        "{refused}"
    );
    machine.write("/usr/lib64/security/pam_ssh_agent_auth.so", "");
    let before = machine.files();
    machine.enable(&sudo(Sudo::Agent)).unwrap();
    let lines = machine.read("/etc/pam.d/sudo");
    let auth = lines.lines().nth(2).unwrap();
    assert!(
        auth.starts_with("auth sufficient pam_ssh_agent_auth.so") && auth.contains("keys-cmd"),
        "{lines}"
    );
    // The other way is chosen instead: the agent is no longer asked.
    machine.enable(&sudo(Sudo::Nopasswd)).unwrap();
    assert_eq!(machine.read("/etc/pam.d/sudo"), "#%PAM-1.0\n@include common-auth\n");
    machine.disable().unwrap();
    assert_eq!(machine.files(), before);
}

/// systemctl(1): `--no-block` does not wait for the start to complete.
#[test]
fn the_timer_of_the_package_is_switched_on_without_waiting_and_off_again() {
    let machine = Machine::debian();
    machine.write("/lib/systemd/system/nss-iam-refresh.timer", "");
    machine.write("/run/systemd/system/.keep", "");
    machine.enable(&enable()).unwrap();
    let on = "systemctl enable --now --no-block nss-iam-refresh.timer\n";
    assert!(machine.ran().ends_with(on), "{}", machine.ran());
    let off = "systemctl disable --now nss-iam-refresh.timer\n";
    let shown = machine.disable().unwrap();
    assert!(shown.contains(&format!("run: {off}")), "what is shown is what is done: {shown}");
    assert!(machine.ran().contains(off), "{}", machine.ran());
}

#[test]
fn blocking_the_metadata_needs_nft_and_the_hint_says_so() {
    let machine = Machine::debian();
    machine.write("/lib/systemd/system/nss-iam-imds.service", "");
    let imds = Enable { imds: true, dry_run: true, ..enable() };
    let hint = |told: &str| told.rsplit_once("hint: ").map(|(_, hint)| hint.trim().to_owned());
    let refused = machine.enable(&imds).unwrap_err();
    assert_eq!(refused.status(), CONFIGURATION);
    assert_eq!(hint(&refused.to_string()).as_deref(), Some("install the package nftables"));
    let note = || {
        machine.said();
        machine.enable(&Enable { dry_run: true, ..enable() }).unwrap();
        machine.said()
    };
    assert!(note().contains("hint: install the package nftables, then: nss-iamctl enable --imds\n"));
    machine.write("/usr/sbin/nft", "");
    assert!(note().contains("hint: nss-iamctl enable --imds\n"));
    assert!(machine.enable(&imds).unwrap().contains("run: systemctl enable nss-iam-imds.service\n"));
}

/// While an image is built in a chroot or container, systemctl(1) can write links, but start nothing.
#[test]
fn where_systemd_does_not_run_the_timer_is_switched_on_for_the_next_boot() {
    let machine = Machine::debian();
    machine.write("/lib/systemd/system/nss-iam-refresh.timer", "");
    machine.enable(&enable()).unwrap();
    assert!(machine.ran().ends_with("systemctl enable nss-iam-refresh.timer\n"), "{}", machine.ran());
    machine.disable().unwrap();
    assert!(machine.ran().contains("systemctl disable nss-iam-refresh.timer\n"), "{}", machine.ran());
}
