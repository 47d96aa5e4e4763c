//! What the principal of a user's SSH certificate may be besides the login name: the name and the id at the source, where they
//! can mean nobody else on this host.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use cache::state::State;
use foldhash::{HashMap, HashMapExt, HashSet};
use policy::{IamId, Name};

use super::input::Input;

/// Longer than any name or id of IAM.
const LONGEST: usize = 128;

/// A user's login name, and the name at the source, empty if it does not count, and the id there.
pub(super) type Named<'a> = [&'a str; 3];

/// The names, at the source and on this host and in small letters, of users who were here before these.
pub(super) fn former(state: &State, present: &HashSet<&IamId>) -> BTreeSet<String> {
    let former = state.users.iter().filter(|(iam_id, _)| !present.contains(iam_id));
    former.flat_map(|(_, user)| [&*user.iam_name, user.name.as_str()].map(str::to_ascii_lowercase)).collect()
}

/// Whether a name at the source can be a principal: what the other services of nsswitch.conf(5) say.
pub(super) struct NamesAtSource<'a> {
    input: &'a Input<'a>,
    /// See [`Self::is_published`].
    published: OnceCell<HashSet<(&'a IamId, &'a str)>>,
}

impl<'a> NamesAtSource<'a> {
    pub(super) fn of(input: &'a Input<'a>) -> Self {
        Self { input, published: OnceCell::new() }
    }

    /// Whether the login name comes from this name, and is another one. A tag can set one that does not.
    pub(super) fn is_other(&self, name: &str, login: &Name) -> bool {
        let is_mapped = || self.input.config.users.mapping().user(name).as_ref() == Ok(login);
        is_possible(name, login) && is_mapped()
    }

    /// Whether it is a principal now. Like a login name, it then stays one until a service is found to have it.
    pub(super) fn is_published(&self, iam_id: &IamId, name: &str) -> bool {
        let logins = &self.input.offered.logins;
        let words =
            || logins.iter().flat_map(|login| login.principals.iter().map(|word| (&login.iam_id, &**word)));
        self.published.get_or_init(|| words().collect()).contains(&(iam_id, name))
    }

    /// Whether no service has an account of this name. As long as one has not answered, a new principal waits.
    pub(super) fn is_free(&self, iam_id: &IamId, name: &str) -> bool {
        let services = &self.input.local.directory;
        let spellings = spellings(name);
        spellings.iter().all(|name| services.user(name).is_none())
            && (spellings.iter().all(|name| services.are_whole(name)) || self.is_published(iam_id, name))
    }
}

/// Whether a name at the source could be a principal of this login name, if that comes from it.
pub(super) fn is_possible(name: &str, login: &Name) -> bool {
    name != login.as_str() && is_valid(name)
}

/// Services differ in whether they tell letters by case.
pub(super) fn spellings(name: &str) -> BTreeSet<String> {
    [name.to_owned(), name.to_ascii_lowercase()].into()
}

/// Each user's principals, sorted, in the order of `users`; no name of a local user is one.
pub(super) fn of<'a>(users: &[Named<'a>], local: &BTreeMap<String, u32>) -> Vec<Vec<&'a str>> {
    // The only user who is meant by each word; none if there are several.
    let mut meant: HashMap<Cow<'_, str>, Option<usize>> = HashMap::with_capacity(3 * users.len());
    for (index, words) in users.iter().enumerate() {
        for word in words {
            let user = meant.entry(lower(word)).or_insert(Some(index));
            *user = user.filter(|user| *user == index);
        }
    }
    let local: BTreeSet<String> = local.keys().map(|name| name.to_ascii_lowercase()).collect();
    let is_own = |word: &str| {
        let word = lower(word);
        meant.get(&word).is_some_and(Option::is_some) && !local.contains(&*word)
    };
    let of_user = |&[login, name, id]: &Named<'a>| {
        let mut words: Vec<_> =
            [name, id].into_iter().filter(|&word| word != login && is_valid(word) && is_own(word)).collect();
        words.sort_unstable();
        words.dedup();
        words
    };
    users.iter().map(of_user).collect()
}

/// In small letters.
fn lower(word: &str) -> Cow<'_, str> {
    let has_capitals = word.bytes().any(|byte| byte.is_ascii_uppercase());
    if has_capitals { word.to_ascii_lowercase().into() } else { word.into() }
}

/// Characters of IAM's names, none of which sshd reads as an option or as the end of a line.
fn is_valid(word: &str) -> bool {
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    (1..=LONGEST).contains(&word.len()) && word.bytes().all(is_right)
}
