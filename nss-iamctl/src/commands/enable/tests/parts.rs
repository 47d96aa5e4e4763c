//! Home directories, sudo, and the units of the package.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;

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
    machine.write("/usr/share/pam-configs/nss-iam-mkhomedir", "of an earlier release");
    machine.enable(&enable()).unwrap();
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
fn without_keys_sshd_keeps_its_own_command_until_keys_are_wanted_again() {
    let machine = Machine::debian();
    let global = "AuthorizedKeysCommand /usr/bin/opkssh verify %u %k %t\nAuthorizedKeysCommandUser nobody\n";
    // Not even in an earlier Match does it get in the way.
    machine.write("/etc/ssh/sshd_config.d/00-aaa.conf", format!("Match all\n{global}"));
    let before = machine.files();
    machine.enable(&Enable { no_keys: true, ..enable() }).unwrap();
    let command = "/usr/bin/opkssh verify %u %k %t";
    let told = format!(
        "sshd does not ask nss-iam for the keys of nss-iam users: 'AuthorizedKeysCommand {command}' authenti"
    );
    let said = machine.said();
    assert!(said.contains(&told) && !said.contains("an Include is therefore added"), "{said}");
    assert_eq!(machine.sshd("ana", "authorizedkeyscommand"), command);
    assert_eq!(machine.sshd("ana", "authorizedkeysfile"), "none");
    assert_eq!(machine.enable(&enable()).unwrap(), "", "it stays so");
    machine.enable(&Enable { keys: true, ..enable() }).unwrap();
    assert_ours_get_in(&machine, "with keys");
    machine.disable().unwrap();
    assert_eq!(machine.files(), before);

    let machine = Machine::debian();
    machine.enable(&Enable { no_keys: true, ..enable() }).unwrap();
    let said = machine.said();
    assert!(said.contains("have no AuthorizedKeysCommand and no TrustedUserCAKeys\nhint: set up"), "{said}");
}

#[test]
fn what_sshd_would_refuse_is_said_before_anything_is_changed() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let machine = Machine::debian();
    machine.write("/etc/ssh/ca.pub", "ssh-ed25519 AAAA ca\n");
    machine.write("/etc/ssh/sshd_config.d/60-x.conf", "RevokedKeys /etc/ssh/none\n");
    let before = machine.files();
    let refused = machine.enable(&enable()).unwrap_err().to_string();
    assert!(refused.contains("because of RevokedKeys: cannot read '/etc/ssh/none'"), "{refused}");
    assert_eq!(machine.files(), before);

    machine.write("/etc/ssh/sshd_config.d/60-x.conf", "PubkeyAcceptedAlgorithms ssh-ed25519\n");
    let with_ca = Enable { user_ca: Some("/etc/ssh/ca.pub".to_owned()), ..enable() };
    let refused = machine.enable(&Enable { no_keys: true, ..with_ca.clone() }).unwrap_err().to_string();
    assert!(refused.contains("sshd would accept no certificate: PubkeyAcc"), "{refused}");
    machine.said();
    machine.enable(&with_ca).unwrap();
    assert!(machine.said().contains("sshd would accept no certificate: PubkeyAcceptedAlgorithms has no"));
}

