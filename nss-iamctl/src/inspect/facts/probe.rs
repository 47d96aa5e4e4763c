//! What glibc and sshd answer for one user in the cache.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use cache::snapshot::{Login, User};
use claims::pam::Account;
use message::Message;
use policy::{Id, KeyLine};

use crate::edit::sshd::Sshd;
use crate::edit::sshd::effective::{Effective, trusted_ca};
use crate::edit::sshd::key_files::KeyFiles;
use crate::host::accounts;
use crate::host::paths::KEYS_USER;
use crate::host::{Host, Output};
use crate::inspect::facts::{Facts, Node};
use crate::inspect::offer::withheld;

/// How many active users are asked about; each one costs a run of sshd.
const SAMPLES: usize = 8;

/// How long glibc may take for one answer, in seconds. sssd waits 6 s for its own back end.
pub(crate) const PATIENCE: &str = "15";
/// The exit status of timeout(1) then.
const TIMED_OUT: i32 = 124;

/// The answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probe {
    pub name: String,
    pub uid: u32,
    pub active: bool,
    /// `getent passwd`: the answer that every program gets. By name; by uid for a disabled user, who has no name.
    pub passwd: Option<String>,
    /// `getent -s iam passwd`: the module alone, past nsswitch.conf and nscd. Likewise.
    pub module: Option<String>,
    /// `getent passwd` by the name of a user who is disabled.
    pub by_name: Option<String>,
    /// `getent shadow`; asked by root only, of an active user.
    pub shadow: Option<String>,
    /// The supplementary gids of an active user, `getent initgroups`.
    pub groups: Vec<u32>,
    /// The names of these and of the primary group, by which sshd decides.
    pub group_names: Vec<String>,
    /// The active users whom this one represents: they have the same groups and shell.
    pub alike: Vec<String>,
    pub home: String,
    pub home_node: Option<Node>,
    pub shell: String,
    pub shell_node: Option<Node>,
    /// `sshd -T -C user=…` for an active user; `None` if not run.
    pub sshd: Option<Result<Effective, Message>>,
    /// What the files of keys contain that these settings name.
    pub key_files: KeyFiles,
    /// What PAM says of an active user; `None` if not asked, because only root is told, or because sshd does not ask it.
    pub pam: Option<Account>,
    /// Whether glibc does not answer in time, because a service of nsswitch.conf hangs. Nothing else is then asked.
    pub waits: bool,
}

impl Probe {
    /// Asks about `user`, who stands for those with the names `alike`.
    pub(crate) fn of(host: &Host, facts: &Facts, user: &User, alike: Vec<String>) -> Self {
        let (name, uid) = (user.name.as_str(), user.uid.to_string());
        let key = if user.active { name } else { &uid };
        let waits = Cell::new(false);
        let getent = |words: &[&str]| {
            let line = [&["timeout", PATIENCE, "getent"], words].concat();
            let output = if waits.get() { None } else { host.run(&line).ok() };
            waits.set(waits.get() || output.as_ref().is_some_and(|output| output.code == Some(TIMED_OUT)));
            output
        };
        let ask = |words: &[&str]| {
            let output = getent(words).filter(Output::success)?;
            Some(output.stdout.trim_end().to_owned())
        };
        let ask_of_active = |words: &[&str]| if user.active { ask(words) } else { None };
        let module = ask(&["-s", "iam", "passwd", key]);
        let passwd = ask(&["passwd", key]);
        let groups = ask_of_active(&["initgroups", name]).unwrap_or_default();
        let groups: Vec<u32> = groups.split_whitespace().skip(1).filter_map(|gid| gid.parse().ok()).collect();
        let primary =
            passwd.as_ref().and_then(|line| accounts::account(line.as_bytes())).map(|account| account.gid);
        let gids: Vec<String> = primary.iter().chain(&groups).map(u32::to_string).collect();
        let words: Vec<&str> = ["group"].into_iter().chain(gids.iter().map(String::as_str)).collect();
        // It prints those that it finds, and fails if one is missing.
        let found = if user.active && !gids.is_empty() { getent(&words) } else { None };
        let found = found.map_or_else(Vec::new, |output| accounts::groups(output.stdout.as_bytes()));
        let by_name = if user.active { None } else { ask(&["passwd", name]) };
        let shadow = if facts.root { ask_of_active(&["shadow", name]) } else { None };
        if user.active {
            // sshd takes the groups of this user, too, for whom glibc asks every service.
            ask(&["initgroups", KEYS_USER]);
        }
        // sshd looks the users up itself.
        let asks = facts.root && user.active && !waits.get();
        let sshd = if asks { settings(host, name) } else { None };
        Self {
            name: name.to_owned(),
            uid: user.uid.get(),
            active: user.active,
            passwd,
            module,
            by_name,
            shadow,
            groups,
            group_names: found.into_iter().map(|group| group.name).collect(),
            home: user.passwd.home.to_string(),
            home_node: Node::of_home(host, user.passwd.home.as_str()),
            shell: user.passwd.shell.to_string(),
            shell_node: Node::of(host, user.passwd.shell.as_str()),
            key_files: key_files(host, facts, sshd.as_ref(), &alike),
            alike,
            pam: if asks { account(host, name, sshd.as_ref()) } else { None },
            sshd,
            waits: waits.get(),
        }
    }

