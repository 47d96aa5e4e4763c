//! A process that stays becomes the program that replaced it.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// If a package has replaced this program, the process becomes the new one; it keeps its id, and so its place in systemd. Returns if
/// not, or if the new one cannot be run yet.
pub(crate) fn renew() {
    let running = std::fs::read_link("/proc/self/exe").ok();
    // proc_pid_exe(5)
    let path = running.as_ref().and_then(|path| path.to_str()?.strip_suffix(" (deleted)"));
    let which = |path: &str| std::fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
    // On an overlay, a file without a name in the layer below is still there.
    if let Some(path) = path.filter(|path| which(path) != which("/proc/self/exe")) {
        let cause = Command::new(path).args(std::env::args_os().skip(1)).exec();
        log::debug!("cannot run '{path}', which was replaced: {cause}");
    }
}
