//! What the configured groups mean for this host: whether there can be users, whom a removed group leaves without a group,
//! and which local groups are joined.

use config::{Config, Source};
use listing::Listing;
use message::Message;
use policy::IamId;

use crate::cli::Enable;
use crate::host::Host;
use crate::host::accounts;
use crate::host::published::Published;
use crate::say::error::Error;
use crate::say::show::{count, some, word};

/// # Errors
/// When there can be no users, because no group is configured.
pub(super) fn require_some(args: &Enable, config: &Config) -> Result<(), Error> {
    if config.names_groups() {
        return Ok(());
    }
    let what = "no group is configured, so nobody could log in";
    Err(Error::configuration(what).hint(match args.remove_groups.as_slice() {
        [] => "nss-iamctl enable --group GROUP",
        _ => "name another group with '--group GROUP', or undo everything with 'nss-iamctl disable'",
    }))
}

/// # Errors
/// When a local group that is to be joined does not exist.
pub(super) fn require_local(host: &Host, args: &Enable) -> Result<(), Error> {
    if args.local_groups.is_empty() {
        return Ok(());
    }
    let known = accounts::local_groups(host)?;
    for (group, local) in &args.local_groups {
        if !known.iter().any(|known| known.name == *local) {
            let what =
                format!("'--local-group {group}={local}': '{local}' is no group of '{}'", accounts::GROUP);
            return Err(Error::configuration(what).hint(format!("groupadd {local}, or name another group")));
        }
    }
    Ok(())
}

/// Notes about groups whose members would join a local group, but that are not configured.
pub(super) fn unread<'a>(args: &'a Enable, config: &'a Config) -> impl Iterator<Item = Message> + 'a {
    let is_read = |group: &str| {
        config.groups_from_instance_tag.is_some()
            || !config.source.is_directory() && config.groups.is_empty()
            || config.groups.iter().any(|other| other.eq_ignore_ascii_case(group))
    };
    let unread = args.local_groups.iter().filter(move |(group, _)| !is_read(group));
    unread.map(|(group, local)| {
        let what = format!("group '{group}' is not configured, so nobody joins '{local}' yet");
        Message::new(what).with_hint(format!("nss-iamctl enable --group {}", word(group)))
    })
}

/// Where users come from a file, no role is assumed.
pub(super) fn unused(args: &Enable, config: &Config) -> Option<Message> {
    let is_file = matches!(config.source, Source::File { .. });
    let what =
        || format!("users come from '{}', for which '--role' makes no difference", config.source.url());
    (is_file && args.role.is_some()).then(|| Message::new(what()).with_hint("leave it out"))
}

/// Where users come from a document, everybody in it is a user unless groups are configured: what changes in this.
pub(super) fn selection(before: &Config, after: &Config) -> Option<Message> {
    let url = after.source.url();
    if after.source.is_directory() || !before.source.has_url(url) {
        return None;
    }
    match (before.groups.is_empty(), after.groups.is_empty()) {
        (true, false) => {
            let groups: Vec<&String> = after.groups.iter().collect();
            let what = format!(
                "of the users in '{url}', only members of {} are users of this host from now on",
                some(&groups)
            );
            Some(Message::new(what).with_hint("others stay until you confirm it: nss-iamctl refresh"))
        }
        (false, true) => {
            let what = format!("everybody in '{url}' is a user of this host from now on");
            Some(Message::new(what).with_hint("to select some: nss-iamctl enable --group GROUP"))
        }
        _ => None,
    }
}

/// Who can run commands, if not everybody can.
pub(super) fn shells(config: &Config) -> Option<Message> {
    let accounts = config.account.iter().map(|account| &account.shell_groups);
    let groups: Vec<&String> = std::iter::once(&config.shell_groups).chain(accounts).flatten().collect();
    Some(match (config.users.forward_only, groups.as_slice()) {
        (false, _) => return None,
        (true, []) => Message::new(
            "no nss-iam user can run a command on this host: they only forward connections",
        )
        .with_hint(
            "nss-iamctl enable --shell-group GROUP, for the administrators; local users are as before",
        ),
        (true, groups) => Message::new(format!(
            "only members of {} can run commands on this host; all other nss-iam users only forward connections",
            some(groups)
        )),
    })
}

