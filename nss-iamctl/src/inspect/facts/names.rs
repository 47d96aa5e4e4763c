//! What this host grants to published names: groups, rules, units, and every other place that mentions them.

use std::collections::{BTreeMap, BTreeSet};

use claims::nss::{Answers, Files, Question};
use claims::{Unresolved, Uses};
use config::Config;
use policy::{DISABLED_GROUP, IamId};

use crate::host::Host;
use crate::host::published::Published;

/// The published user or group with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// `user` or `group`.
    pub what: &'static str,
    /// The uid or gid.
    pub id: u32,
    /// UserId or GroupId, where it is known.
    pub iam_id: Option<IamId>,
}

/// Everything. It is only gathered for root, because only root may read the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// By login or group name.
    pub holders: BTreeMap<String, Holder>,
    /// Login name -> groups of /etc/group that list it as a member.
    pub members: BTreeMap<String, Vec<String>>,
    /// Answers of other services in nsswitch.conf(5).
    pub directory: Answers,
    /// Why nsswitch.conf, or what `files` has, could not be read.
    pub unread: Option<String>,
    /// For each of these names: rules, units, sysusers.d and all other places.
    pub uses: BTreeMap<String, BTreeSet<claims::Use>>,
    /// What cannot be resolved.
    pub unresolved: BTreeSet<Unresolved>,
}

impl Names {
    /// Looks these names up, if `root`.
    pub(crate) fn gather(
        host: &Host,
        root: bool,
        config: &Config,
        holders: BTreeMap<String, Holder>,
    ) -> Self {
        if !root {
            return Self::default();
        }
        let (root, exclude) = (host.path("/"), &config.names.exclude);
        let names: BTreeSet<String> = holders.keys().cloned().collect();
        // These two always, as the refresher does: so a service is asked something even if nobody is published.
        let own = [config.users.common_group.clone(), DISABLED_GROUP.to_owned()];
        let question = Question { names: names.iter().cloned().chain(own).collect(), ids: BTreeSet::new() };
        let directory = claims::nss::services(&root, exclude)
            .map(|services| host.ask(&services, &question))
            .map_err(|cause| format!("cannot read '/etc/nsswitch.conf': {cause}"));
        let files = host.users_and_groups();
        let unread = directory.as_ref().err().or(files.as_ref().err()).cloned();
        let mut uses = Uses::default();
        for part in [
            claims::of_installed(&root, exclude),
            claims::of_rules(&root, exclude),
            claims::grants::read(&root, &names),
        ] {
            uses.extend(part);
        }
        let Uses { names: mut uses, unresolved } = uses;
        uses.retain(|name, _| names.contains(name));
        let members = members(&files.unwrap_or_default(), &names);
        let directory = directory.unwrap_or_default();
        Self { holders, members, directory, unread, uses, unresolved }
    }
}

/// Active users, and groups of the source. The groups of nss-iam itself are intentionally named in sshd's and sudo's files.
pub(crate) fn holders(published: &Published, common_group: &str) -> BTreeMap<String, Holder> {
    let Ok(cache) = &published.cache else { return BTreeMap::new() };
    let logins = published.keys.iter().flat_map(|keys| &keys.logins);
    let mut iam_ids: BTreeMap<u32, &IamId> = logins.map(|login| (login.uid.get(), &login.iam_id)).collect();
    let given = published.state.iter().flat_map(|state| &state.identities);
    iam_ids.extend(given.map(|(iam_id, identity)| (identity.id.get(), iam_id)));
    let holder = |what, id: u32| {
        let iam_id = iam_ids.get(&id).filter(|iam_id| !iam_id.is_lost()).map(|&iam_id| iam_id.clone());
        Holder { what, id, iam_id }
    };
    let groups =
        cache.groups.iter().filter(|group| ![common_group, DISABLED_GROUP].contains(&group.name.as_str()));
    let groups = groups.map(|group| (group.name.to_string(), holder("group", group.gid.get())));
    // A private group has its user's name.
    let users = cache.users.iter().filter(|user| user.active);
    groups.chain(users.map(|user| (user.name.to_string(), holder("user", user.uid.get())))).collect()
}

/// Name -> groups that list it, including administrators in gshadow(5).
fn members(files: &Files, names: &BTreeSet<String>) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (group, known) in &files.groups {
        for member in known.members.intersection(names) {
            groups.entry(member.clone()).or_default().push(group.clone());
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use claims::nss::FileGroup;
    use policy::{Id, Name};

    use super::*;
    use crate::fixtures::{ANA, published};

    #[test]
    fn the_names_of_active_users_and_of_iam_groups_are_looked_up() {
        let mut published = published();
        let holder = |what, id, iam_id: Option<&str>| Holder { what, id, iam_id: iam_id.map(IamId::new) };
        let ana = ("ana".to_owned(), holder("user", ANA, Some("AIDAANA")));
        assert_eq!(holders(&published, "iam-users"), [ana.clone()].into());
        let groups = &mut published.cache.as_mut().unwrap().groups;
        let mut private = groups[0].clone();
        for (name, gid) in [("ana", ANA), ("ops", 5000)] {
            (private.name, private.gid) = (Name::new(name).unwrap(), Id::pinned(gid).unwrap());
            groups.push(private.clone());
        }
        let ops = ("ops".to_owned(), holder("group", 5000, None));
        assert_eq!(holders(&published, "iam-users"), [ana, ops].into());
    }

    #[test]
    fn members_are_told_by_name() {
        let group = |members: &[&str]| FileGroup {
            members: members.iter().map(|member| (*member).to_owned()).collect(),
            ..FileGroup::default()
        };
        let groups = [("adm", group(&["syslog", "ana"])), ("disk", group(&["ana"])), ("ops", group(&[]))];
        let groups = groups.map(|(name, group)| (name.to_owned(), group)).into();
        let files = Files { groups, ..Files::default() };
        let names = ["ana".to_owned(), "eve".to_owned()].into();
        let wanted = ("ana".to_owned(), vec!["adm".to_owned(), "disk".to_owned()]);
        assert_eq!(members(&files, &names), [wanted].into());
    }
}
