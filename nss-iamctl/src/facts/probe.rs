//! What glibc and sshd say of one user of the cache.

use cache::snapshot::User;

use crate::facts::{Facts, Node};
use crate::host::Host;
use crate::sshd::Sshd;
use crate::sshd::effective::Effective;

/// The answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probe {
    pub name: String,
    pub uid: u32,
    pub active: bool,
    /// `getent passwd`: as every program is told.
    pub passwd: Option<String>,
    /// `getent -s iam passwd`: the module alone, past nsswitch.conf and nscd.
    pub module: Option<String>,
    /// `getent shadow`; asked by root only.
    pub shadow: Option<String>,
    /// The supplementary gids, `getent initgroups`.
    pub groups: Vec<u32>,
    pub home: String,
    pub home_node: Option<Node>,
    pub shell: String,
    pub shell_node: Option<Node>,
    /// `sshd -T -C user=…`; none: not asked.
    pub sshd: Option<Result<Effective, String>>,
}

impl Probe {
    /// Asks about `user`.
    pub(crate) fn of(host: &Host, facts: &Facts, user: &User) -> Self {
        let name = user.name.as_str();
        let ask = |words: &[&str]| {
            let output = host.run(&[&["getent"], words].concat()).ok().filter(|output| output.success())?;
            Some(output.stdout.trim_end().to_owned())
        };
        let groups = ask(&["initgroups", name]).unwrap_or_default();
        Self {
            name: name.to_owned(),
            uid: user.uid.get(),
            active: user.active,
            passwd: ask(&["passwd", name]),
            module: ask(&["-s", "iam", "passwd", name]),
            shadow: if facts.root { ask(&["shadow", name]) } else { None },
            groups: groups.split_whitespace().skip(1).filter_map(|gid| gid.parse().ok()).collect(),
            home: user.home.to_string(),
            home_node: Node::of(host, user.home.as_str()),
            shell: user.shell.to_string(),
            shell_node: Node::of(host, user.shell.as_str()),
            sshd: if facts.root { settings(host, name) } else { None },
        }
    }

    /// The uid that glibc tells.
    pub(crate) fn told_uid(&self) -> Option<u32> {
        self.passwd.as_ref()?.split(':').nth(2)?.parse().ok()
    }
}

fn settings(host: &Host, name: &str) -> Option<Result<Effective, String>> {
    let sshd = Sshd::find(host).ok().flatten()?;
    Some(sshd.settings(name).map_err(|cause| cause.to_string()))
}
