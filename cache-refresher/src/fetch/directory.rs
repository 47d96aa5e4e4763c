//! What a refresh asks of an account, independent of the source. `aws/iam.rs` answers from IAM, tests from a table.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use listing::Warning;

use super::failure::{Refusal, printable};

/// What messages call a source and its calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    /// The source, also before `user` and `group`: `IAM`.
    pub(crate) noun: &'static str,
    /// The call that lists the members of a group: `iam:GetGroup`.
    pub(crate) members: &'static str,
    /// The call that confirms that somebody left a group: `iam:ListGroupsForUser`.
    pub(crate) groups: &'static str,
    /// Where else names of groups are configured: `the policy of the role`.
    pub(crate) policy: &'static str,
}

impl Words {
    /// `IAM user 'ana'`
    pub(crate) fn user(&self, name: &str) -> String {
        format!("{} user '{}'", self.noun, printable(name))
    }

    /// `IAM group 'Ops'`
    pub(crate) fn group(&self, name: &str) -> String {
        format!("{} group '{}'", self.noun, printable(name))
    }

    /// The call that lists members, without the service: `GetGroup`.
    pub(crate) fn lists(&self) -> &'static str {
        self.members.rsplit(':').next().unwrap_or(self.members)
    }
}

/// A group with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupAnswer {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) members: Vec<Member>,
}

/// A group without its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupName {
    pub(crate) id: String,
    /// `None`: the source tells it only to who asks for the group.
    pub(crate) name: Option<String>,
}

/// A user who was known before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: Option<Timestamp>,
}

/// An SSH public key without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedKey {
    pub(crate) id: String,
    pub(crate) active: bool,
}

/// An SSH public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyAnswer {
    pub(crate) active: bool,
    /// In authorized_keys form.
    pub(crate) body: String,
}

/// Every answer is complete, or it is a refusal: no method returns only the first pages of a list.
pub(crate) trait Directory {
    /// Answers for keys and tags of its users.
    type Keys: KeyStore;
    /// Whether users are asked for by their ids. Otherwise an answer is about the user who has the name now.
    const ASKS_BY_ID: bool;
    /// For messages.
    fn words() -> Words;
    /// A group, as the configuration names it, and its members. If it does not exist, the refusal says what to do.
    async fn group(&self, name: &str) -> Result<GroupAnswer, Refusal>;
    /// The groups that the user is a member of.
    async fn groups_of(&self, user: Who<'_>) -> Result<Vec<GroupName>, Refusal>;
    /// The current name of the group with this id.
    async fn group_called(&self, id: &str) -> Result<Option<String>, Refusal>;
    /// `None`: users of this source have no keys.
    fn key_store(&self) -> Option<&Self::Keys>;
    /// What an administrator should know of the reading so far.
    fn warning(&self) -> Option<Warning> {
        None
    }
    /// The time until the deadline of the fetch.
    fn time_left(&self) -> Duration;
}

/// Of a source without keys.
#[derive(Debug)]
pub(crate) enum NoKeys {}

impl KeyStore for NoKeys {
    async fn keys(&self, _: &str) -> Result<Vec<ListedKey>, Refusal> {
        match *self {}
    }

    async fn key(&self, _: &str, _: &str) -> Result<KeyAnswer, Refusal> {
        match *self {}
    }

    async fn tags(&self, _: &str) -> Result<BTreeMap<String, String>, Refusal> {
        match *self {}
    }
}

/// As with [`Directory`], every answer is complete, or it is a refusal.
pub(crate) trait KeyStore {
    /// All keys of a user.
    async fn keys(&self, user: &str) -> Result<Vec<ListedKey>, Refusal>;
    /// One key of a user.
    async fn key(&self, user: &str, id: &str) -> Result<KeyAnswer, Refusal>;
    /// All tags of a user.
    async fn tags(&self, user: &str) -> Result<BTreeMap<String, String>, Refusal>;
}
