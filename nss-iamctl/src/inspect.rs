//! Inspects a host: facts, which are gathered once, and checks, which are pure functions of the facts.

pub(crate) mod checks;
pub(crate) mod facts;
pub(crate) mod offer;
pub(crate) mod outlook;
pub(crate) mod remedy;
pub(crate) mod subject;
pub(crate) mod without_account;
