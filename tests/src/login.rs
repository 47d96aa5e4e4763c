//! A host that people log in to: a private small Debian with nss-iam set up, its sshd on loopback, its syslog
//! stored for the test, and an ssh client. IAM is the emulator, with a separate account.
//!
//! Processes that still run in the host's mount namespace when it is dropped were started by its test, and are
//! ended.

use std::cell::RefCell;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::log::Log;
use crate::ssh::{NOBODY, heard};
use crate::{Account, Machine, text};

/// The IAM group whose members become users of the host.
pub const GROUP: &str = "JumpHostAccess";
/// The IAM group whose members also join the local group `sudo`.
pub const ADMINS: &str = "JumpHostAdmins";
/// The port of sshd, on the host's own loopback address.
pub const PORT: &str = "2222";

const REFRESHER: &str = "/usr/libexec/nss-iam/cache-refresher";
const KEYS: &str = "/root/keys";
/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(120);

/// A user's key pair: a file for ssh, and the text that is uploaded to IAM.
#[derive(Debug, Clone)]
pub struct Key {
    /// For `ssh -i`.
    pub file: PathBuf,
    /// `ssh-rsa AAAA...`.
    pub public: String,
}

/// The host. It stays in the thread that started it.
#[derive(Debug)]
pub struct JumpHost {
    /// Where commands run and files are changed.
    pub machine: Machine,
    /// The AWS account of its users.
    pub account: Account,
    /// `127.x.y.z`, so that every host can use port [`PORT`].
    pub address: String,
    log: Log,
    sshd: RefCell<Option<Child>>,
}

impl JumpHost {
    /// A host whose sshd runs, with the empty groups [`GROUP`] and [`ADMINS`] and no users; None without root.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// Like [`JumpHost::start`], with additional lines of configuration.
    ///
    /// # Panics
    /// If the host cannot be set up.
    #[must_use]
    pub fn start_with(config: &str) -> Option<Self> {
        let host = Self::bare()?;
        host.configure(config);
        host.enable(&[]);
        host.restart_sshd(&[]);
        Some(host)
    }

    /// A host as its image was created: nss-iam is installed but not set up, and sshd does not run.
    ///
    /// # Panics
    /// If something was not built.
    #[must_use]
    pub fn bare() -> Option<Self> {
        Self::bare_in("login")
    }

    /// Like [`JumpHost::bare`], in another tree of `tests/trees.sh`.
    ///
    /// # Panics
    /// As [`JumpHost::bare`].
    #[must_use]
    pub fn bare_in(tree: &str) -> Option<Self> {
        let machine = Machine::enter_tree(tree)?;
        machine.install();
        fs::write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n").unwrap();
        // Fifty simultaneous logins exceed sshd's default of ten unauthenticated connections.
        fs::write("/etc/ssh/sshd_config.d/50-test.conf", "MaxStartups 100\nLogLevel VERBOSE\n").unwrap();
        for directory in ["/run/sshd", KEYS] {
            fs::create_dir(directory).unwrap();
        }
        let account = Account::new();
        account.seed(json!({"groups": {GROUP: [], ADMINS: []}}));
        let address = address();
        let known = fs::read_to_string("/etc/ssh/ssh_host_ed25519_key.pub").unwrap();
        fs::write(format!("{KEYS}/known_hosts"), format!("[{address}]:{PORT} {known}")).unwrap();
        let log = Log::listen(&machine);
        Some(Self { machine, account, address, log, sshd: RefCell::new(None) })
    }

    /// Writes the configuration: both groups, and `more`.
    pub fn configure(&self, more: &str) {
        let groups = format!("groups = [\"{GROUP}\", \"{ADMINS}\"]\n");
        self.machine.config(&format!("{groups}{more}\n[local_groups]\n{ADMINS} = [\"sudo\"]\n"));
    }

    /// `nss-iamctl enable` with more arguments; the configuration names the groups.
    ///
    /// # Panics
    /// If it does not succeed.
    pub fn enable(&self, words: &[&str]) {
        self.done(&[&["nss-iamctl", "enable"], words].concat());
    }

    /// Replaces the running sshd by one with more arguments; existing sessions continue.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart_sshd(&self, words: &[&str]) {
        self.stop_sshd();
        let listen = [format!("ListenAddress={}", self.address), format!("Port={PORT}")];
        let mut command = self.machine.command(&["/usr/sbin/sshd", "-D"]);
        command.args(listen.iter().flat_map(|option| ["-o", option])).args(words);
        let mut sshd = command.stdin(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while !self.answers() {
            let ended = sshd.try_wait().unwrap();
            assert!(ended.is_none() && started.elapsed() < PATIENCE, "sshd does not start: {ended:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        *self.sshd.borrow_mut() = Some(sshd);
    }

    /// Whether sshd answers.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(format!("{}:{PORT}", self.address)) else {
            return false;
        };
        let mut banner = [0; 7];
        stream.read_exact(&mut banner).is_ok() && banner == *b"SSH-2.0"
    }

