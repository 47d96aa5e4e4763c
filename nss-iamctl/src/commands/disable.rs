//! `disable`: gives back every file that `enable` changed, byte for byte where nobody changed it since, and without
//! our lines where somebody did, or where the backup is gone.

use std::io::Write;

use crate::cli::Disable;
use crate::commands::enable::{diff, print, switch, words};
use crate::edit::authselect;
use crate::edit::backup::{self, Edit, Kind, Manifest};
use crate::edit::nsswitch;
use crate::edit::pam;
use crate::edit::sshd::{Sshd, config, drop_in, reload};
use crate::edit::transaction::{Transaction, Undo, remove_if_empty, remove_tree};
use crate::host::{Host, files, nscd};
use crate::say::error::{self, Error};
use crate::say::say;

/// Where our lines can be, should the backup not name the file.
const OURS: [(&str, Kind); 7] = [
    ("/etc/sudoers.d/nss-iam", Kind::Whole),
    ("/etc/pam.d/sudo", Kind::Block),
    ("/etc/pam.d/sudo-i", Kind::Block),
    (drop_in::PATH, Kind::Whole),
    (config::MAIN, Kind::Block),
    ("/etc/pam.d/sshd", Kind::Block),
    (nsswitch::PATH, Kind::Nsswitch),
];

/// Takes back what `enable` did, or prints how.
///
/// # Errors
/// When that fails; every file then is as it was.
pub(crate) fn run(host: &Host, args: &Disable, out: &mut dyn Write) -> Result<u8, Error> {
    let unchanged = |failed: Error| failed.done("nothing was changed");
    let manifest = Manifest::load(host).map_err(unchanged)?;
    let current = authselect::current(host).map_err(unchanged)?;
    let edits = plan(host, manifest.as_ref(), current.is_some()).map_err(unchanged)?;
    let manifest = manifest.unwrap_or_default();
    let former = former(&manifest, current.as_deref()).map_err(unchanged)?;
    for edit in &edits {
        print(out, &diff(&edit.path, edit.before.as_deref(), edit.after.as_deref()))?;
    }
    if let Some(line) = &former {
        print(out, format!("run: {}\n", line.join(" ")).as_bytes())?;
    }
    if args.dry_run {
        say("nothing was changed, as asked");
        return Ok(error::OK);
    }
    if edits.is_empty() && former.is_none() && manifest == Manifest::default() {
        say("nothing of nss-iam was found in the host's files");
        return Ok(error::OK);
    }
    let mut transaction = Transaction::on(host);
    if let Err(failed) = change(host, &manifest, &edits, former, &mut transaction) {
        return Err(transaction.roll_back(failed));
    }
    finish(host, &manifest)?;
    say("IAM users can no longer log in; what is known of them stays in '/var/lib/nss-iam'");
    if let Some(sshd) = Sshd::find(host)? {
        say(&reload::reload(&sshd)?);
    }
    Ok(error::OK)
}

fn plan(host: &Host, manifest: Option<&Manifest>, authselect: bool) -> Result<Vec<Edit>, Error> {
    let mut edits = Vec::new();
    // The last change first: who may become root, then who may log in, then who is who.
    for saved in manifest.iter().flat_map(|manifest| manifest.files.iter().rev()) {
        let before = files::read(&host.path(&saved.path))?;
        if !saved.is_untouched(before.as_deref()) && before != saved.original {
            say(&match saved.kind {
                Kind::Theirs => format!("'{}' was changed since 'enable' and stays as it is", saved.path),
                _ => format!("'{}' was changed since 'enable': only what is ours goes", saved.path),
            });
        }
        let after = saved.restored(before.as_deref())?;
        edits.push(Edit { path: saved.path.clone(), kind: saved.kind, before, after, mode: saved.mode });
    }
    for (path, kind) in OURS {
        let generated = kind == Kind::Nsswitch && authselect;
        if generated || edits.iter().any(|edit| edit.path == path) {
            continue;
        }
        let before = files::read(&host.path(path))?;
        let after = kind.without_ours(path, before.as_deref())?;
        edits.push(Edit { path: path.to_owned(), kind, before, after, mode: 0o644 });
    }
    edits.retain(|edit| edit.before != edit.after);
    Ok(edits)
}

/// What puts the former profile of authselect in force, if ours is.
fn former(manifest: &Manifest, current: Option<&[String]>) -> Result<Option<Vec<String>>, Error> {
    if !current.is_some_and(authselect::is_ours) {
        return Ok(None);
    }
    let Some(from) = &manifest.authselect else {
        return Err(Error::configuration(
            "authselect has our profile in force, and which was before is not known",
        )
        .hint("authselect select PROFILE, such as sssd; then nss-iamctl disable"));
    };
    Ok(Some(authselect::select_former(from)))
}

fn change(
    host: &Host,
    manifest: &Manifest,
    edits: &[Edit],
    former: Option<Vec<String>>,
    transaction: &mut Transaction<'_>,
) -> Result<(), Error> {
    for unit in &manifest.units {
        transaction.before(Undo::Run(switch(host, "enable", unit)));
        host.must(&words(&switch(host, "disable", unit)))?;
    }
    // Where others changed PAM's files since, pam-auth-update takes its lines out of them.
    let watched = |path: &str| pam::WATCHED.contains(&path);
    let mut saved = manifest.files.iter().filter(|saved| watched(&saved.path)).peekable();
    let touched =
        saved.peek().is_none() || saved.any(|saved| !edits.iter().any(|edit| edit.path == saved.path));
    if manifest.pam_auth_update && touched {
        for path in pam::WATCHED {
            let before = files::read(&host.path(path))?;
            let mode = files::mode(&host.path(path)).unwrap_or(0o644);
            transaction.before(Undo::File { path: path.to_owned(), before, mode });
        }
        host.must(&pam::removal())?;
    }
    for edit in edits.iter().filter(|edit| !(touched && watched(&edit.path))) {
        transaction.write(&edit.path, edit.after.as_deref(), edit.mode)?;
    }
    if let Some(line) = former {
        transaction.before(Undo::Run(vec![
            "authselect".to_owned(),
            "select".to_owned(),
            "custom/nss-iam".to_owned(),
        ]));
        host.must(&words(&line))?;
    }
    Ok(())
}

/// Removes the folders that were made, and the backup, which is of no more use.
fn finish(host: &Host, manifest: &Manifest) -> Result<(), Error> {
    if manifest.authselect.is_some() {
        remove_tree(host, authselect::FOLDER)?;
    }
    for folder in manifest.folders.iter().rev() {
        remove_if_empty(host, folder)?;
    }
    files::remove(&host.path(backup::PATH))?;
    remove_if_empty(host, backup::FOLDER)?;
    nscd::invalidate(host);
    Ok(())
}
