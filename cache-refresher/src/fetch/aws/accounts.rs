//! The accounts of AWS that this host can reach, for every service that has users.

use std::marker::PhantomData;

use config::Source;
use listing::Failure;

use super::calls::Means;
use super::role::{Identity, Role};
use super::sdk::Aws;
use crate::fetch::accounts::{Accounts, Configured};
use crate::fetch::directory::Directory;

/// A directory that one role reads.
pub(super) trait OfRole: Directory + Sized {
    const SOURCE: Source;

    /// The directory of this account, and its id.
    fn open(aws: &Aws<'_>, role: Role, account: &Configured<'_>) -> Result<(Self, String), Failure>;
}

/// This host in AWS.
pub(crate) struct AwsAccounts<'a, D> {
    aws: Aws<'a>,
    identity: Identity,
    of: PhantomData<fn() -> D>,
}

#[expect(private_bounds, reason = "only services of this directory are meant")]
pub(crate) async fn connect<D: OfRole>(
    config: &config::Aws,
    means: Means,
) -> Result<AwsAccounts<'_, D>, Failure> {
    let aws = Aws::reach(config, D::SOURCE.policy(), means).await?;
    let identity = aws.identity().await?;
    Ok(AwsAccounts { aws, identity, of: PhantomData })
}

impl<D: OfRole> Accounts for AwsAccounts<'_, D> {
    type Directory = D;

    async fn groups_in_tag(&self, tag: &str) -> Result<Vec<String>, Failure> {
        self.aws.reached.imds.groups_in_tag(tag, D::SOURCE.group_names(), self.aws.deadline).await
    }

    async fn reach(&self, account: &Configured<'_>) -> Result<(D, String), Failure> {
        D::open(&self.aws, self.aws.role(&self.identity, account).await?, account)
    }
}
