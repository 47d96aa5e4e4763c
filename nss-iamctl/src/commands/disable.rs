//! `disable`: restores every file that `enable` changed: byte for byte if it was not edited since; otherwise, or if the
//! backup is gone, only the lines of nss-iam are removed.

use std::io::Write;
use std::path::Path;

use message::Message;

use crate::cli::Disable;
use crate::edit::authselect;
use crate::edit::backup::{self, Manifest, Saved};
use crate::edit::file::{Edit, Kind};
use crate::edit::nsswitch;
use crate::edit::pam;
use crate::edit::settings;
use crate::edit::sshd::{Sshd, config, drop_in, reload};
use crate::edit::step::{self, Step};
use crate::edit::transaction::{carry_out, remove_if_empty, remove_tree};
use crate::host::{Host, files, nscd};
use crate::inspect::without_account;
use crate::say::error::{self, Error};
use crate::say::say;
use crate::say::show::some;

/// Where our lines can be, if the backup does not name the file.
const OURS: [(&str, Kind); 8] = [
    (settings::OURS, Kind::Whole),
    ("/etc/sudoers.d/nss-iam", Kind::Whole),
    ("/etc/pam.d/sudo", Kind::Block),
    ("/etc/pam.d/sudo-i", Kind::Block),
    (drop_in::PATH, Kind::Whole),
    (config::MAIN, Kind::Block),
    ("/etc/pam.d/sshd", Kind::Block),
    (nsswitch::PATH, Kind::Nsswitch),
];

/// Undoes `enable`, or prints how.
///
/// # Errors
/// When that fails; all files are then unchanged.
pub(crate) fn run(host: &Host, args: &Disable, out: &mut dyn Write) -> Result<u8, Error> {
    let unchanged = |failed: Error| failed.done("nothing was changed");
    let manifest = Manifest::load(host).map_err(unchanged)?;
    let current = authselect::current(host).map_err(unchanged)?;
    let edits = edits(host, manifest.as_ref(), current.is_some()).map_err(unchanged)?;
    let manifest = manifest.unwrap_or_default();
    let former = former(&manifest, current.as_deref()).map_err(unchanged)?;
    let steps = steps(&manifest, edits, former);
    step::show(host, &steps, out).map_err(unchanged)?;
    if args.dry_run {
        say("dry run; nothing was changed");
        return Ok(error::OK);
    }
    if steps.is_empty() && manifest == Manifest::default() {
        say("the host's files contain nothing of nss-iam");
        return Ok(error::OK);
    }
    if !args.yes {
        confirm_adopted(host)?;
    }
    let without = without_account::users(host).map_err(unchanged)?;
    carry_out(host, |transaction| step::make(&steps, transaction))?;
    finish(host, &manifest)?;
    say("nss-iam users can no longer log in; the data about them stays in '/var/lib/nss-iam'");
    without_account::warning(&without).into_iter().for_each(say);
    if let Some(sshd) = Sshd::find(host)? {
        say(&reload::reload(&sshd)?);
    }
    Ok(error::OK)
}

/// Asks before taking the logins of users whose accounts were adopted: they would have no account at all.
fn confirm_adopted(host: &Host) -> Result<(), Error> {
    let adopted =
        without_account::adopted_and_active(host).map_err(|failed| failed.done("nothing was changed"))?;
    if adopted.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = adopted.iter().map(|(name, _)| name.as_str()).collect();
    let what =
        format!("'adopt' removed the accounts of {}, who will not exist on this host any more", some(&names));
    host.confirm(
        &Message::new(what).with_hint("first give the accounts back: nss-iamctl adopt --undo --apply"),
    )
}

fn edits(host: &Host, manifest: Option<&Manifest>, authselect: bool) -> Result<Vec<Edit>, Error> {
    let mut edits = Vec::new();
    // In reverse order: first sudo, then sshd, then nsswitch.conf.
    for saved in manifest.iter().flat_map(|manifest| manifest.files.iter().rev()) {
        let before = files::read(&host.path_of(&saved.path))?;
        if !saved.is_untouched(before.as_deref()) && before != saved.original {
            let path = saved.path.display();
            say(&match saved.kind {
                Kind::Whole => format!("'{path}' was changed since 'enable', and is removed"),
                Kind::Theirs => format!("'{path}' was changed since 'enable', so it is kept"),
                _ => format!("'{path}' was changed since 'enable', so only what 'enable' added is removed"),
            });
        }
        let after = saved.restored(before.as_deref())?;
        edits.push(Edit { path: saved.path.clone(), kind: saved.kind, before, after, mode: saved.mode });
    }
    for (path, kind) in OURS {
        let generated = kind == Kind::Nsswitch && authselect;
        let path = Path::new(path);
        if generated || edits.iter().any(|edit| edit.path == path) {
            continue;
        }
        let before = files::read(&host.path_of(path))?;
        let after = kind.without_ours(path, before.as_deref())?;
        edits.push(Edit { path: path.into(), kind, before, after, mode: 0o644 });
    }
    Ok(edits)
}

/// The command that selects the previous profile of authselect, if ours is selected.
fn former(manifest: &Manifest, current: Option<&[String]>) -> Result<Option<Step>, Error> {
    let Some(ours) = current.filter(|current| authselect::is_ours(current)) else { return Ok(None) };
    let Some(from) = &manifest.authselect else {
        return Err(Error::configuration(
            "authselect uses the profile of nss-iam, and the previous profile is not known",
        )
        .hint("authselect select PROFILE, such as sssd; then nss-iamctl disable"));
    };
    Ok(Some(Step::Run { line: authselect::select(from), back: authselect::select(ours) }))
}

/// `edits` has all files, including those that stay as they are.
fn steps(manifest: &Manifest, edits: Vec<Edit>, former: Option<Step>) -> Vec<Step> {
    let off = |unit: &String| Step::Unit { unit: unit.clone(), on: false };
    let mut steps: Vec<Step> = manifest.units.iter().map(off).collect();
    // If PAM's files were changed since, pam-auth-update removes its own lines. After a power cut, some are restored already;
    // it would then take the others for edited, and leave its lines there.
    let watched = |path: &Path| pam::WATCHED.iter().any(|watched| path == Path::new(watched));
    let restores = |edit: &Edit, saved: &Saved| edit.path == saved.path && edit.after == saved.original;
    let mut saved = manifest.files.iter().filter(|saved| watched(&saved.path)).peekable();
    let touched =
        saved.peek().is_none() || saved.any(|saved| !edits.iter().any(|edit| restores(edit, saved)));
    if manifest.pam_auth_update && touched {
        steps.push(Step::Homes { on: false });
    }
    let changes = edits.into_iter().filter(|edit| edit.before != edit.after);
    steps.extend(changes.filter(|edit| !(touched && watched(&edit.path))).map(Step::Edit));
    steps.extend(former);
    steps
}

/// Removes the directories that were created, and the backup, which is no longer needed.
fn finish(host: &Host, manifest: &Manifest) -> Result<(), Error> {
    if manifest.authselect.is_some() {
        remove_tree(host, authselect::DIRECTORY)?;
    }
    for directory in manifest.directories.iter().rev() {
        remove_if_empty(host, directory)?;
    }
    files::remove(&host.path(backup::PATH))?;
    remove_if_empty(host, Path::new(backup::DIRECTORY))?;
    nscd::invalidate(host);
    Ok(())
}
