//! What must hold for every plan, whatever its input.

use std::collections::BTreeMap;

use policy::id::{FIRST, LAST, PINNED_FIRST};
use policy::{FORWARD_ONLY_GROUP, FORWARD_ONLY_HOME, FORWARD_ONLY_SHELL};

use super::*;
use crate::local::NOLOGIN;

pub(super) fn check(world: &World, plan: &Plan) {
    ids(world, &world.state, &plan.state);
    rows(world, plan);
    groups(plan);
    active_names(world, plan);
    principals(world, plan);
    homes(world, plan);
    keys(world, plan);
    forwarding(world, plan);
    texts(plan);
    again(world, plan);
}

/// docs/reference/ids.md: an assigned id is kept forever, and never assigned to anyone else.
fn ids(world: &World, before: &State, after: &State) {
    for (iam_id, identity) in &before.identities {
        assert_eq!(after.identities.get(iam_id).map(|now| now.id), Some(identity.id), "{iam_id} moved");
    }
    let distinct: BTreeSet<_> = after.identities.values().map(|identity| identity.id).collect();
    assert_eq!(distinct.len(), after.identities.len(), "an id is shared: {:?}", after.identities);
    for (iam_id, identity) in &after.identities {
        let is_assigned = world.listing.ids.get(iam_id.as_str()) == Some(&identity.id.get());
        assert!(identity.pinned || is_assigned || identity.id == Id::computed(iam_id), "{iam_id}");
    }
    assert!(after.users.keys().all(|iam_id| after.identities.contains_key(iam_id)));
    assert!(after.groups.keys().all(|iam_id| after.identities.contains_key(iam_id)));
}

fn rows(world: &World, plan: &Plan) {
    let disabled_group = plan.group(DISABLED_GROUP).map(|group| group.gid);
    for user in &plan.cache.users {
        floor(world, user.uid, user.pinned);
        assert!(user.passwd.lastchg > 0 && user.name.as_str().len() <= 43, "{user:?}");
        let fields = [&user.passwd.gecos, &user.passwd.home, &user.passwd.shell];
        assert!(fields.iter().all(|field| !field.as_str().contains([':', '\n', '\0'])), "{user:?}");
        assert!(
            user.passwd.home.as_str().starts_with('/') && !user.passwd.home.as_str().contains("/../"),
            "{user:?}"
        );
        let shell = user.passwd.shell.as_str();
        assert!(world.local.has_shell(shell) || shell == FORWARD_ONLY_SHELL, "{user:?}");
        assert!(
            user.local
                .iter()
                .all(|gid| *gid != 0 && world.local.files.groups.values().any(|known| known.gid == *gid))
        );
        if user.active {
            let common = plan.group(&world.config.users.common_group).map(|group| group.gid);
            assert!(common.is_none_or(|gid| user.groups.contains(&gid)), "{user:?}");
            assert!(disabled_group.is_none_or(|gid| !user.groups.contains(&gid)), "{user:?}");
        } else {
            assert_eq!(user.passwd.shell.as_str(), NOLOGIN);
            assert_eq!(user.groups, Vec::from_iter(disabled_group), "{user:?}");
            assert!(user.local.is_empty(), "{user:?}");
        }
    }
    assert!(plan.cache.users.is_sorted_by_key(|user| user.uid));
    unique(plan.cache.users.iter().map(|user| user.uid.to_string()));
    unique(plan.cache.users.iter().map(|user| user.name.to_string()));
    let homes = plan.cache.users.iter().filter(|user| user.active).map(|user| user.passwd.home.to_string());
    unique(homes.filter(|home| home != FORWARD_ONLY_HOME));
}

/// docs/reference/ids.md: no id below 1000, and outside the computed range only pinned ids.
fn floor(world: &World, id: Id, pinned: bool) {
    let first = if pinned { PINNED_FIRST } else { FIRST };
    assert!((first..=LAST).contains(&id.get()), "{id}");
    assert!(![65534, 65535].contains(&id.get()) && world.local.holders().of(id.get()).is_none(), "{id}");
}

