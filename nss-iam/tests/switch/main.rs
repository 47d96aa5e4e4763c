//! The switch from one file to the next under a model checker, which runs every interleaving of a few threads, with
//! every value that the memory orders allow a load to give: nobody reads a file that was let go of, nothing leaks, and
//! nobody waits (a wait would be a run without an end, which loom reports).
//!
//! The two files under test are those of the module, with loom's types in the place of `sync.rs`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "not all of the two files is called from here")]

mod disk;
mod files;
#[path = "../../src/kept.rs"]
mod kept;
#[path = "../../src/slots.rs"]
mod slots;
mod values;

/// As `src/sync.rs`.
mod sync {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
}

/// Every run with at most so many switches from a thread that could go on.
fn explore(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(test);
}
