//! What is found out about a host: facts, gathered once, and checks, which are pure functions of them.

pub(crate) mod checks;
pub(crate) mod facts;
pub(crate) mod offer;
pub(crate) mod remedy;
pub(crate) mod subject;
