//! Who comes first if several want the same name or id. Each type is compared field by field, and the least one gets it.

use std::cmp::Reverse;

use crate::IamId;

/// What a user or group that wants a name has to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Has the name at present, or is locked under it.
    Present,
    /// Was the last to have the name, and left.
    Former,
    /// Never had the name, or somebody else has had it since.
    New,
}

/// The one created first comes first, those without a date last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age<'a> {
    undated: bool,
    created: Option<i128>,
    iam_id: &'a IamId,
}

impl<'a> Age<'a> {
    /// `created` may be in any unit, as long as it is the same for all.
    #[must_use]
    pub fn new(created: Option<i128>, iam_id: &'a IamId) -> Self {
        Self { undated: created.is_none(), created, iam_id }
    }
}

/// A user's claim to a name. Anyone with permission to tag users can set tags, so a tag never takes a name from a user
/// whose own name it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserClaim<'a> {
    /// Whether the name differs from the one that the IAM name gives.
    pub tagged: bool,
    /// Whether the user never had the name, or somebody else has had it since.
    pub newcomer: bool,
    /// Position of the account in the configuration.
    pub account: usize,
    /// Decides between users who are equal so far.
    pub age: Age<'a>,
}

/// A group's claim to a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupClaim<'a> {
    /// Whether the group does not have the name at present.
    pub newcomer: bool,
    /// Position of the account in the configuration.
    pub account: usize,
    /// GroupId.
    pub iam_id: &'a IamId,
}

/// A user's claim to an id that nobody has yet. A tag never takes an id from a user without one, either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdClaim<'a> {
    /// Whether `[ids]` does not assign it.
    pub unconfigured: bool,
    /// Whether a tag assigns it.
    pub tagged: bool,
    /// Decides between users who are equal so far.
    pub age: Age<'a>,
}

/// Orders users who had a name: the least is the one who has it now, else the last to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LastHolder<'a> {
    left: bool,
    since: Reverse<Option<i64>>,
    iam_id: &'a IamId,
}

impl<'a> LastHolder<'a> {
    /// `disabled`: since when the user is disabled; none: active.
    #[must_use]
    pub fn new(disabled: Option<i64>, iam_id: &'a IamId) -> Self {
        Self { left: disabled.is_some(), since: Reverse(disabled), iam_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that each is less than the next.
    fn ascending<T: Ord + std::fmt::Debug>(claims: &[T]) {
        assert!(claims.is_sorted_by(|one, other| one < other), "{claims:?}");
    }

    #[test]
    fn the_first_created_comes_first_and_a_missing_date_last() {
        let [a, b] = ["A", "B"].map(IamId::new);
        ascending(&[
            Age::new(Some(-1), &b),
            Age::new(Some(1), &a),
            Age::new(Some(1), &b),
            Age::new(None, &a),
            Age::new(None, &b),
        ]);
    }

    #[test]
    fn an_untagged_name_precedes_holders_accounts_and_age() {
        let [a, b] = ["A", "B"].map(IamId::new);
        let claim = |tagged, newcomer, account, iam_id| UserClaim {
            tagged,
            newcomer,
            account,
            age: Age::new(Some(1), iam_id),
        };
        ascending(&[
            claim(false, false, 1, &b),
            claim(false, true, 0, &a),
            claim(false, true, 0, &b),
            claim(false, true, 1, &a),
            claim(true, false, 0, &a),
            claim(true, true, 0, &a),
        ]);
        let group = |newcomer, account, iam_id| GroupClaim { newcomer, account, iam_id };
        ascending(&[group(false, 1, &b), group(true, 0, &a), group(true, 0, &b), group(true, 1, &a)]);
    }

    #[test]
    fn an_id_from_the_configuration_precedes_one_from_a_tag() {
        let (a, b) = (IamId::new("A"), IamId::new("B"));
        let claim =
            |unconfigured, tagged, iam_id| IdClaim { unconfigured, tagged, age: Age::new(None, iam_id) };
        ascending(&[
            claim(false, false, &b),
            claim(false, true, &a),
            claim(true, false, &b),
            claim(true, true, &a),
        ]);
    }

    #[test]
    fn a_name_belongs_to_the_active_holder_else_to_the_last_to_leave() {
        let [a, b] = ["A", "B"].map(IamId::new);
        ascending(&[
            LastHolder::new(None, &a),
            LastHolder::new(None, &b),
            LastHolder::new(Some(9), &b),
            LastHolder::new(Some(5), &a),
            LastHolder::new(Some(5), &b),
        ]);
    }
}
