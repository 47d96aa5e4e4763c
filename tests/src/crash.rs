//! Power cuts without a virtual machine. A file system is on a block device that logs every write and flush
//! (qemu-storage-daemon's `blklogwrites`, exported as a file through FUSE, below a loop device). From the log, what a disk
//! can hold after a cut at any instant is built, mounted and checked: everything before the last completed flush, and any
//! part of what was written since (Documentation/admin-guide/device-mapper/log-writes.rst of Linux).
//!
//! Devices and mounts belong to the mount namespace of the test's thread: the kernel drops them with it.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, umount2};

use crate::machine::attach;
use crate::{Machine, text};

mod image;
mod log;

pub use image::Image;
pub use log::{Cut, Log};

const NOTHING: Option<&str> = None;
/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a file system that is still in use is asked to go.
const POLL: Duration = Duration::from_millis(20);

/// A file system of Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4(5), with delayed allocation and an ordered journal, the defaults.
    Ext4,
    /// xfs(5).
    Xfs,
    /// btrfs(5).
    Btrfs,
}

impl FileSystem {
    /// Its name for mount(8).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// The smallest that the tools make, in MiB, or little more.
    fn size(self) -> u64 {
        match self {
            Self::Ext4 => 64,
            Self::Xfs => 300,
            Self::Btrfs => 160,
        }
    }

    fn make(self) -> &'static str {
        match self {
            // Otherwise the kernel writes its tables in the background.
            Self::Ext4 => "mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0",
            Self::Xfs => "mkfs.xfs -q",
            Self::Btrfs => "mkfs.btrfs -q",
        }
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The tree `qemu` of `tests/trees.sh`, with the devices of the machine and a scratch directory in memory, `/mnt`.
#[derive(Debug)]
struct Tools(PathBuf);

impl Tools {
    fn new() -> Self {
        let tree = crate::target().join("trees/qemu");
        assert!(tree.is_dir(), "'{}' is missing\nhint: make trees", tree.display());
        // A container's /dev does not have the loop devices that the kernel makes on demand.
        attach(Some("devtmpfs"), tree.join("dev"), Some("devtmpfs"), MsFlags::empty(), NOTHING);
        attach(Some("proc"), tree.join("proc"), Some("proc"), MsFlags::empty(), NOTHING);
        attach(Some("tmpfs"), tree.join("mnt"), Some("tmpfs"), MsFlags::empty(), NOTHING);
        for directory in ["disk", "cut"] {
            fs::create_dir(tree.join("mnt").join(directory)).unwrap();
        }
        Self(tree)
    }

    /// A file of the scratch directory.
    fn path(&self, name: &str) -> PathBuf {
        self.0.join("mnt").join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.0).args(line.split(' ')).env_clear().env("PATH", "/usr/sbin:/usr/bin");
        command.stdin(Stdio::null());
        command
    }

    /// Runs a program of the tree; its message if it fails.
    fn run(&self, line: &str) -> Result<(), String> {
        let ran = self.command(line).output().unwrap();
        if ran.status.success() { Ok(()) } else { Err(format!("{line}: {}", text(&ran.stderr).trim())) }
    }
}

/// A mounted file system whose writes are logged. It stays in the thread that made it.
#[derive(Debug)]
pub struct Disk {
    tools: Tools,
    kind: FileSystem,
    /// What it holds before anything is logged.
    made: Image,
    daemon: Child,
}

impl Disk {
    /// Makes an empty file system and mounts it.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn new(_: &Machine, kind: FileSystem) -> Self {
        let tools = Tools::new();
        let image = tools.path("image");
        File::create(&image).unwrap().set_len(kind.size() << 20).unwrap();
        for file in ["log", "export"] {
            File::create(tools.path(file)).unwrap();
        }
        tools.run(&format!("{} /mnt/image", kind.make())).unwrap();
        let made = Image::read(&image);
        let line = "setpriv --pdeathsig KILL qemu-storage-daemon \
                    --blockdev driver=file,node-name=image,filename=/mnt/image \
                    --blockdev driver=file,node-name=log,filename=/mnt/log \
                    --blockdev driver=blklogwrites,node-name=disk,file=image,log=log \
                    --export type=fuse,id=disk,node-name=disk,mountpoint=/mnt/export,writable=on,allow-other=off";
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut daemon = tools.command(&words).spawn().unwrap();
        let started = Instant::now();
        while fs::metadata(tools.path("export")).unwrap().len() == 0 {
            let ended = daemon.try_wait().unwrap();
            assert!(ended.is_none() && started.elapsed() < PATIENCE, "no block device: {ended:?}");
            std::thread::sleep(POLL);
        }
        tools.run(&format!("mount -t {kind} -o loop /mnt/export /mnt/disk")).unwrap();
        Self { tools, kind, made, daemon }
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.tools.path("disk")
    }

    /// A point in the log: everything that was written so far.
    ///
    /// # Panics
    /// If there is no log.
    #[must_use]
    pub fn now(&self) -> u64 {
        fs::metadata(self.tools.path("log")).unwrap().len()
    }

    /// Ends logging. Nothing may use the file system any more, and nothing of it may be mounted elsewhere.
    ///
    /// # Panics
    /// If it is still in use, or the log cannot be read.
    #[must_use]
    pub fn stop(mut self) -> (Replay, Log) {
        unmount(&self.root());
        let started = Instant::now();
        // The loop device goes with the last process that looks at it.
        while fs::read_dir("/sys/block").unwrap().flatten().any(|device| {
            let backing = fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
            backing.trim() == "/mnt/export" || backing.contains(self.tools.path("export").to_str().unwrap())
        }) {
            assert!(started.elapsed() < PATIENCE, "the loop device stays");
            std::thread::sleep(POLL);
        }
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
        let log = Log::read(&self.tools.path("log"), self.made);
        (Replay { tools: self.tools, kind: self.kind }, log)
    }
}

/// Mounts what a disk holds after a cut.
#[derive(Debug)]
pub struct Replay {
    tools: Tools,
    kind: FileSystem,
}

impl Replay {
    /// Calls `look` with the root of the file system after this cut, and unmounts it.
    ///
    /// # Errors
    /// If it cannot be mounted.
    ///
    /// # Panics
    /// If the image cannot be written.
    pub fn mounted<T>(&self, cut: &Cut, look: impl FnOnce(&Path) -> T) -> Result<T, String> {
        let (image, root) = (self.tools.path("cut.image"), self.tools.path("cut"));
        let _ = fs::remove_file(&image);
        cut.image.write(&image, self.kind.size() << 20);
        // Each cut has the uuid of the others.
        let options = if self.kind == FileSystem::Xfs { "loop,nouuid" } else { "loop" };
        self.tools.run(&format!("mount -t {} -o {options} /mnt/cut.image /mnt/cut", self.kind))?;
        let seen = look(&root);
        unmount(&root);
        Ok(seen)
    }
}

/// Unmounts what is mounted there, once nothing uses it any more: a program that was told to reload may still read.
///
/// # Panics
/// If it stays in use.
pub fn unmount(root: &Path) {
    let started = Instant::now();
    while let Err(cause) = umount2(root, MntFlags::empty()) {
        assert!(started.elapsed() < PATIENCE, "cannot unmount '{}': {cause}", root.display());
        std::thread::sleep(POLL);
    }
}
