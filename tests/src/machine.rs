//! A private copy of the machine: a mount namespace of the calling thread, an overlay of `/` on a tmpfs, `chroot`.
//!
//! unshare(2): `CLONE_NEWNS` gives only the calling thread a private root and mounts. Tests in other threads of the
//! process keep theirs, while processes and threads started from this one inherit both. Nothing needs to be undone:
//! the kernel drops mounts and files when the last task inside ends. /usr, /etc and /var of the host must be on the
//! file system of `/`; other file systems cannot be seen through the overlay.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::artefact;

const SCRATCH: &str = "/mnt";
const ROOT: &str = "/mnt/root";
const NOTHING: Option<&str> = None;

/// Files that an installation on the host would have left, besides the module.
const OURS: [&str; 5] = [
    "/etc/nss-iam",
    "/usr/libexec/nss-iam",
    "/var/lib/nss-iam",
    "/var/lib/nss-iam-fetch",
    "/usr/sbin/nss-iamctl",
];

/// Proof that the calling thread is in its private copy. It stays in the thread.
#[derive(Debug)]
pub struct Machine {
    here: std::marker::PhantomData<*const ()>,
}

impl Machine {
    /// Moves the calling thread, for the rest of its life, to a copy of the machine without any files of
    /// nss-iam. Its working directory is then `/`, /tmp and /run are empty, and the repository and the target
    /// directory are there, read-only. Without root, this prints `skipped: needs root` and returns `None`.
    #[must_use]
    pub fn enter() -> Option<Self> {
        Self::over(Path::new("/"), None)
    }

    /// Like [`Machine::enter`], with the changed files in this directory, which must be on a file system on a disk, instead of in
    /// memory.
    #[must_use]
    pub fn enter_on(disk: &Path) -> Option<Self> {
        Self::over(Path::new("/"), Some(disk))
    }

    /// Like [`Machine::enter`], with a tree of `tests/trees.sh` instead of the host's files.
    ///
    /// # Panics
    /// If the tree is missing.
    #[must_use]
    pub fn enter_tree(name: &str) -> Option<Self> {
        let tree = crate::target().join("trees").join(name);
        if nix::unistd::geteuid().is_root() {
            assert!(tree.is_dir(), "'{}' is missing\nhint: tests/trees.sh", tree.display());
            // It needs Python, which is in no tree.
            crate::emulator::start_shared();
        }
        Self::over(&tree, None)
    }

    fn over(lower: &Path, disk: Option<&Path>) -> Option<Self> {
        if !is_root() {
            return None;
        }
        unshare(CloneFlags::CLONE_NEWNS).expect("unshare a mount namespace");
        attach(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING);
        let (repository, target) = (crate::repository(), crate::target());
        assert!(
            !repository.starts_with(SCRATCH) && !target.starts_with(SCRATCH),
            "the repository is below {SCRATCH}"
        );
        match disk {
            Some(disk) => attach(Some(disk), SCRATCH, NOTHING, MsFlags::MS_BIND, NOTHING),
            None => tmpfs(SCRATCH, "0755"),
        }
        for directory in ["upper", "work", "root"] {
            fs::create_dir(Path::new(SCRATCH).join(directory)).unwrap();
        }
        let lower = lower.display();
        let layers = format!("lowerdir={lower},upperdir={SCRATCH}/upper,workdir={SCRATCH}/work");
        attach(Some("overlay"), ROOT, Some("overlay"), MsFlags::empty(), Some(&layers));
        for directory in ["/proc", "/sys"] {
            bind(Path::new(directory), MsFlags::MS_REC);
        }
        tmpfs(inside("/run"), "0755");
        tmpfs(inside("/tmp"), "1777");
        devices();
        for directory in [&repository, &target] {
            fs::create_dir_all(inside(directory)).unwrap();
            bind(directory, MsFlags::MS_REC);
            let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
            attach(NOTHING, inside(directory), NOTHING, read_only, NOTHING);
        }
        nix::unistd::chroot(ROOT).expect("chroot");
        std::env::set_current_dir("/").unwrap();
        for path in OURS.iter().map(PathBuf::from).chain([module()]) {
            remove(&path);
        }
        Some(Self { here: std::marker::PhantomData })
    }

    /// Installs the built module and programs at their paths, and creates the users and directories of a
    /// package.
    ///
    /// # Panics
    /// If something was not built; the message says how to build it.
    pub fn install(&self) {
        self.install_by(copy);
    }

    /// Like [`Machine::install`], but the programs are the built ones and not copies, which would need 100 MB of memory for
    /// each machine.
    ///
    /// # Panics
    /// If something was not built; the message says how to build it.
    pub fn install_shared(&self) {
        self.install_by(|from, to, _| {
            fs::write(to, "").unwrap();
            attach(Some(from), to, NOTHING, MsFlags::MS_BIND, NOTHING);
        });
    }

    fn install_by(&self, place: impl Fn(&Path, &Path, &str)) {
        let programs = Path::new("/usr/libexec/nss-iam");
        fs::create_dir_all(programs).unwrap();
        place(&artefact("libnss_iam.so"), &module(), "0644");
        for program in ["keys-cmd", "forward-only", "cache-refresher"] {
            place(&artefact(program), &programs.join(program), "0755");
        }
        place(&artefact("nss-iamctl"), Path::new("/usr/sbin/nss-iamctl"), "0755");
        let fetch = system_user("nss-iam-fetch");
        system_user("nss-iam");
        directory("/etc/nss-iam", 0o755);
        directory("/var/lib/nss-iam", 0o755);
        directory("/var/lib/nss-iam-fetch", 0o700);
        chown("/var/lib/nss-iam-fetch", Some(fetch), Some(fetch)).unwrap();
    }

