//! An account as a table: what IAM holds, and how it answers.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use listing::FailureKind;

use crate::fetch::directory::{
    Directory, GroupAnswer, GroupName, KeyAnswer, KeyStore, ListedKey, Member, NoKeys, Who, Words,
};
use crate::fetch::failure::{Reason, Refusal, failure};

/// Everything is correct and allowed, unless a test says otherwise.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// Name -> GroupId, names of members.
    pub(super) groups: BTreeMap<String, (String, BTreeSet<String>)>,
    pub(super) users: BTreeMap<String, TableUser>,
    /// Call and what it is on -> how it is refused.
    pub(super) refuse: BTreeMap<(&'static str, String), Reason>,
    /// What is left out, and how many times: by GetGroup a member of a group; by ListGroupsForUser all groups of a user,
    /// under the name of the call.
    pub(super) forget: RefCell<BTreeMap<(String, String), u32>>,
    pub(super) asked: RefCell<Vec<(&'static str, String)>>,
    /// Keys that ListSSHPublicKeys leaves out.
    pub(super) hidden: BTreeSet<String>,
    pub(super) short_of_time: bool,
    /// How many more calls for keys a limit allows; none: any number.
    pub(super) calls_left: Cell<Option<u32>>,
    /// A source whose users have no keys.
    pub(super) keyless: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct TableUser {
    pub(super) id: String,
    pub(super) keys: BTreeMap<String, (bool, String)>,
    pub(super) tags: BTreeMap<String, String>,
}

impl Table {
    pub(super) fn user(mut self, name: &str, groups: &[&str]) -> Self {
        let key = (true, format!("ssh-ed25519 {name}"));
        let user = TableUser {
            id: format!("AIDA{name}"),
            keys: [(format!("APKA{name}"), key)].into(),
            tags: BTreeMap::new(),
        };
        self.users.insert(name.to_owned(), user);
        for group in groups {
            let group = self.groups.entry((*group).to_owned()).or_default();
            group.1.insert(name.to_owned());
        }
        for (name, group) in &mut self.groups {
            group.0 = format!("AGPA{name}");
        }
        self
    }

    pub(super) fn refusing(mut self, call: &'static str, on: &str, reason: Reason) -> Self {
        self.refuse.insert((call, on.to_owned()), reason);
        self
    }

    /// Denies the call that would confirm that `ana` or `bob` left.
    pub(super) fn unconfirmable(self) -> Self {
        ["ana", "bob"]
            .into_iter()
            .fold(self, |table, name| table.refusing("ListGroupsForUser", name, Reason::Denied))
    }

    pub(super) fn forgetting(self, group: &str, user: &str, times: u32) -> Self {
        self.forget.borrow_mut().insert((group.to_owned(), user.to_owned()), times);
        self
    }

    fn forgets(&self, from: &str, what: &str) -> bool {
        match self.forget.borrow_mut().get_mut(&(from.to_owned(), what.to_owned())) {
            Some(times) if *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        }
    }

    /// Each user gets the name that a list has in the place of their own, and stays the same user.
    pub(super) fn rename(&mut self, from: &[String], to: &[String]) {
        let now: BTreeMap<&String, &String> = from.iter().zip(to).collect();
        let renamed = |name: String| now.get(&name).map_or(name, |now| (*now).clone());
        self.users =
            std::mem::take(&mut self.users).into_iter().map(|(name, user)| (renamed(name), user)).collect();
        for (_, members) in self.groups.values_mut() {
            *members = std::mem::take(members).into_iter().map(renamed).collect();
        }
    }

    /// Leaves every group and is deleted.
    pub(super) fn delete(&mut self, name: &str) {
        self.users.remove(name);
        for (_, members) in self.groups.values_mut() {
            members.remove(name);
        }
    }

    pub(super) fn asked(&self, call: &str) -> usize {
        self.asked.borrow().iter().filter(|(asked, _)| *asked == call).count()
    }

    fn ask(&self, call: &'static str, on: &str) -> Result<(), Refusal> {
        if call.contains("SSH")
            && let Some(left) = self.calls_left.get()
        {
            let Some(left) = left.checked_sub(1) else { return Err(refusal(call, on, Reason::NoCalls)) };
            self.calls_left.set(Some(left));
        }
        self.asked.borrow_mut().push((call, on.to_owned()));
        match self.refuse.get(&(call, on.to_owned())) {
            Some(reason) => Err(refusal(call, on, reason.clone())),
            None => Ok(()),
        }
    }

    fn known(&self, call: &'static str, name: &str) -> Result<&TableUser, Refusal> {
        self.ask(call, name)?;
        self.users.get(name).ok_or_else(|| refusal(call, name, Reason::NotFound))
    }
}

fn refusal(call: &str, on: &str, reason: Reason) -> Refusal {
    let (cause, kind) = match reason {
        Reason::NotFound => ("NoSuchEntity: no", FailureKind::Configuration),
        Reason::Denied => ("AccessDenied: no", FailureKind::Denied),
        _ => ("connection refused", FailureKind::Unavailable),
    };
    Refusal { failure: failure(call, on, cause, "", kind), reason }
}

impl Directory for Table {
    type Keys = Self;
    const ASKS_BY_ID: bool = false;

    fn words() -> Words {
        Words {
            noun: "table",
            members: "table:GetGroup",
            groups: "table:ListGroupsForUser",
            policy: "the table",
        }
    }

    async fn group(&self, name: &str) -> Result<GroupAnswer, Refusal> {
        self.ask("GetGroup", name)?;
        let Some((id, members)) = self.groups.get(name) else {
            return Err(refusal("GetGroup", name, Reason::NotFound));
        };
        let members = members.iter().filter(|member| !self.forgets(name, member)).map(|member| Member {
            id: self.users.get(member).map(|user| user.id.clone()).unwrap_or_default(),
            name: member.clone(),
            created: None,
        });
        Ok(GroupAnswer { id: id.clone(), name: name.to_owned(), members: members.collect() })
    }

    async fn groups_of(&self, user: Who<'_>) -> Result<Vec<GroupName>, Refusal> {
        let user = user.name;
        self.known("ListGroupsForUser", user)?;
        if self.forgets("ListGroupsForUser", user) {
            return Ok(Vec::new());
        }
        let groups = self.groups.iter().filter(|(_, (_, members))| members.contains(user));
        Ok(groups.map(|(name, (id, _))| GroupName { id: id.clone(), name: Some(name.clone()) }).collect())
    }

    async fn group_called(&self, id: &str) -> Result<Option<String>, Refusal> {
        self.ask("ListGroups", "")?;
        Ok(self.groups.iter().find(|(_, (group, _))| group == id).map(|(name, _)| name.clone()))
    }

    fn key_store(&self) -> Option<&Self> {
        (!self.keyless).then_some(self)
    }

    fn time_left(&self) -> Duration {
        if self.short_of_time { Duration::from_secs(9) } else { Duration::from_secs(100) }
    }
}

impl KeyStore for Table {
    async fn keys(&self, user: &str) -> Result<Vec<ListedKey>, Refusal> {
        let user = self.known("ListSSHPublicKeys", user)?;
        let listed = user.keys.iter().filter(|(id, _)| !self.hidden.contains(*id));
        Ok(listed.map(|(id, (active, _))| ListedKey { id: id.clone(), active: *active }).collect())
    }

    async fn key(&self, user: &str, id: &str) -> Result<KeyAnswer, Refusal> {
        self.ask("GetSSHPublicKey", id)?;
        let key = self.users.get(user).and_then(|user| user.keys.get(id));
        let key = key.map(|(active, body)| KeyAnswer { active: *active, body: body.clone() });
        key.ok_or_else(|| refusal("GetSSHPublicKey", id, Reason::NotFound))
    }

    async fn tags(&self, user: &str) -> Result<BTreeMap<String, String>, Refusal> {
        Ok(self.known("ListUserTags", user)?.tags.clone())
    }
}

/// The same table as a source that is asked by id, without keys.
#[derive(Debug)]
pub(super) struct ById<'a>(pub(super) &'a Table);

impl Directory for ById<'_> {
    type Keys = NoKeys;
    const ASKS_BY_ID: bool = true;

    fn words() -> Words {
        Table::words()
    }

    async fn group(&self, name: &str) -> Result<GroupAnswer, Refusal> {
        self.0.group(name).await
    }

    async fn groups_of(&self, user: Who<'_>) -> Result<Vec<GroupName>, Refusal> {
        let now = self.0.users.iter().find(|(_, other)| other.id == user.id).map(|(name, _)| name.as_str());
        self.0.groups_of(Who { name: now.unwrap_or_default(), ..user }).await
    }

    async fn group_called(&self, id: &str) -> Result<Option<String>, Refusal> {
        self.0.group_called(id).await
    }

    fn key_store(&self) -> Option<&NoKeys> {
        None
    }

    fn time_left(&self) -> Duration {
        self.0.time_left()
    }
}
