//! `adopt --undo`: gives the accounts of an adoption back from its backup.
//!
//! A file that nobody edited since is restored byte for byte; into an edited passwd(5), shadow(5), group(5) or gshadow(5)
//! only the missing lines and members are put back; any other edited file is kept, and named. An undo that a power cut ended is
//! completed by the next one: which accounts it was giving back is stored before anything is changed.

mod merge;
mod plan;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use message::Message;
use policy::IamId;
use status::Locked;

use super::carry_out;
use crate::cli::Adopt;
use crate::edit::backup::adopted::{Account, Adopted};
use crate::edit::backup::copies;
use crate::edit::step::{Owners, Step};
use crate::edit::transaction::Transaction;
use crate::host::paths::{CACHE, REFRESHER};
use crate::host::published::Published;
use crate::host::{Host, accounts, files, processes};
use crate::say::error::{self, Error};
use crate::say::finding::written;
use crate::say::say;
use crate::say::show::{count, word};
use plan::{Found, Undoing, World};

/// Shows what is given back, and with `--apply` does it.
///
/// # Errors
/// When something has taken the place of an account, or it fails; all files are then restored.
pub(super) fn run(host: &Host, args: &Adopt, out: &mut dyn Write) -> Result<u8, Error> {
    let nothing = |failed: Error| failed.done("nothing was done");
    let passwd = accounts::local(host).map_err(nothing)?;
    let (all, without) = Adopted::all(host).map_err(nothing)?;
    for directory in without {
        let what =
            format!("'{}' is of an earlier release, and must be restored by hand", directory.display());
        say(Message::new(what).with_hint("plan.txt says what was done; the original files are beside it"));
    }
    let wanted = |account: &Account| args.names.is_empty() || args.names.contains(&account.name);
    let is_open = |adopted: &&Adopted| {
        let is_pending = |account: &Account| plan::is_pending(account, &passwd, &adopted.begun);
        adopted.record.accounts.iter().any(|account| wanted(account) && is_pending(account))
    };
    let mut open: Vec<&Adopted> = all.iter().filter(is_open).collect();
    let is_interrupted = args.names.is_empty() && open.iter().any(|adopted| !adopted.begun.is_empty());
    if is_interrupted {
        open.retain(|adopted| !adopted.begun.is_empty());
        say(Message::new("an undo was interrupted; only that one is completed")
            .with_hint("to give other accounts back, name them: nss-iamctl adopt --undo --apply NAME..."));
    }
    let Some(last) = open.first() else { return none(&args.names) };
    if let Some(name) = args.names.iter().find(|name| !last.record.accounts.iter().any(|a| a.name == **name))
    {
        return Err(nothing(other(name, &all)));
    }
    // The latest first, because it may have changed what an earlier one wrote.
    let open = if args.names.is_empty() { open } else { vec![*last] };
    let mut all_back = true;
    for adopted in open {
        all_back &= undo(host, args, adopted, out)?;
    }
    if !args.apply {
        say("nothing was changed; with --apply it is");
        return Ok(error::OK);
    }
    Ok(if all_back { error::OK } else { error::CONFIGURATION })
}

/// Undoes one adoption; whether nothing is left of it.
fn undo(host: &Host, args: &Adopt, adopted: &Adopted, out: &mut dyn Write) -> Result<bool, Error> {
    let nothing = |failed: Error| failed.done("nothing was done");
    let world = world(host, adopted).map_err(nothing)?;
    if world.active.is_none() && args.names.is_empty() {
        let wanted = adopted.record.accounts.iter().filter(|account| world.is_wanted(account, &args.names));
        let names: Vec<String> = wanted.map(|account| word(&account.name)).collect();
        let what = format!("cannot read '{CACHE}', so it is not known who left since; nothing was done");
        let hint = format!("name those who may log in: nss-iamctl adopt --undo --apply {}", names.join(" "));
        return Err(Error::configuration(what).hint(hint));
    }
    let undoing = plan::plan(&adopted.record, &world, &args.names).map_err(refused)?;
    let shown = shown(&undoing, adopted);
    written(out.write_all(shown.as_bytes()).and_then(|()| out.flush())).map_err(nothing)?;
    let backup = match args.apply && !undoing.give.is_empty() {
        true => Some(carry_out(host, &undoing, adopted)?),
        false => None,
    };
    undoing.left.iter().cloned().for_each(say);
    match backup {
        Some(backup) => done(&undoing, &backup),
        None if args.apply => say("no account was given back"),
        None => {}
    }
    Ok(undoing.left.is_empty())
}

fn none(names: &[String]) -> Result<u8, Error> {
    if names.is_empty() {
        say("no adopted account is missing; nothing was done");
        return Ok(error::OK);
    }
    let names: Vec<String> = names.iter().map(|name| format!("'{}'", name.escape_default())).collect();
    Err(Error::configuration(format!(
        "{}: not an adopted account that is missing; nothing was done",
        names.join(", ")
    )))
}

fn other(name: &str, all: &[Adopted]) -> Error {
    let known = all.iter().any(|adopted| adopted.record.accounts.iter().any(|account| account.name == name));
    let failed = |why: &str| Error::configuration(format!("'{}' {why}", name.escape_default()));
    if known {
        return failed("was adopted at another time than the other accounts").hint("name it alone");
    }
    failed("was not adopted")
}

