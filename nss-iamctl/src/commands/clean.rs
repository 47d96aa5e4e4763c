//! `clean`: removes what belongs to this host alone, before an image is made of it.

use std::fs;
use std::io::{ErrorKind, Write};

use cache::reserve;

use crate::cli;
use crate::host::Host;
use crate::host::files;
use crate::host::paths::{LISTING, TIMER};
use crate::say::error::Error;
use crate::say::finding::written;

/// In the order in which they go: without keys nobody logs in while the names are still there.
const FILES: [&str; 7] =
    ["keys.db", "cache.db", "state.db", "status.json", "known.json", "locked", reserve::NAME];

pub(crate) fn run(host: &Host, args: &cli::Clean, out: &mut dyn Write) -> Result<u8, Error> {
    let folder = host.path(cache::FOLDER);
    // Ours are in ASCII.
    let names: Vec<String> =
        files::names(&folder)?.into_iter().filter_map(|name| name.into_string().ok()).collect();
    // `state.db-journal`, `cache.db.new-17`, `status.new`: what a run that was cut short left. `state.db.100`: as it was
    // before an upgrade.
    let belongs = |name: &str, file: &str| {
        name.strip_prefix(file).is_some_and(|rest| {
            let version = rest.strip_prefix('.').unwrap_or_default();
            rest.is_empty() || rest.starts_with('-') || rest.starts_with(".new") || is_number(version)
        })
    };
    let leftover =
        |name: &&String| ["status.new", "known.new"].contains(&name.as_str()) || name.starts_with(".locked.");
    let of = |file: &'static str| names.iter().filter(move |name| belongs(name, file));
    let mut paths: Vec<_> = FILES
        .into_iter()
        .flat_map(of)
        .chain(names.iter().filter(leftover))
        .map(|name| folder.join(name))
        .collect();
    let listing = host.path(LISTING);
    let of_fetch = [listing.clone(), listing.with_extension("new"), listing.with_file_name(reserve::NAME)];
    paths.extend(of_fetch.into_iter().filter(|path| path.exists()));
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
            crate::say::say(&format!(
                "'{TIMER}' runs and will fetch everything anew\nhint: systemctl stop {TIMER}"
            ));
        }
    }
    Ok(crate::say::error::OK)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn remove(path: &std::path::Path) -> Result<(), Error> {
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
            "state.db",
            "state.db-journal",
            "state.db.100",
            "state.db.new-17",
            "status.json",
            "status.new",
            "locked",
        ];
        let others = ["backup/manifest.json", "cache.dbx", "notes", "state.db.old"];
        for name in ours.iter().chain(&others) {
            put(&format!("var/lib/nss-iam/{name}"));
        }
        for path in [
            "var/lib/nss-iam-fetch/listing.json",
            "var/lib/nss-iam-fetch/listing.new",
            "etc/nss-iam/config.toml",
        ] {
            put(path);
        }
        let host = Host::this_folder(root.path());
        let run = |dry_run| {
            let mut out = Vec::new();
            run(&host, &cli::Clean { dry_run }, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let left = || files::names(&root.path().join("var/lib/nss-iam")).unwrap();
        let dry = run(true);
        assert_eq!((dry.lines().count(), left().len()), (12, 14));
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
