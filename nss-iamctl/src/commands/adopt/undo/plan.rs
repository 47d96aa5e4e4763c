//! Which accounts are given back, and how each file is changed for that. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use message::Message;
use toml_edit::DocumentMut;

use super::merge;
use crate::commands::adopt::facts::PINS;
use crate::commands::adopt::script;
use crate::edit::backup::adopted::{Account, Record};
use crate::edit::file::{Edit, Kind};
use crate::host::accounts::{self, GROUP, GSHADOW, Group, PASSWD, SHADOW};

/// A file of the record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub current: Option<Vec<u8>>,
    pub original: Option<Vec<u8>>,
    /// Of the original.
    pub mode: u32,
}

/// The host.
#[derive(Debug, Default)]
pub(super) struct World {
    pub files: BTreeMap<PathBuf, Found>,
    /// passwd(5) and group(5) as they are.
    pub passwd: Vec<accounts::Account>,
    pub groups: Vec<Group>,
    /// How many processes run as each uid.
    pub running: BTreeMap<u32, usize>,
    /// The ids of active nss-iam users; `None` if that is not known.
    pub active: Option<BTreeSet<u32>>,
    /// The ids of accounts whose users the source lists and nobody locked. While such an account is in part there, its user is
    /// not active.
    pub listed: BTreeSet<u32>,
    /// Accounts that an undo, which was interrupted, began to give back.
    pub begun: BTreeSet<String>,
}

/// What is done.
#[derive(Debug, Default)]
pub(super) struct Undoing<'a> {
    pub give: Vec<&'a Account>,
    pub edits: Vec<Edit>,
    /// Accounts that are not given back, and what cannot be restored.
    pub left: Vec<Message>,
    /// Whether every account of the record is back then.
    pub complete: bool,
}

/// Whether the account is missing, or only in part there, and so could be given back.
pub(super) fn is_pending(account: &Account, passwd: &[accounts::Account], begun: &BTreeSet<String>) -> bool {
    begun.contains(&account.name)
        || !passwd.iter().any(|other| other.name == account.name && other.uid == account.uid)
}

impl World {
    fn is_pending(&self, account: &Account) -> bool {
        is_pending(account, &self.passwd, &self.begun)
    }

    /// Whether it is to be given back; without names, of an undo that was interrupted only what it began.
    pub(super) fn is_wanted(&self, account: &Account, names: &[String]) -> bool {
        let is_asked_for = match names {
            [] => self.begun.is_empty() || self.begun.contains(&account.name),
            names => names.contains(&account.name),
        };
        is_asked_for && self.is_pending(account)
    }

    /// Whether the user has left or is locked.
    fn is_gone(&self, account: &Account) -> bool {
        let is_active = self.active.as_ref().is_none_or(|ids| ids.contains(&account.id));
        let is_half_back = self.begun.contains(&account.name) && self.listed.contains(&account.id);
        !is_active && !is_half_back
    }
}

/// Plans it for the named accounts, or without names for those whose users are still active.
///
/// # Errors
/// Why one of them cannot be given back.
pub(super) fn plan<'a>(
    record: &'a Record,
    world: &World,
    names: &[String],
) -> Result<Undoing<'a>, Vec<Message>> {
    let mut undoing = Undoing::default();
    for account in record.accounts.iter().filter(|account| world.is_wanted(account, names)) {
        if names.is_empty() && world.is_gone(account) {
            undoing.left.push(gone(account, &world.passwd));
        } else {
            undoing.give.push(account);
        }
    }
    let refused: Vec<Message> =
        undoing.give.iter().filter_map(|account| refusal(account, world, &undoing.give)).collect();
    if !refused.is_empty() {
        return Err(refused);
    }
    let pending = record.accounts.iter().filter(|account| world.is_pending(account)).count();
    undoing.complete = undoing.give.len() == pending;
    if !undoing.give.is_empty() {
        edits(record, world, &mut undoing);
    }
    Ok(undoing)
}

fn gone(account: &Account, passwd: &[accounts::Account]) -> Message {
    let name = &account.name;
    let what = if passwd.iter().any(|other| other.name == *name) {
        format!(
            "'{name}' is in '{PASSWD}' again, and nothing else is given back: the nss-iam user left or is locked"
        )
    } else {
        format!("'{name}' stays removed: the nss-iam user is disabled, and could log in again")
    };
    Message::new(what).with_hint(format!(
        "nss-iamctl why {name}; to give the account back nevertheless: nss-iamctl adopt --undo --apply {name}"
    ))
}

