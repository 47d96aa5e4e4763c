//! A virtual machine, for what a container shares with its host: SELinux, AppArmor, the clock, suspend, file systems. qemu
//! emulates the processor, because no hardware can be relied on. A machine boots once in a test program; each test gets it as it
//! was after the boot. It has no network, and is reached through ssh on loopback only.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::login::Key;
use crate::ssh::heard;
use crate::{is_root, text};

/// The tree of `tests/trees.sh` that the machines boot: `GUEST` in the environment, or Debian 12.
static GUEST: LazyLock<String> = LazyLock::new(guest);
/// A machine that boots alone takes 35 s on one core.
const BOOT: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(500);
/// The state of the machine after its boot.
const BOOTED: &str = "booted";
/// The directories are in qemu's tree. qemu's file with the changes to the disk has no name, so nothing of it is left.
const SCRIPT: &str = r#"
mount --bind /dev "$1/dev"; mount --bind "$2" "$1/media"; mount --bind "$3" "$1/mnt"
shift 3; exec chroot "$@"
"#;

/// Who confines the programs of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// With Debian's reference policy, in enforcing mode.
    SeLinux,
    /// As Debian sets it up.
    AppArmor,
}

/// A machine that runs.
#[derive(Debug)]
pub struct Vm {
    qemu: Child,
    monitor: (ChildStdin, BufReader<ChildStdout>),
    /// On 127.0.0.1.
    port: u16,
    /// Private keys of users.
    keys: tempfile::TempDir,
    console: PathBuf,
}

static SELINUX: Mutex<Option<Vm>> = Mutex::new(None);
static APPARMOR: Mutex<Option<Vm>> = Mutex::new(None);

/// A machine that no other test uses until this is dropped.
#[derive(Debug)]
pub struct Borrowed(MutexGuard<'static, Option<Vm>>);

impl std::ops::Deref for Borrowed {
    type Target = Vm;
    fn deref(&self) -> &Vm {
        self.0.as_ref().expect("it was started")
    }
}

impl std::ops::DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut Vm {
        self.0.as_mut().expect("it was started")
    }
}

#[expect(clippy::disallowed_methods, reason = "another release is asked for in the environment")]
fn guest() -> String {
    std::env::var("GUEST").unwrap_or_else(|_| "vm12".to_owned())
}

impl Vm {
    /// The machine as it was after its boot, once it is free; None without root.
    ///
    /// # Panics
    /// If the trees are missing or it does not boot.
    #[must_use]
    pub fn take(security: Security) -> Option<Borrowed> {
        if !is_root() {
            return None;
        }
        let machine = match security {
            Security::SeLinux => &SELINUX,
            Security::AppArmor => &APPARMOR,
        };
        // A test that failed while it had the machine leaves nothing that is not undone here.
        let mut vm = Borrowed(machine.lock().unwrap_or_else(PoisonError::into_inner));
        match vm.0.as_mut() {
            Some(running) => running.load(BOOTED),
            None => *vm.0 = Some(Self::boot(security)),
        }
        Some(vm)
    }

