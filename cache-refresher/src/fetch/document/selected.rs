//! What a host selects of a document: the groups in its configuration, and their members. Pure.

use std::collections::{BTreeMap, BTreeSet};

use config::Config;
use listing::{Account, Failure, FailureCode, FailureKind, Group, Listing};

use crate::fetch::failure::{failure, held};
use crate::fetch::request::Release;

/// Leaves the groups that the configuration names, and their members. An account without such groups stays as it is.
///
/// A mistake in the configuration removes nobody: if a group is not found, nobody of its account leaves, and users who are known
/// stay until their removal is released.
pub(super) fn select(listing: &mut Listing, config: &Config, known: &[Account], release: &Release) {
    for account in &mut listing.accounts {
        let other = config.account.iter().find(|other| other.name == account.name);
        let groups = match other {
            Some(other) => &other.groups,
            None if account.name.is_empty() => &config.groups,
            None => continue,
        };
        if !groups.is_empty() {
            let before = known.iter().find(|known| known.name == account.name);
            of_account(account, config, groups, before, release);
        }
    }
}

fn of_account(
    account: &mut Account,
    config: &Config,
    configured: &[String],
    known: Option<&Account>,
    release: &Release,
) {
    let source = &config.source;
    let is_meant = |id: &str, name: &str| configured.iter().any(|group| source.is_group(group, id, name));
    let absent = configured.iter().filter(|configured| {
        !account.groups.iter().any(|group| source.is_group(configured, &group.id, &group.name))
    });
    let errors: Vec<Failure> = absent.map(|group| no_group(source.url(), group)).collect();
    account.complete &= errors.is_empty() || release.all;
    account.errors.extend(errors);
    let members: BTreeSet<String> = account
        .groups
        .iter()
        .filter(|group| is_meant(&group.id, &group.name))
        .flat_map(|group| group.members.iter().cloned())
        .collect();
    let otherwise = selected_otherwise(known, account, is_meant);
    let stays = |id: &String| otherwise.contains(id) && !members.contains(id);
    let kept: Vec<_> =
        account.users.iter().filter(|user| stays(&user.id) && !release.lets_go(user)).collect();
    let names: Vec<&str> = kept.iter().map(|user| user.name.as_str()).collect();
    if !names.is_empty() {
        let cause = format!("{} users are in none of the configured groups; they stay", names.len());
        let hint = "if they are to leave, run 'nss-iamctl refresh --force'";
        account.errors.push(held("select", source.url(), &cause, hint, &names));
    }
    let kept: BTreeSet<String> = kept.iter().map(|user| user.id.clone()).collect();
    account.users.retain(|user| members.contains(&user.id) || kept.contains(&user.id));
    for group in &mut account.groups {
        group.unconfigured = !is_meant(&group.id, &group.name);
        // Nobody joins a group that is not configured.
        group.members.retain(|id| if group.unconfigured { kept.contains(id) } else { true });
    }
    account.groups.retain(|group| !group.unconfigured || !group.members.is_empty());
}

/// Users whom only a change of the configuration would remove: a group that they were and are in is no longer meant, or they
/// are in no group and were selected because none was configured. One who has left their groups is not among them.
fn selected_otherwise(
    known: Option<&Account>,
    account: &Account,
    is_meant: impl Fn(&str, &str) -> bool,
) -> BTreeSet<String> {
    let Some(known) = known else { return BTreeSet::new() };
    let before: BTreeMap<&str, BTreeSet<&String>> =
        known.groups.iter().map(|group| (group.id.as_str(), group.members.iter().collect())).collect();
    let was_in =
        |group: &Group, id: &String| before.get(group.id.as_str()).is_some_and(|ids| ids.contains(id));
    let dropped = account.groups.iter().filter(|group| !is_meant(&group.id, &group.name));
    let of_dropped = dropped.flat_map(|group| group.members.iter().filter(|id| was_in(group, id)));
    let grouped: BTreeSet<&String> = account
        .groups
        .iter()
        .flat_map(|group| &group.members)
        .chain(before.values().flatten().copied())
        .collect();
    let groupless = known.users.iter().map(|user| &user.id).filter(|id| !grouped.contains(id));
    of_dropped.chain(groupless).cloned().collect()
}

