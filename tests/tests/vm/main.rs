//! On virtual machines: what only a kernel of its own shows.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod apparmor;
mod clock;
mod metadata;
mod selinux;
mod storage;
mod support;
