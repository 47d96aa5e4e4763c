//! Which crates may link what (CONTRIBUTING.md), according to `cargo tree`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::process::Command;

/// Our crates that are shipped, and which of them each links, directly or indirectly. The last four are programs.
const OURS: [(&str, &[&str]); 14] = [
    ("policy", &[]),
    ("reader", &[]),
    ("claims", &[]),
    ("way", &[]),
    ("message", &[]),
    ("listing", &["message"]),
    ("cache", &["policy"]),
    ("config", &["message", "policy"]),
    ("status", &["claims", "listing", "message", "policy"]),
    ("nss-iam", &["reader"]),
    ("keys-cmd", &["policy", "reader", "way"]),
    ("forward-only", &[]),
    ("cache-refresher", &["cache", "claims", "config", "listing", "message", "policy", "status", "way"]),
    ("nss-iamctl", &["cache", "claims", "config", "listing", "message", "policy", "reader", "status", "way"]),
];

/// The names of all crates that are linked into a crate, including itself.
fn linked(package: &str) -> BTreeSet<String> {
    tree(package, &[])
}

fn tree(package: &str, more: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{lib}"])
        .args(["--package", package])
        .args(more)
        .current_dir(tests::repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", tests::text(&output.stderr));
    tests::text(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn the_module_links_the_reader_and_libc_and_nothing_else() {
    assert_eq!(linked("nss-iam"), set(&["nss_iam", "reader", "libc"]));
}

#[test]
fn each_crate_links_those_of_ours_that_it_may() {
    let library = |package: &str| package.replace('-', "_");
    let ours: BTreeSet<String> = OURS.iter().map(|(package, _)| library(package)).collect();
    for (package, may) in OURS {
        let mut found: BTreeSet<String> = linked(package).intersection(&ours).cloned().collect();
        found.remove(&library(package));
        assert_eq!(found, set(may), "{package}");
    }
}

/// Rules are functions from values to values, and keys-cmd links them.
#[test]
fn policy_depends_on_a_hash_texts_and_errors_only_and_does_no_io() {
    assert_eq!(tree("policy", &["--depth", "1"]), set(&["policy", "sha2", "smol_str", "thiserror"]));
    let sources = tests::repository().join("policy/src");
    let mut count = 0;
    for (path, file) in tests::files_below(&[sources.to_str().unwrap()]) {
        let text = tests::text(&file.content);
        for part in ["env", "fs", "io", "net", "os", "process", "thread", "time"] {
            assert!(!text.contains(&format!("std::{part}")), "{path}: std::{part}");
        }
        count += 1;
    }
    assert!(count > 5, "this test looks in the wrong place");
}

#[test]
fn only_the_refresher_links_tokio_or_the_aws_sdk() {
    let heavy = |name: &String| name == "tokio" || name.starts_with("aws_");
    assert!(linked("cache-refresher").iter().any(heavy), "this test looks for the wrong names");
    let others = OURS.iter().map(|(package, _)| *package).filter(|package| *package != "cache-refresher");
    for package in others.chain(["tests"]) {
        let found: Vec<_> = linked(package).into_iter().filter(heavy).collect();
        assert!(found.is_empty(), "{package} links {found:?}");
    }
}

#[test]
fn keys_cmd_links_neither_sqlite_nor_a_tls_library() {
    let linked = linked("keys-cmd");
    for name in ["rusqlite", "libsqlite3_sys", "rustls", "serde", "serde_json"] {
        assert!(!linked.contains(name), "keys-cmd links {name}");
    }
}

/// What the host says about a name does not depend on what is published.
#[test]
fn questions_to_the_host_do_not_depend_on_the_cache() {
    let linked = linked("claims");
    for name in ["cache", "config", "listing", "reader", "rusqlite", "status"] {
        assert!(!linked.contains(name), "claims links {name}");
    }
}

/// The programs that write the report and those that read it share its types, but no code of either.
#[test]
fn the_report_knows_neither_the_cache_nor_the_configuration() {
    let linked = linked("status");
    for name in ["cache", "config", "reader", "rusqlite"] {
        assert!(!linked.contains(name), "status links {name}");
    }
}

#[test]
fn nothing_depends_on_the_refresher() {
    let others = OURS.iter().map(|(package, _)| *package).filter(|package| *package != "cache-refresher");
    for package in others.chain(["tests"]) {
        assert!(!linked(package).contains("cache_refresher"), "{package}");
    }
}

/// Both make system calls: a crate that needs one of them uses it for everything that it can do.
#[test]
fn no_crate_names_both_nix_and_rustix() {
    let members = std::fs::read_dir(tests::repository()).unwrap().map(|entry| entry.unwrap().path());
    let manifests: Vec<String> =
        members.filter_map(|directory| std::fs::read_to_string(directory.join("Cargo.toml")).ok()).collect();
    let names = |manifest: &str, library: &str| manifest.contains(&format!("\n{library}.workspace"));
    for library in ["nix", "rustix"] {
        assert!(manifests.iter().any(|manifest| names(manifest, library)), "no crate names {library}");
    }
    let both = manifests.iter().filter(|manifest| names(manifest, "nix") && names(manifest, "rustix"));
    assert_eq!(both.collect::<Vec<_>>(), [""; 0]);
}
