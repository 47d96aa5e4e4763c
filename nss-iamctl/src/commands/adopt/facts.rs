//! Reads what a plan depends on from the host. Nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cache::state::{Identity, State};
use config::Config;
use listing::regular::{self, Links};
use policy::IamId;

use crate::edit::settings;
use crate::host::accounts::{self, GROUP, GSHADOW, PASSWD, SHADOW};
use crate::host::invoker::Invoker;
use crate::host::paths::{LISTING, STATE};
use crate::host::published::{Published, Trouble};
use crate::host::{Host, files, processes, vendor};
use crate::say::error::Error;

/// The drop-in with the pins.
pub(super) const PINS: &str = "/etc/nss-iam/config.d/50-adopt.toml";
const SUDOERS: [&str; 3] = ["/etc/sudoers", "/usr/etc/sudoers", "/etc/opt/sudoers"];
const SUDOERS_DIRECTORIES: [&str; 2] = ["/etc/sudoers.d", "/usr/etc/sudoers.d"];
const CRON_DIRECTORY: &str = "/etc/cron.d";
const ROOTS_JOBS: [&str; 3] = ["/etc/crontab", "/var/spool/cron/crontabs/root", "/var/spool/cron/root"];
const CRONTABS: [&str; 2] = ["/var/spool/cron/crontabs", "/var/spool/cron"];
const LINGER: &str = "/var/lib/systemd/linger";
/// Of aws-ec2-ssh.
const CONF: &str = "/etc/aws-ec2-ssh.conf";

/// Far more than any real authorized_keys, in bytes.
const MAX_KEYS: u64 = 1 << 20;

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub passwd: Vec<u8>,
    pub shadow: Option<Vec<u8>>,
    pub group: Vec<u8>,
    pub gshadow: Option<Vec<u8>>,
    pub subuid: Vec<u8>,
    pub subgid: Vec<u8>,
    /// Path and content.
    pub sudoers: Vec<(PathBuf, Vec<u8>)>,
    pub cron: Vec<(PathBuf, Vec<u8>)>,
    /// Other places with root's jobs.
    pub roots_jobs: Vec<(PathBuf, Vec<u8>)>,
    pub sshd: Vec<(PathBuf, Vec<u8>)>,
    /// aws-ec2-ssh.conf, if there is one.
    pub script_conf: Vec<u8>,
    pub nsswitch: Vec<u8>,
    pub accounts_of_iam: Vec<listing::Account>,
    pub config: Config,
    pub identities: BTreeMap<IamId, Identity>,
    /// What exists at each home directory in passwd(5).
    pub homes: BTreeMap<String, Home>,
    /// authorized_keys of each home directory that has one; `None` if it cannot be read.
    pub own_keys: BTreeMap<String, Option<Vec<u8>>>,
    /// How many processes run as each uid.
    pub running: BTreeMap<u32, usize>,
    /// Users who have a crontab, or linger.
    pub crontabs: BTreeSet<String>,
    pub lingering: BTreeSet<String>,
    pub invoker: Invoker,
    /// The pins of an earlier run.
    pub pins: Option<String>,
}

/// What exists at the path of a home directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    Missing,
    Directory,
    /// A symbolic link, or not a directory.
    Other,
}

