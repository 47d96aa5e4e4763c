//! A whole system: a tree of `tests/trees.sh`, booted with systemd in a container of systemd-nspawn, on an overlay
//! that is deleted afterwards. It shares loopback with the host, so it can reach the IAM emulator, and needs no
//! other network.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use nix::mount::MsFlags;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::login::{GROUP, Key};
use crate::machine::{attach, is_root};
use crate::ssh::{NOBODY, heard};
use crate::{Account, text};

/// In the mount namespace of the test's thread; the system sees it as `/`.
const ROOT: &str = "/mnt/root";
const PORT: &str = "2222";
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);
/// ssh's messages when sshd refuses, and when the session is ended while it begins.
const OUT: [&str; 4] =
    ["Permission denied (", "Connection closed by ", "closed by remote host", "client_loop: "];
const NOTHING: Option<&str> = None;

/// The system. It stays in the thread that started it.
#[derive(Debug)]
pub struct Booted {
    /// The AWS account of its users.
    pub account: Account,
    address: String,
    cgroup: PathBuf,
    container: RefCell<Option<Child>>,
}

impl Booted {
    /// Boots a tree, with a /etc/machine-id that repeats one digit; None without root.
    ///
    /// # Panics
    /// If the tree is missing or does not boot.
    #[must_use]
    pub fn start(tree: &str) -> Option<Self> {
        Self::start_with(tree, None)
    }

