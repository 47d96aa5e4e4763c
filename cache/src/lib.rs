//! What the writer and the readers of the cache share: its schema, its rows, and how it is published. Readers do
//! not link this crate (they link `reader`); the rules are in `policy`.
#![forbid(unsafe_code)]

mod accepted;
pub mod confirmed;
pub mod parts;
pub mod passwd;
pub mod publish;
pub mod replace;
pub mod rescue;
pub mod reserve;
pub mod schema;
pub mod snapshot;
pub mod state;
mod texts;

pub use accepted::Accepted;
pub use texts::Texts;

/// The directory of the files; also compiled into the readers.
pub const DIRECTORY: &str = "/var/lib/nss-iam";