impl Facts {
    /// Reads the host.
    ///
    /// # Errors
    /// When something that is required cannot be read.
    pub(super) fn read(host: &Host) -> Result<Self, Error> {
        let passwd = required(host, PASSWD)?;
        let (accounts_of_iam, state) = published(host)?;
        let mut facts = Self {
            shadow: optional(host, SHADOW)?,
            group: required(host, GROUP)?,
            gshadow: optional(host, GSHADOW)?,
            subuid: optional(host, "/etc/subuid")?.unwrap_or_default(),
            subgid: optional(host, "/etc/subgid")?.unwrap_or_default(),
            cron: directory(host, CRON_DIRECTORY)?,
            roots_jobs: existing(host, &ROOTS_JOBS)?,
            sudoers: existing(host, &SUDOERS)?,
            sshd: existing(host, &[crate::edit::sshd::config::MAIN])?,
            script_conf: optional(host, CONF)?.unwrap_or_default(),
            nsswitch: vendor::read(host, crate::edit::nsswitch::PATH)?.unwrap_or_default(),
            accounts_of_iam,
            config: settings::load(host)?,
            identities: state.identities,
            running: running(host),
            crontabs: CRONTABS.iter().flat_map(|path| names(host, path)).collect(),
            lingering: names(host, LINGER).into_iter().collect(),
            invoker: Invoker::of(host),
            pins: files::read_utf8(&host.path(PINS))?,
            passwd,
            ..Self::default()
        };
        for path in SUDOERS_DIRECTORIES {
            facts.sudoers.extend(directory(host, path)?);
        }
        facts.sshd.extend(directory(host, "/etc/ssh/sshd_config.d")?);
        for account in accounts::accounts(&facts.passwd) {
            let path = host.path(&account.home);
            let found = match fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_dir() => Home::Directory,
                Ok(_) => Home::Other,
                Err(_) => Home::Missing,
            };
            let keys = path.join(".ssh/authorized_keys");
            if fs::symlink_metadata(&keys).is_ok_and(|meta| meta.len() > 0) {
                // The user can put anything there: a link, a pipe.
                let read = regular::read(&keys, MAX_KEYS, Links::Refuse).map(|file| file.bytes);
                facts.own_keys.insert(account.home.clone(), read.ok());
            }
            facts.homes.insert(account.home, found);
        }
        Ok(facts)
    }
}

fn required(host: &Host, path: &str) -> Result<Vec<u8>, Error> {
    let path = host.path(path);
    fs::read(&path).map_err(|cause| Error::io("read", &path, &cause))
}

fn optional(host: &Host, path: &str) -> Result<Option<Vec<u8>>, Error> {
    files::read(&host.path(path))
}

fn existing(host: &Host, paths: &[&str]) -> Result<Vec<(PathBuf, Vec<u8>)>, Error> {
    let mut found = Vec::new();
    for path in paths {
        found.extend(optional(host, path)?.map(|bytes| (PathBuf::from(path), bytes)));
    }
    Ok(found)
}

fn directory(host: &Host, path: &str) -> Result<Vec<(PathBuf, Vec<u8>)>, Error> {
    let mut found = Vec::new();
    for name in files::names(&host.path(path))? {
        let path = Path::new(path).join(name);
        let place = host.path_of(&path);
        if place.is_file() {
            found.extend(files::read(&place)?.map(|bytes| (path, bytes)));
        }
    }
    Ok(found)
}

fn names(host: &Host, directory: &str) -> Vec<String> {
    let names = files::names(&host.path(directory)).unwrap_or_default();
    names.into_iter().filter_map(|name| name.into_string().ok()).collect()
}

/// The files of the refresher.
fn published(host: &Host) -> Result<(Vec<listing::Account>, State), Error> {
    let published = Published::read(host);
    let listing = published.listing.map_err(|trouble| {
        Error::configuration(format!("cannot use '{LISTING}': {trouble}; nothing was done"))
            .hint("nss-iamctl refresh, or cache-refresher fetch if no user should be published yet")
    })?;
    let state = match published.state {
        // The first refresh creates it.
        Err(Trouble::Missing) => State::default(),
        state => state.map_err(|trouble| {
            let what = format!("cannot use '{STATE}': {trouble}; nothing was done");
            match trouble {
                Trouble::Later(message) => Error::other(what).hint(message.hint().unwrap_or_default()),
                _ => Error::other(what),
            }
        })?,
    };
    Ok((listing.accounts, state))
}

/// How many processes run as each uid.
fn running(host: &Host) -> BTreeMap<u32, usize> {
    processes::by_uid(host).into_iter().map(|(uid, processes)| (uid, processes.len())).collect()
}
