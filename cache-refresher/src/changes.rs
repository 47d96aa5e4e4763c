//! What differs between two snapshots: for the log, the summary line, and `--dry-run`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use cache::snapshot::{Cache, Group, Keys, Login, User};
use policy::{Id, KeyLine};
use similar::TextDiff;

use crate::plan::Plan;

/// The two published files, as they are or as they will be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published<'a> {
    pub cache: &'a Cache,
    pub keys: &'a Keys,
}

impl<'a> Published<'a> {
    /// Of a plan.
    pub(crate) fn of(plan: &'a Plan) -> Self {
        Self { cache: &plan.cache, keys: &plan.keys }
    }
}

/// A change that is visible to users of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Added(String),
    Removed(String),
    Changed(String),
    /// Of a group, or of a user who had left before: logged, not counted.
    Told(String),
}

impl Change {
    /// One line for the log.
    pub(crate) fn text(&self) -> &str {
        let (Self::Added(text) | Self::Removed(text) | Self::Changed(text) | Self::Told(text)) = self;
        text
    }
}

/// A terminal shows this many changes of one run, unless asked for all.
const FEW: usize = 20;

/// Writes them to the log. Not to be called while something is locked: the reader of standard error may have stopped.
pub(crate) fn log(changes: &[Change]) {
    let level = if changes.len() > FEW { log::Level::Trace } else { log::Level::Info };
    for change in changes {
        log::log!(level, "{}", change.text());
    }
    if level == log::Level::Trace && !log::log_enabled!(level) {
        log::info!("{} changes; --verbose lists them", changes.len());
    }
}

/// Users who could run commands and may from now on only forward connections.
pub(crate) fn restricted(before: &Cache, after: &Cache) -> BTreeSet<Id> {
    let old = before.users.iter().filter(|user| user.active && !user.is_forward_only()).map(|user| user.uid);
    let new: BTreeSet<Id> =
        after.users.iter().filter(|user| user.is_forward_only()).map(|user| user.uid).collect();
    old.filter(|uid| new.contains(uid)).collect()
}

/// By id, for each user and group. The time at which a user's keys were confirmed does not count.
pub(crate) fn between(before: Published<'_>, after: Published<'_>) -> Vec<Change> {
    if before.cache == after.cache && before.keys.is_same_but_confirmed(after.keys) {
        return Vec::new();
    }
    let old: BTreeMap<Id, &User> = before.cache.users.iter().map(|user| (user.uid, user)).collect();
    let new: BTreeMap<Id, &User> = after.cache.users.iter().map(|user| (user.uid, user)).collect();
    let mut changes = Vec::new();
    for (uid, user) in &old {
        match new.get(uid) {
            None if user.active => {
                changes.push(Change::Removed(format!("user '{}' ({uid}) removed", user.name)))
            }
            None => changes.push(Change::Told(format!("user '{}' ({uid}) no longer shown", user.name))),
            Some(new) if user.active && !new.active => {
                changes.push(Change::Removed(format!("user '{}' ({uid}) disabled", user.name)));
            }
            Some(_) => {}
        }
    }
    for (uid, user) in &new {
        let back = old.get(uid).is_some_and(|old| !old.active && user.active);
        match old.get(uid) {
            Some(_) if back => changes.push(Change::Added(format!("user '{}' ({uid}) is back", user.name))),
            Some(old) if old.active == user.active => changes.extend(changed(before, after, old, user)),
            None if user.active => changes.push(Change::Added(format!("user '{}' ({uid}) added", user.name))),
            _ => {}
        }
    }
    changes.extend(groups(before.cache, after.cache));
    changes
}

fn changed(before: Published<'_>, after: Published<'_>, old: &User, new: &User) -> Option<Change> {
    let mut what = Vec::new();
    if old.name != new.name {
        what.push(format!("was '{}'", old.name));
    }
    let (was, is) = (&old.passwd, &new.passwd);
    let same_kind = old.is_forward_only() == new.is_forward_only();
    if !same_kind {
        let can = if new.is_forward_only() { "can only forward connections" } else { "can run commands" };
        what.push(can.to_owned());
    }
    for (field, counts, old, new) in [
        ("home", same_kind, &was.home, &is.home),
        ("shell", same_kind, &was.shell, &is.shell),
        ("gecos", true, &was.gecos, &is.gecos),
    ] {
        if counts && old != new {
            what.push(format!("{field} '{new}'"));
        }
    }
    if (&old.groups, &old.local) != (&new.groups, &new.local) {
        what.push("groups".to_owned());
    }
    let (had, has) = (key_lines(before.keys, new.uid), key_lines(after.keys, new.uid));
    what.extend(has.difference(&had).map(|key| format!("key {} added", key.fingerprint())));
    what.extend(had.difference(&has).map(|key| format!("key {} removed", key.fingerprint())));
    let text = format!("user '{}' ({}): {}", new.name, new.uid, what.join(", "));
    (!what.is_empty()).then_some(Change::Changed(text))
}

fn key_lines(keys: &Keys, uid: Id) -> BTreeSet<&KeyLine> {
    login(keys, uid).into_iter().flat_map(|login| &login.keys).collect()
}

fn login(keys: &Keys, uid: Id) -> Option<&Login> {
    let index = keys.logins.binary_search_by_key(&uid, |login| login.uid).ok()?;
    keys.logins.get(index)
}

/// Only shared groups: a private group comes and goes with its user.
fn groups(before: &Cache, after: &Cache) -> Vec<Change> {
    let old = shared_groups(before);
    let new = shared_groups(after);
    let gone = old.iter().filter(|(gid, _)| !new.contains_key(gid));
    let come = new.iter().filter(|(gid, _)| !old.contains_key(gid));
    gone.map(|(gid, group)| Change::Told(format!("group '{}' ({gid}) removed", group.name)))
        .chain(come.map(|(gid, group)| Change::Told(format!("group '{}' ({gid}) added", group.name))))
        .collect()
}

/// All groups but the private ones.
pub(crate) fn shared_groups(cache: &Cache) -> BTreeMap<Id, &Group> {
    let private = |gid| cache.users.binary_search_by_key(&gid, |user: &User| user.uid).is_ok();
    cache.groups.iter().filter(|group| !private(group.gid)).map(|group| (group.gid, group)).collect()
}

/// A unified diff of both as text; empty if nothing differs.
pub(crate) fn diff(before: Published<'_>, after: Published<'_>) -> String {
    let (before, after) = (text(before), text(after));
    TextDiff::from_lines(&before, &after).unified_diff().header("published", "planned").to_string()
}

fn text(published: Published<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for user in &published.cache.users {
        let state = if user.active { "active" } else { "disabled" };
        let cache::passwd::Passwd { gecos, home, shell, .. } = &user.passwd;
        let local: String = user.local.iter().map(|gid| format!(" +{gid}")).collect();
        let _ = writeln!(
            text,
            "user {}:x:{}:{}:{gecos}:{home}:{shell} {state}{local}",
            user.name, user.uid, user.uid
        );
        for key in login(published.keys, user.uid).map(|login| login.keys.as_slice()).unwrap_or_default() {
            let _ = writeln!(text, "key  {} {} {}", user.name, key.kind(), key.fingerprint());
        }
    }
    for (gid, group) in shared_groups(published.cache) {
        let members: Vec<&str> = group.members.iter().map(policy::Name::as_str).collect();
        let _ = writeln!(text, "group {}:x:{gid}:{}", group.name, members.join(","));
    }
    text
}
