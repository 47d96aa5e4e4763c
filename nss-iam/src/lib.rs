//! `libnss_iam.so.2`: what glibc loads into every process that asks for users, for `iam` in nsswitch.conf(5).
//!
//! A foreign process must never notice it: no descriptor, map, lock, thread, memory or log of ours outlives a call,
//! nothing is written but what the caller gave for it, and errno is left alone when there is an answer.
//! [`entry`] is what glibc calls, [`lookup`] the answers, [`outcome`] how they are told, [`buffer`] where they are put.

mod buffer;
pub mod entry;
mod groups;
mod lookup;
mod outcome;
