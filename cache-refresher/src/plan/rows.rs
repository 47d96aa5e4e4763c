//! The rows of `cache.db` and `keys.db` for users and groups that have a name and an id.

use std::collections::{BTreeMap, BTreeSet};

use cache::passwd::Passwd;
use cache::snapshot::{self, Cache, Keys, Login};
use cache::state::{self, Identity, State};
use config::key_tags::{BadParts, TaggedKey};
use policy::precedence::{LastHolder, Standing};
use policy::{Field, IamId, Id, KeyLine, Name, offer};
use smol_str::SmolStr;
use status::{Part, SkipReason, Warning, escaped};

use super::candidates::{self, Known};
use super::forwarding::{self, Forwarding};
use super::homes::Homes;
use super::input::Input;
use super::naming::{self, Group, Member};
use super::own_groups::{OwnGroups, OwnIds};
use super::passwd;
use super::principals::{self, NamesAtSource};
use super::told::Told;
use crate::local::NOLOGIN;

/// What is published about a member besides what the state remembers.
pub(super) struct User {
    pub iam_id: IamId,
    pub identity: Identity,
    pub locked: bool,
    /// May run no command.
    pub forward_only: bool,
    pub local: Vec<u32>,
}

/// A text. If it needs memory, it shares that of a known one that is equal.
fn shared<'k>(known: impl IntoIterator<Item = &'k SmolStr>, text: &str) -> SmolStr {
    known.into_iter().find(|known| ***known == *text).map_or_else(|| text.into(), SmolStr::clone)
}

/// All members who are published, and their rows in the state.
pub(super) fn users<'a>(
    input: &'a Input<'a>,
    all_groups: &'a [candidates::Group<'a>],
    members: &'a [Member<'a>],
    told: &mut Told,
) -> (Vec<User>, BTreeMap<IamId, state::User>) {
    let local = LocalGroups::of(input, all_groups, told);
    let forwarding = Forwarding::of(input, all_groups, told);
    let mut homes = Homes::of(input, members);
    // Users who have a home keep it, so they come first.
    let mut sorted: Vec<&Member<'_>> = members.iter().collect();
    sorted.sort_by_key(|member| member.candidate.previous.is_none());
    let (mut users, mut rows) = (Vec::with_capacity(members.len()), Vec::with_capacity(members.len()));
    for member in sorted {
        let Some(row) = row(input, member, &mut homes, told) else { continue };
        let (candidate, locked) = (member.candidate, row.disabled.is_some());
        rows.push((candidate.iam_id.clone(), row));
        users.push(User {
            iam_id: candidate.iam_id.clone(),
            identity: member.identity,
            locked,
            forward_only: forwarding.only(candidate),
            local: local.of_user(member),
        });
    }
    drop(homes);
    (users, rows.into_iter().collect())
}

fn row<'a>(
    input: &Input<'_>,
    member: &Member<'a>,
    homes: &mut Homes<'a>,
    told: &mut Told,
) -> Option<state::User> {
    let candidate = member.candidate;
    let passwd = passwd::of(input, member, homes, told)?;
    let (keys, confirmed, source) = keys_of(input, candidate, told);
    let previous = candidate.previous;
    // Equal values share their text with the previous state.
    let passwd =
        previous.map(|known| &known.passwd).filter(|known| **known == passwd).cloned().unwrap_or(passwd);
    let keys = previous.map(|known| &known.keys).filter(|known| **known == keys).cloned().unwrap_or(keys);
    let created = candidate.created.map(|date| date.to_string()).unwrap_or_default();
    let locked = input.local.locked.contains(member.name.as_str());
    let since = || previous.and_then(|known| known.disabled).unwrap_or(input.now);
    Some(state::User {
        account: shared(previous.map(|known| &known.account), candidate.account),
        iam_name: shared(previous.map(|known| &known.iam_name), candidate.iam_name),
        created: shared(previous.map(|known| &known.created), &created),
        name: member.name.clone(),
        passwd,
        groups: candidate.groups.clone(),
        disabled: locked.then(since),
        hidden: false,
        keys,
        confirmed,
        source,
    })
}

