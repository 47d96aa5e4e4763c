//! How nss-iam users authenticate to sshd, as our Match blocks say it and as it is compared with what is in effect.

use config::Config;
use policy::instance_connect::FLAG;

use crate::host::paths::{KEYS_CMD, KEYS_USER};

/// A file that never exists, instead of one of sshd's own settings. In a Match, 'none' is a file in the user's home directory, which
/// could name other people.
const NO_FILE: &str = "/usr/libexec/nss-iam/no-principals";

/// A keyword of sshd_config(5), and its value.
pub(crate) type Setting = (&'static str, String);

/// What the configuration says, for one version of sshd.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authentication<'a> {
    /// The arguments of keys-cmd that this version supports.
    pub arguments: &'a str,
    /// Whether sshd asks keys-cmd for keys. If not, something else authenticates the users.
    pub keys: bool,
    /// Whether keys-cmd asks EC2 Instance Connect, too.
    pub instance_connect: bool,
    /// The file with CAs whose certificates let the users in.
    pub user_ca: Option<&'a str>,
}

impl<'a> Authentication<'a> {
    pub(crate) fn of(config: &'a Config, arguments: &'a str) -> Self {
        Self {
            arguments,
            keys: config.keys.sshd,
            instance_connect: config.keys.takes_pushed(),
            user_ca: config.keys.user_ca.as_deref(),
        }
    }

    /// Whether a key or a certificate lets the users in.
    pub(crate) fn by_key(&self) -> bool {
        self.keys || self.user_ca.is_some()
    }

    /// The commands, which are different for users who may only forward connections.
    pub(crate) fn commands(&self, forward_only: bool) -> Vec<Setting> {
        let only = if forward_only { "--forward-only " } else { "" };
        let pushed = if self.instance_connect { format!("{FLAG} ") } else { String::new() };
        let keys = ("AuthorizedKeysCommand", format!("{KEYS_CMD} {only}{pushed}{}", self.arguments));
        // For the log: which certificate it is.
        let arguments = self.arguments.replace("%f", "%f %F %s %i");
        let principals =
            ("AuthorizedPrincipalsCommand", format!("{KEYS_CMD} --principals {only}{arguments}"));
        let principals = self.user_ca.map(|_| principals);
        // Before OpenSSH 9.4, a command for principals is ignored behind one for keys in the same Match.
        principals.into_iter().chain(self.keys.then_some(keys)).collect()
    }

    /// The other settings. A key in the home directory never counts: it would outlive whatever else authenticates its owner.
    pub(crate) fn common(&self) -> Vec<Setting> {
        let user = ("AuthorizedKeysCommandUser", KEYS_USER.to_owned());
        let none = ("AuthorizedKeysFile", "none".to_owned());
        let mut settings: Vec<Setting> = self.keys.then_some(user).into_iter().chain([none]).collect();
        if let Some(file) = self.user_ca {
            settings.extend([
                ("TrustedUserCAKeys", file.to_owned()),
                ("AuthorizedPrincipalsCommandUser", KEYS_USER.to_owned()),
                ("AuthorizedPrincipalsFile", NO_FILE.to_owned()),
            ]);
        }
        settings
    }
}