fn refused(mut reasons: Vec<Message>) -> Error {
    let last = reasons.pop().unwrap_or_default();
    reasons.into_iter().for_each(say);
    let hint = last.hint().unwrap_or_default().to_owned();
    Error::configuration(last.and("nothing was done"))
        .hint(format!("{hint}; or give back only other accounts: nss-iamctl adopt --undo --apply NAME..."))
}

fn world(host: &Host, adopted: &Adopted) -> Result<World, Error> {
    let Published { cache, listing, locked, state, .. } = Published::read(host);
    // What cannot be read lets nobody in.
    let listed: BTreeSet<String> = listing
        .iter()
        .flat_map(|listing| &listing.accounts)
        .flat_map(|account| &account.users)
        .map(|user| user.id.clone())
        .collect();
    let locked = locked.unwrap_or_else(|_| Locked::of([Locked::ALL.to_owned()]));
    let users = state.map(|state| state.users).unwrap_or_default();
    let may_log_in = |account: &&Account| {
        let user = users.get(&IamId::new(&account.iam_id));
        listed.contains(&account.iam_id) && user.is_some_and(|user| !locked.contains(user.name.as_str()))
    };
    let mut world = World {
        passwd: accounts::local(host)?,
        groups: accounts::local_groups(host)?,
        running: processes::by_uid(host).into_iter().map(|(uid, found)| (uid, found.len())).collect(),
        listed: adopted.record.accounts.iter().filter(may_log_in).map(|account| account.id).collect(),
        active: cache
            .ok()
            .map(|cache| cache.users.iter().filter(|user| user.active).map(|user| user.uid.get()).collect()),
        begun: adopted.begun.clone(),
        ..World::default()
    };
    for path in adopted.record.paths() {
        let copy = copies::of(path, &adopted.directory);
        let (current, original) = (files::read(&host.path_of(path))?, files::read(&copy)?);
        let mode = files::mode(&copy).unwrap_or(0o644);
        world.files.insert(path.to_owned(), Found { current, original, mode });
    }
    Ok(world)
}

fn shown(undoing: &Undoing<'_>, adopted: &Adopted) -> String {
    let mut text = String::new();
    for account in &undoing.give {
        let Account { name, uid, id, moves, .. } = account;
        text += &format!("{name} (uid {id}): becomes a local account again, with uid {uid}\n");
        if let Some(moves) = moves {
            let places = account.places.first().map(|home| home.display().to_string()).unwrap_or_default();
            text += &format!("    files: {}, in '{places}', mail and crontabs\n", moves.back());
        }
    }
    for edit in &undoing.edits {
        let verb = if edit.after.is_some() { "write" } else { "remove" };
        text += &format!("{verb} '{}'\n", edit.path.display());
    }
    if !undoing.give.is_empty() {
        text += &format!("from the backup '{}'\n", adopted.directory.display());
    }
    text
}

/// Returns where the backup is then.
fn carry_out(host: &Host, undoing: &Undoing<'_>, adopted: &Adopted) -> Result<PathBuf, Error> {
    let mut steps: Vec<Step> =
        undoing.give.iter().filter_map(|account| owners(account)).map(Step::Owners).collect();
    steps.extend(undoing.edits.iter().cloned().map(Step::Edit));
    let mut backup = adopted.directory.clone();
    let names: BTreeSet<String> = undoing.give.iter().map(|account| account.name.clone()).collect();
    adopted.mark_begun(&(&adopted.begun | &names)).map_err(|failed| failed.done("nothing was done"))?;
    let begin = |transaction: &mut Transaction<'_>| {
        let before = adopted.clone();
        // The first failure is the one that matters.
        transaction.once_restored(move || drop(before.mark_begun(&before.begun)));
    };
    carry_out::make(host, &steps, begin, |transaction| {
        let moved = undoing.give.iter().filter(|account| account.moves.is_some());
        carry_out::nobody_came(host, moved.map(|account| (account.name.as_str(), account.id)))?;
        refresh(transaction, &undoing.give)?;
        if undoing.complete {
            backup = adopted.mark_undone()?;
            return Ok(());
        }
        adopted.mark_begun(&(&adopted.begun - &names))
    })?;
    Ok(backup)
}

/// How the owners of the account's files are changed back.
pub(super) fn owners(account: &Account) -> Option<Owners> {
    Some(Owners {
        name: account.name.clone(),
        moves: account.moves?.back(),
        places: account.places.clone(),
        kept: account.kept.clone(),
    })
}

/// Publishes, and checks that none of them is an nss-iam user any more.
fn refresh(transaction: &mut Transaction<'_>, give: &[&Account]) -> Result<(), Error> {
    let host = transaction.host();
    transaction.run_last(&[REFRESHER, "apply"]);
    let ran = host.run(&[REFRESHER, "apply"])?;
    let users = Published::read(host).cache.map(|cache| cache.users).unwrap_or_default();
    let still = |account: &&&Account| {
        users
            .iter()
            .any(|user| user.active && (user.uid.get() == account.id || user.name.as_str() == account.name))
    };
    if let Some(account) = give.iter().find(still) {
        let what = format!("'{}' is still published as an nss-iam user: {}", account.name, ran.complaint());
        return Err(Error::other(what));
    }
    if !ran.success() {
        say(format!("cache-refresher reported: {}", ran.complaint()));
    }
    Ok(())
}

fn done(undoing: &Undoing<'_>, backup: &Path) {
    say(format!(
        "{} given back; they log in with their own passwords and keys again; the copies stay in '{}'",
        count(undoing.give.len(), "account"),
        backup.display()
    ));
}
