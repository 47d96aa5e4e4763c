//! SELinux: the policy modules of nss-iam, and the labels of what they let programs read.

use crate::host::Host;

/// Loads the modules, and labels the files.
pub(crate) const LOAD: [&str; 2] = ["/usr/libexec/nss-iam/selinux", "load"];
/// What programs that look up users read.
const READ: [&str; 3] = ["/var/lib/nss-iam", "/var/lib/nss-iam/cache.db", "/var/lib/nss-iam/keys.db"];

/// The first of these paths that does not have the label of the modules, and its label; `None` also where SELinux is off or
/// only warns.
pub(crate) fn wrong_label(host: &Host) -> Option<(&'static str, String)> {
    if !std::fs::read(host.path("/sys/fs/selinux/enforce")).is_ok_and(|mode| mode.starts_with(b"1")) {
        return None;
    }
    READ.into_iter().find_map(|path| {
        let mut label = [0; 512];
        let length = rustix::fs::getxattr(host.path(path), "security.selinux", &mut label).ok()?;
        let label = String::from_utf8_lossy(label.get(..length)?).trim_end_matches('\0').to_owned();
        (label.split(':').nth(2) != Some("nss_iam_cache_t")).then_some((path, label))
    })
}
