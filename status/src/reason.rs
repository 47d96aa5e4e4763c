//! Reasons to skip a user, group, key or tag of the listing, with their codes and texts.

use std::fmt;

use claims::{Unresolved, Use};
use policy::id::{BadTag, Foreign, LAST};
use policy::{Invalid, NotAKey};

use crate::coded::coded;

coded! {
    /// A reason. Text from a source is [`escaped`] in the fields.
    pub enum SkipReason {
        /// An empty name.
        NameEmpty = "name-empty",
        /// A name that is too long.
        NameLong {
            /// Its length.
            bytes: usize,
        } = "name-too-long",
        /// A name with a character that no name may have.
        NameCharacter {
            /// The first such character.
            character: char,
        } = "name-character",
        /// A name with a first character that no name may begin with.
        NameFirst {
            /// The first character.
            character: char,
        } = "name-first-character",
        /// A name that would be taken for an id.
        NameDigits = "name-of-digits",
        /// A name that strtoul(3) reads as a number.
        NameNumber {
            /// The name.
            number: String,
        } = "name-is-a-number",
        /// A user of this host has the name.
        NameOfUser {
            /// The name.
            name: String,
            /// The user's uid.
            id: u32,
            /// The service of nsswitch.conf(5).
            service: String,
        } = "name-of-host-user",
        /// A group of this host has the name.
        NameOfGroup {
            /// The name.
            name: String,
            /// The group's gid.
            id: u32,
            /// The service of nsswitch.conf(5).
            service: String,
        } = "name-of-host-group",
        /// A published group has the name, or a local group that users join.
        NameOfOwnGroup {
            /// The name.
            name: String,
        } = "name-of-own-group",
        /// Groups of this host list the name as a member.
        NameInGroups {
            /// The name.
            name: String,
            /// The groups' names.
            groups: Vec<String>,
            /// The service of nsswitch.conf(5).
            service: String,
        } = "name-in-groups",
        /// Something on this host uses the name.
        NameUsed {
            /// The name.
            name: String,
            /// The use.
            used: Use,
        } = "name-used",
        /// The name is in the list of reserved names.
        NameReserved {
            /// The name.
            name: String,
        } = "name-reserved",
        /// A service does not answer, so it is not known whether it has the name.
        NameUnasked {
            /// The name.
            name: String,
            /// The service of nsswitch.conf(5).
            service: String,
            /// What happened instead, such as a timeout.
            why: String,
        } = "name-service-unasked",
        /// It is not known what the host grants to the name.
        NameUnresolved {
            /// The name.
            name: String,
            /// The file that could name anyone.
            unresolved: Unresolved,
        } = "name-rules-unresolved",
        /// Another user or group of the source has the name.
        NameTaken {
            /// The name.
            name: String,
            /// What messages call a user or group of the source: "IAM user".
            called: String,
            /// The user or group that has it, as the source spells it.
            holder: String,
        } = "name-taken",
        /// A group has an id that belonged to a user.
        IdOfUser {
            /// GroupId.
            iam_id: String,
        } = "id-was-of-user",
        /// A user has an id that belongs to a group.
        IdOfGroup {
            /// UserId.
            iam_id: String,
        } = "id-is-of-group",
        /// A user or group of this host has the uid or gid.
        IdOfHost {
            /// The uid or gid.
            id: u32,
            /// The name of the user or group.
            name: String,
            /// The service of nsswitch.conf(5).
            service: String,
            /// Whether the id comes from `[ids]`.
            configured: bool,
        } = "id-of-host",
        /// The uid or gid is in a range from which other software assigns ids.
        IdInRange {
            /// The uid or gid.
            id: u32,
            /// First and last id of the range.
            range: (u32, u32),
            /// Follows the range in a message: "of containers".
            whose: String,
            /// Whether the id comes from `[ids]`.
            configured: bool,
        } = "id-in-range",
        /// Another user or group of the source has the uid or gid.
        IdTaken {
            /// The uid or gid.
            id: u32,
            /// UserId or GroupId.
            holder: String,
        } = "id-taken",
        /// The template yields no valid home path.
        HomePath = "home-path",
        /// The owners of the directories that could be the home are not known.
        HomeUnseen {
            /// Why they cannot be checked.
            why: String,
        } = "home-unseen",
        /// All directories that could be the home belong to others.
        HomeTaken {
            /// The path that the template yields.
            home: String,
            /// The same path with the uid at its end.
            own: String,
        } = "home-taken",
        /// A tag with characters that passwd(5) cannot hold.
        TagCharacters = "tag-characters",
        /// A tag `uid` that is not a number.
        TagNumber = "tag-not-a-number",
        /// A tag `uid` with an id of the system.
        TagIdOfSystem {
            /// The id.
            id: u32,
        } = "tag-id-of-system",
        /// A tag `uid` with an id above all that can be assigned.
        TagIdTooHigh {
            /// The id.
            id: u32,
            /// The highest id that can be assigned.
            last: u32,
        } = "tag-id-too-high",
        /// A tag `shell` with a shell that this host does not have.
        TagShell {
            /// The value of the tag.
            shell: String,
        } = "tag-shell",
        /// A key body that is too long.
        KeyLong {
            /// Its length.
            bytes: usize,
        } = "key-too-long",
        /// A private key.
        KeyPrivate = "key-private",
        /// A key body of several lines, or with control characters.
        KeyLines = "key-lines",
        /// A key body without type and base64 text.
        KeyForm = "key-form",
        /// A key body that OpenSSH could not read.
        KeyUnreadable {
            /// The reason.
            cause: String,
        } = "key-unreadable",
        /// A DSA key.
        KeyDsa = "key-dsa",
        /// A certificate. Earlier releases: any type that they do not know.
        KeyType = "key-type",
        /// A key that cannot be written as text.
        KeyUnprintable {
            /// The reason.
            cause: String,
        } = "key-unprintable",
        /// A key in parts, one of which is missing.
        KeyPartMissing {
            /// The tag that would have it.
            tag: String,
        } = "key-part-missing",
        /// A key in parts beside a key with the same name.
        KeyPartsBesideKey {
            /// The tag with the other key.
            tag: String,
        } = "key-parts-beside-key",
        /// A key in a tag although keys of its type can be uploaded to the source.
        KeyBelongsElsewhere {
            /// Its type.
            kind: String,
            /// What messages call the source.
            source: String,
        } = "key-belongs-elsewhere",
    }
}