/// What has taken the place of the account since.
fn refusal(account: &Account, world: &World, give: &[&Account]) -> Option<Message> {
    let Account { name, uid, .. } = account;
    let why = |what: String, hint: String| {
        Some(Message::new(format!("'{name}' cannot be given back: {what}")).with_hint(hint))
    };
    if let Some(other) = world.passwd.iter().find(|other| other.name == *name && other.uid != *uid) {
        let what = format!("there is another account of that name, with uid {}", other.uid);
        return why(what, format!("rename it: usermod -l NEWNAME {name}"));
    }
    if let Some(other) = world.passwd.iter().find(|other| other.uid == *uid && other.name != *name) {
        let hint = format!("change it: usermod --uid NEWUID {}", other.name);
        return why(format!("'{}' has its uid {uid} now", other.name), hint);
    }
    if is_held(world, give, *uid) {
        return why(format!("an nss-iam user has its uid {uid} now"), format!("nss-iamctl uid {uid}"));
    }
    let group = account.group.as_deref().and_then(|name| original_group(world, name));
    if let Some(group) = group.as_ref().filter(|group| is_held(world, give, group.gid)) {
        let what = format!("gid {} of its group is the id of an nss-iam user", group.gid);
        return why(what, format!("give back both, see 'nss-iamctl uid {}'", group.gid));
    }
    if let Some((other, what)) = group.and_then(|group| taken(world, &group)) {
        return why(
            what,
            format!("change it: groupmod --gid NEWGID {other}, or groupmod -n NEWNAME {other}"),
        );
    }
    if let (Some(_), Some(count)) = (account.moves, world.running.get(&account.id)) {
        return why(
            format!("{count} processes are running as it, but its files must be changed"),
            format!(
                "wait until the user has logged out, or end the processes: loginctl terminate-user {name}"
            ),
        );
    }
    None
}

/// Whether an active nss-iam user has this id, and keeps it.
fn is_held(world: &World, give: &[&Account], id: u32) -> bool {
    let active = world.active.as_ref().is_some_and(|ids| ids.contains(&id));
    active && !give.iter().any(|account| account.id == id)
}

/// The group that has the name or the gid of a removed one now, and what that means.
fn taken(world: &World, group: &Group) -> Option<(String, String)> {
    let Group { name, gid, .. } = group;
    let other = world.groups.iter().find(|other| (other.name == *name) != (other.gid == *gid))?;
    let what =
        format!("group '{name}' (gid {gid}) conflicts with group '{}' (gid {})", other.name, other.gid);
    Some((other.name.clone(), what))
}

fn original_group(world: &World, name: &str) -> Option<Group> {
    let original = world.files.get(Path::new(GROUP))?.original.as_deref()?;
    accounts::groups(original).into_iter().find(|group| group.name == name)
}

fn edits(record: &Record, world: &World, undoing: &mut Undoing<'_>) {
    let names: BTreeSet<&str> = undoing.give.iter().map(|account| account.name.as_str()).collect();
    let returning = returning(record, world, undoing);
    let there = record.accounts.iter().filter(|account| !world.is_pending(account));
    let back: BTreeSet<&str> =
        there.map(|account| account.name.as_str()).chain(names.iter().copied()).collect();
    for path in record.paths() {
        let Some(Found { current, original, mode }) = world.files.get(path) else { continue };
        let own = path.to_str();
        let unchanged = record.is_untouched(path, current.as_deref());
        let sudoer = original.as_deref().and_then(script::sudoers_of);
        let after = if undoing.complete && unchanged {
            original.clone()
        } else if [Some(PASSWD), Some(SHADOW), Some(GROUP), Some(GSHADOW)].contains(&own) {
            let (Some(current), Some(original)) = (current, original) else { continue };
            Some(merged(own.unwrap_or_default(), current, original, undoing, &returning, &back))
        } else if own == Some(PINS) {
            without_pins(current.as_deref(), original.is_none(), &undoing.give)
        } else if current == original {
            continue;
        } else if unchanged && sudoer.is_some_and(|user| names.contains(user.as_str())) {
            original.clone()
        } else {
            if !unchanged {
                undoing.left.push(kept(path));
            }
            continue;
        };
        if after != *current {
            let (path, before) = (path.to_owned(), current.clone());
            undoing.edits.push(Edit { path, kind: Kind::Theirs, before, after, mode: *mode });
        }
    }
}

