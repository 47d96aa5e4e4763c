//! A small world to plan in: a listing that changes, a host, a configuration. Every plan of it is checked against the
//! invariants of all plans (`invariants`).

mod fields;
mod forwarding;
mod ids;
mod invariants;
mod keys;
mod names;
mod properties;
mod states;
mod taking;
mod whose;

use std::collections::BTreeSet;

use cache::snapshot::{self, Login};
use claims::nss::{Answer, FileGroup, Files};
use claims::{Kind, Use};
use config::{Account, Config, TagUse};
use listing::{Group, Key, Listing};
use policy::{DISABLED_GROUP, Field, Id};
use status::{Locked, SkipReason, What};

use super::*;
use crate::directories::Directories;
use crate::local::Local;

const NOW: i64 = 1_795_000_000;
const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC4FxjZ4/k2RiYAlUYdjzx4sBKjWq+CzUiAkwYXAc4HA";

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) state: State,
    listing: Listing,
    config: Config,
    local: Local,
    published: Cache,
    offered: Keys,
    pub(super) now: i64,
    force: bool,
}

impl World {
    /// One account, whose group `Ops` (`G-OPS`) has these members; their ids are `U-` and the name.
    pub(super) fn of(names: &[&str]) -> Self {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let mut world = Self {
            state: State::default(),
            listing: Listing {
                version: listing::VERSION,
                source: "iam:".to_owned(),
                read: Some(at(NOW)),
                ..Listing::default()
            },
            config: Config::default(),
            local: Local {
                files: Files {
                    users: [("root".to_owned(), 0), ("local".to_owned(), 1000)].into(),
                    shells: set(&["/bin/sh", "/bin/bash", "/usr/sbin/nologin"]),
                    ..Files::default()
                },
                machine_id: "0123".to_owned(),
                ..Local::of(Files::default(), Locked::default())
            },
            published: Cache::default(),
            offered: Keys::default(),
            now: NOW,
            force: false,
        };
        for (name, gid) in [("root", 0), ("local", 1000), ("adm", 4)] {
            world.local_group(name, gid);
        }
        world.local_group("disk", 6).insert("of-group".to_owned());
        world.used("of-sysusers", Kind::Sysusers);
        world.used("of-sudoers", Kind::Sudo);
        world.group("", "G-OPS", "Ops");
        for name in names {
            world.member("", &format!("U-{name}"), name, "G-OPS");
        }
        world
    }

    /// A group of /etc/group; its members are returned.
    fn local_group(&mut self, name: &str, gid: u32) -> &mut BTreeSet<String> {
        let group = FileGroup { gid, members: BTreeSet::new() };
        &mut self.local.files.groups.entry(name.to_owned()).or_insert(group).members
    }

    /// The host uses this name.
    fn used(&mut self, name: &str, kind: Kind) {
        let used = Use { kind, what: format!("named by {kind:?}"), place: "/etc/it".to_owned() };
        self.local.uses.add(name, used);
    }

    /// A directory exists and belongs to this user.
    fn directory(&mut self, path: &str, owner: u32) {
        self.local.directories.as_mut().unwrap().owners.insert(path.to_owned(), Some(owner));
    }

    /// Only these directories exist.
    fn directories(&mut self, owners: &BTreeMap<&str, u32>) {
        let owners = owners.iter().map(|(path, owner)| ((*path).to_owned(), Some(*owner))).collect();
        self.local.directories = Ok(Directories { owners, links: BTreeMap::new() });
    }

    /// The answers of services other than `files`: nothing until a test says otherwise.
    fn service(&mut self, name: &str) -> &mut Answer {
        self.local.directory.0.entry(name.to_owned()).or_default()
    }

    fn account(&mut self, name: &str) -> &mut listing::Account {
        let accounts = &mut self.listing.accounts;
        let place = accounts.iter().position(|account| account.name == name).unwrap_or_else(|| {
            accounts.push(listing::Account { name: name.to_owned(), complete: true, ..Default::default() });
            accounts.len() - 1
        });
        &mut accounts[place]
    }

    fn group(&mut self, account: &str, id: &str, name: &str) -> &mut Group {
        let groups = &mut self.account(account).groups;
        groups.push(Group {
            id: id.to_owned(),
            name: name.to_owned(),
            members: Vec::new(),
            ..Group::default()
        });
        groups.last_mut().unwrap()
    }

    fn user(&mut self, account: &str, id: &str, name: &str) -> &mut listing::User {
        let users = &mut self.account(account).users;
        users.push(listing::User {
            id: id.to_owned(),
            name: name.to_owned(),
            confirmed: Some(at(NOW - 5)),
            ..Default::default()
        });
        users.last_mut().unwrap()
    }

    fn member(&mut self, account: &str, id: &str, name: &str, group: &str) -> &mut listing::User {
        let groups = &mut self.account(account).groups;
        groups.iter_mut().find(|known| known.id == group).unwrap().members.push(id.to_owned());
        self.user(account, id, name)
    }

