//! One module for each subcommand.

pub(crate) mod adopt;
pub(crate) mod clean;
pub(crate) mod completions;
pub(crate) mod disable;
pub(crate) mod doctor;
pub(crate) mod enable;
pub(crate) mod keys;
pub(crate) mod listing;
pub(crate) mod lock;
pub(crate) mod logins;
pub(crate) mod policy;
pub(crate) mod refresh;
pub(crate) mod restore;
pub(crate) mod status;
pub(crate) mod users;
pub(crate) mod why;
