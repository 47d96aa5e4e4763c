//! The switch from one file to the next under a model checker, which runs every interleaving of a few threads, with
//! every value that the memory orders allow a load to give: nobody reads a file that was let go of, nothing leaks, and
//! nobody waits (a wait would be a run without an end, which loom reports).
//!
//! The files under test are those of the module and of `reader`, with loom's types in the place of their `sync.rs`: an
//! order that is changed there is changed here.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "not all of the files under test is called from here")]

mod disk;
mod files;
#[path = "../../../reader/src/header.rs"]
mod header;
#[path = "../../src/retention.rs"]
mod retention;
#[path = "../../src/slots.rs"]
mod slots;
mod values;

/// As `src/sync.rs` and `reader/src/sync.rs`.
mod sync {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
}

/// Every run with at most so many switches from a thread that could go on.
fn explore(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(test);
}
