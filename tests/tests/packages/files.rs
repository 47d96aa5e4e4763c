//! The contents of the .deb.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tests::repository;

use crate::support::{done, package, tree, unpacked};

/// The oldest supported C library: Amazon Linux 2 has 2.26, SLES 15 2.31, RHEL 8 2.28.
const GLIBC: (u32, u32) = (2, 17);

/// The module and four programs.
fn programs(directory: &Path) -> Vec<PathBuf> {
    let files = tree(directory).into_iter().map(|path| directory.join(path)).filter(|path| path.is_file());
    let programs: Vec<_> = files.filter(|path| fs::read(path).unwrap().starts_with(b"\x7fELF")).collect();
    assert_eq!(programs.len(), 5, "{programs:?}");
    programs
}

#[test]
fn no_shipped_program_needs_a_symbol_newer_than_glibc_2_17() {
    let directory = unpacked();
    for path in programs(directory.path()) {
        let symbols = done("objdump", &["-T", path.to_str().unwrap()]);
        let versions: Vec<(u32, u32)> = symbols.split("GLIBC_").skip(1).filter_map(version).collect();
        let newest =
            versions.iter().max().unwrap_or_else(|| panic!("{}: no symbol of glibc", path.display()));
        assert!(newest <= &GLIBC, "{}: {newest:?}", path.display());
    }
}

/// Only the C library and its parts: no libgcc_s, and no libssl that a distribution might lack.
#[test]
fn no_shipped_program_needs_a_library_but_the_c_library() {
    let directory = unpacked();
    for path in programs(directory.path()) {
        let needed = done("objdump", &["-p", path.to_str().unwrap()]);
        let others: Vec<&str> = needed
            .lines()
            .filter_map(|line| line.trim().strip_prefix("NEEDED"))
            .map(str::trim)
            .filter(|name| {
                let parts = ["libc.", "libm.", "libdl.", "libpthread.", "librt.", "libutil.", "ld-linux"];
                !parts.iter().any(|part| name.starts_with(part))
            })
            .collect();
        assert!(others.is_empty(), "{}: {others:?}", path.display());
    }
}

/// `2.17) memcpy` begins with a version.
fn version(text: &str) -> Option<(u32, u32)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (major, rest) = text[..end].split_once('.')?;
    Some((major.parse().ok()?, rest.split('.').next()?.parse().ok()?))
}

