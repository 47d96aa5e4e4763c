//! Answers questions from the bytes of a cache file: a read-only reader of SQLite's file format ("Database File
//! Format", sqlite.org), for files that other processes write and that cannot be trusted.
//!
//! It does not allocate, lock or panic; the linker proves the last (see `nss-iam`). So this code uses no indexing,
//! no `[a..b]` and no `%` by a variable, and checks arithmetic on values from the file. Anything invalid is
//! [`Error::Corrupt`].
#![no_std]
#![deny(unsafe_code)]

mod cache;
mod check;
mod entry;
mod file;
mod gids;
mod header;
mod keys;
mod numbers;
mod pages;
mod readable;
mod record;
mod sync;
mod text;
mod tree;

pub use cache::{Cache, Snapshot};
pub use check::{LEAST, NAME_MAX, floor, name_is_ours};
pub use entry::{Dates, Group, Members, User};
pub use file::{Id, Map, at, now, root};
pub use keys::{About, Keys, Login};
pub use text::{Chunks, Text};
pub use tree::Place;

use core::fmt;

/// The `user_version` of a file is its major version × 100 + its minor version; a reader accepts any minor version
/// of its major version.
pub const MAJOR: u32 = 1;

/// Why a file gives no answer. If a valid file does not have an entry, that is not an error, but `Ok(None)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The file could not be opened or mapped: an errno.
    System(i32),
    /// The file must not be read: its type, mode, owner, application or version is wrong.
    Foreign(&'static str),
    /// The file breaks the file format, or a row breaks the rules of the cache.
    Corrupt(&'static str),
}

/// `Ok(None)`: the file is valid and has no such entry.
pub type Result<T> = core::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::System(errno) => write!(f, "system error {errno}"),
            Error::Foreign(what) => f.write_str(what),
            Error::Corrupt(what) => write!(f, "corrupt: {what}"),
        }
    }
}

impl core::error::Error for Error {}
