//! The life of the .rpm with the tools that resolve what a package requires, order the scriptlets of a transaction, and show
//! what they print. They are Debian's dnf and zypper: no rpm distribution is available, and one stub package provides what they
//! have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::boot::Booted;
use tests::login::GROUP;
use tests::text;

use crate::support::{NEXT, aws, done, package};

const NEWER: &str = "99.0";
const FILES: [&str; 3] = ["/etc/nsswitch.conf", "/etc/pam.d/sshd", "/etc/ssh/sshd_config"];
/// What the tools print when a scriptlet fails; the exit status does not always show it.
const FAILED: [&str; 3] = ["scriptlet failed", "Error in ", "non-fatal"];

/// A tool without repositories, and its words for what is done with a file.
struct Tool {
    name: &'static str,
    install: &'static str,
    upgrade: &'static str,
    downgrade: &'static str,
    reinstall: &'static str,
    /// Asks its database.
    query: &'static str,
}

const DNF: Tool = Tool {
    name: "dnf --assumeyes --disablerepo='*' --nogpgcheck",
    install: "install",
    upgrade: "upgrade",
    downgrade: "downgrade",
    reinstall: "reinstall",
    query: "rpm -q",
};

/// Debian's rpm has root's database in another place.
const ZYPPER: Tool = Tool {
    name: "zypper --non-interactive --no-gpg-checks --no-refresh",
    install: "install --allow-unsigned-rpm",
    upgrade: "install --allow-unsigned-rpm",
    downgrade: "install --allow-unsigned-rpm --oldpackage",
    reinstall: "install --allow-unsigned-rpm --force",
    query: "rpm --dbpath /var/lib/rpm -q",
};

/// Builds a package from the text of a spec file; returns its path in `out`.
fn rpmbuild(out: &Path, name: &str, version: &str, spec: &str) -> PathBuf {
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("built.spec");
    fs::write(&file, spec).unwrap();
    let defined = [
        format!("_topdir {}", work.path().join("top").display()),
        format!("_rpmdir {}", out.display()),
        "_build_name_fmt %%{NAME}-%%{VERSION}.rpm".to_owned(),
        format!("_version {version}"),
        "_date Thu Jan 01 2026".to_owned(),
        format!("_payload {}", package("rpm").display()),
    ];
    let mut line = vec!["-bb", "--quiet", "--build-in-place"];
    line.extend(defined.iter().flat_map(|text| ["--define", text.as_str()]));
    line.push(file.to_str().unwrap());
    let ran = Command::new("rpmbuild").args(&line).current_dir(tests::repository()).output().unwrap();
    assert!(ran.status.success(), "rpmbuild: {}", text(&ran.stderr));
    out.join(format!("{name}-{version}.rpm"))
}

/// The same files and scripts with a higher version, and another configuration of its own.
fn newer(out: &Path) -> PathBuf {
    let spec = fs::read_to_string(tests::repository().join("rpm/nss-iam.spec")).unwrap();
    let (head, rest) = spec.split_once("\n%install\n").unwrap();
    let (_, scripts) = rest.split_once("\n\n").unwrap();
    let unpack = "cd %{buildroot} && rpm2cpio %{_payload} | cpio -idm --quiet && echo '# of the release' >>etc/nss-iam/config.toml";
    rpmbuild(out, "nss-iam", NEWER, &format!("{head}\n%install\n{unpack}\n\n{scripts}"))
}

/// Provides everything that the package requires.
fn stub(out: &Path) -> PathBuf {
    let required = done("rpm", &["-qp", "--requires", package("rpm").to_str().unwrap()]);
    let provides: String = required
        .lines()
        .filter(|line| !line.starts_with("rpmlib(") && !line.starts_with("config("))
        .map(|line| format!("Provides: {line}\n"))
        .collect();
    let head = "Name: stub\nVersion: 1\nRelease: 1\nSummary: What a distribution has\nLicense: MIT\nBuildArch: noarch\n";
    rpmbuild(out, "stub", "1", &format!("{head}{provides}%description\n%files\n"))
}

