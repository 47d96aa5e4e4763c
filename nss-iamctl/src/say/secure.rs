//! What to print so that only root can write to something, without harm to whoever else uses it.

use std::path::Path;

use crate::say::show::word;

/// The sticky bit: everyone is meant to write to this directory, such as /tmp.
const STICKY: u32 = 0o1000;

/// Something on the way to a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub path: &'a str,
    pub uid: u32,
    pub mode: u32,
    /// Neither a device, nor a pipe or a socket.
    pub plain: bool,
}

/// Whether its owner and mode may be changed for the sake of `asked`: it is that file, or a directory above it, and not what a
/// link leads to. A directory for everyone, or a device, stays as it is.
pub(crate) fn may_change(asked: &str, place: Place<'_>) -> bool {
    place.plain && place.mode & STICKY == 0 && Path::new(asked).starts_with(place.path)
}

/// The commands after which only root can write to it; `None` if it must stay as it is.
pub(crate) fn for_root_only(asked: &str, place: Place<'_>) -> Option<String> {
    let path = word(place.path);
    let owner = (place.uid != 0).then(|| format!("chown root {path}"));
    let mode = (place.mode & 0o022 != 0).then(|| format!("chmod go-w {path}"));
    let commands: Vec<String> = owner.into_iter().chain(mode).collect();
    may_change(asked, place).then(|| commands.join(" && "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_above_the_path_itself_and_for_nobody_else_is_changed() {
        let hint = |path, uid, mode, plain| for_root_only("/usr/lib/x/run", Place { path, uid, mode, plain });
        for (path, uid, mode, wanted) in [
            ("/usr/lib/x/run", 0, 0o775, "chmod go-w /usr/lib/x/run"),
            ("/usr/lib/x", 7, 0o755, "chown root /usr/lib/x"),
            ("/", 7, 0o777, "chown root / && chmod go-w /"),
        ] {
            assert_eq!(hint(path, uid, mode, true).as_deref(), Some(wanted));
        }
        for (path, mode, plain) in [
            ("/tmp", 0o1777, true),
            ("/usr/lib", 0o1777, true),
            ("/home/admin/x", 0o777, true),
            ("/usr/li", 0o777, true),
            ("/usr/lib/x/run", 0o666, false),
        ] {
            assert_eq!(hint(path, 0, mode, plain), None, "{path}");
        }
    }
}
