//! The state of the host, gathered once, so that the checks are pure functions. What cannot be read without root, or
//! because a program is missing, is `None`: no default replaces it.

pub(crate) mod denials;
pub(crate) mod imds;
pub(crate) mod log;
pub(crate) mod module;
pub(crate) mod names;
pub(crate) mod pam;
pub(crate) mod probe;
pub(crate) mod sshd;
pub(crate) mod sssd;
#[cfg(test)]
mod tests;
pub(crate) mod unit;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::LazyLock;

use cache::snapshot::User;
use config::{Config, Source};
use message::Message;
use policy::instance_connect::COMMANDS;

use crate::edit::nsswitch;
use crate::edit::settings;
use crate::edit::sshd::user_ca;
use crate::edit::{sudo, units};
use crate::host::Host;
use crate::host::published::Published;
use crate::host::selinux::WrongLabel;
use crate::host::{accounts, files, nscd, paths, selinux, vendor};
use crate::say::error;
use crate::say::secure::Place;
use denials::Denial;
use imds::ImdsFacts;
use log::Line;
use module::Module;
use names::Names;
use pam::PamFacts;
use sshd::SshdFacts;
use unit::Unit;

/// What keys-cmd reads.
pub(crate) const READ: [&str; 2] = ["/etc/machine-id", cache::DIRECTORY];

/// Everything that is not about one user.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Seconds since 1970.
    pub now: i64,
    pub root: bool,
    pub config: Result<Config, NoConfig>,
    pub published: Published,
    /// /etc/passwd and /etc/group: name -> id.
    pub passwd: BTreeMap<String, u32>,
    pub group: BTreeMap<String, u32>,
    /// machine-id(5).
    pub machine_id: String,
    /// libnss_iam.so.2.
    pub module: Module,
    pub nsswitch: Option<String>,
    /// The domains of sssd that have no limit of ids; `None` if its configuration cannot be read.
    pub unlimited: Option<Vec<String>>,
    /// The account stage of PAM.
    pub pam: PamFacts,
    /// Whether nscd answers instead of glibc.
    pub nscd: bool,
    /// pam_nologin(8): the file, and its first line.
    pub nologin: Option<(String, String)>,
    /// /etc/shells; `None` if it is missing.
    pub shells: Option<Vec<String>>,
    /// Whether pam_shells(8) refuses users whose shell is not in it.
    pub checks_shells: bool,
    /// The directory of the cache, and `keys.db` in it.
    pub directory: Option<Node>,
    pub keys_db: Option<Node>,
    /// From `/` down to keys-cmd; if that is missing, the last entry is a directory.
    pub keys_cmd: Vec<Node>,
    /// From `/` down to the command of EC2 Instance Connect; `None` if it is not installed.
    pub instance_connect: Option<Vec<Node>>,
    /// From `/` down to what keys-cmd reads as another user than root: the machine-id, and the directory of the cache.
    pub read: Vec<Node>,
    /// Why sudo asks users for a password that they do not have.
    pub sudo_asks: Option<Message>,
    pub refresher: bool,
    pub sshd: Option<SshdFacts>,
    /// Why the file of `[keys] user_ca` cannot be used.
    pub user_ca: Option<Message>,
    /// Whether a PAM file creates home directories; `None` if no PAM file of sshd was found.
    pub makes_homes: Option<bool>,
    /// The unit that refreshes this host, and the one that must be off; `None` if systemd is not running.
    pub schedule: Option<(Unit, Unit)>,
    pub services: Vec<Unit>,
    /// `None` if systemd is not running, or has no unit for it.
    pub imds: Option<ImdsFacts>,
    /// Whether the clock is synchronized; `None` if unknown.
    pub synchronised: Option<bool>,
    pub log: Vec<Line>,
    pub denials: Vec<Denial>,
    /// A path of the cache that has a wrong SELinux label.
    pub wrong_label: Option<WrongLabel>,
    /// Homes that exist, of active users.
    pub homes: Vec<(String, u32, Node)>,
    /// The files of users who may only forward connections from which cron or atd still runs commands; root only.
    pub jobs: Vec<Job>,
    /// What the host grants to names; empty unless a command asks for it.
    pub names: Names,
}

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoConfig {
    Missing,
    /// Only root may read it.
    Denied(Message),
    Refused(Message),
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub path: String,
    pub uid: u32,
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    pub directory: bool,
    /// A regular file.
    pub file: bool,
    /// Whether the path itself is a symbolic link; all else is of what it leads to, if there is that.
    pub link: bool,
}

/// What cron or atd runs for a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub user: String,
    pub file: String,
}

