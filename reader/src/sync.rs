//! What `header` reads shared memory with. `nss-iam/tests/switch` puts a model checker's types in this file's place.
#![forbid(unsafe_code)]

pub(crate) use core::sync::atomic::{AtomicU8, Ordering};
