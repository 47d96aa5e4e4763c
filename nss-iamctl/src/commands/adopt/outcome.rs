//! The plan: which account becomes which user, and which accounts stay, with the reason.

use message::Message;

use crate::edit::owners::Moves;

/// The plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub adopt: Vec<Adoption>,
    pub leave: Vec<Left>,
    /// Accounts that a script created and that stay.
    pub remaining: Vec<String>,
    /// Whether the marker group has no members left, and is removed.
    pub marker_goes: bool,
}

/// An account that becomes an nss-iam user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Adoption {
    pub name: String,
    pub uid: u32,
    /// The gid of its primary group, if no other account uses that.
    pub private_gid: Option<u32>,
    /// The name of that group, if it has a line in group(5).
    pub private_group: Option<String>,
    pub home: String,
    pub iam_id: String,
    /// The name at the source, escaped for a terminal.
    pub iam_name: String,
    /// The login name that it will have.
    pub login: String,
    /// The uid and gid that it will have.
    pub id: u32,
    pub loses: Vec<String>,
    pub notes: Vec<String>,
}

/// An account that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Left {
    pub name: String,
    /// Why, and what to do.
    pub why: Message,
}

impl Left {
    pub(super) fn new(name: &str, why: Message) -> Self {
        Self { name: name.to_owned(), why }
    }
}

impl Adoption {
    /// How the owners of files must be changed, if at all.
    pub(super) fn moves(&self) -> Option<Moves> {
        let uid = (self.uid, self.id);
        let gid = self.private_gid.map(|gid| (gid, self.id));
        (uid.0 != uid.1 || gid.is_some_and(|(old, new)| old != new)).then_some(Moves { uid, gid })
    }
}
