//! The harness: private machines, an IAM emulator, and a proxy that injects faults.
//!
//! A test starts with [`Machine::enter`] or [`Account::new`] and needs only a few lines. No shipped program links
//! this.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a harness fails its test by panicking"
)]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

pub mod boot;
pub mod crash;
pub mod directory;
mod emulator;
pub mod fleet;
mod host;
mod http;
pub mod literals;
mod log;
pub mod login;
mod machine;
mod proxy;
mod published;
pub mod pushed;
pub mod remedy;
mod ssh;
pub mod vm;

pub use emulator::{Account, Emulator, INSTANCE, INSTANCE_ROLE, REGION, client};
pub use host::{
    CACHE, CONFIRMED, Found, Host, LISTING, REFRESHER, Ran, files, files_below, files_of_both, left_listing,
    listing, user, written_since,
};
pub use machine::{Machine, is_root, module};
pub use proxy::{Call, Fault, FaultProxy, ForwardProxy};
pub use published::{Person, move_last_questions, published};

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is below the root").to_path_buf()
}

/// The directory that cargo builds into: `target`, two above `debug/deps/this-test`.
#[must_use]
pub fn target() -> PathBuf {
    profile().parent().expect("a profile's directory is below the target directory").to_path_buf()
}

/// A file that cargo built: `artefact("libnss_iam.so")`, `artefact("keys-cmd")`, of the profile of this test.
///
/// # Panics
/// If it was not built: `cargo test` of one crate does not build the others.
#[must_use]
pub fn artefact(name: &str) -> PathBuf {
    let path = profile().join(name);
    assert!(path.is_file(), "'{}' is missing\nhint: make build", path.display());
    path
}

/// `dist/nss-iam*.deb` or `.rpm` of this machine's architecture.
///
/// # Panics
/// If it is missing.
#[must_use]
pub fn package(extension: &str) -> PathBuf {
    let architecture = match (extension, std::env::consts::ARCH) {
        ("deb", "x86_64") => "amd64",
        ("deb", "aarch64") => "arm64",
        (_, other) => other,
    };
    built("nss-iam", &format!("{architecture}.{extension}"))
}

/// The module for 32-bit programs.
///
/// # Panics
/// If it is missing.
#[must_use]
pub fn package_32(extension: &str) -> PathBuf {
    built("libnss-iam", if extension == "deb" { "i386.deb" } else { "i686.rpm" })
}

/// The file of dist that begins with the name and a version, and ends with this.
fn built(name: &str, end: &str) -> PathBuf {
    let directory = std::fs::read_dir(repository().join("dist")).into_iter().flatten().flatten();
    let is_it = |path: &PathBuf| {
        let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        let rest = file.strip_prefix(name).and_then(|rest| rest.strip_prefix(['_', '-']));
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.ends_with(end))
    };
    let mut found = directory.map(|entry| entry.path()).filter(is_it);
    found.next().unwrap_or_else(|| panic!("there is no dist/{name}*{end}\nhint: make deb rpm"))
}

/// The output of a program, as text.
///
/// # Panics
/// If it is not UTF-8.
#[must_use]
pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn profile() -> &'static Path {
    static EXE: LazyLock<PathBuf> = LazyLock::new(|| std::env::current_exe().expect("the path of this test"));
    let directory = EXE.parent().expect("a program is in a directory");
    // A test runs from `<profile>/deps`, the demo from `<profile>`.
    if directory.ends_with("deps") { directory.parent().expect("deps is in a directory") } else { directory }
}