    /// Whether glibc or PAM did not answer in time.
    fn hangs(&self) -> bool {
        self.waits || matches!(self.pam, Some(Account::Silent { .. }))
    }

    /// The uid that glibc answers.
    pub(crate) fn told_uid(&self) -> Option<u32> {
        uid_of(self.passwd.as_ref()?)
    }

    /// Whether a user who is disabled still exists by name.
    pub(crate) fn has_name(&self) -> bool {
        self.by_name.as_ref().is_some_and(|line| uid_of(line) == Some(self.uid))
    }
}

/// The users who are asked about for a whole host: of the active ones, one for each combination of groups and shell, and one
/// who left. Combinations that few users have are not asked about, but derived from the most frequent one.
pub(crate) fn samples(host: &Host, facts: &Facts) -> Vec<Probe> {
    let users = facts.published.cache.as_ref().map_or(&[][..], |cache| &cache.users);
    let mut probes: Vec<Probe> = Vec::new();
    for alike in classes(users) {
        // One with a key, if there is one.
        let Some(user) = alike.iter().find(|user| is_offered(facts, user)).or(alike.first()) else {
            continue;
        };
        let names: Vec<String> = alike.iter().map(|user| user.name.to_string()).collect();
        let probe = match probes.first() {
            Some(first) if probes.len() >= SAMPLES => derived(host, facts, user, first, names),
            // Whatever hangs for one user does so for all.
            _ => match probes.iter().find(|probe| probe.hangs()) {
                Some(other) => derived(host, facts, user, other, names),
                None => Probe::of(host, facts, user, names),
            },
        };
        probes.push(probe);
    }
    if !probes.iter().any(Probe::hangs) {
        probes.extend(
            users.iter().find(|user| !user.active).map(|user| Probe::of(host, facts, user, Vec::new())),
        );
    }
    probes
}

/// What is expected for `user`: the answers for `first`, except groups and shell. A Match block of sshd for one of these
/// groups is not seen.
fn derived(host: &Host, facts: &Facts, user: &User, first: &Probe, alike: Vec<String>) -> Probe {
    // Both are in the order of the gids.
    let groups = facts.published.cache.as_ref().map_or(&[][..], |cache| &cache.groups);
    let own: BTreeSet<Id> = user.groups.iter().copied().chain([user.uid]).collect();
    let found = own.iter().filter_map(|gid| groups.binary_search_by_key(gid, |group| group.gid).ok());
    let published = found.filter_map(|at| groups.get(at)).map(|group| group.name.to_string());
    let local = facts.group.iter().filter(|(_, gid)| user.local.contains(gid)).map(|(name, _)| name.clone());
    Probe {
        name: user.name.to_string(),
        group_names: published.chain(local).collect(),
        shell: user.passwd.shell.to_string(),
        shell_node: Node::of(host, user.passwd.shell.as_str()),
        key_files: key_files(host, facts, first.sshd.as_ref(), &alike),
        alike,
        ..first.clone()
    }
}