impl Node {
    /// `None` if there is nothing, or it cannot be read. A symbolic link is followed.
    pub(crate) fn of(host: &Host, path: &str) -> Option<Self> {
        Some(Self::new(path, &fs::metadata(host.path(path)).ok()?, is_link(host, path)))
    }

    /// As [`Self::of`], and a link that leads nowhere is itself there: no home can be created in its place.
    pub(crate) fn of_home(host: &Host, path: &str) -> Option<Self> {
        let link = || fs::symlink_metadata(host.path(path)).ok().filter(Metadata::is_symlink);
        Self::of(host, path).or_else(|| Some(Self::new(path, &link()?, true)))
    }

    fn new(path: &str, found: &Metadata, link: bool) -> Self {
        let (uid, gid, mode) = (found.uid(), found.gid(), found.mode() & 0o7777);
        let (directory, file) = (found.is_dir(), found.is_file());
        Self { path: path.to_owned(), uid, gid, mode, directory, file, link }
    }

    /// As something on the way to a path.
    pub(crate) fn place(&self) -> Place<'_> {
        Place { path: &self.path, uid: self.uid, mode: self.mode, plain: self.directory || self.file }
    }

    /// Whether only root can write to it.
    pub(crate) fn is_safe(&self) -> bool {
        self.uid == 0 && self.mode & 0o022 == 0
    }
}

impl Facts {
    /// Gathers everything.
    pub(crate) fn gather(host: &Host, now: i64) -> Self {
        let present = Self::present(host, now);
        let config = present.configured();
        let sudo_asks = if present.root { sudo::asks_for_a_password(host, config) } else { Ok(None) };
        Self {
            log: log::logins(host),
            denials: denials::gather(host, now),
            sudo_asks: sudo_asks.ok().flatten(),
            ..present
        }
    }

    /// Gathers the present state, without the logs, which take longer to read than everything else.
    pub(crate) fn present(host: &Host, now: i64) -> Self {
        let published = Published::read(host);
        let systemd = host.exists("/run/systemd/system");
        let root = rustix::process::geteuid().is_root();
        let config = config(host);
        let (wanted, other) = units::schedule(config.as_ref().unwrap_or(&Config::default()));
        let users = accounts::local(host).unwrap_or_default();
        let groups = accounts::local_groups(host).unwrap_or_default();
        Self {
            now,
            root,
            config,
            passwd: users.into_iter().map(|user| (user.name, user.uid)).collect(),
            group: groups.into_iter().map(|group| (group.name, group.gid)).collect(),
            machine_id: text(host, "/etc/machine-id").unwrap_or_default().trim().to_owned(),
            module: module::gather(host),
            nsswitch: vendor::read_lossy(host, nsswitch::PATH).ok().flatten(),
            unlimited: sssd::unlimited(host),
            pam: pam::gather(host),
            nscd: nscd::runs(host),
            nologin: ["/etc/nologin", "/run/nologin"].iter().find_map(|path| {
                let text = text(host, path)?;
                Some(((*path).to_owned(), text.lines().next().unwrap_or_default().to_owned()))
            }),
            shells: text(host, "/etc/shells").map(|text| {
                text.lines().map(str::trim).filter(|line| line.starts_with('/')).map(str::to_owned).collect()
            }),
            checks_shells: has_module(host, &["pam_shells"]) == Some(true),
            directory: Node::of(host, cache::DIRECTORY),
            keys_db: Node::of(host, paths::KEYS),
            keys_cmd: way(host, paths::KEYS_CMD),
            instance_connect: COMMANDS.iter().find(|path| host.exists(path)).map(|path| way(host, path)),
            read: READ.iter().flat_map(|path| way(host, path)).collect(),
            sudo_asks: None,
            refresher: Node::of(host, paths::REFRESHER)
                .is_some_and(|node| !node.directory && node.mode & 0o111 != 0),
            sshd: sshd::gather(host),
            user_ca: user_ca(host).filter(|_| root),
            makes_homes: has_module(host, &["pam_mkhomedir", "pam_oddjob_mkhomedir"]),
            schedule: systemd.then(|| (Unit::of(host, wanted), Unit::of(host, other))),
            services: if systemd {
                paths::SERVICES.iter().map(|name| Unit::of(host, name)).collect()
            } else {
                Vec::new()
            },
            imds: if systemd { imds::gather(host, root) } else { None },
            synchronised: synchronised(host),
            log: Vec::new(),
            denials: Vec::new(),
            wrong_label: selinux::wrong_label(host),
            homes: homes(host, &published),
            jobs: jobs(host, &published),
            names: Names::default(),
            published,
        }
    }

