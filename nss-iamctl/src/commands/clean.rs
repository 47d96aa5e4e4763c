//! `clean`: removes what belongs only to this host, before an image is created from it. Locks stay: a user who is locked here
//! is let in nowhere by accident.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use cache::reserve;
use message::Message;
use policy::confirmed;
use status::{Locked, metrics};

use crate::cli;
use crate::host::Host;
use crate::host::files;
use crate::host::paths::{LISTING, LOCKED, TIMER, WATCH};
use crate::host::published::Published;
use crate::inspect::without_account;
use crate::say::error::Error;
use crate::say::finding::written;
use crate::say::say;
use crate::say::show::{count, some};

/// machine-id(5).
const MACHINE_ID: &str = "/etc/machine-id";

/// In the order of removal: without keys, nobody can log in while the names still resolve.
const FILES: [&str; 9] = [
    "keys.db",
    "cache.db",
    "state.db",
    confirmed::NAME,
    "status.json",
    metrics::NAME,
    "known.db",
    // Of an earlier release.
    "known.json",
    reserve::NAME,
];

pub(crate) fn run(host: &Host, args: &cli::Clean, out: &mut dyn Write) -> Result<u8, Error> {
    let mut paths = of(&host.path(cache::DIRECTORY), &FILES)?;
    if let Some(directory) = host.path(LISTING).parent() {
        let names = [
            "listing.json",
            confirmed::NAME,
            "listing.signed",
            "listing.etag",
            "calls.json",
            "report.json",
            reserve::NAME,
        ];
        paths.extend(of(directory, &names)?);
    }
    if !args.dry_run && !args.yes {
        confirm(host)?;
    }
    let without = without_account::users(host)?;
    for path in &paths {
        if !args.dry_run {
            remove(path)?;
        }
        let did = if args.dry_run { "would remove" } else { "removed" };
        written(writeln!(out, "{did} {}", path.display()))?;
    }
    if !args.dry_run {
        remarks(host)?.into_iter().for_each(say);
        without_account::warning(&without).into_iter().for_each(say);
    }
    Ok(crate::say::error::OK)
}

/// Asks, if there are users: none of them could log in, and the record of ids would be lost.
fn confirm(host: &Host) -> Result<(), Error> {
    let cache = Published::read(host).cache.unwrap_or_default();
    let users = cache.users.iter().filter(|user| user.active).count();
    if users == 0 {
        return Ok(());
    }
    let what = format!(
        "{} of this host could not log in until the next refresh, and the record of their ids would be lost",
        count(users, "user")
    );
    host.confirm(&Message::new(what))
}

/// What else belongs only to this host.
fn remarks(host: &Host) -> Result<Vec<Message>, Error> {
    let mut remarks = Vec::new();
    let is_active =
        |unit| host.run(&["systemctl", "is-active", "--quiet", unit]).is_ok_and(|ran| ran.success());
    let active =
        [TIMER, WATCH].into_iter().filter(|unit| host.exists("/run/systemd/system") && is_active(unit));
    remarks.extend(active.map(|unit| {
        let what = format!("'{unit}' is active, and will fetch everything again");
        Message::new(what).with_hint(format!("systemctl stop {unit}"))
    }));
    let locked = Locked::read(&host.path(LOCKED)).unwrap_or_default().names;
    if !locked.is_empty() {
        let names: Vec<&String> = locked.iter().collect();
        let what = format!("'{LOCKED}' is kept: {} stay locked, in the image too", some(&names));
        remarks.push(Message::new(what).with_hint(format!("to unlock them in the image: rm {LOCKED}")));
    }
    // machine-id(5): empty is how an image has it.
    let machine_id = files::read_lossy(&host.path(MACHINE_ID))?.unwrap_or_default();
    if !["", "uninitialized"].contains(&machine_id.trim()) {
        let what = format!(
            "'{MACHINE_ID}' is this host's: each machine that is started from the image needs its own"
        );
        remarks.push(
            Message::new(what)
                .with_hint(format!("as the last step before the image: truncate -s 0 {MACHINE_ID}")),
        );
    }
    Ok(remarks)
}

/// Those of these files that are in `directory`, in their order.
fn of(directory: &Path, files: &[&str]) -> Result<Vec<PathBuf>, Error> {
    // Our names are ASCII.
    let names: Vec<String> =
        files::names(directory)?.into_iter().filter_map(|name| name.into_string().ok()).collect();
    let of = |file: &&str| {
        let file = (*file).to_owned();
        names.iter().filter(move |name| belongs(name, &file))
    };
    let mut paths: Vec<PathBuf> = files.iter().flat_map(of).map(|name| directory.join(name)).collect();
    // A leftover of an earlier release belongs to two files with one stem.
    let mut seen = BTreeSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    Ok(paths)
}

