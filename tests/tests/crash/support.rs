//! The shipped programs, and a preload that takes their syncs away.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use tests::{Machine, module, text};

/// How many cuts each test tries: `CUTS` in the environment, or `usual`.
#[expect(clippy::disallowed_methods, reason = "a longer run is asked for in the environment")]
pub(crate) fn cuts(usual: usize) -> usize {
    std::env::var("CUTS").ok().map_or(usual, |cuts| cuts.parse().unwrap())
}

/// The same on every run, so that a cut that was bad can be looked at again; `SEED` in the environment gives others.
#[expect(clippy::disallowed_methods, reason = "other cuts are asked for in the environment")]
pub(crate) fn seed() -> u64 {
    std::env::var("SEED").ok().map_or(20_261_127, |seed| seed.parse().unwrap())
}

/// Which syncs a program is made to leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    /// Every one.
    Any,
    /// Those of directories.
    Folders,
    /// Those of `state.db`: so it is saved at some time after the cache.
    State,
}

const LIBRARY: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int left_out(int fd) {
    const char *what = getenv("WITHOUT");
    char link[64], path[4096];
    struct stat found;
    if (!strcmp(what, "any")) return 1;
    if (!strcmp(what, "folders")) return !fstat(fd, &found) && S_ISDIR(found.st_mode);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return strstr(path, "/state.db") != 0;
}
int fsync(int fd) { return left_out(fd) ? 0 : syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return left_out(fd) ? 0 : syscall(SYS_fdatasync, fd); }
int syncfs(int fd) { return left_out(fd) ? 0 : syscall(SYS_syncfs, fd); }
void sync(void) { if (strcmp(getenv("WITHOUT"), "any")) syscall(SYS_sync); }
"#;

/// Compiles the preload, outside of the machine, to `sync.so` in this directory.
pub(crate) fn preload() -> TempDir {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let [source, preload] = ["sync.c", "sync.so"].map(|name| directory.path().join(name));
    fs::write(&source, LIBRARY).unwrap();
    let ran = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&preload, &source]).output().unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    directory
}

impl Without {
    /// What makes a command leave them out.
    pub(crate) fn apply(self, command: &mut Command, preload: &TempDir) {
        let what = match self {
            Self::Any => "any",
            Self::Folders => "folders",
            Self::State => "state",
        };
        command.env("LD_PRELOAD", preload.path().join("sync.so")).env("WITHOUT", what);
    }
}

/// Replaces the programs of this build by those of the .deb.
pub(crate) fn install_shipped(machine: &Machine) {
    let package = tests::package("deb");
    let ran = machine.run(&["dpkg-deb", "-x", package.to_str().unwrap(), "/run/shipped"]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let module = module();
    let programs =
        ["cache-refresher", "keys-cmd", "forward-only"].map(|name| format!("/usr/libexec/nss-iam/{name}"));
    for path in programs.iter().map(String::as_str).chain(["/usr/sbin/nss-iamctl", module.to_str().unwrap()])
    {
        let ran = machine.run(&["cp", "--remove-destination", &format!("/run/shipped{path}"), path]);
        assert!(ran.status.success(), "{}", text(&ran.stderr));
    }
}
