//! The rules of nss-iam, each stated once: which names and ids users and groups can have, and what may stand in their
//! fields.
//!
//! Functions from values to values. No file, clock, network or environment is read here, and no other crate of nss-iam
//! is known: callers pass settings and facts, and act on the answers.
#![forbid(unsafe_code)]

pub mod home;
pub mod id;
pub mod login;
pub mod offer;
pub mod precedence;
pub mod reserved;
mod value;

/// The group of those who may not log in.
pub const DISABLED_GROUP: &str = "iam-disabled";

pub use id::Id;
pub use value::{Field, IamId, Invalid, KeyLine, NAME_MAX, Name};
