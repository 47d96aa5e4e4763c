//! Hosts for the tests of several modules.

pub(crate) mod machine;
pub(crate) mod tree;
mod well;

pub(crate) use well::*;