/// The keys, when they were confirmed (seconds since 1970; 0: never), and by which source.
pub(super) fn keys_of(
    input: &Input<'_>,
    user: &candidates::User<'_>,
    told: &mut Told,
) -> (Vec<KeyLine>, i64, SmolStr) {
    let previous = user.previous;
    match (&user.known, previous) {
        (Known::Kept(kept), _) => (kept.keys.clone(), kept.confirmed, kept.source.clone()),
        // The fetch half lost its listing, and has not read this user's keys since.
        (Known::Listed { confirmed: None, keys: [], .. }, Some(known)) => {
            (known.keys.clone(), known.confirmed, known.source.clone())
        }
        // It lost its listing and has not read these keys completely since, so they are as old as the published ones.
        (Known::Listed { confirmed: None, keys, .. }, Some(known))
            if known.confirmed > 0 && input.source().is_some_and(|source| source.is_directory()) =>
        {
            (active_keys(input, user, keys, told), known.confirmed, known.source.clone())
        }
        (Known::Listed { keys, confirmed, source, .. }, _) => {
            let confirmed = confirmed.or_else(|| keys.first().and(input.listing.read));
            let lines = active_keys(input, user, keys, told);
            let seconds = match confirmed.map_or(0, |time| time.as_second().max(0)) {
                seconds if !offer::is_in_future(seconds, input.now) => seconds.min(input.now),
                // A confirmation in the future would look fresh at every refresh, and the keys would never become
                // too old, so it does not count.
                _ => {
                    told.warnings.insert(Warning::ConfirmedInFuture);
                    let same = previous.filter(|known| known.keys == lines && known.confirmed <= input.now);
                    same.map_or(0, |known| known.confirmed)
                }
            };
            (lines, seconds, source.clone())
        }
    }
}

fn active_keys(
    input: &Input<'_>,
    user: &candidates::User<'_>,
    keys: &[listing::Key],
    told: &mut Told,
) -> Vec<KeyLine> {
    let mut lines = Vec::with_capacity(keys.len());
    for key in keys.iter().filter(|key| key.active) {
        match KeyLine::read(&key.body) {
            Ok(line) => lines.push(line),
            Err(reason) => {
                told.skip(user.account, Part::Key(&key.id), user.iam_name, &user.iam_id, reason.into());
            }
        }
    }
    if let Known::Listed { tags, .. } = &user.known {
        for key in input.config.tags.keys(tags) {
            match in_tags(input, &key) {
                Ok(line) => lines.push(line),
                Err(reason) => {
                    let part = if key.parts.is_empty() {
                        Part::KeyInTag(key.tag)
                    } else {
                        Part::KeyInTags(&key.parts)
                    };
                    told.skip(user.account, part, user.iam_name, &user.iam_id, reason);
                }
            }
        }
    }
    lines.sort_unstable();
    lines.dedup();
    lines
}

fn in_tags(input: &Input<'_>, key: &TaggedKey<'_>) -> Result<KeyLine, SkipReason> {
    let body = key.body.as_ref().map_err(|bad| match bad {
        BadParts::Missing(tag) => SkipReason::KeyPartMissing { tag: escaped(tag) },
        BadParts::Whole(tag) => SkipReason::KeyPartsBesideKey { tag: escaped(tag) },
    })?;
    let line = KeyLine::read(body)?;
    if line.kind() == "ssh-rsa" {
        let (kind, source) = (line.kind().to_owned(), input.noun().to_owned());
        return Err(SkipReason::KeyBelongsElsewhere { kind, source });
    }
    Ok(line)
}

/// Which local groups the members of a group join.
pub(super) struct LocalGroups<'a> {
    input: &'a Input<'a>,
    joined: BTreeMap<IamId, Vec<u32>>,
    /// For each account, all local groups that its users may join.
    allowed: BTreeMap<&'a str, BTreeSet<u32>>,
}