    /// Writes /etc/nss-iam/config.toml.
    pub fn config(&self, toml: &str) {
        fs::create_dir_all("/etc/nss-iam").unwrap();
        fs::write("/etc/nss-iam/config.toml", toml).unwrap();
    }

    /// Makes glibc ask the module after `files`, like `nss-iamctl enable` (nsswitch.conf(5)).
    pub fn nsswitch(&self) {
        let conf = "passwd: files iam\ngroup: files [SUCCESS=merge] iam\nshadow: files iam\nhosts: files\n";
        fs::write("/etc/nsswitch.conf", conf).unwrap();
    }

    /// A command that gets only a plain PATH from this process's environment.
    #[must_use]
    pub fn command<S: AsRef<OsStr>>(&self, line: &[S]) -> Command {
        let (program, arguments) = line.split_first().expect("a program's name");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// Runs a command to its end, with an empty stdin.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run<S: AsRef<OsStr>>(&self, line: &[S]) -> Output {
        let name = line.first().map(|program| program.as_ref().to_owned());
        let mut command = self.command(line);
        command.stdin(std::process::Stdio::null());
        command.output().unwrap_or_else(|e| panic!("cannot run {name:?}: {e}"))
    }

    /// Becomes the syslog daemon of this machine: programs send messages as datagrams, `<86>... keys-cmd[1]:
    /// ...`.
    #[must_use]
    pub fn syslog(&self) -> UnixDatagram {
        remove(Path::new("/dev/log"));
        let socket = UnixDatagram::bind("/dev/log").unwrap();
        fs::set_permissions("/dev/log", Permissions::from_mode(0o666)).unwrap();
        socket
    }
}

/// Where glibc looks for the module: Debian's multiarch directory, or lib64 of rpm distributions.
#[must_use]
pub fn module() -> PathBuf {
    let multiarch = PathBuf::from(format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    let directory = if multiarch.is_dir() { multiarch } else { PathBuf::from("/usr/lib64") };
    directory.join("libnss_iam.so.2")
}

/// A private /dev, so that a test's /dev/log is not the host's. Nodes are bind-mounted, because not every container
/// allows mknod(2).
fn devices() {
    tmpfs(inside("/dev"), "0755");
    for node in ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"] {
        fs::write(inside(node), "").unwrap();
        bind(Path::new(node), MsFlags::empty());
    }
    fs::create_dir(inside("/dev/pts")).unwrap();
    bind(Path::new("/dev/pts"), MsFlags::MS_REC);
    fs::create_dir(inside("/dev/shm")).unwrap();
    tmpfs(inside("/dev/shm"), "1777");
    symlink("pts/ptmx", inside("/dev/ptmx")).unwrap();
    symlink("/proc/self/fd", inside("/dev/fd")).unwrap();
    for (number, name) in ["stdin", "stdout", "stderr"].iter().enumerate() {
        symlink(format!("/proc/self/fd/{number}"), inside("/dev").join(name)).unwrap();
    }
}

/// Whether this is root. If not, prints that the test is skipped.
pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        // Not println: libtest does not show its text when a test passes.
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let _ = writeln!(std::io::stdout(), "skipped: needs root: {test}");
    }
    root
}

fn inside(path: impl AsRef<Path>) -> PathBuf {
    Path::new(ROOT).join(path.as_ref().strip_prefix("/").expect("an absolute path"))
}

fn bind(path: &Path, more: MsFlags) {
    attach(Some(path), inside(path), NOTHING, MsFlags::MS_BIND | more, NOTHING);
}

fn tmpfs(at: impl AsRef<Path>, mode: &str) {
    attach(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(&format!("mode={mode}")));
}

pub(crate) fn attach<S: AsRef<Path>>(
    what: Option<S>,
    at: impl AsRef<Path>,
    kind: Option<&str>,
    flags: MsFlags,
    data: Option<&str>,
) {
    let what = what.as_ref().map(AsRef::as_ref);
    mount(what, at.as_ref(), kind, flags, data)
        .unwrap_or_else(|e| panic!("cannot mount {what:?} at '{}': {e}", at.as_ref().display()));
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => panic!("cannot remove '{}': {e}", path.display()),
        _ => {}
    }
}

fn directory(path: &str, mode: u32) {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path).unwrap();
}

/// Not by this process: a program cannot be run while a child that another thread is starting has it open.
fn copy(from: &Path, to: &Path, mode: &str) {
    let copied = Command::new("install").args(["-m", mode]).args([from, to]).output().expect("run install");
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
}

/// Adds a user and a group with this name, like systemd-sysusers(8), unless they exist. Returns the uid, which is
/// also the gid.
fn system_user(name: &str) -> u32 {
    let fields = |file: &str| -> Vec<(String, u32)> {
        let text = fs::read_to_string(file).unwrap();
        let field = |line: &str, n: usize| line.split(':').nth(n).unwrap_or_default().to_owned();
        text.lines().map(|line| (field(line, 0), field(line, 2).parse().unwrap_or(0))).collect()
    };
    let (users, groups) = (fields("/etc/passwd"), fields("/etc/group"));
    if let Some((_, uid)) = users.iter().find(|(user, _)| user == name) {
        return *uid;
    }
    let taken = |id: u32| users.iter().chain(&groups).any(|(_, other)| *other == id);
    let id = (200..1000).rev().find(|id| !taken(*id)).expect("a free system uid");
    append("/etc/passwd", &format!("{name}:x:{id}:{id}::/:/usr/sbin/nologin"));
    append("/etc/group", &format!("{name}:x:{id}:"));
    append("/etc/shadow", &format!("{name}:!*:20000::::::"));
    id
}

fn append(file: &str, line: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(file).unwrap();
    writeln!(file, "{line}").unwrap();
}