impl From<Invalid> for SkipReason {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Empty => Self::NameEmpty,
            Invalid::Long(bytes) => Self::NameLong { bytes },
            Invalid::Character(character) => Self::NameCharacter { character },
            Invalid::First(character) => Self::NameFirst { character },
            Invalid::Digits => Self::NameDigits,
            Invalid::Number(number) => Self::NameNumber { number },
            Invalid::Field => Self::TagCharacters,
            Invalid::Id(id) => Self::TagIdOfSystem { id },
            Invalid::Key => Self::KeyUnprintable { cause: invalid.to_string() },
        }
    }
}

impl From<NotAKey> for SkipReason {
    fn from(reason: NotAKey) -> Self {
        match reason {
            NotAKey::Long(bytes) => Self::KeyLong { bytes },
            NotAKey::Private => Self::KeyPrivate,
            NotAKey::Lines => Self::KeyLines,
            NotAKey::Form => Self::KeyForm,
            NotAKey::Certificate => Self::KeyType,
            NotAKey::Dsa => Self::KeyDsa,
            NotAKey::Unreadable(cause) => Self::KeyUnreadable { cause },
        }
    }
}

impl From<BadTag> for SkipReason {
    fn from(bad: BadTag) -> Self {
        match bad {
            BadTag::Number => Self::TagNumber,
            BadTag::Invalid(invalid) => invalid.into(),
            BadTag::High(id) => Self::TagIdTooHigh { id: id.get(), last: LAST },
            BadTag::Foreign(foreign) => Self::of_foreign(foreign, false),
        }
    }
}

impl SkipReason {
    /// For an id from a range of other software. `configured`: whether the id comes from `[ids]`.
    #[must_use]
    pub fn of_foreign(foreign: Foreign, configured: bool) -> Self {
        let Foreign { id, range, whose } = foreign;
        let range = (*range.start(), *range.end());
        Self::IdInRange { id: id.get(), range, whose: whose.to_owned(), configured }
    }
}

/// Text from a source with control characters and non-ASCII characters escaped: it must not control a terminal or look
/// like part of a message.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.escape_default().to_string()
}

/// How messages call a service of nsswitch.conf(5): `files` by its file.
pub(crate) fn place(service: &str, file: &str) -> String {
    if service == "files" { file.to_owned() } else { format!("service '{service}' of nsswitch.conf") }
}