fn no_group(url: &str, group: &str) -> Failure {
    let hint = "correct the name in 'groups', or ask whoever publishes the listing to include the group";
    Failure {
        code: Some(FailureCode::NoSuchGroup),
        ..failure("select", group, &format!("'{url}' has no such group"), hint, FailureKind::Configuration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each group with its members, and users without a group.
    fn account(groups: &[(&str, &[&str])], groupless: &[&str]) -> Account {
        let users: BTreeSet<&str> =
            groups.iter().flat_map(|(_, members)| members.iter()).chain(groupless).copied().collect();
        let user = |name: &&str| listing::User {
            id: format!("U-{name}"),
            name: (*name).to_owned(),
            ..listing::User::default()
        };
        let group = |(name, members): &(&str, &[&str])| Group {
            id: format!("G-{name}"),
            name: (*name).to_owned(),
            members: members.iter().map(|name| format!("U-{name}")).collect(),
            ..Group::default()
        };
        Account {
            complete: true,
            users: users.iter().map(user).collect(),
            groups: groups.iter().map(group).collect(),
            ..Account::default()
        }
    }

    /// Who is left, in which groups, whether others leave, and who is held.
    fn selected(
        now: &Account,
        configured: &str,
        known: &Account,
        release: &Release,
    ) -> (String, bool, String) {
        let config = format!("groups = [{configured}]\n[source]\nurl = 'file:///x'");
        let config = Config::parse(&[("x".into(), config)]).unwrap();
        let mut listing = Listing { accounts: vec![now.clone()], ..Listing::default() };
        select(&mut listing, &config, std::slice::from_ref(known), release);
        let account = &listing.accounts[0];
        let mut shown: Vec<String> = account.users.iter().map(|user| user.name.clone()).collect();
        shown.extend(account.groups.iter().map(|group| {
            format!("{}{}={}", if group.unconfigured { "-" } else { "" }, group.name, group.members.join("+"))
        }));
        let held = account.errors.iter().flat_map(|error| error.users.clone());
        (shown.join(" ").replace("U-", ""), account.complete, held.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn only_the_configured_groups_and_their_members_are_selected() {
        let now = account(&[("Ops", &["ana", "bob"]), ("Dev", &["bob", "eve"])], &["zoe"]);
        let (none, release) = (Account::default(), Release::default());
        let of = |configured| selected(&now, configured, &none, &release);
        let done = |shown: &str| (shown.to_owned(), true, String::new());
        assert_eq!(of(""), done("ana bob eve zoe Ops=ana+bob Dev=bob+eve"));
        assert_eq!(of("'ops'"), done("ana bob Ops=ana+bob"));
        assert_eq!(of("'Dev', 'Ops'"), done("ana bob eve Ops=ana+bob Dev=bob+eve"));
        let nobody = (String::new(), false, String::new());
        assert_eq!(of("'Typo'"), nobody, "nobody else leaves");
        assert_eq!(of("'Typo', 'Dev'"), ("bob eve Dev=bob+eve".to_owned(), false, String::new()));
    }

    #[test]
    fn one_who_left_a_group_is_out_and_one_whose_group_is_no_longer_configured_stays_until_released() {
        let known = account(&[("Ops", &["ana", "bob"]), ("Dev", &["bob", "eve", "joe"])], &["zoe"]);
        // Bob left Ops, joe left Dev.
        let now = account(&[("Ops", &["ana"]), ("Dev", &["bob", "eve", "new"])], &["joe", "zoe"]);
        let of = |configured, release: &Release| selected(&now, configured, &known, release);
        let none = Release::default();
        assert_eq!(
            of("'Ops'", &none),
            ("ana bob eve zoe Ops=ana -Dev=bob+eve".to_owned(), true, "bob eve zoe".to_owned())
        );
        let of_ops = account(&[("Ops", &["ana", "bob"])], &[]);
        assert_eq!(
            selected(&now, "'Ops'", &of_ops, &none),
            ("ana Ops=ana".to_owned(), true, String::new()),
            "he left the only group that counts here"
        );
        let all = Release { all: true, ..Release::default() };
        assert_eq!(of("'Ops'", &all), ("ana Ops=ana".to_owned(), true, String::new()));
        let bob = Release { names: ["bob".to_owned()].into(), ..Release::default() };
        assert_eq!(of("'Ops'", &bob).2, "eve zoe");
    }
}
