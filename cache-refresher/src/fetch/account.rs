//! One account's refresh: memberships, then those who are missing, then keys. All or nothing per phase.

use config::Tags;
use jiff::Timestamp;
use listing::{Account, Failure};

use super::confirm::confirm;
use super::directory::Directory;
use super::removal::{self, Rules};
use super::{Progress, Release, groups, keys, merge};

/// What to read, and by which rules.
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a str,
    pub(crate) groups: &'a [String],
    pub(crate) tags: &'a Tags,
    /// Concurrent calls; the rate is limited for each account separately.
    pub(crate) concurrency: usize,
    /// Names of groups that could not be found out.
    pub(crate) unresolved: &'a [Failure],
    /// Removals that nobody could confirm are believed.
    pub(crate) force: bool,
    /// Whom groups that are no longer configured may take along.
    pub(crate) release: &'a Release,
    pub(crate) now: Timestamp,
    pub(crate) progress: &'a dyn Progress,
}

/// Never fails: what cannot be read is as `known` has it, and `errors` say why.
pub(crate) async fn refresh<D: Directory>(
    plan: &Plan<'_>,
    directory: &D,
    id: &str,
    known: Option<Account>,
) -> Account {
    // What was known of another account is no memory of this one.
    let known = known.filter(|known| known.id.is_empty() || known.id == id);
    let remembers = known.is_some();
    let before = known.clone().unwrap_or_default();
    let groups = match groups::read(plan, directory, &before).await {
        Ok(groups) => groups,
        Err(failures) => return merge::kept(known, plan.name, failures),
    };
    let unresolved = !groups.unresolved.is_empty();
    let known = Account { name: plan.name.to_owned(), id: id.to_owned(), ..before };
    let lost = removal::lost(&known, &groups);
    let verdicts = confirm(directory, &groups.asked, lost, plan.concurrency).await;
    let (mut account, present) = merge::memberships(known, groups, verdicts, Rules::of(plan, D::words()));
    // Without a memory nobody can tell whom a mistake in `groups` leaves out.
    account.complete = remembers || !unresolved || plan.release.all;
    keys::read(plan, directory, &mut account, &present).await;
    account
}