impl fmt::Display for SkipReason {
    #[expect(clippy::too_many_lines, reason = "one row for each reason")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = |configured: bool| if configured { "[ids]: " } else { "" };
        match self {
            Self::NameEmpty => Invalid::Empty.fmt(f),
            Self::NameLong { bytes } => Invalid::Long(*bytes).fmt(f),
            Self::NameCharacter { character } => Invalid::Character(*character).fmt(f),
            Self::NameFirst { character } => Invalid::First(*character).fmt(f),
            Self::NameDigits => Invalid::Digits.fmt(f),
            Self::NameNumber { number } => Invalid::Number(number.clone()).fmt(f),
            Self::NameOfUser { name, id, service } => {
                write!(f, "'{name}' is a user of {} (uid {id})", place(service, "/etc/passwd"))
            }
            Self::NameOfGroup { name, id, service } => {
                write!(f, "'{name}' is a group of {} (gid {id})", place(service, "/etc/group"))
            }
            Self::NameOfOwnGroup { name } => {
                write!(f, "'{name}' is the name of a group that is published or joined")
            }
            Self::NameInGroups { name, groups, service } => {
                write!(f, "'{name}' is a member of '{}' in ", groups.join("', '"))?;
                f.write_str(&place(service, "/etc/group"))
            }
            Self::NameUsed { name, used } => write!(f, "'{name}' is {used} on this host"),
            Self::NameReserved { name } => write!(f, "'{name}' is reserved for the system"),
            Self::NameUnasked { name, service, why } => {
                write!(f, "'{name}' cannot be given: service '{service}' cannot be asked about it: {why}")
            }
            Self::NameUnresolved { name, unresolved } => {
                write!(f, "'{name}' cannot be given: {unresolved}")
            }
            Self::NameTaken { name, called, holder } => {
                write!(f, "'{name}' is already the name of {called} '{holder}'")
            }
            Self::IdOfUser { iam_id } => write!(f, "'{iam_id}' was the id of a user"),
            Self::IdOfGroup { iam_id } => write!(f, "'{iam_id}' is also the id of a group"),
            Self::IdOfHost { id, name, service, configured } => write!(
                f,
                "{}its id {id} is that of '{name}' on this host (service '{service}')",
                ids(*configured)
            ),
            Self::IdInRange { id, range: (first, last), whose, configured } => {
                write!(f, "{}{}", ids(*configured), Foreign::text(*id, &(*first..=*last), whose))
            }
            Self::IdTaken { id, holder } => write!(
                f,
                "its id {id} is that of '{holder}'; give one of them another in [ids], the same on every host"
            ),
            Self::HomePath => f.write_str("its home would not be a plain path"),
            Self::HomeUnseen { why } => {
                write!(f, "the directories that could be its home cannot be checked: {why}")
            }
            Self::HomeTaken { home, own } => {
                write!(f, "neither '{home}' nor '{own}' can be its home: both belong to others")
            }
            Self::TagCharacters => Invalid::Field.fmt(f),
            Self::TagNumber => f.write_str("not a number"),
            Self::TagIdOfSystem { id } => Invalid::Id(*id).fmt(f),
            Self::TagIdTooHigh { id, last } => write!(f, "{id} is above {last}"),
            Self::TagShell { shell } => write!(f, "'{shell}' is not in /etc/shells"),
            Self::KeyLong { bytes } => NotAKey::Long(*bytes).fmt(f),
            Self::KeyPrivate => NotAKey::Private.fmt(f),
            Self::KeyLines => NotAKey::Lines.fmt(f),
            Self::KeyForm => NotAKey::Form.fmt(f),
            Self::KeyUnreadable { cause } => NotAKey::Unreadable(cause.clone()).fmt(f),
            Self::KeyDsa => NotAKey::Dsa.fmt(f),
            Self::KeyType => NotAKey::Certificate.fmt(f),
            Self::KeyUnprintable { cause } => write!(f, "cannot be printed: {cause}"),
            Self::KeyPartMissing { tag } => write!(f, "a key in parts: the part '{tag}' is missing"),
            Self::KeyPartsBesideKey { tag } => write!(f, "a key in parts, but '{tag}' also has a key"),
            Self::KeyBelongsElsewhere { kind, source } => {
                write!(f, "{kind} belongs in {source} itself, not in a tag")
            }
        }
    }
}