fn groups(plan: &Plan) {
    assert!(plan.cache.groups.is_sorted_by_key(|group| group.gid));
    unique(plan.cache.groups.iter().map(|group| group.gid.to_string()));
    unique(plan.cache.groups.iter().map(|group| group.name.to_string()));
    let mut members: BTreeMap<Id, Vec<Name>> = BTreeMap::new();
    for user in &plan.cache.users {
        assert!(user.groups.is_sorted() && user.local.is_sorted());
        unique(user.groups.iter().map(ToString::to_string));
        assert!(user.groups.iter().all(|gid| plan.cache.groups.iter().any(|group| group.gid == *gid)));
    }
    for user in plan.cache.users.iter().filter(|user| !user.active) {
        assert!(plan.group(user.name.as_str()).is_none(), "a group of the name of {user:?}");
        assert!(plan.cache.groups.iter().all(|group| group.gid != user.uid), "a group of {user:?}");
    }
    for user in plan.cache.users.iter().filter(|user| user.active) {
        let own = plan.group(user.name.as_str()).expect("a private group");
        assert_eq!((own.gid, own.pinned, own.members.len()), (user.uid, user.pinned, 0));
        user.groups.iter().for_each(|gid| members.entry(*gid).or_default().push(user.name.clone()));
    }
    for group in &plan.cache.groups {
        let mut members = members.remove(&group.gid).unwrap_or_default();
        members.sort();
        assert_eq!(group.members, members, "{group:?}");
    }
    assert!(members.is_empty(), "supplementary groups that are not published: {members:?}");
}

/// No published name belongs to another account of this host, or gets what the host grants to another.
fn active_names(world: &World, plan: &Plan) {
    let config = &world.config;
    let accounts = config.account.iter().map(|account| &account.local_groups);
    let targets = accounts.chain([&config.local_groups]).flat_map(|map| map.values().flatten().cloned());
    let joined: BTreeSet<String> = targets.collect();
    let own = [&config.users.common_group, DISABLED_GROUP, FORWARD_ONLY_GROUP];
    for (iam_id, group) in &plan.state.groups {
        let name = group.name.as_str();
        let had = world.state.groups.get(iam_id).is_some_and(|known| known.name == group.name);
        assert!((had || !joined.contains(name)) && !own.contains(&name), "group {name}");
        nobody_elses(world, iam_id, name, held(world, iam_id, &group.name));
    }
    let published: BTreeSet<&str> = plan.state.groups.values().map(|group| group.name.as_str()).collect();
    for (iam_id, user) in plan.state.users.iter().filter(|(_, user)| user.disabled.is_none()) {
        let name = user.name.as_str();
        let had = world.state.users.get(iam_id).is_some_and(|known| known.name == user.name);
        assert!((had || !joined.contains(name)) && !own.contains(&name), "user {name}");
        assert!(!published.contains(name), "user {name} and a group");
        nobody_elses(world, iam_id, name, held(world, iam_id, &user.name));
    }
}

/// No principal of a certificate is a name of another account of this host.
fn principals(world: &World, plan: &Plan) {
    let Local { files, directory, .. } = &world.local;
    for word in plan.keys.logins.iter().flat_map(|login| &login.principals) {
        assert!(files.users.keys().all(|name| !name.eq_ignore_ascii_case(word)), "'{word}' is local");
        for word in [&**word, &word.to_ascii_lowercase()] {
            assert_eq!(directory.user(word), None, "'{word}' is another service's");
        }
    }
}

/// Whether this user or group has the name, or had it last.
fn held(world: &World, iam_id: &IamId, name: &Name) -> bool {
    naming::LastHolders::of(&world.state).get(name) == Some(iam_id)
}

