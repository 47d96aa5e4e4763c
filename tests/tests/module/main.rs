//! The NSS module as a process sees it: through dlopen, through glibc, and with invalid cache files.
//!
//! The real publisher writes the files. Each test has a private machine, so that the compiled-in path is private,
//! and a separate copy of the module, so that enumerations are independent.
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the module's functions are C's; a test fails by panicking"
)]

mod badfiles;
mod call;
mod data;
mod dlopen;
mod glibc;
mod process;

use std::path::PathBuf;

/// The module under test: with std and all checks of the debug profile. The suite `speed` runs the same tests with
/// the shipped library.
fn library() -> PathBuf {
    tests::artefact("libnss_iam.so")
}
