//! `libnss_iam.so.2`: the module that glibc loads into every process that looks up users, for `iam` in
//! nsswitch.conf(5).
//!
//! A foreign process must not notice it: it uses no descriptor, lock, thread, heap or log, writes only to memory
//! that the caller provides, leaves errno unchanged if there is an answer, and never panics. The shipped library
//! contains neither std nor anything that could panic, which the linker proves (see [`proof`]). [`entry`] has the
//! functions that glibc calls, [`lookup`] the answers, [`outcome`] their status, [`buffer`] the caller's memory,
//! [`process_cache`] the cache that is kept mapped by the rules of [`retention`], in one of the [`slots`].
#![cfg_attr(all(not(test), panic = "abort"), no_std)]

mod buffer;
mod caller;
pub mod entry;
#[cfg(test)]
mod freshness;
mod groups;
mod lookup;
mod outcome;
mod process_cache;
#[cfg(all(not(test), panic = "abort"))]
mod proof;
mod retention;
mod slots;
mod sync;
