//! What a plan depends on, as values: the request, and the content of the files.

use std::ops::RangeInclusive;

use super::facts::Facts;
use super::pair::{self, IamUser};
use super::script;
use crate::host::accounts::{self, Account, Group};

/// The request.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    /// The named accounts; empty for all that a script created.
    pub names: Vec<String>,
    /// Change the files to the id that the user has or will get, instead of giving the user the account's id.
    pub renumber: bool,
    /// Only print `[ids]` for other hosts: files and processes of this host do not matter.
    pub elsewhere: bool,
}

/// The content of the files, parsed once.
pub(super) struct World<'a> {
    pub facts: &'a Facts,
    pub accounts: Vec<Account>,
    pub groups: Vec<Group>,
    pub marker: String,
    pub iam: Vec<IamUser<'a>>,
    /// Ranges of subuid(5) and subgid(5).
    pub sub_ids: Vec<RangeInclusive<u32>>,
}

impl<'a> World<'a> {
    pub(super) fn of(facts: &'a Facts) -> Self {
        Self {
            facts,
            accounts: accounts::accounts(&facts.passwd),
            groups: accounts::groups(&facts.group),
            marker: script::marker(&facts.script_conf),
            iam: pair::users(&facts.accounts_of_iam),
            sub_ids: [&facts.subuid, &facts.subgid]
                .iter()
                .flat_map(|text| policy::id::sub_ids(&String::from_utf8_lossy(text)))
                .collect(),
        }
    }

    /// Accounts that a script created.
    pub(super) fn made_by_script(&self) -> Vec<&str> {
        let marked = self.groups.iter().find(|group| group.name == self.marker);
        let made = |account: &&Account| {
            script::is_comment(&account.gecos)
                || marked.is_some_and(|group| group.members.contains(&account.name))
        };
        self.accounts.iter().filter(made).map(|account| account.name.as_str()).collect()
    }
}