    fn boot(security: Security) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let console = directory().join(format!("{}-{security:?}.console", *GUEST));
        let mut qemu = start(security, &console);
        let monitor = (qemu.stdin.take().unwrap(), BufReader::new(qemu.stdout.take().unwrap()));
        let mut vm = Self { qemu, monitor, port: 0, keys, console };
        vm.ask("qmp_capabilities", &json!({}));
        // qemu chose the port: `TCP[HOST_FORWARD]  9  127.0.0.1 36019  10.0.2.15  22 ...`
        let network = vm.hmp("info usernet");
        let port = network.split_once(" 127.0.0.1 ").and_then(|(_, rest)| rest.split_whitespace().next());
        vm.port = port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port: {network}"));
        vm.wait(BOOT);
        vm.done("systemctl is-system-running --wait || systemctl --failed --no-legend --no-pager");
        vm.save(BOOTED);
        vm
    }

    /// Waits until somebody can log in.
    fn wait(&mut self, patience: Duration) {
        let started = Instant::now();
        while !self.root("true").status.success() {
            assert!(self.qemu.try_wait().unwrap().is_none(), "qemu ended{}", self.console());
            assert!(started.elapsed() < patience, "it does not boot{}", self.console());
            std::thread::sleep(POLL);
        }
    }

    /// Stores the state of the whole machine under a name.
    ///
    /// # Panics
    /// If it cannot.
    pub fn save(&mut self, name: &str) {
        let said = self.hmp(&format!("savevm {name}"));
        assert_eq!(said, "", "savevm {name}");
    }

    /// Returns the whole machine to a state that was stored. All connections end.
    ///
    /// # Panics
    /// If it cannot.
    pub fn load(&mut self, name: &str) {
        let said = self.hmp(&format!("loadvm {name}"));
        assert_eq!(said, "", "loadvm {name}");
        self.wait(PATIENCE);
    }

    /// Restarts the system, like an administrator, and waits until its boot has ended.
    ///
    /// # Panics
    /// If it does not start.
    pub fn reboot(&mut self) {
        let boot = |vm: &Self| vm.sh("cat /proc/sys/kernel/random/boot_id");
        let before = boot(self);
        self.sh("systemctl reboot --no-block");
        let started = Instant::now();
        while {
            let now = boot(self);
            now.0 != Some(0) || now == before
        } {
            assert!(started.elapsed() < BOOT, "it does not boot{}", self.console());
            std::thread::sleep(POLL);
        }
        self.sh("systemctl is-system-running --wait");
    }

    /// A command of qemu's monitor for people (qemu(1)). Returns its output.
    ///
    /// # Panics
    /// If qemu has ended.
    pub fn hmp(&mut self, line: &str) -> String {
        let answer = self.ask("human-monitor-command", &json!({"command-line": line}));
        answer["return"].as_str().unwrap_or_else(|| panic!("{line}: {answer}")).to_owned()
    }

    /// A command of qemu's monitor for programs. Returns its answer, past all events.
    fn ask(&mut self, command: &str, arguments: &Value) -> Value {
        let (send, receive) = &mut self.monitor;
        writeln!(send, "{}", json!({"execute": command, "arguments": arguments})).expect("qemu runs");
        loop {
            let mut line = String::new();
            receive.read_line(&mut line).unwrap();
            let answer: Value = serde_json::from_str(&line).expect("qemu says why on stderr");
            if answer.get("return").is_some() || answer.get("error").is_some() {
                return answer;
            }
        }
    }

    /// Runs a shell line as root, whether it succeeds or not. Returns its status and its output.
    ///
    /// # Panics
    /// If ssh cannot be started.
    pub fn sh(&self, line: &str) -> (Option<i32>, String) {
        let ran = self.root(line);
        (ran.status.code(), format!("{}{}", text(&ran.stdout), text(&ran.stderr)))
    }

    /// Runs a shell line as root, which must succeed. Returns its output.
    ///
    /// # Panics
    /// If it does not.
    pub fn done(&self, line: &str) -> String {
        let (status, said) = self.sh(line);
        assert_eq!(status, Some(0), "{line}: {said}{}", self.console());
        said
    }

    /// Writes a file of the machine, and creates its directory.
    ///
    /// # Panics
    /// If it cannot.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let directory = Path::new(path).parent().unwrap().display();
        let mut command = self.client("root", &root_key(), &format!("mkdir -p {directory} && cat >{path}"));
        let mut ssh = command.stdin(Stdio::piped()).spawn().expect("start ssh");
        ssh.stdin.take().unwrap().write_all(content.as_ref()).unwrap();
        assert!(ssh.wait().unwrap().success(), "cannot write '{path}'");
    }

    /// Makes a key pair for a user, and returns the user as a file of users lists it (docs/reference/listing.md).
    ///
    /// # Panics
    /// If ssh-keygen fails.
    #[must_use]
    pub fn person(&self, name: &str) -> (Key, Value) {
        let file = self.keys.path().join(name);
        if !file.exists() {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file).status();
            assert!(made.is_ok_and(|status| status.success()), "ssh-keygen");
        }
        let public = fs::read_to_string(file.with_extension("pub")).unwrap().trim().to_owned();
        let listed = json!({"id": format!("u-{name}"), "name": name, "keys": [{"id": format!("k-{name}"), "body": public}]});
        (Key { file, public }, listed)
    }

    /// Sets the users of `/srv/users.json`, who are all members of the group `Ops`, and makes it the source. Returns their keys.
    ///
    /// # Panics
    /// If the machine cannot be reached.
    pub fn people(&self, names: &[&str]) -> BTreeMap<String, Key> {
        let people: Vec<_> = names.iter().map(|name| (*name, self.person(name))).collect();
        let users: Vec<&Value> = people.iter().map(|(_, (_, listed))| listed).collect();
        let members: Vec<&Value> = users.iter().map(|user| &user["id"]).collect();
        let group = json!({"id": "g-ops", "name": "Ops", "members": members});
        let listing = json!({"version": 1, "accounts": [{"groups": [group], "users": users}]});
        self.write("/srv/users.json", listing.to_string());
        self.write("/etc/nss-iam/config.d/source.toml", "[source]\nurl = \"file:///srv/users.json\"\n");
        people.into_iter().map(|(name, (key, _))| (name.to_owned(), key)).collect()
    }

    /// Runs a shell line as a user, through ssh.
    ///
    /// # Panics
    /// If ssh cannot be started.
    #[must_use]
    pub fn ssh(&self, user: &str, key: &Key, line: &str) -> Output {
        // The emulator accepts the connection before sshd does.
        let unheard = ["Connection reset", "Connection refused", "kex_exchange_identification"];
        heard(&unheard, || {
            self.client(user, &key.file, line).stdin(Stdio::null()).output().expect("start ssh")
        })
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    /// If it does not hold within a time that is far longer than needed.
    pub fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let started = Instant::now();
        while !condition() {
            let journal = || self.sh("journalctl --no-pager -n 40 -o cat; systemctl --failed --no-pager").1;
            assert!(started.elapsed() < PATIENCE, "still not: {what}\n{}", journal());
            std::thread::sleep(POLL);
        }
    }

    fn root(&self, line: &str) -> Output {
        let line = format!("export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 SYSTEMD_COLORS=0; {line}");
        self.ssh("root", &Key { file: root_key(), public: String::new() }, &line)
    }

    fn client(&self, user: &str, key: &Path, line: &str) -> Command {
        let options = "BatchMode=yes StrictHostKeyChecking=no IdentitiesOnly=yes UserKnownHostsFile=/dev/null LogLevel=ERROR \
                       ConnectTimeout=60";
        let mut command = Command::new("timeout");
        command.args(["300", "ssh", "-F", "none", "-p", &self.port.to_string(), "-l", user, "-i"]).arg(key);
        command.args(options.split_whitespace().flat_map(|option| ["-o", option]));
        command.args(["127.0.0.1", line]);
        command
    }

    /// The end of what the kernel and systemd printed, for the message of a test that fails.
    fn console(&self) -> String {
        let said = fs::read(&self.console).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        format!("\n{}", lines[lines.len().saturating_sub(40)..].join("\n"))
    }
}

