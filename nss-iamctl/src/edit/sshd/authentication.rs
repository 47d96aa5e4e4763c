//! How nss-iam users authenticate to sshd, as our Match blocks say it and as it is compared with what is in effect.

use config::Config;
use policy::instance_connect::FLAG;

use crate::host::paths::{KEYS_CMD, KEYS_USER};

/// A keyword of sshd_config(5), and its value.
pub(crate) type Setting = (&'static str, String);

/// What the configuration says, for one version of sshd.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authentication<'a> {
    /// The arguments of keys-cmd that this version supports.
    arguments: &'a str,
    /// Whether sshd asks keys-cmd for keys. If not, something else authenticates the users.
    pub keys: bool,
    /// Whether keys-cmd asks EC2 Instance Connect, too.
    pub instance_connect: bool,
}

impl<'a> Authentication<'a> {
    pub(crate) fn of(config: &Config, arguments: &'a str) -> Self {
        Self { arguments, keys: config.keys.sshd, instance_connect: config.keys.takes_pushed() }
    }

    /// The commands, which are different for users who may only forward connections.
    pub(crate) fn commands(&self, forward_only: bool) -> Vec<Setting> {
        let flags = [("--forward-only", forward_only), (FLAG, self.instance_connect)];
        let flags: String =
            flags.iter().filter(|(_, set)| *set).map(|(flag, _)| format!("{flag} ")).collect();
        let keys = ("AuthorizedKeysCommand", format!("{KEYS_CMD} {flags}{}", self.arguments));
        self.keys.then_some(keys).into_iter().collect()
    }

    /// The other settings. A key in the home directory never counts: it would outlive whatever else authenticates its owner.
    pub(crate) fn common(&self) -> Vec<Setting> {
        let user = ("AuthorizedKeysCommandUser", KEYS_USER.to_owned());
        let none = ("AuthorizedKeysFile", "none".to_owned());
        self.keys.then_some(user).into_iter().chain([none]).collect()
    }
}