    fn stop_sshd(&self) {
        if let Some(mut sshd) = self.sshd.borrow_mut().take() {
            sshd.kill().unwrap();
            sshd.wait().unwrap();
        }
    }

    /// Creates a key pair that IAM does not know; RSA, the only type that IAM itself accepts.
    ///
    /// # Panics
    /// If ssh-keygen fails.
    #[must_use]
    pub fn key(&self, name: &str) -> Key {
        let file = PathBuf::from(format!("{KEYS}/{name}"));
        let path = file.to_str().unwrap();
        self.done(&["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", name, "-f", path]);
        let public = fs::read_to_string(file.with_file_name(format!("{name}.pub"))).unwrap();
        let (body, _comment) = public.trim().rsplit_once(' ').unwrap();
        Key { public: body.to_owned(), file }
    }

    /// Creates an IAM user in [`GROUP`] with a key. The host knows the user after the next refresh.
    pub fn user(&self, iam_name: &str) -> Key {
        self.user_in(iam_name, &[GROUP])
    }

    /// The same, in different groups.
    pub fn user_in(&self, iam_name: &str, groups: &[&str]) -> Key {
        let key = self.key(iam_name);
        let user = json!({"name": iam_name, "keys": [{"body": key.public}]});
        self.account.seed(json!({ "users": [user] }));
        for group in groups {
            self.account.change(json!({"do": "add_member", "group": group, "user": iam_name}));
        }
        key
    }

    /// Creates an IAM user in [`GROUP`] with a key, and runs a refresh.
    pub fn refreshed_user(&self, iam_name: &str) -> Key {
        let key = self.user(iam_name);
        self.refresh();
        key
    }

    /// Removes an IAM user from [`GROUP`].
    pub fn remove_member(&self, iam_name: &str) {
        self.account.change(json!({"do": "remove_member", "group": GROUP, "user": iam_name}));
    }

    /// Runs a refresh, which must succeed. Returns its output.
    ///
    /// # Panics
    /// If it does not.
    pub fn refresh(&self) -> String {
        let ran = self.refresher(&[]).output().unwrap();
        let said = format!("{}{}", text(&ran.stderr), text(&ran.stdout));
        assert_eq!(ran.status.code(), Some(0), "{said}");
        said
    }

    /// The refresher as the instance runs it.
    #[must_use]
    pub fn refresher(&self, words: &[&str]) -> Command {
        let mut command = self.machine.command(&[&[REFRESHER], words].concat());
        command.envs(self.account.direct()).stdin(Stdio::null());
        command
    }

    /// Logs in, runs `line`, and waits for its end.
    ///
    /// # Panics
    /// If ssh cannot be started.
    #[must_use]
    pub fn ssh(&self, user: &str, key: &Key, line: &str) -> Output {
        heard(&NOBODY, || self.client(user, key, &[]).arg(line).output().unwrap())
    }

    /// Logs in, which must succeed. Returns the output of `line`.
    ///
    /// # Panics
    /// If ssh or `line` fails.
    pub fn login(&self, user: &str, key: &Key, line: &str) -> String {
        let ran = self.ssh(user, key, line);
        let (out, error) = (text(&ran.stdout), text(&ran.stderr));
        assert!(ran.status.success(), "{user}: {line}: {}: {error}{out}{}", ran.status, self.log.tail());
        out.to_owned()
    }

