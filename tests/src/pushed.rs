//! A script in place of EC2 Instance Connect's own command, and the keys that were pushed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use policy::instance_connect::COMMANDS;

/// The file of each user's pushed keys.
const PUSHED: &str = "/srv/pushed";

/// Prints the keys that were pushed for a user, as the command does: the one with the fingerprint, if it is RSA or ed25519.
const SCRIPT: &str = r#"#!/bin/sh
[ -e "/srv/pushed/$1" ] || exit 0
while read -r line; do
    [ "${line#ssh}" != "$line" ] || continue
    [ "$(echo "$line" | ssh-keygen -lf - | cut -d ' ' -f 2)" != "$2" ] || found=$line
done <"/srv/pushed/$1"
[ -n "$found" ] || exit 255
echo "$found"
"#;

/// Installs the script where Amazon Linux has the command.
///
/// # Panics
/// If it cannot.
pub fn install() {
    install_at(COMMANDS[0]);
}

/// Installs the script where a distribution has the command.
///
/// # Panics
/// If it cannot.
pub fn install_at(command: &str) {
    fs::create_dir_all(Path::new(command).parent().unwrap()).unwrap();
    fs::write(command, SCRIPT).unwrap();
    fs::set_permissions(command, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(PUSHED).unwrap();
}

/// Pushes a public key for a user.
///
/// # Panics
/// If the script is not installed.
pub fn push(user: &str, public: &str) {
    fs::write(format!("{PUSHED}/{user}"), format!("{public} {user}@laptop\n")).unwrap();
}

/// Ends the minute for which the key of a user counts.
///
/// # Panics
/// If none was pushed.
pub fn expire(user: &str) {
    fs::remove_file(format!("{PUSHED}/{user}")).unwrap();
}
