//! What the refresher leaves for others to read: `status.json`, the report of its last run, and `locked`, the list of
//! those whom an administrator keeps out. One type for each, for those who write and those who read.
#![forbid(unsafe_code)]

mod locked;

pub use locked::Locked;
