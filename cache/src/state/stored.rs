//! `state.db` together with the record `confirmed`: a state that differs from the file in nothing but times is saved by
//! the record alone.

use std::collections::BTreeMap;
use std::path::Path;

use policy::confirmed::{Content, Entry, Moves, Record};
use policy::{IamId, KeyLine};
use rusqlite::Connection;

use super::{Error, Group, Rows, State, StateFile, User, connect, migrations};
use crate::schema::STATE;
use crate::{Texts, confirmed};

/// A state as it was read.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// With the times that count now.
    pub state: State,
    /// What identifies the content of the file.
    digest: String,
    /// Whether the file has to be written, whatever the state is.
    is_due: bool,
    /// The times in the file.
    confirmed: BTreeMap<IamId, i64>,
}

/// How a state is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saving<'a> {
    /// By this entry of the record.
    Times(Entry),
    /// By writing these rows, with this entry in the record before that.
    Rows(Rows<'a>, Entry),
}

impl Stored {
    /// Reads `state.db` of any version in the directory `directory`. Nothing is created or migrated on disk, and the file need
    /// not be writable: one of an earlier version is migrated in memory.
    ///
    /// # Errors
    /// See [`Error`]; a missing file is an error of SQLite.
    pub fn read(directory: &Path, texts: &mut Texts) -> Result<Self, Error> {
        let file = connect(&directory.join(STATE.name))?;
        let version = migrations::version(&file, directory)?;
        // The file of an earlier release is migrated when it is written.
        let is_current = version >= STATE.version;
        let state = if is_current {
            StateFile(file).load_with(texts)?
        } else {
            let mut memory = Connection::open_in_memory()?;
            migrations::copy(&file, &mut memory)?;
            migrations::migrate(&mut memory, version)?;
            StateFile(memory).load_with(texts)?
        };
        Ok(Self::of(state, is_current, &confirmed::read(directory)))
    }

    fn of(mut state: State, is_current: bool, record: &Record) -> Self {
        let digest = Rows::of(&state).digest();
        let confirmed = state.users.iter().map(|(iam_id, user)| (iam_id.clone(), user.confirmed)).collect();
        if let Some(entry) = record.of_state(&digest) {
            state.confirm(entry);
        }
        Self { state, digest, is_due: !is_current, confirmed }
    }

    /// Has the file written when the state is saved next: `state` was changed since it was read.
    pub fn touch(&mut self) {
        self.is_due = true;
    }

    /// How `next` is saved.
    #[must_use]
    pub fn saving<'n>(&self, next: &'n State) -> Saving<'n> {
        if !self.is_due && self.state.is_same_but_times(next) {
            // Both have the same users, in the same order.
            let stored = self.confirmed.values().copied();
            if let Some(moves) = Moves::between(stored.zip(next.users.values().map(|user| user.confirmed))) {
                return Saving::Times(Entry { digest: self.digest.clone(), asked: next.asked, moves });
            }
        }
        // A row that is written anyway has its new time.
        let is_kept = |iam_id: &IamId, user: &User| {
            self.state.users.get(iam_id).is_some_and(|present| present.is_same_but_confirmed(user))
        };
        let stored = |iam_id: &IamId, user: &User| {
            let stored = self.confirmed.get(iam_id).copied().filter(|_| is_kept(iam_id, user));
            stored.unwrap_or(user.confirmed)
        };
        let moves = Moves::between(next.users.iter().map(|(id, user)| (stored(id, user), user.confirmed)));
        let mut rows = Rows::of(next);
        if moves.is_some() {
            // Rows in which only the time is new stay as they are.
            let other = |(id, user): (&'n IamId, &User)| {
                Some((id, stored(id, user))).filter(|(_, time)| *time != user.confirmed)
            };
            rows.confirmed = next.users.iter().filter_map(other).collect();
        }
        let entry = Entry { digest: rows.digest(), asked: next.asked, moves: moves.unwrap_or_default() };
        Saving::Rows(rows, entry)
    }

    /// The entry of `record` about the file as it was read.
    #[must_use]
    pub fn entry<'r>(&self, record: &'r Record) -> Option<&'r Entry> {
        record.of_state(&self.digest)
    }
}

impl State {
    fn confirm(&mut self, entry: &Entry) {
        for user in self.users.values_mut() {
            user.confirmed = entry.moves.now(user.confirmed);
        }
        self.asked = entry.asked;
    }

    fn is_same_but_times(&self, other: &Self) -> bool {
        let Self { identities, users, groups, homes, names, asked: _, rebuilt, held, accepted } = self;
        (groups, rebuilt, held, accepted) == (&other.groups, &other.rebuilt, &other.held, &other.accepted)
            && (identities, homes, names) == (&other.identities, &other.homes, &other.names)
            && users.len() == other.users.len()
            && users
                .iter()
                .zip(&other.users)
                .all(|((id, user), (other_id, other))| id == other_id && user.is_same_but_confirmed(other))
    }
}

impl Rows<'_> {
    /// What identifies this content. The time of the last questions does not belong to it.
    fn digest(&self) -> String {
        let State { identities, users, groups, homes, names, asked: _, rebuilt, held, accepted } = self.state;
        let mut content = Content::default();
        content.count(identities.len());
        for (iam_id, identity) in identities {
            content.text(iam_id.as_str());
            content.number(i64::from(identity.id.get()));
            content.number(i64::from(identity.pinned));
        }
        content.count(users.len());
        for (iam_id, user) in users {
            content.text(iam_id.as_str());
            user.add_to(&mut content, self.confirmed(iam_id, user));
        }
        content.count(groups.len());
        for (iam_id, Group { account, name }) in groups {
            [iam_id.as_str(), account, name.as_str()].into_iter().for_each(|text| content.text(text));
        }
        content.count(homes.len());
        for (home, iam_id) in homes {
            content.text(home);
            content.text(iam_id.as_str());
        }
        content.count(names.len());
        for (name, iam_id) in names {
            content.text(name.as_str());
            content.text(iam_id.as_str());
        }
        accepted.add_to(&mut content);
        content.optional(*rebuilt);
        content.optional(held.and_then(|held| i64::try_from(held).ok()));
        content.digest()
    }
}

impl User {
    pub(super) fn is_same_but_confirmed(&self, other: &Self) -> bool {
        let Self {
            account,
            iam_name,
            created,
            name,
            passwd,
            groups,
            disabled,
            hidden,
            keys,
            confirmed: _,
            source,
        } = self;
        (account, iam_name, created, name, passwd)
            == (&other.account, &other.iam_name, &other.created, &other.name, &other.passwd)
            && (groups, disabled, hidden, keys, source)
                == (&other.groups, &other.disabled, &other.hidden, &other.keys, &other.source)
    }

    fn add_to(&self, content: &mut Content, confirmed: i64) {
        let Self {
            account,
            iam_name,
            created,
            name,
            passwd,
            groups,
            disabled,
            hidden,
            keys,
            confirmed: _,
            source,
        } = self;
        let crate::passwd::Passwd { gecos, home, shell, lastchg } = passwd;
        for text in [account, iam_name, created, source] {
            content.text(text);
        }
        content.text(name.as_str());
        for field in [gecos, home, shell] {
            content.text(field.as_str());
        }
        content.number(i64::from(*lastchg));
        content.texts(groups.iter().map(IamId::as_str));
        content.optional(*disabled);
        content.number(i64::from(*hidden));
        content.texts(keys.iter().map(KeyLine::as_str));
        content.number(confirmed);
    }
}
