//! The NSS module as a process sees it: by dlopen, through glibc, and with bad files at its cache's place.
//!
//! What it answers from is written by the real publisher. Each test has a private machine, so that the compiled-in
//! path is its own, and a copy of the module of its own, so that enumerations do not meet.
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

/// The module under test: with std and all checks of the debug profile. The suite `speed` runs the same tests on the
/// shipped form.
fn library() -> PathBuf {
    tests::artefact("libnss_iam.so")
}
