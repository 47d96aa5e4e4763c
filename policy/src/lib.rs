//! The rules of nss-iam, each stated once: which names and ids users and groups can have, and what may stand in their
//! fields.
//!
//! Functions from values to values. No file, clock, network or environment is read here, and no other crate of nss-iam
//! is known: callers pass settings and facts, and act on the answers.
#![forbid(unsafe_code)]

pub mod login;
pub mod reserved;
mod value;

pub use value::{Field, ID_COUNT, ID_FIRST, IamId, Id, Invalid, KeyLine, NAME_MAX, Name, PINNED_FIRST};
