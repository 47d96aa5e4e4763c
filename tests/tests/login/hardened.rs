//! Images with a stricter setup than the default: nss-iam users get in, restrictions stay in force, local users keep
//! their own ways to log in.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::login::{Key, append};
use tests::text;

use crate::support::{Image, SSHD_CONFIG};

#[test]
fn where_only_named_users_may_log_in_iam_users_may_too() {
    let Some(image) = Image::ending("AllowUsers ubuntu") else { return };
    image.host.refused("other", &image.other);
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    image.host.login("ubuntu", &image.ubuntu, "true");
    image.host.refused("other", &image.other);
}

#[test]
fn where_users_may_log_in_only_from_some_addresses_iam_users_may_too() {
    let Some(image) = Image::ending("AllowUsers *@127.10.0.0/16") else { return };
    let ana = image.enabled_with_ana();
    for (user, key) in [("ana", &ana), ("ubuntu", &image.ubuntu)] {
        let mut inside = image.host.client(user, key, &["-b", "127.10.0.1"]);
        inside.arg("true");
        image.host.until(user, || inside.status().unwrap().success());
        image.host.refused(user, key);
    }
}

#[test]
fn where_only_a_group_may_log_in_iam_users_may_too() {
    let Some(image) = Image::ending("AllowGroups sudo") else { return };
    image.host.done(&["gpasswd", "--add", "ubuntu", "sudo"]);
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    image.host.login("ubuntu", &image.ubuntu, "true");
    image.host.refused("other", &image.other);
}

#[test]
fn a_denied_user_stays_denied_where_only_named_users_may_log_in() {
    let Some(image) = Image::ending("AllowUsers ubuntu\nDenyUsers bob\nDenyGroups interns") else { return };
    let bob = image.host.user("bob");
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    image.host.refused("bob", &bob);
    image.host.logged(&["sshd[", "User bob from", "listed in DenyUsers"]);
}

#[test]
fn a_removed_user_stays_locked_out_where_enable_let_iam_users_in() {
    let Some(image) = Image::ending("AllowUsers ubuntu\nAllowGroups sudo\nUsePAM no") else { return };
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    image.host.remove_member("ana");
    image.host.refresh();
    image.host.refused("ana", &ana);
}

#[test]
fn a_user_who_is_denied_by_group_stays_denied() {
    let Some(image) = Image::ending("DenyGroups jumphostaccess") else { return };
    let ana = image.enabled_with_ana();
    image.host.refused("ana", &ana);
    image.host.logged(&["sshd[", "User ana from", "listed in DenyGroups"]);
    image.host.login("ubuntu", &image.ubuntu, "true");
}

/// ana's key is accepted, and then `second` is requested, which IAM users do not have.
fn second_factor(second: &str) {
    // At the beginning: the first of two lines counts, and Debian has a 'no' further down.
    let lines = format!("KbdInteractiveAuthentication yes\nAuthenticationMethods publickey,{second}\n");
    let Some(image) = Image::with(|config| lines + config) else { return };
    let ana = image.enabled_with_ana();
    image.host.until("the key is taken", || {
        let ran = image.host.ssh("ana", &ana, "echo inside");
        assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(255), ""));
        text(&ran.stderr).contains(&format!("Permission denied ({second})"))
    });
    image.host.logged(&["sshd[", "Partial publickey for ana"]);
}

#[test]
fn a_password_that_all_users_need_is_also_required_of_iam_users() {
    second_factor("password");
}

#[test]
fn a_second_factor_of_pam_that_all_users_need_is_also_required_of_iam_users() {
    second_factor("keyboard-interactive");
}

/// A program that prints the same key for every user.
fn keys_for_all(key: &Key) -> String {
    let program = "/usr/local/bin/keys-for-all";
    fs::write(program, format!("#!/bin/sh\necho '{}'\n", key.public)).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    program.to_owned()
}

/// Local users get keys from elsewhere, IAM users only from IAM.
fn each_by_the_own_command(image: &Image, key: &Key) {
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    image.host.refused("ana", key);
    image.host.login("ubuntu", key, "true");
    image.host.refused("ubuntu", &ana);
    image.host.remove_member("ana");
    image.host.refresh();
    image.host.refused("ana", key);
}

#[test]
fn a_global_authorized_keys_command_still_applies_to_local_users_only() {
    let Some(image) = Image::with(str::to_owned) else { return };
    let key = image.host.key("image");
    let lines = format!("AuthorizedKeysCommand {}\nAuthorizedKeysCommandUser nobody\n", keys_for_all(&key));
    append(SSHD_CONFIG, &lines);
    image.host.restart_sshd(&[]);
    each_by_the_own_command(&image, &key);
}

/// As in the unit of EC2 Instance Connect.
#[test]
fn an_authorized_keys_command_on_sshds_command_line_still_applies_to_local_users_only() {
    let Some(image) = Image::with(str::to_owned) else { return };
    let key = image.host.key("image");
    let command = format!("AuthorizedKeysCommand={}", keys_for_all(&key));
    image.host.restart_sshd(&["-o", &command, "-o", "AuthorizedKeysCommandUser=nobody"]);
    each_by_the_own_command(&image, &key);
}

/// A directory of keys that root maintains; ubuntu and ana have the same key in it.
fn keys_directory(image: &Image) -> Key {
    let key = image.host.key("directory");
    fs::create_dir("/etc/ssh/keys").unwrap();
    for user in ["ubuntu", "ana"] {
        fs::write(format!("/etc/ssh/keys/{user}"), &key.public).unwrap();
    }
    key
}

#[test]
fn an_earlier_match_with_other_key_files_applies_to_local_users() {
    let Some(image) = Image::with(str::to_owned) else { return };
    let key = keys_directory(&image);
    let lines = "Match all\nAuthorizedKeysFile /etc/ssh/keys/%u\n";
    fs::write("/etc/ssh/sshd_config.d/00-before.conf", lines).unwrap();
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    image.host.refused("ana", &key);
    image.host.login("ubuntu", &key, "true");
    image.host.refused("ubuntu", &image.ubuntu);
}

#[test]
fn an_include_inside_another_match_does_not_disable_the_drop_in() {
    let Some(image) = Image::with(|config| {
        // Inside a Match, its settings would be errors.
        fs::remove_file("/etc/ssh/sshd_config.d/50-test.conf").unwrap();
        let (include, rest) = config.split_once("Include /etc/ssh/sshd_config.d/*.conf\n").unwrap();
        format!("{include}{rest}\nMatch Address 10.0.0.0/8\nInclude /etc/ssh/sshd_config.d/*.conf\n")
    }) else {
        return;
    };
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    image.host.login("ubuntu", &image.ubuntu, "true");
    image.host.remove_member("ana");
    image.host.refresh();
    image.host.refused("ana", &ana);
}

#[test]
fn an_initgroups_line_gets_the_service_too() {
    let Some(image) = Image::with(str::to_owned) else { return };
    let nsswitch = fs::read_to_string("/etc/nsswitch.conf").unwrap();
    fs::write("/etc/nsswitch.conf", format!("{nsswitch}initgroups: files\n")).unwrap();
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    assert!(image.host.login("ana", &ana, "id -Gn").contains("iam-users"));
}
