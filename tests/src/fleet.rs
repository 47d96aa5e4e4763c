//! Many hosts and one publisher. The emulator has a network of its own; each host has a private root ([`Machine`]), a network of
//! its own, and a link to the emulator's. No other network is reachable from any of them.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::SystemTime;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{User, gettid};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Account, Emulator, Host, Machine, REFRESHER, Ran, artefact, is_root};

/// The bucket and the object of the fleet.
pub const OBJECT: &str = "fleet/jump";
/// A name of [`OBJECT`]'s fleet.
const NAME: &str = "jump";
/// Without it, metadata is asked for the region.
const AWS: &str = "[aws]\nregion = \"eu-central-1\"\n";
/// What the fetch half touches if there is something for the apply half.
const DUE: &str = "/var/lib/nss-iam-fetch/due";

/// The emulator, and the links of the hosts. It stays in the thread that started it, which is in the emulator's network from
/// then on.
#[derive(Debug)]
pub struct Fleet {
    /// An account with a bucket, as the publisher reaches it.
    pub account: Account,
    _emulator: Emulator,
    directory: TempDir,
    /// Where the files of the hosts are; none: in memory.
    disk: Option<PathBuf>,
    credentials: Vec<(&'static str, String)>,
}

/// A host of the fleet. It stays in its thread.
#[derive(Debug)]
pub struct Member {
    /// Its private root.
    pub host: Host,
    /// The environment in which programs find AWS.
    pub environment: Vec<(&'static str, String)>,
}

/// A host that runs in a thread.
#[derive(Debug)]
pub struct Running<T> {
    thread: JoinHandle<T>,
    linked: Sender<()>,
}

impl<T> Running<T> {
    /// Waits until it ends.
    ///
    /// # Panics
    /// If it panicked.
    #[must_use]
    pub fn join(self) -> T {
        drop(self.linked);
        self.thread.join().expect("the host says why")
    }
}

impl Fleet {
    /// None without root.
    ///
    /// # Panics
    /// If there are no network namespaces here.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_on(None)
    }

    /// The same, with the files of the hosts in a directory on a disk.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_on(disk: Option<PathBuf>) -> Option<Self> {
        if !is_root() {
            return None;
        }
        unshare(CloneFlags::CLONE_NEWNET).expect("unshare a network namespace");
        ip("link set lo up");
        let emulator = Emulator::start(&["--host", "0.0.0.0"]);
        let account = Account::of(&emulator);
        let (bucket, _) = OBJECT.split_once('/')?;
        account.seed(json!({"buckets": [{"name": bucket}]}));
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(key).status();
        assert!(made.unwrap().success());
        let credentials = account.credentials();
        Some(Self { credentials, account, _emulator: emulator, directory, disk })
    }

