//! The lookups: each is one row of the tables, and one function of libc.

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// By the name of a user who exists.
    PasswdName,
    /// By the uid of a user who exists.
    PasswdId,
    /// By a name that nobody has.
    Miss,
    /// By the name of a private group.
    GroupName,
    /// By the gid of a private group.
    GroupId,
    /// The groups of a user.
    GroupList,
    /// By the name of the group that contains all users.
    BigGroup,
    /// All users.
    AllUsers,
    /// All groups.
    AllGroups,
}

impl Row {
    /// In the order of the tables.
    pub const ALL: [Self; 9] = [
        Self::PasswdName,
        Self::PasswdId,
        Self::Miss,
        Self::GroupName,
        Self::GroupId,
        Self::GroupList,
        Self::BigGroup,
        Self::AllUsers,
        Self::AllGroups,
    ];

    /// Those that are also asked by several threads at once.
    pub const THREADED: [Self; 4] = [Self::PasswdName, Self::Miss, Self::GroupName, Self::GroupList];

    /// As an argument and in file names.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::PasswdName => "getpwnam",
            Self::PasswdId => "getpwuid",
            Self::Miss => "miss",
            Self::GroupName => "getgrnam",
            Self::GroupId => "getgrgid",
            Self::GroupList => "getgrouplist",
            Self::BigGroup => "getgrnam-all",
            Self::AllUsers => "getpwent",
            Self::AllGroups => "getgrent",
        }
    }

    /// For people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::PasswdName => "getpwnam, hit",
            Self::PasswdId => "getpwuid, hit",
            Self::Miss => "getpwnam, miss",
            Self::GroupName => "getgrnam, group of one",
            Self::GroupId => "getgrgid, group of one",
            Self::GroupList => "getgrouplist, three groups",
            Self::BigGroup => "getgrnam, group of all N",
            Self::AllUsers => "getpwent, all N",
            Self::AllGroups => "getgrent, all N + 11",
        }
    }

    /// The row of this [`Row::slug`].
    #[must_use]
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|row| row.slug() == slug)
    }
}
