//! What an administrator does at the source about a user or a key. Users, groups and key ids are words of a command line
//! here: the caller has quoted them.

use std::path::Path;

use super::Source;

/// The maximum length of a tag's value in IAM, in characters.
const TAG_VALUE: usize = 256;
/// How a user of a source without keys is let in.
const NO_KEYS: &str = "nss-iamctl enable --instance-connect; other ways of logging in without stored keys are in \
                       /usr/share/doc/nss-iam/guide/README.md";

impl Source {
    /// How a user is let in; none if it is not known in which group.
    #[must_use]
    pub fn to_add_user(&self, user: &str, group: Option<&str>) -> Option<String> {
        match self {
            Self::Iam => {
                let group = group?;
                Some(format!("aws iam add-user-to-group --group-name {group} --user-name {user}"))
            }
            Self::IdentityCenter => {
                let group = group?;
                Some(format!(
                    "add {user} to the group {group} in Identity Center, or in the directory that it gets its users from"
                ))
            }
            Self::File { path, .. } => Some(format!("add the user {user} to '{}'", path.display())),
            Self::S3 { url, .. } => Some(format!("add the user {user} {}", at_publisher(url))),
        }
    }

    /// How this host reads another account of it, in a clause.
    #[must_use]
    pub fn to_read_account(&self, id: &str) -> String {
        match self {
            Self::IdentityCenter => format!("set identity_store = \"{id}\""),
            Self::Iam | Self::File { .. } | Self::S3 { .. } => {
                "set [aws] role to the ARN of a role in it".to_owned()
            }
        }
    }

    /// How a user gets another name there. The name is a placeholder.
    #[must_use]
    pub fn to_rename_user(&self, user: &str, id: &str) -> String {
        match self {
            Self::Iam => format!("aws iam update-user --user-name {user} --new-user-name NAME"),
            Self::IdentityCenter => format!(
                "rename the user {user} in the directory that Identity Center gets its users from, or in its own: aws \
                 identitystore update-user --identity-store-id STORE --user-id {id} --operations \
                 AttributePath=userName,AttributeValue=NAME"
            ),
            Self::File { path, .. } => {
                format!("change the name of the user {user} to NAME in '{}'", path.display())
            }
            Self::S3 { url, .. } => {
                format!("change the name of the user {user} to NAME {}", at_publisher(url))
            }
        }
    }

    /// How a user gets an RSA key, or is let in without one.
    #[must_use]
    pub fn to_add_rsa_key(&self, user: &str) -> String {
        self.stored().map_or_else(|| NO_KEYS.to_owned(), |stored| stored.to_add_rsa_key(user))
    }

    /// How a user gets a key of another type, in the tag for keys, or is let in without one.
    #[must_use]
    pub fn to_add_other_key(&self, user: &str, tag: &str) -> String {
        match self.stored() {
            None => NO_KEYS.to_owned(),
            Some(stored @ (Stored::File { .. } | Stored::S3 { .. })) => stored.to_add_rsa_key(user),
            Some(Stored::Iam) => format!(
                "IAM's own upload takes RSA keys only: {} (if that tag has another key: {tag}-2); or if the line has more than \
                 {TAG_VALUE} characters: {}",
                Stored::Iam.to_set_key_tag(user, tag),
                Stored::Iam.to_set_key_parts(user, &format!("{tag}-1"))
            ),
        }
    }

    /// What it stores about its users; none if it has neither keys nor tags.
    #[must_use]
    pub fn stored(&self) -> Option<Stored<'_>> {
        match self {
            Self::Iam => Some(Stored::Iam),
            Self::IdentityCenter => None,
            Self::File { path, .. } => Some(Stored::File { path }),
            Self::S3 { url, .. } => Some(Stored::S3 { url }),
        }
    }
}

/// Keys and tags at a source that has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored<'a> {
    /// In IAM.
    Iam,
    /// In this file.
    File {
        /// The absolute path.
        path: &'a Path,
    },
    /// Where the publisher of this object reads them.
    S3 {
        /// The URL of the object.
        url: &'a str,
    },
}

/// Only the publisher of an object knows where its users come from.
fn at_publisher(url: &str) -> String {
    format!("where the publisher of '{url}' reads its users")
}

