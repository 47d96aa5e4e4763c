//! For a lock or a removal on a file system that has become read-only: a copy of the folder in memory takes its place, until
//! it is unmounted or the host restarts.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::replace::Attributes;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

/// A file that only such a copy has.
pub const MARK: &str = "in-memory";

/// Files of the folder are small; more is not copied.
const LARGEST: u64 = 256 << 20;

/// Whether the folder is on a file system that cannot be written.
#[must_use]
pub fn is_needed(folder: &Path) -> bool {
    let flags = rustix::fs::statvfs(folder).map(|found| found.f_flag);
    flags.is_ok_and(|flags| flags.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// Whether the folder is such a copy.
#[must_use]
pub fn is_done(folder: &Path) -> bool {
    folder.join(MARK).exists()
}

/// Puts a copy in the place of `folder`.
///
/// # Errors
/// Of the operating system; and where sshd would not see it, since this process has file systems of its own, as systemd gives
/// them to a unit.
pub fn rescue(folder: &Path) -> io::Result<()> {
    if !is_seen_by_others()? {
        return Err(io::Error::other(
            "this process has file systems of its own, so no other would see a copy",
        ));
    }
    let aside = Path::new("/run").join(format!("nss-iam-rescue-{}", std::process::id()));
    fs::create_dir(&aside)?;
    let done = replace(folder, &aside);
    // What is in the folder's place by now stays there. Neither matters otherwise.
    let _ = unmount(&aside, UnmountFlags::DETACH);
    let _ = fs::remove_dir(&aside);
    done
}

fn replace(folder: &Path, aside: &Path) -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("tmpfs", aside, "tmpfs", flags, c"mode=0755")?;
    Attributes::of_mode(0o755).labelled_as(folder).give(&File::open(aside)?)?;
    for entry in fs::read_dir(folder)? {
        copy(&entry?.path(), aside)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o644).open(aside.join(MARK))?;
    // At no instant is there no cache.
    Ok(mount_bind(aside, folder)?)
}

/// What is no file (a backup of `nss-iamctl`) stays where it is, out of sight.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(from)?;
    let wanted = |name: &&OsStr| found.is_file() && found.len() <= LARGEST && *name != MARK;
    let Some(name) = from.file_name().filter(wanted) else {
        return Ok(());
    };
    let bytes = fs::read(from)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to.join(name))?;
    file.write_all(&bytes)?;
    let attributes =
        Attributes::of_mode(found.mode() & 0o7777).owned_by(Some(found.uid()), Some(found.gid()));
    attributes.labelled_as(from).give(&file)
}

/// A unit's parent is systemd, which has the file systems of the host; who types a command shares them with the shell.
fn is_seen_by_others() -> io::Result<bool> {
    let parent = rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get());
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt"));
    Ok(of("self")? == of(&parent.to_string())?)
}