/// Active users with the same groups and shell, the largest set first.
fn classes(users: &[User]) -> Vec<Vec<&User>> {
    let mut classes: BTreeMap<_, Vec<&User>> = BTreeMap::new();
    for user in users.iter().filter(|user| user.active) {
        classes.entry((&user.groups, &user.local, user.passwd.shell.as_str())).or_default().push(user);
    }
    let mut classes: Vec<Vec<&User>> = classes.into_values().collect();
    classes.sort_by_key(|users| std::cmp::Reverse(users.len()));
    classes
}

fn is_offered(facts: &Facts, user: &User) -> bool {
    let Ok(keys) = &facts.published.keys else { return false };
    let login = keys.logins.binary_search_by_key(&user.uid, |login| login.uid).ok();
    let login = login.and_then(|at| keys.logins.get(at));
    login.is_some_and(|login| {
        !login.keys.is_empty() && withheld(keys, login, &facts.machine_id, facts.now).is_none()
    })
}

/// What sshd would be told; nothing if it does not ask.
fn account(host: &Host, name: &str, sshd: Option<&Result<Effective, Message>>) -> Option<Account> {
    let settings = sshd?.as_ref().ok()?;
    // Since OpenSSH 9.8, the name can be set.
    let service = Some(settings.get("pamservicename")).filter(|name| !name.is_empty()).unwrap_or("sshd");
    (settings.get("usepam") == "yes").then(|| host.account(service, name))
}

/// With the keys of these users.
fn key_files(
    host: &Host,
    facts: &Facts,
    sshd: Option<&Result<Effective, Message>>,
    names: &[String],
) -> KeyFiles {
    let Some(Ok(settings)) = sshd else { return KeyFiles::default() };
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let is_asked = |login: &&Login| names.contains(login.name.as_str());
    let logins = facts.published.keys.iter().flat_map(|keys| &keys.logins).filter(is_asked);
    let keys: Vec<&KeyLine> = logins.flat_map(|login| &login.keys).collect();
    KeyFiles::of(host, settings.get("revokedkeys"), trusted_ca(settings), &keys)
}

fn uid_of(line: &str) -> Option<u32> {
    accounts::account(line.as_bytes()).map(|account| account.uid)
}

fn settings(host: &Host, name: &str) -> Option<Result<Effective, Message>> {
    let sshd = Sshd::find(host).ok().flatten()?;
    Some(sshd.settings(name).map_err(Message::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{good, probe, published};

    #[test]
    fn an_answer_is_derived_with_the_groups_and_the_shell_of_the_other_user() {
        let mut facts = good();
        facts.group.insert("sudo".to_owned(), 27);
        let mut eve = facts.published.cache.as_ref().unwrap().users[0].clone();
        eve.name = policy::Name::new("eve").unwrap();
        eve.local = vec![27];
        eve.passwd.shell = policy::Field::new("/bin/zsh").unwrap();
        let root = tempfile::tempdir().unwrap();
        let derived =
            derived(&Host::this_directory(root.path()), &facts, &eve, &probe(true), vec!["eve".to_owned()]);
        assert_eq!((derived.name.as_str(), derived.shell.as_str()), ("eve", "/bin/zsh"));
        assert_eq!(derived.alike, ["eve"]);
        assert_eq!(derived.group_names, ["iam-users", "sudo"]);
        assert!(derived.shell_node.is_none() && derived.sshd == probe(true).sshd);
    }

    #[test]
    fn one_user_is_asked_about_for_each_combination_of_groups_and_shell() {
        let published = published();
        let ana = &published.cache.as_ref().unwrap().users[0];
        let mut users = published.cache.as_ref().unwrap().users.clone();
        let like = |change: &dyn Fn(&mut User)| {
            let mut user = ana.clone();
            change(&mut user);
            user
        };
        users.push(like(&|user| user.local = vec![27]));
        users.push(like(&|user| user.groups.clear()));
        users.push(like(&|user| user.passwd.shell = policy::Field::new("/bin/zsh").unwrap()));
        users.push(like(&|_| ()));
        let sizes: Vec<usize> = classes(&users).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1, 1, 1], "and nobody who left");
    }
}