/// docs/reference/installed.md
#[test]
fn paths_and_modes_are_those_of_the_reference() {
    let directory = unpacked();
    let multiarch = format!("usr/lib/{}-linux-gnu/libnss_iam.so.2", std::env::consts::ARCH);
    for (path, mode) in [
        (multiarch.as_str(), 0o644),
        ("usr/libexec/nss-iam/keys-cmd", 0o755),
        ("usr/libexec/nss-iam/forward-only", 0o755),
        ("usr/libexec/nss-iam/cache-refresher", 0o755),
        ("usr/libexec/nss-iam/imds", 0o755),
        ("usr/sbin/nss-iamctl", 0o755),
        ("etc/nss-iam/config.toml", 0o644),
        ("etc/nss-iam/config.d", 0o755),
        ("var/lib/nss-iam", 0o755),
        ("lib/systemd/system/nss-iam-refresh.timer", 0o644),
        ("lib/systemd/system/nss-iam-refresh.service", 0o644),
        ("lib/systemd/system/nss-iam-fetch.service", 0o644),
        ("lib/systemd/system/nss-iam-homes.service", 0o644),
        ("lib/systemd/system/nss-iam-publish.service", 0o644),
        ("lib/systemd/system/nss-iam-imds.service", 0o644),
        ("lib/systemd/system/nss-iam-imds.path", 0o644),
        ("lib/systemd/system/nss-iam-imds-update.service", 0o644),
        ("lib/systemd/system/nftables.service.d/nss-iam.conf", 0o644),
        ("usr/lib/sysusers.d/nss-iam.conf", 0o644),
        ("usr/lib/tmpfiles.d/nss-iam.conf", 0o644),
        ("usr/share/pam-configs/nss-iam-mkhomedir", 0o644),
        ("etc/apparmor.d/abstractions/nameservice.d/nss-iam", 0o644),
        ("usr/share/doc/nss-iam/copyright", 0o644),
        ("usr/share/doc/nss-iam/reference/listing.md", 0o644),
        ("usr/share/doc/nss-iam/reference/listing.schema.json", 0o644),
    ] {
        let found = fs::metadata(directory.path().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{path}");
    }
    let pages = tree(directory.path())
        .into_iter()
        .filter(|path| path.starts_with("usr/share/man") && path.extension().is_some());
    assert_eq!(pages.count(), fs::read_dir(repository().join("man")).unwrap().count(), "manual pages");
}

#[test]
fn the_module_has_the_soname_by_which_glibc_finds_it() {
    let directory = unpacked();
    let module =
        directory.path().join(format!("usr/lib/{}-linux-gnu/libnss_iam.so.2", std::env::consts::ARCH));
    let headers = done("objdump", &["-p", module.to_str().unwrap()]);
    assert!(
        headers.lines().any(|line| line.split_whitespace().eq(["SONAME", "libnss_iam.so.2"])),
        "{headers}"
    );
}

#[test]
fn the_packaged_module_exports_only_the_listed_symbols() {
    let directory = unpacked();
    let module =
        directory.path().join(format!("usr/lib/{}-linux-gnu/libnss_iam.so.2", std::env::consts::ARCH));
    let exported = done("nm", &["-D", "--defined-only", module.to_str().unwrap()]);
    let mut exported: Vec<&str> =
        exported.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    exported.sort_unstable();
    let listed = fs::read_to_string(repository().join("nss-iam/exports.txt")).unwrap();
    let mut listed: Vec<&str> = listed.lines().filter(|line| line.starts_with("_nss")).collect();
    listed.sort_unstable();
    assert_eq!(exported, listed);
}

#[test]
fn every_configuration_file_is_kept_by_dpkg() {
    let control = done("dpkg-deb", &["-I", package("deb").to_str().unwrap(), "conffiles"]);
    let directory = unpacked();
    for path in tree(&directory.path().join("etc")) {
        if directory.path().join("etc").join(&path).is_file() {
            let line = format!("/etc/{}", path.display());
            assert!(control.lines().any(|other| other == line), "{line}: {control}");
        }
    }
}

#[test]
fn packages_and_programs_have_the_version_of_cargo_toml() {
    let version = env!("CARGO_PKG_VERSION");
    let deb = done("dpkg-deb", &["--field", package("deb").to_str().unwrap(), "Version"]);
    assert_eq!(deb.trim(), version, "the .deb");
    let rpm = done("rpm", &["-qp", "--queryformat", "%{VERSION}", package("rpm").to_str().unwrap()]);
    assert_eq!(rpm, version, "the .rpm");
    let directory = unpacked();
    for program in
        ["usr/sbin/nss-iamctl", "usr/libexec/nss-iam/cache-refresher", "usr/libexec/nss-iam/keys-cmd"]
    {
        let said = done(directory.path().join(program).to_str().unwrap(), &["--version"]);
        assert_eq!(said.trim().rsplit(' ').next(), Some(version), "{program}");
    }
}

#[test]
fn no_file_except_cargo_toml_contains_the_version() {
    let directories =
        ["config", "deploy", "man", "rpm", "systemd"].map(|directory| repository().join(directory));
    let entries = directories.iter().flat_map(|directory| fs::read_dir(directory).unwrap());
    let mut paths: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    // `make deb` writes other files there.
    paths.extend(["control", "copyright", "rules"].map(|file| repository().join("debian").join(file)));
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(env!("CARGO_PKG_VERSION")), "{}", path.display());
    }
}

#[test]
fn all_included_code_is_listed_with_its_license() {
    let directory = unpacked();
    let path = directory.path().join("usr/share/doc/nss-iam/THIRD-PARTY.gz");
    let named = done("gzip", &["-dc", path.to_str().unwrap()]);
    for name in ["aws-lc-sys", "libsqlite3-sys", "rustls", "tokio"] {
        assert!(
            named.lines().any(|line| line.starts_with(&format!("{name} ")) && line.contains(": ")),
            "{name}"
        );
    }
    assert!(!named.lines().any(|line| line.ends_with(": see below")), "a crate that names no license");
}
