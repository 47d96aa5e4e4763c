//! nscd(8), which answers from its own cache, so that glibc does not ask the services.

use std::path::Path;

/// Its caches of users and groups, by the names that `nscd -i` takes.
pub const TABLES: [&str; 2] = ["passwd", "group"];

/// Whether it is running: glibc connects to one of these sockets.
#[must_use]
pub fn runs(root: &Path) -> bool {
    ["run/nscd/socket", "var/run/nscd/socket"].iter().any(|socket| root.join(socket).exists())
}
