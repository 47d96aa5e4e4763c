//! GetAccountAuthorizationDetails: the members of all groups of an account, and the tags of its users, in one call for each
//! thousand of them. It is optional, since it needs a permission that also reads policies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{EntityType, GroupDetail, UserDetail};
use listing::{FailureKind, Warning, WarningCode, is_id};
use tokio::sync::OnceCell;

use super::pages::{PAGE, Pages};
use super::sdk::created;
use super::watch::Caller;
use crate::fetch::directory::{GroupAnswer, Member};
use crate::fetch::failure::Refusal;

const ACTION: &str = "iam:GetAccountAuthorizationDetails";

/// What this is about, in messages.
const ALL: &str = "all users and groups";

/// The answer, which is read at most once.
#[derive(Debug, Default)]
pub(super) struct Details {
    read: OnceCell<Result<Whole, Refusal>>,
    /// Names of groups that were answered for, in lower case.
    answered: Mutex<BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Whole {
    /// By name in lower case.
    groups: BTreeMap<String, GroupAnswer>,
    /// UserName -> tags.
    tags: BTreeMap<String, BTreeMap<String, String>>,
}

impl Details {
    /// A group and its members; `None`: ask another call. That confirms what this answer lacks, so a second question about
    /// a group is for the other call, and so is one about a group that is not in the answer.
    pub(super) async fn group(
        &self,
        client: &Client,
        caller: &Caller,
        name: &str,
    ) -> Result<Option<GroupAnswer>, Refusal> {
        let name = name.to_ascii_lowercase();
        if !self.answered.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
            return Ok(None);
        }
        match self.read.get_or_init(|| read(client, caller)).await {
            Ok(whole) => Ok(whole.groups.get(&name).cloned()),
            Err(refusal) if is_useless(refusal) => Ok(None),
            Err(refusal) => Err(refusal.clone()),
        }
    }

    /// The tags of a user, if they were read.
    pub(super) fn tags(&self, user: &str) -> Option<BTreeMap<String, String>> {
        self.read.get()?.as_ref().ok()?.tags.get(user).cloned()
    }

    /// Says that the call cannot be used.
    pub(super) fn warning(&self) -> Option<Warning> {
        let refusal = self.read.get()?.as_ref().err().filter(|refusal| is_useless(refusal))?;
        let what = format!(
            "account_details in [aws] has no effect, because {ACTION} failed: {}; groups were read one by one",
            refusal.failure.cause
        );
        let hint = format!("allow {ACTION} on '*', or set account_details = false");
        Some(Warning::new(WarningCode::DetailsDenied, what, hint))
    }
}

/// Whether another call can be asked instead: where AWS does not answer, or throttles, it could not either.
fn is_useless(refusal: &Refusal) -> bool {
    refusal.failure.kind != FailureKind::Unavailable
}

/// All pages.
async fn read(client: &Client, caller: &Caller) -> Result<Whole, Refusal> {
    let (mut groups, mut users) = (Vec::new(), Vec::new());
    let mut pages = Pages::default();
    while let Some(marker) = pages.next() {
        let answer = caller
            .call(ACTION, ALL, |watch| {
                let call = client.get_account_authorization_details().max_items(PAGE).set_marker(marker);
                let call = call.filter(EntityType::User).filter(EntityType::Group);
                call.customize().interceptor(watch).send()
            })
            .await?;
        pages
            .turn(answer.is_truncated, answer.marker)
            .map_err(|cause| caller.contradiction(ACTION, ALL, cause))?;
        groups.extend(answer.group_detail_list.unwrap_or_default());
        users.extend(answer.user_detail_list.unwrap_or_default());
    }
    whole(groups, users).map_err(|cause| caller.contradiction(ACTION, ALL, cause))
}

/// The error is what is wrong with the answer.
fn whole(groups: Vec<GroupDetail>, users: Vec<UserDetail>) -> Result<Whole, &'static str> {
    let mut whole = Whole::default();
    for group in groups {
        let (Some(id), Some(name)) = (group.group_id.filter(|id| is_id(id)), group.group_name) else {
            return Err("a group without GroupId or GroupName");
        };
        let answer = GroupAnswer { id, name, members: Vec::new() };
        if let Some(other) = whole.groups.insert(answer.name.to_ascii_lowercase(), answer)
            && whole.groups.get(&other.name.to_ascii_lowercase()).is_some_and(|group| group.id != other.id)
        {
            return Err("two groups with one name");
        }
    }
    for user in users {
        let (Some(id), Some(name)) =
            (user.user_id.filter(|id| is_id(id)), user.user_name.filter(|name| !name.is_empty()))
        else {
            return Err("a user without UserId or UserName");
        };
        let member = Member { id, name, created: user.create_date.as_ref().and_then(created) };
        // A group that was created meanwhile may not be in the answer.
        for group in user.group_list.unwrap_or_default() {
            if let Some(group) = whole.groups.get_mut(&group.to_ascii_lowercase()) {
                group.members.push(member.clone());
            }
        }
        let tags = user.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
        whole.tags.insert(member.name, tags);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(id: &str, name: &str) -> GroupDetail {
        GroupDetail::builder().group_id(id).group_name(name).build()
    }

    fn user(id: &str, name: &str, groups: &[&str]) -> UserDetail {
        let user = UserDetail::builder().user_id(id).user_name(name);
        groups.iter().fold(user, |user, group| user.group_list(*group)).build()
    }

    #[test]
    fn members_are_put_together_from_the_groups_of_users() {
        let users = vec![
            user("AIDA1", "ana", &["G", "H"]),
            user("AIDA2", "bob", &["g", "New"]),
            user("AIDA3", "eve", &[]),
        ];
        let whole =
            whole(vec![group("AGPA1", "G"), group("AGPA2", "H"), group("AGPA3", "Empty")], users).unwrap();
        let members = |name: &str| -> Vec<&str> {
            whole.groups[name].members.iter().map(|member| member.name.as_str()).collect()
        };
        assert_eq!((members("g"), members("h"), members("empty")), (vec!["ana", "bob"], vec!["ana"], vec![]));
        assert!(!whole.groups.contains_key("new"), "another call is asked for it");
        assert_eq!(whole.tags["eve"], BTreeMap::new());
    }

    #[test]
    fn an_answer_that_no_genuine_one_can_be_is_refused() {
        let groups = || vec![group("AGPA1", "G")];
        for (groups, users) in [
            (vec![group("", "G")], vec![]),
            (vec![group("a:b", "G")], vec![]),
            (vec![GroupDetail::builder().group_id("AGPA1").build()], vec![]),
            (vec![group("AGPA1", "G"), group("AGPA2", "g")], vec![]),
            (groups(), vec![user("", "ana", &["G"])]),
            (groups(), vec![user("AIDA1", "", &["G"])]),
            (groups(), vec![UserDetail::builder().user_id("AIDA1").build()]),
        ] {
            assert!(whole(groups, users).is_err());
        }
    }
}