    fn listed(&mut self, id: &str) -> &mut listing::User {
        let mut users = self.listing.accounts.iter_mut().flat_map(|account| &mut account.users);
        users.find(|user| user.id == id).unwrap()
    }

    pub(super) fn tag(&mut self, id: &str, key: &str, value: &str) {
        self.listed(id).tags.insert(format!("nss-iam:{key}"), value.to_owned());
    }

    fn gone(&mut self, id: &str) {
        for account in &mut self.listing.accounts {
            account.users.retain(|user| user.id != id);
            account.groups.iter_mut().for_each(|group| group.members.retain(|member| member != id));
        }
    }

    pub(super) fn uses(mut self, tags: &[TagUse]) -> Self {
        self.config.tags.uses = tags.to_vec();
        self
    }

    fn lock(&mut self, names: &[&str]) {
        self.local.locked = Locked::of(names.iter().map(ToString::to_string));
    }

    /// A second account in the configuration.
    fn second(&mut self, name: &str) -> &mut Account {
        self.config.account.push(Account { name: name.to_owned(), ..Account::default() });
        self.config.account.last_mut().unwrap()
    }

    pub(super) fn input(&self) -> Input<'_> {
        Input {
            state: &self.state,
            listing: &self.listing,
            config: &self.config,
            local: &self.local,
            published: &self.published,
            offered: &self.offered,
            now: self.now,
            force: self.force,
            release: &[],
        }
    }

    /// Answers the questions of a plan that the test has not answered: the directory does not exist, nobody has the name.
    fn answered(&self) -> Self {
        let mut world = self.clone();
        let asked = questions(&self.input());
        if let Ok(directories) = &mut world.local.directories {
            directories.owners.retain(|directory, _| asked.directories.owners.contains(directory));
            for directory in asked.directories.owners {
                directories.owners.entry(directory).or_default();
            }
        }
        for answer in world.local.directory.0.values_mut().filter(|answer| answer.failed.is_none()) {
            answer.asked = asked.nss.clone();
        }
        world
    }

    fn plan(&self) -> Plan {
        // A listing that is not a valid document needs no plan.
        Listing::parse(&serde_json::to_vec(&self.listing).unwrap()).unwrap();
        let plan = plan(self.answered().input()).unwrap();
        invariants::check(self, &plan);
        plan
    }

    /// Plans, stores the state, and lets a minute pass.
    pub(super) fn run(&mut self) -> Plan {
        let plan = self.plan();
        self.state = plan.state.clone();
        self.published = plan.cache.clone();
        self.offered = plan.keys.clone();
        self.now += 60;
        plan
    }
}

fn at(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(seconds).unwrap()
}

fn key(body: &str) -> Key {
    Key { id: "APKA1".to_owned(), active: true, body: body.to_owned() }
}

impl Plan {
    fn named(&self, name: &str) -> Option<&snapshot::User> {
        self.cache.users.iter().find(|user| user.name.as_str() == name)
    }

    /// The row of a UserId.
    fn row(&self, iam_id: &str) -> Option<&snapshot::User> {
        let identity = self.state.identities.get(&IamId::new(iam_id))?;
        self.cache.users.iter().find(|user| user.uid == identity.id)
    }

    /// The login name of an active UserId.
    fn active(&self, iam_id: &str) -> Option<&str> {
        self.row(iam_id).filter(|user| user.active).map(|user| user.name.as_str())
    }

    fn group(&self, name: &str) -> Option<&snapshot::Group> {
        self.cache.groups.iter().find(|group| group.name.as_str() == name)
    }

    fn members(&self, group: &str) -> Vec<&str> {
        self.group(group).unwrap().members.iter().map(Name::as_str).collect()
    }

    /// The names of disabled users, sorted.
    fn disabled(&self) -> Vec<&str> {
        let users = self.cache.users.iter().filter(|user| !user.active);
        let mut names: Vec<&str> = users.map(|user| user.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    fn login(&self, iam_id: &str) -> Option<&Login> {
        self.keys.logins.iter().find(|login| login.iam_id.as_str() == iam_id)
    }

    /// Besides the login name.
    fn principals(&self, iam_id: &str) -> Vec<&str> {
        self.login(iam_id).unwrap().principals.iter().map(AsRef::as_ref).collect()
    }

    fn id(&self, iam_id: &str) -> u32 {
        self.state.identities[&IamId::new(iam_id)].id.get()
    }

    /// Whether a skip with this id contains these words.
    fn told(&self, id: &str, words: &str) -> bool {
        self.skips.iter().any(|skip| skip.id == id && skip.text.contains(words))
    }

    fn warns(&self, words: &str) -> bool {
        self.warning_text().contains(words)
    }

    /// Warnings as printed.
    fn warning_text(&self) -> String {
        self.warnings.iter().map(|warning| warning.message().to_string() + "\n").collect()
    }

    /// What is held, as printed.
    fn held_text(&self) -> String {
        self.held.iter().map(|held| held.message().to_string() + "\n").collect()
    }
}