    /// Starts a host with a number from 1 to 250 that no other one has.
    ///
    /// # Panics
    /// If the link cannot be made.
    pub fn host<T: Send + 'static>(
        &self,
        number: u8,
        run: impl FnOnce(&Member) -> T + Send + 'static,
    ) -> Running<T> {
        let (says, hears) = mpsc::channel();
        let (linked, wait) = mpsc::channel();
        let account = self.account.at(format!("10.77.{number}.1:{}", self.port()));
        let disk = self.disk.as_ref().map(|disk| disk.join(format!("host{number}")));
        let environment = [account.direct(), self.credentials.clone()].concat();
        let start = move || run(&Member::start(number, environment, disk, &says, &wait));
        let thread = std::thread::Builder::new().name(format!("host {number}")).spawn(start).unwrap();
        let task: i32 = hears.recv().expect("the host says why");
        ip(&format!("link add host{number} type veth peer name eth0 netns {task}"));
        ip(&format!("address add 10.77.{number}.1/24 dev host{number}"));
        ip(&format!("link set host{number} up"));
        linked.send(()).unwrap();
        Running { thread, linked }
    }

    fn port(&self) -> &str {
        self.account.address().rsplit(':').next().unwrap_or_default()
    }

    /// The part of the configuration of a host that makes it one of the fleet.
    ///
    /// # Panics
    /// If the key is gone.
    #[must_use]
    pub fn source(&self) -> String {
        let public = fs::read_to_string(self.path("key.pub")).unwrap();
        let public = public.trim_end();
        format!("[source]\nurl = \"s3://{OBJECT}\"\nfleet = \"{NAME}\"\ntrusted_keys = [\"{public}\"]\n{AWS}")
    }

    /// Starts `cache-refresher publish --loop TIME`, with this configuration besides `[publish]`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn publisher(&self, config: &str, pause: &str) -> Publisher {
        let publish = format!(
            "[publish]\nurl = \"s3://{OBJECT}\"\nfleet = \"{NAME}\"\nkey = \"{}\"\n",
            self.path("key").display()
        );
        fs::write(self.path("config.toml"), format!("{config}{AWS}{publish}")).unwrap();
        let mut command = Command::new(artefact("cache-refresher"));
        command.args(["publish", "--json", "--loop", pause, "--config"]).arg(self.path("config.toml"));
        let environment = [self.account.direct(), self.credentials.clone()].concat();
        command.env_clear().envs(environment).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let rounds = BufReader::new(child.stdout.take().unwrap()).lines();
        Publisher { child, rounds }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Member {
    fn start(
        number: u8,
        environment: Vec<(&'static str, String)>,
        disk: Option<PathBuf>,
        says: &Sender<i32>,
        linked: &Receiver<()>,
    ) -> Self {
        unshare(CloneFlags::CLONE_NEWNET).expect("unshare a network namespace");
        let machine = match disk {
            Some(disk) => {
                fs::create_dir_all(&disk).unwrap();
                Machine::enter_on(&disk)
            }
            None => Machine::enter(),
        };
        let host = Host::of_fleet(machine.expect("the fleet needs root"), number);
        says.send(gettid().as_raw()).unwrap();
        linked.recv().expect("the fleet says why");
        ip("link set lo up");
        ip(&format!("address add 10.77.{number}.2/24 dev eth0"));
        ip("link set eth0 up");
        Self { host, environment }
    }

    /// Starts the fetch half as the user that the unit runs it as, which reads the source as often as `[refresh] every` says.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn poll(&self) -> Poll<'_> {
        let child = self.fetch(&["--poll"]).spawn().unwrap();
        Poll { member: self, child, due: None }
    }

    /// `cache-refresher fetch` with these words, as the user that the unit runs it as.
    ///
    /// # Panics
    /// If there is no such user.
    #[must_use]
    pub fn fetch(&self, words: &[&str]) -> Command {
        let user = User::from_name("nss-iam-fetch").unwrap().expect("it is installed");
        let mut command = self.host.machine.command(&[&[REFRESHER, "fetch"], words].concat());
        command
            .uid(user.uid.as_raw())
            .gid(user.gid.as_raw())
            .envs(self.environment.clone())
            .stdin(Stdio::null());
        command
    }
}

/// The fetch half that stays, until this is dropped.
#[derive(Debug)]
pub struct Poll<'a> {
    member: &'a Member,
    child: Child,
    due: Option<SystemTime>,
}

impl Poll<'_> {
    /// Runs the apply half if it was called since, as the path unit does. Returns how that ended.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn applied(&mut self) -> Option<Ran> {
        let due = fs::metadata(DUE).and_then(|file| file.modified()).ok();
        (due != self.due).then(|| {
            self.due = due;
            self.member.host.refresher(&["apply"])
        })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Poll<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A publisher that runs until this is dropped.
#[derive(Debug)]
pub struct Publisher {
    child: Child,
    rounds: Lines<BufReader<ChildStdout>>,
}

impl Publisher {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the report of the next round.
    ///
    /// # Panics
    /// If it has ended.
    pub fn round(&mut self) -> Value {
        let line = self.rounds.next().expect("the publisher says why on stderr").unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Changes the network that the calling thread is in.
fn ip(line: &str) {
    let ran = Command::new("ip").args(line.split(' ')).status().expect("iproute2 is installed");
    assert!(ran.success(), "ip {line}");
}