/// What the change of the groups does to users who are published now; `None` if it removes no group.
pub(super) fn left_without(published: &Published, before: &Config, after: &Config) -> Option<Message> {
    // Then everybody in the document is a user.
    if !after.source.is_directory() && after.groups.is_empty() {
        return None;
    }
    let removed: Vec<&String> = before.groups.iter().filter(|group| !after.groups.contains(group)).collect();
    if removed.is_empty() {
        return None;
    }
    let names = members_of_nothing_else(published, &after.source, &removed);
    let of = some(&removed);
    Some(match names.len() {
        0 => Message::new(format!("no user of this host is a member of {of} only, so nobody is disabled")),
        number => {
            let what = {
                let have = if number == 1 { "has" } else { "have" };
                format!(
                    "{} of this host {have} no group without {of}: {}",
                    count(number, "user"),
                    some(&names)
                )
            };
            Message::new(what).with_hint("they stay until you confirm it: nss-iamctl refresh")
        }
    })
}

/// Login names of active users of the first account who are in these groups and in no other.
fn members_of_nothing_else(published: &Published, source: &Source, groups: &[&String]) -> Vec<String> {
    let (Ok(state), Ok(listing)) = (&published.state, &published.listing) else { return Vec::new() };
    let removed = ids(listing, source, groups);
    let users = state.users.values().filter(|user| user.account.is_empty() && user.disabled.is_none());
    let users = users
        .filter(|user| !user.groups.is_empty() && user.groups.iter().all(|group| removed.contains(group)));
    let mut names: Vec<String> = users.map(|user| user.name.to_string()).collect();
    names.sort();
    names
}

/// The ids of groups of the first account.
fn ids(listing: &Listing, source: &Source, names: &[&String]) -> Vec<IamId> {
    let groups =
        listing.accounts.iter().filter(|account| account.name.is_empty()).flat_map(|account| &account.groups);
    let named = groups.filter(|group| names.iter().any(|name| source.is_group(name, &group.id, &group.name)));
    named.map(|group| IamId::new(&group.id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::published;

    #[test]
    fn enable_says_if_groups_begin_or_cease_to_select_from_a_document() {
        let config = |groups: &str| {
            let text = format!("groups = [{groups}]\n[source]\nurl = \"file:///srv/users.json\"\n");
            Config::parse(&[("config.toml".into(), text)]).unwrap()
        };
        let iam = Config::parse(&[("config.toml".into(), "groups = ['Ops']".to_owned())]).unwrap();
        let told =
            |before: &Config, after: &Config| selection(before, after).map(|told| told.what().to_owned());
        let [all, ops, both] = ["", "'Ops'", "'Ops', 'Dev'"].map(config);
        let some = "of the users in 'file:///srv/users.json', only members of 'Ops' are users of this host from now on";
        assert_eq!(told(&all, &ops).unwrap(), some);
        assert_eq!(
            told(&both, &all).unwrap(),
            "everybody in 'file:///srv/users.json' is a user of this host from now on"
        );
        for (before, after) in [(&all, &all), (&ops, &both), (&Config::default(), &iam), (&iam, &ops)] {
            assert_eq!(told(before, after), None);
        }
    }

    #[test]
    fn those_who_are_in_a_removed_group_only_are_counted_and_named() {
        let config = |text: &str| Config::parse(&[("config.toml".into(), text.to_owned())]).unwrap();
        let [both, ops, dev] =
            ["'Ops', 'Dev'", "'Ops'", "'Dev'"].map(|groups| config(&format!("groups = [{groups}]")));
        let told = |published: &Published, before: &Config, after: &Config| {
            left_without(published, before, after).map(|told| told.what().to_owned())
        };
        let mut published = published();
        assert_eq!(told(&published, &ops, &both), None);
        assert_eq!(
            told(&published, &both, &dev).unwrap(),
            "1 user of this host has no group without 'Ops': 'ana'"
        );
        let none = "no user of this host is a member of 'Dev' only, so nobody is disabled";
        assert_eq!(told(&published, &both, &ops).unwrap(), none);
        for user in published.state.as_mut().unwrap().users.values_mut() {
            user.groups.push(IamId::new("AGPADEV"));
        }
        assert!(told(&published, &both, &dev).unwrap().starts_with("no user"));
    }
}
