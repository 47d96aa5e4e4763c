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

/// Every answer is whole, or it is a refusal: no method returns the first pages of a list.
pub(crate) trait Directory {
    /// `iam:GetGroup`.
    async fn group(&self, name: &str) -> Result<GroupAnswer, Refusal>;
    /// `iam:ListGroupsForUser`: names of groups.
    async fn groups_of(&self, user: &str) -> Result<Vec<String>, Refusal>;
    /// `iam:ListSSHPublicKeys`.
    async fn keys(&self, user: &str) -> Result<Vec<ListedKey>, Refusal>;
    /// `iam:GetSSHPublicKey`: the body in authorized_keys form.
    async fn key(&self, user: &str, id: &str) -> Result<String, Refusal>;
    /// `iam:ListUserTags`.
    async fn tags(&self, user: &str) -> Result<BTreeMap<String, String>, Refusal>;
    /// Until the deadline of the whole fetch.
    fn time_left(&self) -> Duration;
}
