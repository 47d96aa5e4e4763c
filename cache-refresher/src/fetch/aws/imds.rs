//! Instance metadata (IMDSv2): the instance's id and role, and the tag that names groups.

use aws_config::imds::Client;
use aws_config::imds::client::error::ImdsError;
use listing::{Failure, FailureKind};
use tokio::time::timeout_at;

use super::error::cause_of;
use super::{Aws, Deadline};
use crate::fetch::failure::failure;

/// Where an instance shows its own tags, if its options allow it.
const TAGS: &str = "/latest/meta-data/tags/instance";

/// The metadata of this instance; reached without a proxy.
#[derive(Debug)]
pub(super) struct Imds(Client);

impl Imds {
    pub(super) fn new() -> Self {
        Self(Client::builder().build())
    }

    /// None away from EC2.
    pub(super) async fn instance_id(&self, deadline: Deadline) -> Option<String> {
        let answer = timeout_at(deadline.at, self.0.get("/latest/meta-data/instance-id")).await.ok()?;
        answer.ok().map(|id| id.as_ref().trim().to_owned())
    }

    /// The role of the instance profile, if there is one.
    pub(super) async fn role(&self, deadline: Deadline) -> Result<Option<String>, String> {
        self.get("/latest/meta-data/iam/security-credentials/".to_owned(), deadline).await
    }

    /// None where there is no such thing.
    async fn get(&self, path: String, deadline: Deadline) -> Result<Option<String>, String> {
        match timeout_at(deadline.at, self.0.get(path)).await {
            Ok(Ok(text)) => Ok(Some(text.as_ref().to_owned())),
            Ok(Err(ImdsError::ErrorResponse(answer))) => match answer.response().status().as_u16() {
                404 => Ok(None),
                status => Err(format!("HTTP status {status}")),
            },
            Ok(Err(error)) => Err(cause_of(&error)),
            Err(_) => Err(deadline.missed()),
        }
    }
}

impl Aws<'_> {
    /// The groups that an instance tag names. An instance without the tag names none; one that does not show its
    /// tags has not answered.
    pub(crate) async fn groups_in_tag(&self, tag: &str) -> Result<Vec<String>, Failure> {
        let path = format!("{TAGS}/{tag}");
        let refused = |cause: &str, kind| {
            let hint = "needs the instance metadata option 'instance tags in metadata', and from a container a \
                        hop limit of 2";
            failure("imds:GetInstanceTag", tag, cause, hint, kind)
        };
        let unavailable = |cause: String| refused(&cause, FailureKind::Unavailable);
        match self.imds.get(path, self.deadline).await.map_err(unavailable)? {
            Some(value) => split(&value).map_err(|name| {
                refused(&format!("'{name}' is no name of an IAM group"), FailureKind::Configuration)
            }),
            None => match self.imds.get(TAGS.to_owned(), self.deadline).await.map_err(unavailable)? {
                Some(_) => Ok(Vec::new()),
                None => Err(refused("the instance shows no tags", FailureKind::Configuration)),
            },
        }
    }
}

/// `Ops:Admins`, `Ops Admins`; the error is the name that is none.
fn split(value: &str) -> Result<Vec<String>, String> {
    let is_name = |name: &str| {
        name.len() <= 128
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
    };
    value
        .split(|character: char| character == ':' || character.is_whitespace())
        .filter(|name| !name.is_empty())
        .map(|name| if is_name(name) { Ok(name.to_owned()) } else { Err(name.to_owned()) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_in_a_tag_are_parted_by_colons_or_spaces_and_nothing_else_is_taken() {
        assert_eq!(split("Ops:Admins").unwrap(), ["Ops", "Admins"]);
        assert_eq!(split(" Ops  Admins: \n").unwrap(), ["Ops", "Admins"]);
        assert_eq!(split("").unwrap(), [""; 0]);
        assert_eq!(split("Ops:../x").unwrap_err(), "../x");
        assert_eq!(split(&"x".repeat(129)).unwrap_err().len(), 129);
    }
}
