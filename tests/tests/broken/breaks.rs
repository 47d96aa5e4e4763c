//! Ways to break a file or a directory. Each may be repeated, because a run may have repaired it.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

use nix::sys::stat;
use nix::unistd::mkfifo;

use crate::Place;

/// The way to break it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Gone,
    /// A directory: not even root can read it as a file.
    Directory,
    Garbage,
    Latin1,
    Fifo,
    /// Truncated to half.
    Cut,
    /// Owned by an unprivileged user.
    Owner,
    /// Writable by everyone.
    Mode,
}

pub(crate) use Way::*;

/// Breaks `path` in this way.
pub(crate) fn broken(path: &'static str, way: Way) -> impl Fn(&Place) + Send + Sync + 'static {
    move |_| break_it(path, way)
}

pub(crate) fn break_it(path: &str, way: Way) {
    let Ok(found) = fs::symlink_metadata(path) else {
        return make(path, way);
    };
    match way {
        Owner => chown(path, Some(1000), Some(1000)).unwrap(),
        Way::Mode => {
            let mode = if found.is_dir() { 0o777 } else { 0o666 };
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        Cut => File::options().write(true).open(path).unwrap().set_len(found.len() / 2).unwrap(),
        Gone | Directory | Garbage | Latin1 | Fifo => {
            let removed = if found.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            removed.unwrap();
            make(path, way);
        }
    }
}

fn make(path: &str, way: Way) {
    match way {
        Directory => fs::create_dir(path).unwrap(),
        Garbage => fs::write(path, [&[0, 1, 2, 255][..], &[b'\n', 7, 254]].concat().repeat(999)).unwrap(),
        Latin1 => fs::write(path, b"# caf\xe9\n").unwrap(),
        Fifo => mkfifo(path, stat::Mode::from_bits_truncate(0o644)).unwrap(),
        Cut => fs::write(path, "[users").unwrap(),
        Owner | Way::Mode => {
            fs::write(path, "").unwrap();
            break_it(path, way);
        }
        Gone => {}
    }
}

/// Removes the lines that begin with `begin` from a file.
pub(crate) fn without(path: &'static str, begin: &'static str) -> impl Fn(&Place) + Send + Sync + 'static {
    move |_| {
        let text = fs::read_to_string(path).unwrap();
        let kept: String =
            text.lines().filter(|line| !line.starts_with(begin)).map(|line| format!("{line}\n")).collect();
        fs::write(path, kept).unwrap();
    }
}

/// Appends a line to a file, unless it is there.
pub(crate) fn with(path: &'static str, line: &'static str) -> impl Fn(&Place) + Send + Sync + 'static {
    move |_| {
        let text = fs::read_to_string(path).unwrap_or_default();
        if !text.lines().any(|known| known == line) {
            fs::write(path, format!("{text}{line}\n")).unwrap();
        }
    }
}
