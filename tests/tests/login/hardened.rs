//! Images that are set up in more ways than the default: our users get in, what restricts stays, local users keep
//! their own way in.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::login::{Key, append};
use tests::text;

use crate::support::{Image, SSHD_CONFIG};

#[test]
fn where_only_named_users_may_log_in_ours_may_too() {
    let Some(image) = Image::ending("AllowUsers ubuntu") else { return };
    image.host.refused("other", &image.other);
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    image.host.login("ubuntu", &image.ubuntu, "true");
    image.host.refused("other", &image.other);
}

#[test]
fn where_users_may_log_in_from_some_addresses_only_ours_may_too() {
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
fn where_only_a_group_may_log_in_ours_may_too() {
    let Some(image) = Image::ending("AllowGroups sudo") else { return };
    image.host.done(&["gpasswd", "--add", "ubuntu", "sudo"]);
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    image.host.login("ubuntu", &image.ubuntu, "true");
    image.host.refused("other", &image.other);
}

#[test]
fn who_is_denied_stays_denied_where_only_named_users_may_log_in() {
    let Some(image) = Image::ending("AllowUsers ubuntu\nDenyUsers bob\nDenyGroups interns") else { return };
    let bob = image.host.user("bob");
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    image.host.refused("bob", &bob);
    image.host.logged(&["sshd[", "User bob from", "listed in DenyUsers"]);
}

#[test]
fn a_removed_user_stays_out_where_enable_has_let_ours_in() {
    let Some(image) = Image::ending("AllowUsers ubuntu\nAllowGroups sudo\nUsePAM no") else { return };
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    image.host.remove_member("ana");
    image.host.refresh();
    image.host.refused("ana", &ana);
}

#[test]
fn who_is_denied_by_group_stays_denied() {
    let Some(image) = Image::ending("DenyGroups jumphostaccess") else { return };
    let ana = image.enabled_with_ana();
    image.host.refused("ana", &ana);
    image.host.logged(&["sshd[", "User ana from", "listed in DenyGroups"]);
    image.host.login("ubuntu", &image.ubuntu, "true");
}

/// ana's key is taken, and then `second` is wanted, which our users do not have.
fn second_factor(second: &str) {
    // At the top: of two lines the first counts, and Debian has a 'no' further down.
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
fn a_password_that_is_asked_of_all_is_asked_of_our_users() {
    second_factor("password");
}

#[test]
fn a_second_factor_of_pam_that_is_asked_of_all_is_asked_of_our_users() {
    second_factor("keyboard-interactive");
}

/// A program that gives every user the one key.
fn keys_for_all(key: &Key) -> String {
    let program = "/usr/local/bin/keys-for-all";
    fs::write(program, format!("#!/bin/sh\necho '{}'\n", key.public)).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    program.to_owned()
}

/// Local users get keys from elsewhere, and ours from IAM only.
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
fn a_global_authorized_keys_command_goes_on_for_local_users_only() {
    let Some(image) = Image::with(str::to_owned) else { return };
    let key = image.host.key("image");
    let lines = format!("AuthorizedKeysCommand {}\nAuthorizedKeysCommandUser nobody\n", keys_for_all(&key));
    append(SSHD_CONFIG, &lines);
    image.host.restart_sshd(&[]);
    each_by_the_own_command(&image, &key);
}

/// As the unit of EC2 Instance Connect gives it.
#[test]
fn an_authorized_keys_command_on_sshds_command_line_goes_on_for_local_users_only() {
    let Some(image) = Image::with(str::to_owned) else { return };
    let key = image.host.key("image");
    let command = format!("AuthorizedKeysCommand={}", keys_for_all(&key));
    image.host.restart_sshd(&["-o", &command, "-o", "AuthorizedKeysCommandUser=nobody"]);
    each_by_the_own_command(&image, &key);
}

/// A folder of keys that root looks after; ubuntu and ana have the same key in it.
fn keys_folder(image: &Image) -> Key {
    let key = image.host.key("folder");
    fs::create_dir("/etc/ssh/keys").unwrap();
    for user in ["ubuntu", "ana"] {
        fs::write(format!("/etc/ssh/keys/{user}"), &key.public).unwrap();
    }
    key
}

#[test]
fn a_match_that_comes_before_ours_and_names_other_key_files_is_for_local_users() {
    let Some(image) = Image::with(str::to_owned) else { return };
    let key = keys_folder(&image);
    let lines = "Match all\nAuthorizedKeysFile /etc/ssh/keys/%u\n";
    fs::write("/etc/ssh/sshd_config.d/00-before.conf", lines).unwrap();
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    image.host.refused("ana", &key);
    image.host.login("ubuntu", &key, "true");
    image.host.refused("ubuntu", &image.ubuntu);
}

#[test]
fn an_include_inside_another_match_does_not_keep_ours_from_being_in_force() {
    let Some(image) = Image::with(|config| {
        // Within a Match its settings would be errors.
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
