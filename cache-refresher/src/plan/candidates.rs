//! Who could be a user, and which groups exist: from the listing, or from the state if the listing is incomplete.

use std::collections::{BTreeMap, BTreeSet};

use cache::state;
use config::Source;
use foldhash::{HashMap, HashMapExt, HashSet};
use jiff::Timestamp;
use listing::Key;
use policy::precedence::Age;
use policy::{IamId, Name};
use smol_str::SmolStr;

use super::input::Input;
use super::leaving::{self, Leaving};

/// The order does not matter: each has the rank of its account.
pub(super) struct Candidates<'a> {
    pub users: Vec<User<'a>>,
    pub groups: Vec<Group<'a>>,
}

pub(super) struct User<'a> {
    pub iam_id: IamId,
    /// Position of the account in the configuration.
    pub rank: usize,
    pub account: &'a str,
    pub iam_name: &'a str,
    pub created: Option<Timestamp>,
    /// GroupIds of the user's groups, sorted.
    pub groups: Vec<IamId>,
    pub known: Known<'a>,
    /// As last published.
    pub previous: Option<&'a state::User>,
}

/// Where the other facts about a user come from.
pub(super) enum Known<'a> {
    /// The listing.
    Listed {
        tags: &'a BTreeMap<String, String>,
        keys: &'a [Key],
        confirmed: Option<Timestamp>,
        source: SmolStr,
    },
    /// The state, since the listing is incomplete or may not remove anyone.
    Kept(&'a state::User),
}

impl User<'_> {
    /// The value of a tag, if the configuration uses this tag.
    pub(super) fn tag(&self, input: &Input<'_>, usage: config::TagUse) -> Option<&str> {
        match &self.known {
            Known::Listed { tags, .. } => input.config.tags.value(usage, tags),
            Known::Kept(_) => None,
        }
    }

    pub(super) fn age(&self) -> Age<'_> {
        Age::new(self.created.map(Timestamp::as_nanosecond), &self.iam_id)
    }
}

pub(super) struct Group<'a> {
    pub iam_id: IamId,
    pub rank: usize,
    pub account: &'a str,
    /// The name as the source spells it, or as it was published if `kept`.
    pub iam_name: &'a str,
    /// Whether only the state has it.
    pub kept: bool,
    /// As last published.
    pub previous: Option<&'a state::Group>,
}

impl<'a> Group<'a> {
    /// The name that the group has at present.
    pub(super) fn present(&self) -> Option<&'a Name> {
        self.previous.map(|group| &group.name)
    }
}

impl<'a> Candidates<'a> {
    /// All listed users, and those published users who do not leave.
    pub(super) fn of(input: &Input<'a>, leaving: &Leaving) -> Self {
        let mut all = Self { users: Vec::new(), groups: Vec::new() };
        for (rank, account) in input.listing.accounts.iter().enumerate() {
            all.add_listed(input, rank, account);
        }
        all.add_kept(input, leaving);
        all
    }

    fn add_listed(&mut self, input: &Input<'a>, rank: usize, account: &'a listing::Account) {
        let mut groups: HashMap<&str, Vec<IamId>> = HashMap::new();
        let source: SmolStr = leaving::source(input.listing, account).into();
        for group in &account.groups {
            let (iam_id, previous) = with_previous(&input.state.groups, &group.id);
            for member in &group.members {
                groups.entry(member).or_insert_with(|| Vec::with_capacity(1)).push(iam_id.clone());
            }
            self.groups.push(Group {
                iam_id,
                rank,
                account: &account.name,
                iam_name: &group.name,
                kept: false,
                previous,
            });
        }
        self.users.reserve_exact(account.users.len());
        for user in &account.users {
            let mut groups = groups.remove(user.id.as_str()).unwrap_or_default();
            groups.sort();
            groups.dedup();
            groups.shrink_to_fit();
            let (iam_id, previous) = with_previous(&input.state.users, &user.id);
            self.users.push(User {
                iam_id,
                rank,
                account: &account.name,
                iam_name: &user.name,
                created: user.created,
                groups,
                known: Known::Listed {
                    tags: &user.tags,
                    keys: &user.keys,
                    confirmed: user.confirmed,
                    source: source.clone(),
                },
                previous,
            });
        }
    }

    fn add_kept(&mut self, input: &Input<'a>, leaving: &Leaving) {
        let accounts = input.listing.by_name();
        let rank_of = |name: &str| accounts.get(name).map_or(accounts.len(), |(at, _)| *at);
        let listed: HashSet<IamId> = self.users.iter().map(|user| user.iam_id.clone()).collect();
        let active = input.state.users.iter().filter(|(iam_id, user)| {
            is_in(input, user) && !leaving.gone.contains(*iam_id) && !listed.contains(*iam_id)
        });
        let mut needed = BTreeSet::new();
        for (iam_id, user) in active {
            needed.extend(user.groups.iter().cloned());
            self.users.push(User {
                iam_id: iam_id.clone(),
                rank: rank_of(&user.account),
                account: &user.account,
                iam_name: &user.iam_name,
                created: user.created.parse().ok(),
                groups: user.groups.clone(),
                known: Known::Kept(user),
                previous: Some(user),
            });
        }
        let listed: BTreeSet<IamId> = self.groups.iter().map(|group| group.iam_id.clone()).collect();
        let incomplete = |name: &str| accounts.get(name).is_some_and(|(_, account)| !account.complete);
        for (iam_id, group) in &input.state.groups {
            if (incomplete(&group.account) || needed.contains(iam_id)) && !listed.contains(iam_id) {
                let rank = rank_of(&group.account);
                let iam_name = group.name.as_str();
                self.groups.push(Group {
                    iam_id: iam_id.clone(),
                    rank,
                    account: &group.account,
                    iam_name,
                    kept: true,
                    previous: Some(group),
                });
            }
        }
    }
}

/// An id of the listing, and what the state has under it. The id then shares its text with the state's.
fn with_previous<'a, T>(state: &'a BTreeMap<IamId, T>, id: &str) -> (IamId, Option<&'a T>) {
    let id = IamId::new(id);
    match state.get_key_value(&id) {
        Some((known, value)) => (known.clone(), Some(value)),
        None => (id, None),
    }
}

/// The groups that the configuration of an account calls `name`: that of exactly this name, or else those whose names differ
/// in case only. In IAM there is at most one; a file can have several. With some sources, `name` can be an id.
pub(super) fn called<'g, 'a>(
    source: &Source,
    groups: &'g [Group<'a>],
    account: &str,
    name: &str,
) -> Vec<&'g Group<'a>> {
    let is_meant = |group: &&Group<'_>| {
        group.account == account && source.is_group(name, group.iam_id.as_str(), group.iam_name)
    };
    let meant: Vec<_> = groups.iter().filter(is_meant).collect();
    let exact: Vec<_> = meant.iter().copied().filter(|group| group.iam_name == name).collect();
    if exact.is_empty() { meant } else { exact }
}

/// See [`leaving::is_in`].
pub(super) fn is_in(input: &Input<'_>, user: &state::User) -> bool {
    leaving::is_in(user, &input.local.locked)
}