fn nobody_elses(world: &World, iam_id: &IamId, name: &str, held: bool) {
    let Local { files, directory, uses, .. } = &world.local;
    assert!(!files.users.contains_key(name) && !files.groups.contains_key(name), "'{name}' is local");
    assert_eq!((directory.user(name), directory.group(name)), (None, None), "'{name}' is another service's");
    let present = held && world.state.users.get(iam_id).is_none_or(|user| user.disabled.is_none());
    assert!(
        present || directory.missing(name).is_none() || world.local.locked.contains(name),
        "'{name}' came unasked"
    );
    let allowed = world.config.names.allow.get(iam_id.as_str()).is_some_and(|allowed| allowed == name);
    if !held && !allowed {
        assert!(
            files.groups.values().all(|group| !group.members.contains(name)),
            "'{name}' inherits a group"
        );
        assert!(!uses.names.contains_key(name), "'{name}' inherits a rule");
    }
}

/// No assigned home belongs to another uid or was ever assigned to another user.
fn homes(world: &World, plan: &Plan) {
    for (home, iam_id) in &world.state.homes {
        assert_eq!(plan.state.homes.get(home), Some(iam_id), "'{home}' is forgotten");
    }
    for (iam_id, user) in plan.state.users.iter().filter(|(_, user)| user.disabled.is_none()) {
        let (home, uid) = (user.passwd.home.as_str(), plan.state.identities[iam_id].id.get());
        assert_eq!(plan.state.homes.get(home), Some(iam_id), "'{home}' is another's");
        let known = world.state.users.get(iam_id).filter(|known| known.passwd.home == user.passwd.home);
        let was_in = known.is_some_and(|known| super::leaving::is_in(known, &world.local.locked));
        if was_in && world.state.homes.get(home) == Some(iam_id) {
            continue;
        }
        let kept = known.is_some();
        let owner = world.local.directories.as_ref().unwrap().owners.get(home).copied().flatten();
        assert!(
            owner.is_none_or(|owner| owner == uid || kept && owner == 0),
            "'{home}' belongs to {owner:?}"
        );
    }
}

fn keys(world: &World, plan: &Plan) {
    let logins: Vec<_> = plan.keys.logins.iter().map(|login| (login.uid, &login.name)).collect();
    let active: Vec<_> = plan.cache.users.iter().filter(|user| user.active).collect();
    assert_eq!(logins, active.iter().map(|user| (user.uid, &user.name)).collect::<Vec<_>>());
    for login in &plan.keys.logins {
        assert_eq!(plan.state.identities[&login.iam_id].id, login.uid);
        assert!((0..=world.now).contains(&login.confirmed), "{login:?}");
    }
    assert!(active.iter().all(|user| !world.local.locked.contains(user.name.as_str())));
}

/// Who may only forward connections has neither shell nor home, and is recognised by sshd and by keys-cmd; everybody else is
/// as usual. Only a listed member of a group in `shell_groups` of the account may run commands.
fn forwarding(world: &World, plan: &Plan) {
    let gid = plan.group(FORWARD_ONLY_GROUP).map(|group| group.gid);
    assert!(gid.is_none() || world.config.users.forward_only);
    let logins = plan.keys.logins.iter().map(|login| (login.uid, login));
    let logins: BTreeMap<Id, &Login> = logins.collect();
    for user in plan.cache.users.iter().filter(|user| user.active) {
        let login = logins[&user.uid];
        let only = login.forward_only;
        assert_eq!(user.passwd.shell.as_str() == FORWARD_ONLY_SHELL, only, "{user:?}");
        assert_eq!(user.passwd.home.as_str() == FORWARD_ONLY_HOME, only, "{user:?}");
        assert!(gid.is_none_or(|gid| user.groups.contains(&gid) == only), "{user:?}");
        assert!(!only || world.config.users.forward_only, "{user:?}");
        let listed = world
            .listing
            .accounts
            .iter()
            .find(|account| account.users.iter().any(|user| user.id == login.iam_id.as_str()));
        if let Some(account) = listed.filter(|_| world.config.users.forward_only) {
            let names = world.config.shell_groups_of(&account.name);
            let exists = |name: &String| account.groups.iter().any(|group| group.name == *name);
            let is_in = account.groups.iter().any(|group| {
                group.members.iter().any(|id| id == login.iam_id.as_str())
                    && names.iter().any(|name| {
                        *name == group.name || !exists(name) && name.eq_ignore_ascii_case(&group.name)
                    })
            });
            assert_eq!(only, !is_in, "{user:?}");
        }
    }
}

