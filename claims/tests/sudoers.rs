//! `claims::sudoers` on a table of texts: with the scan of this crate, and with cvtsudoers(1) if it is installed.

#[path = "table/sudoers.rs"]
mod table;

use std::fs;
use std::io;
use std::path::Path;

use claims::Uses;
use table::{Row, Unresolved};

/// Creates the files of a row below `root`.
fn lay(row: &Row, root: &Path) -> io::Result<()> {
    let host = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    let host = host.split('.').next().unwrap_or_default();
    for (path, text) in row.files {
        let path = root.join(path.trim_start_matches('/').replace("HOST", host));
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)?;
    }
    Ok(())
}

fn check(row: &Row, uses: &Uses, is_export: bool) {
    let names: Vec<_> = uses.names.keys().collect();
    for name in row.named {
        assert!(uses.names.contains_key(*name), "{}: '{name}' is not in {names:?}", row.what);
    }
    for name in row.free {
        let (name, maybe) = name.strip_prefix('~').map_or((*name, false), |name| (name, true));
        let is_named = uses.names.contains_key(name);
        assert!(!is_named || (maybe && !is_export), "{}: '{name}' is in {names:?}", row.what);
    }
    let expected = match row.unresolved {
        Unresolved::Never => false,
        Unresolved::WithoutExport => !is_export,
        Unresolved::Always => true,
    };
    assert_eq!(!uses.unresolved.is_empty(), expected, "{}: {:?}", row.what, uses.unresolved);
}

#[test]
fn the_scan_finds_all_names_that_sudo_uses() {
    for row in table::ROWS {
        let root = tempfile::tempdir().unwrap();
        lay(row, root.path()).unwrap();
        check(row, &claims::sudoers::scan(root.path()), false);
    }
}

/// With cvtsudoers if the host has it; for files below another root, an absolute include prevents its use.
#[test]
fn sudos_parser_finds_exactly_the_names_that_sudo_uses() {
    let is_absolute = |(_, text): &(&str, &str)| text.contains("include") && text.contains(" /");
    let has_export =
        ["/usr/bin/cvtsudoers", "/usr/sbin/cvtsudoers"].iter().any(|path| Path::new(path).exists());
    for row in table::ROWS {
        let root = tempfile::tempdir().unwrap();
        lay(row, root.path()).unwrap();
        let is_export = has_export && !row.files.iter().any(is_absolute);
        check(row, &claims::sudoers::read(root.path()), is_export);
    }
}

#[test]
fn sudoers_d_is_read_without_sudo_and_a_host_without_files_has_no_uses() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(claims::sudoers::read(root.path()), Uses::default());
    fs::create_dir_all(root.path().join("etc/sudoers.d")).unwrap();
    fs::write(root.path().join("etc/sudoers.d/90-cloud"), "dana ALL=ALL\n").unwrap();
    let uses = claims::sudoers::read(root.path());
    assert_eq!(
        uses.names["dana"].iter().next().unwrap().to_string(),
        "in a sudo rule ('/etc/sudoers.d/90-cloud')"
    );
}

#[test]
fn an_unreadable_file_is_unresolved() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc/sudoers")).unwrap();
    let uses = claims::sudoers::read(root.path());
    assert_eq!(uses.unresolved.len(), 1, "{uses:?}");
}
