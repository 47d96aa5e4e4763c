//! Which users leave. The same rule applies to a whole plan and to removals without a plan (`taking`). Pure.

use std::collections::{BTreeMap, BTreeSet};

use cache::state::{State, User};
use config::{Source, is_same_origin};
use foldhash::HashSet;
use listing::{Account, Listing};
use policy::{IamId, Name};
use status::{Held, Locked, escaped};

/// What the rule depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub state: &'a State,
    /// None: there is no usable listing, so nobody leaves.
    pub listing: Option<&'a Listing>,
    pub locked: &'a Locked,
    /// The maximum percentage of active users who leave at once.
    pub max_removed_percent: u8,
    /// Every user whom the listing lacks leaves.
    pub force: bool,
    /// These users leave, by login name or by the source's name, if the listing lacks them.
    pub release: &'a [String],
}

/// The result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Leaving {
    /// Published users whom a complete listing of their source no longer has.
    pub gone: BTreeSet<IamId>,
    /// Why other users whom the listing lacks stay.
    held: Vec<Held>,
    /// The login names of these users.
    users: Vec<String>,
    /// Too many users would leave at once.
    pub excess: Option<Excess>,
}

/// More than `max_removed_percent` of the active users, who therefore stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excess {
    users: BTreeMap<IamId, Name>,
    /// The number of active users when this began, [`State::held`].
    pub of: usize,
    percent: usize,
}

impl Excess {
    fn is_over(&self) -> bool {
        self.users.len() * 100 > self.of * self.percent
    }

    fn held(&self) -> Held {
        let mut users: Vec<String> = self.users.values().map(Name::to_string).collect();
        users.sort_unstable();
        Held::TooMany { users, of: self.of, percent: self.percent }
    }
}

impl Leaving {
    /// The login names of all users who stay.
    pub(crate) fn users(&self) -> Vec<String> {
        let excess = self.excess.iter().flat_map(|excess| excess.users.values()).map(Name::to_string);
        self.users.iter().cloned().chain(excess).collect()
    }

    /// Why they stay.
    pub(crate) fn held(&self) -> Vec<Held> {
        self.held.iter().cloned().chain(self.excess.as_ref().map(Excess::held)).collect()
    }

    /// Applies the limit again after a plan: a user whose name is now refused loses the account even if the removal is
    /// held. None if nothing changes.
    pub(crate) fn reconsidered(&self, could_stay: impl Fn(&IamId) -> bool) -> Option<Self> {
        let mut excess = self.excess.clone()?;
        let all = std::mem::take(&mut excess.users);
        excess.users = all
            .iter()
            .filter(|(iam_id, _)| could_stay(iam_id))
            .map(|(id, name)| (id.clone(), name.clone()))
            .collect();
        if excess.users.len() == all.len() {
            return None;
        }
        if excess.is_over() {
            return Some(Self { excess: Some(excess), ..self.clone() });
        }
        let gone = self.gone.iter().cloned().chain(all.into_keys()).collect();
        Some(Self { gone, excess: None, ..self.clone() })
    }
}

/// What it means that the listing lacks a user.
enum Absence {
    /// Nothing: the account was not read completely.
    Unknown,
    /// Nothing: the configuration now names another source or account.
    Unasked(Change),
    /// The user left.
    Left,
}

/// How the configuration changed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    NoGroups,
    AccountGone(String),
    Source { now: String, before: String },
}

impl Change {
    fn holds(self, mut users: Vec<String>) -> Held {
        users.sort_unstable();
        match self {
            Self::NoGroups => Held::NoGroups { users },
            Self::AccountGone(account) => Held::AccountGone { account, users },
            Self::Source { now, before } => Held::SourceChanged { source: now, before, users },
        }
    }
}

/// Applies the rule.
pub(crate) fn leaving(facts: Facts<'_>) -> Leaving {
    let Some(listing) = facts.listing else { return Leaving::default() };
    let accounts = listing.by_name();
    let released: HashSet<&str> = facts.release.iter().map(String::as_str).collect();
    let lets_go = |user: &User| {
        facts.force || released.contains(&*user.iam_name) || released.contains(user.name.as_str())
    };
    let users = listing.accounts.iter().flat_map(|account| &account.users);
    let listed: HashSet<&str> = users.map(|user| user.id.as_str()).collect();
    let present = facts.state.users.iter().filter(|(_, user)| is_in(user, facts.locked));
    let (mut left, mut unasked, mut users) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (iam_id, user) in present.filter(|(iam_id, _)| !listed.contains(iam_id.as_str())) {
        match absence(listing, accounts.get(&*user.account).map(|(_, account)| *account), user) {
            Absence::Unknown => {}
            Absence::Unasked(change) if !lets_go(user) => {
                users.push(user.name.to_string());
                unasked.entry(change).or_insert_with(Vec::new).push(user.name.to_string());
            }
            Absence::Unasked(_) | Absence::Left => drop(left.insert(iam_id, user)),
        }
    }
    let held = unasked.into_iter().map(|(change, users)| change.holds(users)).collect();
    // A locked user is disabled anyway.
    let counts =
        |user: &User| user.disabled.is_none() && !facts.locked.contains(user.name.as_str()) && !lets_go(user);
    let active = facts.state.users.values().filter(|user| user.disabled.is_none()).count();
    let excess = Excess {
        users: left
            .iter()
            .filter(|(_, user)| counts(user))
            .map(|(iam_id, user)| ((*iam_id).clone(), user.name.clone()))
            .collect(),
        // Users who were added since then do not count.
        of: facts.state.held.map_or(active, |held| held.min(active)),
        percent: usize::from(facts.max_removed_percent),
    };
    if !facts.force && excess.is_over() {
        let gone = left.iter().filter(|(_, user)| lets_go(user)).map(|(iam_id, _)| (*iam_id).clone());
        return Leaving { gone: gone.collect(), held, users, excess: Some(excess) };
    }
    Leaving { gone: left.into_keys().cloned().collect(), held, users, excess: None }
}

/// Whether a user is active, or would be if the name were not locked on this host.
pub(crate) fn is_in(user: &User, locked: &Locked) -> bool {
    user.disabled.is_none() || locked.contains(user.name.as_str())
}

/// `account`: that of the user in the listing.
fn absence(listing: &Listing, account: Option<&Account>, user: &User) -> Absence {
    let Some(account) = account else {
        return Absence::Unasked(match &*user.account {
            "" => Change::NoGroups,
            name => Change::AccountGone(escaped(name)),
        });
    };
    let source = source(listing, account);
    let is_same = user.source.is_empty() || is_same_origin(&user.source, &source);
    match (account.complete, is_same) {
        (false, _) => Absence::Unknown,
        (true, true) => Absence::Left,
        (true, false) => Absence::Unasked(Change::Source { now: source, before: escaped(&user.source) }),
    }
}

/// The value of `login.source`, see [`Source::origin`].
pub(crate) fn source(listing: &Listing, account: &Account) -> String {
    let origin = match Source::of_listing(&listing.source) {
        Some(source) => source.origin(&account.id),
        None if listing.source.is_empty() => "listing".to_owned(),
        None => listing.source.clone(),
    };
    escaped(&origin)
}
