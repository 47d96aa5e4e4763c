//! What the refresher leaves for others to read: `status.json`, the report of its last run, and `locked`, the list of
//! those whom an administrator keeps out. One type for each, for those who write and those who read.
#![forbid(unsafe_code)]

mod coded;
mod held;
mod locked;
mod reason;
mod report;
mod skip;
mod stop;
#[cfg(test)]
mod tests;
mod warning;

pub use coded::{Coded, Kind, Told};
pub use held::Held;
pub use locked::Locked;
pub use reason::{SkipReason, escaped};
pub use report::{Account, Fetched, MAX_BYTES, Status};
pub use skip::{Part, Skip, What};
pub use stop::Stop;
pub use warning::Warning;