impl<'a> LocalGroups<'a> {
    /// Kept apart by account: users of account B gain nothing from a mapping for account A.
    pub(super) fn of(input: &'a Input<'a>, groups: &[candidates::Group<'_>], told: &mut Told) -> Self {
        let mut all = Self { input, joined: BTreeMap::new(), allowed: BTreeMap::new() };
        let config = input.config;
        let accounts = config.account.iter().map(|account| (account.name.as_str(), &account.local_groups));
        for (account, map) in std::iter::once(("", &config.local_groups)).chain(accounts) {
            for (iam_name, targets) in map {
                let gids: Vec<u32> = targets.iter().filter_map(|target| gid(input, target, told)).collect();
                all.allowed.entry(account).or_default().extend(&gids);
                let mut called = candidates::called(&config.source, groups, account, iam_name);
                called.retain(|group| !group.kept);
                for group in &called {
                    all.joined.entry(group.iam_id.clone()).or_default().extend(&gids);
                }
                let is_read = input.listing.accounts.iter().any(|read| read.name == account && read.complete);
                if is_read && called.is_empty() {
                    told.warnings.insert(Warning::LocalGroupsUnread { group: iam_name.clone() });
                }
            }
        }
        all
    }

    fn of_user(&self, member: &Member<'_>) -> Vec<u32> {
        let user = member.candidate;
        let gids: BTreeSet<u32> = match user.known {
            Known::Listed { .. } => self.joined_by(user),
            // The listing does not tell: the user keeps the local groups that the configuration still allows.
            Known::Kept(_) => {
                let allowed = self.allowed.get(user.account);
                let local = self.published(member.identity.id).iter().copied();
                local.filter(|gid| allowed.is_some_and(|allowed| allowed.contains(gid))).collect()
            }
        };
        gids.into_iter().collect()
    }

    /// The local groups that a user joins through their groups.
    pub(super) fn joined_by(&self, user: &candidates::User<'_>) -> BTreeSet<u32> {
        user.groups.iter().filter_map(|id| self.joined.get(id)).flatten().copied().collect()
    }

    fn published(&self, uid: Id) -> &[u32] {
        let users = &self.input.published.users;
        let row = users.binary_search_by_key(&uid, |user| user.uid).ok().and_then(|at| users.get(at));
        row.map(|user| user.local.as_slice()).unwrap_or_default()
    }
}

fn gid(input: &Input<'_>, target: &str, told: &mut Told) -> Option<u32> {
    let group = || target.to_owned();
    let warning = match input.local.files.groups.get(target).map(|group| group.gid) {
        Some(0) => Warning::LocalGroupOfRoot { group: group() },
        Some(gid) => return Some(gid),
        None => Warning::LocalGroupMissing { group: group() },
    };
    told.warnings.insert(warning);
    None
}

pub(super) fn snapshots(
    input: &Input<'_>,
    own: &OwnGroups,
    ids: &OwnIds,
    groups: &[Group<'_>],
    users: &[User],
    state: &State,
) -> (Cache, Keys) {
    let known: Vec<_> =
        users.iter().filter_map(|user| Some((user, state.users.get(&user.iam_id)?))).collect();
    let keys = Keys { accepted: state.accepted.clone(), ..logins(input, &known) };
    let mut cache = Cache { users: Vec::with_capacity(users.len()), groups: Vec::with_capacity(users.len()) };
    let mut members: BTreeMap<Id, Vec<Name>> = BTreeMap::new();
    let gids: BTreeMap<&IamId, Id> = groups.iter().map(|group| (&group.iam_id, group.identity.id)).collect();
    for (user, known) in known.iter().filter(|(user, _)| !user.locked) {
        let mut joins: Vec<Id> = known.groups.iter().filter_map(|id| gids.get(id).copied()).collect();
        joins.extend(ids.common.map(|identity| identity.id));
        joins.extend(ids.forward_only.filter(|_| user.forward_only).map(|identity| identity.id));
        joins.sort();
        joins.shrink_to_fit();
        for &gid in &joins {
            members.entry(gid).or_default().push(known.name.clone());
        }
        cache.users.push(snapshot::User {
            uid: user.identity.id,
            name: known.name.clone(),
            pinned: user.identity.pinned,
            active: true,
            passwd: if user.forward_only { forwarding::passwd(&known.passwd) } else { known.passwd.clone() },
            groups: joins,
            local: user.local.clone(),
        });
    }
    let taken = || {
        let users = known.iter().map(|(_, known)| &known.name);
        users.chain(groups.iter().map(|group| &group.name)).chain(own.all()).cloned().collect()
    };
    let locked = users.iter().filter(|user| user.locked).map(|user| &user.iam_id);
    cache.users.extend(disabled_users(input, own, state, taken, &locked.collect(), ids.disabled));
    let named = groups.iter().map(|group| (group.identity, &group.name));
    let ours = [ids.common, ids.disabled, ids.forward_only].into_iter().zip(own.all());
    let ours = ours.filter_map(|(identity, name)| Some((identity?, name)));
    for (identity, name) in named.chain(ours) {
        let mut members = members.remove(&identity.id).unwrap_or_default();
        members.sort();
        cache.groups.push(snapshot::Group {
            gid: identity.id,
            name: name.clone(),
            pinned: identity.pinned,
            members,
        });
    }
    for user in cache.users.iter().filter(|user| user.active) {
        let (gid, name) = (user.uid, user.name.clone());
        cache.groups.push(snapshot::Group { gid, name, pinned: user.pinned, members: Vec::new() });
    }
    cache.users.sort_unstable_by_key(|user| user.uid);
    cache.groups.sort_unstable_by_key(|group| group.gid);
    (cache, keys)
}

/// Users who left or are locked: `ls -l` shows them as owners, but they are not found by name. Their `groups` have
/// iam-disabled for daemons that still use an earlier release of the module, which finds them by name: sshd refuses
/// them by that group. `taken` has the names of groups, and of users who did not leave, including locked ones.
fn disabled_users(
    input: &Input<'_>,
    own: &OwnGroups,
    state: &State,
    taken: impl FnOnce() -> BTreeSet<Name>,
    locked: &BTreeSet<&IamId>,
    group: Option<Identity>,
) -> Vec<snapshot::User> {
    let names = naming::names_of(input, own);
    let mut disabled: Vec<_> = state
        .users
        .iter()
        .filter(|(_, user)| user.disabled.is_some() && !user.hidden)
        .filter_map(|(iam_id, user)| Some((iam_id, state.identities.get(iam_id)?, user)))
        .collect();
    if disabled.is_empty() {
        return Vec::new();
    }
    let of_host = input.local.holders();
    disabled.retain(|(_, identity, _)| of_host.of(identity.id.get()).is_none());
    let mut taken = taken();
    // If two users who left had the same name, the later one keeps it.
    disabled.sort_by_key(|(iam_id, _, user)| LastHolder::new(user.disabled, iam_id));
    let row = |(iam_id, identity, user): (&IamId, &Identity, &state::User)| {
        let mut name = user.name.clone();
        if !locked.contains(iam_id) {
            let is_joined = names.targets.contains(name.as_str());
            if is_joined || names.check(name.as_str(), iam_id, Standing::Present).is_err() {
                name = name.with_id(identity.id);
            }
            // At most 43 bytes: only names of at most 32 bytes can collide.
            while taken.contains(&name) {
                name = name.with_id(identity.id);
            }
            taken.insert(name.clone());
        }
        Some(snapshot::User {
            uid: identity.id,
            name,
            pinned: identity.pinned,
            active: false,
            passwd: Passwd { shell: Field::new(NOLOGIN).ok()?, ..user.passwd.clone() },
            groups: group.iter().map(|identity| identity.id).collect(),
            local: Vec::new(),
        })
    };
    disabled.into_iter().filter_map(row).collect()
}

/// `users` are the members, and their rows in the state.
fn logins(input: &Input<'_>, users: &[(&User, &state::User)]) -> Keys {
    let former = principals::former(input.state, &users.iter().map(|(user, _)| &user.iam_id).collect());
    let at_source = NamesAtSource::of(input);
    let is_own = |user: &User, known: &state::User| {
        at_source.is_other(&known.iam_name, &known.name)
            && at_source.is_free(&user.iam_id, &known.iam_name)
            && !former.contains(&known.iam_name.to_ascii_lowercase())
    };
    let named: Vec<principals::Named<'_>> = users
        .iter()
        .map(|(user, known)| {
            let name = if is_own(user, known) { &*known.iam_name } else { "" };
            [known.name.as_str(), name, user.iam_id.as_str()]
        })
        .collect();
    let mut logins = Vec::with_capacity(users.len());
    let rows = users
        .iter()
        .zip(principals::of(&named, &input.local.files.users))
        .filter(|((user, _), _)| !user.locked)
        .map(|((user, known), words)| Login {
            uid: user.identity.id,
            name: known.name.clone(),
            iam_id: user.iam_id.clone(),
            confirmed: known.confirmed,
            source: known.source.clone(),
            keys: known.keys.clone(),
            forward_only: user.forward_only,
            principals: words
                .into_iter()
                .map(|word| shared([user.iam_id.text(), &known.iam_name], word))
                .collect(),
        });
    logins.extend(rows);
    logins.sort_unstable_by_key(|login| login.uid);
    let max_age = input.config.keys.max_age.map_or(0, |age| u32::try_from(age.as_secs()).unwrap_or(u32::MAX));
    Keys {
        machine_id: input.local.machine_id.clone(),
        max_age,
        options: input.config.keys.options.clone(),
        logins,
        ..Keys::default()
    }
}
