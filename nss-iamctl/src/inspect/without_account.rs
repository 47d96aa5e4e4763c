//! Users who have their uid only from nss-iam: `adopt`, `[ids]` or a tag gave it to them. useradd(8) takes a uid that no line
//! of passwd(5) has and getpwuid(3) does not know, and so gives theirs, with all their files, to somebody else as soon as the
//! module does not answer for them any more.

use std::collections::HashSet;

use message::Message;

use crate::edit::backup::adopted::Adopted;
use crate::host::Host;
use crate::host::accounts;
use crate::host::published::Published;
use crate::say::error::Error;
use crate::say::show::{some, word};

/// A user, and the uid that others could get.
pub(crate) type User = (String, u32);

/// Those users. A uid that was computed is out of reach for useradd.
///
/// # Errors
/// When passwd(5) cannot be read.
pub(crate) fn users(host: &Host) -> Result<Vec<User>, Error> {
    let local = accounts::local(host)?;
    let cache = Published::read(host).cache.unwrap_or_default();
    let published = cache.users.iter().map(|user| (user.name.to_string(), user.uid.get()));
    let adopted = adopted(host)?;
    let mut users: Vec<User> = published.chain(adopted).collect();
    let uids: HashSet<u32> = local.iter().map(|account| account.uid).collect();
    let names: HashSet<&str> = local.iter().map(|account| account.name.as_str()).collect();
    users.retain(|(name, uid)| {
        *uid < policy::id::FIRST && !uids.contains(uid) && !names.contains(name.as_str())
    });
    users.sort_by_key(|(_, uid)| *uid);
    users.dedup_by_key(|(_, uid)| *uid);
    Ok(users)
}

/// Users whose accounts `adopt` removed and who have none now.
///
/// # Errors
/// When the records or passwd(5) cannot be read.
fn adopted(host: &Host) -> Result<Vec<User>, Error> {
    let local = accounts::local(host)?;
    let all = Adopted::all(host)?.0;
    let accounts = all.into_iter().flat_map(|adopted| adopted.record.accounts);
    let names: HashSet<&str> = local.iter().map(|account| account.name.as_str()).collect();
    let missing = accounts.filter(|account| !names.contains(account.name.as_str()));
    Ok(missing.map(|account| (account.name, account.id)).collect())
}

/// Those of them who can log in, as far as is known.
///
/// # Errors
/// When the records or passwd(5) cannot be read.
pub(crate) fn adopted_and_active(host: &Host) -> Result<Vec<User>, Error> {
    let mut adopted = adopted(host)?;
    if let Ok(cache) = Published::read(host).cache {
        let active = cache.users.iter().filter(|user| user.active);
        let active: HashSet<u32> = active.map(|user| user.uid.get()).collect();
        adopted.retain(|(_, uid)| active.contains(uid));
    }
    Ok(adopted)
}

/// What can happen to their files now, and what prevents it.
pub(crate) fn warning(users: &[User]) -> Option<Message> {
    if users.is_empty() {
        return None;
    }
    let names: Vec<&str> = users.iter().map(|(name, _)| name.as_str()).collect();
    let what = format!(
        "no account has the uids of {} any more, so useradd(8) can give them, with all files, to somebody else",
        some(&names)
    );
    let keep =
        users.iter().map(|(name, uid)| format!("useradd -M -s /usr/sbin/nologin -u {uid} {}", word(name)));
    Some(Message::new(what).with_hint(keep.collect::<Vec<_>>().join("; ")))
}