/// Runs the tool, and returns what it printed. No scriptlet may fail.
fn run(host: &Booted, tool: &Tool, words: &str) -> String {
    let said = host.done(&format!("{} {words} 2>&1", tool.name));
    assert!(!FAILED.iter().any(|failed| said.contains(failed)), "{words}: {said}");
    said
}

#[test]
fn dnf_installs_upgrades_downgrades_reinstalls_and_removes_it() {
    life(&DNF);
}

#[test]
fn zypper_installs_upgrades_downgrades_reinstalls_and_removes_it() {
    life(&ZYPPER);
}

fn life(tool: &Tool) {
    let Some(host) = Booted::start("rpm") else { return };
    let out = tempfile::tempdir().unwrap();
    for (built, name) in [(package("rpm"), "older"), (newer(out.path()), "newer"), (stub(out.path()), "stub")]
    {
        fs::copy(built, host.path(&format!("/srv/{name}.rpm"))).unwrap();
    }
    // Debian's glibc searches its multiarch directory, and lib64 only if ld.so.conf names it.
    host.write("/etc/ld.so.conf.d/lib64.conf", "/usr/lib64\n");
    let read = || FILES.map(|file| fs::read_to_string(host.path(file)).unwrap());
    let before = read();

    let refused = host.sh(&format!("{} {} /srv/older.rpm 2>&1", tool.name, tool.install));
    assert!(refused.0 != Some(0) && refused.1.contains("nothing provides"), "{refused:?}");
    let file = |how: &str, version: &str| run(&host, tool, &format!("{how} /srv/{version}.rpm"));
    file(tool.install, "stub");
    let said = file(tool.install, "older");
    assert!(said.contains(NEXT), "the administrator sees the next command: {said}");
    assert_eq!(read(), before, "installing does no harm");
    for (path, owner) in [("/var/lib/nss-iam", "root"), ("/var/lib/nss-iam-fetch", "nss-iam-fetch")] {
        let found = host.done(&format!("stat -c %U {path}"));
        assert_eq!(found.trim(), owner, "{path}: %pre made the users, %post the directories");
    }

    aws(&host, None);
    let ana = host.user("ana");
    host.done(&format!("nss-iamctl enable --group {GROUP}"));
    host.until("ana came by the timer", || host.sh("getent passwd ana").0 == Some(0));
    assert!(host.logs_in("ana", &ana));
    let enabled = read();
    host.done("echo '# of the administrator' >>/etc/nss-iam/config.toml");
    for (words, built, version) in [
        (tool.upgrade, "newer", NEWER),
        (tool.downgrade, "older", env!("CARGO_PKG_VERSION")),
        (tool.reinstall, "older", env!("CARGO_PKG_VERSION")),
    ] {
        let said = file(words, built);
        assert!(!said.contains(NEXT), "{words}: the host is set up: {said}");
        let installed = host.done(&format!("{} --queryformat '%{{VERSION}}' nss-iam", tool.query));
        assert_eq!(installed, version, "{words}");
        assert_eq!(read(), enabled, "{words}");
        assert_eq!(host.sh("systemctl is-enabled nss-iam-refresh.timer").1, "enabled\n", "{words}");
        assert!(host.done("cat /etc/nss-iam/config.toml").contains("of the administrator"), "{words}");
        assert!(host.logs_in("ana", &ana), "{words}");
        if built == "newer" {
            let beside = host.done("cat /etc/nss-iam/config.toml.rpmnew");
            assert!(beside.contains("of the release"), "the release's own is beside it, and is not read");
        }
    }

    run(&host, tool, "remove nss-iam");
    assert_eq!(read(), before, "removing gives back what enable changed");
    assert!(!host.logs_in("ana", &ana));
    assert!(host.done("cat /etc/nss-iam/config.toml.rpmsave").contains("of the administrator"));
    assert!(!host.path("/etc/nss-iam/config.toml").exists());
    assert_eq!(host.sh("systemctl list-unit-files --no-legend 'nss-iam-*'").1, "");
    assert!(host.path("/var/lib/nss-iam/state.db").exists(), "the ids that were assigned stay");
}
