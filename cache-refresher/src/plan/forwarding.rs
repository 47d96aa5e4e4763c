//! Who may only forward connections, with `[users] forward_only`: everybody except members of the groups in `shell_groups`.
//! In case of doubt a user may run nothing.

use std::collections::BTreeSet;

use policy::{FORWARD_ONLY_GROUP, FORWARD_ONLY_HOME, FORWARD_ONLY_SHELL, Field, IamId, Id};
use status::Warning;

use super::candidates::{self, Group, Known, User};
use super::input::Input;
use super::told::Told;
use cache::passwd::Passwd;
use cache::snapshot;

/// The groups whose members may run commands.
pub(super) struct Forwarding<'a> {
    input: &'a Input<'a>,
    shell_groups: BTreeSet<IamId>,
    /// The gid of iam-forward-only, if it is published.
    published: Option<Id>,
}

impl<'a> Forwarding<'a> {
    /// Kept apart by account, as local groups are.
    pub(super) fn of(input: &'a Input<'a>, groups: &[Group<'_>], told: &mut Told) -> Self {
        let config = input.config;
        let accounts = config.account.iter().map(|account| (account.name.as_str(), &account.shell_groups));
        let mut shell_groups = BTreeSet::new();
        for (account, names) in std::iter::once(("", &config.shell_groups)).chain(accounts) {
            for name in names {
                let called = candidates::called(&config.source, groups, account, name);
                shell_groups.extend(called.iter().map(|group| group.iam_id.clone()));
                let is_read = input.listing.accounts.iter().any(|read| read.name == account && read.complete);
                if !config.users.forward_only || is_read && called.is_empty() {
                    told.warnings.insert(Warning::ShellGroupUnused {
                        group: name.clone(),
                        forward_only: config.users.forward_only,
                    });
                }
            }
        }
        Self { input, shell_groups, published: gid(&input.published.groups) }
    }

    /// Whether this user may only forward connections.
    pub(super) fn only(&self, user: &User<'_>) -> bool {
        if !self.input.config.users.forward_only {
            return false;
        }
        let is_in = user.groups.iter().any(|group| self.shell_groups.contains(group));
        match user.known {
            Known::Listed { .. } => !is_in,
            // The listing does not tell: as it was published, unless forward_only is new.
            Known::Kept(_) => self.was_only(&user.iam_id).unwrap_or(!is_in),
        }
    }

    fn was_only(&self, iam_id: &IamId) -> Option<bool> {
        let uid = self.input.state.identities.get(iam_id)?.id;
        let users = &self.input.published.users;
        let row = users.binary_search_by_key(&uid, |user| user.uid).ok().and_then(|at| users.get(at))?;
        Some(row.groups.contains(&self.published?))
    }
}

/// The gid of iam-forward-only.
pub(super) fn gid(groups: &[snapshot::Group]) -> Option<Id> {
    groups.iter().find(|group| group.name.as_str() == FORWARD_ONLY_GROUP).map(|group| group.gid)
}

/// What is published of such a user.
pub(super) fn passwd(own: &Passwd) -> Passwd {
    let field = |text: &str| Field::new(text).unwrap_or_default();
    Passwd { home: field(FORWARD_ONLY_HOME), shell: field(FORWARD_ONLY_SHELL), ..own.clone() }
}
