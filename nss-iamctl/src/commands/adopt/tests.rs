//! Plans from text, and plans carried out on a tree in a directory.

mod checked;
mod host;
mod planned;
mod undo;

use cache::state::Identity;
use policy::{IamId, Id};

use super::facts::{Facts, Home};
use super::outcome::Plan;
use super::plan;
use super::world::{Request, World};
use crate::host::accounts;

/// A host with these files and IAM users, `name` or `name=UserId`. All have a key and a home directory.
fn facts(passwd: &str, group: &str, iam: &[&str]) -> Facts {
    let users = iam.iter().map(|text| {
        let (name, id) = text.split_once('=').unwrap_or((text, ""));
        let id = if id.is_empty() {
            format!("AIDA-{}", name.replace(['@', '.', '+', ','], "-"))
        } else {
            id.to_owned()
        };
        let key = listing::Key { active: true, ..listing::Key::default() };
        listing::User { id, name: name.to_owned(), keys: vec![key], ..listing::User::default() }
    });
    let account = listing::Account { users: users.collect(), ..listing::Account::default() };
    let homes =
        accounts::accounts(passwd.as_bytes()).into_iter().map(|account| (account.home, Home::Directory));
    Facts {
        passwd: passwd.as_bytes().to_vec(),
        group: group.as_bytes().to_vec(),
        accounts_of_iam: vec![account],
        homes: homes.collect(),
        ..Facts::default()
    }
}

/// A line of passwd(5) as written by the script's useradd.
fn line(name: &str, uid: u32, gid: u32) -> String {
    format!("{name}:x:{uid}:{gid}:AWS User:/home/{name}:/bin/bash\n")
}

fn given(facts: &mut Facts, iam_id: &str, id: u32) {
    let identity = Identity { id: Id::pinned(id).unwrap(), pinned: false };
    facts.identities.insert(IamId::new(iam_id), identity);
}

fn planned(facts: &Facts, names: &[&str], renumber: bool) -> Plan {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    plan::plan(&World::of(facts), &Request { names, renumber, elsewhere: false }).unwrap()
}

/// For each account: `name -> UserId id`, or `name: why not`.
fn summary(plan: &Plan) -> Vec<String> {
    let adopted = plan.adopt.iter().map(|a| format!("{} -> {} {}", a.name, a.iam_id, a.id));
    adopted.chain(plan.leave.iter().map(|left| format!("{}: {}", left.name, left.why.what()))).collect()
}