#[test]
fn a_ca_counts_for_nss_iam_users_only_and_no_file_that_others_can_write_is_taken() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (machine, file) = (Machine::debian(), "/etc/ssh/user-ca.pub");
    let with = |file: &str| Enable { user_ca: Some(file.to_owned()), ..enable() };
    let before = machine.files();
    let refused = |why: &str| {
        let refused = machine.enable(&with(file)).unwrap_err().to_string();
        assert!(refused.contains(why) && refused.contains("\nhint: "), "{refused}");
    };
    refused("cannot read '/etc/ssh/user-ca.pub'");
    for (text, why) in
        [("", "has no public key"), ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "is a private key")]
    {
        machine.write(file, text);
        refused(why);
    }
    machine.write(file, "ssh-ed25519 AAAA ca\n");
    for (path, mode, was) in [(file, 0o664, 0o644), ("/etc/ssh", 0o777, 0o755)] {
        let set = |mode| std::fs::set_permissions(machine.path(path), Permissions::from_mode(mode)).unwrap();
        set(mode);
        refused("can be changed by others than root");
        refused(&format!("\nhint: chmod go-w {path}"));
        set(was);
    }
    // The file may be there for others, and everyone may write to this directory.
    for (directory, mode) in [("/tmp", 0o1777), ("/srv/shared", 0o775)] {
        let elsewhere = format!("{directory}/ca.pub");
        machine.write(&elsewhere, "ssh-ed25519 AAAA ca\n");
        std::fs::set_permissions(machine.path(directory), Permissions::from_mode(mode)).unwrap();
        let refused = machine.enable(&with(&elsewhere)).unwrap_err().to_string();
        assert!(
            !refused.contains("chmod") && refused.contains("into a file of root's in /etc/ssh"),
            "{refused}"
        );
        std::fs::remove_file(machine.path(&elsewhere)).unwrap();
    }
    machine.enable(&with(file)).unwrap();
    let principals = "/usr/libexec/nss-iam/keys-cmd --principals %u %U %f %F %s %i";
    for (keyword, ours) in [
        ("trustedusercakeys", file),
        ("authorizedprincipalscommand", principals),
        ("authorizedprincipalscommanduser", "nss-iam"),
        ("authorizedprincipalsfile", "/usr/libexec/nss-iam/no-principals"),
    ] {
        assert_eq!(
            (machine.sshd("ana", keyword).as_str(), machine.sshd("ubuntu", keyword)),
            (ours, String::new())
        );
    }
    assert_ours_get_in(&machine, "with a CA");
    assert_eq!(machine.enable(&enable()).unwrap(), "", "it stays");
    machine.enable(&Enable { no_user_ca: true, ..enable() }).unwrap();
    assert_eq!(machine.sshd("ana", "trustedusercakeys"), "");
    machine.disable().unwrap();
    machine.remove(file);
    assert_eq!(machine.files(), before);
}

