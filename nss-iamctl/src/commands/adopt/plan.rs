//! Which accounts are taken over, as whom, with which id, and what they lose by it. Pure.
//!
//! The refresher refuses an id that a local user or group has, and a name that is one or stands in sudoers. Whether
//! all of them are gone depends on who else is taken over: aws-ec2-ssh's marker group commonly has the gid that is
//! the first user's uid, whose group then has the uid of the second, and so on.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::{self, Account, Group};
use super::check::{Refusal, check};
use super::facts::Facts;
use super::pair::{self, IamUser};
use super::{script, tree};
use crate::say::error::Error;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    /// Whom; none: all that a script made.
    pub names: Vec<String>,
    /// Files move to the id that the user has or will have, in place of the id to the user.
    pub renumber: bool,
    /// Only for `[ids]` of other hosts: what files and processes of this one need does not matter.
    pub elsewhere: bool,
}

/// What is to be done, and what is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub adopt: Vec<Adoption>,
    pub leave: Vec<Left>,
    /// Accounts that a script made and that stay.
    pub remaining: Vec<String>,
    /// Whether the marker group has nobody left.
    pub marker_goes: bool,
}

/// An account that becomes an IAM user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Adoption {
    pub name: String,
    pub uid: u32,
    /// Its primary group, if that is its own.
    pub private_gid: Option<u32>,
    /// The name of that group, if it has a line in group(5).
    pub private_group: Option<String>,
    pub home: String,
    pub iam_id: String,
    /// As IAM has it, made fit for a terminal.
    pub iam_name: String,
    /// The login name that it will have.
    pub login: String,
    /// The uid and gid that it will have.
    pub id: u32,
    pub loses: Vec<String>,
    pub notes: Vec<String>,
}

/// An account that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Left {
    pub name: String,
    pub why: String,
    pub hint: Option<String>,
}

impl Adoption {
    /// What files must be changed, if any.
    pub(super) fn moves(&self) -> Option<tree::Moves> {
        let uid = (self.uid, self.id);
        let gid = self.private_gid.map(|gid| (gid, self.id));
        (uid.0 != uid.1 || gid.is_some_and(|(old, new)| old != new)).then_some(tree::Moves { uid, gid })
    }
}

/// What the files say, read once.
pub(super) struct World<'a> {
    pub facts: &'a Facts,
    pub accounts: Vec<Account>,
    pub groups: Vec<Group>,
    pub marker: String,
    pub iam: Vec<IamUser<'a>>,
}

impl<'a> World<'a> {
    pub(super) fn of(facts: &'a Facts) -> Self {
        Self {
            facts,
            accounts: accounts::accounts(&facts.passwd),
            groups: accounts::groups(&facts.group),
            marker: script::marker(&facts.script_conf),
            iam: pair::users(&facts.accounts_of_iam),
        }
    }

    /// Accounts that a script made.
    fn made_by_script(&self) -> Vec<&str> {
        let marked = self.groups.iter().find(|group| group.name == self.marker);
        let made = |account: &&Account| {
            script::is_comment(&account.gecos)
                || marked.is_some_and(|group| group.members.contains(&account.name))
        };
        self.accounts.iter().filter(made).map(|account| account.name.as_str()).collect()
    }
}

/// Makes the plan.
///
/// # Errors
/// When a name was given that is no local account.
pub(super) fn plan(world: &World<'_>, request: &Request) -> Result<Plan, Error> {
    let scripted = world.made_by_script();
    let mut wanted: Vec<&str> = request.names.iter().map(String::as_str).collect();
    if let Some(name) =
        wanted.iter().find(|name| !world.accounts.iter().any(|account| account.name == **name))
    {
        let message = format!("'{}' is no account of '{}'", name.escape_default(), super::facts::PASSWD);
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
            Err(refusal) => plan.leave.push(left(name, refusal)),
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

fn left(name: &str, (why, hint): Refusal) -> Left {
    Left { name: name.to_owned(), why, hint }
}

/// Two accounts cannot be one IAM user.
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
        let why = format!("'{other}' would be the same IAM user '{}'", adoption.iam_name);
        plan.leave
            .push(left(&adoption.name, (why, Some("remove the account that is no longer used".to_owned()))));
        false
    });
}

/// Leaves accounts out until every id is free that the others get.
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
        let hint = "adopt both at once, give the other one another id, or use --renumber".to_owned();
        plan.leave.push(left(&name, (why, Some(hint))));
    }
}

/// Who and what will be gone.
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

    /// Who has the id that this one gets.
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
            return Some(format!("{id}, as its group is to have, is the gid of group '{}'", group.name));
        }
        if let Some(other) = plan.adopt.iter().find(|other| other.id == id && other.name != adoption.name) {
            return Some(format!("'{}' gets the same id {id}", other.name));
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
