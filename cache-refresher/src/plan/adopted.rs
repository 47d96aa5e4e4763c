//! Published accounts that other software on this host uses as its own: a package that is installed later adopts the
//! account that it finds, and its daemon then runs as that person.

use cache::state::State;
use claims::{Kind, Use};
use status::{Warning, What};

use super::input::Input;
use super::naming::Group;
use super::told::Told;

/// Warns at every refresh about each unit that would run as a published user, and about groups of other directories
/// that list a published name, if the directories were asked for it.
pub(super) fn warn(input: &Input<'_>, groups: &[Group<'_>], state: &State, told: &mut Told) {
    let users = state.users.iter().filter(|(_, user)| user.disabled.is_none());
    let users = users.map(|(iam_id, user)| (user.name.as_str(), iam_id, What::User));
    let groups = groups.iter().map(|group| (group.name.as_str(), &group.iam_id, What::Group));
    for (name, iam_id, what) in users.chain(groups) {
        let called = || input.called(&what.to_string());
        if input.config.names.allows(name, iam_id.as_str()) {
            continue;
        }
        // An entry in /etc/group for a present user is intended. An entry in another directory means another user.
        let directory = input.local.directory.groups_of(name).filter(|(service, _)| *service != "files");
        if let Some((service, member_of)) = directory {
            told.warnings.insert(Warning::InGroupsOfDirectory {
                called: called(),
                name: name.to_owned(),
                iam_id: iam_id.to_string(),
                groups: member_of.to_vec(),
                service: service.to_owned(),
            });
        }
        let uses = input.local.uses.names.get(name).into_iter().flatten();
        // A transient unit does not come from a package: somebody started it with `systemd-run --uid`.
        let is_installed = |used: &&Use| !used.place.starts_with("/run/systemd/transient/");
        let takes = |used: &&Use| matches!(used.kind, Kind::Unit | Kind::Sysusers) && is_installed(used);
        for used in uses.filter(takes) {
            told.warnings.insert(Warning::RunsAs {
                what,
                called: called(),
                name: name.to_owned(),
                iam_id: iam_id.to_string(),
                used: used.clone(),
            });
        }
    }
}
