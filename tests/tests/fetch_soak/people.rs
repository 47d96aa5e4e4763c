//! The people in IAM: those who never change, and those who come and go. All changes in the emulator are recorded
//! here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tests::{Account, Person};

use crate::random::Random;

pub(crate) const GROUPS: [&str; 3] = ["Alpha", "Beta", "Gamma"];

/// Name, groups, keys.
const STABLE: [(&str, &[&str], usize); 6] = [
    ("ana", &["Alpha"], 1),
    ("bob", &["Alpha", "Beta"], 2),
    ("eve", &["Alpha", "Beta", "Gamma"], 3),
    ("joe", &["Beta", "Gamma"], 1),
    ("kim", &["Gamma"], 2),
    ("zoe", &["Beta"], 2),
];
const OTHERS: [&str; 6] = ["u0", "u1", "u2", "u3", "u4", "u5"];
/// Bodies for keys that are added.
const BODIES: usize = 60;

#[derive(Debug, Clone)]
struct User {
    id: String,
    groups: BTreeSet<&'static str>,
    /// Id, active, body.
    keys: Vec<(String, bool, String)>,
}

pub(crate) struct People {
    account: Account,
    /// The present name of the group Gamma.
    gamma: &'static str,
    users: BTreeMap<&'static str, User>,
    bodies: Vec<String>,
    changes: usize,
    local: u32,
}

fn string(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

impl User {
    fn new(answer: &Value, groups: BTreeSet<&'static str>) -> Self {
        let keys = answer["keys"].as_array().into_iter().flatten();
        let keys = keys.map(|key| (string(&key["id"]), true, string(&key["body"])));
        Self { id: string(&answer["id"]), groups, keys: keys.collect() }
    }
}

impl People {
    pub(crate) fn seed(account: &Account) -> Self {
        let of = |group: &str| -> Vec<&str> {
            STABLE.iter().filter(|(_, groups, _)| groups.contains(&group)).map(|(name, ..)| *name).collect()
        };
        let mut wish: Vec<Value> =
            STABLE.iter().map(|(name, _, keys)| json!({"name": name, "keys": keys})).collect();
        wish.push(json!({"name": "bodies", "keys": BODIES}));
        let groups: BTreeMap<&str, Vec<&str>> = GROUPS.into_iter().map(|group| (group, of(group))).collect();
        let answer = account.seed(json!({"users": wish, "groups": groups}));
        let users = STABLE.iter().map(|(name, groups, _)| {
            (*name, User::new(&answer["users"][name], groups.iter().copied().collect()))
        });
        let bodies = answer["users"]["bodies"]["keys"].as_array().into_iter().flatten();
        let local = std::fs::read_to_string("/etc/group").unwrap();
        let local =
            local.lines().find_map(|line| line.strip_prefix("users:x:")?.split(':').next()?.parse().ok());
        Self {
            account: account.clone(),
            gamma: "Gamma",
            users: users.collect(),
            bodies: bodies.map(|key| string(&key["body"])).collect(),
            changes: 0,
            local: local.expect("the group 'users'"),
        }
    }

    pub(crate) fn stable(&self) -> impl Iterator<Item = &'static str> + use<> {
        STABLE.iter().map(|(name, ..)| *name)
    }

    pub(crate) fn changes(&self) -> usize {
        self.changes
    }

    /// What a host shows about them.
    pub(crate) fn expected(&self) -> BTreeMap<String, Person> {
        let members = self.users.iter().filter(|(_, user)| !user.groups.is_empty());
        let person = |user: &User| Person {
            iam_id: user.id.clone(),
            groups: user
                .groups
                .iter()
                .map(|group| group.to_lowercase())
                .chain(["iam-users".to_owned()])
                .collect(),
            local: user.groups.iter().filter(|group| **group == "Alpha").map(|_| self.local).collect(),
            keys: user.keys.iter().filter(|(_, active, _)| *active).map(|(.., body)| body.clone()).collect(),
        };
        members.map(|(name, user)| ((*name).to_owned(), person(user))).collect()
    }

    /// One change to one of the people who come and go.
    pub(crate) fn change(&mut self, random: &mut Random) {
        let name = *random.pick(&OTHERS).unwrap();
        let group = *random.pick(&GROUPS).unwrap();
        self.changes += 1;
        if !self.users.contains_key(name) {
            return self.add(name, group, random);
        }
        match random.below(10) {
            0 => self.delete(name),
            1 => {
                self.delete(name);
                self.add(name, group, random);
            }
            2..=5 => self.toggle(name, group),
            6..=7 => self.add_key(name),
            8 => self.delete_key(name, random),
            _ => self.toggle_key(name, random),
        }
    }

    /// Renames Gamma, or restores its name.
    pub(crate) fn rename(&mut self) {
        let new = if self.gamma == "Gamma" { "Delta" } else { "Gamma" };
        self.do_one(json!({"do": "rename_group", "group": self.gamma, "name": new}));
        self.gamma = new;
        self.changes += 1;
    }

    /// Whether Gamma has the name that the configuration uses.
    pub(crate) fn is_renamed(&self) -> bool {
        self.gamma != "Gamma"
    }

    fn add(&mut self, name: &'static str, group: &'static str, random: &mut Random) {
        let answer = self.do_one(json!({"do": "add_user", "name": name, "keys": random.below(3)}));
        self.users.insert(name, User::new(&answer, BTreeSet::new()));
        self.toggle(name, group);
    }

    fn delete(&mut self, name: &str) {
        self.do_one(json!({"do": "delete_user", "user": name}));
        self.users.remove(name);
    }

    fn toggle(&mut self, name: &str, group: &'static str) {
        let is_in = self.users[name].groups.contains(group);
        let what = if is_in { "remove_member" } else { "add_member" };
        let now = if group == "Gamma" { self.gamma } else { group };
        self.do_one(json!({"do": what, "group": now, "user": name}));
        let groups = &mut self.users.get_mut(name).unwrap().groups;
        if !groups.remove(group) {
            groups.insert(group);
        }
    }

    fn add_key(&mut self, name: &str) {
        let body = self.bodies[self.changes % self.bodies.len()].clone();
        let user = &self.users[name];
        // Two keys of one user with the same body are one line for sshd.
        if user.keys.len() >= 5 || user.keys.iter().any(|(.., known)| *known == body) {
            return;
        }
        let answer = self.do_one(json!({"do": "add_key", "user": name, "body": body}));
        self.users.get_mut(name).unwrap().keys.push((string(&answer["id"]), true, body));
    }

    fn delete_key(&mut self, name: &str, random: &mut Random) {
        let Some((id, ..)) = random.pick(&self.users[name].keys).cloned() else { return };
        self.do_one(json!({"do": "delete_key", "user": name, "key": id}));
        self.users.get_mut(name).unwrap().keys.retain(|(other, ..)| *other != id);
    }

    fn toggle_key(&mut self, name: &str, random: &mut Random) {
        let Some((id, active, _)) = random.pick(&self.users[name].keys).cloned() else { return };
        let status = if active { "Inactive" } else { "Active" };
        self.do_one(json!({"do": "set_key_status", "user": name, "key": id, "status": status}));
        let keys = self.users.get_mut(name).unwrap().keys.iter_mut();
        keys.filter(|(other, ..)| *other == id).for_each(|(_, active, _)| *active = !*active);
    }

    fn do_one(&self, change: Value) -> Value {
        self.account.change(change)[0].clone()
    }
}
