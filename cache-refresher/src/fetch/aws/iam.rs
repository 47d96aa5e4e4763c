//! IAM's answers: all pages of each list, checked for what every genuine answer has.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::config::Builder;
use aws_sdk_iam::types::{EncodingType, StatusType, User};
use config::Source;
use listing::{Failure, FailureCode, FailureKind, Warning, is_id};

use super::accounts::OfRole;
use super::details::Details;
use super::pages::{PAGE, Pages};
use super::role::Role;
use super::sdk::{Aws, created, retries};
use super::watch::{Caller, QUERY};
use crate::fetch::accounts::Configured;
use crate::fetch::directory::{
    Directory, GroupAnswer, GroupName, KeyAnswer, KeyStore, ListedKey, Member, Who, Words,
};
use crate::fetch::failure::{Reason, Refusal};

/// IAM in one account, with the permissions of one role.
#[derive(Debug)]
pub(crate) struct Iam {
    client: Client,
    caller: Caller,
    /// For keys and tags.
    keys: Caller,
    /// `None`: not configured.
    details: Option<Details>,
}

impl OfRole for Iam {
    const SOURCE: Source = Source::Iam;

    fn open(aws: &Aws<'_>, role: Role, account: &Configured<'_>) -> Result<(Self, String), Failure> {
        let mut builder = Builder::from(&aws.reached.sdk).retry_partition(retries("iam", account.name));
        if let Some(url) = &aws.config.endpoint_url_iam {
            builder = builder.endpoint_url(url);
        }
        if let Some(credentials) = role.credentials.clone() {
            builder = builder.credentials_provider(credentials);
        }
        let caller = || {
            aws.caller(&QUERY, role.denied.clone(), aws.place(&role.account, account.name))
                .about(account.name)
        };
        let client = Client::from_conf(builder.build());
        let details = aws.config.account_details.then(Details::default);
        let iam = Iam { client, caller: caller(), keys: caller().for_keys(), details };
        Ok((iam, role.account))
    }
}

/// Lists the members of a group.
const GET_GROUP: &str = "iam:GetGroup";
/// Confirms that a user left a group.
const LIST_GROUPS_FOR_USER: &str = "iam:ListGroupsForUser";

impl Directory for Iam {
    type Keys = Self;
    const ASKS_BY_ID: bool = false;

    fn words() -> Words {
        Words {
            noun: Self::SOURCE.noun(),
            members: GET_GROUP,
            groups: LIST_GROUPS_FOR_USER,
            policy: "the policy of the role",
        }
    }

    async fn group(&self, name: &str) -> Result<GroupAnswer, Refusal> {
        const ACTION: &str = GET_GROUP;
        if let Some(details) = &self.details
            && let Some(answer) = details.group(&self.client, &self.caller, name).await?
        {
            return Ok(answer);
        }
        let mut group: Option<GroupAnswer> = None;
        let mut pages = Pages::default();
        while let Some(marker) = pages.next() {
            let answer = self
                .caller
                .call(ACTION, name, |watch| {
                    let call = self.client.get_group().group_name(name).max_items(PAGE).set_marker(marker);
                    call.customize().interceptor(watch).send()
                })
                .await
                .map_err(|refusal| self.no_such_group(refusal, name))?;
            pages
                .turn(answer.is_truncated, answer.marker)
                .map_err(|cause| self.caller.contradiction(ACTION, name, cause))?;
            let about = answer.group.filter(|about| about.group_name.eq_ignore_ascii_case(name));
            let about = about.ok_or_else(|| {
                self.caller.contradiction(ACTION, name, "the answer is about another group")
            })?;
            if !is_id(&about.group_id) || group.as_ref().is_some_and(|group| group.id != about.group_id) {
                return Err(self.caller.contradiction(ACTION, name, "the answer has no GroupId, or two"));
            }
            let group = group.get_or_insert_with(|| GroupAnswer {
                id: about.group_id,
                name: about.group_name,
                members: Vec::new(),
            });
            for user in answer.users {
                let member = member(user).ok_or_else(|| {
                    self.caller.contradiction(ACTION, name, "a member without UserId or UserName")
                })?;
                group.members.push(member);
            }
        }
        group.ok_or_else(|| self.caller.contradiction(ACTION, name, "no answer"))
    }

    async fn groups_of(&self, user: Who<'_>) -> Result<Vec<GroupName>, Refusal> {
        const ACTION: &str = LIST_GROUPS_FOR_USER;
        let user = user.name;
        let mut groups = Vec::new();
        let mut pages = Pages::default();
        while let Some(marker) = pages.next() {
            let answer = self
                .caller
                .call(ACTION, user, |watch| {
                    let call = self.client.list_groups_for_user().user_name(user).set_marker(marker);
                    call.customize().interceptor(watch).send()
                })
                .await?;
            pages
                .turn(answer.is_truncated, answer.marker)
                .map_err(|cause| self.caller.contradiction(ACTION, user, cause))?;
            let names = answer.groups.into_iter();
            groups.extend(names.map(|group| GroupName { id: group.group_id, name: Some(group.group_name) }));
        }
        Ok(groups)
    }