impl Stored<'_> {
    /// How a user gets an RSA key.
    #[must_use]
    pub fn to_add_rsa_key(self, user: &str) -> String {
        match self {
            Self::Iam => {
                format!(
                    "aws iam upload-ssh-public-key --user-name {user} --ssh-public-key-body file://KEY.pub"
                )
            }
            Self::File { path } => {
                format!("add the line of the .pub file to the keys of user {user} in '{}'", path.display())
            }
            Self::S3 { url } => {
                format!("add the line of the .pub file to the keys of user {user} {}", at_publisher(url))
            }
        }
    }

    /// How a tag of a user gets another value. The value is a placeholder.
    #[must_use]
    pub fn to_set_tag(self, user: &str, tag: &str, value: &str) -> String {
        match self {
            Self::Iam => format!("aws iam tag-user --user-name {user} --tags Key={tag},Value={value}"),
            Self::File { path } => {
                format!("set the tag {tag} of user {user} to {value} in '{}'", path.display())
            }
            Self::S3 { url } => format!("set the tag {tag} of user {user} to {value} {}", at_publisher(url)),
        }
    }

    /// How a tag gets the key in a file. A tag cannot hold every comment of a key.
    #[must_use]
    pub fn to_set_key_tag(self, user: &str, tag: &str) -> String {
        match self {
            Self::Iam => format!(
                "aws iam tag-user --user-name {user} --tags Key={tag},Value=\"$(cut -d' ' -f1,2 KEY.pub)\""
            ),
            Self::File { .. } | Self::S3 { .. } => self.to_set_tag(user, tag, "the line of the .pub file"),
        }
    }

    /// How the key in a file gets into as many tags as it needs, `<name>.1`, `<name>.2` and so on.
    #[must_use]
    pub fn to_set_key_parts(self, user: &str, name: &str) -> String {
        match self {
            Self::Iam => format!(
                "aws iam tag-user --user-name {user} --tags \"[$(cut -d' ' -f1,2 KEY.pub | tr -d '\\n' | fold -w {TAG_VALUE} | \
                 awk -v name={name} '{{print \"{{\\\"Key\\\":\\\"\" name \".\" NR \"\\\",\\\"Value\\\":\\\"\" $0 \"\\\"}}\"}}' | paste -sd, -)]\""
            ),
            Self::File { .. } | Self::S3 { .. } => self.to_add_rsa_key(user),
        }
    }

    /// How several tags of a user are removed.
    #[must_use]
    pub fn to_remove_tags(self, user: &str, tags: &[String]) -> String {
        match self {
            Self::Iam => self.to_remove_tag(user, &tags.join(" ")),
            Self::File { .. } | Self::S3 { .. } => {
                tags.iter().map(|tag| self.to_remove_tag(user, tag)).collect::<Vec<_>>().join("; ")
            }
        }
    }

    /// How a tag of a user is removed.
    #[must_use]
    pub fn to_remove_tag(self, user: &str, tag: &str) -> String {
        match self {
            Self::Iam => format!("aws iam untag-user --user-name {user} --tag-keys {tag}"),
            Self::File { path } => {
                format!("remove the tag {tag} of user {user} from '{}'", path.display())
            }
            Self::S3 { url } => format!("remove the tag {tag} of user {user} {}", at_publisher(url)),
        }
    }

    /// How a key is removed.
    #[must_use]
    pub fn to_remove_key(self, user: &str, key: &str) -> String {
        match self {
            Self::Iam => {
                format!("aws iam delete-ssh-public-key --user-name {user} --ssh-public-key-id {key}")
            }
            Self::File { path } => format!("remove key {key} of user {user} from '{}'", path.display()),
            Self::S3 { url } => format!("remove key {key} of user {user} {}", at_publisher(url)),
        }
    }

    /// How an inactive key becomes active.
    #[must_use]
    pub fn to_activate_key(self, user: &str, key: &str) -> String {
        match self {
            Self::Iam => format!(
                "aws iam update-ssh-public-key --user-name {user} --ssh-public-key-id {key} --status Active"
            ),
            Self::File { path } => {
                format!("set key {key} of user {user} to \"active\": true in '{}'", path.display())
            }
            Self::S3 { url } => {
                format!("set key {key} of user {user} to \"active\": true {}", at_publisher(url))
            }
        }
    }
}