#[test]
fn what_a_ca_of_sshd_itself_means_is_told() {
    for (ours, told) in [
        (
            None,
            "'TrustedUserCAKeys /etc/ssh/ca.pub': its certificates let active nss-iam users in, too, and max_age",
        ),
        (
            Some("/etc/ssh/ours.pub"),
            "'TrustedUserCAKeys /etc/ssh/ca.pub' is overridden for nss-iam users by 'Tr",
        ),
    ] {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let machine = Machine::of("passwd: files\n", "TrustedUserCAKeys /etc/ssh/ca.pub\n");
        machine.write("/etc/ssh/ours.pub", "ssh-ed25519 AAAA\n");
        machine.enable(&Enable { user_ca: ours.map(str::to_owned), ..enable() }).unwrap();
        let said = machine.said();
        assert!(said.contains(told), "{told} in {said}");
    }
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

/// sudo-rs has no setting 'authenticate', and `sudo -n` needs another one since 0.2.9.
#[test]
fn without_the_setting_pam_lets_nss_iam_users_use_sudo_and_no_rule_grants_anything() {
    for (unknown, wanted) in [
        ("!authenticate\nnoninteractive_auth\n", &[][..]),
        ("!authenticate\n", &["Defaults:%iam-users noninteractive_auth"]),
    ] {
        let machine = Machine::debian();
        machine.write("/sudo-has-not", unknown);
        machine.write("/etc/pam.d/sudo", "#%PAM-1.0\n@include common-auth\n");
        let refused = machine.enable(&sudo(Sudo::Nopasswd)).unwrap_err().to_string();
        assert!(refused.contains("needs pam_succeed_if.so"), "{refused}");
        machine.write("/usr/lib64/security/pam_succeed_if.so", "");
        let before = machine.files();
        machine.enable(&sudo(Sudo::Nopasswd)).unwrap();
        let rule = machine.read("/etc/sudoers.d/nss-iam");
        let rules: Vec<&str> = rule.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(rules, wanted);
        let line = "auth sufficient pam_succeed_if.so quiet use_uid user ingroup iam-users";
        assert_eq!(machine.read("/etc/pam.d/sudo").lines().nth(2), Some(line));
        assert!(machine.said().contains("'/etc/pam.d/sudo' lets nss-iam users through"));
        assert_eq!(machine.enable(&sudo(Sudo::Nopasswd)).unwrap(), "");
        // sudo is installed instead, which `doctor` notices: what it has no need for is gone.
        machine.remove("/sudo-has-not");
        machine.enable(&enable()).unwrap();
        assert!(machine.said().contains("'/etc/sudoers.d/nss-iam' is written for sudo-rs"));
        machine.enable(&sudo(Sudo::Nopasswd)).unwrap();
        assert_eq!(machine.read("/etc/pam.d/sudo"), "#%PAM-1.0\n@include common-auth\n");
        // And the other way round, which `doctor` notices.
        machine.write("/sudo-has-not", unknown);
        machine.said();
        machine.enable(&enable()).unwrap();
        assert!(machine.said().contains("visudo refuses '/etc/sudoers.d/nss-iam'"));
        machine.disable().unwrap();
        assert_eq!(machine.files(), before);
    }
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

#[test]
fn pushed_keys_count_where_the_configuration_and_so_sshd_says_so() {
    let machine = Machine::debian();
    machine.enable(&enable()).unwrap();
    let without = machine.read(DROP_IN);
    let command = |user| machine.sshd(user, "authorizedkeyscommand");
    assert!(!command("ana").contains("--instance-connect"));
    let pushed = Enable { instance_connect: true, ..enable() };
    machine.said();
    machine.enable(&pushed).unwrap();
    assert!(machine.said().contains("is not installed, so no pushed key counts"));
    assert_eq!(command("ana"), "/usr/libexec/nss-iam/keys-cmd --instance-connect %u %U %f");
    assert!(!command("ubuntu").contains("nss-iam"));
    let drop_in = machine.read(DROP_IN);
    assert!(drop_in.contains("keys-cmd --forward-only --instance-connect %u"), "{drop_in}");
    // The configuration decides, whoever wrote it: enable repeated, and a file of the administrator's.
    assert_eq!(machine.enable(&enable()).unwrap(), "");
    machine.write("/opt/aws/bin/eic_run_authorized_keys", "");
    machine.said();
    machine.enable(&Enable { no_instance_connect: true, ..enable() }).unwrap();
    assert!(machine.said().contains("hint: nss-iamctl enable --instance-connect\n"));
    assert_eq!(machine.read(DROP_IN), without);
    machine.write("/etc/nss-iam/config.d/05-own.toml", "[keys]\ninstance_connect = true\n");
    machine.remove(settings::OURS);
    machine.enable(&enable()).unwrap();
    assert!(command("ana").contains("--instance-connect"));
}

/// In one command, the two conflict.
#[test]
fn an_option_without_effect_on_this_host_is_refused_and_one_that_loses_its_effect_is_named() {
    let pushed = Enable { instance_connect: true, ..enable() };
    let without_keys = Enable { no_keys: true, ..enable() };
    let machine = Machine::debian();
    machine.enable(&without_keys).unwrap();
    let before = machine.files();
    let refused = machine.enable(&pushed).unwrap_err().to_string();
    assert!(refused.contains("'--instance-connect': '[keys] instance_connect' has no effect"), "{refused}");
    assert!(refused.contains("nss-iamctl enable --keys --instance-connect"), "{refused}");
    assert_eq!(machine.files(), before);
    machine.said();
    machine.enable(&Enable { keys: true, ..pushed.clone() }).unwrap();
    assert!(!machine.said().contains("has no effect"));
    for args in [&without_keys, &enable()] {
        machine.enable(args).unwrap();
        assert!(machine.said().contains("'[keys] instance_connect' has no effect"), "{args:?}");
    }

    let machine = Machine::debian();
    machine.write(
        "/etc/nss-iam/config.toml",
        "[source]\nurl = \"identity-center:\"\nidentity_store = \"d-1234567890\"\n",
    );
    let before = machine.files();
    let tags = Enable { use_tags: vec!["ssh-key".to_owned()], ..enable() };
    let refused = machine.enable(&tags).unwrap_err().to_string();
    assert!(
        refused.contains("'--use-tag': '[tags] use' has no effect: users of Identity Center"),
        "{refused}"
    );
    assert_eq!(machine.files(), before);
}