    /// The configuration, or the defaults if it cannot be used.
    pub(crate) fn configured(&self) -> &Config {
        self.config.as_ref().unwrap_or(&DEFAULTS)
    }

    /// The configured source, which names itself and its users in messages.
    pub(crate) fn source(&self) -> &Source {
        &self.configured().source
    }
}

static DEFAULTS: LazyLock<Config> = LazyLock::new(Config::default);

fn is_link(host: &Host, path: &str) -> bool {
    fs::symlink_metadata(host.path(path)).is_ok_and(|found| found.is_symlink())
}

/// A missing file differs from an empty one: without the file, the refresher refuses to run.
fn config(host: &Host) -> Result<Config, NoConfig> {
    if !host.exists(settings::PATH) {
        return Err(NoConfig::Missing);
    }
    settings::load(host).map_err(|cause| match cause.status() {
        error::DENIED => NoConfig::Denied(cause.into()),
        _ => NoConfig::Refused(cause.into()),
    })
}

fn text(host: &Host, path: &str) -> Option<String> {
    fs::read(host.path(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Of the configured file, if there is one.
fn user_ca(host: &Host) -> Option<Message> {
    let file = config(host).ok()?.keys.user_ca?;
    user_ca::unusable(host, &file).unwrap_or_else(|cause| Some(cause.into()))
}

/// Each directory on the way to the path, as sshd checks them, and the file itself. Links have no mode.
fn way(host: &Host, path: &str) -> Vec<Node> {
    let nodes = way::to(&host.path("/"), Path::new(path)).unwrap_or_default();
    let nodes = nodes.iter().filter(|node| !node.found.is_symlink());
    nodes.filter_map(|node| Node::of(host, node.path.to_str()?)).collect()
}

fn homes(host: &Host, published: &Published) -> Vec<(String, u32, Node)> {
    let users = published.cache.iter().flat_map(|cache| &cache.users);
    users
        .filter(|user| user.active && !user.is_forward_only())
        .filter_map(|user| {
            Some((user.name.to_string(), user.uid.get(), Node::of_home(host, user.passwd.home.as_str())?))
        })
        .collect()
}

/// Of cron(8), which has a file for each user, named after the user; on Debian, openSUSE and Red Hat.
const CRONTABS: [&str; 3] = ["/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron"];
/// Of atd(8), which has a file for each job, owned by the user.
const AT_JOBS: [&str; 3] = ["/var/spool/cron/atjobs", "/var/spool/atjobs", "/var/spool/at"];

fn jobs(host: &Host, published: &Published) -> Vec<Job> {
    let users = published.cache.iter().flat_map(|cache| &cache.users);
    let users: Vec<&User> = users.filter(|user| user.is_forward_only()).collect();
    let by_name: HashMap<&str, &User> = users.iter().map(|user| (user.name.as_str(), *user)).collect();
    let by_uid: HashMap<u32, &User> = users.iter().map(|user| (user.uid.get(), *user)).collect();
    let mut jobs = Vec::new();
    for directory in CRONTABS.into_iter().chain(AT_JOBS) {
        for name in files::names(&host.path(directory)).unwrap_or_default() {
            let Some(file) = Node::of(host, &format!("{directory}/{}", name.display())) else { continue };
            let user = match CRONTABS.contains(&directory) {
                true => name.to_str().and_then(|name| by_name.get(name)),
                false => by_uid.get(&file.uid),
            };
            if let Some(user) = user.filter(|_| !file.directory) {
                jobs.push(Job { user: user.name.to_string(), file: file.path });
            }
        }
    }
    jobs
}

/// Whether one of these modules is in sshd's PAM stack; `None` if there is none. pam.d(5): what sshd's file includes is one
/// of these on Debian, Red Hat and openSUSE.
fn has_module(host: &Host, modules: &[&str]) -> Option<bool> {
    let files = [
        "sshd",
        "common-auth",
        "common-account",
        "common-session",
        "password-auth",
        "system-auth",
        "postlogin",
    ];
    let texts: Vec<String> = files
        .iter()
        .filter_map(|file| vendor::read_lossy(host, &format!("/etc/pam.d/{file}")).ok()?)
        .collect();
    let names = |line: &str| {
        let line = line.trim_start();
        !line.starts_with('#') && modules.iter().any(|module| line.contains(module))
    };
    (!texts.is_empty()).then(|| texts.iter().flat_map(|text| text.lines()).any(names))
}

fn synchronised(host: &Host) -> Option<bool> {
    host.find("timedatectl").filter(|_| host.exists("/run/systemd/system"))?;
    let output = host.run(&["timedatectl", "show", "-p", "NTPSynchronized", "--value"]).ok()?;
    match output.stdout.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}
