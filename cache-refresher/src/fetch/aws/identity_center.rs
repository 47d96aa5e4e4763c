//! The answers of identity stores, where IAM Identity Center keeps users and groups. It keeps no keys.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::time::Duration;

use aws_config::Region;
use aws_sdk_identitystore::Client;
use aws_sdk_identitystore::config::Builder;
use aws_sdk_identitystore::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_identitystore::types::error::ResourceNotFoundException;
use aws_sdk_identitystore::types::{
    AlternateIdentifier, MemberId, ResourceType, UniqueAttribute, User, UserStatus,
};
use aws_smithy_types::{DateTime, Document};
use config::Source;
use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use listing::{Failure, FailureCode, FailureKind, is_id};
use serde_json::Value;
use tokio::sync::Mutex;

use super::accounts::OfRole;
use super::pages::Pages;
use super::place::{Chosen, Place};
use super::role::Role;
use super::sdk::{Aws, retries};
use super::watch::{Caller, Service, Watch};
use crate::fetch::accounts::Configured;
use crate::fetch::directory::{Directory, GroupAnswer, GroupName, Member, NoKeys, Who, Words};
use crate::fetch::failure::{Reason, Refusal, failure};

/// The largest page size, of every list.
const PAGE: i32 = 100;

const SERVICE: Service = Service { is_missing, is_whole };

const DESCRIBE_GROUP: &str = "identitystore:DescribeGroup";
const DESCRIBE_USER: &str = "identitystore:DescribeUser";
const GET_GROUP_ID: &str = "identitystore:GetGroupId";
/// Lists the members of a group.
const LIST_MEMBERS: &str = "identitystore:ListGroupMemberships";
/// Confirms that a user left a group.
const LIST_GROUPS: &str = "identitystore:ListGroupMembershipsForMember";
const LIST_USERS: &str = "identitystore:ListUsers";

/// One identity store, with the permissions of one role.
#[derive(Debug)]
pub(crate) struct IdentityStore {
    client: Client,
    caller: Caller,
    id: String,
    concurrency: usize,
    users: Mutex<Users>,
}

/// The users that were read, by UserId. Everybody who can log in has a name there.
#[derive(Debug, Default)]
struct Users {
    known: BTreeMap<String, Option<Member>>,
    pages: Pages,
    statuses: Statuses,
}

/// How many users were listed, and how many of them with a status, which is optional in the API's model.
#[derive(Debug, Default)]
struct Statuses {
    listed: usize,
    with: usize,
    told: bool,
}

impl Statuses {
    fn count(&mut self, users: &[User]) {
        self.listed += users.len();
        self.with += users.iter().filter(|user| user.user_status.is_some()).count();
    }

    /// Says so once if the store tells of nobody whether they are disabled.
    fn tell(&mut self, store: &str) {
        if self.listed > 0 && self.with == 0 && !self.told {
            self.told = true;
            log::warn!(
                "identity store '{store}': none of {} listed users has a UserStatus; a disabled user cannot be told from others",
                self.listed
            );
        }
    }
}

impl OfRole for IdentityStore {
    const SOURCE: Source = Source::IdentityCenter;

    /// The id is that of the store.
    fn open(aws: &Aws<'_>, role: Role, account: &Configured<'_>) -> Result<(Self, String), Failure> {
        let Some(store) = account.store else {
            let hint = "set identity_store of this account, or remove the account's groups";
            let cause = "no identity store is configured";
            return Err(failure("configuration", account.name, cause, hint, FailureKind::Configuration));
        };
        let mut place = aws.place(&role.account, account.name);
        let mut builder =
            Builder::from(&aws.reached.sdk).retry_partition(retries("identitystore", account.name));
        if let Some(region) = &store.region {
            builder = builder.region(Region::new(region.clone()));
            let region = Chosen { region: region.clone(), from: "the key region beside identity_store" };
            place = Place { region, ..place };
        }
        if let Some(url) = &aws.config.endpoint_url_identitystore {
            builder = builder.endpoint_url(url);
        }
        if let Some(credentials) = role.credentials {
            builder = builder.credentials_provider(credentials);
        }
        let read = Self {
            client: Client::from_conf(builder.build()),
            caller: aws.caller(&SERVICE, role.denied, place).about(account.name),
            id: store.id.clone(),
            concurrency: aws.config.concurrency,
            users: Mutex::default(),
        };
        Ok((read, store.id.clone()))
    }
}

