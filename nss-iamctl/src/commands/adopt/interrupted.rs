//! An adoption that never ended, because of a power cut: some accounts are removed, others are not yet. Everything is put back
//! as it was before, so that the adoption can be repeated, or not.

use crate::edit::backup::adopted::Adopted;
use crate::edit::backup::copies;
use crate::edit::file::{Edit, Kind};
use crate::edit::step::Step;
use crate::edit::transaction::Transaction;
use crate::host::paths::REFRESHER;
use crate::host::{Host, files};
use crate::say::error::Error;
use crate::say::say;
use crate::say::show::word;

use super::{carry_out, undo};

/// Puts back what adoptions that were interrupted have changed; with `apply`, otherwise it fails if there is one.
///
/// # Errors
/// When a file was edited since then, or it fails; all files are then as they were before this.
pub(super) fn restore(host: &Host, apply: bool) -> Result<(), Error> {
    let (all, _) = Adopted::all(host).map_err(|failed| failed.done("nothing was done"))?;
    for adopted in all.iter().filter(|adopted| adopted.is_unfinished()) {
        if !apply {
            let what = "an adoption was interrupted, and its changes were not completed; nothing was done";
            return Err(Error::configuration(what)
                .hint("with --apply, everything is put back first: nss-iamctl adopt --undo --apply"));
        }
        let steps = steps(host, adopted).map_err(|failed| failed.done("nothing was done"))?;
        let check = |transaction: &mut Transaction<'_>| {
            transaction.run_last(&[REFRESHER, "apply"]);
            let ran = host.run(&[REFRESHER, "apply"])?;
            if !ran.success() {
                say(format!("cache-refresher reported: {}", ran.complaint()));
            }
            adopted.mark_undone().map(drop)
        };
        carry_out::make(host, &steps, |_| {}, check)?;
        say("an adoption was interrupted; everything is now as it was before it");
    }
    Ok(())
}

/// Nothing is adopted while an undo is half done.
///
/// # Errors
/// If one was interrupted.
pub(super) fn no_undo(host: &Host) -> Result<(), Error> {
    let (all, _) = Adopted::all(host).map_err(|failed| failed.done("nothing was done"))?;
    let Some(adopted) = all.iter().find(|adopted| !adopted.begun.is_empty()) else { return Ok(()) };
    let names: Vec<String> =
        adopted.begun.iter().map(|name| format!("'{}'", name.escape_default())).collect();
    let mark = adopted.mark();
    let what = format!(
        "an undo was interrupted before {} was given back, says '{}'; nothing was done",
        names.join(", "),
        mark.display()
    );
    Err(Error::configuration(what).hint(format!(
        "complete it: nss-iamctl adopt --undo --apply; or, to leave it as it is: rm {}",
        word(&mark.to_string_lossy())
    )))
}

/// Owners first, as in the adoption: what has its old owner already is left alone.
fn steps(host: &Host, adopted: &Adopted) -> Result<Vec<Step>, Error> {
    let mut steps: Vec<Step> =
        adopted.record.accounts.iter().filter_map(undo::owners).map(Step::Owners).collect();
    for path in adopted.record.paths() {
        let copy = copies::of(path, &adopted.directory);
        let (current, original) = (files::read(&host.path_of(path))?, files::read(&copy)?);
        if current == original {
            continue;
        }
        if !adopted.record.is_untouched(path, current.as_deref()) {
            let what = format!("'{}' was edited since an adoption was interrupted", path.display());
            return Err(Error::configuration(what)
                .hint(format!("compare it with '{}', and copy one over the other", copy.display())));
        }
        let mode = files::mode(&copy).unwrap_or(0o644);
        let edit = Edit { path: path.to_owned(), kind: Kind::Theirs, before: current, after: original, mode };
        steps.push(Step::Edit(edit));
    }
    Ok(steps)
}
