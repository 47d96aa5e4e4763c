//! What a refresh asks of an account, in words of ours. `aws/iam.rs` answers from IAM, tests from a table.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::failure::Refusal;

/// An IAM group with its members.
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
    pub(crate) name: String,
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

/// Every answer is whole, or it is a refusal: no method returns the first pages of a list.
pub(crate) trait Directory {
    /// `iam:GetGroup`.
    async fn group(&self, name: &str) -> Result<GroupAnswer, Refusal>;
    /// `iam:ListGroupsForUser`.
    async fn groups_of(&self, user: &str) -> Result<Vec<GroupName>, Refusal>;
    /// `iam:ListGroups`: the present name of the group with this id.
    async fn group_called(&self, id: &str) -> Result<Option<String>, Refusal>;
    /// `iam:ListSSHPublicKeys`.
    async fn keys(&self, user: &str) -> Result<Vec<ListedKey>, Refusal>;
    /// `iam:GetSSHPublicKey`.
    async fn key(&self, user: &str, id: &str) -> Result<KeyAnswer, Refusal>;
    /// `iam:ListUserTags`.
    async fn tags(&self, user: &str) -> Result<BTreeMap<String, String>, Refusal>;
    /// Until the deadline of the whole fetch.
    fn time_left(&self) -> Duration;
}
