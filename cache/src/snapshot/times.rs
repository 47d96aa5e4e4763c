//! `keys.db` together with the record `confirmed`: keys that differ from the file in nothing but times are published by the
//! record alone.

use std::path::Path;

use policy::KeyLine;
use policy::confirmed::{Content, Entry, Moves, Record};

use super::{Error, Keys, Login, open};
use crate::schema::KEYS;
use crate::{Texts, confirmed};

/// What a `keys.db` itself says of the times of confirmation.
#[derive(Debug, Clone, Default)]
pub struct StoredTimes {
    /// What identifies the content of the file; empty in a file of a release that did not store it.
    digest: String,
    /// The times, in the order of [`Keys::logins`].
    confirmed: Vec<i64>,
}

impl StoredTimes {
    /// How `next` can be published without writing the file again, which now says `keys`: they differ in nothing but times of
    /// confirmation, and these fit into an entry of the record.
    #[must_use]
    pub fn entry(&self, keys: &Keys, next: &Keys) -> Option<Entry> {
        if self.digest.is_empty() || !keys.is_same_but_confirmed(next) {
            return None;
        }
        let now = next.logins.iter().map(|login| login.confirmed);
        let moves = Moves::between(self.confirmed.iter().copied().zip(now))?;
        Some(Entry { digest: self.digest.clone(), asked: 0, moves })
    }

    /// The entry of `record` about this file.
    #[must_use]
    pub fn known<'r>(&self, record: &'r Record) -> Option<&'r Entry> {
        record.of_keys(&self.digest)
    }
}

impl Login {
    fn is_same_but_confirmed(&self, other: &Self) -> bool {
        let Self { uid, name, iam_id, confirmed: _, source, keys, forward_only, principals } = self;
        (uid, name, iam_id, source, keys, forward_only, principals)
            == (
                &other.uid,
                &other.name,
                &other.iam_id,
                &other.source,
                &other.keys,
                &other.forward_only,
                &other.principals,
            )
    }
}

impl Keys {
    /// The published keys in the directory `directory`, with the times at which they were confirmed last.
    ///
    /// # Errors
    /// If the file is missing or corrupt, or contains values that nss-iam never writes.
    pub fn published(directory: &Path) -> Result<Self, Error> {
        Self::with_stored_times(directory, &mut Texts::default()).map(|(keys, _)| keys)
    }

    /// The same, and what the file itself says.
    ///
    /// # Errors
    /// As there.
    pub fn with_stored_times(directory: &Path, texts: &mut Texts) -> Result<(Self, StoredTimes), Error> {
        // Before the file: one that replaces it meanwhile has newer times than the record.
        let record = confirmed::read(directory);
        let path = directory.join(KEYS.name);
        let mut keys = Self::read_with(&path, texts)?;
        // Before version 104, there was no such column.
        let digest = open(&path)?.query_row("SELECT digest FROM about", [], |row| row.get(0));
        let confirmed = keys.logins.iter().map(|login| login.confirmed).collect();
        let stored = StoredTimes { digest: digest.unwrap_or_default(), confirmed };
        if let Some(entry) = stored.known(&record) {
            for login in &mut keys.logins {
                login.confirmed = entry.moves.now(login.confirmed);
            }
        }
        Ok((keys, stored))
    }

    /// Whether both differ in nothing but times of confirmation.
    #[must_use]
    pub fn is_same_but_confirmed(&self, other: &Self) -> bool {
        let Self { machine_id, max_age, options, accepted, logins } = self;
        (machine_id, max_age, options, accepted)
            == (&other.machine_id, &other.max_age, &other.options, &other.accepted)
            && logins.len() == other.logins.len()
            && logins.iter().zip(&other.logins).all(|(login, other)| login.is_same_but_confirmed(other))
    }

    /// What identifies this content.
    pub(super) fn digest(&self) -> String {
        let Self { machine_id, max_age, options, accepted, logins } = self;
        let mut content = Content::default();
        content.text(machine_id);
        content.number(i64::from(*max_age));
        content.text(options);
        accepted.add_to(&mut content);
        for login in logins {
            let Login { uid, name, iam_id, confirmed, source, keys, forward_only, principals } = login;
            content.number(i64::from(uid.get()));
            content.text(name.as_str());
            content.text(iam_id.as_str());
            content.number(*confirmed);
            content.text(source);
            content.texts(keys.iter().map(KeyLine::as_str));
            content.number(i64::from(*forward_only));
            content.texts(principals.iter().map(AsRef::as_ref));
        }
        content.digest()
    }
}
