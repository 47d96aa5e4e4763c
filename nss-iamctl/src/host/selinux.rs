//! SELinux: the policy modules of nss-iam, and the labels of what they let programs read.

use crate::host::Host;

/// Loads the modules, and labels the files.
pub(crate) const LOAD: [&str; 2] = ["/usr/libexec/nss-iam/selinux", "load"];
/// What programs that look up users read.
const READ: [&str; 3] = ["/var/lib/nss-iam", "/var/lib/nss-iam/cache.db", "/var/lib/nss-iam/keys.db"];

/// With the name of a domain: lets that domain read the cache.
pub(crate) const ALLOW: &str = "/usr/libexec/nss-iam/selinux allow";

/// A path that does not have the label of the modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongLabel {
    pub path: &'static str,
    pub label: String,
    /// Whether programs are denied access, not only warned about.
    pub enforcing: bool,
}

/// The first of these paths that does not have the label of the modules; `None` also where SELinux is off.
pub(crate) fn wrong_label(host: &Host) -> Option<WrongLabel> {
    let enforcing = std::fs::read(host.path("/sys/fs/selinux/enforce")).ok()?.starts_with(b"1");
    READ.into_iter().find_map(|path| {
        let mut label = [0; 512];
        let length = rustix::fs::getxattr(host.path(path), "security.selinux", &mut label).ok()?;
        let label = String::from_utf8_lossy(label.get(..length)?).trim_end_matches('\0').to_owned();
        (label.split(':').nth(2) != Some("nss_iam_cache_t")).then_some(WrongLabel { path, label, enforcing })
    })
}
