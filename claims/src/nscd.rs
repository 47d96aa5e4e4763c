//! nscd(8), which answers in glibc's place from its own memory.

use std::path::Path;

/// What it remembers of users and groups, as `nscd -i` calls it.
pub const TABLES: [&str; 2] = ["passwd", "group"];

/// Whether it runs: glibc asks it through one of these.
#[must_use]
pub fn runs(root: &Path) -> bool {
    ["run/nscd/socket", "var/run/nscd/socket"].iter().any(|socket| root.join(socket).exists())
}