impl Directory for IdentityStore {
    type Keys = NoKeys;
    const ASKS_BY_ID: bool = true;

    fn words() -> Words {
        Words {
            noun: Self::SOURCE.noun(),
            members: LIST_MEMBERS,
            groups: LIST_GROUPS,
            policy: "the policy of the role, if it names groups",
        }
    }

    async fn group(&self, name: &str) -> Result<GroupAnswer, Refusal> {
        let found = if Self::SOURCE.is_group_id(name) {
            self.describe_group(name).await
        } else {
            self.group_id(name).await.map(|id| (id, name.to_owned()))
        };
        let (id, name) = found.map_err(|refusal| self.no_such_group(refusal, name))?;
        let members = self.members(&name, self.member_ids(&id, &name).await?).await?;
        Ok(GroupAnswer { id, name, members })
    }

    /// Of a disabled user: none.
    async fn groups_of(&self, user: Who<'_>) -> Result<Vec<GroupName>, Refusal> {
        if self.describe_user(user.id, user.name).await?.is_none() {
            return Ok(Vec::new());
        }
        let member = MemberId::UserId(user.id.to_owned());
        let mut groups = Vec::new();
        let mut pages = Pages::default();
        while let Some(token) = pages.next() {
            let call = self.client.list_group_memberships_for_member().identity_store_id(&self.id);
            let call = call.member_id(member.clone()).max_results(PAGE).set_next_token(token);
            let answer =
                self.call(LIST_GROUPS, user.name, |watch| call.customize().interceptor(watch).send()).await?;
            self.turn(&mut pages, answer.next_token, LIST_GROUPS, user.name)?;
            for membership in answer.group_memberships {
                let id = membership.group_id.filter(|id| is_id(id));
                let id = id.ok_or_else(|| {
                    self.caller.contradiction(LIST_GROUPS, user.name, "a membership without a GroupId")
                })?;
                groups.push(GroupName { id, name: None });
            }
        }
        Ok(groups)
    }

