//! Accounts of ours that other software of this host takes for its own: a package that is installed later adopts the
//! account that it finds, and its daemon then runs as a person.

use std::collections::BTreeMap;

use claims::{Kind, Use};
use status::{Warning, What};

use super::input::Input;
use super::naming::Group;
use super::rows::User;
use super::told::Told;

/// Warns, at every refresh, of each unit that would run as somebody who is published; and of other directories' groups
/// of that name, when they are asked.
pub(super) fn warn(input: &Input<'_>, groups: &[Group<'_>], users: &[User<'_>], told: &mut Told) {
    let users =
        users.iter().filter(|user| !user.locked).map(|user| (user.name.as_str(), (user.iam_id, What::User)));
    let groups = groups.iter().map(|group| (group.name.as_str(), (group.iam_id, What::Group)));
    let published: BTreeMap<&str, _> = users.chain(groups).collect();
    for (name, (iam_id, what)) in published {
        let called = input.called(&what.to_string());
        if input.config.names.allows(name, iam_id.as_str()) {
            continue;
        }
        // What an administrator wrote into /etc/group for a present user is on purpose; another directory means its own.
        let directory = input.local.directory.groups_of(name).filter(|(service, _)| *service != "files");
        if let Some((service, member_of)) = directory {
            told.warnings.insert(Warning::InGroupsOfDirectory {
                called: called.clone(),
                name: name.to_owned(),
                iam_id: iam_id.to_string(),
                groups: member_of.to_vec(),
                service: service.to_owned(),
            });
        }
        let uses = input.local.uses.names.get(name).into_iter().flatten();
        // A transient unit is no package's: somebody runs it as this user now, `systemd-run --uid`.
        let is_installed = |used: &&Use| !used.place.starts_with("/run/systemd/transient/");
        let takes = |used: &&Use| matches!(used.kind, Kind::Unit | Kind::Sysusers) && is_installed(used);
        for used in uses.filter(takes) {
            told.warnings.insert(Warning::RunsAs {
                what,
                called: called.clone(),
                name: name.to_owned(),
                iam_id: iam_id.to_string(),
                used: used.clone(),
            });
        }
    }
}