    async fn group_called(&self, id: &str) -> Result<Option<String>, Refusal> {
        const ACTION: &str = "iam:ListGroups";
        let mut found = None;
        let mut pages = Pages::default();
        while let Some(marker) = pages.next() {
            let answer = self
                .caller
                .call(ACTION, id, |watch| {
                    self.client.list_groups().set_marker(marker).customize().interceptor(watch).send()
                })
                .await?;
            pages
                .turn(answer.is_truncated, answer.marker)
                .map_err(|cause| self.caller.contradiction(ACTION, id, cause))?;
            found = found.or(answer.groups.into_iter().find(|group| group.group_id == id));
        }
        Ok(found.map(|group| group.group_name))
    }

    fn key_store(&self) -> Option<&Self> {
        Some(self)
    }

    fn warning(&self) -> Option<Warning> {
        self.details.as_ref().and_then(Details::warning)
    }

    fn time_left(&self) -> Duration {
        self.caller.time_left()
    }
}

impl KeyStore for Iam {
    async fn keys(&self, user: &str) -> Result<Vec<ListedKey>, Refusal> {
        const ACTION: &str = "iam:ListSSHPublicKeys";
        let mut keys: Vec<ListedKey> = Vec::new();
        let mut pages = Pages::default();
        while let Some(marker) = pages.next() {
            let answer = self
                .keys
                .call(ACTION, user, |watch| {
                    let call = self.client.list_ssh_public_keys().user_name(user).set_marker(marker);
                    call.customize().interceptor(watch).send()
                })
                .await?;
            pages
                .turn(answer.is_truncated, answer.marker)
                .map_err(|cause| self.keys.contradiction(ACTION, user, cause))?;
            for key in answer.ssh_public_keys.unwrap_or_default() {
                if key.ssh_public_key_id.is_empty() {
                    return Err(self.keys.contradiction(ACTION, user, "a key without an id"));
                }
                let active = key.status == StatusType::Active;
                if !keys.iter().any(|other| other.id == key.ssh_public_key_id) {
                    keys.push(ListedKey { id: key.ssh_public_key_id, active });
                }
            }
        }
        Ok(keys)
    }

    async fn key(&self, user: &str, id: &str) -> Result<KeyAnswer, Refusal> {
        const ACTION: &str = "iam:GetSSHPublicKey";
        let answer = self
            .keys
            .call(ACTION, user, |watch| {
                let call = self.client.get_ssh_public_key().user_name(user).ssh_public_key_id(id);
                call.encoding(EncodingType::Ssh).customize().interceptor(watch).send()
            })
            .await?;
        match answer.ssh_public_key {
            Some(key) if key.ssh_public_key_id == id && key.user_name == user => {
                Ok(KeyAnswer { active: key.status == StatusType::Active, body: key.ssh_public_key_body })
            }
            _ => Err(self.keys.contradiction(ACTION, user, "the answer is about another key")),
        }
    }

    async fn tags(&self, user: &str) -> Result<BTreeMap<String, String>, Refusal> {
        const ACTION: &str = "iam:ListUserTags";
        if let Some(tags) = self.details.as_ref().and_then(|details| details.tags(user)) {
            return Ok(tags);
        }
        let mut tags = BTreeMap::new();
        let mut pages = Pages::default();
        while let Some(marker) = pages.next() {
            let answer = self
                .keys
                .call(ACTION, user, |watch| {
                    let call = self.client.list_user_tags().user_name(user).set_marker(marker);
                    call.customize().interceptor(watch).send()
                })
                .await?;
            pages
                .turn(answer.is_truncated, answer.marker)
                .map_err(|cause| self.keys.contradiction(ACTION, user, cause))?;
            tags.extend(answer.tags.into_iter().map(|tag| (tag.key, tag.value)));
        }
        Ok(tags)
    }
}

impl Iam {
    fn no_such_group(&self, refusal: Refusal, name: &str) -> Refusal {
        if refusal.reason != Reason::NotFound {
            return refusal;
        }
        let cause = "NoSuchEntity: the group does not exist in this account";
        let hint = "create the group in IAM, or correct its name in `groups`";
        let failure = self.caller.failure(GET_GROUP, name, cause, hint, FailureKind::Configuration);
        Refusal { failure: Failure { code: Some(FailureCode::NoSuchGroup), ..failure }, ..refusal }
    }
}

fn member(user: User) -> Option<Member> {
    let created = created(&user.create_date);
    let member = Member { id: user.user_id, name: user.user_name, created };
    (is_id(&member.id) && !member.name.is_empty()).then_some(member)
}
