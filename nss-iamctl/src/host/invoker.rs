//! The person who runs this command as root.

use crate::host::Host;
use crate::host::files;

/// The kernel's value for "nobody logged in", for example in a job of cron(8); proc(5), loginuid.
const UNSET: u32 = u32::MAX;

/// What is known about them. Reading it never fails: a lock must not depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Invoker {
    /// The uid that logged in, from the kernel: sudo(8) and su(1) do not change it.
    login: Option<u32>,
    /// What sudo(8) put into the environment. Root could have put anything there.
    sudo_uid: Option<u32>,
    sudo_user: Option<String>,
}

impl Invoker {
    pub(crate) fn of(host: &Host) -> Self {
        let read = |path| files::read_lossy(&host.path(path)).ok().flatten().unwrap_or_default();
        let login = read("/proc/self/loginuid").trim().parse().ok().filter(|uid| *uid != UNSET);
        let environment = read("/proc/self/environ");
        let variable = |name: &str| {
            let mut all = environment.split('\0').filter_map(|entry| entry.split_once('='));
            all.find(|(other, _)| *other == name).map(|(_, value)| value.to_owned())
        };
        Self {
            login,
            sudo_uid: variable("SUDO_UID").and_then(|uid| uid.parse().ok()),
            sudo_user: variable("SUDO_USER"),
        }
    }

    #[cfg(test)]
    pub(crate) fn logged_in(uid: u32) -> Self {
        Self { login: Some(uid), ..Self::default() }
    }

    /// Whether this is their uid. One of both sources is enough.
    pub(crate) fn is(&self, uid: u32) -> bool {
        [self.login, self.sudo_uid].contains(&Some(uid))
    }

    /// Who they are, for a log; `name` finds the name of a uid.
    pub(crate) fn shown(&self, name: impl Fn(u32) -> Option<String>) -> String {
        let login = self.login.map(|uid| match name(uid) {
            Some(name) => format!("{name} (uid {uid})"),
            None => format!("uid {uid}"),
        });
        // The kernel's answer already names the same user.
        let sudo = self.sudo_user.as_ref().filter(|_| self.login.is_none() || self.login != self.sudo_uid);
        match (login, sudo) {
            (Some(login), None) => login,
            (Some(login), Some(user)) => format!("{login}, through sudo as {user}"),
            (None, Some(user)) => format!("{user}, as sudo says"),
            (None, None) => "root, without a login".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_believed_before_the_environment() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("proc/self")).unwrap();
        let host = Host::this_directory(root.path());
        assert_eq!(Invoker::of(&host), Invoker::default(), "without /proc");
        let name = |uid| (uid == 1001).then(|| "carl".to_owned());
        for (login, environment, shown) in [
            ("1001\n", "SUDO_USER=carl\0SUDO_UID=1001\0", "carl (uid 1001)"),
            ("1001", "PATH=/bin\0", "carl (uid 1001)"),
            ("1002", "SUDO_UID=1001\0SUDO_USER=carl", "uid 1002, through sudo as carl"),
            ("4294967295", "SUDO_USER=carl\0SUDO_UID=1001\0", "carl, as sudo says"),
            ("4294967295", "", "root, without a login"),
        ] {
            std::fs::write(root.path().join("proc/self/loginuid"), login).unwrap();
            std::fs::write(root.path().join("proc/self/environ"), environment).unwrap();
            let invoker = Invoker::of(&host);
            assert_eq!(invoker.shown(name), shown);
            assert!(!invoker.is(UNSET));
            assert_eq!(invoker.is(1001), login.contains("1001") || environment.contains("1001"));
        }
    }
}