fn trees() -> PathBuf {
    crate::target().join("trees")
}

fn root_key() -> PathBuf {
    trees().join(format!("{}.key", *GUEST))
}

/// For consoles.
fn directory() -> PathBuf {
    crate::target().join("vm")
}

/// Starts qemu in a mount namespace of its own. It ends when this process ends, however it does: the kernel sends the signal when
/// the thread that started it ends (`PR_SET_PDEATHSIG(2const)`), so that thread does nothing else.
fn start(security: Security, console: &Path) -> Child {
    let tree = trees().join("qemu");
    let disk = trees().join(format!("{}.ext4", *GUEST));
    for part in [&tree, &disk] {
        assert!(part.exists(), "'{}' is missing\nhint: make test-vm", part.display());
    }
    fs::create_dir_all(directory()).unwrap();
    let append = match security {
        Security::SeLinux => "security=selinux enforcing=1",
        Security::AppArmor => "security=apparmor apparmor=1",
    };
    let kernel =
        format!("root=/dev/vda rw console=ttyS0 systemd.show_status=0 panic=-1 mitigations=off {append}");
    let guest = GUEST.as_str();
    let options = format!(
        "-nodefaults -no-user-config -display none -M q35 -accel tcg,thread=multi,tb-size=512 -cpu max -smp 2 -m 1536 \
         -kernel /media/{guest}/vmlinuz -initrd /media/{guest}/initrd.img \
         -drive file=/media/{guest}.ext4,format=raw,if=virtio,cache=unsafe,snapshot=on \
         -netdev user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22 -device virtio-net-pci,netdev=net \
         -device virtio-rng-pci -serial file:/mnt/{} -qmp stdio",
        console.file_name().unwrap().display()
    );
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--propagation=private",
        "setpriv",
        "--pdeathsig",
        "KILL",
        "sh",
        "-euc",
        SCRIPT,
        "sh",
    ]);
    command
        .args([&tree, &trees(), &directory(), &tree])
        .arg("qemu-system-x86_64")
        .args(options.split_whitespace());
    command.args(["-append", &kernel]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        send.send(command.spawn()).unwrap();
        loop {
            std::thread::park();
        }
    });
    receive.recv().unwrap().expect("start qemu")
}
