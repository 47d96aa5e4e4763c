//! Whether `state.db`, which has the assigned ids and homes, is complete: a mistake or a backup may have reset it.

use std::collections::BTreeSet;

use cache::snapshot::Cache;
use cache::state::State;
use policy::Id;

use crate::host::paths::STATE;
use crate::host::published::Trouble;
use crate::inspect::facts::Facts;
use crate::say::code::Link;
use crate::say::finding::Finding;
use crate::say::show::{ago, time};

/// How long a loss is reported after it was repaired, in seconds, so that an administrator can check the result.
const TOLD: i64 = 7 * 24 * 60 * 60;

pub(super) fn judge(facts: &Facts) -> Option<Finding> {
    // Only root can read it.
    if !facts.root {
        return None;
    }
    let nothing = State::default();
    let state = match &facts.published.state {
        Ok(state) => state,
        Err(Trouble::Missing) => &nothing,
        Err(trouble) => {
            let what = format!("the refresher cannot use '{STATE}': {trouble}; nothing is published");
            let (link, remedy) = match trouble {
                Trouble::Later(message) => (Link::MemoryLater, message.hint().unwrap_or_default()),
                Trouble::Missing | Trouble::Denied | Trouble::Unusable(_) => {
                    (Link::MemoryUnusable, "restore it from a backup: it contains the assigned ids")
                }
            };
            return Some(Finding::bad(link, what, remedy));
        }
    };
    let lost = facts.published.cache.as_ref().map_or(0, |cache| lost(state, cache));
    if lost > 0 {
        let what = format!(
            "'{STATE}' lacks {lost} of the users and groups in cache.db: it was removed, emptied or restored from an older \
             copy"
        );
        let remedy = "if there is a newer copy, restore it before the next refresh (systemctl stop nss-iam-refresh.timer \
                      nss-iam-refresh.path); \
                      otherwise, nss-iamctl refresh rebuilds it from cache.db and keys.db";
        return Some(Finding::bad(Link::MemoryLost, what, remedy));
    }
    let at = state.rebuilt.filter(|at| facts.now.saturating_sub(*at) < TOLD)?;
    let what = format!(
        "'{STATE}' was lost, and was rebuilt {} ({}) from cache.db and keys.db, which contain only the users published then",
        time(at),
        ago(at, facts.now)
    );
    let remedy = "if there is a newer copy, restore it; otherwise, check 'nss-iamctl users --all' for users who are missing, \
                  and through /home for owners that 'nss-iamctl uid UID' does not know: keep such homes, which are no longer \
                  remembered as theirs";
    Some(Finding::bad(Link::MemoryRebuilt, what, remedy))
}

/// How many published users and groups have an id that is not in `state.db`, counted as by the refresher.
fn lost(state: &State, cache: &Cache) -> usize {
    let known: BTreeSet<Id> = state.identities.values().map(|identity| identity.id).collect();
    let private: BTreeSet<Id> = cache.users.iter().map(|user| user.uid).collect();
    let users = private.iter().filter(|uid| !known.contains(uid)).count();
    let groups = cache.groups.iter().map(|group| group.gid);
    users + groups.filter(|gid| !known.contains(gid) && !private.contains(gid)).count()
}

#[cfg(test)]
mod tests {
    use message::Message;

    use super::*;
    use crate::fixtures::{NOW, good};

    fn told(change: impl Fn(&mut Facts)) -> Option<String> {
        let mut facts = good();
        change(&mut facts);
        judge(&facts).map(|finding| finding.what)
    }

    fn state(facts: &mut Facts) -> &mut State {
        facts.published.state.as_mut().unwrap()
    }

    #[test]
    fn a_memory_that_knows_less_than_the_cache_is_lost() {
        assert_eq!(told(|_| ()), None);
        // Two users, and the two groups of nss-iam.
        let all = format!("'{STATE}' lacks 4 of the users and groups in cache.db: it was removed");
        let found = |change: &dyn Fn(&mut Facts)| told(change).unwrap_or_default();
        assert!(found(&|facts| facts.published.state = Err(Trouble::Missing)).starts_with(&all));
        assert!(found(&|facts| *state(facts) = State::default()).starts_with(&all));
        assert!(found(&|facts| drop(state(facts).identities.pop_first())).contains("lacks 1 of"));
        assert!(
            found(&|facts| facts.published.state = Err(Trouble::Unusable("x".to_owned())))
                .contains("cannot use")
        );
        let later = |facts: &mut Facts| {
            let message = Message::new("its format 200 is later").with_hint("install it again");
            facts.published.state = Err(Trouble::Later(message));
        };
        let mut facts = good();
        later(&mut facts);
        let finding = judge(&facts).unwrap();
        assert!(finding.what.contains("its format 200 is later"), "{}", finding.what);
        assert_eq!(finding.remedy.as_deref(), Some("install it again"), "a backup would be older");
        let nobody = |facts: &mut Facts| {
            facts.published.state = Err(Trouble::Missing);
            facts.published.cache = Err(Trouble::Missing);
        };
        assert_eq!(told(nobody), None, "a host before its first refresh");
        assert_eq!(told(|facts| (facts.root, facts.published.state) = (false, Err(Trouble::Denied))), None);
    }

    #[test]
    fn a_memory_that_was_rebuilt_is_told_for_a_week() {
        let since = |seconds: i64| told(|facts| state(facts).rebuilt = Some(NOW - seconds));
        assert!(since(60).unwrap().contains("was lost, and was rebuilt 2026-"));
        assert!(since(TOLD - 1).is_some());
        assert_eq!(since(TOLD), None);
    }
}