    /// The same in a private network that consists of loopback with these additional addresses. From then on,
    /// the thread of the test and the threads that it starts are in this network, too, and cannot reach AWS.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_apart(tree: &str, addresses: &[&str]) -> Option<Self> {
        Self::start_with(tree, Some(addresses))
    }

    fn start_with(tree: &str, network: Option<&[&str]>) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let lower = crate::target().join("trees").join(tree);
        assert!(lower.is_dir(), "'{}' is missing\nhint: make trees", lower.display());
        let account = Account::new();
        account.seed(json!({"groups": {GROUP: []}}));
        unshare(CloneFlags::CLONE_NEWNS).expect("unshare a mount namespace");
        attach(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING);
        attach(Some("tmpfs"), "/mnt", Some("tmpfs"), MsFlags::empty(), Some("mode=0755"));
        for directory in ["upper", "work", "root"] {
            fs::create_dir(Path::new("/mnt").join(directory)).unwrap();
        }
        // systemd-nspawn leaves directories there.
        attach(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=0755"));
        let layers = format!("lowerdir={},upperdir=/mnt/upper,workdir=/mnt/work", lower.display());
        attach(Some("overlay"), ROOT, Some("overlay"), MsFlags::empty(), Some(&layers));
        if let Some(addresses) = network {
            unshare(CloneFlags::CLONE_NEWNET).expect("unshare a network namespace");
            let ip = |line: &str| {
                let ran = Command::new("chroot").args([ROOT, "ip"]).args(line.split(' ')).status();
                assert!(ran.is_ok_and(|status| status.success()), "ip {line}");
            };
            ip("link set lo up");
            addresses.iter().for_each(|address| ip(&format!("address add {address} dev lo")));
        }
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let (pid, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // The only form of cgroups that every systemd supports; the host may use a different one.
        attach(Some("tmpfs"), "/sys/fs/cgroup", Some("tmpfs"), MsFlags::empty(), NOTHING);
        attach(Some("cgroup2"), "/sys/fs/cgroup", Some("cgroup2"), MsFlags::empty(), NOTHING);
        let cgroup = PathBuf::from(format!("/sys/fs/cgroup/nss-iam-test-{pid}-{number}"));
        // A loopback address (RFC 1122, 3.2.1.3) that no other system of a test has.
        let address = format!("127.{}.{}.{number}", 192 + (pid >> 8) % 60, pid % 256);
        let booted = Self { account, address, cgroup, container: RefCell::new(None) };
        booted.machine_id('1');
        booted.write("/etc/hostname", tree);
        // Since 9.8, sshd blocks clients that are refused often, as tests are.
        let penalties = if tree == "debian13" { "PerSourcePenalties no\n" } else { "" };
        let sshd = format!("ListenAddress {}\nPort {PORT}\nLogLevel VERBOSE\n{penalties}", booted.address);
        booted.write("/etc/ssh/sshd_config.d/50-test.conf", &sshd);
        booted.boot();
        Some(booted)
    }

    /// Sets a different machine-id, 32 times this hexadecimal digit, from the next boot on.
    pub fn machine_id(&self, digit: char) {
        self.write("/etc/machine-id", &format!("{}\n", String::from(digit).repeat(32)));
    }

    /// The path at which the test reaches a file of the system, whether it runs or not.
    ///
    /// # Panics
    /// If the file would be in a directory that the running system has in memory only.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        let in_memory = ["/dev", "/proc", "/run", "/sys", "/tmp"];
        assert!(
            !in_memory.iter().any(|start| Path::new(path).starts_with(start)),
            "not visible here: {path}"
        );
        Path::new(ROOT).join(path.trim_start_matches('/'))
    }

    /// Writes a file of the system, and creates its directories.
    ///
    /// # Panics
    /// If it cannot.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Starts the system and waits until it has booted; its services may have failed, and services of timers
    /// may still run.
    ///
    /// # Panics
    /// If it does not.
    pub fn boot(&self) {
        fs::create_dir_all(&self.cgroup).unwrap();
        // systemd-nspawn creates cgroups below its own.
        let line = r#"echo $$ >"$1/cgroup.procs" && shift && exec "$@""#;
        let container = Command::new("sh")
            .args(["-c", line, "sh"])
            .arg(&self.cgroup)
            // If this test is killed, the system is shut down.
            .args(["setpriv", "--pdeathsig", "TERM"])
            .args(["systemd-nspawn", "--quiet", "--settings=no", "--register=no", "--keep-unit"])
            // Units have private networks.
            .arg("--capability=CAP_NET_ADMIN")
            .args(["--resolv-conf=off", "--timezone=off", "--console=pipe", "--boot"])
            .args(["--directory", ROOT, "--machine"])
            .arg(self.address.replace('.', "-"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("start systemd-nspawn");
        *self.container.borrow_mut() = Some(container);
        self.until("booted", || {
            self.leader().is_some() && self.sh("systemctl is-active multi-user.target").1 == "active\n"
        });
    }

    /// Powers the system off, like an administrator.
    ///
    /// # Panics
    /// If it does not stop.
    pub fn power_off(&self) {
        self.sh("systemctl poweroff --no-block");
        self.until("powered off", || {
            self.container.borrow_mut().as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
        });
        *self.container.borrow_mut() = None;
    }

    /// The first process of the system, by its pid on the host.
    fn leader(&self) -> Option<String> {
        let nspawn = self.container.borrow().as_ref()?.id();
        let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
        children.split_whitespace().next().map(str::to_owned)
    }

    /// A command in the system, as root.
    ///
    /// # Panics
    /// If the system does not run.
    #[must_use]
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, line: &[S]) -> Command {
        let leader = self.leader().expect("the system runs");
        let mut command = Command::new("nsenter");
        command
            .args(["--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd", "--target"])
            .arg(leader);
        command.args(line).stdin(Stdio::null()).env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8").env("SYSTEMD_COLORS", "0");
        command
    }

    /// Runs a shell line, whether it succeeds or not. Returns its status and its output.
    ///
    /// # Panics
    /// If the system does not run.
    pub fn sh(&self, line: &str) -> (Option<i32>, String) {
        let ran = self.command(&["sh", "-c", line]).output().unwrap();
        (ran.status.code(), format!("{}{}", text(&ran.stdout), text(&ran.stderr)))
    }

    /// Runs a shell line, which must succeed. Returns its output.
    ///
    /// # Panics
    /// If it does not.
    pub fn done(&self, line: &str) -> String {
        let (status, said) = self.sh(line);
        assert_eq!(status, Some(0), "{line}: {said}{}", self.journal());
        said
    }

    /// Creates a key pair, `/root/NAME`.
    ///
    /// # Panics
    /// If ssh-keygen fails.
    #[must_use]
    pub fn key(&self, name: &str) -> Key {
        let file = PathBuf::from(format!("/root/{name}"));
        self.done(&format!("ssh-keygen -q -t rsa -b 2048 -N '' -C {name} -f {}", file.display()));
        let public = fs::read_to_string(self.path(&format!("/root/{name}.pub"))).unwrap();
        let (public, _comment) = public.trim().rsplit_once(' ').unwrap();
        Key { public: public.to_owned(), file }
    }

    /// Creates a key pair and an IAM user with this key, in [`GROUP`].
    ///
    /// # Panics
    /// If ssh-keygen fails.
    #[must_use]
    pub fn user(&self, name: &str) -> Key {
        let key = self.key(name);
        self.account.seed(json!({"users": [{"name": name, "keys": [{"body": key.public}]}]}));
        self.account.change(json!({"do": "add_member", "group": GROUP, "user": name}));
        key
    }

    /// Where sshd listens, `ADDRESS:PORT`.
    #[must_use]
    pub fn sshd(&self) -> String {
        format!("{}:{PORT}", self.address)
    }

    /// From now on, `ssh USER@HOST` in the system logs in to its own sshd with the key `/root/USER`.
    pub fn reach_as(&self, host: &str) {
        let config = format!(
            "Host {host}\n HostName {}\n Port {PORT}\n IdentityFile /root/%r\n IdentitiesOnly yes\n BatchMode yes\n\
              StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n",
            self.address
        );
        self.write("/root/.ssh/config", &config);
    }

    /// Logs in and runs `id -un`.
    ///
    /// # Panics
    /// If ssh cannot be started.
    #[must_use]
    pub fn ssh(&self, user: &str, key: &Key) -> Output {
        heard(&NOBODY, || self.client(user, key, &[]).arg("id -un").output().unwrap())
    }

    /// An ssh client with more options; the remote command must be added.
    #[must_use]
    pub fn client(&self, user: &str, key: &Key, words: &[&str]) -> Command {
        let file = key.file.display().to_string();
        let options = "BatchMode=yes StrictHostKeyChecking=no IdentitiesOnly=yes UserKnownHostsFile=/dev/null LogLevel=ERROR";
        let mut command =
            self.command(&["timeout", "60", "ssh", "-F", "none", "-p", PORT, "-l", user, "-i", &file]);
        command.args(options.split(' ').flat_map(|option| ["-o", option]));
        command.args(words).arg(&self.address);
        command
    }

    /// Whether the user can log in.
    ///
    /// # Panics
    /// If ssh fails for a reason other than being refused.
    #[must_use]
    pub fn logs_in(&self, user: &str, key: &Key) -> bool {
        let ran = self.ssh(user, key);
        let said = text(&ran.stderr);
        match ran.status.code() {
            Some(0) => text(&ran.stdout).trim() == user,
            // What sshd exits with if PAM opened no session: the user left between the authentication and the session.
            Some(254) => false,
            // It says nothing of a connection that ends between the two.
            Some(255) if said.is_empty() || OUT.iter().any(|out| said.contains(out)) => false,
            other => panic!("{user}: ssh: {other:?}: {said}{}", self.journal()),
        }
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    /// If it does not hold within a time that is far longer than needed.
    pub fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let started = Instant::now();
        while !condition() {
            assert!(started.elapsed() < PATIENCE, "still not: {what}{}", self.journal());
            std::thread::sleep(POLL);
        }
    }

    /// The end of the journal, for the message of a test that fails.
    fn journal(&self) -> String {
        let journal = self
            .leader()
            .map(|_| self.sh("journalctl --no-pager -n 40 -o cat; systemctl --failed --no-pager"));
        journal.map_or(String::new(), |(_, said)| format!("\n{said}"))
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        // When the first process of a PID namespace ends, all others are killed (pid_namespaces(7)), and
        // systemd-nspawn exits.
        let leader = self.leader().and_then(|pid| pid.parse().ok());
        if let Some(mut container) = self.container.borrow_mut().take() {
            let _ = match leader {
                Some(leader) => kill(Pid::from_raw(leader), Signal::SIGKILL).is_ok(),
                None => container.kill().is_ok(),
            };
            let _ = container.wait();
        }
        let started = Instant::now();
        while self.cgroup.exists() && started.elapsed() < PATIENCE {
            remove_cgroup(&self.cgroup);
        }
    }
}

/// From the leaves on; a cgroup that still has a process in it stays.
fn remove_cgroup(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir())
    {
        remove_cgroup(&entry.path());
    }
    let _ = fs::remove_dir(directory);
}
