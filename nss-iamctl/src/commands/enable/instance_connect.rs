//! Whether keys count that were pushed with EC2 Instance Connect, where that or its package is missing.

use config::Config;
use message::Message;
use policy::instance_connect::COMMANDS;

use crate::host::Host;
use crate::inspect::checks::instance_connect::{INSTALL, MISSING};

pub(super) fn remark(host: &Host, config: &Config) -> Option<Message> {
    let installed = COMMANDS.into_iter().find(|path| host.exists(path));
    if !config.keys.sshd {
        return None;
    }
    match (config.keys.takes_pushed(), installed) {
        (true, None) => Some(Message::new(MISSING).with_hint(INSTALL)),
        (false, Some(path)) => {
            let what =
                format!("'{path}' is installed, but keys that it knows do not count for nss-iam users");
            Some(Message::new(what).with_hint("nss-iamctl enable --instance-connect"))
        }
        _ => None,
    }
}
