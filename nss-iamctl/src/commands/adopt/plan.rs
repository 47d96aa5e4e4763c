//! Which accounts are converted, to which users and ids, and what they lose. Pure.
//!
//! The refresher refuses an id of a local user or group, and a name that a local user or group has or that is in sudoers.
//! Whether an id is free depends on which other accounts are converted: the marker group of aws-ec2-ssh often has a gid that
//! equals the uid of the first user, whose group has the uid of the second, and so on.

use std::collections::{BTreeMap, BTreeSet};

use message::Message;

use super::check::check;
use super::outcome::{Adoption, Left, Plan};
use super::world::{Request, World};
use crate::host::accounts::{Account, PASSWD};
use crate::say::error::Error;

/// Makes the plan.
///
/// # Errors
/// When a name is not a local account.
pub(super) fn plan(world: &World<'_>, request: &Request) -> Result<Plan, Error> {
    let scripted = world.made_by_script();
    let mut wanted: Vec<&str> = request.names.iter().map(String::as_str).collect();
    if let Some(name) =
        wanted.iter().find(|name| !world.accounts.iter().any(|account| account.name == **name))
    {
        let message = format!("'{}' is not an account in '{}'", name.escape_default(), PASSWD);
        return Err(Error::configuration(format!("{message}; nothing was done")));
    }
    if wanted.is_empty() {
        wanted.clone_from(&scripted);
    }
    let wanted: BTreeSet<&str> = wanted.into_iter().collect();
    let mut plan = Plan::default();
    for name in &wanted {
        match check(world, name, request) {
            Ok(adoption) => plan.adopt.push(adoption),
            Err(refusal) => plan.leave.push(Left::new(name, refusal)),
        }
    }
    refuse_shared(&mut plan);
    settle_ids(world, &mut plan);
    let taken: BTreeSet<&str> = plan.adopt.iter().map(|adoption| adoption.name.as_str()).collect();
    plan.remaining =
        scripted.iter().filter(|name| !taken.contains(*name)).map(|name| (*name).to_owned()).collect();
    plan.leave.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(plan)
}

/// Two accounts cannot become the same user.
fn refuse_shared(plan: &mut Plan) {
    let mut count: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for adoption in &plan.adopt {
        count.entry(adoption.iam_id.clone()).or_default().push(adoption.name.clone());
    }
    plan.adopt.retain(|adoption| {
        let Some(other) =
            count.get(&adoption.iam_id).into_iter().flatten().find(|name| **name != adoption.name)
        else {
            return true;
        };
        let why = format!("'{other}' would become the same user '{}'", adoption.iam_name);
        let why = Message::new(why).with_hint("remove the account that is no longer used");
        plan.leave.push(Left::new(&adoption.name, why));
        false
    });
}

/// Leaves out accounts until all ids of the others are free.
fn settle_ids(world: &World<'_>, plan: &mut Plan) {
    loop {
        let going = Going::of(world, plan);
        let marker = going.marker;
        let refused = plan.adopt.iter().find_map(|adoption| {
            let why = going.in_the_way(world, plan, adoption)?;
            Some((adoption.name.clone(), why))
        });
        plan.marker_goes = marker;
        let Some((name, why)) = refused else { return };
        plan.adopt.retain(|adoption| adoption.name != name);
        let hint = "adopt both together, change the id of the other one, or use --renumber";
        plan.leave.push(Left::new(&name, Message::new(why).with_hint(hint)));
    }
}

/// The accounts and groups that will be removed.
struct Going<'a> {
    accounts: BTreeSet<&'a str>,
    groups: BTreeSet<&'a str>,
    marker: bool,
}

impl<'a> Going<'a> {
    fn of(world: &'a World<'_>, plan: &'a Plan) -> Self {
        let accounts: BTreeSet<&str> = plan.adopt.iter().map(|adoption| adoption.name.as_str()).collect();
        let mut groups: BTreeSet<&str> =
            plan.adopt.iter().filter_map(|adoption| adoption.private_group.as_deref()).collect();
        let marker = world.groups.iter().find(|group| group.name == world.marker).is_some_and(|group| {
            let empty =
                !accounts.is_empty() && group.members.iter().all(|name| accounts.contains(name.as_str()));
            let primary =
                |account: &&Account| account.gid == group.gid && !accounts.contains(account.name.as_str());
            empty && !world.accounts.iter().any(|account| primary(&account))
        });
        if marker {
            groups.insert(&world.marker);
        }
        Self { accounts, groups, marker }
    }

    /// Who has the id that this account gets.
    fn in_the_way(&self, world: &World<'_>, plan: &Plan, adoption: &Adoption) -> Option<String> {
        let id = adoption.id;
        let stays = |account: &&Account| !self.accounts.contains(account.name.as_str());
        if let Some(account) =
            world.accounts.iter().filter(stays).find(|account| account.uid == id || account.gid == id)
        {
            return Some(format!("{id} is the uid or primary group of '{}'", account.name));
        }
        let group =
            world.groups.iter().find(|group| group.gid == id && !self.groups.contains(group.name.as_str()));
        if let Some(group) = group {
            return Some(format!("id {id}, which its group would get, is the gid of group '{}'", group.name));
        }
        if let Some(other) = plan.adopt.iter().find(|other| other.id == id && other.name != adoption.name) {
            return Some(format!("'{}' would get the same id {id}", other.name));
        }
        let held = world
            .facts
            .identities
            .iter()
            .find(|(iam_id, identity)| identity.id.get() == id && iam_id.as_str() != adoption.iam_id);
        if let Some((iam_id, _)) = held {
            return Some(format!("id {id} was given to '{iam_id}'"));
        }
        let pinned =
            world.facts.config.ids.iter().find(|(iam_id, pin)| **pin == id && **iam_id != adoption.iam_id);
        pinned.map(|(iam_id, _)| format!("[ids] gives {id} to '{iam_id}'"))
    }
}
