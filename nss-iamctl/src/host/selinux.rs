//! SELinux: the policy modules of nss-iam, and the label of the cache.

use crate::host::Host;

/// Loads the modules, and labels the files.
pub(crate) const LOAD: [&str; 2] = ["/usr/libexec/nss-iam/selinux", "load"];
/// Removes the modules.
pub(crate) const REMOVE: [&str; 2] = ["/usr/libexec/nss-iam/selinux", "remove"];

/// The label of the directory of the cache, if it is not that of the modules; `None` also where SELinux is off.
pub(crate) fn wrong_label(host: &Host) -> Option<String> {
    if !host.exists("/sys/fs/selinux/enforce") {
        return None;
    }
    let mut label = [0; 512];
    let length = rustix::fs::getxattr(host.path(cache::DIRECTORY), "security.selinux", &mut label).ok()?;
    let label = String::from_utf8_lossy(label.get(..length)?).trim_end_matches('\0').to_owned();
    (label.split(':').nth(2) != Some("nss_iam_cache_t")).then_some(label)
}