    async fn group_called(&self, id: &str) -> Result<Option<String>, Refusal> {
        match self.describe_group(id).await {
            Ok((_, name)) => Ok(Some(name)),
            Err(refusal) if refusal.reason == Reason::NotFound => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    fn key_store(&self) -> Option<&NoKeys> {
        None
    }

    fn time_left(&self) -> Duration {
        self.caller.time_left()
    }
}

impl IdentityStore {
    /// The GroupId of the group with this display name.
    async fn group_id(&self, name: &str) -> Result<String, Refusal> {
        let attribute = UniqueAttribute::builder()
            .attribute_path("displayName")
            .attribute_value(Document::String(name.to_owned()))
            .build()
            .map_err(|cause| self.caller.contradiction(GET_GROUP_ID, name, &cause.to_string()))?;
        let call = self.client.get_group_id().identity_store_id(&self.id);
        let call = call.alternate_identifier(AlternateIdentifier::UniqueAttribute(attribute));
        let answer =
            self.call(GET_GROUP_ID, name, |watch| call.customize().interceptor(watch).send()).await?;
        if is_id(&answer.group_id) {
            return Ok(answer.group_id);
        }
        Err(self.caller.contradiction(GET_GROUP_ID, name, "an answer without a GroupId"))
    }

    /// The group's id and display name.
    async fn describe_group(&self, id: &str) -> Result<(String, String), Refusal> {
        let call = self.client.describe_group().identity_store_id(&self.id).group_id(id);
        let answer =
            self.call(DESCRIBE_GROUP, id, |watch| call.customize().interceptor(watch).send()).await?;
        if !answer.group_id.eq_ignore_ascii_case(id) {
            return Err(self.caller.contradiction(DESCRIBE_GROUP, id, "the answer is about another group"));
        }
        let name = answer.display_name.filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| answer.group_id.clone());
        Ok((answer.group_id, name))
    }

    /// The UserIds of all members of a group.
    async fn member_ids(&self, id: &str, name: &str) -> Result<BTreeSet<String>, Refusal> {
        let wrong = |cause| self.caller.contradiction(LIST_MEMBERS, name, cause);
        let mut members = BTreeSet::new();
        let mut pages = Pages::default();
        while let Some(token) = pages.next() {
            let call = self.client.list_group_memberships().identity_store_id(&self.id).group_id(id);
            let call = call.max_results(PAGE).set_next_token(token);
            let answer =
                self.call(LIST_MEMBERS, name, |watch| call.customize().interceptor(watch).send()).await?;
            self.turn(&mut pages, answer.next_token, LIST_MEMBERS, name)?;
            for membership in answer.group_memberships {
                if membership.group_id.as_deref() != Some(id) {
                    return Err(wrong("the answer is about another group"));
                }
                match membership.member_id {
                    Some(MemberId::UserId(user)) if is_id(&user) => drop(members.insert(user)),
                    Some(MemberId::UserId(_)) | None => return Err(wrong("a member without a UserId")),
                    // Not a user.
                    Some(_) => {}
                }
            }
        }
        Ok(members)
    }

    /// The members with these ids, without those who are disabled or were deleted meanwhile. Lists users, 100 in a call,
    /// as long as fewer pages were read than users are still unknown, and then asks for each of these: whatever the size of
    /// the store, this takes at most twice as many calls as the better of the two ways.
    async fn members(&self, group: &str, ids: BTreeSet<String>) -> Result<Vec<Member>, Refusal> {
        let mut users = self.users.lock().await;
        // A second look at a group is meant to be one at its members, too.
        users.known.retain(|_, user| user.is_some());
        let unknown = |users: &Users| -> Vec<String> {
            ids.iter().filter(|id| !users.known.contains_key(*id)).cloned().collect()
        };
        while unknown(&users).len() > users.pages.turned()
            && let Some(token) = users.pages.next()
        {
            let call = self.client.list_users().identity_store_id(&self.id).max_results(PAGE);
            let answer = self
                .call(LIST_USERS, group, |watch| {
                    call.set_next_token(token).customize().interceptor(watch).send()
                })
                .await?;
            self.turn(&mut users.pages, answer.next_token, LIST_USERS, group)?;
            users.statuses.count(&answer.users);
            // DescribeUser is called for a user whose name is missing here.
            let listed = answer.users.into_iter().filter_map(|user| {
                Some((
                    user.user_id.clone(),
                    member_of(user.user_id, user.user_name, user.user_status, user.created_at)?,
                ))
            });
            users.known.extend(listed);
        }
        users.statuses.tell(&self.id);
        let asked = stream::iter(unknown(&users)).map(|id| async move {
            let user = match self.describe_user(&id, &id).await {
                Err(refusal) if refusal.reason == Reason::NotFound => None,
                read => read?,
            };
            Ok((id, user))
        });
        let asked: Vec<Result<_, Refusal>> = asked.buffer_unordered(self.concurrency).collect().await;
        for user in asked {
            let (id, member) = user?;
            users.known.insert(id, member);
        }
        Ok(ids.iter().filter_map(|id| users.known.get(id).cloned().flatten()).collect())
    }

    /// `None`: the user cannot log in.
    async fn describe_user(&self, id: &str, on: &str) -> Result<Option<Member>, Refusal> {
        let call = self.client.describe_user().identity_store_id(&self.id).user_id(id);
        let answer = self.call(DESCRIBE_USER, on, |watch| call.customize().interceptor(watch).send()).await?;
        if answer.user_id != id {
            return Err(self.caller.contradiction(DESCRIBE_USER, on, "the answer is about another user"));
        }
        member_of(answer.user_id, answer.user_name, answer.user_status, answer.created_at)
            .ok_or_else(|| self.caller.contradiction(DESCRIBE_USER, on, "a user without a UserName"))
    }

    fn turn(
        &self,
        pages: &mut Pages,
        token: Option<String>,
        action: &'static str,
        on: &str,
    ) -> Result<(), Refusal> {
        let turned = pages.turn(token.is_some(), token);
        turned.map_err(|cause| self.caller.contradiction(action, on, cause))
    }

    fn no_such_group(&self, refusal: Refusal, name: &str) -> Refusal {
        if refusal.reason != Reason::NotFound {
            return refusal;
        }
        let cause =
            format!("ResourceNotFoundException: the group does not exist in identity store '{}'", self.id);
        let hint = "create the group in Identity Center, or correct its display name or GroupId in `groups`";
        let failure = self.caller.failure(GET_GROUP_ID, name, &cause, hint, FailureKind::Configuration);
        Refusal { failure: Failure { code: Some(FailureCode::NoSuchGroup), ..failure }, ..refusal }
    }

    /// Makes one call.
    async fn call<T, E, F>(
        &self,
        action: &'static str,
        on: &str,
        send: impl FnOnce(Watch<E>) -> F,
    ) -> Result<T, Refusal>
    where
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        self.caller.call(action, on, send).await.map_err(|refusal| self.of_store(refusal))
    }

