//! What the principal of a user's SSH certificate may be besides the login name: the name and the id at the source, where they
//! can mean nobody else on this host.

use std::collections::{BTreeMap, BTreeSet};

use cache::state::State;
use policy::IamId;

/// Longer than any name or id of IAM.
const LONGEST: usize = 128;

/// A user's login name, and the name at the source, empty if it does not count, and the id there.
pub(super) type Named<'a> = [&'a str; 3];

/// The names, at the source and on this host and in small letters, of users who were here before these.
pub(super) fn former(state: &State, present: &BTreeSet<&IamId>) -> BTreeSet<String> {
    let former = state.users.iter().filter(|(iam_id, _)| !present.contains(iam_id));
    former
        .flat_map(|(_, user)| [user.iam_name.as_str(), user.name.as_str()].map(str::to_ascii_lowercase))
        .collect()
}

/// Each user's principals, in the order of `users`; no name of a local user is one.
pub(super) fn of(users: &[Named<'_>], local: &BTreeMap<String, u32>) -> Vec<Vec<String>> {
    let mut meant: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (index, words) in users.iter().enumerate() {
        for word in words {
            meant.entry(word.to_ascii_lowercase()).or_default().insert(index);
        }
    }
    let local: BTreeSet<String> = local.keys().map(|name| name.to_ascii_lowercase()).collect();
    let is_own = |word: &str| {
        let word = word.to_ascii_lowercase();
        meant.get(&word).is_some_and(|users| users.len() == 1) && !local.contains(&word)
    };
    let of_user = |[login, name, id]: &Named<'_>| {
        let words = [*name, *id].into_iter();
        let words = words.filter(|word| word != login && is_valid(word) && is_own(word));
        words.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
    };
    users.iter().map(of_user).collect()
}

/// Characters of IAM's names, none of which sshd reads as an option or as the end of a line.
fn is_valid(word: &str) -> bool {
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    (1..=LONGEST).contains(&word.len()) && word.bytes().all(is_right)
}
