//! The exit status for a failure.

use std::io;

use listing::FailureKind;

pub(crate) use status::exit::{CONFIGURATION, DENIED, HELD, OK, OTHER, UNAVAILABLE, heaviest};

pub(crate) fn of(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Held => HELD,
        FailureKind::Unavailable => UNAVAILABLE,
        FailureKind::Denied => DENIED,
        FailureKind::Configuration => CONFIGURATION,
        FailureKind::Other => OTHER,
    }
}

/// For an error of the operating system.
pub(crate) fn of_io(cause: &io::Error) -> u8 {
    match cause.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => DENIED,
        _ => OTHER,
    }
}
