//! The rules of nss-iam, each stated once: which names, ids and homes users and groups get, who comes first, what a field may
//! contain, and when a user's keys are offered.
//!
//! Functions from values to values. Nothing here reads a file, the clock, the network or the environment, or uses another
//! crate of nss-iam: callers pass settings and facts, and act on the answers. What needs to know the host is in
//! `cache-refresher`.
#![forbid(unsafe_code)]

pub mod confirmed;
pub mod home;
pub mod id;
pub mod instance_connect;
pub mod login;
pub mod no_key;
pub mod offer;
pub mod precedence;
pub mod public_key;
pub mod record;
pub mod reserved;
mod value;

/// The group of those who may not log in.
pub const DISABLED_GROUP: &str = "iam-disabled";

/// The group of those who may only forward connections.
pub const FORWARD_ONLY_GROUP: &str = "iam-forward-only";

/// The shell of those who may only forward connections. It runs nothing, whatever its arguments are.
pub const FORWARD_ONLY_SHELL: &str = "/usr/libexec/nss-iam/forward-only";

/// The home of those who may only forward connections, which is also that of systemd's dynamic users. They can put nothing
/// there, so no file of theirs says what sshd, systemd or a program of PAM runs for them.
pub const FORWARD_ONLY_HOME: &str = "/";

pub use id::Id;
pub use public_key::NotAKey;
pub use value::{Field, IamId, Invalid, KeyLine, NAME_MAX, Name};
