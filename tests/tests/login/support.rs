//! Functions that several of these tests use.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, Stdio};

use tests::login::{GROUP, JumpHost, Key, append};

/// Logs in and runs `line`, which continues to run. Returns the client, and the first line of output.
pub(crate) fn open(host: &JumpHost, user: &str, key: &Key, line: &str) -> (Child, String) {
    let mut client = host.client(user, key, &[]).arg(line).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(client.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(!first.is_empty(), "{user}: {line}");
    (client, first.trim().to_owned())
}

/// Whether a process exists and is not a zombie.
pub(crate) fn runs(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

/// A local account with a key in its own `authorized_keys`.
pub(crate) fn local_user(host: &JumpHost, name: &str) -> Key {
    host.done(&["useradd", "--create-home", "--shell", "/bin/bash", name]);
    let key = host.key(&format!("own-key-of-{name}"));
    own_key(host, name, &key);
    key
}

/// Adds a key to the user's own `authorized_keys`.
pub(crate) fn own_key(host: &JumpHost, user: &str, key: &Key) {
    let directory = format!("{}/.ssh", host.passwd(user, 5));
    let file = format!("{directory}/authorized_keys");
    let id = |field| Some(host.passwd(user, field).parse().unwrap());
    fs::create_dir_all(&directory).unwrap();
    append(&file, &format!("{}\n", key.public));
    for (path, mode) in [(&directory, 0o700), (&file, 0o600)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        chown(path, id(2), id(3)).unwrap();
    }
}

pub(crate) const SSHD_CONFIG: &str = "/etc/ssh/sshd_config";

/// A host that is not enabled yet, with two local users who have keys; its sshd runs with the settings of the
/// image.
pub(crate) struct Image {
    pub(crate) host: JumpHost,
    pub(crate) ubuntu: Key,
    pub(crate) other: Key,
}

impl Image {
    /// `change` creates the image's sshd_config from Debian's.
    pub(crate) fn with(change: impl FnOnce(&str) -> String) -> Option<Self> {
        let host = JumpHost::bare()?;
        let (ubuntu, other) = (local_user(&host, "ubuntu"), local_user(&host, "other"));
        fs::write(SSHD_CONFIG, change(&fs::read_to_string(SSHD_CONFIG).unwrap())).unwrap();
        host.restart_sshd(&[]);
        Some(Self { host, ubuntu, other })
    }

    /// The setting is where an administrator would put it: at the end.
    pub(crate) fn ending(lines: &str) -> Option<Self> {
        Self::with(|config| format!("{config}\n{lines}\n"))
    }

    /// The exit status and the output.
    pub(crate) fn enable(&self) -> (Option<i32>, String) {
        self.host.sh(&format!("nss-iamctl enable --group {GROUP}"))
    }

    /// Runs `enable`, which must succeed, and returns the key of the IAM user ana. Nothing restarts sshd.
    pub(crate) fn enabled_with_ana(&self) -> Key {
        let (status, said) = self.enable();
        assert_eq!(status, Some(0), "{said}");
        self.host.refreshed_user("ana")
    }

    /// Eventually: sshd was told to reload its files.
    pub(crate) fn lets_in(&self, user: &str, key: &Key) {
        self.host.until(&format!("{user} gets in"), || self.host.ssh(user, key, "true").status.success());
    }
}
