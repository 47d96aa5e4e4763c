//! The types with which `header` reads shared memory. `nss-iam/tests/switch` replaces this file by types of a model
//! checker.
#![forbid(unsafe_code)]

pub(crate) use core::sync::atomic::{AtomicU8, Ordering};
