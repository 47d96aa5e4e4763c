//! What glibc and sshd answer for one user in the cache.

use cache::snapshot::User;
use message::Message;

use crate::edit::sshd::Sshd;
use crate::edit::sshd::effective::Effective;
use crate::host::Host;
use crate::host::accounts::account;
use crate::inspect::facts::{Facts, Node};

/// The answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probe {
    pub name: String,
    pub uid: u32,
    pub active: bool,
    /// `getent passwd`: the answer that every program gets. By name; by uid for a disabled user, who has no name.
    pub passwd: Option<String>,
    /// `getent -s iam passwd`: the module alone, past nsswitch.conf and nscd. Likewise.
    pub module: Option<String>,
    /// `getent passwd` by the name of a user who is disabled.
    pub by_name: Option<String>,
    /// `getent shadow`; asked by root only, of an active user.
    pub shadow: Option<String>,
    /// The supplementary gids of an active user, `getent initgroups`.
    pub groups: Vec<u32>,
    pub home: String,
    pub home_node: Option<Node>,
    pub shell: String,
    pub shell_node: Option<Node>,
    /// `sshd -T -C user=…` for an active user; `None` if not run.
    pub sshd: Option<Result<Effective, Message>>,
}

impl Probe {
    /// Asks about `user`.
    pub(crate) fn of(host: &Host, facts: &Facts, user: &User) -> Self {
        let (name, uid) = (user.name.as_str(), user.uid.to_string());
        let key = if user.active { name } else { &uid };
        let ask = |words: &[&str]| {
            let output = host.run(&[&["getent"], words].concat()).ok().filter(|output| output.success())?;
            Some(output.stdout.trim_end().to_owned())
        };
        let ask_of_active = |words: &[&str]| if user.active { ask(words) } else { None };
        let groups = ask_of_active(&["initgroups", name]).unwrap_or_default();
        Self {
            name: name.to_owned(),
            uid: user.uid.get(),
            active: user.active,
            passwd: ask(&["passwd", key]),
            module: ask(&["-s", "iam", "passwd", key]),
            by_name: if user.active { None } else { ask(&["passwd", name]) },
            shadow: if facts.root { ask_of_active(&["shadow", name]) } else { None },
            groups: groups.split_whitespace().skip(1).filter_map(|gid| gid.parse().ok()).collect(),
            home: user.passwd.home.to_string(),
            home_node: Node::of(host, user.passwd.home.as_str()),
            shell: user.passwd.shell.to_string(),
            shell_node: Node::of(host, user.passwd.shell.as_str()),
            sshd: if facts.root && user.active { settings(host, name) } else { None },
        }
    }

    /// The uid that glibc answers.
    pub(crate) fn told_uid(&self) -> Option<u32> {
        uid_of(self.passwd.as_ref()?)
    }

    /// Whether a user who is disabled still exists by name.
    pub(crate) fn has_name(&self) -> bool {
        self.by_name.as_ref().is_some_and(|line| uid_of(line) == Some(self.uid))
    }
}

fn uid_of(line: &str) -> Option<u32> {
    account(line.as_bytes()).map(|account| account.uid)
}

fn settings(host: &Host, name: &str) -> Option<Result<Effective, Message>> {
    let sshd = Sshd::find(host).ok().flatten()?;
    Some(sshd.settings(name).map_err(Message::from))
}
