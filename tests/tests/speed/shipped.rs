//! The library as a loader and a linker see it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::{repository, text};

fn shown(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).arg(crate::library()).output().unwrap();
    assert!(output.status.success());
    text(&output.stdout).to_owned()
}

#[test]
fn it_has_less_than_100_kib() {
    let size = fs::metadata(crate::library()).unwrap().len();
    println!("{size} bytes");
    assert!(size < 100 * 1024);
}

#[test]
fn it_needs_only_libc() {
    let dynamic = shown("readelf", &["--dynamic", "--wide"]);
    let needed: Vec<&str> = dynamic.lines().filter(|line| line.contains("(NEEDED)")).collect();
    assert!(matches!(needed[..], [libc] if libc.contains("[libc.so.6]")), "{needed:?}");
}

/// Nothing that can log, read the environment, start a thread, lock, or allocate memory except for the caller's own
/// list.
#[test]
fn it_imports_only_the_listed_symbols_and_nothing_newer_than_glibc_2_17() {
    let symbols = shown("nm", &["--dynamic", "--undefined-only", "--with-symbol-versions"]);
    let list = fs::read_to_string(repository().join("nss-iam/imports.txt")).unwrap();
    let imports: Vec<&str> = symbols.lines().map(|line| line.trim().trim_start_matches("U ")).collect();
    assert!(!imports.is_empty());
    for import in imports {
        let (name, version) = import.split_once('@').unwrap();
        assert!(list.lines().any(|line| line == name), "{import}");
        let version = version.trim_start_matches('@').strip_prefix("GLIBC_2.").unwrap();
        let minor: u32 = version.split('.').next().unwrap().parse().unwrap();
        assert!(minor <= 17, "{import}");
    }
}

#[test]
fn it_has_no_thread_local_and_is_never_unloaded() {
    assert!(!shown("readelf", &["--program-headers", "--wide"]).contains("TLS"));
    assert!(shown("readelf", &["--dynamic", "--wide"]).contains("NODELETE"));
}

/// A copy of the sources of the module, with one function changed, built as in the Makefile.
fn build(name: &str, change: impl Fn(&str) -> String) -> (PathBuf, Output) {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(root.join("nss-iam"));
    for directory in ["nss-iam/src", "reader/src"] {
        fs::create_dir_all(root.join(directory)).unwrap();
        for file in fs::read_dir(repository().join(directory)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), root.join(directory).join(file.file_name())).unwrap();
        }
    }
    fs::copy(repository().join("nss-iam/build.rs"), root.join("nss-iam/build.rs")).unwrap();
    fs::copy(repository().join("Cargo.lock"), root.join("Cargo.lock")).unwrap();
    for manifest in ["nss-iam/Cargo.toml", "reader/Cargo.toml"] {
        let whole = fs::read_to_string(repository().join(manifest)).unwrap();
        fs::write(root.join(manifest), whole.split("[dev-dependencies]").next().unwrap()).unwrap();
    }
    let whole = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let others = whole.lines().map(|line| match line.split_once(" = ") {
        Some(("members" | "default-members", _)) => "members = [\"nss-iam\", \"reader\"]\n".to_owned(),
        _ => format!("{line}\n"),
    });
    let mut seen = false;
    // One list of members, whatever the workspace sets as default.
    let manifest: String =
        others.filter(|line| !line.starts_with("members") || !std::mem::replace(&mut seen, true)).collect();
    fs::write(root.join("Cargo.toml"), manifest).unwrap();
    let lookup = root.join("nss-iam/src/lookup.rs");
    let changed = change(&fs::read_to_string(&lookup).unwrap());
    fs::write(lookup, changed).unwrap();
    let target = root.join("target");
    let output = Command::new(env!("CARGO"))
        .current_dir(&root)
        .args(["rustc", "--offline", "--quiet", "--profile", "module", "-p", "nss-iam", "--lib"])
        .args(["--crate-type", "cdylib", "--target-dir"])
        .arg(&target)
        .args(["--", "-C", "link-arg=-nostartfiles"])
        .output()
        .unwrap();
    (target.join("module/libnss_iam.so"), output)
}

/// The linker's proof is worth something only if it fails when it should.
#[test]
fn an_index_that_could_be_out_of_range_breaks_the_link() {
    let (library, output) = build("cannot-panic", str::to_owned);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let symbols = Command::new("nm").arg("--dynamic").arg(library).output().unwrap();
    assert!(!text(&symbols.stdout).contains("could_panic"));

    let function = "pub(crate) fn user_by_name<T>(name: &[u8], fill: impl FnOnce(&User<'_>) -> Outcome<T>) -> Outcome<T> {\n";
    let (_, output) = build("could-panic", |source| {
        assert!(source.contains(function));
        source
            .replace(function, &format!("{function}    if name[7] == 0 {{ return Err(Miss::NotFound); }}\n"))
    });
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("nss_iam_could_panic"), "{}", text(&output.stderr));
}
