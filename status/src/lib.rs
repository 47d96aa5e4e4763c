//! The files `status.json`, the report of the last run, and `locked`, the list of users whom an administrator has locked
//! out. Writers and readers use the same types. Also the exit statuses that our programs share.
#![forbid(unsafe_code)]

mod coded;
pub mod exit;
mod fetched;
mod held;
mod locked;
pub mod metrics;
mod reason;
mod report;
mod skip;
mod stop;
#[cfg(test)]
mod tests;
mod warning;

pub use coded::{Coded, Kind, Told};
pub use fetched::{Fetched, Totals};
pub use held::Held;
pub use locked::{Locked, Note};
pub use reason::{SkipReason, escaped};
pub use report::{Account, Confirmed, MAX_BYTES, Signed, Status};
pub use skip::{Part, Skip, What};
pub use stop::Stop;
pub use warning::Warning;
