//! What is edited on a host, and how an edit is undone.

pub(crate) mod access;
pub(crate) mod authselect;
pub(crate) mod backup;
pub(crate) mod block;
pub(crate) mod file;
pub(crate) mod nsswitch;
pub(crate) mod owners;
pub(crate) mod pam;
pub(crate) mod settings;
pub(crate) mod sshd;
pub(crate) mod step;
pub(crate) mod sudo;
pub(crate) mod transaction;
pub(crate) mod units;
