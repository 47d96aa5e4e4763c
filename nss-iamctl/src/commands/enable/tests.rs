mod authselect;
mod groups;
mod parts;
mod restored;
mod vendor;

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