    /// The service does not know the store itself. Nothing follows from that for its users.
    fn of_store(&self, refusal: Refusal) -> Refusal {
        if refusal.reason != Reason::Code(NOT_FOUND.to_owned()) {
            return refusal;
        }
        let hint = format!(
            "is '{}' the identity store, and is the region that of its Identity Center? aws sso-admin list-instances",
            self.id
        );
        Refusal { failure: Failure { kind: FailureKind::Configuration, hint, ..refusal.failure }, ..refusal }
    }
}

const NOT_FOUND: &str = "ResourceNotFoundException";

/// Whether it is a user or a group that does not exist. The same code is that of an unknown store.
fn is_missing(code: &str, error: &(dyn StdError + 'static)) -> bool {
    let of_service =
        std::iter::successors(Some(error), |error: &&(dyn StdError + 'static)| (*error).source())
            .find_map(|error| error.downcast_ref::<ResourceNotFoundException>());
    let kind = of_service.and_then(|error| error.resource_type.as_ref());
    code == NOT_FOUND && matches!(kind, Some(ResourceType::User | ResourceType::Group))
}

/// The SDK takes a list that is missing in an answer for an empty one.
fn is_whole(action: &str, body: &[u8]) -> bool {
    let (field, is_right): (_, fn(&Value) -> bool) = match action {
        LIST_MEMBERS | LIST_GROUPS => ("GroupMemberships", Value::is_array),
        LIST_USERS => ("Users", Value::is_array),
        DESCRIBE_USER => ("UserId", Value::is_string),
        _ => ("GroupId", Value::is_string),
    };
    serde_json::from_slice(body).is_ok_and(|body: Value| body.get(field).is_some_and(is_right))
}

/// The member, or `None` inside if the user cannot log in: whoever has a status must be enabled, and not every answer has
/// one. `None` for an answer without a name or a valid id.
fn member_of(
    id: String,
    name: Option<String>,
    status: Option<UserStatus>,
    created: Option<DateTime>,
) -> Option<Option<Member>> {
    let is_enabled = status.is_none_or(|status| status == UserStatus::Enabled);
    let name = name.filter(|name| !name.is_empty() && is_id(&id))?;
    let created = created.and_then(|time| Timestamp::from_second(time.secs()).ok());
    Some(is_enabled.then_some(Member { id, name, created }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unknown_user_or_group_is_missing() {
        let error = |kind: Option<ResourceType>| {
            ResourceNotFoundException::builder().set_resource_type(kind).message("not found").build()
        };
        for (kind, missing) in [
            (Some(ResourceType::User), true),
            (Some(ResourceType::Group), true),
            (Some(ResourceType::IdentityStore), false),
            (Some(ResourceType::from("NOT_YET_INVENTED")), false),
            (None, false),
        ] {
            assert_eq!(is_missing(NOT_FOUND, &error(kind.clone())), missing, "{kind:?}");
        }
        assert!(!is_missing("AccessDeniedException", &error(Some(ResourceType::User))));
        assert!(!is_missing(NOT_FOUND, &std::io::Error::other("of a proxy")));
    }

    #[test]
    fn an_answer_without_its_list_is_not_whole() {
        assert!(is_whole(LIST_MEMBERS, br#"{"GroupMemberships": []}"#));
        assert!(is_whole(GET_GROUP_ID, br#"{"GroupId": "1", "IdentityStoreId": "d-1"}"#));
        for body in [
            &b"{}"[..],
            b"",
            b"<html>log in to the hotel</html>",
            br#"{"GroupMemberships": ["#,
            br#"{"GroupMemberships": null}"#,
        ] {
            assert!(!is_whole(LIST_MEMBERS, body), "{body:?}");
        }
        assert!(!is_whole(LIST_USERS, br#"{"GroupMemberships": []}"#));
    }

    #[test]
    fn who_has_a_status_must_be_enabled() {
        let is_in = |status: Option<&str>| {
            member_of("1-2".to_owned(), Some("ana".to_owned()), status.map(UserStatus::from), None)
                .is_some_and(|member| member.is_some())
        };
        assert!(is_in(None) && is_in(Some("ENABLED")));
        assert!(!is_in(Some("DISABLED")) && !is_in(Some("NOT_YET_INVENTED")));
        assert_eq!(member_of("1-2".to_owned(), None, None, None), None);
        assert_eq!(member_of("group:1".to_owned(), Some("ana".to_owned()), None, None), None);
    }
}
