//! Answers questions from a cache file's bytes: a read-only walker of SQLite's file format ("Database File Format",
//! sqlite.org), for files that other processes write and that nobody may trust.
//!
//! No allocation, no lock, no panic: the linker proves the last (see `nss-iam`). So no indexing, no `[a..b]`, no
//! `%` by a variable in here, and arithmetic on what the file says is checked. What is odd is [`Error::Corrupt`].
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

/// The `user_version` of a file is its major × 100 + its minor; a reader accepts any minor of its major.
pub const MAJOR: u32 = 1;

/// Why a file gives no answer. An entry that is not in a good file is no error, but `Ok(None)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// It could not be opened or mapped: an errno.
    System(i32),
    /// It is not what may be read at this place: its type, mode, owner, application or version.
    Foreign(&'static str),
    /// It breaks the file format, or a row breaks the rules of the cache.
    Corrupt(&'static str),
}

/// `Ok(None)`: the file is good, and has no such entry.
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
