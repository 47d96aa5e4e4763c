//! What an administrator does at the source about a user or a key. Users, groups and key ids are words of a command line
//! here: the caller has quoted them.

use super::Source;

impl Source {
    /// How a user is let in; none if it is not known in which group.
    #[must_use]
    pub fn to_add_user(&self, user: &str, group: Option<&str>) -> Option<String> {
        match self {
            Self::Iam => {
                let group = group?;
                Some(format!("aws iam add-user-to-group --group-name {group} --user-name {user}"))
            }
            Self::File { path, .. } => Some(format!("add the user {user} to '{}'", path.display())),
        }
    }

    /// How a user gets an RSA key.
    #[must_use]
    pub fn to_add_rsa_key(&self, user: &str) -> String {
        match self {
            Self::Iam => {
                format!(
                    "aws iam upload-ssh-public-key --user-name {user} --ssh-public-key-body file://KEY.pub"
                )
            }
            Self::File { path, .. } => {
                format!("add the line of the .pub file to the keys of user {user} in '{}'", path.display())
            }
        }
    }

    /// How a tag of a user gets another value. The value is a placeholder.
    #[must_use]
    pub fn to_set_tag(&self, user: &str, tag: &str, value: &str) -> String {
        match self {
            Self::Iam => format!("aws iam tag-user --user-name {user} --tags Key={tag},Value={value}"),
            Self::File { path, .. } => {
                format!("set the tag {tag} of user {user} to {value} in '{}'", path.display())
            }
        }
    }

    /// How a tag gets the key in a file. A tag cannot hold every comment of a key.
    #[must_use]
    pub fn to_set_key_tag(&self, user: &str, tag: &str) -> String {
        match self {
            Self::Iam => format!(
                "aws iam tag-user --user-name {user} --tags Key={tag},Value=\"$(cut -d' ' -f1,2 KEY.pub)\""
            ),
            Self::File { .. } => self.to_set_tag(user, tag, "the line of the .pub file"),
        }
    }

    /// How a tag of a user is removed.
    #[must_use]
    pub fn to_remove_tag(&self, user: &str, tag: &str) -> String {
        match self {
            Self::Iam => format!("aws iam untag-user --user-name {user} --tag-keys {tag}"),
            Self::File { path, .. } => {
                format!("remove the tag {tag} of user {user} from '{}'", path.display())
            }
        }
    }

    /// How a key is removed.
    #[must_use]
    pub fn to_remove_key(&self, user: &str, key: &str) -> String {
        match self {
            Self::Iam => {
                format!("aws iam delete-ssh-public-key --user-name {user} --ssh-public-key-id {key}")
            }
            Self::File { path, .. } => format!("remove key {key} of user {user} from '{}'", path.display()),
        }
    }

    /// How a user gets a key of another type, in the tag for keys.
    #[must_use]
    pub fn to_add_other_key(&self, user: &str, tag: &str) -> String {
        match self {
            Self::Iam => format!(
                "IAM's own upload takes RSA keys only: {} (if that tag has another key: {tag}-2)",
                self.to_set_key_tag(user, tag)
            ),
            Self::File { .. } => self.to_add_rsa_key(user),
        }
    }

    /// How an inactive key becomes active.
    #[must_use]
    pub fn to_activate_key(&self, user: &str, key: &str) -> String {
        match self {
            Self::Iam => format!(
                "aws iam update-ssh-public-key --user-name {user} --ssh-public-key-id {key} --status Active"
            ),
            Self::File { path, .. } => {
                format!("set key {key} of user {user} to \"active\": true in '{}'", path.display())
            }
        }
    }
}
