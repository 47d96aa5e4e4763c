//! `[tags]`: which tags of users are used.

use std::collections::BTreeMap;

use crate::key_tags;

/// `[tags]`: which tags of users are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    /// Key `use`; none by default.
    pub uses: Vec<TagUse>,
    /// The prefix of the tags' keys; never empty.
    pub prefix: String,
}

impl Default for Tags {
    fn default() -> Self {
        Self { uses: Vec::new(), prefix: "nss-iam:".to_owned() }
    }
}

impl Tags {
    /// The value of a tag, if the configuration uses this tag. `tags` has all tags of the user, with their
    /// prefix.
    #[must_use]
    pub fn value<'a>(&self, usage: TagUse, tags: &'a BTreeMap<String, String>) -> Option<&'a str> {
        if tags.is_empty() || !self.uses.contains(&usage) {
            return None;
        }
        tags.get(&format!("{}{}", self.prefix, usage.word())).map(String::as_str)
    }

    /// Which tag this is, by its key, if the configuration lets it decide.
    #[must_use]
    pub fn usage(&self, key: &str) -> Option<TagUse> {
        self.meant(key).filter(|usage| self.uses.contains(usage))
    }

    /// Which tag this is, by its key, whether it is used or not.
    #[must_use]
    pub fn meant(&self, key: &str) -> Option<TagUse> {
        let word = key.strip_prefix(&self.prefix)?;
        TagUse::ALL.into_iter().find(|usage| usage.is_called(word))
    }
}

/// A tag that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagUse {
    /// `ssh-key`, `ssh-key-2`, …: public keys; `ssh-key-2.1`, `ssh-key-2.2`, …: the parts of one.
    SshKey,
    /// `name`: the login name.
    Name,
    /// `uid`: the uid.
    Uid,
    /// `shell`: the shell.
    Shell,
    /// `gecos`: the comment field.
    Gecos,
}

impl TagUse {
    /// All variants.
    pub const ALL: [Self; 5] = [Self::SshKey, Self::Name, Self::Uid, Self::Shell, Self::Gecos];

    /// The word in key `use`, which is also the part of the tag's key after the prefix.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SshKey => "ssh-key",
            Self::Name => "name",
            Self::Uid => "uid",
            Self::Shell => "shell",
            Self::Gecos => "gecos",
        }
    }

    /// Keys are in several tags: `ssh-key`, `ssh-key-2`, …, or in their parts.
    fn is_called(self, word: &str) -> bool {
        let word =
            if self == Self::SshKey { key_tags::part(word).map_or(word, |(name, _)| name) } else { word };
        match word.strip_prefix(self.word()) {
            Some("") => true,
            Some(rest) if self == Self::SshKey => {
                rest.strip_prefix('-').is_some_and(|number| number.parse::<u32>().is_ok())
            }
            _ => false,
        }
    }
}
