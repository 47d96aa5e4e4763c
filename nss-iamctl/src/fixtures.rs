//! What the tests of several modules begin with: hosts of different kinds.

pub(crate) mod machine;
pub(crate) mod tree;
mod well;

pub(crate) use well::*;
