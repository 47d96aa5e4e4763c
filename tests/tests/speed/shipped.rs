//! The library as a loader and a linker see it, for each architecture.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::{repository, text};

/// An architecture, and the size that its module stays below, in bytes.
const X86_64: (&str, u64) = ("x86_64", 100 * 1024);
/// For 32-bit programs on x86_64.
const I686: (&str, u64) = ("i686", 100 * 1024);
/// Its segments begin at multiples of 64 KiB, the largest size of a page.
const AARCH64: (&str, u64) = ("aarch64", 160 * 1024);

/// What `make modules` builds on this machine.
const BUILT: &[(&str, u64)] =
    if cfg!(target_arch = "aarch64") { &[AARCH64] } else { &[X86_64, I686, AARCH64] };

fn triple(cpu: &str) -> String {
    format!("{cpu}-unknown-linux-gnu")
}

fn library(cpu: &str) -> PathBuf {
    if cpu == std::env::consts::ARCH {
        return crate::library();
    }
    let path = tests::target().join(triple(cpu)).join("module/libnss_iam.so");
    assert!(path.is_file(), "'{}' is missing\nhint: make modules", path.display());
    path
}

fn shown(program: &str, arguments: &[&str], cpu: &str) -> String {
    let output = Command::new(program).args(arguments).arg(library(cpu)).output().unwrap();
    assert!(output.status.success());
    text(&output.stdout).to_owned()
}

/// Also for `target/test.log`: libtest would not show the text of a test that passes.
#[test]
fn it_is_small() {
    for (cpu, limit) in BUILT {
        let size = fs::metadata(library(cpu)).unwrap().len();
        let mut imports: Vec<String> = imports(cpu).into_iter().map(|(name, _)| name).collect();
        imports.sort_unstable();
        writeln!(std::io::stdout(), "module for {cpu}: {size} bytes, imports {}", imports.join(" ")).unwrap();
        assert!(size < *limit, "{cpu}: {size} bytes");
    }
}

#[test]
fn it_needs_only_libc() {
    for (cpu, _) in BUILT {
        let dynamic = shown("readelf", &["--dynamic", "--wide"], cpu);
        let needed: Vec<&str> = dynamic.lines().filter(|line| line.contains("(NEEDED)")).collect();
        assert!(matches!(needed[..], [libc] if libc.contains("[libc.so.6]")), "{cpu}: {needed:?}");
    }
}

/// The names, and their versions.
fn imports(cpu: &str) -> Vec<(String, String)> {
    let symbols = shown("nm", &["--dynamic", "--undefined-only", "--with-symbol-versions"], cpu);
    let imports = symbols.lines().map(|line| line.trim().trim_start_matches("U "));
    let split = |import: &str| {
        let (name, version) = import.split_once('@').unwrap();
        (name.to_owned(), version.trim_start_matches('@').to_owned())
    };
    imports.map(split).collect()
}

/// Nothing that can log, read the environment, start a thread, lock, or allocate memory except for the caller's own
/// list.
#[test]
fn it_imports_only_the_listed_symbols_and_nothing_newer_than_glibc_2_17() {
    let list = fs::read_to_string(repository().join("nss-iam/imports.txt")).unwrap();
    for (cpu, _) in BUILT {
        let imports = imports(cpu);
        assert!(!imports.is_empty());
        for (name, version) in imports {
            assert!(list.lines().any(|line| line == name), "{cpu}: {name}");
            let version = version.strip_prefix("GLIBC_2.").unwrap();
            let minor: u32 = version.split('.').next().unwrap().parse().unwrap();
            assert!(minor <= 17, "{cpu}: {name} {version}");
        }
    }
}

#[test]
fn it_has_no_thread_local_and_is_never_unloaded() {
    for (cpu, _) in BUILT {
        assert!(!shown("readelf", &["--program-headers", "--wide"], cpu).contains("TLS"), "{cpu}");
        assert!(shown("readelf", &["--dynamic", "--wide"], cpu).contains("NODELETE"), "{cpu}");
    }
}

/// A copy of the sources of the module, with one function changed, built as in the Makefile.
fn build(name: &str, cpu: &str, change: impl Fn(&str) -> String) -> (PathBuf, Output) {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{cpu}"));
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
    let (target, triple) = (root.join("target"), triple(cpu));
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(&root)
        .args(["rustc", "--offline", "--quiet", "--profile", "module", "-p", "nss-iam", "--lib"])
        .args(["--crate-type", "cdylib", "--target", &triple, "--target-dir"])
        .arg(&target)
        .args(["--", "-C", "link-arg=-nostartfiles"]);
    if cpu == "aarch64" {
        command.args(["-C", "target-feature=-outline-atomics"]);
    }
    if cpu != std::env::consts::ARCH {
        let variable = format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase().replace('-', "_"));
        command.env(variable, format!("{cpu}-linux-gnu-gcc"));
    }
    let output = command.output().unwrap();
    (target.join(triple).join("module/libnss_iam.so"), output)
}

/// The linker's proof is worth something only if it fails when it should.
#[test]
fn an_index_that_could_be_out_of_range_breaks_the_link() {
    let function = "pub(crate) fn user_by_name<T>(name: &[u8], fill: impl FnOnce(&User<'_>) -> Outcome<T>) -> Outcome<T> {\n";
    for (cpu, _) in BUILT {
        let (library, output) = build("cannot-panic", cpu, str::to_owned);
        assert!(output.status.success(), "{cpu}: {}", text(&output.stderr));
        let symbols = Command::new("nm").arg("--dynamic").arg(library).output().unwrap();
        assert!(!text(&symbols.stdout).contains("could_panic"), "{cpu}");

        let (_, output) = build("could-panic", cpu, |source| {
            assert!(source.contains(function));
            source.replace(
                function,
                &format!("{function}    if name[7] == 0 {{ return Err(Miss::NotFound); }}\n"),
            )
        });
        assert!(!output.status.success(), "{cpu}");
        assert!(text(&output.stderr).contains("nss_iam_could_panic"), "{cpu}: {}", text(&output.stderr));
    }
}
