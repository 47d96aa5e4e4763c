//! The packages, their contents, and what a host needs to use them: a repository, and AWS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::boot::Booted;
use tests::text;
pub(crate) use tests::{package, package_32};

/// The version of a package that differs only in the version.
pub(crate) const OLDER: &str = "0.0.9";
/// What the package says once it is installed, until the host is set up.
pub(crate) const NEXT: &str = "nss-iamctl enable --group GROUP";

/// Runs a program, which must succeed. Returns its output.
pub(crate) fn done(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|e| panic!("cannot run {program}: {e}"));
    assert!(ran.status.success(), "{program} {arguments:?}: {}{}", text(&ran.stderr), text(&ran.stdout));
    text(&ran.stdout).to_owned()
}

/// The files that the .deb installs, below a directory.
pub(crate) fn unpacked() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    done("dpkg-deb", &["-x", package("deb").to_str().unwrap(), directory.path().to_str().unwrap()]);
    directory
}

/// All files, links and directories below `directory`, relative to it.
pub(crate) fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(next) = open.pop() {
        for path in fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.is_symlink() {
                open.push(path.clone());
            }
            found.push(path.strip_prefix(directory).unwrap().to_path_buf());
        }
    }
    found.sort();
    found
}

/// A repository of apt on the host, with the package, and the same package as an older version, with a configuration that
/// differs in a comment.
pub(crate) fn repository(host: &Booted) {
    let (directory, built) = (host.path("/srv/packages"), package("deb"));
    fs::create_dir_all(&directory).unwrap();
    let place = directory.to_str().unwrap();
    done("cp", &[built.to_str().unwrap(), place]);
    if cfg!(target_arch = "x86_64") {
        done("cp", &[package_32("deb").to_str().unwrap(), place]);
    }
    let work = tempfile::tempdir().unwrap();
    let root = work.path().join("root");
    done("dpkg-deb", &["-R", built.to_str().unwrap(), root.to_str().unwrap()]);
    let control = root.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    let version = text.lines().find(|line| line.starts_with("Version: ")).unwrap();
    fs::write(&control, text.replace(version, &format!("Version: {OLDER}"))).unwrap();
    // If somebody had edited it, dpkg would ask at the upgrade, and fail without a terminal.
    let config = root.join("etc/nss-iam/config.toml");
    fs::write(&config, fs::read_to_string(&config).unwrap() + "# of the older version\n").unwrap();
    done("dpkg-deb", &["-Zgzip", "-z1", "--root-owner-group", "-b", root.to_str().unwrap(), place]);
    let index =
        done("sh", &["-c", &format!("cd '{place}' && dpkg-scanpackages --multiversion . 2>/dev/null")]);
    fs::write(directory.join("Packages"), index).unwrap();
    // No other repository is used: dependencies are in the tree, or the tree is wrong.
    host.done("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*");
    host.write("/etc/apt/sources.list.d/nss-iam.list", "deb [trusted=yes] file:/srv/packages ./\n");
    host.done("apt-get update -qq");
}

/// The endpoint of AWS for the fetch half, in place of the emulator.
pub(crate) fn aws(host: &Booted, endpoint: Option<&str>) {
    let environment = match endpoint {
        None => host.account.direct(),
        Some(endpoint) => host.account.env(endpoint),
    };
    let lines: String =
        environment.iter().map(|(key, value)| format!("Environment={key}={value}\n")).collect();
    host.write("/etc/systemd/system/nss-iam-fetch.service.d/test.conf", &format!("[Service]\n{lines}"));
    host.done("systemctl daemon-reload");
}
