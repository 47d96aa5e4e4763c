//! `libnss_iam.so.2`: what glibc loads into every process that asks for users, for `iam` in nsswitch.conf(5).
//!
//! A foreign process must never notice it: no descriptor, lock, thread, heap or log, nothing written but what the caller
//! gave for it, errno left alone when there is an answer, and no panic: the shipped form has neither std nor anything
//! that could panic, which the linker proves (see [`proof`]).
//! [`entry`] is what glibc calls, [`lookup`] the answers, [`outcome`] how they are told, [`buffer`] where they are put,
//! [`process_cache`] the cache that is kept mapped, by the rules of [`retention`], in one of the [`slots`].
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
