//! For a lock or a removal on a file system that became read-only: a copy of the directory in memory takes its
//! place until it is unmounted or the host restarts.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::replace::Attributes;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

/// A file that exists only in a copy in memory.
pub const MARK: &str = "in-memory";

/// Files of the directory are small; larger ones are not copied.
const LARGEST: u64 = 256 << 20;

/// Whether the directory is on a file system that cannot be written to.
#[must_use]
pub fn is_needed(directory: &Path) -> bool {
    let flags = rustix::fs::statvfs(directory).map(|found| found.f_flag);
    flags.is_ok_and(|flags| flags.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// Whether the directory is a copy in memory.
#[must_use]
pub fn is_done(directory: &Path) -> bool {
    directory.join(MARK).exists()
}

/// Mounts a copy over `directory`.
///
/// # Errors
/// An error of the operating system, or an error if sshd would not see the copy because this process has a private
/// mount namespace, such as systemd gives to a unit.
pub fn rescue(directory: &Path) -> io::Result<()> {
    if !is_seen_by_others()? {
        return Err(io::Error::other(
            "this process has a private mount namespace, so no other process would see a copy",
        ));
    }
    let aside = Path::new("/run").join(format!("nss-iam-rescue-{}", std::process::id()));
    fs::create_dir(&aside)?;
    let done = replace(directory, &aside);
    // The copy that is mounted over the directory stays. Errors do not matter here.
    let _ = unmount(&aside, UnmountFlags::DETACH);
    let _ = fs::remove_dir(&aside);
    done
}

fn replace(directory: &Path, aside: &Path) -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("tmpfs", aside, "tmpfs", flags, c"mode=0755")?;
    Attributes::of_mode(0o755).labelled_as(directory).give(&File::open(aside)?)?;
    for entry in fs::read_dir(directory)? {
        copy(&entry?.path(), aside)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o644).open(aside.join(MARK))?;
    // There is a cache at every instant.
    Ok(mount_bind(aside, directory)?)
}

/// Only regular files are copied. Other entries (backups of `nss-iamctl`) stay below the mount, where they cannot
/// be seen.
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

/// The parent of a unit is systemd, which is in the host's mount namespace; an interactive command shares its
/// shell's.
fn is_seen_by_others() -> io::Result<bool> {
    let parent = rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get());
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt"));
    Ok(of("self")? == of(&parent.to_string())?)
}