/// The file itself; what an interrupted run left, such as `state.db-journal` or `.cache.db.new-17-0` (earlier releases:
/// `cache.db.new-17`, `status.new`, `.locked.Xq1.new`); and its copy from before an upgrade, such as `state.db.100`.
fn belongs(name: &str, file: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let of_file = |rest: &str| {
        let version = rest.strip_prefix('.').unwrap_or_default();
        rest.is_empty() || rest.starts_with('-') || rest.starts_with(".new") || is_number(version)
    };
    let stem = file.split('.').next().unwrap_or(file);
    name.strip_prefix(file).is_some_and(of_file)
        || name.starts_with(&format!(".{file}."))
        || name == format!("{stem}.new")
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::io("remove", path, &cause)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_this_host_goes_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        let ours = [
            "keys.db",
            "cache.db",
            "cache.db.new-17",
            ".cache.db.new-17-0-journal",
            "known.db",
            "known.db-journal",
            "known.json",
            "state.db",
            "state.db-journal",
            "state.db.100",
            "state.db.new-17",
            ".state.db.100.new-17-0",
            "status.json",
            "status.new",
            "metrics.prom",
        ];
        let others = ["backup/manifest.json", "cache.dbx", "locked", "notes", "state.db.old"];
        for name in ours.iter().chain(&others) {
            put(&format!("var/lib/nss-iam/{name}"));
        }
        for path in [
            "var/lib/nss-iam-fetch/listing.json",
            "var/lib/nss-iam-fetch/confirmed",
            "var/lib/nss-iam-fetch/listing.signed",
            "var/lib/nss-iam-fetch/listing.etag",
            "var/lib/nss-iam-fetch/listing.new",
            "var/lib/nss-iam-fetch/.listing.json.new-17-0",
            "var/lib/nss-iam-fetch/calls.json",
            "var/lib/nss-iam-fetch/report.json",
            "etc/nss-iam/config.toml",
        ] {
            put(path);
        }
        let host = Host::this_directory(root.path());
        let run = |dry_run| {
            let mut out = Vec::new();
            run(&host, &cli::Clean { dry_run, yes: false }, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let left = || files::names(&root.path().join("var/lib/nss-iam")).unwrap();
        let dry = run(true);
        assert_eq!((dry.lines().count(), left().len()), (23, 20));
        let told = run(false);
        assert_eq!(told, dry.replace("would remove", "removed"));
        let (keys, cache) = (told.find("keys.db"), told.find("cache.db"));
        assert!(keys < cache, "keys first: {told}");
        assert_eq!(left(), ["backup", "cache.dbx", "locked", "notes", "state.db.old"]);
        assert!(root.path().join("etc/nss-iam/config.toml").exists());
        assert!(files::names(&root.path().join("var/lib/nss-iam-fetch")).unwrap().is_empty());
        assert_eq!(run(false), "", "twice does no harm");
    }
    #[test]
    fn a_host_with_users_is_not_cleaned_unasked_and_its_locks_stay() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("var/lib/nss-iam");
        fs::create_dir_all(&directory).unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n").unwrap();
        cache::publish::cache(&directory, crate::fixtures::published().cache.as_ref().unwrap()).unwrap();
        fs::write(directory.join("locked"), "ana\n").unwrap();
        let host = Host::this_directory(root.path());
        let clean = |yes| run(&host, &cli::Clean { dry_run: false, yes }, &mut Vec::new());
        let refused = clean(false).unwrap_err();
        assert_eq!(refused.status(), crate::say::error::CONFIGURATION);
        let expected = "1 user of this host could not log in until the next refresh, and the record of their ids would \
            be lost; there is no terminal to ask, so nothing was done\nhint: --yes confirms it";
        assert_eq!(refused.to_string(), expected);
        assert_eq!(files::names(&directory).unwrap(), ["cache.db", "locked"]);
        clean(true).unwrap();
        assert_eq!(files::names(&directory).unwrap(), ["locked"]);
        crate::say::SAID.with_borrow(|said| {
            assert!(
                said.contains("'ana' stay locked") && said.contains("truncate -s 0 /etc/machine-id"),
                "{said}"
            );
        });
    }
}