/// Why a file is not restored.
fn kept(path: &Path) -> Message {
    let what = format!("'{}' was changed since the account was adopted, so it is kept", path.display());
    Message::new(what).with_hint("compare it with the original in the backup")
}

/// The removed groups that come back: those of the accounts, and others that had them as members.
fn returning<'a>(record: &'a Record, world: &World, undoing: &mut Undoing<'_>) -> Vec<&'a str> {
    let mut groups = Vec::new();
    for name in &record.groups {
        let Some(group) = original_group(world, name) else { continue };
        let own = undoing.give.iter().any(|account| account.group.as_ref() == Some(name));
        let of_another = record.accounts.iter().any(|account| account.group.as_ref() == Some(name));
        let had = || undoing.give.iter().any(|account| group.members.contains(&account.name));
        if !own && (of_another || !had()) {
            continue;
        }
        let conflict = match taken(world, &group) {
            _ if own => None,
            Some((_, what)) => Some(what),
            None if is_held(world, &undoing.give, group.gid) => {
                Some(format!("its gid {} is the id of an nss-iam user", group.gid))
            }
            None => None,
        };
        match conflict {
            Some(why) => undoing.left.push(Message::new(format!("group '{name}' stays removed: {why}"))),
            None => groups.push(name.as_str()),
        }
    }
    groups
}

/// One of the four files, with the lines and members that are missing.
fn merged(
    path: &str,
    current: &[u8],
    original: &[u8],
    undoing: &mut Undoing<'_>,
    returning: &[&str],
    back: &BTreeSet<&str>,
) -> Vec<u8> {
    let mut text = current.to_vec();
    let names: Vec<&str> = undoing.give.iter().map(|account| account.name.as_str()).collect();
    if path == PASSWD || path == SHADOW {
        names.iter().for_each(|name| merge::add_line(&mut text, original, name));
        return text;
    }
    let lists: &[usize] = if path == GROUP { &[3] } else { &[2, 3] };
    for group in returning {
        if merge::line(&text, group).is_none() {
            merge::add_line(&mut text, &with_lists(original, group, lists, back), group);
        }
    }
    for (name, index) in names.iter().flat_map(|name| lists.iter().map(move |index| (name, *index))) {
        for group in merge::lists_of(original, name, index) {
            let there = merge::line(&text, &String::from_utf8_lossy(group)).is_some();
            if there {
                text = merge::add_member(&text, group, name, index);
            } else if path == GROUP {
                let group = String::from_utf8_lossy(group);
                let what = format!("'{name}' is not in group '{group}' again, which does not exist any more");
                undoing.left.push(Message::new(what));
            }
        }
    }
    text
}

/// The line of a group, with these names only in its lists.
fn with_lists(original: &[u8], group: &str, lists: &[usize], names: &BTreeSet<&str>) -> Vec<u8> {
    let line = merge::line(original, group).unwrap_or_default();
    let members: BTreeSet<&str> = line
        .split(|byte| byte == &b':' || byte == &b',')
        .filter_map(|name| std::str::from_utf8(name).ok())
        .filter(|name| !names.contains(name))
        .collect();
    accounts::without_members(line, lists, &members)
}

/// The pins without those of these accounts; `None` if nothing else is left in a file that `adopt` created.
fn without_pins(current: Option<&[u8]>, created: bool, give: &[&Account]) -> Option<Vec<u8>> {
    let current = current?;
    let Ok(mut document) = String::from_utf8_lossy(current).parse::<DocumentMut>() else {
        return Some(current.to_vec());
    };
    let Some(ids) = document.get_mut("ids").and_then(toml_edit::Item::as_table_like_mut) else {
        return Some(current.to_vec());
    };
    for account in give {
        let is_ours = |item: &toml_edit::Item| item.as_integer() == Some(i64::from(account.id));
        if ids.get(&account.iam_id).is_some_and(is_ours) {
            ids.remove(&account.iam_id);
        }
    }
    let empty = ids.is_empty() && document.len() == 1;
    (!(empty && created)).then(|| document.to_string().into_bytes())
}
