//! The shipped library: what the linker proves about it, its size, its imports, and how it keeps and releases the
//! cache; plus all tests of the suite `module`, run with it.
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the module's functions are C's; a test fails by panicking"
)]

#[path = "../module/badfiles.rs"]
mod badfiles;
#[path = "../module/call.rs"]
mod call;
#[path = "../module/data.rs"]
mod data;
#[path = "../module/dlopen.rs"]
mod dlopen;
mod fresh;
#[path = "../module/glibc.rs"]
mod glibc;
#[path = "../module/process.rs"]
mod process;
mod shipped;
mod stack;
mod tools;

use std::path::PathBuf;

/// The module as `make install` installs it.
fn library() -> PathBuf {
    let path = tests::target().join("module/libnss_iam.so");
    assert!(path.is_file(), "'{}' is missing\nhint: make module", path.display());
    path
}
