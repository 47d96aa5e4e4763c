//! Lookups through glibc, compared with every peer: the lookups, the peers, the users, and the report. And what many hosts cost
//! ([`fleet`]).
//!
//! `bench-lookups` lays out the users for every peer, runs `bench-probe` (a fresh process for each measurement, since
//! glibc reads nsswitch.conf(5) once) and writes docs/benchmarks.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark ends at the first surprise"
)]

pub mod figure;
pub mod fleet;
pub mod machine;
pub mod measure;
pub mod peer;
pub mod people;
pub mod plot;
pub mod report;
pub mod row;
