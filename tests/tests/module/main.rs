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
