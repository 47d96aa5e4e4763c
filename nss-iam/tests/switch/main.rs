//! Replacing a file under a model checker, which runs every interleaving of a few threads, with every value that
//! the memory orders allow a load to return: nobody reads a closed file, nothing leaks, and nobody waits (a wait
//! would be a run without an end, which loom reports).
//!
//! The files under test are those of the module and of `reader`, with loom's types in place of their `sync.rs`: if
//! a memory order is changed there, it is changed here. `weakened` checks that a weaker one is noticed.
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
mod sync;
mod values;
mod weakened;

/// All runs with at most this many preemptions of a thread that could continue.
fn explore(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(test);
}
