//! The peers: services that glibc can be configured to use, set up in the private machine.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::{Machine, module, target, text};

/// The longest wait for sssd to have read its files.
const READY: Duration = Duration::from_secs(60);
const SSSD: &str = "[sssd]\nservices = nss\ndomains = bench\n\
    [nss]\nmemcache_timeout = 86400\n[domain/bench]\nid_provider = files\nenumerate = true\n\
    passwd_files = /var/lib/extrausers/passwd\ngroup_files = /var/lib/extrausers/group\n";

/// A service of nsswitch.conf(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// glibc's own.
    Files,
    /// libnss-cache, with index files.
    Cache,
    /// libnss-extrausers.
    Extrausers,
    /// sssd's memory cache, filled.
    Sssd,
    /// `tests/reference`: libnss and SQLite's library over our cache.
    Reference,
    /// Ours.
    NssIam,
}

impl Peer {
    /// In the order of the tables; ours last.
    pub const ALL: [Self; 6] =
        [Self::Files, Self::Cache, Self::Extrausers, Self::Sssd, Self::Reference, Self::NssIam];

    /// In nsswitch.conf(5).
    #[must_use]
    pub const fn service(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Cache => "cache",
            Self::Extrausers => "extrausers",
            Self::Sssd => "sss",
            Self::Reference => "iamref",
            Self::NssIam => "iam",
        }
    }

    /// For people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Cache => "libnss-cache",
            Self::Extrausers => "extrausers",
            Self::Sssd => "sssd memory cache",
            Self::Reference => "libnss + SQLite",
            Self::NssIam => "nss-iam",
        }
    }

    /// Whether it is measured at this size: sssd's files provider takes longer than a minute to read 5000 users.
    #[must_use]
    pub const fn takes(self, users: usize) -> bool {
        !matches!(self, Self::Sssd) || users <= 1000
    }

    /// Makes glibc ask this service and no other, in processes that start from now on.
    pub fn choose(self) {
        let service = self.service();
        fs::write("/etc/nsswitch.conf", format!("passwd: {service}\ngroup: {service}\n")).unwrap();
    }
}

/// Installs our module, as shipped, and the reference module where glibc looks for them, and runs ldconfig so that they are
/// found without a search, as a package does.
pub fn install(machine: &Machine) {
    let modules = [
        (target().join("module/libnss_iam.so"), module()),
        (target().join("release/libnss_iamref.so"), module().with_file_name("libnss_iamref.so.2")),
    ];
    for (from, to) in modules {
        fs::copy(&from, to)
            .unwrap_or_else(|e| panic!("cannot install '{}': {e}\nhint: make bench", from.display()));
    }
    assert!(machine.run(&["/sbin/ldconfig"]).status.success(), "ldconfig failed");
}

/// A running sssd that has read the users. It stops when this is dropped.
#[derive(Debug)]
pub struct Sssd {
    monitor: Child,
}

impl Sssd {
    /// Starts it with an empty cache, and waits until it knows this user.
    #[must_use]
    pub fn start(machine: &Machine, user: &str) -> Self {
        for directory in ["/var/lib/sss/db", "/var/lib/sss/mc"] {
            for entry in fs::read_dir(directory).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }
        fs::write("/etc/sssd/sssd.conf", SSSD).unwrap();
        fs::set_permissions("/etc/sssd/sssd.conf", Permissions::from_mode(0o600)).unwrap();
        // Its programs look up root when they start, and root is not one of the users.
        Peer::Files.choose();
        let users = fs::read("/etc/passwd").unwrap();
        fs::write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n").unwrap();
        // In the foreground it remains a child of this process, and ends with it in every case.
        let with_us = ["setpriv", "--pdeathsig", "TERM", "sssd", "--interactive", "--logger=files"];
        let mut command = machine.command(&with_us);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let sssd = Self { monitor: command.spawn().unwrap_or_else(|e| panic!("cannot run sssd: {e}")) };
        sssd.wait(machine, user);
        fs::write("/etc/passwd", users).unwrap();
        sssd
    }

    fn wait(&self, machine: &Machine, user: &str) {
        let deadline = Instant::now() + READY;
        while !machine.run(&["getent", "-s", "sss", "passwd", user]).status.success() {
            assert!(Instant::now() < deadline, "sssd does not know '{user}' after {READY:?}\n{}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Sssd {
    fn drop(&mut self) {
        // It takes its children with it.
        let stopped = kill(Pid::from_raw(self.monitor.id().cast_signed()), Signal::SIGTERM);
        if stopped.is_ok() {
            let _ = self.monitor.wait();
        }
    }
}

fn log() -> String {
    let tail = Command::new("tail").arg("/var/log/sssd/sssd.log").output();
    tail.map(|output| text(&output.stdout).to_owned()).unwrap_or_default()
}

/// Names and versions of the packages that the peers come from.
#[must_use]
pub fn versions(machine: &Machine) -> String {
    let packages = ["libc6", "libnss-cache", "libnss-extrausers", "sssd-common"];
    let format = ["dpkg-query", "--show", "--showformat=${Package} ${Version}, "];
    let output = machine.run(&[&format[..], &packages].concat());
    text(&output.stdout).trim_end_matches(", ").to_owned()
}

/// Whether the tree has all required programs.
#[must_use]
pub fn is_complete() -> bool {
    ["/usr/sbin/sssd", "/usr/bin/valgrind", "/usr/bin/strace"]
        .iter()
        .all(|program| Path::new(program).exists())
}