/// Each reason is one line and is read back unchanged, whatever the source's names, tags and keys contain.
fn texts(plan: &Plan) {
    for skip in &plan.skips {
        let shown = [&skip.account, &skip.name, &skip.text].map(|text| !text.contains(char::is_control));
        assert_eq!(shown, [true; 3], "{skip:?}");
        let json = serde_json::to_string(skip).unwrap();
        assert!(!json.contains(char::is_control), "{json}");
        assert_eq!(serde_json::from_str::<Skip>(&json).unwrap(), *skip);
    }
    let warnings = plan.warnings.iter().map(Warning::message);
    for message in warnings.chain(plan.held.iter().map(Held::message)) {
        let lines = if message.hint().is_some() { 2 } else { 1 };
        assert_eq!(message.to_string().lines().count(), lines, "{message:?}");
    }
}

/// docs/architecture.md: planning twice changes nothing.
fn again(world: &World, plan: &Plan) {
    // A user for whom no home is left loses the account, and in the next plan also the name.
    let reasons = || plan.skips.iter().filter_map(|skip| Some((skip.what, skip.reason.known()?)));
    let has_no_home = |reason: &SkipReason| {
        matches!(reason, SkipReason::HomePath | SkipReason::HomeUnseen { .. } | SkipReason::HomeTaken { .. })
    };
    if reasons().any(|(_, reason)| has_no_home(reason)) {
        return;
    }
    // So does a user who is refused for another reason, with the groups that nobody else needs.
    let lost = |(iam_id, user): (&IamId, &state::User)| {
        let was_in = world.state.users.get(iam_id).is_some_and(|user| user.disabled.is_none());
        was_in && user.disabled.is_some() && !world.local.locked.contains(user.name.as_str())
    };
    // A name that a user gives up in this plan is free for a group in the next one.
    let is_of_user = |reason: &SkipReason| matches!(reason, SkipReason::NameTaken { called, .. } if called.ends_with("user"));
    if reasons().any(|(what, reason)| what == What::Group && is_of_user(reason)) {
        return;
    }
    let gone = world.answered().input().leaving().gone;
    if plan.state.users.iter().filter(|(iam_id, _)| !gone.contains(*iam_id)).any(lost) {
        return;
    }
    let again = World {
        state: plan.state.clone(),
        published: plan.cache.clone(),
        offered: plan.keys.clone(),
        ..world.clone()
    };
    let next = super::plan(again.answered().input()).unwrap();
    // Users who lost their account in this plan no longer count.
    assert!(next.state.held <= plan.state.held && next.state.held.is_some() == plan.state.held.is_some());
    assert_eq!(State { held: plan.state.held, ..next.state.clone() }, plan.state);
    assert_eq!(next.cache, plan.cache);
    assert_eq!(next.keys, plan.keys);
    // The next plan no longer reports a user whom only the state had and who lost the name, the tag of a locked user,
    // or keys that were never read.
    let complete = world.listing.accounts.iter().all(|account| account.complete) && plan.held.is_empty();
    if complete && world.local.locked == Locked::default() {
        let names = |plan: &Plan| -> Vec<_> {
            let skips = plan.skips.iter().filter(|skip| skip.what != What::Key);
            skips.map(|skip| (skip.what, skip.id.clone())).collect()
        };
        assert_eq!(names(&next), names(plan));
    }
}

fn unique(values: impl Iterator<Item = String>) {
    let mut seen = BTreeSet::new();
    for value in values {
        assert!(seen.insert(value.clone()), "'{value}' occurs twice");
    }
}