    /// Tries to log in, which sshd must refuse.
    ///
    /// # Panics
    /// If sshd does not refuse, or something else fails.
    pub fn refused(&self, user: &str, key: &Key) {
        let ran = self.ssh(user, key, "echo inside");
        // ssh(1): 255 if an error occurred; else the status of the command.
        assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(255), ""), "{user}");
        let error = text(&ran.stderr);
        assert!(
            ["Permission denied (", "Connection closed by "].iter().any(|word| error.contains(word)),
            "{user}: {error}"
        );
    }

    /// An ssh client that is configured only by its arguments; the remote command must be added.
    #[must_use]
    pub fn client(&self, user: &str, key: &Key, words: &[&str]) -> Command {
        let mut command = self.machine.command(&["timeout", "300", "ssh", "-n", "-p", PORT, "-l", user]);
        command.args(Self::options(key)).args(words).arg(&self.address).stdin(Stdio::null());
        command
    }

    /// Logs in as one user by way of another one, `ssh -J`, which must succeed. Returns the output of `line`.
    ///
    /// # Panics
    /// If ssh or `line` fails.
    #[must_use]
    pub fn jump(&self, way: (&str, &Key), target: (&str, &Key), line: &str) -> String {
        let entry = |alias: &str, (user, key): (&str, &Key)| {
            let (address, file) = (&self.address, key.file.display());
            format!("Host {alias}\nHostName {address}\nUser {user}\nIdentityFile {file}\n")
        };
        let common = format!("Host *\nPort {PORT}\nBatchMode yes\nUserKnownHostsFile {KEYS}/known_hosts\n");
        let config = [entry("jump", way), entry("target", target), common].concat();
        fs::write("/root/ssh_config", config).unwrap();
        self.done(&["timeout", "300", "ssh", "-n", "-F", "/root/ssh_config", "-J", "jump", "target", line])
    }

    /// Options of ssh, scp and sftp: they never ask, and know no other keys or hosts.
    #[must_use]
    pub fn options(key: &Key) -> Vec<String> {
        let known = format!("UserKnownHostsFile={KEYS}/known_hosts");
        let options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", &known];
        let file = key.file.display().to_string();
        let mut words = vec!["-F".to_owned(), "none".to_owned(), "-i".to_owned(), file];
        words.extend(options.iter().flat_map(|option| ["-o".to_owned(), (*option).to_owned()]));
        words
    }

    /// Runs a command on the host as root, which must succeed. Returns its output.
    ///
    /// # Panics
    /// If it does not.
    pub fn done(&self, line: &[&str]) -> String {
        let ran = self.machine.run(line);
        let (out, error) = (text(&ran.stdout), text(&ran.stderr));
        assert!(ran.status.success(), "{line:?}: {}: {error}{out}", ran.status);
        out.to_owned()
    }

    /// Runs a shell command on the host as root, whether it succeeds or not. Returns its status and output.
    pub fn sh(&self, line: &str) -> (Option<i32>, String) {
        let ran = self.machine.run(&["sh", "-c", line]);
        (ran.status.code(), format!("{}{}", text(&ran.stdout), text(&ran.stderr)))
    }

    /// A field of the user's entry in glibc; 0 is the name.
    ///
    /// # Panics
    /// If the user does not exist.
    #[must_use]
    pub fn passwd(&self, user: &str, field: usize) -> String {
        let entry = self.done(&["getent", "passwd", user]);
        entry.trim().split(':').nth(field).unwrap().to_owned()
    }

    /// Waits until syslog has a line that contains all of `words`, and returns it.
    pub fn logged(&self, words: &[&str]) -> String {
        self.log.wait(words, PATIENCE)
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    /// If it does not hold within a time that is far longer than needed.
    pub fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let started = Instant::now();
        while !condition() {
            assert!(started.elapsed() < PATIENCE, "still not: {what}{}", self.log.tail());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for JumpHost {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "syslog of the host:{}", self.log.tail());
        }
        if let Some(mut sshd) = self.sshd.borrow_mut().take() {
            let _ = sshd.kill();
            let _ = sshd.wait();
        }
        end_all_of_this_namespace();
    }
}

/// Ends sessions, daemons, and what they started. Only this test uses this mount namespace (mount_namespaces(7)).
fn end_all_of_this_namespace() {
    let here = fs::read_link("/proc/thread-self/ns/mnt").unwrap();
    let own = std::process::id().to_string();
    let running = || -> Vec<i32> {
        let names =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let others = names.filter(|name| *name != own);
        let of_here = |pid: &String| {
            fs::read_link(Path::new("/proc").join(pid).join("ns/mnt")).ok() == Some(here.clone())
        };
        others.filter(of_here).filter_map(|pid| pid.parse().ok()).collect()
    };
    let started = Instant::now();
    loop {
        let pids = running();
        if pids.is_empty() || started.elapsed() > PATIENCE {
            return;
        }
        for pid in pids {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A loopback address out of 16 million (RFC 1122, 3.2.1.3) that no other host of a test has: it is built from the
/// pid of this process and the number of the host in it.
fn address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let pid = std::process::id();
    format!("127.{}.{}.{number}", 64 + (pid >> 8) % 128, pid % 256)
}

/// Appends to a file of the host.
///
/// # Panics
/// If it cannot be written.
pub fn append(file: &str, lines: &str) {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
}
