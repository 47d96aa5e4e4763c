//! `clean`: removes what belongs only to this host, before an image is created from it.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use cache::reserve;
use message::Message;

use crate::cli;
use crate::host::Host;
use crate::host::files;
use crate::host::paths::{LISTING, TIMER};
use crate::say::error::Error;
use crate::say::finding::written;

/// In the order of removal: without keys, nobody can log in while the names still resolve.
const FILES: [&str; 7] =
    ["keys.db", "cache.db", "state.db", "status.json", "known.json", "locked", reserve::NAME];

pub(crate) fn run(host: &Host, args: &cli::Clean, out: &mut dyn Write) -> Result<u8, Error> {
    let mut paths = of(&host.path(cache::DIRECTORY), &FILES)?;
    if let Some(directory) = host.path(LISTING).parent() {
        paths.extend(of(directory, &["listing.json", reserve::NAME])?);
    }
    for path in &paths {
        if !args.dry_run {
            remove(path)?;
        }
        let did = if args.dry_run { "would remove" } else { "removed" };
        written(writeln!(out, "{did} {}", path.display()))?;
    }
    if !args.dry_run && host.exists("/run/systemd/system") {
        let timer =
            host.run(&["systemctl", "is-active", "--quiet", TIMER]).is_ok_and(|output| output.success());
        if timer {
            let what = format!("'{TIMER}' is active, and will fetch everything again");
            crate::say::say(Message::new(what).with_hint(format!("systemctl stop {TIMER}")));
        }
    }
    Ok(crate::say::error::OK)
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
    Ok(files.iter().flat_map(of).map(|name| directory.join(name)).collect())
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
            "state.db",
            "state.db-journal",
            "state.db.100",
            "state.db.new-17",
            ".state.db.100.new-17-0",
            "status.json",
            "status.new",
            "locked",
            ".locked.new-17-0",
        ];
        let others = ["backup/manifest.json", "cache.dbx", "notes", "state.db.old"];
        for name in ours.iter().chain(&others) {
            put(&format!("var/lib/nss-iam/{name}"));
        }
        for path in [
            "var/lib/nss-iam-fetch/listing.json",
            "var/lib/nss-iam-fetch/listing.new",
            "var/lib/nss-iam-fetch/.listing.json.new-17-0",
            "etc/nss-iam/config.toml",
        ] {
            put(path);
        }
        let host = Host::this_directory(root.path());
        let run = |dry_run| {
            let mut out = Vec::new();
            run(&host, &cli::Clean { dry_run }, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let left = || files::names(&root.path().join("var/lib/nss-iam")).unwrap();
        let dry = run(true);
        assert_eq!((dry.lines().count(), left().len()), (16, 17));
        let told = run(false);
        assert_eq!(told, dry.replace("would remove", "removed"));
        let (keys, cache) = (told.find("keys.db"), told.find("cache.db"));
        assert!(keys < cache, "keys first: {told}");
        assert_eq!(left(), ["backup", "cache.dbx", "notes", "state.db.old"]);
        assert!(root.path().join("etc/nss-iam/config.toml").exists());
        assert!(files::names(&root.path().join("var/lib/nss-iam-fetch")).unwrap().is_empty());
        assert_eq!(run(false), "", "twice does no harm");
    }
}
