//! Another directory service on a [`Host`]: `tests/directory/directory.c` as the service `sss`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use crate::{Host, module, repository, target};

/// Built once, before any test is in a private machine, where the directory is read-only.
static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let module = target().join(format!("libnss_sss-{}.so.2", std::process::id()));
    let done = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Werror", "-O1", "-DSERVICE=sss", "-o"])
        .arg(&module)
        .arg(repository().join("tests/directory/directory.c"))
        .status();
    assert!(done.is_ok_and(|status| status.success()), "cc cannot build the directory service");
    module
});

/// Like [`Host::in_tree`] of `login`, with this service between `files` and `iam`.
#[must_use]
pub fn host() -> Option<Host> {
    let built = BUILT.clone();
    let host = Host::in_tree("login")?;
    fs::copy(built, module().with_file_name("libnss_sss.so.2")).unwrap();
    services("sss");
    knows("");
    Some(host)
}

/// Puts these services between `files` and `iam`.
pub fn services(names: &str) {
    let conf = format!(
        "passwd: files {names} iam\ngroup: files [SUCCESS=merge] {names} [SUCCESS=merge] iam\nshadow: files iam\nhosts: files\n"
    );
    fs::write("/etc/nsswitch.conf", conf).unwrap();
}

/// The data of the service, see the header of its source.
pub fn knows(lines: &str) {
    fs::write("/etc/directory", lines).unwrap();
}
